//! `daemon` and `mcp`: the two verbs that stay running.

use super::Context;
use crate::client::Client;
use crate::failure::Failure;
use crate::{mcp, run};

/// Runs the daemon in the foreground until it is told to end.
///
/// # Errors
///
/// The settings are wrong, another daemon holds this home, or a place cannot be used.
pub fn run(context: &Context) -> Result<u8, Failure> {
    run::daemon(&context.env, &context.paths).map(|()| 0)
}

/// Speaks MCP over standard input and output, as a stateless client of the socket.
///
/// # Errors
///
/// The runtime cannot start, or the peer breaks the protocol.
pub fn mcp(context: &Context) -> Result<u8, Failure> {
    let client = context.client()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::new)?;
    runtime
        .block_on(mcp::stdio(move |operation: String, id: Option<String>, body: serde_json::Value| {
            let client: Client = client.clone();
            async move { client.call(&operation, id.as_deref(), &[], Some(&body)).await.map_err(Into::into) }
        }))
        .map_err(Failure::new)?;
    // A read of standard input that still waits must not keep the process.
    runtime.shutdown_background();
    Ok(0)
}
