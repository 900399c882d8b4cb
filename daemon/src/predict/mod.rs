//! Predicts what the person would reply to an agent, from what they replied before.
//!
//! No model, no network, no clock: a [`Predictor`] learns pairs one by one, answers from what it has learned so far,
//! and is told how its answers fared. The same pairs, labels and query give the same answer, byte for byte.
//!
//! # Code map
//!
//! - [`situation`]: an agent's text to its last block, tokens and kind; what counts as a hit.
//! - [`nearest`]: like situations (BM25 in memory), over packed `postings`. [`habits`]: the person's replies and which are as good as which.
//! - [`rank`]: the numbers a candidate is judged by, and the shipped weights. [`pool`]: the candidates of a query. [`part`]: what can be left out of it.
//! - [`local`]: the predictor itself: learning and state. `view` and `answer`: the start and the end of a query.
//! - [`calibrate`]: raw numbers to probabilities; [`curves`]: whose labels meet in one curve. [`gate`]: probabilities to the
//!   confidence we stand behind; [`tripwire`]: whether what we stood behind held.
//! - [`cosmetic`]: whether what was sent is what was predicted but for its looks.
//! - [`promise`]: what counted outcomes alone can promise. [`mute`]: where nothing is ever automatic.
//! - [`fit`]: how shipped weights are made.
//! - [`choices`]: which of the options on offer the person takes.
//! - [`continuation`]: whether the person would go on at all. [`stratum`]: the closed channels, told apart by fixed rules.

mod answer;
pub mod calibrate;
pub mod choices;
pub mod continuation;
pub mod cosmetic;
pub mod curves;
pub mod fit;
pub mod gate;
pub mod habits;
pub mod local;
pub mod mute;
mod nearby;
pub mod nearest;
pub mod part;
pub mod pool;
mod postings;
pub mod promise;
pub mod rank;
pub mod situation;
pub mod stratum;
#[cfg(test)]
mod tests;
pub mod tripwire;
mod view;

pub use choices::{Asked, Chosen, Offered};
pub use continuation::Continuation;
pub use cosmetic::{is_repeat, is_same};
pub use curves::Judging;
pub use gate::{Decided, Mode, decide};
pub use local::{Answer, Forecast, Judged, Label, Pair, Predictor, Query};
pub use part::Part;
pub use situation::{Kind, hit};
pub use tripwire::Stood;
