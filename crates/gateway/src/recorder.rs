//! The gate's side of the store: what is asked of it, in the terms of a call.

mod stray;

use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::oauth;
use crate::serve::http::Whence;
use crate::traces::Tracer;
use callgate_core::call::{Call, Caller};
use callgate_core::decision::Admission as Admitted;
use callgate_core::json::Json;
use callgate_core::name::{GrantId, ServerName, SessionId, ToolName};
use callgate_core::path::{Path, Segment};
use callgate_core::program::Program;
use callgate_core::refusal::{Reason, Refusal};
use callgate_ledger::record::{self, Status};
use callgate_ledger::{CallId, Digest, Text, Uint53};
use callgate_store::{
    Admission, AdmitRequest, Event, Fingerprint, Holder, Refund, Settlement, Store, StoreError,
};
use callgate_wire::{JsonStyle, Malformed};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

pub use callgate_ledger::record::Peer;
pub(crate) use stray::Sender;

/// Writes the record of a gate.
#[derive(Debug, Clone)]
pub struct Recorder {
    store: Arc<Store>,
    /// Where somebody watches.
    metrics: Option<Arc<Metrics>>,
    /// Where calls are traced.
    tracer: Option<Arc<Tracer>>,
}

/// What a call is recorded as, owned, so that it outlives the message.
#[derive(Debug)]
pub struct Asked {
    method: Arc<str>,
    tool: Option<ToolName>,
    /// The bytes of the arguments, which the store keeps as a keyed hash only.
    arguments: Option<Box<[u8]>>,
    policy: [u8; 32],
    values: Option<Box<str>>,
    /// The state of the grants that it was judged under.
    grants: Option<u64>,
}

/// Why a call was not admitted.
#[derive(Debug)]
pub enum AdmitError {
    /// A limit refused it; the denial is recorded.
    Refused(Refusal),
    /// The store could not say.
    Unavailable(StoreError),
    /// The store did not say in time.
    TimedOut,
    /// The grants have changed since the call was judged.
    Stale,
}

/// How long the store may take to admit a call. Another process on the same state folder may be stopped while
/// it holds the lock.
const ADMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What came of listing the server's tools.
#[derive(Debug, Clone, Copy)]
pub enum ListSeen {
    /// The list was read.
    Read {
        /// How many tools it has.
        tools: usize,
        /// How many of them the caller sees.
        shown: usize,
    },
    /// It could not be had.
    Failed {
        /// Why.
        code: &'static str,
    },
}

/// Whether others use the thread that a call is judged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// Nobody: it may be blocked for as long as a transaction takes.
    Alone,
    /// Other calls, which must not wait for this one's.
    Others,
}

/// What became of a call that was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub status: Status,
    /// Why, where the status alone does not say.
    pub reason: Option<&'static str>,
    /// Whether bytes of it have left.
    pub sent: Sent,
    /// From forwarding to the end.
    pub duration: Duration,
}

/// What was refused, as far as its record tells.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    /// The method.
    pub method: &'a str,
    /// The tool, of a tool call.
    pub tool: Option<&'a str>,
    /// The bytes of the arguments, which the store keeps as a keyed hash only.
    pub arguments: Option<&'a [u8]>,
}

/// Whether any byte of a call has left Callgate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Some may have.
    Perhaps,
    /// Not one has, and none will.
    Nothing,
}

impl Asked {
    /// A tool call, with the values that its policy records.
    #[must_use]
    pub fn tool_call(
        name: &str,
        arguments: Option<&[u8]>,
        program: &Program,
        admission: &Admitted,
        call: &Call<'_>,
    ) -> Self {
        Self {
            method: callgate_wire::mcp::method::TOOLS_CALL.into(),
            tool: ToolName::new(name).ok(),
            arguments: arguments.map(Into::into),
            policy: program.digest,
            values: recorded_values(&admission.record, call.arguments),
            grants: None,
        }
    }

    /// Says under which state of the grants it was judged, where its caller has one.
    #[must_use]
    pub fn under(self, grants: Option<u64>) -> Self {
        Self { grants, ..self }
    }

    /// Any other request.
    #[must_use]
    pub fn method(name: &str, params: Option<&[u8]>, program: &Program) -> Self {
        Self {
            method: name.into(),
            tool: None,
            arguments: params.map(Into::into),
            policy: program.digest,
            values: None,
            grants: None,
        }
    }
}

