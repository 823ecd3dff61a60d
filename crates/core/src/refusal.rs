//! Why a call was refused: a closed set of reasons, each with a stable code.

use crate::name::RuleId;
use std::sync::Arc;
use std::time::Duration;

/// Why a call or message was refused. The code is a promise: it stays what it is over versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The policy hides the tool.
    Hidden,
    /// `default: deny`, and the policy does not list the tool.
    NotInPolicy,
    /// The server does not list the tool.
    NotListed,
    /// The server's list could not be had.
    ListUnavailable,
    /// The arguments do not fit what the tool's definition requires.
    ArgumentsInvalid,
    /// A rule denies the tool whatever the call says.
    DeniedByRule,
    /// A condition that must hold does not.
    ConditionFailed,
    /// A condition that must not hold does.
    DenyIfMatched,
    /// A condition could not be evaluated.
    ConditionError,
    /// A person has to approve the call, and no way to ask one is set up.
    ApprovalRequired,
    /// A limit on calls is used up.
    RateLimited,
    /// A limit on a sum of an argument is used up.
    BudgetExceeded,
    /// As many calls are in flight as may be.
    ConcurrencyLimited,
    /// A budget's argument is missing, negative, no number, or beyond its range.
    AmountInvalid,
    /// `default: deny`, and `methods` does not list the method.
    MethodNotInPolicy,
    /// There is no such task, or another caller's call made it.
    TaskNotFound,
    /// The store that keeps limits and the ledger did not answer, or could not write.
    StoreUnavailable,
    /// More calls are pending than may be.
    Overloaded,
    /// The client and the server speak different eras of the protocol.
    EraMismatch,
    /// A batch where the protocol version has none.
    BatchNotAllowed,
    /// The request's id is in flight already.
    IdInFlight,
    /// The server could not be reached.
    UpstreamUnreachable,
    /// The server asked for credentials, or refused those it got.
    UpstreamAuth,
    /// The server answered with something that is no answer.
    UpstreamProtocol,
    /// The server did not answer in time; the call may still be running.
    Deadline,
    /// The server's answer was larger than a message may be.
    TooLarge,
}

impl Reason {
    /// The stable code, as logs, the ledger and `_meta` carry it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::NotInPolicy => "not_in_policy",
            Self::NotListed => "not_listed",
            Self::ListUnavailable => "list_unavailable",
            Self::ArgumentsInvalid => "arguments_invalid",
            Self::DeniedByRule => "denied_by_rule",
            Self::ConditionFailed => "condition_failed",
            Self::DenyIfMatched => "deny_if_matched",
            Self::ConditionError => "condition_error",
            Self::ApprovalRequired => "approval_required",
            Self::RateLimited => "rate_limited",
            Self::BudgetExceeded => "budget_exceeded",
            Self::ConcurrencyLimited => "concurrency_limited",
            Self::AmountInvalid => "amount_invalid",
            Self::MethodNotInPolicy => "method_not_in_policy",
            Self::TaskNotFound => "task_not_found",
            Self::StoreUnavailable => "store_unavailable",
            Self::Overloaded => "overloaded",
            Self::EraMismatch => "era_mismatch",
            Self::BatchNotAllowed => "batch_not_allowed",
            Self::IdInFlight => "id_in_flight",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamAuth => "upstream_auth",
            Self::UpstreamProtocol => "upstream_protocol",
            Self::Deadline => "deadline",
            Self::TooLarge => "too_large",
        }
    }

    /// The code that the agent is told. Hidden, unlisted and non-existent tools must not be told apart.
    #[must_use]
    pub const fn public_code(self) -> &'static str {
        match self {
            Self::Hidden | Self::NotInPolicy | Self::NotListed => "tool_not_available",
            Self::ListUnavailable
            | Self::ArgumentsInvalid
            | Self::DeniedByRule
            | Self::ConditionFailed
            | Self::DenyIfMatched
            | Self::ConditionError
            | Self::ApprovalRequired
            | Self::RateLimited
            | Self::BudgetExceeded
            | Self::ConcurrencyLimited
            | Self::AmountInvalid
            | Self::MethodNotInPolicy
            | Self::TaskNotFound
            | Self::StoreUnavailable
            | Self::Overloaded
            | Self::EraMismatch
            | Self::BatchNotAllowed
            | Self::IdInFlight
            | Self::UpstreamUnreachable
            | Self::UpstreamAuth
            | Self::UpstreamProtocol
            | Self::Deadline
            | Self::TooLarge => self.code(),
        }
    }
}

/// A refusal: which rule, why, what the agent is told, and when another try may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that decided; empty where none did.
    pub rule: RuleId,
    /// Why.
    pub reason: Reason,
    /// What the agent is told, without the `[POLICY DENIED]` before it.
    pub text: Arc<str>,
    /// When another try may pass, counted from now; `None` where waiting does not help.
    pub retry_after: Option<Duration>,
}
