//! The figures of `GET /api/predictions/stats/`: the documented ones by the documented formulas, and beside them a block
//! that counts only what a person judged. Pure.
//!
//! The documented `precision` calls an automatic answer right that nobody looked at. `verified` instead reads the audits,
//! the one would-be auto in [`AUDIT_ONE_IN`] that was asked: each of them stands for that many.

use clone_schema::internal::Judge;
use clone_schema::prediction::{Gate, Status};
use serde_json::{Value, json};

use crate::derive::view::Mark;
use crate::predict::gate::AUDIT_ONE_IN;
use crate::predict::promise;

/// How much more precision counts than recall in the score that the product is named for (`F` with β = 0.3).
const BETA_SQUARED: f64 = 0.09;

/// All figures of some predictions.
pub(super) fn of(marks: &[&Mark]) -> Value {
    let count = |status: Status| marks.iter().filter(|mark| mark.status() == status).count();
    let (auto, escalated) = (count(Status::Auto), count(Status::Escalated));
    let (accepted, edited, rejected) = (count(Status::Accepted), count(Status::Edited), count(Status::Rejected));
    let answered = auto + accepted + edited + rejected;
    let by_programs =
        marks.iter().filter(|mark| mark.verdict.is_some_and(|(_, judge)| judge == Judge::Machine)).count();
    json!({
        "total": marks.len(),
        "by_status": {
            "pending": 0, "auto": auto, "escalated": escalated,
            "accepted": accepted, "edited": edited, "rejected": rejected,
        },
        "precision": ratio(auto + accepted, answered),
        "automation_rate": ratio(answered, marks.len()),
        "judged_by_programs": by_programs,
        "verified": verified(marks),
        "shadow": shadow(marks),
    })
}

/// What would have been answered, had the person let it, and how right it would have been: the evidence to decide by.
pub(super) fn shadow(marks: &[&Mark]) -> Value {
    let count = |right: Option<bool>| marks.iter().filter(|mark| mark.held_back && mark.right() == right).count();
    let (right, wrong) = (count(Some(true)), count(Some(false)));
    let judged = right + wrong;
    json!({
        "would_be_auto": judged + count(None),
        "judged": judged,
        "right": right,
        "precision": ratio(right, judged),
        "lower": (judged > 0).then(|| promise::lower(small(judged), small(wrong))),
    })
}

/// What a person's word says of the automatic answers.
fn verified(marks: &[&Mark]) -> Value {
    let replies: Vec<&&Mark> = marks.iter().filter(|mark| !mark.continuation).collect();
    let count = |is: &dyn Fn(&Mark) -> bool| replies.iter().filter(|mark| is(mark)).count();
    let (autos, audits) = (count(&|mark| mark.made == Status::Auto), count(&|mark| mark.gate == Gate::Audit));
    let audited = |right: bool| count(&|mark| mark.gate == Gate::Audit && mark.right() == Some(right));
    let found = |right: bool| count(&|mark| mark.made == Status::Auto && mark.right() == Some(right));
    let asked = audited(true) + audited(false);
    let (right, wrong) = (weighed(audited(true)), weighed(audited(false)).max(number(found(false))));
    let missed = count(&|mark| mark.made != Status::Auto && mark.gate != Gate::Audit && mark.right() == Some(true));
    let total = number(replies.len());
    let known = asked + found(false);
    let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
    json!({
        "n": replies.len(),
        "n_asked": known,
        "auto_precision": share(right, right + wrong).filter(|_| known > 0),
        "lower": (known > 0).then(|| promise::lower(small(known), small(audited(false) + found(false)))),
        "coverage": share(number(autos + audits), total),
        "auto_rate": share(number(autos), total),
        "audits": audits,
        "wrong_autos": found(false),
        "wrong_per_100": share(100.0 * wrong, total).filter(|_| known > 0),
        "utility": share(utility(&replies), total).filter(|_| known > 0),
        "pas": pas(right, wrong, number(missed)),
    })
}

