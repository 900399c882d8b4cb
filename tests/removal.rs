//! Items taken out of a source stay out until it is wiped or disconnected; what was forgotten stays out for ever.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Daemon, Home, prompt, response, until};

const CLAUDE: &str = ".claude/projects/-w-app/s1.jsonl";
/// What the transcript holds, and its beginning.
const ALL: [&str; 6] = ["s1:start", "u0", "u1", "u2", "u3", "u4"];

/// What somebody typed into Claude Code.
fn typed(n: u64) -> String {
    let text = format!("mend number {n} of the flaky linnet tests");
    let time = format!("2026-05-05T08:00:{n:02}.000Z");
    let line = json!({"uuid": format!("u{n}"), "sessionId": "s1", "cwd": "/w/app", "timestamp": time, "type": "user",
        "message": {"content": text}});
    format!("{line}\n")
}

fn append(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn transcript(path: &Path) {
    append(path, &(0..5).map(typed).collect::<String>());
}

fn ok(output: &Output) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stdout));
}

fn imported(home: &Home, path: &Path) -> Value {
    home.json(&["import", "claude-code", path.to_str().unwrap()])["imported"].clone()
}

/// What is recorded of the transcript.
fn here(daemon: &Daemon) -> Vec<&'static str> {
    let is_there = |id: &&str| daemon.get(&format!("/api/recording/events/claude-code:{id}/")).status == 200;
    ALL.into_iter().filter(is_there).collect()
}

/// The tombstones that the log holds.
fn forgotten(daemon: &Daemon) -> Vec<Value> {
    let page = daemon.get("/api/events/?limit=1000&topic=event.forgotten").body;
    page["events"].as_array().unwrap().iter().map(|row| row["event"].clone()).collect()
}

#[test]
fn an_item_taken_out_stays_out_until_the_source_is_wiped_and_what_was_forgotten_for_ever() {
    // Elsewhere, or a search of the home would find the transcript itself.
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join(CLAUDE);
    transcript(&path);
    let home = Home::new();
    let mut daemon = home.start();
    assert_eq!(imported(&home, &path), 6);
    ok(&home.run(&["forget", "claude-code:u0", "--yes"]));

    let item = ["source", "remove", "claude-code", "claude-code:u2"];
    assert_eq!(home.run(&item).status.code(), Some(2), "nobody said yes");
    let shown = home.json(&[&item[..], &["--dry-run"]].concat());
    assert_eq!((&shown["dry_run"], &shown["events"]["agent.prompt"]), (&json!(true), &json!(1)), "{shown}");
    let other = home.run(&["source", "remove", "codex", "claude-code:u2", "--yes"]);
    assert!(!other.status.success(), "it is of another source: {other:?}");
    assert_eq!(here(&daemon), ["s1:start", "u1", "u2", "u3", "u4"]);
    ok(&home.run(&[&item[..], &["--yes"]].concat()));
    let left = ["s1:start", "u1", "u3", "u4"];
    let stone = forgotten(&daemon).pop().unwrap();
    assert_eq!((&stone["removed_from"], &stone["by"]), (&json!("claude-code"), &json!("person")), "{stone}");

    // Neither an import, nor a restart, nor the loss of the list brings it back.
    let list = home.path("log/TOMBSTONES");
    for lost in [false, false, true] {
        assert_eq!((imported(&home, &path), here(&daemon)), (json!(0), left.to_vec()), "{lost}");
        daemon.stop();
        let whole = fs::read(&list).unwrap();
        if lost {
            fs::remove_file(&list).unwrap();
        }
        daemon = home.start();
        daemon.sync();
        assert_eq!(fs::read(&list).unwrap(), whole, "{lost}");
    }
    assert_eq!((imported(&home, &path), here(&daemon)), (json!(0), left.to_vec()));

    // Wiped, it may be imported again, but for what was forgotten; a second time as well.
    for round in 0..2 {
        let wiped = home.json(&["source", "wipe", "claude-code", "--yes"]);
        assert_eq!((&wiped["cleared"], &wiped["remains"]), (&json!(usize::from(round == 0)), &json!([])), "{wiped}");
        assert_eq!(here(&daemon), Vec::<&str>::new());
        daemon.stop();
        if round == 0 {
            fs::remove_file(&list).unwrap();
        }
        daemon = home.start();
        daemon.sync();
        assert_eq!(imported(&home, &path), 5, "all but what was forgotten");
        assert_eq!(here(&daemon), ["s1:start", "u1", "u2", "u3", "u4"], "round {round}");
    }
    // What was forgotten by its source stays out, whatever is wiped.
    let body = json!({"source": "claude-code"});
    assert_eq!(daemon.post("/api/memory/forget/", &body).status, 200);
    assert_eq!(imported(&home, &path), 0);
    assert!(!home.run(&["source", "wipe", "claude-code", "--yes"]).status.success(), "nothing is there to wipe");
    assert_eq!((imported(&home, &path), here(&daemon)), (json!(0), Vec::new()));
}

