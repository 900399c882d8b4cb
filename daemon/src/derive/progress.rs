//! How far a start has come, for whoever asks meanwhile.

use std::sync::{Mutex, PoisonError};

/// What is being loaded, and up to which position of the log.
#[derive(Debug, Default)]
pub struct Progress {
    now: Mutex<(&'static str, u64)>,
}

impl Progress {
    /// Notes that this step has come up to this position.
    pub fn at(&self, step: &'static str, position: u64) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = (step, position);
    }

    /// The present step, and up to which position it has come.
    #[must_use]
    pub fn now(&self) -> (&'static str, u64) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
