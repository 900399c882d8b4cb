//! What an earlier version wrote is read for ever: the same events, positions, ids and bytes.

use std::path::{Path, PathBuf};
use std::sync::Once;

use clone_daemon::log::{Entry, Log, Options, Record};
use clone_schema::internal::{FileText, Internal, Judge, Key, Payload, Verdict};
use clone_schema::{Event, Position, Timestamp, topic};
use serde_json::{Value, json};

use crate::support::{Home, repository};

/// What a sealed file is called whose first event has position 0.
const FIRST_SEALED: &str = "00000000000000000000.mcap";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

/// A clock that stands still, so that the file depends on nothing but the events.
fn clock() -> Timestamp {
    at(86_400)
}

fn golden(name: &str) -> PathBuf {
    repository("tests/data/golden").join(name)
}

/// A wire event of every type, with the ends of what its fields may hold.
fn wire() -> Vec<Entry> {
    let keys = json!({"shift": true, "ctrl": false, "alt": false, "meta": true});
    let bodies = [
        json!({"type": "session.started", "source": "integration", "source_detail": "github"}),
        json!({"type": "app.focused", "app": "Editor", "window_title": null}),
        json!({"type": "capture.frame", "uri": "file:a.mkv", "content_hash": "00ff", "width": 1, "height": i64::MAX}),
        json!({"type": "input.keystroke", "event_type": "release", "modifiers": keys}),
        json!({"type": "input.click", "x": -5, "y": i64::MIN, "button": 1, "modifiers": keys}),
        json!({"type": "input.scroll", "x": 0, "y": 0, "delta_x": -1, "delta_y": 1, "modifiers": keys}),
        json!({"type": "agent.response", "agent": "Agent", "response": "Done. 次は？\n\u{1f600}", "in_response_to": null}),
        json!({"type": "agent.prompt", "agent": "Agent", "prompt": "go on", "source": "user"}),
        json!({"type": "terminal.command", "command": "ls", "cwd": "/home", "exit_code": 0, "duration_ms": null}),
        json!({"type": "browser.visited", "url": "https://example.org/", "title": "Example"}),
        json!({"type": "agent.choice", "agent": "Agent", "kind": "permission", "question": "Run it?",
            "options": ["yes", "no", ""], "choice": "yes", "outcome": "chosen", "in_response_to": "event-06"}),
        json!({"type": "session.stopped"}),
    ];
    let made = bodies.into_iter().enumerate().map(|(i, mut event)| {
        let base = json!({
            "id": format!("event-{i:02}"), "session_id": "session-1", "source": "agent",
            "occurred_at": if i == 1 { "1969-12-31T23:59:59.123456789Z".into() } else { at(i as i64).to_string() },
            "meta": {"origin": "typed", "project": "/home/p", "import_key": format!("key-{i}")},
        });
        for (key, value) in base.as_object().unwrap() {
            if event.get(key).is_none() {
                event[key] = value.clone();
            }
        }
        let event = Event::parse(&event.to_string()).unwrap();
        Entry { id: event.id.clone(), topic: event.topic(), occurred_at: event.occurred_at, json: event.to_json() }
    });
    made.collect()
}

/// Events that only the daemon writes, with what later versions must go on to understand.
fn internal() -> Vec<Entry> {
    let feedback = clone_schema::internal::Feedback {
        prediction_id: "prediction-1".into(),
        status: Verdict::Edited,
        actual_response: Some("other".into()),
        judge: Judge::Person,
    };
    let key = Key {
        key_id: "key-1".into(),
        label: "editor".into(),
        hash: "0".repeat(64),
        scope: clone_schema::api::Scope::Admin,
        renews: false,
    };
    let payloads = [
        Payload::FeedbackGiven(feedback),
        Payload::KeyCreated(key),
        Payload::KeyRevoked { key_id: "key-1".into() },
        Payload::VaultEdited(FileText::new("facts/tabs.md", "---\ntext: Use tabs\n---\n".as_bytes())),
        Payload::VaultEdited(FileText::new("odd.md", b"\xff\x00")),
        Payload::VaultMoved { from: "facts/tabs.md".into(), to: "facts/spaces.md".into() },
        Payload::VaultDeleted { path: "facts/spaces.md".into(), by: "person".into() },
        Payload::SessionClosed { session_id: "session-1".into(), upto: 11, reason: "stopped".into() },
        Payload::ImportMarked {
            format: "turns".into(),
            imported: 3,
            duplicates: 2,
            skipped: [("empty".to_owned(), 1)].into(),
        },
        Payload::ConfigChanged { key: "auto".into(), value: "off".into() },
        Payload::MemoryNoted { text: "The person likes tea.".into(), session_id: None },
    ];
    let made = payloads.into_iter().enumerate().map(|(i, payload)| {
        let event = Internal { id: format!("internal-{i:02}"), at: at(100 + i as i64), payload };
        Entry { id: event.id.clone(), topic: event.topic(), occurred_at: event.at, json: event.to_json() }
    });
    made.collect()
}

