//! What is held true of people before a person is met, fitted to a folder of people's turns.
//!
//! The numbers of a pool do not depend on the weights it is ranked by, so one replay of each person serves every fit, and
//! `leave-one-out` only fits anew. All fits share the constants below.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::assent::{self, Before};
use super::{BacktestError, Turn, files, read};
use crate::predict::fit::{self, Row, Sparse, dot, sparse};
use crate::predict::rank::{self, Weights};
use crate::predict::stratum::verdict;
use crate::predict::{Part, Predictor, hit};

/// Turns of a person that nothing is fitted to: too little is known in them.
const WARM: usize = 20;
/// One miss in so many is read when chances are fitted, and counts for all of them.
const MISSES: usize = 6;
/// The pull to zero of the order, of the chances and of the two numbers of a first candidate.
const RIDGE: (f64, f64, f64) = (4.0, 8.0, 0.1);
/// The pull to zero of the weights of a yes.
const ASSENT_RIDGE: f64 = 6.0;

/// Where priors come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    /// Nobody: neutral weights.
    None,
    /// The program.
    #[default]
    Shipped,
    /// The other people of the folder, for each person anew.
    LeaveOneOut,
}

/// What is held true of people before a person is met.
#[derive(Clone, Debug)]
pub(super) struct Priors {
    /// How candidates are ranked.
    pub(super) rank: Weights,
    /// When people say yes.
    pub(super) assent: assent::Prior,
}

impl Priors {
    /// What the program comes with.
    const fn shipped() -> Self {
        Self { rank: Weights::shipped(), assent: assent::SHIPPED }
    }

    /// What holds where nobody was asked.
    fn neutral() -> Self {
        Self { rank: Weights::neutral(), assent: assent::blank() }
    }
}

/// Weights as they were fitted.
#[derive(Clone, Debug, Serialize)]
pub struct Fitted {
    /// See [`Weights::order`].
    pub order: Vec<f64>,
    /// See [`Weights::chance`].
    pub chance: Vec<f64>,
    /// See [`Weights::first`].
    pub first: (f64, f64),
    /// When people say yes.
    pub assent: Vec<f64>,
}

/// One person's turns as rows.
struct Person {
    /// Candidates by turn, and whether they hit.
    pools: Vec<Vec<Row>>,
    /// Situations, and whether the person said yes.
    yes: Vec<Row>,
}

/// What one person replied in each of their sessions, as far as it bears on a yes.
#[derive(Default)]
pub(super) struct Sessions(HashMap<String, Before>);

impl Sessions {
    /// The numbers of a turn, from what was replied before it.
    pub(super) fn situation(&self, turn: &Turn) -> Sparse {
        assent::features(turn.said(), &turn.agent, self.0.get(&turn.session).copied().unwrap_or_default())
    }

    /// Learns what was replied.
    pub(super) fn replied(&mut self, turn: &Turn) {
        let before = self.0.entry(turn.session.clone()).or_default();
        *before = before.then(&turn.reply);
    }
}

fn gather(path: &Path, without: Option<Part>) -> Result<Person, BacktestError> {
    let mut person = Person { pools: Vec::new(), yes: Vec::new() };
    let (mut predictor, mut sessions) = (Predictor::default().without(without), Sessions::default());
    let mut place = 0;
    read(path, &mut |turn| {
        if turn.answers() {
            let query = turn.query(1);
            let y = verdict(&turn.reply).is_yes();
            person.yes.push(Row { x: sessions.situation(turn), y, weight: 1.0 });
            if place >= WARM {
                let row = |x: &[f64], text: &str| Row { x: sparse(x), y: hit(text, &turn.reply), weight: 1.0 };
                let pool = predictor.pool(&query);
                person.pools.push(pool.iter().map(|one| row(&one.features, &one.text)).collect());
            }
        }
        predictor.learn(&turn.pair());
        sessions.replied(turn);
        place += 1;
        Ok(())
    })?;
    Ok(person)
}

