//! Living beside agents and shells: following, hooks, and secrets that are typed there.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Daemon, Dice, Home, until};

/// A line of Claude Code, a second after the one before it.
fn line(n: u64, record: Value) -> String {
    let time = format!("2026-05-05T08:{:02}:{:02}.000Z", n / 60 % 60, n % 60);
    let mut line = json!({"uuid": format!("u{n}"), "sessionId": "s1", "cwd": "/w/app", "timestamp": time});
    line.as_object_mut().unwrap().extend(record.as_object().unwrap().clone());
    format!("{line}\n")
}

fn typed(n: u64, text: &str) -> String {
    line(n, json!({"type": "user", "message": {"content": text}}))
}

fn said(n: u64, text: &str) -> String {
    line(n, json!({"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}}))
}

fn append(path: &Path, text: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text).unwrap();
}

/// Every wire event of the log, as it was recorded.
fn events(daemon: &Daemon) -> Vec<Value> {
    let page = daemon.get("/api/events/?limit=1000").body;
    let rows = page["events"].as_array().unwrap_or_else(|| panic!("{page}"));
    let wire = rows.iter().filter(|row| {
        row["topic"].as_str().is_some_and(|topic| {
            topic.contains("agent.")
                || topic == "terminal.command"
                || topic.starts_with("session.sta")
                || topic == "session.stopped"
        })
    });
    wire.map(|row| row["event"].clone()).collect()
}

fn ids(daemon: &Daemon) -> Vec<String> {
    events(daemon).iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

fn until_ids(daemon: &Daemon, expected: &[&str]) {
    let there = |_: &()| ids(daemon).len() >= expected.len();
    until(|| Some(()).filter(there)).unwrap_or_else(|| panic!("{:?} instead of {expected:?}", ids(daemon)));
    assert_eq!(ids(daemon), expected);
}

fn ok(output: &Output) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stdout));
}

