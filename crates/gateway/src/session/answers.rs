//! What a session records of what it refuses, drops and gives up.

use super::pending::Pending;
use super::{GIVEN_UP_MAX, GivenUp, Session};
use crate::recorder::{ListSeen, Peer, Refused, Sent};
use callgate_core::refusal::Refusal;
use callgate_ledger::record::Status;
use callgate_wire::{IdKey, Malformed};
use tokio::time::Instant;

impl Session {
    pub(super) fn record_refusal(&self, refusal: &Refusal, method: &str, tool: Option<&str>) {
        self.record_refused(
            refusal,
            Refused {
                method,
                tool,
                arguments: None,
            },
        );
    }

    pub(super) fn record_refused(&self, refusal: &Refusal, asked: Refused<'_>) {
        self.gate
            .recorder()
            .refusal(&self.gate, self.id.as_ref(), refusal, asked);
    }

    pub(super) fn record_malformed(&self, peer: Peer, cause: &Malformed, length: usize) {
        self.gate
            .recorder()
            .malformed(&self.gate, self.id.as_ref(), peer, cause, length);
    }

    pub(crate) fn record_drop(&self, peer: Peer, length: usize) {
        self.gate
            .recorder()
            .dropped(&self.gate, self.id.as_ref(), peer, length);
    }

    pub(super) fn record_list(&self, seen: ListSeen) {
        self.gate.recorder().list(&self.gate, self.id.as_ref(), seen);
    }

    /// The client has cancelled; it waits for no answer.
    pub(super) fn settle_cancelled(&self, key: &IdKey, pending: &Pending, sent: Sent) {
        self.settle(pending, Status::Cancelled, None, sent);
        self.remember(key, pending, sent);
    }

    /// Remembers a request that left and ended without an answer.
    pub(super) fn remember(&self, key: &IdKey, pending: &Pending, sent: Sent) {
        if sent == Sent::Nothing {
            return;
        }
        let mut state = self.lock();
        if state.given_up.len() >= GIVEN_UP_MAX {
            let oldest = state.given_up.iter().min_by_key(|(_, given_up)| given_up.since);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                state.given_up.remove(&oldest);
            }
        }
        state.given_up.insert(
            key.clone(),
            GivenUp {
                ticket: pending.ticket,
                since: Instant::now(),
            },
        );
    }
}
