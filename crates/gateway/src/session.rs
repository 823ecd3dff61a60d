//! One client and one server, and every request between them.
//!
//! A message from the client enters by [`Session::accept`], one from the server by [`Session::on_server`].
//! Each request in flight stands in one table; whoever takes it out of there owes its answer and its
//! outcome, so that both are given exactly once.

mod answers;
mod ending;
mod exchange;
mod inbound;
mod listing;
mod outbound;
mod passing;
mod pending;
mod relay;
mod release;
mod sharing;
mod sweep;
mod traced;

pub(crate) use exchange::cancellation;
pub(crate) use inbound::Lineage;
pub use inbound::{Due, Entry, Intake, Work};
pub(crate) use inbound::{HELLO_TOO_LARGE, hello, hello_too_large, refusal};
pub use outbound::Origin;
pub(crate) use outbound::{Seen, line};
pub(crate) use pending::{Departure, OwnAnswer};
pub(crate) use relay::Relayed;
pub use release::Ready;
pub(crate) use release::{protocol_meta, task_error};

use crate::bridge::{Crossing, Spawner};
use crate::gate::Gate;
use crate::link::Link;
use crate::sink::Sink;
use bytes::Bytes;
use callgate_core::name::SessionId;
use callgate_ledger::CallId;
use callgate_wire::IdKey;
use callgate_wire::mcp::{Era, Version};
use listing::Catalogue;
use pending::{Pending, Target};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Whether requests go on under the client's own ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// One client has the server to itself, and its ids are kept.
    Keep,
    /// Several clients share the server, so each request gets an id of Callgate's.
    Mint,
}

/// One client's session with one server.
#[derive(Debug)]
pub struct Session {
    gate: Arc<Gate>,
    id: Option<SessionId>,
    ids: Ids,
    link: Link,
    /// How what it says reaches the server, and comes back.
    crossing: Crossing,
    /// What starts another process of the server's, where that can be had.
    spawner: OnceLock<Weak<dyn Spawner>>,
    catalogue: Catalogue,
    next_id: AtomicU64,
    nonce: String,
    state: Mutex<State>,
    /// Signalled whenever a request leaves the table.
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    pending: HashMap<IdKey, Pending>,
    /// The server's own requests that the client has not answered.
    asked: HashSet<IdKey>,
    /// Requests that left and ended without an answer. Their ids stay taken, so that an answer that comes late
    /// is not given to another request.
    given_up: HashMap<IdKey, GivenUp>,
    /// Where the server's own messages go that belong to no request.
    standing: Option<Sink>,
    client: Option<Version>,
    /// The client's `initialize`, as it came.
    initialize: Option<Bytes>,
    server: ServerEra,
    is_closed: bool,
    /// Whether the server has ever said anything that could be read.
    was_answered: bool,
    watch: Watch,
}

/// Whether deadlines are being looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Watch {
    #[default]
    Off,
    On,
}

impl State {
    /// Whether so many requests of the client are in flight. Those of Callgate's own take no place of theirs.
    fn has_pending(&self, count: usize) -> bool {
        let is_client =
            |pending: &&Pending| matches!(pending.target, Target::Client { .. } | Target::Passing);
        self.pending.len() >= count && self.pending.values().filter(is_client).count() >= count
    }
}

/// A request that left and ended without an answer.
#[derive(Debug)]
struct GivenUp {
    ticket: Option<CallId>,
    since: Instant,
}

/// What is known of the server's era.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum ServerEra {
    #[default]
    Unknown,
    Legacy,
    Modern,
}

/// What a client is told that mixes the eras in one session with a server from before 2026-07-28.
const LEGACY_ONLY: &str =
    "this session began with `initialize`, so requests of 2026-07-28 do not reach its server";
/// What a client of 2026-07-28 is told where the server refuses to list its tools.
const PERHAPS_LEGACY: &str = "the server refused to list its tools for a request of 2026-07-28, so no call can be judged; if it speaks MCP up to 2025-11-25 only, begin with `initialize`";

/// Calls without an answer that are remembered, so that a late answer can be told.
const GIVEN_UP_MAX: usize = 1_024;

