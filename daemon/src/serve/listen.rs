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
    let service = service_fn(move |request| {
        let (router, busy) = (router.clone(), held.busy());
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
#[path = "listen_tests.rs"]
mod tests;
