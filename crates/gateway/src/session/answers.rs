//! What a session records of what it refuses, drops and gives up.

use super::pending::{Pending, Purpose};
use super::{GIVEN_UP_MAX, Session};
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

    pub(super) fn record_drop(&self, peer: Peer, length: usize) {
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
        self.remember(key, pending);
    }

    /// Remembers a call that ended without an answer, so that a late one can be told.
    pub(super) fn remember(&self, key: &IdKey, pending: &Pending) {
        let Purpose::Call(Some(call)) = pending.kind else {
            return;
        };
        let mut state = self.lock();
        if state.given_up.len() < GIVEN_UP_MAX {
            state.given_up.insert(key.clone(), (call, Instant::now()));
        }
    }
}
