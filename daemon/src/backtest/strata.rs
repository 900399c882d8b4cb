//! Every channel measured by itself, on the predictions that the live path makes.
//!
//! Choices, approvals and ways onward are told by what the agent said, so a turn counts there whatever the person did.
//! Macros, short acts and prose are told by the reply: those rows say where hits come from, not what a daemon could
//! know beforehand. A turn counts once in each of the two.

use serde::Serialize;

use super::Met;
use super::assent::Assent;
use super::measure::{Forecast, Guess, Measured, covered, measure};
use super::plain::Frequent;
use super::priors::{Priors, Sessions};
use super::score::PRECISION;
use crate::predict::situation::normal;
use crate::predict::stratum::{Form, Onward, Opens, Taken, Verdict, form, onward, opens, taken, verdict};
use crate::predict::{Decided, hit};

/// Turns of a person that are not scored, as by the score of the predictions.
const WARM: usize = 20;
/// Turns below which a row tells counts and no target.
pub const ENOUGH: usize = 50;

/// Menus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Choices {
    /// Menus put to people.
    pub n: usize,
    /// Menus of which one option was taken.
    pub taken: usize,
    /// Of those: the first option was taken.
    pub first: usize,
    /// Of those: the place that the person took most often before was taken again.
    pub majority: usize,
    /// Of those: the first of the candidates that names an option named it; the first option where none does.
    pub ours: usize,
    /// Of those: a candidate named an option.
    pub named: usize,
}

/// What an approval is forecast from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Approvals {
    /// What holds for people, and nothing learned.
    pub prior: Measured,
    /// The person's replies alone.
    pub own: Measured,
    /// Both: the live number.
    pub both: Measured,
}

/// Replies of one form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hits {
    /// Turns.
    pub n: usize,
    /// The first candidate was a hit.
    pub first: usize,
    /// One of three was.
    pub any: usize,
    /// The person's most frequent reply was a hit.
    pub frequent: usize,
    /// One of the three most frequent was.
    pub frequent_any: usize,
    /// Turns among the surest answers, over all turns, that are right four times in five.
    pub covered: usize,
}

/// The channels of a folder's people.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Strata {
    /// Scored turns.
    pub turns: usize,
    /// Menus.
    pub choices: Choices,
    /// Offers: a yes of either kind.
    pub offers: Approvals,
    /// Every turn: a yes of either kind.
    pub every_turn: Approvals,
    /// Every turn: yes and nothing else.
    pub bare_yes: Approvals,
    /// What became of offers: approved, approved with more, rejected, elsewhere.
    pub verdicts: [usize; 4],
    /// Reports: the person goes on, by the live chance of a yes.
    pub continuation: Measured,
    /// What became of reports: gone on, stopped, something new.
    pub onward: [usize; 3],
    /// Saved macros.
    pub macros: Hits,
    /// Slash commands.
    pub slash: Hits,
    /// Short acts.
    pub short: Hits,
    /// Anything else.
    pub prose: Hits,
}

/// Forecasts of one kind, person by person: by the prior, by the person's own, by both.
type Lines = [Vec<Vec<Forecast>>; 3];

/// One person so far.
struct Person {
    prior: Assent,
    own: Assent,
    both: Assent,
    sessions: Sessions,
    /// How often each place of a menu was taken.
    places: Vec<usize>,
    frequent: Frequent,
    guesses: Vec<(Form, Guess)>,
}

/// Counts while turns are replayed.
pub(super) struct Tally {
    people: Vec<Person>,
    strata: Strata,
    offers: Lines,
    every: Lines,
    bare: Lines,
    onward: Vec<Vec<Forecast>>,
}

