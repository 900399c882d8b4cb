//! Predicts what the person would reply to an agent, from what they replied before.
//!
//! No model, no network, no clock: a [`Predictor`] learns pairs one by one, answers from what it has learned so far,
//! and is told how its answers fared. The same pairs, labels and query give the same answer, byte for byte.
//!
//! # Code map
//!
//! - [`situation`]: an agent's text to its last block, tokens and kind; what counts as a hit.
//! - [`nearest`]: like situations (BM25 in memory). [`habits`]: the person's replies and which are as good as which.
//! - [`rank`]: the numbers a candidate is judged by, and the shipped weights. [`local`]: the predictor itself.
//! - [`calibrate`]: raw numbers to probabilities. [`gate`]: probabilities to the confidence we stand behind.
//! - [`continuation`]: whether the person would go on at all.

pub mod calibrate;
pub mod continuation;
pub mod gate;
pub mod habits;
pub mod local;
pub mod nearest;
pub mod rank;
pub mod situation;

pub use continuation::Continuation;
pub use gate::{Decided, Mode, decide};
pub use local::{Answer, Label, Pair, Predictor, Query};
pub use situation::{Kind, hit};
