//! The embedded predictor: what the person said in like situations, in this session and in general.
//!
//! A bounded pool of candidates is gathered (answers to like situations, recent replies, habits, what followed the
//! last reply before, stock phrases), each is described by the numbers of [`rank`], and the best few that differ
//! from each other are returned.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use clone_schema::event::Origin;
use clone_schema::prediction::{Candidate, Cited, MAX_K, Weight};
use clone_schema::time::Timestamp;

use super::calibrate::{Curve, logit};
use super::continuation::{Continuation, Endings};
use super::habits::Habits;
use super::nearest::{Like, Nearest};
use super::rank::{self, Facts, Setting};
use super::situation::{Kind, Situation, tokens};

/// Like situations read by the whole tail.
const LIKE_TAIL: usize = 64;
/// Like situations read by the last words.
const LIKE_LAST: usize = 48;
/// Like situations that vote.
const VOTERS: usize = 25;
/// Recent replies in the pool.
const RECENT: usize = 60;
/// Habits in the pool.
const LEADERS: usize = 96;
/// Earlier uses of the last reply (and its kin) whose successors are read.
const FOLLOWED: usize = 128;
/// Like situations, and newest replies, whose answers each candidate is compared with word by word.
const NEARBY: usize = 16;
/// Half-life of a vote, in replies.
const VOTE_HALF_LIFE: f64 = 150.0;
/// Events cited for one candidate.
const MAX_CITED: usize = 5;
/// From this similarity on a situation counts as like the present one.
const LIKE_ENOUGH: f64 = 0.2;
/// Deviations below the estimate that the strict and the standard lower bound lie.
pub const STRICT: f64 = 1.28;
/// See [`STRICT`].
pub const STANDARD: f64 = 0.84;

/// One thing an agent said and what the person replied.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The event id of the person's reply.
    pub reply_id: String,
    /// The event id of the agent's block.
    pub prompt_id: Option<String>,
    /// The session.
    pub session_id: String,
    /// The agent's name.
    pub agent: String,
    /// The project, where known.
    pub project: Option<String>,
    /// When the person replied.
    pub at: Timestamp,
    /// What the agent said last; empty where the person spoke first.
    pub agent_text: String,
    /// What the person typed.
    pub reply: String,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The agent's name.
    pub agent: &'a str,
    /// The agent's last text, or a client's whole document.
    pub agent_input: &'a str,
    /// The session, where the caller names one.
    pub session_id: Option<&'a str>,
    /// The project, where known.
    pub project: Option<&'a str>,
    /// Candidates wanted, 1 to [`MAX_K`].
    pub k: usize,
    /// When it is asked.
    pub at: Timestamp,
}

/// What became of an answer, by a person's word or by what they typed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    /// The raw number of the first candidate.
    pub raw: f64,
    /// The kind of situation it was given in.
    pub kind: Kind,
    /// Whether the first candidate was a hit.
    pub hit: bool,
    /// 1 for a plain outcome, less for a doubtful one.
    pub weight: f64,
}

/// Ranked candidates, before anyone decides on them.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Best first; `confidence` is still 0 in each.
    pub candidates: Vec<Candidate>,
    /// What stands behind the first.
    pub weight: Weight,
    /// The lower bound at the standard gate ([`Weight::lower`] is the strict one).
    pub lower_standard: f64,
    /// Labels that were given for raw numbers at least as high.
    pub peers: u32,
    /// What the agent did last.
    pub kind: Kind,
    /// Nothing of the person's own fits.
    pub abstained: bool,
}

#[derive(Debug)]
struct Reply {
    id: String,
    form: Option<u32>,
    session: u32,
    project: u32,
    /// The reply after this one in its session.
    next: Option<u32>,
}

#[derive(Debug, Default)]
struct Thread {
    last: Option<u32>,
    replies: u32,
}

/// Learns pairs and answers queries; everything is in memory.
#[derive(Debug, Default)]
pub struct Predictor {
    replies: Vec<Reply>,
    tails: Nearest,
    lasts: Nearest,
    habits: Habits,
    leaders: Vec<u32>,
    sessions: HashMap<String, u32>,
    threads: Vec<Thread>,
    projects: HashMap<String, u32>,
    curve: Curve,
    endings: Endings,
    letters: usize,
}