impl Recorder {
    /// Records in this store.
    #[must_use]
    pub const fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            metrics: None,
            tracer: None,
        }
    }

    /// The same, and counts for whoever watches.
    #[must_use]
    pub fn watched(self, metrics: Arc<Metrics>) -> Self {
        Self {
            metrics: Some(metrics),
            ..self
        }
    }

    /// The same, and traces calls.
    #[must_use]
    pub fn traced(self, tracer: Arc<Tracer>) -> Self {
        Self {
            tracer: Some(tracer),
            ..self
        }
    }

    pub(crate) const fn tracer(&self) -> Option<&Arc<Tracer>> {
        self.tracer.as_ref()
    }

    pub(crate) const fn metrics(&self) -> Option<&Arc<Metrics>> {
        self.metrics.as_ref()
    }

    /// The store itself.
    #[must_use]
    pub const fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Takes a call's reservations and writes its intent, in one transaction.
    ///
    /// # Errors
    /// [`AdmitError`]; either way the call must not be forwarded.
    pub async fn admit(
        &self,
        gate: &Gate,
        session: Option<&SessionId>,
        admitted: Admitted,
        asked: Asked,
        company: Company,
    ) -> Result<CallId, AdmitError> {
        let arguments: Option<Fingerprint> = asked
            .arguments
            .as_deref()
            .map(|bytes| self.store.fingerprint(bytes));
        let request = AdmitRequest {
            server: gate.server.clone(),
            grant: gate.caller.grant.clone(),
            holder: holder(&gate.caller),
            session: session.cloned(),
            method: asked.method,
            tool: asked.tool,
            arguments,
            policy: asked.policy,
            rule: None,
            reservations: admitted.reservations,
            slots: admitted.slots,
            shadow: admitted.shadow,
            values: asked.values,
            grants_generation: asked.grants,
        };
        let counted = self.metrics.as_ref().map(|metrics| Counted {
            metrics,
            asked: Instant::now(),
            tool: request.tool.clone(),
            shadow: request.shadow.clone(),
        });
        let told = match company {
            Company::Alone => timeout(ADMIT_TIMEOUT, self.store.admit_alone(request)).await,
            Company::Others => timeout(ADMIT_TIMEOUT, self.store.admit(request)).await,
        };
        if let Some(counted) = counted {
            counted.told(gate, &told);
        }
        match told {
            Ok(Ok(Admission::Admitted(admitted))) => Ok(admitted.call),
            Ok(Ok(Admission::Refused(refusal))) => Err(AdmitError::Refused(refusal)),
            Ok(Ok(Admission::Stale)) => Err(AdmitError::Stale),
            Ok(Err(cause)) => Err(AdmitError::Unavailable(cause)),
            Err(_) => Err(AdmitError::TimedOut),
        }
    }

    /// Writes how a call ended. Does not wait.
    pub fn settle(&self, gate: &Gate, call: CallId, ended: Ended) {
        if let Some(meter) = gate.meter() {
            meter.ended(ended.status);
        }
        let settlement = Settlement {
            status: ended.status,
            reason: ended.reason.map(Into::into),
            duration: Some(ended.duration),
            refund: match ended.sent {
                Sent::Perhaps => Refund::Keep,
                Sent::Nothing => Refund::Release,
            },
        };
        self.store.settle(call, settlement);
    }

    /// A call that was given up before a byte of it left.
    pub fn settle_unsent(&self, gate: &Gate, call: CallId) {
        let ended = Ended {
            status: Status::Cancelled,
            reason: None,
            sent: Sent::Nothing,
            duration: Duration::ZERO,
        };
        self.settle(gate, call, ended);
    }

    /// Records a refusal. One by a limit is not for here: admission has recorded it.
    pub fn refusal(&self, gate: &Gate, session: Option<&SessionId>, refusal: &Refusal, asked: Refused<'_>) {
        if let Some(meter) = gate.meter() {
            meter.denied(asked.tool, refusal.rule.as_str(), refusal.reason);
        }
        let by_rule = !refusal.rule.as_str().is_empty();
        self.store.record(Event::Denial(record::Denial {
            args_digest: asked
                .arguments
                .map(|bytes| self.store.fingerprint(bytes).digest()),
            grant: gate.caller.grant.as_str().into(),
            issuer: gate.caller.issuer.as_deref().map(Text::new),
            method: Text::new(asked.method),
            policy: Some(Digest(gate.program().digest)),
            reason: refusal.reason.code().into(),
            rule: by_rule.then(|| refusal.rule.as_str().into()),
            server: Some(gate.server.as_str().into()),
            session: session.map(|session| session.as_str().into()),
            shadow: Vec::new(),
            subject: gate.caller.subject.as_deref().map(Text::new),
            text: (by_rule && refusal.reason != Reason::ArgumentsInvalid).then(|| Text::new(&refusal.text)),
            tool: asked.tool.map(Text::new),
        }));
    }

    /// Records a message that could not be read.
    pub fn malformed(
        &self,
        gate: &Gate,
        session: Option<&SessionId>,
        peer: Peer,
        cause: &Malformed,
        length: usize,
    ) {
        self.store.record(Event::Malformed(record::Malformed {
            bytes: uint(length),
            grant: Some(gate.caller.grant.as_str().into()),
            peer,
            reason: cause.code().into(),
            server: Some(gate.server.as_str().into()),
            session: session.map(|session| session.as_str().into()),
        }));
    }

    /// Records a response that nobody waited for.
    pub fn dropped(&self, gate: &Gate, session: Option<&SessionId>, peer: Peer, length: usize) {
        self.store.record(Event::Drop(record::Drop {
            bytes: uint(length),
            grant: Some(gate.caller.grant.as_str().into()),
            peer,
            reason: "unmatched".into(),
            server: gate.server.as_str().into(),
            session: session.map(|session| session.as_str().into()),
        }));
    }

    /// Records a request that was not let in.
    pub fn auth_failure(
        &self,
        server: Option<&ServerName>,
        grant: Option<&GrantId>,
        address: Whence,
        reason: &'static str,
    ) {
        self.auth_failure_of(None, server, grant, address, reason);
    }

    /// Records a request that was not let in although it came with an OAuth token whose signature is good.
    pub(crate) fn auth_failure_of(
        &self,
        holder: Option<&oauth::Holder>,
        server: Option<&ServerName>,
        grant: Option<&GrantId>,
        address: Whence,
        reason: &'static str,
    ) {
        if let Some(metrics) = &self.metrics {
            metrics.auth_failure(reason);
        }
        self.store.record(Event::AuthFailure(record::AuthFailure {
            address: Some(Text::new(&address.to_string())),
            grant: grant.map(|grant| grant.as_str().into()),
            issuer: holder.map(|holder| Text::new(&holder.issuer)),
            reason: reason.into(),
            server: server.map(|server| server.as_str().into()),
            subject: holder.map(|holder| Text::new(&holder.subject)),
        }));
    }

    /// Records an answer that came after its call had ended.
    pub fn late(&self, call: CallId, status: Status, after: Duration) {
        let after_us = Uint53::saturating(u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
        self.store.record(Event::Late(record::Late {
            after_us,
            call,
            status,
        }));
    }

    /// Records a listing of the server's tools.
    pub fn list(&self, gate: &Gate, session: Option<&SessionId>, seen: ListSeen) {
        let (tools, shown, reason) = match seen {
            ListSeen::Read { tools, shown } => (tools, shown, None),
            ListSeen::Failed { code } => (0, 0, Some(code.into())),
        };
        self.store.record(Event::List(record::List {
            digest: None,
            grant: Some(gate.caller.grant.as_str().into()),
            policy: Some(Digest(gate.program().digest)),
            reason,
            server: gate.server.as_str().into(),
            session: session.map(|session| session.as_str().into()),
            shown: uint(shown),
            tools: uint(tools),
        }));
    }
}

