//! Limits as a state folder has them now, read only.

use anyhow::{Context, bail};
use callgate_core::amount::Amount;
use callgate_core::call::WallTime;
use callgate_core::limit::{Counters, LimitKey, MemoryCounters, ScopeValue, StoreTime, Totals};
use callgate_store::{LimitInUse, Reader, SystemClock};
use std::collections::BTreeSet;
use std::path::Path;

/// What is in use, and what could not be told.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    reader: Option<Reader>,
    limits: Vec<LimitInUse>,
    /// The histories that were asked for, and which those are.
    histories: MemoryCounters,
    read: BTreeSet<LimitKey>,
    now: Option<StoreTime>,
    server: Option<String>,
    /// Paths of scopes whose values the folder keeps as fingerprints.
    unknown: BTreeSet<String>,
}

impl Usage {
    /// Reads a folder. Where limits of several servers are in use, one has to be named.
    pub(crate) fn read(dir: &Path, server: Option<&str>) -> anyhow::Result<Self> {
        let reader = Reader::open(dir).with_context(|| format!("--state-dir {}", dir.display()))?;
        let limits = reader.limits(&SystemClock)?;
        let servers: BTreeSet<&str> = limits
            .iter()
            .filter_map(|limit| limit.server.as_deref())
            .collect();
        let server = match (server, servers.first(), servers.len()) {
            (Some(server), _, _) => Some(server.to_owned()),
            (None, only, 0 | 1) => only.map(|only| (*only).to_owned()),
            (None, _, _) => {
                let names: Vec<&str> = servers.into_iter().collect();
                bail!(
                    "limits of several servers are in use there ({}); name one with --server",
                    names.join(", ")
                );
            }
        };
        Ok(Self {
            now: Some(reader.now(&SystemClock)?),
            reader: Some(reader),
            server,
            limits,
            ..Self::default()
        })
    }

    /// The server whose limits are in use.
    pub(crate) fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// The store's time, or the time of the call where there is no store.
    pub(crate) fn now(&self, call: WallTime) -> StoreTime {
        self.now.unwrap_or(StoreTime(call.0.saturating_mul(1_000_000)))
    }

    /// What could not be told.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.unknown
            .iter()
            .map(|path| {
                format!(
                    "limits by `{path}` are kept by fingerprints, so what is used of them is not known here"
                )
            })
            .collect()
    }

    /// The histories, with that of `key` among them.
    fn with(&mut self, key: &LimitKey) -> anyhow::Result<&mut MemoryCounters> {
        if self.read.insert(key.clone())
            && let Some(limit) = self.find(key)
            && let Some(reader) = &self.reader
        {
            for (at, amount) in reader.history(&limit)? {
                self.histories.add(key, at, amount)?;
            }
            for _ in 0..limit.in_flight {
                self.histories.occupy(key)?;
            }
        }
        Ok(&mut self.histories)
    }

    fn find(&mut self, key: &LimitKey) -> Option<LimitInUse> {
        let (scope, value) = match &key.scope {
            ScopeValue::Grant(grant) => ("grant", Some(grant.as_str())),
            ScopeValue::Session(session) => ("session", Some(session.as_str())),
            ScopeValue::Tool => ("tool", None),
            ScopeValue::Server => ("server", None),
            ScopeValue::Global => ("global", None),
            ScopeValue::Argument { path, .. } => {
                if self.now.is_some() {
                    self.unknown.insert(path.to_string());
                }
                return None;
            }
        };
        let found = self.limits.iter().find(|limit| {
            limit.server.as_deref() == key.server.as_ref().map(|server| server.as_str())
                && limit.scope == scope
                && (value.is_none() || limit.value.as_deref() == value)
                && *limit.tool == *key.tool
                && limit.counter == key.counter.as_str()
        });
        found.cloned()
    }
}

impl Counters for Usage {
    type Error = anyhow::Error;

    fn totals(&mut self, key: &LimitKey, cutoff: StoreTime) -> anyhow::Result<Totals> {
        Ok(self.with(key)?.totals(key, cutoff)?)
    }

    fn add(&mut self, key: &LimitKey, at: StoreTime, amount: Amount) -> anyhow::Result<()> {
        Ok(self.with(key)?.add(key, at, amount)?)
    }

    fn freed_by(&mut self, key: &LimitKey, need: Amount) -> anyhow::Result<Option<StoreTime>> {
        Ok(self.with(key)?.freed_by(key, need)?)
    }

    fn in_flight(&mut self, key: &LimitKey) -> anyhow::Result<u32> {
        Ok(self.with(key)?.in_flight(key)?)
    }

    fn occupy(&mut self, key: &LimitKey) -> anyhow::Result<()> {
        Ok(self.with(key)?.occupy(key)?)
    }
}
