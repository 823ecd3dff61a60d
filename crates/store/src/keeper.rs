//! The sequencer: whichever process holds its lock computes the tree's nodes and signs checkpoints.

use crate::counters::{stored, unstored};
use crate::engine::tail;
use crate::error::{Failure, OpenError};
use crate::folder::Folder;
use crate::options::StoreOptions;
use crate::schema;
use callgate_ledger::{Checkpoint, Frontier, Hash, NodeId, Signer, Uint53, VerifierKey, node_hash};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a checkpoint is signed while records come.
const CHECKPOINT_PERIOD: Duration = Duration::from_secs(1);
/// After how many records a checkpoint is signed before that.
const CHECKPOINT_RECORDS: i64 = 1_000;
/// How many leaves enter the tree in one transaction, so that no call waits long for it.
const LEAVES_MAX: i64 = 2_048;
/// The lowest level whose nodes are stored. Those below are made of at most 32 leaves, which lie with the
/// records, and storing them would cost every call more than they ever save.
pub(crate) const STORED_LEVEL_MIN: u8 = 6;
/// After how many records the WAL is moved to the database. Each time costs a writer one sync.
const SHORTEN_RECORDS: i64 = 5_000;
/// How long a process waits for its turn.
const TURN_MAX: Duration = Duration::from_secs(2);
const TURN_PERIOD: Duration = Duration::from_millis(2);

/// What the writer tells the keeper: how far the ledger has grown.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    state: Mutex<ActivityState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct ActivityState {
    size: i64,
    seen: i64,
    stop: Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stop {
    #[default]
    No,
    Asked,
}

impl Activity {
    fn state(&self) -> MutexGuard<'_, ActivityState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger has so many records now.
    pub(crate) fn wrote(&self, size: i64) {
        let mut state = self.state();
        let idle = state.size == state.seen;
        state.size = size;
        let due = size - state.seen >= CHECKPOINT_RECORDS;
        drop(state);
        if idle || due {
            self.changed.notify_one();
        }
    }

    pub(crate) fn stop(&self) {
        self.state().stop = Stop::Asked;
        self.changed.notify_one();
    }