#[test]
fn of_a_session_that_was_taken_out_nothing_more_is_taken_until_its_source_is_wiped() {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join(CLAUDE);
    transcript(&path);
    for item in ["claude-code:s1", "s1", "/w/app"] {
        let home = Home::new();
        let daemon = home.start();
        assert_eq!(imported(&home, &path), 6);
        let gone = home.json(&["source", "remove", "claude-code", item, "--yes"]);
        assert_eq!((&gone["events"]["agent.prompt"], &gone["remains"]), (&json!(5), &json!([])), "{item}: {gone}");
        // A turn that came later, and the same session of another source.
        let more = elsewhere.path().join("more/s1.jsonl");
        fs::remove_file(&more).unwrap_or_default();
        append(&more, &typed(9));
        assert_eq!((imported(&home, &path), imported(&home, &more)), (json!(0), json!(0)), "{item}");
        let mut other = prompt("other", "claude-code:s1", "of another source", "2026-05-05T08:00:00Z");
        other["meta"]["project"] = json!("/w/app");
        assert_eq!(daemon.post("/api/recording/events/", &json!([other])).body["accepted"], 1, "{item}");
        ok(&home.run(&["source", "wipe", "claude-code", "--yes"]));
        assert_eq!(imported(&home, &path), 6, "{item}");
        assert_eq!(here(&daemon), ALL, "{item}");
    }
}

#[test]
fn a_wipe_ends_that_the_source_is_followed_and_whoever_follows_it_again_starts_over() {
    let home = Home::new();
    let path = home.path(CLAUDE);
    transcript(&path);
    let daemon = home.start();
    let all_are_here = || until(|| (here(&daemon) == ALL).then_some(()));
    ok(&home.run(&["source", "follow", "claude-code"]));
    all_are_here().expect("it is followed");
    let wipe = |dry_run: bool| {
        let answer = daemon.post("/api/sources/claude-code/wipe/", &json!({"dry_run": dry_run}));
        assert_eq!((answer.status, &answer.body["ended"]), (200, &json!("followed")), "{}", answer.body);
    };
    wipe(true);
    assert_eq!(home.json(&["source", "list"])["agents"], json!(["claude-code"]), "a dry run changes nothing");
    for _ in 0..2 {
        wipe(false);
        assert_eq!(home.json(&["source", "list"])["agents"], json!([]));
        assert_eq!(here(&daemon), Vec::<&str>::new());
        ok(&home.run(&["source", "follow", "claude-code"]));
        all_are_here().expect("it is read from its beginning");
    }
}

/// Turns of a source that will be wiped, with one event of another.
fn turns() -> Vec<Value> {
    let at = |n: u32| format!("2026-05-05T08:{:02}:{:02}Z", n / 60, n % 60);
    let of = |n: u32| {
        let (id, session) = (format!("turn-{n}"), format!("session-{}", n / 10));
        if n.is_multiple_of(2) {
            response(&id, &session, &format!("The quokka build number {n} is ready. Shall I go on?"), &at(n))
        } else {
            prompt(&id, &session, &format!("yes, go on with quokka number {n} please"), &at(n))
        }
    };
    let mut turns: Vec<Value> = (0..60).map(of).collect();
    turns[59]["source_detail"] = json!("another");
    turns
}

fn recorded(daemon: &Daemon) -> Vec<String> {
    let page = daemon.get("/api/events/?limit=1000").body;
    let ids = page["events"].as_array().unwrap().iter().map(|row| row["event"]["id"].as_str().unwrap().to_owned());
    let mut ids: Vec<String> = ids.filter(|id| id.starts_with("turn-")).collect();
    ids.sort();
    ids
}

fn ingest(daemon: &Daemon, events: &[Value]) -> Value {
    daemon.post("/api/recording/events/", &json!(events)).body
}

#[test]
fn a_wipe_that_is_killed_is_finished_by_the_next_start_and_loses_nothing_that_was_forgotten() {
    let rounds: u32 = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(6);
    let (mut resumed, mut anew) = (0, 0);
    for round in 0..rounds {
        let home = Home::new();
        let daemon = home.start();
        assert_eq!(ingest(&daemon, &turns())["accepted"], 60);
        assert_eq!(daemon.post("/api/memory/forget/", &json!({"id": "turn-3"})).status, 200);
        assert_eq!(daemon.post("/api/sources/test/remove/", &json!({"id": "turn-5"})).status, 200);
        daemon.sync();
        let before = recorded(&daemon);
        assert_eq!(before.len(), 58);
        std::thread::scope(|scope| {
            let daemon = &daemon;
            let asked = scope.spawn(move || daemon.try_call("POST", "/api/sources/test/wipe/", Some("{}")));
            // A busy machine may look too late: then it is done.
            let begun = until(|| (home.path("log/ERASE").exists() || asked.is_finished()).then_some(()));
            assert!(begun.is_some(), "it never began");
            if asked.is_finished() {
                assert_eq!(asked.join().unwrap().map(|answer| answer.status).ok(), Some(200), "it never began");
            }
            let (start, life) = (Instant::now(), Duration::from_millis(20) * round);
            while start.elapsed() < life {
                std::thread::yield_now();
            }
            let pid = daemon.pid().to_string();
            assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        });
        daemon.kill();
        resumed += u32::from(home.path("log/ERASE").exists());
        let daemon = home.start();
        daemon.sync();
        if recorded(&daemon) == before {
            anew += 1;
            assert_eq!(daemon.post("/api/sources/test/wipe/", &json!({})).status, 200);
        }
        assert_eq!(recorded(&daemon), ["turn-59"], "round {round}");
        assert!(!home.path("log/ERASE").exists());
        // Whoever starts over gets what was taken out, and never what was forgotten.
        let again = ingest(&daemon, &turns());
        let told = (&again["accepted"], &again["duplicates"], &again["forgotten"]);
        assert_eq!(told, (&json!(58), &json!(1), &json!(1)), "round {round}: {again}");
        assert!(!recorded(&daemon).contains(&"turn-3".to_owned()));
    }
    eprintln!("{rounds} kills: {resumed} resumed, {anew} not begun");
    assert!(resumed > 0, "not one kill met it at work");
}
