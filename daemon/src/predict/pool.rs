//! The bounded pool of candidates for a query, each described by its numbers.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::calibrate::logit;
use super::local::{Predictor, Query};
use super::part::Part;
use super::rank::{self, Facts};
use super::situation::tokens;
use super::view::{Numbers, View, log_share, vote};

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

/// What a candidate is as good as: itself (when a form) and every form that it hits.
pub(super) struct Backing<'a> {
    own: Option<u32>,
    /// Rising.
    kin: Cow<'a, [u32]>,
}

impl Backing<'_> {
    pub(super) fn contains(&self, form: u32) -> bool {
        self.own == Some(form) || self.kin.binary_search(&form).is_ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.own.is_none() && self.kin.is_empty()
    }

    /// Every form of it once.
    pub(super) fn forms(&self) -> impl Iterator<Item = u32> + '_ {
        self.own.into_iter().chain(self.kin.iter().copied().filter(|form| self.own != Some(*form)))
    }

    /// The only form of it, where there is but one.
    pub(super) fn alone(&self) -> Option<u32> {
        self.own.filter(|_| self.kin.is_empty())
    }
}

/// One member of the pool.
struct Member<'a> {
    form: Option<u32>,
    text: &'a str,
    backing: Backing<'a>,
}

/// A candidate with its numbers, for whoever fits the shipped weights.
#[derive(Clone, Debug)]
pub struct Described {
    /// The words.
    pub text: String,
    /// Its numbers.
    pub features: [f64; rank::FEATURES],
}

/// A candidate in its place.
pub(super) struct Ranked<'a> {
    /// The form, where it is one.
    pub(super) form: Option<u32>,
    /// The words.
    pub(super) text: &'a str,
    /// What the pool is ordered by.
    pub(super) order: f64,
    /// The first guess.
    pub(super) raw: f64,
    pub(super) backing: Backing<'a>,
}

