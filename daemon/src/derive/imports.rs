//! Imports that ended, newest first, for the list of jobs: their positions, as many as can be shown.

use std::collections::BTreeSet;

use clone_schema::Position;

use super::view::Changes;
use crate::state::Table;

/// Imports that are kept in mind; the oldest goes first.
pub const IMPORTS_MAX: usize = 1_000;

/// The newest imports, by the position of their end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imports(BTreeSet<u64>);

impl Imports {
    /// An import ended here.
    pub fn ended(&mut self, position: Position, changes: &mut Changes) {
        self.put(position.0);
        changes.rows.put(Table::Imports, &position.0.to_be_bytes(), &true);
        changes.import_ended = Some(position);
        while self.0.len() > IMPORTS_MAX {
            let Some(oldest) = self.0.pop_first() else { return };
            changes.rows.remove(Table::Imports, &oldest.to_be_bytes());
        }
    }

    /// Takes a position from its row.
    pub fn put(&mut self, position: u64) {
        self.0.insert(position);
    }

    /// Where they ended, newest first.
    pub fn newest(&self) -> impl Iterator<Item = Position> {
        self.0.iter().rev().map(|position| Position(*position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    #[test]
    fn the_newest_are_kept_over_a_restart_and_no_more_than_can_be_shown() {
        let dir = tempfile::tempdir().unwrap();
        let (state, _) = State::open(&dir.path().join("state.redb")).unwrap();
        let (mut imports, mut changes) = (Imports::default(), Changes::default());
        // Far apart: between two imports lie any number of events.
        let ends = (0..IMPORTS_MAX as u64 + 5).map(|import| import * 1_000_000);
        for end in ends.clone() {
            imports.ended(Position(end), &mut changes);
        }
        state.commit(&changes.rows, 0).unwrap();
        let mut loaded = Imports::default();
        state.load(Table::Imports, |key, _: bool| loaded.put(u64::from_be_bytes(key.try_into().unwrap()))).unwrap();
        assert_eq!(loaded, imports);
        let newest: Vec<u64> = loaded.newest().map(|position| position.0).collect();
        assert_eq!(newest, ends.rev().take(IMPORTS_MAX).collect::<Vec<_>>());
    }
}
