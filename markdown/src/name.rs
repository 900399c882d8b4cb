//! The parts of a file name in the vault.
//!
//! The name is for people; the id in the front matter is what counts, so a renamed file stays the same fact.

use clone_schema::id::digest;

/// The longest slug, in characters.
pub const MAX_SLUG: usize = 48;

/// The file name without folder and extension: what a wikilink names.
#[must_use]
pub fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".md").unwrap_or(name)
}

/// Lower-case letters and digits joined by `-`, at most [`MAX_SLUG`] characters, cut at a word where that is possible.
#[must_use]
pub fn slug(text: &str, otherwise: &str) -> String {
    let normal = clone_schema::id::normal(text);
    let mut out = String::new();
    let mut length = 0;
    for word in normal.split(' ').filter(|word| !word.is_empty()) {
        let room = MAX_SLUG.saturating_sub(length + usize::from(length > 0));
        let size = word.chars().count();
        if size > room && length > 0 {
            break;
        }
        if length > 0 {
            out.push('-');
            length += 1;
        }
        out.extend(word.chars().take(room));
        length += size.min(room);
    }
    if out.is_empty() { otherwise.to_owned() } else { out }
}

/// The ten characters behind the prefix of an id; a digest of an id that a person made up.
#[must_use]
pub fn short_id(id: &str) -> String {
    let short = id.split_once('_').map_or(id, |(_, short)| short);
    let ours = short.len() == 10 && short.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if ours { short.to_owned() } else { digest(&[id], 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        let table = [
            ("Use TABS, please!", "use-tabs-please"),
            ("../../etc/passwd", "etc-passwd"),
            ("日本語 で", "日本語-で"),
            ("!?", "fact"),
            ("", "fact"),
        ];
        for (text, expected) in table {
            assert_eq!(slug(text, "fact"), expected, "{text:?}");
        }
        assert_eq!(slug(&"x".repeat(60), "fact").len(), MAX_SLUG);
        assert_eq!(slug(&"abcdefg ".repeat(9), "fact"), "abcdefg-abcdefg-abcdefg-abcdefg-abcdefg-abcdefg");
    }

    #[test]
    fn odd_ids_never_become_paths() {
        assert_eq!(short_id("fct_0123456789"), "0123456789");
        let odd = short_id("../../x");
        assert!(odd.len() == 10 && odd.bytes().all(|b| b.is_ascii_alphanumeric()), "{odd}");
        assert_eq!(stem("facts/a-b.md"), "a-b");
    }
}
