//! What is recorded beside intents and outcomes.

use callgate_ledger::record::{
    AuthFailure, Body, Denial, Drop, Late, List, Malformed, Reload, SuppressedKind, TaskEnd,
};
use callgate_ledger::{CallId, Code, Text};

/// Something to record that is neither an intent, an outcome, a start nor a stop: those the store writes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A call that the policy or the gate refused.
    Denial(Denial),
    /// A message that was refused as malformed.
    Malformed(Malformed),
    /// A request that did not authenticate.
    AuthFailure(AuthFailure),
    /// A response that matched no open request.
    Drop(Drop),
    /// A policy was loaded anew, or was refused.
    Reload(Reload),
    /// An answer came after its call had ended. Ignored for a call without an outcome.
    Late(Late),
    /// The end of a task that a call had started. Ignored for a call that was not accepted as a task.
    TaskEnd(TaskEnd),
    /// A server's list of tools was taken, or could not be.
    List(List),
}

/// Who a refusal is counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    Grant(Text),
    Address(Text),
    Nobody,
}

/// A refusal, as the bounds on recording see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Refused {
    pub(crate) source: Source,
    pub(crate) of: SuppressedKind,
    pub(crate) reason: Code,
}

impl Event {
    /// What the bounds on refusals have to know; `None` where it is no refusal and always recorded.
    pub(crate) fn refused(&self) -> Option<Refused> {
        let by_grant = |grant: &Option<Text>| grant.clone().map_or(Source::Nobody, Source::Grant);
        match self {
            Self::Denial(denial) => Some(Refused {
                source: Source::Grant(denial.grant.clone()),
                of: SuppressedKind::Denial,
                reason: denial.reason.clone(),
            }),
            Self::Malformed(malformed) => Some(Refused {
                source: by_grant(&malformed.grant),
                of: SuppressedKind::Malformed,
                reason: malformed.reason.clone(),
            }),
            Self::AuthFailure(failure) => Some(Refused {
                source: failure.address.clone().map_or(Source::Nobody, Source::Address),
                of: SuppressedKind::AuthFailure,
                reason: failure.reason.clone(),
            }),
            Self::Drop(drop) => Some(Refused {
                source: by_grant(&drop.grant),
                of: SuppressedKind::Drop,
                reason: drop.reason.clone(),
            }),
            Self::Reload(_) | Self::Late(_) | Self::TaskEnd(_) | Self::List(_) => None,
        }
    }

    /// The call that it follows.
    pub(crate) const fn call(&self) -> Option<CallId> {
        match self {
            Self::Late(late) => Some(late.call),
            Self::TaskEnd(end) => Some(end.call),
            Self::Denial(_)
            | Self::Malformed(_)
            | Self::AuthFailure(_)
            | Self::Drop(_)
            | Self::Reload(_)
            | Self::List(_) => None,
        }
    }

    pub(crate) fn body(&self) -> Body {
        match self.clone() {
            Self::Denial(body) => body.into(),
            Self::Malformed(body) => body.into(),
            Self::AuthFailure(body) => body.into(),
            Self::Drop(body) => body.into(),
            Self::Reload(body) => body.into(),
            Self::Late(body) => body.into(),
            Self::TaskEnd(body) => body.into(),
            Self::List(body) => body.into(),
        }
    }
}
