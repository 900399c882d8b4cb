//! The folder on the disk, driven as editors drive it.

use super::*;

fn disk() -> (tempfile::TempDir, Disk) {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::new(&dir.path().join("vault"));
    disk.make().unwrap();
    (dir, disk)
}

fn hashes(texts: &'static [&str]) -> impl Fn(Option<&str>) -> bool {
    |known| texts.iter().any(|text| Some(hash(text.as_bytes()).as_str()) == known)
}

#[test]
fn folders_inside_facts_hold_notes_and_links_are_named() {
    let (dir, mut disk) = disk();
    let facts = dir.path().join("vault/facts");
    for folder in ["archive/2026", ".trash"] {
        std::fs::create_dir_all(facts.join(folder)).unwrap();
        std::fs::write(facts.join(folder).join("a.md"), "a sentence").unwrap();
    }
    std::os::unix::fs::symlink(facts.join("archive"), facts.join("linked")).unwrap();
    std::os::unix::fs::symlink(facts.join("archive/2026/a.md"), facts.join("link.md")).unwrap();
    let look = disk.look(|_| None);
    assert_eq!(look.files.keys().collect::<Vec<_>>(), ["facts/archive/2026/a.md"]);
    let [trouble] = look.troubles.as_slice() else { panic!("{:?}", look.troubles) };
    assert!(trouble.message.contains("symbolic link"), "{trouble:?}");
}

#[test]
fn what_lies_beyond_a_bound_is_not_gone() {
    let (dir, mut disk) = disk();
    let facts = dir.path().join("vault/facts");
    std::fs::create_dir_all(facts.join("one/two")).unwrap();
    std::fs::create_dir_all(facts.join("three")).unwrap();
    for path in ["a.md", "b.md", "c.md", "one/d.md", "one/two/e.md", "three/f.md"] {
        std::fs::write(facts.join(path), path).unwrap();
    }
    let all = |look: &Look| look.files.len();
    assert_eq!(all(&disk.look(|_| None)), 6);
    let shown = |look: &Look| look.troubles.iter().map(|trouble| trouble.path.clone()).collect::<Vec<_>>();
    let usual = disk.bounds;
    // The folders in `facts` count as its entries.
    disk.bounds = Bounds { files: 4, ..usual };
    let look = disk.look(|_| None);
    assert!(look.root_exists && look.blocked.holds("facts/b.md") && shown(&look) == ["facts/"], "{:?}", look.troubles);
    disk.bounds = Bounds { depth: 1, ..usual };
    let look = disk.look(|_| None);
    assert!(all(&look) == 5 && look.blocked.holds("facts/one/two/e.md") && !look.blocked.holds("facts/one/d.md"));
    assert_eq!(shown(&look), ["facts/one/two/"]);
    disk.bounds = Bounds { folders: 4, ..usual };
    let look = disk.look(|_| None);
    assert!(!look.blocked.folders.is_empty() && look.troubles.len() == look.blocked.folders.len());
    let gone = ["one/d.md", "one/two/e.md", "three/f.md"].map(|path| format!("facts/{path}"));
    assert!(gone.iter().all(|path| look.files.contains_key(path) || look.blocked.holds(path)), "{look:?}");
}

#[test]
fn writes_new_files_and_replaces_only_its_own() {
    let (dir, mut disk) = disk();
    let full = dir.path().join("vault/facts/a.md");
    disk.write("facts/a.md", b"one", |found| found.is_none(), 0).unwrap();
    disk.write("facts/a.md", b"two", hashes(&["one"]), 0).unwrap();
    assert_eq!(std::fs::read(&full).unwrap(), b"two");
    std::fs::write(&full, "mine").unwrap();
    let refused = disk.write("facts/a.md", b"three", hashes(&["one", "two"]), 0);
    assert!(matches!(refused, Err(VaultError::Touched(_))));
    assert_eq!(std::fs::read(&full).unwrap(), b"mine");
}

#[test]
fn a_note_that_was_taken_away_is_not_put_back() {
    let (dir, mut disk) = disk();
    let full = dir.path().join("vault/a.md");
    disk.write("a.md", b"one", |found| found.is_none(), 0).unwrap();
    std::fs::rename(&full, full.with_extension("md~")).unwrap();
    let refused = disk.write("a.md", b"two", hashes(&["one"]), 0);
    assert!(matches!(refused, Err(VaultError::Touched(_))), "{refused:?}");
    assert!(!full.exists(), "an editor may be in the middle of a save");
}

