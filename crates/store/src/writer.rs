//! The writer thread: it gathers what is asked into one transaction, and answers when that is committed.

use crate::admission::{Admission, AdmitRequest, Settlement};
use crate::engine::Engine;
use crate::error::{Failure, StoreError};
use crate::event::Event;
use crate::in_force::PolicyInForce;
use crate::keeper::Activity;
use callgate_ledger::CallId;
use callgate_ledger::record::Reload;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How many requests share a transaction at most.
pub(crate) const BATCH_MAX: usize = 64;
/// How many events wait in memory while the store cannot be written; outcomes wait without a bound, but
/// there are no more of them than calls in flight.
pub(crate) const WAITING_EVENTS_MAX: usize = 4_096;

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// How often what was counted instead of recorded is written.
const SUPPRESSED_PERIOD: Duration = Duration::from_secs(1);
/// How often other runs are looked at while this one is active.
const REAP_PERIOD: Duration = Duration::from_secs(3);

/// What the writer is asked.
#[derive(Debug)]
pub(crate) enum Message {
    Admit(Box<AdmitRequest>, oneshot::Sender<Result<Claim, StoreError>>),
    Settle(CallId, Settlement),
    Record(Box<Event>),
    RecordNow(Box<Event>, oneshot::Sender<Result<(), StoreError>>),
    Reload(
        Box<(Vec<PolicyInForce>, Reload)>,
        oneshot::Sender<Result<(), StoreError>>,
    ),
}

/// An answer on its way. Where nobody takes it, the call was never forwarded, and is settled as that.
#[derive(Debug)]
pub(crate) struct Claim {
    admission: Option<Admission>,
    queue: Arc<Queue>,
}

impl Claim {
    /// From here on whoever asked has to settle the call.
    pub(crate) fn take(mut self) -> Result<Admission, StoreError> {
        self.admission.take().ok_or(StoreError::Closed)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(Admission::Admitted(admitted)) = &self.admission {
            // Where the queue is closed, the writer has closed the call as unknown.
            let _closed = self
                .queue
                .push(Message::Settle(admitted.call, Settlement::unclaimed()));
        }
    }
}

/// What waits for the writer.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    messages: VecDeque<Message>,
    stop: Option<&'static str>,
    writer: Waiting,
}

/// Whether the writer has to be woken, which costs a system call.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    #[default]
    No,
    ForWork,
}

