//! Three texts into one: what stood there, what Clone would write now, and what the person made of it.
//!
//! Front matter is merged key by key and everything else line by line. Where both changed the same line the person's
//! stands, and nothing that a person wrote is ever left out. What Clone would have written instead is reported as a
//! [`Conflict`], never put into the note.
//!
//! Two additions at one place are no conflict (ours come first), nor is an addition within lines that the other side
//! rewrote: both stand.

use std::ops::Range;

use crate::document::{Document, Header};
use crate::front_matter::{Entry, Value};
use crate::lines::{Hunk, hunks, lines, words};

/// What came of a merge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// The text.
    pub text: String,
    /// Where the person's lines stand in the place of ours.
    pub conflicts: Vec<Conflict>,
}

/// A place that both sides changed, each to something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The line of the merged text at which the person's lines begin, counted from 1.
    pub line: usize,
    /// What Clone would have written; nothing where it would have taken the lines out.
    pub ours: String,
    /// What the person wrote, which stands; nothing where they took the lines out.
    pub theirs: String,
}

/// Merges what Clone would write now (`ours`) into what the person made (`theirs`) of an earlier text of ours (`base`).
#[must_use]
pub fn merge(base: &str, ours: &str, theirs: &str) -> Merged {
    if ours == base || ours == theirs {
        return Merged { text: theirs.to_owned(), conflicts: Vec::new() };
    }
    if theirs == base {
        return Merged { text: ours.to_owned(), conflicts: Vec::new() };
    }
    let documents = [base, ours, theirs].map(Document::parse);
    let mut out = Output::new(&documents[2]);
    let [base, ours, theirs] = &documents;
    match [base, ours, theirs].map(header) {
        [Some(_), Some(_), Some(span)] => {
            out.person(&theirs.text()[..span.start]);
            merge_header(&mut out, base, ours, (theirs, &span));
            out.person(&theirs.text()[span.end..theirs.body_start()]);
            merge_lines(&mut out, base.body(), ours.body(), theirs.body());
        }
        _ => merge_lines(&mut out, base.text(), ours.text(), theirs.text()),
    }
    Merged { text: out.text, conflicts: out.conflicts }
}

fn header(document: &Document) -> Option<Range<usize>> {
    match document.header() {
        Header::Read(span) => Some(span.clone()),
        _ => None,
    }
}

/// The merged text as it grows.
struct Output {
    text: String,
    lines: usize,
    ending: &'static str,
    conflicts: Vec<Conflict>,
}

impl Output {
    fn new(theirs: &Document) -> Self {
        Self { text: String::new(), lines: 0, ending: theirs.line_ending().as_str(), conflicts: Vec::new() }
    }

    /// Adds lines of the person's, byte for byte.
    fn person(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push_str(self.ending);
            self.lines += 1;
        }
        self.lines += text.matches('\n').count();
        self.text.push_str(text);
    }

    /// Adds lines of ours, which end as the person's do.
    fn ours(&mut self, text: &str) {
        for line in lines(text) {
            let words = words(line);
            let ending = if words.len() == line.len() { "" } else { self.ending };
            self.person(&format!("{words}{ending}"));
        }
    }

    /// Adds the person's lines in the place of ours.
    fn conflict(&mut self, ours: &str, theirs: &str) {
        let line = self.lines + 1;
        self.person(theirs);
        self.conflicts.push(Conflict { line, ours: ours.to_owned(), theirs: theirs.to_owned() });
    }
}

/// Whether two pieces of text have the same words in the same lines.
fn same(one: &str, other: &str) -> bool {
    one.lines().eq(other.lines())
}

