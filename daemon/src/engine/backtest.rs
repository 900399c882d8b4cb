//! The backtest of the person's own history: replayed on a thread of its own, one at a time, kept until the log says more.
//!
//! A replay reads the log and nothing derived, so that it holds no lock that an answer or the loop could wait for. What
//! would surprise: a caller waits only for a moment and is then told how far it is; whoever asks again gets the result.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clone_schema::{Fault, Position};
use serde_json::{Value, json};

use super::{Engine, instant, log_fault, ok, reply};
use crate::backtest::own::{MOST, Replay, Report, Wanted};
use crate::derive::history::{self, History};
use crate::log::{Log, LogError};
use crate::serve::Reply;

/// How long a caller waits for a replay before it is told how far it is.
const PATIENCE: Duration = Duration::from_secs(5);
/// Results that are kept; the oldest goes first.
const KEPT: usize = 8;
/// How far a replay stands back where those who answer want the same core.
const NICENESS: i32 = 15;

/// A result, and the position up to which nothing has changed it.
struct Kept {
    wanted: Wanted,
    upto: Position,
    report: Arc<Report>,
}

#[derive(Default)]
struct Desk {
    kept: Vec<Kept>,
    /// The replay that runs: replies done, and how many there are.
    running: Option<(usize, usize)>,
    /// What the last one was asked, and why it could not end.
    failed: Option<(Wanted, String)>,
}

/// Replays and what they found.
#[derive(Default)]
pub(super) struct Backtests {
    desk: Mutex<Desk>,
    moved: Condvar,
}

impl Backtests {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kept result of this question, where the log has said nothing since that would change it.
    fn known(&self, wanted: &Wanted, log: &Log) -> Result<Option<Arc<Report>>, LogError> {
        let found =
            self.desk().kept.iter().find(|kept| kept.wanted == *wanted).map(|kept| (kept.upto, kept.report.clone()));
        let (Some((upto, report)), head) = (found, log.head()) else { return Ok(None) };
        if !history::is_quiet(log, upto, head)? {
            return Ok(None);
        }
        if let Some(kept) = self.desk().kept.iter_mut().find(|kept| kept.wanted == *wanted) {
            kept.upto = kept.upto.max(head);
        }
        Ok(Some(report))
    }

    /// Begins a replay unless one runs.
    fn begin(self: &Arc<Self>, log: &Log, wanted: &Wanted, strict: bool) {
        let mut desk = self.desk();
        if desk.running.is_some() {
            return;
        }
        (desk.running, desk.failed) = (Some((0, 0)), None);
        let (backtests, log, asked, wanted) = (self.clone(), log.clone(), wanted.clone(), wanted.clone());
        let replaying = std::thread::Builder::new().name("backtest".to_owned());
        let begun = replaying.spawn(move || {
            stand_back();
            // Whoever waits is told even where a replay panics.
            let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| backtests.run(&log, &wanted, strict)));
            backtests.end(wanted, found.unwrap_or_else(|_| Err("the replay ended without a result".to_owned())));
        });
        if let Err(error) = begun {
            (desk.running, desk.failed) = (None, Some((asked, error.to_string())));
        }
    }

    fn run(&self, log: &Log, wanted: &Wanted, strict: bool) -> Result<(Position, Report), String> {
        let history = History::read(log, MOST, |at| wanted.is_known(at)).map_err(|error| error.to_string())?;
        let mut replay = Replay::new(wanted.clone(), strict, history.count);
        for (done, pair) in history.pairs(log).enumerate() {
            self.desk().running = Some((done, history.len()));
            replay.take(&pair);
        }
        Ok((history.upto, replay.report()))
    }

    fn end(&self, wanted: Wanted, found: Result<(Position, Report), String>) {
        let mut desk = self.desk();
        desk.running = None;
        match found {
            Ok((upto, report)) => {
                desk.kept.retain(|kept| kept.wanted != wanted);
                desk.kept.push(Kept { wanted, upto, report: Arc::new(report) });
                if desk.kept.len() > KEPT {
                    desk.kept.remove(0);
                }
            }
            Err(error) => desk.failed = Some((wanted, error)),
        }
        self.moved.notify_all();
    }

    /// Why the last replay could not end, where it was asked just this; told once.
    fn failure(&self, wanted: &Wanted) -> Option<String> {
        self.desk().failed.take_if(|(asked, _)| asked == wanted).map(|(_, error)| error)
    }

    /// Waits until no replay runs, for a moment at most; says how far it is where one still does.
    fn wait(&self) -> Option<(usize, usize)> {
        let desk = self.desk();
        let waited = self.moved.wait_timeout_while(desk, PATIENCE, |desk| desk.running.is_some());
        waited.map_or(None, |(desk, _)| desk.running)
    }
}

/// Lets everybody else go first: nobody is in a hurry to know how the past went.
fn stand_back() {
    // Elsewhere it would be the whole process that stands back.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "a replay runs at the priority of everybody else");
    }
}

impl Engine {
    /// The replay of the person's own history, or how far it is.
    pub(super) fn predictions_backtest(&self, query: &BTreeMap<String, String>) -> Result<Reply, Fault> {
        let wanted = Wanted {
            since: instant(query, "since")?,
            until: instant(query, "until")?,
            agent: query.get("agent").cloned().filter(|agent| !agent.is_empty()),
        };
        let known = || self.backtests.known(&wanted, &self.log).map_err(|error| log_fault(&error));
        if let Some(report) = known()? {
            return ok(&json!({"state": "done", "report": &*report}));
        }
        self.replay(&wanted);
        let running = self.backtests.wait();
        if let Some(report) = known()? {
            return ok(&json!({"state": "done", "report": &*report}));
        }
        if let Some(error) = self.backtests.failure(&wanted) {
            return Err(Fault::internal(error).hint("ask again; `clone log verify` reads every byte of the log"));
        }
        let (done, of) = running.unwrap_or_default();
        reply(202, &json!({"state": "running", "done": done, "of": of}))
    }

    /// Begins to replay the whole history, so that who asks for it later finds it done.
    pub(super) fn replay_all(&self) {
        self.replay(&Wanted::default());
    }

    fn replay(&self, wanted: &Wanted) {
        self.backtests.begin(&self.log, wanted, self.config.predict.policy == clone_schema::prediction::Policy::Strict);
    }

    /// What the newest replay of the whole history found, in a line of `status`; null before the first.
    pub(super) fn replayed(&self) -> Value {
        let desk = self.backtests.desk();
        let whole = desk.kept.iter().find(|kept| kept.wanted == Wanted::default());
        let score = whole.and_then(|kept| Some((kept.report.predictors.first()?.score, kept.report.scored)));
        let running = desk.running.is_some();
        match score {
            None if running => json!({"running": true}),
            None => Value::Null,
            Some((score, scored)) => json!({
                "running": running, "scored": scored, "top1": score.top1, "top3": score.top3, "skill": score.skill,
                "ece": score.ece, "autos": score.autos, "wrong_autos": score.wrong_autos,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_that_failed_is_told_to_whoever_asked_for_it() {
        let (backtests, other) = (Backtests::default(), Wanted { agent: Some("a".to_owned()), ..Wanted::default() });
        backtests.end(other.clone(), Err("no log".to_owned()));
        assert_eq!(backtests.failure(&Wanted::default()), None);
        assert_eq!(backtests.failure(&other).as_deref(), Some("no log"));
        assert_eq!(backtests.failure(&other), None, "once");
    }
}
