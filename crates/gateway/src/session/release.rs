//! Judging: what the policy and the store say of a call, and what follows.

use super::inbound::{Intake, Work, refusal};
use super::listing::Tools;
use super::pending::{Clock, Departure, Pending, Purpose, Target};
use super::{PERHAPS_LEGACY, Session};
use crate::answer;
use crate::bridge::Bridge;
use crate::link::{Passage, Style};
use crate::recorder::{AdmitError, Asked, Company, Refused};
use crate::sink::{Sink, object};
use bytes::Bytes;
use callgate_core::call::{Call, Listing, OtherCall};
use callgate_core::decide::{MethodClass, decide, decide_method};
use callgate_core::decision::{Admission, Decision};
use callgate_core::json::Json;
use callgate_core::program::Program;
use callgate_core::refusal::{Reason, Refusal};
use callgate_ledger::CallId;
use callgate_wire::headers::{HEADER_MISMATCH, Mismatch};
use callgate_wire::mcp::{
    Era, META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_PROTOCOL_VERSION, ToolCall, method,
};
use callgate_wire::{Decoded, IdKey, Kind, Object, Request, decode, quoted};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often a call is judged again because the grants have changed meanwhile.
const STALE_MAX: u32 = 5;

/// A call that has been judged: it goes on, or its refusal goes back.
#[derive(Debug)]
#[must_use]
pub struct Ready {
    passage: Passage,
    verdict: Verdict,
}

#[derive(Debug)]
enum Verdict {
    /// Its intent is written.
    Admitted { call: CallId, timeout: Option<Duration> },
    /// It does not go on.
    Refused { refusal: Refusal, form: Form },
    /// The headers that came with it tell another story than its arguments.
    Mismatched(Mismatch),
}

/// How a refusal is worded on the wire.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// An ordinary tool result.
    ToolResult,
    /// A JSON-RPC error, where the caller cannot read a tool result.
    Error,
}

/// A decision as far as it needs the borrowed call; what is left owns all it has.
enum Judged {
    Admit {
        admission: Admission,
        asked: Asked,
    },
    Deny {
        refusal: Refusal,
        arguments: Option<Box<[u8]>>,
    },
    /// The list is not at hand, or does not know the name and may be old.
    NeedsList,
}

/// Whether a request takes up a call that has been counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Before,
    Not,
}

impl Judged {
    /// Takes nothing from limits for a call that has been counted.
    fn counted(self, counted: Counted) -> Self {
        match (self, counted) {
            (Self::Admit { admission, asked }, Counted::Before) => Self::Admit {
                admission: Admission {
                    reservations: Vec::new(),
                    ..admission
                },
                asked,
            },
            (judged, _) => judged,
        }
    }
}

impl Session {
    /// Judges a tool call. Where the tools are at hand, the decision is made before this returns, so that
    /// calls are admitted in the order in which they came.
    pub(super) fn judge_call(
        self: &Arc<Self>,
        judged: Bytes,
        request: &Request<'_>,
        call: &ToolCall<'_>,
        passage: Passage,
        era: Era,
    ) -> Work {
        let form = if call.has_task {
            Form::Error
        } else {
            Form::ToolResult
        };
        let at_hand = self.catalogue.fresh();
        let verdict_at_hand = match &at_hand {
            Some(tools) if tools.get(&call.name).is_some() || !self.may_relist() => {
                self.decide_call(call, Some(tools)).counted(self.counted(request))
            }
            Some(_) | None => Judged::NeedsList,
        };
        let session = Arc::clone(self);
        let name: Arc<str> = call.name.as_ref().into();
        let meta = (era == Era::Modern)
            .then(|| protocol_meta(request.params.as_ref()))
            .flatten();
        Work(Box::pin(async move {
            let mut decided = match verdict_at_hand {
                Judged::NeedsList => Box::pin(session.judge_with_list(&judged, &name, meta.as_deref())).await,
                decided @ (Judged::Admit { .. } | Judged::Deny { .. }) => decided,
            };
            // A call that is denied anyway is not told what its tool's headers ought to be.
            if matches!(decided, Judged::Admit { .. })
                && let Some(mismatch) = session.header_mismatch(&name, &judged, &passage)
            {
                let verdict = Verdict::Mismatched(mismatch);
                return Ready { passage, verdict };
            }
            for _ in 0..STALE_MAX {
                let Judged::Admit { admission, asked } = decided else {
                    break;
                };
                if let Some(verdict) = session.admit(admission, asked, form).await {
                    return Ready { passage, verdict };
                }
                session.refresh_grants().await;
                decided = Box::pin(session.judge_with_list(&judged, &name, meta.as_deref())).await;
            }
            let verdict = session.verdict_without_intent(decided, &name, form, era);
            Ready { passage, verdict }
        }))
    }

