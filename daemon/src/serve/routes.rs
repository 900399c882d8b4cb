//! One router over the table of operations; the same code behind the socket and behind TCP.
//!
//! Dispatch is a lookup in [`OPERATIONS`], not a tree of handlers: a path with and without its trailing slash is the same
//! operation, a literal path wins over one with `{id}`, and HEAD asks what GET asks. Every failure is
//! `{"error": ..., "hint"?: ...}`, and every reply forbids caching and sniffing and names our version.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use clone_schema::api::{OPERATIONS, Operation};
use clone_schema::fault::Kind;
use clone_schema::text::hex_byte;
use clone_schema::{Fault, openapi};

use super::seats::Busy;
use super::{Call, Door, Handler, Reply, VERSION, body, feed, guard, tools};
use crate::mcp;

/// The longest path parameter, in bytes after decoding.
pub const MAX_ID: usize = 512;

/// How long a client should wait after a 503, in seconds.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Routes of the hosted product that one person's daemon does not have, and what to use instead.
pub const HOSTED: &[(&str, &str)] = &[
    ("/api/auth/signup", "no account is needed; make an API key with `clone keys create --label NAME`"),
    ("/api/auth/login", "use the Unix socket, or make an API key with `clone keys create --label NAME`"),
    ("/api/auth/logout", "end a key with `clone keys revoke ID`"),
    ("/api/auth/waitlist", "Clone is installed already; see `clone status`"),
    ("/api/auth/invite", "no invite is needed; make an API key with `clone keys create --label NAME`"),
    ("/api/access", "share with an API key of a narrow scope: `clone keys create --label NAME`"),
    ("/api/voice", "send what was said as events to `POST /api/recording/events/`"),
    ("/api/news", "see CHANGELOG.md"),
    (
        "/api/warmstart/github/oauth",
        "no callback is needed: `clone source connect github` connects with a token or a code",
    ),
    ("/admin", "use the command line: `clone status`, `clone memory list`, `clone keys list`"),
];

/// The router of one door.
pub fn router(handler: Handler, door: Door) -> Router {
    router_with(handler, door, body::BODY_TIME)
}

/// The router of one door with another time limit for bodies.
pub fn router_with(handler: Handler, door: Door, body_time: Duration) -> Router {
    Router::new().fallback(answer).with_state(Desk { handler, door, body_time })
}

/// What every request needs to know.
#[derive(Clone)]
struct Desk {
    handler: Handler,
    door: Door,
    body_time: Duration,
}

/// The server card, made once: anybody may ask for it.
static CARD: LazyLock<String> = LazyLock::new(|| mcp::card::card().to_string());

/// `openapi.json`, made once: anybody may ask for it.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi::document(VERSION).to_string());