fn open(dir: &Path) -> Log {
    let (log, recovery) = Log::open(dir, Options::new("home-golden", clock)).unwrap();
    assert!(recovery.torn.is_empty() && recovery.damaged.is_empty(), "{recovery:?}");
    log
}

fn line(record: &Record) -> String {
    let line = json!({
        "position": record.position.0, "topic": record.topic, "id": record.id, "json": record.json,
        "recorded_at": record.recorded_at.to_string(), "occurred_at": record.occurred_at.to_string(),
    });
    format!("{line}\n")
}

fn told(log: &Log) -> String {
    log.scan(Position(0), usize::MAX).unwrap().iter().map(line).collect()
}

/// Writes the golden files where they are missing; what an earlier version wrote is never written again.
fn make() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let (wire, internal) = (wire(), internal());
    for batch in [&wire[..5], &wire[5..], &internal[..]] {
        log.append(batch.to_vec()).unwrap();
    }
    log.close().unwrap();
    std::fs::copy(dir.path().join(FIRST_SEALED), golden("segment-1.mcap")).unwrap();
    std::fs::write(golden("segment-1.jsonl"), told(&log)).unwrap();
}

/// The golden segment as the only one of a log in `dir`.
fn place(dir: &Path) {
    static MADE: Once = Once::new();
    MADE.call_once(|| {
        if std::env::var_os("UPDATE").is_some() && !golden("segment-1.mcap").exists() {
            make();
        }
    });
    std::fs::create_dir_all(dir).unwrap();
    std::fs::copy(golden("segment-1.mcap"), dir.join(FIRST_SEALED)).unwrap();
}

#[test]
fn the_first_segment_format_opens_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    place(dir.path());
    let log = open(dir.path());
    let expected = std::fs::read_to_string(golden("segment-1.jsonl")).unwrap();
    assert_eq!(told(&log), expected);
    assert_eq!(log.head(), Position(expected.lines().count() as u64));
    for row in expected.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let (id, json) = (row["id"].as_str().unwrap(), row["json"].as_str().unwrap());
        assert_eq!(log.position(id).map(|position| position.0), row["position"].as_u64(), "{id}");
        let (_, topic) = topic::find(row["topic"].as_str().unwrap()).unwrap();
        let again = if topic.wire {
            Event::parse(json).map(|event| event.to_json()).ok()
        } else {
            serde_json::from_str::<Internal>(json).map(|event| event.to_json()).ok()
        };
        assert_eq!(again.as_deref(), Some(json), "this version reads and writes {id} as it stands");
    }
    let known = wire().remove(0);
    assert!(!log.append(vec![known]).unwrap()[0].new, "a known id stays known");
    log.close().unwrap();
    let kept = std::fs::read(dir.path().join(FIRST_SEALED)).unwrap();
    assert!(kept == std::fs::read(golden("segment-1.mcap")).unwrap(), "opening changed a sealed file");
}

#[test]
fn a_daemon_starts_on_a_log_of_the_first_format() {
    let home = Home::new();
    place(&home.path("log"));
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(home.path("log"), private).unwrap();
    let daemon = home.start();
    daemon.sync();
    for row in std::fs::read_to_string(golden("segment-1.jsonl")).unwrap().lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let written: Value = serde_json::from_str(row["json"].as_str().unwrap()).unwrap();
        if written.get("session_id").is_some_and(|session| session == "session-1") && written["source"].is_string() {
            let kept = daemon.get(&format!("/api/recording/events/{}/", row["id"].as_str().unwrap())).body;
            for (key, value) in written.as_object().unwrap() {
                assert_eq!(&kept[key], value, "{key} of {}", row["id"]);
            }
        }
    }
    let listed = daemon.get("/api/recording/sessions/session-1/events/").body;
    assert_eq!(listed.as_array().map(Vec::len), Some(12));
}
