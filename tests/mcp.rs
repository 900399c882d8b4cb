//! MCP through the real binary, over stdio and over HTTP: every tool against a live daemon.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::support::{self, Daemon, Home, until};

/// The arguments of `initialize`.
fn hello(version: &str) -> Value {
    json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}})
}

struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    id: u64,
}

impl Client {
    fn start(home: &Home) -> Self {
        let mut child = home
            .command()
            .arg("mcp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output, id: 0 }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.id += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params});
        writeln!(self.input.as_mut().unwrap(), "{request}").unwrap();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server ended");
            let answer: Value = serde_json::from_str(&line).unwrap();
            if answer["id"] == self.id {
                return answer;
            }
        }
    }

    fn tool(&mut self, name: &str, arguments: Value) -> (bool, Value) {
        let answer = self.ask("tools/call", json!({"name": name, "arguments": arguments}));
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
        (result["isError"] == true, serde_json::from_str(text).unwrap())
    }

    /// The server ends when its input does.
    fn end(mut self) {
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn the_tools_do_what_they_say_over_stdio() {
    let home = Home::new();
    let daemon = home.start();
    let mut client = Client::start(&home);
    let answer = client.ask("initialize", hello("2024-11-05"));
    assert_eq!(answer["result"]["serverInfo"]["name"], "clone");
    assert_eq!(answer["result"]["protocolVersion"], "2024-11-05");
    let tools = client.ask("tools/list", json!({}));
    let tools = tools["result"]["tools"].as_array().unwrap();
    let mut names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "get_prediction",
            "get_user_context",
            "list_predictions",
            "predict_continuation",
            "predict_next_prompt",
            "record_agent_prompt",
            "record_agent_response",
            "record_event",
            "search_memory",
            "start_session",
            "stop_session",
            "submit_feedback",
            "why",
        ]
    );
    assert!(
        tools.iter().all(|tool| tool["inputSchema"]["type"] == "object" && tool["outputSchema"]["type"] == "object")
    );
    let (_, session) = client.tool("start_session", json!({"source": "integration", "source_detail": "clone:loop"}));
    let session = session["session_id"].as_str().unwrap().to_owned();
    let record =
        json!({"session_id": session, "agent": "Loop", "prompt": "build it", "source": "user", "source_detail": "x"});
    let (failed, recorded) = client.tool("record_agent_prompt", record);
    assert!(!failed && recorded["event_id"].is_string(), "{recorded}");
    let said = json!({
        "session_id": session, "agent": "Loop", "response": "Built. Next?", "in_response_to": recorded["event_id"],
        "source": "tool-use",
    });
    assert!(!client.tool("record_agent_response", said).0);
    let question =
        json!({"agent": "Loop", "agent_input": "Built. Next?", "k": 3, "threshold": 0.6, "session_id": session});
    let (_, answer) = client.tool("predict_next_prompt", question);
    assert_eq!((&answer["threshold"], &answer["status"]), (&json!(0.6), &json!("escalated")));
    let (_, go_on) =
        client.tool("predict_continuation", json!({"agent": "Loop", "agent_input": "Built.", "threshold": 0.6}));
    assert!(go_on["should_continue"].is_boolean());
    let verdict = json!({"prediction_id": answer["id"], "status": "rejected"});
    assert!(!client.tool("submit_feedback", verdict).0);
    let (failed, error) = client.tool("submit_feedback", json!({"prediction_id": answer["id"], "status": "edited"}));
    assert!(failed && error["error"].is_string(), "{error}");
    assert!(!client.tool("stop_session", json!({"session_id": session})).0);
    client.end();
    daemon.sync();
    let events = daemon.get(&format!("/api/recording/sessions/{session}/events/")).body;
    let kinds: Vec<&str> = events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["session.started", "agent.prompt", "agent.response", "session.stopped"]);
    assert_eq!(
        daemon.get("/api/monitoring/status/").body["counts"]["reply_pairs"],
        0,
        "nobody says that a human typed it"
    );
}

