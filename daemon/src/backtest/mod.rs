//! Replays recorded turns through the predictor, exactly as the daemon would have met them.
//!
//! [`own`] replays a person's own history and tells it beside [`plain`] predictors, by the figures of [`score`]; [`plot`] and
//! [`svg()`] show it. [`people`] compares people, histories and parts. [`strata`] measures the closed channels apart, by the measures of [`measure`]; [`fit`] makes the shipped weights; `assent` tells whether a person would say yes, which no live predictor asks.
//!
//! Turn `t` is predicted from the turns before it and nothing else. Every turn is learned, and every turn with an
//! agent's text is predicted: a live daemon does not know a turn's `kind` either.

mod assent;
pub mod measure;
pub mod own;
pub mod people;
pub mod plain;
pub mod plot;
mod priors;
pub mod score;
mod strata;
mod svg;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use clone_schema::time::{self, Timestamp};
use serde::{Deserialize, Serialize};

use crate::predict::{Decided, Mode, Pair, Predictor, Query, decide};

use priors::Priors;
pub use priors::{Fitted, From, fit};
use score::Row;
pub use strata::Strata;
pub use svg::svg;

/// The longest line that is read, in bytes; a longer one counts as unreadable.
pub const MAX_LINE: usize = 8 << 20;

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// A file or folder could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The predictions could not be written.
    #[error("cannot write the predictions")]
    Write(#[source] std::io::Error),
    /// The folder holds no turns.
    #[error("no `.jsonl` file in `{0}`")]
    Empty(PathBuf),
}

/// How to replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The threshold that a caller would name.
    pub threshold: f64,
    /// The strict gate; else the standard one.
    pub strict: bool,
    /// Candidates per turn.
    pub k: usize,
    /// Replay a new home, where nothing is acted on.
    pub shadow: bool,
    /// What is held true of people before the person is met.
    pub priors: From,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threshold: clone_schema::prediction::DEFAULT_THRESHOLD,
            strict: true,
            k: 3,
            shadow: false,
            priors: From::Shipped,
        }
    }
}

/// What a replay met; the people of a folder are added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Files, one for each person.
    pub people: u64,
    /// Turns learned.
    pub turns: u64,
    /// Turns predicted.
    pub predicted: u64,
    /// First candidates that were hits.
    pub hits: u64,
    /// Turns with a hit among the candidates.
    pub any_hits: u64,
    /// Turns that a caller would have acted on.
    pub autos: u64,
    /// Those that were wrong.
    pub wrong_autos: u64,
    /// Lines that could not be read as a turn.
    pub unreadable: u64,
}

/// One line of the input.
#[derive(Clone, Debug, Deserialize)]
struct Turn {
    user: String,
    session: String,
    turn: u64,
    #[serde(default)]
    ts: Option<String>,
    #[serde(default)]
    agent: String,
    #[serde(default)]
    agent_prompt: Option<String>,
    reply: String,
    #[serde(default)]
    kind: String,
}

#[derive(Serialize)]
struct Line<'a> {
    user: &'a str,
    turn: u64,
    candidates: Vec<Shown<'a>>,
    status: &'static str,
}

#[derive(Serialize)]
struct Shown<'a> {
    response: &'a str,
    confidence: f64,
    probability: f64,
}

impl Summary {
    fn count(&mut self, row: Row) {
        self.predicted += 1;
        self.hits += u64::from(row.hit);
        self.any_hits += u64::from(row.any);
        self.autos += u64::from(row.auto);
        self.wrong_autos += u64::from(row.auto && !row.hit);
    }
}

/// A turn that was met, and what had been said of it before.
struct Met<'a> {
    /// The place of the person's file.
    person: usize,
    /// The place of the turn among the person's.
    place: usize,
    turn: &'a Turn,
    /// What the predictor said, which had not seen the reply yet; none where there is no agent's text.
    decided: Option<&'a Decided>,
}

type OnMet<'a> = &'a mut dyn FnMut(&Met<'_>) -> Result<(), BacktestError>;

/// The files of a folder of turns, by name.
fn files(dir: &Path) -> Result<Vec<PathBuf>, BacktestError> {
    let mut files = Vec::new();
    let unreadable = |source| BacktestError::Read { path: dir.to_owned(), source };
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() { Err(BacktestError::Empty(dir.to_owned())) } else { Ok(files) }
}

/// Hands on the turns of a file, and counts the lines that are none.
fn read(path: &Path, on: &mut dyn FnMut(&Turn) -> Result<(), BacktestError>) -> Result<u64, BacktestError> {
    let unreadable = |source| BacktestError::Read { path: path.to_owned(), source };
    let mut input = BufReader::new(File::open(path).map_err(unreadable)?);
    let (mut line, mut bad) = (Vec::new(), 0);
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            return Ok(bad);
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Turn>(&line) {
            Ok(turn) if line.len() <= MAX_LINE => on(&turn)?,
            _ => bad += 1,
        }
    }
}

