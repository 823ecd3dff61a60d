//! Sessions that Callgate keeps for clients before 2026-07-28, and the one that all stateless requests share.

use super::streams::Streams;
use super::team::SessionSeen;
use crate::bridge::{Crossing, Spawner};
use crate::gate::Gate;
use crate::link::Link;
use crate::link::child::{self, End, ServerCommand, SpawnError};
use crate::link::http::{Endpoint, HttpLink, LegacyLink};
use crate::link::shared::{Hub, JoinError};
use crate::session::{Ids, Session};
use crate::settings::Settings;
use callgate_core::name::SessionId;
use callgate_wire::mcp::Version;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What a session without a request is closed after.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
const MINUTE: Duration = Duration::from_secs(60);
/// Children that run at once, of all callers and servers together.
const CHILDREN_MAX: u32 = 4_096;

/// The server that sessions lead to.
#[derive(Debug, Clone)]
pub enum Upstream {
    /// A command, started once a session.
    Command(Box<ServerCommand>),
    /// A command, started once for all sessions.
    Shared(Arc<Hub>),
    /// A URL.
    Url(Box<Endpoint>),
    /// A URL that speaks the transport of 2024-11-05.
    Legacy(Box<Endpoint>),
}

impl Upstream {
    /// Whether both lead to the same URL.
    pub(super) fn is_where(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Url(one), Self::Url(other)) | (Self::Legacy(one), Self::Legacy(other)) => {
                one.is_where(other)
            }
            (Self::Command(_) | Self::Shared(_) | Self::Url(_) | Self::Legacy(_), _) => false,
        }
    }
}

/// A session could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("too many sessions are open; close some")]
    TooMany,
    #[error("too many sessions were opened within a minute; use the ones you have")]
    TooFast,
    #[error("too many servers are running for all callers together; try again later")]
    TooManyChildren,
    #[error("what this request was let in to has ended meanwhile")]
    Ended,
    #[error("the server keeps failing and is left alone for {} s", .0.as_secs().saturating_add(1))]
    Failing(Duration),
    /// What it is that cannot be started is the operator's to know.
    #[error("the server could not be started; the gate's log says why")]
    Spawn(#[from] SpawnError),
}

impl From<JoinError> for OpenError {
    fn from(cause: JoinError) -> Self {
        match cause {
            JoinError::Ended => Self::Ended,
            JoinError::NoPlace => Self::TooManyChildren,
            JoinError::Failing(pause) => Self::Failing(pause),
            JoinError::Spawn(cause) => Self::Spawn(cause),
        }
    }
}

#[derive(Debug)]
pub(super) struct Sessions {
    gate: Arc<Gate>,
    upstream: Upstream,
    children: Children,
    state: Mutex<State>,
    this: Weak<Self>,
}

/// The children of all sessions of a gateway. Each holds a place until nothing of it is left.
#[derive(Debug, Clone)]
pub(super) struct Children(Arc<Semaphore>);

impl Children {
    pub(super) fn new() -> Self {
        let places = usize::try_from(CHILDREN_MAX).unwrap_or(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(places)))
    }

    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }

    /// Waits until no child is left; those whose sessions were closed before are among them.
    pub(super) async fn ended(&self) {
        let _ = self.0.acquire_many(CHILDREN_MAX).await;
    }
}

#[derive(Debug, Default)]
struct State {
    /// A request that was let in before may still be on its way to these sessions.
    has_ended: bool,
    open: HashMap<String, Held>,
    /// Parts of sessions with all servers of the caller, by the ids of those.
    joined: HashMap<SessionId, Held>,
    stateless: Option<Held>,
    /// Further processes of the server for requests that name no session, by what their clients declare.
    further: Vec<Held>,
    opened: Openings,
}

impl State {
    /// All that runs, whoever knows it.
    fn held(&self) -> impl Iterator<Item = &Held> {
        self.open
            .values()
            .chain(self.joined.values())
            .chain(&self.stateless)
    }

