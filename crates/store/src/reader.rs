//! The reading side of a state folder: for it no gate has to run, and gates may.

use crate::clock::{Base, Clock, from_micros};
use crate::counters::{amount_of, stored, sum_after, unstored};
use crate::engine::{Life, count_open, intent_of, life, tail};
use crate::error::{Failure, OpenError, ReadError};
use crate::folder::Folder;
use crate::in_force::Looks;
use crate::keeper::node;
use crate::schema::{self, SCHEMA_BEFORE, SCHEMA_VERSION};
use callgate_core::amount::Amount;
use callgate_core::limit::{StoreTime, Window, cutoff};
use callgate_ledger::Prefix;
use callgate_ledger::{Body, CallId, Frontier, Hash, NodeId, Record, RunId, TreeReader, VerifierKey};
use rusqlite::{Connection, OptionalExtension as _, Row};
use std::path::Path;
use std::time::Duration;

/// How many records are read at once.
const PAGE: usize = 256;

/// A state folder, open for reading.
#[derive(Debug)]
pub struct Reader {
    conn: Connection,
    folder: Folder,
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The number that it is stored under.
    pub seq: u64,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
    /// The leaf hash that is stored with it.
    pub leaf: Hash,
}

impl Entry {
    /// Reads the record.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] where the bytes are none.
    pub fn record(&self) -> Result<Record, ReadError> {
        Record::decode(&self.bytes)
            .map_err(|error| ReadError::Damaged(format!("record {}: {error}", self.seq)))
    }

    fn of(row: &Row<'_>) -> rusqlite::Result<(i64, Self)> {
        let seq: i64 = row.get(0)?;
        let entry = Self {
            seq: u64::try_from(seq).unwrap_or_default(),
            leaf: Hash(row.get(1)?),
            bytes: row.get(2)?,
        };
        Ok((seq, entry))
    }
}

/// All that is kept of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecords {
    /// Its intent.
    pub intent: Entry,
    /// Its outcome and what came after, in the order of the log.
    pub following: Vec<Entry>,
    /// The argument values that the policy opted in, as JSON text, where they are not erased.
    pub values: Option<String>,
}

/// A limit with calls in its window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitInUse {
    /// The server; `None` over all servers.
    pub server: Option<String>,
    /// What it is counted by: `grant`, `session`, `tool`, `server`, `global`, or an argument's path.
    pub scope: String,
    /// The grant's or session's name; for an argument its fingerprint.
    pub value: Option<String>,
    /// The tool's part of the key.
    pub tool: String,
    /// The counter.
    pub counter: String,
    /// The windows that gates look at it through, the shortest first.
    pub windows: Vec<WindowInUse>,
    /// How many calls hold a place of it.
    pub in_flight: u32,
    /// How many places there are, where they are limited.
    pub places: Option<u32>,
    id: i64,
}

/// A window on a limit's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowInUse {
    /// The window.
    pub window: Window,
    /// How much may be used within it, as far as a gate says.
    pub max: Option<Amount>,
    /// What is used within it.
    pub used: Amount,
}

/// A run of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunState {
    /// Its name in the records.
    pub run: RunId,
    /// Its process.
    pub pid: u32,
    /// What it says of itself.
    pub label: String,
    /// When it began.
    pub started: StoreTime,
    /// Whether it lives.
    pub status: RunStatus,
    /// How many of its calls have no outcome yet.
    pub open_calls: u64,
}

/// Whether a run lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// Its process holds its lock file.
    Lives,
    /// Its process is gone, and no other has closed its calls yet.
    Gone,
    /// It has ended.
    Ended {
        /// When, or when it was found gone.
        at: StoreTime,
    },
}

/// How often a rule denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenialCount {
    /// The server; empty where the call could not be routed.
    pub server: String,
    /// The rule; empty where none decided.
    pub rule: String,
    /// The reason code.
    pub reason: String,
    /// How often.
    pub count: u64,
}