/// Runs a hook as an agent or shell does.
fn hook(home: &Home, arguments: &[&str], input: &str) -> Output {
    let mut command = home.command();
    let command = command.args(["hook", "run"]).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_followed_transcript_that_grows_in_pieces_is_recorded_once() {
    let home = Home::new();
    let path = home.path(".claude/projects/-w-app/s1.jsonl");
    let whole: String = (0..60)
        .map(|n| if n % 2 == 0 { typed(n, &format!("prompt {n} é")) } else { said(n, &format!("answer {n}")) })
        .collect();
    let (mut dice, mut at) = (Dice::new(6), 0);
    let mut daemon = home.start();
    append(
        &home.path(".claude/projects/-w-secret/s2.jsonl"),
        typed(0, "never").replace("/w/app", "/w/secret").as_bytes(),
    );
    fs::write(home.path("config.toml"), "[import]\nexclude = [\"/w/secret\"]\n").unwrap();
    daemon.stop();
    daemon = home.start();
    append(&path, typed(0, "prompt 0 é").as_bytes());
    let before = events(&daemon).len();
    assert_eq!(before, 0, "nobody is followed until somebody says so");
    ok(&home.run(&["source", "follow", "claude-code"]));
    fs::remove_file(&path).unwrap();
    while at < whole.len() {
        let piece = usize::try_from(dice.below(700)).unwrap() + 1;
        let end = (at + piece).min(whole.len());
        append(&path, &whole.as_bytes()[at..end]);
        at = end;
        if dice.below(12) == 0 {
            // A crash forgets where we were.
            daemon.kill();
            daemon = home.start();
        }
    }
    let expected: Vec<String> = std::iter::once("claude-code:s1:start".to_owned())
        .chain((0..60).map(|n| format!("claude-code:u{n}")))
        .collect();
    let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    expected.sort_unstable();
    until(|| (ids(&daemon).len() >= expected.len()).then_some(())).unwrap_or_else(|| panic!("{:?}", ids(&daemon)));
    let mut found = ids(&daemon);
    found.sort_unstable();
    assert_eq!(found, expected);
    // An import of the same file adds nothing, and nobody is followed any more once that is said.
    assert_eq!(home.json(&["import", "claude-code"])["imported"], 0);
    ok(&home.run(&["source", "disconnect", "claude-code"]));
    assert_eq!(home.json(&["source", "list"])["agents"], json!([]));
}

#[test]
fn following_counts_what_it_does_not_know_and_finds_new_folders() {
    let home = Home::new();
    fs::write(home.path("config.toml"), "[follow]\nagents = [\"codex\", \"gemini\"]\n").unwrap();
    let daemon = home.start();
    let rollout = [
        json!({"timestamp": "2026-05-05T08:00:00Z", "type": "session_meta", "payload": {"id": "t1", "cwd": "/w"}}),
        json!({"timestamp": "2026-05-05T08:00:01Z", "type": "oracle", "payload": {}}),
        json!({"timestamp": "2026-05-05T08:00:02Z", "ordinal": 2, "type": "event_msg", "payload": {"type": "user_message", "message": "go on"}}),
    ];
    let rollout: String = rollout.iter().map(|line| format!("{line}\n")).collect();
    append(&home.path(".codex/sessions/2026/05/05/rollout-1.jsonl"), rollout.as_bytes());
    until_ids(&daemon, &["codex:t1:start", "codex:t1:2"]);
    let chat = "{\"sessionId\":\"g1\"}\n{\"id\":\"m1\",\"timestamp\":\"2026-05-05T09:00:00Z\",\"type\":\"user\",\"content\":\"hello\"}\n";
    append(&home.path(".gemini/tmp/app/chats/session-1.jsonl"), chat.as_bytes());
    until_ids(&daemon, &["codex:t1:start", "codex:t1:2", "gemini:g1:start", "gemini:g1:m1"]);
    let told = daemon.get("/api/monitoring/status/").body["following"].clone();
    assert_eq!(told["agents"]["codex"]["skipped"]["unknown kind: oracle"], 1, "{told}");
}

/// At a start it is not known for a moment who was switched off; the file, which still names the agent, must not decide.
#[test]
fn an_agent_that_was_disconnected_is_not_recorded_again_at_the_next_start() {
    let home = Home::new();
    fs::write(home.path("config.toml"), "[follow]\nagents = [\"claude-code\"]\n").unwrap();
    let path = home.path(".claude/projects/-w-app/s1.jsonl");
    append(&path, typed(0, "before").as_bytes());
    let mut daemon = home.start();
    until_ids(&daemon, &["claude-code:s1:start", "claude-code:u0"]);
    ok(&home.run(&["source", "disconnect", "claude-code"]));
    daemon.stop();
    append(&path, typed(1, "meanwhile").as_bytes());
    daemon = home.start();
    assert_eq!(home.json(&["source", "list"])["agents"], json!([]));
    // Whoever follows is at work once another agent's turn is recorded.
    let chat = "{\"sessionId\":\"g1\"}\n{\"id\":\"m1\",\"timestamp\":\"2026-05-05T09:00:00Z\",\"type\":\"user\",\"content\":\"hello\"}\n";
    append(&home.path(".gemini/tmp/app/chats/session-1.jsonl"), chat.as_bytes());
    ok(&home.run(&["source", "follow", "gemini"]));
    until_ids(&daemon, &["claude-code:s1:start", "claude-code:u0", "gemini:g1:start", "gemini:g1:m1"]);
}

/// Two agents whose histories differ: what is told of each is its own.
#[test]
fn the_mark_of_a_first_look_tells_what_came_of_that_agent_alone() {
    let home = Home::new();
    let chat = "{\"sessionId\":\"g1\"}\n{\"id\":\"m1\",\"timestamp\":\"2026-05-05T09:00:00Z\",\"type\":\"user\",\"content\":\"hello\"}\n";
    append(&home.path(".gemini/tmp/app/chats/session-1.jsonl"), chat.as_bytes());
    append(&home.path(".claude/projects/-w-app/s1.jsonl"), (typed(0, "one") + &said(1, "two")).as_bytes());
    fs::write(home.path("config.toml"), "[follow]\nagents = [\"claude-code\", \"codex\", \"gemini\"]\n").unwrap();
    let daemon = home.start();
    let marks = || {
        let jobs = daemon.get("/api/jobs/").body;
        let rows = jobs.as_array().cloned().unwrap_or_default();
        let rows: Vec<Value> = rows.into_iter().filter(|job| job["kind"] == "import").collect();
        Some(rows).filter(|rows| rows.len() >= 2)
    };
    let found = until(marks).unwrap_or_else(|| panic!("{}", daemon.get("/api/jobs/").body));
    let mut told: Vec<String> =
        found.iter().map(|job| format!("{} {}", job["detail"]["format"], job["detail"]["imported"])).collect();
    told.sort_unstable();
    assert_eq!(told, ["\"claude-code\" 3", "\"gemini\" 2"], "{found:#?}");
}

#[test]
fn a_hook_records_a_turn_under_the_ids_of_an_import() {
    let home = Home::new();
    let daemon = home.start();
    let path = home.path("transcripts/s1.jsonl");
    let call = |event: &str, more: Value| {
        let mut call = json!({"session_id": "s1", "transcript_path": path, "cwd": "/w/app", "hook_event_name": event});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let output = hook(&home, &["claude-code"], &call.to_string());
        assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    };
    call("SessionStart", json!({"source": "startup"}));
    call("UserPromptSubmit", json!({"prompt": "fix it"}));
    append(&path, typed(0, "fix it").as_bytes());
    append(&path, said(1, "Done.").as_bytes());
    call("Stop", json!({"stop_hook_active": false, "last_assistant_message": "Done."}));
    let question = json!({"questions": [{"question": "Which?", "options": [{"label": "A"}, {"label": "B"}]}]});
    let block = json!([{"type": "tool_use", "id": "q", "name": "AskUserQuestion", "input": question}]);
    append(&path, line(2, json!({"type": "assistant", "message": {"content": block}})).as_bytes());
    call("PreToolUse", json!({"tool_name": "AskUserQuestion", "tool_input": question}));
    let result = json!([{"type": "tool_result", "tool_use_id": "q", "content": "\"Which?\"=\"B\""}]);
    let answered =
        json!({"type": "user", "message": {"content": result}, "toolUseResult": {"answers": {"Which?": "B"}}});
    append(&path, line(3, answered).as_bytes());
    call("PostToolUse", json!({"tool_name": "AskUserQuestion", "tool_input": question}));
    call("SessionEnd", json!({"reason": "exit"}));
    let found = events(&daemon);
    let told: Vec<&str> = found.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = ["session.started", "agent.prompt", "agent.response", "agent.choice", "session.stopped"];
    assert_eq!(told, expected, "{found:#?}");
    assert_eq!((&found[3]["choice"], &found[1]["meta"]["origin"]), (&json!("B"), &json!("typed")));
    let again = home.json(&["import", "claude-code", path.to_str().unwrap()]);
    assert_eq!((&again["imported"], &again["known"]), (&json!(0), &json!(4)));
}

#[test]
fn a_hook_without_a_transcript_records_what_the_call_tells() {
    let home = Home::new();
    let daemon = home.start();
    let questions = json!({"questions": [{"question": "Which?", "options": [{"label": "A"}]}]});
    let calls = [
        ("gemini", json!({"hook_event_name": "BeforeAgent", "prompt": "fix it"})),
        ("gemini", json!({"hook_event_name": "AfterAgent", "prompt": "fix it", "prompt_response": "Done."})),
        (
            "claude-code",
            json!({"hook_event_name": "PostToolUse", "tool_name": "AskUserQuestion", "tool_input": questions,
                               "tool_response": {"answers": {"Which?": "A"}}}),
        ),
        ("codex", json!({"hook_event_name": "UserPromptSubmit", "prompt": "and this", "transcript_path": null})),
        ("codex", json!({"hook_event_name": "Oracle"})),
    ];
    for (agent, mut call) in calls {
        call["session_id"] = json!("s9");
        ok(&hook(&home, &[agent], &call.to_string()));
    }
    let told: Vec<String> =
        events(&daemon).iter().map(|event| format!("{} {}", event["session_id"], event["type"])).collect();
    let expected = [
        "\"gemini:s9\" \"agent.prompt\"",
        "\"gemini:s9\" \"agent.response\"",
        "\"claude-code:s9\" \"agent.choice\"",
        "\"codex:s9\" \"agent.prompt\"",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_hook_never_stands_in_the_way() {
    let home = Home::new();
    for (arguments, input) in [
        (vec!["claude-code"], "{\"session_id\":\"s\",\"hook_event_name\":\"SessionStart\"}"),
        (vec!["claude-code"], "not JSON"),
        (vec!["oracle"], ""),
        (vec!["bash", "--exit", "1"], "ls"),
    ] {
        let output = hook(&home, &arguments, input);
        assert!(
            output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
            "{arguments:?} {output:?}"
        );
    }
}

#[test]
fn installed_and_removed_every_file_is_byte_for_byte_as_before() {
    let home = Home::new();
    let files = [
        (
            "claude-code",
            ".claude/settings.json",
            Some(
                "{\n  \"model\": \"opus\",\n  \"hooks\": {\"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"mine\"}]}]}\n}",
            ),
        ),
        ("codex", ".codex/hooks.json", None),
        ("gemini", ".gemini/settings.json", Some("{\"security\":{\"auth\":{\"selectedType\":\"x\"}}}\n")),
        ("bash", ".bashrc", Some("alias ll='ls -l'")),
        ("zsh", ".zshrc", None),
        ("fish", ".config/fish/conf.d/clone.fish", None),
    ];
    for (name, file, before) in files {
        let path = home.path(file);
        if let Some(text) = before {
            append(&path, text.as_bytes());
        }
        ok(&home.run(&["hook", "install", name, "--dry-run"]));
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), before, "{name}: a dry run changes nothing");
        ok(&home.run(&["hook", "install", name]));
        let installed = fs::read_to_string(&path).unwrap();
        assert!(installed.contains("hook ") && before.is_none_or(|text| installed.len() > text.len()), "{installed}");
        ok(&home.run(&["hook", "install", name]));
        assert_eq!(fs::read_to_string(&path).unwrap(), installed, "{name}: twice is once");
        ok(&home.run(&["hook", "remove", name]));
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), before, "{name}");
        let left = fs::read_dir(path.parent().unwrap()).unwrap().flatten().map(|entry| entry.file_name());
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("clone-")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn foreign_changes_between_install_and_remove_are_kept() {
    let home = Home::new();
    let path = home.path(".claude/settings.json");
    append(&path, b"{}");
    ok(&home.run(&["hook", "install", "claude-code"]));
    let changed = fs::read_to_string(&path).unwrap().replacen('{', "{\"model\": \"x\", ", 1);
    fs::write(&path, &changed).unwrap();
    ok(&home.run(&["hook", "remove", "claude-code"]));
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"model\": \"x\"}");
    // Where our own lines were changed, nothing is touched.
    ok(&home.run(&["hook", "install", "claude-code"]));
    let changed = fs::read_to_string(&path).unwrap().replace("\"timeout\":5", "\"timeout\":6");
    fs::write(&path, &changed).unwrap();
    assert_eq!(home.run(&["hook", "remove", "claude-code"]).status.code(), Some(1));
    assert_eq!(fs::read_to_string(&path).unwrap(), changed);
}