fn number(map: &mut HashMap<String, u32>, name: &str) -> u32 {
    let next = u32::try_from(map.len()).unwrap_or(u32::MAX);
    match map.get(name) {
        Some(number) => *number,
        None => *map.entry(name.to_owned()).or_insert(next),
    }
}

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
    /// Itself (when a form) and every form it hits.
    backing: Vec<u32>,
}

/// What is worked out once for a query.
struct View {
    situation: Situation,
    setting: Setting,
    now: u32,
    session: Option<u32>,
    project: Option<u32>,
    last: Option<u32>,
    similar: [BTreeMap<u32, f64>; 2],
    votes: [Votes; 2],
    followers: Votes,
    /// Forms, weights and numbers of the answers to the most similar situations (tail, last words) and the newest.
    nearby: [Vec<(u32, f64, u32)>; 3],
    words: Vec<u32>,
}

/// Weighted votes for forms.
#[derive(Default)]
struct Votes {
    by_form: BTreeMap<u32, f64>,
    total: f64,
}

impl Votes {
    fn add(&mut self, form: u32, weight: f64) {
        *self.by_form.entry(form).or_insert(0.0) += weight;
        self.total += weight;
    }

    /// Log share of the votes, smoothed by as many votes as `doubt`.
    fn share(&self, backing: &[u32], less: f64, doubt: f64) -> f64 {
        let sum: f64 = backing.iter().filter_map(|form| self.by_form.get(form)).sum();
        log_share(sum - less, self.total, doubt)
    }
}

/// Log of a smoothed share: an unseen reply has about one chance in fifty of a doubt's mass.
fn log_share(part: f64, whole: f64, doubt: f64) -> f64 {
    ((part.max(0.0) + 0.02 * doubt) / (whole + doubt)).ln()
}

/// A candidate with its numbers, for whoever fits the shipped weights.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// The form, where it is one.
    form: Option<u32>,
    /// The number of the newest reply that said it.
    pub newest: Option<u32>,
    /// The words.
    pub text: String,
    /// Its numbers.
    pub features: [f64; rank::FEATURES],
    /// What the pool is ordered by.
    order: f64,
    /// The first guess.
    pub raw: f64,
    backing: Vec<u32>,
}

impl Predictor {
    /// Learns one pair.
    pub fn learn(&mut self, pair: &Pair) {
        let id = u32::try_from(self.replies.len()).unwrap_or(u32::MAX);
        let session = number(&mut self.sessions, &pair.session_id);
        let project = number(&mut self.projects, pair.project.as_deref().unwrap_or(&pair.agent));
        let spoken = !pair.agent_text.trim().is_empty();
        let situation = Situation::read(&pair.agent_text);
        let form = self.habits.add(id, &pair.reply, spoken.then_some(situation.kind));
        if spoken && form.is_some() {
            self.tails.add(id, &situation.tail);
            self.lasts.add(id, &situation.last);
        }
        if self.threads.len() <= session as usize {
            self.threads.resize_with(session as usize + 1, Thread::default);
        }
        if let Some(before) = self.before(Some(session)) {
            let before = &mut self.replies[before as usize];
            if before.next.is_none() {
                before.next = Some(id);
            }
        }
        let thread = &mut self.threads[session as usize];
        thread.last = Some(id);
        thread.replies += 1;
        if spoken {
            self.endings.replied(situation.kind);
        }
        self.letters += pair.reply_id.len() + 64;
        self.replies.push(Reply { id: pair.reply_id.clone(), form, session, project, next: None });
        if let Some(form) = form {
            let parts = self.habits.form(form).map_or_else(Vec::new, |form| form.parts.clone());
            for form in std::iter::once(form).chain(parts) {
                self.lead(form, id);
            }
        }
    }

    /// Learns that a session ended after an agent's block to which nobody replied.
    ///
    /// The session's next reply, should it be resumed, counts as a reply of its own.
    pub fn learn_end(&mut self, _session_id: &str, last_agent_text: &str) {
        if !last_agent_text.trim().is_empty() {
            self.endings.ended(Situation::read(last_agent_text).kind);
        }
    }

