//! The product: predict, continuation, feedback, and the record of what was answered.

use std::collections::BTreeMap;
use std::time::Instant;

use clone_schema::api::{
    ContinuationReply, ContinuationRequest, FeedbackRequest, PROMPTS_MAX, PredictBatchRequest, PredictRequest,
};
use clone_schema::confidence::{below, floor3};
use clone_schema::event::ChoiceKind;
use clone_schema::internal::{Feedback, Internal, Judge, Payload, Verdict};
use clone_schema::prediction::{Candidate, Gate, MAX_K, MIN_THRESHOLD, Prediction, Status, Weight};
use clone_schema::text::tail;
use clone_schema::{Fault, Position, id};
use serde_json::{Value, json};

use super::{Engine, Page, instant, log_fault, ok, one_of, reply, stats};
use crate::derive::view::{Mark, View};
use crate::predict::{self, Decided, Offered, Query};
use crate::serve::{Call, Caller, Reply};
use crate::{clock, derive, scrub};

/// The longest agent input, in bytes.
const INPUT_BYTES_MAX: usize = 256 << 10;
/// The end of an agent input that a prediction keeps in the log, in bytes.
const INPUT_BYTES_KEPT: usize = 16 << 10;
/// Options of one dialog, at most, as many as a recorded choice keeps.
const OPTIONS_MAX: usize = 16;
/// The longest option, in bytes.
const OPTION_BYTES_MAX: usize = 1_000;
/// The name of the embedded predictor.
pub const LOCAL: &str = "local";

impl Engine {
    pub(super) fn predict(&self, request: PredictRequest) -> Result<Reply, Fault> {
        admit(&request)?;
        let view = self.read()?;
        let prediction = self.answer(&view, &request);
        drop(view);
        self.keep(vec![prediction.clone()])?;
        reply(201, &wire(&prediction, prediction.status))
    }

    /// Answers many prompts over one state of memory; a prompt that is refused does not fail the others.
    pub(super) fn predict_batch(&self, request: PredictBatchRequest) -> Result<Reply, Fault> {
        let count = request.prompts.len();
        if !(1..=PROMPTS_MAX).contains(&count) {
            return Err(Fault::invalid(format!("a batch holds 1 to {PROMPTS_MAX} prompts, not {count}")));
        }
        let view = self.read()?;
        let one = |given: Value| {
            let one: PredictRequest =
                serde_json::from_value(given).map_err(|error| Fault::invalid(error.to_string()))?;
            admit(&one).map(|()| self.answer(&view, &one))
        };
        let answered: Vec<Result<Prediction, Fault>> = request.prompts.into_iter().map(one).collect();
        drop(view);
        self.keep(answered.iter().flatten().cloned().collect())?;
        let rows = answered.into_iter().enumerate().map(|(index, one)| match one {
            Ok(prediction) => wire(&prediction, prediction.status),
            Err(fault) => json!({"index": index, "error": fault.message, "hint": fault.hint}),
        });
        reply(201, &json!({"predictions": rows.collect::<Vec<Value>>()}))
    }

    /// The answer to an admitted request; nothing is kept yet.
    fn answer(&self, view: &View, request: &PredictRequest) -> Prediction {
        let (started, now) = (Instant::now(), clock::now());
        let project = project(view, request.project.as_deref(), request.session_id.as_deref());
        let asking = query(&request.agent, &request.agent_input, &request.session_id, now);
        let query = Query { k: request.k, project, ..asking };
        let mode = self.mode(view, &query, request.policy);
        let predictor = &view.learned.predictor;
        let offered = request.options.as_deref().map(|options| {
            let kind = request.channel.unwrap_or(ChoiceKind::Question);
            Offered { kind, question: &request.agent_input, options }
        });
        let answer = offered.map_or_else(|| predictor.answer(&query), |it| predictor.answer_choice(&it, query.k));
        let (mut answer, id) = (answer, clock::new_id());
        if let Some(precision) = request.target_precision {
            predict::promise::hold(&mut answer, precision);
        }
        let threshold = request.target_precision.unwrap_or(request.threshold);
        let decided = predict::decide(answer, threshold, mode, &request.agent_input, &id);
        let mut prediction = self.prediction(id, request, decided, now, view);
        prediction.threshold = threshold;
        prediction.latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        prediction
    }

