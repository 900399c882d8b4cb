//! The loopback door: shut until wanted, and then only for who may come in.

use std::net::TcpStream;

use clone_daemon::log::{Entry, Log, Options};
use clone_schema::api::Scope;
use clone_schema::internal::{Internal, Key, Payload};
use serde_json::{Value, json};

use crate::support::{Answer, Home, prompt, talk};

fn call(port: u16, path: &str, host: &str, headers: &[(&str, &str)]) -> Answer {
    talk(TcpStream::connect(("127.0.0.1", port)).unwrap(), "GET", path, host, headers, None).unwrap()
}

fn post(port: u16, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let (stream, host) = (TcpStream::connect(("127.0.0.1", port)).unwrap(), format!("127.0.0.1:{port}"));
    talk(stream, "POST", path, &host, headers, Some(&body.to_string())).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

#[test]
fn nothing_listens_until_a_key_exists_or_a_port_is_named() {
    let home = Home::new();
    let daemon = home.start();
    assert!(daemon.get("/api/monitoring/status/").body["http"].is_null());
}

#[test]
fn only_a_key_from_the_right_host_and_origin_comes_in() {
    let home = Home::new();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0")]);
    let port = daemon.port();
    let key = home.json(&["keys", "create", "--label", "test"]);
    let (id, key) = (key["id"].as_str().unwrap().to_owned(), key["key"].as_str().unwrap().to_owned());
    let own = format!("127.0.0.1:{port}");
    let facts = "/api/memory/facts/";
    let with = [("X-Clone-API-Key", key.as_str())];
    assert_eq!(call(port, facts, &own, &with).status, 200);
    let bearer = format!("Bearer {key}");
    assert_eq!(call(port, facts, &own, &[("Authorization", &bearer)]).status, 200);
    assert_eq!(call(port, facts, &own, &[("X-Clone-API-Key", "clone_bad"), ("Authorization", &bearer)]).status, 200);
    assert_eq!(call(port, "/health/", &own, &[]).status, 200);
    for (what, host, headers, status) in [
        ("no key", own.as_str(), vec![], 401),
        ("a wrong key", own.as_str(), vec![("X-Clone-API-Key", "clone_wrong")], 401),
        ("a foreign host", "evil.test", with.to_vec(), 403),
        ("a host that only looks right", "127.0.0.1.evil.test", with.to_vec(), 403),
        ("a foreign origin", own.as_str(), vec![with[0], ("Origin", "http://evil.test")], 403),
        ("another local page", own.as_str(), vec![with[0], ("Origin", "http://localhost:1")], 403),
        ("a page across sites", own.as_str(), vec![with[0], ("Sec-Fetch-Site", "cross-site")], 403),
    ] {
        let answer = call(port, facts, host, &headers);
        assert_eq!(answer.status, status, "{what}");
        assert!(!answer.head.to_lowercase().contains("access-control-allow"), "{what}");
    }
    let listed = home.json(&["keys", "list"]);
    assert!(listed[0]["last_used"].is_string(), "{listed}");
    home.run(&["keys", "revoke", &id]);
    assert_eq!(call(port, facts, &own, &with).status, 401, "revoked at once");
}

#[test]
fn a_key_opens_the_door_and_survives_a_restart() {
    let home = Home::new();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0")]);
    let key = home.json(&["keys", "create", "--label", "test"])["key"].as_str().unwrap().to_owned();
    daemon.stop();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0"), ("CLONE_DAEMON_HOST", "0.0.0.0")]);
    let port = daemon.port();
    assert_eq!(call(port, "/api/auth/me/", &format!("127.0.0.1:{port}"), &[("X-Clone-API-Key", &key)]).status, 200);
    let files = std::process::Command::new("grep").args(["-rl", &key]).arg(home.path("")).output().unwrap();
    assert!(files.stdout.is_empty(), "the key itself is nowhere on the disk");
}

#[test]
fn a_key_may_do_what_its_scope_says_and_no_more() {
    let home = Home::new();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0")]);
    let port = daemon.port();
    let own = format!("127.0.0.1:{port}");
    let event = json!([{"id": "e1", "session_id": "s", "occurred_at": "2026-01-01T00:00:00Z", "source": "cli",
        "type": "session.started"}]);
    let asked = json!({"agent": "A", "agent_input": "Shall I?"});
    for (scope, allowed) in [
        (Some("read"), [200, 403, 403, 403]),
        (Some("predict"), [200, 201, 403, 403]),
        (Some("write"), [200, 201, 201, 403]),
        (None, [200, 201, 200, 403]),
        (Some("admin"), [200, 201, 200, 200]),
    ] {
        let mut arguments = vec!["keys", "create", "--label", "test"];
        arguments.extend(scope.iter().flat_map(|scope| ["--scope", *scope]));
        let made = home.json(&arguments);
        let key = text(&made["key"]);
        let with = [("X-Clone-API-Key", key.as_str())];
        let me = call(port, "/api/auth/me/", &own, &with);
        assert_eq!((&me.body["scope"], &me.body["key_id"]), (&made["scope"], &made["id"]));
        let answers = [
            me.status,
            post(port, "/api/predictions/predict/", &with, &asked).status,
            post(port, "/api/recording/events/", &with, &event).status,
            call(port, "/api/auth/keys/", &own, &with).status,
        ];
        assert_eq!(answers, allowed, "{scope:?}");
    }
    let refused = daemon.post("/api/auth/keys/", &json!({"label": "x", "scope": "everything"}));
    assert_eq!(refused.status, 400, "{}", refused.body);
}

#[test]
fn a_page_renews_its_token_over_restarts_until_its_key_is_revoked() {
    let home = Home::new();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0")]);
    let port = daemon.port();
    let signed = daemon.post("/api/auth/token/", &json!({"scope": "read"}));
    assert_eq!((signed.status, &signed.body["expires_in"]), (201, &json!(3600)), "{}", signed.body);
    let (access, refresh) = (text(&signed.body["access"]), text(&signed.body["refresh"]));
    let me = |port: u16, token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("X-Clone-API-Key", "clone_stale"), ("Authorization", bearer.as_str())];
        call(port, "/api/auth/me/", &format!("127.0.0.1:{port}"), &headers)
    };
    assert_eq!((me(port, &access).status, &me(port, &access).body["scope"]), (200, &json!("read")));
    assert_eq!(me(port, &refresh).status, 401, "what renews opens nothing");
    daemon.stop();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0")]);
    let port = daemon.port();
    assert_eq!(me(port, &access).status, 401, "an access token lives in memory");
    let renewed = post(port, "/api/auth/token/refresh/", &[], &json!({"refresh": refresh}));
    assert_eq!(renewed.status, 200, "{}", renewed.body);
    let access = text(&renewed.body["access"]);
    assert_eq!(me(port, &access).status, 200);
    for wrong in [json!({"refresh": "renew_wrong"}), json!({"refresh": access})] {
        assert_eq!(post(port, "/api/auth/token/refresh/", &[], &wrong).status, 401, "{wrong}");
    }
    assert_eq!(post(port, "/api/auth/token/refresh/", &[], &json!({})).status, 400);
    let listed = home.json(&["keys", "list"]);
    assert_eq!((&listed[0]["kind"], listed.as_array().map(Vec::len)), (&json!("page"), Some(1)));
    home.run(&["keys", "revoke", &text(&listed[0]["id"])]);
    assert_eq!(me(port, &access).status, 401, "its tokens end with it");
    assert_eq!(post(port, "/api/auth/token/refresh/", &[], &json!({"refresh": refresh})).status, 401);
    for secret in [&access, &refresh] {
        let files = std::process::Command::new("grep").args(["-rl", secret]).arg(home.path("")).output().unwrap();
        assert!(files.stdout.is_empty(), "no secret is on the disk");
    }
}

