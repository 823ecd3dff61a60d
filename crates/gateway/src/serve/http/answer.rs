//! Responses: one JSON value, a stream of events, or a plain refusal.

use super::flowing::Flowing;
use crate::flow::Flow;
use crate::sink::{End, Outbound};
use bytes::Bytes;
use callgate_wire::sse::write_data;
use futures_util::stream::{self, Stream, StreamExt as _};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, BodyStream, Either, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How often a stream without messages shows that it is alive.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The body of a response: whole, or a stream of events, or a message as it comes.
pub(super) type Body = Either<Full<Bytes>, Either<UnsyncBoxBody<Bytes, Infallible>, Flowing>>;

pub(super) fn full(bytes: Bytes) -> Body {
    Either::Left(Full::new(bytes))
}

fn with(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A refusal in words.
pub(super) fn plain(status: StatusCode, text: &str) -> Response<Body> {
    with(
        status,
        "text/plain; charset=utf-8",
        full(Bytes::from(format!("{text}\n"))),
    )
}

/// A refusal for want of a token that is valid (RFC 6750, section 3).
pub(super) fn unauthorized() -> Response<Body> {
    let mut response = plain(StatusCode::UNAUTHORIZED, "a valid bearer token is needed");
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// A refusal of an address that has sent many requests without one.
pub(super) fn too_many_failures() -> Response<Body> {
    let text = "too many requests without a valid token came from this address; wait a minute";
    retry_after(plain(StatusCode::TOO_MANY_REQUESTS, text), 60)
}

/// A refusal that may be none after a pause.
pub(super) fn later(text: &str, pause: Duration) -> Response<Body> {
    let seconds = pause.as_secs().saturating_add(1);
    retry_after(plain(StatusCode::SERVICE_UNAVAILABLE, text), seconds)
}

fn retry_after(mut response: Response<Body>, seconds: u64) -> Response<Body> {
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Taken, with nothing to say to it.
pub(super) fn accepted() -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// One message.
pub(super) fn json(status: u16, bytes: Bytes) -> Response<Body> {
    with(
        StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
        "application/json",
        full(bytes),
    )
}

/// One message, as it comes.
pub(super) fn flowing(status: u16, flow: &Flow) -> Response<Body> {
    with(
        StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
        "application/json",
        Either::Right(Either::Right(Flowing::new(flow))),
    )
}

/// A stream that ends with the answer.
pub(super) fn event_stream(first: Outbound, receiver: mpsc::Receiver<Outbound>) -> Response<Body> {
    stream_of(Feed {
        opening: None,
        next: Some(first).filter(|first| matches!(first.end, End::More | End::Last)),
        receiver,
        until: Until::Answer,
        is_over: false,
        _held: (),
    })
}

/// A stream that ends with its session.
pub(super) fn standing_stream(receiver: mpsc::Receiver<Outbound>) -> Response<Body> {
    stream_of(Feed {
        opening: None,
        next: None,
        receiver,
        until: Until::Closed,
        is_over: false,
        _held: (),
    })
}

/// A stream that first names an address, and lets go of what it holds when it ends.
pub(super) fn named_stream<H: Send + 'static>(
    address: &str,
    receiver: mpsc::Receiver<Outbound>,
    held: H,
) -> Response<Body> {
    stream_of(Feed {
        opening: Some(Bytes::from(format!("event: endpoint\ndata: {address}\n\n"))),
        next: None,
        receiver,
        until: Until::Closed,
        is_over: false,
        _held: held,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Answer,
    Closed,
}

struct Feed<H> {
    opening: Option<Bytes>,
    next: Option<Outbound>,
    receiver: mpsc::Receiver<Outbound>,
    until: Until,
    is_over: bool,
    _held: H,
}

impl<H> Feed<H> {
    /// The bytes that come next; none at the end.
    async fn piece(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        let message = match self.next.take() {
            Some(message) => message,
            None => match tokio::time::timeout(KEEP_ALIVE, self.message()).await {
                Ok(Some(message)) => message,
                Ok(None) => return None,
                Err(_) => return Some(still_here()),
            },
        };
        self.is_over = self.until == Until::Answer && message.end == End::Last;
        let mut out = Vec::new();
        event(&mut out, &message.bytes);
        Some(Bytes::from(out))
    }

    /// The next message; what becomes of the server's own stream does not matter to one that cannot be taken up.
    async fn message(&mut self) -> Option<Outbound> {
        loop {
            let message = self.receiver.recv().await?;
            match message.end {
                End::More | End::Last => return Some(message),
                End::Opened | End::Paused | End::Flowing(_) => {}
            }
        }
    }
}

/// The same response; one that is a stream ends then, and a message that has not all come is broken off.
pub(super) fn ending_at(response: Response<Body>, end: Instant) -> Response<Body> {
    response.map(|body| match body {
        Either::Left(whole) => Either::Left(whole),
        Either::Right(Either::Left(stream)) => {
            let frames = BodyStream::new(stream).take_until(tokio::time::sleep_until(end));
            Either::Right(Either::Left(StreamBody::new(frames).boxed_unsync()))
        }
        Either::Right(Either::Right(message)) => Either::Right(Either::Right(message.until(end))),
    })
}

/// A comment, by which a stream without messages shows that it is alive.
pub(super) const fn still_here() -> Bytes {
    Bytes::from_static(b": still here\n\n")
}

/// A message as an event.
pub(super) fn event(out: &mut Vec<u8>, message: &[u8]) {
    out.reserve(message.len().saturating_add(32));
    out.extend_from_slice(b"event: message\n");
    write_data(out, message);
}

fn stream_of<H: Send + 'static>(feed: Feed<H>) -> Response<Body> {
    let frames = stream::unfold(feed, |mut feed| async move {
        let piece = feed.piece().await?;
        Some((Ok(Frame::data(piece)), feed))
    });
    event_stream_of(frames)
}

/// A response of events.
pub(super) fn event_stream_of(
    frames: impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static,
) -> Response<Body> {
    let mut response = with(
        StatusCode::OK,
        "text/event-stream",
        Either::Right(Either::Left(StreamBody::new(frames).boxed_unsync())),
    );
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    response
        .headers_mut()
        .insert(NO_BUFFERING, HeaderValue::from_static("no"));
    response
}
