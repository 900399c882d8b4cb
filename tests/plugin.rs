//! The requests that the public loop plugin sends, as it sends them: same headers, same arguments, same lack of manners.
//!
//! It never sends `notifications/initialized`, always uses the JSON-RPC id 1, keeps its MCP session id in a file for hours,
//! sends `source` values outside the enum, a document as `agent_input`, and verdicts that no person gave.

use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{Answer, Home, talk};

/// One process of the plugin: it knows a URL, a token and what its state file says.
struct Plugin {
    port: u16,
    token: String,
    session: String,
}

impl Plugin {
    fn rpc(&mut self, method: &str, params: Value) -> Value {
        let answer = self.send(method, params);
        assert!(answer.status < 400, "any failure is thrown: {} {}", answer.status, answer.body);
        assert!(answer.body["error"].is_null(), "{}", answer.body);
        let given = answer.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        if let Some(id) = given {
            self.session = id.trim().to_owned();
        }
        answer.body
    }

    fn send(&self, method: &str, params: Value) -> Answer {
        let mut headers = vec![
            ("Accept", "application/json, text/event-stream"),
            ("X-Clone-API-Key", self.token.as_str()),
            ("accept-language", "*"),
            ("sec-fetch-mode", "cors"),
            ("user-agent", "node"),
        ];
        if !self.session.is_empty() {
            headers.push(("mcp-session-id", &self.session));
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        talk(stream, "POST", "/mcp", &format!("127.0.0.1:{}", self.port), &headers, Some(&body)).unwrap()
    }

    /// What the plugin reads of a tool: the first content, parsed.
    fn tool(&mut self, name: &str, arguments: Value) -> Value {
        let reply = self.rpc("tools/call", json!({"name": name, "arguments": arguments}));
        assert_eq!(reply["result"]["content"][0]["type"], "text", "{reply}");
        serde_json::from_str(reply["result"]["content"][0]["text"].as_str().unwrap()).unwrap()
    }
}

fn document(said: &str) -> String {
    format!(
        "Original Clone Loop prompt: build the parser\nIteration: 2 / threshold: 0.6\n\
         === Conversation history (most recent 20 user turns) ===\n### user (clone-prediction)\ngo on\n\
         ### assistant (prior iter 1 timeline)\nI wrote the lexer.\n[tool_use] Write src/lexer.rs\n[tool_result] ok\n\
         ### assistant (current iter 2)\n{said}\n=== Rules ===\nMinimum 1 full sentence. No markdown."
    )
}

#[test]
fn the_loop_plugin_finds_what_it_reads() {
    let home = Home::new();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0")]);
    let token = home.json(&["keys", "create", "--label", "plugin"])["key"].as_str().unwrap().to_owned();
    let mut plugin = Plugin { port: daemon.port(), token, session: String::new() };
    let client = json!({"name": "clone-loop", "version": "0.14.13"});
    let hello = json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": client});
    assert_eq!(plugin.rpc("initialize", hello)["result"]["protocolVersion"], "2024-11-05");
    assert!(!plugin.session.is_empty(), "the state file keeps it");
    let opened = plugin.tool("start_session", json!({"source": "integration", "source_detail": "clone:loop"}));
    let session = opened["session_id"].as_str().unwrap().to_owned();
    let agent = "Claude Code Clone Loop";
    let prompt = plugin.tool(
        "record_agent_prompt",
        json!({"session_id": session, "agent": agent, "prompt": "build the parser", "source": "user",
            "source_detail": "clone-loop:iteration-1"}),
    );
    let prompted = prompt["event_id"].as_str().unwrap().to_owned();
    plugin.tool(
        "record_agent_response",
        json!({"session_id": session, "agent": agent, "response": "Tool use: Write src/lexer.rs: ok",
            "in_response_to": prompted, "source": "tool-use", "source_detail": "clone-loop:iteration-1:Write"}),
    );
    // The next hook is another process, after a restart of the daemon, with the id of the state file.
    daemon.stop();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0")]);
    plugin.port = daemon.port();
    let asked = json!({"agent": agent, "agent_input": document("All tests pass. Shall I commit?"), "k": 1,
        "threshold": 0.6, "session_id": session});
    let answer = plugin.tool("predict_next_prompt", asked);
    for field in ["id", "status", "predicted_response", "reasoning"] {
        assert!(answer[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {answer}");
    }
    assert!(answer["confidence"].is_number() && answer["stop_recommended"].is_boolean(), "{answer}");
    assert_eq!((&answer["threshold"], answer["candidates"].as_array().map(Vec::len)), (&json!(0.6), Some(1)));
    plugin.tool("submit_feedback", json!({"prediction_id": answer["id"], "status": "rejected"}));
    for source in ["clone-prediction", "auto-answer"] {
        plugin.tool(
            "record_agent_prompt",
            json!({"session_id": session, "agent": agent, "prompt": "go on", "source": source,
                "source_detail": "clone-loop:ask-user-question:iteration-2"}),
        );
    }
    plugin.tool(
        "stop_session",
        json!({"session_id": session, "source": "integration", "source_detail": "clone-loop:stop:satisfied"}),
    );
    daemon.sync();
    let events = daemon.get(&format!("/api/recording/sessions/{session}/events/")).body;
    let kept: Vec<(&str, Option<&str>)> = events.as_array().unwrap().iter().map(kept).collect();
    let expected = [
        ("integration", None),
        ("agent", Some("user")),
        ("agent", Some("tool-use")),
        ("agent", Some("clone-prediction")),
        ("agent", Some("auto-answer")),
        ("integration", None),
    ];
    assert_eq!(kept, expected, "every event is kept under a source of the enum, and what was said beside it");
    let status = daemon.get("/api/monitoring/status/").body;
    assert_eq!(status["counts"]["reply_pairs"], 0, "nothing of a machine trains");
    let stats = daemon.get("/api/predictions/stats/").body;
    assert_eq!((&stats["by_status"]["rejected"], &stats["verified"]["n_asked"]), (&json!(1), &json!(0)));
}

fn kept(event: &Value) -> (&str, Option<&str>) {
    (event["source"].as_str().unwrap(), event["meta"]["raw_source"].as_str())
}

#[test]
fn a_token_of_any_shape_may_come_in_the_header_of_keys() {
    let home = Home::new();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0")]);
    let page = daemon.post("/api/auth/token/", &json!({"scope": "write"})).body;
    let token = page["access"].as_str().unwrap().to_owned();
    let mut plugin = Plugin { port: daemon.port(), token, session: "an-id-of-the-hosted-service".to_owned() };
    let opened = plugin.tool("start_session", json!({"source": "agent", "source_detail": "clone-loop:claude-code"}));
    assert!(opened["session_id"].is_string());
    plugin.token = "eyJhbGciOiJub25lIn0.e30.".to_owned();
    assert_eq!(plugin.send("ping", json!({})).status, 401);
}
