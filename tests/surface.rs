//! The whole surface: every route and tool has its proof, asks for its scope, and answers in its described shape.

use std::net::TcpStream;

use clone_daemon::serve::routes::{Answers, answers};
use clone_daemon::{mcp, serve};
use clone_schema::api::{OPERATIONS, Operation, Scope};
use serde_json::{Value, json};

use crate::support::{self, Answer, Daemon, Home, prompt, repository, talk};

/// The rows of the table of proofs: name, what it is, proof.
fn proofs() -> Vec<[String; 3]> {
    let text = std::fs::read_to_string(repository("docs/surface.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect());
    cells.map(|cells: Vec<String>| cells.try_into().unwrap_or_else(|row| panic!("three cells: {row:?}"))).collect()
}

#[test]
fn every_route_and_tool_names_a_test_that_exists() {
    let proofs = proofs();
    for operation in OPERATIONS {
        let what = format!("{} {}", operation.method, operation.path);
        let found = proofs.iter().any(|[name, shown, _]| name == operation.name && *shown == what);
        assert!(found, "docs/surface.md has no row `{}` | `{what}`", operation.name);
    }
    for tool in mcp::tools::list() {
        assert!(
            proofs.iter().any(|[name, shown, _]| *name == tool.name && shown == "tool"),
            "no row for `{}`",
            tool.name
        );
    }
    for (path, _) in serve::routes::HOSTED {
        assert!(proofs.iter().any(|[name, shown, _]| name == path && shown == "hosted"), "no row for `{path}`");
    }
    for [name, _, proof] in &proofs {
        for proof in proof.split(", ") {
            let (file, function) = proof.split_once("::").unwrap_or_else(|| panic!("{name}: `{proof}`"));
            let source = std::fs::read_to_string(repository("tests").join(format!("{file}.rs")));
            let source = source.unwrap_or_else(|error| panic!("{name}: tests/{file}.rs: {error}"));
            assert!(source.contains(&format!("fn {function}()")), "{name}: there is no test `{proof}`");
        }
    }
}

#[test]
fn routes_of_the_hosted_product_say_what_to_use_instead() {
    let home = Home::new();
    let daemon = home.start();
    for (path, hint) in serve::routes::HOSTED {
        for method in ["GET", "POST"] {
            let answer = daemon.call(method, &format!("{path}/"), (method == "POST").then_some("{}"));
            assert_eq!((answer.status, answer.body["hint"].as_str()), (404, Some(*hint)), "{method} {path}");
        }
    }
}

/// Sends an operation over TCP with a key, or without one.
fn over_tcp(port: u16, operation: &Operation, key: Option<&str>) -> Answer {
    let (path, host) = (operation.path.replace("{id}", "nobody"), format!("127.0.0.1:{port}"));
    let headers: Vec<(&str, &str)> = key.into_iter().map(|key| ("X-Clone-API-Key", key)).collect();
    let body = (operation.method != "GET" && operation.method != "DELETE").then_some("{}");
    talk(TcpStream::connect(("127.0.0.1", port)).unwrap(), operation.method, &path, &host, &headers, body).unwrap()
}

#[test]
fn every_route_asks_for_its_scope() {
    let home = Home::new();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0")]);
    let port = daemon.port();
    let key = |scope: Scope| {
        let made = home.json(&["keys", "create", "--label", "test", "--scope", scope.name()]);
        (scope, made["key"].as_str().unwrap().to_owned())
    };
    let keys: Vec<(Scope, String)> = [Scope::Read, Scope::Predict, Scope::Write].map(key).into();
    for operation in OPERATIONS.iter().filter(|operation| operation.name != "events_stream") {
        let open = operation.scope == Scope::Open;
        for key in [None, Some("clone_wrong")] {
            let status = over_tcp(port, operation, key).status;
            // Renewing a page takes its own secret, in the body.
            assert!(open && status != 403 || status == 401, "{} without a key: {status}", operation.name);
        }
        for (scope, key) in &keys {
            let status = over_tcp(port, operation, Some(key)).status;
            let refused = status == 403;
            assert_eq!(refused, *scope < operation.scope, "{} with `{}`: {status}", operation.name, scope.name());
            assert_ne!(status, 500, "{}", operation.name);
        }
    }
}

/// The path of an operation, where a real id is known for it.
fn path_of(operation: &Operation, daemon: &Daemon, prediction: &str) -> Option<String> {
    let first = |path: &str| daemon.get(path).body[0]["id"].as_str().map(str::to_owned);
    let id = match operation.name {
        "events_get" | "raw_get" => "surface-1".to_owned(),
        "sessions_events" => "surface".to_owned(),
        "episodes_get" => first("/api/memory/episodes/")?,
        "facts_get" => first("/api/memory/facts/")?,
        "keys_get" => first("/api/auth/keys/")?,
        "predictions_get" | "why" | "feedback" => prediction.to_owned(),
        _ if operation.path.contains("{id}") => return None,
        _ => String::new(),
    };
    let query = if operation.name == "memory_history" { "?of=profile.md" } else { "" };
    Some(operation.path.replace("{id}", &id) + query)
}

/// A body that each POST of ours takes.
fn body_of(name: &str) -> Option<Value> {
    Some(match name {
        "doctor" | "sync" | "context" | "token_create" | "promote_episodes" | "promote_facts" => json!({}),
        "keys_create" => json!({"label": "laptop"}),
        "events_ingest" => json!([prompt("surface-2", "surface", "go on", "2026-05-05T12:00:00Z")]),
        "raw_add" => json!({"text": "a note"}),
        "facts_add" => json!({"text": "I keep the windows open.", "tags": ["air"]}),
        "episodes_add" => json!({"title": "A walk", "tags": null}),
        "profile_set" => json!({"soul": "Windows open.\n"}),
        "search" => json!({"query": "tests"}),
        "predict" | "continuation" => json!({"agent": "A", "agent_input": "Shall I commit?"}),
        "predict_batch" => json!({"prompts": [{"agent": "A", "agent_input": "Shall I commit?"}]}),
        "feedback" => json!({"status": "accepted"}),
        "auto_set" => json!({"auto": "off"}),
        "mute_set" => json!({"agents": ["Codex"], "projects": [], "hours": ["22-7"]}),
        "import_batch" => json!({"format": "test", "imported": 1, "duplicates": 0, "skipped": {}}),
        "following_set" => json!({"agents": []}),
        _ => return None,
    })
}

#[test]
fn answers_have_the_shape_that_openapi_describes() {
    let (_home, daemon) = support::imported();
    let document = daemon.get("/openapi.json").body;
    daemon.post("/api/auth/keys/", &json!({"label": "first"}));
    daemon.post("/api/recording/events/", &json!([prompt("surface-1", "surface", "hello", "2026-05-05T11:00:00Z")]));
    daemon.sync();
    let asked = daemon.post("/api/predictions/predict/", &json!({"agent": "A", "agent_input": "Done."}));
    let prediction = asked.body["id"].as_str().unwrap().to_owned();
    let mut checked = 0;
    for operation in OPERATIONS.iter().filter(|operation| matches!(answers(operation), Answers::Engine)) {
        let Some(path) = path_of(operation, &daemon, &prediction) else { continue };
        let answer = match operation.method {
            "GET" => daemon.get(&path),
            _ => match body_of(operation.name) {
                Some(body) => daemon.post(&path, &body),
                None => continue,
            },
        };
        let shown = &document["paths"][operation.path][operation.method.to_lowercase()];
        let described = &shown["responses"][answer.status.to_string()];
        assert!(answer.status < 300 && described.is_object(), "{}: {} {}", operation.name, answer.status, answer.body);
        let schema = &described["content"]["application/json"]["schema"];
        if let Some(error) = jsonschema::validator_for(schema).unwrap().iter_errors(&answer.body).next() {
            panic!("{}: {error}", operation.name);
        }
        checked += 1;
    }
    assert!(checked >= 35, "{checked}");
}

#[test]
fn sources_and_jobs_tell_what_came_and_what_runs() {
    let (home, daemon) = support::imported();
    let sources = daemon.get("/api/sources/").body;
    let known = |row: &Value| row["events"].as_u64().is_some_and(|events| events > 0) && row["last"].is_string();
    assert!(sources.as_array().unwrap().iter().all(known) && !sources.as_array().unwrap().is_empty(), "{sources}");
    let jobs = daemon.get("/api/jobs/?limit=5").body;
    assert_eq!((&jobs[0]["kind"], &jobs[1]["kind"]), (&json!("derive"), &json!("import")));
    assert!(jobs[1]["detail"]["imported"].as_u64().unwrap() > 0 && jobs[1]["finished_at"].is_string(), "{jobs}");
    assert_eq!(daemon.get("/api/jobs/?limit=1&offset=1").body[0], jobs[1]);
    let warm = daemon.get("/api/warmstart/sources/").body;
    assert_eq!((&warm["sources"], &warm["imports"][0]), (&sources, &jobs[1]));
    assert_eq!(warm["oauth"]["connected"], false);
    assert_eq!(daemon.get("/api/monitoring/").body["pid"], daemon.pid());
    assert_eq!(daemon.get("/mcp/health").body["status"], "ok");
    let later: Vec<Value> =
        (0..700).map(|n| prompt(&format!("later-{n}"), "later", "go on", "2026-05-05T12:00:00Z")).collect();
    assert_eq!(daemon.post("/api/recording/events/", &json!(later)).status, 201);
    daemon.stop();
    let daemon = home.start();
    assert_eq!(
        daemon.get("/api/jobs/?limit=1&offset=1").body[0],
        jobs[1],
        "it is kept in mind, whatever came after it"
    );
}
