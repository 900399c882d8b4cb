//! The socket API: paths, shapes, codes.

use serde_json::{Value, json};

use crate::support::{Home, prompt, response};

#[test]
fn paths_answer_with_and_without_the_slash() {
    let home = Home::new();
    let daemon = home.start();
    for path in [
        "/health",
        "/api/auth/me",
        "/api/auth/keys",
        "/api/recording/sessions",
        "/api/memory/raw",
        "/api/memory/facts",
        "/api/memory/episodes",
        "/api/memory/profile",
        "/api/memory/stats",
        "/api/predictions",
        "/api/predictions/stats",
    ] {
        assert_eq!(daemon.get(path).status, 200, "{path}");
        assert_eq!(daemon.get(&format!("{path}/")).status, 200, "{path}/");
    }
}

#[test]
fn a_batch_is_judged_event_by_event() {
    let home = Home::new();
    let daemon = home.start();
    let good = prompt("a", "s", "hello", "2026-05-05T12:00:00Z");
    let mut wrong_source = prompt("b", "s", "hello", "2026-05-05T12:00:01Z");
    wrong_source["source"] = json!("claude-code");
    let mut empty = json!({"id": "", "type": "app.focused", "app": 5, "extra": 1});
    empty["source"] = json!("desktop");
    let answer = daemon.post("/api/recording/events/", &json!([good, wrong_source, empty, good]));
    assert_eq!(answer.status, 201);
    assert_eq!((&answer.body["accepted"], &answer.body["duplicates"]), (&json!(1), &json!(1)));
    let invalid = answer.body["invalid"].as_array().unwrap();
    assert_eq!((&invalid[0]["index"], &invalid[1]["index"]), (&json!(1), &json!(2)));
    assert!(invalid[0]["errors"][0].as_str().unwrap().contains("'claude-code' is not one of"));
    assert_eq!(invalid[1]["errors"].as_array().unwrap().len(), 3, "the first three");
    let again = daemon.post("/api/recording/events/", &json!([good]));
    assert_eq!((again.status, &again.body["duplicates"]), (200, &json!(1)));
    for body in ["[]", "{}", "nonsense"] {
        let answer = daemon.call("POST", "/api/recording/events/", Some(body));
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.body["error"].is_string(), "{body}");
    }
}

#[test]
fn odd_sources_are_kept_and_never_taken_for_the_person() {
    let home = Home::new();
    let daemon = home.start();
    let mut events = vec![];
    for (i, source) in ["user", "clone-prediction", "auto-answer", "tool-use"].into_iter().enumerate() {
        events.push(response(&format!("r{i}"), "loop", "Next?", "2026-05-05T12:00:00Z"));
        let mut event = prompt(&format!("p{i}"), "loop", "go on", "2026-05-05T12:00:00Z");
        event["source"] = json!(source);
        events.push(event);
    }
    assert_eq!(daemon.post("/api/recording/events/", &json!(events)).body["accepted"], 8);
    daemon.sync();
    assert_eq!(daemon.get("/api/monitoring/status/").body["counts"]["reply_pairs"], 0);
    let kept = daemon.get("/api/recording/events/p1/").body;
    assert_eq!((&kept["meta"]["raw_source"], &kept["meta"]["origin"]), (&json!("clone-prediction"), &json!("ours")));
}

#[test]
fn secrets_never_reach_the_log() {
    let home = Home::new();
    let daemon = home.start();
    let secret = format!("ghp_{}", "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8");
    let event = prompt("secret", "s", &format!("use {secret} for it"), "2026-05-05T12:00:00Z");
    daemon.post("/api/recording/events/", &json!([event]));
    let kept = daemon.get("/api/recording/events/secret/").body["prompt"].to_string();
    assert!(kept.contains("[secret:") && !kept.contains(&secret), "{kept}");
    let input = json!({"agent": "A", "agent_input": format!("the token is {secret}. Continue?")});
    daemon.post("/api/predictions/predict/", &input);
    daemon.sync();
    daemon.stop();
    for entry in walk(home.path("").as_path()) {
        let bytes = std::fs::read(&entry).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{}", entry.display());
    }
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(walk(&path))
        } else if path.is_file() {
            files.push(path)
        }
    }
    files
}

