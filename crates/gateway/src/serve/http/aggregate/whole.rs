//! All servers of a caller as one: of a session, or of the requests that need none.

use super::part::{Part, Taken};
use super::shelf::{JudgedBy, Shelf};
use super::{House, Mounts};
use crate::settings::Settings;
use crate::sink::{Sink, object};
use bytes::Bytes;
use callgate_core::name::SessionId;
use callgate_wire::mcp::{Era, Version, method};
use callgate_wire::{IdKey, quoted};
use futures_util::future::join_all;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long what was asked of a server that is another now may go on.
const LEAVE_GRACE: Duration = Duration::from_secs(5);

/// All servers of a caller as one.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) house: Arc<House>,
    /// None of what stateless requests share.
    session: Option<Begun>,
    state: Mutex<State>,
    shelf: Mutex<Shelf>,
}

/// How a session was begun.
#[derive(Debug)]
struct Begun {
    id: SessionId,
    /// The client's `initialize`, which each server gets.
    hello: Bytes,
    version: Version,
}

#[derive(Debug, Default)]
struct State {
    /// By the names of their servers.
    parts: BTreeMap<Box<str>, Arc<Part>>,
    /// Where servers' own messages go.
    standing: Option<Sink>,
    /// Whether the client has been answered to its `initialize`.
    is_greeted: bool,
    /// Whether it has said that it has begun.
    has_begun: bool,
    /// Which log messages it wants, raw JSON.
    level: Option<Arc<str>>,
    /// Requests for servers that are not there yet.
    waiting: HashSet<IdKey>,
    has_ended: bool,
}

impl Whole {
    pub(super) fn session(house: Arc<House>, id: SessionId, hello: Bytes, version: Version) -> Self {
        let begun = Begun { id, hello, version };
        Self::new(house, Some(begun))
    }

    pub(super) fn stateless(house: Arc<House>) -> Self {
        Self::new(house, None)
    }

