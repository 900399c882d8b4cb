//! Every table of `state.redb`: key, value, owner. Event ids never enter it; rows hold positions.

use redb::TableDefinition;

/// One table; keys and values are bytes, values are checksummed JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// `version`, `cursor` → number; `rows:<table>:<stretch>` → how many rows, and the sum over them. Owner: `state`.
    Meta,
    /// Session id → session row with the runs of its positions. Owner: `derive`.
    Sessions,
    /// Position of the reply → reply pair. Owner: `derive`.
    Pairs,
    /// Position of the reply → calibration label. Owner: `derive`.
    Labels,
    /// Position of what judged them → what became of predictions. Owner: `derive`.
    Verdicts,
    /// Position of the answer → which option of a dialog was taken. Owner: `derive`.
    Choices,
    /// Position of `session.closed` → what the agent said last. Owner: `derive`.
    Endings,
    /// Position of `prediction.made` → what is known of it, verdicts included. Owner: `derive`.
    Predictions,
    /// Session id → its predictions that no prompt has judged yet. Owner: `derive`.
    Waiting,
    /// Episode id → episode. Owner: `derive`.
    Episodes,
    /// Key id → key without the key. Owner: `derive`.
    Keys,
    /// Path in the vault → what the log knows of the file. Owner: `derive`.
    Vault,
    /// Name → value of settings that are events. Owner: `derive`.
    Settings,
    /// Claim key or episode id that must not come back → true. Owner: `derive`.
    Withdrawn,
    /// Gate → what the person decided. Owner: `derive`.
    Gates,
    /// Source → how many events and when last. Owner: `derive`.
    Tallies,
    /// Path in the vault, of deleted notes too → the versions of the note. Owner: `derive`.
    Versions,
    /// Position of `import.marked` → true, of the newest. Owner: `derive`.
    Imports,
}

impl Table {
    /// Every table but `meta`.
    pub const DATA: [Self; 17] = [
        Self::Sessions,
        Self::Pairs,
        Self::Labels,
        Self::Verdicts,
        Self::Choices,
        Self::Endings,
        Self::Predictions,
        Self::Waiting,
        Self::Episodes,
        Self::Keys,
        Self::Vault,
        Self::Settings,
        Self::Withdrawn,
        Self::Gates,
        Self::Tallies,
        Self::Versions,
        Self::Imports,
    ];

    /// Whether the keys are positions and the table is read a stretch at a time.
    #[must_use]
    pub const fn is_by_position(self) -> bool {
        matches!(self, Self::Pairs | Self::Labels | Self::Verdicts | Self::Choices | Self::Endings)
    }

    /// The name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Sessions => "sessions",
            Self::Pairs => "pairs",
            Self::Labels => "labels",
            Self::Verdicts => "verdicts",
            Self::Choices => "choices",
            Self::Endings => "endings",
            Self::Predictions => "predictions",
            Self::Waiting => "waiting",
            Self::Episodes => "episodes",
            Self::Keys => "keys",
            Self::Vault => "vault",
            Self::Settings => "settings",
            Self::Withdrawn => "withdrawn",
            Self::Gates => "gates",
            Self::Tallies => "tallies",
            Self::Versions => "versions",
            Self::Imports => "imports",
        }
    }

    /// The definition that redb wants.
    #[must_use]
    pub const fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.name())
    }
}