    /// The verdict on a call that was not admitted.
    fn verdict_without_intent(&self, judged: Judged, name: &str, form: Form, era: Era) -> Verdict {
        let (refusal, arguments) = match judged {
            Judged::Deny { refusal, arguments } if refusal.reason == Reason::ListUnavailable => (
                Refusal {
                    rule: refusal.rule,
                    ..self.list_refusal(era)
                },
                arguments,
            ),
            Judged::Deny { refusal, arguments } => (refusal, arguments),
            Judged::NeedsList => (self.list_refusal(era), None),
            // The grants change faster than calls can be judged.
            Judged::Admit { .. } => (store_unavailable(), None),
        };
        let asked = Refused {
            method: method::TOOLS_CALL,
            tool: Some(name),
            arguments: arguments.as_deref(),
        };
        self.record_refused(&refusal, asked);
        Verdict::Refused { refusal, form }
    }

    /// Puts in force here what the store says of the grants now.
    async fn refresh_grants(&self) {
        if let Some(grants) = self.gate.grants().and_then(std::sync::Weak::upgrade) {
            grants.refresh().await;
        }
    }

    /// Which state of the grants this session is judged under. One whose grants are gone fits no state.
    fn grants_generation(&self) -> Option<u64> {
        let grants = self.gate.grants()?;
        Some(grants.upgrade().map_or(u64::MAX, |grants| grants.generation()))
    }

    /// Reads the list, then judges the very bytes of the request again.
    async fn judge_with_list(self: &Arc<Self>, judged: &Bytes, name: &str, meta: Option<&str>) -> Judged {
        let tools = self.tools_for(name, meta).await;
        let Ok(Decoded::Single(message)) = decode(judged, &self.gate.settings.bounds) else {
            return Judged::NeedsList;
        };
        let Kind::Request(request) = message.kind() else {
            return Judged::NeedsList;
        };
        match ToolCall::from_request(request) {
            Ok(Some(call)) => self
                .decide_call(&call, tools.as_deref())
                .counted(self.counted(request)),
            Ok(None) | Err(_) => Judged::NeedsList,
        }
    }

    /// Judges a request again that was admitted before: the policy may have changed since. It counts once.
    pub(crate) async fn judge_again(self: &Arc<Self>, judged: &Bytes) -> Result<(), Refusal> {
        let Ok(Decoded::Single(message)) = decode(judged, &self.gate.settings.bounds) else {
            return Err(list_unavailable());
        };
        let Kind::Request(request) = message.kind() else {
            return Err(list_unavailable());
        };
        let call = ToolCall::from_request(request).ok().flatten();
        let Some(call) = call else {
            let decision = self.decide_other(&self.gate.program(), &request.method, request.params.as_ref());
            return match decision {
                Decision::Deny(refusal) => Err(refusal),
                Decision::Admit(_) => Ok(()),
            };
        };
        match self.judge_with_list(judged, &call.name, None).await {
            Judged::Admit { .. } => Ok(()),
            Judged::Deny { refusal, .. } => Err(refusal),
            Judged::NeedsList => Err(list_unavailable()),
        }
    }

