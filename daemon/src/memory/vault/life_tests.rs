//! A person and the daemon at the same folder: whatever both do, in whatever order, every line of the person's stands.
//!
//! The real disk, ledger, reconciliation and merge; only the log is a list in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clone_markdown::merge::merge;
use proptest::prelude::*;

use super::disk::Disk;
use super::reconcile::{Act, reconcile};
use super::{Author, Base, Ledger, Text, hash};

/// What one of the two does.
#[derive(Clone, Debug)]
enum Step {
    /// The daemon derives something else for a note.
    Derive(usize, u8),
    /// It looks at the folder.
    Look,
    /// It writes what is stale.
    Write,
    /// The person adds a line of their own at some place of a note.
    Add(usize, usize),
    /// The person takes a line of a note out.
    TakeOut(usize, usize),
    /// The person's editor saves the note with other line ends.
    LineEnds(usize),
    /// The person moves the note.
    Move(usize),
    /// The daemon ends and starts without what it knew of the disk.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let note = 0..NOTES;
    prop_oneof![
        4 => (note.clone(), any::<u8>()).prop_map(|(note, seed)| Step::Derive(note, seed)),
        3 => Just(Step::Look),
        3 => Just(Step::Write),
        5 => (note.clone(), 0..12_usize).prop_map(|(note, at)| Step::Add(note, at)),
        2 => (note.clone(), 0..12_usize).prop_map(|(note, at)| Step::TakeOut(note, at)),
        1 => note.clone().prop_map(Step::LineEnds),
        1 => note.prop_map(Step::Move),
        1 => Just(Step::Restart),
    ]
}

const NOTES: usize = 3;

/// The two of them.
struct Life {
    dir: tempfile::TempDir,
    disk: Disk,
    ledger: Ledger,
    /// Per position the text and, of a merge, ours alone.
    log: Vec<(Vec<u8>, Option<String>)>,
    /// The lines of the person's that must stand, and in which note.
    lines: BTreeMap<String, usize>,
    /// Where each note is now.
    places: Vec<Option<String>>,
    serial: usize,
}

