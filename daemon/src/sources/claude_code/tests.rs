//! Whole files in, events out.

use std::io::BufReader;

use clone_schema::event::{Choice, ChoiceKind, Outcome};
use clone_schema::{Event, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::sources::{Counts, Filter, Format};

fn import(text: &[u8], filter: &Filter) -> (Vec<Event>, Counts) {
    let mut events = Vec::new();
    let mut out = |event| events.push(event);
    let mut tally = Tally { format: Format::ClaudeCode, filter, out: &mut out, counts: Counts::default() };
    read(&mut BufReader::new(text), false, &mut tally).expect("memory reads");
    let counts = tally.counts;
    (events, counts)
}

/// Lines with the fields that every record has, a minute apart.
fn lines(records: &[Value]) -> String {
    let mut text = String::new();
    for (n, record) in records.iter().enumerate() {
        let mut line = json!({"sessionId": "s", "cwd": "/w/app", "timestamp": format!("2026-09-07T08:{n:02}:00.000Z")});
        line["uuid"] = json!(format!("u{n}"));
        let (Some(line), Some(record)) = (line.as_object_mut(), record.as_object()) else { unreachable!() };
        line.extend(record.clone());
        text.push_str(&format!("{}\n", serde_json::to_string(line).expect("JSON")));
    }
    text
}

fn run(records: &[Value]) -> (Vec<Event>, Counts) {
    import(lines(records).as_bytes(), &Filter::default())
}

fn user(content: impl Into<Value>) -> Value {
    json!({"type": "user", "message": {"role": "user", "content": content.into()}})
}

fn agent(text: &str) -> Value {
    json!({"type": "assistant", "message": {"id": "m", "content": [{"type": "text", "text": text}]}})
}

fn tool(id: &str, name: &str, input: Value) -> Value {
    let block = json!({"type": "tool_use", "id": id, "name": name, "input": input});
    json!({"type": "assistant", "message": {"id": "m", "content": [block]}})
}

fn result(id: &str, content: &str, error: bool, details: Value) -> Value {
    let block = json!({"type": "tool_result", "tool_use_id": id, "content": content, "is_error": error});
    json!({"type": "user", "message": {"content": [block]}, "toolUseResult": details})
}

fn queue(operation: &str, content: &str) -> Value {
    json!({"type": "queue-operation", "operation": operation, "content": content, "uuid": null, "cwd": null})
}

fn attachment(prompt: &str, mode: &str) -> Value {
    json!({"type": "attachment", "attachment": {"type": "queued_command", "prompt": prompt, "commandMode": mode}})
}

/// What an event says, short.
fn brief(event: &Event) -> String {
    match &event.body {
        Body::AgentPrompt { prompt, .. } if event.origin() == Origin::Typed => format!("> {prompt}"),
        Body::AgentPrompt { prompt, .. } => format!("? {prompt}"),
        Body::AgentResponse { response, .. } => format!("< {response}"),
        Body::TerminalCommand { command, .. } => format!("$ {command}"),
        Body::AgentChoice(choice) => format!("{:?} {:?} {:?}", choice.kind, choice.outcome, choice.choice),
        _ => event.topic().to_owned(),
    }
}

fn briefs(records: &[Value]) -> Vec<String> {
    run(records).0.iter().map(brief).collect()
}

const NO: &str = "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file \
                  edit, the new_string was NOT written to the file). ";

#[test]
fn a_prompt_and_its_answer_in_full() {
    let (events, counts) = run(&[json!({"type": "progress"}), user("fix it"), agent("Done."), user("thanks")]);
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["claude-code:s:start", "claude-code:u1", "claude-code:u2", "claude-code:u3"]);
    let prompt = &events[1];
    assert_eq!((prompt.session_id.as_str(), prompt.source), ("claude-code:s", Source::Agent));
    assert_eq!(prompt.occurred_at.to_string(), "2026-09-07T08:01:00Z");
    assert_eq!(prompt.source_detail.as_deref(), Some("claude-code"));
    let meta = prompt.meta.as_ref().expect("meta");
    assert_eq!(meta.origin, Some(Origin::Typed));
    assert_eq!((meta.cwd.as_deref(), meta.import_key.as_deref()), (Some("/w/app"), Some("u1")));
    let Body::AgentResponse { agent, in_response_to, .. } = &events[2].body else { panic!("{:?}", events[2]) };
    assert_eq!((agent.as_str(), in_response_to.as_deref()), ("Claude Code", Some("claude-code:u1")));
    assert_eq!((counts.read, counts.events, counts.human, counts.agent), (4, 4, 2, 1));
    for event in &events {
        assert_eq!(Event::parse(&event.to_json()).as_ref(), Ok(event), "the wire takes it");
    }
}

