//! The admin API of a gateway that runs: what the views are filled from.

use super::grants::Slots;
use super::reload::Asked;
use crate::admin::{self, Notice};
use crate::commands::grants::shown;
use crate::words::hex;
use arc_swap::ArcSwap;
use callgate_console::{Fault, Gateway, Refused, Whole, converse, view};
use callgate_core::limit::StoreTime;
use callgate_core::name::ServerName;
use callgate_gateway::serve::http::{
    Accepted, Failed, Guard, Listener, ServerKind, SocketFile, Team, Token, Unready, Whence, bearer,
};
use callgate_ledger::record::ReloadEffect;
use callgate_store::{
    GrantError, GrantLabel, Grants, Identity, NewGrant, PolicyName, ReadError, Reader, SystemClock,
};
use futures_util::future::BoxFuture;
use http::HeaderMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Connections open at once.
const CONNECTIONS_MAX: usize = 32;

/// What of a gateway can be asked and changed while it runs.
#[derive(Debug)]
pub(super) struct Admin {
    pub(super) team: Arc<Team>,
    /// The state folder.
    pub(super) dir: PathBuf,
    /// The policies in force.
    pub(super) slots: Arc<ArcSwap<Slots>>,
    /// The token that the configuration names.
    pub(super) token: Arc<ArcSwap<Token>>,
    /// The token of the command line on this machine.
    pub(super) own: Token,
    pub(super) guard: Guard,
    /// Where the configuration is asked to be read anew.
    pub(super) reloader: mpsc::Sender<Asked>,
    pub(super) started: SystemTime,
}

/// What goes with the admin API at the end.
pub(super) struct Open {
    pub(super) _file: Option<SocketFile>,
    pub(super) _notice: Notice,
}

/// Answers whoever asks, for as long as the process lives.
pub(super) fn serve(listener: Listener, admin: Arc<Admin>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tokio::spawn(async move {
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                // Out of descriptors, mostly: pausing lets some be given back.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!("too many connections to the admin API, one was closed");
                continue;
            };
            let admin = Arc::clone(&admin);
            tokio::spawn(async move {
                match stream {
                    Accepted::Net(stream) => converse(stream, peer, admin).await,
                    Accepted::Unix(stream) => converse(stream, peer, admin).await,
                }
                drop(place);
            });
        }
    });
}

impl Admin {
    fn all(&self) -> Grants {
        Grants::of(&self.dir)
    }

    fn reader(&self) -> Result<Reader, Fault> {
        Reader::open(&self.dir).map_err(|cause| unreadable(&cause))
    }

    /// The store's present time, by which grants expire.
    fn now(&self) -> Result<StoreTime, Fault> {
        let now = self.reader()?.now(&SystemClock);
        now.map_err(|cause| unreadable(&cause))
    }

    fn shown(&self, grant: &callgate_store::Grant) -> Result<view::Grant, Fault> {
        Ok(shown(grant, self.now()?))
    }
}

impl Gateway for Admin {
    type Peer = Whence;

    fn admit(&self, headers: &HeaderMap, peer: Whence) -> Result<(), Refused> {
        if !self.guard.lets_in(headers) {
            self.team.admin_misaddressed(peer);
            return Err(Refused::Host);
        }
        let is_known = |sent: &str| self.token.load().matches(sent) | self.own.matches(sent);
        if bearer(headers).is_some_and(is_known) {
            return Ok(());
        }
        Err(match self.team.admin_refused(peer) {
            Failed::Token => Refused::Token,
            Failed::TooMany => Refused::TooMany,
        })
    }

    fn health(&self) -> view::Health {
        let since = self.started.duration_since(SystemTime::UNIX_EPOCH);
        view::Health {
            state: match self.team.readiness() {
                Ok(()) => view::HealthState::Ready,
                Err(Unready::Store) => view::HealthState::Store,
                Err(Unready::Grants) => view::HealthState::Grants,
            },
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_us: u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(u64::MAX),
            grants_generation: self.team.grants_generation(),
        }
    }

