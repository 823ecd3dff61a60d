//! What all sessions of one caller with one server share: the policy in force, the store, the bounds.

use crate::health::Breaker;
use crate::metrics::ServerMeter;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::tasks::Tasks;
use arc_swap::ArcSwap;
use callgate_core::call::{Caller, ListedTool, Scene, WallTime};
use callgate_core::name::{ServerName, SessionId};
use callgate_core::program::Program;
use futures_util::future::BoxFuture;
use std::sync::{Arc, Weak};
use std::time::SystemTime;
use tokio::sync::watch;

/// A policy in force, shared by all gates that judge by it: putting another in its place holds for each of them
/// from the next call on.
#[derive(Debug)]
pub struct PolicySlot(ArcSwap<Program>);

impl PolicySlot {
    /// A slot with its first policy.
    #[must_use]
    pub fn new(program: Arc<Program>) -> Arc<Self> {
        Arc::new(Self(ArcSwap::new(program)))
    }

    /// The policy in force.
    #[must_use]
    pub fn program(&self) -> Arc<Program> {
        self.0.load_full()
    }

    /// Puts another policy in force, from the next call on.
    pub fn replace(&self, program: Arc<Program>) {
        self.0.store(program);
    }
}

/// One server behind one policy, for one caller.
#[derive(Debug)]
pub struct Gate {
    /// The server's configured name.
    pub server: ServerName,
    /// Who calls.
    pub caller: Caller,
    /// Bounds and deadlines.
    pub settings: Settings,
    policy: ArcSwap<PolicySlot>,
    standing: Standing,
    health: Arc<Breaker>,
    /// Whose the server's tasks are, where it has other callers too.
    tasks: Option<Arc<Tasks>>,
    recorder: Recorder,
    /// Where somebody watches.
    meter: Option<Arc<ServerMeter>>,
    lists: watch::Sender<Vec<Arc<ListedTool>>>,
}

impl Gate {
    /// A gate with its first policy.
    #[must_use]
    pub fn new(
        server: ServerName,
        caller: Caller,
        policy: Arc<PolicySlot>,
        recorder: Recorder,
        settings: Settings,
    ) -> Self {
        let meter = recorder.metrics().and_then(|metrics| metrics.server(&server));
        Self {
            server,
            caller,
            settings,
            policy: ArcSwap::new(policy),
            standing: Standing::Fixed,
            health: Arc::default(),
            tasks: None,
            recorder,
            meter,
            lists: watch::Sender::new(Vec::new()),
        }
    }

    /// The same gate for a caller whose grant may change.
    #[must_use]
    pub fn under(self, grants: Weak<dyn Grants>) -> Self {
        Self {
            standing: Standing::Granted(grants),
            ..self
        }
    }

    /// The same gate before a server that others use too.
    #[must_use]
    pub fn sharing(self, health: Arc<Breaker>, tasks: Arc<Tasks>) -> Self {
        Self {
            health,
            tasks: Some(tasks),
            ..self
        }
    }

    /// Whose the server's tasks are, where it has other callers too.
    pub(crate) fn tasks(&self) -> Option<&Tasks> {
        self.tasks.as_deref()
    }

    /// What is known of the server's health.
    #[must_use]
    pub const fn health(&self) -> &Arc<Breaker> {
        &self.health
    }

    /// The policy in force.
    #[must_use]
    pub fn program(&self) -> Arc<Program> {
        self.policy.load().program()
    }

    /// Has the gate judge by another policy from the next call on.
    pub fn judge_by(&self, policy: Arc<PolicySlot>) {
        self.policy.store(policy);
    }

    /// The grants that its caller's is one of, where it can change.
    pub(crate) const fn grants(&self) -> Option<&Weak<dyn Grants>> {
        match &self.standing {
            Standing::Fixed => None,
            Standing::Granted(grants) => Some(grants),
        }
    }

    /// The server's tools as they were last listed, for whoever compares a policy with them.
    #[must_use]
    pub fn lists(&self) -> watch::Receiver<Vec<Arc<ListedTool>>> {
        self.lists.subscribe()
    }

    pub(crate) fn publish_list(&self, tools: Vec<Arc<ListedTool>>) {
        if let Some(meter) = &self.meter {
            meter.listed(tools.iter().map(|tool| tool.name.as_str()));
        }
        self.lists.send_replace(tools);
    }

    /// What counts for whoever watches.
    pub(crate) fn meter(&self) -> Option<&ServerMeter> {
        self.meter.as_deref()
    }

    /// What writes the record.
    #[must_use]
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// What stands around a call of this gate, as of now.
    #[must_use]
    pub fn scene<'a>(&'a self, session: Option<&'a SessionId>) -> Scene<'a> {
        Scene {
            server: &self.server,
            caller: &self.caller,
            session,
            now: wall_time(),
        }
    }
}

/// What a caller's right rests on.
#[derive(Debug)]
enum Standing {
    /// Nothing that changes while the gate is there.
    Fixed,
    /// A grant.
    Granted(Weak<dyn Grants>),
}

/// The grants in force in this process, which others may change in the store.
pub trait Grants: std::fmt::Debug + Send + Sync {
    /// Which state of the store's grants is in force here: a call is admitted only where the store has no newer.
    fn generation(&self) -> u64;

    /// Puts the store's state in force here.
    fn refresh(&self) -> BoxFuture<'_, ()>;
}

fn wall_time() -> WallTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