impl Session {
    /// A session over a link.
    #[must_use]
    pub fn new(gate: Arc<Gate>, id: Option<SessionId>, ids: Ids, link: Link) -> Arc<Self> {
        Arc::new(Self {
            gate,
            id,
            ids,
            link,
            crossing: Crossing::default(),
            spawner: OnceLock::new(),
            catalogue: Catalogue::default(),
            next_id: AtomicU64::new(0),
            nonce: nonce(),
            state: Mutex::new(State::default()),
            settled: Notify::new(),
        })
    }

    /// The session's id, where the protocol has one.
    #[must_use]
    pub const fn id(&self) -> Option<&SessionId> {
        self.id.as_ref()
    }

    /// The gate that it belongs to.
    #[must_use]
    pub const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// The link to its server.
    #[must_use]
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// Where messages of the server's go that belong to no request; the earlier place is given up. A session
    /// that has ended takes none.
    pub fn attach(&self, sink: Sink) {
        let mut state = self.lock();
        if !state.is_closed {
            state.standing = Some(sink);
        }
    }

    /// Whether somebody listens for messages that belong to no request.
    #[must_use]
    pub fn has_listener(&self) -> bool {
        self.lock()
            .standing
            .as_ref()
            .is_some_and(|sink| !sink.is_closed())
    }

    /// Whether one of its sides has gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Where messages of the server's go that belong to no request.
    #[must_use]
    pub fn standing(&self) -> Option<Sink> {
        self.lock().standing.clone()
    }

    /// Gives up the place of the server's own messages.
    pub fn detach(&self) {
        self.lock().standing = None;
    }

    /// Whether the server has ever said anything that could be read.
    #[must_use]
    pub fn was_answered(&self) -> bool {
        self.lock().was_answered
    }

    /// How many requests wait for an answer; what stands in for another is not counted.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        let is_asked = |pending: &&Pending| !matches!(pending.target, Target::Relay(_));
        self.lock().pending.values().filter(is_asked).count()
    }

    /// The protocol version that client and server agreed on, before 2026-07-28.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.lock().client
    }

    /// Waits until no request is in flight.
    pub async fn drained(&self) {
        loop {
            let settled = self.settled.notified();
            if self.in_flight() == 0 {
                return;
            }
            settled.await;
        }
    }

    /// Has further processes of the server started by `spawner`.
    pub(crate) fn spawn_by(&self, spawner: Weak<dyn Spawner>) {
        let _ = self.spawner.set(spawner);
    }

    /// What starts another process of the server's.
    pub(crate) fn spawner(&self) -> Option<Arc<dyn Spawner>> {
        self.spawner.get().and_then(Weak::upgrade)
    }

    pub(crate) const fn crossing(&self) -> &Crossing {
        &self.crossing
    }

    /// The server's end of a bridge, where it has a session of its own.
    pub(crate) fn leg(gate: Arc<Gate>, link: Link, crossing: Crossing) -> Arc<Self> {
        Arc::new(Self {
            gate,
            id: None,
            ids: Ids::Keep,
            link,
            crossing,
            spawner: OnceLock::new(),
            catalogue: Catalogue::default(),
            next_id: AtomicU64::new(0),
            nonce: nonce(),
            state: Mutex::new(State::default()),
            settled: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An id that no client can guess, for a request of Callgate's own or in place of a client's.
    pub(crate) fn mint(&self) -> String {
        let count = self.next_id.fetch_add(1, Ordering::Relaxed);
        format!("callgate-{}-{count}", self.nonce)
    }

    /// As [`Session::take`], but only where it still is this very request.
    fn take_own(&self, key: &IdKey, departure: &Departure) -> Option<Pending> {
        let is_own = self
            .lock()
            .pending
            .get(key)
            .is_some_and(|pending| pending.departure.is(departure));
        if is_own { self.take(key) } else { None }
    }

    /// Takes a request out of the table; whoever gets it owes its answer and its outcome.
    fn take(&self, key: &IdKey) -> Option<Pending> {
        let taken = self.lock().pending.remove(key);
        if let Some(pending) = &taken {
            pending.departure.end();
            self.confirm(pending);
            self.settled.notify_waiters();
        }
        taken
    }
}

/// The era of a message that names this version, or none.
fn era_of(version: Option<&str>) -> Era {
    version
        .and_then(|version| version.parse::<Version>().ok())
        .map_or(Era::Legacy, Version::era)
}

pub(crate) fn nonce() -> String {
    let mut bytes = [0_u8; 8];
    // Without randomness the ids are guessable by the client alone, whose own requests they would collide with.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
