//! Between a session and its link, where client and server are of different eras: what the client says goes on in
//! the server's words, and what the server says comes back in the client's.
//!
//! The session above judges, counts and records what the client says, as it says it. A request that crosses is
//! given to a task of its own, which makes requests of its own in its place ([`Relayed`]) until the answer is there.
//! Nothing crosses before the server's era is known, and where both are of one era, messages go straight. What a client
//! sends before it has the answer to its `initialize` waits for that ([`held`]): it is what tells the server's era.

mod call;
mod held;
mod legs;
mod listeners;
mod parked;
mod probe;
mod to_legacy;
mod to_modern;

pub(crate) use legs::Spawner;

use crate::link::{Passage, Style};
use crate::session::{Origin, Session};
use crate::sink::End;
use bytes::Bytes;
use callgate_core::refusal::Reason;
use callgate_wire::bridge::Hello;
use callgate_wire::mcp::Version;
use callgate_wire::{Decoded, IdKey, Kind, Message, Request, decode};

use futures_util::future::BoxFuture;
use held::Held;
use legs::LegEnd;
use probe::Probed;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use to_legacy::ToLegacy;
use to_modern::ToModern;
use tokio::sync::Mutex as TurnMutex;

/// Which way a session's messages take.
#[derive(Debug, Default)]
pub(crate) struct Crossing {
    course: AtomicU8,
    bridge: OnceLock<Bridge>,
    /// Whether `initialize` was refused, and the server asked for the other era.
    has_fallen: AtomicBool,
    deciding: TurnMutex<()>,
    /// What waits for the answer to `initialize`.
    held: Held,
}

const UNDECIDED: u8 = 0;
const STRAIGHT: u8 = 1;
const BRIDGED: u8 = 2;

/// Which way messages take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// Nothing is known of the server.
    Undecided,
    /// Client and server are of one era.
    Straight,
    Bridged,
}

/// What stands between the two sides.
#[derive(Debug)]
pub(crate) enum Bridge {
    /// A legacy client, a modern server.
    ToModern(Box<ToModern>),
    /// A modern client, a legacy server.
    ToLegacy(Arc<ToLegacy>),
    /// The server's end of such a bridge, where it has a session of its own.
    Leg(LegEnd),
}

/// What the server said to `initialize` where it would not have it.
#[derive(Debug)]
pub(crate) enum Original {
    /// An error, whole, and its HTTP status.
    Answer { bytes: Bytes, status: u16 },
    /// Nothing that could be read.
    Failed(Reason, String),
}

impl Crossing {
    pub(crate) fn to(bridge: Bridge) -> Self {
        let crossing = Self::default();
        crossing.set(bridge);
        crossing
    }

    fn course(&self) -> Course {
        match self.course.load(Ordering::Acquire) {
            STRAIGHT => Course::Straight,
            BRIDGED => Course::Bridged,
            _ => Course::Undecided,
        }
    }

    pub(crate) fn bridge(&self) -> Option<&Bridge> {
        (self.course() == Course::Bridged)
            .then(|| self.bridge.get())
            .flatten()
    }

    pub(crate) fn is_bridged(&self) -> bool {
        self.course() == Course::Bridged
    }

    /// The two sides are of one era.
    pub(crate) fn go_straight(&self) {
        // A bridge that stands stays.
        let _ = self
            .course
            .compare_exchange(UNDECIDED, STRAIGHT, Ordering::AcqRel, Ordering::Acquire);
    }

    fn set(&self, bridge: Bridge) {
        let _ = self.bridge.set(bridge);
        self.course.store(BRIDGED, Ordering::Release);
    }
}

impl Bridge {
    /// Tells the client what becomes of the stream on which the server answers the request that stands for its own.
    pub(crate) fn tell(&self, session: &Session, relay: &IdKey, end: End) {
        match self {
            Self::ToModern(bridge) => {
                if let Some(key) = bridge.client_of(relay) {
                    session.tell_client(&key, end);
                }
            }
            // The status of HTTP that a modern answer goes out with has to be known before its stream is open.
            Self::ToLegacy(_) | Self::Leg(_) => {}
        }
    }

    /// Takes what the server says of itself: notifications, and requests of its own. `session` is the one whose link
    /// it came by.
    pub(crate) async fn on_server(&self, session: &Arc<Session>, message: &Message<'_>, origin: Origin<'_>) {
        match self {
            Self::ToModern(bridge) => bridge.on_server(session, message, origin).await,
            Self::ToLegacy(bridge) => {
                if let Some(leg) = bridge.own_leg() {
                    leg.on_server(session, session, message, origin).await;
                }
            }
            Self::Leg(end) => end.on_server(session, message, origin).await,
        }
    }
}

/// Reads a message that was judged once more, to put it in the other era's words.
fn read_again<'b>(session: &Session, bytes: &'b Bytes) -> Option<Message<'b>> {
    match decode(bytes, &session.gate().settings.bounds) {
        Ok(Decoded::Single(message)) => Some(message),
        Ok(Decoded::Batch(_)) | Err(_) => None,
    }
}

/// A message as the request that it is.
fn request_of<'m, 'b>(message: &'m Message<'b>) -> Option<(&'m Message<'b>, &'m Request<'b>)> {
    match message.kind() {
        Kind::Request(request) => Some((message, request)),
        Kind::Notification(_) | Kind::Response(_) => None,
    }
}

