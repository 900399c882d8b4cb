//! The log as a person and other programs see it: `clone log`, with a daemon and without one, whole and damaged.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Daemon, Home, imported, prompt, response};

fn segment(home: &Home) -> PathBuf {
    let mut names: Vec<PathBuf> = std::fs::read_dir(home.path("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "mcap"))
        .collect();
    names.sort();
    names.remove(0)
}

/// Where the chunks of a sealed file are, by a stock reader's word: offset and length.
fn chunks(path: &Path) -> Vec<(u64, u64)> {
    let bytes = std::fs::read(path).unwrap();
    let indexes = mcap::Summary::read(&bytes).unwrap().unwrap().chunk_indexes;
    indexes.iter().map(|index| (index.chunk_start_offset, index.chunk_length)).collect()
}

fn flip(path: &Path, at: u64) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= 4;
    std::fs::write(path, bytes).unwrap();
}

fn ingest(daemon: &Daemon, events: &[Value]) {
    assert_eq!(daemon.post("/api/recording/events/", &json!(events)).status, 201);
}

/// A home whose daemon recorded three batches and ended; the sealed segment holds at least three chunks.
fn recorded() -> Home {
    let home = Home::new();
    let daemon = home.start();
    for batch in 0..3 {
        let events: Vec<Value> = (0..20)
            .map(|n| {
                prompt(&format!("b{batch}-{n}"), "s", &format!("say {n}"), &format!("2026-05-0{}T12:00:00Z", batch + 1))
            })
            .collect();
        ingest(&daemon, &events);
    }
    daemon.stop();
    home
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Every event as JSON lines.
fn cat(home: &Home, more: &[&str]) -> Vec<Value> {
    let output = home.run(&[&["log", "cat"], more].concat());
    text(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["id"].as_str().unwrap()).collect()
}

#[test]
fn a_log_that_was_closed_is_clean_and_one_that_is_held_is_named() {
    let home = recorded();
    let output = home.run(&["log", "verify"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &told["clean"]), (Some(0), &json!(true)), "{told}");
    assert!(told["events"].as_u64().unwrap() >= 60 && told["segments"][0]["chunks"].as_u64().unwrap() >= 3, "{told}");
    let daemon = home.start();
    for arguments in [&["log", "verify"][..], &["log", "repair", "--out", "elsewhere"]] {
        let output = home.command().args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1));
        assert!(told.contains(&format!("process {}", daemon.pid())) && told.contains("hint: "), "{told}");
    }
    let none = home.run(&["log", "verify", home.vault().to_str().unwrap()]);
    assert_eq!(none.status.code(), Some(1), "a folder without a log is not a clean log");
}

#[test]
fn a_flipped_bit_in_any_chunk_is_exit_4_with_the_range_of_that_chunk() {
    let home = recorded();
    let path = segment(&home);
    let whole = std::fs::read(&path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    for (offset, length) in chunks(&path) {
        flip(&path, offset + length - 3);
        let output = home.run(&["log", "verify"]);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(4), "{told}");
        let damage = &told["damaged"][0];
        assert_eq!(
            (&damage["segment"], &damage["offset"], &damage["bytes"]),
            (&json!(name), &json!(offset), &json!(length))
        );
        assert!(told["missing"][0]["first"].is_u64(), "{told}");
        let output = home.command().args(["log", "verify"]).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains(&format!("damage   {name}  bytes {offset} to {}", offset + length)), "{shown}");
        std::fs::write(&path, &whole).unwrap();
    }
    let bits = (0..whole.len() as u64).step_by(whole.len() / 40);
    for at in bits {
        flip(&path, at);
        assert_eq!(home.run(&["log", "verify"]).status.code(), Some(4), "byte {at} of a sealed file");
        std::fs::write(&path, &whole).unwrap();
    }
    assert_eq!(home.run(&["log", "verify"]).status.code(), Some(0), "it changes nothing itself");
}

