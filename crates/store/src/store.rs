//! The writing side of a state folder, as the line of a call sees it.

use crate::admission::{Admission, AdmitRequest, Settlement};
use crate::clock::{Base, Clock, SystemClock};
use crate::engine::Engine;
use crate::error::{OpenError, StoreError};
use crate::event::Event;
use crate::grants::{GrantsSnapshot, TokenHash, View};
use crate::in_force::PolicyInForce;
use crate::keeper::{Activity, Keeper};
use crate::options::{StopReason, StoreOptions};
use crate::secrets::{Fingerprint, FingerprintKey};
use crate::stats::{Committed, LedgerSizes, Stats};
use crate::writer::{Message, Pen, Queue, Writer};
use callgate_core::limit::StoreTime;
use callgate_ledger::record::Reload;
use callgate_ledger::{CallId, VerifierKey};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A state folder that this process writes to.
///
/// Dropping it ends the run without waiting for the last transaction; [`Store::close`] waits.
#[derive(Debug)]
pub struct Store {
    queue: Arc<Queue>,
    pen: Arc<Pen>,
    healthy: Arc<AtomicBool>,
    activity: Arc<Activity>,
    committed: Arc<Committed>,
    secret: FingerprintKey,
    grants: View,
    time: (Base, Arc<dyn Clock>),
    /// The latest time that was given out, in nanoseconds.
    latest: AtomicU64,
    verifier: VerifierKey,
    threads: Mutex<Option<Threads>>,
}

#[derive(Debug)]
struct Threads {
    writer: JoinHandle<()>,
    keeper: JoinHandle<()>,
}

impl Store {
    /// Opens a state folder, made where it is missing; closes what runs that are gone have left; and writes
    /// this run's `start`.
    ///
    /// # Errors
    /// [`OpenError`] where the folder cannot keep what it is for; each says what to do next.
    pub fn open(options: StoreOptions) -> Result<Self, OpenError> {
        Self::open_with_clock(options, Arc::new(SystemClock))
    }

