//! What a scrape is told: all that was counted, and what is looked up at that moment.

use super::Metrics;
use crate::serve::http::Team;
use crate::traces::SpanCounts;
use callgate_core::name::ServerName;
use callgate_store::{LedgerSizes, Stats};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet, prometheus_text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// All that there is to tell of a gateway.
#[derive(Debug)]
pub struct Exposition {
    registry: Registry,
}

/// A gateway at one moment.
#[derive(Debug)]
pub(crate) struct Census {
    pub(crate) servers: BTreeMap<ServerName, ServerCensus>,
    pub(crate) grants_generation: u64,
    pub(crate) grants_live: usize,
    pub(crate) store: Stats,
    /// `None` where it cannot be read.
    pub(crate) ledger: Option<LedgerSizes>,
    pub(crate) spans: SpanCounts,
}

/// A server at one moment, over all its callers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ServerCensus {
    pub(crate) sessions: usize,
    pub(crate) pending: usize,
    pub(crate) breakers_open: usize,
}

impl Exposition {
    /// What is counted in `metrics`, and what `team` says when it is asked. `version` is the program's.
    #[must_use]
    pub fn new(metrics: &Metrics, team: &Arc<Team>, version: &'static str) -> Self {
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        registry.register(
            "callgate_build",
            "Always 1; says which version this is",
            Info::new(vec![("version", version)]),
        );
        registry.register_collector(Box::new(Present {
            team: Arc::clone(team),
            started: since_epoch(),
        }));
        Self { registry }
    }

    /// All of it in the Prometheus text format 0.0.4. Blocks for as long as a read of a local database takes.
    ///
    /// # Errors
    /// None that the registry itself does not make.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn since_epoch() -> f64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// What is looked up at the moment of a scrape.
#[derive(Debug)]
struct Present {
    team: Arc<Team>,
    started: f64,
}

impl Collector for Present {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let census = self.team.census();
        let mut page = Page(encoder);
        page.servers(&census)?;
        page.store(&census)?;
        page.gauge(
            "callgate_grants_generation",
            "How often grants were changed, as far as this process has heard",
            &census.grants_generation,
        )?;
        page.gauge(
            "callgate_grants_live",
            "Grants in force here that are neither revoked nor expired",
            &count(census.grants_live),
        )?;
        page.spans(census.spans)?;
        page.gauge(
            "process_start_time_seconds",
            "When this process began to serve, in seconds since 1970",
            &self.started,
        )
    }
}

struct Page<'e>(DescriptorEncoder<'e>);

impl Page<'_> {
    fn servers(&mut self, census: &Census) -> fmt::Result {
        let each = |look: fn(&ServerCensus) -> usize| {
            let servers = census.servers.iter();
            servers.map(move |(name, server)| (name, count(look(server))))
        };
        self.by_server(
            "callgate_pending_requests",
            "Requests that wait for an answer of the server",
            each(|server| server.pending),
        )?;
        self.by_server(
            "callgate_open_sessions",
            "Sessions that are open",
            each(|server| server.sessions),
        )?;
        self.by_server(
            "callgate_open_breakers",
            "Callers for whom the server is left alone, as it kept failing; at most 1 for a server with a URL",
            each(|server| server.breakers_open),
        )
    }

    fn store(&mut self, census: &Census) -> fmt::Result {
        let store = &census.store;
        self.gauge(
            "callgate_store_healthy",
            "1 where the last transaction was written; at 0 calls are denied",
            &u64::from(store.healthy),
        )?;
        self.gauge(
            "callgate_store_queue_length",
            "What waits for the store's next transaction",
            &count(store.queued),
        )?;
        self.counter(
            "callgate_store_transactions",
            "Transactions that this process has written",
            &store.transactions,
        )?;
        self.counter(
            "callgate_store_records",
            "Records of the ledger that this process has written",
            &store.records,
        )?;
        let Some(ledger) = census.ledger else {
            return Ok(());
        };
        self.gauge(
            "callgate_ledger_records",
            "Records of the ledger, whoever wrote them",
            &ledger.size,
        )?;
        self.gauge(
            "callgate_ledger_signed_records",
            "Records under the last signed checkpoint",
            &ledger.signed,
        )
    }

    fn spans(&mut self, spans: SpanCounts) -> fmt::Result {
        self.counter(
            "callgate_trace_spans_exported",
            "Spans that the collector has taken",
            &spans.exported,
        )?;
        self.counter(
            "callgate_trace_spans_dropped",
            "Spans that it did not take in time, or for which there was no room",
            &spans.dropped,
        )
    }

    fn by_server<'s>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (&'s ServerName, u64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?;
        for (server, value) in values {
            let labels = [("server", server.as_str())];
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: &impl EncodeGaugeValue) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?;
        metric.encode_gauge(value)
    }

    fn counter(&mut self, name: &str, help: &str, value: &impl EncodeCounterValue) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, &format!("{help}."), None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(value, None)
    }
}

fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
