//! `GET /api/events/stream/`: the log as server-sent events, from a position on, for as long as the daemon runs.
//!
//! A stream is pages of the engine, one behind the other: what was appended waits in the log, never in memory, however
//! slow the reader is. What would surprise:
//!
//! - A reader that does not take a page within [`STALL`] is cut; it comes back with the position after the last it has.
//! - There are [`STREAMS`] at once; one more is answered 503.
//! - A quiet stream sends a comment every [`BEAT`], so that both ends notice when the other is gone.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use clone_schema::api::{EventPage, LoggedEvent};
use clone_schema::fault::Kind;
use clone_schema::{Fault, Position};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::{Call, Handler};

/// Streams at once.
pub const STREAMS: usize = 16;
/// How long a reader may take for one page.
pub const STALL: Duration = Duration::from_secs(60);
/// How long a stream is quiet before it says that it lives.
pub const BEAT: Duration = Duration::from_secs(15);
/// Pages that wait for the reader.
const WAITING: usize = 1;

/// What the streams of a daemon share.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The position after the last durable event.
    pub head: watch::Receiver<Position>,
    /// Turns true, or loses its sender, when the daemon ends.
    pub ending: watch::Receiver<bool>,
    /// How long a reader may take for one page.
    pub stall: Duration,
    seats: Arc<Semaphore>,
}

impl Feed {
    /// Streams that wait for this head and end with the daemon.
    #[must_use]
    pub fn new(head: watch::Receiver<Position>, ending: watch::Receiver<bool>) -> Self {
        Self { head, ending, stall: STALL, seats: Arc::new(Semaphore::new(STREAMS)) }
    }

    /// Streams that never hear of an event, for doors without a log.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(watch::channel(Position(0)).1, watch::channel(false).1)
    }
}