/// Who answers an operation.
#[derive(Clone, Copy, Debug)]
pub enum Answers {
    /// The engine, in one reply.
    Engine,
    /// The engine, page by page in a stream.
    Feed,
    /// The tools, which ask the engine.
    Tools,
    /// The door itself, with a text that never changes.
    Door(&'static LazyLock<String>),
}

/// Who answers this operation.
#[must_use]
pub fn answers(operation: &Operation) -> Answers {
    match operation.name {
        "events_stream" => Answers::Feed,
        "mcp" => Answers::Tools,
        "server_card" => Answers::Door(&CARD),
        "openapi" => Answers::Door(&DOCUMENT),
        _ => Answers::Engine,
    }
}

async fn answer(State(desk): State<Desk>, request: Request) -> Response {
    // The seat stays taken until the handler is done, even when the client is gone by then.
    let in_work = request.extensions().get::<Arc<Busy>>().cloned();
    let (head, body) = request.into_parts();
    let response = match take(&desk, &head, body).await {
        Ok(call) => match answers(call.operation) {
            Answers::Engine => run(&desk.handler, call, in_work).await.map_or_else(|fault| failure(&fault), json),
            Answers::Feed => feed::open(&desk.handler, call).await.unwrap_or_else(|fault| failure(&fault)),
            Answers::Tools => tools::answer(&desk.handler, call, &head.headers, in_work.as_ref()).await,
            Answers::Door(text) => shown(StatusCode::OK, Body::from(text.as_str())),
        },
        Err(refusal) => *refusal,
    };
    sealed(response)
}

/// Checks a request and reads its body.
async fn take(desk: &Desk, head: &Parts, body: Body) -> Result<Call, Box<Response>> {
    let mut call = match admit(desk, head) {
        Ok(call) => call,
        Err(refusal) => {
            body::discard(&head.headers, body, desk.body_time.min(body::REFUSED_TIME)).await;
            return Err(refusal);
        }
    };
    if call.operation.takes_body() {
        let read = body::read(body, body::cap(call.operation), desk.body_time).await.map_err(broken)?;
        call.body = if read.is_empty() { Bytes::from_static(b"{}") } else { read };
    }
    Ok(call)
}

/// Checks the head of a request; the call has no body yet.
fn admit(desk: &Desk, head: &Parts) -> Result<Call, Box<Response>> {
    let authority = head.uri.authority().map(|authority| authority.as_str());
    let parts = guard::Parts { door: desk.door, authority, headers: &head.headers };
    guard::address(&parts).map_err(refused)?;
    let (operation, raw) = locate(&head.method, head.uri.path()).map_err(missed)?;
    let caller = guard::admit(&parts, operation, &*desk.handler.authenticate).map_err(refused)?;
    let id = raw.map(decoded).transpose().map_err(refused)?;
    let mut query = query(&head.uri).map_err(refused)?;
    if matches!(answers(operation), Answers::Feed) {
        feed::resume(&mut query, head.headers.get("last-event-id").and_then(|last| last.to_str().ok()));
    }
    Ok(Call { operation, id, query, body: Bytes::new(), caller })
}

/// Runs the handler on its own task, which lives on when the client hangs up, holds its seat until it is done, and whose
/// panic ends only itself.
pub(super) async fn run(handler: &Handler, call: Call, in_work: Option<Arc<Busy>>) -> Result<Reply, Fault> {
    let (answer, name) = (handler.call.clone(), call.operation.name);
    let task = tokio::spawn(async move {
        let _in_work = in_work;
        answer(call).await
    });
    task.await.unwrap_or_else(|error| {
        tracing::error!(operation = name, %error, "the handler ended without an answer");
        Err(Fault::internal(format!("`{name}` ended without an answer")).hint("see the log of the daemon"))
    })
}

/// Why no operation was found.
#[derive(Debug, PartialEq, Eq)]
enum Missed {
    Unknown,
    Hosted(&'static str),
    Method(Vec<&'static str>),
}

/// The operation of a method and a path, and the path parameter as it was sent.
fn locate<'a>(method: &Method, path: &'a str) -> Result<(&'static Operation, Option<&'a str>), Missed> {
    let mut here: Vec<(&'static Operation, Option<&'a str>)> =
        OPERATIONS.iter().filter_map(|operation| Some((operation, fits(operation.path, path)?))).collect();
    if here.iter().any(|(_, id)| id.is_none()) {
        here.retain(|(_, id)| id.is_none());
    }
    let asked = if method == Method::HEAD { "GET" } else { method.as_str() };
    if let Some(found) = here.iter().find(|(operation, _)| operation.method == asked) {
        return Ok(*found);
    }
    if here.is_empty() {
        return Err(hosted(path).map_or(Missed::Unknown, Missed::Hosted));
    }
    Err(Missed::Method(here.iter().map(|(operation, _)| operation.method).collect()))
}

/// Whether a path fits a pattern, with or without its last slash; the inner option is the parameter.
fn fits<'a>(pattern: &str, path: &'a str) -> Option<Option<&'a str>> {
    let (pattern, path) = (bare(pattern), bare(path));
    if pattern.split('/').count() != path.split('/').count() {
        return None;
    }
    let mut id = None;
    for (want, have) in pattern.split('/').zip(path.split('/')) {
        match want {
            "{id}" if !have.is_empty() => id = Some(have),
            _ if want == have => {}
            _ => return None,
        }
    }
    Some(id)
}

fn bare(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

fn hosted(path: &str) -> Option<&'static str> {
    let under = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    HOSTED.iter().find(|(prefix, _)| under(prefix)).map(|(_, hint)| *hint)
}

