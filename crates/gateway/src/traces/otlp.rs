//! Spans as OpenTelemetry's protocol has them: an `ExportTraceServiceRequest`, in protocol buffers.
//!
//! Written by hand: a dozen fields do not need a generator, its runtime, and the SDK that the generated types bring
//! along. That others read them so is tested with those types.

use super::Resource;
use super::span::{Outcome, Record, Verdict};
use callgate_ledger::record::Status;
use callgate_wire::mcp::method;
use callgate_wire::trace::{Sampled, SpanId, TraceContext};
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::Instant;

/// The name under which all spans are made.
const SCOPE: &str = "callgate";
/// What a method is called that no version of the protocol defines.
const OTHER: &str = "_OTHER";
/// The flags of a span beside those of its context: whether its parent is of another process is known, and it is.
const IS_REMOTE_KNOWN: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// A message being written, field by field.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.key(field, 0);
        self.varint(value);
        self
    }

    fn fixed64(mut self, field: u64, value: u64) -> Self {
        self.key(field, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn fixed32(mut self, field: u64, value: u32) -> Self {
        self.key(field, 5);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.key(field, 2);
        self.varint(u64::try_from(value.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(value);
        self
    }

    fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// An attribute whose value is a string.
    fn attribute(self, field: u64, key: &str, value: &str) -> Self {
        let value = Self::default().bytes(1, value.as_bytes());
        self.message(
            field,
            &Self::default().bytes(1, key.as_bytes()).message(2, &value),
        )
    }
}

/// A batch of what was told, as it is sent.
pub(super) fn encode<'r>(resource: &Resource, records: impl Iterator<Item = &'r Record>) -> Vec<u8> {
    let mut about = Message::default()
        .attribute(1, "service.name", &resource.service)
        .attribute(1, "service.version", resource.version);
    for (key, value) in &resource.attributes {
        about = about.attribute(1, key, value);
    }
    let scope = Message::default()
        .bytes(1, SCOPE.as_bytes())
        .bytes(2, resource.version.as_bytes());
    let mut spans = Message::default().message(1, &scope);
    for record in records {
        spans = spans.message(2, &server_span(record));
        if let Some(left) = record.left() {
            spans = spans.message(2, &client_span(record, left));
        }
    }
    let of_resource = Message::default().message(1, &about).message(2, &spans);
    Message::default().message(1, &of_resource).0
}

/// Which side of a request a span is of.
#[derive(Debug, Clone, Copy)]
enum Side {
    Server = 2,
    Client = 3,
}

/// What the client sees: from the arrival of its request to the end of the answer.
fn server_span(record: &Record) -> Message {
    let remote = record.parent.map_or(0, |_| IS_REMOTE);
    let mut span = begun(record, Side::Server, record.own, record.parent, remote);
    span = times(span, record, record.received, record.ended);
    span = span.attribute(9, "callgate.grant", record.grant.as_str());
    if let Some(version) = record.version {
        span = span.attribute(9, "mcp.protocol.version", version.as_str());
    }
    match &record.marks.verdict {
        Some(Verdict::Allowed(call)) => {
            span = span.attribute(9, "callgate.decision", "allow");
            if let Some(call) = call {
                span = span.attribute(9, "callgate.call", &call.to_string());
            }
        }
        Some(Verdict::Denied { rule, reason }) => {
            span =
                span.attribute(9, "callgate.decision", "deny")
                    .attribute(9, "callgate.reason", reason.code());
            if !rule.as_str().is_empty() {
                span = span.attribute(9, "callgate.rule", rule.as_str());
            }
        }
        Some(Verdict::Unfit(_)) | None => {}
    }
    if let Some(outcome) = &record.marks.outcome {
        span = span.attribute(9, "callgate.outcome", outcome.status.as_str());
    }
    if let Some(link) = &record.link {
        span = span.message(13, &linked(link));
    }
    let error = match &record.marks.verdict {
        Some(Verdict::Denied { reason, .. }) => Some(reason.code()),
        Some(Verdict::Unfit(reason)) => Some(*reason),
        Some(Verdict::Allowed(_)) | None => record.marks.outcome.as_ref().and_then(error_of),
    };
    ended(span, error)
}

/// What the server does: from the first byte that it is sent to its answer.
fn client_span(record: &Record, left: Instant) -> Message {
    let outcome = record.marks.outcome.as_ref();
    let span = record.outward.carried.context.span;
    let mut span = begun(record, Side::Client, span, Some(record.own), 0);
    span = times(
        span,
        record,
        left,
        outcome.map_or(record.ended, |outcome| outcome.at),
    );
    if let Some(transport) = record.transport {
        span = span.attribute(9, "network.transport", transport);
    }
    if let Some(outcome) = outcome {
        span = span.attribute(9, "callgate.outcome", outcome.status.as_str());
    }
    ended(span, outcome.and_then(error_of))
}

fn begun(record: &Record, side: Side, id: SpanId, parent: Option<SpanId>, remote: u32) -> Message {
    let carried = &record.outward.carried;
    let mut span = Message::default()
        .bytes(1, carried.context.trace.bytes())
        .bytes(2, id.bytes());
    if let Some(state) = &carried.state {
        span = span.bytes(3, state.as_str().as_bytes());
    }
    if let Some(parent) = parent {
        span = span.bytes(4, parent.bytes());
    }
    let asked = record.method.unwrap_or(OTHER);
    let name = match &record.tool {
        Some(tool) => format!("{asked} {tool}"),
        None => asked.to_owned(),
    };
    span = span
        .bytes(5, name.as_bytes())
        .number(6, side as u64)
        .fixed32(16, flags(&carried.context) | IS_REMOTE_KNOWN | remote)
        .attribute(9, "mcp.method.name", asked);
    if asked == method::TOOLS_CALL {
        span = span.attribute(9, "gen_ai.operation.name", "execute_tool");
    }
    if let Some(tool) = &record.tool {
        span = span.attribute(9, "gen_ai.tool.name", tool);
    }
    if let Some(server) = &record.server {
        span = span.attribute(9, "callgate.server", server.as_str());
    }
    span
}

/// An error is told by its kind, and never in words: those may hold values.
fn ended(span: Message, error: Option<&str>) -> Message {
    const ERROR: u64 = 2;
    match error {
        None => span,
        Some(error) => span
            .attribute(9, "error.type", error)
            .message(15, &Message::default().number(3, ERROR)),
    }
}

/// Which kind of error an outcome is.
fn error_of(outcome: &Outcome) -> Option<&'static str> {
    match outcome.status {
        Status::Ok | Status::InputRequired | Status::Accepted | Status::Cancelled => None,
        Status::ToolError | Status::ProtocolError | Status::Unreachable | Status::Unknown => {
            Some(outcome.reason.unwrap_or(outcome.status.as_str()))
        }
    }
}

fn linked(context: &TraceContext) -> Message {
    Message::default()
        .bytes(1, context.trace.bytes())
        .bytes(2, context.span.bytes())
        .fixed32(6, flags(context) | IS_REMOTE_KNOWN | IS_REMOTE)
}

fn flags(context: &TraceContext) -> u32 {
    u32::from(context.sampled == Sampled::Yes)
}

/// Times of the clock on the wall, which stand as far apart as those of the one that never goes back.
fn times(span: Message, record: &Record, start: Instant, end: Instant) -> Message {
    let nanos = |at: Instant| {
        let since = record.at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let since = since.saturating_add(at.saturating_duration_since(record.received));
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    };
    span.fixed64(7, nanos(start)).fixed64(8, nanos(end))
}
