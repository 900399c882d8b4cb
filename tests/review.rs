//! What waits for the person: it is used nowhere until they tick it, it stays decided, and a rebuild comes to the same.

use serde_json::{Value, json};

use crate::support::{Daemon, Home, imported, prompt};

const ILL: &str = "Remember that my wife has epilepsy";
const DEPLOY: &str = "Always deploy to production after the tests pass";
const TABS: &str = "Always indent with tabs";

fn told() -> (Home, Daemon) {
    let home = Home::new();
    let daemon = home.start();
    let said: Vec<Value> = [ILL, DEPLOY, TABS, "use pnpm please"]
        .iter()
        .enumerate()
        .map(|(n, text)| {
            prompt(&format!("said-{n}"), &format!("s-{n}"), text, &format!("2026-03-0{}T10:00:00Z", n + 1))
        })
        .collect();
    assert_eq!(daemon.post("/api/recording/events/", &json!(said)).status, 201);
    daemon.sync();
    (home, daemon)
}

fn listed(daemon: &Daemon, query: &str) -> Vec<String> {
    let facts = daemon.get(&format!("/api/memory/facts/?limit=200&{query}")).body;
    let mut texts: Vec<String> =
        facts.as_array().unwrap().iter().map(|fact| fact["text"].as_str().unwrap().to_owned()).collect();
    texts.sort();
    texts
}

fn review(home: &Home) -> String {
    std::fs::read_to_string(home.vault().join("review.md")).unwrap_or_default()
}

fn tick(home: &Home, daemon: &Daemon, words: &str, choice: &str) {
    let note = review(home);
    let line = note.lines().find(|line| line.contains(words) && line.ends_with(&format!("-{choice}"))).unwrap();
    std::fs::write(home.vault().join("review.md"), note.replace(line, &line.replace("[ ]", "[x]"))).unwrap();
    daemon.sync();
    daemon.sync();
}

fn searched(daemon: &Daemon, word: &str) -> usize {
    let hits = daemon.post("/api/memory/search/", &json!({"query": word, "tier": "fact"})).body;
    hits.as_array().unwrap().len()
}