/// Percent-decodes a path parameter.
fn decoded(raw: &str) -> Result<String, Fault> {
    let wrong = || Fault::invalid("the id in the path is not percent-encoded text");
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            let (digits, tail) = rest.split_at_checked(2).ok_or_else(wrong)?;
            bytes.push(hex_byte(digits).ok_or_else(wrong)?);
            rest = tail;
        } else {
            bytes.push(*first);
        }
    }
    let id = String::from_utf8(bytes).map_err(|_| wrong())?;
    if id.len() > MAX_ID || id.chars().any(char::is_control) {
        return Err(Fault::invalid(format!("the id in the path is over {MAX_ID} bytes or holds control characters")));
    }
    Ok(id)
}

fn query(uri: &Uri) -> Result<BTreeMap<String, String>, Fault> {
    Query::try_from_uri(uri)
        .map(|Query(pairs)| pairs)
        .map_err(|_| Fault::invalid("the query is not percent-encoded text"))
}

fn refused(fault: Fault) -> Box<Response> {
    Box::new(failure(&fault))
}

fn missed(missed: Missed) -> Box<Response> {
    Box::new(match missed {
        Missed::Unknown => failure(&Fault::not_found("no such path")),
        Missed::Hosted(hint) => failure(
            &Fault::not_found("this is a single-person daemon; the path belongs to the hosted product").hint(hint),
        ),
        Missed::Method(mut methods) => {
            if methods.contains(&"GET") {
                methods.push("HEAD");
            }
            let allow = methods.join(", ");
            let fault = Fault::invalid(format!("this path takes {allow}"));
            with(error(StatusCode::METHOD_NOT_ALLOWED, &fault), ALLOW, &allow)
        }
    })
}

fn broken(failed: body::BodyError) -> Box<Response> {
    let status = StatusCode::from_u16(failed.status()).unwrap_or(StatusCode::BAD_REQUEST);
    // What is left of the body is never read, so the connection ends with this reply.
    Box::new(with(error(status, &failed.fault()), CONNECTION, "close"))
}

/// A fault as a response, with the headers that its status asks for.
#[must_use]
pub fn failure(fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = error(status, fault);
    match fault.kind {
        Kind::Unavailable => drop(response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS)),
        Kind::Unauthorized => {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        _ => {}
    }
    response
}

/// A fault as a response of this status.
pub(super) fn error(status: StatusCode, fault: &Fault) -> Response {
    let mut body = serde_json::Map::from_iter([("error".to_owned(), fault.message.clone().into())]);
    if let Some(hint) = &fault.hint {
        body.insert("hint".to_owned(), hint.clone().into());
    }
    json(Reply { status: status.as_u16(), body: serde_json::Value::Object(body).to_string() })
}

fn json(reply: Reply) -> Response {
    shown(StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Body::from(reply.body))
}

