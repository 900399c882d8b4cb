//! The one place where the wall clock is read and ids are drawn.

use clone_schema::Timestamp;

/// The present instant.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
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
