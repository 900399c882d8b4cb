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
/// `Forbidden` for a foreign Host or Origin or too small a scope, `Unauthorized` without a good credential, `Unavailable`
/// where nobody can say yet whether it is good, `Conflict` for a client of another version, `Unsupported` for a body that
/// is not plain JSON.
pub fn admit(
    parts: &Parts<'_>,
    operation: &Operation,
    authenticate: &dyn Fn(&str) -> Result<Option<Caller>, Fault>,
) -> Result<Caller, Fault> {
    address(parts)?;
    let caller = caller(parts, operation, authenticate)?;
    scope(&caller, operation)?;
    version(parts.headers)?;
    if operation.takes_body() {
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
    authenticate: &dyn Fn(&str) -> Result<Option<Caller>, Fault>,
) -> Result<Caller, Fault> {
    if parts.door == Door::Socket {
        return Ok(Caller::Owner);
    }
    let keys = values(parts.headers, KEY_HEADER).map(str::trim);
    let bearers = values(parts.headers, "authorization").filter_map(bearer);
    let mut presented = keys.chain(bearers).filter(|key| !key.is_empty() && key.len() <= MAX_KEY).peekable();
    let any = presented.peek().is_some();
    match presented.find_map(|key| authenticate(key).transpose()) {
        Some(Ok(caller)) => Ok(caller),
        // What is open to nobody is open to somebody whose key cannot be looked up just now.
        _ if operation.scope == Scope::Open => Ok(Caller::Nobody),
        Some(Err(unknown)) => Err(unknown),
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

/// Refuses a caller whose scope is too small.
pub(super) fn scope(caller: &Caller, operation: &Operation) -> Result<(), Fault> {
    if caller.scope() >= operation.scope {
        return Ok(());
    }
    let (has, needs) = (caller.scope().name(), operation.scope.name());
    Err(Fault::new(Kind::Forbidden, format!("the key has the scope `{has}`, `{}` needs `{needs}`", operation.name)))
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
        _ => Err(Fault::new(Kind::Unsupported, "the body is not JSON").hint("send `Content-Type: application/json`")),
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
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use clone_schema::api;

    use super::*;

    const TCP: Door = Door::Tcp { port: 8001 };
    const HERE: (&str, &str) = ("host", "127.0.0.1:8001");
    const LOCAL: (&str, &str) = ("host", "localhost");
    const ADMIN: (&str, &str) = ("x-clone-api-key", "clone_admin");
    const BAD: (&str, &str) = ("x-clone-api-key", "clone_bad");
    const LATER: (&str, &str) = ("x-clone-api-key", "clone_later");
    const JSON: (&str, &str) = ("content-type", "application/json");
    const SIZE: (&str, &str) = ("content-length", "2");

    /// Operation, headers, status.
    type Cases<'a> = &'a [(&'a str, &'a [(&'a str, &'a str)], u16)];

    fn authenticate(key: &str) -> Result<Option<Caller>, Fault> {
        let scope = match key {
            "clone_admin" | "jwt.shaped.token" => Scope::Admin,
            "clone_write" => Scope::Write,
            "clone_predict" => Scope::Predict,
            "clone_read" => Scope::Read,
            "clone_later" => return Err(Fault::new(Kind::Unavailable, "not now")),
            _ => return Ok(None),
        };
        Ok(Some(Caller::Key { id: key.to_owned(), scope }))
    }

    /// The status of a request, 200 where it may pass.
    fn status(door: Door, operation: &str, headers: &[(&str, &str)]) -> u16 {
        outcome(door, None, operation, headers).map_or_else(|fault| fault.kind.status(), |_| 200)
    }

    fn outcome(
        door: Door,
        authority: Option<&str>,
        operation: &str,
        headers: &[(&str, &str)],
    ) -> Result<Caller, Fault> {
        let pairs = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("name");
            (name, HeaderValue::from_bytes(value.as_bytes()).expect("value"))
        });
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name, value);
        }
        let operation = api::find(operation).expect("operation");
        admit(&Parts { door, authority, headers: &map }, operation, &authenticate)
    }

    #[test]
    fn hosts() {
        for (host, expected) in [
            ("127.0.0.1:8001", 200),
            ("localhost:8001", 200),
            ("[::1]:8001", 200),
            ("127.0.0.1", 403),
            ("localhost", 403),
            ("127.0.0.1:8002", 403),
            ("127.0.0.1:08001", 403),
            ("localhost.:8001", 403),
            ("LOCALHOST:8001", 403),
            ("evil.test", 403),
            ("evil.test:8001", 403),
            ("127.0.0.1.evil.test:8001", 403),
            ("localhost.evil.test:8001", 403),
            ("0.0.0.0:8001", 403),
            ("127.0.0.2:8001", 403),
            ("127.1:8001", 403),
            ("2130706433:8001", 403),
            ("[::]:8001", 403),
            ("::1:8001", 403),
            ("[::ffff:127.0.0.1]:8001", 403),
            ("user@127.0.0.1:8001", 403),
            ("127.0.0.1:8001:8001", 403),
            ("\u{ff}", 403),
            (":8001", 403),
            ("", 403),
        ] {
            assert_eq!(status(TCP, "status", &[("host", host), ADMIN]), expected, "{host:?}");
        }
        assert_eq!(status(TCP, "status", &[ADMIN]), 403, "no Host");
        assert_eq!(status(TCP, "status", &[HERE, HERE, ADMIN]), 403, "two Hosts");
        assert_eq!(status(TCP, "health", &[("host", "evil.test")]), 403, "not even the open one");
    }

    #[test]
    fn absolute_targets_count_as_a_host() {
        for (authority, expected) in
            [("127.0.0.1:8001", true), ("evil.test", false), ("evil.test:8001", false), ("127.0.0.1:80", false)]
        {
            let passed = outcome(TCP, Some(authority), "status", &[HERE, ADMIN]).is_ok();
            assert_eq!(passed, expected, "{authority}");
        }
    }

    #[test]
    fn origins() {
        for (name, value, expected) in [
            ("origin", "http://127.0.0.1:8001", 200),
            ("origin", "http://localhost:8001", 200),
            ("origin", "http://[::1]:8001", 200),
            ("origin", "https://127.0.0.1:8001", 403),
            ("origin", "http://localhost:3000", 403),
            ("origin", "http://localhost", 403),
            ("origin", "http://127.0.0.1:8001/", 403),
            ("origin", "http://127.0.0.1:8001.evil.test", 403),
            ("origin", "http://evil.test", 403),
            ("origin", "https://evil.test:8001", 403),
            ("origin", "null", 403),
            ("origin", "", 403),
            ("origin", "file://", 403),
            ("origin", "chrome-extension://abcdef", 403),
            ("sec-fetch-site", "same-origin", 200),
            ("sec-fetch-site", "none", 200),
            ("sec-fetch-site", "same-site", 403),
            ("sec-fetch-site", "cross-site", 403),
            ("sec-fetch-site", "anything-new", 403),
        ] {
            assert_eq!(status(TCP, "status", &[HERE, ADMIN, (name, value)]), expected, "{name}: {value}");
        }
        let two = [HERE, ADMIN, ("origin", "http://localhost:8001"), ("origin", "http://evil.test")];
        assert_eq!(status(TCP, "status", &two), 403, "one good Origin does not excuse a bad one");
        assert_eq!(status(TCP, "health", &[HERE, ("origin", "http://evil.test")]), 403);
    }

    #[test]
    fn credentials() {
        let cases: Cases<'_> = &[
            ("status", &[], 401),
            ("status", &[BAD], 401),
            ("status", &[ADMIN], 200),
            ("status", &[("x-clone-api-key", "jwt.shaped.token")], 200),
            ("status", &[("authorization", "Bearer jwt.shaped.token")], 200),
            ("status", &[("authorization", "bearer clone_admin")], 200),
            ("status", &[("authorization", "Bearer  clone_admin ")], 200),
            ("status", &[("authorization", "Bearer")], 401),
            ("status", &[("authorization", "Bearer ")], 401),
            ("status", &[("authorization", "Basic clone_admin")], 401),
            ("status", &[("authorization", "clone_admin")], 401),
            ("status", &[("cookie", "key=clone_admin")], 401),
            ("status", &[BAD, ("authorization", "Bearer clone_admin")], 200),
            ("status", &[BAD, ("authorization", "Bearer wrong")], 401),
            ("status", &[ADMIN, ("authorization", "Bearer wrong")], 200),
            ("status", &[("x-clone-api-key", "")], 401),
            ("status", &[("x-clone-api-key", "\u{ff}")], 401),
            ("health", &[], 200),
            ("health", &[BAD], 200),
            ("health", &[ADMIN], 200),
            ("status", &[LATER], 503),
            ("status", &[BAD, ("authorization", "Bearer clone_later")], 503),
            ("health", &[LATER], 200),
            ("status", &[("x-clone-api-key", "clone_read")], 200),
            ("predict", &[("x-clone-api-key", "clone_read")], 403),
            ("predict", &[("x-clone-api-key", "clone_predict")], 200),
            ("events_ingest", &[("x-clone-api-key", "clone_predict")], 403),
            ("events_ingest", &[("x-clone-api-key", "clone_write")], 200),
            ("predict", &[("x-clone-api-key", "clone_write")], 200),
            ("keys_list", &[("x-clone-api-key", "clone_write")], 403),
            ("keys_list", &[ADMIN], 200),
            ("auto_set", &[("x-clone-api-key", "clone_write")], 403),
        ];
        for (operation, headers, expected) in cases {
            let all: Vec<_> = std::iter::once(HERE).chain(headers.iter().copied()).collect();
            assert_eq!(status(TCP, operation, &all), *expected, "{operation} {headers:?}");
        }
        assert_eq!(outcome(TCP, None, "health", &[HERE]).expect("open"), Caller::Nobody);
    }

    #[test]
    fn an_endless_key_is_not_looked_up() {
        let looked = std::cell::Cell::new(0);
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("127.0.0.1:8001"));
        for length in [MAX_KEY, MAX_KEY + 1] {
            headers.insert(KEY_HEADER, HeaderValue::from_str(&"k".repeat(length)).expect("value"));
            let parts = Parts { door: TCP, authority: None, headers: &headers };
            let fault = admit(&parts, api::find("status").expect("status"), &|_| {
                looked.set(looked.get() + 1);
                Ok(None)
            });
            assert_eq!(fault.expect_err("wrong key").kind, Kind::Unauthorized);
        }
        assert_eq!(looked.get(), 1);
    }

    #[test]
    fn bodies() {
        let cases: Cases<'_> = &[
            ("predict", &[], 200),
            ("predict", &[("content-length", "0"), ("content-type", "text/plain")], 200),
            ("predict", &[SIZE, JSON], 200),
            ("predict", &[SIZE, ("content-type", "application/json; charset=utf-8")], 200),
            ("predict", &[SIZE, ("content-type", "Application/JSON;charset=\"UTF-8\"")], 200),
            ("predict", &[SIZE, ("content-type", "application/json;")], 200),
            ("predict", &[SIZE, ("content-type", "application/json; charset=latin1")], 415),
            ("predict", &[SIZE, ("content-type", "application/json; boundary=x")], 415),
            ("predict", &[SIZE], 415),
            ("predict", &[SIZE, ("content-type", "text/plain")], 415),
            ("predict", &[SIZE, ("content-type", "application/x-www-form-urlencoded")], 415),
            ("predict", &[SIZE, ("content-type", "multipart/form-data; boundary=application/json")], 415),
            ("predict", &[SIZE, ("content-type", "text/plain; application/json")], 415),
            ("predict", &[SIZE, ("content-type", "application/jsonp")], 415),
            ("predict", &[SIZE, JSON, ("content-type", "text/plain")], 415),
            ("predict", &[("transfer-encoding", "chunked")], 415),
            ("predict", &[("transfer-encoding", "chunked"), JSON], 200),
            ("predict", &[SIZE, JSON, ("content-encoding", "gzip")], 415),
            ("predict", &[SIZE, JSON, ("content-encoding", "identity, gzip")], 415),
            ("predict", &[SIZE, JSON, ("content-encoding", "identity")], 200),
            ("status", &[SIZE], 200),
            ("predict", &[("clone-version", VERSION)], 200),
            ("predict", &[("clone-version", "99.0.0")], 409),
        ];
        for (operation, headers, expected) in cases {
            let all: Vec<_> = [HERE, ADMIN].into_iter().chain(headers.iter().copied()).collect();
            assert_eq!(status(TCP, operation, &all), *expected, "{operation} {headers:?}");
        }
    }

    #[test]
    fn the_socket() {
        let cases: Cases<'_> = &[
            ("keys_create", &[], 200),
            ("keys_create", &[LOCAL], 200),
            ("keys_create", &[LOCAL, BAD], 200),
            ("status", &[("host", "localhost:8001")], 403),
            ("status", &[("host", "127.0.0.1")], 403),
            ("status", &[("host", "evil.test")], 403),
            ("status", &[("host", "")], 403),
            ("status", &[LOCAL, LOCAL], 403),
            ("status", &[LOCAL, ("origin", "http://localhost")], 403),
            ("status", &[LOCAL, ("origin", "http://127.0.0.1:8001")], 403),
            ("status", &[LOCAL, ("origin", "null")], 403),
            ("status", &[LOCAL, ("sec-fetch-site", "cross-site")], 403),
            ("predict", &[LOCAL, SIZE, ("content-type", "text/plain")], 415),
            ("predict", &[LOCAL, SIZE, JSON], 200),
        ];
        for (operation, headers, expected) in cases {
            assert_eq!(status(Door::Socket, operation, headers), *expected, "{operation} {headers:?}");
        }
        assert_eq!(outcome(Door::Socket, None, "status", &[LOCAL]).expect("owner"), Caller::Owner);
        assert!(outcome(Door::Socket, Some("evil.test"), "status", &[]).is_err());
    }

    #[test]
    fn checks_come_in_order() {
        let evil = ("host", "evil.test");
        let page = ("origin", "http://evil.test");
        let form = ("content-type", "text/plain");
        let read = ("x-clone-api-key", "clone_read");
        let said = |headers: &[(&str, &str)]| outcome(TCP, None, "predict", headers).expect_err("refused").message;
        assert!(said(&[evil, page, SIZE, form]).contains("Host"));
        assert!(said(&[HERE, page, SIZE, form]).contains("origin"));
        assert!(said(&[HERE, SIZE, form]).contains("credential"));
        assert!(said(&[HERE, read, SIZE, form]).contains("scope"));
        assert!(said(&[HERE, ADMIN, SIZE, form]).contains("JSON"));
    }
}