#[test]
fn sessions_have_bookends_and_events_in_order() {
    let home = Home::new();
    let daemon = home.start();
    let bookend = |id: &str, kind: &str, at: &str| json!({"id": id, "session_id": "s", "occurred_at": at, "source": "cli", "source_detail": "x", "type": kind});
    let events = json!([
        prompt("b", "s", "second", "2026-05-05T12:00:05Z"),
        bookend("a", "session.started", "2026-05-05T12:00:00Z"),
        bookend("z", "session.stopped", "2026-05-05T12:30:00Z"),
    ]);
    assert_eq!(daemon.post("/api/recording/events/", &events).status, 201);
    daemon.sync();
    let sessions = daemon.get("/api/recording/sessions/").body;
    assert_eq!(sessions[0]["started_at"], "2026-05-05T12:00:00Z");
    assert_eq!(sessions[0]["ended_at"], "2026-05-05T12:30:00Z");
    assert_eq!(sessions[0]["source"], "cli");
    let events = daemon.get("/api/recording/sessions/s/events/?limit=2").body;
    let ids: Vec<&str> = events.as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(daemon.get("/api/recording/sessions/nobody/events/").status, 404);
}

#[test]
fn predict_keeps_the_wire_rule_whatever_is_asked() {
    let home = Home::new();
    let daemon = home.start();
    for threshold in [0.001, 0.3, 0.8, 1.0] {
        let body = json!({"agent": "A", "agent_input": "Continue?", "k": 4, "threshold": threshold});
        let answer = daemon.post("/api/predictions/predict/", &body);
        assert_eq!(answer.status, 201);
        let reply = answer.body;
        assert_eq!(reply["threshold"], threshold);
        assert!(!reply["predicted_response"].as_str().unwrap().is_empty());
        let auto = reply["confidence"].as_f64().unwrap() >= threshold;
        assert_eq!(reply["status"], if auto { "auto" } else { "escalated" });
    }
    for (field, value) in [
        ("k", json!(0)),
        ("k", json!(11)),
        ("threshold", json!(0.0)),
        ("threshold", json!(1.5)),
        ("agent_input", json!("")),
        ("agent", json!("")),
        ("model", json!("gpt")),
        ("recency_minutes", json!(0)),
    ] {
        let mut body = json!({"agent": "A", "agent_input": "Continue?"});
        body[field] = value.clone();
        let answer = daemon.post("/api/predictions/predict/", &body);
        assert_eq!(answer.status, 400, "{field} = {value}");
        assert!(answer.body["error"].is_string());
    }
}

#[test]
fn a_batch_of_prompts_is_answered_one_by_one() {
    let home = Home::new();
    let daemon = home.start();
    let path = "/api/predictions/predict/batch/";
    let good = json!({"agent": "A", "agent_input": "Continue?", "threshold": 0.3});
    let answer = daemon.post(path, &json!({"prompts": [good, {"agent": "A", "agent_input": "x", "k": 99}, good]}));
    assert_eq!(daemon.post(path, &json!([[good]])).status, 400, "an array is no request");
    assert!(daemon.post(path, &json!({"prompts": [{"agent": "A"}]})).body["predictions"][0]["error"].is_string());
    assert_eq!(answer.status, 201);
    let rows = answer.body["predictions"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[1]["index"]), (3, &json!(1)));
    assert!(rows[1]["error"].as_str().unwrap().contains("k must be"));
    for row in [&rows[0], &rows[2]] {
        let kept = daemon.get(&format!("/api/predictions/{}/", row["id"].as_str().unwrap())).body;
        assert_eq!((&kept["predicted_response"], &kept["threshold"]), (&row["predicted_response"], &json!(0.3)));
    }
    assert_ne!(rows[0]["id"], rows[2]["id"]);
    assert_eq!(daemon.get("/api/predictions/").body.as_array().map(Vec::len), Some(2));
    for (prompts, status) in [(0, 400), (1, 201), (100, 201), (101, 400)] {
        assert_eq!(daemon.post(path, &json!({"prompts": vec![&good; prompts]})).status, status, "{prompts}");
    }
}

