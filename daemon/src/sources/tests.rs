//! Folders, limits, the sample that is shipped, and real transcripts where they are at hand.

use std::collections::BTreeSet;

use clone_schema::event::Outcome;
use serde_json::json;

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn import(format: Format, path: &Path) -> (Vec<Event>, Counts) {
    let (mut events, mut total) = (Vec::new(), Counts::default());
    for file in transcripts(format, path).expect("readable") {
        let counts = read(format, &file, &Filter::default(), &mut |event| events.push(event)).expect("readable");
        total.add(&counts);
    }
    (events, total)
}

#[test]
fn names_of_formats() {
    for format in Format::ALL {
        assert_eq!(Format::from_name(format.name()), Some(format));
    }
    assert_eq!(Format::from_name("Claude-Code"), None);
}

#[test]
fn a_folder_is_walked_older_sessions_first() {
    let home = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    };
    let line = |time: &str| format!("{{\"timestamp\":\"{time}\"}}\n");
    let (old, new) = (line("2026-01-01T10:00:00.000Z"), line("2026-02-01T10:00:00Z"));
    write("p/new.jsonl", &new);
    write("p/deep/old.jsonl", &old);
    write("a-copy-of-old.jsonl", &format!("{old}{}", line("2026-03-01T10:00:00Z")));
    write("a-without.jsonl", "{}");
    write("p/notes.md", &old);
    fs::create_dir(home.path().join("folder.jsonl")).expect("made");
    std::os::unix::fs::symlink(home.path().join("p/new.jsonl"), home.path().join("link.jsonl")).expect("linked");
    let found = transcripts(Format::ClaudeCode, home.path()).expect("readable");
    let names: Vec<_> = found.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert_eq!(names, ["old.jsonl", "a-copy-of-old.jsonl", "new.jsonl", "a-without.jsonl"]);
    let one = home.path().join("p/notes.md");
    assert_eq!(transcripts(Format::ClaudeCode, &one).expect("readable"), [one], "a file that is named is taken");
}

#[test]
fn a_walk_ends_at_its_limits() {
    let home = tempfile::tempdir().expect("a folder");
    let deep = (0..=MAX_DEPTH).fold(home.path().to_owned(), |path, _| path.join("d"));
    fs::create_dir_all(&deep).expect("made");
    fs::write(deep.join("lost.jsonl"), "").expect("written");
    fs::write(deep.parent().expect("a parent").join("found.jsonl"), "").expect("written");
    fs::write(home.path().join("top.jsonl"), "").expect("written");
    let names: Vec<_> =
        transcripts(Format::Turns, home.path()).expect("readable").iter().map(|p| p.ends_with("lost.jsonl")).collect();
    assert_eq!(names, [false, false], "a file below the deepest folder is not found");
    let walk = |limit| walk(Format::Turns, home.path(), 0, limit, &mut Vec::new());
    assert!(walk(2).is_ok());
    assert!(matches!(walk(1), Err(SourceError::TooMany(_))));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let gone = Path::new("/nonexistent/transcripts");
    assert!(matches!(transcripts(Format::Turns, gone), Err(SourceError::Read { .. })));
    let mut out = |_| {};
    assert!(matches!(read(Format::Turns, gone, &Filter::default(), &mut out), Err(SourceError::Read { .. })));
    let folder = root();
    assert!(matches!(read(Format::Turns, &folder, &Filter::default(), &mut out), Err(SourceError::NotRegular(_))));
    let device = Path::new("/dev/null");
    assert!(matches!(transcripts(Format::Turns, device), Err(SourceError::NotRegular(_))));
}