    /// As [`Store::open`], with another clock than the operating system's.
    ///
    /// # Errors
    /// As [`Store::open`].
    #[expect(
        clippy::needless_pass_by_value,
        reason = "whoever opens a store has no more use for them"
    )]
    pub fn open_with_clock(options: StoreOptions, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let engine = Engine::open(&options, clock)?;
        let keeper = Keeper::open(engine.folder(), &options)?;
        let failed = |error| OpenError::from_io(&options.dir, error);
        let queue = Arc::new(Queue::default());
        let healthy = Arc::new(AtomicBool::new(true));
        let activity = Arc::new(Activity::default());
        let committed = Arc::clone(engine.committed());
        let secret = engine.secret().clone();
        let grants = View::of(engine.folder());
        let time = engine.time();
        let verifier = keeper.verifier().clone();
        let pen = Arc::new(Pen::new(Writer::new(
            engine,
            Arc::clone(&queue),
            Arc::clone(&healthy),
            Arc::clone(&activity),
        )));
        let shared = (Arc::clone(&pen), Arc::clone(&queue), Arc::clone(&healthy));
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || shared.0.work(&shared.1, &shared.2))
            .map_err(failed)?;
        let watched = Arc::clone(&activity);
        let keeper = std::thread::Builder::new()
            .name("store-keeper".to_owned())
            .spawn(move || keeper.run(&watched))
            .map_err(failed)?;
        Ok(Self {
            queue,
            pen,
            healthy,
            activity,
            committed,
            secret,
            grants,
            time,
            latest: AtomicU64::new(0),
            verifier,
            threads: Mutex::new(Some(Threads { writer, keeper })),
        })
    }

    /// Takes all that a call needs of its limits and writes its intent, in one transaction; or writes its
    /// denial. Answers after the commit. If the future is dropped before it is ready, a call that was
    /// admitted nevertheless is settled as cancelled, and what it took is given back; so whoever asks may set
    /// a deadline, for a process that was stopped inside its transaction stops all others.
    ///
    /// # Errors
    /// [`StoreError`] where nothing could be written; the call has to be denied.
    pub async fn admit(&self, request: AdmitRequest) -> Result<Admission, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue
            .push(Message::Admit(Box::new(request), answer))
            .map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)??.take()
    }

    /// As [`Store::admit`], for a caller that is alone: where nobody else is writing, its own thread does the
    /// transaction, and is blocked for as long, but need not wait for another to wake up.
    ///
    /// # Errors
    /// As [`Store::admit`].
    pub async fn admit_alone(&self, request: AdmitRequest) -> Result<Admission, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.pen
            .write(&self.queue, Message::Admit(Box::new(request), answer))
            .map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)??.take()
    }

    /// Writes what became of a call, with the next transaction, or within 10 ms. It never waits. While it cannot be written
    /// it is kept, and calls are denied.
    pub fn settle(&self, call: CallId, settlement: Settlement) {
        if self.queue.push(Message::Settle(call, settlement)).is_err() {
            tracing::warn!(%call, "a call was settled after the store was closed");
        }
    }

    /// Records something, with the next transaction. It never waits. Refusals beyond 20 a second of a grant,
    /// or 5 of an address, are counted instead.
    pub fn record(&self, event: Event) {
        if self.queue.push(Message::Record(Box::new(event))).is_err() {
            tracing::warn!("an event came after the store was closed");
        }
    }

    /// Records something and waits for its commit.
    ///
    /// # Errors
    /// [`StoreError`] where it could not be written.
    pub async fn record_now(&self, event: Event) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue
            .push(Message::RecordNow(Box::new(event), answer))
            .map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Puts other policies in force for each server that they are for, and records the reload. It has to be
    /// committed before a call is judged by that policy: histories are kept for the windows of the policies in force, and not longer.
    ///
    /// # Errors
    /// [`StoreError`] where it could not be written; the policy before has to stay.
    pub async fn reload(&self, policies: Vec<PolicyInForce>, records: Vec<Reload>) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue
            .push(Message::Reload(Box::new((policies, records)), answer))
            .map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Whether the last transaction was written. While it is not, calls are denied.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.healthy.load(Ordering::Acquire)
    }

    /// How this store is doing. Blocks for no longer than it takes to look at the queue.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            healthy: self.healthy(),
            transactions: self.committed.transactions(),
            records: self.committed.records(),
            queued: self.queue.len(),
        }
    }

    /// How far the folder's ledger is, other processes' records and checkpoints included. Blocks while it reads.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be read.
    pub fn ledger_sizes(&self) -> Result<LedgerSizes, StoreError> {
        self.grants.ledger_sizes()
    }

    /// HMAC-SHA-256 of the bytes of a call's arguments, under a key of the state folder.
    #[must_use]
    pub fn fingerprint(&self, arguments: &[u8]) -> Fingerprint {
        self.secret.arguments(arguments)
    }

    /// All grants as of one moment. Blocks while it reads.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read.
    pub fn grants(&self) -> Result<GrantsSnapshot, StoreError> {
        let (snapshot, size) = self.grants.snapshot()?;
        // Who changed them has recorded that, and signs nothing.
        self.activity.wrote(size);
        Ok(snapshot)
    }

    /// How often grants were changed so far. It is made to be asked often, and blocks for microseconds.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be read.
    pub fn grants_generation(&self) -> Result<u64, StoreError> {
        self.grants.generation()
    }

    /// What a token is known by in [`Store::grants`].
    #[must_use]
    pub fn token_hash(&self, token: &str) -> TokenHash {
        TokenHash::new(&self.secret, token)
    }

    /// The store's present time, which never goes back; by it grants expire.
    #[must_use]
    pub fn now(&self) -> StoreTime {
        let (base, clock) = &self.time;
        let now = base.now(&**clock, StoreTime(self.latest.load(Ordering::Relaxed)));
        self.latest.fetch_max(now.0, Ordering::Relaxed);
        now
    }

    /// The key that checks the ledger's checkpoints.
    #[must_use]
    pub const fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Writes all that waits, closes calls that nobody settled as unknown, writes `stop` and a last
    /// checkpoint. Whoever uses the store afterwards is told that it is closed.
    pub fn close(&self, reason: StopReason) {
        self.queue.stop(reason.code());
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(threads) = threads else { return };
        let wrote = threads.writer.join();
        self.activity.stop();
        let kept = threads.keeper.join();
        if wrote.is_err() || kept.is_err() {
            tracing::error!("a thread of the store ended by a panic");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.queue.stop(StopReason::Exit.code());
        self.activity.stop();
    }
}