/// Replays every `<person>.jsonl` of a folder, each person by themselves, and writes one line for each prediction.
///
/// # Errors
///
/// A folder or file that cannot be read, a folder without turns, and predictions that cannot be written. Lines that
/// are no turns are counted in [`Summary::unreadable`].
pub fn turns(dir: &Path, out: &mut dyn Write, options: Options) -> Result<Summary, BacktestError> {
    let priors = priors::of(dir, options.priors, None)?;
    let summary = replay(dir, &priors, options, &mut |met| write(out, met))?;
    out.flush().map_err(BacktestError::Write)?;
    Ok(summary)
}

/// The same, and every channel measured by itself.
///
/// # Errors
///
/// As [`turns`].
pub fn strata(dir: &Path, out: &mut dyn Write, options: Options) -> Result<(Summary, Strata), BacktestError> {
    let priors = priors::of(dir, options.priors, None)?;
    let mut tally = strata::Tally::new(&priors);
    let summary = replay(dir, &priors, options, &mut |met| {
        tally.take(met);
        write(out, met)
    })?;
    out.flush().map_err(BacktestError::Write)?;
    Ok((summary, tally.finish()))
}

fn replay(dir: &Path, priors: &[Priors], options: Options, on: OnMet<'_>) -> Result<Summary, BacktestError> {
    let mut summary = Summary::default();
    for ((person, path), priors) in files(dir)?.iter().enumerate().zip(priors) {
        let mut predictor = Predictor::new(&priors.rank);
        let mut place = 0;
        summary.unreadable += read(path, &mut |turn| {
            step(&mut predictor, turn, (person, place), options, &mut summary, on)?;
            place += 1;
            Ok(())
        })?;
        summary.people += 1;
    }
    Ok(summary)
}

impl Turn {
    fn said(&self) -> &str {
        self.agent_prompt.as_deref().unwrap_or_default()
    }

    fn at(&self) -> Timestamp {
        self.ts.as_deref().and_then(time::parse).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Whether there is an agent's text to reply to.
    fn answers(&self) -> bool {
        self.kind != "open" && !self.said().trim().is_empty()
    }

    fn id(&self) -> String {
        format!("{}/{}", self.user, self.turn)
    }

    fn query(&self, k: usize) -> Query<'_> {
        let session_id = Some(self.session.as_str());
        Query { agent: &self.agent, agent_input: self.said(), session_id, project: None, k, at: self.at() }
    }

    fn pair(&self) -> Pair {
        Pair {
            reply_id: self.id(),
            prompt_id: None,
            session_id: self.session.clone(),
            agent: self.agent.clone(),
            project: None,
            at: self.at(),
            agent_text: self.said().to_owned(),
            reply: self.reply.clone(),
        }
    }
}

/// Predicts a turn, hands the prediction on, and only then looks at the reply.
fn step(
    predictor: &mut Predictor,
    turn: &Turn,
    (person, place): (usize, usize),
    options: Options,
    summary: &mut Summary,
    on: OnMet<'_>,
) -> Result<(), BacktestError> {
    let decided = turn.answers().then(|| ask(predictor, turn, options));
    on(&Met { person, place, turn, decided: decided.as_ref() })?;
    if let Some(decided) = decided {
        let row = Row::of(&decided, &turn.reply);
        summary.count(row);
        predictor.judge(decided.label(row.hit));
    }
    summary.turns += 1;
    predictor.learn(&turn.pair());
    Ok(())
}

/// What the live path says to a turn.
fn ask(predictor: &Predictor, turn: &Turn, options: Options) -> Decided {
    let mode = if options.shadow { Mode::shadow(options.strict) } else { Mode::live(options.strict) };
    let answer = predictor.answer(&turn.query(options.k));
    decide(answer, options.threshold, mode, turn.said(), &turn.id())
}