#[test]
fn records_in_which_nobody_speaks_are_counted() {
    let table = [
        (json!({"type": "summary"}), "summary"),
        (json!({"type": "oracle"}), "unknown kind: oracle"),
        (json!({}), "unknown kind: "),
        (json!({"type": 7}), "unexpected shape"),
        (json!({"type": "user", "timestamp": null}), "no timestamp"),
        (json!({"type": "user", "timestamp": "yesterday"}), "no timestamp"),
        (json!({"type": "user", "sessionId": null}), "no session"),
        (json!({"type": "user", "uuid": null}), "no id"),
        (json!({"type": "user"}), "no text"),
        (user(json!([{"type": "image", "source": {}}])), "no text"),
        (user("Stop hook feedback: a"), "injected: hook"),
        (json!({"type": "user", "isMeta": true, "message": {"content": "a"}}), "meta"),
        (json!({"type": "user", "isSidechain": true, "message": {"content": "a"}}), "sub-agent"),
        (json!({"type": "assistant", "isSidechain": true, "message": {"content": []}}), "sub-agent"),
        (json!({"type": "assistant"}), "no message"),
        (json!({"type": "assistant", "message": {"model": "<synthetic>", "content": []}}), "not the model"),
        (json!({"type": "assistant", "isApiErrorMessage": true, "message": {}}), "not the model"),
        (json!({"type": "assistant", "message": {"content": [{"type": "thinking"}]}}), "thinking"),
        (agent("\n\n"), "empty answer"),
        (tool("t", "Bash", json!({"command": "ls"})), "tool use"),
        (result("t", "ok", false, json!({})), "tool result"),
        (result("t", "no such file", true, json!("Error: no such file")), "tool result"),
        (json!({"type": "attachment", "attachment": {"type": "file"}}), "attachment"),
        (json!({"type": "attachment"}), "unexpected shape"),
        (attachment("a", "task-notification"), "injected: task notification"),
        (queue("enqueue", "still here"), "still queued"),
        (queue("enqueue", "{\"task_id\":\"b\"}"), "injected: task notification"),
        (queue("dequeue", ""), "queue-operation"),
    ];
    for (record, reason) in table {
        let (events, counts) = run(std::slice::from_ref(&record));
        assert_eq!(events, [], "{record}");
        assert_eq!(counts.skipped, [(reason.to_owned(), 1)].into(), "{record}");
    }
}

#[test]
fn what_is_wrong_with_lines_is_counted() {
    let good = lines(&[user("a")]);
    let table: &[(&str, &str)] = &[("{bad\n", "bad JSON"), ("\n", "empty line"), ("{\"type\":\"us", "unfinished line")];
    for (line, reason) in table {
        let (events, counts) = import(format!("{good}{line}").as_bytes(), &Filter::default());
        assert_eq!((events.len(), counts.skipped.get(*reason)), (2, Some(&1)), "{line:?}");
    }
    let (events, counts) = import(good.trim_end().as_bytes(), &Filter::default());
    assert_eq!((events.len(), counts.skipped.len()), (2, 0), "a last line that is whole counts");
}

