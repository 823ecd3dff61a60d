//! What the line of a call asks of the store, and what it is told.

use crate::secrets::Fingerprint;
use callgate_core::limit::{Charge, Reservation, ScopeValue, Slot, StoreTime};
use callgate_core::name::{GrantId, RuleId, ServerName, SessionId, ToolName};
use callgate_core::refusal::Refusal;
use callgate_ledger::record::{self, Body, Outcome, Scope, Shadow, Status};
use callgate_ledger::{CallId, Code, Digest, Text, Uint53};
use std::sync::Arc;
use std::time::Duration;

use crate::secrets::FingerprintKey;

/// A call that the policy allows, to be admitted by its limits and written down.
#[derive(Debug, Clone)]
pub struct AdmitRequest {
    /// The server's configured name.
    pub server: ServerName,
    /// The caller.
    pub grant: GrantId,
    /// Who holds the OAuth token that the caller came with, where it was one.
    pub holder: Option<Holder>,
    /// The session, where there is one.
    pub session: Option<SessionId>,
    /// The method, `tools/call` for a tool.
    pub method: Arc<str>,
    /// The server's own name of the tool.
    pub tool: Option<ToolName>,
    /// The bytes of the arguments that were judged, by `Store::fingerprint`.
    pub arguments: Option<Fingerprint>,
    /// SHA-256 of the policy in force.
    pub policy: [u8; 32],
    /// The rule that allowed it; `None` where the policy's default did.
    pub rule: Option<RuleId>,
    /// What it takes from its limits.
    pub reservations: Vec<Reservation>,
    /// The places in flight that it needs.
    pub slots: Vec<Slot>,
    /// What shadow rules would have refused.
    pub shadow: Vec<Refusal>,
    /// Argument values that the policy opted in, as JSON text. They are kept beside the ledger and can be erased.
    pub values: Option<Box<str>>,
    /// The generation of the grants that the caller was let in by, where there are grants. If they have changed
    /// since, by whatever process, the call is not admitted.
    pub grants_generation: Option<u64>,
}

/// The subject of an OAuth token, as its issuer names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The issuer.
    pub issuer: Arc<str>,
    /// The subject.
    pub subject: Arc<str>,
}

/// What admission came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// The intent is written and everything is taken: the call may be forwarded.
    Admitted(Admitted),
    /// A limit refused it, nothing is taken, and the denial is recorded.
    Refused(Refusal),
    /// The grants have changed: whoever asks has to read them again, and may then ask again. Nothing is taken,
    /// and nothing recorded.
    Stale,
}

/// A call that was admitted. It has to be settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Names the call.
    pub call: CallId,
    /// When, by the store's time.
    pub at: StoreTime,
    /// What shadow limits would have refused.
    pub shadow: Vec<Refusal>,
}

/// What becomes of what a call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refund {
    /// The limits keep it.
    Keep,
    /// It is given back at its own time, because not one byte of the call left the gate.
    Release,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// How.
    pub status: Status,
    /// The stable reason code, where the status alone does not say why.
    pub reason: Option<Code>,
    /// From forwarding to the answer, where both were seen.
    pub duration: Option<Duration>,
    /// What becomes of its charges.
    pub refund: Refund,
}

impl Settlement {
    /// A call of which nobody knows how it ended.
    pub(crate) fn unknown(reason: &str) -> Self {
        Self {
            status: Status::Unknown,
            reason: Some(reason.into()),
            duration: None,
            refund: Refund::Keep,
        }
    }

    /// A call that was admitted and then never forwarded, because who asked had gone.
    pub(crate) fn unclaimed() -> Self {
        Self {
            status: Status::Cancelled,
            reason: None,
            duration: None,
            refund: Refund::Release,
        }
    }

    pub(crate) fn body(&self, call: CallId) -> Body {
        let micros =
            |duration: Duration| Uint53::saturating(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        Outcome {
            call,
            duration_us: self.duration.map(micros),
            reason: self.reason.clone(),
            settlement: match self.refund {
                Refund::Keep => record::Settlement::Kept,
                Refund::Release => record::Settlement::Refunded,
            },
            status: self.status,
        }
        .into()
    }
}

fn shadows(refusals: &[Refusal]) -> impl Iterator<Item = Shadow> {
    refusals.iter().map(|refusal| Shadow {
        reason: refusal.reason.code().into(),
        rule: refusal.rule.as_str().into(),
    })
}

fn rule_text(rule: &RuleId) -> Option<Text> {
    Some(rule.as_str()).filter(|rule| !rule.is_empty()).map(Text::new)
}

impl AdmitRequest {
    pub(crate) fn intent(
        &self,
        call: CallId,
        charges: &[Charge],
        shadow: &[Refusal],
        values: Option<Digest>,
        key: &FingerprintKey,
    ) -> Body {
        record::Intent {
            args_digest: self.arguments.map(Fingerprint::digest),
            call,
            charges: charges.iter().map(|charge| charge_record(charge, key)).collect(),
            grant: self.grant.as_str().into(),
            issuer: self.holder.as_ref().map(|holder| Text::new(&holder.issuer)),
            method: Text::new(&self.method),
            policy: Digest(self.policy),
            rule: self.rule.as_ref().and_then(rule_text),
            server: self.server.as_str().into(),
            session: self.session.as_ref().map(|session| session.as_str().into()),
            shadow: shadows(&self.shadow).chain(shadows(shadow)).collect(),
            subject: self.holder.as_ref().map(|holder| Text::new(&holder.subject)),
            tool: self.tool.as_ref().map(|tool| tool.as_str().into()),
            values,
        }
        .into()
    }

    pub(crate) fn denial(&self, refusal: &Refusal) -> record::Denial {
        record::Denial {
            args_digest: self.arguments.map(Fingerprint::digest),
            grant: self.grant.as_str().into(),
            issuer: self.holder.as_ref().map(|holder| Text::new(&holder.issuer)),
            method: Text::new(&self.method),
            policy: Some(Digest(self.policy)),
            reason: refusal.reason.code().into(),
            rule: rule_text(&refusal.rule),
            server: Some(self.server.as_str().into()),
            session: self.session.as_ref().map(|session| session.as_str().into()),
            shadow: shadows(&self.shadow).collect(),
            subject: self.holder.as_ref().map(|holder| Text::new(&holder.subject)),
            text: Some(Text::new(&refusal.text)),
            tool: self.tool.as_ref().map(|tool| tool.as_str().into()),
        }
    }
}

fn charge_record(charge: &Charge, key: &FingerprintKey) -> record::Charge {
    let amount = callgate_ledger::Amount::new(&charge.amount.to_string());
    record::Charge {
        // An amount prints as at most 29 digits, a point and 9 decimals, which every ledger amount holds.
        amount: amount.unwrap_or_else(|_| callgate_ledger::Amount::from(u64::MAX)),
        counter: charge.key.counter.as_str().into(),
        rule: charge.rule.as_str().into(),
        scope: match &charge.key.scope {
            ScopeValue::Grant(_) => Scope::Grant,
            ScopeValue::Session(_) => Scope::Session,
            ScopeValue::Tool => Scope::Tool,
            ScopeValue::Server => Scope::Server,
            ScopeValue::Global => Scope::Global,
            ScopeValue::Argument { path, value } => Scope::Argument {
                path: Text::new(path),
                value: key.scope_value(path, value),
            },
        },
    }
}
