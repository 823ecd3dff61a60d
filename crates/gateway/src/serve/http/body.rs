//! Bodies of requests, within bounds of size and time.

use super::answer::{Body, later, plain};
use super::room::{NotTaken, Room};
use crate::settings::Settings;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// A body that is not read, and the answer to it.
pub(super) enum Unread {
    TooLarge(Box<Response<Body>>),
    Refused(Box<Response<Body>>),
}

/// The whole body of a request, within bounds.
pub(super) async fn read_body(
    request: Request<Incoming>,
    room: &Room,
    settings: &Settings,
) -> Result<(Parts, Bytes), Unread> {
    let refused = |status, text| Err(Unread::Refused(Box::new(plain(status, text))));
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        return refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body has to be application/json",
        );
    }
    let mut collected = pin!(room.take(body, settings.bounds.message_bytes_max));
    // Most bodies came with their headers, and need no timer.
    let at_once = poll_fn(|context| Poll::Ready(collected.as_mut().poll(context))).await;
    let collected = match at_once {
        Poll::Ready(collected) => collected,
        Poll::Pending => match tokio::time::timeout(settings.client_time, collected).await {
            Ok(collected) => collected,
            Err(_) => return refused(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
        },
    };
    match collected {
        Ok(body) => Ok((parts, body)),
        Err(NotTaken::TooLarge) => Err(Unread::TooLarge(Box::new(plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the message is larger than a message may be",
        )))),
        Err(NotTaken::NoRoom) => Err(Unread::Refused(Box::new(later(
            "other large messages are being taken; send this one again",
            Duration::ZERO,
        )))),
        Err(NotTaken::Broken) => refused(StatusCode::BAD_REQUEST, "the body did not arrive whole"),
    }
}

/// A page in a browser can post other types without being asked for leave.
fn is_json(sent: &HeaderMap) -> bool {
    let kind = sent
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    kind.split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case("application/json")
}