#[test]
fn what_waits_is_used_nowhere() {
    let (home, daemon) = told();
    assert_eq!(listed(&daemon, "status=active"), [TABS]);
    assert_eq!(listed(&daemon, "status=pending"), [DEPLOY, ILL, "use pnpm please"]);
    let profile = daemon.get("/api/memory/profile/").body.to_string();
    let context = daemon.post("/api/memory/context/", &json!({})).body["facts"].to_string();
    let notes: String = home
        .vault_bytes()
        .iter()
        .filter(|(path, _)| path != "review.md")
        .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
        .collect();
    let facts_only: String = notes.split("# ").filter(|part| part.contains("fct_")).collect();
    for word in ["epilepsy", "deploy to production"] {
        assert!(!profile.contains(word) && !context.contains(word), "{word} is used");
        assert!(!facts_only.contains(&format!("text: {word}")), "{word} has a note");
        assert_eq!(searched(&daemon, word), 0, "{word} is found as a fact");
        assert!(review(&home).contains(word), "{word} does not wait: {}", review(&home));
    }
    let waiting = daemon.get("/api/memory/promote/").body;
    let reasons: Vec<&str> = waiting.as_array().unwrap().iter().map(|row| row["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["sensitive: health", "action", "candidate"]);
}

#[test]
fn a_tick_decides_and_stays_decided_through_a_rebuild() {
    let (home, daemon) = told();
    tick(&home, &daemon, "pnpm", "accept");
    tick(&home, &daemon, "epilepsy", "reject");
    assert_eq!(listed(&daemon, "status=active"), [TABS, "use pnpm please"]);
    assert!(listed(&daemon, "").iter().all(|text| text != ILL));
    assert!(!review(&home).contains("epilepsy") && review(&home).contains("deploy"), "{}", review(&home));
    assert_eq!(
        daemon.post("/api/recording/events/", &json!([prompt("again", "s-9", ILL, "2026-03-09T10:00:00Z")])).status,
        201
    );
    daemon.sync();
    assert!(!review(&home).contains("epilepsy"), "a rejected claim is asked about again");
    let before = (listed(&daemon, ""), home.vault_bytes());
    daemon.stop();
    for derived in ["state.redb", "model.snapshot"] {
        let _absent = std::fs::remove_file(home.path(derived));
    }
    std::fs::remove_dir_all(home.vault()).unwrap();
    let daemon = home.start();
    daemon.sync();
    assert_eq!((listed(&daemon, ""), home.vault_bytes()), before);
}

#[test]
fn two_ticks_decide_nothing_and_own_lines_stay() {
    let (home, daemon) = told();
    let note = review(&home);
    let both: String = note
        .lines()
        .map(|line| if line.contains("epilepsy") { line.replace("[ ]", "[x]") } else { line.to_owned() } + "\n")
        .collect();
    std::fs::write(home.vault().join("review.md"), format!("{both}\nI will think about it.\n")).unwrap();
    daemon.sync();
    assert!(listed(&daemon, "status=pending").contains(&ILL.to_owned()));
    let problems = daemon.get("/api/monitoring/status/").body["problems"].to_string();
    assert!(problems.contains("both boxes"), "{problems}");
    std::fs::write(home.vault().join("review.md"), format!("{note}\nI will think about it.\n")).unwrap();
    daemon.sync();
    tick(&home, &daemon, "pnpm", "accept");
    assert!(review(&home).contains("I will think about it.") && !review(&home).contains("pnpm"), "{}", review(&home));
}

#[test]
fn the_command_line_decides_as_well() {
    let (home, daemon) = told();
    let waiting = home.json(&["memory", "audit"]);
    let deploy = waiting.as_array().unwrap().iter().find(|row| row["reason"] == "action").unwrap();
    home.json(&["memory", "promote", deploy["gate"].as_str().unwrap()]);
    assert_eq!(
        listed(&daemon, "status=active"),
        [TABS, DEPLOY].map(str::to_owned).into_iter().rev().collect::<Vec<_>>()
    );
    let tabs = home.json(&["memory", "list", "facts", "--status", "active"]);
    let tabs = tabs.as_array().unwrap().iter().find(|fact| fact["text"] == TABS).unwrap();
    home.json(&["memory", "archive", tabs["id"].as_str().unwrap()]);
    assert_eq!(listed(&daemon, "status=active"), [DEPLOY]);
    assert_eq!(listed(&daemon, "status=archived"), [TABS]);
    assert_eq!(daemon.post("/api/memory/promote/gate-none/", &json!({"choice": "accept"})).status, 404);
    assert_eq!(daemon.post("/api/memory/promote/gate-none/", &json!({"choice": "maybe"})).status, 400);
    for (tier, counted) in [("episodes", "episodes"), ("facts", "facts")] {
        let told = daemon.post(&format!("/api/memory/promote/{tier}/"), &json!({}));
        assert!(
            told.status == 200 && told.body[counted].is_u64() && told.body["derived_upto"].is_u64(),
            "{}",
            told.body
        );
    }
}

#[test]
fn verdicts_on_predictions_weigh_the_facts_they_cite() {
    let (home, daemon) = imported();
    let answer = home.json(&["predict", "Done. Shall I run the tests?"]);
    let Some(cited) = answer["facts"].as_array().and_then(|facts| facts.first()).cloned() else { return };
    let path = format!("/api/memory/facts/{}/", cited.as_str().unwrap());
    let weight = || daemon.get(&path).body["importance"].as_f64().unwrap();
    let before = weight();
    let verdict = |status: &str| {
        let path = format!("/api/predictions/{}/feedback/", answer["id"].as_str().unwrap());
        assert_eq!(daemon.post(&path, &json!({"status": status})).status, 200);
        daemon.sync();
    };
    verdict("rejected");
    let down = weight();
    verdict("accepted");
    assert!(down <= before && weight() >= down, "{before} {down} {}", weight());
}
