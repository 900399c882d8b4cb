//! The life of a note: its versions and the way back, what is gone all at once, what follows from an edit, and what
//! surrounds notes in a folder of a person's.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Daemon, Home, imported};
use crate::vault::{fact_file, facts, rebuilt, say_again};

fn id(fact: &Value) -> &str {
    fact["id"].as_str().unwrap()
}

fn about_uv(home: &Home) -> Value {
    facts(home).into_iter().find(|fact| fact["text"].as_str().unwrap().contains("uv")).unwrap()
}

fn append(file: &Path, line: &str) {
    std::fs::write(file, std::fs::read_to_string(file).unwrap() + line).unwrap();
}

#[test]
fn a_note_has_a_history_and_a_way_back() {
    let (home, daemon) = imported();
    let fact = about_uv(&home);
    let file = fact_file(&home, id(&fact));
    let read = || std::fs::read_to_string(&file).unwrap();
    let ours = read();
    append(&file, "One.\n");
    daemon.sync();
    append(&file, "Two.\n");
    daemon.sync();
    let history = || home.json(&["memory", "history", id(&fact)]);
    let versions = history()["versions"].as_array().unwrap().clone();
    let told = |i: usize| (versions[i]["by"].as_str().unwrap().to_owned(), versions[i]["lines"]["added"].clone());
    assert_eq!((told(0), told(1)), (("person".into(), json!(["Two."])), ("person".into(), json!(["One."]))));
    assert_eq!(versions.last().unwrap()["what"], "written");
    home.json(&["memory", "undo", id(&fact)]);
    assert_eq!(read(), format!("{ours}One.\n"), "the last change is gone");
    home.json(&["memory", "undo", id(&fact)]);
    assert_eq!(read(), format!("{ours}One.\nTwo.\n"), "and undone again it is back");
    let first = versions[2]["number"].to_string();
    home.json(&["memory", "undo", &file.strip_prefix(home.vault()).unwrap().display().to_string(), "--to", &first]);
    assert_eq!(read(), ours);
    assert_eq!(daemon.get(&format!("/api/memory/facts/{}/", id(&fact))).body, fact, "it is Clone's again");
    assert_eq!(home.run(&["memory", "undo", id(&fact), "--to", "999"]).status.code(), Some(1));
    let before = history();
    let daemon = rebuilt(&home, daemon);
    assert_eq!(history(), before, "the history is in the log");
    drop(daemon);
}

#[test]
fn a_deleted_note_comes_back_by_undo_and_by_hand_with_all_it_had() {
    let (home, daemon) = imported();
    let fact = about_uv(&home);
    let file = fact_file(&home, id(&fact));
    let text = std::fs::read(&file).unwrap();
    for by_hand in [false, true] {
        std::fs::remove_file(&file).unwrap();
        daemon.sync();
        assert_eq!(daemon.get(&format!("/api/memory/facts/{}/", id(&fact))).status, 404);
        if by_hand {
            std::fs::write(&file, &text).unwrap();
            daemon.sync();
        } else {
            home.json(&["memory", "undo", id(&fact)]);
        }
        assert_eq!(std::fs::read(&file).unwrap(), text);
        assert_eq!(daemon.get(&format!("/api/memory/facts/{}/", id(&fact))).body, fact);
    }
    say_again(&daemon, "always use uv, never pip");
    let now = daemon.get(&format!("/api/memory/facts/{}/", id(&fact))).body;
    assert!(now["support"].as_u64() > fact["support"].as_u64(), "it is counted on: {now}");
}

/// A home with forty notes of a person's.
fn many() -> (Home, Daemon) {
    let (home, daemon) = imported();
    for i in 0..40 {
        std::fs::write(home.vault().join(format!("facts/own-{i:02}.md")), format!("I know thing number {i}.\n"))
            .unwrap();
    }
    daemon.sync();
    (home, daemon)
}

fn own(home: &Home) -> usize {
    facts(home).iter().filter(|fact| fact["text"].as_str().unwrap().contains("thing number")).count()
}