impl Reader {
    /// Opens the folder of a gate, running or not.
    ///
    /// # Errors
    /// [`ReadError`] where there is no state, or it cannot be read.
    pub fn open(dir: &Path) -> Result<Self, ReadError> {
        let folder = Folder::existing(dir);
        let path = folder.database();
        if !path.exists() {
            return Err(ReadError::Missing { path: dir.to_owned() });
        }
        let sorted = |error: rusqlite::Error| OpenError::from_sqlite(&path, &error);
        let conn = schema::connect_reader(&folder).map_err(sorted)?;
        match schema::version(&conn).map_err(sorted)? {
            0 => Err(ReadError::Missing { path: dir.to_owned() }),
            SCHEMA_BEFORE | SCHEMA_VERSION => Ok(Self { conn, folder }),
            found => Err(OpenError::Newer {
                path,
                found,
                known: SCHEMA_VERSION,
            }
            .into()),
        }
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.conn
    }

    /// The number of the first record that is kept here, and the number after the last.
    ///
    /// # Errors
    /// [`ReadError`] where it cannot be read.
    pub fn range(&self) -> Result<std::ops::Range<u64>, ReadError> {
        let (end, _) = tail(&self.conn)?;
        let first: Option<i64> = self
            .conn
            .prepare_cached("SELECT seq FROM ledger ORDER BY seq LIMIT 1")?
            .query_row([], |row| row.get(0))
            .optional()?;
        Ok(unstored(first.unwrap_or(end))?..unstored(end)?)
    }

    /// The records from number `from` on, in the order of the log. Those that come while it is read are
    /// among them.
    pub fn entries(&self, from: u64) -> impl Iterator<Item = Result<Entry, ReadError>> {
        let mut next = from;
        let mut page = Vec::new().into_iter();
        std::iter::from_fn(move || {
            if let Some(entry) = page.next() {
                return Some(Ok(entry));
            }
            match self.page(next) {
                Ok(entries) => {
                    next = entries.last().map_or(next, |last| last.seq + 1);
                    page = entries.into_iter();
                    page.next().map(Ok)
                }
                Err(error) => Some(Err(error)),
            }
        })
    }

    fn page(&self, from: u64) -> Result<Vec<Entry>, ReadError> {
        let mut select = self
            .conn
            .prepare_cached("SELECT seq, leaf, record FROM ledger WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?;
        let most = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let entries = select.query_map([stored(from)?, most], |row| Ok(Entry::of(row)?.1))?;
        Ok(entries.collect::<Result<_, _>>()?)
    }

    /// All records of one call; `None` where there is no such call.
    ///
    /// # Errors
    /// [`ReadError`] where they cannot be read.
    pub fn call(&self, call: CallId) -> Result<Option<CallRecords>, ReadError> {
        let Ok(number) = intent_of(call) else {
            return Ok(None);
        };
        let intent = self
            .conn
            .prepare_cached("SELECT seq, leaf, record FROM ledger WHERE seq = ?1")?
            .query_row([number], |row| Ok(Entry::of(row)?.1))
            .optional()?;
        let Some(intent) = intent else {
            return Ok(None);
        };
        if !matches!(intent.record()?.body, Body::Intent(body) if body.call == call) {
            return Ok(None);
        }
        let following = self
            .conn
            .prepare_cached(schema::FOLLOWING)?
            .query_map([number], |row| Ok(Entry::of(row)?.1))?
            .collect::<Result<_, _>>()?;
        let values = self
            .conn
            .prepare_cached("SELECT content FROM recorded WHERE intent = ?1")?
            .query_row([number], |row| row.get(0))
            .optional()?;
        Ok(Some(CallRecords {
            intent,
            following,
            values,
        }))
    }

    /// The log's name, which its checkpoints carry.
    ///
    /// # Errors
    /// [`ReadError`] where it cannot be read.
    pub fn origin(&self) -> Result<String, ReadError> {
        schema::meta_text(&self.conn, "origin")?
            .ok_or_else(|| ReadError::Damaged("the log has no name".to_owned()))
    }

    /// The keys that ever signed a checkpoint here, as the folder itself says.
    ///
    /// # Errors
    /// [`ReadError`] where they cannot be read.
    pub fn keys(&self) -> Result<Vec<VerifierKey>, ReadError> {
        let mut select = self
            .conn
            .prepare_cached("SELECT vkey FROM signer ORDER BY vkey")?;
        let texts: Vec<String> = select
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        texts
            .iter()
            .map(|text| {
                text.parse()
                    .map_err(|error| ReadError::Damaged(format!("a key: {error}")))
            })
            .collect()
    }

    /// The signed checkpoints, each with its size, smallest first.
    ///
    /// # Errors
    /// [`ReadError`] where they cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<(u64, String)>, ReadError> {
        let mut select = self
            .conn
            .prepare_cached("SELECT size, note FROM checkpoint ORDER BY size")?;
        let rows: Vec<(i64, String)> = select
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        rows.into_iter()
            .map(|(size, note)| Ok((unstored(size)?, note)))
            .collect()
    }

