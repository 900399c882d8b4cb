//! Scalars and bracketed lists of YAML, to text and back.
//!
//! Reading takes what people write; writing is stricter and quotes whatever another reader could take for something else
//! than text. Tested through [`front_matter`](crate::front_matter).

use crate::front_matter::Value;

/// A list in brackets at the start of the text and the bytes it takes.
pub(crate) fn read_flow(text: &str) -> Result<(Value, usize), String> {
    let mut items = Vec::new();
    let mut at = 1;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        match text[at..].chars().next() {
            None => return Err("a list that is not closed on its line".into()),
            Some(']') => return Ok((Value::List(items), at + 1)),
            Some(',') => return Err("an empty item in a list".into()),
            Some('[' | '{') => return Err("a nested value".into()),
            Some(_) => {}
        }
        let (value, length) = read_scalar(&text[at..], ",]")?;
        items.push(value.as_text().unwrap_or("null").to_owned());
        at += length;
        at += text[at..].len() - text[at..].trim_start().len();
        match text[at..].chars().next() {
            Some(',') => at += 1,
            Some(']') => {}
            _ => return Err("a list that is not closed on its line".into()),
        }
    }
}

/// One scalar at the start of the text and the bytes it takes; a plain one ends before any of `stops` or a comment.
pub(crate) fn read_scalar(text: &str, stops: &str) -> Result<(Value, usize), String> {
    match text.chars().next() {
        Some('"') => return read_double(text),
        Some('\'') => return read_single(text),
        Some('&') => return Err("an anchor".into()),
        Some('*') => return Err("an alias".into()),
        Some('!') => return Err("a tag".into()),
        Some('{') => return Err("a nested map".into()),
        Some('|' | '>') => return Err("a block of text".into()),
        Some('%' | '@' | '`') => return Err("a value that begins with a reserved character".into()),
        _ => {}
    }
    let stop = text.find(|c| stops.contains(c)).unwrap_or(text.len());
    let comment = text.find(" #").into_iter().chain(text.find("\t#")).min().unwrap_or(text.len());
    let plain = text[..stop.min(comment)].trim_end();
    let value = match plain {
        "" | "null" | "~" | "Null" | "NULL" => Value::Null,
        _ => Value::Plain(plain.to_owned()),
    };
    Ok((value, plain.len()))
}

fn read_single(text: &str) -> Result<(Value, usize), String> {
    let mut out = String::new();
    let mut at = 1;
    while let Some(quote) = text[at..].find('\'') {
        out.push_str(&text[at..at + quote]);
        at += quote + 1;
        if !text[at..].starts_with('\'') {
            return Ok((Value::Text(out), at));
        }
        out.push('\'');
        at += 1;
    }
    Err("a quote that is not closed on its line".into())
}

fn read_double(text: &str) -> Result<(Value, usize), String> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Value::Text(out), at + 1)),
            '\\' => {
                let escape = chars.next().map(|(_, c)| c);
                out.push(escape.and_then(|c| unescape(c, &mut chars)).ok_or("an escape that is not known")?);
            }
            _ => out.push(c),
        }
    }
    Err("a quote that is not closed on its line".into())
}

fn unescape(c: char, rest: &mut impl Iterator<Item = (usize, char)>) -> Option<char> {
    let digits = match c {
        'n' => return Some('\n'),
        't' => return Some('\t'),
        'r' => return Some('\r'),
        '0' => return Some('\0'),
        '"' | '\\' | '/' | ' ' => return Some(c),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let hex: String = rest.take(digits).map(|(_, c)| c).collect();
    (hex.len() == digits).then(|| u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32)).flatten()
}

/// A scalar as YAML: plain where every reader agrees that it is that text, else in double quotes on one line.
pub(crate) fn scalar(text: &str, special: &str) -> String {
    if is_plain(text, special) { text.to_owned() } else { quoted(text) }
}

fn is_plain(text: &str, special: &str) -> bool {
    const WORDS: &[&str] = &["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"];
    let first = text.chars().next().is_some_and(char::is_alphabetic);
    let last = text.chars().next_back().is_some_and(|c| c.is_alphanumeric() || ".?!)…”".contains(c));
    let word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    let odd = |c: char| must_escape(c) || special.contains(c) || c == '\u{a0}';
    first && last && !word && !text.contains(": ") && !text.contains(" #") && !text.contains(odd)
}

fn must_escape(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if must_escape(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether a reader of YAML takes this for a number or a date.
pub(crate) fn is_number_or_date(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && text.len() > 1
        || text.len() == 1 && text.bytes().all(|b| b.is_ascii_digit());
    starts && text.bytes().all(|b| b.is_ascii_digit() || b".-+:TZ".contains(&b)) && !text.ends_with(':')
}
