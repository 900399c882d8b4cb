//! What a folder of people tells beyond the plain score: person by person, how it grows with what is known, what another
//! person's history is worth, and what each part gives.
//!
//! Scored turns are those of the score of the predictions: with an agent's text and a reply, no saved macro, after each
//! person's first twenty turns. What would surprise: a scored turn that nobody could be asked about (the first of a
//! session) counts as silence, as it does there.

use std::path::Path;

use serde::Serialize;

use super::priors::{self, From, Priors};
use super::score::{Row, Score, number, share};
use super::{BacktestError, Options, Turn, ask, files, read};
use crate::dice::Dice;
use crate::predict::situation::normal;
use crate::predict::{Part, Predictor};

/// Turns of a person that are learned and not scored.
const WARM: usize = 20;
/// Times that a person's sessions are drawn anew.
const DRAWS: usize = 2_000;
/// Scored turns from which on a person's bound is judged.
const ENOUGH: usize = 200;
/// The largest share of draws that may fall below a bound: one-sided 90 %.
const BELOW: f64 = 0.10;
/// How many turns are known at the beginning of each stretch of the learning curve.
const KNOWN: [usize; 4] = [20, 50, 100, 500];

/// A scored turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The session that it stands in.
    pub session: String,
    /// How many turns were known.
    pub place: usize,
    /// What was said of it, and what came.
    pub row: Row,
}

/// One person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Person {
    /// The name of the file.
    pub name: String,
    /// Their figures.
    pub score: Score,
    /// Wrong automatic answers per hundred turns.
    pub wrong_per_100: f64,
    /// The Brier skill that one draw of their sessions in ten falls below; nothing where every answer came out alike.
    pub skill_lower_90: Option<f64>,
    /// Whether there are turns enough to judge that bound.
    pub enough: bool,
}

/// Figures of a stretch of the learning curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stretch {
    /// So many turns were known at its beginning.
    pub known: usize,
    /// And fewer than so many at its end.
    pub below: Option<usize>,
    /// People who came so far.
    pub people: usize,
    /// Their figures together.
    pub score: Score,
}

/// Their own history beside another person's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Others {
    /// Predicted from what they said before.
    pub own: Score,
    /// From all that somebody else ever said, and nothing of their own; every other person in turn, together.
    pub other: Score,
    /// From nobody's: the priors alone.
    pub nobody: Score,
}

/// What is lost without one part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ablation {
    /// The part that was left out; nothing for the whole.
    pub without: Option<&'static str>,
    /// The figures then, the weights fitted anew where they are fitted at all.
    pub score: Score,
}

/// Which of the tables are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// The learning curve.
    pub curve: bool,
    /// Each person's bound.
    pub bootstrap: bool,
    /// Another person's history.
    pub other: bool,
    /// Every part left out in turn.
    pub ablate: bool,
}

/// The tables of a folder of people; those that were not asked for are empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct People {
    /// Everybody's figures together.
    pub pooled: Score,
    /// Person by person.
    pub people: Vec<Person>,
    /// By how much was known.
    pub curve: Vec<Stretch>,
    /// Own history, another's, nobody's.
    pub other: Option<Others>,
    /// The whole, then without each part.
    pub ablation: Vec<Ablation>,
}

/// Measures the people of a folder.
///
/// # Errors
///
/// As [`turns`](super::turns).
pub fn people(dir: &Path, options: Options, tables: Tables) -> Result<People, BacktestError> {
    let lives = lives(dir)?;
    let priors = priors::of(dir, options.priors, None)?;
    let scored: Vec<Vec<Scored>> =
        lives.iter().zip(&priors).map(|(life, priors)| own(life, priors, None, options)).collect();
    let mut out = People { pooled: pooled(&rows(&scored)), ..People::default() };
    for (life, scored) in lives.iter().zip(&scored) {
        out.people.push(person(&life.name, scored, tables.bootstrap));
    }
    if tables.curve {
        out.curve = curve(&scored);
    }
    if tables.other {
        out.other = Some(others(&lives, &priors, &scored, options));
    }
    if tables.ablate {
        out.ablation = ablation(dir, &lives, options, out.pooled)?;
    }
    Ok(out)
}