impl Tally {
    /// One person for each prior, in the order of the files.
    pub(super) fn new(priors: &[Priors]) -> Self {
        let person = |priors: &Priors| Person {
            prior: Assent::new(&priors.assent),
            own: Assent::untaught(),
            both: Assent::new(&priors.assent),
            sessions: Sessions::default(),
            places: Vec::new(),
            frequent: Frequent::default(),
            guesses: Vec::new(),
        };
        let none = vec![Vec::new(); priors.len()];
        let lines = || [none.clone(), none.clone(), none.clone()];
        Self {
            people: priors.iter().map(person).collect(),
            strata: Strata::default(),
            offers: lines(),
            every: lines(),
            bare: lines(),
            onward: none.clone(),
        }
    }

    /// Takes one turn: what was said of it first, then what came.
    pub(super) fn take(&mut self, met: &Met<'_>) {
        let (reply, yes) = (met.turn.reply.as_str(), verdict(&met.turn.reply).is_yes());
        let person = &mut self.people[met.person];
        let numbers = person.sessions.situation(met.turn);
        let chances = [&person.prior, &person.own, &person.both].map(|assent| assent.probability(&numbers));
        if let Some(decided) = met.decided {
            person.own.learn(&numbers, yes);
            if met.place >= WARM && !normal(reply).is_empty() {
                self.strata.turns += 1;
                self.channel(met, decided, chances);
                self.form(met, decided);
            }
            self.people[met.person].frequent.add(reply);
        }
        let person = &mut self.people[met.person];
        if !met.turn.said().trim().is_empty() {
            person.both.learn(&numbers, yes);
        }
        person.sessions.replied(met.turn);
    }

    fn channel(&mut self, met: &Met<'_>, decided: &Decided, chances: [f64; 3]) {
        let verdict = verdict(&met.turn.reply);
        note(&mut self.every, met.person, chances, verdict.is_yes());
        note(&mut self.bare, met.person, chances, verdict == Verdict::Approved);
        match opens(met.turn.said()) {
            Opens::Choice(options) => self.choice(met, decided, &options),
            Opens::Approval => {
                self.strata.verdicts[verdict as usize] += 1;
                note(&mut self.offers, met.person, chances, verdict.is_yes());
            }
            Opens::Continuation => {
                let onward = onward(&met.turn.reply);
                self.strata.onward[onward as usize] += 1;
                let came = onward == Onward::GoOn;
                self.onward[met.person].push(Forecast { probability: chances[2], came });
            }
            Opens::Nothing => {}
        }
    }

    fn choice(&mut self, met: &Met<'_>, decided: &Decided, options: &[String]) {
        let choices = &mut self.strata.choices;
        choices.n += 1;
        let Taken::Option(place) = taken(options, &met.turn.reply) else { return };
        let person = &mut self.people[met.person];
        let named = decided.candidates.iter().find_map(|candidate| match taken(options, &candidate.response) {
            Taken::Option(place) => Some(place),
            Taken::Other => None,
        });
        choices.taken += 1;
        choices.first += usize::from(place == 0);
        choices.majority += usize::from(place == person.usual(options.len()));
        choices.ours += usize::from(place == named.unwrap_or(0));
        choices.named += usize::from(named.is_some());
        person.places.resize(person.places.len().max(place + 1), 0);
        person.places[place] += 1;
    }

    fn form(&mut self, met: &Met<'_>, decided: &Decided) {
        let (turn, candidates) = (met.turn, &decided.candidates);
        let form = if turn.kind == "slash" { Form::Slash } else { form(&turn.reply, turn.kind == "template") };
        let right = |text: &str| hit(text, &turn.reply);
        let person = &mut self.people[met.person];
        let places = person.frequent.most().into_iter().map(|(_, place)| place);
        let frequent: Vec<bool> = places.map(|place| right(person.frequent.reply(place))).collect();
        let first = candidates.first().is_some_and(|first| right(&first.response));
        let probability = candidates.first().map_or(0.0, |first| first.probability);
        person.guesses.push((form, Guess { probability, right: first, asked: false }));
        let hits = self.strata.hits(form);
        hits.n += 1;
        hits.first += usize::from(first);
        hits.any += usize::from(candidates.iter().any(|candidate| right(&candidate.response)));
        hits.frequent += usize::from(frequent.first() == Some(&true));
        hits.frequent_any += usize::from(frequent.contains(&true));
    }

