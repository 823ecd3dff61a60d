//! Clients of the HTTP transport of 2024-11-05: a stream of events, whose first names the address to which the
//! client posts its messages. Answers come on the stream, which is the session.

use super::answer::{Body, accepted, named_stream, plain};
use super::sessions::Sessions;
use super::{QUEUE_MAX, Visit, carry_out, lineage, not_opened};
use crate::session::Entry;
use crate::sink::Sink;
use callgate_wire::decode;
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a request is for, by the end of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Streamable HTTP.
    Endpoint,
    /// The stream of 2024-11-05.
    Stream,
    /// Where the messages for a stream are posted.
    Messages,
}

impl Place {
    /// The place that a last part of a path names.
    pub(super) fn of(part: Option<&str>) -> Option<Self> {
        match part {
            None => Some(Self::Endpoint),
            Some("sse") => Some(Self::Stream),
            Some("messages") => Some(Self::Messages),
            Some(_) => None,
        }
    }
}

/// What stands in the place of a server's name in the path of the stream of all servers, so that no server can be
/// called so.
pub const ALL_STREAM: &str = "sse";

/// Where a path leads, for a caller of several servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way<'p> {
    /// To all servers as one.
    All(Place),
    /// To the server of this name.
    One(&'p str, Place),
}

impl<'p> Way<'p> {
    /// Of a path. One of no place leads to a server without a name, which there is not.
    pub(super) fn of(path: &'p str) -> Self {
        if path == "/mcp" {
            return Self::All(Place::Endpoint);
        }
        let rest = path.strip_prefix("/mcp/").unwrap_or_default();
        let (server, part) = rest
            .split_once('/')
            .map_or((rest, None), |(server, part)| (server, Some(part)));
        match (server, Place::of(part)) {
            (ALL_STREAM, Some(Place::Endpoint)) => Self::All(Place::Stream),
            (ALL_STREAM, Some(Place::Messages)) => Self::All(Place::Messages),
            (ALL_STREAM, Some(Place::Stream)) | (_, None) => Self::One("", Place::Endpoint),
            (server, Some(place)) => Self::One(server, place),
        }
    }
}

/// The name of the session's id in the address that a stream names.
const SESSION_PARAM: &str = "sessionId";

/// The address to which messages for a stream are posted.
pub(super) fn address(base: &str, id: &str) -> String {
    format!("{base}/messages?{SESSION_PARAM}={id}")
}

/// The session that such an address names.
pub(super) fn session_of(address: &Uri) -> Result<String, Box<Response<Body>>> {
    let query = address.query().unwrap_or_default();
    let mut ids = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == SESSION_PARAM)
        .map(|(_, id)| id.into_owned());
    match (ids.next(), ids.next()) {
        (Some(id), None) => Ok(id),
        (Some(_) | None, _) => Err(Box::new(plain(
            StatusCode::BAD_REQUEST,
            "the address has no session id",
        ))),
    }
}

pub(super) fn no_session() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "no such session; open a stream")
}

pub(super) fn unread() -> Response<Body> {
    plain(
        StatusCode::TOO_MANY_REQUESTS,
        "many messages wait in the stream of this session; read them first",
    )
}

/// Ends a session once its stream is gone.
pub(super) struct Closing {
    sessions: Arc<Sessions>,
    id: String,
}

impl Drop for Closing {
    fn drop(&mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (sessions, id) = (Arc::clone(&self.sessions), std::mem::take(&mut self.id));
            runtime.spawn(async move {
                sessions.close(&id).await;
            });
        }
    }
}

impl Visit<'_> {
    /// Opens a session, and the stream that it lasts as long as.
    pub(super) fn open_stream(&self, path: &str) -> Response<Body> {
        let session = match self.sessions.open() {
            Ok(opened) => opened.session,
            Err(cause) => return *not_opened(&cause),
        };
        let Some(id) = session.id().map(|id| id.as_str().to_owned()) else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "the session has no id");
        };
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        session.attach(Sink::Shared(sender));
        let base = path.strip_suffix("/sse").unwrap_or_default();
        let address = address(base, &id);
        let closing = Closing {
            sessions: Arc::clone(self.sessions),
            id,
        };
        named_stream(&address, receiver, closing)
    }

    /// Takes a message for a stream; what it is answered with goes there.
    pub(super) async fn take_message(&self, request: Request<Incoming>) -> Response<Body> {
        let id = match session_of(request.uri()) {
            Ok(id) => id,
            Err(refused) => return *refused,
        };
        // Before the session is looked for, as its stream ends once nobody has a hold of it.
        let (parts, body) = match self.body(request).await {
            Ok(whole) => whole,
            Err(refused) => return *refused,
        };
        let found = self.sessions.find(&id);
        let Some((session, sink)) =
            found.and_then(|found| Some((Arc::clone(&found.session), found.session.standing()?)))
        else {
            return no_session();
        };
        if sink.is_full() {
            return unread();
        }
        let entry = Entry {
            lineage: lineage(session.gate().recorder(), &parts.headers),
            ..Entry::default()
        };
        let decoded = decode(&body, &session.gate().settings.bounds);
        let intake = session.accept_decoded(&body, decoded, &sink, &entry);
        let due = intake.answers_due;
        let carried = tokio::spawn(carry_out(session, intake));
        if due == 0 {
            // What the client sends next must not overtake it.
            let _ = carried.await;
        }
        accepted()
    }
}
