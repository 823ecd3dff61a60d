//! What is known of grants.

use super::identity::Identity;
use super::name::{GrantLabel, ID_PREFIX, PolicyName};
use super::token::{PREFIX, TokenHash};
use super::{GrantError, change::Stop};
use crate::clock::from_micros;
use crate::counters::unstored;
use crate::error::{Failure, ReadError, StoreError};
use crate::folder::Folder;
use crate::reader::Reader;
use crate::schema;
use crate::stats::LedgerSizes;
use callgate_core::limit::StoreTime;
use callgate_core::name::{GrantId, ServerName};
use rusqlite::{Connection, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// The name of the generation in `meta`.
pub(super) const GENERATION: &str = "grants_generation";
/// Of how many revoked grants a gateway knows the tokens.
const REVOKED_KNOWN_MAX: u32 = 1_000;
const COLUMNS: &str = "SELECT id, label, created, expires, revoked, token FROM caller_grant";

/// A caller's right to use servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What names it in limits and ledger.
    pub id: GrantId,
    /// What people call it. Of grants that are not revoked, no two have the same.
    pub label: GrantLabel,
    /// When it was made, by the store's time.
    pub created: StoreTime,
    /// From when on it lets nobody in, if ever.
    pub expires: Option<StoreTime>,
    /// When it was revoked.
    pub revoked: Option<StoreTime>,
    /// The servers that it may use, and by which policy its calls are judged. Without a policy all are denied.
    pub servers: BTreeMap<ServerName, Option<PolicyName>>,
    /// Whose OAuth tokens let in as it, beside its own token.
    pub identities: BTreeSet<Identity>,
}

impl Grant {
    /// Whether it lets anybody in at `now`.
    #[must_use]
    pub fn is_live(&self, now: StoreTime) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

/// A grant that is not revoked, with what its token hashes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveGrant {
    /// The grant. It may have expired: [`Grant::is_live`].
    pub grant: Grant,
    /// The hash of its one token, as [`crate::Store::token_hash`] gives it.
    pub token: TokenHash,
}

/// All grants as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantsSnapshot {
    /// Which moment: each change of a grant raises it. [`crate::AdmitRequest::grants_generation`] takes it.
    pub generation: u64,
    /// The grants that are not revoked.
    pub grants: Vec<LiveGrant>,
    /// The tokens of grants that were revoked last, to say in a record whose token was refused.
    pub revoked: Vec<(TokenHash, GrantId)>,
}

impl Reader {
    /// All grants, revoked ones too, the oldest first.
    ///
    /// # Errors
    /// [`ReadError`] where they cannot be read.
    pub fn grants(&self) -> Result<Vec<Grant>, ReadError> {
        let grants = select(self.connection(), "ORDER BY created, id")?;
        Ok(grants.into_iter().map(|(grant, _)| grant).collect())
    }

    /// The grant with this id, or the one that is not revoked with this label.
    ///
    /// # Errors
    /// [`GrantError`] where there is none.
    pub fn grant(&self, which: &str) -> Result<Grant, GrantError> {
        find(self.connection(), which).map_err(|stop| match stop {
            Stop::Refused(error) => error,
            Stop::Failed(failure) => ReadError::from(failure).into(),
        })
    }
}

/// How often grants were changed.
pub(crate) fn generation(conn: &Connection) -> Result<u64, Failure> {
    unstored(schema::meta_number(conn, GENERATION)?.unwrap_or(0))
}

/// The grant with this id, or the one that is not revoked with this label.
pub(super) fn find(conn: &Connection, which: &str) -> Result<Grant, Stop> {
    if which.starts_with(PREFIX) {
        return Err(GrantError::NamedByToken.into());
    }
    let condition = if which.starts_with(ID_PREFIX) {
        "id = ?1"
    } else {
        "label = ?1 AND revoked IS NULL"
    };
    let mut select = conn
        .prepare_cached(&format!("{COLUMNS} WHERE {condition}"))
        .map_err(Failure::from)?;
    let mut rows = select.query([which]).map_err(Failure::from)?;
    match rows.next().map_err(Failure::from)? {
        Some(row) => Ok(grant_of(conn, row)?.0),
        None => Err(GrantError::Unknown(which.to_owned()).into()),
    }
}

fn select(conn: &Connection, which: &str) -> Result<Vec<(Grant, TokenHash)>, Failure> {
    let mut select = conn.prepare_cached(&format!("{COLUMNS} {which}"))?;
    let mut rows = select.query([])?;
    let mut grants = Vec::new();
    while let Some(row) = rows.next()? {
        grants.push(grant_of(conn, row)?);
    }
    Ok(grants)
}

