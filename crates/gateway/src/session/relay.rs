//! What the bridge between the eras needs of a session: requests of its own in the place of a client's.

use super::Session;
use super::exchange::cancellation;
use super::inbound::refusal;
use super::pending::{Clock, Departure, Holding, OwnAnswer, Pending, Purpose, Target, Voice};
use crate::answer;
use crate::link::{Passage, Style};
use crate::recorder::{Refused, Sent};
use bytes::Bytes;
use callgate_core::refusal::{Reason, Refusal};
use callgate_ledger::record::Status;
use callgate_wire::IdKey;
use callgate_wire::mcp::{Era, method};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What became of a request that stands for another.
#[derive(Debug)]
pub(crate) enum Relayed {
    /// The server's response, whole, and its HTTP status.
    Answer { bytes: Bytes, status: u16 },
    /// None will come.
    Failed {
        reason: Reason,
        sent: Sent,
        text: String,
    },
}

impl Session {
    /// Puts a request in the table that stands for another, under an id that no client can guess. It has no deadline
    /// of its own; `None` where the session is over.
    pub(crate) fn relay(
        self: &Arc<Self>,
        key: &IdKey,
        era: Era,
    ) -> Option<(Departure, oneshot::Receiver<Relayed>)> {
        let (sender, receiver) = oneshot::channel();
        let departure = Departure::default();
        let pending = Pending {
            clock: Clock::stopped(self.gate.settings.timeout),
            ..self.own_request(Target::Relay(sender), era, &departure)
        };
        let mut state = self.lock();
        if state.is_closed {
            return None;
        }
        state.pending.insert(key.clone(), pending);
        Some((departure, receiver))
    }

    /// Asks the server something in Callgate's own name.
    pub(crate) async fn ask_own(
        self: &Arc<Self>,
        key: IdKey,
        message: Bytes,
        style: Style,
        timeout: Duration,
    ) -> OwnAnswer {
        let (sender, receiver) = oneshot::channel();
        let departure = Departure::default();
        let era = if style == Style::Modern {
            Era::Modern
        } else {
            Era::Legacy
        };
        let pending = Pending {
            clock: Clock::running(Instant::now(), timeout, None),
            ..self.own_request(Target::Own(sender), era, &departure)
        };
        {
            let mut state = self.lock();
            if state.is_closed {
                return OwnAnswer::Failed(Reason::UpstreamUnreachable);
            }
            state.pending.insert(key.clone(), pending);
            self.watch_deadlines(&mut state);
        }
        let passage = Passage {
            style,
            ..Passage::request(message, key, departure)
        };
        self.link.send(self, passage).await;
        receiver
            .await
            .unwrap_or(OwnAnswer::Failed(Reason::UpstreamUnreachable))
    }

    fn own_request(&self, target: Target, era: Era, departure: &Departure) -> Pending {
        let now = Instant::now();
        Pending {
            target,
            kind: Purpose::Other,
            voice: Voice::Silent,
            ticket: None,
            era,
            departure: departure.clone(),
            received: now,
            started: now,
            clock: Clock::stopped(self.gate.settings.timeout),
            token: None,
            client_token: None,
            trace: None,
            holding: None,
        }
    }

    /// Takes back a request that stands for another, and tells the server where it could not see that.
    pub(crate) async fn withdraw(self: &Arc<Self>, key: &IdKey, why: &str) {
        let Some(pending) = self.take(key) else { return };
        let sent = pending.sent();
        self.remember(key, &pending, sent);
        let is_seen = pending.era == Era::Modern && self.link.shows_departure();
        if sent == Sent::Perhaps && !is_seen {
            let cancel = cancellation(key, why);
            self.link
                .send(self, Passage::cancellation(cancel, key.clone()))
                .await;
        }
    }

    /// Gives a request so much time from now on, within what it may take at all.
    pub(crate) fn allow_time(&self, key: &IdKey, time: Duration) {
        if let Some(pending) = self.lock().pending.get_mut(key) {
            pending.clock.allow(Instant::now(), time);
        }
    }

    /// As [`Session::allow_time`], as much as it may take to answer.
    pub(crate) fn renew_time(&self, key: &IdKey) {
        let timeout = self
            .lock()
            .pending
            .get(key)
            .map(|pending| pending.clock.timeout());
        if let Some(timeout) = timeout {
            self.allow_time(key, timeout);
        }
    }

    /// A call whose server wants input, and which is denied before it gets any: nothing of what it took comes back.
    pub(crate) async fn deny_between(&self, key: &IdKey, tool: Option<&str>, refusal: &Refusal) {
        let Some(pending) = self.take(key) else { return };
        let asked = Refused {
            method: method::TOOLS_CALL,
            tool,
            arguments: None,
        };
        self.record_refused(refusal, asked);
        self.settle(
            &pending,
            Status::InputRequired,
            Some(refusal.reason.code()),
            Sent::Perhaps,
        );
        if let Some(trace) = &pending.trace {
            trace.denied(refusal);
        }
        if let Target::Client { sink, id, .. } = pending.target {
            let bytes = if pending.kind == Purpose::Call {
                answer::denial(&id, refusal, pending.era)
            } else {
                answer::refusal_error(&id, refusal)
            };
            sink.answer(bytes).await;
        }
    }

    /// Answers a request that did not reach the server, because the other era has no word for it. What it took from
    /// limits is given back.
    pub(crate) async fn refuse_across(&self, key: &IdKey, text: &str) {
        let Some(pending) = self.take(key) else { return };
        let refusal = refusal(Reason::EraMismatch, text);
        self.record_refusal(&refusal, "bridge", None);
        self.settle(
            &pending,
            Status::Unreachable,
            Some(refusal.reason.code()),
            Sent::Nothing,
        );
        if let Target::Client { sink, id, .. } = pending.target {
            let bytes = if pending.kind == Purpose::Call {
                answer::denial(&id, &refusal, pending.era)
            } else {
                answer::refusal_error(&id, &refusal)
            };
            sink.answer(bytes).await;
        } else if let Target::Own(sender) = pending.target {
            let _ = sender.send(OwnAnswer::Failed(Reason::EraMismatch));
        }
    }

    /// Whether so many clients share the server that what it says cannot be told apart.
    pub(crate) fn is_shared(&self) -> bool {
        self.ids == super::Ids::Mint
    }

    /// Whether a request is the client's `initialize`.
    pub(crate) fn is_initialize(&self, key: &IdKey) -> bool {
        let state = self.lock();
        state
            .pending
            .get(key)
            .is_some_and(|pending| pending.kind == Purpose::Initialize)
    }

    /// Has a request that is in flight hold back what its client sends until it is over; gives what ends then.
    pub(crate) fn hold_by(&self, key: &IdKey, departure: &Departure) -> Option<oneshot::Receiver<()>> {
        let mut state = self.lock();
        let pending = state
            .pending
            .get_mut(key)
            .filter(|pending| pending.departure.is(departure))?;
        let (holding, over) = Holding::new();
        pending.holding = Some(holding);
        Some(over)
    }

    /// The client's `initialize`, as it came.
    pub(crate) fn initialize_bytes(&self) -> Option<Bytes> {
        self.lock().initialize.clone()
    }

    /// The server says that its tools have changed.
    pub(crate) fn forget_list(&self) {
        self.catalogue.invalidate();
    }

    /// Gives up on all that waits, without an answer to anyone.
    pub(crate) fn drop_waiting(&self) {
        self.client_gone();
    }
}