    fn decide_call(&self, call: &ToolCall<'_>, tools: Option<&Tools>) -> Judged {
        // Before the policy is looked at: what changes from here on makes the call stale.
        let grants = self.grants_generation();
        let program = &*self.gate.program();
        let arguments: Option<Json<'_>> = call.arguments.map(|arguments| arguments.parse());
        let listed = tools.and_then(|tools| tools.get(&call.name));
        let listing = match (tools, listed) {
            (None, _) => Listing::Unknown,
            (Some(_), None) => Listing::NotListed,
            (Some(_), Some(tool)) => Listing::Listed(tool),
        };
        let judged = Call {
            scene: self.gate.scene(self.id.as_ref()),
            tool: &call.name,
            listing,
            arguments: arguments.as_ref(),
        };
        match decide(program, &judged) {
            Decision::Deny(refusal) => Judged::Deny {
                refusal,
                arguments: call.arguments.map(|raw| raw.bytes().into()),
            },
            Decision::Admit(admission) => Judged::Admit {
                asked: Asked::tool_call(
                    &call.name,
                    call.arguments.map(|raw| raw.bytes()),
                    program,
                    &admission,
                    &judged,
                )
                .under(grants),
                admission,
            },
        }
    }

    /// Has the store admit a call; `None` where it was judged under grants that have changed since.
    async fn admit(&self, admission: Admission, asked: Asked, form: Form) -> Option<Verdict> {
        let timeout = admission.timeout;
        // Of calls that wait together, one transaction is cheaper than one for each.
        let company = match self.gate.settings.company {
            Company::Alone if self.in_flight() > 1 => Company::Others,
            company @ (Company::Alone | Company::Others) => company,
        };
        let admitted = self
            .gate
            .recorder()
            .admit(&self.gate, self.id.as_ref(), admission, asked, company)
            .await;
        let refusal = match admitted {
            Ok(call) => return Some(Verdict::Admitted { call, timeout }),
            Err(AdmitError::Stale) => return None,
            Err(AdmitError::Refused(refusal)) => refusal,
            Err(AdmitError::TimedOut) => {
                tracing::error!("the store did not admit a call in time, so it was denied");
                store_unavailable()
            }
            Err(AdmitError::Unavailable(cause)) => {
                tracing::error!(%cause, "the store did not admit a call, so it was denied");
                store_unavailable()
            }
        };
        Some(Verdict::Refused { refusal, form })
    }

    /// Judges what is not a tool call; most of it passes at once.
    pub(super) fn judge_other(
        self: &Arc<Self>,
        request: &Request<'_>,
        passage: Passage,
        sink: &Sink,
        intake: &mut Intake,
    ) {
        let grants = self.grants_generation();
        let program = self.gate.program();
        let counted = self.counted(request);
        let decision = match self.refuse_task(request) {
            Some(refusal) => Decision::Deny(refusal),
            None => self.decide_other(&program, &request.method, request.params.as_ref()),
        };
        match decision {
            Decision::Deny(refusal) => {
                self.record_refusal(&refusal, &request.method, None);
                let taken = passage.key.as_ref().and_then(|key| self.take(key));
                if let Some(trace) = taken.and_then(|pending| pending.trace) {
                    trace.denied(&refusal);
                }
                let (bytes, status) = if refusal.reason == Reason::TaskNotFound {
                    task_error(request, &refusal, passage.style)
                } else {
                    (answer::refusal_error(request.id.raw(), &refusal), 200)
                };
                intake.answer_with(sink, bytes, status);
            }
            Decision::Admit(admission)
                if admission.slots.is_empty()
                    && (admission.reservations.is_empty() || counted == Counted::Before) =>
            {
                if let Some(key) = &passage.key {
                    self.start_clock(key);
                }
                intake.passages.push(passage);
            }
            Decision::Admit(mut admission) => {
                if counted == Counted::Before {
                    admission.reservations.clear();
                }
                let params = request.params.as_ref().map(|params| params.raw().bytes());
                let asked = Asked::method(&request.method, params, &program).under(grants);
                let session = Arc::clone(self);
                let method: Box<str> = request.method.as_ref().into();
                intake.work.push(Work(Box::pin(async move {
                    let verdict = match session.admit(admission, asked, Form::Error).await {
                        Some(verdict) => verdict,
                        None => {
                            session.refresh_grants().await;
                            let refusal = store_unavailable();
                            session.record_refusal(&refusal, &method, None);
                            Verdict::Refused {
                                refusal,
                                form: Form::Error,
                            }
                        }
                    };
                    Ready { passage, verdict }
                })));
            }
        }
    }

    /// Whether a request takes up a call that waits at the server for what its client has yet to say.
    fn counted(&self, request: &Request<'_>) -> Counted {
        match self.crossing.bridge() {
            Some(Bridge::ToLegacy(bridge)) if bridge.is_parked(self, request) => Counted::Before,
            Some(_) | None => Counted::Not,
        }
    }

