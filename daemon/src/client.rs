//! The typed client of the daemon: the socket by default, loopback HTTP where `CLONE_API_URL` says so.
//!
//! Every call opens its own connection, so a client outlives a restart of the daemon. The request names our version and
//! the daemon refuses a foreign one before it does anything; the reply names the daemon's, and a mismatch is an error
//! that names both. No address other than the socket and loopback is ever contacted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use clone_schema::Fault;
use clone_schema::api::{self, Operation};
use clone_schema::fault::Kind;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::http::response::Parts;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::serve::{VERSION, VERSION_HEADER, compatible, guard::KEY_HEADER};

/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long an answer may take: longer than any query, shorter than for ever.
const ANSWER_TIME: Duration = Duration::from_secs(600);

/// The largest reply, in bytes.
const MAX_REPLY: usize = 64 << 20;

/// How a key starts; any other token is sent as a bearer.
const KEY_PREFIX: &str = "clone_";

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon answers on `{address}`: {reason}")]
    NotReachable {
        /// The socket or the URL.
        address: String,
        /// What the operating system said.
        reason: String,
    },
    /// The daemon is of another version.
    #[error("this is Clone `{client}`, the daemon is `{daemon}`")]
    Version {
        /// Our version.
        client: String,
        /// The daemon's version.
        daemon: String,
    },
    /// The daemon said no.
    #[error("{error}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What happened.
        error: String,
        /// What to do, where the daemon knows.
        hint: Option<String>,
    },
    /// Whatever answers is not a daemon of ours, or it broke off.
    #[error("the answer of `{address}` cannot be used: {reason}")]
    Broken {
        /// The socket or the URL.
        address: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The call or the address is wrong on our side.
    #[error("{0}")]
    Misuse(String),
}