#[test]
fn projects_are_filtered_by_the_working_directory() {
    let filter = |include: &[&str], exclude: &[&str]| Filter {
        include: include.iter().map(|s| (*s).to_owned()).collect(),
        exclude: exclude.iter().map(|s| (*s).to_owned()).collect(),
    };
    let text = lines(&[user("a")]);
    let table = [
        (filter(&[], &[]), true),
        (filter(&["APP"], &[]), true),
        (filter(&["other"], &[]), false),
        (filter(&[], &["/W/"]), false),
        (filter(&["app"], &["app"]), false),
    ];
    for (filter, taken) in table {
        let (events, counts) = import(text.as_bytes(), &filter);
        assert_eq!(events.len(), if taken { 2 } else { 0 }, "{filter:?}");
        assert_eq!(counts.skipped.contains_key("excluded project"), !taken);
    }
}

#[test]
fn a_queued_prompt_belongs_to_the_project_in_which_it_was_typed() {
    let mut moved = agent("secret");
    moved["cwd"] = json!("/w/secret");
    let records = [agent("I work."), queue("enqueue", "and the docs"), queue("dequeue", ""), moved];
    let filter = Filter { exclude: vec!["secret".to_owned()], ..Filter::default() };
    let (events, _) = import(lines(&records).as_bytes(), &filter);
    assert_eq!(events.iter().map(brief).next_back().as_deref(), Some("> and the docs"));
    for event in events {
        assert_eq!(event.meta.and_then(|meta| meta.cwd).as_deref(), Some("/w/app"));
    }
}

#[test]
fn commands_shell_and_scripts() {
    let typed = |text: &str| user(text);
    let records = [
        typed("<command-name>/clear</command-name><command-args></command-args>"),
        typed("<bash-input>ls</bash-input>"),
        typed("Implement the following plan:\n1. a"),
        json!({"type": "user", "promptSource": "suggestion_accepted", "message": {"content": "run it"}}),
        typed("/etc/hosts is wrong"),
    ];
    let (events, counts) = run(&records);
    let found: Vec<String> = events.iter().map(brief).collect();
    let expected = [
        "session.started",
        "> /clear",
        "$ ls",
        "? Implement the following plan:\n1. a",
        "? run it",
        "> /etc/hosts is wrong",
    ];
    assert_eq!(found, expected);
    assert_eq!((counts.human, counts.commands), (3, 2));
}

#[test]
fn a_queued_prompt_comes_once() {
    let (a, go) = (agent("A"), || user("go"));
    let expected: &[(&[Value], &[&str])] = &[
        (&[queue("enqueue", "go"), queue("dequeue", ""), go(), a.clone()], &["> go", "< A"]),
        (&[queue("enqueue", "go"), queue("remove", ""), a.clone()], &["> go", "< A"]),
        (&[queue("enqueue", "go"), queue("remove", "")], &["> go"]),
        (&[queue("enqueue", "go"), queue("remove", ""), a.clone(), go()], &["> go", "< A"]),
        (&[queue("enqueue", "go"), queue("remove", ""), attachment("go", "prompt"), a.clone()], &["> go", "< A"]),
        (&[queue("enqueue", "go"), attachment("go", "prompt"), queue("remove", ""), a.clone()], &["> go", "< A"]),
        (&[attachment("go", "prompt"), a.clone(), go()], &["> go", "< A"]),
        (&[queue("enqueue", "go"), queue("popAll", ""), user("go on"), a.clone()], &["> go on", "< A"]),
        (&[go(), a.clone(), go()], &["> go", "< A", "> go"]),
        (&[attachment("ls", "bash"), a.clone()], &["$ ls", "< A"]),
        // A notice that has its own record leaves the queue with it, so that the next prompt is not lost.
        (
            &[
                queue("enqueue", "<task-notification>b</task-notification>"),
                user("<task-notification>b</task-notification>"),
                queue("enqueue", "go"),
                queue("remove", ""),
                a.clone(),
            ],
            &["> go", "< A"],
        ),
    ];
    for (records, expected) in expected {
        let found = briefs(records);
        assert_eq!(found.first().map(String::as_str), Some("session.started"), "{records:?}");
        assert_eq!(&found[1..], *expected, "{records:?}");
    }
}

