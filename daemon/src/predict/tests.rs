//! The predictor as a whole: determinism, no leak, routine people, cold starts, documents.

use clone_schema::prediction::{Gate, MAX_K, Status};
use clone_schema::time::Timestamp;

use super::{Label, Mode, Pair, Predictor, Query, decide, hit};
use crate::dice::Dice;

/// Common words come often, rare ones seldom.
fn words(dice: &mut Dice, count: usize, vocabulary: usize) -> String {
    let mut words = Vec::new();
    for _ in 0..count {
        let low = dice.below(vocabulary) + 1;
        words.push(format!("w{}", dice.below(low)));
    }
    words.join(" ")
}

fn pair(at: usize, session: &str, agent_text: &str, reply: &str) -> Pair {
    Pair {
        reply_id: format!("r{at}"),
        prompt_id: None,
        session_id: session.to_owned(),
        agent: "Agent".to_owned(),
        project: None,
        at: Timestamp::UNIX_EPOCH,
        agent_text: agent_text.to_owned(),
        reply: reply.to_owned(),
    }
}

fn query<'a>(session: &'a str, agent_input: &'a str, k: usize) -> Query<'a> {
    Query { agent: "Agent", agent_input, session_id: Some(session), project: None, k, at: Timestamp::UNIX_EPOCH }
}

/// A person with habits: prose, a few short acts, some repeated situations.
fn life(seed: u64, turns: usize) -> Vec<Pair> {
    let mut dice = Dice::new(seed);
    (0..turns)
        .map(|at| {
            let session = format!("s{}", at / 9);
            let topic = dice.below(12);
            let text = format!("topic{topic} {} would you like me to go on?", words(&mut dice, 30, 400));
            let reply = match dice.below(4) {
                0 => "yes, go on".to_owned(),
                1 => format!("do step {topic} now"),
                _ => words(&mut dice, 12, 300),
            };
            pair(at, &session, &text, &reply)
        })
        .collect()
}

/// What the predictor says before each pair, as text.
fn said(life: &[Pair]) -> Vec<String> {
    let mut predictor = Predictor::default();
    life.iter().flat_map(|pair| said_next(&mut predictor, pair)).collect()
}

/// What it says before this pair, which it then learns.
fn said_next(predictor: &mut Predictor, pair: &Pair) -> [String; 2] {
    let query = query(&pair.session_id, &pair.agent_text, 5);
    let (answer, continuation) = (predictor.answer(&query), predictor.continuation(&query));
    let (raw, kind, stood) = (answer.candidates[0].raw_confidence, answer.kind, answer.standing.stood);
    let hit = hit(&answer.candidates[0].response, &pair.reply);
    predictor.judge(Label { raw, kind, hit, weight: 1.0, stood });
    predictor.learn(pair);
    if pair.reply_id.ends_with('7') {
        predictor.learn_end(&pair.session_id, &pair.agent_text);
    }
    [format!("{answer:?}"), format!("{continuation:?}")]
}

#[test]
fn the_same_life_gives_the_same_answers() {
    let life = life(1, 150);
    assert_eq!(said(&life), said(&life));
}

/// What was learned, written and read back.
fn read_back(predictor: &Predictor) -> Predictor {
    postcard::from_bytes(&postcard::to_stdvec(predictor).unwrap()).unwrap()
}

#[test]
fn what_was_written_and_read_back_goes_on_to_the_last_bit() {
    let life = life(8, 150);
    let whole = said(&life);
    for cut in [0, 1, 2, 60, 149] {
        let (mut predictor, mut out) = (Predictor::default(), Vec::new());
        for (at, pair) in life.iter().enumerate() {
            if at == cut {
                predictor = read_back(&read_back(&predictor));
            }
            out.extend(said_next(&mut predictor, pair));
        }
        assert_eq!(out, whole, "cut at {cut}");
    }
}

#[test]
fn no_answer_depends_on_what_comes_later() {
    let life = life(2, 140);
    let mut other = life.clone();
    let mut dice = Dice::new(99);
    for (at, pair) in other.iter_mut().enumerate().skip(70) {
        pair.reply = words(&mut dice, 5, 50);
        if at > 70 {
            pair.agent_text = words(&mut dice, 40, 50);
        }
    }
    let (one, two) = (said(&life), said(&other));
    assert_eq!(one[..142], two[..142], "two lines for each of the pairs up to the 70th");
    assert_ne!(one[142..], two[142..], "the noise must show somewhere, or the test cannot fail");
}

#[test]
fn a_cold_start_is_honest() {
    for (text, first) in [("Shall I go on?", "en"), ("계속 진행할까요? 확인 부탁드립니다", "ko"), ("", "en")]
    {
        let answer = Predictor::default().answer(&query("s", text, 10));
        assert!(answer.abstained, "{text} {first}");
        assert!(!answer.candidates.is_empty());
        assert!(answer.candidates.iter().take(3).all(|candidate| candidate.probability < 0.3), "{answer:?}");
        let decided = decide(answer, 0.5, Mode::live(false), text, "id");
        assert_eq!((decided.status, decided.gate), (Status::Escalated, Gate::Abstained));
    }
    let korean = Predictor::default().answer(&query("s", "계속 진행할까요? 확인 부탁드립니다", 1));
    assert!(korean.candidates[0].response.chars().all(|c| !c.is_ascii_alphabetic()), "{korean:?}");
}