fn on_disk(home: &Home) -> usize {
    (0..40).filter(|i| home.vault().join(format!("facts/own-{i:02}.md")).exists()).count()
}

fn delete(home: &Home, range: std::ops::Range<u32>) {
    range.for_each(|i| std::fs::remove_file(home.vault().join(format!("facts/own-{i:02}.md"))).unwrap());
}

#[test]
fn a_mass_of_deletions_waits_for_a_word() {
    let (home, daemon) = many();
    assert_eq!(own(&home), 40);
    delete(&home, 0..35);
    daemon.sync();
    assert_eq!((own(&home), on_disk(&home)), (40, 5), "nothing is forgotten, nothing comes back by itself");
    let problems = home.json(&["status"])["problems"].to_string();
    assert!(problems.contains("35 notes are gone") && problems.contains("clone memory deletions"), "{problems}");
    daemon.stop();
    let daemon = home.start();
    daemon.sync();
    assert_eq!(home.json(&["memory", "deletions"]).as_array().unwrap().len(), 35, "a restart is no word");
    assert_eq!(home.json(&["memory", "deletions", "restore"])["notes"], 35);
    assert_eq!((own(&home), on_disk(&home)), (40, 40));
    delete(&home, 0..35);
    daemon.sync();
    assert_eq!(home.json(&["memory", "deletions", "confirm"])["notes"], 35);
    assert_eq!((own(&home), on_disk(&home)), (5, 5));
    assert!(home.json(&["status"])["problems"].as_array().unwrap().is_empty());
    let daemon = rebuilt(&home, daemon);
    assert_eq!((own(&home), on_disk(&home)), (5, 5), "the word is in the log");
    drop(daemon);
}

#[test]
fn another_branch_is_no_deletion() {
    let (home, daemon) = many();
    let vault = home.vault().join("facts");
    let away = home.path("branch");
    std::fs::create_dir(&away).unwrap();
    for i in 0..35 {
        std::fs::rename(vault.join(format!("own-{i:02}.md")), away.join(format!("own-{i:02}.md"))).unwrap();
    }
    std::fs::write(vault.join("own-36.md"), "I know thing number 36 on this branch.\n").unwrap();
    daemon.sync();
    assert_eq!(own(&home), 40);
    for i in 0..35 {
        std::fs::copy(away.join(format!("own-{i:02}.md")), vault.join(format!("own-{i:02}.md"))).unwrap();
    }
    daemon.sync();
    assert_eq!(home.json(&["memory", "deletions"]), json!([]));
    assert!(home.json(&["status"])["problems"].as_array().unwrap().is_empty());
    // A mass of renames, into a folder and with the case of a name changed, is no deletion either.
    std::fs::create_dir(vault.join("archive")).unwrap();
    for i in 0..35 {
        std::fs::rename(vault.join(format!("own-{i:02}.md")), vault.join(format!("archive/OWN-{i:02}.md"))).unwrap();
    }
    daemon.sync();
    assert_eq!((own(&home), on_disk(&home)), (40, 5));
    assert_eq!(home.json(&["memory", "deletions"]), json!([]));
}

#[test]
fn git_at_work_is_waited_for() {
    let (home, daemon) = imported();
    let fact = about_uv(&home);
    let file = fact_file(&home, id(&fact));
    let lock = home.vault().join(".git/index.lock");
    std::fs::create_dir(lock.parent().unwrap()).unwrap();
    std::fs::write(&lock, "").unwrap();
    let text = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    daemon.sync();
    assert_eq!(daemon.get(&format!("/api/memory/facts/{}/", id(&fact))).status, 200, "half a checkout says nothing");
    std::fs::write(&file, &text).unwrap();
    std::fs::remove_file(&lock).unwrap();
    daemon.sync();
    assert_eq!(daemon.get(&format!("/api/memory/facts/{}/", id(&fact))).body, fact);
}

/// Whether a search of facts gives one with this id.
fn is_found(daemon: &Daemon, words: &str, id: &str) -> bool {
    let hits = daemon.post("/api/memory/search/", &json!({"query": words, "tier": "fact", "limit": 100})).body;
    hits.as_array().unwrap().iter().any(|hit| hit["id"] == id)
}

