//! Reads a request body within its cap and its time.
//!
//! A body over the cap is read on and thrown away for a while before the refusal is sent: a client that is still
//! writing when the connection closes sees a reset instead of the 413. A small body of a request that was refused by its head is
//! read for the same reason.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::EXPECT;
use clone_schema::Fault;
use clone_schema::api::Operation;
use clone_schema::fault::Kind;
use http_body_util::BodyExt;

/// The largest body, in bytes.
pub const MAX_BODY: usize = 4 << 20;

/// The largest body of `events_ingest`, in bytes.
pub const MAX_INGEST_BODY: usize = 8 << 20;

/// How much of a body over its cap is read and thrown away, in bytes.
const MAX_DISCARDED: usize = 16 << 20;

/// The largest body of a request refused by its head that is read and thrown away, in bytes.
pub const MAX_REFUSED: usize = 64 << 10;

/// How long the body of a request refused by its head is waited for.
pub const REFUSED_TIME: Duration = Duration::from_secs(1);

/// How long a whole body may take.
pub const BODY_TIME: Duration = Duration::from_secs(15);

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is over the cap.
    #[error("the body is over {0} bytes")]
    TooLarge(usize),
    /// It did not come in time.
    #[error("the body did not arrive within {} seconds", .0.as_secs())]
    Late(Duration),
    /// The connection broke, or its framing is wrong.
    #[error("the body broke off: {0}")]
    Broken(axum::Error),
}

impl BodyError {
    /// The HTTP status; 408 has no kind of its own.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::TooLarge(_) => Kind::TooLarge.status(),
            Self::Late(_) => 408,
            Self::Broken(_) => Kind::Invalid.status(),
        }
    }

    /// The failure as the caller sees it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::TooLarge(_) => Fault::new(Kind::TooLarge, self.to_string()).hint("send it in smaller pieces"),
            _ => Fault::invalid(self.to_string()),
        }
    }
}

/// The cap of an operation's body, in bytes.
#[must_use]
pub fn cap(operation: &Operation) -> usize {
    if operation.name == "events_ingest" { MAX_INGEST_BODY } else { MAX_BODY }
}

/// Reads a whole body.
///
/// # Errors
///
/// See [`BodyError`]; after one the connection cannot be used again.
pub async fn read(body: Body, cap: usize, limit: Duration) -> Result<Bytes, BodyError> {
    let announced = axum::body::HttpBody::size_hint(&body).lower();
    if usize::try_from(announced).unwrap_or(usize::MAX) > cap.saturating_add(MAX_DISCARDED) {
        return Err(BodyError::TooLarge(cap));
    }
    tokio::time::timeout(limit, collect(body, cap)).await.map_err(|_| BodyError::Late(limit))?
}

async fn collect(mut body: Body, cap: usize) -> Result<Bytes, BodyError> {
    let mut kept = Vec::new();
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen > cap.saturating_add(MAX_DISCARDED) {
            break;
        }
        if seen <= cap {
            kept.extend_from_slice(&data);
        } else {
            kept = Vec::new();
        }
    }
    if seen > cap { Err(BodyError::TooLarge(cap)) } else { Ok(Bytes::from(kept)) }
}

/// Reads a small body of a request that its head refused and throws it away, so that a client that writes head and body
/// apart can read why, and go on over the same connection.
///
/// A client that sent `Expect` waits with its body for a word that it will not get.
pub async fn discard(headers: &HeaderMap, body: Body, limit: Duration) {
    let announced = axum::body::HttpBody::size_hint(&body).lower();
    if !headers.contains_key(EXPECT) && usize::try_from(announced).is_ok_and(|announced| announced <= MAX_REFUSED) {
        // Nothing depends on how it went: what is left unread ends the connection.
        let _ = tokio::time::timeout(limit, drain(body)).await;
    }
}

async fn drain(mut body: Body) {
    let mut seen = 0_usize;
    while seen <= MAX_REFUSED {
        let Some(Ok(frame)) = body.frame().await else { return };
        seen = seen.saturating_add(frame.into_data().map_or(0, |data| data.len()));
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    async fn outcome(bytes: usize, cap: usize) -> Result<usize, u16> {
        let body = Body::from(vec![b' '; bytes]);
        read(body, cap, BODY_TIME).await.map(|bytes| bytes.len()).map_err(|error| error.status())
    }

    #[tokio::test]
    async fn the_cap_itself_fits_and_one_byte_more_does_not() {
        for (bytes, cap, expected) in [(0, 4, Ok(0)), (4, 4, Ok(4)), (5, 4, Err(413)), (MAX_DISCARDED + 5, 4, Err(413))]
        {
            assert_eq!(outcome(bytes, cap).await, expected, "{bytes} bytes");
        }
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_given_up() {
        let limit = Duration::from_millis(10);
        let error = read(Body::new(Never), 4, limit).await.expect_err("must time out");
        assert_eq!(error.status(), 408);
    }

    #[tokio::test]
    async fn a_body_that_is_waited_with_or_too_large_is_not_waited_for() {
        let (none, forever) = (HeaderMap::new(), Duration::MAX);
        let expects = HeaderMap::from_iter([(EXPECT, axum::http::HeaderValue::from_static("100-continue"))]);
        discard(&expects, Body::new(Never), forever).await;
        discard(&none, Body::from(vec![b' '; MAX_REFUSED + 1]), forever).await;
        discard(&none, Body::from("{}"), forever).await;
        discard(&none, Body::new(Never), Duration::from_millis(10)).await;
    }

    struct Never;

    impl axum::body::HttpBody for Never {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }
    }
}
