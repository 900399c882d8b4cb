//! One tokenizer for English, code and the scripts that are written without spaces.
//!
//! Words are NFKC, lower case and lightly stemmed. An identifier or a path is kept whole and also cut into its pieces
//! (`parse_json`, `parseJson`, `src/main.rs`). Chinese, Japanese and Korean become single characters and pairs. The same
//! code runs over documents and over queries, so that neither side can drift.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::stem::{is_stop_word, stem};

/// The longest term in characters; the rest of a longer word is not looked at.
pub(super) const MAX_TERM_CHARS: usize = 64;
/// A run without a space longer than this many bytes is an encoded blob, and is not cut into pieces.
const MAX_WORD_BYTES: usize = 512;
/// How many punctuation characters may join two pieces of one word (`https://x` has three).
const MAX_JOINERS: usize = 3;

/// What a term stands for, for the choice of query terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word, an identifier, a piece of one, or a pair of characters.
    Word,
    /// A word that says nothing about what a text is about.
    Stop,
    /// One ideograph of a longer run: a word in its own right, but a weak one.
    Ideograph,
    /// One kana or syllable of a longer run: noise in a query, there so that a query of one character finds it.
    Syllable,
}

/// One term and where it begins, in bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub term: String,
    pub start: usize,
    pub end: usize,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Unspaced,
    Joiner,
    Gap,
}

/// Every term of the text, in order.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let (mut out, mut from) = (Vec::new(), 0);
    while let Some(end) = run(text, from, &mut out) {
        from = end;
    }
    out
}

/// The first term of the text that is wanted; what stands behind it is not read.
pub(super) fn first(text: &str, wanted: impl Fn(&Piece) -> bool) -> Option<Piece> {
    let (mut run_of, mut from) = (Vec::new(), 0);
    while let Some(end) = run(text, from, &mut run_of) {
        if let Some(found) = run_of.drain(..).find(&wanted) {
            return Some(found);
        }
        from = end;
    }
    None
}

/// The terms of the next word or run without spaces at or behind a place, and where it ends; none at the end.
fn run(text: &str, from: usize, out: &mut Vec<Piece>) -> Option<usize> {
    let is_start = |c: char| matches!(class(c), Class::Letter | Class::Unspaced);
    let from = from + text[from..].find(is_start)?;
    let rest = &text[from..];
    if rest.starts_with(unspaced) {
        let end = from + rest.find(|c| !unspaced(c)).unwrap_or(rest.len());
        grams(&text[from..end], from, out);
        Some(end)
    } else {
        let end = from + word_end(rest);
        word(&text[from..end], from, out);
        Some(end)
    }
}

fn class(c: char) -> Class {
    if unspaced(c) {
        Class::Unspaced
    } else if c.is_alphanumeric() || is_combining_mark(c) {
        Class::Letter
    } else if matches!(c, '_' | '-' | '.' | '/' | '\\' | ':' | '@' | '\'' | '’') {
        Class::Joiner
    } else {
        Class::Gap
    }
}

fn unspaced(c: char) -> bool {
    ideograph(c)
        || matches!(c,
            '\u{3041}'..='\u{3096}' | '\u{3099}'..='\u{309F}' | '\u{30A1}'..='\u{30FA}' | '\u{30FC}'..='\u{30FF}'
            | '\u{3105}'..='\u{312F}' | '\u{3131}'..='\u{318E}' | '\u{31A0}'..='\u{31FF}' | '\u{FF66}'..='\u{FFDC}'
            | '\u{1100}'..='\u{11FF}' | '\u{A960}'..='\u{A97C}' | '\u{AC00}'..='\u{D7FB}')
}