#[test]
fn what_is_remembered_comes_back_fenced_and_cited() {
    let (home, daemon) = support::imported();
    let mut client = Client::start(&home);
    client.ask("initialize", hello("2025-11-25"));
    let (failed, found) = client.tool("search_memory", json!({"query": "run tests", "limit": 5}));
    assert!(!failed && !found["results"].as_array().unwrap().is_empty(), "{found}");
    let mark = found["fence"].as_str().unwrap();
    let snippet = found["results"][0]["snippet"].as_str().unwrap();
    assert!(snippet.starts_with(&format!("<{mark}>")) && snippet.ends_with(&format!("</{mark}>")), "{snippet}");
    let (_, bundle) = client.tool("get_user_context", json!({"max_facts": 3, "recency_minutes": 10080}));
    let fact = bundle["facts"][0]["id"].as_str().expect("the sample has facts").to_owned();
    let (_, receipts) = client.tool("why", json!({"id": fact}));
    assert!(receipts["events"][0]["at"]["segment"].is_string(), "{receipts}");
    let (_, asked) =
        client.tool("predict_next_prompt", json!({"agent": "A", "agent_input": "All tests pass. Commit?"}));
    let id = asked["id"].as_str().unwrap();
    assert_eq!(client.tool("get_prediction", json!({"prediction_id": id})).1["id"], asked["id"]);
    let (_, listed) = client.tool("list_predictions", json!({"limit": 1}));
    assert_eq!(listed["predictions"][0]["id"], asked["id"]);
    assert!(client.tool("get_prediction", json!({"prediction_id": "nobody"})).0);
    let event = json!({"type": "app.focused", "app": "Editor", "window_title": null, "source": "desktop"});
    let (_, recorded) = client.tool("record_event", event);
    let path = format!("/api/recording/events/{}/", recorded["event_id"].as_str().unwrap());
    // Focus is bulk: it is queued, not waited for.
    until(|| (daemon.get(&path).body["app"] == "Editor").then_some(())).expect("the event is recorded");
    client.end();
}

/// The id of the daemon that answers in this home, where one does.
fn running(home: &Home) -> Option<u64> {
    let output = home.run(&["status"]);
    serde_json::from_slice::<Value>(&output.stdout).ok()?["pid"].as_u64()
}

#[test]
fn the_shim_starts_the_daemon_that_it_misses_and_only_once() {
    let home = Home::new();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::start(&home)).collect();
    for client in &mut clients {
        client.ask("initialize", hello("2025-06-18"));
        client.id += 1;
        let call = json!({"jsonrpc": "2.0", "id": client.id, "method": "tools/call",
            "params": {"name": "start_session", "arguments": {}}});
        writeln!(client.input.as_mut().unwrap(), "{call}").unwrap();
    }
    for client in &mut clients {
        let mut line = String::new();
        client.output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }
    let pid = running(&home).expect("a daemon runs");
    clients.into_iter().for_each(Client::end);
    assert_eq!(running(&home), Some(pid), "it outlives those who started it");
    assert!(std::process::Command::new("kill").arg(pid.to_string()).status().unwrap().success());
    until(|| running(&home).is_none().then_some(())).expect("it ends");
}

#[test]
fn the_shim_dies_with_its_parent_even_where_its_input_stays_open() {
    let home = Home::new();
    let mut shell = home.command();
    let program = shell.get_program().to_owned();
    let mut parent = std::process::Command::new("/bin/sh");
    parent.args(["-c", "exec 3<&0; \"$0\" mcp <&3 & echo $!; wait"]).arg(program);
    parent.env_clear().envs(shell.env("X", "1").get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut parent = parent.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = parent.stdin.take().unwrap();
    let mut output = BufReader::new(parent.stdout.take().unwrap());
    let mut shim = String::new();
    output.read_line(&mut shim).unwrap();
    writeln!(input, "{}", json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello("2025-06-18")}))
        .unwrap();
    assert!(output.read_line(&mut String::new()).unwrap() > 0, "the shim is up");
    parent.kill().unwrap();
    parent.wait().unwrap();
    let stat = format!("/proc/{}/stat", shim.trim());
    // Gone, or a zombie where nobody reaps orphans.
    let ended = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    until(|| ended().then_some(())).expect("the shim ends");
    drop(input);
}

