//! One message by POST, and what comes back for it.

use super::passing::HELD_BACK_BYTES;
use super::pool::{Reply, SendError};
use super::{HttpLink, SESSION_ID, passing, standing};
use crate::link::{Link, Passage, PassageKind, Style};
use crate::session::{Departure, Origin, Seen, Session};
use crate::sink::End;
use bytes::{Bytes, BytesMut};
use callgate_core::refusal::Reason;
use callgate_wire::mcp::Era;
use callgate_wire::sse::{Item, Parser};
use callgate_wire::{Decoded, IdKey, Kind, decode, headers};
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often a stream that broke off is taken up again.
const RESUME_MAX: u32 = 5;
/// How long to wait before that, where the server does not say.
const RESUME_DELAY: Duration = Duration::from_secs(1);
/// The longest that a server may ask to wait.
const RESUME_DELAY_MAX: Duration = Duration::from_secs(30);
/// What the agent is told of an answer beyond the bound.
pub(super) const TOO_LARGE: &str = "the server's answer was larger than a message may be; the call has run";
/// What the agent is told of what is no answer.
pub(super) const NO_ANSWER: &str = "the server's answer is no answer to this request";
/// What the agent is told where the connection did not last.
pub(super) const BROKE_OFF: &str = "the connection to the server broke before it answered; the call may have run, so look before you start it again";

/// Posts a message and hands over what comes back. A request is answered in any case.
pub(super) fn run(session: Arc<Session>, passage: Passage) -> BoxFuture<'static, ()> {
    Box::pin(async move { post(&session, passage).await })
}

async fn post(session: &Arc<Session>, passage: Passage) {
    let Link::Http(link) = session.link() else { return };
    let (style, mut headers) = (passage.style, mirrored_headers(session, &passage));
    headers.extend(passage.trace.iter().flat_map(|trace| trace.headers()));
    let Some(key) = passage
        .key
        .clone()
        .filter(|_| passage.kind == PassageKind::Request)
    else {
        deliver(link, &passage, session).await;
        return;
    };
    let health = session.gate().health();
    if let Err(pause) = health.attempt(Instant::now) {
        let seconds = pause.as_secs().saturating_add(1);
        let text = format!(
            "the server could not be reached several times in a row and is left alone for {seconds} s; the call has not run"
        );
        return session.fail_unsent(&key, &text).await;
    }
    if !passage.leave() {
        return;
    }
    let Ok(request) = link.request(Method::POST, passage.bytes, &headers) else {
        return session
            .fail_unsent(&key, "the request could not be built, so it was not sent")
            .await;
    };
    let asked = Asked {
        key: &key,
        era: era_of(style),
        departure: &passage.departure,
    };
    let response = tokio::select! {
        biased;
        response = link.endpoint.request(request) => response,
        () = asked.left(session) => return session.abandon(&key),
    };
    match response {
        Ok(reply) => {
            health.succeeded();
            receive(session, link, reply, &asked, style).await;
        }
        Err(cause) => {
            tracing::warn!(server = %session.gate().server, %cause, "the server did not answer");
            match cause {
                SendError::Unreachable(_) => {
                    health.failed(Instant::now());
                    session
                        .fail_unsent(&key, "the server could not be reached, so the call has not run")
                        .await;
                }
                SendError::NoCredentials(cause) => {
                    session
                        .fail_unsent_for(&key, Reason::UpstreamAuth, &cause.to_string())
                        .await;
                }
                SendError::Broke(_) => session.fail(&key, Reason::UpstreamUnreachable, BROKE_OFF).await,
            }
        }
    }
}

/// Posts what awaits no answer. Whatever the server says to it has no meaning: some answer notifications.
async fn deliver(link: &HttpLink, passage: &Passage, session: &Arc<Session>) {
    let Ok(request) = link.request(Method::POST, passage.bytes.clone(), &[]) else {
        return;
    };
    let timeout = session.gate().settings.timeout;
    match tokio::time::timeout(timeout, link.endpoint.request(request)).await {
        Ok(Ok(_)) => {}
        Ok(Err(cause)) => {
            tracing::warn!(server = %session.gate().server, %cause, "a notification was not delivered")
        }
        Err(_) => tracing::warn!(server = %session.gate().server, "a notification was not taken in time"),
    }
    if passage.kind == PassageKind::Initialized {
        standing::open(session);
    }
}

