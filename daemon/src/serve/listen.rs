//! The accept loop over hyper's HTTP/1 connections, with a limit on everything a client can hold.
//!
//! `axum::serve` has no limits at all: clients that never finish their headers use up the file descriptors, and then the
//! log cannot open its next segment. Here every connection has a seat ([`Seats`]), a time for its head, a time to idle,
//! and a cap on its headers. No error of `accept` ends the loop.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tower::ServiceExt;

use super::seats::{Held, Seat, Seats};

/// What one door allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// How long a request's head may take.
    pub head: Duration,
    /// How long a connection may idle between requests, or a reply make no progress.
    pub idle: Duration,
    /// How long requests in work may take after the shutdown began.
    pub drain: Duration,
    /// The largest head, in bytes.
    pub head_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            drain: Duration::from_secs(5),
            head_bytes: 16 << 10,
        }
    }
}

impl Limits {
    /// The limits of the socket: half the connections of TCP.
    #[must_use]
    pub fn socket() -> Self {
        Self { connections: 128, ..Self::default() }
    }
}

/// The first and the longest wait after an `accept` that failed.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Serves the Unix socket until `shutdown` turns true or its sender is gone; peers of another user get nothing.
pub async fn unix(listener: UnixListener, router: Router, shutdown: watch::Receiver<bool>) {
    unix_with(listener, router, shutdown, Limits::socket()).await;
}

/// [`unix`] with other limits.
pub async fn unix_with(listener: UnixListener, router: Router, shutdown: watch::Receiver<bool>, limits: Limits) {
    let ours = rustix::process::geteuid().as_raw();
    let accept = move |cx: &mut Context<'_>| listener.poll_accept(cx).map_ok(|(stream, _)| stream);
    let welcome = move |stream: &UnixStream| same_person(peer(stream), ours);
    run(accept, welcome, router, shutdown, limits).await;
}

/// Serves loopback TCP until `shutdown` turns true or its sender is gone.
pub async fn tcp(listener: TcpListener, router: Router, shutdown: watch::Receiver<bool>) {
    tcp_with(listener, router, shutdown, Limits::default()).await;
}

/// [`tcp`] with other limits.
pub async fn tcp_with(listener: TcpListener, router: Router, shutdown: watch::Receiver<bool>, limits: Limits) {
    let accept = move |cx: &mut Context<'_>| listener.poll_accept(cx).map_ok(|(stream, _)| stream);
    let welcome = |stream: &tokio::net::TcpStream| stream.set_nodelay(true).is_ok();
    run(accept, welcome, router, shutdown, limits).await;
}

/// The uid of the process at the other end, by the kernel's word.
fn peer(stream: &UnixStream) -> io::Result<u32> {
    stream.peer_cred().map(|credentials| credentials.uid())
}

fn same_person(peer: io::Result<u32>, ours: u32) -> bool {
    match peer {
        Ok(uid) if uid == ours => true,
        Ok(uid) => {
            tracing::warn!(uid, "refused a peer of another user on the socket");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "refused a peer that the kernel does not name");
            false
        }
    }
}