    /// Refuses a request for a task that this caller's calls have not made.
    fn refuse_task(&self, request: &Request<'_>) -> Option<Refusal> {
        let is_own = self.gate.tasks().is_none_or(|tasks| {
            tasks.may_ask(&self.gate.caller.grant, &request.method, request.params.as_ref())
        });
        let text = "no call of yours has made such a task since the gateway started; ask for your own tasks by their ids";
        (!is_own).then(|| refusal(Reason::TaskNotFound, text))
    }

    fn decide_other(&self, program: &Program, name: &str, params: Option<&Object<'_>>) -> Decision {
        let params = params.map(|params| params.raw().parse());
        let class = if callgate_wire::mcp::is_housekeeping(name) {
            MethodClass::Housekeeping
        } else {
            MethodClass::Other
        };
        let call = OtherCall {
            scene: self.gate.scene(self.id.as_ref()),
            method: name,
            params: params.as_ref(),
        };
        decide_method(program, &call, class)
    }

    /// Whether a notification may pass; one that may not is recorded and dropped, as it has no answer.
    pub(super) fn is_method_allowed(&self, name: &str, params: Option<&Object<'_>>) -> bool {
        match self.decide_other(&self.gate.program(), name, params) {
            Decision::Deny(refusal) => {
                self.record_refusal(&refusal, name, None);
                false
            }
            Decision::Admit(admission) if admission.reservations.is_empty() && admission.slots.is_empty() => {
                true
            }
            // A notification has no answer that could say that a limit is used up.
            Decision::Admit(_) => {
                let why = "limits do not apply to notifications, so this one is dropped; take the limit away, or deny it";
                self.record_refusal(&refusal(Reason::ConditionError, why), name, None);
                false
            }
        }
    }

    /// Sends an admitted call on its way, or its refusal back.
    pub async fn release(self: &Arc<Self>, ready: Ready) {
        if let Some(passage) = self.clear(ready).await {
            self.forward(passage).await;
        }
    }

    /// As [`Session::release`], and sees a call over HTTP through to its answer.
    pub async fn see_through(self: &Arc<Self>, ready: Ready) {
        if let Some(passage) = self.clear(ready).await {
            self.carry(passage).await;
        }
    }

    /// What may go on; a refusal goes back instead.
    async fn clear(&self, ready: Ready) -> Option<Passage> {
        let Ready { passage, verdict } = ready;
        let key = passage.key.clone()?;
        match verdict {
            Verdict::Admitted { call, timeout } => {
                if self.hold_ticket(&key, &passage.departure, call, timeout) {
                    return Some(passage);
                }
                // Cancelled, or the client left, before a byte was sent.
                self.gate.recorder().settle_unsent(&self.gate, call);
            }
            Verdict::Refused { refusal, form } => {
                if let Some(pending) = self.take_own(&key, &passage.departure) {
                    pending.refuse(&refusal, form).await;
                }
            }
            Verdict::Mismatched(mismatch) => {
                if let Some(pending) = self.take_own(&key, &passage.departure)
                    && let Target::Client { sink, id, .. } = pending.target
                {
                    if let Some(trace) = &pending.trace {
                        trace.unfit("header_mismatch");
                    }
                    let bytes = answer::error(&id, HEADER_MISMATCH, &mismatch.to_string());
                    sink.send(bytes, 400).await;
                }
            }
        }
        None
    }

    /// Notes what a request was admitted as; false where it no longer waits. Another request may stand under
    /// its id by now.
    fn hold_ticket(
        &self,
        key: &IdKey,
        departure: &Departure,
        call: CallId,
        timeout: Option<Duration>,
    ) -> bool {
        let mut state = self.lock();
        let pending = state
            .pending
            .get_mut(key)
            .filter(|pending| pending.departure.is(departure));
        let Some(pending) = pending else { return false };
        pending.ticket = Some(call);
        if let Some(trace) = &pending.trace {
            trace.allowed(Some(call));
        }
        start(pending, timeout, self.gate.settings.timeout_max);
        let took = pending.started.saturating_duration_since(pending.received);
        let is_call = pending.kind == Purpose::Call;
        drop(state);
        if let Some(meter) = self.gate.meter().filter(|_| is_call) {
            meter.released(took);
        }
        true
    }

