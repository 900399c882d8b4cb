//! Histories of agents: found, shown and asked for; what is taken out of them stays out.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{CLONE, Daemon, Home, until};

/// A line of Claude Code.
fn line(n: u64, kind: &str, content: &Value) -> String {
    let time = format!("2026-05-05T08:00:{n:02}.000Z");
    let message = json!({"content": content});
    let line = json!({"uuid": format!("u{n}"), "sessionId": "s1", "cwd": "/w/app", "timestamp": time, "type": kind,
        "message": message});
    format!("{line}\n")
}

fn append(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

const CLAUDE: &str = ".claude/projects/-w-app/s1.jsonl";
const CODEX: &str = ".codex/sessions/2026/05/05/rollout-1.jsonl";

/// The histories of two agents, in a folder.
fn histories(folder: &Path) {
    let said = json!([{"type": "text", "text": "The linnet test passes. Anything else?"}]);
    let claude = line(0, "user", &json!("mend the flaky linnet test")) + &line(1, "assistant", &said);
    append(&folder.join(CLAUDE), &(claude + &line(2, "user", &json!("never mock the linnet again, please"))));
    let codex = [
        json!({"timestamp": "2026-05-05T08:00:00Z", "type": "session_meta", "payload": {"id": "t1", "cwd": "/w"}}),
        json!({"timestamp": "2026-05-05T08:00:02Z", "ordinal": 2, "type": "event_msg",
            "payload": {"type": "user_message", "message": "go on with the plover"}}),
    ];
    let codex: String = codex.iter().map(|line| format!("{line}\n")).collect();
    append(&folder.join(CODEX), &codex);
}

/// A machine on which two agents have a history.
fn machine() -> Home {
    let home = Home::new();
    histories(&home.path(""));
    home
}

fn ok(output: &Output) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stdout));
}

/// Where events came from.
fn sources(daemon: &Daemon) -> Vec<String> {
    let rows = daemon.get("/api/sources/").body;
    let mut ids: Vec<String> = rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().into()).collect();
    ids.sort();
    ids
}

/// Runs a verb before somebody at a terminal who types these answers; nothing where this machine cannot show one.
fn at_terminal(home: &Home, verb: &str, answers: &str) -> Option<String> {
    if !Path::new("/usr/bin/script").exists() {
        eprintln!("SKIPPED: at_terminal (no script on this machine)");
        return None;
    }
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "60", "script", "-qec", &format!("{CLONE} {verb}"), "/dev/null"]).env_clear();
    command
        .env("HOME", home.path(""))
        .env("CLONE_HOME", home.path(""))
        .env("PATH", "/usr/bin:/bin")
        .env("TERM", "dumb");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(answers.as_bytes()).unwrap();
    let mut told = String::new();
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    child.wait().unwrap();
    Some(told)
}

#[test]
fn auto_finds_shows_asks_and_imports_what_was_agreed_to() {
    let home = machine();
    let daemon = home.start();
    let found = home.json(&["import", "auto"]);
    let shown: Vec<(&str, u64)> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["format"].as_str().unwrap(), row["files"].as_u64().unwrap()))
        .collect();
    assert_eq!(shown, [("claude-code", 1), ("codex", 1)], "{found}");
    // Nobody is there to agree.
    let told = home.command().args(["import", "auto"]).stdin(Stdio::null()).output().unwrap();
    ok(&told);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("claude-code: 1 file") && told.contains("codex: 1 file"), "{told}");
    assert_eq!(sources(&daemon), Vec::<String>::new(), "what is shown is not imported");
    if let Some(told) = at_terminal(&home, "import auto", "y\nn\nn\n") {
        for question in
            ["import claude-code? [y/N]", "and follow claude-code from now on? [y/N]", "import codex? [y/N]"]
        {
            assert!(told.contains(question), "{told}");
        }
        assert_eq!(sources(&daemon), ["claude-code"], "{told}");
        assert_eq!(home.json(&["source", "list"])["agents"], json!([]));
    }
    assert_eq!(home.run(&["import", "auto", "somewhere"]).status.code(), Some(2), "auto takes no paths");
    ok(&home.command().args(["import", "auto", "--yes", "--watch"]).stdin(Stdio::null()).output().unwrap());
    assert_eq!(sources(&daemon), ["claude-code", "codex"]);
    assert_eq!(home.json(&["source", "list"])["agents"], json!(["claude-code", "codex"]));
    append(&home.path(CLAUDE), &line(3, "user", &json!("and now the wren")));
    let followed = until(|| (daemon.get("/api/recording/events/claude-code:u3/").status == 200).then_some(()));
    assert!(followed.is_some(), "what comes later is recorded too");
}