#[test]
fn everything_that_rests_on_a_fact_follows_when_it_is_edited_or_deleted() {
    let (home, daemon) = imported();
    let all: Vec<Value> = facts(&home).into_iter().filter(|fact| fact["tier"] != "candidate").collect();
    assert!(all.len() > 1, "{all:?}");
    let mut cascades = 0;
    for (i, fact) in all.iter().enumerate() {
        let (id, text) = (id(fact), fact["text"].as_str().unwrap());
        let file = fact_file(&home, id);
        let profile = || daemon.get("/api/memory/profile/").body;
        let was_cited = profile()["body"].as_str().unwrap().contains(id);
        if i % 2 == 0 {
            std::fs::remove_file(&file).unwrap();
            daemon.sync();
            let texts = [
                profile()["body"].clone(),
                profile()["soul"].clone(),
                daemon.post("/api/memory/context/", &json!({})).body,
            ];
            assert!(texts.iter().all(|text| !text.to_string().contains(id)), "{id} is still in {texts:?}");
            assert!(!is_found(&daemon, text, id) && facts(&home).iter().all(|other| other["id"] != id));
            let on_disk = std::fs::read_to_string(home.vault().join("profile.md")).unwrap();
            assert!(!on_disk.contains(id), "{on_disk}");
        } else {
            let word = format!("qxzw{}", "abcdefghijklmnopqrstuvwxyz".chars().nth(i % 26).unwrap());
            let lines = std::fs::read_to_string(&file).unwrap();
            let lines = lines.lines().map(|line| {
                if line.starts_with("text:") { format!("text: I say {word}\n") } else { format!("{line}\n") }
            });
            std::fs::write(&file, lines.collect::<String>()).unwrap();
            daemon.sync();
            assert!(is_found(&daemon, &word, id));
            let now = daemon.get(&format!("/api/memory/facts/{id}/")).body;
            assert_eq!(now["text"], format!("I say {word}"));
            assert_eq!(profile()["body"].as_str().unwrap().contains(&word), was_cited, "{was_cited} {}", profile());
        }
        cascades += 1;
    }
    eprintln!("{cascades} of {} edits and deletions cascaded", all.len());
    // Said again by the person in three more sessions, a deleted claim stays deleted.
    for fact in all.iter().step_by(2) {
        say_again(&daemon, fact["text"].as_str().unwrap());
        assert_eq!(daemon.get(&format!("/api/memory/facts/{}/", id(fact))).status, 404, "{fact}");
    }
    let daemon = rebuilt(&home, daemon);
    for (i, fact) in all.iter().enumerate() {
        let status = daemon.get(&format!("/api/memory/facts/{}/", id(fact))).status;
        assert_eq!(status, if i % 2 == 0 { 404 } else { 200 }, "after a rebuild too");
    }
}

#[test]
fn what_clone_writes_is_never_taken_for_an_edit() {
    let (home, daemon) = imported();
    for words in ["always use uv, never pip", "we always sign our commits", "never push to main"] {
        say_again(&daemon, words);
    }
    let events = |topic: &str| {
        daemon.get(&format!("/api/events/?topic={topic}&limit=1000")).body["events"].as_array().unwrap().len()
    };
    let before = events("vault.written");
    assert!(before > facts(&home).len(), "notes were written again and again: {before}");
    daemon.sync();
    assert_eq!((events("vault.edited"), events("vault.deleted"), events("vault.moved")), (0, 0, 0));
    assert_eq!(events("vault.written"), before, "nothing is written while nothing changes");
}

