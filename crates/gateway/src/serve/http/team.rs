//! The callers of a team's gateway: which grant may use which server, under which policy.
//!
//! The store holds the grants, and other processes change them. What is in force here is a copy under the
//! store's generation; a call whose copy is older than the store's is not admitted, so that a revocation holds
//! from the next call on.

mod all;
mod census;
mod change;
mod guests;
mod inspect;

pub use change::Change;
pub use inspect::{Failed, ServerKind, ServerSeen, SessionSeen, Unready};

use super::aggregate::{Aggregates, Mounts};
use super::listen::Whence;
use super::sessions::{Children, Sessions, Upstream};
use crate::gate::{Gate, Grants, PolicySlot};
use crate::health::Breaker;
use crate::oauth::{Holder, OAuth, Rejected};
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::tasks::Tasks;
use arc_swap::ArcSwap;
use callgate_core::call::Caller;
use callgate_core::json::Json;
use callgate_core::limit::StoreTime;
use callgate_core::name::{GrantId, ServerName};
use callgate_store::{Identity, StoreError, TokenHash};
use futures_util::future::BoxFuture;
use guests::{Guests, Identities};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// How often the store is asked whether its grants have changed.
const WATCH_PERIOD: Duration = Duration::from_millis(250);
/// Requests without a valid token that one address may send within a minute before it is told to slow down.
const FAILURES_MAX: u32 = 30;
const FAILURES_PERIOD: Duration = Duration::from_secs(60);
/// Addresses whose failures are counted at once.
const ADDRESSES_MAX: usize = 4_096;

/// The grants of a moment.
#[derive(Debug)]
pub struct Roll {
    /// Which state of the store this is: 0 until the first grant is made.
    pub generation: u64,
    /// Everyone who may call.
    pub grants: Vec<Granted>,
    /// Tokens of grants that were revoked, so that a record can say whose token was refused.
    pub revoked: HashMap<TokenHash, GrantId>,
}

/// One caller's right.
#[derive(Debug)]
pub struct Granted {
    /// The grant.
    pub id: GrantId,
    /// What people know it by.
    pub label: Arc<str>,
    /// What its token is known by.
    pub token: TokenHash,
    /// When it ends, by the store's time.
    pub expires: Option<StoreTime>,
    /// The servers that it may use, each under a policy.
    pub servers: Access,
    /// Whose OAuth tokens let in as it too.
    pub identities: Vec<Identity>,
}

/// Servers and what their calls are judged by.
pub type Access = BTreeMap<ServerName, Arc<PolicySlot>>;

/// Where grants come from. Both calls may block for as long as a read of a local database takes.
pub trait Source: std::fmt::Debug + Send + Sync {
    /// Which state the store is in.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be read.
    fn generation(&self) -> Result<u64, StoreError>;

    /// The grants of that state.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read.
    fn roll(&self) -> Result<Roll, StoreError>;
}

/// All callers and servers of one gateway.
#[derive(Debug)]
pub struct Team {
    servers: ArcSwap<Servers>,
    children: Children,
    settings: Settings,
    recorder: Recorder,
    source: ArcSwap<Box<dyn Source>>,
    /// Callers on this machine, until the first grant is made.
    local: Arc<Member>,
    local_access: ArcSwap<Access>,
    tokens: ArcSwap<Tokens>,
    members: Mutex<HashMap<GrantId, Arc<Member>>>,
    /// The state that is in force: set once every gate has been told of it.
    generation: AtomicU64,
    /// Whether the grants could be read when they were looked at last.
    is_readable: AtomicBool,
    failures: Mutex<HashMap<Whence, Failures>>,
    /// Held while the store's grants are read: those who want the same wait for it, and find it done.
    reading: tokio::sync::Mutex<()>,
    /// Whose access tokens are accepted, where any are.
    oauth: Option<Arc<OAuth>>,
    this: Weak<Self>,
}

/// The servers behind the gateway at one moment.
type Servers = BTreeMap<ServerName, Arc<Behind>>;

/// A server, and what is known of it for all callers.
#[derive(Debug)]
struct Behind {
    upstream: Upstream,
    health: Arc<Breaker>,
    tasks: Arc<Tasks>,
}

/// What tokens are known.
#[derive(Debug, Default)]
struct Tokens {
    members: HashMap<TokenHash, Arc<Member>>,
    revoked: HashMap<TokenHash, GrantId>,
    identities: Identities,
}

