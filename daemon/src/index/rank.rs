//! The order of what was found: a row of a session is judged with its neighbours, its session and who spoke.
//!
//! What answers a question rarely repeats its words; it stands beside the row that does. Each row of a session therefore
//! takes a share of the scores of the two rows before and the two after it, of the best rows of its session, and more where
//! the query names who said it, where a question came right before it, and, for a query that asks when, where it names
//! a time. A row that itself ends with a question takes less. Rows that stand alone (facts, episodes, notes) take what a row
//! would whose session is as good as itself.
//!
//! The weights were found by hill climbing on the five development conversations of LoCoMo and rounded; the order is not
//! sensitive to them.

use super::cues;

/// The share of the score of the row one, and two, before.
const BEFORE: [f32; 2] = [0.3, 0.3];
/// The share of the score of the row one, and two, after.
const AFTER: [f32; 2] = [0.3, 0.15];
/// The share of the score of the row before where that row ends with a question: on top of the above.
const ANSWERS: f32 = 0.45;
/// The share of the mean of the best rows of the session.
const SESSION: f32 = 0.6;
/// How many rows of a session make that mean.
const BEST_ROWS: usize = 3;
/// What a named speaker is worth, as a share of a query's weight.
const SPEAKER: f32 = 0.43;
/// What a time is worth to a query that asks when.
const TIMED: f32 = 0.29;
/// What it costs to end with a question.
const ASKS: f32 = 0.13;
/// What length is worth, times its logarithm: the little that a short row says answers little.
const LENGTH: f32 = 0.12;
/// The longest text that is worth more than a shorter one, in terms.
const MAX_LENGTH: u32 = 80;

/// One row that may be shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    /// How well its own words fit; 0 for a row that only stands beside one that does.
    pub own: f32,
    /// Its session; 0 for none.
    pub group: u64,
    /// Its position and its traits.
    pub place: u64,
    /// Who spoke; 0 for nobody that could be named.
    pub who: u64,
    /// How many terms it has.
    pub length: u32,
}

/// What the query asks beyond its words.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// The speakers that it names.
    pub who: Vec<u64>,
    /// Whether it asks for a time.
    pub when: bool,
    /// What all its words together weigh.
    pub weight: f32,
}

/// How good a session is: the sum of its best rows over [`BEST_ROWS`].
pub(super) fn session(scores: impl Iterator<Item = f32>) -> f32 {
    let mut best = [0.0_f32; BEST_ROWS];
    for score in scores {
        if let Some(at) = best.iter().position(|kept| score > *kept) {
            best[at..].rotate_right(1);
            best[at] = score;
        }
    }
    best.iter().sum::<f32>() / BEST_ROWS as f32
}

/// The score of a row that stands alone, or whose neighbours are not known.
pub(super) fn alone(row: &Row, session: Option<f32>, asked: &Asked) -> f32 {
    row.own + SESSION * session.unwrap_or(row.own) + bonus(row, asked)
}

/// The score of a row of a session of which it is known what it and its neighbours are worth.
pub(super) fn among(near: f32, row: &Row, session: f32, asked: &Asked) -> f32 {
    near + SESSION * session + bonus(row, asked)
}

/// What the row and its neighbours are worth, given the rows of one session in their order; none for a row that neither
/// fits nor is near one that does. Only what each is worth by itself, and its place, are looked at.
pub(super) fn near(rows: &[Row], at: usize) -> Option<f32> {
    let mut sum = rows[at].own;
    for (away, share) in BEFORE.iter().enumerate() {
        sum += share * before(rows, at, away + 1).map_or(0.0, |row| row.own);
    }
    for (away, share) in AFTER.iter().enumerate() {
        sum += share * rows.get(at + away + 1).map_or(0.0, |row| row.own);
    }
    let question = before(rows, at, 1).filter(|row| cues::asks(row.place));
    sum += ANSWERS * question.map_or(0.0, |row| row.own);
    (sum > 0.0).then_some(sum)
}

fn before(rows: &[Row], at: usize, away: usize) -> Option<&Row> {
    rows.get(at.checked_sub(away)?)
}

/// What a row is worth for other reasons than its words.
fn bonus(row: &Row, asked: &Asked) -> f32 {
    let mut share = LENGTH * (1.0 + row.length.min(MAX_LENGTH) as f32).ln();
    if row.who != 0 && asked.who.contains(&row.who) {
        share += SPEAKER;
    }
    if asked.when && cues::is_timed(row.place) {
        share += TIMED;
    }
    if cues::asks(row.place) {
        share -= ASKS;
    }
    share * asked.weight
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(own: f32, text: &str) -> Row {
        Row { own, group: 1, place: cues::traits(text), who: 0, length: 8 }
    }

    fn together(rows: &[Row], session: f32, asked: &Asked) -> Vec<Option<f32>> {
        (0..rows.len()).map(|at| near(rows, at).map(|near| among(near, &rows[at], session, asked))).collect()
    }

    fn best(rows: &[Row], asked: &Asked) -> usize {
        let scores = together(rows, session(rows.iter().map(|row| row.own)), asked);
        (0..rows.len()).max_by(|a, b| scores[*a].unwrap_or(-1.0).total_cmp(&scores[*b].unwrap_or(-1.0))).unwrap()
    }

    #[test]
    fn a_session_is_as_good_as_its_best_rows() {
        for (scores, expected) in
            [(vec![], 0.0), (vec![3.0], 1.0), (vec![1.0, 5.0, 2.0, 2.0], 3.0), (vec![1.0; 9], 1.0)]
        {
            assert!((session(scores.iter().copied()) - expected).abs() < 1e-6, "{scores:?}");
        }
    }

    #[test]
    fn what_stands_beside_a_match_is_found_and_what_stands_apart_is_not() {
        let rows = [row(0.0, "a"), row(0.0, "b"), row(2.0, "c"), row(0.0, "d"), row(0.0, "e"), row(0.0, "f")];
        let scores = together(&rows, 1.0, &Asked::default());
        assert_eq!(scores.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, true, true, true, false]);
        assert!(scores[2] > scores[3] && scores[3] > scores[0], "{scores:?}");
    }

    #[test]
    fn an_answer_goes_before_what_was_said_before_the_question() {
        let asked = Asked { weight: 1.0, ..Asked::default() };
        let rows = [row(0.0, "hello"), row(1.0, "and where?"), row(0.0, "in the shed")];
        let scores = together(&rows, 0.0, &asked);
        assert!(scores[2] > scores[0], "{scores:?}");
    }

    #[test]
    fn the_named_speaker_and_the_named_time_go_first() {
        let rows = [row(1.0, "it broke"), Row { who: 7, ..row(1.0, "it broke") }, row(1.0, "it broke on monday")];
        let rows = [rows[0], row(0.0, ""), row(0.0, ""), rows[1], row(0.0, ""), row(0.0, ""), rows[2]];
        let who = Asked { who: vec![7], weight: 2.0, ..Asked::default() };
        assert_eq!(best(&rows, &who), 3);
        assert_eq!(best(&rows, &Asked { when: true, weight: 2.0, ..Asked::default() }), 6);
    }

    #[test]
    fn a_row_alone_is_as_good_as_one_whose_session_is_as_good_as_itself() {
        let one = Row { group: 0, ..row(2.0, "x") };
        let asked = Asked { weight: 1.0, ..Asked::default() };
        assert!((alone(&one, None, &asked) - alone(&one, Some(2.0), &asked)).abs() < 1e-6);
        assert!(alone(&one, None, &asked) > alone(&one, Some(1.0), &asked));
    }
}
