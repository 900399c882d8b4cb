//! The typed client of the daemon: the socket by default, loopback HTTP where `CLONE_API_URL` says so.
//!
//! Every call opens its own connection, so a client outlives a restart of the daemon. The request names our version and
//! the daemon refuses a foreign one before it does anything; the reply names the daemon's, and a mismatch is an error
//! that names both. No address other than the socket and loopback is ever contacted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use clone_schema::Position;
use clone_schema::api::{self, EventPage, LoggedEvent, Operation};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::http::response::Parts;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use self::address::{loopback, target};
pub use self::error::ClientError;
use self::frames::Frames;
use crate::serve::{self, VERSION, VERSION_HEADER, compatible, guard::KEY_HEADER};

mod address;
mod error;
mod frames;

/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long an answer may take: longer than any query, shorter than for ever.
const ANSWER_TIME: Duration = Duration::from_secs(600);

/// How long a stream may be silent: several of its signs of life.
const SILENCE: Duration = serve::feed::BEAT.saturating_mul(4);

/// The largest reply, in bytes.
const MAX_REPLY: usize = 64 << 20;

/// How a key starts; any other token is sent as a bearer.
const KEY_PREFIX: &str = "clone_";

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
        let request = self.request(known(operation)?, id, query, body)?;
        let (head, bytes) = self.answer(request).await?;
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
        runtime()?.block_on(self.call(operation, id, query, body))
    }

    /// One page of the log, every event byte for byte as it was appended; for callers without a runtime.
    ///
    /// # Errors
    ///
    /// As [`Client::blocking`].
    ///
    /// # Panics
    ///
    /// As [`Client::blocking`].
    pub fn events_list(&self, query: &[(&str, String)]) -> Result<EventPage, ClientError> {
        let request = self.request(known("events_list")?, None, query, None)?;
        let (head, bytes) = runtime()?.block_on(self.answer(request))?;
        self.read(&head, &bytes)
    }

    /// Hands over every event that is appended from a position on, until the daemon ends; for callers without a runtime.
    ///
    /// # Errors
    ///
    /// As [`Client::blocking`]; [`ClientError::Broken`] as well where the stream falls silent.
    ///
    /// # Panics
    ///
    /// As [`Client::blocking`].
    pub fn events_stream(&self, from: Position, each: impl FnMut(LoggedEvent)) -> Result<(), ClientError> {
        let request = self.request(known("events_stream")?, None, &[("from", from.to_string())], None)?;
        runtime()?.block_on(async {
            let (head, body, driver) = self.send(request).await?;
            let outcome = self.listen(&head, body, each).await;
            drop(driver);
            outcome
        })
    }

    /// Sends a request and reads the whole reply.
    async fn answer(&self, request: Request<Full<Bytes>>) -> Result<(Parts, Bytes), ClientError> {
        let answer = async {
            let (head, body, driver) = self.send(request).await?;
            let bytes = self.whole(body).await?;
            drop(driver);
            Ok((head, bytes))
        };
        let answer = tokio::time::timeout(ANSWER_TIME, answer).await;
        answer.map_err(|_| self.broken("no answer in time"))?
    }

    async fn whole(&self, body: Incoming) -> Result<Bytes, ClientError> {
        let whole = Limited::new(body, MAX_REPLY).collect().await;
        Ok(whole.map_err(|error| self.broken(error))?.to_bytes())
    }

    async fn listen(
        &self,
        head: &Parts,
        mut body: Incoming,
        mut each: impl FnMut(LoggedEvent),
    ) -> Result<(), ClientError> {
        if !head.status.is_success() {
            return self.read(head, &self.whole(body).await?);
        }
        self.welcome(head)?;
        let mut frames = Frames::default();
        loop {
            let piece = tokio::time::timeout(SILENCE, body.frame()).await;
            let Some(piece) = piece.map_err(|_| self.broken("the stream fell silent"))? else { return Ok(()) };
            let Ok(piece) = piece.map_err(|error| self.broken(error))?.into_data() else { continue };
            for event in frames.take(&piece) {
                each(serde_json::from_slice(&event).map_err(|error| self.broken(error))?);
            }
            if frames.waiting() > MAX_REPLY {
                return Err(self.broken("an event has no end"));
            }
        }
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

    /// Sends a request; the reply lasts as long as its driver.
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(Parts, Incoming, Driver), ClientError> {
        match &self.address {
            Address::Socket(path) => self.exchange(self.reach(UnixStream::connect(path)).await?, request).await,
            Address::Http { host, .. } => self.exchange(self.reach(TcpStream::connect(host)).await?, request).await,
        }
    }

    async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        request: Request<Full<Bytes>>,
    ) -> Result<(Parts, Incoming, Driver), ClientError> {
        let broken = |error: hyper::Error| self.broken(error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
        let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        Ok((head, body, driver))
    }

    /// Refuses whoever is no daemon of our version.
    fn welcome(&self, head: &Parts) -> Result<(), ClientError> {
        let daemon = header(&head.headers, VERSION_HEADER).ok_or_else(|| self.broken("it is not a Clone daemon"))?;
        if compatible(VERSION, daemon) {
            return Ok(());
        }
        Err(ClientError::Version { client: VERSION.to_owned(), daemon: daemon.to_owned() })
    }

    fn read<T: DeserializeOwned>(&self, head: &Parts, bytes: &[u8]) -> Result<T, ClientError> {
        self.welcome(head)?;
        let text = if bytes.is_empty() { b"null" } else { bytes };
        if head.status.is_success() {
            return serde_json::from_slice(text).map_err(|error| self.broken(error));
        }
        let value: Result<Value, _> = serde_json::from_slice(text);
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

fn known(operation: &str) -> Result<&'static Operation, ClientError> {
    api::find(operation).ok_or_else(|| ClientError::Misuse(format!("there is no operation `{operation}`")))
}

fn runtime() -> Result<tokio::runtime::Runtime, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| ClientError::Misuse(format!("could not start a runtime: {error}")))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clone_schema::Fault;
    use clone_schema::api::Scope;
    use clone_schema::fault::Kind;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::watch;

    use super::*;
    use crate::serve::{self, Caller, Door, Handler, Reply};

    /// Answers with what it was asked, or fails where the id says how.
    fn echo() -> Handler {
        let call = |call: serve::Call| -> serve::Answer {
            Box::pin(async move {
                match call.id.as_deref() {
                    Some("full") => return Err(Fault::new(Kind::Unavailable, "the queue is full").hint("try again")),
                    Some("gone") => return Ok(Reply { status: 204, body: String::new() }),
                    _ => {}
                }
                let body: Value = serde_json::from_slice(&call.body).unwrap_or(Value::Null);
                let caller = format!("{:?}", call.caller.scope());
                let answer = json!({"operation": call.operation.name, "id": call.id, "query": call.query, "caller": caller,
                    "bytes": call.body.len(), "body": if call.body.len() < 100 { body } else { Value::Null }});
                Ok(Reply { status: 200, body: answer.to_string() })
            })
        };
        let authenticate = |key: &str| {
            let good = matches!(key, "clone_good" | "a.good.token");
            Ok(good.then(|| Caller::Key { id: "k".into(), scope: Scope::Write }))
        };
        Handler { call: Arc::new(call), authenticate: Arc::new(authenticate), feed: serve::Feed::silent() }
    }

    struct Daemon {
        home: tempfile::TempDir,
        _stop: watch::Sender<bool>,
    }

    impl Daemon {
        fn start() -> Self {
            let home = tempfile::tempdir().expect("tempdir");
            let (stop, shutdown) = watch::channel(false);
            let listener = serve::bind::bind_unix(&home.path().join("run/clone.sock")).expect("bind");
            tokio::spawn(serve::unix(listener, serve::router(echo(), Door::Socket), shutdown));
            Self { home, _stop: stop }
        }

        fn client(&self) -> Client {
            Client::connect(&self.home.path().join("run/clone.sock"))
        }
    }

    #[tokio::test]
    async fn calls_arrive_as_they_were_made() {
        let daemon = Daemon::start();
        let (id, query) = ("claude-code:a/b#c?d %é", [("q", "a&b=c d".to_owned()), ("limit", "5".to_owned())]);
        let answer = daemon.client().call("facts_get", Some(id), &query, None).await.expect("answer");
        assert_eq!(answer["id"], id);
        assert_eq!(answer["query"], json!({"q": "a&b=c d", "limit": "5"}));
        assert_eq!(answer["caller"], "Admin");
        let body = json!({"query": "tea"});
        let answer = daemon.client().call("search", None, &[], Some(&body)).await.expect("answer");
        assert_eq!(answer["body"], body);
        let answer = daemon.client().call("sync", None, &[], None).await.expect("answer");
        assert_eq!(answer["body"], json!({}));
        assert_eq!(daemon.client().call("facts_get", Some("gone"), &[], None).await.expect("empty"), Value::Null);
    }

    #[tokio::test]
    async fn failures_keep_status_words_and_advice() {
        let daemon = Daemon::start();
        let error = daemon.client().call("facts_get", Some("full"), &[], None).await.expect_err("full");
        assert_eq!(
            (error.status(), error.to_string().as_str(), error.hint()),
            (Some(503), "the queue is full", Some("try again"))
        );
        let fault = Fault::from(error);
        assert_eq!(fault, Fault::new(Kind::Unavailable, "the queue is full").hint("try again"));
    }

    #[tokio::test]
    async fn a_body_over_the_cap_is_told_so_and_not_reset() {
        let daemon = Daemon::start();
        for (operation, megabytes, expected) in [
            ("search", 3, None),
            ("search", 5, Some(413)),
            ("events_ingest", 5, None),
            ("events_ingest", 12, Some(413)),
        ] {
            let body = Value::String("x".repeat(megabytes << 20));
            let answer = daemon.client().call(operation, None, &[], Some(&body)).await;
            assert_eq!(answer.err().and_then(|error| error.status()), expected, "{operation} {megabytes}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_named_with_the_way_out() {
        let home = tempfile::tempdir().expect("tempdir");
        let path = home.path().join("clone.sock");
        let error = Client::connect(&path).call("health", None, &[], None).await.expect_err("nobody");
        assert!(matches!(error, ClientError::NotReachable { .. }), "{error}");
        assert!(
            error.to_string().contains("clone.sock") && error.hint().is_some_and(|hint| hint.contains("clone daemon"))
        );
    }

    #[tokio::test]
    async fn mistakes_are_found_before_anything_is_sent() {
        let client = Client::connect(Path::new("/nonexistent/clone.sock"));
        for (operation, id) in [("no_such", None), ("facts_get", None), ("facts_get", Some(""))] {
            let error = client.call(operation, id, &[], None).await.expect_err("misuse");
            assert!(matches!(error, ClientError::Misuse(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn http_carries_keys_and_tokens() {
        let (listener, _) = serve::bind::bind_tcp("127.0.0.1", 0).await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let (_stop, shutdown) = watch::channel(false);
        tokio::spawn(serve::tcp(listener, serve::router(echo(), Door::Tcp { port }), shutdown));
        for (token, expected) in [
            (Some("clone_good"), Ok("Write")),
            (Some("a.good.token"), Ok("Write")),
            (Some("clone_bad"), Err(401)),
            (None, Err(401)),
        ] {
            let client = Client::http(&format!("http://127.0.0.1:{port}/"), token).expect("client");
            let answer = client.call("status", None, &[], None).await;
            let answer = answer.map(|value| value["caller"].as_str().map(str::to_owned));
            let answer = answer.map_err(|error| error.status().expect("status"));
            assert_eq!(answer, expected.map(|caller| Some(caller.to_owned())), "{token:?}");
        }
    }

    /// A daemon that answers every connection with these bytes.
    async fn fixed(reply: &'static str) -> Result<Value, ClientError> {
        let home = tempfile::tempdir().expect("tempdir");
        let path = home.path().join("s");
        let listener = tokio::net::UnixListener::bind(&path).expect("bind");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("accept");
            let mut head = [0; 4096];
            let count = stream.read(&mut head).await.expect("read");
            assert!(String::from_utf8_lossy(&head[..count]).contains(&format!("clone-version: {VERSION}")));
            stream.write_all(reply.as_bytes()).await.expect("write");
        });
        Client::connect(&path).call("health", None, &[], None).await
    }

    #[tokio::test]
    async fn other_versions_and_other_programs_are_named() {
        let error = fixed("HTTP/1.1 200 OK\r\nclone-version: 99.1.0\r\ncontent-length: 2\r\n\r\n{}")
            .await
            .expect_err("version");
        assert!(matches!(&error, ClientError::Version { daemon, .. } if daemon == "99.1.0"), "{error}");
        assert!(error.to_string().contains(VERSION) && error.to_string().contains("99.1.0"));
        for reply in ["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "SSH-2.0-x\r\n", ""] {
            let error = fixed(reply).await.expect_err("foreign");
            assert!(matches!(error, ClientError::Broken { .. }), "{reply:?}: {error}");
        }
    }

    #[test]
    fn blocking_needs_no_runtime() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build().expect("runtime");
        let daemon = runtime.block_on(async { Daemon::start() });
        let answer = daemon.client().blocking("health", None, &[], None).expect("answer");
        assert_eq!(answer["operation"], "health");
    }
}
