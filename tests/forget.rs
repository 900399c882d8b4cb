//! Forgotten means gone: a canary in every store before, in none after, whatever kills the daemon meanwhile.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clone_daemon::derive::forget::STORES;
use clone_daemon::paths::Paths;
use clone_daemon::remains;
use clone_schema::text::hex;
use serde_json::{Value, json};

use crate::support::{Daemon, Home, prompt, response, until};

/// A word that no file holds by chance.
const CANARY: &str = "zqheron7f3a9c41d8e25b60";
/// Words of the same life that must stay.
const KEPT: &str = "kingfisher5b1e77aa90c3";

/// Kills in a plain run; `KILLS=50` for the long one.
fn kills() -> u64 {
    std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(8)
}

fn at(minute: u32) -> String {
    format!("2026-01-{:02}T{:02}:{:02}:00Z", 2 + minute / 1440, minute / 60 % 24, minute % 60)
}

/// Sessions of a person who prefers something and says so; with the canary, or with other words.
fn life(word: &str, name: &str, from: u32) -> Vec<Value> {
    let mut events = Vec::new();
    for session in 0..4 {
        let (id, minute) = (format!("{name}-{session}"), from + session * 120);
        events.push(response(
            &format!("{name}-said-{session}"),
            &id,
            &format!("The build of {word} is ready. Shall I deploy {word} now?"),
            &at(minute),
        ));
        let reply = format!("yes, deploy {word} to staging");
        events.push(prompt(&format!("{name}-typed-{session}"), &id, &reply, &at(minute + 1)));
        events.push(response(&format!("{name}-done-{session}"), &id, "Deployed. Anything else?", &at(minute + 2)));
        let wish = format!("Always use {word} for tests, never anything else.");
        events.push(prompt(&format!("{name}-wish-{session}"), &id, &wish, &at(minute + 3)));
        events.push(json!({
            "id": format!("{name}-stop-{session}"), "session_id": id, "occurred_at": at(minute + 4), "source": "agent",
            "source_detail": "test", "type": "session.stopped",
        }));
    }
    events
}

fn ingest(daemon: &Daemon, events: &[Value]) -> Value {
    let answer = daemon.post("/api/recording/events/", &json!(events));
    assert!(answer.status == 200 || answer.status == 201, "{}", answer.body);
    answer.body
}

/// A home in which the canary is everywhere: said, typed, learned, told, predicted, judged and noted by hand.
fn planted() -> Home {
    let home = Home::new();
    let daemon = home.start();
    ingest(&daemon, &life(KEPT, "kept", 0));
    ingest(&daemon, &life(CANARY, "canary", 1000));
    // So that its sessions become episodes at once.
    assert_eq!(daemon.post("/api/sources/import/", &json!({"format": "turns", "imported": 40})).status, 201);
    daemon.sync();
    let asked = json!({"agent": "Test Agent", "agent_input": format!("Shall I deploy {CANARY} now?"), "k": 3});
    let predicted = daemon.post("/api/predictions/predict/", &asked).body;
    let path = format!("/api/predictions/{}/feedback/", predicted["id"].as_str().unwrap());
    let verdict = json!({"status": "edited", "actual_response": format!("no, keep {CANARY} where it is")});
    assert_eq!(daemon.post(&path, &verdict).status, 200);
    daemon.sync();
    let note = home.vault().join("facts/mine.md");
    std::fs::write(&note, format!("I keep {CANARY} in the cellar.\n")).unwrap();
    std::fs::write(home.vault().join("plain.md"), format!("Shopping\n\nbread\n{CANARY}\nmilk\n")).unwrap();
    daemon.sync();
    // Sealed, and what a restart needs is written.
    daemon.stop();
    let daemon = home.start();
    daemon.sync();
    daemon.stop();
    home
}

fn found(home: &Home, word: &str) -> Vec<(String, String)> {
    let paths = Paths::under(&home.path(""));
    let found = remains::search(&paths, &[word.to_owned()]).unwrap();
    found.into_iter().map(|one| (one.path, one.form)).collect()
}

