//! What Clone makes of the log: sessions, episodes, facts and the standing profile.
//!
//! Every file here is pure: ordered events and `now` go in, values come out. Nothing depends on how events were batched,
//! so that a rebuild gives the same memory.

pub mod context;
pub mod decay;
pub mod episode;
pub mod fact;
pub mod gate;
pub mod profile;
pub mod raw;
pub mod review;
pub mod scene;
pub mod session;
pub mod shift;
pub mod vault;
pub mod words;
