//! What whoever runs a gateway sees of it and does with it, in plain values.

use super::super::listen::Whence;
use super::super::sessions::Upstream;
use super::Team;
use crate::gate::Grants as _;
use crate::metrics::ServerCensus;
use callgate_core::name::ServerName;
use std::time::Duration;

/// A server, over all its callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSeen {
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub kind: ServerKind,
    /// Sessions that are open.
    pub sessions: usize,
    /// Requests that wait for its answer.
    pub pending: usize,
    /// Callers for whom it is left alone.
    pub breakers_open: usize,
}

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// As a child process.
    Command,
    /// Over Streamable HTTP.
    Url,
    /// Over the transport of 2024-11-05.
    Legacy,
}

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSeen {
    /// Its id.
    pub id: String,
    /// The server.
    pub server: String,
    /// The id of its grant.
    pub grant: String,
    /// What people call that grant.
    pub label: String,
    /// The protocol version, once it is agreed on.
    pub version: Option<&'static str>,
    /// Requests that wait for an answer.
    pub pending: usize,
    /// Since its client last asked anything.
    pub idle: Duration,
}

/// What keeps calls from being judged and recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unready {
    /// The store cannot be written.
    Store,
    /// The grants cannot be read.
    Grants,
}

/// A request without a valid token was counted and recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// It may try again.
    Token,
    /// Its address has sent many such.
    TooMany,
}

impl Team {
    /// The servers, by name.
    #[must_use]
    pub fn servers_seen(&self) -> Vec<ServerSeen> {
        let counted = self.count_servers(&self.all_members());
        let current = self.servers.load();
        let seen = |(name, census): (ServerName, ServerCensus)| {
            let behind = current.get(&name)?;
            Some(ServerSeen {
                kind: match behind.upstream {
                    Upstream::Command(_) | Upstream::Shared(_) => ServerKind::Command,
                    Upstream::Url(_) => ServerKind::Url,
                    Upstream::Legacy(_) => ServerKind::Legacy,
                },
                name: name.to_string(),
                sessions: census.sessions,
                pending: census.pending,
                breakers_open: census.breakers_open,
            })
        };
        counted.into_iter().filter_map(seen).collect()
    }

    /// The sessions that are open.
    #[must_use]
    pub fn sessions_seen(&self) -> Vec<SessionSeen> {
        self.mounts().iter().flat_map(|mount| mount.seen()).collect()
    }

    /// Ends a session; false where there is none of this id.
    pub async fn end_session(&self, id: &str) -> bool {
        for all in self.all() {
            if all.close(id).await {
                return true;
            }
        }
        for mount in self.mounts() {
            if mount.close(id).await {
                return true;
            }
        }
        false
    }

    /// Which state of the store's grants is in force here.
    #[must_use]
    pub fn grants_generation(&self) -> u64 {
        self.generation()
    }

    /// Puts the store's grants in force here.
    pub async fn take_up_grants(&self) {
        self.refresh().await;
    }

    /// Counts and records a request to the admin API without its token.
    pub fn admin_refused(&self, peer: Whence) -> Failed {
        self.record_failure(peer, "admin_token");
        if self.count_failure(peer) {
            Failed::TooMany
        } else {
            Failed::Token
        }
    }

    /// Records a request to the admin API under another name.
    pub fn admin_misaddressed(&self, peer: Whence) {
        self.record_failure(peer, "host");
    }
}