fn ideograph(c: char) -> bool {
    matches!(c, '\u{3005}'..='\u{3007}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Where the word that the text begins with ends; punctuation counts only between letters.
fn word_end(text: &str) -> usize {
    let (mut end, mut joiners) = (0, 0);
    for (at, c) in text.char_indices() {
        match class(c) {
            Class::Letter => (end, joiners) = (at + c.len_utf8(), 0),
            Class::Joiner if joiners < MAX_JOINERS => joiners += 1,
            _ => break,
        }
    }
    end
}

/// Compatibility form, lower case, without apostrophes, at most [`MAX_TERM_CHARS`].
fn normal(text: &str) -> String {
    if text.is_ascii() {
        return text.chars().filter(|c| *c != '\'').take(MAX_TERM_CHARS).map(|c| c.to_ascii_lowercase()).collect();
    }
    let kept = text.nfkc().flat_map(char::to_lowercase).filter(|c| !matches!(c, '\'' | '’'));
    kept.take(MAX_TERM_CHARS).collect()
}

fn word(text: &str, start: usize, out: &mut Vec<Piece>) {
    // Most words: nothing in them to cut, fold or leave out.
    if text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        let plain = &text[..text.len().min(MAX_TERM_CHARS)];
        let kind = if is_stop_word(plain) { Kind::Stop } else { Kind::Word };
        return out.push(Piece { term: stem(plain.to_owned()), start, end: start + text.len(), kind });
    }
    composed(text, start, out);
}

/// A word that may have parts.
fn composed(text: &str, start: usize, out: &mut Vec<Piece>) {
    let parts = if text.len() > MAX_WORD_BYTES { vec![(0, text)] } else { parts(text) };
    let span = |at: usize, part: &str| (start + at, start + at + part.len());
    if parts.len() > 1 && text.chars().count() <= MAX_TERM_CHARS {
        out.push(Piece { term: normal(text), start, end: start + text.len(), kind: Kind::Word });
    }
    for (at, part) in parts {
        let plain = normal(without_genitive(part));
        let kind = if is_stop_word(&plain) { Kind::Stop } else { Kind::Word };
        let (start, end) = span(at, part);
        if !plain.is_empty() {
            out.push(Piece { term: stem(plain), start, end, kind });
        }
    }
}

/// The word without a final `'s`.
fn without_genitive(word: &str) -> &str {
    ["'s", "’s"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word)
}

/// The pieces between punctuation and at the humps of camel case, each with its offset.
fn parts(text: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let mut from = 0;
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    for (i, &(at, c)) in chars.iter().enumerate() {
        if class(c) == Class::Joiner && !matches!(c, '\'' | '’') {
            out.push((from, &text[from..at]));
            from = at + c.len_utf8();
        } else if hump(&chars, i) {
            out.push((from, &text[from..at]));
            from = at;
        }
    }
    out.push((from, &text[from..]));
    out.retain(|(_, part)| !part.is_empty());
    out
}

/// Whether a new piece begins here: `parse|Json`, `HTTP|Server`.
fn hump(chars: &[(usize, char)], i: usize) -> bool {
    if i == 0 || !chars[i].1.is_uppercase() {
        return false;
    }
    let before = chars[i - 1].1;
    before.is_lowercase() || (before.is_uppercase() && chars.get(i + 1).is_some_and(|(_, c)| c.is_lowercase()))
}

/// Single characters and pairs of a run without spaces.
fn grams(text: &str, start: usize, out: &mut Vec<Piece>) {
    let chars: Vec<char> = text.nfkc().flat_map(char::to_lowercase).collect();
    let mut offsets: Vec<usize> = text.char_indices().map(|(at, _)| start + at).collect();
    if offsets.len() != chars.len() {
        // Composed characters: the run as a whole is near enough for a snippet.
        offsets = vec![start; chars.len()];
    }
    for (i, &c) in chars.iter().enumerate() {
        let kind = match (chars.len(), ideograph(c)) {
            (1, _) => Kind::Word,
            (_, true) => Kind::Ideograph,
            (_, false) => Kind::Syllable,
        };
        let end = offsets.get(i + 1).copied().unwrap_or(start + text.len());
        out.push(Piece { term: c.to_string(), start: offsets[i], end, kind });
        if let Some(&next) = chars.get(i + 1) {
            let end = offsets.get(i + 2).copied().unwrap_or(start + text.len());
            out.push(Piece { term: [c, next].iter().collect(), start: offsets[i], end, kind: Kind::Word });
        }
    }
}

/// The tokenizer as tantivy wants it.
#[derive(Clone, Default)]
pub(super) struct Terms;

/// The terms of one text, one by one.
pub(super) struct TermStream {
    rest: std::vec::IntoIter<Piece>,
    token: Token,
}

impl Tokenizer for Terms {
    type TokenStream<'a> = TermStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> TermStream {
        TermStream { rest: pieces(text).into_iter(), token: Token::default() }
    }
}

