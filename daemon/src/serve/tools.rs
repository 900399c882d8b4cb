//! MCP at `/mcp`: each tool asks the engine as the caller of the request, and only what that caller may.

use std::sync::{Arc, Weak};

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::Response;
use clone_schema::{Fault, api};
use serde_json::Value;

use super::seats::Busy;
use super::{Call, Caller, Handler, guard, routes};
use crate::mcp;

/// What to send, for whoever sent something else.
const NO_MCP: &str =
    "send one JSON-RPC 2.0 message and `Accept: application/json`, or let the client start `clone mcp`";

/// Answers one POST to `/mcp`.
pub(super) async fn answer(
    handler: &Handler,
    call: Call,
    headers: &HeaderMap,
    in_work: Option<&Arc<Busy>>,
) -> Response {
    let asks = asking(handler.clone(), call.caller, in_work.map(Arc::downgrade));
    match mcp::http::answer(asks, headers, call.body).await {
        Ok(response) => response,
        Err(refused) => routes::error(refused.status, &Fault::invalid(refused.message).hint(NO_MCP)),
    }
}

/// The engine as a tool sees it.
fn asking(handler: Handler, caller: Caller, in_work: Option<Weak<Busy>>) -> mcp::Call {
    Arc::new(move |ask| {
        let (handler, caller) = (handler.clone(), caller.clone());
        // Weak, because the SDK drops its server some time after the answer, when the seat may be at its next request.
        let in_work = in_work.as_ref().and_then(Weak::upgrade);
        Box::pin(async move { one(&handler, caller, ask, in_work).await })
    })
}

async fn one(handler: &Handler, caller: Caller, ask: mcp::Ask, in_work: Option<Arc<Busy>>) -> Result<Value, Fault> {
    let operation = api::find(ask.operation)
        .ok_or_else(|| Fault::internal(format!("there is no operation `{}`", ask.operation)))?;
    guard::scope(&caller, operation)?;
    let body = if ask.body.is_null() { Bytes::new() } else { Bytes::from(ask.body.to_string()) };
    let query = ask.query.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let call = Call { operation, id: ask.id, query, body, caller };
    let reply = routes::run(handler, call, in_work).await?;
    let text = if reply.body.is_empty() { "null" } else { reply.body.as_str() };
    serde_json::from_str(text).map_err(Fault::internal)
}