#[test]
fn an_editor_in_the_middle_of_a_save_has_not_deleted() {
    let (home, daemon) = imported();
    let fact = about_uv(&home);
    let file = fact_file(&home, id(&fact));
    let aside = file.with_extension("md~");
    std::fs::rename(&file, &aside).unwrap();
    daemon.sync();
    daemon.sync();
    assert_eq!(daemon.get(&format!("/api/memory/facts/{}/", id(&fact))).body, fact);
    std::fs::copy(&aside, &file).unwrap();
    std::fs::remove_file(&aside).unwrap();
    daemon.sync();
    assert_eq!(daemon.get(&format!("/api/memory/facts/{}/", id(&fact))).body, fact);
}

#[test]
fn what_editors_and_sync_tools_leave_is_no_note() {
    let (home, daemon) = imported();
    let before = facts(&home).len();
    for name in [
        ".#tea.md",
        "#tea.md#",
        "tea.md~",
        "4913",
        ".tea.md.swp",
        "tea.md.swx",
        "tea.sync-conflict-20260101-000000-ABC.md",
        "tea.md.tmp",
        ".tea.md.kate-swp",
        "sedA1b2C3",
    ] {
        std::fs::write(home.vault().join("facts").join(name), "I drink litter.\n").unwrap();
    }
    for name in ["Tea.md", "tea.md", "t-ea.md"] {
        std::fs::write(home.vault().join("facts").join(name), format!("I like the file {name}.\n")).unwrap();
    }
    daemon.sync();
    let now = facts(&home);
    assert_eq!(now.len(), before + 3, "two names that differ by case or dash are two notes: {now:?}");
    assert!(now.iter().all(|fact| !fact["text"].as_str().unwrap().contains("litter")));
}

#[test]
fn a_read_only_note_is_left_alone_and_said_so() {
    use std::os::unix::fs::PermissionsExt;
    let (home, daemon) = imported();
    let fact = about_uv(&home);
    let file = fact_file(&home, id(&fact));
    let text = std::fs::read(&file).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
    say_again(&daemon, "always use uv, never pip");
    assert_eq!(std::fs::read(&file).unwrap(), text);
    let problems = home.json(&["status"])["problems"].to_string();
    assert!(problems.contains("it is read-only, and is left as it is"), "{problems}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    daemon.sync();
    assert_ne!(std::fs::read(&file).unwrap(), text, "it follows once it may");
    assert!(home.json(&["status"])["problems"].as_array().unwrap().is_empty());
}

#[test]
fn a_vault_that_is_a_link_is_followed_and_one_that_leads_nowhere_forgets_nothing() {
    let home = Home::new();
    let target = home.path("elsewhere");
    std::fs::create_dir(&target).unwrap();
    std::os::unix::fs::symlink(&target, home.vault()).unwrap();
    let daemon = home.start();
    home.json(&["import", "claude-code", &crate::support::sample()]);
    daemon.sync();
    let before = facts(&home).len();
    assert!(before > 0 && target.join("profile.md").exists());
    std::fs::rename(&target, home.path("unmounted")).unwrap();
    daemon.sync();
    assert_eq!(facts(&home).len(), before, "nothing is forgotten");
    assert!(!home.json(&["status"])["problems"].as_array().unwrap().is_empty());
    std::fs::rename(home.path("unmounted"), &target).unwrap();
    daemon.sync();
    assert_eq!(facts(&home).len(), before);
    assert!(home.json(&["status"])["problems"].as_array().unwrap().is_empty());
}

#[test]
fn the_soul_card_keeps_the_budget_that_was_set_and_its_bytes() {
    let (home, daemon) = imported();
    let card = || std::fs::read_to_string(home.vault().join("soul.md")).unwrap();
    daemon.sync();
    let usual = card();
    daemon.stop();
    let mut cards = Vec::new();
    for setting in ["[memory]\nsoul_tokens = 50\n", ""] {
        std::fs::write(home.path("config.toml"), setting).unwrap();
        let daemon = home.start();
        daemon.sync();
        cards.push(card());
        let daemon = rebuilt(&home, daemon);
        assert_eq!(&card(), cards.last().unwrap(), "a rebuild writes the same");
        daemon.stop();
    }
    assert!(cards[0].chars().count() <= 200 && cards[0].len() < usual.len(), "{}", cards[0]);
    assert_eq!(cards[1], usual);
}
