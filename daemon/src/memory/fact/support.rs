//! How often something was seen, where, and which events say so.

use std::collections::{BTreeSet, VecDeque};

use clone_schema::memory::Evidence;
use clone_schema::{Position, Timestamp};
use serde::{Deserialize, Serialize};

use crate::memory::session::Told;

/// How many of the first events are cited.
pub(super) const FIRST: usize = 3;
/// How many of the newest events are cited.
pub(super) const NEWEST: usize = 17;
/// Up to how many sessions are told apart.
pub(super) const MAX_SESSIONS: usize = 256;

/// One event that supports something, without its words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Mention {
    pub(super) evidence: Evidence,
    session: String,
    at: Timestamp,
    position: Position,
}

impl Mention {
    pub(super) fn of(told: &Told) -> Self {
        let event = &told.event;
        Self {
            evidence: Evidence { id: event.id.clone(), origin: event.origin() },
            session: event.session_id.clone(),
            at: event.occurred_at,
            position: told.position,
        }
    }
}

/// The events that support a claim: all counted, the first and the newest kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Support {
    count: u32,
    sessions: BTreeSet<String>,
    first: Vec<(Evidence, Timestamp)>,
    newest: VecDeque<(Evidence, Timestamp)>,
    span: Option<(Timestamp, Timestamp)>,
    last: Option<(Timestamp, Position)>,
    /// Place of the first event.
    began: Position,
}

impl Support {
    pub(super) fn add(&mut self, told: &Told) {
        self.note(&Mention::of(told));
    }

    pub(super) fn note(&mut self, mention: &Mention) {
        let Mention { evidence, session, at, position } = mention;
        let (at, position) = (*at, *position);
        // Twice in one breath is once.
        let same = |(known, _): &(Evidence, Timestamp)| known.id == evidence.id;
        if self.newest.back().or(self.first.last()).is_some_and(same) {
            return;
        }
        self.count = self.count.saturating_add(1);
        if self.sessions.len() < MAX_SESSIONS {
            self.sessions.insert(session.clone());
        }
        if self.span.is_none_or(|(from, _)| at < from) {
            self.began = position;
        }
        self.last = self.last.max(Some((at, position)));
        self.span = Some(self.span.map_or((at, at), |(from, to)| (from.min(at), to.max(at))));
        if self.first.len() < FIRST {
            self.first.push((evidence.clone(), at));
            return;
        }
        if self.newest.len() == NEWEST {
            self.newest.pop_front();
        }
        self.newest.push_back((evidence.clone(), at));
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn sessions(&self) -> u32 {
        u32::try_from(self.sessions.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn evidence(&self) -> Vec<Evidence> {
        self.first.iter().chain(&self.newest).map(|(evidence, _)| evidence.clone()).collect()
    }

    /// The first kept event of a time.
    pub(super) fn evidence_at(&self, at: Timestamp) -> Option<Evidence> {
        self.first.iter().chain(&self.newest).find(|(_, time)| *time == at).map(|(evidence, _)| evidence.clone())
    }

    /// When it was first seen, before any place in the log of that time.
    pub(super) fn first_when(&self) -> Option<(Timestamp, Position)> {
        self.first_at().map(|at| (at, self.began))
    }

    /// How many of the kept events are not before a time.
    pub(super) fn count_since(&self, since: Option<(Timestamp, Position)>) -> u32 {
        let since = since.map(|(at, _)| at);
        let kept = self.first.iter().chain(&self.newest).filter(|(_, at)| Some(*at) >= since).count();
        u32::try_from(kept).unwrap_or(u32::MAX)
    }

    pub(super) fn first_at(&self) -> Option<Timestamp> {
        self.span.map(|(from, _)| from)
    }

    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.span.map(|(_, to)| to)
    }

    /// The newest time, and among like times the newest place in the log: some sources know only when a session began.
    pub(super) fn last(&self) -> Option<(Timestamp, Position)> {
        self.last
    }

    /// The first kept time that is not before another.
    pub(super) fn first_since(&self, at: Option<Timestamp>) -> Option<Timestamp> {
        let kept = self.first.iter().chain(&self.newest).map(|(_, time)| *time);
        kept.filter(|time| Some(*time) >= at).min().or(self.newest())
    }
}

/// The lower end of the 90 % Wilson interval of `k` in `n`, one-sided.
pub(super) fn lower_bound(k: u32, n: u32) -> f64 {
    const Z: f64 = 1.2816;
    if n == 0 {
        return 0.0;
    }
    let (k, n) = (f64::from(k.min(n)), f64::from(n));
    let (p, z2) = (k / n, Z * Z);
    let middle = p + z2 / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((middle - spread) / (1.0 + z2 / n)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::session::tests::prompt;

    #[test]
    fn evidence_is_capped_and_counts_are_not() {
        let mut support = Support::default();
        for n in 0..400 {
            let event = prompt(&n.to_string(), &n.to_string(), n, "x");
            support.add(&Told { position: Position(0), event });
        }
        let ids: Vec<_> = support.evidence().into_iter().map(|evidence| evidence.id).collect();
        assert_eq!((ids.len(), ids[2].as_str(), ids[3].as_str(), ids[19].as_str()), (20, "2", "383", "399"));
        assert_eq!((support.count(), support.sessions()), (400, 256));
    }

    #[test]
    fn bounds() {
        for (k, n, low, high) in [(0, 0, 0.0, 0.0), (5, 5, 0.74, 0.76), (9, 12, 0.56, 0.59), (1, 1, 0.37, 0.38)] {
            let bound = lower_bound(k, n);
            assert!((low..=high).contains(&bound), "{k} of {n}: {bound}");
        }
    }
}
