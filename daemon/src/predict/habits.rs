//! What the person tends to say: every distinct reply once, how often, when last, and which replies are as good as it.
//!
//! Two replies are *kin* when one would count as a hit for the other (token F1 of at least one half). A candidate is
//! backed by all its kin, which is what ranking by expected hits needs.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::situation::{KINDS, Kind, MAX_REPLY_TOKENS, normal, tokens};

/// Kin kept for one form; the newest are kept.
pub const MAX_KIN: usize = 96;
/// Occurrences kept for one form; the newest are kept.
pub const MAX_OCCURRENCES: usize = 64;
/// Opening sentences of a longer reply that become forms of their own.
const MAX_PARTS: usize = 2;
/// The longest such sentence, in tokens.
const MAX_PART_TOKENS: usize = 25;
/// Forms read for one token when kin are looked for; the newest are read.
const MAX_TOKEN_FORMS: usize = 2_000;
/// Distinct tokens of a reply that are looked up for kin; the rarest are.
const MAX_LOOKUPS: usize = 48;
/// Half-lives of the two masses, in replies.
const HALF_LIVES: [f64; 2] = [150.0, 12.0];

/// A mass that halves with every so many replies.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Mass {
    value: f64,
    at: u32,
}

impl Mass {
    fn at(self, now: u32, half_life: f64) -> f64 {
        self.value * (-f64::from(now.saturating_sub(self.at)) / half_life).exp2()
    }

    fn add(&mut self, now: u32, half_life: f64, weight: f64) {
        self.value = self.at(now, half_life) + weight;
        self.at = now;
    }
}

/// Masses by kind of situation; most forms have few or none.
#[derive(Debug, Default, Serialize, Deserialize)]
struct ByKind(Vec<(Kind, Mass)>);

impl ByKind {
    fn at(&self, kind: Kind, now: u32) -> f64 {
        let mass = self.0.iter().find(|(known, _)| *known == kind);
        mass.map_or(0.0, |(_, mass)| mass.at(now, HALF_LIVES[0]))
    }

    fn add(&mut self, kind: Kind, now: u32, weight: f64) {
        match self.0.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, mass)) => mass.add(now, HALF_LIVES[0], weight),
            None => self.0.push((kind, Mass { value: weight, at: now })),
        }
    }
}

/// One distinct reply.
#[derive(Debug, Serialize, Deserialize)]
pub struct Form {
    /// The newest wording.
    pub text: String,
    /// Token numbers, sorted, repeats kept.
    tokens: Vec<u32>,
    /// Tokens in the reply, uncut.
    pub length: u32,
    /// Forms that hit this one, itself not among them.
    pub kin: Vec<u32>,
    /// Numbers of the newest replies that are this form or open with it, rising.
    pub occurrences: Vec<u32>,
    /// Replies of just this form; 0 where it only ever was a part.
    pub count: u32,
    /// Forms that its replies open with.
    pub parts: Vec<u32>,
    masses: [Mass; 2],
    /// Masses of itself and its kin.
    support: [Mass; 2],
    kind_support: ByKind,
    kinds: ByKind,
}

impl Form {
    fn note(&mut self, reply: u32) {
        if self.occurrences.last() == Some(&reply) {
            return;
        }
        if self.occurrences.len() == MAX_OCCURRENCES {
            self.occurrences.remove(0);
        }
        self.occurrences.push(reply);
    }
}

/// Every distinct reply of one person.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(from = "Kept")]
pub struct Habits {
    forms: Vec<Form>,
    by_normal: HashMap<String, u32>,
    vocabulary: HashMap<String, u32>,
    /// For each token the forms with it, rising.
    #[serde(skip)]
    by_token: Vec<Vec<u32>>,
    /// For each form how many of its tokens are compared.
    #[serde(skip)]
    lengths: Vec<u32>,
    totals: [Mass; 2],
    kind_totals: [Mass; KINDS],
    letters: usize,
}

/// What is kept of [`Habits`]: what follows from the forms is worked out anew.
#[derive(Deserialize)]
struct Kept {
    forms: Vec<Form>,
    by_normal: HashMap<String, u32>,
    vocabulary: HashMap<String, u32>,
    totals: [Mass; 2],
    kind_totals: [Mass; KINDS],
    letters: usize,
}