    fn start_clock(&self, key: &IdKey) {
        if let Some(pending) = self.lock().pending.get_mut(key) {
            if let Some(trace) = &pending.trace {
                trace.allowed(None);
            }
            start(pending, None, self.gate.settings.timeout_max);
        }
    }
}

impl Pending {
    async fn refuse(self, refusal: &Refusal, form: Form) {
        if let Some(trace) = &self.trace {
            trace.denied(refusal);
        }
        let Target::Client { sink, id, .. } = self.target else {
            return;
        };
        let bytes = match form {
            Form::ToolResult => answer::denial(&id, refusal, self.era),
            Form::Error => answer::refusal_error(&id, refusal),
        };
        sink.answer(bytes).await;
    }
}

fn start(pending: &mut Pending, timeout: Option<Duration>, timeout_max: Duration) {
    let now = Instant::now();
    let timeout = timeout.unwrap_or(pending.clock.timeout()).min(timeout_max);
    pending.started = now;
    if pending.kind == Purpose::OpenEnded {
        return;
    }
    pending.clock = Clock::running(now, timeout, Some(now + timeout_max));
}

/// The protocol's own part of a modern request's `_meta`, for requests of Callgate's own in its name.
pub(crate) fn protocol_meta(params: Option<&Object<'_>>) -> Option<String> {
    let meta = params?.get("_meta")?.as_object()?;
    let members: Vec<(&str, &str)> = [META_PROTOCOL_VERSION, META_CLIENT_INFO, META_CLIENT_CAPABILITIES]
        .into_iter()
        .filter_map(|key| Some((key, meta.get(key)?.text())))
        .collect();
    debug_assert!(members.iter().all(|(key, _)| quoted(key).len() == key.len() + 2));
    Some(object(&members))
}

impl Session {
    /// Why a call cannot be judged for want of a list.
    fn list_refusal(&self, era: Era) -> Refusal {
        if era == Era::Modern && self.catalogue.was_refused() {
            refusal(Reason::EraMismatch, PERHAPS_LEGACY)
        } else {
            list_unavailable()
        }
    }
}

/// The extension that a client of 2026-07-28 has to declare before it asks for tasks.
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// What a server would say of a task that there is not, and the status of HTTP that goes with it.
pub(crate) fn task_error(request: &Request<'_>, refusal: &Refusal, style: Style) -> (Bytes, u16) {
    let (code, more, status) = match (request.method.as_ref(), style) {
        (method::TASKS_GET | method::TASKS_UPDATE | method::TASKS_CANCEL, Style::Modern)
            if !declares_tasks(request) =>
        {
            let needed = object(&[("extensions", &object(&[(TASKS, "{}")]))]);
            (-32_021, Some(("requiredCapabilities", needed)), 400)
        }
        (method::TASKS_GET | method::TASKS_UPDATE | method::TASKS_CANCEL, _)
        | (method::TASKS_RESULT, Style::Plain) => (-32_602, None, 200),
        (method::TASKS_LIST | method::TASKS_RESULT, Style::Modern) => (-32_601, None, 404),
        (_, _) => (answer::REFUSED_CODE, None, 200),
    };
    let more = more.as_ref().map(|(key, value)| (*key, value.as_str()));
    (
        answer::refusal_with_code(request.id.raw(), code, refusal, more),
        status,
    )
}

fn declares_tasks(request: &Request<'_>) -> bool {
    let declared = || {
        let meta = request.params.as_ref()?.get("_meta")?.as_object()?;
        let capabilities = meta.get(META_CLIENT_CAPABILITIES)?.as_object()?;
        capabilities.get("extensions")?.as_object()?.get(TASKS)
    };
    declared().is_some()
}

fn list_unavailable() -> Refusal {
    refusal(
        Reason::ListUnavailable,
        "the server's list of tools could not be read, so no call can be judged; try again later",
    )
}

fn store_unavailable() -> Refusal {
    refusal(
        Reason::StoreUnavailable,
        "the call could not be recorded, and no call passes without a record; ask the operator to look at the state folder",
    )
}