    /// The last signed checkpoint, with its size.
    ///
    /// # Errors
    /// [`ReadError`] where it cannot be read.
    pub fn last_checkpoint(&self) -> Result<Option<(u64, String)>, ReadError> {
        let row: Option<(i64, String)> = self
            .conn
            .prepare_cached("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        row.map(|(size, note)| Ok((unstored(size)?, note))).transpose()
    }

    /// How many records are in the tree: proofs can be made up to this size.
    ///
    /// # Errors
    /// [`ReadError`] where it cannot be read.
    pub fn tree_size(&self) -> Result<u64, ReadError> {
        Ok(unstored(
            schema::meta_number(&self.conn, "tree_size")?.unwrap_or(0),
        )?)
    }

    /// What lies before the first record that is kept here, for a verifier to begin with.
    ///
    /// # Errors
    /// [`ReadError`] where it cannot be read.
    pub fn prefix(&self) -> Result<Prefix, ReadError> {
        let first = self.range()?.start;
        let nodes = Frontier::node_ids(first)
            .map(|id| self.node(id))
            .collect::<Result<Vec<_>, _>>()?;
        let frontier =
            Frontier::from_parts(first, nodes).map_err(|error| ReadError::Damaged(error.to_string()))?;
        let mut select = self
            .conn
            .prepare_cached("SELECT call FROM archived_open ORDER BY call")?;
        let open = select
            .query_map([], |row| Ok(CallId(row.get(0)?)))?
            .collect::<Result<_, _>>()?;
        Ok(Prefix { frontier, open })
    }

    /// The limits with something in their windows at the store's present time.
    ///
    /// # Errors
    /// [`ReadError`] where they cannot be read.
    pub fn limits(&self, clock: &dyn Clock) -> Result<Vec<LimitInUse>, ReadError> {
        let now = self.now(clock)?;
        let mut select = self.conn.prepare_cached(
            "SELECT id, server, scope, value, tool, counter, keep,
               (SELECT coalesce(sum(places), 0) FROM slot WHERE key = id)
             FROM limit_key ORDER BY server, tool, counter, scope, value",
        )?;
        let mut rows = select.query([])?;
        let mut limits = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, keep) = (row.get(0)?, Duration::from_nanos(unstored(row.get(6)?)?));
            let in_flight = row.get(7)?;
            let longest = cutoff(Window::Sliding(keep), now).0;
            if in_flight == 0 && sum_after(&self.conn, id, Some(longest))?.1 == 0 {
                continue;
            }
            let looks = Looks::at(&self.conn, id)?;
            limits.push(LimitInUse {
                id,
                server: row.get(1)?,
                scope: row.get(2)?,
                value: row.get(3)?,
                tool: row.get(4)?,
                counter: row.get(5)?,
                windows: self.windows_in_use(id, keep, looks.windows, now)?,
                in_flight,
                places: looks.places,
            });
        }
        Ok(limits)
    }

    fn windows_in_use(
        &self,
        id: i64,
        keep: Duration,
        mut windows: Vec<(Window, Option<Amount>)>,
        now: StoreTime,
    ) -> Result<Vec<WindowInUse>, ReadError> {
        if windows.is_empty() && !keep.is_zero() {
            windows.push((Window::Sliding(keep), None));
        }
        windows
            .into_iter()
            .map(|(window, max)| {
                let (used, _) = sum_after(&self.conn, id, Some(cutoff(window, now).0))?;
                Ok(WindowInUse { window, max, used })
            })
            .collect()
    }

    /// What a limit's history holds, the oldest first: at which time how much.
    ///
    /// # Errors
    /// [`ReadError`] where it cannot be read.
    pub fn history(&self, limit: &LimitInUse) -> Result<Vec<(StoreTime, Amount)>, ReadError> {
        let mut select = self
            .conn
            .prepare_cached("SELECT at, amount FROM limit_entry WHERE key = ?1 ORDER BY at")?;
        let mut rows = select.query([limit.id])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            let amount: Vec<u8> = row.get(1)?;
            entries.push((StoreTime(unstored(row.get(0)?)?), amount_of(&amount)?));
        }
        Ok(entries)
    }

    /// The store's present time.
    ///
    /// # Errors
    /// [`ReadError`] where it cannot be read.
    pub fn now(&self, clock: &dyn Clock) -> Result<StoreTime, ReadError> {
        let id = schema::meta_text(&self.conn, "boot_id")?;
        let offset = schema::meta_number(&self.conn, "boot_offset")?;
        let (_, last) = tail(&self.conn)?;
        Ok(Base::resume(clock, id.zip(offset), last).now(clock, last))
    }

    /// The runs that are kept, the newest first. Whether one lives the kernel says, by its lock file.
    ///
    /// # Errors
    /// [`ReadError`] where they cannot be read.
    pub fn runs(&self) -> Result<Vec<RunState>, ReadError> {
        let mut select = self
            .conn
            .prepare_cached("SELECT run, pid, label, started, ended, id FROM run ORDER BY id DESC")?;
        let mut rows = select.query([])?;
        let mut runs = Vec::new();
        while let Some(row) = rows.next()? {
            let run = RunId(row.get(0)?);
            let ended: Option<i64> = row.get(4)?;
            let status = match ended {
                Some(at) => RunStatus::Ended {
                    at: from_micros(unstored(at)?),
                },
                None => match life(&self.folder.run_lock_path(run)).map_err(Failure::from)? {
                    Life::Lives => RunStatus::Lives,
                    Life::Gone(_) => RunStatus::Gone,
                },
            };
            runs.push(RunState {
                run,
                pid: row.get(1)?,
                label: row.get(2)?,
                started: from_micros(unstored(row.get(3)?)?),
                status,
                open_calls: count_open(&self.conn, row.get(5)?)?,
            });
        }
        Ok(runs)
    }

    /// Denials counted by rule, the most frequent first.
    ///
    /// # Errors
    /// [`ReadError`] where they cannot be read.
    pub fn denials(&self) -> Result<Vec<DenialCount>, ReadError> {
        let mut select = self.conn.prepare_cached(
            "SELECT server, rule, reason, count FROM denied ORDER BY count DESC, server, rule, reason",
        )?;
        let mut rows = select.query([])?;
        let mut counts = Vec::new();
        while let Some(row) = rows.next()? {
            counts.push(DenialCount {
                server: row.get(0)?,
                rule: row.get(1)?,
                reason: row.get(2)?,
                count: unstored(row.get(3)?)?,
            });
        }
        Ok(counts)
    }
}

impl TreeReader for Reader {
    type Error = ReadError;

    fn node(&self, id: NodeId) -> Result<Hash, ReadError> {
        node(&self.conn, id)?.ok_or(ReadError::Node {
            level: id.level,
            index: id.index,
        })
    }
}
