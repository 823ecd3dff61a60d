//! The database: its tables, its version, and how it is opened.

use crate::error::{Failure, OpenError};
use crate::folder::Folder;
use crate::options::Durability;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior};
use std::time::Duration;

/// The version of the tables below, in `PRAGMA user_version`.
pub(crate) const SCHEMA_VERSION: i64 = 2;
/// The one before, whose tables lack [`IDENTITIES`].
pub(crate) const SCHEMA_BEFORE: i64 = 1;

/// Writers queue on a lock file; only recovery after a crash and programs of others make this wait.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
const STATEMENTS_MAX: usize = 64;
/// At how many pages of the WAL a writer itself moves them to the database, which syncs and so takes
/// milliseconds. The keeper does so each second, without the write lock, and leaves little to do.
const WAL_PAGES_MAX: u32 = 4_096;
const CACHE_KIBIBYTES: i32 = 4_096;

/// - `meta`: one value a name: the log's origin, the boot and its offset.
/// - `run`: each run of a process; `ended` is empty while it lives or is not yet found gone.
/// - `ledger`: each record, its leaf hash, and for records that follow an intent that intent's number; those
///   that follow it closely are found without an index, see [`FOLLOWING`].
/// - `node`: the tree's nodes from some level on; behind an archived part, those that the tree is grown from.
/// - `checkpoint`, `signer`: signed checkpoints, and the keys that ever signed.
/// - `open_call`: intents without an outcome, as bits by their numbers. `slot`: the places they hold.
/// - `limit_key`: whose history, how long it is kept, and running totals of exactly the rows in `limit_entry`.
/// - `limit_in_force`: what the policies of each run look at; `length` is a window's, `places` those in flight.
/// - `recorded`: values that a policy opted in; rows may be erased, the leaf has only their salted hash.
/// - `archived_open`: calls whose intent was moved to an archive before they had an outcome.
/// - `denied`: denials counted by rule.
/// - `caller_grant`: each grant, its token as a keyed hash alone; how often they were changed is in `meta`.
///   `grant_server`: the servers that each may use; without a `policy` all calls to one are denied.
/// - [`IDENTITIES`]: the OAuth tokens that let in as each, by a claim of theirs.
pub(crate) const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE run (
  id INTEGER PRIMARY KEY AUTOINCREMENT, run BLOB NOT NULL UNIQUE, pid INTEGER NOT NULL,
  label TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER, how TEXT) STRICT;
CREATE INDEX run_live ON run (id) WHERE ended IS NULL;
CREATE TABLE ledger (
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, intent INTEGER,
  leaf BLOB NOT NULL, record BLOB NOT NULL) STRICT;
CREATE INDEX ledger_intent ON ledger (intent) WHERE intent IS NOT NULL AND seq - intent > 512;
CREATE TABLE node (
  level INTEGER NOT NULL, place INTEGER NOT NULL, hash BLOB NOT NULL,
  PRIMARY KEY (level, place)) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
