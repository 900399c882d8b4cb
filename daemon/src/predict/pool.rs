//! The bounded pool of candidates for a query, each described by its numbers.

use std::collections::{BTreeMap, BTreeSet};

use super::calibrate::logit;
use super::local::{Predictor, Query};
use super::rank::{self, Facts};
use super::situation::tokens;
use super::view::{View, log_share, vote};

/// Recent replies in the pool.
const RECENT: usize = 40;
/// Deviations that the agreement of the closest situations is taken below its share.
const DOUBT: f64 = 1.28;
/// Closest situations that must agree before their agreement counts by itself.
const AGREEING: usize = 6;

/// Phrases that most people use; offered while nothing better is known.
const STOCK: [(&str, &[&str]); 5] = [
    (
        "en",
        &["yes", "continue", "yes please", "try again", "ok", "no", "proceed", "go ahead", "next", "fix it", "done"],
    ),
    ("es", &["sí", "continúa", "ok", "no", "adelante", "dale"]),
    ("ko", &["네", "계속해줘", "좋아"]),
    ("ja", &["はい", "続けて", "お願いします"]),
    ("zh", &["好的", "继续", "是"]),
];

/// The stock phrases of the language that a text seems to be in.
fn stock(text: &[String]) -> &'static [&'static str] {
    let any = |low: char, high: char| {
        text.iter().filter(|t| t.chars().next().is_some_and(|c| (low..=high).contains(&c))).count()
    };
    let spanish =
        text.iter().filter(|t| matches!(t.as_str(), "el" | "la" | "los" | "que" | "para" | "una" | "con")).count();
    let language = match () {
        () if any('\u{ac00}', '\u{d7af}') > 3 => "ko",
        () if any('\u{3040}', '\u{30ff}') > 3 => "ja",
        () if any('\u{3400}', '\u{9fff}') > 3 => "zh",
        () if spanish * 20 > text.len() => "es",
        () => "en",
    };
    STOCK.iter().find(|(name, _)| *name == language).map_or(&[], |(_, phrases)| phrases)
}

/// One member of the pool.
struct Member {
    form: Option<u32>,
    text: String,
    /// Itself (when a form) and every form it hits, rising.
    backing: Vec<u32>,
}

/// A candidate with its numbers, for whoever fits the shipped weights.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// The form, where it is one.
    pub(super) form: Option<u32>,
    /// The number of the newest reply that said it.
    pub newest: Option<u32>,
    /// The words.
    pub text: String,
    /// Its numbers.
    pub features: [f64; rank::FEATURES],
    /// What the pool is ordered by.
    pub(super) order: f64,
    /// The first guess.
    pub raw: f64,
    /// Itself (when a form) and every form it hits, rising.
    pub(super) backing: Vec<u32>,
}

/// The lower bound (Wilson, one-sided 0.1) of how often the closest situations were answered with a candidate or its
/// kin; 0 below [`AGREEING`] of them.
fn agreement(closest: &[u32], backing: &[u32]) -> f64 {
    let agree = closest.iter().filter(|form| backing.binary_search(form).is_ok()).count();
    if agree < AGREEING {
        return 0.0;
    }
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let (n, z) = (count(closest.len()), DOUBT);
    let share = count(agree) / n;
    let middle = share + z * z / (2.0 * n);
    let spread = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    (middle - spread) / (1.0 + z * z / n)
}

impl Predictor {
    /// Every candidate of the pool with its numbers, best first: what the shipped weights are fitted on.
    #[must_use]
    pub fn pool(&self, query: &Query<'_>) -> Vec<Ranked> {
        self.rank(&self.view(query))
    }

    /// The pool, described and sorted.
    pub(super) fn rank(&self, view: &View) -> Vec<Ranked> {
        let mut ranked: Vec<Ranked> = self
            .members(view)
            .into_iter()
            .map(|member| {
                let features = rank::features(&self.facts(&member, view), &view.setting);
                let shipped = self.weights.guess(&features);
                // Where like situations agree by themselves, that outweighs what holds for people in general.
                let agreed = view.closest.iter().map(|forms| agreement(forms, &member.backing));
                let raw = agreed.fold(shipped, f64::max);
                let order = self.weights.order(&features) + logit(raw) - logit(shipped);
                let newest = member.form.and_then(|id| self.habits.form(id)?.occurrences.last().copied());
                Ranked { order, form: member.form, newest, text: member.text, features, raw, backing: member.backing }
            })
            .collect();
        ranked.sort_by(|a, b| b.order.total_cmp(&a.order).then(b.form.cmp(&a.form)).then_with(|| a.text.cmp(&b.text)));
        ranked
    }

