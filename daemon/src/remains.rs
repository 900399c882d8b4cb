//! Finds words in every file of a home, however they are written there: what is left after something was forgotten.
//!
//! Files are read as they are and decoded: chunks of MCAP and anything else packed with zstd, stored texts and terms of
//! the index (of deleted documents too), and words as plain bytes, escaped as in JSON, as hexadecimal, as UTF-16 and as
//! base64. ASCII letters match in either case. It reads every byte, so it takes as long as that.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use aho_corasick::{AhoCorasick, BuildError};
use clone_schema::api::Remain;
use clone_schema::text::hex;

use crate::index;
use crate::paths::Paths;

/// How many bytes one packed piece may become.
const UNPACKED_MAX: u64 = 256 << 20;
/// How zstd data begins.
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// Folders inside each other that are looked through.
const DEPTH_MAX: usize = 16;
/// Characters of a word that stands for its text among the terms of the index; shorter ones are anybody's.
const TERM_CHARS: usize = 16;
/// The letters of base64, and those of its form for addresses.
const BASE64: [&[u8; 64]; 2] = [
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
];

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum RemainsError {
    /// A file or a folder cannot be read.
    #[error("cannot look into `{path}`: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Too much to look for.
    #[error("too many words to look for at once: {0}")]
    Words(#[from] BuildError),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] index::IndexError),
}

/// What is looked for, in every form.
struct Finder {
    /// In either case.
    loose: AhoCorasick,
    forms: Vec<&'static str>,
    /// To the letter.
    exact: AhoCorasick,
    /// Long words, as the index keeps them.
    words: AhoCorasick,
    found: BTreeMap<(String, String), u64>,
}

/// Looks for any of these texts in every file of a home.
///
/// # Errors
///
/// Something cannot be read, so that it cannot be said that nothing is there. Files that vanish meanwhile are passed over.
pub fn search(paths: &Paths, texts: &[String]) -> Result<Vec<Remain>, RemainsError> {
    let mut finder = Finder::new(texts)?;
    for file in files(paths)? {
        finder.file(&file)?;
    }
    if paths.index.join("meta.json").exists() {
        let name = paths.index.display().to_string();
        index::contents(&paths.index, |form, text| finder.text(&name, form, text))?;
    }
    let found = finder.found.into_iter();
    Ok(found.map(|((path, form), count)| Remain { path, form, count }).collect())
}

/// Every regular file of a home, once.
fn files(paths: &Paths) -> Result<BTreeSet<PathBuf>, RemainsError> {
    let mut found = BTreeSet::new();
    let data = paths.log.parent().unwrap_or(&paths.log);
    for root in [&paths.log, data, &paths.vault, &paths.recordings, &paths.state_dir, &paths.config] {
        gather(root, &mut found, 0)?;
    }
    Ok(found)
}

fn gather(path: &Path, found: &mut BTreeSet<PathBuf>, depth: usize) -> Result<(), RemainsError> {
    let io = |source| RemainsError::Io { path: path.to_owned(), source };
    let meta = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        meta => meta.map_err(io)?,
    };
    if meta.is_file() {
        found.insert(path.to_owned());
    } else if meta.is_dir() && depth < DEPTH_MAX {
        for entry in std::fs::read_dir(path).map_err(io)? {
            gather(&entry.map_err(io)?.path(), found, depth + 1)?;
        }
    }
    Ok(())
}

impl Finder {
    fn new(texts: &[String]) -> Result<Self, RemainsError> {
        let (mut loose, mut forms, mut exact) = (Vec::new(), Vec::new(), Vec::new());
        for text in texts.iter().filter(|text| !text.is_empty()) {
            for (form, bytes) in written(text) {
                loose.push(bytes);
                forms.push(form);
            }
            exact.extend(base64(text.as_bytes()));
        }
        let words = texts.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
        let words: Vec<String> =
            words.filter(|word| word.chars().count() >= TERM_CHARS).map(str::to_lowercase).collect();
        let loose = AhoCorasick::builder().ascii_case_insensitive(true).build(loose)?;
        let (exact, words) = (AhoCorasick::new(exact)?, AhoCorasick::new(words)?);
        Ok(Self { loose, forms, exact, words, found: BTreeMap::new() })
    }

    fn add(&mut self, path: &str, form: &str, count: u64) {
        if count > 0 {
            *self.found.entry((path.to_owned(), form.to_owned())).or_default() += count;
        }
    }

    fn file(&mut self, path: &Path) -> Result<(), RemainsError> {
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            bytes => bytes.map_err(|source| RemainsError::Io { path: path.to_owned(), source })?,
        };
        let name = path.display().to_string();
        let named = self.loose.find_iter(name.as_bytes()).count() as u64;
        self.add(&name, "name", named);
        self.bytes(&name, "", &bytes);
        for at in zstd_at(&bytes) {
            let mut unpacked = Vec::new();
            if let Ok(frame) = zstd::stream::read::Decoder::new(&bytes[at..]) {
                // What was unpacked before it broke off counts as well.
                let _broke = frame.single_frame().take(UNPACKED_MAX).read_to_end(&mut unpacked);
            }
            self.bytes(&name, "zstd ", &unpacked);
        }
        Ok(())
    }

    fn bytes(&mut self, name: &str, prefix: &str, bytes: &[u8]) {
        let hits: Vec<usize> = self.loose.find_iter(bytes).map(|hit| hit.pattern().as_usize()).collect();
        for hit in hits {
            self.add(name, &format!("{prefix}{}", self.forms[hit]), 1);
        }
        let exact = self.exact.find_iter(bytes).count() as u64;
        self.add(name, &format!("{prefix}base64"), exact);
    }

    /// A stored text or a term of the index.
    fn text(&mut self, name: &str, form: &str, text: &str) {
        let finder = if form == "term" { &self.words } else { &self.loose };
        let count = finder.find_iter(text).count() as u64;
        self.add(name, form, count);
    }
}

