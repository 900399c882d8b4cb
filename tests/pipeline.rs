//! A history in; episodes, facts, predictions and receipts out; the same again after everything derived is deleted.

use serde_json::{Value, json};

use crate::support::{Home, imported, prompt, response, sample, shared};

#[test]
fn a_history_becomes_facts_episodes_and_predictions_with_receipts() {
    let (home, _daemon) = imported();
    let facts = home.json(&["memory", "list", "facts"]);
    let texts: Vec<&str> = facts.as_array().unwrap().iter().filter_map(|fact| fact["text"].as_str()).collect();
    assert!(texts.iter().any(|text| text.contains("commit it and push")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("always use uv")), "{texts:?}");
    for fact in facts.as_array().unwrap() {
        let typed = fact["evidence"].as_array().unwrap().iter().any(|one| one["origin"] == "typed");
        assert!(typed, "a fact without a typed event: {fact}");
    }
    assert!(home.json(&["memory", "list", "episodes"]).as_array().unwrap().len() >= 10);
    let answer = home.json(&["predict", "Shall I go ahead with the plan?"]);
    assert_eq!(answer["status"], "escalated", "a new home runs in shadow mode");
    assert_eq!(answer["gate"], "shadow");
    let receipts = home.json(&["why", answer["id"].as_str().unwrap()]);
    let event = &receipts["events"][0];
    let segment = home.path("log").join(event["at"]["segment"].as_str().unwrap());
    let bytes = std::fs::read(segment).unwrap();
    let chunk = usize::try_from(event["at"]["offset"].as_u64().unwrap()).unwrap();
    assert_eq!(bytes[chunk], 6, "the receipt points at an MCAP chunk record");
    let shown = home.json(&["why", facts[0]["id"].as_str().unwrap()]);
    assert!(!shown["events"].as_array().unwrap().is_empty());
}

#[test]
fn a_second_import_adds_nothing() {
    let (home, daemon) = imported();
    let before = daemon.get("/api/monitoring/status/").body["log"]["events"].as_u64();
    let again = home.json(&["import", "claude-code", &sample()]);
    assert_eq!(again["imported"], 0, "{again}");
    assert!(again["known"].as_u64() > Some(200));
    let after = daemon.get("/api/monitoring/status/").body["log"]["events"].as_u64();
    assert_eq!(after, before.map(|events| events + 1), "only the mark of the second run");
}

#[test]
fn a_dry_run_shows_what_would_be_stored_and_stores_nothing() {
    let home = Home::new();
    let daemon = home.start();
    let output = home.command().args(["import", "claude-code", &sample(), "--dry-run"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\"prompt\":\"commit it and push\"") && text.contains("would store"), "{text}");
    daemon.sync();
    assert_eq!(daemon.get("/api/monitoring/status/").body["counts"]["reply_pairs"], 0);
}

#[test]
fn exclude_leaves_a_project_out() {
    let (home, _daemon) = imported();
    let other = Home::new();
    let _second = other.start();
    let all = home.json(&["memory", "list", "sessions"]).as_array().unwrap().len();
    let dry = home.json(&["memory", "list", "facts"]);
    assert!(dry.as_array().is_some());
    let counted = other.json(&["import", "claude-code", &sample(), "--exclude", "/"]);
    assert_eq!(counted["imported"], 0, "every project holds a slash: {counted}");
    assert!(all > 0);
}

/// What a reader can see, in a form that must not change by a rebuild.
fn told(home: &Home, daemon: &crate::support::Daemon) -> Vec<Value> {
    daemon.sync();
    let list = |tier: &str| home.json(&["memory", "list", tier, "--limit", "200"]);
    let profile = daemon.get("/api/memory/profile/").body;
    let predictions = daemon.get("/api/predictions/?limit=200").body;
    let keys = daemon.get("/api/auth/keys/").body;
    let mut fresh = daemon
        .post(
            "/api/predictions/predict/",
            &json!({
                "agent": "Claude Code", "agent_input": "All tests pass. What next?", "k": 5,
            }),
        )
        .body;
    for volatile in ["id", "latency_ms"] {
        fresh[volatile] = Value::Null;
    }
    let search = home.json(&["memory", "search", "tests", "--limit", "20"]);
    let sessions = list("sessions");
    vec![list("facts"), list("episodes"), profile, predictions, keys, fresh, sessions, ids(&search)]
}

/// Scores move with the shape of the index; what is found must not.
fn ids(hits: &Value) -> Value {
    let mut ids: Vec<String> = hits.as_array().unwrap().iter().map(|hit| hit["id"].to_string()).collect();
    ids.sort();
    json!(ids)
}

