//! Making and changing grants, for processes that are no gate.

use super::GrantError;
use super::identity::Identity;
use super::name::{GrantLabel, ID_PREFIX, PolicyName};
use super::read::{GENERATION, Grant, find, generation};
use super::token::{Token, TokenHash};
use crate::clock::{Clock, SystemClock, from_micros, micros};
use crate::counters::{stored, unstored};
use crate::engine::{Batch, Engine};
use crate::error::Failure;
use crate::options::Durability;
use crate::reader::Reader;
use crate::schema;
use crate::secrets::{FingerprintKey, random};
use callgate_core::limit::StoreTime;
use callgate_core::name::{GrantId, ServerName};
use callgate_ledger::Uint53;
use callgate_ledger::record::{GrantAction, GrantChange};
use rusqlite::{OptionalExtension as _, params};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How many grants there are at most that are not revoked.
pub(super) const GRANTS_MAX: usize = 10_000;
/// How many subjects and claims of OAuth issuers are let in at most, by all grants together.
pub(super) const IDENTITIES_MAX: u32 = 50_000;

/// The grants of a state folder, which is made where it is missing and something is to be written. Gates may
/// run meanwhile: a gateway admits no call any more under what was in force before a change.
#[derive(Debug, Clone)]
pub struct Grants {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
}

/// A grant to be made.
#[derive(Debug, Clone)]
pub struct NewGrant {
    /// What people call it.
    pub label: GrantLabel,
    /// The servers that it may use, each with the policy that its calls are judged by. Without a policy all
    /// are denied.
    pub servers: BTreeMap<ServerName, Option<PolicyName>>,
    /// When it ends by itself.
    pub expires: Option<Expiry>,
}

/// When a grant ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// So long after it is made.
    In(Duration),
    /// Then.
    At(StoreTime),
}

/// A grant and its new token, which is nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The grant.
    pub grant: Grant,
    /// Its one token.
    pub token: Token,
}

/// Why a transaction ends without a change.
#[derive(Debug)]
pub(super) enum Stop {
    /// What was asked cannot be.
    Refused(GrantError),
    /// The store failed.
    Failed(Failure),
}

impl From<GrantError> for Stop {
    fn from(error: GrantError) -> Self {
        Self::Refused(error)
    }
}

impl<F: Into<Failure>> From<F> for Stop {
    fn from(failure: F) -> Self {
        Self::Failed(failure.into())
    }
}