/// What a home answers, but for what the daemon itself appends at every start.
fn answers(home: &Home, head: u64) -> (Vec<Value>, Vec<Value>, Value, Value) {
    let daemon = home.start();
    daemon.sync();
    let rows = |path: &str| daemon.get(path).body.as_array().unwrap().clone();
    let facts = rows("/api/memory/facts/?limit=200");
    let facts = facts.iter().map(|fact| json!([fact["id"], fact["text"], fact["evidence"], fact["support"]])).collect();
    let events = daemon.get("/api/events/?limit=1000").body["events"].as_array().unwrap().clone();
    let events = events.into_iter().filter(|event| event["position"].as_u64() < Some(head)).collect();
    let predicted = daemon.post(
        "/api/predictions/predict/",
        &json!({"agent": "Claude Code", "agent_input": "All tests pass. What next?"}),
    );
    let texts: Vec<&Value> = predicted.body["candidates"].as_array().unwrap().iter().map(|one| &one["text"]).collect();
    let answer = (events, facts, json!(rows("/api/recording/sessions/")), json!(texts));
    daemon.stop();
    answer
}

/// A home that holds nothing but this log.
fn home_of(log: &Path) -> Home {
    let home = Home::new();
    std::fs::create_dir(home.path("log")).unwrap();
    for entry in std::fs::read_dir(log).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), home.path("log").join(entry.file_name())).unwrap();
    }
    home
}

#[test]
fn a_daemon_on_the_repaired_log_answers_as_on_the_old_one() {
    let (home, daemon) = imported();
    daemon.sync();
    daemon.stop();
    let path = segment(&home);
    let places = chunks(&path);
    for damaged in [false, true] {
        if damaged {
            let (offset, length) = places[places.len() / 2];
            flip(&path, offset + length / 2);
        }
        let before = std::fs::read(&path).unwrap();
        let out = home.path(if damaged { "mended" } else { "copied" });
        let output = home.run(&["log", "repair", "--out", out.to_str().unwrap()]);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(if damaged { 4 } else { 0 }), "{told}");
        assert_eq!(before, std::fs::read(&path).unwrap(), "the old log is not touched");
        assert_eq!(told["damaged"].as_array().unwrap().is_empty(), !damaged);
        let verified = home.json(&["log", "verify", out.to_str().unwrap()]);
        assert_eq!((&verified["clean"], &verified["events"]), (&json!(true), &told["events"]), "{verified}");
        let again = home.run(&["log", "repair", "--out", out.to_str().unwrap()]);
        assert_eq!(again.status.code(), Some(1), "a folder that holds something is refused");
        let head = verified["segments"].as_array().unwrap().last().unwrap()["last"].as_u64().unwrap() + 1;
        assert_eq!(std::fs::read(home.path("log/KEY")).unwrap(), std::fs::read(out.join("KEY")).unwrap());
        let (old, new) = (home_of(&home.path("log")), home_of(&out));
        let (old, new) = (answers(&old, head), answers(&new, head));
        assert!(!old.0.is_empty() && !old.1.is_empty());
        assert_eq!(old, new, "damaged: {damaged}");
    }
}

#[test]
fn events_are_the_same_with_a_daemon_and_without() {
    let home = recorded();
    let offline = text(&home.run(&["log", "cat"]));
    let shown = text(&home.command().args(["log", "cat", "--topic", "agent.prompt"]).output().unwrap());
    let daemon = home.start();
    daemon.sync();
    let online = text(&home.run(&["log", "cat"]));
    assert!(online.starts_with(&offline), "byte for byte, and what the start added behind it");
    assert_eq!(text(&home.command().args(["log", "cat", "--topic", "agent.prompt"]).output().unwrap()), shown);
    assert_eq!(shown.lines().count(), 60);
    assert!(shown.contains("2026-05-01 12:00:00Z  agent.prompt      say 0"), "{shown}");
    let whole = cat(&home, &["--topic", "agent.prompt"]);
    let limited = cat(&home, &["--topic", "agent.prompt", "--limit", "3"]);
    assert_eq!(ids(&limited), ids(&whole[..3]));
    let day = cat(&home, &["--topic", "agent.prompt", "--since", "2026-05-02", "--until", "2026-05-03T00:00:00Z"]);
    assert_eq!(ids(&day), ids(&whole[20..40]));
    let page = daemon.get("/api/events/?topic=agent.prompt&limit=25").body;
    let from = page["next"].to_string();
    assert_eq!((page["events"].as_array().unwrap().len(), &page["more"]), (25, &json!(true)));
    assert_eq!(ids(&cat(&home, &["--topic", "agent.prompt", "--from", &from])), ids(&whole[25..]));
    let last = cat(&home, &[]);
    let tail = text(&home.run(&["log", "tail", "-n", "5"]));
    let tail: Vec<Value> = tail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ids(&tail), ids(&last[last.len() - 5..]));
    for query in ["limit=0", "limit=1001", "topic=agent", "since=today", "from=x", "last=0"] {
        assert_eq!(daemon.get(&format!("/api/events/?{query}")).status, 400, "{query}");
    }
    assert_eq!(home.run(&["log", "cat", "--topic", "agent"]).status.code(), Some(2));
    assert_eq!(Home::new().run(&["log", "cat"]).status.code(), Some(1), "no home is made by reading");
}