/// Right automatic answers less the wrong ones, a wrong one at the price that its own threshold names.
fn utility(marks: &[&&Mark]) -> f64 {
    let price = |mark: &Mark| mark.threshold / (1.0 - mark.threshold).max(1e-3);
    let worth = |mark: &Mark, right: bool| if right { 1.0 } else { -price(mark) };
    let audited: f64 = marks
        .iter()
        .filter(|mark| mark.gate == Gate::Audit)
        .filter_map(|mark| Some(worth(mark, mark.right()?) * weighed(1)))
        .sum();
    let wrong = |is: &dyn Fn(&Mark) -> bool| -> f64 {
        marks.iter().filter(|mark| is(mark) && mark.right() == Some(false)).map(|mark| price(mark)).sum()
    };
    // Wrong ones that were found beyond those that the audits stand for are wrong all the same.
    let beyond = wrong(&|mark| mark.made == Status::Auto) - wrong(&|mark| mark.gate == Gate::Audit) * weighed(1);
    audited - beyond.max(0.0)
}

/// `F` with β = 0.3 over what was automatic and what could have been; nothing where nothing could.
fn pas(right: f64, wrong: f64, missed: f64) -> Option<f64> {
    if right + wrong + missed <= 0.0 {
        return None;
    }
    if right <= 0.0 {
        return Some(0.0);
    }
    let (precision, recall) = (right / (right + wrong), right / (right + missed));
    Some((1.0 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall))
}

/// What so many audits stand for.
fn weighed(audits: usize) -> f64 {
    number(audits) * number(usize::try_from(AUDIT_ONE_IN).unwrap_or(usize::MAX))
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[allow(clippy::cast_precision_loss)]
fn number(count: usize) -> f64 {
    count as f64
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| number(part) / number(whole))
}

#[cfg(test)]
mod tests {
    use clone_schema::Timestamp;
    use clone_schema::internal::Verdict;

    use super::*;

    fn mark(made: Status, gate: Gate, verdict: Option<(Verdict, Judge)>, typed: Option<bool>) -> Mark {
        let person =
            verdict.filter(|(_, judge)| *judge == Judge::Person).map(|(verdict, _)| verdict == Verdict::Accepted);
        Mark {
            position: 0,
            created_at: Timestamp::UNIX_EPOCH,
            agent: "a".to_owned(),
            session_id: None,
            made,
            gate,
            threshold: 0.8,
            continuation: false,
            held_back: gate == Gate::Shadow,
            verdict,
            person,
            typed,
            facts: Vec::new(),
        }
    }

    fn figures(marks: &[(usize, Mark)]) -> Value {
        let all: Vec<Mark> = marks.iter().flat_map(|(n, mark)| std::iter::repeat_n(mark.clone(), *n)).collect();
        of(&all.iter().collect::<Vec<_>>())
    }

    fn near(value: &Value, expected: f64) -> bool {
        value.as_f64().is_some_and(|value| (value - expected).abs() < 1e-9)
    }

    /// The counts of the documents' example, whose text says 0.84 where its own formula gives 800/1034.
    #[test]
    fn the_documented_figures_follow_the_documented_formulas() {
        let told = |verdict| Some((verdict, Judge::Machine));
        let told = figures(&[
            (700, mark(Status::Auto, Gate::Open, None, None)),
            (200, mark(Status::Escalated, Gate::LowerBound, None, None)),
            (100, mark(Status::Escalated, Gate::LowerBound, told(Verdict::Accepted), None)),
            (134, mark(Status::Escalated, Gate::LowerBound, told(Verdict::Edited), None)),
            (100, mark(Status::Escalated, Gate::LowerBound, told(Verdict::Rejected), None)),
        ]);
        assert!(near(&told["precision"], 800.0 / 1034.0) && near(&told["automation_rate"], 1034.0 / 1234.0), "{told}");
        assert_eq!((&told["by_status"]["edited"], &told["judged_by_programs"]), (&json!(134), &json!(334)));
        // Nobody looked at one of the 700, and no program is a person.
        let verified = &told["verified"];
        assert_eq!(
            (&verified["n_asked"], &verified["auto_precision"], &verified["lower"]),
            (&json!(0), &json!(null), &json!(null))
        );
        assert_eq!(
            (&verified["wrong_per_100"], &verified["utility"], &verified["pas"]),
            (&json!(null), &json!(null), &json!(null))
        );
        assert!(near(&verified["auto_rate"], 700.0 / 1234.0));
    }