impl TokenStream for TermStream {
    fn advance(&mut self) -> bool {
        let Some(piece) = self.rest.next() else { return false };
        let position = self.token.position.wrapping_add(1);
        self.token =
            Token { offset_from: piece.start, offset_to: piece.end, position, text: piece.term, position_length: 1 };
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(text: &str) -> Vec<String> {
        pieces(text).into_iter().map(|piece| piece.term).collect()
    }

    #[test]
    fn terms_of_every_script() {
        let cases: &[(&str, &[&str])] = &[
            ("Running tests, please!", &["run", "test", "pleas"]),
            ("parse_json", &["parse_json", "pars", "json"]),
            ("parseJson HTTPServer", &["parsejson", "pars", "json", "httpserver", "http", "server"]),
            ("/usr/lib/main.rs.", &["usr/lib/main.rs", "usr", "lib", "main", "rs"]),
            ("std::fs", &["std::fs", "std", "fs"]),
            ("don't 'quote'", &["dont", "quot"]),
            ("James's Ann’s", &["jame", "ann"]),
            ("ＡＢＣ ｶﾞ", &["abc", "ガ"]),
            ("cafe\u{301}", &["café"]),
            ("東京都", &["東", "東京", "京", "京都", "都"]),
            ("猫", &["猫"]),
            ("한국어 test", &["한", "한국", "국", "국어", "어", "test"]),
            ("用git推送", &["用", "git", "推", "推送", "送"]),
            ("", &[]),
            ("--- ... ///", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(terms(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn a_blob_is_one_short_term() {
        let found = terms(&"aB".repeat(5_000));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].chars().count(), MAX_TERM_CHARS);
    }

    #[test]
    fn stop_words_are_marked() {
        let kinds: Vec<Kind> = pieces("the index").into_iter().map(|piece| piece.kind).collect();
        assert_eq!(kinds, [Kind::Stop, Kind::Word]);
    }

    /// The terms as they are found with all characters at hand and nothing taken for plain.
    fn slowly(text: &str) -> Vec<Piece> {
        let chars: Vec<(usize, char)> = text.char_indices().collect();
        let at = |i: usize| chars.get(i).map_or(text.len(), |(at, _)| *at);
        let (mut out, mut i) = (Vec::new(), 0);
        while i < chars.len() {
            let from = i;
            match class(chars[i].1) {
                Class::Letter => {
                    let mut end = i;
                    while i < chars.len() {
                        match class(chars[i].1) {
                            Class::Letter => (i, end) = (i + 1, i + 1),
                            Class::Joiner if i - end < MAX_JOINERS => i += 1,
                            _ => break,
                        }
                    }
                    i = end;
                    composed(&text[at(from)..at(end)], at(from), &mut out);
                }
                Class::Unspaced => {
                    i += chars[i..].iter().take_while(|(_, c)| class(*c) == Class::Unspaced).count();
                    grams(&text[at(from)..at(i)], at(from), &mut out);
                }
                Class::Joiner | Class::Gap => i += 1,
            }
        }
        out
    }

    proptest! {
        #[test]
        fn the_quick_way_finds_what_the_slow_one_finds(
            text in "(\\PC|[a-z0-9]{1,9}|[A-Z_./:'’ -]{1,5}|[\u{4e00}-\u{4e20}가-갛ぁ-ん]){0,24}",
            wanted in "[a-z0-9]",
        ) {
            prop_assert_eq!(pieces(&text), slowly(&text));
            let is_wanted = |piece: &Piece| piece.term.starts_with(&wanted);
            prop_assert_eq!(first(&text, is_wanted), pieces(&text).into_iter().find(is_wanted));
        }

        #[test]
        fn offsets_are_within_the_text_and_on_characters(text in "\\PC{0,60}") {
            for piece in pieces(&text) {
                prop_assert!(piece.start <= piece.end);
                prop_assert!(text.get(piece.start..piece.end).is_some(), "{piece:?}");
                prop_assert!(!piece.term.is_empty());
            }
        }
    }
}
