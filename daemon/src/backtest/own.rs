//! A person's own history, replayed: what the predictor would have said to each reply before it came.
//!
//! The same code path as a live prediction and its judgement, strictly from earlier replies. What would surprise:
//!
//! - It decides as if `auto` were on, so that a home in shadow mode sees what switching it on would have done.
//! - Every reply is learned, whatever is asked for: a filter chooses what is scored, not what is known.
//! - The first [`WARM`] replies are not scored: whoever knows nothing says nothing.

use std::collections::BTreeMap;

use clone_schema::prediction::{DEFAULT_THRESHOLD, Status};
use clone_schema::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::measure::Forecast;
use super::plain::{Plain, Rows};
use super::score::{self, Bin, Point, Row, Score};
use crate::predict::{Kind, Mode, Pair, Predictor, Query, decide};

/// The newest replies that a replay reads; older ones are left out, so that it ends within seconds.
pub const MOST: usize = 5_000;
/// Replies at the beginning that are learned and not scored.
pub const WARM: usize = 20;
/// Thresholds that are told beside each other.
pub const THRESHOLDS: [f64; 5] = [0.5, 0.6, 0.7, 0.8, 0.9];
/// The place of the threshold that everything else is told at.
const USUAL: usize = 3;
/// Candidates asked for.
const K: usize = 3;
/// Points of the coverage curve, and stretches of time.
const POINTS: usize = 40;
/// See [`POINTS`].
const STRETCHES: usize = 20;
/// Agents and projects that are told apart; the rest is left out.
const PARTS: usize = 12;

/// Which replies are scored.
#[derive(Clone, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Wanted {
    /// Those from here on.
    pub since: Option<Timestamp>,
    /// Those before this; later ones are not even learned.
    pub until: Option<Timestamp>,
    /// Those typed to this agent.
    pub agent: Option<String>,
}

impl Wanted {
    /// Whether a reply of this time may be read at all.
    #[must_use]
    pub fn is_known(&self, at: Timestamp) -> bool {
        self.until.is_none_or(|until| at < until)
    }

    fn is_scored(&self, pair: &Pair) -> bool {
        self.is_known(pair.at)
            && self.since.is_none_or(|since| pair.at >= since)
            && self.agent.as_ref().is_none_or(|agent| *agent == pair.agent)
    }
}

/// A name and the figures behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// Of a predictor, a kind of situation, an agent or a project.
    pub name: String,
    /// Its figures.
    #[serde(flatten)]
    pub score: Score,
}

/// What a threshold would have done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtThreshold {
    /// From this confidence on a caller acts.
    pub threshold: f64,
    /// Answers acted on.
    pub autos: usize,
    /// Those that were wrong.
    pub wrong: usize,
    /// Share of all answers.
    pub coverage: f64,
    /// Share of right ones among them; nothing where there are none.
    pub precision: Option<f64>,
    /// Right ones less t / (1 - t) times the wrong ones, over all answers.
    pub utility: f64,
}

/// Whether what was said is what came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// By rising probability.
    pub bins: Vec<Bin>,
    /// The expected calibration error.
    pub ece: f64,
    /// What a forecaster that is never off shows on as many answers: the mean, and what it exceeds one time in twenty.
    pub noise: (f64, f64),
}

