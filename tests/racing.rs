//! Ten ways of saving race with a daemon that rewrites the same notes: no line of the person's is ever lost.
//!
//! `SAVES` says how many (2,000 otherwise), `SEED` which. An editor owns its notes, so that it never races with another
//! editor; every save adds one line that nothing else has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{Daemon, Dice, Home, prompt, response, until};

/// How many editors save at once.
const EDITORS: u64 = 2;
/// How many notes of ours each of them owns.
const NOTES: usize = 6;
/// How often an editor that took its note away found another in its place.
static IN_THE_WAY: AtomicUsize = AtomicUsize::new(0);
/// A way of saving: the file, its whole new text, the line that is new, and what happens in the middle.
type Style = fn(&Path, &str, &str, &mut dyn FnMut());

/// Every way of saving, by name.
const STYLES: &[(&str, Style)] = &[
    ("temporary file, renamed", renamed),
    ("emptied and written", emptied),
    ("emptied and written in pieces", in_pieces),
    ("vim, backup copied", backup_copied),
    ("vim, moved aside and made anew", moved_aside),
    ("sed -i", sed),
    ("appended with >>", appended),
    ("temporary file, linked", linked),
    ("written in place", in_place),
    ("read long before it is emptied and written", emptied),
];

fn beside(file: &Path, suffix: &str) -> PathBuf {
    file.with_file_name(format!("{}{suffix}", file.file_name().unwrap().to_string_lossy()))
}

/// Clone puts nothing where an editor just took its note away, unless that takes longer than a late write is waited for.
fn taken(error: &std::io::Error) {
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    IN_THE_WAY.fetch_add(1, Ordering::Relaxed);
}

fn renamed(file: &Path, text: &str, _: &str, pause: &mut dyn FnMut()) {
    let temp = beside(file, ".tmp");
    std::fs::write(&temp, text).unwrap();
    pause();
    std::fs::rename(&temp, file).unwrap();
}

fn emptied(file: &Path, text: &str, _: &str, pause: &mut dyn FnMut()) {
    let mut open = OpenOptions::new().write(true).create(true).truncate(true).open(file).unwrap();
    pause();
    open.write_all(text.as_bytes()).unwrap();
}

fn in_pieces(file: &Path, text: &str, _: &str, pause: &mut dyn FnMut()) {
    let mut open = OpenOptions::new().write(true).create(true).truncate(true).open(file).unwrap();
    for piece in text.as_bytes().chunks(text.len() / 3 + 1) {
        open.write_all(piece).unwrap();
        pause();
    }
}

fn backup_copied(file: &Path, text: &str, line: &str, pause: &mut dyn FnMut()) {
    let backup = beside(file, "~");
    std::fs::copy(file, &backup).unwrap();
    emptied(file, text, line, pause);
    std::fs::remove_file(&backup).unwrap();
}

fn moved_aside(file: &Path, text: &str, _: &str, pause: &mut dyn FnMut()) {
    let backup = beside(file, "~");
    std::fs::rename(file, &backup).unwrap();
    pause();
    let mut open = OpenOptions::new();
    open.write(true);
    // As vim opens it where it finds another: what Clone may have put there is emptied, and must not be lost for that.
    let mut open = match open.create_new(true).open(file) {
        Ok(open) => open,
        Err(error) => {
            taken(&error);
            open.create_new(false).truncate(true).open(file).unwrap()
        }
    };
    pause();
    open.write_all(text.as_bytes()).unwrap();
    open.sync_all().unwrap();
    std::fs::remove_file(&backup).unwrap();
}

fn sed(file: &Path, _: &str, line: &str, _: &mut dyn FnMut()) {
    assert!(Command::new("sed").args(["-i", &format!("$a {line}")]).arg(file).status().unwrap().success());
}

