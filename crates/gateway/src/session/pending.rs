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
    deadline: Option<Instant>,
    /// What progress renews the deadline by.
    timeout: Duration,
    /// What nothing stretches it beyond.
    latest: Option<Instant>,
    /// Since when the client is waited for, whose time is not the server's.
    client_since: Option<Instant>,
}

impl Clock {
    /// One that does not run: of a request that has not been forwarded, or may take as long as it likes.
    pub(crate) const fn stopped(timeout: Duration) -> Self {
        Self {
            deadline: None,
            timeout,
            latest: None,
            client_since: None,
        }
    }

    /// One that runs from now on.
    pub(crate) fn running(now: Instant, timeout: Duration, latest: Option<Instant>) -> Self {
        Self {
            deadline: Some(now + timeout),
            latest,
            ..Self::stopped(timeout)
        }
    }

    /// What progress renews the deadline by.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        let end = match (self.client_since, self.latest) {
            (Some(_), Some(latest)) => self.deadline.map(|deadline| deadline.max(latest)),
            (_, _) => self.deadline,
        };
        end.is_some_and(|end| end <= now)
    }

    /// Gives it so much time, where it runs.
    pub(crate) fn allow(&mut self, now: Instant, time: Duration) {
        if self.deadline.is_some() {
            self.put(self.client_since.unwrap_or(now) + time);
        }
    }

    /// Stands still, as far as it may, while the client is waited for.
    pub(crate) fn wait_for_client(&mut self, now: Instant) {
        self.client_since = Some(now);
    }

    /// Goes on where it stood still.
    pub(crate) fn go_on(&mut self, now: Instant) {
        if let (Some(since), Some(deadline)) = (self.client_since.take(), self.deadline) {
            self.put(deadline + now.saturating_duration_since(since));
        }
    }

    fn put(&mut self, deadline: Instant) {
        self.deadline = Some(self.latest.map_or(deadline, |latest| deadline.min(latest)));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_a_client_is_waited_for_is_not_the_server_s_whatever_progress_it_reports() {
        let begun = Instant::now();
        let at = |seconds: u32| begun + SECOND * seconds;
        let mut clock = Clock::running(at(0), SECOND * 10, Some(at(100)));
        assert!(!clock.is_overdue(at(9)) && clock.is_overdue(at(10)));
        clock.wait_for_client(at(8));
        assert!(!clock.is_overdue(at(60)) && clock.is_overdue(at(100)));
        let mut renewed = clock;
        clock.go_on(at(60));
        assert!(!clock.is_overdue(at(61)) && clock.is_overdue(at(62)));
        renewed.allow(at(30), SECOND * 10);
        assert!(!renewed.is_overdue(at(60)), "progress has shortened it");
        renewed.go_on(at(60));
        assert!(!renewed.is_overdue(at(69)) && renewed.is_overdue(at(70)));
        // Nothing stretches it beyond its end.
        renewed.wait_for_client(at(65));
        renewed.go_on(at(99));
        assert!(!renewed.is_overdue(at(99)) && renewed.is_overdue(at(100)));
        let mut stopped = Clock::stopped(SECOND);
        stopped.wait_for_client(at(0));
        stopped.allow(at(1), SECOND);
        stopped.go_on(at(2));
        assert!(!stopped.is_overdue(at(1_000)));
    }
}