/// One caller, for as long as its token lets it in.
#[derive(Debug)]
pub(super) struct Member {
    caller: Caller,
    /// None for callers on this machine, and for those with an OAuth token.
    token: Option<TokenHash>,
    /// Whose OAuth token it came with.
    holder: Option<Arc<Holder>>,
    /// The tasks of that subject alone, in place of those of its grant.
    tasks: Option<Arc<guests::OwnTasks>>,
    state: Mutex<MemberState>,
}

#[derive(Debug, Default)]
struct MemberState {
    access: Access,
    expires: Option<StoreTime>,
    servers: Arc<Servers>,
    mounts: BTreeMap<ServerName, Mount>,
    /// Sessions with servers that are others now, until what they have begun is over.
    leaving: Vec<Weak<Sessions>>,
    /// How often the servers have changed.
    changes: u64,
    /// All servers as one, and as of which change.
    all: Option<(u64, Arc<Aggregates>)>,
    /// Those who are let in as it by an OAuth token.
    guests: Guests,
    /// Whether it is a guest that was let in and is no more.
    has_left: bool,
}

/// A caller's sessions with a server.
#[derive(Debug)]
struct Mount {
    behind: Arc<Behind>,
    sessions: Arc<Sessions>,
}

#[derive(Debug)]
struct Failures {
    since: Instant,
    count: u32,
}

impl Team {
    /// A team with what the store says now.
    ///
    /// # Errors
    /// [`StoreError`] where the grants cannot be read.
    pub fn new(
        servers: BTreeMap<ServerName, Upstream>,
        local: (Caller, Access),
        source: Box<dyn Source>,
        recorder: Recorder,
        settings: Settings,
        oauth: Option<Arc<OAuth>>,
    ) -> Result<Arc<Self>, StoreError> {
        let roll = source.roll()?;
        let servers: Servers = servers
            .into_iter()
            .map(|(name, upstream)| (name, Arc::new(Behind::new(upstream))))
            .collect();
        let team = Arc::new_cyclic(|this| Self {
            servers: ArcSwap::from_pointee(servers),
            children: Children::new(),
            settings,
            recorder,
            source: ArcSwap::from_pointee(source),
            local: Arc::new(Member::new(local.0, None)),
            local_access: ArcSwap::from_pointee(local.1),
            oauth,
            tokens: ArcSwap::default(),
            members: Mutex::default(),
            generation: AtomicU64::new(0),
            is_readable: AtomicBool::new(true),
            failures: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            this: Weak::clone(this),
        });
        team.put_in_force(roll);
        Ok(team)
    }

    /// Whether a grant was ever made. Until then, callers on this machine are let in without one; a grant that is
    /// revoked does not open the gateway again.
    #[must_use]
    pub fn has_grants(&self) -> bool {
        self.generation.load(Ordering::Acquire) > 0
    }

