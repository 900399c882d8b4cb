//! One router over the table of operations; the same code behind the socket and behind TCP.
//!
//! Dispatch is a lookup in [`OPERATIONS`], not a tree of handlers: a path with and without its trailing slash is the same
//! operation, a literal path wins over one with `{id}`, and HEAD asks what GET asks. Every failure is
//! `{"error": ..., "hint"?: ...}`, and every reply forbids caching and sniffing and names our version.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use clone_schema::Fault;
use clone_schema::api::{OPERATIONS, Operation};
use clone_schema::fault::Kind;

use super::{Call, Door, Handler, Reply, VERSION, body, guard};

/// The longest path parameter, in bytes after decoding.
pub const MAX_ID: usize = 512;

/// How long a client should wait after a 503, in seconds.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Routes of the hosted product that one person's daemon does not have, and what to use instead.
const HOSTED: &[(&str, &str)] = &[
    ("/api/auth/signup", "no account is needed; make an API key with `clone keys create --label NAME`"),
    ("/api/auth/login", "use the Unix socket, or make an API key with `clone keys create --label NAME`"),
    ("/api/auth/logout", "end a key with `clone keys revoke ID`"),
    ("/api/auth/waitlist", "Clone is installed already; see `clone status`"),
    ("/api/auth/invite", "no invite is needed; make an API key with `clone keys create --label NAME`"),
    ("/api/access", "share with an API key of a narrow scope: `clone keys create --label NAME`"),
    ("/api/voice", "send what was said as events to `POST /api/recording/events/`"),
    ("/api/news", "see CHANGELOG.md"),
];

/// The router of one door.
#[must_use]
pub fn router(handler: Handler, door: Door) -> Router {
    router_with(handler, door, body::BODY_TIME)
}

/// The router of one door with another time limit for bodies.
#[must_use]
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

async fn answer(State(desk): State<Desk>, request: Request) -> Response {
    let response = match take(&desk, request).await {
        Ok(call) => run(&desk.handler, call).await,
        Err(refusal) => *refusal,
    };
    sealed(response)
}

/// Checks a request and reads its body.
async fn take(desk: &Desk, request: Request) -> Result<Call, Box<Response>> {
    let (head, body) = request.into_parts();
    let authority = head.uri.authority().map(|authority| authority.as_str());
    let parts = guard::Parts { door: desk.door, authority, headers: &head.headers };
    guard::address(&parts).map_err(refused)?;
    let (operation, raw) = locate(&head.method, head.uri.path()).map_err(missed)?;
    let caller = guard::admit(&parts, operation, &*desk.handler.authenticate).map_err(refused)?;
    let id = raw.map(decoded).transpose().map_err(refused)?;
    let query = query(&head.uri).map_err(refused)?;
    let body = match operation.method {
        "POST" => body::read(body, body::cap(operation), desk.body_time).await.map_err(broken)?,
        _ => Bytes::new(),
    };
    let body = if body.is_empty() && operation.method == "POST" { Bytes::from_static(b"{}") } else { body };
    Ok(Call { operation, id, query, body, caller })
}

/// Runs the handler on its own task, which lives on when the client hangs up, and whose panic ends only itself.
async fn run(handler: &Handler, call: Call) -> Response {
    let (answer, name) = (handler.call.clone(), call.operation.name);
    match tokio::spawn(async move { answer(call).await }).await {
        Ok(Ok(reply)) => json(reply),
        Ok(Err(fault)) => failure(&fault),
        Err(error) => {
            tracing::error!(operation = name, %error, "the handler ended without an answer");
            failure(&Fault::internal(format!("`{name}` ended without an answer")).hint("see the log of the daemon"))
        }
    }
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
    let under =
        |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
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
            bytes.push(hex(digits).ok_or_else(wrong)?);
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

fn hex(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0, |value: u8, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(value * 16 + u8::try_from(digit).ok()?)
    })
}

fn query(uri: &Uri) -> Result<BTreeMap<String, String>, Fault> {
    Query::try_from_uri(uri).map(|Query(pairs)| pairs).map_err(|_| Fault::invalid("the query is not percent-encoded text"))
}

fn refused(fault: Fault) -> Box<Response> {
    Box::new(failure(&fault))
}

fn missed(missed: Missed) -> Box<Response> {
    Box::new(match missed {
        Missed::Unknown => failure(&Fault::not_found("no such path")),
        Missed::Hosted(hint) => {
            failure(&Fault::not_found("this is a single-person daemon; the path belongs to the hosted product").hint(hint))
        }
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

fn error(status: StatusCode, fault: &Fault) -> Response {
    let mut body = serde_json::Map::from_iter([("error".to_owned(), fault.message.clone().into())]);
    if let Some(hint) = &fault.hint {
        body.insert("hint".to_owned(), hint.clone().into());
    }
    json(Reply { status: status.as_u16(), body: serde_json::Value::Object(body).to_string() })
}

fn json(reply: Reply) -> Response {
    let empty = reply.body.is_empty();
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
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
#[path = "routes_tests.rs"]
mod tests;