/// What is counted of a call that the store is asked for.
struct Counted<'m> {
    metrics: &'m Metrics,
    asked: Instant,
    tool: Option<ToolName>,
    shadow: Vec<Refusal>,
}

impl Counted<'_> {
    fn told(self, gate: &Gate, told: &Result<Result<Admission, StoreError>, Elapsed>) {
        self.metrics.admission(self.asked.elapsed());
        let Some(meter) = gate.meter() else { return };
        let tool = self.tool.as_ref().map(ToolName::as_str);
        match told {
            Ok(Ok(Admission::Admitted(admitted))) => {
                meter.allowed(tool, self.shadow.iter().chain(&admitted.shadow));
            }
            Ok(Ok(Admission::Refused(refusal))) => {
                meter.denied(tool, refusal.rule.as_str(), refusal.reason);
            }
            // It is judged anew.
            Ok(Ok(Admission::Stale)) => {}
            Ok(Err(_)) | Err(_) => meter.denied(tool, "", Reason::StoreUnavailable),
        }
    }
}

/// Whose OAuth token a caller came with.
fn holder(caller: &Caller) -> Option<Holder> {
    Some(Holder {
        issuer: Arc::clone(caller.issuer.as_ref()?),
        subject: Arc::clone(caller.subject.as_ref()?),
    })
}

fn uint(value: usize) -> Uint53 {
    Uint53::saturating(u64::try_from(value).unwrap_or(u64::MAX))
}

/// The values at the paths that a policy opted in, as one JSON object by path.
fn recorded_values(paths: &[Path], arguments: Option<&Json<'_>>) -> Option<Box<str>> {
    let members: Vec<(String, String)> = paths
        .iter()
        .filter_map(|path| {
            Some((
                path.to_string(),
                JsonStyle::COMPACT.text(value_at(path, arguments?)?),
            ))
        })
        .collect();
    let borrowed: Vec<(&str, &str)> = members
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    (!borrowed.is_empty()).then(|| crate::sink::object(&borrowed).into())
}

/// Follows keys and indexes; `[*]` records the whole array.
fn value_at<'j, 'a>(path: &Path, arguments: &'j Json<'a>) -> Option<&'j Json<'a>> {
    let mut value = arguments;
    for segment in &path.segments {
        value = match (segment, value) {
            (Segment::Key(key), value) => value.get(key)?,
            (Segment::Index(index), Json::Array(items)) => items.get(*index)?,
            (Segment::Each, value) => return Some(value),
            (Segment::Index(_), _) => return None,
        };
    }
    Some(value)
}
