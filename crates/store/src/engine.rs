//! What is done inside transactions. One thread a process owns an [`Engine`].

mod batch;
mod open;
mod reap;

pub(crate) use batch::{Batch, Ended, intent_of};
pub(crate) use open::count_open;
pub(crate) use reap::{Life, life};

use crate::clock::{Base, Clock, from_micros};
use crate::counters::KnownKeys;
use crate::error::{Failure, OpenError};
use crate::folder::Folder;
use crate::in_force;
use crate::options::{RunInfo, StoreOptions};
use crate::refusals::{Refusals, Space};
use crate::schema;
use crate::secrets::{FingerprintKey, random};
use crate::stats::Committed;
use callgate_core::limit::{Charge, StoreTime};
use callgate_ledger::record::{PolicyInUse, Start};
use callgate_ledger::{CallId, Digest, RunId, Text};
use open::OpenBlocks;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Space that only intents and outcomes may use.
pub(crate) const RESERVE_BYTES: u64 = 64 << 20;
/// How often the free space is asked for.
const SPACE_PERIOD: Duration = Duration::from_secs(1);

/// The writing side of a state folder.
#[derive(Debug)]
pub(crate) struct Engine {
    conn: Connection,
    folder: Folder,
    durability: crate::Durability,
    write_lock: File,
    /// Held for the life of the run: whoever gets it knows that the run is gone.
    run_lock: File,
    clock: Arc<dyn Clock>,
    base: Base,
    secret: FingerprintKey,
    run: Run,
    /// Calls that this run admitted and has not settled.
    open: HashMap<CallId, Open>,
    /// The same, as the database holds it.
    blocks: OpenBlocks,
    known: KnownKeys,
    pub(crate) refusals: Refusals,
    space: (Space, Option<Instant>),
    /// Whether the connection has to be made anew before it is used.
    doubt: Doubt,
    buffer: Vec<u8>,
    /// The database's file, which must stay the one at its path.
    file: FileId,
    /// Up to which limit the last sweep went.
    swept: i64,
    committed: Arc<Committed>,
}

/// What a file is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// Does not open the file: closing it again would drop the locks that SQLite holds in this process.
    fn of(path: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

/// Whether the lock among processes is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    Yes,
    No,
}

/// One run of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) row: i64,
}

/// A call in flight: what a refund takes back, and whether it holds places.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) charges: Vec<Charge>,
    pub(crate) places: Places,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Places {
    None,
    Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    Reconnect,
}

impl Engine {
    /// Opens the folder, takes over what runs that are gone have left, and writes this run's `start`.
    pub(crate) fn open(options: &StoreOptions, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let mut engine = Self::attach(&options.dir, options.durability, clock)?;
        let begun = engine.begin_run(&options.run).and_then(|()| engine.reap());
        if let Err(failure) = begun {
            let error = OpenError::from_failure(&engine.folder.database(), failure);
            remove_quietly(&engine.folder.run_lock_path(engine.run.id));
            return Err(error);
        }
        Ok(engine)
    }

