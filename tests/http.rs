//! The loopback door: shut until wanted, and then only for who may come in.

use std::net::TcpStream;

use crate::support::{Answer, Daemon, Home, talk, until};

fn port(daemon: &Daemon) -> Option<u16> {
    let status = daemon.get("/api/monitoring/status/").body;
    status["http"].as_str()?.rsplit(':').next()?.parse().ok()
}

/// Waits, by asking, until the door is open.
fn opened(daemon: &Daemon) -> u16 {
    until(|| port(daemon)).expect("the door opens")
}

fn call(port: u16, path: &str, host: &str, headers: &[(&str, &str)]) -> Answer {
    talk(TcpStream::connect(("127.0.0.1", port)).unwrap(), "GET", path, host, headers, None).unwrap()
}

#[test]
fn nothing_listens_until_a_key_exists_or_a_port_is_named() {
    let home = Home::new();
    let daemon = home.start();
    assert_eq!(port(&daemon), None);
}

#[test]
fn only_a_key_from_the_right_host_and_origin_comes_in() {
    let home = Home::new();
    let daemon = home.start_with(&[("CLONE_DAEMON_PORT", "0")]);
    let port = opened(&daemon);
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
    let port = opened(&daemon);
    assert_eq!(call(port, "/api/auth/me/", &format!("127.0.0.1:{port}"), &[("X-Clone-API-Key", &key)]).status, 200);
    let files = std::process::Command::new("grep").args(["-rl", &key]).arg(home.path("")).output().unwrap();
    assert!(files.stdout.is_empty(), "the key itself is nowhere on the disk");
}
