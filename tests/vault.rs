//! Editing the vault with any editor is the API: edits, new files, renames and deletions are found, and never covered.

use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Daemon, Home, imported, prompt, response, until};

pub fn facts(home: &Home) -> Vec<Value> {
    home.json(&["memory", "list", "facts", "--limit", "200"]).as_array().unwrap().clone()
}

pub fn fact_file(home: &Home, id: &str) -> PathBuf {
    let short = &id[4..];
    let files = std::fs::read_dir(home.vault().join("facts")).unwrap().flatten().map(|entry| entry.path());
    files.into_iter().find(|path| path.to_string_lossy().contains(short)).expect("the file of the fact")
}

/// Waits, by asking, until a search finds the word.
fn found(daemon: &Daemon, word: &str) -> bool {
    let body = json!({"query": word, "limit": 5});
    let ask = || {
        let hits = daemon.post("/api/memory/search/", &body).body;
        let has = |hit: &Value| hit["snippet"].as_str().unwrap_or("").contains(word);
        hits.as_array().is_some_and(|hits| hits.iter().any(has)).then_some(())
    };
    until(ask).is_some()
}

#[test]
fn a_sentence_in_a_new_file_is_a_stated_fact() {
    let (home, daemon) = imported();
    std::fs::write(home.vault().join("facts/tea.md"), "I drink zitronentee while reviewing.\n").unwrap();
    daemon.sync();
    let fact = facts(&home).into_iter().find(|fact| fact["text"].as_str().unwrap().contains("zitronentee")).unwrap();
    assert_eq!((fact["provenance"].as_str(), fact["tier"].as_str()), (Some("stated"), Some("strong")));
    assert_eq!(fact["evidence"][0]["origin"], "typed");
    let text = std::fs::read_to_string(home.vault().join("facts/tea.md")).unwrap();
    assert_eq!(text, "I drink zitronentee while reviewing.\n", "the daemon writes nothing into a person's file");
    std::fs::write(home.vault().join("facts/tea.md"), "I drink zitronentee and coffee.\n").unwrap();
    daemon.sync();
    let now: Vec<Value> =
        facts(&home).into_iter().filter(|f| f["text"].as_str().unwrap().contains("zitronentee")).collect();
    assert_eq!(now.len(), 1, "the edit replaces what the file said: {now:?}");
    assert!(now[0]["text"].as_str().unwrap().contains("coffee"));
}

#[test]
fn an_edit_outranks_the_inference_and_is_never_written_over() {
    let (home, daemon) = imported();
    let fact = facts(&home).into_iter().find(|fact| fact["text"].as_str().unwrap().contains("uv")).unwrap();
    let file = fact_file(&home, fact["id"].as_str().unwrap());
    let text = std::fs::read_to_string(&file).unwrap().replace("always use uv", "mostly use quux");
    std::fs::write(&file, &text).unwrap();
    daemon.sync();
    let now = daemon.get(&format!("/api/memory/facts/{}/", fact["id"].as_str().unwrap())).body;
    assert!(now["text"].as_str().unwrap().contains("quux"), "{now}");
    assert_eq!(now["provenance"], "edited");
    say_again(&daemon, "always use uv, never pip");
    let merged = std::fs::read_to_string(&file).unwrap();
    assert!(merged.contains("mostly use quux") && !merged.contains("always use uv"), "the edit stands: {merged}");
    let now = daemon.get(&format!("/api/memory/facts/{}/", fact["id"].as_str().unwrap())).body;
    assert!(now["text"].as_str().unwrap().contains("quux"), "{now}");
}

/// What a note says under a key of its front matter.
fn value(file: &Path, key: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{key}:"))).unwrap_or_else(|| panic!("{text}"));
    line.split_once(": ").unwrap().1.to_owned()
}

#[test]
fn a_note_that_a_person_wrote_into_goes_on_to_be_counted() {
    let (home, daemon) = imported();
    let fact = facts(&home).into_iter().find(|fact| fact["text"].as_str().unwrap().contains("uv")).unwrap();
    let id = fact["id"].as_str().unwrap();
    let file = fact_file(&home, id);
    let support: u32 = value(&file, "support").parse().unwrap();
    let mut text = std::fs::read_to_string(&file).unwrap().replace("tags:", "mood: good\ntags:");
    text.push_str("\nMy own line.\r\nAnd one without an end");
    std::fs::write(&file, &text).unwrap();
    daemon.sync();
    say_again(&daemon, "always use uv, never pip");
    let merged = std::fs::read_to_string(&file).unwrap();
    assert!(value(&file, "support").parse::<u32>().unwrap() > support, "{merged}");
    assert!(
        merged.ends_with("\nMy own line.\r\nAnd one without an end") && merged.contains("mood: good\n"),
        "{merged}"
    );
    assert!(merged.contains(&format!("Seen {} of", value(&file, "support"))), "the body follows too: {merged}");
    assert!(home.json(&["status"])["problems"].as_array().unwrap().is_empty(), "nothing to settle");
    rebuilt(&home, daemon);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), merged, "the log alone gives the same bytes");
}