CREATE TABLE signer (vkey TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE open_call (
  run INTEGER NOT NULL, block INTEGER NOT NULL, calls BLOB NOT NULL,
  PRIMARY KEY (run, block)) STRICT, WITHOUT ROWID;
CREATE TABLE slot (
  key INTEGER NOT NULL, intent INTEGER NOT NULL, places INTEGER NOT NULL,
  PRIMARY KEY (key, intent)) STRICT, WITHOUT ROWID;
CREATE INDEX slot_intent ON slot (intent);
CREATE TABLE limit_key (
  id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE,
  server TEXT, scope TEXT NOT NULL, value TEXT, tool TEXT NOT NULL, counter TEXT NOT NULL,
  keep INTEGER NOT NULL, used BLOB NOT NULL, entries INTEGER NOT NULL) STRICT;
CREATE TABLE limit_entry (
  key INTEGER NOT NULL, at INTEGER NOT NULL, amount BLOB NOT NULL,
  PRIMARY KEY (key, at)) STRICT, WITHOUT ROWID;
CREATE TABLE limit_in_force (
  run INTEGER NOT NULL, server TEXT NOT NULL, counter TEXT NOT NULL, scope TEXT NOT NULL, tool TEXT,
  length INTEGER, calendar INTEGER NOT NULL, max BLOB, places INTEGER) STRICT;
CREATE INDEX limit_in_force_key ON limit_in_force (counter, scope);
CREATE TABLE recorded (intent INTEGER PRIMARY KEY, salt BLOB NOT NULL, content TEXT NOT NULL) STRICT;
CREATE TABLE archived_open (call BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE denied (
  server TEXT NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (server, rule, reason)) STRICT, WITHOUT ROWID;
CREATE TABLE caller_grant (
  id TEXT PRIMARY KEY, label TEXT NOT NULL, token BLOB NOT NULL UNIQUE,
  created INTEGER NOT NULL, expires INTEGER, revoked INTEGER) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX caller_grant_label ON caller_grant (label) WHERE revoked IS NULL;
CREATE TABLE grant_server (
  caller TEXT NOT NULL, server TEXT NOT NULL, policy TEXT,
  PRIMARY KEY (caller, server)) STRICT, WITHOUT ROWID;
";

/// The table that came with the second version.
const IDENTITIES: &str = "
CREATE TABLE grant_identity (
  issuer TEXT NOT NULL, claim TEXT NOT NULL, value TEXT NOT NULL, caller TEXT NOT NULL,
  PRIMARY KEY (issuer, claim, value)) STRICT, WITHOUT ROWID;
CREATE INDEX grant_identity_caller ON grant_identity (caller);
";

/// The records that follow an intent, in the order of the log. Most outcomes come soon: looking through so
/// many records costs less than an entry in an index for each call.
pub(crate) const FOLLOWING: &str = "
SELECT seq, leaf, record FROM ledger WHERE seq > ?1 AND seq <= ?1 + 512 AND intent = ?1
UNION ALL SELECT seq, leaf, record FROM ledger WHERE intent = ?1 AND seq - intent > 512 ORDER BY seq";

/// Opens the database for writing and makes its tables where they are missing. The caller holds the write
/// lock, so that of two processes that start at once one makes them.
pub(crate) fn open(folder: &Folder, durability: Durability, origin: &str) -> Result<Connection, OpenError> {
    folder.make_database_file()?;
    let path = folder.database();
    let sorted = |error: rusqlite::Error| OpenError::from_sqlite(&path, &error);
    let mut conn = connect(folder, durability).map_err(sorted)?;
    match version(&conn).map_err(sorted)? {
        0 => {}
        SCHEMA_VERSION => return Ok(conn),
        SCHEMA_BEFORE => {
            raise(&mut conn).map_err(sorted)?;
            return Ok(conn);
        }
        found => {
            return Err(OpenError::Newer {
                path,
                found,
                known: SCHEMA_VERSION,
            });
        }
    }
    let known: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sorted)?;
    if known > 0 {
        return Err(OpenError::Damaged {
            path,
            reason: "it is a database of another program".to_owned(),
        });
    }
    make(&mut conn, origin).map_err(sorted)?;
    Ok(conn)
}

fn make(conn: &mut Connection, origin: &str) -> rusqlite::Result<()> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(IDENTITIES)?;
    transaction.execute("INSERT INTO meta VALUES ('origin', ?1)", [origin])?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

/// Adds what the version before lacks.
fn raise(conn: &mut Connection) -> rusqlite::Result<()> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(IDENTITIES)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

/// A connection that writes, its settings made.
pub(crate) fn connect(folder: &Folder, durability: Durability) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(folder.database(), flags)?;
    settle_in(&conn)?;
    // Reading first: a file that is no database, or a newer one, must not be changed to WAL.
    if version(&conn)? <= SCHEMA_VERSION {
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    }
    conn.pragma_update(None, "synchronous", durability.synchronous())?;
    conn.pragma_update_and_check(None, "wal_autocheckpoint", WAL_PAGES_MAX, |_| Ok(()))?;
    conn.pragma_update(None, "cache_size", -CACHE_KIBIBYTES)?;
    Ok(conn)
}

/// A connection that only reads.
pub(crate) fn connect_reader(folder: &Folder) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(folder.database(), flags)?;
    settle_in(&conn)?;
    Ok(conn)
}

fn settle_in(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "temp_store", "MEMORY")
}

pub(crate) fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// A text of `meta`.
pub(crate) fn meta_text(conn: &Connection, name: &str) -> Result<Option<String>, Failure> {
    Ok(conn
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

/// A number of `meta`.
pub(crate) fn meta_number(conn: &Connection, name: &str) -> Result<Option<i64>, Failure> {
    Ok(conn
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

/// Sets a value of `meta`.
pub(crate) fn set_meta(conn: &Connection, name: &str, value: &dyn rusqlite::ToSql) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?
    .execute(rusqlite::params![name, value])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_an_intent_is_found_without_going_through_the_ledger() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(TABLES).unwrap();
        let mut select = conn.prepare(&format!("EXPLAIN QUERY PLAN {FOLLOWING}")).unwrap();
        let steps: Vec<String> = select
            .query_map([1], |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(
            steps.iter().any(|step| step.contains("INDEX ledger_intent")),
            "{steps:?}"
        );
        assert!(
            !steps.iter().any(|step| step.starts_with("SCAN ledger")),
            "{steps:?}"
        );
    }
}