impl Grants {
    /// Those of the folder at `dir`.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self::with_clock(dir, Arc::new(SystemClock))
    }

    /// As [`Grants::of`], with another clock than the operating system's.
    #[must_use]
    pub fn with_clock(dir: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            dir: dir.to_owned(),
            clock,
        }
    }

    /// All grants, revoked ones too, the oldest first.
    ///
    /// # Errors
    /// [`GrantError`] where they cannot be read.
    pub fn list(&self) -> Result<Vec<Grant>, GrantError> {
        Ok(Reader::open(&self.dir)?.grants()?)
    }

    /// The grant with this id, or the one that is not revoked with this label.
    ///
    /// # Errors
    /// [`GrantError`] where there is none, or it cannot be read.
    pub fn show(&self, which: &str) -> Result<Grant, GrantError> {
        Reader::open(&self.dir)?.grant(which)
    }

    /// Makes a grant and its token.
    ///
    /// # Errors
    /// [`GrantError`] where the label is taken, the time of its end is past, or it cannot be written.
    pub fn create(&self, new: NewGrant) -> Result<Issued, GrantError> {
        self.change(|batch, key| {
            let expires = may_be(batch, &new)?;
            leave_room(batch, 1)?;
            let issued = make(batch, key, new, expires)?;
            raise(batch)?;
            Ok(issued)
        })
    }

    /// Makes several at once, or none of them. Of none, nothing is told: a gateway without grants stays one.
    ///
    /// # Errors
    /// As [`Grants::create`], for any of them, or where two have one label.
    pub fn create_all(&self, new: Vec<NewGrant>) -> Result<Vec<Issued>, GrantError> {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        self.change(|batch, key| {
            let mut labels = BTreeSet::new();
            if let Some(twice) = new.iter().find(|new| !labels.insert(&new.label)) {
                return Err(GrantError::Twice(twice.label.clone()).into());
            }
            leave_room(batch, new.len())?;
            let expires: Vec<Option<i64>> = new
                .iter()
                .map(|new| may_be(batch, new))
                .collect::<Result<_, _>>()?;
            let issued = new
                .into_iter()
                .zip(expires)
                .map(|(new, expires)| make(batch, key, new, expires))
                .collect::<Result<_, _>>()?;
            raise(batch)?;
            Ok(issued)
        })
    }

    /// Gives a grant another token; the one before lets nobody in any more.
    ///
    /// # Errors
    /// [`GrantError`] where there is no such grant, or it cannot be written.
    pub fn rotate(&self, which: &str) -> Result<Issued, GrantError> {
        self.change(|batch, key| {
            let grant = live(batch, which)?;
            let token = Token::new()?;
            batch
                .conn
                .prepare_cached("UPDATE caller_grant SET token = ?2 WHERE id = ?1")?
                .execute(params![
                    grant.id.as_str(),
                    TokenHash::new(key, token.reveal()).as_bytes()
                ])?;
            record(batch, GrantAction::Rotate, &grant, About::Grant)?;
            raise(batch)?;
            Ok(Issued { grant, token })
        })
    }

    /// Ends a grant for good.
    ///
    /// # Errors
    /// [`GrantError`] where there is no such grant, it is revoked already, or it cannot be written.
    pub fn revoke(&self, which: &str) -> Result<Grant, GrantError> {
        self.change(|batch, _| {
            let mut grant = live(batch, which)?;
            let at = batch.at()?;
            batch
                .conn
                .prepare_cached("UPDATE caller_grant SET revoked = ?2 WHERE id = ?1")?
                .execute(params![grant.id.as_str(), at])?;
            grant.revoked = Some(from_micros(unstored(at)?));
            batch
                .conn
                .prepare_cached("DELETE FROM grant_identity WHERE caller = ?1")?
                .execute([grant.id.as_str()])?;
            grant.identities.clear();
            record(batch, GrantAction::Revoke, &grant, About::Grant)?;
            raise(batch)?;
            Ok(grant)
        })
    }

    /// Lets a grant use a server, its calls judged by `policy`; without one all are denied. Where it may use
    /// the server already, the policy is replaced.
    ///
    /// # Errors
    /// [`GrantError`] where there is no such grant, it is revoked, or it cannot be written.
    pub fn attach(
        &self,
        which: &str,
        server: &ServerName,
        policy: Option<&PolicyName>,
    ) -> Result<Grant, GrantError> {
        self.change(|batch, _| {
            let mut grant = live(batch, which)?;
            if grant.servers.get(server).map(Option::as_ref) == Some(policy) {
                return Ok(grant);
            }
            put_server(batch, &grant, server, policy)?;
            grant.servers.insert(server.clone(), policy.cloned());
            raise(batch)?;
            Ok(grant)
        })
    }

    /// Takes a server from a grant.
    ///
    /// # Errors
    /// [`GrantError`] where there is no such grant, it is revoked or has no such server, or it cannot be
    /// written.
    pub fn detach(&self, which: &str, server: &ServerName) -> Result<Grant, GrantError> {
        self.change(|batch, _| {
            let mut grant = live(batch, which)?;
            if grant.servers.remove(server).is_none() {
                let (id, server) = (grant.id, server.clone());
                return Err(GrantError::NotAttached { id, server }.into());
            }
            batch
                .conn
                .prepare_cached("DELETE FROM grant_server WHERE caller = ?1 AND server = ?2")?
                .execute(params![grant.id.as_str(), server.as_str()])?;
            record(batch, GrantAction::Detach, &grant, About::Server(server, None))?;
            raise(batch)?;
            Ok(grant)
        })
    }

    /// Lets the holders of an issuer's tokens in as a grant. No two grants let in the same.
    ///
    /// # Errors
    /// [`GrantError`] where there is no such grant, it is revoked, another lets the same in, or it cannot be
    /// written.
    pub fn attach_identity(&self, which: &str, identity: &Identity) -> Result<Grant, GrantError> {
        self.change(|batch, _| {
            let mut grant = live(batch, which)?;
            let (issuer, claim, value) = (identity.issuer(), identity.claim(), identity.value());
            let other: Option<String> = batch
                .conn
                .prepare_cached(
                    "SELECT caller FROM grant_identity WHERE issuer = ?1 AND claim = ?2 AND value = ?3",
                )?
                .query_row([issuer, claim, value], |row| row.get(0))
                .optional()?;
            match other {
                Some(other) if other == grant.id.as_str() => return Ok(grant),
                Some(other) => {
                    let (identity, id) = (identity.clone(), id_of(&other)?);
                    return Err(GrantError::Claimed { identity, id }.into());
                }
                None => {}
            }
            let known: u32 = batch
                .conn
                .prepare_cached("SELECT count(*) FROM grant_identity")?
                .query_row([], |row| row.get(0))?;
            if known >= IDENTITIES_MAX {
                return Err(GrantError::TooManyIdentities.into());
            }
            batch
                .conn
                .prepare_cached("INSERT INTO grant_identity VALUES (?1, ?2, ?3, ?4)")?
                .execute([issuer, claim, value, grant.id.as_str()])?;
            record(batch, GrantAction::Attach, &grant, About::Identity(identity))?;
            grant.identities.insert(identity.clone());
            raise(batch)?;
            Ok(grant)
        })
    }

    /// Lets the holders of such tokens not in any more.
    ///
    /// # Errors
    /// [`GrantError`] where there is no such grant, it is revoked or does not let them in, or it cannot be
    /// written.
    pub fn detach_identity(&self, which: &str, identity: &Identity) -> Result<Grant, GrantError> {
        self.change(|batch, _| {
            let mut grant = live(batch, which)?;
            if !grant.identities.remove(identity) {
                let (id, identity) = (grant.id, identity.clone());
                return Err(GrantError::NotClaimed { id, identity }.into());
            }
            batch
                .conn
                .prepare_cached("DELETE FROM grant_identity WHERE issuer = ?1 AND claim = ?2 AND value = ?3")?
                .execute([identity.issuer(), identity.claim(), identity.value()])?;
            record(batch, GrantAction::Detach, &grant, About::Identity(identity))?;
            raise(batch)?;
            Ok(grant)
        })
    }

    /// Does `work` in one transaction, alone among all processes, and synced: a token that was shown must not
    /// be lost with the power, nor a revocation. `work` writes nothing before it refuses.
    fn change<T>(
        &self,
        work: impl FnOnce(&mut Batch<'_>, &FingerprintKey) -> Result<T, Stop>,
    ) -> Result<T, GrantError> {
        let mut engine = Engine::attach(&self.dir, Durability::Disk, Arc::clone(&self.clock))?;
        let key = engine.secret().clone();
        let done = engine.transact(|batch| match work(batch, &key) {
            Ok(value) => Ok(Ok(value)),
            Err(Stop::Refused(error)) => Ok(Err(error)),
            Err(Stop::Failed(failure)) => Err(failure),
        });
        engine.leave();
        done.map_err(|failure| GrantError::Unavailable(failure.cause()))?
    }
}

