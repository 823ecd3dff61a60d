//! What can be watched of a gateway, for Prometheus.
//!
//! What happens on the line of a call is counted in handles that are found once: a call costs a few atomic
//! additions, and no lock is held for longer than one. All else is looked up when it is asked for
//! (`exposition`). Whatever comes from outside has a bounded number of label values (`server`).

mod exposition;
mod server;

pub use exposition::Exposition;
pub(crate) use exposition::{Census, ServerCensus};
pub use server::ServerMeter;

use arc_swap::ArcSwap;
use callgate_core::name::ServerName;
use callgate_ledger::record::ReloadEffect;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What Callgate itself takes: mostly a transaction of the store.
const GATE_BUCKETS: [f64; 13] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5,
];
/// What servers take.
const SERVER_BUCKETS: [f64; 15] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// The reasons of failed authentications, so that each is there before the first failure.
const AUTH_REASONS: [&str; 6] = [
    "admin_token",
    "grant_ended",
    "host",
    "origin",
    "token",
    "too_many_failures",
];

/// All that is counted while calls pass.
#[derive(Debug)]
pub struct Metrics {
    servers: ArcSwap<BTreeMap<ServerName, Arc<ServerMeter>>>,
    families: Families,
}

#[derive(Debug)]
struct Families {
    decisions: Family<DecisionLabels, Counter>,
    outcomes: Family<OutcomeLabels, Counter>,
    gate: Family<GateLabels, Histogram, fn() -> Histogram>,
    answers: Family<ServerLabel, Histogram, fn() -> Histogram>,
    children: Family<ServerLabel, Counter>,
    auth: Family<AuthLabels, Counter>,
    reloads: Family<ReloadLabels, Counter>,
    admission: Histogram,
}

impl Metrics {
    /// What there is to count in front of these servers.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = ServerName>) -> Arc<Self> {
        let families = Families {
            decisions: Family::default(),
            outcomes: Family::default(),
            gate: Family::new_with_constructor(|| Histogram::new(GATE_BUCKETS)),
            answers: Family::new_with_constructor(|| Histogram::new(SERVER_BUCKETS)),
            children: Family::default(),
            auth: Family::default(),
            reloads: Family::default(),
            admission: Histogram::new(GATE_BUCKETS),
        };
        for reason in AUTH_REASONS {
            drop(families.auth.get_or_create(&AuthLabels { reason }));
        }
        for effect in ReloadEffect::ALL {
            drop(families.reloads.get_or_create(&ReloadLabels::of(*effect)));
        }
        let metrics = Self {
            servers: ArcSwap::default(),
            families,
        };
        metrics.count_also(servers);
        Arc::new(metrics)
    }

    /// Counts in front of these servers too; what was counted of others is told on.
    pub fn count_also(&self, servers: impl IntoIterator<Item = ServerName>) {
        let mut all = BTreeMap::clone(&self.servers.load());
        for name in servers {
            let label = name.as_str().into();
            all.entry(name)
                .or_insert_with(|| Arc::new(ServerMeter::new(label, &self.families)));
        }
        self.servers.store(Arc::new(all));
    }

    /// Counts in front of these servers alone: what was counted of others is told no more. One that comes back is
    /// counted from 0.
    pub fn count_alone(&self, servers: &BTreeSet<ServerName>) {
        let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) = BTreeMap::clone(&self.servers.load())
            .into_iter()
            .partition(|(name, _)| servers.contains(name));
        self.servers.store(Arc::new(kept));
        for meter in gone.into_values() {
            meter.forget(&self.families);
        }
    }

    /// The configuration was read anew.
    pub fn reloaded(&self, effect: ReloadEffect) {
        self.families
            .reloads
            .get_or_create(&ReloadLabels::of(effect))
            .inc();
    }

    /// What is counted of one server; `None` of one that was never named.
    #[must_use]
    pub fn server(&self, name: &ServerName) -> Option<Arc<ServerMeter>> {
        self.servers.load().get(name).map(Arc::clone)
    }

    /// A request was not let in. Each reason is a word of the program's own.
    pub(crate) fn auth_failure(&self, reason: &'static str) {
        self.families.auth.get_or_create(&AuthLabels { reason }).inc();
    }

    /// The store took so long to say whether a call is admitted.
    pub(crate) fn admission(&self, took: Duration) {
        self.families.admission.observe(took.as_secs_f64());
    }

    /// Names what is counted, in the order in which it is shown.
    fn register(&self, registry: &mut Registry) {
        let families = &self.families;
        registry.register(
            "callgate_decisions",
            "Decisions: an allowed call is one whose intent is written, a shadow one would have been denied",
            families.decisions.clone(),
        );
        registry.register(
            "callgate_outcomes",
            "How calls with an intent ended, as far as this process has seen it",
            families.outcomes.clone(),
        );
        registry.register_with_unit(
            "callgate_gate_duration",
            "What Callgate added to tool calls: from the request's arrival to its release, and from the answer's to its own",
            Unit::Seconds,
            families.gate.clone(),
        );
        registry.register_with_unit(
            "callgate_server_duration",
            "What servers took for tool calls that they answered, from the release to the answer's arrival, less what their clients let them wait",
            Unit::Seconds,
            families.answers.clone(),
        );
        registry.register(
            "callgate_children_started",
            "Child processes that were started",
            families.children.clone(),
        );
        registry.register(
            "callgate_auth_failures",
            "Requests that were not let in",
            families.auth.clone(),
        );
        registry.register(
            "callgate_reloads",
            "Times that the configuration was read anew, by what came of it",
            families.reloads.clone(),
        );
        registry.register_with_unit(
            "callgate_store_admission_duration",
            "What the store took to admit or refuse a call, waiting for others included",
            Unit::Seconds,
            families.admission.clone(),
        );
    }
}

/// Of a decision. What does not apply is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    server: Arc<str>,
    tool: Arc<str>,
    decision: &'static str,
    rule: Arc<str>,
    reason: &'static str,
}

/// Of an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    server: Arc<str>,
    status: &'static str,
}

/// Of what the gate took.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GateLabels {
    server: Arc<str>,
    direction: &'static str,
}

/// Of what is known of a server alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabel {
    server: Arc<str>,
}

/// Of a configuration that was read anew.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    effect: &'static str,
}

impl ReloadLabels {
    const fn of(effect: ReloadEffect) -> Self {
        Self {
            effect: effect.as_str(),
        }
    }
}

/// Of a failed authentication.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AuthLabels {
    reason: &'static str,
}