/// One person's turns, in memory: they are replayed many times.
struct Life {
    name: String,
    turns: Vec<Turn>,
}

fn lives(dir: &Path) -> Result<Vec<Life>, BacktestError> {
    let life = |path: &std::path::PathBuf| {
        let mut turns = Vec::new();
        read(path, &mut |turn| {
            turns.push(turn.clone());
            Ok(())
        })?;
        Ok(Life { name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), turns })
    };
    files(dir)?.iter().map(life).collect()
}

fn is_scored(turn: &Turn, place: usize) -> bool {
    place >= WARM && !turn.said().is_empty() && turn.kind != "template" && !normal(&turn.reply).is_empty()
}

/// One turn: what was said of it, which is silence where nobody could be asked, and then the lesson.
fn live(predictor: &mut Predictor, turn: &Turn, options: Options) -> Row {
    let decided = turn.answers().then(|| ask(predictor, turn, options));
    let row = decided.as_ref().map_or_else(Row::default, |decided| Row::of(decided, &turn.reply));
    if let Some(decided) = decided {
        predictor.judge(decided.label(row.hit));
    }
    predictor.learn(&turn.pair());
    row
}

/// A person predicted from what they said before.
fn own(life: &Life, priors: &Priors, without: Option<Part>, options: Options) -> Vec<Scored> {
    let (mut predictor, mut out) = (Predictor::new(&priors.rank).without(without), Vec::new());
    for (place, turn) in life.turns.iter().enumerate() {
        let row = live(&mut predictor, turn, options);
        if is_scored(turn, place) {
            out.push(Scored { session: turn.session.clone(), place, row });
        }
    }
    out
}

/// A predictor that was taught one person's whole history.
fn taught(life: &Life, priors: &Priors, options: Options) -> Predictor {
    let mut predictor = Predictor::new(&priors.rank);
    for turn in &life.turns {
        live(&mut predictor, turn, options);
    }
    predictor
}

/// A person predicted by a predictor that never learns of them.
fn foreign(life: &Life, predictor: &Predictor, options: Options) -> Vec<Row> {
    let scored = life.turns.iter().enumerate().filter(|(place, turn)| is_scored(turn, *place));
    let row = |turn: &Turn| Row::of(&ask(predictor, turn, options), &turn.reply);
    scored.map(|(_, turn)| if turn.answers() { row(turn) } else { Row::default() }).collect()
}

fn rows(scored: &[Vec<Scored>]) -> Vec<Vec<Row>> {
    scored.iter().map(|person| person.iter().map(|scored| scored.row).collect()).collect()
}

/// Everybody's figures together; the skill is against what each person's own share of hits would have said.
fn pooled(people: &[Vec<Row>]) -> Score {
    let sum = |rows: &Vec<Row>| {
        let mut sum = Sum::default();
        rows.iter().for_each(|row| sum.add(Sum::of(row)));
        sum
    };
    let sums: Vec<Sum> = people.iter().map(sum).collect();
    let (off, plain): (f64, f64) = (sums.iter().map(|sum| sum.off).sum(), sums.iter().map(|sum| sum.plain()).sum());
    Score { skill: (plain > 0.0).then(|| 1.0 - off / plain), ..Score::of(&people.concat()) }
}

fn person(name: &str, scored: &[Scored], bootstrap: bool) -> Person {
    let rows: Vec<Row> = scored.iter().map(|scored| scored.row).collect();
    let score = Score::of(&rows);
    Person {
        name: name.to_owned(),
        score,
        wrong_per_100: 100.0 * share(score.wrong_autos, score.n),
        skill_lower_90: if bootstrap { lower(scored) } else { None },
        enough: score.n >= ENOUGH,
    }
}

