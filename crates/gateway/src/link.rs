//! The way to a server: a child process, or a URL.

pub mod child;
pub mod http;
pub mod shared;

use crate::session::{Departure, Session};
use crate::traces::Outward;
use bytes::Bytes;
use callgate_wire::IdKey;
use child::ChildLink;
use http::{HttpLink, LegacyLink};
use shared::SharedLink;
use std::sync::Arc;

/// One message on its way to a server: exactly the bytes that were judged.
#[derive(Debug, Clone)]
pub struct Passage {
    /// The message.
    pub bytes: Bytes,
    /// What it is, as far as transports treat it differently.
    pub kind: PassageKind,
    /// The key under which its answer is awaited; for a cancellation, that of the request it ends.
    pub key: Option<IdKey>,
    /// `Mcp-Param-*` headers that came with it; `None` where its client's transport has no headers.
    pub mirrored: Option<Vec<(String, String)>>,
    /// What its headers have to say over HTTP.
    pub style: Style,
    pub(crate) departure: Departure,
    /// What the server is told of the trace that it belongs to.
    pub(crate) trace: Option<Arc<Outward>>,
}

/// How a request goes out over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Within a session that has begun.
    Plain,
    /// It begins a session.
    Initialize,
    /// With the mirrored headers of 2026-07-28.
    Modern,
}

/// What a message is, as far as transports treat it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassageKind {
    /// Awaits an answer.
    Request,
    /// Awaits none.
    Notification,
    /// `notifications/initialized`, before which no later request may arrive.
    Initialized,
    /// Ends a request.
    Cancellation,
    /// Answers a request of the server's.
    Response,
}

impl Passage {
    /// Asked by the writer right before the first byte; false where it was called back.
    pub(crate) fn leave(&self) -> bool {
        let leaves = self.departure.leave();
        if let Some(trace) = self.trace.as_ref().filter(|_| leaves) {
            trace.leave();
        }
        leaves
    }

    pub(crate) fn request(bytes: Bytes, key: IdKey, departure: Departure) -> Self {
        Self {
            bytes,
            kind: PassageKind::Request,
            key: Some(key),
            mirrored: None,
            style: Style::Plain,
            departure,
            trace: None,
        }
    }

    pub(crate) fn notification(bytes: Bytes, is_initialized: bool) -> Self {
        let kind = if is_initialized {
            PassageKind::Initialized
        } else {
            PassageKind::Notification
        };
        Self {
            bytes,
            kind,
            key: None,
            mirrored: None,
            style: Style::Plain,
            departure: Departure::default(),
            trace: None,
        }
    }

    pub(crate) fn cancellation(bytes: Bytes, key: IdKey) -> Self {
        let departure = Departure::default();
        Self {
            bytes,
            kind: PassageKind::Cancellation,
            key: Some(key),
            mirrored: None,
            style: Style::Plain,
            departure,
            trace: None,
        }
    }

    pub(crate) fn response(bytes: Bytes) -> Self {
        let departure = Departure::default();
        Self {
            bytes,
            kind: PassageKind::Response,
            key: None,
            mirrored: None,
            style: Style::Plain,
            departure,
            trace: None,
        }
    }
}

/// The way to one server.
#[derive(Debug)]
pub enum Link {
    /// A child process, by lines.
    Child(ChildLink),
    /// A child process that other sessions use too.
    Shared(Box<SharedLink>),
    /// Streamable HTTP.
    Http(Box<HttpLink>),
    /// HTTP with a stream of events, as of 2024-11-05.
    Legacy(Box<LegacyLink>),
}

impl Link {
    /// Whether messages have to stand on one line.
    #[must_use]
    pub const fn needs_lines(&self) -> bool {
        match self {
            Self::Child(_) | Self::Shared(_) => true,
            Self::Http(_) | Self::Legacy(_) => false,
        }
    }

    /// Whether the server sees by itself that a client has closed a request's stream.
    #[must_use]
    pub const fn shows_departure(&self) -> bool {
        match self {
            Self::Http(_) => true,
            Self::Child(_) | Self::Shared(_) | Self::Legacy(_) => false,
        }
    }

    /// Another way to the same server, for a session of its own there; `None` where that takes a process more.
    #[must_use]
    pub(crate) fn sibling(&self) -> Option<Self> {
        match self {
            Self::Child(_) => None,
            Self::Shared(shared) => Some(Self::Shared(Box::new(shared.sibling()))),
            Self::Http(http) => Some(Self::Http(Box::new(http.sibling()))),
            Self::Legacy(legacy) => Some(Self::Legacy(Box::new(legacy.sibling()))),
        }
    }

    /// Ends the session at the server, as far as that is the link's to do.
    pub async fn close(&self) {
        match self {
            Self::Child(_) => {}
            Self::Shared(shared) => shared.close(),
            Self::Http(http) => http.close().await,
            Self::Legacy(legacy) => legacy.close(),
        }
    }

    /// Sends a message, and sees a request over HTTP through to its answer: for callers that have a task of
    /// their own for it.
    pub async fn carry(&self, session: &Arc<Session>, passage: Passage) {
        match self {
            Self::Child(child) => child.send(session, passage).await,
            Self::Shared(shared) => shared.send(session, passage).await,
            Self::Http(http) => http.carry(session, passage).await,
            Self::Legacy(legacy) => legacy.carry(session, passage).await,
        }
    }

    /// Sends a message. What goes wrong with a request is told to the session, which answers it.
    pub async fn send(&self, session: &Arc<Session>, passage: Passage) {
        match self {
            Self::Child(child) => child.send(session, passage).await,
            Self::Shared(shared) => shared.send(session, passage).await,
            Self::Http(http) => http.send(session, passage).await,
            Self::Legacy(legacy) => legacy.send(session, passage).await,
        }
    }
}
