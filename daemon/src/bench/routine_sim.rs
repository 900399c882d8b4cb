//! `routine-sim`: how much of a routine is automatic once it has been seen, and how much of that is right.
//!
//! Simulated people live through 600 prompts of twenty situations each. Six of the situations get another free reply every
//! time; fourteen have a usual reply, sent with a chance of .3 to .99, even in log-odds (even in the chance itself, an oracle that
//! takes the best half of what it may would be right 95 times in a hundred, so that the target could not be met by anybody), else one of
//! three rarer replies of the situation. The agent's words are a sentence of the situation with other
//! names in it each time. All of it goes the way that it goes in the daemon: the embedded predictor answers, the gate
//! decides, what was asked is a label and then a lesson, and what was automatic is neither. Prompts 300 to 600 are counted;
//! an answer is right when it hits the reply, as everywhere. Beside it: an oracle that knows every chance, and the documented
//! recipe on the same raw numbers.

use clone_schema::Timestamp;
use clone_schema::prediction::Status;
use serde_json::json;

use super::recipe::Recipe;
use super::report::{Row, Target};
use super::simulated::SEED;
use super::tally::{Crowd, Tally};
use super::{BenchError, Options};
use crate::dice::Dice;
use crate::predict::calibrate::{logit, sigmoid};
use crate::predict::curves::Judging;
use crate::predict::{Judged, Label, Mode, Pair, Predictor, Query, decide, hit};

/// Simulated people of the bench.
const PEOPLE: usize = 40;
/// Prompts of each.
const PROMPTS: usize = 600;
/// The prompt from which on answers are counted.
const COUNTED: usize = 300;
/// Situations of each, and how many of them have a usual reply.
const SITUATIONS: usize = 20;
/// See [`SITUATIONS`].
const ROUTINE: usize = 14;
/// The rarest and the most certain usual reply.
const ODDS: (f64, f64) = (0.3, 0.99);
/// The caller's threshold.
const THRESHOLD: f64 = 0.8;

/// How an agent ends; what stands between is the situation's own.
const ENDS: [&str; 5] = [
    "Shall I go on with that?",
    "Which way do you want it?",
    "All done and the checks pass now.",
    "The check failed with an error.",
    "That is where it stands.",
];
/// Words of replies; none of them acts beyond the machine.
const WORDS: [&str; 40] = [
    "yes", "again", "tests", "look", "good", "first", "then", "parser", "keep", "short", "names", "explain", "why",
    "check", "types", "next", "step", "commit", "plan", "write", "docs", "simpler", "split", "file", "later", "skip",
    "cache", "run", "all", "twice", "fix", "lint", "nicely", "wait", "show", "diff", "try", "other", "way", "fine",
];
const SYLLABLES: [&str; 16] =
    ["ba", "ko", "ri", "te", "lu", "ma", "no", "sa", "vi", "do", "pe", "gu", "fi", "ze", "ha", "mo"];

/// Whose word decides.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Ours { strict: bool },
    Recipe,
    Oracle,
}

/// One thing that happens to a person again and again.
struct Scene {
    words: Vec<String>,
    end: &'static str,
    /// The usual reply and the rarer ones; none where every reply is free.
    replies: Vec<String>,
    odds: f64,
}

/// One prompt of a life.
struct Prompt {
    said: String,
    usual: Option<String>,
    odds: f64,
    reply: String,
}

pub(super) fn run(_: &Options) -> Result<Vec<Row>, BenchError> {
    let oracle = measure(Who::Oracle, PEOPLE);
    let told = |name: &str, who, coverage, precision| {
        let crowd = measure(who, PEOPLE);
        let raw = json!({
            "people": PEOPLE, "prompts": PROMPTS, "counted_from": COUNTED, "seed": SEED, "threshold": THRESHOLD,
            "crowd": crowd.json(), "oracle": oracle.json(),
        });
        let row = |what: &str, unit, both| {
            Row::compare(format!("routine-sim {name}{what}"), unit, both).beside("an oracle").raw(raw.clone())
        };
        [
            row(" coverage", "of prompts", (crowd.coverage, oracle.coverage)).target(coverage),
            row(" precision", "of autos", (crowd.precision, 1.0)).beside("always right").target(precision),
            row("", "people below", (crowd.below, oracle.below)),
        ]
    };
    let rows = [
        told("standard", Who::Ours { strict: false }, Target::AtLeast(0.8), Target::AtLeast(0.9)),
        told("strict", Who::Ours { strict: true }, Target::AtLeast(0.5), Target::AtLeast(0.95)),
        told("recipe", Who::Recipe, Target::None, Target::None),
    ];
    Ok(rows.into_iter().flatten().collect())
}

fn measure(who: Who, people: usize) -> Crowd {
    let mut dice = Dice::new(SEED);
    let lives: Vec<Vec<Prompt>> = (0..people).map(|_| life(&mut dice)).collect();
    let tallies: Vec<Tally> = lives.iter().enumerate().map(|(at, life)| follow(who, at, life)).collect();
    Crowd::of(&tallies, THRESHOLD)
}