impl From<Kept> for Habits {
    fn from(kept: Kept) -> Self {
        let Kept { forms, by_normal, vocabulary, totals, kind_totals, letters } = kept;
        let mut by_token = vec![Vec::new(); vocabulary.len()];
        for (id, form) in (0..).zip(&forms) {
            file(&mut by_token, id, &form.tokens);
        }
        let lengths = forms.iter().map(|form| narrow(form.tokens.len())).collect();
        Self { forms, by_normal, vocabulary, by_token, lengths, totals, kind_totals, letters }
    }
}

/// Notes a form under each of its tokens.
fn file(by_token: &mut [Vec<u32>], id: u32, sorted: &[u32]) {
    for run in sorted.chunk_by(|a, b| a == b) {
        if let Some(forms) = by_token.get_mut(run[0] as usize) {
            forms.push(id);
        }
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// How many tokens two sorted lists share, repeats counted.
fn common(a: &[u32], b: &[u32]) -> usize {
    let (mut i, mut j, mut shared) = (0, 0, 0);
    // Without branches on the order, which no processor can guess.
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        shared += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    shared
}

/// Token F1 of two sorted lists.
#[allow(clippy::cast_precision_loss)]
fn overlap(a: &[u32], b: &[u32]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    2.0 * common(a, b) as f64 / (a.len() + b.len()) as f64
}

impl Habits {
    /// How many distinct replies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.forms.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// One form.
    #[must_use]
    pub fn form(&self, id: u32) -> Option<&Form> {
        self.forms.get(id as usize)
    }

    /// The form of a reply, where the person has used it.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<u32> {
        self.by_normal.get(&normal(text)).copied()
    }

    /// Counts one reply; `None` where it has no words.
    pub fn add(&mut self, reply: u32, text: &str, kind: Option<Kind>) -> Option<u32> {
        let key = normal(text);
        if key.is_empty() {
            return None;
        }
        let id = match self.by_normal.get(&key) {
            Some(id) => *id,
            None => self.create(key, text, reply),
        };
        let form = self.forms.get_mut(id as usize)?;
        if form.text != text {
            text.clone_into(&mut form.text);
        }
        form.count += 1;
        form.note(reply);
        for (slot, half_life) in HALF_LIVES.into_iter().enumerate() {
            form.masses[slot].add(reply, half_life, 1.0);
            form.support[slot].add(reply, half_life, 1.0);
            self.totals[slot].add(reply, half_life, 1.0);
        }
        if let Some(kind) = kind {
            form.kinds.add(kind, reply, 1.0);
            form.kind_support.add(kind, reply, 1.0);
            self.kind_totals[kind.index()].add(reply, HALF_LIVES[0], 1.0);
        }
        let (kin, first) = (form.kin.clone(), form.count == 1);
        for other in kin {
            if let Some(other) = self.forms.get_mut(other as usize) {
                for (slot, half_life) in HALF_LIVES.into_iter().enumerate() {
                    other.support[slot].add(reply, half_life, 1.0);
                }
                if let Some(kind) = kind {
                    other.kind_support.add(kind, reply, 1.0);
                }
            }
        }
        if first {
            self.split(id, reply, text);
        }
        let parts = self.forms[id as usize].parts.clone();
        for part in parts {
            self.forms[part as usize].note(reply);
        }
        Some(id)
    }

    /// Makes forms of the sentences that a longer reply opens with.
    fn split(&mut self, id: u32, reply: u32, text: &str) {
        let whole = normal(text);
        let sentences = text.split(['.', '?', '!', '\n', '。', '？', '！']).map(str::trim);
        let opening: Vec<&str> = sentences.filter(|part| !normal(part).is_empty()).take(MAX_PARTS).collect();
        for part in opening {
            let key = normal(part);
            if key == whole || tokens(part).len() > MAX_PART_TOKENS {
                continue;
            }
            let part = match self.by_normal.get(&key) {
                Some(part) => *part,
                None => self.create(key, part, reply),
            };
            if !self.forms[id as usize].parts.contains(&part) {
                self.forms[id as usize].parts.push(part);
            }
        }
    }

    fn create(&mut self, key: String, text: &str, now: u32) -> u32 {
        let mut words = tokens(text);
        let length = u32::try_from(words.len()).unwrap_or(u32::MAX);
        words.truncate(MAX_REPLY_TOKENS);
        let mut numbers: Vec<u32> = words.iter().map(|word| self.number(word)).collect();
        numbers.sort_unstable();
        let id = u32::try_from(self.forms.len()).unwrap_or(u32::MAX);
        let kin = self.kin_of(&numbers);
        for &other in &kin {
            if let Some(other) = self.forms.get_mut(other as usize) {
                if other.kin.len() == MAX_KIN {
                    other.kin.remove(0);
                }
                other.kin.push(id);
            }
        }
        let mut support = <[Mass; 2]>::default();
        for (slot, half_life) in HALF_LIVES.into_iter().enumerate() {
            let value = kin.iter().map(|other| self.mass(*other, slot, now)).sum();
            support[slot].add(now, half_life, value);
        }
        let mut kind_support = ByKind::default();
        for (kind, mass) in kin.iter().filter_map(|other| self.form(*other)).flat_map(|form| &form.kinds.0) {
            kind_support.add(*kind, now, mass.at(now, HALF_LIVES[0]));
        }
        file(&mut self.by_token, id, &numbers);
        self.lengths.push(narrow(numbers.len()));
        self.letters += key.len() + text.len() + numbers.len() * 8;
        self.by_normal.insert(key, id);
        self.forms.push(Form {
            text: text.to_owned(),
            tokens: numbers,
            length,
            kin,
            occurrences: Vec::new(),
            count: 0,
            parts: Vec::new(),
            masses: <[Mass; 2]>::default(),
            support,
            kind_support,
            kinds: ByKind::default(),
        });
        id
    }

    fn number(&mut self, word: &str) -> u32 {
        if let Some(number) = self.vocabulary.get(word) {
            return *number;
        }
        let number = u32::try_from(self.by_token.len()).unwrap_or(u32::MAX);
        self.vocabulary.insert(word.to_owned(), number);
        self.by_token.push(Vec::new());
        self.letters += word.len() + 64;
        number
    }

    /// The token numbers of a text that may be new; unknown words become numbers that no form has.
    #[must_use]
    pub fn numbers(&self, text: &str) -> Vec<u32> {
        let mut strange = u32::MAX;
        let mut words = tokens(text);
        words.truncate(MAX_REPLY_TOKENS);
        let mut numbers: Vec<u32> = words
            .iter()
            .map(|word| {
                self.vocabulary.get(word).copied().unwrap_or_else(|| {
                    strange -= 1;
                    strange
                })
            })
            .collect();
        numbers.sort_unstable();
        numbers
    }

    /// The forms that a reply of these tokens would hit, rising.
    #[must_use]
    pub fn kin_of(&self, numbers: &[u32]) -> Vec<u32> {
        let mut kin: Vec<u32> = self
            .sharing(numbers)
            .into_iter()
            .rev()
            .filter(|id| self.forms.get(*id as usize).is_some_and(|form| alike(&form.tokens, numbers)))
            .take(MAX_KIN)
            .collect();
        kin.reverse();
        kin
    }

    /// The forms that have a telling token and may share enough of the others, rising.
    fn sharing(&self, numbers: &[u32]) -> Vec<u32> {
        let lengths = narrow(numbers.len().div_ceil(3))..=narrow(numbers.len() * 3);
        let mut hits = vec![0_u8; self.forms.len()];
        let (mut found, mut starts) = (Vec::new(), Vec::new());
        for number in self.telling(numbers) {
            let forms = &self.by_token[number as usize];
            let unread = forms.len().saturating_sub(MAX_TOKEN_FORMS);
            starts.push(if unread == 0 { 0 } else { forms[unread] });
            for &form in &forms[unread..] {
                if lengths.contains(&self.lengths[form as usize]) {
                    if hits[form as usize] == 0 {
                        found.push(form);
                    }
                    hits[form as usize] += 1;
                }
            }
        }
        starts.sort_unstable();
        // Most share one common token and nothing else: those are dropped before their tokens are compared. A form does not
        // have the token of a list that was read from before the form on and does not hold it.
        found.retain(|form| {
            let reaching = starts.partition_point(|start| start <= form);
            let shared = numbers.len() - (reaching - usize::from(hits[*form as usize]));
            4 * shared >= numbers.len() + self.lengths[*form as usize] as usize
        });
        found.sort_unstable();
        found
    }

    /// The tokens of which a kin must have at least one: kin share at least a third of the tokens, so the most common
    /// third need not be looked up.
    fn telling(&self, numbers: &[u32]) -> Vec<u32> {
        let known = |number: &u32| self.by_token.get(*number as usize).map_or(0, Vec::len);
        let mut rarest = numbers.to_vec();
        rarest.sort_unstable_by_key(|number| (known(number), *number));
        rarest.truncate(numbers.len() - numbers.len().div_ceil(3) + 1);
        rarest.dedup();
        rarest.retain(|number| known(number) > 0);
        rarest.truncate(MAX_LOOKUPS);
        rarest
    }

    /// Whether one form would count as a hit for another.
    #[must_use]
    pub fn are_kin(&self, a: u32, b: u32) -> bool {
        self.overlap(a, b) >= 0.5
    }

    /// Token F1 of two forms.
    #[must_use]
    pub fn overlap(&self, a: u32, b: u32) -> f64 {
        match (self.form(a), self.form(b)) {
            (Some(a), Some(b)) => overlap(&a.tokens, &b.tokens),
            _ => 0.0,
        }
    }

    /// How many different tokens there are.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.by_token.len()
    }

    /// The numbers of those of the first few words that the person has used, in no order.
    #[must_use]
    pub fn known(&self, words: &[String]) -> Vec<u32> {
        words.iter().take(MAX_REPLY_TOKENS).filter_map(|word| self.vocabulary.get(word).copied()).collect()
    }

    /// Mass of one form now: slow (0) or fast (1).
    #[must_use]
    pub fn mass(&self, id: u32, slot: usize, now: u32) -> f64 {
        self.form(id).map_or(0.0, |form| form.masses[slot].at(now, HALF_LIVES[slot]))
    }

    /// Mass of a form and its kin now: slow (0) or fast (1).
    #[must_use]
    pub fn support(&self, id: u32, slot: usize, now: u32) -> f64 {
        self.form(id).map_or(0.0, |form| form.support[slot].at(now, HALF_LIVES[slot]))
    }

    /// Mass of all replies now: slow (0) or fast (1).
    #[must_use]
    pub fn total(&self, slot: usize, now: u32) -> f64 {
        self.totals[slot].at(now, HALF_LIVES[slot])
    }

    /// Mass of one form in a kind of situation.
    #[must_use]
    pub fn kind_mass(&self, id: u32, kind: Kind, now: u32) -> f64 {
        self.form(id).map_or(0.0, |form| form.kinds.at(kind, now))
    }

    /// Mass of a form and its kin in a kind of situation.
    #[must_use]
    pub fn kind_support(&self, id: u32, kind: Kind, now: u32) -> f64 {
        self.form(id).map_or(0.0, |form| form.kind_support.at(kind, now))
    }

    /// Mass of all replies in a kind of situation.
    #[must_use]
    pub fn kind_total(&self, kind: Kind, now: u32) -> f64 {
        self.kind_totals[kind.index()].at(now, HALF_LIVES[0])
    }

    /// Mean token F1 of a form with others, by their weights: what `nearby` works out at once.
    #[cfg(test)]
    pub(super) fn mean_overlap(&self, numbers: &[u32], others: &[(u32, f64)]) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for (other, weight) in others {
            if let Some(form) = self.form(*other) {
                let (short, long) = (form.tokens.len().min(numbers.len()), form.tokens.len().max(numbers.len()));
                // Lengths this far apart cannot hit, and long replies are dear to compare.
                let near = long <= 3 * short;
                sum += if near { weight * overlap(numbers, &form.tokens) } else { 0.0 };
                total += weight;
            }
        }
        if total > 0.0 { sum / total } else { 0.0 }
    }

    /// The token numbers of a form.
    #[must_use]
    pub fn tokens_of(&self, id: u32) -> &[u32] {
        self.form(id).map_or(&[], |form| &form.tokens)
    }

    /// Estimated bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let lists: usize = self.forms.len() * (std::mem::size_of::<Form>() + 96);
        lists + self.letters
    }
}