/// Begins a stream; what is wrong with the call is told before it begins.
///
/// # Errors
///
/// What the engine refuses, or too many streams.
pub(super) async fn open(handler: &Handler, call: Call) -> Result<Response, Fault> {
    let seat = handler.feed.seats.clone().try_acquire_owned().map_err(|_| {
        Fault::new(Kind::Unavailable, format!("{STREAMS} streams are open already")).hint("close one of them")
    })?;
    let first = ask(handler, &call).await?;
    let (pages, waiting) = mpsc::channel(WAITING);
    let pump = Pump { handler: handler.clone(), call, pages, _seat: seat };
    tokio::spawn(pump.run(first));
    let mut response = Response::new(Body::new(Stream(waiting)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

async fn ask(handler: &Handler, call: &Call) -> Result<EventPage, Fault> {
    let reply = (handler.call)(call.clone()).await?;
    serde_json::from_str(&reply.body).map_err(Fault::internal)
}

/// The body of the response.
struct Stream(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|page| page.map(|page| Ok(Frame::data(page))))
    }
}

/// The task that moves pages from the engine to one reader.
struct Pump {
    handler: Handler,
    call: Call,
    pages: mpsc::Sender<Bytes>,
    _seat: OwnedSemaphorePermit,
}

/// Why a stream ends.
struct Over;

impl Pump {
    async fn run(mut self, first: EventPage) {
        let mut page = first;
        loop {
            let went_on = async {
                if !page.events.is_empty() {
                    self.send(frames(&page.events)).await?;
                }
                if !page.more {
                    self.wait(page.next).await?;
                }
                Ok::<_, Over>(())
            };
            if went_on.await.is_err() {
                return;
            }
            self.call.query.insert("from".to_owned(), page.next.to_string());
            page = match ask(&self.handler, &self.call).await {
                Ok(page) => page,
                Err(error) => return tracing::warn!(%error, "a stream of events ends"),
            };
        }
    }

    /// Hands a page over, or ends the stream of a reader that does not take it.
    async fn send(&self, page: Bytes) -> Result<(), Over> {
        let mut ending = self.handler.feed.ending.clone();
        tokio::select! {
            sent = tokio::time::timeout(self.handler.feed.stall, self.pages.send(page)) => match sent {
                Ok(sent) => sent.map_err(|_| Over),
                Err(_) => {
                    tracing::warn!("a stream of events is cut because nobody reads it");
                    Err(Over)
                }
            },
            _ = ending.wait_for(|ending| *ending) => Err(Over),
        }
    }

    /// Waits until there is an event at this position or later.
    async fn wait(&self, next: Position) -> Result<(), Over> {
        let (mut head, mut ending) = (self.handler.feed.head.clone(), self.handler.feed.ending.clone());
        loop {
            tokio::select! {
                grown = head.wait_for(|head| *head > next) => return grown.map(drop).map_err(|_| Over),
                _ = ending.wait_for(|ending| *ending) => return Err(Over),
                () = self.pages.closed() => return Err(Over),
                () = tokio::time::sleep(BEAT) => {}
            }
            self.send(Bytes::from_static(b":\n\n")).await?;
        }
    }
}

/// Events as a stream carries them, each with its position as its id.
fn frames(events: &[LoggedEvent]) -> Bytes {
    let mut out = String::new();
    for event in events {
        out.push_str(&format!("id: {}\n", event.position));
        // JSON may hold line breaks between its parts; the reader puts them back.
        for line in serde_json::to_string(event).unwrap_or_default().split(['\n', '\r']) {
            out.push_str(&format!("data: {line}\n"));
        }
        out.push('\n');
    }
    Bytes::from(out)
}

/// From where a reader goes on that names the last event it has.
pub(super) fn resume(query: &mut BTreeMap<String, String>, last: Option<&str>) {
    if let Some(last) = last.and_then(|last| last.parse::<u64>().ok()) {
        query.insert("from".to_owned(), last.saturating_add(1).to_string());
    }
}

#[cfg(test)]
mod tests {
    use clone_schema::Timestamp;
    use clone_schema::api::find;
    use http_body_util::BodyExt;
    use serde_json::value::RawValue;

    use super::super::{Caller, Reply};
    use super::*;

    /// Pages of one event each, up to the head.
    fn handler(head: watch::Receiver<Position>, ending: watch::Receiver<bool>) -> Handler {
        let known = head.clone();
        let call = move |call: Call| -> super::super::Answer {
            let from: u64 = call.query.get("from").map_or(0, |from| from.parse().expect("a number"));
            let head = *known.borrow();
            Box::pin(async move {
                let events: Vec<LoggedEvent> = (from..head.0).take(1).map(event).collect();
                let next = Position(from + events.len() as u64);
                let page = EventPage { events, next, more: next < head, head };
                Ok(Reply { status: 200, body: serde_json::to_string(&page).map_err(Fault::internal)? })
            })
        };
        Handler { call: Arc::new(call), authenticate: Arc::new(|_| Ok(None)), feed: Feed::new(head, ending) }
    }

    fn event(position: u64) -> LoggedEvent {
        let json = format!("{{\"id\":\n\"{position}\"}}");
        LoggedEvent {
            position: Position(position),
            topic: "agent.prompt".to_owned(),
            recorded_at: Timestamp::UNIX_EPOCH,
            occurred_at: Timestamp::UNIX_EPOCH,
            event: RawValue::from_string(json).expect("JSON"),
        }
    }

    fn call() -> Call {
        let operation = find("events_stream").expect("an operation");
        Call { operation, id: None, query: BTreeMap::new(), body: Bytes::new(), caller: Caller::Owner }
    }

    /// The next piece of a stream.
    async fn next(body: &mut Body) -> Option<String> {
        let frame = body.frame().await?.expect("a piece");
        Some(String::from_utf8(frame.into_data().expect("data").to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn what_is_appended_comes_and_the_end_of_the_daemon_ends_it() {
        let (appended, head) = watch::channel(Position(2));
        let (end, ending) = watch::channel(false);
        let handler = handler(head, ending);
        let mut body = open(&handler, call()).await.expect("a stream").into_body();
        let first = next(&mut body).await.expect("an event");
        assert!(first.starts_with("id: 0\ndata: {\"position\":0,") && first.ends_with("\n\n"), "{first}");
        assert_eq!(first.matches("\ndata: ").count(), 2, "a line break stays inside its event: {first}");
        assert!(next(&mut body).await.expect("an event").starts_with("id: 1\n"));
        appended.send(Position(3)).expect("a stream listens");
        assert!(next(&mut body).await.expect("an event").starts_with("id: 2\n"));
        end.send(true).expect("a stream listens");
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_cut_and_its_seat_is_free_again() {
        let (_appended, head) = watch::channel(Position(u64::MAX));
        let (_end, ending) = watch::channel(false);
        let mut handler = handler(head, ending);
        handler.feed.stall = Duration::from_millis(20);
        let mut bodies = Vec::new();
        for _ in 0..STREAMS {
            bodies.push(open(&handler, call()).await.expect("a stream"));
        }
        let seats = handler.feed.seats.clone();
        let all = u32::try_from(STREAMS).expect("few");
        drop(seats.acquire_many(all).await.expect("every seat is given back without a byte being read"));
        let mut body = bodies.remove(0).into_body();
        assert!(next(&mut body).await.is_some(), "what was ready is still there");
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test]
    async fn one_stream_too_many_is_refused_and_one_that_closed_makes_room() {
        let (_appended, head) = watch::channel(Position(0));
        let (_end, ending) = watch::channel(false);
        let handler = handler(head, ending);
        let mut bodies = Vec::new();
        for _ in 0..STREAMS {
            bodies.push(open(&handler, call()).await.expect("a stream"));
        }
        assert_eq!(open(&handler, call()).await.expect_err("full").kind, Kind::Unavailable);
        bodies.pop();
        drop(handler.feed.seats.acquire().await.expect("a seat"));
        open(&handler, call()).await.expect("a stream");
    }

    #[test]
    fn a_reader_goes_on_behind_what_it_has() {
        for (last, expected) in [(Some("7"), Some("8")), (Some("x"), None), (None, None)] {
            let mut query = BTreeMap::new();
            resume(&mut query, last);
            assert_eq!(query.get("from").map(String::as_str), expected);
        }
    }
}