    #[test]
    fn each_audit_stands_for_twenty_and_programs_are_not_heard() {
        let by = |judge, verdict| Some((verdict, judge));
        let told = figures(&[
            (190, mark(Status::Auto, Gate::Open, None, None)),
            (2, mark(Status::Auto, Gate::Open, by(Judge::Person, Verdict::Rejected), None)),
            (8, mark(Status::Escalated, Gate::Audit, None, Some(true))),
            (1, mark(Status::Escalated, Gate::Audit, None, Some(false))),
            (1, mark(Status::Escalated, Gate::Audit, by(Judge::Machine, Verdict::Accepted), None)),
            (40, mark(Status::Escalated, Gate::LowerBound, None, Some(true))),
            (158, mark(Status::Escalated, Gate::LowerBound, None, Some(false))),
        ]);
        let verified = &told["verified"];
        // 160 right and 20 wrong of 400: the two that were found are among the twenty.
        assert!(near(&verified["auto_precision"], 160.0 / 180.0), "{verified}");
        assert_eq!(
            (&verified["n_asked"], &verified["audits"], &verified["wrong_autos"]),
            (&json!(11), &json!(10), &json!(2))
        );
        assert!(near(&verified["lower"], promise::lower(11, 3)));
        assert!(near(&verified["coverage"], 202.0 / 400.0) && near(&verified["wrong_per_100"], 5.0));
        assert!(near(&verified["utility"], (160.0 - 4.0 * 20.0) / 400.0), "{verified}");
        let (p, r) = (160.0 / 180.0, 160.0 / 200.0);
        assert!(near(&verified["pas"], 1.09 * p * r / (0.09 * p + r)));
    }

    #[test]
    fn more_wrong_ones_found_than_audits_stand_for_are_all_counted() {
        let rejected = Some((Verdict::Rejected, Judge::Person));
        let told = figures(&[
            (5, mark(Status::Auto, Gate::Open, rejected, None)),
            (1, mark(Status::Escalated, Gate::Audit, None, Some(true))),
            (94, mark(Status::Auto, Gate::Open, None, None)),
        ]);
        assert!(near(&told["verified"]["auto_precision"], 20.0 / 25.0), "{told}");
        assert!(near(&told["verified"]["utility"], (20.0 - 4.0 * 5.0) / 100.0), "{told}");
        let none = figures(&[]);
        assert_eq!((&none["precision"], &none["verified"]["coverage"]), (&json!(null), &json!(null)));
    }

    #[test]
    fn shadow_mode_tells_what_it_would_have_been_worth() {
        let told = figures(&[
            (11, mark(Status::Escalated, Gate::Shadow, None, Some(true))),
            (1, mark(Status::Escalated, Gate::Shadow, None, Some(false))),
            (3, mark(Status::Escalated, Gate::Shadow, None, None)),
            (50, mark(Status::Escalated, Gate::LowerBound, None, Some(false))),
        ]);
        let shadow = &told["shadow"];
        assert_eq!(
            (&shadow["would_be_auto"], &shadow["judged"], &shadow["right"]),
            (&json!(15), &json!(12), &json!(11))
        );
        assert!(near(&shadow["precision"], 11.0 / 12.0) && near(&shadow["lower"], promise::lower(12, 1)));
    }

    #[test]
    fn the_score_has_the_known_points() {
        for (p, r, expected) in [(1.0, 0.1, 0.574), (1.0, 0.2, 0.752), (0.95, 0.5, 0.884), (0.7, 1.0, 0.718)] {
            let (right, wrong) = (p * 100.0, (1.0 - p) * 100.0);
            let found = pas(right, wrong, right / r - right).unwrap();
            assert!((found - expected).abs() < 1e-3, "{p} {r} {found}");
        }
        assert_eq!((pas(0.0, 0.0, 3.0), pas(0.0, 0.0, 0.0)), (Some(0.0), None));
    }
}
