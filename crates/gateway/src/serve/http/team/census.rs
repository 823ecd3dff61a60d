//! What can be watched of a team from outside.

use super::{Member, Team, Unready};
use crate::metrics::{Census, ServerCensus};
use callgate_core::name::ServerName;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

impl Team {
    /// Whether calls can be judged and recorded.
    ///
    /// # Errors
    /// What keeps them from it.
    pub fn readiness(&self) -> Result<(), Unready> {
        if !self.recorder.store().healthy() {
            return Err(Unready::Store);
        }
        if !self.is_readable.load(Ordering::Acquire) {
            return Err(Unready::Grants);
        }
        Ok(())
    }

    /// The team as of now. Blocks while it reads.
    pub(crate) fn census(&self) -> Census {
        let store = self.recorder.store();
        let now = store.now();
        let members = self.all_members();
        let is_live = |member: &Arc<Member>| member.state().expires.is_none_or(|expires| now < expires);
        Census {
            servers: self.count_servers(&members),
            grants_generation: self.generation.load(Ordering::Acquire),
            grants_live: members.iter().filter(|member| is_live(member)).count(),
            store: store.stats(),
            ledger: store.ledger_sizes().ok(),
            spans: self
                .recorder
                .tracer()
                .map(|tracer| tracer.counts())
                .unwrap_or_default(),
        }
    }

    pub(super) fn all_members(&self) -> Vec<Arc<Member>> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.values().map(Arc::clone).collect()
    }

    pub(super) fn count_servers(&self, members: &[Arc<Member>]) -> BTreeMap<ServerName, ServerCensus> {
        let mut servers: BTreeMap<ServerName, ServerCensus> = BTreeMap::new();
        let current = self.servers.load();
        for (name, behind) in &**current {
            let census = ServerCensus {
                breakers_open: usize::from(behind.health.is_open()),
                ..ServerCensus::default()
            };
            servers.insert(name.clone(), census);
        }
        for member in members.iter().chain([&self.local]).flat_map(Member::family) {
            for (name, mount) in &member.state().mounts {
                let Some((server, behind)) = servers.get_mut(name).zip(current.get(name)) else {
                    continue;
                };
                let (sessions, pending) = mount.sessions.count();
                server.sessions += sessions;
                server.pending += pending;
                let health = mount.sessions.gate().health();
                server.breakers_open += usize::from(!Arc::ptr_eq(health, &behind.health) && health.is_open());
            }
        }
        servers
    }
}