    /// The tables.
    pub(super) fn finish(mut self) -> Strata {
        let [offers, every_turn, bare_yes] = [&self.offers, &self.every, &self.bare].map(|lines| Approvals {
            prior: measure(&lines[0]),
            own: measure(&lines[1]),
            both: measure(&lines[2]),
        });
        for form in [Form::Macro, Form::Slash, Form::Short, Form::Prose] {
            let guesses = self.people.iter().flat_map(|person| &person.guesses);
            let asked: Vec<Guess> = guesses.map(|(of, guess)| Guess { asked: *of == form, ..*guess }).collect();
            self.strata.hits(form).covered = covered(&asked, PRECISION);
        }
        Strata { offers, every_turn, bare_yes, continuation: measure(&self.onward), ..self.strata }
    }
}

fn note(lines: &mut Lines, person: usize, chances: [f64; 3], came: bool) {
    for (line, probability) in lines.iter_mut().zip(chances) {
        line[person].push(Forecast { probability, came });
    }
}

impl Person {
    /// The place that was taken most often, of those on offer; the first where none was.
    fn usual(&self, options: usize) -> usize {
        let offered = self.places.iter().take(options).enumerate();
        offered.rev().max_by_key(|(_, times)| **times).map_or(0, |(place, _)| place)
    }
}

impl Strata {
    fn hits(&mut self, form: Form) -> &mut Hits {
        match form {
            Form::Macro => &mut self.macros,
            Form::Slash => &mut self.slash,
            Form::Short => &mut self.short,
            Form::Prose => &mut self.prose,
        }
    }

    /// The same as lines of text.
    #[must_use]
    pub fn table(&self) -> Vec<String> {
        let enough = |n: usize| if n < ENOUGH { " (too few for a target)" } else { "" };
        let c = &self.choices;
        let mut out = vec![
            format!("{} scored turns", self.turns),
            format!("choices       n {}{}: one option taken {}", c.n, enough(c.taken), c.taken),
            format!(
                "  of those    first option {}, majority {}, ours {} (named {})",
                c.first, c.majority, c.ours, c.named
            ),
        ];
        let [approved, more, rejected, elsewhere] = self.verdicts;
        out.push(format!(
            "offers        approved {approved}, with more {more}, rejected {rejected}, elsewhere {elsewhere}"
        ));
        for (name, of) in [
            ("offers, yes", &self.offers),
            ("all turns, yes", &self.every_turn),
            ("all turns, bare yes", &self.bare_yes),
        ] {
            for (from, measured) in [("prior", &of.prior), ("own", &of.own), ("both", &of.both)] {
                out.push(format!("  {name:<20} {from:<6} {}{}", line(measured), enough(measured.n)));
            }
        }
        let [on, stop, new] = self.onward;
        out.push(format!("reports       gone on {on}, stopped {stop}, something new {new}"));
        out.push(format!("  {:<27} {}{}", "goes on", line(&self.continuation), enough(self.continuation.n)));
        for (name, hits) in
            [("macros", &self.macros), ("slash", &self.slash), ("short acts", &self.short), ("prose", &self.prose)]
        {
            let Hits { n, first, any, frequent, frequent_any, covered } = hits;
            out.push(format!(
                "{name:<13} n {n:<5} first {first}, of three {any}; most frequent {frequent}, of three {frequent_any}; \
                 covered at {PRECISION} {covered}{}",
                enough(*n)
            ));
        }
        out
    }
}

fn line(measured: &Measured) -> String {
    let show = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let Measured { n, came, people, .. } = measured;
    format!(
        "n {n:<5} came {came:<4} AUC {} (mean of {people}: {})  Brier {} base {}  log-loss {} base {}",
        show(measured.auc),
        show(measured.auc_mean),
        show(measured.brier),
        show(measured.brier_base),
        show(measured.log_loss),
        show(measured.log_loss_base)
    )
}
