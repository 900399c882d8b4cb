//! The one place where the wall clock is read and ids are drawn.

use clone_schema::Timestamp;

/// The present instant.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// What counts since the system started, through sleep too: which start that was, and the seconds since; none where the
/// system does not say.
#[must_use]
pub fn up() -> Option<(String, i64)> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{name}")).ok();
    let seconds = read("uptime")?.split('.').next()?.trim().parse().ok()?;
    Some((read("sys/kernel/random/boot_id")?.trim().to_owned(), seconds))
}

/// The minute of the person's own day.
#[must_use]
pub fn minute_of_day(at: Timestamp) -> u16 {
    let time = at.to_zoned(jiff::tz::TimeZone::system()).time();
    u16::try_from(i32::from(time.hour()) * 60 + i32::from(time.minute())).unwrap_or(0)
}

/// A fresh id of ours: UUIDv7, so that ids sort by the time they were drawn.
#[must_use]
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Fills 32 bytes from the system's random source.
///
/// # Errors
///
/// The system has no random source; nothing secret can be made then.
pub fn random() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