impl Session {
    /// Sends a message on its way to the server.
    pub async fn forward(self: &Arc<Self>, passage: Passage) {
        if self.crossing().held.keeps(&passage) {
            return self.hold_back(passage).await;
        }
        self.send_on(passage).await;
    }

    /// Sends a message on its way that need not wait.
    async fn send_on(self: &Arc<Self>, passage: Passage) {
        match self.crossing().course() {
            Course::Straight => self.link().send(self, passage).await,
            Course::Undecided if passage.style != Style::Modern => self.link().send(self, passage).await,
            Course::Undecided | Course::Bridged => {
                // Whoever hands over a message must not wait for the server.
                if passage.kind == crate::link::PassageKind::Request {
                    tokio::spawn(self.cross(passage));
                } else {
                    self.cross(passage).await;
                }
            }
        }
    }

    /// As [`Session::forward`], and sees a request over HTTP through to its answer: for callers that have a task of
    /// their own for it.
    pub async fn carry(self: &Arc<Self>, passage: Passage) {
        if self.crossing().held.keeps(&passage) {
            return self.hold_back(passage).await;
        }
        match self.crossing().course() {
            Course::Straight => self.link().carry(self, passage).await,
            Course::Undecided if passage.style != Style::Modern => self.link().carry(self, passage).await,
            Course::Undecided | Course::Bridged => self.cross(passage).await,
        }
    }

    fn cross(self: &Arc<Self>, passage: Passage) -> BoxFuture<'static, ()> {
        let session = Arc::clone(self);
        Box::pin(async move {
            if session.crossing().course() == Course::Undecided {
                session.decide_course(&passage).await;
            }
            match session.crossing().bridge() {
                Some(Bridge::ToModern(bridge)) => bridge.take(&session, passage).await,
                Some(Bridge::ToLegacy(bridge)) => ToLegacy::take(bridge, &session, passage).await,
                Some(Bridge::Leg(_)) | None => session.link().send(&session, passage).await,
            }
        })
    }

    /// Ends the session at the server.
    pub async fn hang_up(&self) {
        if let Some(Bridge::ToLegacy(bridge)) = self.crossing().bridge() {
            bridge.close().await;
        }
        self.link().close().await;
    }

    /// Finds out which era the server is of, for a client of 2026-07-28. Where it cannot be told now, it stays open.
    async fn decide_course(self: &Arc<Self>, passage: &Passage) {
        let _turn = self.crossing().deciding.lock().await;
        if self.crossing().course() != Course::Undecided {
            return;
        }
        let Some(hello) = self.hello(&passage.bytes) else {
            return;
        };
        match self.probe(&hello.speaker).await {
            Probed::Modern(_) => self.crossing().go_straight(),
            Probed::Legacy => {
                tracing::info!(server = %self.gate().server, "the server is of the legacy era, its client is not: bridged");
                self.crossing().set(Bridge::ToLegacy(Arc::new(ToLegacy::new())));
            }
            Probed::Silent => {}
        }
    }

    fn hello(&self, request: &Bytes) -> Option<Hello> {
        let Ok(Decoded::Single(message)) = decode(request, &self.gate().settings.bounds) else {
            return None;
        };
        match message.kind() {
            Kind::Request(request) if request.method == callgate_wire::mcp::method::INITIALIZE => {
                Some(Hello::of_initialize(request))
            }
            Kind::Request(request) => Some(Hello::of_modern(request)),
            Kind::Notification(_) | Kind::Response(_) => None,
        }
    }

    /// Whether a request that its server refuses is an `initialize` that another era may have an answer to.
    pub(crate) fn may_fall_forward(&self, key: &IdKey) -> bool {
        !self.crossing().is_bridged()
            && !self.crossing().has_fallen.load(Ordering::Acquire)
            && self.is_initialize(key)
    }

    /// A server would not have `initialize`: it may be one of 2026-07-28. If it is, the bridge answers; else its own
    /// answer stands.
    pub(crate) fn fall_forward(self: &Arc<Self>, key: &IdKey, original: Original) {
        self.crossing().has_fallen.store(true, Ordering::Release);
        let (session, key) = (Arc::clone(self), key.clone());
        tokio::spawn(async move {
            let hello = session.initialize_bytes().and_then(|bytes| session.hello(&bytes));
            let probed = match &hello {
                Some(hello) => session.probe(&hello.speaker).await,
                None => Probed::Silent,
            };
            if let (Some(hello), Probed::Modern(Some(server))) = (hello, probed) {
                tracing::info!(server = %session.gate().server, "the server is of the modern era, its client is not: bridged");
                if let crate::link::Link::Http(link) = session.link() {
                    link.set_version(Some(Version::V2026_07_28));
                }
                let (bridge, bytes) = ToModern::new(hello, server, &key);
                session.crossing().set(Bridge::ToModern(Box::new(bridge)));
                let origin = Origin::Reply {
                    to: &key,
                    status: 200,
                };
                session.deliver(bytes, origin).await;
                return;
            }
            match original {
                Original::Answer { bytes, status } => {
                    session.deliver(bytes, Origin::Reply { to: &key, status }).await;
                }
                Original::Failed(reason, text) => session.fail(&key, reason, &text).await,
            }
        });
    }
}