#[test]
fn a_note_that_vanishes_under_an_exchange_was_touched() {
    for in_two_steps in [false, true] {
        let (dir, mut disk) = disk();
        disk.exchange = Exchange { in_two_steps };
        let full = dir.path().join("vault/a.md");
        let temp = disk.temp(&full, b"two").unwrap();
        let displaced = disk.displaced_by(&temp, "a.md", b"one", b"two", 0);
        let refused = disk.exchange(&full, displaced);
        assert!(matches!(refused, Err(VaultError::Touched(_))), "{refused:?}");
        assert_eq!(std::fs::read_dir(dir.path().join("vault")).unwrap().count(), 2, "nothing is left");
    }
}

#[test]
fn an_edit_that_cannot_go_back_to_its_place_is_shown() {
    let (dir, mut disk) = disk();
    let full = dir.path().join("vault/a.md");
    std::fs::write(&full, "an edit\n").unwrap();
    // While it is out of its place an editor makes a new file there.
    let refused = disk.remove(
        "a.md",
        |_| {
            std::fs::write(&full, "a newer edit\n").unwrap();
            false
        },
        0,
    );
    assert!(matches!(refused, Err(VaultError::Touched(_))), "{refused:?}");
    let recovered: usize = [0, QUIET_SECONDS, 2 * QUIET_SECONDS].map(|now| disk.settle(now)).iter().sum();
    assert_eq!(recovered, 1);
    let texts: String = std::fs::read_dir(dir.path().join("vault"))
        .unwrap()
        .flatten()
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .collect();
    assert!(texts.contains("an edit\n") && texts.contains("a newer edit\n"), "{texts}");
}

#[test]
fn a_late_write_is_put_where_nothing_is_once_it_is_quiet() {
    let (dir, mut disk) = disk();
    let full = dir.path().join("vault/a.md");
    disk.write("a.md", b"one", |found| found.is_none(), 0).unwrap();
    let mut editor = OpenOptions::new().write(true).open(&full).unwrap();
    disk.write("a.md", b"two", hashes(&["one"]), 0).unwrap();
    std::fs::remove_file(&full).unwrap();
    editor.write_all(b"half").unwrap();
    assert_eq!((disk.settle(1), full.exists()), (0, false));
    editor.write_all(b" and whole").unwrap();
    assert_eq!((disk.settle(1 + QUIET_SECONDS), full.exists()), (0, false), "it was written to meanwhile");
    assert_eq!(disk.settle(1 + 2 * QUIET_SECONDS), 1);
    assert_eq!(std::fs::read(&full).unwrap(), b"half and whole");
}

#[test]
fn a_look_at_the_end_of_time_holds_nothing_for_good() {
    let (dir, mut disk) = disk();
    let full = dir.path().join("vault/a.md");
    disk.write("a.md", b"one\n", |found| found.is_none(), 0).unwrap();
    let mut editor = OpenOptions::new().append(true).open(&full).unwrap();
    disk.write("a.md", b"two\n", hashes(&["one\n"]), 0).unwrap();
    std::fs::remove_file(&full).unwrap();
    editor.write_all(b"late\n").unwrap();
    disk.settle(i64::MAX);
    assert_eq!(disk.settle(1), 0);
    assert_eq!((disk.settle(1 + QUIET_SECONDS), std::fs::read(&full).unwrap()), (1, b"one\nlate\n".to_vec()));
    disk.write("a.md", b"three\n", hashes(&["one\nlate\n"]), i64::MAX).unwrap();
    disk.settle(1);
    disk.settle(1 + DISPLACED_SECONDS);
    assert!(!disk.is_unsettled());
}

#[test]
fn a_late_write_to_the_displaced_file_is_put_back() {
    let (dir, mut disk) = disk();
    let full = dir.path().join("vault/a.md");
    disk.write("a.md", b"one", |found| found.is_none(), 0).unwrap();
    let mut editor = OpenOptions::new().write(true).open(&full).unwrap();
    disk.write("a.md", b"two", hashes(&["one"]), 0).unwrap();
    editor.write_all(b"typed late").unwrap();
    assert_eq!(disk.settle(1), 1);
    assert_eq!(std::fs::read(&full).unwrap(), b"typed late");
    let rest = std::fs::read_dir(dir.path().join("vault")).unwrap().count();
    disk.settle(1 + DISPLACED_SECONDS);
    assert_eq!(std::fs::read_dir(dir.path().join("vault")).unwrap().count(), rest - 1, "ours was watched and is gone");
}

