//! The thread that reads GitHub, and asks nothing before the person connects it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::engine::Engine;

/// The running thread.
pub(super) struct Github {
    engine: Arc<Engine>,
    ending: Arc<AtomicBool>,
}

impl Github {
    /// Begins; it sleeps until something is due.
    pub(super) fn start(engine: &Arc<Engine>) -> std::io::Result<Self> {
        let ending = Arc::new(AtomicBool::new(false));
        let (room, over) = (engine.clone(), ending.clone());
        let going = move || !over.load(Ordering::Acquire);
        thread::Builder::new().name("github".to_owned()).spawn(move || {
            while going() {
                room.github_step(&going);
                room.github_rest();
            }
        })?;
        Ok(Self { engine: engine.clone(), ending })
    }

    /// Ends it without waiting: a question may be on its way for long, and its answer is asked for again at the next start.
    pub(super) fn end(self) {
        self.ending.store(true, Ordering::Release);
        self.engine.github_wake();
    }
}
