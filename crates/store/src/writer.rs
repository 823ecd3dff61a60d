//! Writing: what is asked is gathered into one transaction, and answered when that is committed. A thread does it,
//! or, for a caller that is alone, the caller's own.

use crate::admission::{Admission, AdmitRequest, Refund, Settlement};
use crate::engine::{Batch, Engine, Held};
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
/// How long the outcome of a call may wait for the next call, whose transaction then writes both.
const OUTCOME_DELAY: Duration = Duration::from_millis(10);
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
        Box<(Vec<PolicyInForce>, Vec<Reload>)>,
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
    haste: Haste,
    stop: Option<&'static str>,
    writer: Waiting,
}

/// When what is in the queue has to be written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Haste {
    /// Nothing has to.
    #[default]
    None,
    /// By then: it is outcomes only, for which nobody waits.
    By(Instant),
    /// Now.
    Now,
}

/// Whether the writer's thread has to be woken, which costs a system call.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    #[default]
    No,
    ForWork,
    /// It looks by itself when outcomes have waited long enough.
    ForOutcomes,
}

/// What was taken from the queue.
struct Taken {
    messages: Vec<Message>,
    stop: Option<&'static str>,
}

impl Message {
    /// Whether it may wait for others. What a refund gives back is given back at once; a place in flight, for calls
    /// of this process, before any that comes after, and for other processes within the delay.
    const fn may_wait(&self) -> bool {
        match self {
            Self::Settle(_, settlement) => matches!(settlement.refund, Refund::Keep),
            Self::Admit(..) | Self::Record(_) | Self::RecordNow(..) | Self::Reload(..) => false,
        }
    }
}

impl QueueState {
    fn add(&mut self, message: Message) {
        self.haste = match (self.haste, message.may_wait()) {
            (Haste::None, true) => Haste::By(Instant::now() + OUTCOME_DELAY),
            (haste, true) => haste,
            (_, false) => Haste::Now,
        };
        self.messages.push_back(message);
        if self.messages.len() >= BATCH_MAX {
            self.haste = Haste::Now;
        }
    }

    /// Whether the writer's thread is to be woken for what is in the queue; it is told once.
    fn wakes(&mut self) -> bool {
        let wakes = match self.haste {
            Haste::None => false,
            Haste::By(_) => self.writer == Waiting::ForWork,
            Haste::Now => self.writer != Waiting::No,
        };
        if wakes {
            self.writer = Waiting::No;
        }
        wakes
    }

