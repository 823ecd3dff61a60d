//! A server that speaks the HTTP transport of 2024-11-05: it opens a stream of events, whose first event names
//! the address to which each message is posted; answers come on the stream.

use super::exchange::{ContentKind, content_kind, failure_of};
use super::pool::{Reply, SendError};
use super::{Endpoint, Turn, read_out};
use crate::link::{Link, Passage, PassageKind};
use crate::session::{Origin, Session};
use callgate_core::refusal::Reason;
use callgate_wire::sse::{Event, Item, Parser};
use http::header::{ACCEPT, HeaderValue};
use http::{Method, Uri};
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

/// One session's way to such a server.
#[derive(Debug)]
pub struct LegacyLink {
    endpoint: Endpoint,
    address: watch::Sender<Address>,
    reader: OnceLock<Mutex<AbortHandle>>,
    turn: Turn,
}

/// Where messages are posted.
#[derive(Debug, Clone)]
enum Address {
    /// The stream has not said.
    Unknown,
    Known(Uri),
    /// The stream has ended, or never began.
    Gone,
}

const NO_STREAM: &str = "the server's stream could not be opened, so the call has not run";
const BROKE_OFF: &str = "the connection to the server broke before it took the call; the call may have run, so look before you start it again";

impl LegacyLink {
    /// A way to the stream at this endpoint, opened with the first message.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            address: watch::Sender::new(Address::Unknown),
            reader: OnceLock::new(),
            turn: Turn::default(),
        }
    }

    pub(in crate::link) fn sibling(&self) -> Self {
        Self::new(self.endpoint.clone())
    }

    /// Sends a message, and returns once the server has taken it.
    pub(in crate::link) async fn carry(&self, session: &Arc<Session>, passage: Passage) {
        self.turn.wait().await;
        Box::pin(post(session, passage)).await;
    }

    pub(in crate::link) async fn send(&self, session: &Arc<Session>, passage: Passage) {
        let turn = self.turn.of(passage.kind).await;
        let session = Arc::clone(session);
        tokio::spawn(async move {
            post(&session, passage).await;
            drop(turn);
        });
    }

    /// Closes the stream, which ends the session at the server.
    pub fn close(&self) {
        self.address.send_replace(Address::Gone);
        if let Some(reader) = self.reader.get() {
            reader
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .abort();
        }
    }

    /// Where to post; `None` where the stream has ended.
    async fn address(&self, session: &Arc<Session>) -> Option<Uri> {
        let reader = self.reader.get_or_init(|| Mutex::new(follow(session)));
        // Whoever closes the link ends the task, if it is there by then.
        if session.is_closed() {
            reader
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .abort();
            return None;
        }
        let mut address = self.address.subscribe();
        let known = address
            .wait_for(|address| !matches!(address, Address::Unknown))
            .await;
        match known.as_deref() {
            Ok(Address::Known(uri)) => Some(uri.clone()),
            Ok(Address::Unknown | Address::Gone) | Err(_) => None,
        }
    }
}

/// Posts a message. What it is answered with comes on the stream; that it was not taken is told here.
async fn post(session: &Arc<Session>, passage: Passage) {
    let Link::Legacy(link) = session.link() else {
        return;
    };
    let key = passage
        .key
        .clone()
        .filter(|_| passage.kind == PassageKind::Request);
    let address = tokio::select! {
        address = link.address(session) => address,
        () = passage.departure.ended(), if key.is_some() => return,
    };
    let request = address.and_then(|uri| {
        let body = passage.bytes.clone();
        let mut request = link.endpoint.message(Method::POST, uri, body).ok()?;
        if let Some(trace) = &passage.trace {
            request.headers_mut().extend(trace.headers());
            link.endpoint.configured(request.headers_mut());
        }
        Some(request)
    });
    let Some(request) = request else {
        if let Some(key) = &key {
            session.fail_unsent(key, NO_STREAM).await;
        }
        return;
    };
    if !passage.leave() {
        return;
    }
    let limit = session.gate().settings.timeout;
    let sent = tokio::select! {
        sent = timeout(limit, link.endpoint.request(request)) => sent,
        // Its answer may come before the server has closed the request that it came by.
        () = passage.departure.ended(), if key.is_some() => return,
    };
    let refused = match sent {
        Ok(Ok(reply)) => refusal_of(reply).await,
        Ok(Err(SendError::Unreachable(cause))) => {
            tracing::warn!(server = %session.gate().server, %cause, "the server could not be reached");
            if let Some(key) = &key {
                session.fail_unsent(key, NO_STREAM).await;
            }
            return;
        }
        Ok(Err(SendError::NoCredentials(cause))) => {
            tracing::warn!(server = %session.gate().server, %cause, "a message was not sent");
            if let Some(key) = &key {
                session
                    .fail_unsent_for(key, Reason::UpstreamAuth, &cause.to_string())
                    .await;
            }
            return;
        }
        Ok(Err(SendError::Broke(cause))) => {
            tracing::warn!(server = %session.gate().server, %cause, "the server did not take a message");
            Some((Reason::UpstreamUnreachable, BROKE_OFF.to_owned()))
        }
        // A request has a deadline of its own.
        Err(_) => None,
    };
    if let (Some((reason, text)), Some(key)) = (refused, &key) {
        session.fail(key, reason, &text).await;
    }
}