async fn run<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<S>>,
    welcome: impl Fn(&S) -> bool,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
    limits: Limits,
) {
    let seats = Seats::new(limits.connections);
    let mut guests = JoinSet::new();
    let mut wait = BACK_OFF.0;
    loop {
        let accepted = tokio::select! {
            () = over(&mut shutdown) => break,
            Some(_) = guests.join_next(), if !guests.is_empty() => continue,
            accepted = poll_fn(&mut accept) => accepted,
        };
        match accepted {
            Ok(stream) if welcome(&stream) => {
                wait = BACK_OFF.0;
                let held = tokio::select! {
                    () = over(&mut shutdown) => break,
                    held = seats.take() => held,
                };
                guests.spawn(attend(stream, held, router.clone(), shutdown.clone(), limits));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                seats.give_way();
                tokio::select! { () = over(&mut shutdown) => break, () = sleep(wait) => {} }
                wait = BACK_OFF.1.min(wait * 2);
            }
        }
    }
    drop(accept);
    let drained = tokio::time::timeout(limits.drain, async { while guests.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!(left = guests.len(), "closed connections that did not finish in time");
        guests.shutdown().await;
    }
}

/// Resolves once the shutdown began.
async fn over(shutdown: &mut watch::Receiver<bool>) {
    // A sender that is gone can never say more, so it counts as the end.
    let _ = shutdown.wait_for(|over| *over).await;
}

/// Serves one connection until it ends, must go, or outstays its time.
async fn attend<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    held: Held,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
    limits: Limits,
) {
    let held = Arc::new(held);
    let seat = held.seat.clone();
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let (router, busy) = (router.clone(), Arc::new(held.busy()));
        request.extensions_mut().insert(busy.clone());
        async move {
            let response = router.oneshot(request).await;
            drop(busy);
            response
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.idle).max_header_size(limits.head_bytes);
    let connection = builder.serve_connection(TokioIo::new(Watched { stream, seat: seat.clone() }), service);
    let mut connection = std::pin::pin!(connection);
    let mut closing = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => break,
            () = seat.leave.notified() => break,
            () = look_again(&seat, &limits) => {
                if seat.deadline(&limits).is_some_and(|deadline| deadline <= Instant::now()) { break }
            }
            () = over(&mut shutdown), if !closing => {
                if !seat.served() { break }
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Waits for the deadline, but not longer than half a head's time: a head that begins moves the deadline closer.
async fn look_again(seat: &Seat, limits: &Limits) {
    let soon = Instant::now() + limits.head / 2;
    sleep_until(seat.deadline(limits).map_or(soon, |deadline| deadline.min(soon))).await;
}

/// A stream that tells its seat about every byte.
struct Watched<S> {
    stream: S,
    seat: Arc<Seat>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.seat.read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.seat.wrote();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::super::{Door, Handler, Reply, routes};
    use super::*;

    const GET: &[u8] = b"GET /health/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const LAST: &[u8] = b"GET /health/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const FOREVER: Duration = Duration::from_secs(600);

    /// A handler whose calls wait for `release` where one is given, after they told `entered`.
    fn handler(gate: Option<(Arc<Notify>, Arc<Notify>)>) -> Handler {
        let call = move |_| -> super::super::Answer {
            let gate = gate.clone();
            Box::pin(async move {
                if let Some((entered, release)) = gate {
                    entered.notify_one();
                    release.notified().await;
                }
                Ok(Reply { status: 200, body: "{\"ok\":true}".to_owned() })
            })
        };
        Handler { call: Arc::new(call), authenticate: Arc::new(|_| Ok(None)), feed: super::super::Feed::silent() }
    }

    fn door(gate: Option<(Arc<Notify>, Arc<Notify>)>) -> Router {
        routes::router_with(handler(gate), Door::Socket, Duration::from_millis(50))
    }

    /// A door whose connections are pipes: the other ends, made on demand.
    struct Pipes {
        sender: tokio::sync::mpsc::UnboundedSender<io::Result<DuplexStream>>,
        stop: watch::Sender<bool>,
        running: JoinHandle<()>,
    }

    impl Pipes {
        fn open(router: Router, limits: Limits) -> Self {
            let (sender, mut queue) = tokio::sync::mpsc::unbounded_channel();
            let (stop, shutdown) = watch::channel(false);
            let accept = move |cx: &mut Context<'_>| queue.poll_recv(cx).map(Option::unwrap);
            let running = tokio::spawn(run(accept, |_: &DuplexStream| true, router, shutdown, limits));
            Self { sender, stop, running }
        }

        fn join(&self) -> DuplexStream {
            let (near, far) = duplex(1 << 16);
            self.sender.send(Ok(far)).expect("open");
            near
        }
    }

    async fn talk(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &[u8]) -> String {
        let mut text = Vec::new();
        stream.write_all(request).await.expect("write");
        stream.read_to_end(&mut text).await.expect("read");
        String::from_utf8(text).expect("text")
    }

    /// Reads one reply of a connection that stays open.
    async fn reply(stream: &mut (impl AsyncRead + Unpin)) -> String {
        let mut text = String::new();
        while !text.ends_with('}') {
            let mut piece = [0; 1024];
            let count = stream.read(&mut piece).await.expect("read");
            assert!(count > 0, "closed after {text:?}");
            text.push_str(std::str::from_utf8(&piece[..count]).expect("text"));
        }
        text
    }

    #[tokio::test]
    async fn half_open_clients_do_not_keep_a_good_one_out() {
        // No time limit helps here: only the giving way does.
        let limits = Limits { head: FOREVER, idle: FOREVER, drain: FOREVER, ..Limits::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let (stop, shutdown) = watch::channel(false);
        let router = routes::router(handler(None), Door::Tcp { port: address.port() });
        let server = tokio::spawn(tcp_with(listener, router, shutdown, limits));
        let mut stuck = Vec::new();
        for _ in 0..300 {
            let mut stream = TcpStream::connect(address).await.expect("connect");
            stream.write_all(b"GET /health/ HTTP/1.1\r\nHost: loc").await.expect("write");
            stuck.push(stream);
        }
        let mut good = TcpStream::connect(address).await.expect("connect");
        let request = format!("GET /health/ HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let text = talk(&mut good, request.as_bytes()).await;
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        // 301 came for 256 seats: the 45 that were quiet the longest are closed, the rest are left alone.
        let mut byte = [0];
        let mut closed = 0;
        for stream in &mut stuck {
            closed +=
                usize::from(!matches!(stream.try_read(&mut byte), Err(e) if e.kind() == io::ErrorKind::WouldBlock));
        }
        assert!((1..=45).contains(&closed), "{closed} closed");
        stop.send(true).expect("running");
        server.await.expect("half-open clients do not hold up the end");
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_given_up() {
        let limits = Limits { head: Duration::from_millis(30), idle: FOREVER, ..Limits::default() };
        let pipes = Pipes::open(door(None), limits);
        for beginning in [&b""[..], b"G", b"GET /health/ HTTP/1.1\r\nHost: "] {
            assert_eq!(talk(&mut pipes.join(), beginning).await, "", "{beginning:?}");
        }
        let mut kept = pipes.join();
        kept.write_all(GET).await.expect("write");
        assert!(reply(&mut kept).await.starts_with("HTTP/1.1 200"));
        assert_eq!(talk(&mut kept, b"GET /hea").await, "", "the second head has a limit as well");
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed() {
        let limits = Limits { head: FOREVER, idle: Duration::from_millis(30), ..Limits::default() };
        let limits = Limits { head: Duration::from_millis(60), ..limits };
        let pipes = Pipes::open(door(None), limits);
        let text = talk(&mut pipes.join(), GET).await;
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    }

    #[tokio::test]
    async fn a_request_in_work_outlives_head_and_idle_limits() {
        let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let short = Duration::from_millis(5);
        let limits = Limits { head: short, idle: short, connections: 1, ..Limits::default() };
        let pipes = Pipes::open(door(Some((entered.clone(), release.clone()))), limits);
        let mut working = pipes.join();
        working.write_all(LAST).await.expect("write");
        entered.notified().await;
        let mut waiting = pipes.join();
        let early = tokio::time::timeout(short * 6, waiting.read_u8()).await;
        assert!(early.is_err(), "the only seat is busy, so the next client waits and is not dropped");
        release.notify_one();
        assert!(talk(&mut working, b"").await.starts_with("HTTP/1.1 200"));
    }

    /// A call of one tool, as an MCP client sends it.
    fn tool() -> Vec<u8> {
        let params = serde_json::json!({"name": "get_prediction", "arguments": {"prediction_id": "p"}});
        let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let head =
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json";
        format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_keeps_its_seat_while_its_request_is_in_work() {
        for request in [GET.to_vec(), tool()] {
            let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let limits = Limits { connections: 1, ..Limits::default() };
            let pipes = Pipes::open(door(Some((entered.clone(), release.clone()))), limits);
            let mut gone = pipes.join();
            gone.write_all(&request).await.expect("write");
            entered.notified().await;
            drop(gone);
            let mut next = pipes.join();
            next.write_all(LAST).await.expect("write");
            let early = tokio::time::timeout(Duration::from_millis(20), entered.notified()).await;
            assert!(early.is_err(), "requests that nobody waits for must not pile up beyond the seats");
            release.notify_one();
            entered.notified().await;
            release.notify_one();
            assert!(talk(&mut next, b"").await.starts_with("HTTP/1.1 200"));
        }
    }

    #[tokio::test]
    async fn a_refusal_waits_for_a_small_body_and_the_connection_goes_on() {
        let pipes = Pipes::open(routes::router(handler(None), Door::Socket), Limits::default());
        for (head, expected) in [
            ("POST /nope HTTP/1.1\r\nHost: localhost\r\n", "HTTP/1.1 404"),
            ("PUT /health/ HTTP/1.1\r\nHost: localhost\r\n", "HTTP/1.1 405"),
            ("POST /api/voice HTTP/1.1\r\nHost: localhost\r\n", "HTTP/1.1 404"),
            ("POST /api/memory/search/ HTTP/1.1\r\nHost: elsewhere\r\n", "HTTP/1.1 403"),
            ("POST /api/memory/search/ HTTP/1.1\r\nHost: localhost\r\nClone-Version: 0.0.0\r\n", "HTTP/1.1 409"),
            ("POST /api/memory/search/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n", "HTTP/1.1 415"),
        ] {
            let mut stream = pipes.join();
            stream.write_all(format!("{head}Content-Length: 2\r\n\r\n").as_bytes()).await.expect("the head");
            let early = tokio::time::timeout(Duration::from_millis(20), stream.read_u8()).await;
            assert!(early.is_err(), "{head}: answered before the body was sent");
            stream.write_all(b"{}").await.expect("the body");
            let text = reply(&mut stream).await;
            assert!(text.starts_with(expected), "{head}: {text}");
            assert!(talk(&mut stream, LAST).await.starts_with("HTTP/1.1 200"), "{head}: the connection goes on");
        }
    }

    #[tokio::test]
    async fn a_refusal_does_not_wait_for_a_body_that_never_comes() {
        let pipes = Pipes::open(door(None), Limits::default());
        for more in ["Content-Length: 2", "Content-Length: 1000000", "Content-Length: 2\r\nExpect: 100-continue"] {
            let request = format!("POST /nope HTTP/1.1\r\nHost: localhost\r\n{more}\r\n\r\n");
            let text = talk(&mut pipes.join(), request.as_bytes()).await;
            assert!(text.starts_with("HTTP/1.1 404"), "{more}: {text}");
        }
    }

    #[tokio::test]
    async fn a_refusal_that_is_no_mcp_says_what_to_send() {
        let pipes = Pipes::open(door(None), Limits::default());
        let request =
            b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n\
            Accept: text/html\r\nContent-Length: 2\r\n\r\n{}";
        let text = talk(&mut pipes.join(), request).await;
        assert!(text.starts_with("HTTP/1.1 406") && text.contains("\"hint\":"), "{text}");
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_answered_with_408() {
        let pipes = Pipes::open(door(None), Limits::default());
        let request = b"POST /api/memory/search/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
            Content-Length: 10\r\n\r\n{";
        let text = talk(&mut pipes.join(), request).await;
        assert!(text.starts_with("HTTP/1.1 408") && text.contains("{\"error\":"), "{text}");
    }

    #[tokio::test]
    async fn a_head_over_the_limit_is_refused() {
        let pipes = Pipes::open(door(None), Limits::default());
        for (filler, expected) in [(8 << 10, "HTTP/1.1 200"), (16 << 10, "HTTP/1.1 431")] {
            let head =
                format!("GET /health/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: {}", "x".repeat(filler));
            let text = talk(&mut pipes.join(), format!("{head}\r\n\r\n").as_bytes()).await;
            assert!(text.starts_with(expected), "{filler}: {text}");
        }
    }

    #[tokio::test]
    async fn failed_accepts_do_not_end_the_loop() {
        let pipes = Pipes::open(door(None), Limits::default());
        for _ in 0..2 {
            pipes.sender.send(Err(io::Error::from_raw_os_error(24))).expect("open");
        }
        assert!(talk(&mut pipes.join(), LAST).await.starts_with("HTTP/1.1 200"));
        pipes.stop.send(true).expect("running");
        pipes.running.await.expect("ends");
    }

    #[tokio::test]
    async fn the_end_waits_for_requests_in_work_and_no_longer_than_its_limit() {
        for (released, drain) in [(true, FOREVER), (false, Duration::from_millis(20))] {
            let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let limits = Limits { drain, ..Limits::default() };
            let pipes = Pipes::open(door(Some((entered.clone(), release.clone()))), limits);
            let (mut working, mut fresh) = (pipes.join(), pipes.join());
            working.write_all(GET).await.expect("write");
            entered.notified().await;
            pipes.stop.send(true).expect("running");
            assert_eq!(talk(&mut fresh, b"").await, "", "a connection without a request ends at once");
            if released {
                release.notify_one();
                assert!(talk(&mut working, b"").await.starts_with("HTTP/1.1 200"));
            }
            pipes.running.await.expect("ends");
        }
    }

    #[tokio::test]
    async fn the_socket_serves_its_own_user_only() {
        let home = tempfile::tempdir().expect("tempdir");
        let path = home.path().join("run/clone.sock");
        let listener = super::super::bind::bind_unix(&path).expect("bind");
        let (stop, shutdown) = watch::channel(false);
        let server = tokio::spawn(unix(listener, routes::router(handler(None), Door::Socket), shutdown));
        let mut stream = UnixStream::connect(&path).await.expect("connect");
        assert!(talk(&mut stream, LAST).await.starts_with("HTTP/1.1 200"));
        drop(stop);
        server.await.expect("a sender that is gone is the end");
        assert!(same_person(Ok(7), 7));
        assert!(!same_person(Ok(0), 7), "not even root");
        assert!(!same_person(Err(io::Error::other("unknown")), 7));
    }

    #[tokio::test]
    async fn an_unwelcome_peer_gets_no_byte() {
        let (near, far) = duplex(64);
        let far = Mutex::new(Some(far));
        let accept =
            move |_: &mut Context<'_>| far.lock().expect("lock").take().map_or(Poll::Pending, |s| Poll::Ready(Ok(s)));
        let (_stop, shutdown) = watch::channel(false);
        tokio::spawn(run(accept, |_: &DuplexStream| false, door(None), shutdown, Limits::default()));
        let mut near = near;
        let mut text = String::new();
        near.read_to_string(&mut text).await.expect("read");
        assert_eq!(text, "");
    }
}