    /// Waits for records, then for a second or a thousand of them, or for the end.
    fn wait(&self) -> Stop {
        let mut state = self.state();
        while state.size == state.seen && state.stop == Stop::No {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let until = Instant::now() + CHECKPOINT_PERIOD;
        while state.stop == Stop::No && state.size - state.seen < CHECKPOINT_RECORDS {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.seen = state.size;
        state.stop
    }
}

/// The keeper thread's state.
#[derive(Debug)]
pub(crate) struct Keeper {
    conn: Connection,
    folder: Folder,
    write_lock: File,
    sequencer: File,
    signer: Signer,
    origin: String,
    out: Option<(PathBuf, File)>,
    /// How many records there were when the WAL was shortened last.
    shortened: i64,
    /// The tree as this process has grown it; another one may have grown it further.
    grown: Frontier,
}

impl Keeper {
    pub(crate) fn open(folder: &Folder, options: &StoreOptions) -> Result<Self, OpenError> {
        let path = folder.database();
        let conn = schema::connect(folder, options.durability)
            .map_err(|error| OpenError::from_sqlite(&path, &error))?;
        let origin = schema::meta_text(&conn, "origin")
            .map_err(|failure| OpenError::from_failure(&path, failure))?
            .ok_or_else(|| OpenError::Damaged {
                path: path.clone(),
                reason: "the log has no name".to_owned(),
            })?;
        let seed = folder.ledger_seed(options.ledger_key.as_deref())?;
        let signer = Signer::from_seed(&origin, &seed).map_err(|error| OpenError::Damaged {
            path,
            reason: error.to_string(),
        })?;
        let out = match &options.checkpoint_out {
            None => None,
            Some(path) => {
                let file = OpenOptions::new()
                    .append(true)
                    .create(true)
                    .mode(0o600)
                    .open(path);
                let file = file.map_err(|error| OpenError::from_io(path, error))?;
                Some((path.clone(), file))
            }
        };
        Ok(Self {
            conn,
            write_lock: folder.write_lock()?,
            sequencer: folder.sequencer_lock()?,
            folder: folder.clone(),
            signer,
            origin,
            out,
            shortened: 0,
            grown: Frontier::new(),
        })
    }

    pub(crate) const fn verifier(&self) -> &VerifierKey {
        self.signer.verifier()
    }

    /// Works until it is told to stop, and once more then.
    pub(crate) fn run(mut self, activity: &Activity) {
        loop {
            let stop = activity.wait();
            if let Err(failure) = self.step() {
                tracing::warn!(cause = %failure, "no checkpoint could be written");
            }
            if stop == Stop::Asked {
                return;
            }
        }
    }

    /// Waits for this process's turn. It is held for one step only: an idle process must not keep another's
    /// records from being signed, nor a process that is stopped keep this one from ending.
    fn step(&mut self) -> Result<(), Failure> {
        let until = Instant::now() + TURN_MAX;
        loop {
            match self.sequencer.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(TURN_PERIOD),
                Err(TryLockError::WouldBlock) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        let stepped = self.step_locked().and_then(|()| self.shorten_wal());
        self.sequencer.unlock()?;
        stepped
    }

    /// Moves what is in the WAL to the database while others write on, so that no writer has to.
    fn shorten_wal(&mut self) -> Result<(), Failure> {
        let (size, _) = tail(&self.conn)?;
        if size - self.shortened < SHORTEN_RECORDS {
            return Ok(());
        }
        self.shortened = size;
        self.conn
            .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?
            .query_row([], |_| Ok(()))?;
        Ok(())
    }

    /// Takes the records that are safe into the tree and signs it.
    fn step_locked(&mut self) -> Result<(), Failure> {
        let (size, _) = tail(&self.conn)?;
        let signed = self.signed()?;
        if size <= signed {
            return Ok(());
        }
        self.make_safe()?;
        let mut frontier = self.frontier()?;
        loop {
            let from = stored(frontier.size())?;
            let to = size.min(from + LEAVES_MAX);
            let leaves = self.leaves(from, to)?;
            let nodes = grow(&mut frontier, &leaves);
            let note = if to == size {
                Some(self.sign(&frontier)?)
            } else {
                None
            };
            self.write(&nodes, to, note.as_deref())?;
            self.grown = frontier.clone();
            if let Some(note) = note {
                return self.hand_out(&note);
            }
        }
    }

    /// What is signed must not be lost with the power: everything committed so far is in the WAL or, synced
    /// by SQLite, in the database.
    fn make_safe(&self) -> Result<(), Failure> {
        match File::open(self.folder.wal()) {
            Ok(wal) => Ok(wal.sync_data()?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn signed(&self) -> Result<i64, Failure> {
        Ok(self
            .conn
            .prepare_cached("SELECT coalesce(max(size), 0) FROM checkpoint")?
            .query_row([], |row| row.get(0))?)
    }

    /// The tree as far as its nodes are stored.
    fn frontier(&self) -> Result<Frontier, Failure> {
        let size = schema::meta_number(&self.conn, "tree_size")?.unwrap_or(0);
        let size = unstored(size)?;
        if self.grown.size() == size {
            return Ok(self.grown.clone());
        }
        let nodes = Frontier::node_ids(size)
            .map(|id| node(&self.conn, id)?.ok_or(Failure::Damaged("a node of the tree is missing")))
            .collect::<Result<Vec<_>, _>>()?;
        Frontier::from_parts(size, nodes).map_err(|_| Failure::Damaged("the tree's size is out of range"))
    }

    fn leaves(&self, from: i64, to: i64) -> Result<Vec<Hash>, Failure> {
        let mut select = self
            .conn
            .prepare_cached("SELECT leaf FROM ledger WHERE seq >= ?1 AND seq < ?2 ORDER BY seq")?;
        let leaves: Vec<Hash> = select
            .query_map([from, to], |row| Ok(Hash(row.get(0)?)))?
            .collect::<Result<_, _>>()?;
        if i64::try_from(leaves.len()) == Ok(to - from) {
            Ok(leaves)
        } else {
            Err(Failure::Damaged("records are missing"))
        }
    }

    fn sign(&self, frontier: &Frontier) -> Result<String, Failure> {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: Uint53::saturating(frontier.size()),
            root: frontier.root(),
        };
        checkpoint
            .sign(&self.signer)
            .map_err(|_| Failure::Damaged("the log's name is not one line of text"))
    }

    fn write(&self, nodes: &[(NodeId, Hash)], size: i64, note: Option<&str>) -> Result<(), Failure> {
        self.write_lock.lock()?;
        let written = self.write_locked(nodes, size, note);
        self.write_lock.unlock()?;
        written
    }

    fn write_locked(&self, nodes: &[(NodeId, Hash)], size: i64, note: Option<&str>) -> Result<(), Failure> {
        let transaction =
            rusqlite::Transaction::new_unchecked(&self.conn, rusqlite::TransactionBehavior::Immediate)?;
        for (id, hash) in nodes {
            transaction
                .prepare_cached("INSERT INTO node VALUES (?1, ?2, ?3)")?
                .execute(params![id.level, stored(id.index)?, hash.as_bytes()])?;
        }
        schema::set_meta(&transaction, "tree_size", &size)?;
        if let Some(note) = note {
            transaction
                .prepare_cached("INSERT OR IGNORE INTO signer VALUES (?1)")?
                .execute([self.signer.verifier().to_string()])?;
            transaction
                .prepare_cached("INSERT INTO checkpoint VALUES (?1, ?2)")?
                .execute(params![size, note])?;
        }
        Ok(transaction.commit()?)
    }

    /// Appends a checkpoint to the file that is kept elsewhere, one note behind the other.
    fn hand_out(&mut self, note: &str) -> Result<(), Failure> {
        let Some((path, file)) = &mut self.out else {
            return Ok(());
        };
        let appended = file.write_all(note.as_bytes()).and_then(|()| file.sync_data());
        if let Err(error) = appended {
            tracing::warn!(path = %path.display(), cause = %error, "a checkpoint could not be appended");
        }
        Ok(())
    }
}

/// Adds leaves and gives those nodes that are complete now and stored.
fn grow(frontier: &mut Frontier, leaves: &[Hash]) -> Vec<(NodeId, Hash)> {
    let mut nodes = Vec::with_capacity(leaves.len());
    for leaf in leaves {
        frontier.push_with(*leaf, |id, hash| {
            if id.level >= STORED_LEVEL_MIN {
                nodes.push((id, hash));
            }
        });
    }
    nodes
}

/// A node of the tree; `None` where it is not kept, nor what it is made of. A leaf lies with its record; a
/// node below those that are stored is there by itself where its records were moved to an archive.
pub(crate) fn node(conn: &Connection, id: NodeId) -> Result<Option<Hash>, Failure> {
    let place = stored(id.index)?;
    if id.level == 0 {
        let leaf = conn
            .prepare_cached("SELECT leaf FROM ledger WHERE seq = ?1")?
            .query_row([place], |row| row.get(0))
            .optional()?;
        if let Some(leaf) = leaf {
            return Ok(Some(Hash(leaf)));
        }
    }
    let hash = conn
        .prepare_cached("SELECT hash FROM node WHERE level = ?1 AND place = ?2")?
        .query_row(params![id.level, place], |row| row.get(0))
        .optional()?;
    if let Some(hash) = hash {
        return Ok(Some(Hash(hash)));
    }
    if id.level == 0 || id.level >= STORED_LEVEL_MIN {
        return Ok(None);
    }
    let child = |side: u64| NodeId {
        level: id.level - 1,
        index: 2 * id.index + side,
    };
    let Some(left) = node(conn, child(0))? else {
        return Ok(None);
    };
    let right = node(conn, child(1))?;
    Ok(right.map(|right| node_hash(&left, &right)))
}