    fn prediction(
        &self,
        id: String,
        request: &PredictRequest,
        decided: Decided,
        now: clone_schema::Timestamp,
        view: &View,
    ) -> Prediction {
        let (confidence, status) = (decided.confidence(), decided.status);
        let predicted_response = decided.predicted_response().to_owned();
        let mut candidates = decided.candidates;
        candidates.truncate(request.k);
        let first = candidates.first().cloned();
        let (raw, probability, reasoning) =
            first.map_or((0.0, 0.0, String::new()), |first| (first.raw_confidence, first.probability, first.reasoning));
        Prediction {
            id,
            created_at: now,
            agent: request.agent.clone(),
            agent_input: scrub::scrub(tail(&request.agent_input, INPUT_BYTES_KEPT)).text.into_owned(),
            session_id: request.session_id.clone(),
            facts: facts_behind(view, &predicted_response),
            episodes: self.episodes_behind(view, &candidates),
            predicted_response,
            confidence,
            raw_confidence: raw,
            probability,
            reasoning,
            candidates,
            k: request.k,
            status,
            threshold: request.threshold,
            model: LOCAL.to_owned(),
            latency_ms: 0,
            abstained: decided.abstained,
            channel: decided.channel,
            typed_menu: decided.channel.is_some() && request.options.is_none(),
            would_be_auto: decided.would_be_auto,
            gate: decided.gate,
            evidence: decided.weight,
            acted_at: (status == Status::Auto).then_some(now),
            should_continue: None,
            stop_recommended: false,
        }
    }

    /// The episodes that the cited replies belong to.
    fn episodes_behind(&self, view: &View, candidates: &[Candidate]) -> Vec<String> {
        let cited = candidates.first().map_or(&[][..], |first| first.evidence.as_slice());
        let mut found: Vec<String> = Vec::new();
        for one in cited {
            if let Some(episode) = view.holder(&one.id)
                && !found.contains(&episode.id)
            {
                found.push(episode.id.clone());
            }
        }
        found
    }

    /// Remembers answers: at once for readers, in the log with the next commit.
    fn keep(&self, predictions: Vec<Prediction>) -> Result<(), Fault> {
        let ids: Vec<String> = predictions.iter().map(|prediction| prediction.id.clone()).collect();
        let made = predictions.iter().map(|prediction| {
            let payload = Payload::PredictionMade { prediction: Box::new(prediction.clone()) };
            derive::entry_with_id(prediction.id.clone(), payload)
        });
        let audited = predictions.iter().filter(|prediction| prediction.gate == Gate::Audit);
        let audited = audited.map(|held| derive::entry(Payload::ChoiceAudited { prediction_id: held.id.clone() }));
        let entries = made.chain(audited).collect();
        // Held until it is queued: what begins to forget shuts this door first and then reads all that was queued.
        let view = self.read()?;
        view.pending().extend(predictions.into_iter().map(|prediction| (prediction.id.clone(), prediction)));
        let kept = self.log.append_later(entries).map_err(|error| log_fault(&error));
        // An answer that is refused was never given: nobody lists it, and it waits for nothing.
        if kept.is_err() {
            view.pending().retain(|id, _| !ids.contains(id));
        }
        kept
    }