/// What the mirrored headers have to say, from the body that was judged.
fn mirrored_headers(session: &Session, passage: &Passage) -> Vec<(HeaderName, HeaderValue)> {
    let bounds = &session.gate().settings.bounds;
    let mut mirrored: Vec<(HeaderName, HeaderValue)> = Vec::new();
    if passage.style != Style::Modern {
        return mirrored;
    }
    let Ok(Decoded::Single(message)) = decode(&passage.bytes, bounds) else {
        return mirrored;
    };
    let Kind::Request(request) = message.kind() else {
        return mirrored;
    };
    let params = session.header_params(request);
    let Ok(expected) = headers::expected(request, &params) else {
        return mirrored;
    };
    // What the tool's schema names is written from the body that was judged; what it does not name is passed on.
    let is_unknown = |name: &str| {
        params
            .iter()
            .all(|param| !param.header().eq_ignore_ascii_case(name))
    };
    let sent = passage
        .mirrored
        .iter()
        .flatten()
        .filter(|(name, _)| is_unknown(name))
        .cloned();
    let own = expected
        .iter()
        .map(|header| (header.header.to_string(), header.encoded().into_owned()));
    for (name, value) in sent.chain(own) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value)) {
            mirrored.retain(|(earlier, _)| *earlier != name);
            mirrored.push((name, value));
        }
    }
    mirrored
}

/// A request whose answer is awaited.
pub(super) struct Asked<'a> {
    pub(super) key: &'a IdKey,
    pub(super) era: Era,
    pub(super) departure: &'a Departure,
}

impl Asked<'_> {
    /// Resolves once nobody waits for the answer: the client has closed its stream, where that cancels, or the
    /// request was cancelled or given up. A task that waited on would pile up behind a server that hangs.
    async fn left(&self, session: &Session) {
        tokio::select! {
            () = session.client_left(self.key, self.era) => {}
            () = self.departure.ended() => {}
        }
    }
}

const fn era_of(style: Style) -> Era {
    match style {
        Style::Modern => Era::Modern,
        Style::Plain | Style::Initialize => Era::Legacy,
    }
}

async fn receive(session: &Arc<Session>, link: &HttpLink, reply: Reply, asked: &Asked<'_>, style: Style) {
    let status = reply.status;
    if style == Style::Initialize && status.is_success() {
        link.lock().session_id = reply.headers.get(SESSION_ID).cloned();
    }
    if let Some((reason, text)) = failure_of(status, &reply.headers) {
        return session.fail(asked.key, reason, &text).await;
    }
    match content_kind(&reply.headers) {
        ContentKind::Events => {
            session.tell(asked.key, End::Opened);
            // Apart, as it is large: what most answers need is kept small.
            Box::pin(receive_events(session, link, reply, asked)).await;
        }
        ContentKind::Json => receive_json(session, reply, asked, status).await,
        ContentKind::Other => {
            let text = format!("the server answered with HTTP {} and no JSON", status.as_u16());
            session.fail(asked.key, Reason::UpstreamProtocol, &text).await;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentKind {
    Json,
    Events,
    Other,
}

pub(super) fn content_kind(headers: &HeaderMap) -> ContentKind {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        ContentKind::Json
    } else if kind.eq_ignore_ascii_case("text/event-stream") {
        ContentKind::Events
    } else {
        ContentKind::Other
    }
}

/// Statuses that are no answer to a call, in words that name what to do.
pub(super) fn failure_of(status: StatusCode, headers: &HeaderMap) -> Option<(Reason, String)> {
    if status.is_success() {
        return None;
    }
    let code = status.as_u16();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Some((
                Reason::UpstreamAuth,
                format!(
                    "the server refused Callgate's credentials (HTTP {code}); ask the operator to look at them"
                ),
            ))
        }
        _ if status.is_redirection() => Some((
            Reason::UpstreamProtocol,
            format!("the server answered with a redirect (HTTP {code}), which is not followed"),
        )),
        // From 2026-07-28 on, and in some servers before, the error is in the body.
        _ if content_kind(headers) == ContentKind::Json => None,
        _ => {
            let wait = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let seconds = wait.and_then(|wait| wait.trim().parse::<u32>().ok());
            let retry = seconds.map_or_else(String::new, |seconds| format!("; it asks to wait {seconds} s"));
            Some((
                Reason::UpstreamProtocol,
                format!("the server answered with HTTP {code}{retry}"),
            ))
        }
    }
}