/// Token F1 of at least one half, with the lengths looked at first.
fn alike(a: &[u32], b: &[u32]) -> bool {
    let (short, long) = (a.len().min(b.len()), a.len().max(b.len()));
    long <= 3 * short && 4 * common(a, b) >= short + long
}

#[cfg(test)]
mod tests {
    use super::*;

    fn habits(replies: &[&str]) -> Habits {
        let mut habits = Habits::default();
        for (at, reply) in replies.iter().enumerate() {
            habits.add(u32::try_from(at).unwrap_or(0), reply, Some(Kind::Offer));
        }
        habits
    }

    #[test]
    fn one_normal_form_is_one_form_in_the_newest_words() {
        let habits = habits(&["yes please", "Yes, please!", "no"]);
        assert_eq!(habits.len(), 2);
        let form = habits.find("YES PLEASE").and_then(|id| habits.form(id)).map(|form| (form.text.clone(), form.count));
        assert_eq!(form, Some(("Yes, please!".to_owned(), 2)));
        assert_eq!(Habits::default().add(0, "?!", None), None);
    }

    #[test]
    fn kin_are_exactly_what_a_hit_is() {
        let replies = ["a b c d", "a b x y", "a x y z", "a", "a b", "q", "a a a b", "b c d e f g h", "好 的", "好"];
        let habits = habits(&replies);
        for one in replies {
            for other in replies {
                let (a, b) = (habits.find(one).unwrap_or(99), habits.find(other).unwrap_or(99));
                let expected = super::super::situation::hit(one, other);
                assert_eq!(habits.are_kin(a, b), expected, "{one} | {other}");
                let listed = a == b || habits.form(a).is_some_and(|form| form.kin.contains(&b));
                assert_eq!(listed, expected, "{one} | {other}");
            }
        }
    }

