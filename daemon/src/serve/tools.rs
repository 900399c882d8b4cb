//! MCP at `/mcp`: each tool asks the engine as the caller of the request, and only what that caller may.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::Response;
use clone_schema::{Fault, api};
use serde_json::Value;

use super::{Call, Caller, Handler, guard, routes};
use crate::mcp;

/// Answers one POST to `/mcp`.
pub(super) async fn answer(handler: &Handler, call: Call, headers: &HeaderMap) -> Response {
    let asks = asking(handler.clone(), call.caller);
    match mcp::http::answer(asks, headers, call.body).await {
        Ok(response) => response,
        Err(refused) => routes::error(refused.status, &Fault::invalid(refused.message)),
    }
}

/// The engine as a tool sees it.
fn asking(handler: Handler, caller: Caller) -> mcp::Call {
    Arc::new(move |ask| {
        let (handler, caller) = (handler.clone(), caller.clone());
        // A task of its own: a client that hangs up never cancels half a write.
        let asked = tokio::spawn(async move { one(&handler, caller, ask).await });
        Box::pin(async move { asked.await.unwrap_or_else(|_| Err(Fault::internal("the operation broke"))) })
    })
}

async fn one(handler: &Handler, caller: Caller, ask: mcp::Ask) -> Result<Value, Fault> {
    let operation = api::find(ask.operation)
        .ok_or_else(|| Fault::internal(format!("there is no operation `{}`", ask.operation)))?;
    guard::scope(&caller, operation)?;
    let body = if ask.body.is_null() { Bytes::new() } else { Bytes::from(ask.body.to_string()) };
    let query = ask.query.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let reply = (handler.call)(Call { operation, id: ask.id, query, body, caller }).await?;
    let text = if reply.body.is_empty() { "null" } else { reply.body.as_str() };
    serde_json::from_str(text).map_err(Fault::internal)
}