    /// The pool: forms, then the stock phrases that the person has not used.
    fn members(&self, view: &View) -> Vec<Member> {
        let mut forms: BTreeSet<u32> = self.leaders.iter().copied().collect();
        let likes = view.similar.iter().flat_map(|map| map.keys());
        let first_recent = view.now.saturating_sub(u32::try_from(RECENT).unwrap_or(0));
        forms
            .extend(likes.copied().chain(first_recent..view.now).filter_map(|reply| self.replies[reply as usize].form));
        forms.extend(view.followers.by_form.keys());
        let parts: Vec<u32> =
            forms.iter().filter_map(|id| self.habits.form(*id)).flat_map(|form| form.parts.iter().copied()).collect();
        forms.extend(parts);
        let known = forms.into_iter().filter_map(|id| {
            let form = self.habits.form(id)?;
            let mut backing: Vec<u32> = form.kin.clone();
            if let Err(at) = backing.binary_search(&id) {
                backing.insert(at, id);
            }
            Some(Member { form: Some(id), text: form.text.clone(), backing })
        });
        let phrases = stock(&view.situation.tail).iter().filter(|phrase| self.habits.find(phrase).is_none());
        let phrases = phrases.map(|phrase| Member {
            form: None,
            text: (*phrase).to_owned(),
            backing: self.habits.kin_of(&self.habits.numbers(phrase)),
        });
        known.chain(phrases).collect()
    }

    /// Mean token F1 of a candidate with the answers nearby, its own newest use left out.
    fn means(&self, member: &Member, view: &View, newest: Option<u32>) -> (f64, f64, f64) {
        let [tail, last, newest] = match member.form {
            Some(id) => view.nearby.means(self.habits.tokens_of(id), newest),
            None => view.nearby.means(&self.habits.numbers(&member.text), newest),
        };
        (tail, last, newest)
    }

    fn facts(&self, member: &Member, view: &View) -> Facts {
        let form = member.form.and_then(|id| self.habits.form(id));
        let newest = form.and_then(|form| form.occurrences.last().copied());
        let age = newest.map_or(f64::from(view.now), |newest| f64::from(view.now - newest));
        let own = |map: &BTreeMap<u32, f64>| {
            let seen = form.map_or(&[][..], |form| &form.occurrences);
            let said = |reply: &u32| seen.binary_search(reply).is_ok();
            map.iter().filter(|(reply, _)| said(reply)).fold(0.0, |most: f64, (_, similar)| most.max(*similar))
        };
        let similar = (own(&view.similar[0]), own(&view.similar[1]));
        // What the newest use itself adds is left out: a reply does not back itself.
        let newest_form = newest.and_then(|newest| self.replies[newest as usize].form);
        let backs_itself = newest_form.is_some_and(|form| member.backing.contains(&form));
        let mass = |slot: usize, half_life: f64| {
            let sum: f64 = match member.form {
                Some(id) => self.habits.support(id, slot, view.now),
                None => member.backing.iter().map(|id| self.habits.mass(*id, slot, view.now)).sum(),
            };
            let less = if backs_itself { (-age / half_life).exp2() } else { 0.0 };
            log_share(sum - less, self.habits.total(slot, view.now), 1.0)
        };
        let near = |slot: usize| {
            let less = newest
                .filter(|_| backs_itself)
                .and_then(|newest| Some(vote(*view.similar[slot].get(&newest)?, newest, view.now)));
            view.votes[slot].share(&member.backing, less.unwrap_or(0.0), 0.5)
        };
        let kind = view.situation.kind;
        let in_kind: f64 = match member.form {
            Some(id) => self.habits.kind_support(id, kind, view.now),
            None => member.backing.iter().map(|id| self.habits.kind_mass(*id, kind, view.now)).sum(),
        };
        let place = newest.and_then(|newest| self.replies.get(newest as usize));
        Facts {
            age,
            length: form.map_or_else(
                || f64::from(u32::try_from(tokens(&member.text).len()).unwrap_or(0)),
                |f| f64::from(f.length),
            ),
            similar,
            habit: (mass(0, 150.0), mass(1, 12.0)),
            near: (near(0), near(1)),
            in_kind: log_share(in_kind, self.habits.kind_total(kind, view.now), 1.0),
            follows: view.followers.share(&member.backing, 0.0, 1.0),
            in_session: place.is_some_and(|place| Some(place.session) == view.session),
            in_project: place.is_some_and(|place| Some(place.project) == view.project),
            like_last: member.form.zip(view.last).map_or(0.0, |(a, b)| self.habits.overlap(a, b)),
            contained: member.form.map_or(0.0, |id| self.habits.contained(id, &view.words)),
            count: form.map_or(0.0, |form| f64::from(form.count.max(1)).ln()),
            stock: form.is_none(),
            part: form.is_some_and(|form| form.count == 0),
            mean: self.means(member, view, newest),
        }
    }
}