/// Where zstd data begins.
fn zstd_at(bytes: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == ZSTD[0]) {
        let at = from + at;
        if bytes[at..].starts_with(ZSTD) {
            found.push(at);
        }
        from = at + 1;
    }
    found
}

/// A text in the forms that ignore case.
fn written(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let json = serde_json::to_string(text).unwrap_or_default();
    let json = json.trim_matches('"').to_owned();
    let ascii: String = json
        .chars()
        .flat_map(|c| {
            let mut units = [0; 2];
            let escaped = |unit: &u16| format!("\\u{unit:04x}");
            if c.is_ascii() { vec![c.to_string()] } else { c.encode_utf16(&mut units).iter().map(escaped).collect() }
        })
        .collect();
    let units = || text.encode_utf16();
    let forms = [
        ("plain", text.as_bytes().to_vec()),
        ("json", json.into_bytes()),
        ("json", ascii.into_bytes()),
        ("utf-16", units().flat_map(u16::to_le_bytes).collect()),
        ("utf-16", units().flat_map(u16::to_be_bytes).collect()),
        ("hex", hex(text.as_bytes()).into_bytes()),
    ];
    let mut seen = BTreeSet::new();
    forms.into_iter().filter(|(_, bytes)| seen.insert(bytes.clone())).collect()
}

/// What of a text is sure to stand in base64 of anything that holds it, whatever stands before and behind.
fn base64(text: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for letters in BASE64 {
        for before in 0..3 {
            let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(text.iter().copied()).collect();
            let bits = padded.len() * 8;
            let sextet = |at: usize| {
                let bit = |at: usize| padded[at / 8] >> (7 - at % 8) & 1;
                letters[usize::from((0..6).fold(0, |value, offset| value << 1 | bit(at * 6 + offset)))]
            };
            // Letters that share bits with what stands before are left out, and those that share bits with what follows.
            let first = (before * 8).div_ceil(6);
            let whole: Vec<u8> = (first..bits / 6).map(sextet).collect();
            if whole.len() >= TERM_CHARS {
                out.push(whole);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "Blue “heron” 7f3a9c41 over\tthe weir";

    fn found(bytes: &[u8]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), bytes).unwrap();
        let found = search(&Paths::under(dir.path()), &[WORDS.to_owned()]).unwrap();
        found.into_iter().map(|one| one.form).collect()
    }

    #[test]
    fn words_are_found_in_every_form_and_others_are_not() {
        let utf16: Vec<u8> = format!("x{WORDS}y").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let packed = |text: &str| zstd::encode_all(text.repeat(3).as_bytes(), 3).unwrap();
        let hex: String = WORDS.bytes().map(|byte| format!("{byte:02X}")).collect();
        let cases: Vec<(Vec<u8>, &[&str])> = vec![
            (format!("a {WORDS} b").into_bytes(), &["plain"]),
            (WORDS.to_lowercase().into_bytes(), &["plain"]),
            (serde_json::to_vec(WORDS).unwrap(), &["json"]),
            (br#""Blue \u201cheron\u201d 7f3a9c41 over\tthe weir""#.to_vec(), &["json"]),
            (utf16, &["utf-16"]),
            (hex.into_bytes(), &["hex"]),
            ([b"garbage".to_vec(), packed(WORDS), b"tail".to_vec()].concat(), &["plain", "zstd plain"]),
            (b"Blue heron 7f3a9c41 over the weir".to_vec(), &[]),
            (packed("nothing of it"), &[]),
        ];
        for (bytes, expected) in cases {
            assert_eq!(found(&bytes), expected, "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn base64_is_found_wherever_it_begins() {
        let encode = |bytes: &[u8]| {
            let mut out = Vec::new();
            for piece in bytes.chunks(3) {
                let mut three = [0; 3];
                three[..piece.len()].copy_from_slice(piece);
                let number = u32::from_be_bytes([0, three[0], three[1], three[2]]);
                out.extend((0..4).map(|place| BASE64[0][(number >> (18 - 6 * place) & 63) as usize]));
            }
            out
        };
        for before in 0..4 {
            let text = format!("{}{WORDS} and more", "x".repeat(before));
            assert_eq!(found(&encode(text.as_bytes())), ["base64"], "{before}");
        }
    }

    #[test]
    fn a_name_tells_too() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("deep")).unwrap();
        std::fs::write(dir.path().join("deep/heron-weir.md"), b"").unwrap();
        let found = search(&Paths::under(dir.path()), &["Heron-Weir".to_owned()]).unwrap();
        assert_eq!(found.iter().map(|one| one.form.as_str()).collect::<Vec<_>>(), ["name"]);
    }
}