/// A note that was written over while an editor held it open, and what the editor and another one made of it.
fn raced(late: &str, newer: Option<&str>) -> (tempfile::TempDir, Disk, Vec<String>) {
    let (dir, mut disk) = disk();
    let full = dir.path().join("vault/a.md");
    disk.write("a.md", b"one\ntwo\nthree\n", |found| found.is_none(), 0).unwrap();
    let mut editor = OpenOptions::new().write(true).open(&full).unwrap();
    disk.write("a.md", b"ONE\ntwo\nthree\n", hashes(&["one\ntwo\nthree\n"]), 0).unwrap();
    editor.set_len(0).unwrap();
    editor.write_all(late.as_bytes()).unwrap();
    match newer {
        Some(text) => std::fs::write(&full, text).unwrap(),
        None => std::fs::remove_file(&full).unwrap(),
    }
    for i in 0..4 {
        disk.settle(i * QUIET_SECONDS);
    }
    let files: Vec<String> = disk.look(|_| None).files.into_keys().collect();
    (dir, disk, files)
}

#[test]
fn a_late_write_outlives_the_file() {
    let (dir, _, files) = raced("late\n", None);
    assert_eq!((files.len(), std::fs::read(dir.path().join("vault/a.md")).unwrap()), (1, b"late\n".to_vec()));
}

#[test]
fn a_late_write_is_merged_into_a_newer_edit() {
    let (dir, mut disk, files) = raced("one\ntwo\nthree\nlate\n", Some("ONE\ntwo\nnewer\nthree\n"));
    assert_eq!(files, ["a.md"]);
    let text = std::fs::read_to_string(dir.path().join("vault/a.md")).unwrap();
    assert_eq!(text, "ONE\ntwo\nnewer\nthree\nlate\n");
    disk.settle(100);
    assert_eq!(std::fs::read_dir(dir.path().join("vault")).unwrap().count(), 3, "no temporary file is left");
}

#[test]
fn a_late_write_that_cannot_be_merged_is_a_note_of_its_own() {
    let (dir, _, files) = raced("one\nlate\nthree\n", Some("ONE\nnewer\nthree\n"));
    assert_eq!(std::fs::read(dir.path().join("vault/a.md")).unwrap(), b"ONE\nnewer\nthree\n");
    assert!(files.len() == 2 && files[1].starts_with("recovered-clone"), "{files:?}");
    assert_eq!(std::fs::read(dir.path().join("vault").join(&files[1])).unwrap(), b"one\nlate\nthree\n");
}

#[test]
fn a_note_moved_aside_by_an_editor_is_told_from_a_deleted_one() {
    let (dir, mut disk) = disk();
    let vault = dir.path().join("vault/facts");
    for name in ["a.md", "b.md"] {
        std::fs::write(vault.join(name), "text").unwrap();
    }
    disk.look(|_| None);
    std::fs::rename(vault.join("a.md"), vault.join("a.md~")).unwrap();
    std::fs::remove_file(vault.join("b.md")).unwrap();
    for _ in 0..2 {
        assert_eq!(disk.look(|_| None).aside.into_iter().collect::<Vec<_>>(), ["facts/a.md"]);
    }
    std::fs::remove_file(vault.join("a.md~")).unwrap();
    assert!(disk.look(|_| None).aside.is_empty());
}

#[test]
fn a_read_only_note_is_left_alone_and_a_mode_is_kept() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, mut disk) = disk();
    let full = dir.path().join("vault/a.md");
    let mode = |mode| std::fs::set_permissions(&full, std::fs::Permissions::from_mode(mode)).unwrap();
    disk.write("a.md", b"one", |found| found.is_none(), 0).unwrap();
    mode(0o444);
    let refused = disk.write("a.md", b"two", hashes(&["one"]), 0);
    assert!(matches!(refused, Err(VaultError::Forbidden(_))), "{refused:?}");
    mode(0o644);
    disk.write("a.md", b"two", hashes(&["one"]), 0).unwrap();
    assert_eq!(std::fs::metadata(&full).unwrap().mode() & 0o777, 0o644);
    disk.flush().unwrap();
}