    /// Takes a place for one more session.
    fn take_place(&mut self, settings: &Settings) -> Result<(), OpenError> {
        if self.has_ended {
            return Err(OpenError::Ended);
        }
        if self.open.len().saturating_add(self.joined.len()) >= settings.sessions_max {
            return Err(OpenError::TooMany);
        }
        self.opened.take(settings.sessions_per_minute_max)
    }
}

/// When sessions were opened, within the last minute.
#[derive(Debug, Default)]
pub(super) struct Openings(VecDeque<Instant>);

impl Openings {
    /// Counts one more, where there may be one.
    pub(super) fn take(&mut self, per_minute: u32) -> Result<(), OpenError> {
        let now = Instant::now();
        while self.0.front().is_some_and(|at| now.duration_since(*at) >= MINUTE) {
            self.0.pop_front();
        }
        if self.0.len() >= usize::try_from(per_minute).unwrap_or(usize::MAX) {
            return Err(OpenError::TooFast);
        }
        self.0.push_back(now);
        Ok(())
    }
}

/// A session that is open, and its streams.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) session: Arc<Session>,
    pub(super) streams: Arc<Streams>,
}

#[derive(Debug)]
struct Held {
    session: Arc<Session>,
    streams: Arc<Streams>,
    used: Instant,
    /// The child's keeper, and how to tell it to end it.
    child: Option<(watch::Sender<End>, JoinHandle<()>)>,
}

impl Held {
    fn opened(&self) -> Opened {
        Opened {
            session: Arc::clone(&self.session),
            streams: Arc::clone(&self.streams),
        }
    }

    /// Whether its server has ended, and all that waited for it has been told.
    fn has_ended(&self) -> bool {
        match &self.child {
            Some((_, keeper)) => keeper.is_finished(),
            None => self.session.is_closed(),
        }
    }
}