    /// Kin as they are defined: the newest that are alike, of the newest forms of each telling token.
    fn kin_plainly(habits: &Habits, numbers: &[u32]) -> Vec<u32> {
        let mut found = std::collections::BTreeSet::new();
        for number in habits.telling(numbers) {
            let with = |id: &u32| habits.tokens_of(*id).contains(&number);
            let forms = (0..narrow(habits.len())).rev().filter(with).take(MAX_TOKEN_FORMS);
            found.extend(forms.filter(|id| alike(habits.tokens_of(*id), numbers)));
        }
        let skipped = found.len().saturating_sub(MAX_KIN);
        found.into_iter().skip(skipped).collect()
    }

    #[test]
    fn counting_finds_the_kin_that_comparing_with_all_finds() {
        let reply = |seed: u32| -> String {
            let words = 1 + seed.wrapping_mul(2_654_435_761) % 13;
            let word = |at: u32| (seed * 31 + at * (seed % 7 + 3)) % (4 << (seed % 6));
            (0..words).map(|at| format!("common w{} ", word(at))).take(words as usize).collect()
        };
        let mut habits = Habits::default();
        for at in 0..5_000 {
            habits.add(at, &reply(at), None);
        }
        assert!(habits.by_token.iter().any(|forms| forms.len() > MAX_TOKEN_FORMS), "some lists must be cut");
        let mut full = 0;
        for seed in (0..5_000).step_by(83) {
            let numbers = habits.numbers(&reply(seed * 3 + 1));
            let kin = habits.kin_of(&numbers);
            full += usize::from(kin.len() == MAX_KIN);
            assert_eq!(kin, kin_plainly(&habits, &numbers), "{}", reply(seed * 3 + 1));
        }
        assert!(full > 0, "some must have more kin than are kept");
    }

