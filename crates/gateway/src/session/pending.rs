//! Requests in flight: who asked, how to answer, and how far the bytes have gone.

use super::relay::Relayed;
use crate::recorder::Sent;
use crate::sink::Sink;
use crate::traces::Trace;
use bytes::Bytes;
use callgate_core::refusal::Reason;
use callgate_ledger::CallId;
use callgate_wire::IdKey;
use callgate_wire::mcp::Era;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// A request that waits for its answer.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) target: Target,
    pub(crate) kind: Purpose,
    pub(crate) voice: Voice,
    /// What it was admitted as: its outcome is owed.
    pub(crate) ticket: Option<CallId>,
    /// The era in which the request was made: its answers are worded for it.
    pub(crate) era: Era,
    /// Whether its bytes have begun to leave.
    pub(crate) departure: Departure,
    /// When it came.
    pub(crate) received: Instant,
    /// When it was forwarded, or registered while it is not.
    pub(crate) started: Instant,
    pub(crate) clock: Clock,
    /// The progress token that the server reports under, where the client gave one.
    pub(crate) token: Option<IdKey>,
    /// The client's own token, to put back where Callgate gave another.
    pub(crate) client_token: Option<IdKey>,
    /// What is told of it, where it is traced.
    pub(crate) trace: Option<Box<Trace>>,
    /// What waits for the end of this request, whatever that is.
    pub(crate) holding: Option<Holding>,
}

/// Kept by an `initialize` until it is over: what its client sends meanwhile goes on once this is gone.
#[derive(Debug)]
pub(crate) struct Holding(
    #[expect(dead_code, reason = "it is its end that is waited for")] oneshot::Sender<()>,
);

impl Holding {
    /// One, and what ends with it.
    pub(crate) fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, over) = oneshot::channel();
        (Self(sender), over)
    }
}

impl Pending {
    /// Where a message goes that is not its answer.
    pub(crate) fn speak(&mut self) -> Option<Sink> {
        match &self.target {
            Target::Client { sink, .. } => {
                self.voice = Voice::Heard;
                Some(sink.clone())
            }
            Target::Passing | Target::Own(_) | Target::Relay(_) => None,
        }
    }

    /// Gives up on sending it, and says whether any of it has left before.
    pub(crate) fn sent(&self) -> Sent {
        if self.departure.call_back() {
            Sent::Nothing
        } else {
            Sent::Perhaps
        }
    }
}

/// How long a request may still take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// None until it is forwarded, and for requests that stay open by design.
    pub(crate) deadline: Option<Instant>,
    /// What progress renews the deadline by.
    pub(crate) timeout: Duration,
    /// What no progress stretches it beyond.
    pub(crate) latest: Option<Instant>,
}

/// Who waits for the answer.
#[derive(Debug)]
pub(crate) enum Target {
    /// The client, under its own id (raw JSON).
    Client { sink: Sink, id: Box<str>, key: IdKey },
    /// The client, whose answer is on its way in pieces: there is nothing else to tell it any more.
    Passing,
    /// Callgate itself.
    Own(oneshot::Sender<OwnAnswer>),
    /// Another request of this table or of another session's, for which this one stands in the other era.
    Relay(oneshot::Sender<Relayed>),
}

/// Whether a client has been told anything before the answer to its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    Silent,
    /// What has begun is a stream of messages.
    Heard,
}

/// The answer to a request of Callgate's own.
#[derive(Debug)]
pub(crate) enum OwnAnswer {
    /// The server's response, whole.
    Response(Bytes),
    /// None will come, for this reason.
    Failed(Reason),
}

/// What a request is, as far as its answer is treated differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `tools/call`.
    Call,
    /// `tools/list`.
    List,
    /// `initialize`.
    Initialize,
    /// `server/discover`.
    Discover,
    /// A request that stays open for as long as the client wants.
    OpenEnded,
    /// Anything else.
    Other,
}

/// Shared with whoever writes: decides, once, whether a message leaves or is called back, and tells whoever
/// waits for the answer that nobody wants it any more. It is what tells two requests of one id apart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Departure(std::sync::Arc<Journey>);

#[derive(Debug, Default)]
struct Journey {
    phase: AtomicU8,
    over: Notify,
}

const WAITING: u8 = 0;
const LEAVING: u8 = 1;
const CALLED_BACK: u8 = 2;

impl Departure {
    /// Whether this is the same request's.
    pub(crate) fn is(&self, other: &Self) -> bool {
        std::sync::Arc::ptr_eq(&self.0, &other.0)
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn end(&self) {
        self.0.over.notify_one();
    }

    /// Resolves once nobody waits for the answer any more.
    pub(crate) async fn ended(&self) {
        self.0.over.notified().await;
    }

    /// Asked by the writer right before the first byte; false where the message was called back.
    pub(crate) fn leave(&self) -> bool {
        self.0
            .phase
            .compare_exchange(WAITING, LEAVING, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Whether its first byte has left, or may have.
    pub(crate) fn has_left(&self) -> bool {
        self.0.phase.load(Ordering::Acquire) == LEAVING
    }

    /// Asked by whoever gives up; true only where not one byte has left and none will.
    pub(crate) fn call_back(&self) -> bool {
        self.0
            .phase
            .compare_exchange(WAITING, CALLED_BACK, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
            || self.0.phase.load(Ordering::Acquire) == CALLED_BACK
    }
}
