//! From the client: decode, tell requests from the rest, and have calls judged.

use super::pending::{Clock, Departure, Pending, Purpose, Target, Voice};
use super::release::Ready;
use super::{Ids, LEGACY_ONLY, ServerEra, Session, era_of};
use crate::answer;
use crate::link::{Passage, Style};
use crate::recorder::{Peer, Sent};
use crate::sink::{BatchJoin, Sink};
use crate::traces::{Begun, Heard, Trace};
use bytes::Bytes;
use callgate_core::name::RuleId;
use callgate_core::refusal::{Reason, Refusal};
use callgate_wire::mcp::{CancelTarget, Era, ToolCall, Version, method, progress_token, protocol_version};
use callgate_wire::splice::{Splice, to_line};
use callgate_wire::{Decoded, IdKey, Kind, Malformed, Message, Notification, Request, Response, decode};
use futures_util::future::BoxFuture;
use std::borrow::Cow;
use std::sync::Arc;
use tokio::time::Instant;

/// What a transport knows of a message that the message itself does not say.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `Mcp-Param-*` headers that came with it, to be compared with the body and passed on; `None` where the
    /// transport has no headers.
    pub headers: Option<Vec<(String, String)>>,
    /// When all of it was there.
    pub received: Instant,
    /// Whose it is.
    pub(crate) lineage: Lineage,
}

/// Whose a message is, as far as traces tell it.
#[derive(Debug, Clone)]
pub(crate) enum Lineage {
    /// A client's, with what its headers say of a trace, where that was looked at.
    Client(Option<Heard>),
    /// Callgate's own.
    Own,
}

impl Entry {
    /// What Callgate asks by itself.
    pub(crate) fn own() -> Self {
        Self {
            lineage: Lineage::Own,
            ..Self::default()
        }
    }
}

impl Default for Entry {
    /// What has just come, without headers.
    fn default() -> Self {
        Self {
            headers: None,
            received: Instant::now(),
            lineage: Lineage::Client(None),
        }
    }
}

/// What has to happen with a unit after it has been accepted.
#[derive(Debug, Default)]
pub struct Intake {
    /// Calls that are being judged; release each once it is ready.
    pub work: Vec<Work>,
    /// Messages that go to the server in this order, before anything that comes later.
    pub passages: Vec<Passage>,
    /// Answers that are due at once.
    pub answers: Vec<Due>,
    /// How many answers the client will get.
    pub answers_due: usize,
}

/// An answer that is due at once.
#[derive(Debug)]
pub struct Due {
    sink: Sink,
    bytes: Bytes,
    /// The HTTP status it goes out with.
    status: u16,
}

impl Due {
    /// Hands it over.
    pub async fn give(self) {
        self.sink.send(self.bytes, self.status).await;
    }
}

/// A call that is being judged and admitted.
pub struct Work(pub BoxFuture<'static, Ready>);

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Work")
    }
}

impl Intake {
    pub(super) fn answer(&mut self, sink: &Sink, bytes: Bytes) {
        self.answer_with(sink, bytes, 200);
    }

    /// As [`Intake::answer`], with another status of HTTP.
    pub(super) fn answer_with(&mut self, sink: &Sink, bytes: Bytes, status: u16) {
        self.answers.push(Due {
            sink: sink.clone(),
            bytes,
            status,
        });
    }
}

impl Session {
    /// Takes one unit from the client: a line, or the body of a request.
    pub fn accept(self: &Arc<Self>, unit: &Bytes, sink: &Sink, entry: &Entry) -> Intake {
        self.accept_decoded(unit, decode(unit, &self.gate.settings.bounds), sink, entry)
    }

