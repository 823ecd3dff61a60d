//! Moving old records to a file that still verifies.

use crate::clock::micros;
use crate::counters::stored;
use crate::error::{Failure, ReadError};
use crate::folder::Folder;
use crate::keeper::{STORED_LEVEL_MIN, node};
use crate::options::Durability;
use crate::reader::Reader;
use crate::schema;
use callgate_core::limit::StoreTime;
use callgate_ledger::export::{
    ExportError, Header, Trust, verify_export, write_checkpoint, write_header, write_record,
};
use callgate_ledger::tree::LEVEL_MAX;
use callgate_ledger::{Body, CallId, Frontier, Record, Uint53};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// How many records are taken out in one transaction, so that no call waits long for it.
const TAKEN_OUT_MAX: u64 = 500;

/// A file that records were moved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The file, an export as `callgate ledger export` writes it.
    pub path: PathBuf,
    /// The number of its first record, and the number after its last.
    pub records: std::ops::Range<u64>,
}

/// Why records were not moved.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The state cannot be read or written.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The archive cannot be written.
    #[error("cannot write the archive {path}: {source}; nothing was moved", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The records do not verify, so they stay where they are.
    #[error("the records do not verify, and stay where they are: {0}")]
    Verify(#[from] ExportError),
}

impl From<Failure> for PruneError {
    fn from(failure: Failure) -> Self {
        Self::Read(failure.into())
    }
}

impl From<rusqlite::Error> for PruneError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Read(error.into())
    }
}

/// Moves the records before `before`, as far as a checkpoint covers them, to a file in `archive`, while gates
/// run or not. The file is verified and synced before anything is taken out. `None` where there is nothing
/// to move.
///
/// # Errors
/// [`PruneError`]; records are never in neither place.
pub fn prune(dir: &Path, before: StoreTime, archive: &Path) -> Result<Option<Archive>, PruneError> {
    let reader = Reader::open(dir)?;
    let first = reader.range()?.start;
    let Some(end) = signed_end(&reader, before)?.filter(|end| *end > first) else {
        return Ok(None);
    };
    let path = archive.join(format!("ledger-{first:016}-{end:016}.jsonl"));
    let bytes = export(&reader, first, end)?;
    verify_export(&bytes, Trust::default())?;
    write_whole(&path, &bytes).map_err(|source| PruneError::Write {
        path: path.clone(),
        source,
    })?;
    take_out(dir, first, end)?;
    Ok(Some(Archive {
        path,
        records: first..end,
    }))
}

/// The size of the last checkpoint that covers only records before `before`, and not the log's last.
fn signed_end(reader: &Reader, before: StoreTime) -> Result<Option<u64>, PruneError> {
    let last = reader.range()?.end.saturating_sub(1);
    let mut sizes = reader.checkpoints()?;
    while let Some((size, _)) = sizes.pop() {
        if size > last {
            continue;
        }
        let next = reader.entries(size).next().transpose()?;
        let old = match next {
            Some(entry) => entry.record()?.at.get() <= micros(before),
            None => false,
        };
        if old {
            return Ok(Some(size));
        }
    }
    Ok(None)
}

fn export(reader: &Reader, first: u64, end: u64) -> Result<Vec<u8>, PruneError> {
    let damaged = |what: &str| ReadError::Damaged(what.to_owned());
    let mut keys = reader.keys()?;
    let vkey = keys.pop().ok_or_else(|| damaged("no key signed the log"))?;
    let header = Header {
        origin: reader.origin()?,
        vkey,
        prefix: reader.prefix()?,
        size: Uint53::saturating(end),
    };
    let mut out = Vec::new();
    write_header(&header, &mut out);
    let mut checkpoints = reader.checkpoints()?.into_iter().peekable();
    for entry in reader.entries(first) {
        let entry = entry?;
        if entry.seq >= end {
            break;
        }
        write_record(&entry.bytes, &mut out);
        while let Some((_, note)) = checkpoints.next_if(|(size, _)| *size == entry.seq + 1) {
            write_checkpoint(&note, &mut out);
        }
    }
    Ok(out)
}

