//! Every shape of Clone that crosses a process or a restart, and nothing that does IO.
//!
//! # Code map
//!
//! - [`event`]: what happened, as producers send it; typed parse on the hot path, per-event validation beside it.
//! - [`internal`]: events that only the daemon writes (predictions, feedback, keys, the vault's bytes).
//! - [`topic`]: one table of every kind of event: payload fields, privacy class, durability class.
//! - [`segment`]: events to MCAP chunks and back, over byte slices, checksum before belief.
//! - [`memory`], [`prediction`]: sessions, episodes, facts, profile; candidates, evidence, gates.
//! - [`api`]: one table of operations: name, method, path, and the request and response of each.
//! - [`id`], [`time`], [`text`], [`confidence`], [`fault`]: the small words the others are written in.
//! - [`sabotage`]: bugs to plant, so that the tests are tested; nothing without the feature of that name.
//! - [`openapi`]: generates `openapi.json` from the table of operations.
//! - [`publish`]: generates `events.schema.json` and `events.ts` from the tables.
//!
//! # What is absent
//!
//! No file, socket, clock, randomness or environment is touched here, [`sabotage`] in a build for tests apart. A value goes in, a value or a problem comes out.

pub mod api;
pub mod confidence;
pub mod event;
pub mod fault;
pub mod id;
pub mod internal;
pub mod memory;
pub mod openapi;
pub mod prediction;
pub mod publish;
pub mod sabotage;
pub mod segment;
pub mod text;
pub mod time;
pub mod topic;

pub use event::{Body, Event, Meta, Origin, Source};
pub use fault::Fault;
pub use id::Position;
pub use time::Timestamp;