    fn is_due(&self, now: Instant) -> bool {
        self.stop.is_some()
            || match self.haste {
                Haste::None => false,
                Haste::By(due) => due <= now,
                Haste::Now => true,
            }
    }
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
        state.add(message);
        let wakes = state.wakes();
        drop(state);
        if wakes {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Adds a message that whoever adds it means to write; [`Queue::wake`] has another see to it.
    fn push_own(&self, message: Message) -> Result<(), Message> {
        let mut state = self.state();
        if state.stop.is_some() {
            return Err(message);
        }
        state.add(message);
        Ok(())
    }

    /// Has the writer's thread look again at what there is to do.
    fn wake(&self) {
        let mut state = self.state();
        state.haste = Haste::Now;
        state.writer = Waiting::No;
        drop(state);
        self.changed.notify_one();
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

    /// Waits until something has to be written, at most for `pause`, and never for company.
    fn wait(&self, pause: Option<Duration>) {
        let mut state = self.state();
        let until = pause.map(|pause| Instant::now() + pause);
        loop {
            let now = Instant::now();
            if state.is_due(now) || until.is_some_and(|until| until <= now) {
                break;
            }
            let (due, waiting) = match state.haste {
                Haste::By(due) => (Some(due), Waiting::ForOutcomes),
                Haste::None | Haste::Now => (None, Waiting::ForWork),
            };
            state.writer = waiting;
            state = match due.into_iter().chain(until).min() {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(next) => {
                    let left = next.saturating_duration_since(now);
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.writer = Waiting::No;
    }

    /// Takes up to [`BATCH_MAX`] messages.
    fn take(&self) -> Taken {
        let mut state = self.state();
        let count = state.messages.len().min(BATCH_MAX);
        let messages: Vec<Message> = state.messages.drain(..count).collect();
        state.haste = if state.messages.is_empty() {
            Haste::None
        } else {
            Haste::Now
        };
        let stop = state.stop.filter(|_| state.messages.is_empty());
        Taken { messages, stop }
    }
}

/// The right to write: whoever holds it is the writer. It is gone once the store is closed.
#[derive(Debug)]
pub(crate) struct Pen(Mutex<Option<Writer>>);

impl Pen {
    pub(crate) const fn new(writer: Writer) -> Self {
        Self(Mutex::new(Some(writer)))
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn work(&self, queue: &Queue, healthy: &AtomicBool) {
        let _closing = Closing {
            pen: self,
            queue,
            healthy,
        };
        let mut pause = None;
        loop {
            queue.wait(pause);
            // Whoever held it and panicked has left a transaction that nobody knows the end of.
            let Ok(mut held) = self.0.lock() else { return };
            let Some(writer) = held.as_mut() else { return };
            let taken = queue.take();
            writer.work.extend(taken.messages);
            writer.round();
            pause = writer.pause();
            if let Some(reason) = taken.stop {
                if let Some(writer) = held.take() {
                    writer.finish(reason);
                }
                return;
            }
        }
    }

    /// Writes a message and all that waits in one transaction, on this thread, where nobody else is writing, in no
    /// process; else the writer's thread does. The message comes back where the store is closed.
    pub(crate) fn write(&self, queue: &Queue, message: Message) -> Result<(), Message> {
        queue.push_own(message)?;
        let _waking = WakingOnPanic(queue);
        let Ok(mut held) = self.0.try_lock() else {
            queue.wake();
            return Ok(());
        };
        let has_more = held
            .as_mut()
            .is_none_or(|writer| writer.write_at_once(queue) == More::Yes);
        drop(held);
        if has_more {
            queue.wake();
        }
        Ok(())
    }
}

/// Whether something is left for the writer's thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    Yes,
    No,
}

/// Closes the queue when the writer's thread ends, however it ends, so that nobody waits for it; and gives back the
/// lock among processes, where a panic has left it held.
struct Closing<'p> {
    pen: &'p Pen,
    queue: &'p Queue,
    healthy: &'p AtomicBool,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.healthy.store(false, Ordering::Release);
        drop(self.pen.0.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut state = self.queue.state();
        state.stop.get_or_insert("exit");
        let left = std::mem::take(&mut state.messages);
        // Dropping an answer may push to the queue, which must not be held then.
        drop(state);
        drop(left);
    }
}

/// Has the writer's thread look at what a panic has left.
struct WakingOnPanic<'q>(&'q Queue);

impl Drop for WakingOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.wake();
        }
    }
}

/// What whoever writes has at hand.
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

    /// Writes what waits in one transaction, if the lock among processes is free and the store can be written.
    fn write_at_once(&mut self, queue: &Queue) -> More {
        if self.retry.is_some() || self.engine.try_hold() == Held::No {
            return More::Yes;
        }
        let taken = queue.take();
        self.work.extend(taken.messages);
        self.write(Held::Yes);
        let is_idle = self.work.is_empty() && self.pause().is_none() && taken.stop.is_none();
        if is_idle && self.reaped.elapsed() < REAP_PERIOD {
            More::No
        } else {
            More::Yes
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
                tracing::warn!(cause = %failure, "what others have left could not be cleared away");
            }
        }
        if self.work.is_empty() {
            if self.retry.is_some() || self.engine.refusals.pending() {
                self.write(Held::No);
            }
            return;
        }
        while !self.work.is_empty() {
            if !self.write(Held::No) {
                return;
            }
        }
    }

    /// Writes the oldest work in one transaction; false where that failed.
    fn write(&mut self, held: Held) -> bool {
        let count = self.work.len().min(BATCH_MAX);
        let messages: Vec<Message> = self.work.drain(..count).collect();
        let probe = self.retry.is_some();
        let work = |batch: &mut Batch<'_>| {
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
        };
        let written = match held {
            Held::Yes => self.engine.transact_held(work),
            Held::No => self.engine.transact(work),
        };
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
            tracing::error!(cause = %failure, "the store cannot be written; calls are denied until it can");
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
            Err(failure) => tracing::error!(cause = %failure, "the end of the run could not be recorded"),
        }
    }
}
