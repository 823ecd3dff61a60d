//! What is told of one request, gathered while it passes.

use super::export::Queue;
use callgate_core::name::{GrantId, RuleId, ServerName};
use callgate_core::refusal::{Reason, Refusal};
use callgate_ledger::CallId;
use callgate_ledger::record::Status;
use callgate_wire::mcp::{Version, method};
use callgate_wire::trace::{Carried, SpanId, TraceContext};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;
use tokio::time::Instant;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");
/// Bytes of `baggage` that are passed on: what the standard has systems pass on at least.
const BAGGAGE_BYTES_MAX: usize = 8_192;
/// The longest name of a tool that is told, in bytes.
const TOOL_BYTES_MAX: usize = 128;

/// What the headers of a request say of its trace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(super) carried: Option<Carried>,
    /// Passed on as it came, to servers that have headers.
    pub(super) baggage: Option<HeaderValue>,
}

impl Heard {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let parent = match all(headers, &TRACEPARENT).as_slice() {
            [only] => Some(*only),
            // Which of several is meant cannot be told.
            _ => None,
        };
        let state = all(headers, &TRACESTATE).join(",");
        let baggage = all(headers, &BAGGAGE).join(",");
        let is_passed_on = (1..=BAGGAGE_BYTES_MAX).contains(&baggage.len());
        Self {
            carried: Carried::of(parent, Some(&state)),
            baggage: HeaderValue::try_from(baggage).ok().filter(|_| is_passed_on),
        }
    }
}

/// The values of a header that are visible ASCII.
fn all<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h str> {
    let values = headers.get_all(name).iter();
    values.map(|value| value.to_str().unwrap_or_default()).collect()
}

/// What a server is told of the trace of a request, and when it was.
#[derive(Debug)]
pub(crate) struct Outward {
    /// The span in which it is sent.
    pub(crate) carried: Carried,
    baggage: Option<HeaderValue>,
    left: OnceLock<Instant>,
}

impl Outward {
    pub(super) fn new(carried: Carried, baggage: Option<HeaderValue>) -> Self {
        Self {
            carried,
            baggage,
            left: OnceLock::new(),
        }
    }

    /// It is sent now, for the first time or again.
    pub(crate) fn leave(&self) {
        self.left.get_or_init(Instant::now);
    }

    /// The headers that say it.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let parent = HeaderValue::try_from(self.carried.context.to_string()).ok();
        let state = self.carried.state.as_ref();
        let state = state.and_then(|state| HeaderValue::try_from(state.as_str()).ok());
        let headers = [
            (TRACEPARENT, parent),
            (TRACESTATE, state),
            (BAGGAGE, self.baggage.clone()),
        ];
        headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// What is known of a request when it comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) method: &'a str,
    /// The tool, by the server's own name.
    pub(crate) tool: Option<&'a str>,
    pub(crate) version: Option<Version>,
    /// None where it names no server of its caller.
    pub(crate) server: Option<&'a ServerName>,
    pub(crate) grant: &'a GrantId,
    /// How the server is reached, in the words of OpenTelemetry.
    pub(crate) transport: Option<&'static str>,
}

/// All that is told of a request.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) own: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) link: Option<TraceContext>,
    pub(super) outward: Arc<Outward>,
    /// One of the protocol's own; none for any other.
    pub(super) method: Option<&'static str>,
    pub(super) tool: Option<Box<str>>,
    pub(super) version: Option<Version>,
    pub(super) server: Option<ServerName>,
    pub(super) grant: GrantId,
    pub(super) transport: Option<&'static str>,
    /// When it came, by both clocks.
    pub(super) at: SystemTime,
    pub(super) received: Instant,
    pub(super) marks: Marks,
    pub(super) ended: Instant,
}

/// What became of a request.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) verdict: Option<Verdict>,
    pub(super) outcome: Option<Outcome>,
}

/// Whether it was let pass.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It was; a call under this name in the ledger.
    Allowed(Option<CallId>),
    /// By this rule, where one decided, and for this reason. What the agent is told may hold values.
    Denied { rule: RuleId, reason: Reason },
    /// There was nothing to decide, for this reason.
    Unfit(&'static str),
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: Status,
    pub(super) reason: Option<&'static str>,
    pub(super) at: Instant,
}

impl Record {
    pub(super) fn new(
        subject: Subject<'_>,
        own: SpanId,
        parent: Option<SpanId>,
        link: Option<TraceContext>,
        outward: Arc<Outward>,
        at: SystemTime,
        received: Instant,
    ) -> Self {
        let tool = subject.tool.filter(|tool| tool.len() <= TOOL_BYTES_MAX);
        Self {
            own,
            parent,
            link,
            outward,
            method: method::known(subject.method),
            tool: tool.map(Into::into),
            version: subject.version,
            server: subject.server.cloned(),
            grant: subject.grant.clone(),
            transport: subject.transport,
            at,
            received,
            marks: Marks::default(),
            ended: received,
        }
    }

    /// When it was sent to the server, if it was.
    pub(super) fn left(&self) -> Option<Instant> {
        self.outward.left.get().copied()
    }

    /// How many spans it makes.
    pub(super) fn spans(&self) -> u64 {
        1 + u64::from(self.left().is_some())
    }
}

/// A request under way. When it is dropped, it is over, and told.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Taken when it is told.
    record: Option<Box<Record>>,
    marks: Mutex<Marks>,
    queue: Arc<Queue>,
    is_listed: OnceLock<()>,
}

impl Trace {
    pub(super) fn new(record: Record, queue: Arc<Queue>) -> Self {
        Self {
            record: Some(Box::new(record)),
            marks: Mutex::default(),
            queue,
            is_listed: OnceLock::new(),
        }
    }

    fn mark(&self, mark: impl FnOnce(&mut Marks)) {
        mark(&mut self.marks.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// It may pass; a call that has an intent under this name.
    pub(crate) fn allowed(&self, call: Option<CallId>) {
        self.mark(|marks| marks.verdict = Some(Verdict::Allowed(call)));
    }

    /// It may not pass, or not any further.
    pub(crate) fn denied(&self, refusal: &Refusal) {
        let (rule, reason) = (refusal.rule.clone(), refusal.reason);
        self.mark(|marks| marks.verdict = Some(Verdict::Denied { rule, reason }));
    }

    /// It cannot pass, for this reason.
    pub(crate) fn unfit(&self, reason: &'static str) {
        self.mark(|marks| marks.verdict = Some(Verdict::Unfit(reason)));
    }

    /// It has ended.
    pub(crate) fn ended(&self, status: Status, reason: Option<&'static str>) {
        let at = Instant::now();
        self.mark(|marks| marks.outcome = Some(Outcome { status, reason, at }));
    }

    /// Has its tool told where `is_listed` says that the server has it: any other name is the client's own.
    pub(crate) fn confirm(&self, is_listed: impl FnOnce(&str) -> bool) {
        let tool = self.record.as_ref().and_then(|record| record.tool.as_deref());
        if tool.is_some_and(is_listed) {
            self.is_listed.get_or_init(|| ());
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let Some(mut record) = self.record.take() else {
            return;
        };
        record.ended = Instant::now();
        record.marks = std::mem::take(self.marks.get_mut().unwrap_or_else(PoisonError::into_inner));
        if self.is_listed.get().is_none() {
            record.tool = None;
        }
        self.queue.push(record);
    }
}