impl ClientError {
    /// What the person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::NotReachable { .. } => {
                Some("start it with `clone daemon`, or install it once with `clone service install`")
            }
            Self::Version { .. } => {
                Some("restart the daemon: `clone service install`, or stop it and run `clone daemon`")
            }
            Self::Refused { hint, .. } => hint.as_deref(),
            Self::Broken { .. } | Self::Misuse(_) => None,
        }
    }

    /// The HTTP status, where the daemon answered.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        let kind = match &error {
            ClientError::NotReachable { .. } => Kind::Unavailable,
            ClientError::Version { .. } => Kind::Conflict,
            ClientError::Refused { status, .. } => kind(*status),
            ClientError::Broken { .. } => Kind::Internal,
            ClientError::Misuse(_) => Kind::Invalid,
        };
        Self { kind, message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

/// The kind behind a status; one that no kind has is the caller's fault below 500 and ours from there.
fn kind(status: u16) -> Kind {
    let kinds = [
        Kind::Invalid,
        Kind::Unauthorized,
        Kind::Forbidden,
        Kind::NotFound,
        Kind::Conflict,
        Kind::TooLarge,
        Kind::Unsupported,
        Kind::Unavailable,
        Kind::DiskFull,
    ];
    let other = if status < 500 { Kind::Invalid } else { Kind::Internal };
    kinds.into_iter().find(|kind| kind.status() == status).unwrap_or(other)
}

/// A way to one daemon.
#[derive(Clone, Debug)]
pub struct Client {
    address: Address,
}

#[derive(Clone)]
enum Address {
    Socket(PathBuf),
    Http { host: String, token: Option<String> },
}

impl std::fmt::Debug for Address {
    /// The token stays out of every log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Address {
    fn name(&self) -> String {
        match self {
            Self::Socket(path) => path.display().to_string(),
            Self::Http { host, .. } => format!("http://{host}"),
        }
    }
}

impl Client {
    /// A client of the socket at this path; nothing is opened before the first call.
    #[must_use]
    pub fn connect(socket: &Path) -> Self {
        Self { address: Address::Socket(socket.to_owned()) }
    }

    /// A client over plain HTTP to loopback, with an API key or a token; nothing is opened before the first call.
    ///
    /// # Errors
    ///
    /// [`ClientError::Misuse`] for a URL that is not `http://` with a loopback host, and for a token that fits no header.
    pub fn http(url: &str, token: Option<&str>) -> Result<Self, ClientError> {
        let host = loopback(url).ok_or_else(|| {
            ClientError::Misuse(format!("`{url}` is not a loopback URL such as `http://127.0.0.1:8001`"))
        })?;
        if token.is_some_and(|token| token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(ClientError::Misuse("the API token is empty or holds characters that no token has".into()));
        }
        Ok(Self { address: Address::Http { host, token: token.map(str::to_owned) } })
    }

    /// Calls one operation and returns its JSON; null where the reply is empty.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`]; [`ClientError::Refused`] carries the daemon's words.
    pub async fn call(
        &self,
        operation: &str,
        id: Option<&str>,
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        let found = api::find(operation);
        let operation = found.ok_or_else(|| ClientError::Misuse(format!("there is no operation `{operation}`")))?;
        let request = self.request(operation, id, query, body)?;
        let answer = async {
            match &self.address {
                Address::Socket(path) => self.exchange(self.reach(UnixStream::connect(path)).await?, request).await,
                Address::Http { host, .. } => self.exchange(self.reach(TcpStream::connect(host)).await?, request).await,
            }
        };
        let answer = tokio::time::timeout(ANSWER_TIME, answer).await;
        let (head, bytes) = answer.map_err(|_| self.broken("no answer in time"))??;
        self.read(&head, &bytes)
    }

    /// [`Client::call`] for callers without a runtime.
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; [`ClientError::Misuse`] where no runtime can be made.
    ///
    /// # Panics
    ///
    /// Inside a runtime, where [`Client::call`] is the way.
    pub fn blocking(
        &self,
        operation: &str,
        id: Option<&str>,
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| ClientError::Misuse(format!("could not start a runtime: {error}")))?;
        runtime.block_on(self.call(operation, id, query, body))
    }

    fn request(
        &self,
        operation: &Operation,
        id: Option<&str>,
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder()
            .method(operation.method)
            .uri(target(operation, id, query)?)
            .header(VERSION_HEADER, VERSION);
        request = match &self.address {
            Address::Socket(_) => request.header(HOST, "localhost"),
            Address::Http { host, token } => {
                let request = request.header(HOST, host);
                match token {
                    Some(key) if key.starts_with(KEY_PREFIX) => request.header(KEY_HEADER, key),
                    Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
                    None => request,
                }
            }
        };
        let bytes = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        request.body(Full::new(bytes)).map_err(|error| ClientError::Misuse(error.to_string()))
    }

    async fn reach<S>(&self, connecting: impl Future<Output = std::io::Result<S>>) -> Result<S, ClientError> {
        let failed = |reason: String| ClientError::NotReachable { address: self.address.name(), reason };
        match tokio::time::timeout(CONNECT_TIME, connecting).await {
            Ok(connected) => connected.map_err(|error| failed(error.to_string())),
            Err(_) => Err(failed("no connection in time".to_owned())),
        }
    }

    async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        request: Request<Full<Bytes>>,
    ) -> Result<(Parts, Bytes), ClientError> {
        let broken = |error: hyper::Error| self.broken(error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
        let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        let bytes = Limited::new(body, MAX_REPLY).collect().await.map_err(|error| self.broken(error))?.to_bytes();
        drop(driver);
        Ok((head, bytes))
    }

    fn read(&self, head: &Parts, bytes: &[u8]) -> Result<Value, ClientError> {
        let daemon = header(&head.headers, VERSION_HEADER).ok_or_else(|| self.broken("it is not a Clone daemon"))?;
        if !compatible(VERSION, daemon) {
            return Err(ClientError::Version { client: VERSION.to_owned(), daemon: daemon.to_owned() });
        }
        let value = if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(bytes) };
        if head.status.is_success() {
            return value.map_err(|error| self.broken(error));
        }
        let said = |name: &str| value.as_ref().ok()?.get(name)?.as_str().map(str::to_owned);
        Err(ClientError::Refused {
            status: head.status.as_u16(),
            error: said("error").unwrap_or_else(|| format!("the daemon answered {}", head.status)),
            hint: said("hint"),
        })
    }

    fn broken(&self, reason: impl std::fmt::Display) -> ClientError {
        ClientError::Broken { address: self.address.name(), reason: reason.to_string() }
    }
}

/// The task that moves a connection's bytes; it ends with the call.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `host:port` of a loopback URL.
fn loopback(url: &str) -> Option<String> {
    let authority = url.strip_prefix("http://")?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().ok()?),
        _ => (authority, 80),
    };
    matches!(host, "127.0.0.1" | "localhost" | "[::1]").then(|| format!("{host}:{port}"))
}

/// Path and query of a call.
fn target(operation: &Operation, id: Option<&str>, query: &[(&str, String)]) -> Result<String, ClientError> {
    let mut target = match (operation.path.contains("{id}"), id.filter(|id| !id.is_empty())) {
        (true, Some(id)) => operation.path.replace("{id}", &encoded(id)),
        (true, None) => return Err(ClientError::Misuse(format!("`{}` needs an id", operation.name))),
        (false, _) => operation.path.to_owned(),
    };
    for (index, (name, value)) in query.iter().enumerate() {
        target.push(if index == 0 { '?' } else { '&' });
        target.push_str(&format!("{}={}", encoded(name), encoded(value)));
    }
    Ok(target)
}

/// Percent-encodes everything but the unreserved characters.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