#[test]
fn what_a_record_says_of_a_queued_text_holds_for_the_text() {
    let said = |key: &str, value: &str| {
        let mut record = user("go");
        record[key] = value.into();
        record
    };
    let mut meta = user("go");
    meta["isMeta"] = json!(true);
    let mut notice = attachment("go", "prompt");
    notice["attachment"]["origin"] = json!({"kind": "task-notification"});
    let records = [said("promptSource", "sdk"), said("promptSource", "system"), meta, notice];
    for record in records.into_iter().chain([attachment("go", "task-notification")]) {
        let found = briefs(&[queue("enqueue", "go"), queue("dequeue", ""), record.clone(), agent("A")]);
        assert_eq!(found, ["session.started", "< A"], "{record}");
    }
    // A sub-agent that is told the same is not what came of the queue.
    let side = json!({"type": "user", "isSidechain": true, "message": {"content": "go"}});
    let found = briefs(&[queue("enqueue", "go"), queue("dequeue", ""), side, agent("A")]);
    assert_eq!(found, ["session.started", "> go", "< A"]);
}

#[test]
fn in_a_session_that_a_program_drives_nobody_acts() {
    let driven = |mut record: Value| {
        record["entrypoint"] = json!("sdk-cli");
        record
    };
    let records = [
        queue("enqueue", "/review all"),
        queue("dequeue", ""),
        driven(user("<command-name>/review</command-name><command-args>all</command-args>")),
        driven(tool("t", "Bash", json!({"command": "make"}))),
        driven(result("t", NO, true, json!("Error: no"))),
        driven(agent("A")),
        driven(user("[Request interrupted by user]")),
    ];
    let (events, counts) = run(&records);
    assert_eq!(events.iter().map(brief).collect::<Vec<_>>(), ["session.started", "< A"]);
    assert_eq!((counts.human, counts.choices, counts.skipped["machine-driven"]), (0, 0, 4));
    // Taken up again at a terminal, it is the person's.
    let mut taken_up = user("go on");
    taken_up["entrypoint"] = json!("cli");
    let found = briefs(&[driven(user("brief")), driven(agent("A")), taken_up, user("[Request interrupted by user]")]);
    assert_eq!(found[1..], ["< A", "> go on", "Permission Interrupted None"]);
}

#[test]
fn a_command_that_newer_versions_keep_as_the_tools_own_record_was_typed() {
    let local = |content: &str| json!({"type": "system", "subtype": "local_command", "content": content});
    let ask = json!({"questions": [{"question": "Q?", "options": [{"label": "A"}]}]});
    let records = [
        agent("Ask."),
        tool("t", "AskUserQuestion", ask),
        local(
            "<command-name>/model</command-name>\n<command-message>model</command-message>\n<command-args>a</command-args>",
        ),
        local("<local-command-stdout>Set model to a</local-command-stdout>"),
        json!({"type": "system", "subtype": "turn_duration"}),
        result("t", "User has answered", false, json!({"answers": {"Q?": "A"}})),
    ];
    let (events, counts) = run(&records);
    let found: Vec<String> = events.iter().map(brief).collect();
    assert_eq!(found, ["session.started", "< Ask.", "> /model a", "Question Chosen Some(\"A\")"]);
    assert_eq!((counts.commands, counts.skipped["system"]), (1, 2));
}

