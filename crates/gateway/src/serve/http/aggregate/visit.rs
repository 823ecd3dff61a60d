//! Requests to `/mcp` that were let in.

use super::{Aggregates, Opened};
use crate::serve::http::answer::{self, Body, accepted, plain};
use crate::serve::http::body::{Unread, read_body};
use crate::serve::http::glance::{Seen, glance};
use crate::serve::http::room::Room;
use crate::serve::http::{LAST_EVENT_ID, QUEUE_MAX, SESSION_ID, lineage, mirrored, not_opened, respond};
use crate::session::Entry;
use crate::sink::Sink;
use bytes::Bytes;
use callgate_core::name::SessionId;
use callgate_wire::mcp::{Era, Version, protocol_version};
use callgate_wire::{Decoded, Kind, Malformed, Request, decode};
use http::{HeaderMap, Method, Response, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The newest version that begins with `initialize`.
const NEWEST_WITH_SESSIONS: Version = Version::V2025_11_25;
const NO_SESSION: &str = "no such session; begin anew with `initialize`";

/// A request that was let in.
pub(in crate::serve::http) struct AllVisit<'a> {
    pub(in crate::serve::http) all: &'a Arc<Aggregates>,
    pub(in crate::serve::http) bodies: &'a Room,
}

impl AllVisit<'_> {
    pub(in crate::serve::http) async fn answer(&self, request: http::Request<Incoming>) -> Response<Body> {
        match *request.method() {
            Method::POST => self.post(request).await,
            Method::GET => self.get(request.headers()),
            Method::DELETE => self.delete(request.headers()).await,
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, "use POST, GET or DELETE"),
        }
    }

    async fn post(&self, request: http::Request<Incoming>) -> Response<Body> {
        let house = &self.all.house;
        let bounds = house.settings.bounds;
        let (parts, body) = match read_body(request, self.bodies, &house.settings).await {
            Ok(whole) => whole,
            Err(Unread::Refused(refused)) => return *refused,
            Err(Unread::TooLarge(refused)) => {
                let bytes_max = bounds.message_bytes_max;
                let bytes = bytes_max.saturating_add(1);
                let cause = Malformed::TooLarge { bytes, bytes_max };
                let sender = house.sender(None);
                house.recorder.stray_malformed(sender, &cause, bytes_max);
                return *refused;
            }
        };
        let decoded = decode(&body, &bounds);
        let seen = match glance(decoded.as_ref().ok(), &parts.headers) {
            Ok(seen) => seen,
            Err(refused) => return *refused,
        };
        let entry = Entry {
            headers: Some(mirrored(&parts.headers)),
            received: Instant::now(),
            lineage: lineage(&house.recorder, &parts.headers),
        };
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let (whole, streams) = match seen {
            Seen::Initialize => return self.begin(&body, decoded.ok()).await,
            Seen::Modern => match self.all.stateless() {
                Ok(whole) => (whole, None),
                Err(cause) => return *not_opened(&cause),
            },
            Seen::Legacy => match self.session(&parts.headers) {
                Ok(opened) => {
                    let streams = is_resumable(&opened).then_some(opened.streams);
                    (opened.whole, streams)
                }
                Err(refused) => return *refused,
            },
        };
        let errand = whole.accept(&body, decoded, &sender, &entry);
        drop(sender);
        respond(errand.work, errand.due, receiver, || streams).await
    }

    /// Opens a session, and answers once its servers have.
    async fn begin(&self, body: &Bytes, decoded: Option<Decoded<'_>>) -> Response<Body> {
        let Some(Decoded::Single(message)) = &decoded else {
            return plain(StatusCode::BAD_REQUEST, "`initialize` stands alone");
        };
        let Kind::Request(request) = message.kind() else {
            return plain(StatusCode::BAD_REQUEST, "`initialize` is a request");
        };
        let hello = body.slice_ref(message.raw());
        let (id, opened) = match self.all.open(hello, version_for(request)) {
            Ok(opened) => opened,
            Err(cause) => return *not_opened(&cause),
        };
        let mut untold = Untold {
            all: Arc::clone(self.all),
            id: Some(id),
        };
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let (whole, asked) = (Arc::clone(&opened.whole), request.id.raw().into());
        let work = Box::pin(async move { whole.greet(asked, Sink::Shared(sender)).await });
        let mut response = respond(work, 1, receiver, || None).await;
        if response.status().is_success()
            && let Some(id) = untold.id.take()
            && let Ok(value) = http::HeaderValue::try_from(id.as_str())
        {
            response.headers_mut().insert(SESSION_ID, value);
        }
        response
    }

    fn session(&self, headers: &HeaderMap) -> Result<Opened, Box<Response<Body>>> {
        let Some(id) = headers.get(SESSION_ID) else {
            let text = "no Mcp-Session-Id; begin with `initialize`";
            return Err(Box::new(plain(StatusCode::BAD_REQUEST, text)));
        };
        let found = id.to_str().ok().and_then(|id| self.all.find(id));
        found.ok_or_else(|| Box::new(plain(StatusCode::NOT_FOUND, NO_SESSION)))
    }

    fn get(&self, headers: &HeaderMap) -> Response<Body> {
        if !headers.contains_key(SESSION_ID) {
            let text = "no Mcp-Session-Id: there is no stream without a session";
            return plain(StatusCode::METHOD_NOT_ALLOWED, text);
        }
        let opened = match self.session(headers) {
            Ok(opened) => opened,
            Err(refused) => return *refused,
        };
        if let Some(last) = headers.get(LAST_EVENT_ID).filter(|_| is_resumable(&opened)) {
            let resumed = last.to_str().ok().and_then(|last| opened.streams.resume(last));
            return resumed
                .unwrap_or_else(|| plain(StatusCode::BAD_REQUEST, "no stream of this event is kept"));
        }
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        opened.whole.attach(Sink::Shared(sender));
        answer::standing_stream(receiver)
    }

    async fn delete(&self, headers: &HeaderMap) -> Response<Body> {
        let Some(id) = headers.get(SESSION_ID) else {
            return plain(StatusCode::BAD_REQUEST, "no Mcp-Session-Id");
        };
        match id.to_str() {
            Ok(id) if self.all.close(id).await => accepted(),
            Ok(_) | Err(_) => plain(StatusCode::NOT_FOUND, "no such session"),
        }
    }
}

/// The version that a session is begun in: what the client wants, where that has sessions.
fn version_for(request: &Request<'_>) -> Version {
    protocol_version(request)
        .ok()
        .flatten()
        .and_then(|wanted| wanted.parse::<Version>().ok())
        .filter(|wanted| wanted.era() == Era::Legacy)
        .unwrap_or(NEWEST_WITH_SESSIONS)
}

fn is_resumable(opened: &Opened) -> bool {
    opened.whole.version() >= Version::V2025_11_25
}

/// A session that its client has not been told of. If its request is given up, nobody could end it any more.
struct Untold {
    all: Arc<Aggregates>,
    id: Option<SessionId>,
}

impl Drop for Untold {
    fn drop(&mut self) {
        if let Some(id) = self.id.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let all = Arc::clone(&self.all);
            runtime.spawn(async move { all.close(id.as_str()).await });
        }
    }
}