/// Why a message was not taken.
async fn refusal_of(reply: Reply) -> Option<(Reason, String)> {
    if reply.status.is_success() {
        read_out(reply).await;
        return None;
    }
    let code = reply.status.as_u16();
    failure_of(reply.status, &reply.headers).or_else(|| {
        Some((
            Reason::UpstreamProtocol,
            format!("the server answered with HTTP {code}"),
        ))
    })
}

/// Follows the stream in a task of its own; the session is over when it ends.
fn follow(session: &Arc<Session>) -> AbortHandle {
    let weak = Arc::downgrade(session);
    let task = tokio::spawn(async move {
        if let Some(session) = weak.upgrade() {
            read(&session).await;
            if let Link::Legacy(link) = session.link() {
                link.address.send_replace(Address::Gone);
            }
            session.server_gone().await;
        }
    });
    task.abort_handle()
}

async fn read(session: &Arc<Session>) {
    let Link::Legacy(link) = session.link() else {
        return;
    };
    let health = session.gate().health();
    if health.attempt(Instant::now).is_err() {
        return;
    }
    let Some(mut reply) = open(session, link).await else {
        health.failed(Instant::now());
        return;
    };
    let mut parser = Parser::new(session.gate().settings.bounds.message_bytes_max);
    while let Some(Ok(data)) = reply.data().await {
        let mut items = Vec::new();
        parser.push(&data, |item| items.push(item));
        for item in items {
            match item {
                Item::Comment(_) => {}
                Item::TooLarge => {
                    let bytes_max = session.gate().settings.bounds.message_bytes_max;
                    session.too_large(bytes_max).await;
                }
                Item::Event(event) if event.event.as_deref() == Some("endpoint") => {
                    if !link.learn(&event) {
                        tracing::warn!(
                            server = %session.gate().server,
                            "the server named an address of another origin, to which nothing is sent"
                        );
                        return;
                    }
                    health.succeeded();
                }
                Item::Event(event) => {
                    if let Some(data) = event.data.filter(|data| !data.is_empty()) {
                        session.on_server(data.into(), Origin::Shared).await;
                    }
                }
            }
        }
    }
}

async fn open(session: &Arc<Session>, link: &LegacyLink) -> Option<Reply> {
    let target = link.endpoint.target.clone();
    let mut request = link
        .endpoint
        .message(Method::GET, target, bytes::Bytes::new())
        .ok()?;
    request
        .headers_mut()
        .insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    let limit = session.gate().settings.timeout;
    let reply = timeout(limit, link.endpoint.request(request)).await.ok()?.ok()?;
    let is_stream = reply.status.is_success() && content_kind(&reply.headers) == ContentKind::Events;
    is_stream.then_some(reply)
}

impl LegacyLink {
    /// Takes the address that the stream names. A server must not have Callgate post elsewhere, with the
    /// credentials that are meant for it: another origin is refused.
    fn learn(&self, event: &Event) -> bool {
        let named = event
            .data
            .as_deref()
            .and_then(|data| std::str::from_utf8(data).ok())
            .map(str::trim)
            .filter(|data| !data.is_empty())
            .and_then(|data| self.endpoint.within_origin(data));
        match named {
            Some(uri) => {
                self.address.send_replace(Address::Known(uri));
                true
            }
            None => false,
        }
    }
}