#[test]
fn choices_of_every_kind() {
    let ask =
        json!({"questions": [{"question": "Q?", "options": [{"label": "A"}, {"label": "B"}], "multiSelect": true}]});
    let question = || tool("t", "AskUserQuestion", ask.clone());
    let plan = || tool("t", "ExitPlanMode", json!({"plan": "# P"}));
    let bash = || tool("t", "Bash", json!({"command": "rm x"}));
    let answers = |text: &str| result("t", "User has answered", false, json!({"answers": {"Q?": text}}));
    let no = |reason: &str| result("t", &format!("{NO}{reason}"), true, json!("Error: no"));
    let stop = || user(json!([{"type": "text", "text": "[Request interrupted by user for tool use]"}]));
    let told = "To tell you how to proceed, the user said:\nuse B";
    let noted = format!("{told}\n\nNote: The user's next message may contain a correction.");
    let clarify = "To tell you how to proceed, the user said:\nThe user wants to clarify these questions.";
    let both = |content: &str| {
        let result = json!({"type": "tool_result", "tool_use_id": "t", "content": content, "is_error": true});
        user(json!([result, {"type": "text", "text": "[Request interrupted by user for tool use]"}]))
    };
    let table: Vec<(Vec<Value>, &[&str])> = vec![
        (vec![bash(), both(NO)], &["Permission Rejected None"]),
        (vec![bash(), both("cancelled")], &["Permission Interrupted None"]),
        (vec![question(), answers("A")], &["Question Chosen Some(\"A\")"]),
        (vec![question(), answers("A, B")], &["Question Chosen Some(\"A, B\")"]),
        (vec![question(), answers("neither")], &["Question Other Some(\"neither\")"]),
        (
            vec![question(), result("t", "answered: \"Q?\"=\"B\". Go", false, json!({}))],
            &["Question Chosen Some(\"B\")"],
        ),
        (vec![question(), no(clarify)], &["Question Rejected None"]),
        (vec![question(), no(told)], &["Question Rejected Some(\"use B\")"]),
        (
            vec![plan(), result("t", "User has approved your plan.", false, json!({}))],
            &["Plan Chosen Some(\"approve\")"],
        ),
        (vec![plan(), no(told)], &["Plan Rejected Some(\"use B\")"]),
        (vec![bash(), no(&noted)], &["Permission Rejected Some(\"use B\")"]),
        (vec![bash(), no(""), stop()], &["Permission Rejected None"]),
        (vec![bash(), result("t", "x", true, json!("User rejected tool use"))], &["Permission Rejected None"]),
        (vec![bash(), stop()], &["Permission Interrupted None"]),
        (vec![plan(), stop()], &["Plan Interrupted None"]),
        (vec![bash(), result("t", "ok", false, json!({})), stop()], &["Permission Interrupted None"]),
    ];
    for (records, expected) in table {
        let found = briefs(&records);
        assert_eq!(found[1..], *expected, "{records:?}");
    }
}

#[test]
fn what_a_choice_was_about() {
    let (events, _) = run(&[
        agent("I remove it."),
        tool("t", "Bash", json!({"command": "rm x"})),
        result("t", &format!("{NO}STOP"), true, json!("Error: no")),
        agent("Then not."),
        user("[Request interrupted by user]"),
        tool("t", "Bash", json!({"command": "make"})),
        result("t", "The user doesn't want to take this action right now. STOP", true, json!("Error: stop")),
        user("[Request interrupted by user for tool use]"),
        tool("t", "Bash", json!({"command": "lost"})),
        user("try again"),
        user("[Request interrupted by user]"),
    ]);
    let choices: Vec<&Choice> = events
        .iter()
        .filter_map(|event| if let Body::AgentChoice(choice) = &event.body { Some(choice) } else { None })
        .collect();
    assert_eq!((choices[0].question.as_str(), choices[0].kind), ("Bash: rm x", ChoiceKind::Permission));
    assert_eq!(choices[0].in_response_to.as_deref(), Some("claude-code:u0"));
    assert_eq!((choices[1].question.as_str(), choices[1].outcome), ("Then not.", Outcome::Interrupted));
    assert_eq!(choices[1].in_response_to.as_deref(), Some("claude-code:u3"));
    assert_eq!(choices[2].question, "Bash: make", "cut off in a tool");
    let last = choices[3];
    assert_eq!((last.question.as_str(), &last.in_response_to), ("", &None), "nothing was said since the prompt");
    assert!(events.iter().skip(1).all(|event| event.meta.as_ref().is_some_and(|meta| meta.origin.is_some())));
}