    pub(super) fn continuation(&self, request: ContinuationRequest) -> Result<Reply, Fault> {
        let started = Instant::now();
        check(&request.agent, &request.agent_input, request.threshold, None)?;
        let view = self.read()?;
        let now = clock::now();
        let project = project(&view, None, request.session_id.as_deref());
        let query = Query { project, ..query(&request.agent, &request.agent_input, &request.session_id, now) };
        let answer = view.learned.predictor.continuation(&query);
        let held = self.mode(&view, &query, None).held;
        drop(view);
        let stand = floor3(answer.lower.min(answer.probability));
        let confidence = if held.is_none() { stand } else { stand.min(below(request.threshold)) };
        let status = if confidence >= request.threshold { Status::Auto } else { Status::Escalated };
        let word = if answer.should_continue { "went on" } else { "were done" };
        let reasoning =
            format!("where an agent stopped like this, you mostly {word}; {:.0} stops known", answer.known.floor());
        let reply_body = ContinuationReply {
            id: clock::new_id(),
            should_continue: answer.should_continue,
            confidence,
            reasoning,
            status,
            threshold: request.threshold,
            session_id: request.session_id.clone(),
            model: LOCAL.to_owned(),
            latency_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        self.keep(vec![continuation_record(&request, &reply_body, answer.probability, held, now)])?;
        reply(201, &reply_body)
    }

    /// Takes a verdict; the newest wins, and one on an unknown but well-formed id is kept.
    ///
    /// Only the person's own verdict, given over the socket and marked as such, ever trains.
    pub(super) fn feedback(&self, id: &str, request: &FeedbackRequest, call: &Call) -> Result<Reply, Fault> {
        if uuid::Uuid::parse_str(id).is_err() {
            return Err(Fault::not_found(format!("no prediction `{id}`")));
        }
        let predicted = self.prediction_of(id).ok();
        let actual = match (request.status, &request.actual_response) {
            (Verdict::Edited, None) => return Err(Fault::invalid("'actual_response' is required for edited")),
            (Verdict::Accepted, None) => predicted.as_ref().map(|known| known.predicted_response.clone()),
            (_, given) => given.as_ref().map(|text| scrub::scrub(text).text.into_owned()),
        };
        let person = call.caller == Caller::Owner && call.query.get("judge").is_some_and(|judge| judge == "person");
        let judge = if person { Judge::Person } else { Judge::Machine };
        let feedback =
            Feedback { prediction_id: id.to_owned(), status: request.status, actual_response: actual, judge };
        self.note(Payload::FeedbackGiven(feedback.clone()))?;
        match predicted {
            Some(prediction) => {
                let mut value = wire(&prediction, status_of(request.status));
                value["actual_response"] = json!(feedback.actual_response);
                ok(&value)
            }
            None => ok(&json!({"id": id, "status": request.status, "actual_response": feedback.actual_response})),
        }
    }

    /// One prediction whole, from memory while it is on its way to the log.
    pub(super) fn prediction_of(&self, id: &str) -> Result<Prediction, Fault> {
        let missing = || Fault::not_found(format!("no prediction `{id}`"));
        let position = {
            let view = self.read()?;
            if let Some(prediction) = view.pending().get(id) {
                return Ok(prediction.clone());
            }
            view.mark(id, &self.log).map(|mark| mark.position).ok_or_else(missing)?
        };
        self.prediction_at(position)?.ok_or_else(missing)
    }

    /// The prediction that stands at a position of the log.
    fn prediction_at(&self, position: u64) -> Result<Option<Prediction>, Fault> {
        let Some(record) = self.log.read(Position(position)).map_err(|error| log_fault(&error))? else {
            return Ok(None);
        };
        match serde_json::from_str::<Internal>(&record.json).map_err(Fault::internal)?.payload {
            Payload::PredictionMade { prediction } => Ok(Some(*prediction)),
            _ => Ok(None),
        }
    }

    pub(super) fn predictions_get(&self, id: &str) -> Result<Reply, Fault> {
        let prediction = self.prediction_of(id)?;
        let mark = self.read()?.mark(id, &self.log).cloned().unwrap_or_else(|| mark_of(&prediction));
        let mut value = wire(&prediction, mark.status());
        value["typed"] = json!(mark.typed);
        value["agent"] = json!(prediction.agent);
        value["agent_input"] = json!(prediction.agent_input);
        value["session_id"] = json!(prediction.session_id);
        value["created_at"] = json!(prediction.created_at);
        value["facts"] = json!(prediction.facts);
        value["episodes"] = json!(prediction.episodes);
        ok(&value)
    }

    pub(super) fn predictions_list(&self, query: &BTreeMap<String, String>) -> Result<Reply, Fault> {
        let page = Page::of(query, 50, 200)?;
        let (since, until) = (instant(query, "since")?, instant(query, "until")?);
        for name in ["status", "made"] {
            one_of(query, name, &["pending", "auto", "escalated", "accepted", "edited", "rejected"])?;
        }
        let wanted = |mark: &Mark| {
            let is = |name: &str, value: &str| query.get(name).is_none_or(|wanted| wanted == value);
            let session = mark.session_id.as_deref().unwrap_or_default();
            is("status", mark.status().name())
                && is("made", mark.made.name())
                && is("agent", &mark.agent)
                && is("session_id", session)
                && is("session", session)
                && since.is_none_or(|since| mark.created_at >= since)
                && until.is_none_or(|until| mark.created_at <= until)
        };
        let listed: Vec<(Option<Prediction>, Mark)> = {
            let view = self.read()?;
            // Cloned, so that no answer waits for its lock while the rest is looked through.
            let pending: Vec<(Option<Prediction>, Mark)> = view
                .pending()
                .values()
                .rev()
                .map(|prediction| (prediction, mark_of(prediction)))
                .filter(|(_, mark)| wanted(mark))
                .map(|(prediction, mark)| (Some(prediction.clone()), mark))
                .collect();
            let known = view.predictions.values().rev().filter(|mark| wanted(mark)).map(|mark| (None, mark.clone()));
            page.cut(pending.into_iter().chain(known))
        };
        let mut rows = Vec::with_capacity(listed.len());
        for (prediction, mark) in listed {
            let Some(prediction) = prediction.map_or_else(|| self.prediction_at(mark.position), |one| Ok(Some(one)))?
            else {
                continue;
            };
            let mut value = wire(&prediction, mark.status());
            value["agent"] = json!(prediction.agent);
            value["session_id"] = json!(prediction.session_id);
            value["created_at"] = json!(prediction.created_at);
            value["made"] = json!(mark.made);
            value["typed"] = json!(mark.typed);
            rows.push(value);
        }
        ok(&rows)
    }

    /// The documented formulas, plus a block that counts only what a person judged.
    pub(super) fn predictions_stats(&self, query: &BTreeMap<String, String>) -> Result<Reply, Fault> {
        let (since, until) = (instant(query, "since")?, instant(query, "until")?);
        let view = self.read()?;
        let pending: Vec<Mark> = view.pending().values().map(mark_of).collect();
        let within = |mark: &&Mark| {
            since.is_none_or(|since| mark.created_at >= since) && until.is_none_or(|until| mark.created_at <= until)
        };
        let marks: Vec<&Mark> = view.predictions.values().chain(&pending).filter(within).collect();
        ok(&stats::of(&marks))
    }
}

/// The project that a question is about: as the caller says, else as the session's events do.
fn project<'a>(view: &'a View, said: Option<&'a str>, session: Option<&str>) -> Option<&'a str> {
    said.or_else(|| view.threads.get(session?)?.project.as_deref())
}

/// What the predictor is asked, one candidate.
fn query<'a>(
    agent: &'a str,
    agent_input: &'a str,
    session_id: &'a Option<String>,
    at: clone_schema::Timestamp,
) -> Query<'a> {
    Query { agent, agent_input, session_id: session_id.as_deref(), project: None, k: 1, at }
}