#[test]
fn a_running_git_is_waited_for() {
    let (dir, disk) = disk();
    assert!(!disk.is_busy());
    let git = dir.path().join("vault/.git");
    std::fs::create_dir(&git).unwrap();
    let lock = std::fs::File::create(git.join("index.lock")).unwrap();
    assert!(disk.is_busy());
    lock.set_modified(SystemTime::now() - 2 * GIT_PATIENCE).unwrap();
    assert!(!disk.is_busy(), "a lock that was left behind holds nobody up");
}

#[test]
fn what_a_power_cut_leaves_of_our_text_is_no_note() {
    let (dir, mut disk) = disk();
    std::fs::write(dir.path().join("vault/facts/.clone-1-1.part"), "half of our te").unwrap();
    std::fs::write(dir.path().join("vault/facts/.clone-1-2.tmp"), "displaced and not ours").unwrap();
    disk.sweep(|_| false);
    let files: Vec<String> = disk.look(|_| None).files.into_keys().collect();
    assert_eq!(files, ["facts/recovered-clone-1-2.tmp.md"]);
    assert!(!dir.path().join("vault/facts/.clone-1-1.part").exists());
}

#[test]
fn what_cannot_be_read_is_blocked_and_not_gone() {
    let (dir, mut disk) = disk();
    std::os::unix::fs::symlink("nowhere", dir.path().join("vault/facts/a.md")).unwrap();
    let look = disk.look(|_| None);
    assert!(look.blocked.holds("facts/a.md") && !look.blocked.holds("a.md"));
    assert!(!disk.is_gone("facts/a.md") && disk.is_gone("a.md"));
}

#[test]
fn displaced_files_go_after_a_while() {
    let (dir, mut disk) = disk();
    disk.write("a.md", b"one", |found| found.is_none(), 0).unwrap();
    disk.write("a.md", b"two", hashes(&["one"]), 0).unwrap();
    assert_eq!(disk.settle(DISPLACED_SECONDS - 1), 0);
    assert_eq!(std::fs::read_dir(dir.path().join("vault")).unwrap().count(), 4);
    disk.settle(DISPLACED_SECONDS);
    assert_eq!(std::fs::read_dir(dir.path().join("vault")).unwrap().count(), 3);
}

#[test]
fn looks_only_at_notes_and_never_blocks() {
    let (dir, mut disk) = disk();
    let vault = dir.path().join("vault");
    std::fs::write(vault.join("a.md"), "one").unwrap();
    let written = OpenOptions::new().write(true).open(vault.join("a.md")).unwrap();
    written.set_modified(SystemTime::now() - 2 * FRESH).unwrap();
    std::fs::write(vault.join(".hidden.md"), "no").unwrap();
    std::fs::write(vault.join("b.txt"), "no").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", vault.join("link.md")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, vault.join("pipe.md"), rustix::fs::Mode::RUSR).unwrap();
    std::fs::create_dir(vault.join("folder.md")).unwrap();
    let look = disk.look(|_| None);
    assert_eq!(look.files.keys().collect::<Vec<_>>(), ["a.md"]);
    let troubled: Vec<&str> = look.troubles.iter().map(|trouble| trouble.path.as_str()).collect();
    assert_eq!(troubled, ["folder.md", "link.md", "pipe.md"]);
    assert!(disk.look(|_| None).changed.is_empty(), "a second look reads nothing");
    std::fs::write(vault.join("a.md"), "two").unwrap();
    disk.look(|_| None);
    assert!(!disk.look(|_| None).changed.is_empty(), "a file that was only just written may be written again unseen");
}

#[test]
fn sweeps_its_own_leftovers_and_keeps_a_persons() {
    let (dir, disk) = disk();
    let vault = dir.path().join("vault");
    std::fs::write(vault.join(".clone-1-1.tmp"), "ours").unwrap();
    std::fs::write(vault.join(".clone-1-2.tmp"), "theirs").unwrap();
    disk.sweep(|known| known == b"ours");
    let mut names: Vec<_> = std::fs::read_dir(&vault).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["episodes", "facts", "recovered-clone-1-2.tmp.md"]);
}