    /// As [`Session::accept`], for whoever has decoded the unit before.
    pub(crate) fn accept_decoded(
        self: &Arc<Self>,
        unit: &Bytes,
        decoded: Result<Decoded<'_>, Malformed>,
        sink: &Sink,
        entry: &Entry,
    ) -> Intake {
        let mut intake = Intake::default();
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(cause) => {
                self.refuse_malformed(&cause, unit.len(), sink, &mut intake);
                return intake;
            }
        };
        let lines = if self.link.needs_lines() {
            to_line(unit)
        } else {
            Cow::Borrowed(unit.as_ref())
        };
        let joined = match lines {
            Cow::Borrowed(_) => {
                self.accept_messages(unit, &decoded, sink, entry, &mut intake);
                return intake;
            }
            Cow::Owned(joined) => Bytes::from(joined),
        };
        // What is judged is what is sent: the line, and not what it was joined from.
        match decode(&joined, &self.gate.settings.bounds) {
            Err(cause) => self.refuse_malformed(&cause, unit.len(), sink, &mut intake),
            Ok(decoded) => self.accept_messages(&joined, &decoded, sink, entry, &mut intake),
        }
        intake
    }

    fn accept_messages(
        self: &Arc<Self>,
        unit: &Bytes,
        decoded: &Decoded<'_>,
        sink: &Sink,
        entry: &Entry,
        intake: &mut Intake,
    ) {
        match decoded {
            Decoded::Single(message) => self.accept_message(unit, message, sink, entry, intake),
            Decoded::Batch(messages) => self.accept_batch(unit, messages, sink, entry, intake),
        }
    }

    /// A line or body that was longer than may be.
    pub fn accept_too_long(&self, sink: &Sink) -> Intake {
        let mut intake = Intake::default();
        let bytes_max = self.gate.settings.bounds.message_bytes_max;
        let cause = Malformed::TooLarge {
            bytes: bytes_max.saturating_add(1),
            bytes_max,
        };
        self.refuse_malformed(&cause, bytes_max, sink, &mut intake);
        intake
    }

    fn refuse_malformed(&self, cause: &Malformed, length: usize, sink: &Sink, intake: &mut Intake) {
        self.record_malformed(Peer::Client, cause, length);
        intake.answers_due += 1;
        intake.answers.push(Due {
            sink: sink.clone(),
            bytes: answer::malformed(cause),
            status: 400,
        });
    }

    fn accept_batch(
        self: &Arc<Self>,
        unit: &Bytes,
        messages: &[Message<'_>],
        sink: &Sink,
        entry: &Entry,
        intake: &mut Intake,
    ) {
        if !self.version().is_some_and(Version::has_batches) {
            let refusal = refusal(
                Reason::BatchNotAllowed,
                "this version of the protocol has no batches; send each message alone",
            );
            self.record_refusal(&refusal, "batch", None);
            intake.answers_due += 1;
            intake.answer(sink, answer::error("null", -32_600, &refusal.text));
            return;
        }
        let due = messages
            .iter()
            .filter(|message| matches!(message.kind(), Kind::Request(_)))
            .count();
        let sink = match sink {
            Sink::Direct(sender) | Sink::Alone(sender) | Sink::Shared(sender) if due > 0 => {
                Sink::Batch(Arc::new(BatchJoin::new(sender.clone(), due)))
            }
            Sink::Direct(_) | Sink::Alone(_) | Sink::Shared(_) | Sink::Batch(_) | Sink::Part(_) => {
                sink.clone()
            }
        };
        for message in messages {
            self.accept_message(unit, message, &sink, entry, intake);
        }
        intake.answers_due = due;
    }

    fn accept_message(
        self: &Arc<Self>,
        unit: &Bytes,
        message: &Message<'_>,
        sink: &Sink,
        entry: &Entry,
        intake: &mut Intake,
    ) {
        match message.kind() {
            Kind::Request(request) => {
                intake.answers_due += 1;
                let came = Came {
                    unit,
                    message,
                    request,
                };
                match self.begin_trace(request, entry) {
                    None => self.accept_request(came, None, sink, entry, intake),
                    Some(begun) => self.accept_traced(came, begun, sink, entry, intake),
                }
            }
            Kind::Notification(notification) => self.accept_notification(unit, message, notification, intake),
            Kind::Response(response) => self.accept_response(unit, message, response, intake),
        }
    }

    /// A request that belongs to a trace: its server is told of the span that it is sent in. From here on it is the
    /// request that says so which is judged, recorded and sent. One in which there is no place for it stays as it is.
    fn accept_traced(
        self: &Arc<Self>,
        came: Came<'_, '_>,
        begun: Begun,
        sink: &Sink,
        entry: &Entry,
        intake: &mut Intake,
    ) {
        let splice = Splice::new(came.message).trace(&begun.outward.carried);
        let spliced = splice.and_then(Splice::apply).ok();
        let spliced = spliced.map(|(bytes, check)| (Bytes::from(bytes), check));
        let read = spliced
            .as_ref()
            .and_then(|(bytes, check)| Some((bytes, check.read(bytes, &self.gate.settings.bounds).ok()?)));
        if let Some((unit, Decoded::Single(message))) = &read
            && let Kind::Request(request) = message.kind()
        {
            let told = Came {
                unit,
                message,
                request,
            };
            self.accept_request(told, Some(begun), sink, entry, intake);
        } else {
            self.accept_request(came, Some(begun), sink, entry, intake);
        }
    }

    fn accept_request(
        self: &Arc<Self>,
        came: Came<'_, '_>,
        begun: Option<Begun>,
        sink: &Sink,
        entry: &Entry,
        intake: &mut Intake,
    ) {
        let Came {
            unit,
            message,
            request,
        } = came;
        let (mut trace, outward) = begun.map_or((None, None), |begun| (begun.trace, Some(begun.outward)));
        if request.id.raw().len() > ID_BYTES_MAX {
            if let Some(trace) = &trace {
                trace.unfit(Malformed::BadId.code());
            }
            self.record_malformed(Peer::Client, &Malformed::BadId, message.raw().len());
            intake.answer_with(sink, answer::error("null", -32_600, ID_TOO_LONG), 400);
            return;
        }
        let call = match ToolCall::from_request(request) {
            Ok(call) => call,
            Err(cause) => {
                if let Some(trace) = &trace {
                    trace.unfit(cause.code());
                }
                self.record_malformed(Peer::Client, &cause, message.raw().len());
                intake.answer(sink, answer::error(request.id.raw(), -32_602, &cause.to_string()));
                return;
            }
        };
        let version = protocol_version(request).ok().flatten();
        let era = era_of(version.as_deref());
        let purpose = match (&call, request.method.as_ref()) {
            (Some(_), _) => Purpose::Call,
            (None, method::TOOLS_LIST) => Purpose::List,
            (None, method::INITIALIZE) => Purpose::Initialize,
            (None, method::SERVER_DISCOVER) => Purpose::Discover,
            (None, method::SUBSCRIPTIONS_LISTEN | method::TASKS_RESULT) => Purpose::OpenEnded,
            (None, _) => Purpose::Other,
        };
        if let Some(refusal) = self.era_refusal(era, &purpose) {
            self.end_refused(trace, &refusal);
            self.record_refusal(
                &refusal,
                &request.method,
                call.as_ref().map(|call| call.name.as_ref()),
            );
            intake.answer(sink, answer::refusal_error(request.id.raw(), &refusal));
            return;
        }
        if purpose == Purpose::Initialize {
            let Some(hello) = hello(message) else {
                let cause = hello_too_large(message.raw().len());
                if let Some(trace) = &trace {
                    trace.unfit(cause.code());
                }
                self.record_malformed(Peer::Client, &cause, message.raw().len());
                let bytes = answer::error(request.id.raw(), -32_600, HELLO_TOO_LARGE);
                intake.answer_with(sink, bytes, 413);
                return;
            };
            self.lock().initialize = Some(hello);
        }
        let registered = match self.register(request, purpose, era, sink, entry.received, &mut trace) {
            Ok(registered) => registered,
            Err(refusal) => {
                self.end_refused(trace, &refusal);
                self.record_refusal(
                    &refusal,
                    &request.method,
                    call.as_ref().map(|call| call.name.as_ref()),
                );
                // The id belongs to the request that is in flight, so this answer must not carry it.
                let id = if refusal.reason == Reason::IdInFlight {
                    "null"
                } else {
                    request.id.raw()
                };
                let bytes = match (&call, refusal.reason) {
                    (Some(call), Reason::Overloaded | Reason::UpstreamUnreachable) if !call.has_task => {
                        answer::denial(id, &refusal, era)
                    }
                    _ => answer::refusal_error(id, &refusal),
                };
                intake.answer(sink, bytes);
                return;
            }
        };
        if purpose == Purpose::Initialize {
            self.hold_until_answered(&registered.key, &registered.departure);
        }
        let Some(line) = self.bytes_to_send(unit, message, &registered) else {
            let taken = self.take(&registered.key);
            if let Some(trace) = taken.and_then(|pending| pending.trace) {
                trace.unfit("internal");
            }
            intake.answer(
                sink,
                answer::error(request.id.raw(), -32_603, "the message could not be re-addressed"),
            );
            return;
        };
        let passage = Passage {
            mirrored: entry.headers.clone(),
            style: style_of(era, &request.method),
            trace: outward,
            ..Passage::request(line, registered.key, registered.departure)
        };
        match call {
            Some(call) => {
                intake
                    .work
                    .push(self.judge_call(unit.slice_ref(message.raw()), request, &call, passage, era))
            }
            None => self.judge_other(request, passage, sink, intake),
        }
    }

    /// Eras that do not meet: forwarding would give an answer that neither side understands.
    fn era_refusal(&self, era: Era, purpose: &Purpose) -> Option<Refusal> {
        let state = self.lock();
        let text = match (era, state.server, purpose) {
            (Era::Modern, ServerEra::Legacy, Purpose::Discover) => return None,
            (Era::Modern, ServerEra::Legacy, _) => LEGACY_ONLY,
            _ => return None,
        };
        Some(refusal(Reason::EraMismatch, text))
    }

    fn register(
        self: &Arc<Self>,
        request: &Request<'_>,
        kind: Purpose,
        era: Era,
        sink: &Sink,
        received: Instant,
        trace: &mut Option<Box<Trace>>,
    ) -> Result<Registered, Refusal> {
        let own = request.id.key().clone();
        let minted = match self.ids {
            Ids::Keep => None,
            Ids::Mint => Some(self.mint()),
        };
        let key = minted
            .as_deref()
            .and_then(text_key)
            .unwrap_or_else(|| own.clone());
        let client_token = request
            .params
            .as_ref()
            .and_then(|params| progress_token(params).ok().flatten())
            .map(|token| token.0);
        let token = match (self.ids, &client_token) {
            (Ids::Mint, Some(_)) => Some(key.clone()),
            (Ids::Keep, token) => token.clone(),
            (Ids::Mint, None) => None,
        };
        let departure = Departure::default();
        let timeout = self.gate.settings.timeout;
        let pending = Pending {
            target: Target::Client {
                sink: sink.clone(),
                id: request.id.raw().into(),
                key: own,
            },
            kind,
            voice: Voice::Silent,
            ticket: None,
            era,
            departure: departure.clone(),
            received,
            started: received,
            clock: Clock::stopped(timeout),
            token: token.clone(),
            client_token,
            trace: None,
            holding: None,
        };
        let mut state = self.lock();
        if state.is_closed {
            return Err(refusal(
                Reason::UpstreamUnreachable,
                "the server has ended; start a new session",
            ));
        }
        if state.has_pending(self.gate.settings.pending_max) {
            return Err(refusal(
                Reason::Overloaded,
                "too many requests wait for an answer; wait for some to end before you send more",
            ));
        }
        if state.pending.contains_key(&key) || state.given_up.contains_key(&key) {
            return Err(refusal(
                Reason::IdInFlight,
                "a request with this id is still in flight",
            ));
        }
        let pending = Pending {
            trace: trace.take(),
            ..pending
        };
        state.pending.insert(key.clone(), pending);
        self.watch_deadlines(&mut state);
        Ok(Registered {
            key,
            token,
            departure,
        })
    }

    /// The bytes for the server: those that came, or those with the ids that Callgate gives.
    fn bytes_to_send(&self, unit: &Bytes, message: &Message<'_>, registered: &Registered) -> Option<Bytes> {
        if self.ids == Ids::Keep {
            return Some(unit.slice_ref(message.raw()));
        }
        let mut splice = Splice::new(message).id(&registered.key).ok()?;
        if let Some(token) = &registered.token {
            splice = splice.progress_token(Some(token)).ok()?;
        }
        splice.finish(&self.gate.settings.bounds).ok().map(Bytes::from)
    }

    fn accept_notification(
        self: &Arc<Self>,
        unit: &Bytes,
        message: &Message<'_>,
        notification: &Notification<'_>,
        intake: &mut Intake,
    ) {
        match CancelTarget::from_notification(notification) {
            Err(cause) => self.record_malformed(Peer::Client, &cause, message.raw().len()),
            Ok(Some(CancelTarget(target))) => self.accept_cancel(unit, message, &target, intake),
            Ok(None) => {
                if self.is_method_allowed(&notification.method, notification.params.as_ref()) {
                    intake.passages.push(Passage::notification(
                        unit.slice_ref(message.raw()),
                        notification.method == method::NOTIFICATIONS_INITIALIZED,
                    ));
                }
            }
        }
    }

    /// A cancellation: of a call that has not left, it is carried out here; otherwise the server is told.
    fn accept_cancel(
        self: &Arc<Self>,
        unit: &Bytes,
        message: &Message<'_>,
        target: &IdKey,
        intake: &mut Intake,
    ) {
        if self.ids == Ids::Mint {
            // Whose request this id is cannot be told; closing its stream is what cancels there.
            return;
        }
        let Some(pending) = self.take(target) else { return };
        let sent = pending.sent();
        self.settle_cancelled(target, &pending, sent);
        if let Target::Client { sink, .. } = &pending.target {
            sink.forgo();
        }
        if sent == Sent::Perhaps {
            let line = unit.slice_ref(message.raw());
            intake.passages.push(Passage::cancellation(line, target.clone()));
        }
    }

    fn accept_response(
        &self,
        unit: &Bytes,
        message: &Message<'_>,
        response: &Response<'_>,
        intake: &mut Intake,
    ) {
        let is_asked = response
            .id
            .as_ref()
            .is_some_and(|id| self.lock().asked.remove(id.key()));
        if is_asked {
            intake
                .passages
                .push(Passage::response(unit.slice_ref(message.raw())));
        } else {
            self.record_drop(Peer::Client, message.raw().len());
        }
    }
}

