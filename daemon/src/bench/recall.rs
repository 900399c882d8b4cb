//! `recall`: how much of the evidence of real questions a search finds, on the path that a person's own memory takes.
//!
//! Conversations of the LoCoMo kind are recorded in a scratch home as events of the one who speaks, one session for each of
//! theirs and one project for each conversation; every question is then asked through the operation that `clone memory
//! search` calls, within its project. Before anything is read a copy is made that keeps who said what when and the questions
//! alone: neither the evidence nor the category of a question, nor anything that only a benchmark has, is there to be
//! looked at. The results are scored elsewhere.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use clone_schema::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::events::body;
use super::measure::Samples;
use super::wire::Connection;
use super::{BATCH, BenchError, Home};

/// How many ids each question is answered with.
const FOUND: usize = 20;
/// The budgets of the contexts that are packed for each question, in tokens.
const BUDGETS: [usize; 2] = [1_000, 2_000];
/// Seconds between two turns of a session, of which the files tell the beginning only.
const PACE: i64 = 20;
/// How the files write the beginning of a session.
const DATE: &str = "%I:%M %p on %d %B, %Y";

/// One turn of a conversation, as far as it is read.
#[derive(Serialize, Deserialize)]
struct Turn {
    conv: String,
    dia_id: String,
    session: Value,
    date: String,
    speaker: String,
    text: String,
}

/// One question, as far as it is read.
#[derive(Serialize, Deserialize)]
struct Asked {
    conv: String,
    qid: String,
    question: String,
}

/// What a run took.
#[derive(Clone, Debug, Serialize)]
pub struct Recall {
    /// How many turns were recorded.
    pub turns: usize,
    /// How many questions were asked.
    pub questions: usize,
    /// The median round trip of a search, in milliseconds.
    pub search_p50_ms: f64,
    /// The median round trip of a context of the larger budget, in milliseconds.
    pub context_p50_ms: f64,
}

/// Answers the questions in `dir` and writes `{qid, results, context}` for each, one a line, to `out`; the scratch home goes
/// into `folder`.
///
/// # Errors
///
/// The files are not of this kind, the daemon does not start or answers wrong, or the disk fails.
pub fn recall(dir: &Path, out: &Path, folder: &Path) -> Result<Recall, BenchError> {
    std::fs::create_dir_all(folder).map_err(BenchError::io("make the scratch folder"))?;
    let home = Home::started(folder)?;
    let copies = [home.scratch("docs.jsonl"), home.scratch("queries.jsonl")];
    strip::<Turn>(&dir.join("docs.jsonl"), &copies[0])?;
    strip::<Asked>(&dir.join("queries.jsonl"), &copies[1])?;
    let (turns, questions): (Vec<Turn>, Vec<Asked>) = (lines(&copies[0])?, lines(&copies[1])?);
    let mut daemon = home.connect()?;
    record(&mut daemon, &turns)?;
    let out = std::fs::File::create(out).map_err(BenchError::io("write the results"))?;
    let mut out = BufWriter::new(out);
    let [mut searches, mut contexts]: [Samples; 2] = Default::default();
    for asked in &questions {
        let line = answer(&mut daemon, asked, &mut searches, &mut contexts)?;
        writeln!(out, "{line}").map_err(BenchError::io("write the results"))?;
    }
    out.flush().map_err(BenchError::io("write the results"))?;
    Ok(Recall {
        turns: turns.len(),
        questions: questions.len(),
        search_p50_ms: searches.median() * 1e3,
        context_p50_ms: contexts.median() * 1e3,
    })
}

/// Copies a file of JSON lines with those fields alone that are read.
fn strip<T: DeserializeOwned + Serialize>(from: &Path, to: &Path) -> Result<(), BenchError> {
    let mut copy = BufWriter::new(std::fs::File::create(to).map_err(BenchError::io("write a stripped copy"))?);
    for line in lines::<T>(from)? {
        let line = serde_json::to_string(&line).map_err(BenchError::limit)?;
        writeln!(copy, "{line}").map_err(BenchError::io("write a stripped copy"))?;
    }
    copy.flush().map_err(BenchError::io("write a stripped copy"))
}

fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, BenchError> {
    let file = std::fs::File::open(path).map_err(BenchError::io("read the conversations"))?;
    let mut out = Vec::new();
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = line.map_err(BenchError::io("read the conversations"))?;
        let what = |error| BenchError::Daemon(format!("{}, line {number}: {error}", path.display()));
        out.push(serde_json::from_str(&line).map_err(what)?);
    }
    Ok(out)
}