/// Ends the daemon, takes away everything but the log, and starts again.
pub fn rebuilt(home: &Home, daemon: Daemon) -> Daemon {
    daemon.sync();
    daemon.stop();
    for derived in ["state.redb", "model.snapshot"] {
        let _absent = std::fs::remove_file(home.path(derived));
    }
    for derived in ["index", "vault"] {
        std::fs::remove_dir_all(home.path(derived)).unwrap();
    }
    let daemon = home.start();
    daemon.sync();
    daemon
}

#[test]
fn a_line_that_both_changed_is_the_persons_and_ours_is_told_beside() {
    let (home, daemon) = imported();
    let fact = facts(&home).into_iter().find(|fact| fact["text"].as_str().unwrap().contains("uv")).unwrap();
    let file = fact_file(&home, fact["id"].as_str().unwrap());
    let support = value(&file, "support");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&format!("support: {support}"), "support: 77 # as I count")).unwrap();
    daemon.sync();
    say_again(&daemon, "always use uv, never pip");
    assert_eq!(value(&file, "support"), "77 # as I count");
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let kept = || std::fs::read_to_string(home.path("conflicts/facts").join(&name));
    assert!(kept().unwrap().contains("> support: 77 # as I count"), "{kept:?}", kept = kept());
    let problems = home.json(&["status"])["problems"].to_string();
    assert!(problems.contains("you and Clone changed the same lines"), "{problems}");
    let daemon = rebuilt(&home, daemon);
    assert!(kept().is_ok(), "conflict texts are made anew from the log");
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + "Settled.\n").unwrap();
    daemon.sync();
    assert!(kept().is_err(), "a save settles it");
}

#[test]
fn a_note_put_back_to_what_clone_wrote_is_clones_again() {
    let (home, daemon) = imported();
    let fact = facts(&home)[0].clone();
    let id = fact["id"].as_str().unwrap();
    let file = fact_file(&home, id);
    let ours = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{ours}Mine.\n")).unwrap();
    daemon.sync();
    assert_eq!(daemon.get(&format!("/api/memory/facts/{id}/")).body["provenance"], "edited");
    std::fs::write(&file, &ours).unwrap();
    daemon.sync();
    assert_eq!(daemon.get(&format!("/api/memory/facts/{id}/")).body, fact);
}

#[test]
fn a_persons_profile_keeps_their_lines_and_follows_the_facts() {
    let (home, daemon) = imported();
    let profile = home.vault().join("profile.md");
    let text = std::fs::read_to_string(&profile).unwrap();
    assert!(text.contains("uv"), "{text}");
    std::fs::write(&profile, text.replacen('\n', "\n\nI am left-handed.\n", 1)).unwrap();
    daemon.sync();
    let fact = facts(&home).into_iter().find(|fact| fact["text"].as_str().unwrap().contains("uv")).unwrap();
    std::fs::remove_file(fact_file(&home, fact["id"].as_str().unwrap())).unwrap();
    daemon.sync();
    let text = std::fs::read_to_string(&profile).unwrap();
    assert!(text.contains("I am left-handed.") && !text.contains(fact["id"].as_str().unwrap()), "{text}");
    assert_eq!(daemon.get("/api/memory/profile/").body["body"], text);
}

/// A name for these words that does not hold them.
fn name(words: &str) -> u64 {
    words.bytes().fold(7, |name, byte| name * 31 % 1_000_003 + u64::from(byte))
}

/// The person says the same in three more sessions.
pub fn say_again(daemon: &Daemon, words: &str) {
    let events: Vec<Value> = (0..3)
        .flat_map(|i| {
            let session = format!("again-{i}-{}", name(words));
            let at = format!("2026-10-1{i}T10:00:00Z");
            let id = |kind: &str| format!("{kind}{i}-{}", name(words));
            [response(&id("r"), &session, "Ready.", &at), prompt(&id("p"), &session, words, &at)]
        })
        .collect();
    assert_eq!(daemon.post("/api/recording/events/", &json!(events)).status, 201);
    daemon.sync();
}

#[test]
fn a_deleted_claim_is_not_inferred_again() {
    let (home, daemon) = imported();
    let fact = facts(&home).into_iter().find(|fact| fact["text"].as_str().unwrap().contains("uv")).unwrap();
    std::fs::remove_file(fact_file(&home, fact["id"].as_str().unwrap())).unwrap();
    daemon.sync();
    assert!(facts(&home).iter().all(|other| other["id"] != fact["id"]));
    say_again(&daemon, "always use uv, never pip");
    let back: Vec<Value> =
        facts(&home).into_iter().filter(|f| f["text"].as_str().unwrap().contains("uv, never")).collect();
    assert!(back.is_empty(), "it came back: {back:?}");
    let profile = daemon.get("/api/memory/profile/").body;
    assert!(!profile["body"].as_str().unwrap().contains("use uv"), "the profile follows");
}

