//! Black-box tests through the real binary, and checks over the source itself.

mod support;

mod cli;
mod crash;
mod http;
mod leak;
mod mcp;
mod pipeline;
mod socket;
mod tidy;
mod units;
mod vault;
