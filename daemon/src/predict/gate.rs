//! Decides what a caller may act on: `auto` if and only if `confidence` reaches the caller's threshold.
//!
//! Clients compare `confidence` themselves and ignore the status, so everything that says no says it by holding the
//! confidence below the threshold. Nothing raises one.

use std::collections::BTreeSet;

use clone_schema::confidence::{below, floor3};
use clone_schema::event::ChoiceKind;
use clone_schema::prediction::{Candidate, Gate, MAX_K, MIN_THRESHOLD, Status, Weight};

use super::local::{Answer, Label};
use super::situation::{Kind, last_block, normal, tokens};
use super::tripwire::{Stood, tripped};

/// Like situations that were answered alike, from which on an answer may be acted on.
pub const ENOUGH_AGREE: u32 = 5;
/// Labelled outcomes of answers at least as sure, from which on one may be acted on (zero errors in eleven show a
/// precision of 0.8 at the 0.1 level).
pub const ENOUGH_PEERS: u32 = 11;
/// Of so many answers that would be automatic one is asked instead, so that somebody says how they fare.
pub const AUDIT_ONE_IN: u64 = 20;
/// What stands in for a reply where nothing is known; nobody stands behind it.
pub const FILLER: &str = "continue";

/// How much may be automatic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// At most one person in twenty falls below what was promised; else the looser bound.
    pub strict: bool,
    /// What holds every answer, as a mute, the person's switch or a new home; none where answers may be acted on.
    pub held: Option<Gate>,
}

impl Mode {
    /// Answers may be acted on.
    #[must_use]
    pub const fn live(strict: bool) -> Self {
        Self { strict, held: None }
    }

    /// A new home: shown, never acted on.
    #[must_use]
    pub const fn shadow(strict: bool) -> Self {
        Self { strict, held: Some(Gate::Shadow) }
    }
}

/// An answer with what we stand behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// Best first by probability, distinct, at least one and at most [`MAX_K`].
    pub candidates: Vec<Candidate>,
    /// `auto` if and only if the first candidate's confidence reaches the threshold.
    pub status: Status,
    /// What holds it below the threshold.
    pub gate: Gate,
    /// How much stands behind the first candidate.
    pub weight: Weight,
    /// What the first candidate stood at before anything held it.
    pub stood: Stood,
    /// What the agent did last.
    pub kind: Kind,
    /// Nothing of the person's own fits.
    pub abstained: bool,
    /// The channel, where the candidates are the options of a dialog.
    pub channel: Option<ChoiceKind>,
    /// Whether it could be automatic, were the person's switch on and nothing muted.
    pub would_be_auto: bool,
}

impl Decided {
    /// The first candidate's words; never empty.
    #[must_use]
    pub fn predicted_response(&self) -> &str {
        self.candidates.first().map_or(FILLER, |first| first.response.as_str())
    }

    /// What we stand behind for the first candidate.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        self.candidates.first().map_or(0.0, |first| first.confidence)
    }

    /// What it teaches that the first candidate was right or wrong.
    #[must_use]
    pub fn label(&self, hit: bool) -> Label {
        let raw = self.candidates.first().map_or(0.0, |first| first.raw_confidence);
        Label { raw, kind: self.kind, hit, weight: 1.0, stood: self.stood }
    }
}

/// Applies the wire rule to an answer.
///
/// `id` is the prediction's: it alone draws the audits, so that a replay decides the same. A threshold that is not a number, or below [`MIN_THRESHOLD`], is read as one that nothing reaches or as the
/// smallest one.
#[must_use]
pub fn decide(answer: Answer, threshold: f64, mode: Mode, agent_input: &str, id: &str) -> Decided {
    let threshold = if threshold.is_nan() { 2.0 } else { threshold.max(MIN_THRESHOLD) };
    let abstained = answer.abstained || answer.candidates.is_empty();
    let mut candidates = in_order(answer.candidates);
    if candidates.is_empty() {
        candidates.push(filler());
    }
    let lower = answer.standing.stood.under(mode.strict);
    let stand = floor3(lower.min(candidates[0].probability));
    let evidence = (answer.weight.agree, answer.standing.peers);
    let destructive = is_destructive(last_block(agent_input)) || is_destructive(&candidates[0].response);
    let live = match () {
        () if destructive => Gate::Destructive,
        () if abstained => Gate::Abstained,
        () if stand < threshold => Gate::LowerBound,
        () if evidence.0 < ENOUGH_AGREE && evidence.1 < ENOUGH_PEERS => Gate::EvidenceFloor,
        () if tripped(&answer.standing.outcomes, threshold, mode.strict) => Gate::TripWire,
        () if is_audited(id) => Gate::Audit,
        () => Gate::Open,
    };
    let gate = mode.held.unwrap_or(live);
    let confidence = if gate == Gate::Open { stand } else { stand.min(below(threshold)) };
    candidates[0].confidence = confidence;
    for candidate in candidates.iter_mut().skip(1) {
        candidate.confidence = floor3(candidate.probability).min(confidence);
    }
    let status = if confidence >= threshold { Status::Auto } else { Status::Escalated };
    let (weight, stood, kind, channel) = (answer.weight, answer.standing.stood, answer.kind, answer.channel);
    let would_be_auto = matches!(live, Gate::Open | Gate::Audit);
    Decided { candidates, status, gate, weight, stood, kind, abstained, channel, would_be_auto }
}