    #[test]
    fn support_is_the_mass_of_a_form_and_its_kin() {
        let habits = habits(&["run it", "run it now", "stop", "run it", "run that"]);
        for id in 0..u32::try_from(habits.len()).unwrap_or(0) {
            let kin = habits.form(id).map_or(&[][..], |form| &form.kin);
            let sum: f64 = kin.iter().chain([&id]).map(|id| habits.mass(*id, 0, 9)).sum();
            assert!((habits.support(id, 0, 9) - sum).abs() < 1e-9, "{id}");
            let sum: f64 = kin.iter().chain([&id]).map(|id| habits.kind_mass(*id, Kind::Offer, 9)).sum();
            assert!((habits.kind_support(id, Kind::Offer, 9) - sum).abs() < 1e-9, "{id}");
        }
    }

    #[test]
    fn openings_of_longer_replies_are_forms_without_mass() {
        let habits = habits(&["Looks good. Now add the flag to the parser and test it."]);
        let part = habits.find("looks good").and_then(|id| Some((id, habits.form(id)?.count)));
        assert_eq!(part.map(|(_, count)| count), Some(0));
        assert_eq!(part.map(|(id, _)| habits.mass(id, 0, 1).to_bits()), Some(0.0_f64.to_bits()));
    }

    #[test]
    fn lists_are_bounded() {
        let mut habits = Habits::default();
        for at in 0..300_u32 {
            habits.add(at, "go", None);
            habits.add(at, &format!("go on{at} x"), None);
            habits.add(at, &format!("go x{at}"), None);
        }
        let form =
            habits.find("go").and_then(|id| habits.form(id)).map(|form| (form.occurrences.len(), form.kin.len()));
        assert_eq!(form, Some((MAX_OCCURRENCES, MAX_KIN)));
    }
}