/// A stretch of time; as many answers in each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// When its first reply came.
    pub from: Timestamp,
    /// Answers.
    pub n: usize,
    /// Share of first candidates that were hits.
    pub top1: f64,
    /// Share with a hit among the candidates.
    pub top3: f64,
    /// What ours, the most frequent reply and the nearest one had gained by its end, at the usual threshold.
    pub utility: [f64; 3],
}

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was asked for.
    pub wanted: Wanted,
    /// Replies that the period holds.
    pub replies: usize,
    /// The newest of them, which were replayed.
    pub replayed: usize,
    /// Those that an agent had spoken before, that were asked for, and that came after the first few.
    pub scored: usize,
    /// The threshold that is told at, and whether the strict gate decides.
    pub threshold: f64,
    /// See `threshold`.
    pub strict: bool,
    /// When the first and the last scored reply came.
    pub from: Option<Timestamp>,
    /// See `from`.
    pub to: Option<Timestamp>,
    /// Ours first, then the plain ones.
    pub predictors: Vec<Named>,
    /// What each threshold would have done.
    pub thresholds: Vec<AtThreshold>,
    /// From the surest answer on.
    pub coverage: Vec<Point>,
    /// Of ours.
    pub calibration: Calibration,
    /// From the oldest on.
    pub over_time: Vec<Stretch>,
    /// By what the agent did last.
    pub by_kind: Vec<Named>,
    /// By agent.
    pub by_agent: Vec<Named>,
    /// By project.
    pub by_project: Vec<Named>,
}

/// One scored reply.
struct Met {
    at: Timestamp,
    kind: Kind,
    agent: String,
    project: Option<String>,
    ours: Row,
    autos: [bool; THRESHOLDS.len()],
    plain: Rows,
}

/// A replay, reply by reply.
pub struct Replay {
    wanted: Wanted,
    strict: bool,
    replies: usize,
    replayed: usize,
    predictor: Predictor,
    plain: Plain,
    met: Vec<Met>,
}

impl Replay {
    /// A replay of so many replies in all, of which the newest will come.
    #[must_use]
    pub fn new(wanted: Wanted, strict: bool, replies: usize) -> Self {
        let (predictor, plain) = (Predictor::default(), Plain::default());
        Self { wanted, strict, replies, replayed: 0, predictor, plain, met: Vec::new() }
    }

    /// Takes the next reply: answers, compares, and only then learns.
    pub fn take(&mut self, pair: &Pair) {
        let spoken = !pair.agent_text.trim().is_empty();
        if spoken {
            self.answer(pair);
        }
        self.predictor.learn(pair);
        if spoken {
            self.plain.learn(pair);
        }
        self.replayed += 1;
    }

    fn answer(&mut self, pair: &Pair) {
        let answer = self.predictor.answer(&query(pair));
        let mode = Mode::live(self.strict);
        let decide = |threshold| decide(answer.clone(), threshold, mode, &pair.agent_text, &pair.reply_id);
        let decided = THRESHOLDS.map(decide);
        let usual = &decided[USUAL];
        let row = Row::of(usual, &pair.reply);
        if self.replayed >= WARM && self.wanted.is_scored(pair) {
            let autos = decided.each_ref().map(|decided| decided.status == Status::Auto);
            self.met.push(Met {
                at: pair.at,
                kind: usual.kind,
                agent: pair.agent.clone(),
                project: pair.project.clone(),
                ours: row,
                autos,
                plain: self.plain.answer(pair),
            });
        }
        self.predictor.judge(usual.label(row.hit));
    }

    /// What it found.
    #[must_use]
    pub fn report(&self) -> Report {
        let ours: Vec<Row> = self.met.iter().map(|met| met.ours).collect();
        let forecasts: Vec<Forecast> = ours.iter().map(Row::forecast).collect();
        let column = |name: &str, of: &dyn Fn(&Met) -> Row| {
            let rows: Vec<Row> = self.met.iter().map(of).collect();
            Named { name: name.to_owned(), score: Score::of(&rows) }
        };
        Report {
            wanted: self.wanted.clone(),
            replies: self.replies,
            replayed: self.replayed,
            scored: self.met.len(),
            threshold: DEFAULT_THRESHOLD,
            strict: self.strict,
            from: self.met.iter().map(|met| met.at).min(),
            to: self.met.iter().map(|met| met.at).max(),
            predictors: vec![
                column("clone", &|met| met.ours),
                column("silent", &|met| met.plain.silent),
                column("most frequent", &|met| met.plain.frequent),
                column("nearest", &|met| met.plain.nearest),
            ],
            thresholds: (0..THRESHOLDS.len()).map(|at| self.at(at)).collect(),
            coverage: score::coverage(&ours, POINTS),
            calibration: Calibration {
                bins: score::bins(&forecasts),
                ece: score::ece(&forecasts),
                noise: score::floor(&forecasts),
            },
            over_time: self.over_time(),
            by_kind: self.by(|met| Some(met.kind.name().to_owned())),
            by_agent: self.by(|met| Some(met.agent.clone())),
            by_project: self.by(|met| met.project.clone()),
        }
    }