fn fixed<const N: usize>(weights: &[f64]) -> [f64; N] {
    std::array::from_fn(|at| weights.get(at).copied().unwrap_or(0.0))
}

fn rank(people: &[&Person], start: &Weights) -> Weights {
    let pools: Vec<&[Row]> = people.iter().flat_map(|person| &person.pools).map(Vec::as_slice).collect();
    let order = fit::choice(&pools, &start.order, RIDGE.0);
    let scaled = |row: &Row| Row { weight: f64::from(u32::try_from(MISSES).unwrap_or(1)), ..row.clone() };
    let candidates = pools.iter().enumerate().flat_map(|(turn, pool)| (turn..).zip(pool.iter()));
    let read = candidates.filter_map(|(at, row)| match row.y {
        true => Some(row.clone()),
        false => (at % MISSES == 0).then(|| scaled(row)),
    });
    let read: Vec<Row> = read.collect();
    let chance = fit::logistic(&read.iter().collect::<Vec<_>>(), &start.chance, RIDGE.1);
    let firsts: Vec<Row> = pools
        .iter()
        .filter_map(|pool| pool.iter().max_by(|a, b| dot(&order, &a.x).total_cmp(&dot(&order, &b.x))))
        .map(|row| Row { x: sparse(&[dot(&chance, &row.x), 1.0]), y: row.y, weight: 1.0 })
        .collect();
    let first = fit::logistic(&firsts.iter().collect::<Vec<_>>(), &[start.first.0, start.first.1], RIDGE.2);
    Weights { order: fixed(&order), chance: fixed(&chance), first: (first[0], first[1]) }
}

fn yes(people: &[&Person]) -> assent::Prior {
    let rows: Vec<&Row> = people.iter().flat_map(|person| &person.yes).collect();
    fixed(&fit::logistic(&rows, &assent::blank(), ASSENT_RIDGE))
}

/// Fits to every person but the one at `without`.
fn all_but(people: &[Person], without: Option<usize>, start: &Weights) -> Priors {
    let others = people.iter().enumerate().filter(|(at, _)| Some(*at) != without).map(|(_, person)| person);
    let others: Vec<&Person> = others.collect();
    Priors { rank: rank(&others, start), assent: yes(&others) }
}

fn people(dir: &Path, without: Option<Part>) -> Result<Vec<Person>, BacktestError> {
    files(dir)?.iter().map(|path| gather(path, without)).collect()
}

/// Fits to everybody.
fn everybody(people: &[Person]) -> Priors {
    let zero = [0.0; rank::FEATURES];
    all_but(people, None, &Weights { order: zero, chance: zero, first: (1.0, 0.0) })
}

/// The priors of each person of a folder, in the order of the files; where they are fitted, to a predictor without a part.
pub(super) fn of(dir: &Path, from: From, without: Option<Part>) -> Result<Vec<Priors>, BacktestError> {
    let same = |priors: Priors| Ok(vec![priors; files(dir)?.len()]);
    match from {
        From::None => same(Priors::neutral()),
        From::Shipped => same(Priors::shipped()),
        From::LeaveOneOut => {
            let people = people(dir, without)?;
            // Each fit has one best point, so that where it starts from tells nothing of whoever is left out.
            let start = everybody(&people).rank;
            Ok((0..people.len()).map(|at| all_but(&people, Some(at), &start)).collect())
        }
    }
}

/// Fits weights to every person of a folder: what the program is to come with.
///
/// # Errors
///
/// As [`turns`](super::turns).
pub fn fit(dir: &Path) -> Result<Fitted, BacktestError> {
    let Priors { rank, assent } = everybody(&people(dir, None)?);
    Ok(Fitted { order: rank.order.to_vec(), chance: rank.chance.to_vec(), first: rank.first, assent: assent.to_vec() })
}