fn appended(file: &Path, _: &str, line: &str, pause: &mut dyn FnMut()) {
    let mut open = OpenOptions::new().append(true).open(file).unwrap();
    pause();
    open.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn linked(file: &Path, text: &str, _: &str, pause: &mut dyn FnMut()) {
    let temp = beside(file, ".tmp");
    std::fs::write(&temp, text).unwrap();
    std::fs::remove_file(file).unwrap();
    pause();
    if let Err(error) = std::fs::hard_link(&temp, file) {
        taken(&error);
        return std::fs::rename(&temp, file).unwrap();
    }
    std::fs::remove_file(&temp).unwrap();
}

fn in_place(file: &Path, text: &str, _: &str, pause: &mut dyn FnMut()) {
    let open = OpenOptions::new().write(true).open(file).unwrap();
    let (first, rest) =
        text.split_at(text.len() / 2 - (0..4).find(|i| text.is_char_boundary(text.len() / 2 - i)).unwrap());
    open.write_all_at(first.as_bytes(), 0).unwrap();
    pause();
    open.write_all_at(rest.as_bytes(), first.len() as u64).unwrap();
    open.set_len(text.len() as u64).unwrap();
}

/// Saves again and again; gives back every line that was saved, by note and way of saving.
fn edit(
    daemon: &Daemon,
    notes: &[PathBuf],
    saves: u64,
    editor: u64,
    mut dice: Dice,
) -> Vec<(PathBuf, &'static str, String)> {
    let mut saved = Vec::new();
    for number in 0..saves {
        let note = &notes[dice.below(notes.len() as u64) as usize];
        let (name, save) = STYLES[dice.below(STYLES.len() as u64) as usize];
        let line = format!("- editor {editor} saved line {number}");
        let text = std::fs::read_to_string(note).unwrap();
        let is_whole = text.is_empty() || text.ends_with('\n');
        let text = format!("{text}{}{line}\n", if is_whole { "" } else { "\n" });
        if name.starts_with("read long before") {
            daemon.sync();
        }
        let steps = dice.below(4);
        let mut pause = || (0..steps).for_each(|_| assert_eq!(daemon.get("/health/").status, 200));
        save(note, &text, &line, &mut pause);
        saved.push((note.clone(), name, line));
    }
    saved
}

/// Says the same again, so that what is counted grows and every note is written anew, until it is told to end.
fn speak(daemon: &Daemon, ended: &AtomicBool) -> u64 {
    let mut round = 0;
    while !ended.load(Ordering::Relaxed) {
        say(daemon, &format!("round-{round}"));
        round += 1;
    }
    round
}

fn words(i: usize) -> String {
    const NAMES: [&str; 12] = [
        "alfa", "bravo", "cedar", "delta", "ember", "flint", "garnet", "hazel", "indigo", "juniper", "kestrel", "lotus",
    ];
    format!("always use {}, never plain {}", NAMES[i], NAMES[(i + 5) % NAMES.len()])
}

/// One session in which everything is said once.
fn say(daemon: &Daemon, session: &str) {
    let events: Vec<Value> = (0..EDITORS as usize * NOTES)
        .flat_map(|i| {
            let at = format!("2026-10-10T10:{:02}:00Z", i * 2);
            let answer = format!("2026-10-10T10:{:02}:30Z", i * 2);
            let id = |what: &str| format!("{session}-{what}-{i}");
            [response(&id("r"), session, "Ready.", &at), prompt(&id("p"), session, &words(i), &answer)]
        })
        .collect();
    assert_eq!(daemon.post("/api/recording/events/", &json!(events)).status, 201);
    daemon.sync();
}

/// Every `vault.written` event so far: how many there are, how many are merges, how many tell of a conflict.
fn written(daemon: &Daemon) -> [usize; 3] {
    let (mut from, mut counts) = (0, [0; 3]);
    loop {
        let page = daemon.get(&format!("/api/events/?topic=vault.written&limit=1000&from={from}")).body;
        for event in page["events"].as_array().unwrap() {
            if std::env::var_os("CONFLICTS").is_some() && !event["event"]["conflict"].is_null() {
                eprintln!("{}", event["event"]["conflict"].as_str().unwrap());
            }
            let has = |key: &str| usize::from(!event["event"][key].is_null());
            counts = [counts[0] + 1, counts[1] + has("derived"), counts[2] + has("conflict")];
        }
        from = page["next"].as_u64().unwrap();
        if page["more"] == false {
            return counts;
        }
    }
}

/// The notes of ours that hold one of the claims.
fn notes(home: &Home) -> Vec<PathBuf> {
    let files = std::fs::read_dir(home.vault().join("facts")).unwrap().flatten().map(|entry| entry.path());
    let mut notes: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    notes.sort();
    notes
}

/// The lines of every markdown file in the folder, by file.
fn lines(home: &Home) -> BTreeMap<PathBuf, BTreeSet<String>> {
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        (path, text.lines().map(str::to_owned).collect())
    };
    notes(home).into_iter().map(read).collect()
}