#[test]
fn sub_agents_files_say_nothing() {
    let table = [("a/agent-1.jsonl", true), ("s/subagents/x.jsonl", true), ("a/s.jsonl", false)];
    for (path, expected) in table {
        assert_eq!(is_sub_agent(Path::new(path)), expected, "{path}");
    }
}

#[test]
fn limits_hold_over_their_edge() {
    let mut records: Vec<Value> = (0..choice::MAX_TOOLS + 1).map(|n| tool(&n.to_string(), "Bash", json!({}))).collect();
    records.iter_mut().for_each(|record| record["timestamp"] = json!("2026-09-07T08:00:00Z"));
    let mut late = result("0", NO, true, json!("User rejected"));
    late["timestamp"] = json!("2026-09-07T08:00:00Z");
    records.push(late);
    let (events, _) = run(&records);
    let Body::AgentChoice(choice) = &events[1].body else { panic!("{:?}", events[1]) };
    assert_eq!(choice.question, "", "the oldest tool was forgotten, the refusal was not");

    let many: Vec<Value> = (0..crate::sources::MAX_REASONS + 5).map(|n| json!({"type": format!("k{n}")})).collect();
    let (_, counts) = run(&many);
    assert_eq!(counts.skipped.len(), crate::sources::MAX_REASONS + 1);
    assert_eq!(counts.skipped["other"], 5);

    let long = "é".repeat(crate::sources::MAX_TEXT_BYTES);
    let (events, _) = run(&[user(long)]);
    let Body::AgentPrompt { prompt, .. } = &events[1].body else { panic!("{:?}", events[1]) };
    assert_eq!(prompt.len(), crate::sources::MAX_TEXT_BYTES);
}

fn whole() -> String {
    lines(&[
        user("fix it"),
        agent("Shall I? é"),
        tool("t", "AskUserQuestion", json!({"questions": [{"question": "Q", "options": [{"label": "A"}]}]})),
        result("t", "x", false, json!({"answers": {"Q": "A"}})),
        queue("enqueue", "go"),
        attachment("go", "prompt"),
        user(json!([{"type": "text", "text": "[Request interrupted by user]"}])),
    ])
}

#[test]
fn a_file_cut_at_any_byte_gives_the_events_before_the_cut() {
    let text = whole();
    let (all, _) = import(text.as_bytes(), &Filter::default());
    for cut in 0..text.len() {
        let (events, counts) = import(&text.as_bytes()[..cut], &Filter::default());
        assert!(events.len() <= all.len() && events == all[..events.len()], "cut at {cut}");
        assert_eq!(
            counts.read as usize,
            text.as_bytes()[..cut].split(|b| *b == b'\n').filter(|l| !l.is_empty()).count()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn no_line_breaks_the_reader(junk in prop::collection::vec("\\PC{0,40}|\\{\"type\":\"user\",\\PC{0,30}\\}", 0..6)) {
        let text = format!("{}\n{}", junk.join("\n"), whole());
        let (events, counts) = import(text.as_bytes(), &Filter::default());
        prop_assert_eq!(counts.events as usize, events.len());
    }

    #[test]
    fn any_shape_of_message_is_survived(content in shape(), details in shape(), kind in "user|assistant|attachment|queue-operation") {
        let record = json!({"type": kind, "operation": "enqueue", "message": {"content": content.clone()},
                            "toolUseResult": details, "attachment": content.clone(), "content": content});
        let (_, counts) = run(&[tool("t", "AskUserQuestion", json!({"questions": [{"question": "Q"}]})), record]);
        prop_assert_eq!(counts.read, 2);
    }
}

fn shape() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec!["text", "tool_result", "t", NO, "<command-name>/x", "é"]).prop_map(Value::from),
    ];
    let key =
        prop::sample::select(vec!["type", "text", "tool_use_id", "content", "is_error", "answers", "prompt", "Q"]);
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
