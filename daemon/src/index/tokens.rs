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
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let mut out = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let end = match class(chars[i].1) {
            Class::Letter => word_end(&chars, i),
            Class::Unspaced => run_end(&chars, i),
            Class::Joiner | Class::Gap => {
                i += 1;
                continue;
            }
        };
        let (from, to) = (chars[i].0, chars.get(end).map_or(text.len(), |(at, _)| *at));
        if class(chars[i].1) == Class::Letter {
            word(&text[from..to], from, &mut out);
        } else {
            grams(&text[from..to], from, &mut out);
        }
        i = end;
    }
    out
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

/// The index after the last letter of the word that begins at `from`; punctuation counts only between letters.
fn word_end(chars: &[(usize, char)], from: usize) -> usize {
    let (mut end, mut i) = (from, from);
    while i < chars.len() {
        match class(chars[i].1) {
            Class::Letter => {
                i += 1;
                end = i;
            }
            Class::Joiner if i - end < MAX_JOINERS => i += 1,
            _ => break,
        }
    }
    end
}

fn run_end(chars: &[(usize, char)], from: usize) -> usize {
    chars[from..].iter().position(|(_, c)| class(*c) != Class::Unspaced).map_or(chars.len(), |n| from + n)
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

    proptest! {
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