    fn at(&self, place: usize) -> AtThreshold {
        let threshold = THRESHOLDS[place];
        let acted = || self.met.iter().filter(|met| met.autos[place]);
        let (autos, wrong) = (acted().count(), acted().filter(|met| !met.ours.hit).count());
        let gained = score::number(autos - wrong) - score::number(wrong) * threshold / (1.0 - threshold);
        AtThreshold {
            threshold,
            autos,
            wrong,
            coverage: score::share(autos, self.met.len()),
            precision: (autos > 0).then(|| score::share(autos - wrong, autos)),
            utility: if self.met.is_empty() { 0.0 } else { gained / score::number(self.met.len()) },
        }
    }

    fn over_time(&self) -> Vec<Stretch> {
        let size = self.met.len().div_ceil(STRETCHES).max(1);
        let mut utility = [0.0; 3];
        let stretches = self.met.chunks(size).map(|chunk| {
            for met in chunk {
                for (sum, row) in utility.iter_mut().zip([met.ours, met.plain.frequent, met.plain.nearest]) {
                    *sum += row.utility();
                }
            }
            let count = |is: fn(&Row) -> bool| chunk.iter().filter(|met| is(&met.ours)).count();
            let (top1, top3) = (count(|row| row.hit), count(|row| row.any));
            let share = |part| score::share(part, chunk.len());
            Stretch { from: chunk[0].at, n: chunk.len(), top1: share(top1), top3: share(top3), utility }
        });
        stretches.collect()
    }

    /// The figures by a name, the most answers first.
    fn by(&self, name: impl Fn(&Met) -> Option<String>) -> Vec<Named> {
        let mut groups: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for met in &self.met {
            if let Some(name) = name(met) {
                groups.entry(name).or_default().push(met.ours);
            }
        }
        let named = groups.into_iter().map(|(name, rows)| Named { name, score: Score::of(&rows) });
        let mut named: Vec<Named> = named.collect();
        named.sort_by(|a, b| b.score.n.cmp(&a.score.n).then_with(|| a.name.cmp(&b.name)));
        named.truncate(PARTS);
        named
    }
}

/// What the daemon asks itself before it learns a reply.
fn query(pair: &Pair) -> Query<'_> {
    Query {
        agent: &pair.agent,
        agent_input: &pair.agent_text,
        session_id: Some(&pair.session_id),
        project: pair.project.as_deref(),
        k: K,
        at: pair.at,
    }
}