/// Records every turn as what its speaker said.
fn record(daemon: &mut Connection, turns: &[Turn]) -> Result<(), BenchError> {
    let mut said: BTreeMap<String, i64> = BTreeMap::new();
    let mut events = Vec::new();
    for turn in turns {
        let session = format!("{}/{}", turn.conv, turn.session.to_string().trim_matches('"'));
        let number = said.entry(session.clone()).or_default();
        let at = begins(&turn.date)?.as_second() + *number * PACE;
        *number += 1;
        events.push(event(turn, &session, at)?);
    }
    for batch in events.chunks(BATCH) {
        daemon.ingest(&body(batch), batch.len(), false)?;
    }
    daemon.settle()
}

fn begins(date: &str) -> Result<Timestamp, BenchError> {
    let civil = jiff::civil::DateTime::strptime(DATE, date);
    let at = civil.and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC));
    at.map(|at| at.timestamp()).map_err(|error| BenchError::Daemon(format!("`{date}` is no date: {error}")))
}

fn event(turn: &Turn, session: &str, second: i64) -> Result<String, BenchError> {
    let at = Timestamp::from_second(second).map_err(BenchError::limit)?;
    let event = json!({
        "id": format!("{}/{}", turn.conv, turn.dia_id), "session_id": session, "occurred_at": at.to_string(),
        "source": "integration", "source_detail": "conversation", "type": "agent.response", "agent": turn.speaker,
        "response": turn.text, "in_response_to": null, "meta": {"origin": "agent", "project": turn.conv},
    });
    Ok(event.to_string())
}

/// Asks one question and says what was found, as a line of the results.
fn answer(
    daemon: &mut Connection,
    asked: &Asked,
    searches: &mut Samples,
    contexts: &mut Samples,
) -> Result<Value, BenchError> {
    let query = json!({"query": asked.question, "tier": "raw", "project": asked.conv, "limit": FOUND}).to_string();
    let hits = searches.time(|| daemon.json("POST", "/api/memory/search/", query.as_bytes()))?;
    let turn = |id: &Value| id.as_str().and_then(|id| id.strip_prefix(&format!("{}/", asked.conv))).map(str::to_owned);
    let results: Vec<String> = hits.as_array().into_iter().flatten().filter_map(|hit| turn(&hit["id"])).collect();
    let mut context = serde_json::Map::new();
    for budget in BUDGETS {
        let query = json!({"query": asked.question, "project": asked.conv, "token_budget": budget}).to_string();
        let mut samples = Samples::default();
        let packed = samples.time(|| daemon.json("POST", "/api/memory/context/", query.as_bytes()))?;
        if budget == BUDGETS[1] {
            contexts.add(samples.median());
        }
        let ids = packed["meta"]["recalled"].as_array().into_iter().flatten().filter_map(turn).collect::<Vec<_>>();
        context.insert(budget.to_string(), json!(ids));
    }
    Ok(json!({"qid": asked.qid, "results": results, "context": context}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_memory_would_know_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("queries.jsonl"), dir.path().join("copy.jsonl"));
        let line =
            json!({"conv": "c", "qid": "q", "question": "who?", "evidence": ["D1:1"], "category": "x", "answer": 7});
        std::fs::write(&from, format!("{line}\n")).unwrap();
        strip::<Asked>(&from, &to).unwrap();
        let copy = std::fs::read_to_string(&to).unwrap();
        assert_eq!(copy.trim(), r#"{"conv":"c","qid":"q","question":"who?"}"#);
        let turn = json!({"conv": "c", "dia_id": "D1:1", "session": 1, "date": "d", "speaker": "s", "text": "t",
            "image_caption": "x", "image_query": "y"});
        std::fs::write(&from, format!("{turn}\n")).unwrap();
        strip::<Turn>(&from, &to).unwrap();
        let copy: Value = serde_json::from_str(&std::fs::read_to_string(&to).unwrap()).unwrap();
        let names: Vec<&str> = copy.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["conv", "date", "dia_id", "session", "speaker", "text"]);
    }

    #[test]
    fn dates_of_sessions() {
        assert_eq!(begins("1:56 pm on 8 May, 2023").unwrap().to_string(), "2023-05-08T13:56:00Z");
        assert!(begins("yesterday").is_err());
    }
}