async fn receive_json(session: &Arc<Session>, mut reply: Reply, asked: &Asked<'_>, status: StatusCode) {
    let mut body = Body::default();
    let mut long = Long::Stop;
    let gathered = loop {
        let gathered = tokio::select! {
            biased;
            gathered = gather(session, &mut reply, &mut body, long) => gathered,
            () = asked.left(session) => return session.abandon(asked.key),
        };
        if !matches!(gathered, Ok(Gathered::Long)) {
            break gathered;
        }
        // Of what is known to be too large, nothing goes out: its client is told.
        if is_beyond(session, &reply, &body) {
            break Err(BodyError::TooLarge);
        }
        body = body.joined();
        if let Some(begun) = passing::begin(session, asked, &body.first, status.as_u16()) {
            // Apart, as it is large: what most answers need is kept small.
            return Box::pin(begun.run(reply)).await;
        }
        long = Long::GoOn;
    };
    let key = asked.key;
    match gathered {
        Ok(_) => {
            let origin = Origin::Reply {
                to: key,
                status: status.as_u16(),
            };
            if session.on_server(body.joined().first, origin).await != Seen::Answered {
                let text = if status.is_success() {
                    NO_ANSWER.to_owned()
                } else {
                    format!("the server answered with HTTP {}", status.as_u16())
                };
                session.fail(key, Reason::UpstreamProtocol, &text).await;
            }
        }
        Err(BodyError::TooLarge) => session.fail(key, Reason::TooLarge, TOO_LARGE).await,
        Err(BodyError::Broke) => session.fail(key, Reason::UpstreamUnreachable, BROKE_OFF).await,
    }
}

enum BodyError {
    TooLarge,
    Broke,
}

/// What to do once so much of a body has come that it may be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Long {
    Stop,
    GoOn,
}

/// How far a body has come.
enum Gathered {
    Whole,
    Long,
}

/// What has come of a body; one that came in one piece is not copied.
#[derive(Default)]
struct Body {
    first: Bytes,
    more: BytesMut,
}

impl Body {
    fn len(&self) -> usize {
        self.first.len().saturating_add(self.more.len())
    }

    fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.more.is_empty() {
            self.more.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.more.extend_from_slice(&data);
    }

    /// All of it as the first piece.
    fn joined(self) -> Self {
        if self.more.is_empty() {
            return self;
        }
        Self {
            first: self.more.freeze(),
            more: BytesMut::new(),
        }
    }
}

/// Whether the server has said that a body is larger than a message may be.
fn is_beyond(session: &Session, reply: &Reply, body: &Body) -> bool {
    let to_come = usize::try_from(reply.bytes_to_come()).unwrap_or(usize::MAX);
    body.len().saturating_add(to_come) > session.gate().settings.bounds.message_bytes_max
}

/// Reads a body to its end, or until it is long.
async fn gather(
    session: &Session,
    reply: &mut Reply,
    body: &mut Body,
    long: Long,
) -> Result<Gathered, BodyError> {
    let bytes_max = session.gate().settings.bounds.message_bytes_max;
    while let Some(data) = reply.data().await {
        let data = data.map_err(|_| BodyError::Broke)?;
        if body.len().saturating_add(data.len()) > bytes_max {
            return Err(BodyError::TooLarge);
        }
        body.push(data);
        if long == Long::Stop && body.len() > HELD_BACK_BYTES && !reply.is_over() {
            return Ok(Gathered::Long);
        }
    }
    Ok(Gathered::Whole)
}