#[test]
fn exchanges_become_pairs() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("t.jsonl");
    let line = |turn: u32, said: &str, reply: &str| {
        format!(
            "{{\"user\":\"u\",\"source_repo_hash\":\"h\",\"session\":\"s\",\"turn\":{turn},\"ts\":\"2026-01-01T10:00:00Z\",\
             \"agent\":\"Cursor\",\"agent_prompt\":\"{said}\",\"reply\":\"{reply}\",\"kind\":\"reply\"}}\n"
        )
    };
    let broken = "{\"user\":1}\n\n{\n{\"user\":\"u\",\"session\":\"s\",\"turn\":9,\"ts\":\"soon\"}\n{\"us";
    fs::write(&path, format!("{}{}{}{broken}", line(0, "", "a"), line(1, "b", "c"), line(2, "", " ")))
        .expect("written");
    let (events, counts) = import(Format::Turns, &path);
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["turns:u:s:start", "turns:u:0", "turns:u:1:a", "turns:u:1"]);
    assert_eq!(events[1].session_id, "turns:u:s");
    assert_eq!((events[3].origin(), events[3].project()), (Origin::Typed, Some("h")));
    let Body::AgentResponse { in_response_to, .. } = &events[2].body else { panic!("{:?}", events[2]) };
    assert_eq!(in_response_to.as_deref(), Some("turns:u:0"));
    let reasons = ["bad JSON", "empty line", "no text", "no timestamp", "unexpected shape", "unfinished line"];
    assert_eq!(counts.skipped, reasons.map(|reason| (reason.to_owned(), 1)).into());
    assert_eq!((counts.read, counts.human, counts.agent), (8, 2, 1));
}

#[test]
fn a_line_over_the_limit_is_passed_over() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("t.jsonl");
    let mut text = vec![b' '; MAX_LINE_BYTES + 1];
    text.extend_from_slice(b"\n{}\n");
    fs::write(&path, text).expect("written");
    let (_, counts) = import(Format::ClaudeCode, &path);
    assert_eq!(counts.skipped, [("line too long".to_owned(), 1), ("unknown kind: ".to_owned(), 1)].into());
}

#[test]
fn the_sample_shows_every_rule() {
    let (events, counts) = import(Format::ClaudeCode, &root().join("tests/data/sample/claude-code"));
    let mut seen = BTreeSet::new();
    let again = events.iter().filter(|event| !seen.insert(event.id.clone())).count();
    let said = |text: &str| {
        let same = |event: &&Event| matches!(&event.body, Body::AgentPrompt { prompt, .. } if prompt == text);
        let sessions: BTreeSet<&str> = events.iter().filter(same).map(|event| event.session_id.as_str()).collect();
        (events.iter().filter(same).count(), sessions.len())
    };
    assert_eq!(said("commit it and push"), (30, 12));
    assert_eq!(said("go ahead"), (7, 7));
    assert_eq!(said("run the tests"), (8, 7));
    assert_eq!((counts.read, counts.events, again), (411, 269, 4), "a resumed copy repeats ids");
    assert_eq!((counts.human, counts.agent, counts.choices, counts.commands), (116, 137, 4, 3));
    let expected = [
        ("compaction summary", 1),
        ("file-history-snapshot", 1),
        ("injected: command output", 2),
        ("injected: hook", 1),
        ("injected: task notification", 1),
        ("meta", 2),
        ("queue-operation", 1),
        ("sub-agent", 2),
        ("thinking", 1),
        ("tool result", 69),
        ("tool use", 73),
    ];
    assert_eq!(counts.skipped, expected.map(|(reason, count)| (reason.to_owned(), count)).into());
}

#[test]
fn real_transcripts_are_read_in_full() {
    let data = root().join("../shared/data");
    let tables = [
        (Format::ClaudeCode, "raw/claude-code"),
        (Format::Codex, "raw/codex"),
        (Format::Specstory, "raw/specstory"),
        (Format::Turns, "turns"),
    ];
    for (format, folder) in tables {
        let folder = data.join(folder);
        if !folder.is_dir() {
            note(&format!("SKIPPED: no real {} transcripts beside the project", format.name()));
            continue;
        }
        for file in transcripts(format, &folder).expect("readable") {
            let (mut seen, mut last) = (BTreeSet::new(), None);
            let counts = read(format, &file, &Filter::default(), &mut |event| {
                assert_eq!(Event::parse(&event.to_json()).as_ref(), Ok(&event), "the wire takes it");
                assert!(seen.insert(event.id.clone()), "{} comes twice", event.id);
                last = Some(event.occurred_at);
            })
            .expect("readable");
            assert!(counts.human > 0 && last.is_some(), "{}", file.display());
            assert!(!counts.skipped.keys().any(|reason| reason.starts_with("unknown")), "{:?}", counts.skipped);
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Counts { read, events, human, agent, choices, commands, .. } = counts;
            note(&format!(
                "{name:<40} read {read:>5} events {events:>5} human {human:>5} agent {agent:>5} choices {choices} commands {commands}"
            ));
        }
    }
}