    /// Opens the folder to append a record or two, by a process that serves nothing: it has no `start` and
    /// is not among the runs.
    pub(crate) fn attach(
        dir: &Path,
        durability: crate::Durability,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let folder = Folder::prepare(dir)?;
        let failed = |error| OpenError::from_io(folder.dir(), error);
        let secret = FingerprintKey::new(&folder.fingerprint_key()?);
        let write_lock = folder.write_lock()?;
        let name: [u8; 8] = random().map_err(failed)?;
        let origin = format!("callgate-{:016x}", u64::from_be_bytes(name));
        let id = RunId(random().map_err(failed)?);
        let run_lock = folder.hold_run(id)?;
        let opened = open_locked(&folder, durability, &write_lock, &origin, &*clock);
        let (conn, base) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                remove_quietly(&folder.run_lock_path(id));
                return Err(error);
            }
        };
        let file = FileId::of(&folder.database()).map_err(failed)?;
        Ok(Self {
            conn,
            folder,
            durability,
            write_lock,
            run_lock,
            clock,
            base,
            secret,
            run: Run { id, row: 0 },
            open: HashMap::new(),
            blocks: OpenBlocks::default(),
            known: KnownKeys::default(),
            refusals: Refusals::default(),
            space: (Space::Enough, None),
            doubt: Doubt::None,
            buffer: Vec::new(),
            file,
            swept: 0,
            committed: Arc::default(),
        })
    }

    fn begin_run(&mut self, info: &RunInfo) -> Result<(), Failure> {
        let start = Start {
            durability: self.durability.recorded(),
            mode: info.mode,
            policies: info
                .policies
                .iter()
                .map(|policy| PolicyInUse {
                    policy: Digest(policy.digest),
                    server: policy.server.as_str().into(),
                })
                .collect(),
            version: Text::new(&info.version),
        };
        let (id, label) = (self.run.id, info.label.clone());
        self.run.row = self.transact(|batch| {
            batch.append(start.into(), None)?;
            batch.conn.execute(
                "INSERT INTO run (run, pid, label, started) VALUES (?1, ?2, ?3, ?4)",
                params![id.as_bytes(), std::process::id(), label, batch.at()?],
            )?;
            let row = batch.conn.last_insert_rowid();
            for policy in &info.policies {
                in_force::put(batch.conn, row, policy, batch.now)?;
            }
            Ok(row)
        })?;
        Ok(())
    }

    /// The store's present time, for whoever asks outside a transaction.
    pub(crate) fn time(&self) -> (Base, Arc<dyn Clock>) {
        (self.base.clone(), Arc::clone(&self.clock))
    }

    /// What is counted of its transactions.
    pub(crate) const fn committed(&self) -> &Arc<Committed> {
        &self.committed
    }

    pub(crate) const fn secret(&self) -> &FingerprintKey {
        &self.secret
    }

    pub(crate) const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The path of this run's lock file, which is removed when the run has ended.
    pub(crate) fn run_lock_path(&self) -> PathBuf {
        self.folder.run_lock_path(self.run.id)
    }

    /// Does `work` in one transaction, alone among all processes; undone as a whole where it fails.
    pub(crate) fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.write_lock.lock()?;
        self.transact_held(work)
    }

    /// Takes the lock among processes where it is free, for [`Engine::transact_held`].
    pub(crate) fn try_hold(&self) -> Held {
        // A lock that cannot be had at all is told by the thread that waits for it.
        match self.write_lock.try_lock() {
            Ok(()) => Held::Yes,
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => Held::No,
        }
    }

    /// As [`Engine::transact`], where the lock among processes is held. It is given back.
    pub(crate) fn transact_held<T>(
        &mut self,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let result = self.prepare().and_then(|space| self.transact_locked(space, work));
        let unlocked = self.write_lock.unlock();
        match result {
            Ok((value, ended)) => {
                for call in ended.closed {
                    self.open.remove(&call);
                }
                self.open.extend(ended.opened);
                self.blocks.commit(ended.turned);
                self.committed.add(ended.records);
                unlocked?;
                Ok(value)
            }
            Err(failure) => {
                self.known.forget();
                if !matches!(failure.cause(), crate::Cause::Full | crate::Cause::Locked) {
                    self.doubt = Doubt::Reconnect;
                }
                Err(failure)
            }
        }
    }

    /// Sees to it that there is something to write to.
    fn prepare(&mut self) -> Result<Space, Failure> {
        let space = self.space()?;
        if self.doubt == Doubt::Reconnect {
            self.conn = schema::connect(&self.folder, self.durability)?;
            self.doubt = Doubt::None;
        }
        Ok(space)
    }

    fn transact_locked<T>(
        &mut self,
        space: Space,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, Failure>,
    ) -> Result<(T, Ended), Failure> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let result = self.work(space, work).and_then(|done| {
            self.conn.prepare_cached("COMMIT")?.execute([])?;
            Ok(done)
        });
        // Some failures undo the transaction by themselves. The lock is still held here, so no other
        // process meets one that is half undone.
        if result.is_err() && !self.conn.is_autocommit() {
            let undone = self.conn.execute_batch("ROLLBACK");
            if undone.is_err() {
                self.doubt = Doubt::Reconnect;
            }
        }
        result
    }

    fn work<T>(
        &mut self,
        space: Space,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, Failure>,
    ) -> Result<(T, Ended), Failure> {
        let (next, last) = tail(&self.conn)?;
        let now = self.base.now(&*self.clock, last);
        let mut batch = Batch::new(self, now, next, space);
        let value = work(&mut batch)?;
        let ended = batch.finish()?;
        Ok((value, ended))
    }

    /// Whether refusals may be recorded. The file system is asked at most once a second, and then also
    /// whether the database still is the one at its path: what is written to a file that was removed is lost.
    fn space(&mut self) -> Result<Space, Failure> {
        if self.space.1.is_some_and(|asked| asked.elapsed() < SPACE_PERIOD) {
            return Ok(self.space.0);
        }
        self.space.1 = None;
        if !FileId::of(&self.folder.database()).is_ok_and(|file| file == self.file) {
            return Err(Failure::Damaged(
                "the database was moved away or replaced; restart callgate",
            ));
        }
        let space = match self.folder.available() {
            Ok(bytes) if bytes < RESERVE_BYTES => Space::Reserved,
            Ok(_) | Err(_) => Space::Enough,
        };
        self.space = (space, Some(Instant::now()));
        Ok(space)
    }

    pub(crate) fn open_calls(&self) -> Vec<CallId> {
        self.open.keys().copied().collect()
    }

    /// Ends the run: its lock file goes, and its lock with it.
    pub(crate) fn leave(self) {
        remove_quietly(&self.run_lock_path());
        drop(self.run_lock);
    }
}