/// Replays these replies, oldest first.
#[cfg(test)]
pub(super) fn replay<'a>(pairs: impl ExactSizeIterator<Item = &'a Pair>, wanted: Wanted, strict: bool) -> Report {
    let mut replay = Replay::new(wanted, strict, pairs.len());
    pairs.for_each(|pair| replay.take(pair));
    replay.report()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Replies to two agents: one is always answered alike, the other never the same way.
    pub fn lived(n: u32) -> Vec<Pair> {
        let pair = |at: u32| {
            let routine = at.is_multiple_of(2);
            let said =
                if routine { "All tests pass. Shall I commit it?".into() } else { format!("topic{at} is open?") };
            Pair {
                reply_id: format!("r{at}"),
                prompt_id: None,
                session_id: format!("s{}", at / 10),
                agent: if routine { "A" } else { "B" }.to_owned(),
                project: routine.then(|| "parser".to_owned()),
                at: Timestamp::from_second(1_767_225_600 + 60 * i64::from(at)).unwrap(),
                agent_text: said,
                reply: if routine { "yes, commit it".into() } else { format!("word{at} and thing{at} or other{at}") },
            }
        };
        (0..n).map(pair).collect()
    }

    #[test]
    fn a_routine_is_found_and_the_rest_is_told_apart() {
        let pairs = lived(400);
        let report = replay(pairs.iter(), Wanted::default(), true);
        assert_eq!((report.replies, report.replayed, report.scored), (400, 400, 380));
        let ours = report.predictors[0].score;
        assert!(ours.top1 >= 0.49 && ours.autos > 50 && ours.wrong_autos == 0, "{ours:?}");
        let names: Vec<&str> = report.predictors.iter().map(|named| named.name.as_str()).collect();
        assert_eq!(names, ["clone", "silent", "most frequent", "nearest"]);
        assert_eq!((report.predictors[1].score.autos, report.predictors[1].score.top3.to_bits()), (0, 0));
        let [a, b] = &report.by_agent[..] else { panic!("{:?}", report.by_agent) };
        assert_eq!((a.name.as_str(), a.score.n, b.score.n, b.score.autos), ("A", 190, 190, 0));
        assert_eq!((report.by_project.len(), report.by_project[0].score), (1, a.score), "B has no project");
        let usual = report.thresholds[USUAL];
        assert_eq!((usual.autos, usual.wrong, usual.precision), (ours.autos, 0, Some(1.0)));
        assert!((usual.utility - ours.utility).abs() < 1e-12);
        assert_eq!(report.over_time.iter().map(|stretch| stretch.n).sum::<usize>(), 380);
        let last = report.over_time.last().unwrap();
        assert!((last.utility[0] - ours.utility * 380.0).abs() < 1e-9);
        assert_eq!(report.coverage.last().unwrap().coverage.to_bits(), 1.0_f64.to_bits());
        assert_eq!(report.calibration.bins.iter().map(|bin| bin.n).sum::<usize>(), 380);
    }

    #[test]
    fn a_filter_chooses_what_is_scored_and_never_what_was_known() {
        let pairs = lived(120);
        let all = replay(pairs.iter(), Wanted::default(), true);
        let agent = replay(pairs.iter(), Wanted { agent: Some("A".into()), ..Wanted::default() }, true);
        assert_eq!((agent.scored, agent.by_agent[0].score), (50, all.by_agent[0].score));
        let since = replay(pairs.iter(), Wanted { since: Some(pairs[100].at), ..Wanted::default() }, true);
        assert_eq!((since.scored, since.from, since.to), (20, Some(pairs[100].at), Some(pairs[119].at)));
    }

    /// The live path says the same: what is answered before a reply is learned, at the same threshold.
    #[test]
    fn a_reply_never_changes_what_was_said_before_it() {
        let mut pairs = lived(60);
        let whole = replay(pairs.iter(), Wanted { until: Some(pairs[58].at), ..Wanted::default() }, true);
        pairs[59].reply = "something else altogether".to_owned();
        let other = replay(pairs.iter(), Wanted { until: Some(pairs[58].at), ..Wanted::default() }, true);
        assert_eq!(whole, other);
        assert_eq!(whole.scored, 38);
    }

    #[test]
    fn nothing_at_all_is_a_report_of_zeros() {
        let report = replay([].iter(), Wanted::default(), true);
        assert_eq!((report.scored, report.coverage.len(), report.over_time.len()), (0, 0, 0));
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        let full = replay(lived(80).iter(), Wanted::default(), true);
        let back: Report = serde_json::from_str(&serde_json::to_string(&full).unwrap()).unwrap();
        assert_eq!(back.scored, full.scored);
    }
}
