//! What somebody wants gone: done once the loop has caught up, never over what is half forgotten.

use std::sync::mpsc::SyncSender;

use super::forget::{Refusal, Wanted};
use super::{Derive, DeriveError, Told};

/// What somebody wants gone.
///
/// It waits for the step of the turn in which it came: that finishes an erasure which failed half way, and mends an index that
/// is damaged. Done before it, files would be written from a view that knows what is forgotten, over stores that are empty.
pub(super) enum Wish {
    /// Notes that are gone all at once, if that was meant.
    Decide(bool, SyncSender<Result<usize, String>>),
    /// A note.
    Delete(String, SyncSender<Result<(), String>>),
    /// What the rules of retention keep no longer, where the clock is right or said to be.
    Retain(bool, Told),
    /// What is asked for.
    Forget(Box<Wanted>, Told),
    /// What keeps out what was taken out of a source.
    Clear(String, SyncSender<Result<(), String>>),
}

impl Derive {
    /// Does what is wished for and answers; where the step before failed, its error is the answer.
    ///
    /// To forget is tried all the same: it empties what the step may have failed over.
    pub(super) fn grant(&mut self, stepped: &Result<(), DeriveError>) {
        for wish in std::mem::take(&mut self.wishes) {
            match wish {
                Wish::Decide(meant, decided) => {
                    let told = |error: DeriveError| error.to_string();
                    let answer = self.is_ready(stepped).and_then(|()| self.decide(meant).map_err(told));
                    self.vault_at = Some(std::time::Instant::now());
                    let _gone = decided.send(answer);
                }
                Wish::Delete(path, deleted) => {
                    let answer = self.is_ready(stepped).and_then(|()| self.delete(&path));
                    let _gone = deleted.send(answer);
                }
                Wish::Retain(trust_clock, told) => {
                    let ready = self.is_ready(stepped).map_err(Refusal::Failed);
                    let _gone = told.send(ready.and_then(|()| self.retain(trust_clock)));
                }
                Wish::Forget(wanted, told) => drop(told.send(self.forget(&wanted))),
                Wish::Clear(source, told) => {
                    let failed = |error: DeriveError| error.to_string();
                    let answer = self.is_ready(stepped).and_then(|()| self.clear(&source).map_err(failed));
                    let _gone = told.send(answer);
                }
            }
        }
    }

    /// Whether the view is that of the log, or why not: the step failed, or a wish before this one half way.
    fn is_ready(&mut self, stepped: &Result<(), DeriveError>) -> Result<(), String> {
        stepped.as_ref().map_err(ToString::to_string)?;
        self.go_on_forgetting().map(drop).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;

    use clone_schema::Position;
    use clone_schema::internal::{FileText, Payload};

    use super::super::progress::Progress;
    use super::super::{Wake, entry};
    use super::*;
    use crate::index::Index;
    use crate::log::{Erasure, Log, Options};
    use crate::paths::Paths;
    use crate::state::State;

    /// What is asked for in one turn, and its answer.
    fn asked<T>(derive: &mut Derive, wake: impl FnOnce(SyncSender<T>) -> Wake) -> T {
        let (told, answer) = sync_channel(1);
        assert!(!derive.turn(std::iter::once(wake(told))));
        answer.try_recv().unwrap()
    }

    fn settled(derive: &mut Derive) -> Result<Position, String> {
        asked(derive, Wake::Settle)
    }

    /// A loop over a log that holds a note, with a rule of retention.
    fn opened(dir: &Path) -> (Log, Derive) {
        let paths = Paths::under(dir);
        let (log, _) = Log::open(&paths.log, Options::new("home", crate::clock::now)).unwrap();
        let (state, index) = (State::open(&paths.state).unwrap(), Arc::new(Index::open(&paths.index).unwrap()));
        let derive = Derive::open(log.clone(), state, index, &paths, &Progress::default(), Default::default()).unwrap();
        let rules = toml::from_str("\"agent.prompt\" = { max_days = 400 }").unwrap();
        let mut derive = derive.keeping(rules);
        let note = FileText { asked: true, ..FileText::new("plain.md", b"Bread and milk\n") };
        log.append(vec![entry(Payload::VaultEdited(note))]).unwrap();
        settled(&mut derive).unwrap();
        assert!(dir.join("vault/plain.md").exists());
        (log, derive)
    }

    #[test]
    fn nothing_goes_by_the_old_view_while_something_is_half_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (log, mut derive) = opened(dir.path());
        let erasure = Erasure {
            id: "erasure".to_owned(),
            at: crate::clock::now(),
            by: "person".to_owned(),
            runs: Vec::new(),
            upto: log.head(),
            stones: Vec::new(),
            withdrawn: Vec::new(),
            files: Vec::new(),
            holds: crate::log::Holds::Forever,
            items: Vec::new(),
        };
        log.begin_erasure(&erasure).unwrap();
        // A file where a folder should be: clearing the stores fails once some of them are empty.
        let home = std::mem::replace(&mut derive.paths.state_dir, dir.path().join("vault/plain.md"));
        settled(&mut derive).unwrap_err();
        let head = log.head();
        let refusals = [
            asked(&mut derive, |told| Wake::Delete("plain.md".to_owned(), told)).unwrap_err(),
            asked(&mut derive, |told| Wake::Deletions(true, told)).unwrap_err(),
            match asked(&mut derive, |told| Wake::Retain(true, told)).unwrap_err() {
                Refusal::Failed(message) => message,
                Refusal::Asked(message, _) => panic!("nobody can help it: {message}"),
            },
        ];
        assert!(refusals.iter().all(|message| message.contains("clear")), "{refusals:?}");
        assert_eq!((log.head(), dir.path().join("vault/plain.md").exists()), (head, true));

        derive.paths.state_dir = home;
        asked(&mut derive, |told| Wake::Delete("plain.md".to_owned(), told)).unwrap();
        assert!(!dir.path().join("vault/plain.md").exists() && !log.is_erasing());
        assert_eq!(asked(&mut derive, |told| Wake::Retain(true, told)).unwrap().reply.events.len(), 0);
        settled(&mut derive).unwrap();
    }
}
