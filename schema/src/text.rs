//! Cutting and folding text: one place that knows where a character ends.

/// Every run of white space as one space, none at the ends.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first so many bytes, less where a character would be cut.
#[must_use]
pub fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The last so many bytes, less where a character would be cut.
#[must_use]
pub fn tail(text: &str, bytes: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes))..]
}

/// The last so many characters.
#[must_use]
pub fn last_chars(text: &str, characters: usize) -> &str {
    let start = text.char_indices().rev().take(characters).last().map_or(text.len(), |(at, _)| at);
    &text[start..]
}

/// The first so many characters, with `…` behind them where something was cut.
#[must_use]
pub fn clipped(mut text: String, characters: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(characters) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The byte that two hexadecimal digits stand for.
#[must_use]
pub fn hex_byte(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*high)? * 16 + digit(*low)?)
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that hexadecimal digits stand for.
#[must_use]
pub fn unhex(digits: &str) -> Option<Vec<u8>> {
    digits.as_bytes().chunks(2).map(hex_byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_fall_between_characters() {
        assert_eq!((head("añb", 2), tail("añb", 2)), ("a", "b"));
        assert_eq!((head("ab", 10), tail("ab", 10)), ("ab", "ab"));
        for (characters, expected) in [(0, ""), (1, "b"), (2, "ñb"), (9, "añb")] {
            assert_eq!(last_chars("añb", characters), expected);
        }
        for (characters, expected) in [(0, "…"), (2, "añ…"), (3, "añb")] {
            assert_eq!(clipped("añb".to_owned(), characters), expected);
        }
    }

    #[test]
    fn folds_white_space() {
        assert_eq!(one_line(" a\n\t b "), "a b");
    }

    #[test]
    fn hexadecimal_is_two_digits() {
        for (digits, expected) in [("0f", Some(15)), ("Ff", Some(255)), ("+f", None), ("f", None), ("0ff", None)] {
            assert_eq!(hex_byte(digits.as_bytes()), expected, "{digits}");
        }
        assert_eq!(hex(&[0, 10, 255]), "000aff");
        assert_eq!(unhex("000aFf"), Some(vec![0, 10, 255]));
        assert_eq!((unhex("000"), unhex("zz"), unhex("")), (None, None, Some(Vec::new())));
    }
}
