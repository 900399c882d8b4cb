//! MCP over stdio through the real binary: the seven tools against a live daemon.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::support::Home;

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
fn the_seven_tools_do_what_they_say() {
    let home = Home::new();
    let daemon = home.start();
    let mut client = Client::start(&home);
    let hello =
        json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let answer = client.ask("initialize", hello);
    assert_eq!(answer["result"]["serverInfo"]["name"], "clone");
    assert_eq!(answer["result"]["protocolVersion"], "2024-11-05");
    let tools = client.ask("tools/list", json!({}));
    let tools = tools["result"]["tools"].as_array().unwrap();
    let mut names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "predict_continuation",
            "predict_next_prompt",
            "record_agent_prompt",
            "record_agent_response",
            "start_session",
            "stop_session",
            "submit_feedback",
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