impl Sessions {
    pub(super) fn new(gate: Arc<Gate>, upstream: Upstream, children: Children) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            gate,
            upstream,
            children,
            state: Mutex::new(State::default()),
            this: Weak::clone(this),
        })
    }

    pub(super) const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// A server behind a URL may know no sessions, and its clients none either.
    pub(super) const fn allows_no_session(&self) -> bool {
        matches!(self.upstream, Upstream::Url(_))
    }

    /// Opens a session under an id that cannot be guessed.
    pub(super) fn open(&self) -> Result<Opened, OpenError> {
        let mut state = self.lock();
        state.take_place(&self.gate.settings)?;
        let Some((text, id)) = session_id() else {
            return Err(OpenError::TooMany);
        };
        let held = self.connect(Some(id), Ids::Keep)?;
        let opened = held.opened();
        state.open.insert(text, held);
        Ok(opened)
    }

    /// Opens a session as a part of one with all servers of the caller, under the id of that. Clients do not find
    /// it by the id.
    pub(super) fn join(&self, id: &SessionId) -> Result<Arc<Session>, OpenError> {
        let mut state = self.lock();
        state.take_place(&self.gate.settings)?;
        let held = self.connect(Some(id.clone()), Ids::Keep)?;
        let session = Arc::clone(&held.session);
        if let Some(earlier) = state.joined.insert(id.clone(), held) {
            tokio::spawn(end(earlier));
        }
        Ok(session)
    }

    /// Ends such a part.
    pub(super) async fn leave(&self, id: &SessionId) {
        let held = self.lock().joined.remove(id);
        if let Some(held) = held {
            end(held).await;
        }
    }

    /// The session of all requests that name none. Its child is started again where it has ended.
    pub(super) fn stateless(&self) -> Result<Opened, OpenError> {
        let mut state = self.lock();
        if state.has_ended {
            return Err(OpenError::Ended);
        }
        if let Some(held) = state.stateless.as_ref().filter(|held| !held.has_ended()) {
            return Ok(held.opened());
        }
        let held = self.connect(None, Ids::Mint)?;
        let opened = held.opened();
        state.stateless = Some(held);
        for further in state.further.drain(..) {
            tokio::spawn(end(further));
        }
        Ok(opened)
    }

    /// A session that is open. One whose server has ended is not: its client has to begin anew.
    pub(super) fn find(&self, id: &str) -> Option<Opened> {
        let mut state = self.lock();
        if state.open.get(id).is_some_and(Held::has_ended) {
            state.open.remove(id);
        }
        let held = state.open.get_mut(id)?;
        held.used = Instant::now();
        Some(held.opened())
    }

    /// Closes a session; false where there is none of this id.
    pub(super) async fn close(&self, id: &str) -> bool {
        let held = self.lock().open.remove(id);
        match held {
            Some(held) => {
                end(held).await;
                true
            }
            None => false,
        }
    }

    /// How many sessions are open, and how many requests wait for an answer.
    pub(super) fn count(&self) -> (usize, usize) {
        let state = self.lock();
        let open = state.open.values().chain(state.joined.values());
        let open = open.filter(|held| !held.has_ended());
        (
            open.count(),
            state.held().map(|held| held.session.in_flight()).sum(),
        )
    }

    /// The sessions that are open, for whoever runs the gateway.
    pub(super) fn seen(&self) -> Vec<SessionSeen> {
        let now = Instant::now();
        let state = self.lock();
        let joined = state.joined.iter().map(|(id, held)| (id.as_str(), held));
        let open = state.open.iter().map(|(id, held)| (id.as_str(), held));
        let open = open.chain(joined).filter(|(_, held)| !held.has_ended());
        let seen = |(id, held): (&str, &Held)| SessionSeen {
            id: id.to_owned(),
            server: self.gate.server.to_string(),
            grant: self.gate.caller.grant.to_string(),
            label: self.gate.caller.label.to_string(),
            version: held.session.version().map(Version::as_str),
            pending: held.session.in_flight(),
            idle: now.duration_since(held.used),
        };
        open.map(seen).collect()
    }

    /// Waits until no request is in flight.
    pub(super) async fn drained(&self) {
        loop {
            let sessions: Vec<Arc<Session>> = {
                let state = self.lock();
                state.held().map(|held| Arc::clone(&held.session)).collect()
            };
            if sessions.iter().all(|session| session.in_flight() == 0) {
                return;
            }
            futures_util::future::join_all(sessions.iter().map(|session| session.drained())).await;
        }
    }

    /// Opens no session any more.
    pub(super) fn shut(&self) {
        self.lock().has_ended = true;
    }

    /// Ends every session, and opens no other.
    pub(super) async fn close_all(&self) {
        let held: Vec<Held> = {
            let mut state = self.lock();
            let ended = State {
                has_ended: true,
                ..State::default()
            };
            let state = std::mem::replace(&mut *state, ended);
            let (open, joined) = (state.open.into_values(), state.joined.into_values());
            open.chain(joined)
                .chain(state.stateless)
                .chain(state.further)
                .collect()
        };
        futures_util::future::join_all(held.into_iter().map(end)).await;
    }

    /// Closes the sessions that nobody has used for long.
    pub(super) fn close_idle(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        let is_idle = |held: &Held| {
            now.duration_since(held.used) >= IDLE_MAX
                && held.session.in_flight() == 0
                && !held.session.has_listener()
        };
        let idle: Vec<String> = state
            .open
            .iter()
            .filter(|(_, held)| is_idle(held))
            .map(|(id, _)| id.clone())
            .collect();
        for id in idle {
            if let Some(held) = state.open.remove(&id) {
                tokio::spawn(end(held));
            }
        }
        let is_over = |held: &mut Held| held.session.is_closed();
        for over in state.further.extract_if(.., is_over) {
            tokio::spawn(end(over));
        }
        for held in state.open.values() {
            held.streams.sweep();
        }
    }

    fn connect(&self, id: Option<SessionId>, ids: Ids) -> Result<Held, OpenError> {
        match &self.upstream {
            Upstream::Url(endpoint) | Upstream::Legacy(endpoint) => {
                let endpoint = Endpoint::clone(endpoint);
                let link = match &self.upstream {
                    Upstream::Legacy(_) => Link::Legacy(Box::new(LegacyLink::new(endpoint))),
                    Upstream::Url(_) | Upstream::Command(_) | Upstream::Shared(_) => {
                        Link::Http(Box::new(HttpLink::new(endpoint)))
                    }
                };
                // Requests over HTTP do not share a stream, so ids of different clients cannot meet there; in
                // the table of the session they can.
                Ok(Held {
                    session: Session::new(Arc::clone(&self.gate), id, ids, link),
                    streams: Arc::default(),
                    used: Instant::now(),
                    child: None,
                })
            }
            Upstream::Shared(hub) => {
                let link = hub.join(&self.gate, || self.children.place())?;
                let session = Session::new(Arc::clone(&self.gate), id, ids, Link::Shared(Box::new(link)));
                if let Link::Shared(link) = session.link() {
                    link.attach(&session);
                }
                Ok(Held {
                    session,
                    streams: Arc::default(),
                    used: Instant::now(),
                    child: None,
                })
            }
            Upstream::Command(command) => self.start(command, |link| {
                let session = Session::new(Arc::clone(&self.gate), id, ids, link);
                session.spawn_by(Weak::clone(&self.this) as Weak<dyn Spawner>);
                session
            }),
        }
    }

    /// Starts a child, for a session over its link.
    fn start(
        &self,
        command: &ServerCommand,
        session: impl FnOnce(Link) -> Arc<Session>,
    ) -> Result<Held, OpenError> {
        let used = Instant::now();
        let place = self.children.place().ok_or(OpenError::TooManyChildren)?;
        let health = Arc::clone(self.gate.health());
        health.attempt(|| used).map_err(OpenError::Failing)?;
        let (link, process) = child::spawn(command).inspect_err(|cause| {
            tracing::error!(server = %self.gate.server, %cause, "a server could not be started");
            health.failed(used);
        })?;
        if let Some(meter) = self.gate.meter() {
            meter.child_started();
        }
        let session = session(Link::Child(link));
        let (sender, receiver) = watch::channel(End::NotYet);
        let served = Arc::clone(&session);
        let keeper = tokio::spawn(async move {
            let wanted = receiver.clone();
            let ended = process.serve(Arc::clone(&served), receiver).await;
            if let Err(cause) = ended {
                tracing::warn!(%cause, "a server could not be waited for");
            }
            // One that was told to end did not fail.
            if !served.was_answered() && *wanted.borrow() == End::NotYet {
                health.failed(Instant::now());
            }
            drop(place);
        });
        Ok(Held {
            session,
            streams: Arc::default(),
            used,
            child: Some((sender, keeper)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spawner for Sessions {
    fn spawn(&self, crossing: Crossing) -> Result<Arc<Session>, String> {
        let Upstream::Command(command) = &self.upstream else {
            return Err("the server is no process".to_owned());
        };
        let mut state = self.lock();
        if state.has_ended {
            return Err(OpenError::Ended.to_string());
        }
        let gate = Arc::clone(&self.gate);
        let held = self
            .start(command, |link| Session::leg(gate, link, crossing))
            .map_err(|cause| cause.to_string())?;
        let session = Arc::clone(&held.session);
        state.further.push(held);
        Ok(session)
    }
}

/// A session that its client has not been told of. If its request is given up, nobody could end it any more.
#[derive(Debug)]
pub(super) struct Untold {
    sessions: Arc<Sessions>,
    id: Option<SessionId>,
}

impl Untold {
    pub(super) const fn new(sessions: Arc<Sessions>, id: Option<SessionId>) -> Self {
        Self { sessions, id }
    }

    /// The id, for the client: the session goes on.
    pub(super) const fn tell(&mut self) -> Option<SessionId> {
        self.id.take()
    }
}

impl Drop for Untold {
    fn drop(&mut self) {
        if let Some(id) = self.id.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let sessions = Arc::clone(&self.sessions);
            runtime.spawn(async move { sessions.close(id.as_str()).await });
        }
    }
}

async fn end(held: Held) {
    held.session.client_gone();
    held.session.hang_up().await;
    if let Some((sender, keeper)) = held.child {
        sender.send_replace(End::Wanted);
        let _ = keeper.await;
    }
}

/// 128 bits of randomness in hex; `None` where the system has none to give.
pub(super) fn session_id() -> Option<(String, SessionId)> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).ok()?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let id = SessionId::new(&text).ok()?;
    Some((text, id))
}