/// What the writer got from the queue.
struct Taken {
    messages: Vec<Message>,
    stop: Option<&'static str>,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        // A queue is whole between any two statements, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message; it comes back where the store is closed.
    pub(crate) fn push(&self, message: Message) -> Result<(), Message> {
        let mut state = self.state();
        if state.stop.is_some() {
            return Err(message);
        }
        state.messages.push_back(message);
        let writer = std::mem::take(&mut state.writer);
        drop(state);
        if writer == Waiting::ForWork {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// How much waits.
    pub(crate) fn len(&self) -> usize {
        self.state().messages.len()
    }

    /// Closes the queue: nothing more is taken in, what is in it is written.
    pub(crate) fn stop(&self, reason: &'static str) {
        self.state().stop.get_or_insert(reason);
        self.changed.notify_one();
    }

    /// Takes up to [`BATCH_MAX`] messages: waits for the first, at most for `pause`, and never for company.
    fn take(&self, pause: Option<Duration>) -> Taken {
        let mut state = self.state();
        let until = pause.map(|pause| Instant::now() + pause);
        while state.messages.is_empty() && state.stop.is_none() {
            state.writer = Waiting::ForWork;
            let Some(until) = until else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
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
        state.writer = Waiting::No;
        let count = state.messages.len().min(BATCH_MAX);
        let messages: Vec<Message> = state.messages.drain(..count).collect();
        let stop = state.stop.filter(|_| state.messages.is_empty());
        Taken { messages, stop }
    }
}

/// Closes the queue when the writer ends, however it ends, so that nobody waits for it.
struct Closing(Arc<Queue>, Arc<AtomicBool>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.1.store(false, Ordering::Release);
        let mut state = self.0.state();
        state.stop.get_or_insert("exit");
        let left = std::mem::take(&mut state.messages);
        // Dropping an answer may push to the queue, which must not be held then.
        drop(state);
        drop(left);
    }
}

/// The writer thread's state.
#[derive(Debug)]
pub(crate) struct Writer {
    engine: Engine,
    queue: Arc<Queue>,
    healthy: Arc<AtomicBool>,
    activity: Arc<Activity>,
    /// What is to be written, oldest first. While the store fails, only outcomes and events stay.
    work: VecDeque<Message>,
    retry: Option<Duration>,
    reaped: Instant,
}

impl Writer {
    pub(crate) fn new(
        engine: Engine,
        queue: Arc<Queue>,
        healthy: Arc<AtomicBool>,
        activity: Arc<Activity>,
    ) -> Self {
        Self {
            engine,
            queue,
            healthy,
            activity,
            work: VecDeque::new(),
            retry: None,
            reaped: Instant::now(),
        }
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let _closing = Closing(Arc::clone(&self.queue), Arc::clone(&self.healthy));
        loop {
            let taken = self.queue.take(self.pause());
            self.work.extend(taken.messages);
            self.round();
            if let Some(reason) = taken.stop {
                self.finish(reason);
                return;
            }
        }
    }

    fn pause(&self) -> Option<Duration> {
        let suppressed = self.engine.refusals.pending().then_some(SUPPRESSED_PERIOD);
        self.retry.or(suppressed)
    }

    fn round(&mut self) {
        if self.reaped.elapsed() >= REAP_PERIOD {
            self.reaped = Instant::now();
            if let Err(failure) = self.engine.reap().and_then(|()| self.engine.sweep()) {
                tracing::warn!(%failure, "what others have left could not be cleared away");
            }
        }
        if self.work.is_empty() {
            if self.retry.is_some() || self.engine.refusals.pending() {
                self.write();
            }
            return;
        }
        while !self.work.is_empty() {
            if !self.write() {
                return;
            }
        }
    }

    /// Writes the oldest work in one transaction; false where that failed.
    fn write(&mut self) -> bool {
        let count = self.work.len().min(BATCH_MAX);
        let messages: Vec<Message> = self.work.drain(..count).collect();
        let probe = self.retry.is_some();
        let written = self.engine.transact(|batch| {
            let mut admissions = VecDeque::new();
            for message in &messages {
                match message {
                    Message::Admit(request, _) => admissions.push_back(batch.admit(request)?),
                    Message::Settle(call, settlement) => batch.settle(*call, settlement)?,
                    Message::Record(event) | Message::RecordNow(event, _) => batch.record(event)?,
                    Message::Reload(reload, _) => batch.reload(&reload.0, &reload.1)?,
                }
            }
            let due = batch.suppressed_due();
            if !due.is_empty() {
                batch.write_suppressed(&due)?;
            }
            if probe {
                batch.probe()?;
            }
            Ok((admissions, due, batch.size()))
        });
        match written {
            Ok((admissions, due, size)) => {
                if !due.is_empty() {
                    self.engine.refusals.written(&due);
                }
                if self.retry.take().is_some() {
                    tracing::info!("the store can be written again");
                }
                self.healthy.store(true, Ordering::Release);
                self.answer(messages, admissions);
                self.activity.wrote(size);
                true
            }
            Err(failure) => {
                self.failed(messages, &failure);
                false
            }
        }
    }

    fn answer(&self, messages: Vec<Message>, mut admissions: VecDeque<Admission>) {
        for message in messages {
            match message {
                Message::Admit(_, answer) => {
                    let claim = Claim {
                        admission: admissions.pop_front(),
                        queue: Arc::clone(&self.queue),
                    };
                    // Where nobody waits any more, the claim settles the call as it is dropped.
                    drop(answer.send(Ok(claim)));
                }
                Message::RecordNow(_, answer) | Message::Reload(_, answer) => drop(answer.send(Ok(()))),
                Message::Settle(..) | Message::Record(_) => {}
            }
        }
    }

    /// Nothing of `messages` is written. Who waits is told so; outcomes and events are kept for the next try.
    fn failed(&mut self, messages: Vec<Message>, failure: &Failure) {
        let error = StoreError::Unavailable(failure.cause());
        self.healthy.store(false, Ordering::Release);
        if self.retry.is_none() {
            tracing::error!(%failure, "the store cannot be written; calls are denied until it can");
        }
        let longer = self.retry.map_or(RETRY_FIRST, |retry| (retry * 2).min(RETRY_MAX));
        self.retry = Some(longer);
        let later = std::mem::take(&mut self.work);
        let mut events = 0;
        for message in messages.into_iter().chain(later) {
            match message {
                Message::Admit(_, answer) => drop(answer.send(Err(error.clone()))),
                Message::RecordNow(_, answer) | Message::Reload(_, answer) => {
                    drop(answer.send(Err(error.clone())));
                }
                Message::Record(_) if events >= WAITING_EVENTS_MAX => {
                    tracing::warn!("an event was lost, because the store cannot be written");
                }
                Message::Record(event) => {
                    events += 1;
                    self.work.push_back(Message::Record(event));
                }
                Message::Settle(call, settlement) => {
                    self.work.push_back(Message::Settle(call, settlement));
                }
            }
        }
    }

    /// The last transaction. Where the store still fails, the next run closes what is open.
    fn finish(mut self, reason: &'static str) {
        if !self.work.is_empty() {
            self.round();
        }
        if !self.work.is_empty() {
            tracing::error!(
                lost = self.work.len(),
                "the store cannot be written at the end; open calls will be closed as unknown"
            );
            return;
        }
        match self.engine.end_run(reason) {
            Ok(()) => self.engine.leave(),
            Err(failure) => tracing::error!(%failure, "the end of the run could not be recorded"),
        }
    }
}
