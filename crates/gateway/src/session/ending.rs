//! Requests that end without the server's answer: deadlines, failures, a side that has gone.

use super::Session;
use super::exchange::cancellation;
use super::inbound::refusal;
use super::pending::{OwnAnswer, Pending, Purpose, Target};
use super::relay::Relayed;
use crate::answer;
use crate::bridge::Original;
use crate::link::Passage;
use crate::recorder::Sent;
use callgate_core::refusal::Reason;
use callgate_ledger::record::Status;
use callgate_wire::IdKey;
use std::sync::Arc;

impl Session {
    /// A request that stays without its answer: its reservation is kept unless nothing has left.
    pub(crate) async fn fail(self: &Arc<Self>, key: &IdKey, reason: Reason, text: &str) {
        if reason == Reason::UpstreamProtocol && self.may_fall_forward(key) {
            let text = text.to_owned();
            return self.fall_forward(key, Original::Failed(reason, text));
        }
        let Some(pending) = self.take(key) else { return };
        let sent = pending.sent();
        let status = match (reason, sent) {
            (_, Sent::Nothing) => Status::Unreachable,
            (Reason::UpstreamProtocol | Reason::UpstreamAuth, Sent::Perhaps) => Status::ProtocolError,
            (_, Sent::Perhaps) => Status::Unknown,
        };
        self.give_up(key, pending, status, reason, sent, text).await;
    }

    /// The deadline of a request has passed: the server is told, and the client too.
    pub(super) async fn expire(self: &Arc<Self>, key: &IdKey) {
        let Some(pending) = self.take(key) else { return };
        let sent = pending.sent();
        let seconds = pending.started.elapsed().as_secs();
        if sent == Sent::Perhaps && !matches!(pending.kind, Purpose::Initialize) {
            let cancel = cancellation(key, "deadline");
            self.forward(Passage::cancellation(cancel, key.clone())).await;
        }
        let text = format!(
            "the server did not answer within {seconds} s; the call may still be running, so look before you start it again"
        );
        let status = if sent == Sent::Nothing {
            Status::Unreachable
        } else {
            Status::Unknown
        };
        self.give_up(key, pending, status, Reason::Deadline, sent, &text)
            .await;
    }

    pub(super) async fn give_up(
        self: &Arc<Self>,
        key: &IdKey,
        pending: Pending,
        status: Status,
        reason: Reason,
        sent: Sent,
        text: &str,
    ) {
        self.settle(&pending, status, Some(reason.code()), sent);
        self.remember(key, &pending, sent);
        let refusal = refusal(reason, text);
        match pending.target {
            // What has gone out is broken off, and says nothing.
            Target::Passing => {}
            Target::Own(sender) => {
                let _ = sender.send(OwnAnswer::Failed(reason));
            }
            Target::Relay(sender) => {
                let text = refusal.text.to_string();
                let _ = sender.send(Relayed::Failed { reason, sent, text });
            }
            Target::Client { sink, id, .. } => {
                let bytes = match pending.kind {
                    Purpose::Call => answer::denial(&id, &refusal, pending.era),
                    Purpose::List
                    | Purpose::Initialize
                    | Purpose::Discover
                    | Purpose::OpenEnded
                    | Purpose::Other => answer::refusal_error(&id, &refusal),
                };
                sink.answer(bytes).await;
            }
        }
    }

    /// The server has gone: whatever waits for it gets an answer now.
    pub(crate) async fn server_gone(self: &Arc<Self>) {
        let keys: Vec<IdKey> = {
            let mut state = self.lock();
            state.is_closed = true;
            state.pending.keys().cloned().collect()
        };
        for key in keys {
            let text = "the server ended before it answered; the call may have run, so look before you start it again";
            self.fail(&key, Reason::UpstreamUnreachable, text).await;
        }
    }

    /// The client has gone: its calls end as unknown, without an answer, and nothing more goes to it.
    pub fn client_gone(&self) {
        let pending: Vec<(IdKey, Pending)> = {
            let mut state = self.lock();
            state.is_closed = true;
            state.standing = None;
            state.pending.drain().collect()
        };
        for (_, pending) in pending {
            pending.departure.end();
            self.confirm(&pending);
            let sent = pending.sent();
            let status = if sent == Sent::Nothing {
                Status::Cancelled
            } else {
                Status::Unknown
            };
            self.settle(&pending, status, Some("client_gone"), sent);
        }
        self.settled.notify_waiters();
    }
}