#[test]
fn feedback_is_kept_flipped_and_counted_by_the_documented_formulas() {
    let home = Home::new();
    let daemon = home.start();
    let ask = || daemon.post("/api/predictions/predict/", &json!({"agent": "A", "agent_input": "Continue?"})).body;
    let (one, two) = (ask(), ask());
    let path = |prediction: &Value| format!("/api/predictions/{}/feedback/", prediction["id"].as_str().unwrap());
    assert_eq!(daemon.post(&path(&one), &json!({"status": "edited"})).status, 400, "edited needs the actual words");
    assert_eq!(daemon.post(&path(&one), &json!({"status": "maybe"})).status, 400);
    assert_eq!(daemon.post(&path(&one), &json!({"status": "rejected"})).status, 200);
    let flipped = daemon.post(&path(&one), &json!({"status": "accepted"}));
    assert_eq!(flipped.body["status"], "accepted");
    assert_eq!(flipped.body["actual_response"], one["predicted_response"]);
    daemon.post(&path(&two), &json!({"status": "edited", "actual_response": "no"}));
    assert_eq!(daemon.post("/api/predictions/not-an-id/feedback/", &json!({"status": "accepted"})).status, 404);
    let unknown = "/api/predictions/01890000-0000-7000-8000-000000000000/feedback/";
    assert_eq!(daemon.post(unknown, &json!({"status": "accepted"})).status, 200, "kept though unknown");
    daemon.sync();
    let stats = daemon.get("/api/predictions/stats/").body;
    assert_eq!(
        (&stats["total"], &stats["precision"], &stats["automation_rate"]),
        (&json!(2), &json!(0.5), &json!(1.0))
    );
    assert_eq!(stats["verified"]["n_asked"], 0, "a program's verdict is no person's");
    let listed = daemon.get("/api/predictions/?status=accepted").body;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["id"], one["id"]);
}

#[test]
fn a_fresh_prediction_is_found_at_once() {
    let home = Home::new();
    let daemon = home.start();
    let made = daemon.post("/api/predictions/predict/", &json!({"agent": "A", "agent_input": "Continue?"})).body;
    let got = daemon.get(&format!("/api/predictions/{}/", made["id"].as_str().unwrap()));
    assert_eq!((got.status, &got.body["id"]), (200, &made["id"]));
    let stats = daemon.get("/api/predictions/stats/").body;
    assert_eq!(stats["total"], 1);
    assert_eq!(daemon.get("/api/predictions/01890000-0000-7000-8000-000000000000/").status, 404);
}

#[test]
fn continuation_answers_with_confidence_in_its_own_boolean() {
    let home = Home::new();
    let daemon = home.start();
    let body = json!({"agent": "A", "agent_input": "All done.", "threshold": 0.6, "session_id": "s"});
    let answer = daemon.post("/api/predictions/continuation/", &body);
    assert_eq!(answer.status, 201);
    assert!(answer.body["should_continue"].is_boolean());
    let confidence = answer.body["confidence"].as_f64().unwrap();
    assert_eq!(answer.body["status"], if confidence >= 0.6 { "auto" } else { "escalated" });
    let path = format!("/api/predictions/{}/feedback/", answer.body["id"].as_str().unwrap());
    assert_eq!(daemon.post(&path, &json!({"status": "accepted"})).status, 200);
}

#[test]
fn context_has_the_documented_fields_and_ranges() {
    let home = Home::new();
    let daemon = home.start();
    let bundle = daemon.post("/api/memory/context/", &json!({})).body;
    for field in ["profile", "facts", "episodes", "raw", "meta"] {
        assert!(!bundle[field].is_null(), "{field}");
    }
    for (field, value) in [("max_facts", 101), ("max_episodes", 51), ("max_raw", 501), ("recency_minutes", 10_081)] {
        let mut body = json!({});
        body[field] = json!(value);
        assert_eq!(daemon.post("/api/memory/context/", &body).status, 400, "{field}");
    }
}

#[test]
fn one_daemon_a_home() {
    let home = Home::new();
    let daemon = home.start();
    let second = home.command().arg("daemon").output().unwrap();
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{told}");
    assert!(told.contains(&daemon.pid().to_string()), "names the holder: {told}");
    assert_eq!(daemon.get("/health/").status, 200);
}