/// Refuses a request outside its ranges; a threshold that a promise replaces is no less checked than one that counts.
fn admit(request: &PredictRequest) -> Result<(), Fault> {
    check(&request.agent, &request.agent_input, request.threshold, request.model.as_deref())?;
    request.target_precision.map_or(Ok(()), in_range)?;
    if !(1..=MAX_K).contains(&request.k) {
        return Err(Fault::invalid(format!("k must be 1 to {MAX_K}")));
    }
    let wrong = |option: &String| option.trim().is_empty() || option.len() > OPTION_BYTES_MAX;
    if let Some(options) = &request.options
        && (!(1..=OPTIONS_MAX).contains(&options.len()) || options.iter().any(wrong))
    {
        let range = format!("options are 1 to {OPTIONS_MAX} texts of 1 to {OPTION_BYTES_MAX} bytes");
        return Err(Fault::invalid(range));
    }
    super::within("recency_minutes", request.recency_minutes, 60, 1, 10_080).map(drop)
}

fn check(agent: &str, input: &str, threshold: f64, model: Option<&str>) -> Result<(), Fault> {
    if agent.is_empty() || input.trim().is_empty() {
        return Err(Fault::invalid("agent and agent_input are required and must not be empty"));
    }
    if input.len() > INPUT_BYTES_MAX {
        return Err(Fault::invalid(format!("agent_input is larger than {} KiB", INPUT_BYTES_MAX >> 10))
            .hint("send the end of it: that is what is answered"));
    }
    in_range(threshold)?;
    match model {
        None | Some(LOCAL) => Ok(()),
        Some(other) => Err(Fault::invalid(format!("no model `{other}`")).hint("leave `model` out, or name `local`")),
    }
}