    fn servers(&self) -> Vec<view::Server> {
        let seen = self.team.servers_seen().into_iter();
        let server = |seen: callgate_gateway::serve::http::ServerSeen| view::Server {
            server: seen.name,
            kind: match seen.kind {
                ServerKind::Command => view::ServerKind::Command,
                ServerKind::Url => view::ServerKind::Url,
                ServerKind::Legacy => view::ServerKind::Sse,
            },
            sessions: count(seen.sessions),
            pending: count(seen.pending),
            breakers_open: count(seen.breakers_open),
        };
        seen.map(server).collect()
    }

    fn policies(&self) -> Vec<view::Policy> {
        let slots = self.slots.load();
        let policy = |(name, slot): (&PolicyName, &Arc<callgate_gateway::gate::PolicySlot>)| view::Policy {
            policy: name.to_string(),
            digest: hex(&slot.program().digest),
        };
        slots.iter().map(policy).collect()
    }

    fn sessions(&self) -> Vec<view::Session> {
        let seen = self.team.sessions_seen().into_iter();
        let session = |seen: callgate_gateway::serve::http::SessionSeen| view::Session {
            session: seen.id,
            server: seen.server,
            grant: seen.grant,
            label: seen.label,
            version: seen.version.map(str::to_owned),
            pending: count(seen.pending),
            idle_s: seen.idle.as_secs(),
        };
        seen.map(session).collect()
    }

    fn end_session<'a>(&'a self, id: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(self.team.end_session(id))
    }

    fn grants(&self, whole: Whole) -> Result<Vec<view::Grant>, Fault> {
        let known = self.all().list().map_err(|error| fault(&error))?;
        let known = known
            .iter()
            .filter(|grant| whole == Whole::All || grant.revoked.is_none());
        let now = self.now()?;
        Ok(known.map(|grant| shown(grant, now)).collect())
    }

    fn grant(&self, which: &str) -> Result<view::Grant, Fault> {
        self.shown(&self.all().show(which).map_err(|error| fault(&error))?)
    }

    fn create_grant(&self, new: view::NewGrant) -> Result<view::Issued, Fault> {
        let expires = admin::expiry(new.expires_us, new.expires_in_s).map_err(Fault::Invalid)?;
        let mut servers = std::collections::BTreeMap::new();
        for (name, under) in new.servers {
            servers.insert(server(&name)?, under.as_deref().map(policy).transpose()?);
        }
        let new = NewGrant {
            label: GrantLabel::new(&new.label).map_err(|error| Fault::Invalid(error.to_string()))?,
            servers,
            expires,
        };
        let now = self.now()?;
        let made = self.all().create(new).map_err(|error| fault(&error))?;
        Ok(issued(&made, now))
    }

    fn rotate_grant(&self, which: &str) -> Result<view::Issued, Fault> {
        let now = self.now()?;
        let rotated = self.all().rotate(which).map_err(|error| fault(&error))?;
        Ok(issued(&rotated, now))
    }

    fn revoke_grant(&self, which: &str) -> Result<view::Grant, Fault> {
        self.shown(&self.all().revoke(which).map_err(|error| fault(&error))?)
    }

    fn attach(&self, which: &str, name: &str, under: Option<&str>) -> Result<view::Grant, Fault> {
        let (name, under) = (server(name)?, under.map(policy).transpose()?);
        let attached = self.all().attach(which, &name, under.as_ref());
        self.shown(&attached.map_err(|error| fault(&error))?)
    }

    fn detach(&self, which: &str, name: &str) -> Result<view::Grant, Fault> {
        let detached = self.all().detach(which, &server(name)?);
        self.shown(&detached.map_err(|error| fault(&error))?)
    }

    fn attach_identity(&self, which: &str, whose: &view::Identity) -> Result<view::Grant, Fault> {
        let attached = self.all().attach_identity(which, &identity(whose)?);
        self.shown(&attached.map_err(|error| fault(&error))?)
    }

    fn detach_identity(&self, which: &str, whose: &view::Identity) -> Result<view::Grant, Fault> {
        let detached = self.all().detach_identity(which, &identity(whose)?);
        self.shown(&detached.map_err(|error| fault(&error))?)
    }

    fn refresh(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.team.take_up_grants())
    }

    fn reload(&self) -> BoxFuture<'_, Result<view::Reloaded, Fault>> {
        Box::pin(async {
            let ending = || Fault::Unavailable("the gateway is ending".to_owned());
            let (answer, answered) = oneshot::channel();
            self.reloader.send(answer).await.map_err(|_| ending())?;
            let outcome = answered.await.map_err(|_| ending())?;
            match outcome.effect {
                ReloadEffect::Looser | ReloadEffect::Tighter | ReloadEffect::Same => Ok(view::Reloaded {
                    effect: outcome.effect.to_string(),
                    message: outcome.message,
                }),
                ReloadEffect::Waiting | ReloadEffect::Rejected => Err(Fault::Conflict(outcome.message)),
            }
        })
    }

    fn ledger(&self) -> Result<view::Ledger, Fault> {
        let reader = self.reader()?;
        let read = || {
            let range = reader.range()?;
            let signed = reader.last_checkpoint()?.map_or(0, |(size, _)| size);
            Ok(view::Ledger {
                origin: reader.origin()?,
                first: range.start,
                size: range.end,
                signed,
            })
        };
        read().map_err(|cause: ReadError| unreadable(&cause))
    }

    fn records(&self, before: Option<u64>, limit: u64) -> Result<view::Records, Fault> {
        let reader = self.reader()?;
        let range = reader.range().map_err(|cause| unreadable(&cause))?;
        let end = before.unwrap_or(range.end).min(range.end);
        let first = end.saturating_sub(limit).max(range.start);
        let mut records = Vec::new();
        for entry in reader.entries(first) {
            let entry = entry.map_err(|cause| unreadable(&cause))?;
            if entry.seq >= end {
                break;
            }
            let record = serde_json::from_slice(&entry.bytes);
            records.push(record.map_err(|_| Fault::Unavailable("a record cannot be read".to_owned()))?);
        }
        Ok(view::Records { records })
    }
}