/// MCP over HTTP, as one client with one key.
struct Http {
    port: u16,
    key: String,
    headers: Vec<(String, String)>,
}

impl Http {
    fn new(home: &Home, daemon: &Daemon, scope: &str) -> Self {
        let key =
            home.json(&["keys", "create", "--label", "mcp", "--scope", scope])["key"].as_str().unwrap().to_owned();
        Self { port: daemon.port(), key, headers: Vec::new() }
    }

    fn post(&self, body: &Value) -> support::Answer {
        let mut headers = vec![("Accept", "application/json, text/event-stream"), ("X-Clone-API-Key", &self.key)];
        headers.extend(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let host = format!("127.0.0.1:{}", self.port);
        support::talk(stream, "POST", "/mcp", &host, &headers, Some(&body.to_string())).unwrap()
    }

    fn tool(&self, name: &str, arguments: &Value) -> (bool, Value) {
        let params = json!({"name": name, "arguments": arguments});
        let answer = self.post(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}));
        let text = answer.body["result"]["content"][0]["text"].as_str();
        let text = text.unwrap_or_else(|| panic!("{} {}", answer.status, answer.body));
        (answer.body["result"]["isError"] == true, serde_json::from_str(text).unwrap())
    }

    /// The session id that `initialize` gives.
    fn initialize(&self) -> String {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello("2024-11-05")});
        let answer = self.post(&request);
        assert_eq!(answer.body["result"]["protocolVersion"], "2024-11-05", "{}", answer.body);
        let named = answer.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        named.expect("a session id").trim().to_owned()
    }
}

#[test]
fn a_session_of_http_outlives_a_restart_and_waits_for_nothing() {
    let home = Home::new();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0")]);
    let mut client = Http::new(&home, &daemon, "write");
    let session = client.initialize();
    client.headers.push(("mcp-session-id".to_owned(), session));
    let (failed, opened) =
        client.tool("start_session", &json!({"source": "integration", "source_detail": "clone:loop"}));
    assert!(!failed, "no `notifications/initialized` was sent: {opened}");
    daemon.stop();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0")]);
    client.port = daemon.port();
    let said = json!({"session_id": opened["session_id"], "agent": "A", "prompt": "go on"});
    let (failed, answer) = client.tool("record_agent_prompt", &said);
    assert!(!failed, "the id of before the restart is good: {answer}");
}

#[test]
fn http_checks_host_origin_key_and_the_scope_of_each_tool() {
    let home = Home::new();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0")]);
    let mut client = Http::new(&home, &daemon, "read");
    let (failed, answer) = client.tool("start_session", &json!({}));
    assert!(failed && answer["error"].as_str().unwrap().contains("scope"), "{answer}");
    assert!(client.tool("predict_next_prompt", &json!({"agent": "A", "agent_input": "b"})).0);
    assert!(!client.tool("search_memory", &json!({"query": "x"})).0);
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    for (name, value, status) in [
        ("Origin", "http://evil.test", 403),
        ("Origin", "null", 403),
        ("Sec-Fetch-Site", "cross-site", 403),
        ("Origin", &format!("http://127.0.0.1:{}", client.port), 200),
    ] {
        client.headers = vec![(name.to_owned(), value.to_owned())];
        assert_eq!(client.post(&ping).status, status, "{name}: {value}");
    }
    client.headers.clear();
    let key = std::mem::replace(&mut client.key, "clone_wrong".to_owned());
    assert_eq!(client.post(&ping).status, 401);
    let get = |path: &str, host: &str| {
        let stream = std::net::TcpStream::connect(("127.0.0.1", client.port)).unwrap();
        support::talk(stream, "GET", path, host, &[("X-Clone-API-Key", &key)], None).unwrap()
    };
    let own = format!("127.0.0.1:{}", client.port);
    assert_eq!(get("/mcp", &own).status, 405, "no stream from the server");
    assert_eq!(get("/mcp", "evil.test").status, 403);
    let card = get("/.well-known/mcp/server-card.json", &own);
    assert_eq!((card.status, card.body["tools"].as_array().map(Vec::len)), (200, Some(13)));
}
