//! Instants as the wire writes them: ISO-8601 in UTC.

pub use jiff::Timestamp;

/// Parses an ISO-8601 instant that carries an offset (`Z` or `+02:00`).
///
/// A date without an offset is refused: guessing a zone would move a person's day.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// What [`parse_wire`] refuses of RFC 3339, as a pattern for the published schema.
///
/// A leap second, a tenth digit of a second, the last days of the year 9999, and the first and last year with an offset,
/// where the instant in UTC might not be a year of four digits.
pub const REFUSED_PATTERN: &str = "^(0000|9999).*[+-][0-9]{2}:[0-9]{2}$|^9999-12-3|:60|[.][0-9]{10}";

/// Parses an instant of the wire: RFC 3339, which is what JSON Schema calls `date-time`, and which can be kept exactly.
///
/// What [`REFUSED_PATTERN`] describes is refused: nobody sends it, and keeping it would mean to change it.
#[must_use]
pub fn parse_wire(text: &str) -> Option<Timestamp> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let fits = |byte: u8, mask: u8| match mask {
        b'd' => byte.is_ascii_digit(),
        b'T' => byte.eq_ignore_ascii_case(&b'T'),
        other => byte == other,
    };
    if !date_time.bytes().zip(*b"dddd-dd-ddTdd:dd:dd").all(|(byte, mask)| fits(byte, mask)) {
        return None;
    }
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            (1..=9).contains(&(fraction.len() - zone.len())).then_some(zone)?
        }
    };
    let zulu = zone.eq_ignore_ascii_case("z");
    let at_the_end = text.starts_with("0000") || text.starts_with("9999");
    let refused = date_time.ends_with("60") || text.starts_with("9999-12-3") || (at_the_end && !zulu);
    if refused || !(zulu || is_offset(zone.as_bytes())) {
        return None;
    }
    text.parse().ok()
}

/// Whether this is `+hh:mm` or `-hh:mm`.
fn is_offset(zone: &[u8]) -> bool {
    let [b'+' | b'-', h1 @ b'0'..=b'2', h2 @ b'0'..=b'9', b':', b'0'..=b'5', b'0'..=b'9'] = zone else { return false };
    *h1 < b'2' || *h2 < b'4'
}

/// Nanoseconds since 1970, clamped to what MCAP can hold (0 to 2^63 - 1).
#[must_use]
pub fn to_nanos(at: Timestamp) -> u64 {
    let nanos = at.as_nanosecond().clamp(0, i128::from(i64::MAX));
    u64::try_from(nanos).unwrap_or(0)
}

/// The instant of so many nanoseconds since 1970; the far future where MCAP holds more than a timestamp can.
#[must_use]
pub fn from_nanos(nanos: u64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::MAX)
}

/// The instant so many seconds later; the far future where there is none.
#[must_use]
pub fn after_seconds(from: Timestamp, seconds: i64) -> Timestamp {
    from.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// Seconds from `from` to `to`, negative when `to` is earlier.
#[must_use]
pub fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second() - from.as_second()
}