/// Writes the file under another name first, so that no half of it is ever taken for the whole.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn take_out(dir: &Path, first: u64, end: u64) -> Result<(), PruneError> {
    let folder = Folder::existing(dir);
    let lock = folder.write_lock().map_err(ReadError::from)?;
    let conn = schema::connect(&folder, Durability::Disk)?;
    let mut from = first;
    while from < end {
        let to = end.min(from + TAKEN_OUT_MAX);
        lock.lock().map_err(Failure::from)?;
        let taken = take_out_some(&conn, from, to);
        lock.unlock().map_err(Failure::from)?;
        taken?;
        from = to;
    }
    lock.lock().map_err(Failure::from)?;
    let trimmed = trim_tree(&conn, end);
    lock.unlock().map_err(Failure::from)?;
    Ok(trimmed?)
}

/// Takes out the records from `from` up to `to`. What a verifier has to know of them stays: the calls that
/// are open there, and what the tree is grown from.
fn take_out_some(conn: &Connection, from: u64, to: u64) -> Result<(), Failure> {
    let transaction = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    let first: Option<i64> = transaction
        .prepare_cached("SELECT seq FROM ledger ORDER BY seq LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if first != Some(stored(from)?) {
        return Err(Failure::Damaged(
            "another process takes records out at the same time",
        ));
    }
    let span = [stored(from)?, stored(to)?];
    {
        let mut select =
            transaction.prepare_cached("SELECT record FROM ledger WHERE seq >= ?1 AND seq < ?2")?;
        let mut rows = select.query(span)?;
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            let record =
                Record::decode(bytes).map_err(|_| Failure::Damaged("a record cannot be read back"))?;
            follow_open(&transaction, &record)?;
        }
    }
    for id in Frontier::node_ids(to).filter(|id| id.level < STORED_LEVEL_MIN) {
        let hash = node(&transaction, id)?.ok_or(Failure::Damaged("a leaf is missing"))?;
        transaction
            .prepare_cached("INSERT OR REPLACE INTO node VALUES (?1, ?2, ?3)")?
            .execute(params![id.level, stored(id.index)?, hash.as_bytes()])?;
    }
    for sql in [
        "DELETE FROM recorded WHERE intent >= ?1 AND intent < ?2",
        "DELETE FROM checkpoint WHERE size > ?1 AND size <= ?2",
        "DELETE FROM ledger WHERE seq >= ?1 AND seq < ?2",
    ] {
        transaction.prepare_cached(sql)?.execute(span)?;
    }
    Ok(transaction.commit()?)
}

fn follow_open(conn: &Connection, record: &Record) -> Result<(), Failure> {
    let change = |sql: &str, call: CallId| -> Result<(), Failure> {
        conn.prepare_cached(sql)?.execute([call.as_bytes()])?;
        Ok(())
    };
    match &record.body {
        Body::Intent(intent) => change("INSERT INTO archived_open VALUES (?1)", intent.call),
        Body::Outcome(outcome) => change("DELETE FROM archived_open WHERE call = ?1", outcome.call),
        Body::Denial(_)
        | Body::Malformed(_)
        | Body::AuthFailure(_)
        | Body::Start(_)
        | Body::Stop(_)
        | Body::Reload(_)
        | Body::Late(_)
        | Body::TaskEnd(_)
        | Body::Suppressed(_)
        | Body::Drop(_)
        | Body::List(_)
        | Body::GrantChange(_) => Ok(()),
    }
}

/// Of the tree before `end` only the frontier stays: proofs for later records need no more.
fn trim_tree(conn: &Connection, end: u64) -> Result<(), Failure> {
    let transaction = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    let mut frontier = Vec::new();
    for id in Frontier::node_ids(end) {
        let hash = node(&transaction, id)?.ok_or(Failure::Damaged("a node of the tree is missing"))?;
        frontier.push((id, hash));
    }
    for level in 0..=LEVEL_MAX {
        transaction
            .prepare_cached("DELETE FROM node WHERE level = ?1 AND place < ?2")?
            .execute(params![level, stored(end >> level)?])?;
    }
    for (id, hash) in frontier {
        transaction
            .prepare_cached("INSERT INTO node VALUES (?1, ?2, ?3)")?
            .execute(params![id.level, stored(id.index)?, hash.as_bytes()])?;
    }
    Ok(transaction.commit()?)
}