#[test]
fn watching_begins_with_an_import_and_only_where_an_agent_can_be_followed() {
    let home = machine();
    let daemon = home.start();
    assert_eq!(home.json(&["import", "claude-code", "--watch", "--dry-run"])["dry_run"], true);
    assert_eq!(home.json(&["source", "list"])["agents"], json!([]), "a dry run changes nothing");
    ok(&home.run(&["import", "claude-code", "--watch"]));
    assert_eq!(home.json(&["source", "list"])["agents"], json!(["claude-code"]));
    append(&home.path(CLAUDE), &line(3, "user", &json!("and now the wren")));
    assert!(until(|| (daemon.get("/api/recording/events/claude-code:u3/").status == 200).then_some(())).is_some());
    let path = home.path(CLAUDE);
    let refused = home.run(&["import", "specstory", path.to_str().unwrap(), "--watch"]);
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
}

#[test]
fn a_prediction_is_shown_when_an_agent_stops_and_only_where_it_was_asked_for() {
    let home = Home::new();
    let daemon = home.start();
    ok(&home.run(&["hook", "install", "claude-code", "--predict"]));
    let settings = fs::read_to_string(home.path(".claude/settings.json")).unwrap();
    assert!(settings.contains("hook run claude-code --predict"), "{settings}");
    let question = "All tests pass. Shall I commit?";
    let stop = json!({"session_id": "s1", "hook_event_name": "Stop", "last_assistant_message": question});
    let typed = json!({"session_id": "s1", "hook_event_name": "UserPromptSubmit", "prompt": "mend it"});
    for (arguments, call, shows) in [
        (&["claude-code", "--predict"][..], &typed, false),
        (&["claude-code"][..], &stop, false),
        (&["claude-code", "--predict"][..], &stop, true),
    ] {
        let mut command = home.command();
        command.args(["hook", "run"]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(call.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        ok(&output);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let said = told["systemMessage"].as_str().is_some_and(|said| said.starts_with("Clone would say ("));
        assert_eq!((said, output.stdout.is_empty()), (shows, !shows), "{arguments:?} {call} {output:?}");
    }
    let made = daemon.get("/api/predictions/").body;
    assert_eq!((made.as_array().map(Vec::len), &made[0]["agent"]), (Some(1), &json!("Claude Code")), "{made}");
}

#[test]
fn what_was_taken_out_stays_out_and_a_wiped_source_goes_whole() {
    // Elsewhere, or a search of the home would find the transcripts of the agents themselves.
    let elsewhere = tempfile::tempdir().unwrap();
    histories(elsewhere.path());
    let home = Home::new();
    let daemon = home.start();
    let imported = |format: &str, file: &str| {
        home.json(&["import", format, elsewhere.path().join(file).to_str().unwrap()])["imported"].clone()
    };
    assert_eq!((imported("claude-code", CLAUDE), imported("codex", CODEX)), (json!(4), json!(2)));
    let is_there = |id: &str| daemon.get(&format!("/api/recording/events/{id}/")).status == 200;
    assert!(is_there("claude-code:u0"));
    ok(&home.run(&["forget", "claude-code:u0", "--yes"]));
    assert_eq!(imported("claude-code", CLAUDE), 0, "taken out once, it stays out");
    assert!(!is_there("claude-code:u0") && is_there("claude-code:u2"));

    assert_eq!(home.run(&["source", "wipe", "claude-code"]).status.code(), Some(2), "nobody said yes");
    let shown = home.json(&["source", "wipe", "claude-code", "--dry-run"]);
    assert_eq!(shown["events"]["agent.prompt"], 1, "{shown}");
    assert!(is_there("claude-code:u2"));
    // Its exit code says that nothing is left in any file, decoded.
    ok(&home.run(&["source", "wipe", "claude-code", "--yes"]));
    assert_eq!(sources(&daemon), ["codex"], "the other source is whole");
    assert!(!is_there("claude-code:u2") && is_there("codex:t1:2"));
    assert_eq!(home.json(&["forget", "--verify", "linnet"])["remains"], json!([]));
    let again = home.run(&["source", "wipe", "claude-code", "--yes"]);
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stdout).contains("source list"));
    assert_eq!(imported("claude-code", CLAUDE), 3, "an import starts over");
    assert!(!is_there("claude-code:u0") && is_there("claude-code:u2"), "and what was forgotten stays out");
}
