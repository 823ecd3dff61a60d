//! A child process that several sessions share: one hub a server owns it, shakes hands with it once, and gives each
//! session a view of it.
//!
//! A session's requests go on under ids of the hub's own, and so do its progress tokens and subscriptions; what
//! comes back is handed to the session that it is meant for, under the session's own names, or to nobody. The hub
//! lies below the sessions: what they judge, count and record, they do as they would with a child of their own.

mod greeting;
mod inbox;
mod incoming;
mod interest;
mod outgoing;
mod process;
mod tasks;
mod turns;

use super::Passage;
use super::child::{self, ServerCommand, SpawnError};
use crate::gate::Gate;
use crate::session::Session;
use callgate_core::call::Caller;
use callgate_core::name::GrantId;
use greeting::Guess;
use process::Process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Messages that may wait for the child beside the one that is written: the others wait in their sessions' lanes,
/// which take turns.
const AHEAD_MAX: usize = 1;

/// The one child of a server, for all of its sessions. It is started by the first of them, and again by the next
/// one after it has ended; it ends with the hub.
#[derive(Debug)]
pub struct Hub {
    command: Box<ServerCommand>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Nobody is let in any more.
    has_ended: bool,
    running: Option<Running>,
    /// What the last process has shown of its era.
    guess: Arc<Mutex<Guess>>,
}

#[derive(Debug)]
struct Running {
    process: Arc<Process>,
    keeper: JoinHandle<()>,
}

/// Why a session gets no view.
#[derive(Debug)]
pub(crate) enum JoinError {
    /// The hub has ended.
    Ended,
    /// There is no place for another child.
    NoPlace,
    /// The server keeps failing, and is left alone for so long.
    Failing(Duration),
    /// The child could not be started.
    Spawn(SpawnError),
}

impl Hub {
    /// A hub whose child is yet to be started.
    #[must_use]
    pub fn new(command: ServerCommand) -> Self {
        Self {
            command: Box::new(command),
            state: Mutex::default(),
        }
    }

    /// What starts the child.
    #[must_use]
    pub const fn command(&self) -> &ServerCommand {
        &self.command
    }

    /// A view of the child for a session behind a gate. The child is started where it does not run, if `place` has
    /// one for it.
    pub(crate) fn join(
        &self,
        gate: &Gate,
        place: impl FnOnce() -> Option<OwnedSemaphorePermit>,
    ) -> Result<SharedLink, JoinError> {
        let mut state = self.lock();
        if state.has_ended {
            return Err(JoinError::Ended);
        }
        let running = state
            .running
            .as_ref()
            .filter(|running| !running.process.is_over());
        if let Some(running) = running {
            return Ok(SharedLink::new(&running.process, Owner::of(&gate.caller)));
        }
        let running = self.start(gate, place, &state.guess)?;
        let link = SharedLink::new(&running.process, Owner::of(&gate.caller));
        state.running = Some(running);
        Ok(link)
    }

    fn start(
        &self,
        gate: &Gate,
        place: impl FnOnce() -> Option<OwnedSemaphorePermit>,
        guess: &Arc<Mutex<Guess>>,
    ) -> Result<Running, JoinError> {
        let now = Instant::now();
        let place = place().ok_or(JoinError::NoPlace)?;
        let health = Arc::clone(gate.health());
        health.attempt(|| now).map_err(JoinError::Failing)?;
        let spawned = child::spawn_with(&self.command, AHEAD_MAX).inspect_err(|cause| {
            tracing::error!(server = %gate.server, %cause, "a server could not be started");
            health.failed(now);
        });
        let (link, child) = spawned.map_err(JoinError::Spawn)?;
        if let Some(meter) = gate.meter() {
            meter.child_started();
        }
        let process = Process::new(gate);
        let wanted = process.wanted();
        let guessed = {
            let mut guess = guess.lock().unwrap_or_else(PoisonError::into_inner);
            let next = guess.other();
            // A process that ends over how it was greeted leaves another way to the next one.
            std::mem::replace(&mut *guess, next)
        };
        tokio::spawn(Arc::clone(&process).pump(link, guessed, Arc::clone(guess)));
        let served = Arc::clone(&process);
        let keeper = tokio::spawn(async move {
            if let Err(cause) = child.serve(Arc::clone(&served), wanted).await {
                tracing::warn!(%cause, "a server could not be waited for");
            }
            if served.has_failed() {
                health.failed(Instant::now());
            }
            drop(place);
        });
        Ok(Running { process, keeper })
    }

    /// Ends the child, and starts no other.
    pub(crate) async fn close(&self) {
        let running = {
            let mut state = self.lock();
            state.has_ended = true;
            state.running.take()
        };
        if let Some(running) = running {
            running.process.dismiss();
            let _ = running.keeper.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // The keeper sees it to its end.
        if let Some(running) = self.lock().running.take() {
            running.process.dismiss();
        }
    }
}

/// Whose a session is: a grant, or one subject of an issuer that comes in by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Owner {
    grant: GrantId,
    issuer: Option<Arc<str>>,
    subject: Option<Arc<str>>,
}

impl Owner {
    fn of(caller: &Caller) -> Self {
        Self {
            grant: caller.grant.clone(),
            issuer: caller.issuer.clone(),
            subject: caller.subject.clone(),
        }
    }
}

/// A session's view of a shared child.
#[derive(Debug)]
pub struct SharedLink {
    process: Arc<Process>,
    owner: Owner,
    view: ViewId,
    is_closed: AtomicBool,
}

/// What a view is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct ViewId(u64);

impl SharedLink {
    fn new(process: &Arc<Process>, owner: Owner) -> Self {
        Self {
            process: Arc::clone(process),
            owner,
            view: process.next_view(),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Another view of the same child, for the same caller.
    pub(super) fn sibling(&self) -> Self {
        Self::new(&self.process, self.owner.clone())
    }

    /// Has the session hear what is meant for it; from its first message on at the latest.
    pub(crate) fn attach(&self, session: &Arc<Session>) {
        // A session whose child has gone meanwhile is told so by its first message.
        let _ = self.process.attach(self, session);
    }

    /// Queues a message. Whoever hands it over waits neither for the child nor for other sessions.
    pub(super) async fn send(&self, session: &Arc<Session>, passage: Passage) {
        if self.process.attach(self, session).is_err() {
            return session.server_gone().await;
        }
        if let Err(unsent) = self.process.queue(self.view, passage) {
            unsent.tell(session).await;
        }
    }

    /// Gives the view up: what it has asked is cancelled at the child, and nothing more comes of it.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.process.detach(self.view);
    }
}

impl Drop for SharedLink {
    fn drop(&mut self) {
        self.close();
    }
}