/// What a session adds to a Brier skill: turns, hits, squared errors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sum {
    n: f64,
    hits: f64,
    off: f64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.n += other.n;
        self.hits += other.hits;
        self.off += other.off;
    }

    fn of(row: &Row) -> Self {
        let hit = f64::from(u8::from(row.hit));
        Self { n: 1.0, hits: hit, off: (row.probability - hit).powi(2) }
    }

    /// The squared errors of saying the share of hits among these very turns.
    fn plain(self) -> f64 {
        if self.n > 0.0 { self.hits * (1.0 - self.hits / self.n) } else { 0.0 }
    }

    /// Against that share; nothing where it is never wrong.
    fn skill(self) -> Option<f64> {
        (self.plain() > 0.0).then(|| 1.0 - self.off / self.plain())
    }
}

fn sessions(scored: &[Scored]) -> Vec<Sum> {
    let mut sums: std::collections::BTreeMap<&str, Sum> = std::collections::BTreeMap::new();
    for Scored { session, row, .. } in scored {
        sums.entry(session).or_default().add(Sum::of(row));
    }
    sums.into_values().collect()
}

/// The lower bound of the Brier skill, sessions drawn with replacement; draws that say nothing are left out.
fn lower(scored: &[Scored]) -> Option<f64> {
    let (sums, mut dice) = (sessions(scored), Dice::new(90));
    let draw = |dice: &mut Dice| {
        let mut all = Sum::default();
        (0..sums.len()).for_each(|_| all.add(sums[dice.below(sums.len())]));
        all.skill()
    };
    let mut skills: Vec<f64> = (0..DRAWS).filter_map(|_| draw(&mut dice)).collect();
    skills.sort_by(f64::total_cmp);
    skills.get(place(skills.len())).copied()
}

/// The place of the bound among so many sorted draws.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn place(draws: usize) -> usize {
    (number(draws) * BELOW) as usize
}

fn curve(scored: &[Vec<Scored>]) -> Vec<Stretch> {
    let stretch = |at: usize| {
        let (known, below) = (KNOWN[at], KNOWN.get(at + 1).copied());
        let within = |scored: &&Scored| scored.place >= known && below.is_none_or(|below| scored.place < below);
        let rows = |person: &Vec<Scored>| person.iter().filter(within).map(|scored| scored.row).collect::<Vec<Row>>();
        let each: Vec<Vec<Row>> = scored.iter().map(rows).filter(|rows| !rows.is_empty()).collect();
        Stretch { known, below, people: each.len(), score: pooled(&each) }
    };
    (0..KNOWN.len()).map(stretch).collect()
}

fn others(lives: &[Life], priors: &[Priors], scored: &[Vec<Scored>], options: Options) -> Others {
    let (mut other, mut nobody) = (Vec::new(), Vec::new());
    for (at, (life, priors)) in lives.iter().zip(priors).enumerate() {
        nobody.push(foreign(life, &Predictor::new(&priors.rank), options));
        for (_, somebody) in lives.iter().enumerate().filter(|(place, _)| *place != at) {
            other.push(foreign(life, &taught(somebody, priors, options), options));
        }
    }
    Others { own: pooled(&rows(scored)), other: pooled(&other), nobody: pooled(&nobody) }
}

fn ablation(dir: &Path, lives: &[Life], options: Options, whole: Score) -> Result<Vec<Ablation>, BacktestError> {
    let mut out = vec![Ablation { without: None, score: whole }];
    for part in Part::ALL {
        let priors = priors::of(dir, options.priors, Some(part))?;
        let scored: Vec<Vec<Scored>> =
            lives.iter().zip(&priors).map(|(life, priors)| own(life, priors, Some(part), options)).collect();
        out.push(Ablation { without: Some(part.name()), score: pooled(&rows(&scored)) });
    }
    Ok(out)
}

