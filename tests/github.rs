//! GitHub through the real binary, against a small GitHub on loopback.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::full::{limit_files, long};
use crate::support::github::{GitHub, TOKEN};
use crate::support::{Daemon, Home, until};

/// Everything of the person's in the world of the server, by id.
const EVENTS: [&str; 16] = [
    "github:comment:31",
    "github:comment:35",
    "github:comment:36",
    "github:commit:aa1",
    "github:commit:aa2",
    "github:commit:aa3",
    "github:commit:aa4",
    "github:commit:aa5",
    "github:commit:bb2",
    "github:issue:21",
    "github:pull:22",
    "github:repository:11",
    "github:repository:12",
    "github:repository:13",
    "github:review-comment:37",
    "github:review:38",
];

/// A home whose settings lead to the server.
fn home(github: &GitHub, more: &str) -> Home {
    let home = Home::new();
    std::fs::write(home.path("config.toml"), github.config(more)).unwrap();
    home
}

/// Connects with a token on standard input.
fn connect(home: &Home, token: &str) -> Output {
    let mut command = home.command();
    command.args(["--json", "source", "connect", "github", "--token-stdin"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{token}\n").as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn told(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Connects, and waits until everything was read once.
fn connected(home: &Home, daemon: &Daemon) -> Value {
    let output = connect(home, TOKEN);
    assert_eq!(told(&output)["login"], "user1", "{output:?}");
    let read = || Some(daemon.get("/api/sources/github/").body).filter(|told| told["syncs"].as_u64() > Some(0));
    until(read).expect("GitHub is read")
}

/// Every event of GitHub in the log.
fn events(daemon: &Daemon) -> Vec<Value> {
    let page = daemon.get("/api/events/?limit=1000").body;
    let events = page["events"].as_array().unwrap().iter().map(|row| row["event"].clone());
    events.filter(|event| event["source_detail"] == "github").collect()
}

fn ids(events: &[Value]) -> Vec<&str> {
    let mut ids: Vec<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

/// Whether any file below this folder holds these bytes, as they are or as hexadecimal digits.
fn holds(folder: &std::path::Path, words: &str) -> Vec<String> {
    let hex = clone_schema::text::hex(words.as_bytes());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holds(&path, words));
        } else if let Ok(bytes) = std::fs::read(&path) {
            let has = |needle: &str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
            if has(words) || has(&hex) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn what_the_person_wrote_on_github_is_recorded_once_and_found() {
    let github = GitHub::start();
    let home = home(&github, "");
    let daemon = home.start();
    let first = connected(&home, &daemon);
    assert_eq!((&first["problem"], &first["read"]["recorded"]), (&Value::Null, &json!(16)), "{first}");
    assert!(github.asked().iter().any(|asked| asked.contains("&page=3")), "pages are followed");
    daemon.sync();
    let recorded = events(&daemon);
    assert_eq!(ids(&recorded), EVENTS);
    let event = |id: &str| recorded.iter().find(|event| event["id"] == id).unwrap();
    let comment = event("github:comment:31");
    assert_eq!((&comment["prompt"], &comment["meta"]["origin"]), (&json!("Because of quokkas."), &json!("typed")));
    assert_eq!((&comment["occurred_at"], &comment["source"]), (&json!("2026-01-03T11:00:00Z"), &json!("integration")));
    assert_eq!(
        (&comment["session_id"], &comment["meta"]["project"]),
        (&json!("github:user1/dates#4"), &json!("user1/dates"))
    );
    assert_eq!(event("github:commit:bb2")["meta"]["origin"], "agent");
    assert_eq!(event("github:repository:11")["meta"]["origin"], "agent");
    assert_eq!(event("github:issue:21")["prompt"], "Leap seconds\n\nShould we support zanzibar time?");
    let found = daemon.post("/api/memory/search/", &json!({"query": "zanzibar", "tier": "raw"})).body;
    assert_eq!(found[0]["id"], "github:issue:21", "{found}");
    // Words for other people are no reply to an agent.
    assert_eq!(daemon.get("/api/monitoring/status/").body["counts"]["reply_pairs"], 0);

    let again = home.json(&["source", "sync", "github"]);
    assert_eq!((&again["problem"], &again["read"]["recorded"]), (&Value::Null, &json!(0)), "{again}");
    assert_eq!(ids(&events(&daemon)), EVENTS);
    let warm = daemon.get("/api/warmstart/sources/").body;
    let oauth = &warm["oauth"];
    assert_eq!(
        (&oauth["connected"], &oauth["needs_reauth"], &oauth["login"]),
        (&json!(true), &json!(false), &json!("user1"))
    );
    assert!(oauth["last_synced_at"].is_string() && oauth["scope"] == "read:user, repo", "{warm}");
    assert_eq!(
        (&warm["sources"][0]["id"], &warm["imports"][0]["detail"]["format"]),
        (&json!("github"), &json!("github"))
    );
    assert_eq!(home.json(&["source", "list"])["github"]["login"], "user1");
}

#[test]
fn an_hour_without_news_costs_six_questions_and_a_restart_none() {
    let github = GitHub::start();
    let home = home(&github, "");
    let daemon = home.start();
    connected(&home, &daemon);
    home.json(&["source", "sync", "github"]);
    github.asked();
    home.json(&["source", "sync", "github"]);
    let asked = github.asked();
    assert!(asked.len() == 6 && asked.iter().all(|asked| asked.ends_with(" 304")), "{asked:?}");

    daemon.stop();
    let daemon = home.start();
    let told = home.json(&["source", "list"])["github"].clone();
    assert!(told["connected"] == true && told["last_synced_at"].is_string(), "{told}");
    assert_eq!((github.asked(), ids(&events(&daemon))), (Vec::<String>::new(), EVENTS.to_vec()));

    // What was forgotten does not come back.
    let forgotten = daemon.post("/api/memory/forget/", &json!({"id": "github:comment:31"})).body;
    assert_eq!(forgotten["events"]["agent.prompt"], 1, "{forgotten}");

    // Without its memory everything is read again, and known; three items stand in two lists.
    daemon.stop();
    std::fs::remove_file(home.path("github.json")).unwrap();
    let daemon = home.start();
    let read = || Some(daemon.get("/api/sources/github/").body).filter(|told| told["syncs"].as_u64() > Some(0));
    let told = until(read).expect("GitHub is read");
    assert_eq!((&told["read"]["recorded"], &told["read"]["known"]), (&json!(0), &json!(18)), "{told}");
    assert_eq!(told["read"]["forgotten"], 1, "{told}");
    let left: Vec<&str> = EVENTS.into_iter().filter(|id| *id != "github:comment:31").collect();
    assert_eq!(ids(&events(&daemon)), left);
}

#[test]
fn news_are_read_from_where_the_last_walk_ended() {
    let github = GitHub::start();
    let home = home(&github, "");
    let daemon = home.start();
    connected(&home, &daemon);
    {
        let mut world = github.world();
        let (me, comment) = (world.somebody(1, "User"), "It was the bandicoot.");
        let mut thread = world.issue(21, "user1/dates#4", ("Leap seconds", "x"), &me);
        thread["updated_at"] = "2026-01-30T00:00:00Z".into();
        world.lists.get_mut("/search/issues commenter issue").unwrap()[0] = thread;
        let mut comment = world.comment("comment", 39, comment, &me);
        comment["updated_at"] = "2030-01-01T00:00:00Z".into();
        world.add("/repos/user1/dates/issues/4/comments", comment);
        let pushed = world.commit("aa6", "Mend step 6", 1);
        world.add("/repos/user1/dates/commits", pushed);
        world.lists.get_mut("/user/repos").unwrap()[0]["pushed_at"] = "2026-01-06T00:00:00Z".into();
    }
    let told = home.json(&["source", "sync", "github"]);
    assert_eq!((&told["problem"], &told["read"]["recorded"]), (&Value::Null, &json!(2)), "{told}");
    let recorded = events(&daemon);
    assert!(ids(&recorded).contains(&"github:comment:39") && ids(&recorded).contains(&"github:commit:aa6"));
}

#[test]
fn a_limit_or_a_failure_is_waited_out_and_told_and_the_daemon_goes_on() {
    let github = GitHub::start();
    let home = home(&github, "");
    let daemon = home.start();
    for (status, header, body, problem) in [
        (429, ("retry-after", "120"), "You have exceeded a secondary rate limit", Value::Null),
        (403, ("x-ratelimit-remaining", "0"), "API rate limit exceeded", Value::Null),
        (502, ("server", "x"), "Server Error", json!("GitHub answered 502")),
    ] {
        let refused = (status, vec![(header.0.to_owned(), header.1.to_owned())], json!({"message": body}));
        let output = connect(&home, TOKEN);
        assert_eq!(told(&output)["connected"], true, "{output:?}");
        until(|| Some(daemon.get("/api/sources/github/").body).filter(|told| told["last_synced_at"].is_string()))
            .unwrap();
        // The first question of the walk that follows.
        github.world().instead.push_back(refused);
        let told = home.json(&["source", "sync", "github"]);
        assert_eq!((told["connected"] == true, &told["problem"]), (true, &problem), "{status}: {told}");
        assert!(told["not_before"].is_string() && told["needs_reauth"] == false, "{told}");
        github.asked();
        let refused = home.run(&["source", "sync", "github"]);
        let refusal: Value = serde_json::from_slice(&refused.stdout).unwrap();
        assert!(
            refused.status.code() == Some(1) && refusal["hint"].as_str().unwrap().contains("by itself"),
            "{refusal}"
        );
        assert_eq!(github.asked(), Vec::<String>::new(), "nothing is asked meanwhile");
        assert_eq!(daemon.get("/health").body["status"], "ok");
        assert_eq!(ids(&events(&daemon)), EVENTS);
        home.json(&["source", "disconnect", "github"]);
    }
}

#[test]
fn a_revoked_token_needs_the_person_and_a_new_one_mends_it() {
    let github = GitHub::start();
    let home = home(&github, "");
    let daemon = home.start();
    connected(&home, &daemon);
    github.world().revoked = true;
    let told = home.json(&["source", "sync", "github"]);
    assert_eq!((&told["connected"], &told["needs_reauth"]), (&json!(true), &json!(true)), "{told}");
    assert_eq!(daemon.get("/api/warmstart/sources/").body["oauth"]["needs_reauth"], true);
    let problems = daemon.get("/api/monitoring/status/").body["problems"].to_string();
    assert!(problems.contains("clone source connect github"), "{problems}");
    let shown = home.command().args(["source", "list"]).output().unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("needs reauth"), "{shown:?}");
    assert_eq!(home.run(&["source", "sync", "github"]).status.code(), Some(1));
    let refused = connect(&home, TOKEN);
    assert!(!refused.status.success() && told_error(&refused).contains("does not take this token"), "{refused:?}");
    github.world().revoked = false;
    assert_eq!(connected(&home, &daemon)["needs_reauth"], false);
}

fn told_error(output: &Output) -> String {
    told(output)["error"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_code_typed_in_a_browser_connects_and_a_refusal_is_told() {
    let github = GitHub::start();
    let home = home(&github, "client_id = \"Iv1.test\"\n");
    let daemon = home.start();
    github.world().device =
        [json!({"error": "authorization_pending"}), json!({"error": "slow_down", "interval": 1})].into();
    github.world().device.push_back(json!({"access_token": TOKEN, "token_type": "bearer", "scope": "read:user"}));
    let output = home.run(&["source", "connect", "github"]);
    assert!(output.status.success() && told(&output)["login"] == "user1", "{output:?}");
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(shown.contains("WDJB-MJHT") && shown.contains("https://github.com/login/device"), "{shown}");
    assert!(!shown.contains("device-canary-code") && !shown.contains(TOKEN));
    let asked = github.asked();
    assert_eq!(asked.iter().filter(|asked| asked.starts_with("POST /login/oauth")).count(), 3, "{asked:?}");
    until(|| Some(daemon.get("/api/sources/github/").body).filter(|told| told["last_synced_at"].is_string())).unwrap();
    assert_eq!(holds(home.path("").as_path(), TOKEN), Vec::<String>::new());
    assert_eq!(holds(home.path("").as_path(), "device-canary-code"), Vec::<String>::new());

    home.json(&["source", "disconnect", "github"]);
    github.world().device = [json!({"error": "access_denied"})].into();
    let output = home.run(&["source", "connect", "github"]);
    assert!(!output.status.success() && told_error(&output).contains("you refused it"), "{output:?}");
    assert_eq!(home.json(&["source", "list"])["github"]["connected"], false);
}

#[test]
fn the_token_is_in_no_file_of_the_home_and_goes_with_the_connection() {
    let github = GitHub::start();
    let home = home(&github, "");
    let daemon = home.start();
    connected(&home, &daemon);
    let arguments = std::fs::read(format!("/proc/{}/cmdline", daemon.pid())).unwrap_or_default();
    let environment = std::fs::read(format!("/proc/{}/environ", daemon.pid())).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&[arguments, environment].concat()).contains(TOKEN));
    let remains = daemon.post("/api/memory/forget/verify/", &json!({"text": TOKEN})).body;
    assert_eq!(remains["remains"], json!([]), "{remains}");
    assert_eq!(holds(home.path("").as_path(), TOKEN), Vec::<String>::new());

    // A new key seals it, the old one goes, and it still opens.
    let keys = std::fs::read_to_string(home.path("secrets.keys")).unwrap();
    assert_eq!(home.json(&["source", "rotate"])["secrets"], 1);
    assert_ne!(std::fs::read_to_string(home.path("secrets.keys")).unwrap(), keys);
    daemon.stop();
    let daemon = home.start();
    assert_eq!(home.json(&["source", "sync", "github"])["problem"], Value::Null);

    let gone = home.json(&["source", "disconnect", "github"]);
    assert_eq!((&gone["connected"], &gone["login"]), (&json!(false), &Value::Null));
    assert!(!std::fs::read_to_string(home.path("secrets.sealed")).unwrap().contains("github"));
    assert!(!home.path("github.json").exists());
    github.asked();
    let refused = home.run(&["source", "sync", "github"]);
    assert!(!refused.status.success() && told_error(&refused).contains("not connected"));
    assert!(!home.run(&["source", "disconnect", "github"]).status.success());
    assert_eq!((github.asked(), ids(&events(&daemon))), (Vec::<String>::new(), EVENTS.to_vec()), "what was read stays");
}

#[test]
fn nothing_is_asked_before_somebody_connects_and_plain_http_leads_nowhere_else() {
    let github = GitHub::start();
    let home = home(&github, "");
    let daemon = home.start();
    assert_eq!(home.json(&["source", "list"])["github"]["connected"], false);
    for body in [json!({"token": "two words"}), json!({"token": ""}), json!({"token": 5}), json!({"other": 1})] {
        assert_eq!(daemon.post("/api/sources/github/", &body).status, 400, "{body}");
    }
    let without = home.run(&["source", "connect", "github"]);
    assert!(told(&without)["hint"].as_str().unwrap().contains("--token-stdin"), "{without:?}");
    assert!(!connect(&home, "").status.success());
    assert_eq!(github.asked(), Vec::<String>::new());
    daemon.stop();
    std::fs::write(home.path("config.toml"), "[github]\napi = \"http://api.github.com\"\n").unwrap();
    let refused = home.command().arg("daemon").output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("must be `https://`"), "{told}");
}

/// A repository and a comment that were taken out stay out of every reading until the connection is ended.
#[test]
fn what_was_taken_out_of_github_stays_out_until_it_is_disconnected() {
    let github = GitHub::start();
    let home = home(&github, "");
    let mut daemon = home.start();
    connected(&home, &daemon);
    daemon.post("/api/memory/forget/", &json!({"id": "github:comment:31"}));
    let repository = |event: &Value| event["meta"]["project"] == "user1/dates";
    let comment = events(&daemon).into_iter().find(|event| event["id"] == "github:comment:35").unwrap();
    assert!(!repository(&comment), "{comment}");
    for item in ["user1/dates", "github:comment:35"] {
        let gone = home.json(&["source", "remove", "github", item, "--yes"]);
        assert!(gone["events"]["agent.prompt"].as_u64() > Some(0), "{gone}");
    }
    let left = events(&daemon);
    let is_out = |events: &[Value]| {
        !events.iter().any(repository) && !ids(events).contains(&"github:comment:35") && !events.is_empty()
    };
    assert!(is_out(&left), "{left:?}");
    {
        let mut world = github.world();
        let pushed = world.commit("aa6", "Mend step 6", 1);
        world.add("/repos/user1/dates/commits", pushed);
        world.lists.get_mut("/user/repos").unwrap()[0]["pushed_at"] = "2026-01-06T00:00:00Z".into();
    }
    let told = home.json(&["source", "sync", "github"]);
    assert_eq!((&told["problem"], &told["read"]["recorded"]), (&Value::Null, &json!(0)), "{told}");
    // Without its memory everything is read again.
    daemon.stop();
    std::fs::remove_file(home.path("github.json")).unwrap();
    daemon = home.start();
    let read = || Some(daemon.get("/api/sources/github/").body).filter(|told| told["syncs"].as_u64() > Some(0));
    let told = until(read).expect("GitHub is read");
    assert_eq!(told["read"]["recorded"], 0, "{told}");
    assert_eq!(ids(&events(&daemon)), ids(&left));

    home.json(&["source", "disconnect", "github"]);
    assert_eq!(ids(&events(&daemon)), ids(&left), "it forgets nothing, and brings nothing back by itself");
    connected(&home, &daemon);
    home.json(&["source", "sync", "github"]);
    let mut all: Vec<&str> = EVENTS.into_iter().filter(|id| *id != "github:comment:31").collect();
    all.insert(all.iter().position(|id| *id == "github:commit:bb2").unwrap(), "github:commit:aa6");
    assert_eq!(ids(&events(&daemon)), all, "but for what was forgotten");
}

#[test]
fn a_wipe_ends_the_connection_and_whoever_connects_again_starts_over() {
    let github = GitHub::start();
    let home = home(&github, "");
    let daemon = home.start();
    connected(&home, &daemon);
    let shown = home.json(&["source", "wipe", "github", "--dry-run"]);
    assert_eq!((&shown["events"]["agent.prompt"], &shown["ended"]), (&json!(13), &json!("connected")), "{shown}");
    assert_eq!(home.json(&["source", "list"])["github"]["connected"], true, "a dry run changes nothing");
    let wiped = home.json(&["source", "wipe", "github", "--yes"]);
    assert_eq!((&wiped["ended"], &wiped["remains"]), (&json!("connected"), &json!([])), "{wiped}");
    assert_eq!(home.json(&["source", "list"])["github"]["connected"], false);
    assert_eq!(ids(&events(&daemon)), Vec::<&str>::new());
    connected(&home, &daemon);
    home.json(&["source", "sync", "github"]);
    assert_eq!(ids(&events(&daemon)), EVENTS);
}

/// What GitHub told while the log took nothing is asked for again: a cursor never leads what is recorded.
#[test]
fn what_the_log_refuses_is_read_again() {
    let github = GitHub::start();
    let home = home(&github, "");
    let daemon = home.start();
    connected(&home, &daemon);
    {
        let mut world = github.world();
        let words = long("words", 100_000)["prompt"].clone();
        let pushed = world.commit("aa6", words.as_str().unwrap(), 1);
        world.add("/repos/user1/dates/commits", pushed);
        world.lists.get_mut("/user/repos").unwrap()[0]["pushed_at"] = "2026-01-06T00:00:00Z".into();
    }
    if !limit_files(&daemon, "32768") {
        eprintln!("SKIPPED: what_the_log_refuses_is_read_again (no prlimit)");
        return;
    }
    let told = home.json(&["source", "sync", "github"]);
    assert!(told["problem"].is_string() && told["not_before"].is_string(), "{told}");
    assert!(limit_files(&daemon, "unlimited"));
    daemon.kill();
    // The wait after a failure is over.
    let kept = std::fs::read_to_string(home.path("github.json")).unwrap();
    let mut kept: Value = serde_json::from_str(&kept).unwrap();
    assert!(kept["problem"].is_string(), "{kept}");
    (kept["not_before"], kept["synced_at"]) = (Value::Null, Value::Null);
    std::fs::write(home.path("github.json"), kept.to_string()).unwrap();
    let daemon = home.start();
    let read = || Some(daemon.get("/api/sources/github/").body).filter(|told| told["syncs"].as_u64() > Some(0));
    let told = until(read).expect("GitHub is read");
    assert_eq!((&told["problem"], &told["read"]["recorded"]), (&Value::Null, &json!(1)), "{told}");
    assert!(ids(&events(&daemon)).contains(&"github:commit:aa6"));
}

/// What the message about a lost key says works: connect again, or end the connection.
#[test]
fn without_its_key_a_connection_is_told_of_and_made_anew_or_ended() {
    for ends in [false, true] {
        let github = GitHub::start();
        let home = home(&github, "");
        let daemon = home.start();
        connected(&home, &daemon);
        daemon.stop();
        std::fs::write(home.path("secrets.keys"), format!("{}\n", "ab".repeat(32))).unwrap();
        let daemon = home.start();
        let problems = || Some(daemon.get("/api/monitoring/status/").body["problems"].to_string());
        let told = until(|| problems().filter(|told| told.contains("connect again"))).expect("it is told");
        assert!(told.contains("secrets.keys"), "{told}");
        if ends {
            let gone = home.json(&["source", "disconnect", "github"]);
            assert_eq!((&gone["connected"], &gone["problem"]), (&json!(false), &Value::Null), "{gone}");
        } else {
            assert_eq!(connected(&home, &daemon)["problem"], Value::Null);
        }
        assert_eq!(problems().as_deref(), Some("[]"));
    }
}

/// Whoever asks for a walk during one that ends for good waits for no other.
#[test]
fn asked_for_during_a_walk_that_ends_in_a_refusal_a_sync_ends_too() {
    let github = GitHub::start();
    let home = home(&github, "");
    let daemon = home.start();
    connected(&home, &daemon);
    let sync = || daemon.post("/api/sources/github/sync/", &json!({})).body;
    let told = || daemon.get("/api/sources/github/").body;
    let mut world = github.world();
    sync();
    until(|| Some(told()).filter(|told| told["syncing"] == true)).expect("a walk begins");
    let asked = sync();
    world.revoked = true;
    drop(world);
    let over = until(|| Some(told()).filter(|told| told["syncs"].as_u64() >= asked["done_at"].as_u64()));
    assert_eq!(over.expect("it ends")["needs_reauth"], true);
}

/// A token that arrives after the person ended the connection, or began another, connects nothing.
#[test]
fn a_code_that_is_entered_too_late_connects_nothing() {
    let github = GitHub::start();
    let home = home(&github, "client_id = \"Iv1.test\"\n");
    let daemon = home.start();
    assert!(daemon.post("/api/sources/github/", &json!({})).body["device"].is_object());
    let mut world = github.world();
    world.device = [json!({"access_token": TOKEN, "token_type": "bearer", "scope": "read:user"})].into();
    let came = github.came();
    until(|| (github.came() > came).then_some(())).expect("it asks whether the code was entered");
    assert_eq!(daemon.call("DELETE", "/api/sources/github/", None).status, 200);
    drop(world);
    // The thread that reads is done with the first when it asks about the second.
    github.world().device.push_back(json!({"error": "access_denied"}));
    let output = home.run(&["source", "connect", "github"]);
    assert!(!output.status.success() && told_error(&output).contains("you refused it"), "{output:?}");
    assert_eq!(daemon.get("/api/sources/github/").body["connected"], false);
    assert!(!home.path("secrets.sealed").exists());
}

/// A keychain may hang, or be gone after a restart: nothing waits for it, it is told, and connecting again mends it.
#[test]
fn a_keychain_that_never_answers_or_is_gone_keeps_nothing_waiting_and_is_told_of() {
    if cfg!(not(all(feature = "keychain", target_os = "linux"))) {
        eprintln!("SKIPPED: a_keychain_that_never_answers_or_is_gone (this build asks none on a bus)");
        return;
    }
    let github = GitHub::start();
    let home = home(&github, "");
    let daemon = home.start();
    assert_eq!(connected(&home, &daemon)["token_in"], "file", "a home in one folder keeps it there");
    let status = |daemon: &Daemon| daemon.get("/api/monitoring/status/").body;
    assert_eq!(status(&daemon)["github"], json!({"connected": true, "token_in": "file"}));
    daemon.stop();
    let sealed = home.path("secrets.sealed");
    let mut held: Value = serde_json::from_str(&std::fs::read_to_string(&sealed).unwrap()).unwrap();
    (held["secrets"], held["in_keychain"]) = (json!({}), json!(["github"]));
    std::fs::write(&sealed, held.to_string()).unwrap();

    let bus = home.path("bus");
    let listener = std::os::unix::net::UnixListener::bind(&bus).unwrap();
    let address = |path: &std::path::Path| format!("unix:path={}", path.display());
    let daemon = home.start_with(&[("DBUS_SESSION_BUS_ADDRESS", &address(&bus))]);
    let (_asked, _) = listener.accept().unwrap();
    assert_eq!(status(&daemon)["github"]["connected"], false);
    let listed = home.json(&["source", "list"])["github"].clone();
    assert!(listed["problem"].as_str().unwrap().contains("has not answered yet"), "{listed}");
    daemon.stop();

    let daemon = home.start_with(&[("DBUS_SESSION_BUS_ADDRESS", &address(&home.path("nowhere")))]);
    let told = until(|| Some(status(&daemon)["problems"].to_string()).filter(|told| told != "[]")).expect("it is told");
    assert!(told.contains("github: the keychain cannot be used: there is none in this session"), "{told}");
    let connected = connected(&home, &daemon);
    assert_eq!((&connected["token_in"], &connected["problem"]), (&json!("file"), &Value::Null), "{connected}");
    assert_eq!(status(&daemon)["problems"], json!([]));
}