/// A response of this JSON; of nothing where it is empty.
fn shown(status: StatusCode, body: Body) -> Response {
    let empty = axum::body::HttpBody::is_end_stream(&body);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if !empty {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

fn with(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// The headers of every reply.
fn sealed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert(super::VERSION_HEADER, HeaderValue::from_static(VERSION));
    response
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::http::HeaderMap;
    use clone_schema::api::Scope;
    use http_body_util::BodyExt;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::super::Caller;
    use super::*;

    type Calls = Arc<Mutex<Vec<Call>>>;

    /// A handler that answers with the operation's name and keeps every call; some ids make it fail.
    fn recording() -> (Handler, Calls) {
        let calls = Calls::default();
        let kept = calls.clone();
        let handler = Handler {
            call: Arc::new(move |call| {
                kept.lock().expect("lock").push(call.clone());
                Box::pin(async move {
                    match call.id.as_deref() {
                        Some("full") => Err(Fault::new(Kind::Unavailable, "the queue is full").hint("try again")),
                        Some("panic") => panic!("on purpose"),
                        Some("gone") => Ok(Reply { status: 204, body: String::new() }),
                        _ => Ok(Reply { status: 201, body: format!("{{\"operation\":\"{}\"}}", call.operation.name) }),
                    }
                })
            }),
            authenticate: Arc::new(|key| {
                let good = key == "clone_good";
                Ok(good.then(|| Caller::Key { id: "k".to_owned(), scope: Scope::Admin }))
            }),
            feed: feed::Feed::silent(),
        };
        (handler, calls)
    }

    async fn send(door: Door, request: Request) -> (StatusCode, HeaderMap, Value, Vec<Call>) {
        let (handler, calls) = recording();
        let response = router(handler, door).oneshot(request).await.expect("infallible");
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.expect("body").to_bytes();
        assert_eq!(head.headers["cache-control"], "no-store");
        assert_eq!(head.headers["x-content-type-options"], "nosniff");
        assert_eq!(head.headers["clone-version"], VERSION);
        assert!(!head.headers.keys().any(|name| name.as_str().starts_with("access-control")));
        let value = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("json") };
        if head.status.as_u16() >= 400 {
            assert!(value["error"].is_string(), "{value}");
            assert_eq!(head.headers["content-type"], "application/json");
        }
        let calls = calls.lock().expect("lock").clone();
        (head.status, head.headers, value, calls)
    }

    fn request(method: &str, path: &str) -> Request {
        Request::builder().method(method).uri(path).body(Body::empty()).expect("request")
    }

    fn post(path: &str, bytes: usize, kind: &str) -> Request {
        let body = Body::from(vec![b' '; bytes]);
        let request = Request::builder().method("POST").uri(path).header("content-length", bytes);
        request.header("content-type", kind).body(body).expect("request")
    }

    #[tokio::test]
    async fn every_operation_answers_with_and_without_its_slash() {
        for operation in OPERATIONS.iter().filter(|operation| matches!(answers(operation), Answers::Engine)) {
            let path = operation.path.replace("{id}", "claude-code%3Aa%2Fb%23c");
            for path in [path.as_str(), path.trim_end_matches('/')] {
                let (status, _, value, calls) = send(Door::Socket, request(operation.method, path)).await;
                assert_eq!(status, 201, "{} {path}", operation.method);
                assert_eq!(value["operation"], operation.name);
                let call = calls.first().expect("one call");
                assert_eq!(call.caller, Caller::Owner);
                assert_eq!(call.id.as_deref(), operation.path.contains("{id}").then_some("claude-code:a/b#c"));
                assert_eq!(call.body, if operation.takes_body() { "{}" } else { "" });
            }
        }
    }

    #[tokio::test]
    async fn query_and_body_arrive() {
        let (_, _, _, calls) = send(Door::Socket, request("GET", "/api/predictions?limit=5&q=a%20b&limit=6")).await;
        assert_eq!(calls[0].query["limit"], "6");
        assert_eq!(calls[0].query["q"], "a b");
        let (_, _, _, calls) = send(Door::Socket, post("/api/memory/search/", 3, "application/json")).await;
        assert_eq!(calls[0].body, "   ");
    }

    #[tokio::test]
    async fn paths_that_are_not_ours() {
        for path in ["/", "/nope", "/api", "/api/memory/", "//health/", "/health//", "/HEALTH/", "/api/memory/facts//"]
        {
            let (status, _, value, calls) = send(Door::Socket, request("GET", path)).await;
            assert_eq!((status.as_u16(), calls.len()), (404, 0), "{path}: {value}");
        }
        for path in
            ["/api/auth/signup/", "/api/auth/login", "/api/auth/invite/validate/", "/api/voice/x/y/", "/api/news"]
        {
            let (status, _, value, _) = send(Door::Socket, request("POST", path)).await;
            assert_eq!(status, 404, "{path}");
            assert!(value["error"].as_str().expect("text").contains("single-person") && value["hint"].is_string());
        }
    }

    #[tokio::test]
    async fn wrong_methods_name_the_right_ones() {
        for (method, path, allow) in [
            ("DELETE", "/health/", "GET, HEAD"),
            ("GET", "/api/predictions/predict/", "POST"),
            ("PUT", "/api/auth/keys", "GET, POST, HEAD"),
            ("POST", "/api/auth/keys/k1/", "GET, DELETE, HEAD"),
            ("DELETE", "/api/predictions/stats/", "GET, HEAD"),
            ("OPTIONS", "/api/predictions/predict/", "POST"),
        ] {
            let (status, headers, _, calls) = send(Door::Socket, request(method, path)).await;
            assert_eq!((status.as_u16(), calls.len()), (405, 0), "{method} {path}");
            assert_eq!(headers["allow"], allow, "{method} {path}");
        }
    }

    #[tokio::test]
    async fn literal_paths_win_over_ids_and_head_asks_what_get_asks() {
        for (method, path, name) in [
            ("GET", "/api/predictions/stats/", "predictions_stats"),
            ("GET", "/api/predictions/backtest/", "predictions_backtest"),
            ("GET", "/api/predictions/auto", "auto_get"),
            ("GET", "/api/predictions/0198/", "predictions_get"),
            ("POST", "/api/predictions/auto/", "auto_set"),
            ("HEAD", "/health", "health"),
        ] {
            let (_, _, _, calls) = send(Door::Socket, request(method, path)).await;
            assert_eq!(calls[0].operation.name, name, "{method} {path}");
        }
    }

    #[tokio::test]
    async fn sizes_and_types_of_bodies() {
        const JSON: &str = "application/json";
        for (path, bytes, kind, expected) in [
            ("/api/memory/search/", body::MAX_BODY, JSON, 201),
            ("/api/memory/search/", body::MAX_BODY + 1, JSON, 413),
            ("/api/recording/events/", body::MAX_BODY + 1, JSON, 201),
            ("/api/recording/events/", body::MAX_INGEST_BODY + 1, JSON, 413),
            ("/api/memory/search/", 1, "text/plain", 415),
        ] {
            let (status, headers, _, calls) = send(Door::Socket, post(path, bytes, kind)).await;
            assert_eq!(status, expected, "{path} {bytes} {kind}");
            assert_eq!(calls.len(), usize::from(expected == 201));
            assert_eq!(headers.contains_key("connection"), expected == 413);
        }
    }

    #[tokio::test]
    async fn ids_are_decoded_strictly() {
        let long = format!("/api/memory/facts/{}/", "x".repeat(MAX_ID + 1));
        let fits = format!("/api/memory/facts/{}/", "x".repeat(MAX_ID));
        for (path, expected) in [
            ("/api/memory/facts/%zz/", 400),
            ("/api/memory/facts/%4/", 400),
            ("/api/memory/facts/%+1/", 400),
            ("/api/memory/facts/%ff/", 400),
            ("/api/memory/facts/a%00b/", 400),
            ("/api/memory/facts/a%0Ab/", 400),
            (long.as_str(), 400),
            (fits.as_str(), 201),
            ("/api/memory/facts/%2e%2e/", 201),
        ] {
            let (status, ..) = send(Door::Socket, request("GET", path)).await;
            assert_eq!(status, expected, "{path}");
        }
    }

    #[tokio::test]
    async fn failures_of_the_handler_keep_their_shape() {
        let (status, headers, value, _) = send(Door::Socket, request("GET", "/api/memory/facts/full/")).await;
        assert_eq!(status, 503);
        assert_eq!(headers["retry-after"], "1");
        assert_eq!(value, serde_json::json!({"error": "the queue is full", "hint": "try again"}));
        let (status, ..) = send(Door::Socket, request("GET", "/api/memory/facts/panic/")).await;
        assert_eq!(status, 500);
        let (status, headers, value, _) = send(Door::Socket, request("GET", "/api/memory/facts/gone/")).await;
        assert_eq!((status.as_u16(), value), (204, Value::Null));
        assert!(!headers.contains_key("content-type"));
    }

    #[tokio::test]
    async fn tcp_asks_for_a_key() {
        let door = Door::Tcp { port: 9 };
        let asked = |key: Option<&str>, path: &str| {
            let mut request = request("GET", path);
            request.headers_mut().insert("host", HeaderValue::from_static("localhost:9"));
            if let Some(key) = key {
                request.headers_mut().insert("x-clone-api-key", HeaderValue::from_str(key).expect("key"));
            }
            request
        };
        let (status, headers, value, calls) = send(door, asked(None, "/api/auth/me/")).await;
        assert_eq!((status.as_u16(), calls.len()), (401, 0));
        assert_eq!(headers["www-authenticate"], "Bearer");
        assert!(value["hint"].is_string());
        let (status, _, _, calls) = send(door, asked(Some("clone_good"), "/api/auth/me/")).await;
        assert_eq!(status, 201);
        assert_eq!(calls[0].caller, Caller::Key { id: "k".to_owned(), scope: Scope::Admin });
        let (status, _, _, calls) = send(door, asked(Some("clone_bad"), "/health/")).await;
        assert_eq!(status, 201);
        assert_eq!(calls[0].caller, Caller::Nobody);
    }
}
