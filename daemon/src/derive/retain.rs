//! Retention in the loop: once a day, and when somebody asks, what the rules keep no longer is forgotten.
//!
//! Costs two readings of the log where there are rules, and where something goes the same as `forget`: a fold of all of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clone_schema::Position;
use clone_schema::internal::Payload;

use super::forget::{Forgot, Refusal, Wanted};
use super::plan::each;
use super::retention::{Due, Moment, Weigher};
use super::selection::Selection;
use super::{Derive, DeriveError};
use crate::clock;
use crate::config::Keep;

/// How often the rules are looked at.
const EVERY: Duration = Duration::from_secs(86_400);
/// The setting that keeps the last moment that was believed, as JSON.
const CLOCK: &str = "retention.clock";
/// What `status` says where the clock is not believed.
const PROBLEM: &str = "retention:";
/// What to do then.
const SET_CLOCK: &str = "set it right, or say `clone forget --retention --trust-clock` if it is";
/// What to do where there is no rule.
const WRITE_RULE: &str =
    "write one, such as `[retention.\"agent.prompt\"]` with `max_days = 400`, and restart the daemon";

/// How much of which topic is kept, and what is known of the time.
#[derive(Default)]
pub(super) struct Retention {
    rules: BTreeMap<String, Keep>,
    /// When they are looked at again.
    at: Option<Instant>,
    /// When the clocks last agreed.
    believed: Option<Moment>,
}

impl Retention {
    pub(super) fn of(rules: BTreeMap<String, Keep>) -> Self {
        Self { rules, ..Self::default() }
    }
}

impl Derive {
    /// Looks at the rules where that is due.
    pub(super) fn retain_daily(&mut self) -> Result<(), DeriveError> {
        if self.retention.rules.is_empty() || self.retention.at.is_some_and(|at| at > Instant::now()) {
            return Ok(());
        }
        if self.held_by_the_clock().is_none() {
            self.retention.at = Some(Instant::now() + EVERY);
            self.retain_now()?;
        }
        Ok(())
    }

    /// Looks at the rules now, for somebody who may say that the clock is right.
    pub(super) fn retain(&mut self, trust_clock: bool) -> Result<Forgot, Refusal> {
        if self.retention.rules.is_empty() {
            let message = "there are no rules under `[retention]` in config.toml";
            return Err(Refusal::Asked(message.to_owned(), WRITE_RULE));
        }
        self.pass(true)?;
        if trust_clock {
            self.believe(&moment())?;
        }
        match self.held_by_the_clock() {
            Some(why) => Err(Refusal::Asked(why, SET_CLOCK)),
            None => Ok(self.retain_now()?),
        }
    }

    /// Why nothing goes now: the clock is ahead of what was to be expected.
    fn held_by_the_clock(&mut self) -> Option<String> {
        let now = moment();
        let kept = || serde_json::from_str(self.view.read().ok()?.settings.get(CLOCK)?).ok();
        let before = self.retention.believed.clone().or_else(kept).or_else(|| self.last_recorded());
        let leap = before.and_then(|before| now.leap_since(&before));
        let why = leap.map(|seconds| {
            format!(
                "nothing is forgotten by `[retention]`: the clock is {} days ahead of what was to be expected",
                seconds / 86_400
            )
        });
        if why.is_none() {
            self.retention.believed = Some(now);
        }
        if let Ok(mut view) = self.view.write() {
            match &why {
                Some(why) => _ = view.problems.insert(PROBLEM.to_owned(), format!("{why}; {SET_CLOCK}")),
                None => _ = view.problems.remove(PROBLEM),
            }
        }
        why
    }

    /// When something was last recorded: what is known of the time where no moment was believed yet.
    fn last_recorded(&self) -> Option<Moment> {
        let last = Position(self.cursor().0.checked_sub(1)?);
        let record = self.log.read(last).ok()??;
        Some(Moment { at: record.recorded_at, up: None })
    }

    /// Takes a moment as right, and remembers it over restarts.
    fn believe(&mut self, moment: &Moment) -> Result<(), DeriveError> {
        let value = serde_json::to_string(moment).unwrap_or_default();
        self.retention.believed = Some(moment.clone());
        self.append(vec![Payload::ConfigChanged { key: CLOCK.to_owned(), value }])?;
        self.fold()
    }

    fn retain_now(&mut self) -> Result<Forgot, DeriveError> {
        self.believe(&moment())?;
        let due = self.due()?;
        if due.is_empty() {
            return Ok(Forgot::default());
        }
        let forgot = self.forget_barred(Selection::due(due), &Wanted::default(), "retention")?;
        tracing::info!(events = ?forgot.reply.events, "what the rules of retention keep no longer is forgotten");
        Ok(forgot)
    }

    fn due(&self) -> Result<Vec<Due>, DeriveError> {
        let mut weigher = Weigher::new(&self.retention.rules, clock::now());
        each(&self.log, self.cursor(), |record| weigher.weigh(record))?;
        if weigher.weighed() {
            each(&self.log, self.cursor(), |record| weigher.lighten(record))?;
        }
        Ok(weigher.due())
    }
}

fn moment() -> Moment {
    Moment { at: clock::now(), up: clock::up() }
}