/// Refuses a threshold or a precision that nothing or everything reaches.
fn in_range(share: f64) -> Result<(), Fault> {
    if (MIN_THRESHOLD..=1.0).contains(&share) {
        return Ok(());
    }
    Err(Fault::invalid(format!("threshold and target_precision must be {MIN_THRESHOLD} to 1")))
}

/// The reply of `predict` as the wire knows it, plus what it does not know.
fn wire(prediction: &Prediction, status: Status) -> Value {
    let candidates: Vec<Value> = prediction.candidates.iter().map(candidate).collect();
    json!({
        "id": prediction.id,
        "predicted_response": prediction.predicted_response,
        "confidence": prediction.confidence,
        "raw_confidence": prediction.raw_confidence,
        "probability": prediction.probability,
        "reasoning": prediction.reasoning,
        "candidates": candidates,
        "k": prediction.k,
        "status": status.name(),
        "threshold": prediction.threshold,
        "model": prediction.model,
        "latency_ms": prediction.latency_ms,
        "usage": {"input_tokens": 0, "output_tokens": 0},
        "abstained": prediction.abstained,
        "gate": prediction.gate,
        "evidence": prediction.evidence,
        "stop_recommended": prediction.stop_recommended,
        "acted_at": prediction.acted_at,
        "channel": prediction.channel,
        "would_be_auto": prediction.would_be_auto,
    })
}

fn candidate(candidate: &Candidate) -> Value {
    json!({
        "response": candidate.response,
        "confidence": candidate.confidence,
        "probability": candidate.probability,
        "raw_confidence": candidate.raw_confidence,
        "reasoning": candidate.reasoning,
        "evidence": candidate.evidence,
    })
}

/// A continuation as a prediction, so that it takes feedback and has receipts like any other.
fn continuation_record(
    request: &ContinuationRequest,
    answer: &ContinuationReply,
    probability: f64,
    held: Option<Gate>,
    now: clone_schema::Timestamp,
) -> Prediction {
    let gate = held.unwrap_or(if answer.status == Status::Auto { Gate::Open } else { Gate::LowerBound });
    Prediction {
        id: answer.id.clone(),
        created_at: now,
        agent: request.agent.clone(),
        agent_input: scrub::scrub(tail(&request.agent_input, INPUT_BYTES_KEPT)).text.into_owned(),
        session_id: request.session_id.clone(),
        predicted_response: if answer.should_continue { "continue" } else { "stop" }.to_owned(),
        confidence: answer.confidence,
        raw_confidence: floor3(probability),
        probability,
        reasoning: answer.reasoning.clone(),
        candidates: Vec::new(),
        k: 1,
        status: answer.status,
        threshold: request.threshold,
        model: LOCAL.to_owned(),
        latency_ms: answer.latency_ms,
        abstained: false,
        channel: None,
        typed_menu: false,
        would_be_auto: false,
        gate,
        evidence: Weight::default(),
        facts: Vec::new(),
        episodes: Vec::new(),
        acted_at: (answer.status == Status::Auto).then_some(now),
        should_continue: Some(answer.should_continue),
        stop_recommended: false,
    }
}

/// Facts whose value is the predicted reply: the habits behind it.
fn facts_behind(view: &View, response: &str) -> Vec<String> {
    let wanted = id::normal(response);
    let behind = view.facts.values().filter(|fact| id::is_normal(&fact.claim.value, &wanted));
    behind.map(|fact| fact.id.clone()).take(5).collect()
}

fn status_of(verdict: Verdict) -> Status {
    match verdict {
        Verdict::Accepted => Status::Accepted,
        Verdict::Edited => Status::Edited,
        Verdict::Rejected => Status::Rejected,
    }
}

fn mark_of(prediction: &Prediction) -> Mark {
    Mark::new(Position(0), prediction)
}
