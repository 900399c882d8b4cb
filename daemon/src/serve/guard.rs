//! Who may call: Host, Origin, credential, scope and content type, in this order, on the parts of a request.
//!
//! Pure: headers in, a caller or a fault out. Being on loopback proves nothing, since any web page can make a browser
//! send requests there: the Host check ends DNS rebinding, the Origin check ends cross-site requests, and there are no
//! cookies and no CORS headers at all. On the socket the peer's user was checked before the first byte was read.

use axum::http::HeaderMap;
use clone_schema::Fault;
use clone_schema::api::{Operation, Scope};
use clone_schema::fault::Kind;

use super::{Caller, VERSION, VERSION_HEADER, compatible};

/// The longest key or token that is looked up, in bytes.
pub const MAX_KEY: usize = 512;

/// The header of an API key.
pub const KEY_HEADER: &str = "x-clone-api-key";

/// Which listener a request came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The Unix socket: the peer is the person.
    Socket,
    /// Loopback TCP on this port.
    Tcp {
        /// The bound port, which Host and Origin must name.
        port: u16,
    },
}

/// The parts of a request that decide whether it may pass.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The listener.
    pub door: Door,
    /// The authority of an absolute-form target (`GET http://host/ HTTP/1.1`), where there is one.
    pub authority: Option<&'a str>,
    /// Every header.
    pub headers: &'a HeaderMap,
}

/// Checks everything about a request for an operation and says who asks.
///
/// # Errors
///
/// `Forbidden` for a foreign Host or Origin or too small a scope, `Unauthorized` without a good credential, `Conflict`
/// for a client of another version, `Unsupported` for a body that is not plain JSON.
pub fn admit(
    parts: &Parts<'_>,
    operation: &Operation,
    authenticate: &dyn Fn(&str) -> Option<Caller>,
) -> Result<Caller, Fault> {
    address(parts)?;
    let caller = caller(parts, operation, authenticate)?;
    scope(&caller, operation)?;
    version(parts.headers)?;
    if operation.method == "POST" {
        content(parts.headers)?;
    }
    Ok(caller)
}

/// Checks Host, Origin and Sec-Fetch-Site: whether the request was meant for us and does not come from a web page.
///
/// # Errors
///
/// `Forbidden`.
pub fn address(parts: &Parts<'_>) -> Result<(), Fault> {
    host(parts)?;
    origin(parts)?;
    let foreign = values(parts.headers, "sec-fetch-site").any(|site| !matches!(site, "same-origin" | "none"));
    if foreign {
        return Err(Fault::new(Kind::Forbidden, "a web page of another origin may not call this daemon"));
    }
    Ok(())
}

fn host(parts: &Parts<'_>) -> Result<(), Fault> {
    let named: Vec<&str> = values(parts.headers, "host").collect();
    let good = match (parts.door, named.as_slice()) {
        (Door::Socket, []) => true,
        (door, [host]) => is_ours(door, host),
        _ => false,
    };
    if good && parts.authority.is_none_or(|authority| is_ours(parts.door, authority)) {
        return Ok(());
    }
    Err(Fault::new(Kind::Forbidden, "the Host header does not name this daemon").hint(match parts.door {
        Door::Socket => "use the host name `localhost`".to_owned(),
        Door::Tcp { port } => format!("use `127.0.0.1:{port}`, `localhost:{port}` or `[::1]:{port}`"),
    }))
}

/// Whether a Host value is exactly one of our names; no case folding, no trailing dot, no missing port.
fn is_ours(door: Door, host: &str) -> bool {
    match door {
        Door::Socket => host == "localhost",
        Door::Tcp { port } => {
            let name = host.rsplit_once(':').filter(|(_, given)| *given == port.to_string()).map(|(name, _)| name);
            matches!(name, Some("127.0.0.1" | "localhost" | "[::1]"))
        }
    }
}

