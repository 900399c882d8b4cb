//! Instants as the wire writes them: ISO-8601 in UTC.

pub use jiff::Timestamp;

/// Parses an ISO-8601 instant that carries an offset (`Z` or `+02:00`).
///
/// A date without an offset is refused: guessing a zone would move a person's day.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
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

/// Seconds from `from` to `to`, negative when `to` is earlier.
#[must_use]
pub fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second() - from.as_second()
}