/// In which stores a word is.
fn stores(home: &Home, word: &str) -> BTreeSet<String> {
    let root = home.path("").display().to_string();
    let store = |path: &str| {
        let rest = path.trim_start_matches(&root).trim_start_matches('/').to_owned();
        let parts: Vec<&str> = rest.split('/').collect();
        if parts[0] == "vault" && parts.len() > 2 { format!("vault/{}", parts[1]) } else { parts[0].to_owned() }
    };
    found(home, word).iter().map(|(path, _)| store(path)).collect()
}

/// Whoever adds a store says what becomes of it when something is forgotten.
fn assert_stores_are_listed(home: &Home) {
    for entry in std::fs::read_dir(home.path("")).unwrap().flatten() {
        let mut name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            name.push('/');
        }
        let listed = STORES.iter().any(|(store, _)| name.starts_with(store));
        assert!(listed, "`{name}` is not among the stores of `clone forget`: see `STORES` in derive/forget.rs");
    }
}

/// Every event that stays: position, id and bytes.
fn events(daemon: &Daemon, keep: impl Fn(&Value) -> bool) -> Vec<(u64, String)> {
    let mut events = Vec::new();
    let mut from = 0;
    loop {
        let page = daemon.get(&format!("/api/events/?limit=1000&from={from}")).body;
        for one in page["events"].as_array().unwrap().iter().filter(|one| keep(one)) {
            events.push((one["position"].as_u64().unwrap(), one["event"].to_string()));
        }
        from = page["next"].as_u64().unwrap();
        if page["more"] == false {
            return events;
        }
    }
}

fn is_wire(event: &Value) -> bool {
    !["vault.", "prediction.", "feedback.", "session.closed", "event.", "config."]
        .iter()
        .any(|internal| event["topic"].as_str().unwrap().starts_with(internal))
}

/// What a reader is told that no clock changes.
fn told(daemon: &Daemon) -> Vec<Value> {
    daemon.sync();
    [
        "/api/memory/facts/?limit=200",
        "/api/memory/episodes/?limit=200",
        "/api/memory/profile/",
        "/api/recording/sessions/",
    ]
    .iter()
    .map(|path| daemon.get(path).body)
    .collect()
}