/// Where a program is, if this machine has it.
fn program(name: &str, test: &str) -> Option<PathBuf> {
    let found =
        ["/bin", "/usr/bin", "/usr/local/bin"].iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED: {test} (no {name} on this machine)");
    }
    found
}

/// Types lines into a shell that believes it has a terminal; each waits until the one before is done, or asks for input.
fn type_into(home: &Home, shell: &str, lines: &[&str]) {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "60", "script", "-qec", shell, "/dev/null"]).env_clear();
    command
        .env("HOME", home.path(""))
        .env("CLONE_HOME", home.path(""))
        .env("PATH", "/usr/bin:/bin")
        .env("TERM", "dumb");
    command.current_dir(home.path("")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = String::new();
    for (n, line) in lines.iter().enumerate() {
        let asks = line.starts_with("read ");
        let answers = n > 0 && lines[n - 1].starts_with("read ");
        let mark = match (asks, answers) {
            (true, _) => "input?".to_owned(),
            (_, true) => "answered.".to_owned(),
            _ => format!("mark{n}."),
        };
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
        if !asks && !answers {
            input.write_all(format!("echo ma''rk{n}.\n").as_bytes()).unwrap();
        }
        while !seen.contains(&mark) {
            let mut bytes = [0; 4096];
            let length = output.read(&mut bytes).unwrap();
            assert!(length > 0, "{shell} ended at `{line}`: {seen}");
            seen.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
    }
    input.write_all(b"exit\n").unwrap();
    let _rest = std::io::copy(&mut output, &mut std::io::sink());
    child.wait().unwrap();
}

fn shell_records_lines_and_nothing_else(name: &str, start: &str, silent: &str) {
    let test = "a_shell_records";
    if program("script", test).is_none() || program(name, test).is_none() {
        return;
    }
    let home = Home::new();
    let daemon = home.start();
    ok(&home.run(&["hook", "install", name]));
    let secret = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    let export = format!("echo {secret} >/dev/null");
    type_into(
        &home,
        start,
        &["true", "cd /tmp", " echo private", "false", silent, "hidden words", &export, "echo last"],
    );
    let commands = |daemon: &Daemon| -> Vec<Value> {
        events(daemon).into_iter().filter(|event| event["type"] == "terminal.command").collect()
    };
    // Each line is sent in the background, so they arrive in any order.
    let there = |text: &str| json!(commands(&daemon)).to_string().contains(text);
    let last = || ["echo last", "[secret:", "\"command\":\"false\""].iter().all(|text| there(text)).then_some(());
    until(last).unwrap_or_else(|| panic!("{:#?}", commands(&daemon)));
    let all = json!(commands(&daemon)).to_string();
    let of = |line: &str| commands(&daemon).into_iter().find(|event| event["command"] == line);
    assert!(!all.contains("private") && !all.contains("hidden words") && !all.contains(secret), "{all}");
    assert!(all.contains("[secret:"), "{all}");
    let failed = until(|| of("false")).unwrap();
    assert_eq!(
        (&failed["exit_code"], &failed["cwd"], &failed["source_detail"]),
        (&json!(1), &json!("/tmp"), &json!(name))
    );
    assert!(failed["duration_ms"].as_i64().is_some_and(|ms| (0..60_000).contains(&ms)), "{failed}");
}

#[test]
fn bash_records_lines_and_nothing_else() {
    shell_records_lines_and_nothing_else("bash", "bash -i", "read -s -p 'in''put? ' it; echo ans''wered.");
}

#[test]
fn zsh_records_lines_and_nothing_else() {
    shell_records_lines_and_nothing_else("zsh", "zsh -i", "read -s 'it?in''put? '; echo ans''wered.");
}

#[test]
fn fish_records_lines_and_nothing_else() {
    shell_records_lines_and_nothing_else(
        "fish",
        "fish -i",
        "read -s -P (string join '' in 'put? ') it; echo ans''wered.",
    );
}

/// Every file under a folder.
fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, out);
        } else if path.is_file() {
            out.push(path);
        }
    }
}