impl People {
    /// The tables as lines of text.
    #[must_use]
    pub fn table(&self) -> Vec<String> {
        let mut out = vec![line("everybody", &self.pooled)];
        for person in &self.people {
            let bound = match (person.skill_lower_90, person.enough) {
                (Some(bound), true) => format!("  skill at least {bound:.4}"),
                (Some(bound), false) => format!("  skill at least {bound:.4} (too few to judge)"),
                (None, _) => String::new(),
            };
            out.push(format!("{}  wrong/100 {:.2}{bound}", line(&person.name, &person.score), person.wrong_per_100));
        }
        for Stretch { known, below, people, score } in &self.curve {
            let name = below.map_or_else(|| format!("known {known}+"), |below| format!("known {known}-{}", below - 1));
            out.push(format!("{}  people {people}", line(&name, score)));
        }
        if let Some(Others { own, other, nobody }) = &self.other {
            for (name, score) in [("own history", own), ("another's", other), ("nobody's", nobody)] {
                out.push(line(name, score));
            }
        }
        for Ablation { without, score } in &self.ablation {
            let name = without.map_or_else(|| "the whole".to_owned(), |without| format!("- {without}"));
            out.push(line(&name, score));
        }
        out
    }
}

/// Everybody's figures together by where the priors come from: the rows that the README shows.
///
/// # Errors
///
/// As [`turns`](super::turns).
pub fn honesty(dir: &Path) -> Result<std::collections::BTreeMap<&'static str, Score>, BacktestError> {
    let from = [("none", From::None), ("shipped", From::Shipped), ("leave-one-out", From::LeaveOneOut)];
    let row = |(name, priors)| {
        let options = Options { priors, ..Options::default() };
        Ok((name, people(dir, options, Tables::default())?.pooled))
    };
    from.into_iter().map(row).collect()
}