fn below(dice: &mut Dice, limit: usize) -> usize {
    let limit_f = super::measure::number(limit as u64);
    // Below the limit, for a unit number is below one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let at = (dice.unit() * limit_f) as usize;
    at.min(limit - 1)
}

fn pick<'a>(dice: &mut Dice, words: &[&'a str]) -> &'a str {
    words[below(dice, words.len())]
}

fn word(dice: &mut Dice) -> String {
    (0..3).map(|_| pick(dice, &SYLLABLES)).collect()
}

fn reply(dice: &mut Dice, length: usize) -> String {
    (0..length).map(|_| pick(dice, &WORDS)).collect::<Vec<_>>().join(" ")
}

fn scene(dice: &mut Dice, at: usize) -> Scene {
    let words = (0..8).map(|_| word(dice)).collect();
    let odds = sigmoid(logit(ODDS.0) + (logit(ODDS.1) - logit(ODDS.0)) * dice.unit());
    let lengths: Vec<usize> = (0..4).map(|_| 1 + below(dice, 6)).collect();
    let replies = lengths.into_iter().map(|length| reply(dice, length)).collect();
    let end = ENDS[at % ENDS.len()];
    Scene { words, end, odds, replies: if at < ROUTINE { replies } else { Vec::new() } }
}

fn life(dice: &mut Dice) -> Vec<Prompt> {
    let scenes: Vec<Scene> = (0..SITUATIONS).map(|at| scene(dice, at)).collect();
    (0..PROMPTS).map(|_| prompt(dice, &scenes)).collect()
}

fn prompt(dice: &mut Dice, scenes: &[Scene]) -> Prompt {
    let scene = &scenes[below(dice, SITUATIONS)];
    let names: Vec<String> = (0..4).map(|_| word(dice)).collect();
    let said = format!("{} in {}. {}", scene.words.join(" "), names.join(", "), scene.end);
    let usual = scene.replies.first().cloned();
    let length = 7 + below(dice, 8);
    let reply = match &usual {
        None => reply(dice, length),
        Some(usual) if dice.happens(scene.odds) => usual.clone(),
        Some(_) => scene.replies[1 + below(dice, 3)].clone(),
    };
    Prompt { said, odds: if usual.is_some() { scene.odds } else { 0.0 }, usual, reply }
}

fn follow(who: Who, person: usize, life: &[Prompt]) -> Tally {
    let (mut predictor, mut recipe) = (Predictor::default(), Recipe::default());
    let mut tally = Tally::default();
    for (at, prompt) in life.iter().enumerate() {
        let (auto, answer) = match who {
            Who::Oracle => (prompt.odds >= THRESHOLD, prompt.usual.clone().unwrap_or_default()),
            _ => live(who, &mut predictor, &mut recipe, prompt, (person, at)),
        };
        if at >= COUNTED {
            tally.take(auto, hit(&answer, &prompt.reply));
        }
    }
    tally
}

/// One prompt through the predictor: what it answered and whether it was automatic; then the lesson, if anybody replied.
fn live(
    who: Who,
    predictor: &mut Predictor,
    recipe: &mut Recipe,
    prompt: &Prompt,
    at: (usize, usize),
) -> (bool, String) {
    let (session, id) = (format!("{}-{}", at.0, at.1 / 10), format!("{}-{}", at.0, at.1));
    let query = Query {
        agent: "simulated",
        agent_input: &prompt.said,
        session_id: Some(&session),
        project: None,
        k: 1,
        at: Timestamp::UNIX_EPOCH,
    };
    let answer = predictor.answer(&query);
    let decided = decide(answer, THRESHOLD, Mode::live(who != Who::Ours { strict: false }), &prompt.said, &id);
    let raw = decided.candidates[0].raw_confidence;
    let words = decided.predicted_response().to_owned();
    let auto = match who {
        Who::Recipe => recipe.probability(raw) >= THRESHOLD,
        _ => decided.status == Status::Auto,
    };
    if who == Who::Recipe && !auto {
        recipe.add(raw, f64::from(u8::from(hit(&words, &prompt.reply))));
    }
    let label = decided.label(auto || hit(&words, &prompt.reply));
    learn(predictor, prompt, (session, id, at.1), (auto, label));
    (auto, words)
}

fn learn(predictor: &mut Predictor, prompt: &Prompt, at: (String, String, usize), (acted, label): (bool, Label)) {
    let (session_id, reply_id, number) = at;
    predictor.judge_prediction(&Judged { of: Judging { prediction: number as u64, acted }, label, channel: None });
    if acted {
        return;
    }
    predictor.learn(&Pair {
        reply_id,
        prompt_id: None,
        session_id,
        agent: "simulated".to_owned(),
        project: None,
        at: Timestamp::UNIX_EPOCH,
        agent_text: prompt.said.clone(),
        reply: prompt.reply.clone(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One person: more would take long without optimisation. The bench has the crowd and the targets.
    #[test]
    fn a_routine_becomes_automatic_and_stays_right() {
        let (ours, oracle) = (measure(Who::Ours { strict: false }, 1), measure(Who::Oracle, 1));
        assert!(ours.coverage >= 0.4 * oracle.coverage, "{ours:?} {oracle:?}");
        assert!(ours.precision >= 0.85, "{ours:?}");
    }
}