    /// Follows the store for as long as the team is there: what was revoked or has expired ends within a second.
    pub fn watch(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(WATCH_PERIOD).await;
                let Some(team) = weak.upgrade() else { return };
                let seen = team.source.load().generation();
                team.is_readable.store(seen.is_ok(), Ordering::Release);
                let is_old = seen.is_ok_and(|generation| generation != team.generation());
                if is_old {
                    team.refresh().await;
                }
                team.end_expired();
            }
        });
    }

    /// The sessions of a caller with a server by name.
    pub(super) fn enter(&self, member: &Member, server: &str, peer: Whence) -> Result<Arc<Sessions>, Denied> {
        let mut state = self.let_in(member, peer)?;
        // What there is not, and what this grant may not use, must not be told apart.
        let no_server = || {
            let grant = Some(&member.caller.grant);
            let holder = member.holder.as_deref();
            self.recorder
                .auth_failure_of(holder, None, grant, peer, "no_server");
            Denied::NoServer
        };
        let name = ServerName::new(server).map_err(|_| no_server())?;
        self.mount(member, &mut state, &name).ok_or_else(no_server)
    }

    /// What a member has here, unless its time is over.
    fn let_in<'m>(&self, member: &'m Member, peer: Whence) -> Result<MutexGuard<'m, MemberState>, Denied> {
        let state = member.state();
        let is_over = state
            .expires
            .is_some_and(|expires| expires <= self.recorder.store().now());
        if is_over {
            drop(state);
            return Err(self.failed_of(member.holder.as_deref(), peer, Some(&member.caller.grant)));
        }
        Ok(state)
    }

    /// A member's sessions with a server; `None` where it may not use it.
    fn mount(&self, member: &Member, state: &mut MemberState, name: &ServerName) -> Option<Arc<Sessions>> {
        if let Some(mount) = state.mounts.get(name) {
            return Some(Arc::clone(&mount.sessions));
        }
        let policy = state.access.get(name)?;
        let behind = state.servers.get(name).map(Arc::clone)?;
        let mut gate = Gate::new(
            name.clone(),
            member.caller.clone(),
            Arc::clone(policy),
            self.recorder.clone(),
            self.settings.clone(),
        )
        .under(Weak::clone(&self.this) as Weak<dyn Grants>);
        // A child that is not shared is the caller's own, and so are its tasks, and what its failures cost.
        if !matches!(behind.upstream, Upstream::Command(_)) {
            let tasks = match &member.tasks {
                Some(own) => own.at(name),
                None => Arc::clone(&behind.tasks),
            };
            gate = gate.sharing(Arc::clone(&behind.health), tasks);
        }
        let sessions = Sessions::new(Arc::new(gate), behind.upstream.clone(), self.children.clone());
        let mount = Mount {
            behind,
            sessions: Arc::clone(&sessions),
        };
        state.mounts.insert(name.clone(), mount);
        Some(sessions)
    }

    /// The caller that a token names.
    pub(super) fn by_token(&self, token: Option<&str>, peer: Whence) -> Result<Arc<Member>, Denied> {
        let tokens = self.tokens.load();
        match token {
            Some(token) => {
                let hash = self.recorder.store().token_hash(token);
                let member = tokens.members.get(&hash).map(Arc::clone);
                member.ok_or_else(|| self.failed(peer, tokens.revoked.get(&hash)))
            }
            None if !self.has_grants() && peer.is_loopback() => Ok(Arc::clone(&self.local)),
            None => Err(self.failed(peer, None)),
        }
    }

    /// Counts and records a request that was not let in, with the grant whose token it had.
    fn failed(&self, peer: Whence, grant: Option<&GrantId>) -> Denied {
        self.failed_of(None, peer, grant)
    }

    /// The same, of a request whose OAuth token was good.
    fn failed_of(&self, holder: Option<&Holder>, peer: Whence, grant: Option<&GrantId>) -> Denied {
        let slow = self.count_failure(peer);
        let reason = match (slow, grant) {
            (_, Some(_)) => "grant_ended",
            (true, None) => "too_many_failures",
            (false, None) => "token",
        };
        self.recorder.auth_failure_of(holder, None, grant, peer, reason);
        if slow { Denied::Slow } else { Denied::Token }
    }

    /// Counts a failure; true where the address has had too many.
    fn count_failure(&self, peer: Whence) -> bool {
        let now = Instant::now();
        let is_over = |failures: &Failures| now.duration_since(failures.since) >= FAILURES_PERIOD;
        let mut all = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ADDRESSES_MAX {
            all.retain(|_, failures| !is_over(failures));
        }
        if all.len() >= ADDRESSES_MAX && !all.contains_key(&peer) {
            return true;
        }
        let failures = all.entry(peer).or_insert(Failures { since: now, count: 0 });
        if is_over(failures) {
            *failures = Failures { since: now, count: 0 };
        }
        failures.count = failures.count.saturating_add(1);
        failures.count > FAILURES_MAX
    }

    /// Records a request that was not let in.
    pub(super) fn record_failure(&self, peer: Whence, reason: &'static str) {
        self.recorder.auth_failure(None, None, peer, reason);
    }

    fn put_in_force(&self, roll: Roll) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if roll.generation < self.generation.load(Ordering::Acquire) {
            return;
        }
        let servers = self.servers.load_full();
        let mut before = std::mem::take(&mut *members);
        let mut tokens = Tokens {
            members: HashMap::with_capacity(roll.grants.len()),
            revoked: roll.revoked,
            identities: Identities::default(),
        };
        for granted in roll.grants {
            // What came in by another token than the one in force ends, as that of a grant that is gone.
            let known = before
                .get(&granted.id)
                .is_some_and(|member| member.token == Some(granted.token));
            let member = known
                .then(|| before.remove(&granted.id))
                .flatten()
                .unwrap_or_else(|| {
                    let caller = caller(granted.id.clone(), granted.label);
                    Arc::new(Member::new(caller, Some(granted.token)))
                });
            member.put(&granted.servers, granted.expires, &servers);
            tokens.identities.add(granted.identities, &member);
            tokens.members.insert(granted.token, Arc::clone(&member));
            members.insert(granted.id, member);
        }
        for (id, gone) in before {
            gone.put(&Access::new(), None, &servers);
            if !members.contains_key(&id) {
                for behind in servers.values() {
                    behind.tasks.forget(&id);
                }
            }
        }
        // Once a grant was made, nobody is let in without one.
        let local = match roll.generation {
            0 => Access::clone(&self.local_access.load()),
            _ => Access::new(),
        };
        self.local.put(&local, None, &servers);
        let tokens = Arc::new(tokens);
        self.tokens.store(Arc::clone(&tokens));
        // After what is looked up has changed, and before the state counts as in force: who was found by what was
        // there before is ended here, and whoever comes later finds what is there now.
        for member in members.values() {
            member.end_strangers(&tokens.identities);
        }
        self.generation.store(roll.generation, Ordering::Release);
    }

    fn end_expired(&self) {
        let now = self.recorder.store().now();
        let members: Vec<Arc<Member>> = {
            let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
            members.values().map(Arc::clone).collect()
        };
        for member in members {
            if member.state().expires.is_some_and(|expires| expires <= now) {
                member.end();
            }
        }
    }

    /// Closes the sessions that nobody has used for long.
    pub(super) fn close_idle(&self) {
        for all in self.all() {
            all.close_idle();
        }
        for mount in self.mounts() {
            mount.close_idle();
        }
    }

    pub(super) const fn client_time(&self) -> Duration {
        self.settings.client_time
    }

    pub(super) const fn children(&self) -> &Children {
        &self.children
    }

    fn mounts(&self) -> Vec<Arc<Sessions>> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members
            .values()
            .chain(std::iter::once(&self.local))
            .flat_map(Member::family)
            .flat_map(|member| member.state().sessions())
            .collect()
    }

    /// Waits until no request is in flight.
    pub(super) async fn drained(&self) {
        let mounts = self.mounts();
        futures_util::future::join_all(mounts.iter().map(|mount| mount.drained())).await;
    }

    /// Ends every session.
    pub(super) async fn close_all(&self) {
        let all = self.all();
        futures_util::future::join_all(all.iter().map(|all| all.close_all())).await;
        let mounts = self.mounts();
        futures_util::future::join_all(mounts.iter().map(|mount| mount.close_all())).await;
        let servers = self.servers.load_full();
        let hubs = servers.values().filter_map(|behind| match &behind.upstream {
            Upstream::Shared(hub) => Some(hub),
            Upstream::Command(_) | Upstream::Url(_) | Upstream::Legacy(_) => None,
        });
        futures_util::future::join_all(hubs.map(|hub| hub.close())).await;
    }
}