/// A request as it came: the bytes that hold it, and what they say.
#[derive(Clone, Copy)]
struct Came<'m, 'a> {
    unit: &'m Bytes,
    message: &'m Message<'a>,
    request: &'m Request<'a>,
}

/// A request that stands in the table.
struct Registered {
    key: IdKey,
    token: Option<IdKey>,
    departure: Departure,
}

/// Bytes of a request's id, as JSON: ids are remembered for longer than their requests.
const ID_BYTES_MAX: usize = 4_096;
/// What a client is told whose id is longer.
const ID_TOO_LONG: &str = "the id of a request is longer than 4096 bytes";
/// Bytes of an `initialize`, which is kept for as long as its session.
const HELLO_BYTES_MAX: usize = 64 * 1024;
/// What a client is told whose `initialize` is larger.
pub(crate) const HELLO_TOO_LARGE: &str = "`initialize` is larger than 65536 bytes";

/// An `initialize` that is to be kept: a copy, as what it came in may be large, and takes room from others for as long
/// as anything refers to it. `None` where it is too large itself.
pub(crate) fn hello(message: &Message<'_>) -> Option<Bytes> {
    let raw = message.raw();
    (raw.len() <= HELLO_BYTES_MAX).then(|| Bytes::copy_from_slice(raw))
}

/// The cause that is recorded then.
pub(crate) const fn hello_too_large(bytes: usize) -> Malformed {
    Malformed::TooLarge {
        bytes,
        bytes_max: HELLO_BYTES_MAX,
    }
}

/// A refusal that no rule of the policy made.
pub(crate) fn refusal(reason: Reason, text: &str) -> Refusal {
    Refusal {
        rule: RuleId::default(),
        reason,
        text: text.into(),
        retry_after: None,
    }
}

fn text_key(text: &str) -> Option<IdKey> {
    let quoted = callgate_wire::quoted(text);
    let bounds = callgate_wire::Bounds::default();
    callgate_wire::RawJson::read(quoted.as_bytes(), &bounds)
        .ok()
        .and_then(IdKey::of)
}

pub(super) fn style_of(era: Era, name: &str) -> Style {
    match (name, era) {
        (method::INITIALIZE, _) => Style::Initialize,
        (_, Era::Modern) => Style::Modern,
        (_, Era::Legacy) => Style::Plain,
    }
}