    fn new(house: Arc<House>, session: Option<Begun>) -> Self {
        Self {
            house,
            session,
            state: Mutex::default(),
            shelf: Mutex::default(),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.house.settings
    }

    pub(super) fn id(&self) -> Option<&SessionId> {
        self.session.as_ref().map(|begun| &begun.id)
    }

    /// The version that client and Callgate agreed on.
    pub(super) fn version(&self) -> Version {
        self.session
            .as_ref()
            .map_or(Version::V2026_07_28, |begun| begun.version)
    }

    pub(super) fn era(&self) -> Era {
        self.version().era()
    }

    /// Its id, and what each server is greeted with.
    pub(super) fn hello(&self) -> Option<(SessionId, Bytes)> {
        let begun = self.session.as_ref()?;
        Some((begun.id.clone(), begun.hello.clone()))
    }

    pub(super) fn part(&self, server: &str) -> Option<Arc<Part>> {
        self.lock().parts.get(server).map(Arc::clone)
    }

    /// All parts, by the names of their servers.
    pub(super) fn parts(&self) -> Vec<Arc<Part>> {
        self.lock().parts.values().map(Arc::clone).collect()
    }

    /// Puts in force which servers there are.
    pub(super) fn put_parts(self: &Arc<Self>, mounts: &Mounts) {
        let (mut new, mut gone) = (Vec::new(), Vec::new());
        {
            let mut state = self.lock();
            if state.has_ended {
                return;
            }
            let mut before = std::mem::take(&mut state.parts);
            for (server, mount) in mounts {
                let known = before
                    .remove(server.as_str())
                    .filter(|part| Arc::ptr_eq(part.mount(), mount));
                let made = || {
                    let mount = Arc::clone(mount);
                    let part = if self.session.is_some() {
                        Part::with_own(server, mount)
                    } else {
                        Part::shared(server, mount)
                    };
                    part.map(Arc::new).inspect(|part| new.push(Arc::clone(part)))
                };
                match known.or_else(made) {
                    Some(part) => {
                        state.parts.insert(server.as_str().into(), part);
                    }
                    None => tracing::error!(%server, "this name cannot be told apart at /mcp"),
                }
            }
            gone.extend(before.into_values());
        }
        let Some(begun) = &self.session else { return };
        for part in &new {
            part.start(self);
        }
        if !gone.is_empty() {
            let (whole, id) = (Arc::clone(self), begun.id.clone());
            tokio::spawn(async move {
                whole.tell_changed().await;
                join_all(gone.iter().map(|part| part.see_off(&id, LEAVE_GRACE))).await;
            });
        }
    }

    /// A part that is ready takes its seat, unless it is to be told first that the client has begun.
    pub(super) fn take_seat(&self, part: &Part, is_told: bool, take: impl FnOnce() -> bool) -> Taken {
        let state = self.lock();
        if state.has_begun && !is_told {
            return Taken::No;
        }
        if state.has_ended || !take() {
            return Taken::Over;
        }
        if let Some(standing) = &state.standing {
            part.attach(standing.clone());
        }
        Taken::Yes {
            level: state.level.clone(),
        }
    }

    /// A part has taken its seat.
    pub(super) async fn has_joined(&self, part: &Part) {
        self.house.was_there(part.prefix().server());
        if self.lock().is_greeted {
            self.tell_changed().await;
        }
    }

    pub(super) fn is_slow(&self, server: &str) -> bool {
        self.house.is_slow(server)
    }

    pub(super) fn was_late(&self, server: &str) {
        self.house.was_late(server);
    }

    pub(super) fn was_in_time(&self, server: &str) {
        self.house.was_there(server);
    }

    /// The client has its answer to `initialize`.
    pub(super) fn was_greeted(&self) {
        self.lock().is_greeted = true;
    }

    /// The client has begun; gives the parts that are to be told.
    pub(super) fn has_begun(&self) -> Vec<Arc<Part>> {
        let mut state = self.lock();
        state.has_begun = true;
        let parts = state.parts.values();
        parts
            .filter(|part| part.at_hand().is_some())
            .map(Arc::clone)
            .collect()
    }

    /// Keeps which log messages the client wants, for servers that come later.
    pub(super) fn keep_level(&self, level: &str) {
        self.lock().level = Some(level.into());
    }

    /// Tells the client that lists are not what they were.
    async fn tell_changed(&self) {
        let standing = self.lock().standing.clone();
        let Some(standing) = standing else { return };
        for changed in [
            method::NOTIFICATIONS_TOOLS_LIST_CHANGED,
            method::NOTIFICATIONS_PROMPTS_LIST_CHANGED,
            method::NOTIFICATIONS_RESOURCES_LIST_CHANGED,
        ] {
            let told = object(&[("jsonrpc", "\"2.0\""), ("method", &quoted(changed))]);
            standing.offer(told.into()).await;
        }
    }

    /// Where servers' own messages go from now on. A session that has ended takes no stream.
    pub(super) fn attach(&self, sink: Sink) {
        let mut state = self.lock();
        if state.has_ended {
            return;
        }
        for part in state.parts.values() {
            part.attach(sink.clone());
        }
        state.standing = Some(sink);
    }

    /// Ends the stream of servers' own messages.
    pub(super) fn detach(&self) {
        self.lock().standing = None;
        for part in self.parts() {
            part.detach();
        }
    }

    /// Whether nothing is in flight, and nobody listens.
    pub(super) fn is_unused(&self) -> bool {
        let listens = self
            .lock()
            .standing
            .as_ref()
            .is_some_and(|sink| !sink.is_closed());
        let parts = self.parts();
        let mut sessions = parts.iter().filter_map(|part| part.at_hand());
        !listens && sessions.all(|session| session.in_flight() == 0)
    }

    /// Ends all parts.
    pub(super) async fn close(&self) {
        let parts = {
            let mut state = self.lock();
            state.has_ended = true;
            state.standing = None;
            std::mem::take(&mut state.parts)
        };
        if let Some(begun) = &self.session {
            join_all(parts.values().map(|part| part.close(&begun.id))).await;
        }
    }

    /// A request waits for its server; false where another of its id does. Whose an id is cannot be told where
    /// clients have no session.
    pub(super) fn waits(&self, key: &IdKey) -> bool {
        self.session.is_none() || self.lock().waiting.insert(key.clone())
    }

    /// A request waits no more; false where it has been cancelled meanwhile.
    pub(super) fn waits_no_more(&self, key: &IdKey) -> bool {
        self.session.is_none() || self.lock().waiting.remove(key)
    }

    /// By which policy each server is judged now.
    pub(super) fn judged_by(&self) -> JudgedBy {
        let parts = self.parts();
        let judged = |part: &Arc<Part>| {
            let program = part.mount().gate().program();
            (part.prefix().server().into(), program.digest)
        };
        parts.iter().map(judged).collect()
    }

    pub(super) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