/// Whether the prediction of this id is asked although it could be automatic.
fn is_audited(id: &str) -> bool {
    let hash = blake3::hash(id.as_bytes());
    let draw = hash.as_bytes().iter().take(8).fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
    draw.is_multiple_of(AUDIT_ONE_IN)
}

/// Sorted by probability, distinct, with words, at most [`MAX_K`], and with probabilities that sum to at most 1.
fn in_order(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut kept: Vec<Candidate> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut candidates: Vec<Candidate> = candidates
        .into_iter()
        .filter(|candidate| !candidate.response.trim().is_empty())
        .map(|mut candidate| {
            let known = candidate.probability.is_finite();
            candidate.probability = if known { candidate.probability.clamp(0.0, 1.0) } else { 0.0 };
            candidate
        })
        .collect();
    candidates.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    for candidate in candidates {
        let key = normal(&candidate.response);
        let key = if key.is_empty() { candidate.response.trim().to_owned() } else { key };
        if kept.len() < MAX_K && seen.insert(key) {
            kept.push(candidate);
        }
    }
    let rest: f64 = kept.iter().skip(1).map(|candidate| candidate.probability).sum();
    let room = kept.first().map_or(0.0, |first| 1.0 - first.probability);
    if rest > room {
        for candidate in kept.iter_mut().skip(1) {
            candidate.probability *= room / rest;
        }
    }
    kept
}

/// The candidate of a predictor that knows nothing.
#[must_use]
pub fn filler() -> Candidate {
    Candidate {
        response: FILLER.to_owned(),
        confidence: 0.0,
        probability: 0.0,
        raw_confidence: 0.0,
        reasoning: "nothing is known that fits".to_owned(),
        evidence: Vec::new(),
    }
}

/// Words that speak of acts that cannot be taken back, or that reach beyond the machine; each as whole tokens.
const DESTRUCTIVE: [&str; 66] = [
    "deploy",
    "deploys",
    "deploying",
    "deployment",
    "delete",
    "deletes",
    "deleting",
    "deletion",
    "drop",
    "dropping",
    "truncate",
    "destroy",
    "destroys",
    "destroying",
    "destructive",
    "erase",
    "wipe",
    "purge",
    "overwrite",
    "overwrites",
    "rm",
    "rmdir",
    "mkfs",
    "dd",
    "shred",
    "unlink",
    "uninstall",
    "revoke",
    "pay",
    "payment",
    "purchase",
    "buy",
    "transfer",
    "withdraw",
    "wire",
    "invoice",
    "refund",
    "publish",
    "publishes",
    "publishing",
    "release",
    "send",
    "email",
    "tweet",
    "production",
    "prod",
    "irreversible",
    "permanently",
    "remove",
    "removes",
    "removing",
    "migrate",
    "sudo",
    "chmod",
    "chown",
    "kill",
    "shutdown",
    "reboot",
    "borrar",
    "borra",
    "eliminar",
    "elimina",
    "desplegar",
    "pagar",
    "publicar",
    "transferir",
];
/// The same in more than one word.
const DESTRUCTIVE_PHRASES: [&[&str]; 9] = [
    &["force", "push"],
    &["push", "f"],
    &["push", "force"],
    &["reset", "hard"],
    &["git", "clean"],
    &["git", "push"],
    &["merge", "to", "main"],
    &["merge", "into", "main"],
    &["npm", "publish"],
];