/// The lower bound (Wilson, one-sided 0.1) of how often the closest situations were answered with a candidate or its
/// kin; 0 below [`AGREEING`] of them.
fn agreement(closest: &[u32], backing: &Backing<'_>) -> f64 {
    let agree = closest.iter().filter(|form| backing.contains(**form)).count();
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
    pub fn pool(&self, query: &Query<'_>) -> Vec<Described> {
        let view = self.view(query);
        let judged = self.members(&view).into_iter().map(|member| {
            let (features, ranked) = self.judged(member, &view);
            (Described { text: ranked.text.to_owned(), features }, ranked)
        });
        let mut judged: Vec<(Described, Ranked<'_>)> = judged.collect();
        judged.sort_by(|a, b| best_first(&a.1, &b.1));
        judged.into_iter().map(|(described, _)| described).collect()
    }

    /// The pool, sorted.
    pub(super) fn rank<'a>(&'a self, view: &View) -> Vec<Ranked<'a>> {
        let members = self.members(view).into_iter();
        let mut ranked: Vec<Ranked<'a>> = members.map(|member| self.judged(member, view).1).collect();
        ranked.sort_by(best_first);
        ranked
    }

    fn judged<'a>(&self, member: Member<'a>, view: &View) -> ([f64; rank::FEATURES], Ranked<'a>) {
        let mut features = rank::features(&self.facts(&member, view), &view.setting);
        if let Some(part) = self.without {
            part.silence(&mut features);
        }
        let shipped = self.weights.guess(&features);
        // Where like situations agree by themselves, that outweighs what holds for people in general.
        let heard = self.without != Some(Part::Agreement);
        let agreed = view.closest.iter().filter(|_| heard).map(|forms| agreement(forms, &member.backing));
        let raw = agreed.fold(shipped, f64::max);
        let order = self.weights.order(&features) + logit(raw) - logit(shipped);
        let Member { form, text, backing } = member;
        (features, Ranked { form, text, order, raw, backing })
    }

    /// The pool: forms, then the stock phrases that the person has not used.
    fn members<'a>(&'a self, view: &View) -> Vec<Member<'a>> {
        let from = |part: Part| self.without != Some(part);
        let mut forms: Vec<u32> = Vec::new();
        if from(Part::Habits) {
            forms.extend(&self.leaders);
        }
        if from(Part::Alike) {
            let likes = view.similar.iter().flat_map(Numbers::iter);
            forms.extend(likes.filter_map(|(reply, _)| self.replies[reply as usize].form));
        }
        if from(Part::Recent) {
            let first = view.now.saturating_sub(u32::try_from(RECENT).unwrap_or(0));
            forms.extend((first..view.now).filter_map(|reply| self.replies[reply as usize].form));
        }
        if from(Part::Followers) {
            forms.extend(view.followers.by_form.iter().map(|(form, _)| form));
        }
        if from(Part::Openings) {
            let parts = forms.iter().filter_map(|id| self.habits.form(*id)).flat_map(|form| form.parts.iter().copied());
            let parts: Vec<u32> = parts.collect();
            forms.extend(parts);
        }
        forms.sort_unstable();
        forms.dedup();
        let known = forms.into_iter().filter_map(|id| {
            let form = self.habits.form(id)?;
            let backing = Backing { own: Some(id), kin: Cow::Borrowed(&form.kin) };
            Some(Member { form: Some(id), text: &form.text, backing })
        });
        known.chain(self.stock(view)).collect()
    }

    /// The phrases of people in general that this one has not used.
    fn stock<'a>(&'a self, view: &View) -> impl Iterator<Item = Member<'a>> {
        let offered = if self.without == Some(Part::Stock) { &[][..] } else { stock(&view.situation.tail) };
        let unused = offered.iter().filter(|phrase| self.habits.find(phrase).is_none());
        unused.map(|phrase| {
            let kin = Cow::Owned(self.habits.kin_of(&self.habits.numbers(phrase)));
            Member { form: None, text: phrase, backing: Backing { own: None, kin } }
        })
    }

    /// Mean token F1 of a candidate with the answers nearby, its own newest use left out.
    fn means(&self, member: &Member<'_>, view: &View, newest: Option<u32>) -> (f64, f64, f64) {
        let [tail, last, newest] = match member.form {
            Some(id) => view.nearby.means(self.habits.tokens_of(id), newest),
            None => view.nearby.means(&self.habits.numbers(member.text), newest),
        };
        (tail, last, newest)
    }

    fn facts(&self, member: &Member<'_>, view: &View) -> Facts {
        let form = member.form.and_then(|id| self.habits.form(id));
        let newest = form.and_then(|form| form.occurrences.last().copied());
        let age = newest.map_or(f64::from(view.now), |newest| f64::from(view.now - newest));
        let own = |slot: usize| member.form.and_then(|id| view.said[slot].get(id)).unwrap_or(0.0).max(0.0);
        // What the newest use itself adds is left out: a reply does not back itself.
        let newest_form = newest.and_then(|newest| self.replies[newest as usize].form);
        let backs_itself = newest_form.is_some_and(|form| member.backing.contains(form));
        let mass = |slot: usize, half_life: f64| {
            let sum: f64 = match member.form {
                Some(id) => self.habits.support(id, slot, view.now),
                None => member.backing.forms().map(|id| self.habits.mass(id, slot, view.now)).sum(),
            };
            let less = if backs_itself { (-age / half_life).exp2() } else { 0.0 };
            log_share(sum - less, view.totals[slot], 1.0)
        };
        let near = |slot: usize| {
            let less = newest
                .filter(|_| backs_itself)
                .and_then(|newest| Some(vote(view.similar[slot].get(newest)?, newest, view.now)));
            view.votes[slot].share(&member.backing, less.unwrap_or(0.0), 0.5)
        };
        let kind = view.situation.kind;
        let in_kind: f64 = match member.form {
            Some(id) => self.habits.kind_support(id, kind, view.now),
            None => member.backing.forms().map(|id| self.habits.kind_mass(id, kind, view.now)).sum(),
        };
        let place = newest.and_then(|newest| self.replies.get(newest as usize));
        Facts {
            age,
            length: form.map_or_else(
                || f64::from(u32::try_from(tokens(member.text).len()).unwrap_or(0)),
                |f| f64::from(f.length),
            ),
            similar: (own(0), own(1)),
            habit: (mass(0, 150.0), mass(1, 12.0)),
            near: (near(0), near(1)),
            in_kind: log_share(in_kind, view.kind_total, 1.0),
            follows: view.followers.share(&member.backing, 0.0, 1.0),
            in_session: place.is_some_and(|place| Some(place.session) == view.session),
            in_project: place.is_some_and(|place| Some(place.project) == view.project),
            like_last: member.form.zip(view.last).map_or(0.0, |(a, b)| self.habits.overlap(a, b)),
            contained: member.form.map_or(0.0, |id| view.spoken.share(self.habits.tokens_of(id))),
            count: form.map_or(0.0, |form| f64::from(form.count.max(1)).ln()),
            stock: form.is_none(),
            part: form.is_some_and(|form| form.count == 0),
            mean: self.means(member, view, newest),
        }
    }
}

/// By order, then by the newest form, then by the words.
fn best_first(a: &Ranked<'_>, b: &Ranked<'_>) -> Ordering {
    b.order.total_cmp(&a.order).then(b.form.cmp(&a.form)).then_with(|| a.text.cmp(b.text))
}