#[test]
fn a_rename_keeps_the_fact() {
    let (home, daemon) = imported();
    let fact = facts(&home)[0].clone();
    let file = fact_file(&home, fact["id"].as_str().unwrap());
    std::fs::rename(&file, home.vault().join("facts/a name of my own.md")).unwrap();
    daemon.sync();
    let now = daemon.get(&format!("/api/memory/facts/{}/", fact["id"].as_str().unwrap())).body;
    assert_eq!(now["text"], fact["text"]);
    assert!(!file.exists(), "the old file is not written again");
}

#[test]
fn three_editors_save_and_search_finds_it() {
    let (home, daemon) = imported();
    let fact = facts(&home)[0].clone();
    let file = fact_file(&home, fact["id"].as_str().unwrap());
    append_truncating(&file, "Written by a truncating editor: wordalpha.\n");
    assert!(found(&daemon, "wordalpha"), "after a truncating save");
    let sed = Command::new("sed").args(["-i", "s/^text: .*/text: \"wordbeta stands here\"/"]).arg(&file).status();
    assert!(sed.unwrap().success());
    assert!(found(&daemon, "wordbeta"), "after sed -i");
    let temp = home.vault().join("facts/.4913.swp");
    let text = std::fs::read_to_string(&file).unwrap().replace("wordbeta", "wordgamma");
    std::fs::write(&temp, text).unwrap();
    std::fs::rename(&temp, &file).unwrap();
    assert!(found(&daemon, "wordgamma"), "after a rename, as vim saves");
}

fn append_truncating(file: &Path, line: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    let mut handle = std::fs::OpenOptions::new().write(true).truncate(true).open(file).unwrap();
    handle.write_all(text.as_bytes()).unwrap();
    handle.rewind().unwrap();
    let mut handle = std::fs::OpenOptions::new().append(true).open(file).unwrap();
    handle.write_all(line.as_bytes()).unwrap();
}

#[test]
fn a_malformed_file_is_kept_and_reported() {
    let (home, daemon) = imported();
    let text = "---\nid: [broken\ntier: nonsense\n---\nA sentence all the same.\n";
    std::fs::write(home.vault().join("facts/broken.md"), text).unwrap();
    std::fs::write(home.vault().join("facts/binary.md"), [0xff, 0xfe, 0x00]).unwrap();
    daemon.sync();
    let status = home.run(&["status"]);
    assert_eq!(status.status.code(), Some(4), "degraded: there are problems");
    let shown = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(shown.contains("broken.md") && shown.contains("binary.md"), "{shown}");
    assert_eq!(std::fs::read_to_string(home.vault().join("facts/broken.md")).unwrap(), text);
    assert_eq!(std::fs::read(home.vault().join("facts/binary.md")).unwrap(), [0xff, 0xfe, 0x00]);
}

#[test]
fn an_edit_made_while_the_daemon_was_down_is_found_at_start() {
    let (home, daemon) = imported();
    let fact = facts(&home)[0].clone();
    let file = fact_file(&home, fact["id"].as_str().unwrap());
    daemon.stop();
    std::fs::write(home.vault().join("facts/offline.md"), "I wrote this offline: worddelta.\n").unwrap();
    std::fs::remove_file(&file).unwrap();
    let daemon = home.start();
    assert!(found(&daemon, "worddelta"));
    assert_eq!(daemon.get(&format!("/api/memory/facts/{}/", fact["id"].as_str().unwrap())).status, 404);
}

#[test]
fn a_lost_vault_comes_back_and_is_no_deletion() {
    let (home, daemon) = imported();
    daemon.sync();
    let before = home.vault_bytes();
    daemon.stop();
    std::fs::remove_dir_all(home.vault()).unwrap();
    let daemon = home.start();
    daemon.sync();
    assert_eq!(home.vault_bytes(), before);
}

#[test]
fn a_fact_moved_into_a_folder_stays_and_text_wins_in_a_persons_own_file() {
    let (home, daemon) = imported();
    let fact = facts(&home).into_iter().find(|fact| fact["text"].as_str().unwrap().contains("uv")).unwrap();
    let id = fact["id"].as_str().unwrap();
    let archive = home.vault().join("facts/tools");
    std::fs::create_dir(&archive).unwrap();
    let file = fact_file(&home, id);
    std::fs::rename(&file, archive.join(file.file_name().unwrap())).unwrap();
    std::fs::write(archive.join("own.md"), "\u{feff}---\r\ntext: I like quokkas\r\n---\r\nWhy: they smile.\r\n")
        .unwrap();
    daemon.sync();
    let now = facts(&home);
    assert!(now.iter().any(|fact| fact["id"] == id), "a move is no deletion: {now:?}");
    assert!(now.iter().any(|fact| fact["text"] == "I like quokkas"), "{now:?}");
    assert!(!file.exists(), "the file stays where the person put it");
}

#[test]
fn a_folder_that_is_gone_is_an_accident_and_comes_back() {
    let (home, daemon) = imported();
    let before = facts(&home).len();
    assert!(before > 0 && before < 25, "few enough that no mass is missing");
    std::fs::rename(home.vault().join("facts"), home.path("elsewhere")).unwrap();
    daemon.sync();
    assert_eq!(facts(&home).len(), before);
    assert!(std::fs::read_dir(home.vault().join("facts")).unwrap().count() >= before);
}