/// The lock files of ended runs mean nothing any more; one that stays costs a few bytes.
pub(crate) fn remove_quietly(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::debug!(path = %path.display(), cause = %error, "a lock file was not removed");
    }
}

/// The number that the next record gets, and the time of the last one.
pub(crate) fn tail(conn: &Connection) -> Result<(i64, StoreTime), Failure> {
    let last: Option<(i64, i64)> = conn
        .prepare_cached("SELECT seq, at FROM ledger ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match last {
        None => Ok((0, StoreTime(0))),
        Some((seq, at)) => Ok((seq + 1, from_micros(crate::counters::unstored(at)?))),
    }
}

fn open_locked(
    folder: &Folder,
    durability: crate::Durability,
    lock: &File,
    origin: &str,
    clock: &dyn Clock,
) -> Result<(Connection, Base), OpenError> {
    let failed = |error| OpenError::from_io(folder.dir(), error);
    lock.lock().map_err(failed)?;
    let opened = schema::open(folder, durability, origin).and_then(|conn| {
        let base = resume_clock(&conn, clock)
            .map_err(|failure| OpenError::from_failure(&folder.database(), failure))?;
        Ok((conn, base))
    });
    lock.unlock().map_err(failed)?;
    opened
}

fn resume_clock(conn: &Connection, clock: &dyn Clock) -> Result<Base, Failure> {
    let id = schema::meta_text(conn, "boot_id")?;
    let offset = schema::meta_number(conn, "boot_offset")?;
    let stored = id.zip(offset);
    let (_, last) = tail(conn)?;
    let base = Base::resume(clock, stored.clone(), last);
    if let Base::Boot { id, offset } = &base
        && stored.as_ref() != Some(&(id.clone(), *offset))
    {
        let transaction = conn.unchecked_transaction()?;
        schema::set_meta(conn, "boot_id", id)?;
        schema::set_meta(conn, "boot_offset", offset)?;
        transaction.commit()?;
    }
    Ok(base)
}