fn forget(daemon: &Daemon, body: &Value) -> Value {
    let answer = daemon.post("/api/memory/forget/", body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

#[test]
fn a_canary_is_in_every_store_before_and_in_none_after() {
    let home = planted();
    let before = stores(&home, CANARY);
    for store in ["log", "state.redb", "model.snapshot", "index", "vault/facts", "vault/episodes", "vault"] {
        assert!(before.contains(store), "the canary was not planted in `{store}`, or is not seen there: {before:?}");
    }
    let forms: BTreeSet<String> = found(&home, CANARY).into_iter().map(|(_, form)| form).collect();
    for form in ["plain", "zstd plain", "stored", "term"] {
        assert!(forms.contains(form), "{form} in {forms:?}");
    }
    let daemon = home.start();
    assert_stores_are_listed(&home);
    let stay = |one: &Value| is_wire(one) && !one["event"].to_string().contains(CANARY);
    let (kept, facts) = (events(&daemon, stay), told(&daemon)[0].clone());
    assert!(facts.to_string().contains(CANARY) && facts.to_string().contains(KEPT), "{facts}");

    let shown = forget(&daemon, &json!({"text": CANARY, "dry_run": true}));
    assert_eq!(shown["events"]["agent.prompt"], 8, "{shown}");
    assert!(shown["facts"].as_array().unwrap().iter().any(|fact| fact["gone"] == true), "{shown}");
    assert!(
        shown["events"]["prediction.made"].as_u64() >= Some(1) && shown["events"]["feedback.given"] == 1,
        "{shown}"
    );
    assert_eq!(stores(&home, CANARY), before, "a dry run changes nothing");

    let answer = forget(&daemon, &json!({"text": CANARY, "vault": true}));
    assert_eq!(answer["remains"], json!([]), "{answer}");
    assert_eq!(stores(&home, CANARY), BTreeSet::new());
    assert_eq!(events(&daemon, is_wire), kept, "every other event stays where it is");
    let after = told(&daemon);
    assert!(after[0].to_string().contains(KEPT) && !json!(after).to_string().contains(CANARY));
    let plain = std::fs::read_to_string(home.vault().join("plain.md")).unwrap();
    assert_eq!(plain, "Shopping\n\nbread\nmilk\n", "only the line that quotes it goes");
    assert!(!home.vault().join("facts/mine.md").exists());

    // It does not come back: not from the same history, and not from derived state made anew.
    let again = ingest(&daemon, &life(CANARY, "canary", 1000));
    assert_eq!((&again["accepted"], &again["forgotten"]), (&json!(0), &json!(12)), "{again}");
    let other: Vec<Value> = life(CANARY, "canary", 1000)
        .into_iter()
        .map(|mut event| {
            event["id"] = json!(format!("other-importer-{}", event["id"].as_str().unwrap()));
            event
        })
        .filter(|event| event.to_string().contains(CANARY))
        .collect();
    let again = ingest(&daemon, &other);
    assert_eq!((&again["accepted"], &again["forgotten"]), (&json!(0), &json!(12)), "{again}");
    daemon.sync();
    daemon.stop();
    for lost in ["state.redb", "model.snapshot", "index"] {
        let _gone = std::fs::remove_file(home.path(lost)).or_else(|_| std::fs::remove_dir_all(home.path(lost)));
    }
    let daemon = home.start();
    assert_eq!(told(&daemon), after, "a rebuild tells the same");
    assert_eq!(events(&daemon, is_wire).len(), kept.len());
    daemon.stop();
    assert_eq!(stores(&home, CANARY), BTreeSet::new());
    // What is said later is said anew.
    let daemon = home.start();
    let new = prompt(
        "later",
        "later",
        &format!("Always use {CANARY} for tests, never anything else."),
        "2099-01-01T00:00:00Z",
    );
    assert_eq!(ingest(&daemon, &[new])["accepted"], 1);
}

/// A copy of a home that nobody runs in.
fn copy(home: &Home) -> Home {
    let copy = Home::new();
    let from = format!("{}/.", home.path("").display());
    let copied = std::process::Command::new("cp").args(["-a", &from]).arg(copy.path("")).status().unwrap();
    assert!(copied.success());
    copy
}

/// Asks to forget and kills the daemon a while later, or a while after the journal is there, whether it is done or not.
fn killed_after(daemon: Daemon, journal: Option<PathBuf>, life: Duration) {
    let body = json!({"text": CANARY, "vault": true}).to_string();
    if journal.is_some() {
        // While it loads it answers 503, and nothing would begin.
        daemon.sync();
    }
    std::thread::scope(|scope| {
        let (daemon, body) = (&daemon, &body);
        let asked = scope.spawn(move || daemon.try_call("POST", "/api/memory/forget/", Some(body)));
        // A busy machine may look too late: then it is done.
        let begun = journal.map(|journal| until(|| (journal.exists() || asked.is_finished()).then_some(())));
        assert_ne!(begun, Some(None), "it never began");
        if begun.is_some() && asked.is_finished() {
            assert_eq!(asked.join().unwrap().map(|answer| answer.status).ok(), Some(200), "it never began");
        }
        let start = Instant::now();
        while start.elapsed() < life {
            std::thread::yield_now();
        }
        let pid = daemon.pid().to_string();
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    });
    daemon.kill();
}

#[test]
fn whatever_kills_it_forgetting_is_finished_by_the_next_start_or_was_not_begun() {
    let planted = planted();
    let (home, rounds) = (copy(&planted), kills());
    let daemon = home.start();
    let stay = |one: &Value| is_wire(one) && !one["event"].to_string().contains(CANARY);
    let kept = events(&daemon, stay);
    let start = Instant::now();
    forget(&daemon, &json!({"text": CANARY, "vault": true}));
    let whole = start.elapsed();
    daemon.stop();
    let (mut resumed, mut begun_anew) = (0, 0);
    for round in 0..rounds {
        let home = copy(&planted);
        // Every other one once it is at work, however slow the machine is today.
        let journal = (round % 2 == 1).then(|| home.path("log/ERASE"));
        let share = if journal.is_some() { 0.2 * round as f64 } else { round as f64 + 0.5 };
        killed_after(home.start(), journal, whole.mul_f64(share / rounds as f64));
        let unfinished = home.path("log/ERASE").exists();
        let daemon = home.start();
        let said = events(&daemon, |one| is_wire(one) && one["event"].to_string().contains(CANARY));
        assert!(
            said.is_empty() || said.len() == 12 && !unfinished,
            "round {round}: half of it is shown: {}",
            said.len()
        );
        resumed += u64::from(unfinished);
        if !said.is_empty() {
            begun_anew += 1;
            forget(&daemon, &json!({"text": CANARY, "vault": true}));
        }
        daemon.sync();
        assert_eq!(events(&daemon, is_wire), kept, "round {round}");
        daemon.stop();
        assert_eq!(stores(&home, CANARY), BTreeSet::new(), "round {round}, {unfinished}: {:?}", found(&home, CANARY));
        assert!(!home.path("log/ERASE").exists() && !stores(&home, KEPT).is_empty());
    }
    eprintln!("{rounds} kills over {whole:?}: {resumed} resumed, {begun_anew} not begun, none left anything behind");
    assert!(resumed > 0, "not one kill met it at work");
}

#[test]
fn one_event_goes_by_its_row_and_what_is_left_is_looked_for() {
    let home = Home::new();
    let daemon = home.start();
    ingest(&daemon, &life(KEPT, "kept", 0));
    let noted = daemon.post("/api/memory/raw/", &json!({"text": format!("The spare key is {CANARY}.")}));
    assert_eq!(noted.status, 201);
    let path = format!("/api/memory/raw/{}/", noted.body["id"].as_str().unwrap());
    let look = |text: &str| daemon.post("/api/memory/forget/verify/", &json!({"text": text})).body["remains"].clone();
    daemon.sync();
    assert_ne!(look(CANARY), json!([]));
    assert_eq!(daemon.call("DELETE", &path, None).status, 204);
    assert_eq!((daemon.get(&path).status, daemon.call("DELETE", &path, None).status), (404, 404));
    assert_eq!(look(CANARY), json!([]));
    assert_ne!(look(KEPT), json!([]));
    for (body, status) in [(json!({}), 400), (json!({"what": 1}), 400), (json!({"session_id": "none"}), 200)] {
        let answer = daemon.post("/api/memory/forget/", &body);
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let gone = home.json(&["forget", "--session", "kept-1", "--yes"]);
    assert_eq!((&gone["events"]["agent.prompt"], &gone["remains"]), (&json!(2), &json!([])), "{gone}");
    assert_eq!(home.json(&["forget", "--text", "no such words"])["events"], json!({}));
    // Nobody can be asked here, so nothing goes.
    assert_eq!(home.run(&["forget", "--text", KEPT]).status.code(), Some(2));
    // How to forget does not say what.
    for how in ["--yes", "--vault", "--dry-run"] {
        let output = home.command().args(["forget", how]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && told.contains("required arguments were not provided"), "{told}");
    }
    assert_eq!(daemon.get("/api/recording/sessions/kept-1/events/").status, 404);
    assert_eq!(daemon.get("/api/recording/sessions/kept-2/events/").body.as_array().map(Vec::len), Some(5));
}

#[test]
fn a_prompt_with_a_secret_in_it_does_not_come_back_under_another_id() {
    let home = Home::new();
    let daemon = home.start();
    let token = format!("ghp_{}", "a1B2c3D4e5F6".repeat(3));
    let said = |id: &str| prompt(id, "s", &format!("Push it with the token {token} and tell me"), &at(1));
    assert_eq!(ingest(&daemon, &[said("first")])["accepted"], 1);
    forget(&daemon, &json!({"id": "first"}));
    let again = ingest(&daemon, &[said("second"), prompt("third", "s", "Pull it without any token at all", &at(1))]);
    assert_eq!((&again["accepted"], &again["forgotten"]), (&json!(1), &json!(1)), "{again}");
}

#[test]
fn what_is_left_is_looked_for_in_the_case_in_which_it_was_said() {
    let home = Home::new();
    let daemon = home.start();
    let lines =
        ["Über den Steg ging Öztürk gestern nicht", "Привет, Мария, Дом у реки продан", "Ask Robert about the KEYS"];
    ingest(&daemon, &[prompt("said", "s", &lines.join("\n"), &at(1))]);
    for (number, line) in lines.iter().enumerate() {
        std::fs::write(home.path(&format!("plain-{number}")), line).unwrap();
        std::fs::write(home.path(&format!("hex-{number}")), hex(line.as_bytes())).unwrap();
    }
    let answer = forget(&daemon, &json!({"session_id": "s"}));
    assert_eq!((&answer["lines"], &answer["searched"]), (&json!(3), &json!(3)), "{answer}");
    for number in 0..lines.len() {
        for form in ["plain", "hex"] {
            let name = home.path(&format!("{form}-{number}")).display().to_string();
            let remains = answer["remains"].as_array().unwrap();
            let found = remains.iter().any(|one| one["path"] == *name && one["form"] == form);
            assert!(found, "`{name}` is not in {answer}");
        }
    }
}

/// What a person sees of a command that ends well.
fn shown_by(home: &Home, arguments: &[&str]) -> String {
    let output = home.command().args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_is_said_whether_any_file_was_searched() {
    let home = Home::new();
    let daemon = home.start();
    ingest(&daemon, &[prompt("short", "short", "yes, go on", &at(1))]);
    ingest(&daemon, &[prompt("long", "long", "Never deploy anything on the day of the fair", &at(1))]);
    let told = |arguments: &[&str]| shown_by(&home, arguments);
    let shown = told(&["forget", "--session", "short", "--yes"]);
    assert!(shown.contains("no file was searched") && !shown.contains("nothing is left"), "{shown}");
    let shown = told(&["forget", "--session", "long", "--yes"]);
    assert!(shown.contains("every file was searched") && shown.contains("nothing is left"), "{shown}");
    let none = forget(&daemon, &json!({"session_id": "none"}));
    assert_eq!((&none["lines"], &none["searched"]), (&json!(0), &json!(0)), "{none}");
}

#[test]
fn words_that_stand_in_a_note_alone_are_forgotten_too() {
    let home = Home::new();
    let daemon = home.start();
    ingest(&daemon, &life(KEPT, "kept", 0));
    daemon.sync();
    let note = home.vault().join("plain.md");
    std::fs::write(&note, format!("Shopping\n\nbread\n{CANARY}\nmilk\n")).unwrap();
    daemon.sync();
    let kept = events(&daemon, is_wire);
    let shown = shown_by(&home, &["forget", "--text", CANARY, "--dry-run"]);
    assert!(shown.contains("plain.md") && shown.contains("--vault"), "{shown}");
    let untouched = forget(&daemon, &json!({"text": CANARY}));
    assert_eq!((&untouched["events"], &untouched["yours"]), (&json!({}), &json!(["plain.md"])), "{untouched}");
    assert!(std::fs::read_to_string(&note).unwrap().contains(CANARY));
    let answer = forget(&daemon, &json!({"text": CANARY, "vault": true}));
    assert_eq!(answer["remains"], json!([]), "{answer}");
    assert_eq!(std::fs::read_to_string(&note).unwrap(), "Shopping\n\nbread\nmilk\n");
    assert_eq!(events(&daemon, is_wire), kept);
    daemon.stop();
    assert_eq!(stores(&home, CANARY), BTreeSet::new());
}

#[test]
fn what_was_forgotten_stays_so_where_the_list_of_it_is_lost() {
    let home = Home::new();
    let mut daemon = home.start();
    ingest(&daemon, &life(KEPT, "kept", 0));
    let gone = prompt("gone", "gone", "Never tell anybody about the surprise in May", &at(1));
    ingest(&daemon, std::slice::from_ref(&gone));
    forget(&daemon, &json!({"id": "gone"}));
    let kept = events(&daemon, is_wire);
    let list = home.path("log/TOMBSTONES");
    let whole = std::fs::read(&list).unwrap();
    let mut damaged = whole.clone();
    damaged[40] ^= 1;
    for left in [None, Some(damaged)] {
        daemon.stop();
        std::fs::remove_file(&list).unwrap();
        if let Some(bytes) = left {
            std::fs::write(&list, bytes).unwrap();
        }
        daemon = home.start();
        daemon.sync();
        assert_eq!(std::fs::read(&list).unwrap(), whole);
        let again = ingest(&daemon, std::slice::from_ref(&gone));
        assert_eq!((&again["accepted"], &again["forgotten"]), (&json!(0), &json!(1)), "{again}");
        assert_eq!(events(&daemon, is_wire), kept);
    }
}

#[test]
fn what_a_rule_keeps_no_longer_is_forgotten_and_nothing_else_is() {
    let home = Home::new();
    let daemon = home.start();
    let refused = daemon.post("/api/memory/retention/", &json!({}));
    assert_eq!(refused.status, 400, "there is no rule");
    assert!(refused.body["hint"].as_str().is_some_and(|hint| hint.contains("max_days")), "{}", refused.body);
    let refused = daemon.post("/api/memory/forget/", &json!({})).body;
    assert!(refused["hint"].as_str().is_some_and(|hint| hint.contains("source")), "{refused}");
    daemon.stop();
    let rules = "[retention.\"agent.prompt\"]\nmax_days = 400\n[retention.\"agent.response\"]\nmax_mb = 1\n";
    std::fs::write(home.path("config.toml"), rules).unwrap();
    let daemon = home.start();
    let now = clone_daemon::clock::now().to_string();
    let long = |word: &str| format!("{word} {}", "and so on ".repeat(50_000));
    let old = prompt("old", "s", &format!("Never tell {CANARY} about it"), "2001-01-01T00:00:00Z");
    ingest(&daemon, &[old.clone(), prompt("new", "s", &format!("Always tell {KEPT} about it"), &now)]);
    for id in ["long-1", "long-2", "long-3"] {
        ingest(&daemon, &[response(id, "s", &long(id), "2001-01-01T00:00:00Z")]);
    }
    let answer = daemon.post("/api/memory/retention/", &json!({}));
    assert_eq!(answer.status, 200, "{}", answer.body);
    for topic in ["agent.prompt", "agent.response"] {
        assert_eq!(answer.body["events"][topic], 1, "{}", answer.body);
    }
    assert_eq!(answer.body["remains"], json!([]));
    let kept: Vec<String> = events(&daemon, is_wire).into_iter().map(|(_, event)| event).collect();
    assert_eq!(kept.len(), 3);
    assert!(["new", "long-2", "long-3"].iter().all(|id| kept.iter().any(|event| event.contains(&format!("\"{id}\"")))));
    assert_eq!(ingest(&daemon, &[old])["forgotten"], 1);
    let shown = shown_by(&home, &["forget", "--retention"]);
    assert!(!shown.contains("agent."), "{shown}");
    let tombs = events(&daemon, |one| one["topic"] == "event.forgotten");
    assert!(tombs.len() == 1 && tombs[0].1.contains("retention") && !tombs[0].1.contains("tell"), "{tombs:?}");
    daemon.stop();
    assert_eq!(stores(&home, CANARY), BTreeSet::new());
}
