//! `calib-sim`: what a curve costs simulated people when it knows few labels, beside the documented recipe.
//!
//! Each of the people of [`simulated`](super::simulated) labels a hundred raw numbers of a model. After 5, 10, 20, 50 and 100
//! of them the excess log-loss over everything the model may say is taken, of the live [`Curves`] as a model's raw numbers
//! get them, of the raw number itself and of the recipe, fitted at just that number (the recipe alone gets that favour). A
//! second row shows the embedded predictor's curve on the same numbers: it is meant for numbers that are near the truth
//! already, and must not be given to a model's.

use serde_json::json;

use super::recipe::Recipe;
use super::report::{Row, Target};
use super::simulated::{self, Person, SEED};
use super::{BenchError, Options};
use crate::dice::Dice;
use crate::predict::calibrate;
use crate::predict::curves::{Curves, Scale};
use crate::predict::{Kind, Stood};

/// Simulated people of the bench.
const PEOPLE: usize = 300;
/// Labels after which the curves are asked, and what the excess may be then.
const TARGETS: [(usize, f64); 5] = [(5, 0.08), (10, 0.05), (20, 0.03), (50, 0.02), (100, 0.012)];

/// Mean excess log-loss at one number of labels.
#[derive(Clone, Copy, Debug, Default)]
struct Excess {
    model: f64,
    embedded: f64,
    identity: f64,
    recipe: f64,
}

pub(super) fn run(_: &Options) -> Result<Vec<Row>, BenchError> {
    Ok(TARGETS.iter().zip(measure(PEOPLE)).flat_map(|((n, most), excess)| rows(*n, *most, excess)).collect())
}

fn rows(n: usize, most: f64, excess: Excess) -> [Row; 3] {
    let row = |name: &str, ours, limit| {
        Row::compare(format!("calib-sim {n} {name}").trim_end(), "excess log-loss", (ours, limit))
    };
    let raw = json!({"people": PEOPLE, "seed": SEED, "labels": n});
    [
        row("", excess.model, excess.recipe).beside("the documented recipe").target(Target::Within(most)).raw(raw),
        row("raw", excess.model, excess.identity).beside("the raw number itself").target(Target::AtMost(1.0)),
        row("embedded", excess.embedded, excess.identity).beside("the raw number; a curve not meant for a model"),
    ]
}

/// The means over so many people, at each number of labels.
fn measure(people: usize) -> [Excess; TARGETS.len()] {
    let mut dice = Dice::new(SEED);
    let mut sums = [Excess::default(); TARGETS.len()];
    for _ in 0..people {
        let person = Person::new(&mut dice);
        for (sum, one) in sums.iter_mut().zip(follow(&person, &mut dice)) {
            sum.model += one.model / super::measure::number(people as u64);
            sum.embedded += one.embedded / super::measure::number(people as u64);
            sum.identity += one.identity / super::measure::number(people as u64);
            sum.recipe += one.recipe / super::measure::number(people as u64);
        }
    }
    sums
}

fn follow(person: &Person, dice: &mut Dice) -> [Excess; TARGETS.len()] {
    const KIND: Kind = Kind::Offer;
    let (mut model, mut embedded) = (Curves::new(Scale::Model), Curves::new(Scale::Shipped));
    let (mut recipe, mut known) = (Recipe::default(), 0);
    TARGETS.map(|(n, _)| {
        for _ in known..n {
            let raw = simulated::raw(dice);
            let hit = dice.happens(person.chance(raw));
            model.add(KIND, calibrate::Row::new(raw, hit, 1.0), Stood::default());
            embedded.add(KIND, calibrate::Row::new(raw, hit, 1.0), Stood::default());
            recipe.add(raw, f64::from(u8::from(hit)));
        }
        known = n;
        recipe.fit();
        Excess {
            model: person.excess(|raw| model.at(KIND).probability(raw)),
            embedded: person.excess(|raw| embedded.at(KIND).probability(raw)),
            identity: person.excess(|raw| raw),
            recipe: person.excess(|raw| recipe.probability(raw)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bar itself, with fewer people: the curve of a model's numbers, and its place between the other two.
    #[test]
    fn every_target_is_met_and_the_raw_number_and_the_recipe_are_beaten() {
        for ((n, most), excess) in TARGETS.iter().zip(measure(200)) {
            assert!(rows(*n, *most, excess).iter().all(|row| row.met() != Some(false)), "{n}: {excess:?}");
            assert!(excess.model < excess.recipe && excess.embedded < excess.identity, "{n}: {excess:?}");
        }
    }
}
