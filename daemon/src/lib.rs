//! The Clone daemon: one durable log, everything else derived from it.
//!
//! Everything that happens is an event appended to one log of MCAP segments (L0), a person's edit of the markdown
//! included. Sessions, episodes (L1), facts (L2), profile and soul card (L3), the index, the reply model and its
//! calibration are derived from the log, may be deleted at any time, and are rebuilt to the same answer. Predictions read
//! the derived state and are themselves events.
//!
//! # Code map
//!
//! | room | what it does | names |
//! | --- | --- | --- |
//! | [`log`] | L0: append, group commit, recover, read by position, id, time; verify and repair offline | `schema` |
//! | [`state`] | `state.redb`: checksummed rows that spare a restart the whole fold | nothing |
//! | [`memory`] | sessions, episodes, facts, profile, context: pure; [`memory::vault`]: the folder on the disk | `schema`, `markdown` |
//! | [`index`] | tantivy over facts, episodes and raw sentences, with an overlay for what is not committed | `schema` |
//! | [`predict`] | the embedded predictor, its calibration and the gate: pure | `schema` |
//! | [`mod@derive`] | the one loop: fold events → write files → index → cursor; the snapshot of what was learned | the five above |
//! | [`engine`] | one method per operation | the same, `derive`'s view, `backtest`, `outside`, `remains`, `scrub`, `secrets`, `sources`, `serve`'s seam |
//! | [`sources`], [`scrub`] | foreign transcripts and GitHub's answers to events; secrets out of them | `schema` |
//! | [`outside`], [`mod@secrets`] | the one door out, opened by a connection alone; its tokens, sealed | `schema` |
//! | [`remains`] | finds words in every file of a home, decoded: what is left after `forget` | `schema`, `index` |
//! | [`serve`] | one table of operations on the Unix socket and loopback TCP | its own seam, `mcp` |
//! | [`client`], [`mcp`], [`cli`] | the typed client; MCP over stdio and HTTP; the command line | `client`; `cli` names `log` where no daemon runs |
//! | [`backtest`] | replays turns, and the person's own history, through the live predictor; its figures and plots | `predict` |
//! | [`mod@bench`] | each path beside the limit of the machine, in scratch homes | `log`, `predict`, `sources`, `memory`'s fit, the socket, a bare index |
//! | [`run`] | the life of the process | everything |
//! | [`paths`], [`mod@env`], [`config`], [`clock`], [`dice`], [`failure`] | one place for each concern | nothing |
//!
//! # Where this differs from the first plan, and why
//!
//! - `cli` names `sources`: transcripts are read in the person's own process and travel as events, so that no operation
//!   of the socket ever opens a path that a caller names.
//! - `derive` and `engine` are folders: one method or step per concern, not one long file.
//! - `run/following` reads the transcripts of agents that the person switched on, in the fixed folders of these agents; hooks read
//!   the one that the agent names, in the person's own process.
//! - GitHub is read in the daemon: `sources/github` says what to ask and reads the answers, `engine/github` holds the token and
//!   asks, `run/github` is the thread on which that happens.
//! - `scrub` is a file of its own: it stands in front of every append, whoever appends.
//!
//! # Invariants
//!
//! 1. Ground and derived never mix: delete `state.redb`, `model.snapshot`, `index/` and the vault, and every read answers
//!    the same (`tests/pipeline.rs`).
//! 2. Acked means durable: a reply is sent after fdatasync (`tests/crash.rs`).
//! 3. No event is changed, and none goes but by `forget` or by a retention rule of the person's, which leave a tombstone
//!    without content (`tests/forget.rs`).
//! 4. A person's edit outranks every inference; a deleted claim is not inferred again (`tests/vault.rs`, `tests/notes.rs`,
//!    `tests/racing.rs`).
//! 5. Everything cites: prediction → facts and episodes → events → segment, offset, time (`tests/pipeline.rs`).
//! 6. Nothing leaves the machine: no socket but the Unix socket and loopback, no model (`tests/http.rs`), until the person
//!    connects a service, and then to that alone (`tests/github.rs`).
//! 7. One door: only the daemon opens the store; the CLI and MCP are its clients. Where no daemon runs, `log verify|repair|cat`
//!    open it under its lock.
//! 8. Limits on everything that grows: each a named constant with a unit.
//! 9. The past never sees the future: a prediction depends only on what was learned before it (`tests/leak.rs`).
//!
//! The tests of the log are tested too: `make sabotage` plants the bugs of [`clone_schema::sabotage`], one at a time.
//!
//! # What is absent
//!
//! No event bus, no component trait, no plugin registry, no repository layer over redb or tantivy. Async stops at the
//! doors. Nothing in `memory` and `predict` but the vault's disk reads a file, the clock or the environment.

pub mod backtest;
pub mod bench;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod derive;
pub mod dice;
pub mod engine;
pub mod env;
pub mod failure;
pub mod index;
pub mod log;
pub mod mcp;
pub mod memory;
pub mod outside;
pub mod paths;
pub mod predict;
pub mod remains;
pub mod run;
pub mod scrub;
pub mod secrets;
pub mod serve;
pub mod sources;
pub mod state;