/// A row of figures as text.
#[must_use]
pub fn line(name: &str, score: &Score) -> String {
    let skill = score.skill.map_or_else(|| "-".to_owned(), |skill| format!("{skill:.4}"));
    format!(
        "{name:<20} n {:<6} top-1 {:.4} top-3 {:.4} skill {skill:>8} ECE {:.4} auto {} wrong {} U {:.4}",
        score.n, score.top1, score.top3, score.ece, score.autos, score.wrong_autos, score.utility
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(session: &str, place: usize, probability: f64, hit: bool) -> Scored {
        Scored { session: session.to_owned(), place, row: Row { probability, hit, any: hit, auto: false } }
    }

    #[test]
    fn a_bound_is_drawn_by_session() {
        // Two sessions, each alike within: (n 2, hits 1, off .5) and (n 2, hits 2, off .02).
        let turns = [
            scored("a", 0, 0.5, true),
            scored("a", 1, 0.5, false),
            scored("b", 2, 0.9, true),
            scored("b", 3, 0.9, true),
        ];
        let sums = sessions(&turns);
        assert_eq!((sums[0].n, sums[0].hits, sums[1].hits), (2.0, 1.0, 2.0));
        assert!((sums[0].off - 0.5).abs() < 1e-12 && (sums[1].off - 0.02).abs() < 1e-12);
        // Draws: aa (1/4) has skill 1 - 1/1 = 0, ab and ba (1/2) 1 - .52/.75, bb says nothing (it always hit).
        let mixed = Sum { n: 4.0, hits: 3.0, off: 0.52 };
        assert!((mixed.skill().unwrap() - (1.0 - 0.52 / 0.75)).abs() < 1e-12);
        assert_eq!(sums[1].skill(), None);
        // A third of the draws that count are `aa`: the tenth below is theirs.
        assert!(lower(&turns).unwrap().abs() < 1e-12);
        assert_eq!((place(2_000), place(9), lower(&[])), (200, 0, None));
        assert_eq!(lower(&turns[2..]), None, "one session that always hits");
    }

    #[test]
    fn the_pooled_skill_is_against_each_persons_own_share() {
        let row = |probability: f64, hit: bool| Row { probability, hit, ..Row::default() };
        // One always hits and was told so by 1, .8; the other hits half the time and was told .5: off .04 + .5, plain 0 + .5.
        let people = [vec![row(1.0, true), row(0.8, true)], vec![row(0.5, true), row(0.5, false)], Vec::new()];
        let skill = pooled(&people).skill.unwrap();
        assert!((skill - (1.0 - 0.54 / 0.5)).abs() < 1e-12, "{skill}");
        assert_eq!((pooled(&people).n, pooled(&people[..1]).skill), (4, None));
    }

    #[test]
    fn the_curve_parts_turns_by_what_was_known() {
        let long: Vec<Scored> = [20, 49, 50, 99, 100, 499, 500, 900].map(|at| scored("s", at, 0.1, at < 100)).to_vec();
        let short = vec![scored("t", 20, 0.1, false)];
        let curve = curve(&[long, short]);
        let told: Vec<(usize, usize, usize)> =
            curve.iter().map(|stretch| (stretch.known, stretch.people, stretch.score.n)).collect();
        assert_eq!(told, [(20, 2, 3), (50, 1, 2), (100, 1, 2), (500, 1, 2)]);
        assert!((curve[0].score.top1 - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((curve[2].score.top1.to_bits(), curve[3].below), (0, None));
    }

    /// Two people with habits of their own: each is known by their own history and not by the other's.
    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, reply) in [("a", "yes, commit it"), ("b", "wait for the review")] {
            let line = |at: usize| {
                serde_json::json!({"user": name, "session": format!("s{}", at / 8), "turn": at, "agent": "A",
                    "ts": "2026-01-01T00:00:00Z", "agent_prompt": "All tests pass. Shall I go on?", "reply": reply,
                    "kind": if at == 30 { "template" } else { "reply" }})
            };
            let text: String = (0..60).map(|at| format!("{}\n", line(at))).collect();
            std::fs::write(dir.path().join(format!("{name}.jsonl")), text).unwrap();
        }
        dir
    }

    #[test]
    fn people_are_told_by_their_own_history() {
        let dir = folder();
        let all = Tables { curve: true, bootstrap: true, other: true, ablate: true };
        let told = people(dir.path(), Options::default(), all).unwrap();
        assert_eq!((told.pooled.n, told.people.len(), told.people[0].score.n), (78, 2, 39), "macros are not scored");
        assert_eq!((told.people[0].name.as_str(), told.people[0].enough), ("a", false));
        let others = told.other.unwrap();
        assert_eq!((others.own.n, others.other.n, others.nobody.n), (78, 78, 78));
        assert!(others.own.top1 > 0.99 && others.other.top1 < 0.01, "{others:?}");
        assert!(others.nobody.top1 < 0.01);
        assert_eq!(told.ablation.len(), 1 + Part::ALL.len());
        assert_eq!(told.ablation[0].score, told.pooled);
        let without = |name: &str| told.ablation.iter().find(|row| row.without == Some(name)).unwrap().score;
        assert!(without("agreement").autos < told.pooled.autos || without("own calibration").brier > told.pooled.brier);
        assert_eq!(told.curve.iter().map(|stretch| stretch.score.n).sum::<usize>(), 78);
        assert!(told.table().len() > 20 && told.table().iter().any(|line| line.contains("- votes")));
    }

    /// The figures are those of the lines that a replay writes.
    #[test]
    fn the_rows_are_those_of_the_replay() {
        let dir = folder();
        let summary = super::super::turns(dir.path(), &mut std::io::sink(), Options::default()).unwrap();
        let lives = lives(dir.path()).unwrap();
        let priors = priors::of(dir.path(), From::Shipped, None).unwrap();
        let all: usize =
            lives.iter().zip(&priors).map(|(life, priors)| own(life, priors, None, Options::default()).len()).sum();
        assert_eq!((all, summary.predicted), (78, 120));
    }
}