fn merge_header(out: &mut Output, base: &Document, ours: &Document, (theirs, span): (&Document, &Range<usize>)) {
    let raw = |document: &Document, entry: &Entry| document.text()[entry.span.clone()].to_owned();
    let is_new = |entry: &&Entry| base.entry(&entry.key).is_none() && theirs.entry(&entry.key).is_none();
    let mut new: Vec<(Option<&str>, String)> = Vec::new();
    for (i, entry) in ours.entries().iter().enumerate().filter(|(_, entry)| is_new(entry)) {
        let before = ours.entries()[..i].iter().rev().find(|before| theirs.entry(&before.key).is_some());
        new.push((before.map(|before| before.key.as_str()), raw(ours, entry)));
    }
    let mut at = span.start;
    for entry in theirs.entries() {
        out.person(&theirs.text()[at..entry.span.start]);
        at = entry.span.end;
        let known = [base, ours].map(|document| document.entry(&entry.key).map(|entry| raw(document, entry)));
        let [known, wanted] = known;
        let written = raw(theirs, entry);
        let is_first = theirs.entry(&entry.key).is_some_and(|first| first.span == entry.span);
        match (&known, &wanted) {
            // A second entry of one key is the person's.
            _ if !is_first => out.person(&written),
            (Some(known), None) if same(known, &written) => {}
            (Some(known), Some(wanted)) if same(known, &written) => replace(out, wanted, &written),
            (known, Some(wanted)) if is_contested(known.as_deref(), wanted, &written, (base, ours, entry)) => {
                out.conflict(wanted, &written);
            }
            _ => out.person(&written),
        }
        for (_, line) in new.iter().filter(|(before, _)| is_first && *before == Some(&entry.key)) {
            out.ours(line);
        }
    }
    out.person(&theirs.text()[at..span.end]);
    new.iter().filter(|(before, _)| before.is_none()).for_each(|(_, line)| out.ours(line));
}

/// Puts our lines in the place of equal ones of the person's, whose bytes stay where nothing changed.
fn replace(out: &mut Output, ours: &str, theirs: &str) {
    if same(ours, theirs) { out.person(theirs) } else { out.ours(ours) }
}

/// Whether both sides gave a key another value; a value that was only written in another way is none.
fn is_contested(
    known: Option<&str>,
    wanted: &str,
    written: &str,
    (base, ours, entry): (&Document, &Document, &Entry),
) -> bool {
    let (before, now) = (base.value(&entry.key), ours.value(&entry.key));
    let changed = known.is_none_or(|known| !same(known, wanted)) && !is_same(before, now);
    let theirs = Some(&entry.value);
    changed && !same(wanted, written) && !is_same(now, theirs) && !is_same(before, theirs)
}

/// Whether two values say the same, however they are written; of text that is not understood only the bytes tell.
fn is_same(one: Option<&Value>, other: Option<&Value>) -> bool {
    match [one, other].map(|value| value.and_then(Value::as_list)) {
        [Some(one), Some(other)] => one == other,
        _ => one == other,
    }
}

/// The lines of the three sides, and how far the person's are written out.
struct Sides<'a> {
    base: Vec<&'a str>,
    ours: Vec<&'a str>,
    theirs: Vec<&'a str>,
    /// The next line of the base.
    at: usize,
    /// The next line of the person's.
    next: usize,
}

impl Sides<'_> {
    /// Writes out what the person left as it was, up to a line of the base.
    fn keep(&mut self, out: &mut Output, upto: usize) {
        let end = self.next + (upto - self.at);
        out.person(&self.theirs[self.next..end].concat());
        self.pass(upto, end);
    }

    /// Takes the sides as written out up to a line of the base and one of the person's.
    fn pass(&mut self, upto: usize, next: usize) {
        (self.at, self.next) = (upto, next);
    }
}

fn merge_lines(out: &mut Output, base: &str, ours: &str, theirs: &str) {
    let mut sides = Sides { base: lines(base), ours: lines(ours), theirs: lines(theirs), at: 0, next: 0 };
    let (mine, persons) = (hunks(&sides.base, &sides.ours), hunks(&sides.base, &sides.theirs));
    let (mut mine, mut persons) = (mine.as_slice(), persons.as_slice());
    loop {
        match (mine.first(), persons.first()) {
            (Some(one), Some(other)) if overlap(one, other) => {
                let (ours, theirs) = cluster(mine, persons);
                settle(out, &mut sides, &mine[..ours], &persons[..theirs]);
                (mine, persons) = (&mine[ours..], &persons[theirs..]);
            }
            (Some(one), other) if other.is_none_or(|other| is_before(one, other)) => {
                sides.keep(out, one.before.start);
                out.ours(&sides.ours[one.after.clone()].concat());
                sides.pass(one.before.end, sides.next + one.before.len());
                mine = &mine[1..];
            }
            (_, Some(one)) => {
                sides.keep(out, one.before.start);
                out.person(&sides.theirs[one.after.clone()].concat());
                sides.pass(one.before.end, one.after.end);
                persons = &persons[1..];
            }
            (_, None) => break,
        }
    }
    let end = sides.base.len();
    sides.keep(out, end);
}

