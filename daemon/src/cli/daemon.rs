//! `daemon` and `mcp`: the two verbs that stay running.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clone_schema::Fault;
use clone_schema::fault::Kind;
use serde_json::Value;

use super::Context;
use crate::client::{Client, ClientError};
use crate::failure::Failure;
use crate::{mcp, run};

/// How long a daemon that was started may take to answer.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How long another daemon may take to answer after ours gave way to it.
const RIVAL_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often the shim looks whether its parent lives.
const LOOK_FOR_PARENT: Duration = Duration::from_secs(1);

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
/// A daemon that does not run is started at the first call that misses it. The shim ends with its standard input, and with
/// its parent where somebody else still holds that open.
///
/// # Errors
///
/// The runtime cannot start, or the peer breaks the protocol.
pub fn mcp(context: &Context) -> Result<u8, Failure> {
    // Before the first answer: whoever has that may be gone the next moment.
    let parent = rustix::process::getppid();
    let client = context.client()?;
    // Over `CLONE_API_URL` the daemon is none of ours to start.
    let starts = context.env.api_url.is_none();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::new)?;
    runtime.block_on(async {
        tokio::select! {
            served = mcp::stdio(move |ask| one(client.clone(), starts, ask)) => served.map_err(Failure::new),
            () = orphaned(parent) => Ok(()),
        }
    })?;
    // A read of standard input that still waits must not keep the process.
    runtime.shutdown_background();
    Ok(0)
}

/// Asks once, and once more after the daemon that was missed is started.
async fn one(client: Client, starts: bool, ask: mcp::Ask) -> Result<Value, Fault> {
    let mcp::Ask { operation, id, query, body } = ask;
    let body = (!body.is_null()).then_some(body);
    match client.call(operation, id.as_deref(), &query, body.as_ref()).await {
        Err(ClientError::NotReachable { .. }) if starts => {
            start(&client).await?;
            Ok(client.call(operation, id.as_deref(), &query, body.as_ref()).await?)
        }
        answered => Ok(answered?),
    }
}

/// Starts the daemon of this home and waits until it answers; where two start one, the second gives way to the first.
async fn start(client: &Client) -> Result<(), Fault> {
    let program = std::env::current_exe().map_err(Fault::internal)?;
    let mut daemon = Command::new(program);
    // A group of its own: it outlives whoever asked for it, and no interrupt of theirs ends it.
    daemon.arg("daemon").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = daemon.spawn().map_err(Fault::internal)?;
    let (mut until, mut ended) = (Instant::now() + START_PATIENCE, None);
    while Instant::now() < until {
        if client.call("health", None, &[], None).await.is_ok() {
            return Ok(());
        }
        if ended.is_none() {
            ended = child.try_wait().ok().flatten();
            // It may have lost the race against another one, which is not listening yet.
            until = if ended.is_some() { Instant::now() + RIVAL_PATIENCE } else { until };
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let how = ended.map_or("it does not answer yet".to_owned(), |status| status.to_string());
    Err(Fault::new(Kind::Unavailable, format!("the daemon did not start: {how}")).hint("see why with `clone daemon`"))
}

/// Resolves when the process that started this one is gone.
async fn orphaned(parent: Option<rustix::process::Pid>) {
    while rustix::process::getppid() == parent {
        tokio::time::sleep(LOOK_FOR_PARENT).await;
    }
}