fn write(out: &mut dyn Write, met: &Met<'_>) -> Result<(), BacktestError> {
    let (turn, Some(decided)) = (met.turn, met.decided) else { return Ok(()) };
    let shown = decided.candidates.iter().map(|candidate| Shown {
        response: &candidate.response,
        confidence: candidate.confidence,
        probability: candidate.probability,
    });
    let line = Line { user: &turn.user, turn: turn.turn, candidates: shown.collect(), status: decided.status.name() };
    serde_json::to_writer(&mut *out, &line).map_err(|error| BacktestError::Write(error.into()))?;
    out.write_all(b"\n").map_err(BacktestError::Write)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, String)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn line(user: &str, turn: u64, prompt: &str, reply: &str, kind: &str) -> String {
        serde_json::json!({"user": user, "session": format!("s{}", turn / 5), "turn": turn, "agent": "A",
            "ts": "2026-01-01T00:00:00Z", "agent_prompt": prompt, "reply": reply, "kind": kind})
        .to_string()
            + "\n"
    }

    #[test]
    fn every_turn_with_an_agents_text_gets_a_line_and_bad_lines_are_counted() {
        let text = line("a", 0, "", "begin", "open")
            + "not json\n\n"
            + &line("a", 1, "done, go on?", "yes", "reply")
            + &line("a", 2, "x", "new", "open")
            + "{\"user\":1}\n"
            + &line("a", 3, "done, go on?", "yes", "template");
        let dir = folder(&[
            ("a.jsonl", text),
            ("b.jsonl", line("b", 0, "go on?", "sure", "reply")),
            ("c.txt", String::new()),
        ]);
        let mut out = Vec::new();
        let summary = turns(dir.path(), &mut out, Options::default()).unwrap();
        assert_eq!((summary.people, summary.turns, summary.predicted, summary.unreadable), (2, 5, 3, 2));
        let lines: Vec<serde_json::Value> =
            out.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect();
        let met: Vec<(String, u64)> =
            lines.iter().map(|l| (l["user"].as_str().unwrap().to_owned(), l["turn"].as_u64().unwrap())).collect();
        assert_eq!(met, [("a".to_owned(), 1), ("a".to_owned(), 3), ("b".to_owned(), 0)]);
        assert_eq!(lines[1]["candidates"].as_array().unwrap().len(), 3);
        assert_eq!(lines[1]["candidates"][0]["response"], "yes");
    }

    #[test]
    fn a_turn_is_predicted_before_it_is_learned() {
        let secret = |reply: &str| {
            let text = (0..30).map(|at| line("a", at, &format!("w{at} done?"), "yes", "reply")).collect::<String>();
            let dir = folder(&[("a.jsonl", text + &line("a", 30, "w30 done?", reply, "reply"))]);
            let mut out = Vec::new();
            turns(dir.path(), &mut out, Options::default()).unwrap();
            out
        };
        assert_eq!(secret("yes"), secret("something else entirely"));
    }

    #[test]
    fn shadow_acts_on_nothing_and_an_empty_folder_is_an_error() {
        let text: String =
            (0..300).map(|at| line("a", at, "tests pass, shall I go on?", "yes, go on", "reply")).collect();
        let dir = folder(&[("a.jsonl", text)]);
        let live = turns(dir.path(), &mut std::io::sink(), Options::default()).unwrap();
        assert!(live.autos > 100 && live.wrong_autos == 0, "{live:?}");
        let shadow = turns(dir.path(), &mut std::io::sink(), Options { shadow: true, ..Options::default() }).unwrap();
        assert_eq!((shadow.autos, shadow.hits), (0, live.hits));
        let empty = folder(&[]);
        let error = turns(empty.path(), &mut std::io::sink(), Options::default());
        assert!(matches!(error, Err(BacktestError::Empty(_))));
    }

    /// Real people, where the data is at hand: better than the most frequent reply, and no wrong autos to speak of.
    #[test]
    fn real_people_are_predicted_at_least_as_well_as_the_bar() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/turns-small");
        if !dir.is_dir() {
            #[allow(clippy::print_stderr)]
            {
                eprintln!("SKIPPED: no turns at `{}`", dir.display());
            }
            return;
        }
        let summary = turns(&dir, &mut std::io::sink(), Options::default()).unwrap();
        assert!(summary.hits * 100 >= summary.predicted * 4, "{summary:?}");
        assert!(summary.any_hits * 100 >= summary.predicted * 8, "{summary:?}");
        assert!(summary.wrong_autos * 500 <= summary.predicted, "{summary:?}");
    }
}