/// Whether two changes of one base share a line of it, or add to the same place.
fn overlap(one: &Hunk, other: &Hunk) -> bool {
    let (a, b) = (&one.before, &other.before);
    match (a.is_empty(), b.is_empty()) {
        (true, true) => a.start == b.start,
        (true, false) => b.start < a.start && a.start < b.end,
        (false, true) => a.start < b.start && b.start < a.end,
        (false, false) => a.start < b.end && b.start < a.end,
    }
}

/// Whether a change of ours is written out before one of the person's that it does not overlap.
fn is_before(one: &Hunk, other: &Hunk) -> bool {
    let key = |hunk: &Hunk| (hunk.before.start, !hunk.only_adds());
    key(one) < key(other)
}

/// How many changes of each side hang together, from the first of each on.
fn cluster(mine: &[Hunk], persons: &[Hunk]) -> (usize, usize) {
    let (mut ours, mut theirs) = (1, 1);
    loop {
        let more = mine.get(ours).is_some_and(|next| persons[..theirs].iter().any(|one| overlap(next, one)));
        let others = persons.get(theirs).is_some_and(|next| mine[..ours].iter().any(|one| overlap(one, next)));
        if !more && !others {
            return (ours, theirs);
        }
        ours += usize::from(more);
        theirs += usize::from(others);
    }
}

/// Writes out changes of both sides that hang together.
fn settle(out: &mut Output, sides: &mut Sides<'_>, mine: &[Hunk], persons: &[Hunk]) {
    let [start, end] = [first(mine).min(first(persons)), last(mine).max(last(persons))];
    sides.keep(out, start);
    let ours = sides.ours[place(mine, start, end)].concat();
    let range = place(persons, start, end);
    let theirs = sides.theirs[range.clone()].concat();
    let added = |side: &[&str], hunks: &[Hunk]| -> String {
        hunks.iter().flat_map(|hunk| side[hunk.after.clone()].iter().copied()).collect()
    };
    if same(&ours, &theirs) {
        out.person(&theirs);
    } else if persons.iter().all(Hunk::only_adds) {
        // The base says which of the person's lines are their own: ours first, then those.
        out.ours(&ours);
        out.person(&added(&sides.theirs, persons));
    } else if mine.iter().all(Hunk::only_adds) && !theirs.is_empty() {
        out.person(&theirs);
        out.ours(&added(&sides.ours, mine));
    } else {
        out.conflict(&ours, &theirs);
    }
    sides.pass(end, range.end);
}

fn first(hunks: &[Hunk]) -> usize {
    hunks.first().map_or(0, |hunk| hunk.before.start)
}

fn last(hunks: &[Hunk]) -> usize {
    hunks.last().map_or(0, |hunk| hunk.before.end)
}

