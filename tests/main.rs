//! Black-box tests through the real binary, and checks over the source itself.

// A test says what it skipped, and fails by panicking.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

mod agents;
mod backtest;
mod cli;
mod context;
mod crash;
mod decide;
mod edits;
mod forget;
mod full;
mod github;
mod honesty;
mod http;
mod joints;
mod leak;
mod lock;
mod log;
mod mcp;
mod notes;
mod pipeline;
mod plugin;
mod racing;
mod rebuild;
mod removal;
mod review;
mod socket;
mod sources;
mod surface;
mod tidy;
mod units;
mod upgrade;
mod vault;
