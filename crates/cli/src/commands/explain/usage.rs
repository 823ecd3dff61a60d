//! Limits as a state folder has them now, read only.

use anyhow::{Context, bail};
use callgate_core::amount::Amount;
use callgate_core::call::WallTime;
use callgate_core::limit::{Counters, LimitKey, ScopeValue, StoreTime, Totals};
use callgate_store::{LimitInUse, Reader, SystemClock};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::Path;

/// What is in use, and what could not be told.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    limits: Vec<LimitInUse>,
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
            server,
            limits,
            unknown: BTreeSet::new(),
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

    fn find(&mut self, key: &LimitKey) -> Option<&LimitInUse> {
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
        self.limits.iter().find(|limit| {
            limit.server.as_deref() == key.server.as_ref().map(|server| server.as_str())
                && limit.scope == scope
                && (value.is_none() || limit.value.as_deref() == value)
                && *limit.tool == *key.tool
                && limit.counter == key.counter.as_str()
        })
    }
}

impl Counters for Usage {
    type Error = Infallible;

    /// What is used in the longest window on the key; a shorter window may hold less.
    fn totals(&mut self, key: &LimitKey, _cutoff: StoreTime) -> Result<Totals, Infallible> {
        let used = self.find(key).map_or(Amount::ZERO, |limit| limit.used);
        Ok(Totals { used, entries: 0 })
    }

    fn add(&mut self, _key: &LimitKey, _at: StoreTime, _amount: Amount) -> Result<(), Infallible> {
        Ok(())
    }

    fn freed_by(&mut self, _key: &LimitKey, _need: Amount) -> Result<Option<StoreTime>, Infallible> {
        Ok(None)
    }

    fn in_flight(&mut self, key: &LimitKey) -> Result<u32, Infallible> {
        Ok(self.find(key).map_or(0, |limit| limit.in_flight))
    }

    fn occupy(&mut self, _key: &LimitKey) -> Result<(), Infallible> {
        Ok(())
    }
}
