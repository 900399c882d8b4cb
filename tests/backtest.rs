//! A person's own history, replayed by the daemon: after an import by itself, by the verb, over the socket.

use serde_json::{Value, json};

use crate::support::{Daemon, Home, imported, prompt, response, until};

/// The replay that the daemon has, asked for until it is done.
fn replayed(daemon: &Daemon, query: &str) -> Value {
    let done = until(|| {
        let answer = daemon.get(&format!("/api/predictions/backtest/{query}"));
        match (answer.status, answer.body["state"].as_str()) {
            (200, Some("done")) => Some(answer.body["report"].clone()),
            (202, Some("running")) => None,
            _ => panic!("{} {}", answer.status, answer.body),
        }
    });
    done.expect("a replay that ends")
}

fn exchange(daemon: &Daemon, n: u32, session: &str, reply: &str) {
    let at = |seconds: u32| format!("2026-09-20T10:{:02}:{:02}Z", n % 60, seconds);
    let events = json!([
        response(&format!("{session}:{n}:said"), session, "All tests pass. Shall I commit it?", &at(1)),
        prompt(&format!("{session}:{n}:typed"), session, reply, &at(2)),
    ]);
    assert!(daemon.post("/api/recording/events/", &events).status < 300);
}

#[test]
fn an_import_is_replayed_by_itself_and_shown_by_the_verb_the_socket_and_status() {
    let (home, daemon) = imported();
    let told = until(|| {
        let status = daemon.get("/api/monitoring/status/").body;
        Some(status["backtest"].clone()).filter(|backtest| backtest["running"] == false)
    });
    let told = told.expect("nobody asked, and it was replayed");
    let report = replayed(&daemon, "");
    assert_eq!(told["scored"], report["scored"]);
    assert!(report["scored"].as_u64().unwrap() > 10, "{report}");
    let replayed_pairs = report["replayed"].as_u64();
    daemon.sync();
    assert_eq!(replayed_pairs, daemon.get("/api/monitoring/status/").body["counts"]["reply_pairs"].as_u64());
    let plot = home.path("plot.svg");
    let shown = home.json(&["backtest", "--plot", plot.to_str().unwrap()]);
    assert_eq!(shown, report, "the verb shows what the socket says");
    let svg = std::fs::read_to_string(plot).unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let titles: Vec<&str> =
        document.descendants().filter(|node| node.has_tag_name("title")).filter_map(|node| node.text()).collect();
    for bin in report["calibration"]["bins"].as_array().unwrap() {
        let number = |name: &str| bin[name].as_f64().unwrap();
        let told = format!("said {:.4}, came {:.4}, n {}", number("said"), number("came"), bin["n"]);
        assert!(titles.contains(&told.as_str()), "{told} is not in {titles:?}");
    }
    let text = home.command().arg("backtest").output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    let first = report["predictors"][0]["top1"].as_f64().unwrap() * 100.0;
    assert!(text.contains(&format!("{first:.1} %")) && text.contains("most frequent"), "{text}");
}

#[test]
fn a_new_reply_is_in_the_next_replay_and_a_prediction_changes_nothing() {
    let home = Home::new();
    let daemon = home.start();
    let empty = replayed(&daemon, "");
    assert_eq!((empty["replies"].as_u64(), empty["scored"].as_u64()), (Some(0), Some(0)));
    (0..30).for_each(|n| exchange(&daemon, n, "a", "yes, commit it"));
    let before = replayed(&daemon, "");
    assert_eq!((before["replayed"].as_u64(), before["scored"].as_u64()), (Some(30), Some(10)));
    assert_eq!(before["predictors"][0]["top1"].as_f64(), Some(1.0), "{before}");
    home.json(&["predict", "All tests pass. Shall I commit it?"]);
    assert_eq!(replayed(&daemon, ""), before);
    exchange(&daemon, 31, "a", "no, wait for the review of the parser");
    let after = replayed(&daemon, "");
    assert_eq!((after["scored"].as_u64(), after["predictors"][0]["top1"].as_f64()), (Some(11), Some(10.0 / 11.0)));
}

/// What a client typed for the person is no reply of theirs, for the replay as little as for what learns.
#[test]
fn an_automatic_answer_is_not_replayed_as_a_reply() {
    let home = Home::new();
    let daemon = home.start();
    (0..90).for_each(|n| exchange(&daemon, n, "a", "yes, commit it"));
    daemon.sync();
    home.json(&["auto", "on"]);
    let before = replayed(&daemon, "");
    let question = json!({
        "agent": "Test Agent", "agent_input": "All tests pass. Shall I commit it?", "session_id": "live",
    });
    let answer = || daemon.post("/api/predictions/predict/", &question).body;
    // One in twenty is asked all the same.
    let acted = (0..20).map(|_| answer()).find(|answer| answer["status"] == "auto").expect("an automatic answer");
    exchange(&daemon, 90, "live", acted["predicted_response"].as_str().unwrap());
    let after = replayed(&daemon, "");
    assert_eq!((&after["replayed"], &after["scored"]), (&before["replayed"], &before["scored"]));
    daemon.sync();
    assert_eq!(after["replies"], daemon.get("/api/monitoring/status/").body["counts"]["reply_pairs"]);
    exchange(&daemon, 91, "live", "yes, commit it");
    assert_eq!(replayed(&daemon, "")["replayed"], json!(91), "the person's own words are one");
}

#[test]
fn a_filter_is_applied_and_a_wrong_one_is_refused() {
    let home = Home::new();
    let daemon = home.start();
    (0..40).for_each(|n| exchange(&daemon, n, "a", if n % 3 == 0 { "run it again" } else { "yes, commit it" }));
    let scored = |query: &str| replayed(&daemon, query)["scored"].as_u64();
    assert_eq!(scored(""), Some(20));
    assert_eq!(scored("?since=2026-09-20T10:30:00Z"), Some(10));
    assert_eq!(scored("?until=2026-09-20T10:29:59Z"), Some(10));
    assert_eq!(scored("?agent=Nobody"), Some(0));
    assert_eq!(daemon.get("/api/predictions/backtest/?since=yesterday").status, 400);
    let refused = home.run(&["backtest", "--strata"]);
    assert_eq!(refused.status.code(), Some(2), "channels are told of a folder of turns alone");
}
