//! Deciding, end to end: what may be automatic, who may say how it fared, and what that changes.

use serde_json::{Value, json};

use crate::support::{Daemon, Home, prompt, response};

/// What the agent says when the person always replies the same.
const DONE: &str = "The parser is rewritten and every check passes now. What comes next?";
/// What they reply.
const USUAL: &str = "write the summary";

/// A person with one habit, among other things they say, and `auto` on.
fn habitual() -> (Home, Daemon) {
    let home = Home::new();
    let daemon = home.start();
    for batch in 0..3 {
        let turns = (batch * 30..batch * 30 + 30).flat_map(|turn| turn_of("old", turn, DONE, USUAL));
        record(&daemon, &turns.collect::<Vec<_>>());
    }
    home.json(&["auto", "on"]);
    (home, daemon)
}

/// One turn of a session: what the agent said, and what was typed.
fn turn_of(session: &str, turn: usize, said: &str, typed: &str) -> [Value; 2] {
    let at = |second| format!("2026-03-01T{:02}:{:02}:{second:02}Z", turn / 60, turn % 60);
    let id = |what| format!("{session}-{turn}-{what}");
    [response(&id("said"), session, said, &at(1)), prompt(&id("typed"), session, typed, &at(2))]
}

fn record(daemon: &Daemon, events: &[Value]) {
    assert_eq!(daemon.post("/api/recording/events/", &json!(events)).status, 201);
    daemon.sync();
}

fn asked(session: &str) -> Value {
    json!({"agent": "Test Agent", "agent_input": DONE, "session_id": session})
}

/// An answer to the habit that is no audit, which one in twenty is.
fn answered(daemon: &Daemon, body: &Value) -> Value {
    loop {
        let answer = daemon.post("/api/predictions/predict/", body).body;
        if answer["gate"] != "audit" {
            return answer;
        }
    }
}

fn auto(daemon: &Daemon, session: &str) -> Value {
    let answer = answered(daemon, &asked(session));
    assert_eq!((&answer["status"], &answer["gate"]), (&json!("auto"), &json!("open")), "{answer}");
    assert_eq!(answer["predicted_response"], USUAL);
    answer
}

fn id(prediction: &Value) -> &str {
    prediction["id"].as_str().unwrap()
}

fn pairs(daemon: &Daemon) -> u64 {
    daemon.sync();
    daemon.get("/api/monitoring/status/").body["counts"]["reply_pairs"].as_u64().unwrap()
}

/// The numbers of a decision, without what differs between any two.
fn numbers(daemon: &Daemon) -> Value {
    daemon.sync();
    let mut answer = answered(daemon, &json!({"agent": "Test Agent", "agent_input": DONE}));
    for volatile in ["id", "latency_ms", "acted_at"] {
        answer[volatile] = Value::Null;
    }
    answer
}

#[test]
fn wrong_autos_trip_the_wire_and_a_verdict_taken_back_leaves_no_trace() {
    let (home, daemon) = habitual();
    let before = numbers(&daemon);
    let made: Vec<Value> = (0..3).map(|_| auto(&daemon, "live")).collect();
    daemon.sync();
    // A program's verdict is kept and shown, and changes nothing.
    for one in &made {
        let path = format!("/api/predictions/{}/feedback/", id(one));
        assert_eq!(daemon.post(&path, &json!({"status": "rejected"})).body["status"], "rejected");
    }
    daemon.sync();
    assert_eq!(daemon.get(&format!("/api/predictions/{}/", id(&made[0]))).body["status"], "rejected");
    assert_eq!(before, numbers(&daemon), "no program trains");
    // The person's does.
    for one in &made {
        home.json(&["wrong", id(one)]);
    }
    let tripped = numbers(&daemon);
    assert_eq!((&tripped["gate"], &tripped["status"]), (&json!("trip_wire"), &json!("escalated")));
    assert!(tripped["confidence"].as_f64().unwrap() < 0.8);
    assert_eq!(tripped["probability"], before["probability"], "harm is no label of the curve");
    // Said twice is said once; taken back is never said, after a restart and a rebuild too.
    home.json(&["wrong", id(&made[0])]);
    assert_eq!(tripped, numbers(&daemon));
    for one in &made {
        home.json(&["feedback", id(one), "accepted"]);
    }
    assert_eq!(before, numbers(&daemon));
    daemon.stop();
    let daemon = home.start();
    assert_eq!(before, numbers(&daemon), "after a restart");
    daemon.stop();
    std::fs::remove_file(home.path("state.redb")).unwrap();
    let daemon = home.start();
    assert_eq!(before, numbers(&daemon), "after a rebuild");
}

#[test]
fn nothing_trains_on_itself_and_a_no_after_an_auto_is_harm() {
    let (_home, daemon) = habitual();
    let (known, before) = (pairs(&daemon), numbers(&daemon));
    for turn in 0..3 {
        auto(&daemon, "live");
        // The client types it, and says that a person did.
        let [said, typed] = turn_of("live", turn, DONE, "Write the summary!");
        record(&daemon, &[said, typed]);
        assert_eq!(pairs(&daemon), known, "what we said ourselves is no lesson");
        assert_eq!(numbers(&daemon)["gate"], "open");
    }
    assert_eq!(before["probability"], numbers(&daemon)["probability"]);
    // Then the person says that it was wrong, three times in three sessions.
    for session in ["a", "b", "c"] {
        auto(&daemon, session);
        let [said, typed] = turn_of(session, 1, DONE, USUAL);
        let [more, no] = turn_of(session, 2, "All of it is done.", "no, that was wrong, revert it");
        record(&daemon, &[said, typed, more, no]);
    }
    assert_eq!(numbers(&daemon)["gate"], "trip_wire");
}

#[test]
fn what_the_person_types_next_judges_an_escalated_answer() {
    let (home, daemon) = habitual();
    home.json(&["auto", "off"]);
    let labels = |daemon: &Daemon| numbers(daemon)["evidence"]["labels"].as_u64().unwrap();
    let known = labels(&daemon);
    for (turn, typed, right) in [(0, "Write the summary.", true), (1, "now look at the lexer instead", false)] {
        let made = answered(&daemon, &asked("live"));
        record(&daemon, &turn_of("live", turn, DONE, typed));
        assert_eq!(labels(&daemon), known + turn as u64 + 1, "one label a turn, not two");
        let told = daemon.get(&format!("/api/predictions/{}/", id(&made))).body;
        assert_eq!((&told["status"], &told["typed"]), (&json!("escalated"), &json!(right)), "{told}");
    }
}