#[test]
fn a_secret_that_is_typed_or_printed_reaches_no_file_of_the_home() {
    let home = Home::new();
    let mut daemon = home.start();
    let token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    let path = home.path("agents/.claude/projects/-w/s1.jsonl");
    append(&path, typed(0, &format!("use {token} to push")).as_bytes());
    append(&path, said(1, &format!("I printed {token}")).as_bytes());
    daemon.stop();
    let claude = home.path("agents/.claude");
    daemon = home.start_with(&[("CLAUDE_CONFIG_DIR", claude.to_str().unwrap())]);
    ok(&home.run(&["source", "follow", "claude-code"]));
    until(|| (ids(&daemon).len() >= 3).then_some(())).unwrap();
    ok(&hook(&home, &["bash", "--cwd", "/w"], &format!("export GH_TOKEN={token}")));
    let call = json!({"session_id": "s2", "hook_event_name": "UserPromptSubmit", "prompt": format!("paste {token}")});
    ok(&hook(&home, &["claude-code"], &call.to_string()));
    daemon.sync();
    // Every file decoded: what stands beside the secret is found in ours, the secret in the agent's own alone.
    let verified = |words: &str| -> Vec<PathBuf> {
        let told = home.json(&["forget", "--verify", words]);
        let rows = told["remains"].as_array().unwrap_or_else(|| panic!("{told}"));
        rows.iter().map(|row| PathBuf::from(row["path"].as_str().unwrap())).collect()
    };
    let (beside, secret) = (verified("I printed"), verified(token));
    assert!(beside.iter().any(|path| path.starts_with(home.path("log"))), "{beside:?}");
    assert!(!secret.is_empty() && secret.iter().all(|path| path.starts_with(home.path("agents"))), "{secret:?}");
    let out = home.path("export.jsonl");
    ok(&home.run(&["log", "export", "--format", "jsonl", "--out", out.to_str().unwrap()]));
    daemon.stop();
    let mut found = Vec::new();
    files(&home.path(""), &mut found);
    found.retain(|file| !file.starts_with(home.path("agents")));
    assert!(found.iter().any(|file| file.ends_with("export.jsonl")));
    assert!(fs::read_to_string(&out).unwrap().matches("[secret:").count() >= 4);
    for file in found {
        let bytes = fs::read(&file).unwrap();
        let hit = bytes.windows(token.len()).any(|window| window == token.as_bytes());
        assert!(!hit, "{}", file.display());
    }
}