#[test]
fn everything_derived_comes_back_the_same_a_persons_edits_included() {
    let (home, daemon) = imported();
    let key = home.json(&["keys", "create", "--label", "laptop"]);
    home.json(&["predict", "Done. Anything else?"]);
    let facts: Vec<(String, Vec<u8>)> =
        home.vault_bytes().into_iter().filter(|(path, _)| path.starts_with("facts/")).collect();
    let edited = home.vault().join(&facts[0].0);
    let text = String::from_utf8(facts[0].1.clone()).unwrap();
    std::fs::write(&edited, format!("{text}\nMy own words, never to be lost.\n")).unwrap();
    std::fs::write(home.vault().join("facts/mine.md"), "I never work on Fridays.\n").unwrap();
    std::fs::remove_file(home.vault().join(&facts[1].0)).unwrap();
    std::fs::rename(home.vault().join(&facts[2].0), home.vault().join("facts/renamed.md")).unwrap();
    daemon.sync();
    let before = told(&home, &daemon);
    let vault = home.vault_bytes();
    daemon.stop();
    std::fs::remove_file(home.path("state.redb")).unwrap();
    std::fs::remove_file(home.path("model.snapshot")).unwrap();
    std::fs::remove_dir_all(home.path("index")).unwrap();
    std::fs::remove_dir_all(home.vault()).unwrap();
    let daemon = home.start();
    let after = told(&home, &daemon);
    for (i, (before, after)) in before.iter().zip(&after).enumerate().filter(|(i, _)| *i != 3) {
        assert_eq!(before, after, "answer {i} changed by the rebuild");
    }
    let known = |value: &Value| value.as_array().unwrap().iter().map(|one| one["id"].to_string()).collect::<Vec<_>>();
    assert!(known(&after[3]).ends_with(&known(&before[3])), "earlier predictions are the same");
    assert_eq!(vault, home.vault_bytes(), "the vault is the same, byte for byte");
    assert!(
        vault.iter().any(|(path, bytes)| path == "/facts/mine.md" || (path == "facts/mine.md" && !bytes.is_empty()))
    );
    let bearer = key["key"].as_str().unwrap();
    assert!(bearer.starts_with("clone_"));
    daemon.stop();
}

#[test]
fn a_restart_folds_nothing_twice() {
    let (home, daemon) = imported();
    let before = told(&home, &daemon);
    daemon.stop();
    let daemon = home.start();
    let after = told(&home, &daemon);
    for i in [0, 1, 2, 5, 6, 7] {
        assert_eq!(before[i], after[i], "answer {i} changed by a restart");
    }
    daemon.kill();
    let daemon = home.start();
    assert_eq!(told(&home, &daemon)[0], before[0], "facts after a kill");
}

/// A copy of what the reply model learned saves a start its lessons and changes no answer: whole, gone, damaged, or older
/// than the log after a crash.
#[test]
fn the_snapshot_of_the_reply_model_changes_no_answer() {
    let (home, daemon) = imported();
    let snapshot = home.path("model.snapshot");
    let before = told(&home, &daemon);
    daemon.stop();
    let whole = std::fs::read(&snapshot).expect("a clean stop leaves one");
    let answers = |what: &str| {
        let daemon = home.start();
        let after = told(&home, &daemon);
        for i in [0, 1, 2, 5, 6, 7] {
            assert_eq!(before[i], after[i], "answer {i} changed: {what}");
        }
        daemon
    };
    answers("it is whole").stop();
    std::fs::remove_file(&snapshot).unwrap();
    answers("it is gone").stop();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&snapshot, damaged).unwrap();
    let daemon = answers("it is damaged");
    assert!(!snapshot.exists(), "what is not believed is taken away");
    // More is learned, the daemon is killed, and the file of long ago is all there is.
    let said = |id: &str, text: &str, at: &str| response(id, "later", text, at);
    let typed = |id: &str, text: &str, at: &str| prompt(id, "later", text, at);
    let more = json!([
        said("later:1", "The parser is done. Shall I go on?", "2026-02-01T00:00:00Z"),
        typed("later:2", "yes, with the lexer", "2026-02-01T00:01:00Z"),
        said("later:3", "The lexer is done. Shall I go on?", "2026-02-01T00:02:00Z"),
        typed("later:4", "yes, with the docs", "2026-02-01T00:03:00Z"),
    ]);
    assert_eq!(daemon.post("/api/recording/events/", &more).body["accepted"], 4);
    let learned = told(&home, &daemon);
    assert_ne!(learned[5], before[5], "the new lessons must show, or the test cannot fail");
    daemon.kill();
    std::fs::write(&snapshot, whole).unwrap();
    let daemon = home.start();
    assert_eq!(told(&home, &daemon)[5], learned[5], "it is older than the state");
    assert!(snapshot.exists(), "an old one is as good as any");
}

/// Nothing derived is needed to record, and nothing that needs it is answered without it.
#[test]
fn a_derived_side_that_cannot_be_opened_ends_the_daemon_with_its_reason() {
    let home = Home::new();
    std::fs::write(home.path("index"), "in the way").unwrap();
    let output = home.command().arg("daemon").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains(&home.path("index").display().to_string()), "{told}");
    assert!(!home.path("clone.sock").exists(), "the door is shut behind it: {told}");
}

#[test]
fn real_histories_import_and_a_second_time_add_nothing() {
    for format in ["claude-code", "specstory"] {
        let Some(path) = shared(&format!("raw/{format}"), "real_histories_import") else { return };
        let home = Home::new();
        let _daemon = home.start();
        let path = path.display().to_string();
        let first = home.json(&["import", format, &path]);
        assert_eq!(first["unreadable"], json!([]), "{first}");
        assert!(first["imported"].as_u64() > Some(100));
        assert_eq!(first["refused"], 0);
        let unknown = first["skipped"].as_object().unwrap().keys().filter(|key| key.starts_with("unknown kind"));
        assert_eq!(unknown.count(), 0, "{first}");
        assert_eq!(home.json(&["import", format, &path])["imported"], 0);
    }
}