/// Where the lines `start..end` of the base are in a side whose changes within are these.
fn place(hunks: &[Hunk], start: usize, end: usize) -> Range<usize> {
    let (Some(head), Some(tail)) = (hunks.first(), hunks.last()) else { return 0..0 };
    head.after.start - (head.before.start - start)..tail.after.end + (end - tail.before.end)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn text(base: &str, ours: &str, theirs: &str) -> String {
        let merged = merge(base, ours, theirs);
        assert!(merged.conflicts.is_empty(), "{:?}", merged.conflicts);
        merged.text
    }

    #[test]
    fn both_sides_stand_where_they_do_not_meet() {
        let table = [
            ("far apart", "a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n", "A\nb\nC\n"),
            ("next to each other", "a\nb\n", "A\nb\n", "a\nB\n", "A\nB\n"),
            ("the same on both", "a\nb\n", "A\nb\n", "A\nb\nc\n", "A\nb\nc\n"),
            ("added at one place", "a\n", "a\nours\n", "a\ntheirs\n", "a\nours\ntheirs\n"),
            ("added where ours is rewritten", "a\nb\n", "A\nB\n", "a\nmine\nb\n", "A\nB\nmine\n"),
            ("added where theirs is rewritten", "a\nb\n", "a\nours\nb\n", "A\nB\n", "A\nB\nours\n"),
            ("no final newline", "a", "A\nb", "a\nmine", "A\nb\nmine"),
            ("line ends of the person", "a\nb\n", "A\nb\nc\n", "a\r\nb\r\nmine\r\n", "A\r\nb\r\nc\r\nmine\r\n"),
            ("taken out by each", "a\nb\nc\nd\n", "b\nc\nd\n", "a\nb\nc\n", "b\nc\n"),
            ("emptied by us, added to by the person", "a\n", "", "a\nmine\n", "mine\n"),
            ("unicode", "é\n日\n", "é\n日本\n", "e\u{301}\n日\n", "e\u{301}\n日本\n"),
        ];
        for (what, base, ours, theirs, expected) in table {
            assert_eq!(text(base, ours, theirs), expected, "{what}");
        }
    }

    #[test]
    fn the_persons_line_stands_and_ours_is_reported() {
        let merged = merge("a\nb\nc\n", "a\nours\nc\nd\n", "a\nmine\nc\n");
        assert_eq!(merged.text, "a\nmine\nc\nd\n");
        assert_eq!(merged.conflicts, [Conflict { line: 2, ours: "ours\n".into(), theirs: "mine\n".into() }]);
        let deleted = merge("a\nb\n", "a\nours\n", "a\n");
        assert_eq!((deleted.text.as_str(), deleted.conflicts.len()), ("a\n", 1));
    }

    #[test]
    fn front_matter_is_merged_key_by_key() {
        let base = "---\nid: f\ntext: old\nsupport: 1\nsessions: 1\n---\n\nold\n\nSeen 1.\n";
        let ours = "---\nid: f\ntext: old\nsupport: 2\ntier: strong\nsessions: 2\n---\n\nold\n\nSeen 2.\n";
        let theirs = "\u{feff}---\r\n# mine\r\nmood: good\r\nid: f\r\nsupport: 1\r\ntext: new # why\r\nsessions: 1\r\n---\r\n\r\nold\r\n\r\nSeen 1.\r\nMore.";
        assert_eq!(
            text(base, ours, theirs),
            "\u{feff}---\r\n# mine\r\nmood: good\r\nid: f\r\nsupport: 2\r\ntier: strong\r\ntext: new # why\r\nsessions: 2\r\n---\r\n\r\nold\r\n\r\nSeen 2.\r\nMore."
        );
        let gone =
            text(base, "---\nid: f\ntext: old\nsessions: 1\n---\nold\n", "---\nid: f\nsupport: 1\nx: 1\n---\nold\n");
        assert_eq!(gone, "---\nid: f\nx: 1\n---\nold\n", "what the person took out stays out, and so does what we do");
        let both = merge(base, &base.replace("old", "ours"), &base.replace("text: old", "text: mine"));
        assert!(both.text.contains("text: mine\n") && both.text.contains("\nours\n"), "{}", both.text);
        assert_eq!(both.conflicts.len(), 1);
        let rewritten = base.replace("text: old", "text: 'old'");
        assert_eq!(text(base, &base.replace("old", "ours"), &rewritten), rewritten.replace("\nold\n", "\nours\n"));
    }

    #[test]
    fn a_broken_header_is_merged_line_by_line() {
        let base = "---\nid: f\nn: 1\n---\nbody\n";
        let merged = merge(base, "---\nid: f\nn: 2\n---\nbody\nmore\n", "---\nid: f\nn: 1\nbody\n");
        assert_eq!((merged.text.as_str(), merged.conflicts.len()), ("---\nid: f\nn: 2\nbody\nmore\n", 0));
    }

    #[test]
    fn long_texts_and_long_lines_are_merged() {
        let line = "x".repeat(2 << 20);
        let base = format!("{line}\n{}", "same\n".repeat(100_000));
        let ours = format!("{base}ours\n");
        let theirs = format!("mine\n{base}");
        assert_eq!(text(&base, &ours, &theirs), format!("mine\n{base}ours\n"));
    }

    /// How often each line stands in a text.
    fn count(text: &str) -> HashMap<&str, usize> {
        let mut count = HashMap::new();
        lines(text).into_iter().for_each(|line| *count.entry(words(line)).or_default() += 1);
        count
    }

    const LINES: &[&str] =
        &["a", "b", "c", "d", "", "  ", "é", "日本", "- [[x]]", "text: a", "---", "Seen 1 of 2.", "<<<<<<< a"];
    const VALUES: &[&str] = &["a", "b", "c", "'a'", "[a, b]", "\n  - a\n  - b", "&x a", "a # b", ""];

    fn body() -> impl Strategy<Value = String> {
        let other = any::<String>().prop_map(|text| text.replace(['\n', '\r'], ""));
        let line = prop_oneof![12 => prop::sample::select(LINES).prop_map(str::to_owned), 1 => other];
        let ending = prop_oneof![6 => Just("\n"), 1 => Just("\r\n")];
        (prop::collection::vec((line, ending), 0..9), any::<bool>()).prop_map(|(lines, is_whole)| {
            let text: String = lines.iter().flat_map(|(line, ending)| [line.as_str(), ending]).collect();
            if is_whole { text } else { text.trim_end_matches(['\r', '\n']).to_owned() }
        })
    }

    fn note() -> impl Strategy<Value = String> {
        let header = (prop::sample::select(&["k", "l", "m", "n", "id", "text"][..]), prop::sample::select(VALUES));
        let header = prop::collection::vec(header, 0..6)
            .prop_map(|keys| keys.iter().map(|(key, value)| format!("{key}: {value}\n")).collect::<String>());
        let bom = prop_oneof![8 => Just(""), 1 => Just("\u{feff}")];
        prop_oneof![
            1 => body(),
            3 => (bom, header, body(), any::<bool>()).prop_map(|(bom, header, body, is_windows)| {
                let note = format!("{bom}---\n{header}---\n{body}");
                if is_windows { note.replace("\r\n", "\n").replace('\n', "\r\n") } else { note }
            }),
        ]
    }

    /// Every line that stands more often with the person than in the base stands as much more often in the result.
    fn lost(base: &str, theirs: &str, result: &str) -> Option<String> {
        let [base, theirs, result] = [base, theirs, result].map(count);
        let of = |counts: &HashMap<&str, usize>, line: &str| counts.get(line).copied().unwrap_or(0);
        let lost = theirs.iter().find(|(line, n)| of(&result, line) < n.saturating_sub(of(&base, line)));
        lost.map(|(line, _)| (*line).to_owned())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: cases(20_000), ..ProptestConfig::default() })]

        #[test]
        fn the_laws_of_merging_hold(base in note(), ours in note(), theirs in note()) {
            prop_assert_eq!(&merge(&base, &base, &theirs).text, &theirs);
            prop_assert_eq!(&merge(&base, &ours, &base).text, &ours);
            prop_assert_eq!(&merge(&base, &ours, &ours).text, &ours);
            let merged = merge(&base, &ours, &theirs);
            prop_assert_eq!(lost(&base, &theirs, &merged.text), None, "{:?}", merged.text);
            // Merged again over what it was merged with, nothing moves.
            prop_assert_eq!(&merge(&ours, &ours, &merged.text).text, &merged.text);
        }

    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: cases(4_000), ..ProptestConfig::default() })]

        #[test]
        fn without_short_cuts_the_persons_bytes_come_back(base in body(), theirs in body()) {
            let document = Document::parse(&theirs);
            let mut out = Output::new(&document);
            merge_lines(&mut out, &base, &base, &theirs);
            prop_assert_eq!(&out.text, &theirs);
        }

        #[test]
        fn what_both_left_alone_and_what_one_changed_stands(base in body(), ours in body(), theirs in body()) {
            let merged = merge(&base, &ours, &theirs);
            if merged.conflicts.is_empty() {
                prop_assert_eq!(lost(&base, &ours, &merged.text), None, "{:?}", merged.text);
            }
            for conflict in &merged.conflicts {
                let at = lines(&merged.text).into_iter().skip(conflict.line - 1).collect::<Vec<_>>().concat();
                prop_assert!(same(&at[..conflict.theirs.len().min(at.len())], &conflict.theirs), "{at:?} {conflict:?}");
            }
        }
    }

    /// How many cases of a law: these, or `MERGES`.
    fn cases(few: u32) -> u32 {
        std::env::var("MERGES").ok().and_then(|n| n.parse().ok()).unwrap_or(few)
    }
}
