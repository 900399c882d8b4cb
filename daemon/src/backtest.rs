//! Replays recorded turns through the predictor, exactly as the daemon would have met them.
//!
//! Turn `t` is predicted from the turns before it and nothing else. Every turn is learned, and every turn with an
//! agent's text is predicted: a live daemon does not know a turn's `kind` either.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use clone_schema::prediction::Status;
use clone_schema::time::{self, Timestamp};
use serde::{Deserialize, Serialize};

use crate::predict::{Label, Mode, Pair, Predictor, Query, decide, hit};

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
}

impl Default for Options {
    fn default() -> Self {
        Self { threshold: clone_schema::prediction::DEFAULT_THRESHOLD, strict: true, k: 3, shadow: false }
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
#[derive(Debug, Deserialize)]
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

/// Replays every `<person>.jsonl` of a folder, each person by themselves, and writes one line for each prediction.
///
/// # Errors
///
/// A folder or file that cannot be read, a folder without turns, and predictions that cannot be written. Lines that
/// are no turns are counted in [`Summary::unreadable`].
pub fn turns(dir: &Path, out: &mut dyn Write, options: Options) -> Result<Summary, BacktestError> {
    let mut files = Vec::new();
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| BacktestError::Read { path, source }
    };
    for entry in std::fs::read_dir(dir).map_err(unreadable(dir))? {
        let path = entry.map_err(unreadable(dir))?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(BacktestError::Empty(dir.to_owned()));
    }
    let mut summary = Summary::default();
    for path in files {
        let file = File::open(&path).map_err(unreadable(&path))?;
        replay(&mut BufReader::new(file), &path, out, options, &mut summary)?;
        summary.people += 1;
    }
    out.flush().map_err(BacktestError::Write)?;
    Ok(summary)
}

fn replay(
    input: &mut dyn BufRead,
    path: &Path,
    out: &mut dyn Write,
    options: Options,
    summary: &mut Summary,
) -> Result<(), BacktestError> {
    let mut predictor = Predictor::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.read_until(b'\n', &mut line);
        if read.map_err(|source| BacktestError::Read { path: path.to_owned(), source })? == 0 {
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Turn>(&line) {
            Ok(turn) if line.len() <= MAX_LINE => step(&mut predictor, &turn, out, options, summary)?,
            _ => summary.unreadable += 1,
        }
    }
}

/// Predicts a turn, writes the prediction down, and only then looks at the reply.
fn step(
    predictor: &mut Predictor,
    turn: &Turn,
    out: &mut dyn Write,
    options: Options,
    summary: &mut Summary,
) -> Result<(), BacktestError> {
    let at = turn.ts.as_deref().and_then(time::parse).unwrap_or(Timestamp::UNIX_EPOCH);
    let agent_text = turn.agent_prompt.as_deref().unwrap_or_default();
    if turn.kind != "open" && !agent_text.trim().is_empty() {
        predict(predictor, turn, agent_text, at, out, options, summary)?;
    }
    summary.turns += 1;
    predictor.learn(&Pair {
        reply_id: format!("{}/{}", turn.user, turn.turn),
        prompt_id: None,
        session_id: turn.session.clone(),
        agent: turn.agent.clone(),
        project: None,
        at,
        agent_text: agent_text.to_owned(),
        reply: turn.reply.clone(),
    });
    Ok(())
}

fn predict(
    predictor: &mut Predictor,
    turn: &Turn,
    agent_text: &str,
    at: Timestamp,
    out: &mut dyn Write,
    options: Options,
    summary: &mut Summary,
) -> Result<(), BacktestError> {
    let query = Query {
        agent: &turn.agent,
        agent_input: agent_text,
        session_id: Some(&turn.session),
        project: None,
        k: options.k,
        at,
    };
    let mode = if options.shadow { Mode::Shadow } else { Mode::Live { strict: options.strict } };
    let decided = decide(predictor.answer(&query), options.threshold, mode, agent_text);
    let shown = decided.candidates.iter().map(|candidate| Shown {
        response: &candidate.response,
        confidence: candidate.confidence,
        probability: candidate.probability,
    });
    let line = Line { user: &turn.user, turn: turn.turn, candidates: shown.collect(), status: decided.status.name() };
    serde_json::to_writer(&mut *out, &line).map_err(|error| BacktestError::Write(error.into()))?;
    out.write_all(b"\n").map_err(BacktestError::Write)?;

    let right = hit(decided.predicted_response(), &turn.reply);
    let auto = decided.status == Status::Auto;
    summary.predicted += 1;
    summary.hits += u64::from(right);
    summary.any_hits += u64::from(decided.candidates.iter().any(|candidate| hit(&candidate.response, &turn.reply)));
    summary.autos += u64::from(auto);
    summary.wrong_autos += u64::from(auto && !right);
    let raw = decided.candidates.first().map_or(0.0, |first| first.raw_confidence);
    predictor.judge(Label { raw, kind: decided.kind, hit: right, weight: 1.0 });
    Ok(())
}