impl Grants for Team {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn refresh(&self) -> BoxFuture<'_, ()> {
        let team = self.this.upgrade();
        Box::pin(async move {
            let Some(team) = team else { return };
            let _turn = self.reading.lock().await;
            let read = tokio::task::spawn_blocking(move || {
                let source = team.source.load();
                let newest = source.generation();
                if newest.is_ok_and(|newest| newest == team.generation()) {
                    return;
                }
                match source.roll() {
                    Ok(roll) => team.put_in_force(roll),
                    // What was in force stays; the store admits no call by it.
                    Err(cause) => tracing::error!(%cause, "the grants cannot be read"),
                }
            });
            let _ = read.await;
        })
    }
}

impl Member {
    fn new(caller: Caller, token: Option<TokenHash>) -> Self {
        Self {
            caller,
            token,
            holder: None,
            tasks: None,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, MemberState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Itself and its guests.
    fn family(self: &Arc<Self>) -> Vec<Arc<Self>> {
        let guests = self.state().guests.all();
        std::iter::once(Arc::clone(self)).chain(guests).collect()
    }
}

fn caller(grant: GrantId, label: Arc<str>) -> Caller {
    Caller {
        grant,
        label,
        issuer: None,
        subject: None,
        claims: Json::Null,
    }
}

/// Why a request does not come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denied {
    /// It has no token that is valid.
    Token,
    /// Its address has sent many such.
    Slow,
    /// There is no such server, or this caller may not use it.
    NoServer,
    /// Its OAuth token is not accepted.
    Jwt(Rejected),
    /// Its OAuth token is good, and no grant lets its holder in.
    NoGrant,
    /// Several grants would.
    SeveralGrants,
    /// A token stands in its URL.
    TokenInUrl,
}