/// Says something in the test's output.
#[allow(clippy::print_stderr)]
fn note(text: &str) {
    eprintln!("{text}");
}

#[test]
fn a_compressed_rollout_is_read_like_the_plain_one_which_wins() {
    let home = tempfile::tempdir().expect("a folder");
    let (plain, packed) = (home.path().join("rollout-1.jsonl"), home.path().join("rollout-1.jsonl.zst"));
    let line = |kind: &str, payload: &str| {
        format!("{{\"timestamp\":\"2026-01-01T10:00:00Z\",\"type\":\"{kind}\",\"payload\":{payload}}}\n")
    };
    let text =
        line("session_meta", "{\"id\":\"t\"}") + &line("event_msg", "{\"type\":\"user_message\",\"message\":\"go\"}");
    fs::write(&plain, &text).expect("written");
    let from_plain = import(Format::Codex, &plain);
    fs::write(&packed, zstd::encode_all(text.as_bytes(), 3).expect("compressed")).expect("written");
    assert_eq!(transcripts(Format::Codex, home.path()).expect("readable"), std::slice::from_ref(&plain));
    fs::remove_file(&plain).expect("removed");
    assert_eq!(import(Format::Codex, home.path()), from_plain);
    assert_eq!(from_plain.1.human, 1);
}

/// A transcript of one prompt, typed in the project `/w/app` where the format knows projects: its place and its text.
fn in_app(format: Format) -> (&'static str, String) {
    let (at, cwd) = ("2026-01-01T10:00:00Z", "/w/app");
    let lines = |lines: &[Value]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    match format {
        Format::ClaudeCode => {
            let message = json!({"content": "go"});
            let said =
                json!({"type": "user", "uuid": "u", "sessionId": "s", "cwd": cwd, "timestamp": at, "message": message});
            ("t.jsonl", lines(&[said]))
        }
        Format::Codex => {
            let head = json!({"timestamp": at, "type": "session_meta", "payload": {"id": "t", "cwd": cwd}});
            let said = json!({"type": "user_message", "message": "go"});
            ("rollout-1.jsonl", lines(&[head, json!({"timestamp": at, "type": "event_msg", "payload": said})]))
        }
        Format::Aider => {
            let text = "# aider chat started at 2026-01-01 10:00:00\n\n#### go  \n\n";
            ("w/app/.aider.chat.history.md", text.to_owned())
        }
        Format::ChatGpt => {
            let content = json!({"content_type": "text", "parts": ["go"]});
            let said = json!({"id": "m", "author": {"role": "user"}, "create_time": 1.0, "content": content});
            ("conversations.json", lines(&[json!([{"id": "k", "mapping": {"m": {"message": said}}}])]))
        }
        Format::Gemini => {
            let said = json!({"id": "m", "type": "user", "timestamp": at, "content": "go"});
            ("session-1.json", lines(&[json!({"sessionId": "s", "directories": [cwd], "messages": [said]})]))
        }
        Format::OpenCode => {
            let parts = json!([{"id": "p", "type": "text", "text": "go"}]);
            let said = json!({"info": {"id": "m", "role": "user", "time": {"created": 1}}, "parts": parts});
            ("export.json", lines(&[json!({"info": {"id": "s", "directory": cwd}, "messages": [said]})]))
        }
        Format::Copilot => {
            let data = json!({"sessionId": "s", "context": {"cwd": cwd}});
            let head = json!({"type": "session.start", "id": "0", "timestamp": at, "data": data});
            let said = json!({"type": "user.message", "id": "1", "timestamp": at, "data": {"content": "go"}});
            ("events.jsonl", lines(&[head, said]))
        }
        Format::Specstory => ("w/app/.specstory/history/t.md", "_**User (2026-01-01T10:00:00Z)**_\n\ngo\n".to_owned()),
        Format::Turns => {
            let said = json!({"user": "u", "source_repo_hash": cwd, "session": "s", "turn": 0, "ts": at,
                              "agent": "x", "agent_prompt": "", "reply": "go", "kind": "reply"});
            ("t.jsonl", lines(&[said]))
        }
    }
}