/// A page that was signed in when no page of then may renew its access any more.
fn old_page(n: usize) -> Entry {
    let at = clone_schema::time::parse("2020-01-01T00:00:00Z").unwrap();
    let key = Key {
        key_id: format!("page-{n}"),
        label: "page".to_owned(),
        hash: format!("{n:064}"),
        scope: Scope::Admin,
        renews: true,
    };
    let event = Internal { id: format!("made-{n}"), at, payload: Payload::KeyCreated(key) };
    Entry { id: event.id.clone(), topic: event.topic(), occurred_at: at, json: event.to_json() }
}

#[test]
fn pages_that_can_renew_nothing_any_more_leave_room_for_the_next() {
    let home = Home::new();
    let folder = home.path("log");
    home.start().stop();
    let (log, _) = Log::open(&folder, Options::new("a home", clone_daemon::clock::now)).unwrap();
    log.append((0..100).map(old_page).collect()).unwrap();
    log.close().unwrap();
    let daemon = home.start();
    assert_eq!(daemon.get("/api/auth/keys/").body.as_array().map(Vec::len), Some(100), "as many as there may be");
    let signed = daemon.post("/api/auth/token/", &json!({}));
    assert_eq!(signed.status, 201, "{}", signed.body);
    assert_eq!(daemon.get("/api/auth/keys/").body.as_array().map(Vec::len), Some(1));
}

#[test]
fn a_good_key_is_never_called_wrong_while_something_is_forgotten() {
    let home = Home::new();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0")]);
    let port = daemon.port();
    let key = text(&home.json(&["keys", "create", "--label", "test"])["key"]);
    let events: Vec<Value> = (0..40).map(|n| prompt(&format!("e{n}"), "s", "go on", "2026-05-05T12:00:00Z")).collect();
    assert_eq!(daemon.post("/api/recording/events/", &json!(events)).status, 201);
    daemon.sync();
    let (own, with) = (format!("127.0.0.1:{port}"), [("X-Clone-API-Key", key.as_str())]);
    std::thread::scope(|scope| {
        let forgets = scope.spawn(|| daemon.post("/api/memory/forget/", &json!({"session_id": "s"})).status);
        while !forgets.is_finished() {
            let answer = call(port, "/api/auth/me/", &own, &with);
            assert!(matches!(answer.status, 200 | 503), "{} {}", answer.status, answer.body);
            assert_eq!(answer.status == 503, answer.head.to_lowercase().contains("retry-after"), "{}", answer.head);
            assert_eq!(call(port, "/health/", &own, &with).status, 200, "what is open stays open");
        }
        assert_eq!(forgets.join().unwrap(), 200);
    });
    assert_eq!(call(port, "/api/auth/me/", &own, &with).status, 200);
}