/// Whether a text speaks of acts that cannot be taken back.
#[must_use]
pub fn is_destructive(text: &str) -> bool {
    let words = tokens(text);
    words.iter().any(|word| DESTRUCTIVE.contains(&word.as_str()))
        || DESTRUCTIVE_PHRASES.iter().any(|phrase| words.windows(phrase.len()).any(|window| window == *phrase))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::curves::Standing;
    use super::super::tripwire::Outcome;
    use super::*;

    /// An id that is not audited.
    const ID: &str = "a";

    fn candidate(response: &str, probability: f64) -> Candidate {
        Candidate { response: response.to_owned(), probability, raw_confidence: probability, ..filler() }
    }

    fn answer(candidates: Vec<Candidate>, lower: f64, agree: u32, peers: u32) -> Answer {
        Answer {
            candidates,
            weight: Weight { n: agree, agree, lower, labels: peers, promise: None },
            standing: Standing { stood: Stood { strict: lower, standard: lower }, peers, ..Standing::default() },
            kind: Kind::Report,
            abstained: false,
            channel: None,
        }
    }

    const LIVE: Mode = Mode::live(true);

    const fn held(gate: Gate) -> Mode {
        Mode { held: Some(gate), ..LIVE }
    }

    #[test]
    fn each_gate_holds_what_it_should() {
        let sure = || answer(vec![candidate("yes", 0.95), candidate("no", 0.04)], 0.9, 8, 20);
        let table: [(&str, Answer, Mode, &str, Gate); 8] = [
            ("open", sure(), LIVE, "all tests pass, shall I go on?", Gate::Open),
            ("off", sure(), held(Gate::Off), "shall I go on?", Gate::Off),
            ("muted", sure(), held(Gate::Mute), "shall I go on?", Gate::Mute),
            ("shadow", sure(), held(Gate::Shadow), "shall I go on?", Gate::Shadow),
            ("destructive", sure(), LIVE, "shall I run `rm -rf build`?", Gate::Destructive),
            ("abstained", Answer { abstained: true, ..sure() }, LIVE, "go on?", Gate::Abstained),
            ("unsure", answer(vec![candidate("yes", 0.9)], 0.79, 8, 20), LIVE, "go on?", Gate::LowerBound),
            ("new", answer(vec![candidate("yes", 0.95)], 0.9, 4, 10), LIVE, "go on?", Gate::EvidenceFloor),
        ];
        for (name, answer, mode, input, gate) in table {
            let decided = decide(answer, 0.8, mode, input, ID);
            assert_eq!(decided.gate, gate, "{name}");
            assert_eq!(decided.status == Status::Auto, gate == Gate::Open, "{name}");
            let switched = matches!(gate, Gate::Open | Gate::Off | Gate::Shadow | Gate::Mute);
            assert_eq!(decided.would_be_auto, switched, "{name}");
            assert_eq!(decided.confidence() >= 0.8, gate == Gate::Open, "{name}");
        }
    }

    /// What the switch or a mute holds is told by the bound that would decide if it did not.
    #[test]
    fn what_is_held_is_decided_by_the_same_bound() {
        let between = || {
            let mut answer = answer(vec![candidate("yes", 0.95)], 0.7, 8, 20);
            answer.standing.stood = Stood { strict: 0.7, standard: 0.9 };
            answer
        };
        for hold in [None, Some(Gate::Shadow), Some(Gate::Mute), Some(Gate::Off)] {
            let would = |strict| decide(between(), 0.8, Mode { strict, held: hold }, "go on?", ID).would_be_auto;
            assert_eq!((would(true), would(false)), (false, true), "{hold:?}");
        }
    }

    #[test]
    fn a_few_per_cent_are_audited_and_a_replay_draws_the_same() {
        let sure = || answer(vec![candidate("yes", 0.95)], 0.9, 8, 20);
        let gates =
            || (0..4_000).map(|id| decide(sure(), 0.8, LIVE, "go on?", &format!("id{id}")).gate).collect::<Vec<_>>();
        let audited = gates().iter().filter(|gate| **gate == Gate::Audit).count();
        assert!((150..250).contains(&audited), "{audited}");
        assert_eq!(gates(), gates());
        let held =
            (0..).map(|id| decide(sure(), 0.8, LIVE, "go on?", &format!("id{id}"))).find(|d| d.gate == Gate::Audit);
        let held = held.unwrap();
        assert_eq!((held.status, held.confidence().to_bits()), (Status::Escalated, 0.799_f64.to_bits()));
    }

    #[test]
    fn a_tripped_wire_holds_the_stratum_and_only_where_it_was_crossed() {
        let crossed = |stood: f64| {
            let mut sure = answer(vec![candidate("yes", 0.95)], 0.9, 8, 20);
            let stood = Stood { strict: stood, standard: stood };
            sure.standing.outcomes = vec![Outcome { stood, hit: false, acted: false }; 3];
            decide(sure, 0.8, LIVE, "go on?", ID)
        };
        assert_eq!((crossed(0.85).gate, crossed(0.85).status), (Gate::TripWire, Status::Escalated));
        assert_eq!(crossed(0.79).gate, Gate::Open);
    }

    #[test]
    fn destructive_words_are_found_and_others_are_not() {
        for text in ["Delete it?", "git push --force", "rm -rf /", "ready to DEPLOY", "drop table x", "¿elimina todo?"]
        {
            assert!(is_destructive(text), "{text}");
        }
        for text in ["shall I go on?", "the tests pass", "form and farm", "dropdown menu"] {
            assert!(!is_destructive(text), "{text}");
        }
    }

    #[test]
    fn a_destructive_candidate_is_never_automatic() {
        let decided = decide(answer(vec![candidate("deploy it", 0.99)], 0.98, 50, 500), 0.5, LIVE, "what next?", ID);
        assert_eq!((decided.status, decided.gate), (Status::Escalated, Gate::Destructive));
    }

    #[test]
    fn nothing_at_all_is_a_filler_that_no_one_stands_behind() {
        let decided = decide(answer(Vec::new(), 1.0, 50, 500), 0.001, LIVE, "", ID);
        assert_eq!(decided.predicted_response(), FILLER);
        assert_eq!((decided.status, decided.gate, decided.abstained), (Status::Escalated, Gate::Abstained, true));
        assert_eq!(decided.confidence().to_bits(), 0.0_f64.to_bits());
    }

    prop_compose! {
        fn any_answer()(
            words in prop::collection::vec(("[ab !.]{0,3}", prop_oneof![0.0..=1.0_f64, Just(f64::NAN), Just(3.0)]), 0..14),
            lower in 0.0..=1.0_f64, agree in 0..9_u32, peers in 0..20_u32, abstained in any::<bool>(),
        ) -> Answer {
            let candidates = words.iter().map(|(text, p)| candidate(text, *p)).collect();
            Answer { abstained, ..answer(candidates, lower, agree, peers) }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn the_wire_rule_holds(
            answer in any_answer(),
            threshold in prop_oneof![0.0..=1.2_f64, Just(f64::NAN), Just(0.8)],
            strict in any::<bool>(),
            hold in prop_oneof![Just(None), Just(Some(Gate::Shadow)), Just(Some(Gate::Mute)), Just(Some(Gate::Off))],
            input in prop_oneof![Just("go on?"), Just("delete it?")],
            id in "[a-z]{1,4}",
        ) {
            let decided = decide(answer.clone(), threshold, Mode { strict, held: hold }, input, &id);
            let live = decide(answer, threshold, Mode::live(strict), input, &id);
            prop_assert_eq!(decided.would_be_auto, matches!(live.gate, Gate::Open | Gate::Audit));
            let auto = decided.status == Status::Auto;
            prop_assert_eq!(auto, !threshold.is_nan() && decided.confidence() >= threshold.max(MIN_THRESHOLD));
            prop_assert_eq!(auto, decided.gate == Gate::Open);
            prop_assert!(!(auto && (input == "delete it?" || hold.is_some())));
            prop_assert!(!decided.predicted_response().trim().is_empty());
            prop_assert!((1..=MAX_K).contains(&decided.candidates.len()));
            let sum: f64 = decided.candidates.iter().map(|c| c.probability).sum();
            prop_assert!(sum <= 1.0 + 1e-9, "{}", sum);
            for pair in decided.candidates.windows(2) {
                prop_assert!(pair[0].probability >= pair[1].probability);
            }
            for candidate in &decided.candidates {
                prop_assert!(candidate.confidence <= decided.confidence());
                prop_assert!(candidate.confidence <= candidate.probability);
                prop_assert_eq!(candidate.confidence.to_bits(), floor3(candidate.confidence).to_bits());
            }
        }
    }
}
