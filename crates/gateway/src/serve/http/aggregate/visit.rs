//! Requests to `/mcp` that were let in.

use super::streamed::Found;
use super::{Aggregates, Opened};
use crate::serve::http::answer::{self, Body, accepted, plain};
use crate::serve::http::body::{Unread, read_body};
use crate::serve::http::glance::{Seen, glance};
use crate::serve::http::legacy::{self, Place};
use crate::serve::http::room::Room;
use crate::serve::http::{LAST_EVENT_ID, QUEUE_MAX, SESSION_ID, lineage, mirrored, not_opened, respond};
use crate::session::{Entry, HELLO_TOO_LARGE, hello, hello_too_large};
use crate::sink::Sink;
use bytes::Bytes;
use callgate_core::name::SessionId;
use callgate_wire::mcp::{Era, Version, method, protocol_version};
use callgate_wire::{Decoded, Kind, Malformed, Request, decode};
use http::request::Parts;
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
    pub(in crate::serve::http) async fn answer(
        &self,
        request: http::Request<Incoming>,
        place: Place,
    ) -> Response<Body> {
        match (place, request.method()) {
            (Place::Endpoint, &Method::POST) => self.post(request).await,
            (Place::Endpoint, &Method::GET) => self.get(request.headers()),
            (Place::Endpoint, &Method::DELETE) => self.delete(request.headers()).await,
            (Place::Endpoint, _) => plain(StatusCode::METHOD_NOT_ALLOWED, "use POST, GET or DELETE"),
            (Place::Stream, &Method::GET) => self.open_stream(request.uri().path()),
            (Place::Stream, _) => plain(StatusCode::METHOD_NOT_ALLOWED, "use GET"),
            (Place::Messages, &Method::POST) => self.take_message(request).await,
            (Place::Messages, _) => plain(StatusCode::METHOD_NOT_ALLOWED, "use POST"),
        }
    }

    /// The whole body of a request, within bounds.
    async fn body(&self, request: http::Request<Incoming>) -> Result<(Parts, Bytes), Box<Response<Body>>> {
        let house = &self.all.house;
        let bytes_max = house.settings.bounds.message_bytes_max;
        read_body(request, self.bodies, &house.settings)
            .await
            .map_err(|unread| match unread {
                Unread::Refused(refused) => refused,
                Unread::TooLarge(refused) => {
                    let bytes = bytes_max.saturating_add(1);
                    let cause = Malformed::TooLarge { bytes, bytes_max };
                    let sender = house.sender(None);
                    house.recorder.stray_malformed(sender, &cause, bytes_max);
                    refused
                }
            })
    }

    async fn post(&self, request: http::Request<Incoming>) -> Response<Body> {
        let (parts, body) = match self.body(request).await {
            Ok(whole) => whole,
            Err(refused) => return *refused,
        };
        let decoded = decode(&body, &self.all.house.settings.bounds);
        let seen = match glance(decoded.as_ref().ok(), &parts.headers) {
            Ok(seen) => seen,
            Err(refused) => return *refused,
        };
        let entry = Entry {
            headers: Some(mirrored(&parts.headers)),
            received: Instant::now(),
            lineage: lineage(&self.all.house.recorder, &parts.headers),
        };
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let (whole, streams) = match seen {
            Seen::Initialize => return self.begin(decoded.ok()).await,
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
        // What is sent of it has a hold of it; while an answer is waited for, it takes no room from others.
        drop(body);
        respond(errand.work, errand.due, receiver, || streams).await
    }

    /// Opens a session, and answers once its servers have.
    async fn begin(&self, decoded: Option<Decoded<'_>>) -> Response<Body> {
        let hello = match Hello::of(decoded.as_ref()) {
            Ok(hello) => hello,
            Err(NoHello::TooLarge { bytes }) => return self.too_large(bytes),
            Err(NoHello::Other) => {
                return plain(
                    StatusCode::BAD_REQUEST,
                    "`initialize` is a request, and stands alone",
                );
            }
        };
        let (id, opened) = match self.all.open(hello.raw, hello.version) {
            Ok(opened) => opened,
            Err(cause) => return *not_opened(&cause),
        };
        let mut untold = Untold {
            all: Arc::clone(self.all),
            id: Some(id),
        };
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let whole = Arc::clone(&opened.whole);
        let work = Box::pin(async move { whole.greet(hello.id, Sink::Shared(sender)).await });
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

    /// Opens a stream of 2024-11-05, by which a session is to begin.
    fn open_stream(&self, path: &str) -> Response<Body> {
        match self.all.open_stream() {
            Ok((stream, receiver)) => {
                let address = legacy::address(path, stream.id());
                answer::named_stream(&address, receiver, stream)
            }
            Err(cause) => *not_opened(&cause),
        }
    }

    /// Takes a message for such a stream; what it is answered with goes there.
    async fn take_message(&self, request: http::Request<Incoming>) -> Response<Body> {
        let id = match legacy::session_of(request.uri()) {
            Ok(id) => id,
            Err(refused) => return *refused,
        };
        // Before the session is looked for, as its stream ends once nobody has a hold of it.
        let (parts, body) = match self.body(request).await {
            Ok(whole) => whole,
            Err(refused) => return *refused,
        };
        let Some(found) = self.all.find_stream(&id) else {
            return legacy::no_session();
        };
        if found.sender().capacity() == 0 {
            return legacy::unread();
        }
        let decoded = decode(&body, &self.all.house.settings.bounds);
        let (whole, sender) = match found {
            Found::Begun(whole, sender) => (whole, sender),
            Found::Named(sender) => {
                let hello = match Hello::of(decoded.as_ref().ok()) {
                    Ok(hello) => hello,
                    Err(NoHello::TooLarge { bytes }) => return self.too_large(bytes),
                    Err(NoHello::Other) => return self.too_early(decoded.err(), body.len()),
                };
                let Some(whole) = self.all.begin_stream(&id, hello.raw, hello.version) else {
                    return legacy::no_session();
                };
                tokio::spawn(async move { whole.greet(hello.id, Sink::Shared(sender)).await });
                return accepted();
            }
        };
        let entry = Entry {
            lineage: lineage(&self.all.house.recorder, &parts.headers),
            ..Entry::default()
        };
        let errand = whole.accept(&body, decoded, &sender, &entry);
        let carried = tokio::spawn(errand.work);
        if errand.due == 0 {
            // What the client sends next must not overtake it.
            let _ = carried.await;
        }
        accepted()
    }

    /// An `initialize` that is larger than one may be.
    fn too_large(&self, bytes: usize) -> Response<Body> {
        let house = &self.all.house;
        let cause = hello_too_large(bytes);
        house.recorder.stray_malformed(house.sender(None), &cause, bytes);
        plain(StatusCode::PAYLOAD_TOO_LARGE, HELLO_TOO_LARGE)
    }

    /// What comes before a session has begun.
    fn too_early(&self, malformed: Option<Malformed>, length: usize) -> Response<Body> {
        if let Some(cause) = malformed {
            let house = &self.all.house;
            house.recorder.stray_malformed(house.sender(None), &cause, length);
        }
        plain(StatusCode::BAD_REQUEST, "begin with `initialize`")
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

/// Why a body begins no session.
enum NoHello {
    /// It is one that is larger than one may be.
    TooLarge { bytes: usize },
    /// It is no `initialize`.
    Other,
}

/// What a client begins a session with.
struct Hello {
    /// The request, as it came.
    raw: Bytes,
    /// Its id, raw JSON.
    id: Box<str>,
    version: Version,
}

impl Hello {
    /// The `initialize` that a body is, where it is one.
    fn of(decoded: Option<&Decoded<'_>>) -> Result<Self, NoHello> {
        let Some(Decoded::Single(message)) = decoded else {
            return Err(NoHello::Other);
        };
        let Kind::Request(request) = message.kind() else {
            return Err(NoHello::Other);
        };
        if request.method != method::INITIALIZE {
            return Err(NoHello::Other);
        }
        Ok(Self {
            raw: hello(message).ok_or(NoHello::TooLarge {
                bytes: message.raw().len(),
            })?,
            id: request.id.raw().into(),
            version: version_for(request),
        })
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