impl Life {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::new(&dir.path().join("vault"));
        disk.make().unwrap();
        let places = (0..NOTES).map(|note| Some(format!("facts/{note}.md"))).collect();
        Self { dir, disk, ledger: Ledger::default(), log: Vec::new(), lines: BTreeMap::new(), places, serial: 0 }
    }

    fn id(bytes: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(bytes).ok()?;
        Some(text.lines().find_map(|line| line.strip_prefix("id: "))?.to_owned())
    }

    fn push(&mut self, bytes: Vec<u8>, derived: Option<String>) -> u64 {
        self.log.push((bytes, derived));
        self.log.len() as u64 - 1
    }

    fn base_text(&self, position: u64) -> String {
        let (bytes, derived) = &self.log[usize::try_from(position).unwrap()];
        derived.clone().unwrap_or_else(|| String::from_utf8(bytes.clone()).unwrap())
    }

    fn derive(&mut self, note: usize, seed: u8) {
        let id = format!("id-{note}");
        let path = self.ledger.path_of(&id).map_or_else(|| format!("facts/{note}.md"), str::to_owned);
        let body: String = (0..6).filter(|i| seed >> i & 1 == 1).map(|i| format!("ours {i}\n")).collect();
        let text =
            format!("---\nid: {id}\nsupport: {seed}\nsame: yes\n---\n\nThe claim.\n\n{body}Seen {seed} times.\n");
        let row = self.ledger.get(&path).cloned();
        let (bytes, derived) = match &row {
            Some(row) if row.author == Author::Person => {
                let Some(base) = &row.base else { return };
                let theirs = self.log[usize::try_from(row.position).unwrap()].0.clone();
                let merged = merge(&self.base_text(base.position), &text, std::str::from_utf8(&theirs).unwrap());
                (merged.text.into_bytes(), Some(text))
            }
            _ => (text.into_bytes(), None),
        };
        let position = self.push(bytes.clone(), derived.clone());
        let text = Text { path: &path, bytes: &bytes, note: Self::id(&bytes), position };
        match derived {
            Some(derived) => self.ledger.merged(text, hash(derived.as_bytes()), false),
            None => self.ledger.written(text),
        }
    }

    fn look(&mut self) {
        let mut look = self.disk.look(Self::id);
        let outcome = reconcile(&self.ledger, &look.files, look.root_exists, &look.blocked);
        for (path, hash) in outcome.seen {
            self.ledger.saw(&path, hash);
        }
        for act in outcome.acts {
            match act {
                Act::Moved { from, to } => self.ledger.moved(&from, &to),
                Act::Edited { path, base } => {
                    let bytes = look.changed.remove(&path).unwrap_or_else(|| self.disk.read(&path).unwrap());
                    let base = base.map(|position| Base { position, hash: hash(self.base_text(position).as_bytes()) });
                    let position = self.push(bytes.clone(), None);
                    let note = Self::id(&bytes);
                    self.ledger.edited(Text { path: &path, bytes: &bytes, note, position }, base);
                }
                Act::Deleted(path) => panic!("nobody deleted `{path}`"),
            }
        }
    }

    fn write(&mut self) {
        let stale: Vec<_> = self.ledger.stale().map(|(path, row)| (path.to_owned(), row.clone())).collect();
        for (path, row) in stale {
            let bytes = self.log[usize::try_from(row.position).unwrap()].0.clone();
            if self.disk.write(&path, &bytes, |found| row.may_take(found), 0).is_ok() {
                self.ledger.saw(&path, Some(row.hash.clone()));
            }
        }
        self.disk.settle(0);
    }

    fn file(&self, note: usize) -> Option<(PathBuf, String)> {
        let path = self.dir.path().join("vault").join(self.places[note].as_ref()?);
        let text = std::fs::read_to_string(&path).ok()?;
        Some((path, text))
    }

    fn person(&mut self, note: usize, change: impl FnOnce(&mut Self, String) -> String) {
        let Some((path, text)) = self.file(note) else { return };
        let text = change(self, text);
        std::fs::write(path, text).unwrap();
    }

    fn add(&mut self, note: usize, at: usize) {
        self.person(note, |life, text| {
            life.serial += 1;
            let line = format!("my line {}", life.serial);
            life.lines.insert(line.clone(), note);
            let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
            let line = format!("{line}\n");
            lines.insert(lines.len().saturating_sub(at), &line);
            lines.concat()
        });
    }

    fn take_out(&mut self, note: usize, at: usize) {
        self.person(note, |life, text| {
            let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
            if !lines.is_empty() {
                let gone = lines.remove(at % lines.len());
                // Without its id a note would be another one.
                if gone.starts_with("id:") || gone.starts_with("---") {
                    return text;
                }
                life.lines.remove(gone.trim_end());
            }
            lines.concat()
        });
    }

    fn relocate(&mut self, note: usize) {
        // Only a note that the daemon has seen is one that it can follow.
        self.look();
        let Some((path, _)) = self.file(note) else { return };
        self.serial += 1;
        let to = format!("facts/{note}-moved-{}.md", self.serial);
        std::fs::rename(path, self.dir.path().join("vault").join(&to)).unwrap();
        self.places[note] = Some(to);
        self.look();
    }

    fn restart(&mut self) {
        self.look();
        self.disk = Disk::new(&self.dir.path().join("vault"));
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Derive(note, seed) => self.derive(note, seed),
            Step::Look => self.look(),
            Step::Write => self.write(),
            Step::Add(note, at) => self.add(note, at),
            Step::TakeOut(note, at) => self.take_out(note, at),
            Step::LineEnds(note) => self.person(note, |_, text| match text.contains("\r\n") {
                true => text.replace("\r\n", "\n"),
                false => text.replace('\n', "\r\n"),
            }),
            Step::Move(note) => self.relocate(note),
            Step::Restart => self.restart(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn whatever_both_do_every_line_of_the_persons_stands(steps in prop::collection::vec(step(), 1..40)) {
        let mut life = Life::new();
        for step in steps {
            life.take(step);
        }
        for seed in [0, 255] {
            life.look();
            (0..NOTES).for_each(|note| life.derive(note, seed));
            life.write();
        }
        for (line, note) in &life.lines {
            let (_, text) = life.file(*note).expect("the note is there");
            prop_assert!(text.lines().any(|other| other == line), "`{}` is gone from {:?}", line, text);
        }
    }
}

/// How many lives of up to forty steps; `LIVES` for more.
fn cases() -> u32 {
    std::env::var("LIVES").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}
