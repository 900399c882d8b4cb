//! Where the log, the state, the index and the vault meet: whatever of them is lost, late or odd, nothing is made up.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::support::{Daemon, Home, prompt, repository, response};

fn home() -> (Home, Daemon) {
    let home = Home::new();
    let daemon = home.start();
    let sample = repository("tests/data/sample/claude-code").display().to_string();
    home.json(&["import", "claude-code", &sample]);
    (home, daemon)
}

fn rows(daemon: &Daemon, path: &str) -> Vec<Value> {
    daemon.get(path).body.as_array().unwrap().clone()
}

fn facts(daemon: &Daemon) -> Vec<Value> {
    rows(daemon, "/api/memory/facts/?limit=200")
}

fn fact_file(home: &Home, fact: &Value) -> PathBuf {
    let short = &fact["id"].as_str().unwrap()[4..];
    let files = std::fs::read_dir(home.vault().join("facts")).unwrap().flatten().map(|entry| entry.path());
    files.into_iter().find(|path| path.to_string_lossy().contains(short)).expect("the file of the fact")
}

fn hits(daemon: &Daemon, word: &str) -> Vec<Value> {
    let answer = daemon.post("/api/memory/search/", &json!({"query": word, "limit": 20}));
    answer.body.as_array().unwrap().clone()
}

fn say(daemon: &Daemon, session: &str, words: &str) {
    let at = "2026-01-01T10:00:00Z";
    let events = [
        response(&format!("{session}-r"), session, "Which one shall it be?", at),
        prompt(&format!("{session}-p"), session, words, at),
    ];
    assert_eq!(daemon.post("/api/recording/events/", &json!(events)).status, 201);
    daemon.sync();
}

/// What a backup holds: the ground, and nothing derived.
const FOLDERS: &[&str] = &["log", "vault"];

/// Copies a folder with its folders.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[test]
fn a_damaged_row_of_the_state_is_folded_anew() {
    let (home, daemon) = home();
    let before = facts(&daemon);
    daemon.stop();
    let mut bytes = std::fs::read(home.path("state.redb")).unwrap();
    let (sound, damaged) = (b"\"event_count\"", b"\"event_kount\"");
    let places: Vec<usize> = (0..bytes.len() - sound.len()).filter(|at| bytes[*at..].starts_with(sound)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + damaged.len()].copy_from_slice(damaged);
    }
    std::fs::write(home.path("state.redb"), bytes).unwrap();
    let daemon = home.start();
    assert_eq!(facts(&daemon), before);
    assert!(home.path("state.redb.broken").exists());
}

#[test]
fn a_log_older_than_the_state_is_believed() {
    let (home, daemon) = home();
    let before = facts(&daemon);
    daemon.stop();
    for folder in FOLDERS {
        copy(&home.path(folder), &home.path("backup").join(folder));
    }
    let daemon = home.start();
    say(&daemon, "gone", "keep the wordomega flag in every build");
    assert!(!hits(&daemon, "wordomega").is_empty());
    daemon.stop();
    for folder in FOLDERS {
        std::fs::remove_dir_all(home.path(folder)).unwrap();
        copy(&home.path("backup").join(folder), &home.path(folder));
    }
    let daemon = home.start();
    assert_eq!(hits(&daemon, "wordomega"), Vec::<Value>::new(), "found, though the log does not hold it");
    let sessions = rows(&daemon, "/api/recording/sessions/");
    assert!(sessions.iter().all(|session| session["id"] != "gone"), "a session that the log does not hold");
    assert_eq!(facts(&daemon), before);
    say(&daemon, "new", "say it with wordsigma");
    assert!(!hits(&daemon, "wordsigma").is_empty());
}

#[test]
fn a_note_that_cannot_be_read_is_not_deleted() {
    let (home, daemon) = home();
    let fact = facts(&daemon)[0].clone();
    let file = fact_file(&home, &fact);
    std::fs::rename(&file, home.path("elsewhere.md")).unwrap();
    std::os::unix::fs::symlink(home.path("elsewhere.md"), &file).unwrap();
    daemon.sync();
    let now = daemon.get(&format!("/api/memory/facts/{}/", fact["id"].as_str().unwrap()));
    assert_eq!((now.status, &now.body["text"]), (200, &fact["text"]));
    let problems = daemon.get("/api/monitoring/status/").body["problems"].to_string();
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    assert!(problems.contains(&name), "{problems}");
}

#[test]
fn a_file_in_the_way_is_not_tried_again_and_again() {
    let (home, daemon) = home();
    std::fs::remove_file(home.vault().join("profile.md")).unwrap();
    std::os::unix::fs::symlink(home.path("elsewhere.md"), home.vault().join("profile.md")).unwrap();
    daemon.sync();
    say(&daemon, "more", "always use uv, never pip");
    let before = touched(&home);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        assert_eq!(daemon.get("/health/").status, 200);
        assert_eq!(touched(&home), before, "an idle daemon makes no files");
    }
}

/// When anything was last made or removed in the vault's own folder.
fn touched(home: &Home) -> SystemTime {
    std::fs::metadata(home.vault()).unwrap().modified().unwrap()
}

#[test]
fn a_fact_deleted_while_the_daemon_was_down_is_not_found() {
    let (home, daemon) = home();
    let fact = facts(&daemon).into_iter().find(|fact| fact["text"].as_str().unwrap().contains("uv")).unwrap();
    let id = fact["id"].clone();
    let file = fact_file(&home, &fact);
    assert!(hits(&daemon, "uv").iter().any(|hit| hit["id"] == id));
    daemon.stop();
    std::fs::remove_file(file).unwrap();
    let daemon = home.start();
    assert!(hits(&daemon, "uv").iter().all(|hit| hit["id"] != id), "a deleted fact is found");
}

#[test]
fn a_copy_never_takes_a_fact_over() {
    let (home, daemon) = home();
    let fact = facts(&daemon).into_iter().find(|fact| fact["text"].as_str().unwrap().contains("uv")).unwrap();
    let text = std::fs::read_to_string(fact_file(&home, &fact)).unwrap().replace("use uv", "use quux");
    let path = format!("/api/memory/facts/{}/", fact["id"].as_str().unwrap());
    for name in ["facts/0 copy.md", "facts/zz copy.md"] {
        std::fs::write(home.vault().join(name), &text).unwrap();
        daemon.sync();
        assert_eq!(daemon.get(&path).body, fact, "after {name}");
    }
    daemon.stop();
    let daemon = home.start();
    assert_eq!(daemon.get(&path).body, fact, "after a restart");
}

#[test]
fn what_could_not_be_written_is_written_later() {
    let (home, daemon) = home();
    std::fs::rename(home.path("index"), home.path("index.away")).unwrap();
    daemon.post("/api/auth/keys/", &json!({"label": "of a bad moment"}));
    std::fs::rename(home.path("index.away"), home.path("index")).unwrap();
    daemon.sync();
    let before = daemon.get("/api/auth/keys/").body;
    assert!(before.to_string().contains("of a bad moment"));
    daemon.stop();
    let daemon = home.start();
    assert_eq!(daemon.get("/api/auth/keys/").body, before);
}

#[test]
fn an_import_closes_only_what_came_before_it() {
    let (home, daemon) = home();
    say(&daemon, "live", "call it wordtau");
    let before = rows(&daemon, "/api/memory/episodes/?limit=200");
    daemon.stop();
    std::fs::remove_file(home.path("state.redb")).unwrap();
    let daemon = home.start();
    daemon.sync();
    assert_eq!(rows(&daemon, "/api/memory/episodes/?limit=200"), before);
}
