//! Answers that go to their client while they still come: when one may, and how it ends.

use super::outbound::inspect;
use super::pending::{Clock, Pending, Purpose, Target, Voice};
use super::{Departure, Ids, Session};
use crate::flow::{Flow, Piece};
use crate::metrics::ServerMeter;
use crate::recorder::{Peer, Sent};
use crate::sink::{End, Outbound, Sink};
use bytes::Bytes;
use callgate_ledger::record::Status;
use callgate_wire::passing::{Addressing, Answer};
use callgate_wire::{IdKey, Payload};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

impl Session {
    /// How the answer to a request is addressed, where it may go to its client in pieces: nothing but its id has to
    /// be changed, and it is all that its response consists of.
    pub(crate) fn may_pass(&self, key: &IdKey, departure: &Departure) -> Option<Addressing> {
        let state = self.lock();
        let pending = state
            .pending
            .get(key)
            .filter(|pending| pending.departure.is(departure))?;
        client_alone(pending)?;
        let Target::Client { key: own, .. } = &pending.target else {
            return None;
        };
        Some(Addressing {
            expected: key.clone(),
            own: (self.ids == Ids::Mint && own != key).then(|| own.clone()),
        })
    }

    /// Begins to pass on an answer in pieces; the request stays in the table until the last of them. `None` where
    /// it may not, or not any more.
    pub(crate) fn begin_passing(
        &self,
        key: &IdKey,
        departure: &Departure,
        status: u16,
    ) -> Option<mpsc::Sender<Piece>> {
        let mut state = self.lock();
        let pending = state
            .pending
            .get_mut(key)
            .filter(|pending| pending.departure.is(departure))?;
        let client = client_alone(pending)?;
        let (pieces, flow) = Flow::open();
        // Where the client has gone, the other end is dropped with it.
        let _ = client.try_send(Outbound {
            bytes: Bytes::new(),
            end: End::Flowing(flow),
            status,
        });
        pending.target = Target::Passing;
        Some(pieces)
    }

    /// All of an answer has been read, and it stands: its outcome is written. False where the request has ended
    /// otherwise; its last piece must not go out then. `waited` is what its client has let it wait.
    pub(crate) fn finish_passing(
        &self,
        key: &IdKey,
        departure: &Departure,
        answer: &Answer,
        waited: Duration,
    ) -> bool {
        let at = Instant::now();
        let Some(pending) = self.take_own(key, departure) else {
            return false;
        };
        let took = at
            .saturating_duration_since(pending.started)
            .saturating_sub(waited);
        let meter = self.settle_answer(&pending, Payload::Result(answer.result()), took);
        if let Some(meter) = meter {
            meter.answered(at.elapsed());
        }
        true
    }

    /// While the client of a request is waited for, it may take as long as it may at all: the deadline is the
    /// server's.
    pub(crate) fn wait_for_client(&self, key: &IdKey, departure: &Departure) {
        self.on_clock(key, departure, |clock| clock.wait_for_client(Instant::now()));
    }

    /// The client has taken what it was waited for.
    pub(crate) fn go_on(&self, key: &IdKey, departure: &Departure) {
        self.on_clock(key, departure, |clock| clock.go_on(Instant::now()));
    }

    fn on_clock(&self, key: &IdKey, departure: &Departure, change: impl FnOnce(&mut Clock)) {
        let mut state = self.lock();
        let pending = state.pending.get_mut(key);
        if let Some(pending) = pending.filter(|pending| pending.departure.is(departure)) {
            change(&mut pending.clock);
        }
    }

    /// A response that answers another request than the one that it was sent for.
    pub(crate) fn misdirected(&self, length: usize) {
        self.record_drop(Peer::Server, length);
    }

    /// Settles a request with the server's answer, and says what counts it where it is a tool call.
    pub(super) fn settle_answer(
        &self,
        pending: &Pending,
        payload: Payload<'_>,
        took: Duration,
    ) -> Option<&ServerMeter> {
        let ended = inspect(payload);
        if let (Status::Accepted, Payload::Result(result), Some(tasks)) = (ended, payload, self.gate.tasks())
        {
            tasks.note(&self.gate.caller.grant, result);
        }
        self.settle_after(took, pending, ended, None, Sent::Perhaps);
        let meter = self.gate.meter().filter(|_| pending.kind == Purpose::Call);
        if let Some(meter) = meter {
            meter.served(took);
        }
        if pending.kind != Purpose::Call {
            self.lock().was_answered = true;
        }
        meter
    }
}

/// The client of a request, where the response is its alone, has not begun, and will be nothing but the answer.
fn client_alone(pending: &Pending) -> Option<&mpsc::Sender<Outbound>> {
    let may_pass = match pending.kind {
        Purpose::Call | Purpose::Other => true,
        // Looked at as a whole, or changed.
        Purpose::List | Purpose::Initialize | Purpose::Discover | Purpose::OpenEnded => false,
    };
    match &pending.target {
        Target::Client {
            sink: Sink::Alone(client),
            ..
        } if may_pass && pending.voice == Voice::Silent => Some(client),
        Target::Client { .. } | Target::Passing | Target::Own(_) | Target::Relay(_) => None,
    }
}
