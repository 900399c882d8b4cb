//! MCP over Streamable HTTP: one POST, one JSON answer, no state between them.
//!
//! Who may call was decided before a request comes here. Every request is served by a server of its own, so a session is
//! only its id: given with the answer to `initialize`, because the real clients want one, and never looked at again. It
//! holds nothing that could expire, so it is good after hours of idling, after a restart, and without
//! `notifications/initialized`. There is no stream from the server: GET and DELETE are answered 405, which the protocol
//! allows.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use axum::response::Response;
use http_body_util::{BodyExt, Full, Limited};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use uuid::Uuid;

use super::{Call, Shim};

/// The header that carries a session's id.
pub const SESSION_HEADER: &str = "mcp-session-id";

/// The longest plain-text refusal of the SDK that is kept, in bytes.
const REFUSAL_MAX: usize = 4 << 10;

/// Why a request is no MCP, in the words of the SDK.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// HTTP status.
    pub status: StatusCode,
    /// What is wrong.
    pub message: String,
}

/// Answers one POST whose body was read.
///
/// # Errors
///
/// What is not MCP: wrong Accept, no JSON-RPC, an unknown protocol version. Whatever is MCP is answered as MCP.
pub async fn answer(call: Call, headers: &HeaderMap, body: Bytes) -> Result<Response, Refused> {
    let begins = begins(&body);
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.headers_mut() = accepting(headers);
    let response = service(call).handle(request).await;
    let is_json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
    if response.status().as_u16() >= 400 && !response.headers().get(CONTENT_TYPE).is_some_and(is_json) {
        let status = response.status();
        let text = Limited::new(response.into_body(), REFUSAL_MAX).collect().await;
        let text = text.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
        return Err(Refused { status, message: text });
    }
    let mut response = response.map(Body::new);
    if begins
        && response.status().is_success()
        && let Ok(id) = HeaderValue::from_str(&Uuid::now_v7().to_string())
    {
        response.headers_mut().insert(SESSION_HEADER, id);
    }
    Ok(response)
}

fn service(call: Call) -> StreamableHttpService<Shim, NeverSessionManager> {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // Host and Origin were checked, for every path alike.
        .disable_allowed_hosts();
    let factory = move || Ok(Shim { call: call.clone() });
    StreamableHttpService::new(factory, Arc::new(NeverSessionManager::default()), config)
}

/// The headers as the SDK wants them: who takes JSON, or anything, is answered in JSON.
fn accepting(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    // Over the socket a client may leave it out, and the SDK wants one.
    headers.entry(HOST).or_insert(HeaderValue::from_static("localhost"));
    let takes = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.contains("*/*") || text.contains("application/json")
    };
    if !headers.contains_key(ACCEPT) || headers.get_all(ACCEPT).iter().any(takes) {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    }
    headers
}

/// Whether this begins a session.
fn begins(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Method<'a> {
        method: &'a str,
    }
    serde_json::from_slice::<Method<'_>>(body).is_ok_and(|message| message.method == "initialize")
}

#[cfg(test)]
mod tests {
    use clone_schema::Fault;
    use serde_json::{Value, json};

    use super::super::Ask;
    use super::*;

    const BOTH: &str = "application/json, text/event-stream";

    fn call() -> Call {
        Arc::new(|ask: Ask| {
            Box::pin(async move {
                match ask.operation {
                    "events_ingest" => Ok(json!({"accepted": 1, "duplicates": 0, "invalid": []})),
                    other => Err(Fault::not_found(other.to_owned())),
                }
            })
        })
    }

    async fn post(headers: &[(&'static str, &str)], body: &Value) -> Result<(StatusCode, HeaderMap, Value), Refused> {
        let mut map = HeaderMap::new();
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).expect("value"));
        }
        let (head, body) = answer(call(), &map, Bytes::from(body.to_string())).await?.into_parts();
        let bytes = body.collect().await.expect("body").to_bytes();
        Ok((head.status, head.headers, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    fn initialize(version: &str) -> Value {
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": version,
            "capabilities": {}, "clientInfo": {"name": "clone-loop", "version": "0.14.13"}}})
    }

    fn start() -> Value {
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "start_session", "arguments":
            {"source": "integration", "source_detail": "clone:loop"}}})
    }

    #[tokio::test]
    async fn every_protocol_version_begins_with_a_session_id() {
        for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
            let (status, headers, reply) = post(&[("accept", BOTH)], &initialize(version)).await.expect("MCP");
            assert_eq!((status, &reply["result"]["protocolVersion"]), (StatusCode::OK, &json!(version)));
            assert_eq!(reply["result"]["serverInfo"]["name"], "clone");
            assert!(headers[SESSION_HEADER].to_str().is_ok_and(|id| Uuid::parse_str(id).is_ok()));
        }
    }

    #[tokio::test]
    async fn a_session_is_only_its_id() {
        for id in [None, Some("0198c0de-0000-7000-8000-000000000000"), Some("an-id-of-another-daemon")] {
            for version in [None, Some("2024-11-05"), Some("2025-11-25")] {
                let mut headers = vec![("accept", BOTH)];
                headers.extend(id.map(|id| (SESSION_HEADER, id)));
                headers.extend(version.map(|version| ("mcp-protocol-version", version)));
                let (status, headers, reply) = post(&headers, &start()).await.expect("MCP");
                assert_eq!(status, StatusCode::OK, "{id:?} {version:?}");
                assert!(!headers.contains_key(SESSION_HEADER), "only initialize gives one");
                let text = reply["result"]["content"][0]["text"].as_str().expect("text");
                let ids: Value = serde_json::from_str(text).expect("JSON text");
                assert!(ids["session_id"].is_string() && ids["event_id"].is_string());
            }
        }
    }

    #[tokio::test]
    async fn the_stateless_protocol_is_served() {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "0"},
            "io.modelcontextprotocol/clientCapabilities": {}});
        let discover = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta}});
        let headers = [("accept", BOTH), ("mcp-protocol-version", "2026-07-28"), ("mcp-method", "server/discover")];
        let (status, _, reply) = post(&headers, &discover).await.expect("MCP");
        assert_eq!(status, StatusCode::OK, "{reply}");
        assert!(reply["result"]["supportedVersions"].to_string().contains("2026-07-28"), "{reply}");
    }

    #[tokio::test]
    async fn what_is_no_mcp_is_refused_in_words_and_what_is_lenient_passes() {
        for (headers, body, status) in [
            (vec![("accept", "text/html")], start(), 406),
            (vec![("accept", BOTH)], json!({"hello": 1}), 422),
            (vec![("accept", BOTH), ("mcp-protocol-version", "1999-01-01")], start(), 400),
        ] {
            match post(&headers, &body).await {
                Err(refused) => {
                    assert!(refused.status.is_client_error() && !refused.message.is_empty(), "{refused:?}");
                }
                Ok((given, _, reply)) => {
                    assert!(given.is_client_error() && reply["error"].is_object(), "{status}: {given} {reply}");
                }
            }
        }
        for accept in ["*/*", "application/json", BOTH] {
            assert_eq!(post(&[("accept", accept)], &start()).await.expect("MCP").0, StatusCode::OK, "{accept}");
        }
        let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(post(&[("accept", BOTH)], &told).await.expect("MCP").0, StatusCode::ACCEPTED);
    }
}