fn in_the_way() -> usize {
    IN_THE_WAY.load(Ordering::Relaxed)
}

#[test]
fn no_line_of_a_racing_save_is_lost() {
    let saves: u64 = std::env::var("SAVES").ok().and_then(|saves| saves.parse().ok()).unwrap_or(2_000);
    let home = Home::new();
    let daemon = home.start();
    (0..6).for_each(|i| say(&daemon, &format!("first-{i}")));
    let notes = notes(&home);
    assert!(notes.len() >= EDITORS as usize, "the daemon has notes to rewrite: {notes:?}");
    let before = written(&daemon);
    let ended = AtomicBool::new(false);
    let seed = Dice::new(7).below(u64::from(u32::MAX));
    let (saved, rounds) = std::thread::scope(|scope| {
        let speaker = scope.spawn(|| speak(&daemon, &ended));
        let editors: Vec<_> = (0..EDITORS)
            .map(|editor| {
                let own: Vec<PathBuf> = notes.iter().skip(editor as usize).step_by(EDITORS as usize).cloned().collect();
                let (daemon, dice) = (&daemon, Dice::seeded(seed + editor));
                scope.spawn(move || edit(daemon, &own, saves / EDITORS, editor, dice))
            })
            .collect();
        let saved: Vec<_> = editors.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        ended.store(true, Ordering::Relaxed); // whatever became of the editors, or this would wait for ever
        let rounds = speaker.join().unwrap();
        (saved.into_iter().flat_map(Result::unwrap).collect::<Vec<_>>(), rounds)
    });
    let lost = || -> Vec<&(PathBuf, &'static str, String)> {
        daemon.sync();
        let lines = lines(&home);
        let beside = |line: &String| lines.values().any(|lines| lines.contains(line));
        saved
            .iter()
            .filter(|(note, _, line)| !lines.get(note).is_some_and(|lines| lines.contains(line)) && !beside(line))
            .collect()
    };
    let settled = until(|| lost().is_empty().then_some(()));
    let after = written(&daemon);
    let lines = lines(&home);
    let elsewhere = saved.iter().filter(|(note, _, line)| !lines[note].contains(line)).count();
    let recovered = lines.keys().filter(|path| path.to_string_lossy().contains("recovered-")).count();
    let [rewritten, merged, conflicts] = [0, 1, 2].map(|i| after[i] - before[i]);
    eprintln!(
        "{} saves in {} ways, {rounds} rounds of derivation, {rewritten} notes rewritten, {merged} of them merges; lost {}, \
         in a note beside {elsewhere}, recovered notes {recovered}, conflicts told {conflicts}, in the way {}",
        saved.len(),
        STYLES.len(),
        lost().len(),
        in_the_way(),
    );
    assert!(settled.is_some(), "lost: {:?}", lost());
    assert!(merged > 0, "the daemon merged what it derived into what was saved");
    assert!(
        (conflicts + recovered) * 100 <= saved.len(),
        "false conflicts: {conflicts} told, {recovered} notes beside"
    );
    assert_eq!(in_the_way(), 0, "a note was put where an editor had just taken one away");
    let problems = home.json(&["status"])["problems"].to_string();
    assert!(recovered > 0 || !problems.contains("vault"), "{problems}");
}