#[test]
fn k_is_honoured_and_candidates_are_distinct() {
    let mut predictor = Predictor::default();
    for pair in life(3, 120) {
        predictor.learn(&pair);
    }
    for k in [0, 1, 3, 10, 500] {
        let answer = predictor.answer(&query("s1", "topic3 w1 w2 would you like me to go on?", k));
        assert_eq!(answer.candidates.len(), k.clamp(1, MAX_K));
        let forms: std::collections::BTreeSet<String> =
            answer.candidates.iter().map(|c| super::situation::normal(&c.response)).collect();
        assert_eq!(forms.len(), answer.candidates.len());
    }
}

#[test]
fn a_reply_is_found_by_its_situation_and_cited() {
    let mut predictor = Predictor::default();
    for pair in life(4, 100) {
        predictor.learn(&pair);
    }
    for at in 0..6 {
        predictor.learn(&pair(1_000 + at, "t", "the linter found unused imports in parser.rs", "/lint fix imports"));
        predictor.learn(&pair(2_000 + at, "t", "all hundred unit tests of the scheduler pass", "run the benches too"));
    }
    let answer = predictor.answer(&query("new", "the linter found unused imports in lexer.rs", 3));
    assert_eq!(answer.candidates[0].response, "/lint fix imports");
    assert!(answer.weight.agree >= 5, "{:?}", answer.weight);
    assert!(answer.candidates[0].evidence.iter().any(|cited| cited.id.starts_with("r100")), "{answer:?}");
}

#[test]
fn an_agents_document_is_read_like_its_last_block() {
    let mut predictor = Predictor::default();
    for pair in life(5, 60) {
        predictor.learn(&pair);
    }
    let document = "Original prompt: w1 w2\n=== Conversation history ===\n### user (auto-answer)\nw9 w9\n\
                    ### assistant (prior iter 1 timeline)\nw4 w4\n### assistant (current iter 2)\ntopic3 is done\n\
                    === Rules ===\nMinimum 1 full sentence";
    let whole = predictor.answer(&query("s1", document, 3));
    assert_eq!(whole, predictor.answer(&query("s1", "topic3 is done", 3)));
}

#[test]
fn a_pair_without_an_agents_text_counts_as_a_habit_only() {
    let mut predictor = Predictor::default();
    for at in 0..20 {
        predictor.learn(&pair(at, "s", "", "ship the parser"));
    }
    let answer = predictor.answer(&query("s", "what next?", 3));
    assert_eq!(answer.candidates[0].response, "ship the parser");
    assert_eq!(answer.weight.n, 0);
}

/// Twenty situations, each with a usual reply, and free prose between them; a slice of it is automatic and right.
#[test]
fn a_routine_is_learned_and_prose_is_left_alone() {
    let mut dice = Dice::new(7);
    let mut predictor = Predictor::default();
    let (mut autos, mut wrong, mut routine) = (0, 0, 0);
    for at in 0..600 {
        let topic = dice.below(20);
        let usual = dice.below(100) < if topic < 10 { 97 } else { 50 };
        let text = format!("module{topic} part{topic} checked {}. Shall I go on?", words(&mut dice, 6, 300));
        let reply = if usual { format!("do usual act{topic}") } else { words(&mut dice, 9, 3_000) };
        let session = format!("s{}", at / 12);
        let answer = predictor.answer(&query(&session, &text, 3));
        let stood = answer.standing.stood;
        let decided = decide(answer, 0.8, Mode::live(true), &text, &at.to_string());
        let right = hit(decided.predicted_response(), &reply);
        if at >= 100 {
            routine += i32::from(topic < 10);
            autos += i32::from(decided.status == Status::Auto);
            wrong += i32::from(decided.status == Status::Auto && !right);
        }
        let raw = decided.candidates[0].raw_confidence;
        predictor.judge(Label { raw, kind: decided.kind, hit: right, weight: 1.0, stood });
        predictor.learn(&pair(at, &session, &text, &reply));
    }
    assert!(wrong * 10 <= autos, "{wrong} wrong of {autos}");
    assert!(autos * 5 >= routine, "{autos} of {routine}");
}

/// Prints what an answer costs: `CLONE_LATENCY=1 cargo test -p clone-daemon --lib predict::tests::latency -- --nocapture`.
#[test]
fn latency_of_an_answer() {
    let sizes: &[usize] =
        if std::env::var_os("CLONE_LATENCY").is_some() { &[10_000, 30_000, 100_000] } else { &[2_000] };
    for &size in sizes {
        let mut dice = Dice::new(11);
        let mut predictor = Predictor::default();
        let start = std::time::Instant::now();
        for at in 0..size {
            let (agent_words, reply_words) = (60 + dice.below(120), 1 + dice.below(25));
            let (text, reply) = (words(&mut dice, agent_words, 20_000), words(&mut dice, reply_words, 8_000));
            predictor.learn(&pair(at, &format!("s{}", at / 30), &text, &reply));
        }
        let learned = start.elapsed();
        let mut times = Vec::new();
        for at in 0..200 {
            let text = words(&mut dice, 150, 20_000);
            let start = std::time::Instant::now();
            let answer = predictor.answer(&query(&format!("s{at}"), &text, 3));
            times.push(start.elapsed());
            assert_eq!(answer.candidates.len(), 3);
        }
        times.sort();
        #[allow(clippy::print_stderr)]
        {
            let bytes = predictor.bytes() >> 20;
            eprintln!("{size} pairs: p50 {:?} p99 {:?}, learned in {learned:?}, {bytes} MiB", times[100], times[198]);
        }
        assert!(predictor.bytes() > size * 100 && predictor.len() == size);
    }
}