#[test]
fn an_export_holds_what_was_asked_for() {
    let home = recorded();
    for (name, running) in [("offline", false), ("online", true)] {
        let daemon = running.then(|| home.start());
        let (lines, file) = (home.path(&format!("{name}.jsonl")), home.path(&format!("{name}.mcap")));
        let wanted = ["--topic", "agent.prompt", "--since", "2026-05-02"];
        for (format, out) in [("jsonl", &lines), ("mcap", &file)] {
            let arguments = ["log", "export", "--format", format, "--out", out.to_str().unwrap()];
            let told = home.json(&[&arguments[..], &wanted].concat());
            assert_eq!((&told["events"], &told["bytes"]), (&json!(40), &json!(out.metadata().unwrap().len())));
            assert_eq!(home.run(&arguments).status.code(), Some(1), "what is there is not written over");
        }
        let rows: Vec<Value> =
            std::fs::read_to_string(&lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let events: Vec<Value> = rows.iter().map(|row| row["event"].clone()).collect();
        assert_eq!(ids(&events), ids(&cat(&home, &wanted)));
        assert!(rows.iter().all(|row| row["position"].is_u64() && row["recorded_at"].is_string()));
        let bytes = std::fs::read(&file).unwrap();
        let messages: Vec<_> = mcap::MessageStream::new(&bytes).unwrap().map(Result::unwrap).collect();
        assert_eq!(messages.len(), 40);
        for (message, row) in messages.iter().zip(&rows) {
            assert_eq!(serde_json::from_slice::<Value>(&message.data).unwrap(), row["event"]);
            let base: u64 = message.channel.metadata["first"].parse().unwrap();
            assert_eq!(json!(base + u64::from(message.sequence)), row["position"]);
        }
        let summary = mcap::Summary::read(&bytes).unwrap().unwrap();
        assert_eq!(summary.stats.unwrap().message_count, 40);
        drop(daemon);
    }
    let parts = std::fs::read_dir(home.path("")).unwrap().flatten();
    assert_eq!(parts.filter(|entry| entry.file_name().to_string_lossy().ends_with(".part")).count(), 0);
}

#[test]
fn following_shows_what_is_recorded_and_ends_with_the_daemon() {
    let home = recorded();
    let without = home.run(&["log", "tail", "-f"]);
    assert_eq!(without.status.code(), Some(3), "nobody records that could be followed");
    let daemon = home.start();
    daemon.sync();
    let mut child = home
        .command()
        .args(["--json", "log", "tail", "-n", "1", "-f"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().expect("the last event of before").unwrap();
    for number in 0..3 {
        let id = format!("live-{number}");
        ingest(&daemon, &[response(&id, "s", "Shall I?", "2026-06-01T00:00:00Z")]);
        let mut seen = lines.by_ref().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        assert!(seen.any(|event| event["id"] == id.as_str()), "{id} is shown before the stream ends");
    }
    daemon.stop();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(told, "the daemon ended\n");
}

#[test]
fn nothing_that_a_terminal_obeys_is_printed() {
    let home = Home::new();
    let daemon = home.start();
    let words = "\u{1b}]52;c;aGk=\u{7}\u{9b}31m\u{202e}harm\u{1b}[2Jless";
    ingest(&daemon, &[prompt("e", "s", words, "2026-05-01T00:00:00Z")]);
    for json in [false, true] {
        let mut command = home.command();
        command.args(["log", "cat", "--topic", "agent.prompt"]);
        let output = if json { command.arg("--json") } else { &mut command }.output().unwrap();
        let shown = text(&output);
        assert!(shown.contains("harm") && shown.ends_with('\n'), "{shown}");
        let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(obeyed), "{shown:?}");
        if json {
            assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["prompt"], words);
        }
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let home = Home::new();
    let daemon = home.start();
    let long = "words ".repeat(200);
    let events: Vec<Value> = (0..500).map(|n| prompt(&format!("e{n}"), "s", &long, "2026-05-01T00:00:00Z")).collect();
    ingest(&daemon, &events);
    let mut child = home.command().args(["log", "cat", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.ends_with('\n'));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