fn origin(parts: &Parts<'_>) -> Result<(), Fault> {
    let ours = |origin: &str| match parts.door {
        // No web page can reach a Unix socket: an Origin there means a proxy that lends our door to browsers.
        Door::Socket => false,
        Door::Tcp { .. } => origin.strip_prefix("http://").is_some_and(|host| is_ours(parts.door, host)),
    };
    if values(parts.headers, "origin").all(ours) {
        return Ok(());
    }
    Err(Fault::new(Kind::Forbidden, "a web page of another origin may not call this daemon"))
}

fn caller(
    parts: &Parts<'_>,
    operation: &Operation,
    authenticate: &dyn Fn(&str) -> Option<Caller>,
) -> Result<Caller, Fault> {
    if parts.door == Door::Socket {
        return Ok(Caller::Owner);
    }
    let keys = values(parts.headers, KEY_HEADER).map(str::trim);
    let bearers = values(parts.headers, "authorization").filter_map(bearer);
    let mut presented = keys.chain(bearers).filter(|key| !key.is_empty() && key.len() <= MAX_KEY).peekable();
    let any = presented.peek().is_some();
    match presented.find_map(authenticate) {
        Some(caller) => Ok(caller),
        None if operation.scope == Scope::Open => Ok(Caller::Nobody),
        None => Err(unauthorized(any)),
    }
}

fn unauthorized(presented: bool) -> Fault {
    let message = if presented { "the credential is wrong or revoked" } else { "no credential" };
    Fault::new(Kind::Unauthorized, message)
        .hint("make a key with `clone keys create --label NAME` and send it as `X-Clone-API-Key`")
}

/// The token of `Bearer TOKEN`.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn scope(caller: &Caller, operation: &Operation) -> Result<(), Fault> {
    if caller.scope() >= operation.scope {
        return Ok(());
    }
    let (has, needs) = (word(caller.scope()), word(operation.scope));
    Err(Fault::new(Kind::Forbidden, format!("the key has the scope `{has}`, `{}` needs `{needs}`", operation.name)))
}

const fn word(scope: Scope) -> &'static str {
    match scope {
        Scope::Open => "open",
        Scope::Read => "read",
        Scope::Predict => "predict",
        Scope::Write => "write",
        Scope::Admin => "admin",
    }
}

/// Refuses a client of another version before anything is done; a client that names none is not ours and may pass.
fn version(headers: &HeaderMap) -> Result<(), Fault> {
    match values(headers, VERSION_HEADER).find(|theirs| !compatible(VERSION, theirs)) {
        Some(theirs) => {
            Err(Fault::new(Kind::Conflict, format!("the client is version `{theirs}`, the daemon `{VERSION}`"))
                .hint("restart the daemon so that both are the same version"))
        }
        None => Ok(()),
    }
}

/// Checks that a body, where there is one, is plain JSON.
///
/// Form posts and `text/plain` are what a browser sends without asking first, so nothing but JSON passes.
fn content(headers: &HeaderMap) -> Result<(), Fault> {
    if !has_body(headers) {
        return Ok(());
    }
    if values(headers, "content-encoding").any(|coding| !coding.trim().eq_ignore_ascii_case("identity")) {
        return Err(Fault::new(Kind::Unsupported, "a compressed body is not taken")
            .hint("send the body without Content-Encoding"));
    }
    let types: Vec<&str> = values(headers, "content-type").collect();
    match types.as_slice() {
        [one] if is_json(one) => Ok(()),
        _ => {
            Err(Fault::new(Kind::Unsupported, "the body is not JSON").hint("send `Content-Type: application/json`"))
        }
    }
}

/// Whether the headers announce a body; a chunked one counts even if it turns out empty.
fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key("transfer-encoding") || values(headers, "content-length").any(|length| length.trim() != "0")
}

fn is_json(value: &str) -> bool {
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    essence
        && parts.filter(|part| !part.is_empty()).all(|part| {
            let (name, charset) = part.split_once('=').unwrap_or((part, ""));
            name.trim().eq_ignore_ascii_case("charset")
                && charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

/// Every value of a header; one that is not ASCII text reads as a value that nothing accepts.
fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().map(|value| value.to_str().unwrap_or("\u{fffd}"))
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