#[test]
fn every_format_asks_which_projects_are_taken() {
    let home = tempfile::tempdir().expect("a folder");
    for format in Format::ALL {
        let (name, text) = in_app(format);
        let path = home.path().join(format.name()).join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(&path, text).expect("written");
        let read = |include: &[&str], exclude: &[&str]| {
            let parts = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
            let (mut events, filter) = (0, Filter { include: parts(include), exclude: parts(exclude) });
            let counts = read(format, &path, &filter, &mut |_| events += 1).expect("readable");
            (events, counts.skipped.contains_key("excluded project"))
        };
        assert_eq!(read(&[], &[]), (2, false), "{}: the session and its prompt", format.name());
        assert_eq!(read(&["another"], &[]), (0, true), "{}: another project alone", format.name());
        if format != Format::ChatGpt {
            assert_eq!(read(&["W/APP"], &[]), (2, false), "{}: this project alone", format.name());
            assert_eq!(read(&[], &["app"]), (0, true), "{}: all but this project", format.name());
        }
    }
}

/// A long option that was chosen, as each format that tells options writes it.
fn chosen_in(format: Format, label: &str) -> Option<String> {
    let (at, option) = ("2026-01-01T10:00:00Z", json!([{"label": label}]));
    let ask = json!({"questions": [{"id": "q", "question": "Which?", "options": option}]});
    let lines = |lines: &[Value]| Some(lines.iter().map(|line| format!("{line}\n")).collect());
    match format {
        Format::ClaudeCode => {
            let line = |id: &str, kind: &str, block: Value| json!({"type": kind, "uuid": id, "sessionId": "s", "timestamp": at, "message": {"content": [block]}});
            let used = json!({"type": "tool_use", "id": "t", "name": "AskUserQuestion", "input": ask});
            let mut done = line("v", "user", json!({"type": "tool_result", "tool_use_id": "t", "content": "ok"}));
            done["toolUseResult"] = json!({"answers": {"Which?": label}});
            lines(&[line("u", "assistant", used), done])
        }
        Format::Codex => {
            let line = |kind: &str, payload: Value| json!({"timestamp": at, "type": kind, "payload": payload});
            let call = json!({"type": "function_call", "call_id": "c", "name": "request_user_input", "arguments": ask.to_string()});
            let given = json!({"answers": {"q": {"answers": [label]}}}).to_string();
            let output = json!({"type": "function_call_output", "call_id": "c", "output": given});
            let head = line("session_meta", json!({"id": "t"}));
            lines(&[head, line("response_item", call), line("response_item", output)])
        }
        Format::OpenCode => {
            let state = json!({"input": ask, "metadata": {"answers": [[label]]}});
            let part = json!({"id": "p", "type": "tool", "tool": "question", "state": state});
            let said = json!({"info": {"id": "m", "role": "assistant", "time": {"created": 1}}, "parts": [part]});
            lines(&[json!({"info": {"id": "s"}, "messages": [said]})])
        }
        Format::Copilot => {
            let head = json!({"type": "session.start", "id": "0", "timestamp": at, "data": {"sessionId": "s"}});
            let given =
                json!({"responseKind": "user_input", "question": "Which?", "choices": [label], "answer": label});
            let data = json!({"actor": "human_response", "response": given});
            lines(&[head, json!({"type": "human_response.recorded", "id": "1", "timestamp": at, "data": data})])
        }
        Format::Aider | Format::ChatGpt | Format::Gemini | Format::Specstory | Format::Turns => None,
    }
}

#[test]
fn an_option_that_is_cut_was_chosen_all_the_same() {
    let home = tempfile::tempdir().expect("a folder");
    let label = "é".repeat(MAX_QUESTION_BYTES);
    for format in Format::ALL {
        let Some(text) = chosen_in(format, &label) else { continue };
        let path = home.path().join(format.name());
        fs::write(&path, text).expect("written");
        let mut choices = Vec::new();
        let mut out = |event: Event| {
            if let Body::AgentChoice(choice) = event.body {
                choices.push(choice);
            }
        };
        read(format, &path, &Filter::default(), &mut out).expect("readable");
        let [choice] = &choices[..] else { panic!("{}: {choices:?}", format.name()) };
        assert_eq!(choice.outcome, Outcome::Chosen, "{}", format.name());
        assert_eq!(choice.choice.as_ref(), choice.options.first(), "{}: as it stands there", format.name());
    }
}