    /// Whether the person would reply again in this session.
    #[must_use]
    pub fn continuation(&self, query: &Query<'_>) -> Continuation {
        self.endings.answer(Situation::read(query.agent_input).kind)
    }

    /// Learns how an answer fared; only a person's own word, or what they typed, may come here.
    pub fn judge(&mut self, label: Label) {
        self.curve.add(label.raw, label.hit, label.weight);
    }

    /// How many pairs it has learned.
    #[must_use]
    pub fn len(&self) -> usize {
        self.replies.len()
    }

    /// Whether it has learned none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    /// Estimated bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let replies = self.replies.len() * std::mem::size_of::<Reply>() + self.letters;
        replies + self.tails.bytes() + self.lasts.bytes() + self.habits.bytes()
    }

    /// The reply before the next one: the session's last, else the last of all.
    fn before(&self, session: Option<u32>) -> Option<u32> {
        let in_session = session.and_then(|s| self.threads.get(s as usize)).and_then(|thread| thread.last);
        in_session.or_else(|| u32::try_from(self.replies.len()).ok()?.checked_sub(1))
    }

    /// Keeps the forms with the most mass at hand.
    fn lead(&mut self, form: u32, now: u32) {
        if self.leaders.contains(&form) {
            return;
        }
        self.leaders.push(form);
        if self.leaders.len() > LEADERS {
            let least = self
                .leaders
                .iter()
                .enumerate()
                .min_by(|a, b| self.habits.support(*a.1, 0, now).total_cmp(&self.habits.support(*b.1, 0, now)))
                .map(|(at, _)| at);
            if let Some(at) = least {
                self.leaders.swap_remove(at);
            }
        }
    }

    /// Ranked candidates for a query, from what is known now.
    #[must_use]
    pub fn answer(&self, query: &Query<'_>) -> Answer {
        let view = self.view(query);
        let ranked = self.rank(&view);
        let chosen = self.choose(ranked, query.k.clamp(1, MAX_K));
        self.finish(&view, &chosen)
    }

    /// Every candidate of the pool with its numbers, best first: what the shipped weights are fitted on.
    #[must_use]
    pub fn pool(&self, query: &Query<'_>) -> Vec<Ranked> {
        self.rank(&self.view(query))
    }

    fn view(&self, query: &Query<'_>) -> View {
        let situation = Situation::read(query.agent_input);
        let session = query.session_id.and_then(|name| self.sessions.get(name).copied());
        let now = u32::try_from(self.replies.len()).unwrap_or(u32::MAX);
        let last = self.before(session);
        let last_form = last.and_then(|last| self.replies.get(last as usize)).and_then(|reply| reply.form);
        let likes = [self.tails.like(&situation.tail, LIKE_TAIL), self.lasts.like(&situation.last, LIKE_LAST)];
        let thread = session.and_then(|s| self.threads.get(s as usize));
        View {
            setting: Setting {
                kind: situation.kind,
                last_length: last_form.and_then(|form| self.habits.form(form)).map_or(8.0, |f| f64::from(f.length)),
                position: thread.map_or(0.0, |thread| f64::from(thread.replies)),
                known: f64::from(now),
            },
            now,
            session,
            project: self.projects.get(query.project.unwrap_or(query.agent)).copied(),
            last: last_form,
            similar: [self.similar(&likes[0]), self.similar(&likes[1])],
            votes: [self.votes(&likes[0], now), self.votes(&likes[1], now)],
            nearby: [self.nearby(&likes[0], now), self.nearby(&likes[1], now), self.newest(now)],
            followers: self.followers(last_form, last, now),
            words: self.habits.numbers(&situation.tail.join(" ")),
            situation,
        }
    }

    /// Similarity by reply number.
    fn similar(&self, likes: &[Like]) -> BTreeMap<u32, f64> {
        likes.iter().map(|like| (like.item, like.similarity)).collect()
    }

    fn votes(&self, likes: &[Like], now: u32) -> Votes {
        let mut votes = Votes::default();
        for like in likes.iter().take(VOTERS) {
            if let Some(form) = self.replies[like.item as usize].form {
                votes.add(form, vote(like.similarity, like.item, now));
            }
        }
        votes
    }

    fn nearby(&self, likes: &[Like], now: u32) -> Vec<(u32, f64, u32)> {
        let likes = likes.iter().take(NEARBY);
        likes
            .filter_map(|like| {
                let form = self.replies[like.item as usize].form?;
                Some((form, vote(like.similarity, like.item, now), like.item))
            })
            .collect()
    }

    fn newest(&self, now: u32) -> Vec<(u32, f64, u32)> {
        let first = now.saturating_sub(u32::try_from(NEARBY).unwrap_or(0));
        (first..now).filter_map(|reply| Some((self.replies[reply as usize].form?, 1.0, reply))).collect()
    }

    /// What followed the last reply, and replies like it, before.
    fn followers(&self, last_form: Option<u32>, last: Option<u32>, now: u32) -> Votes {
        let mut votes = Votes::default();
        let Some(form) = last_form.and_then(|form| self.habits.form(form)) else { return votes };
        let mut used: Vec<u32> = form.occurrences.clone();
        for kin in &form.kin {
            used.extend(self.habits.form(*kin).map_or(&[][..], |kin| &kin.occurrences));
        }
        used.sort_unstable_by(|a, b| b.cmp(a));
        for reply in used.into_iter().filter(|reply| Some(*reply) != last).take(FOLLOWED) {
            let next = self.replies[reply as usize].next.and_then(|next| self.replies[next as usize].form);
            if let Some(next) = next {
                votes.add(next, vote(1.0, reply, now));
            }
        }
        votes
    }

    /// The pool, described and sorted.
    fn rank(&self, view: &View) -> Vec<Ranked> {
        let mut ranked: Vec<Ranked> = self
            .members(view)
            .into_iter()
            .map(|member| {
                let features = rank::features(&self.facts(&member, view), &view.setting);
                let (order, raw) = (rank::order(&features), rank::guess(&features));
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
            let backing = std::iter::once(id).chain(form.kin.iter().copied()).collect();
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

    fn facts(&self, member: &Member, view: &View) -> Facts {
        let form = member.form.and_then(|id| self.habits.form(id));
        let newest = form.and_then(|form| form.occurrences.last().copied());
        let age = newest.map_or(f64::from(view.now), |newest| f64::from(view.now - newest));
        let own = |map: &BTreeMap<u32, f64>| {
            let seen = form.map_or(&[][..], |form| &form.occurrences);
            seen.iter().filter_map(|reply| map.get(reply)).fold(0.0, |a: f64, b| a.max(*b))
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
        let stock_tokens = member.form.is_none().then(|| self.habits.numbers(&member.text)).unwrap_or_default();
        let own_tokens = member.form.map_or(stock_tokens.as_slice(), |id| self.habits.tokens_of(id));
        let others = |list: &[(u32, f64, u32)]| -> Vec<(u32, f64)> {
            list.iter()
                .filter(|(_, _, reply)| Some(*reply) != newest)
                .map(|(form, weight, _)| (*form, *weight))
                .collect()
        };
        let mean = |list: &[(u32, f64, u32)]| self.habits.mean_overlap(own_tokens, &others(list));
        let kind = view.situation.kind;
        let in_kind: f64 = member.backing.iter().map(|id| self.habits.kind_mass(*id, kind, view.now)).sum();
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
            mean: (mean(&view.nearby[0]), mean(&view.nearby[1]), mean(&view.nearby[2])),
        }
    }

    /// The best few: first those that would not hit each other, then, if room is left, the rest.
    fn choose(&self, ranked: Vec<Ranked>, k: usize) -> Vec<Ranked> {
        let mut chosen: Vec<Ranked> = Vec::new();
        let mut spare: Vec<Ranked> = Vec::new();
        for candidate in ranked {
            if chosen.len() == k {
                break;
            }
            let double = candidate.form.is_some_and(|form| chosen.iter().any(|other| other.backing.contains(&form)))
                || chosen.iter().any(|other| other.form.is_some_and(|form| candidate.backing.contains(&form)));
            if double { spare.push(candidate) } else { chosen.push(candidate) }
        }
        chosen.extend(spare);
        chosen.truncate(k);
        chosen.sort_by(|a, b| b.order.total_cmp(&a.order));
        chosen
    }

    fn finish(&self, view: &View, chosen: &[Ranked]) -> Answer {
        let mut left = 1.0;
        let mut candidates = Vec::with_capacity(chosen.len());
        for ranked in chosen {
            let ceiling = candidates.last().map_or(1.0, |last: &Candidate| last.probability);
            let probability = self.curve.probability(ranked.raw).min(left).min(ceiling);
            left = (left - probability).max(0.0);
            candidates.push(self.candidate(view, ranked, probability));
        }
        let first = chosen.first();
        let raw = first.map_or(0.0, |first| first.raw);
        let (n, agree) = first.map_or((0, 0), |first| self.agreement(view, first));
        let labels = self.curve.labels();
        Answer {
            weight: Weight { n, agree, lower: self.curve.lower(raw, STRICT), labels },
            lower_standard: self.curve.lower(raw, STANDARD),
            peers: u32::try_from(self.curve.peers(raw)).unwrap_or(u32::MAX),
            kind: view.situation.kind,
            abstained: first.is_none_or(|first| first.backing.is_empty()),
            candidates,
        }
    }

    /// How many like situations there are, and how many of them were answered with the candidate or its kin.
    fn agreement(&self, view: &View, ranked: &Ranked) -> (u32, u32) {
        let (mut n, mut agree) = (0, 0);
        for (reply, similarity) in &view.similar[0] {
            if *similarity >= LIKE_ENOUGH {
                n += 1;
                let form = self.replies[*reply as usize].form;
                agree += u32::from(form.is_some_and(|form| ranked.backing.contains(&form)));
            }
        }
        (n, agree)
    }

    fn candidate(&self, view: &View, ranked: &Ranked, probability: f64) -> Candidate {
        let mut cited: Vec<(u32, f64)> = Vec::new();
        for form in &ranked.backing {
            for reply in self.habits.form(*form).map_or(&[][..], |form| &form.occurrences) {
                let similarity = view.similar[0].get(reply).copied().unwrap_or(0.0);
                cited.push((*reply, similarity.max(view.similar[1].get(reply).copied().unwrap_or(0.0))));
            }
        }
        cited.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
        cited.truncate(MAX_CITED);
        Candidate {
            response: ranked.text.clone(),
            confidence: 0.0,
            probability,
            raw_confidence: ranked.raw,
            reasoning: self.reason(view, ranked, &cited),
            evidence: cited.into_iter().map(|(reply, similarity)| self.cite(reply, similarity)).collect(),
        }
    }

    fn cite(&self, reply: u32, similarity: f64) -> Cited {
        let id = self.replies[reply as usize].id.clone();
        Cited { id, origin: Origin::Typed, similarity: (similarity.min(1.0) * 1000.0).round() / 1000.0 }
    }

    fn reason(&self, view: &View, ranked: &Ranked, cited: &[(u32, f64)]) -> String {
        let kind = view.situation.kind.name();
        let Some(form) = ranked.form.and_then(|form| self.habits.form(form)) else {
            return format!("a common reply to a situation of kind `{kind}`; you have not used it yet");
        };
        let like = cited.iter().filter(|(_, similarity)| *similarity >= LIKE_ENOUGH).count();
        let times = if form.count == 1 { "once".to_owned() } else { format!("{} times", form.count) };
        format!("said {times}; {like} of its uses were in like situations; kind `{kind}`")
    }
}

/// The weight of a vote: like and recent.
fn vote(similarity: f64, reply: u32, now: u32) -> f64 {
    similarity * similarity * (-f64::from(now.saturating_sub(reply)) / VOTE_HALF_LIFE).exp2()
}

/// The log-odds of a raw number, for whoever stores labels.
#[must_use]
pub fn raw_logit(raw: f64) -> f64 {
    logit(raw)
}