fn grant_of(conn: &Connection, row: &Row<'_>) -> Result<(Grant, TokenHash), Failure> {
    let id: String = row.get(0)?;
    let label: String = row.get(1)?;
    let time = |micros: i64| Ok::<_, Failure>(from_micros(unstored(micros)?));
    let grant = Grant {
        servers: servers_of(conn, &id)?,
        identities: identities_of(conn, &id)?,
        id: GrantId::new(&id).map_err(|_| Failure::Damaged("a grant has no id"))?,
        label: GrantLabel::new(&label).map_err(|_| Failure::Damaged("a grant has no label"))?,
        created: time(row.get(2)?)?,
        expires: row.get::<_, Option<i64>>(3)?.map(time).transpose()?,
        revoked: row.get::<_, Option<i64>>(4)?.map(time).transpose()?,
    };
    Ok((grant, TokenHash::from_bytes(row.get(5)?)))
}

fn servers_of(conn: &Connection, id: &str) -> Result<BTreeMap<ServerName, Option<PolicyName>>, Failure> {
    let mut select = conn.prepare_cached("SELECT server, policy FROM grant_server WHERE caller = ?1")?;
    let mut rows = select.query([id])?;
    let mut servers = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (server, policy): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        let server =
            ServerName::new(&server).map_err(|_| Failure::Damaged("a grant's server has no name"))?;
        let policy = policy.map(|policy| PolicyName::new(&policy)).transpose();
        let policy = policy.map_err(|_| Failure::Damaged("a grant's policy has no name"))?;
        servers.insert(server, policy);
    }
    Ok(servers)
}

fn identities_of(conn: &Connection, id: &str) -> Result<BTreeSet<Identity>, Failure> {
    if schema::version(conn)? == schema::SCHEMA_BEFORE {
        return Ok(BTreeSet::new());
    }
    let mut select =
        conn.prepare_cached("SELECT issuer, claim, value FROM grant_identity WHERE caller = ?1")?;
    let mut rows = select.query([id])?;
    let mut identities = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let [issuer, claim, value]: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        let identity = Identity::new(&issuer, &claim, &value);
        identities.insert(identity.map_err(|_| Failure::Damaged("a grant's subject is none"))?);
    }
    Ok(identities)
}

/// A connection that a gateway keeps open to look at grants and at the ledger's sizes.
#[derive(Debug)]
pub(crate) struct View {
    folder: Folder,
    conn: Mutex<Option<Connection>>,
}

impl View {
    pub(crate) fn of(folder: &Folder) -> Self {
        Self {
            folder: folder.clone(),
            conn: Mutex::new(None),
        }
    }

    pub(crate) fn generation(&self) -> Result<u64, StoreError> {
        self.read(generation)
    }

    /// How many records there are, and how many the last checkpoint covers.
    pub(crate) fn ledger_sizes(&self) -> Result<LedgerSizes, StoreError> {
        self.read(|conn| {
            // The checkpoint first: what is written between the two looks must not make it look ahead.
            let signed = conn
                .prepare_cached("SELECT coalesce(max(size), 0) FROM checkpoint")?
                .query_row([], |row| row.get(0))?;
            let (size, _) = crate::engine::tail(conn)?;
            Ok(LedgerSizes {
                size: unstored(size)?,
                signed: unstored(signed)?,
            })
        })
    }

    /// All grants as of one moment, and the size of the ledger at that moment.
    pub(crate) fn snapshot(&self) -> Result<(GrantsSnapshot, i64), StoreError> {
        self.read(|conn| {
            let transaction = conn.unchecked_transaction()?;
            let generation = generation(&transaction)?;
            let live = select(&transaction, "WHERE revoked IS NULL ORDER BY created, id")?;
            let revoked = select(
                &transaction,
                &format!("WHERE revoked IS NOT NULL ORDER BY revoked DESC, id LIMIT {REVOKED_KNOWN_MAX}"),
            )?;
            let snapshot = GrantsSnapshot {
                generation,
                grants: live
                    .into_iter()
                    .map(|(grant, token)| LiveGrant { grant, token })
                    .collect(),
                revoked: revoked
                    .into_iter()
                    .map(|(grant, token)| (token, grant.id))
                    .collect(),
            };
            let (size, _) = crate::engine::tail(&transaction)?;
            Ok((snapshot, size))
        })
    }

    /// Connects where that was not done yet, or where the last look failed.
    fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, StoreError> {
        let mut kept = self.conn.lock().unwrap_or_else(PoisonError::into_inner);
        let conn = match kept.take() {
            Some(conn) => Ok(conn),
            None => schema::connect_reader(&self.folder),
        };
        let seen = conn.map_err(Failure::from).and_then(|conn| {
            let seen = look(&conn)?;
            *kept = Some(conn);
            Ok(seen)
        });
        seen.map_err(|failure| StoreError::Unreadable(failure.cause()))
    }
}