/// A token that could not be shown would be lost, so nothing can fail once it is made.
fn issued(issued: &callgate_store::Issued, now: StoreTime) -> view::Issued {
    view::Issued {
        grant: shown(&issued.grant, now),
        token: issued.token.reveal().to_owned(),
    }
}

fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn server(name: &str) -> Result<ServerName, Fault> {
    crate::commands::grants::server(name).map_err(Fault::Invalid)
}

fn policy(name: &str) -> Result<PolicyName, Fault> {
    PolicyName::new(name).map_err(|error| Fault::Invalid(error.to_string()))
}

fn identity(whose: &view::Identity) -> Result<Identity, Fault> {
    Identity::new(&whose.issuer, &whose.claim, &whose.value)
        .map_err(|error| Fault::Invalid(error.to_string()))
}

fn fault(error: &GrantError) -> Fault {
    let text = error.to_string();
    match error {
        GrantError::Unknown(_) | GrantError::NotAttached { .. } | GrantError::NotClaimed { .. } => {
            Fault::NotFound(text)
        }
        GrantError::NamedByToken | GrantError::Expired => Fault::Invalid(text),
        GrantError::Taken { .. }
        | GrantError::Twice(_)
        | GrantError::Revoked(_)
        | GrantError::TooMany
        | GrantError::Claimed { .. }
        | GrantError::TooManyIdentities => Fault::Conflict(text),
        GrantError::Open(_) | GrantError::Read(_) | GrantError::Unavailable(_) => {
            tracing::error!(cause = %error, "the grants could not be read or changed");
            Fault::Unavailable("the grants could not be read or changed; the log says why".to_owned())
        }
    }
}

fn unreadable(cause: &ReadError) -> Fault {
    tracing::error!(%cause, "the state folder could not be read");
    Fault::Unavailable("the state folder could not be read; the log says why".to_owned())
}