/// Reads a stream of events until it has answered; one that breaks off is taken up again where it can be.
async fn receive_events(session: &Arc<Session>, link: &HttpLink, mut reply: Reply, asked: &Asked<'_>) {
    let key = asked.key;
    let bytes_max = session.gate().settings.bounds.message_bytes_max;
    let mut last_event_id = String::new();
    let mut in_vain = 0;
    loop {
        let mut parser = Parser::new(bytes_max);
        let pumped = pump(session, &mut reply, &mut parser, Some(asked)).await;
        match pumped {
            Pumped::Answered | Pumped::Left => return,
            Pumped::TooLarge => return session.fail(key, Reason::TooLarge, TOO_LARGE).await,
            Pumped::Ended | Pumped::Broke => {}
        }
        // A stream that told something before it broke off is a server that lets its client poll.
        in_vain = if parser.last_event_id().is_empty() {
            in_vain + 1
        } else {
            0
        };
        if !parser.last_event_id().is_empty() {
            parser.last_event_id().clone_into(&mut last_event_id);
        }
        if asked.era == Era::Modern || last_event_id.is_empty() || in_vain > RESUME_MAX {
            break;
        }
        // A server that closes the stream does not want its client to keep a connection open meanwhile.
        if pumped == Pumped::Ended {
            session.tell(key, End::Paused);
        }
        let delay = parser
            .retry()
            .map_or(RESUME_DELAY, Duration::from_millis)
            .min(RESUME_DELAY_MAX);
        let resumed = tokio::select! {
            resumed = async {
                tokio::time::sleep(delay).await;
                resume(link, &last_event_id).await
            } => resumed,
            () = asked.left(session) => return session.abandon(key),
        };
        let Some(resumed) = resumed else { break };
        reply = resumed;
    }
    session.fail(key, Reason::UpstreamUnreachable, BROKE_OFF).await;
}

async fn resume(link: &HttpLink, last_event_id: &str) -> Option<Reply> {
    let name = HeaderName::from_static("last-event-id");
    let value = HeaderValue::try_from(last_event_id).ok()?;
    let request = link.request(Method::GET, Bytes::new(), &[(name, value)]).ok()?;
    let reply = link.endpoint.request(request).await.ok()?;
    let is_stream = reply.status.is_success() && content_kind(&reply.headers) == ContentKind::Events;
    is_stream.then_some(reply)
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pumped {
    /// The request that it belongs to has its answer.
    Answered,
    /// The client has left, which cancels from 2026-07-28 on.
    Left,
    /// An event beyond the bound.
    TooLarge,
    /// The server closed it.
    Ended,
    /// The connection broke.
    Broke,
}

/// Hands over the events of a stream, for the request that it answers or for none.
pub(super) async fn pump(
    session: &Arc<Session>,
    reply: &mut Reply,
    parser: &mut Parser,
    request: Option<&Asked<'_>>,
) -> Pumped {
    loop {
        let data = match request {
            None => reply.data().await,
            Some(asked) => tokio::select! {
                data = reply.data() => data,
                () = asked.left(session) => {
                    session.abandon(asked.key);
                    return Pumped::Left;
                }
            },
        };
        let data = match data {
            Some(Ok(data)) => data,
            Some(Err(_)) => return Pumped::Broke,
            None => return Pumped::Ended,
        };
        let mut items = Vec::new();
        parser.push(&data, |item| items.push(item));
        for item in items {
            let event = match item {
                Item::Comment(_) => continue,
                Item::TooLarge => return Pumped::TooLarge,
                Item::Event(event) => event,
            };
            let Some(data) = event.data.filter(|data| !data.is_empty()) else {
                continue;
            };
            let origin = request.map_or(Origin::Shared, |asked| Origin::Reply {
                to: asked.key,
                status: 200,
            });
            if session.on_server(data.into(), origin).await == Seen::Answered && request.is_some() {
                return Pumped::Answered;
            }
        }
    }
}
