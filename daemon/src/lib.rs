//! The Clone daemon: one durable log, everything else derived from it.

pub mod backtest;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod derive;
pub mod engine;
pub mod env;
pub mod failure;
pub mod index;
pub mod log;
pub mod mcp;
pub mod memory;
pub mod paths;
pub mod predict;
pub mod run;
pub mod scrub;
pub mod serve;
pub mod sources;
pub mod state;