impl Expiry {
    /// As tables hold it, for a grant that is made at `created`.
    fn after(self, created: i64) -> Result<i64, Stop> {
        let at = match self {
            Self::In(time) => {
                let time = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
                created.saturating_add(time)
            }
            Self::At(at) => stored(micros(at))?,
        };
        if at <= created {
            return Err(GrantError::Expired.into());
        }
        let latest = i64::try_from(Uint53::MAX.get()).unwrap_or(i64::MAX);
        Ok(at.min(latest))
    }
}

/// Refuses grants beyond those that there may be.
fn leave_room(batch: &Batch<'_>, more: usize) -> Result<(), Stop> {
    let known: u32 = batch
        .conn
        .prepare_cached("SELECT count(*) FROM caller_grant WHERE revoked IS NULL")?
        .query_row([], |row| row.get(0))?;
    let known = usize::try_from(known).unwrap_or(usize::MAX);
    if known.saturating_add(more) > GRANTS_MAX {
        return Err(GrantError::TooMany.into());
    }
    Ok(())
}

/// Refuses a grant that cannot be made, and gives when it is to end.
fn may_be(batch: &Batch<'_>, new: &NewGrant) -> Result<Option<i64>, Stop> {
    let created = batch.at()?;
    let expires = new.expires.map(|expiry| expiry.after(created)).transpose()?;
    let taken: Option<String> = batch
        .conn
        .prepare_cached("SELECT id FROM caller_grant WHERE label = ?1 AND revoked IS NULL")?
        .query_row([new.label.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(id) = taken {
        let (label, id) = (new.label.clone(), id_of(&id)?);
        return Err(GrantError::Taken { label, id }.into());
    }
    Ok(expires)
}

/// Writes a grant that may be.
fn make(
    batch: &mut Batch<'_>,
    key: &FingerprintKey,
    new: NewGrant,
    expires: Option<i64>,
) -> Result<Issued, Stop> {
    let created = batch.at()?;
    let name: [u8; 8] = random()?;
    let id = id_of(&format!("{ID_PREFIX}{:016x}", u64::from_be_bytes(name)))?;
    let token = Token::new()?;
    batch
        .conn
        .prepare_cached("INSERT INTO caller_grant VALUES (?1, ?2, ?3, ?4, ?5, NULL)")?
        .execute(params![
            id.as_str(),
            new.label.as_str(),
            TokenHash::new(key, token.reveal()).as_bytes(),
            created,
            expires,
        ])?;
    let mut grant = find(batch.conn, id.as_str())?;
    record(batch, GrantAction::Create, &grant, About::Grant)?;
    for (server, policy) in &new.servers {
        put_server(batch, &grant, server, policy.as_ref())?;
    }
    grant.servers = new.servers;
    Ok(Issued { grant, token })
}

fn id_of(text: &str) -> Result<GrantId, Failure> {
    GrantId::new(text).map_err(|_| Failure::Damaged("a grant has no id"))
}

/// The grant that `which` names, where it can still be changed.
fn live(batch: &Batch<'_>, which: &str) -> Result<Grant, Stop> {
    let grant = find(batch.conn, which)?;
    match grant.revoked {
        None => Ok(grant),
        Some(_) => Err(GrantError::Revoked(grant.id).into()),
    }
}

fn put_server(
    batch: &mut Batch<'_>,
    grant: &Grant,
    server: &ServerName,
    policy: Option<&PolicyName>,
) -> Result<(), Failure> {
    batch
        .conn
        .prepare_cached(
            "INSERT INTO grant_server VALUES (?1, ?2, ?3)
             ON CONFLICT (caller, server) DO UPDATE SET policy = excluded.policy",
        )?
        .execute(params![
            grant.id.as_str(),
            server.as_str(),
            policy.map(PolicyName::as_str)
        ])?;
    record(batch, GrantAction::Attach, grant, About::Server(server, policy))
}

/// What of a grant was changed.
#[derive(Debug, Clone, Copy)]
enum About<'a> {
    /// The grant itself.
    Grant,
    /// A server, and the policy for it.
    Server(&'a ServerName, Option<&'a PolicyName>),
    /// Whose tokens it lets in.
    Identity(&'a Identity),
}

fn record(
    batch: &mut Batch<'_>,
    action: GrantAction,
    grant: &Grant,
    about: About<'_>,
) -> Result<(), Failure> {
    let (server, policy, identity) = match about {
        About::Grant => (None, None, None),
        About::Server(server, policy) => (Some(server), policy, None),
        About::Identity(identity) => (None, None, Some(identity)),
    };
    let change = GrantChange {
        action,
        claim: identity.map(|identity| identity.claim().into()),
        expires: grant.expires.map(|at| Uint53::saturating(micros(at))),
        grant: grant.id.as_str().into(),
        issuer: identity.map(|identity| identity.issuer().into()),
        label: grant.label.as_str().into(),
        policy_name: policy.map(|policy| policy.as_str().into()),
        server: server.map(|server| server.as_str().into()),
        value: identity.map(|identity| identity.value().into()),
    };
    batch.append(change.into(), None).map(drop)
}

/// Tells gateways that what they know of grants is old.
fn raise(batch: &Batch<'_>) -> Result<(), Failure> {
    let next = generation(batch.conn)?.saturating_add(1);
    schema::set_meta(batch.conn, GENERATION, &stored(next)?)
}
