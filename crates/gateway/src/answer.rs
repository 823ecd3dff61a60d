//! The answers that Callgate itself gives.
//!
//! A denial is an ordinary tool result that the agent can read and act on; what is no well-formed tool call
//! gets a JSON-RPC error.

use crate::sink::object;
use bytes::Bytes;
use callgate_core::refusal::{Reason, Refusal};
use callgate_wire::mcp::Era;
use callgate_wire::{Malformed, quoted};
use std::time::Duration;

/// What a denial's text begins with.
pub const DENIED: &str = "[POLICY DENIED]";
/// What the text begins with where no policy decided, but the call could not be carried out.
pub const FAILED: &str = "[CALL FAILED]";
/// The `_meta` key of the reason code.
pub const META_REASON: &str = "callgate/reason";
/// The `_meta` key of the rule, a JSON Pointer into the policy.
pub const META_RULE: &str = "callgate/rule";
/// The `_meta` key of the time after which another try may pass, in milliseconds.
pub const META_RETRY_AFTER: &str = "callgate/retryAfterMs";
/// The JSON-RPC code of a refusal that cannot be a tool result. Outside of the range that the
/// specification reserves.
pub const REFUSED_CODE: i32 = -31_403;

/// The tool result of a refusal.
#[must_use]
pub fn denial(id: &str, refusal: &Refusal, era: Era) -> Bytes {
    let text = format!(
        "{} {}{}",
        prefix(refusal.reason),
        refusal.text,
        retry_words(refusal.retry_after)
    );
    let content = format!("[{}]", object(&[("type", "\"text\""), ("text", &quoted(&text))]));
    let meta = meta(refusal);
    let mut members = vec![
        ("content", content.as_str()),
        ("isError", "true"),
        ("_meta", meta.as_str()),
    ];
    if era == Era::Modern {
        members.insert(0, ("resultType", "\"complete\""));
    }
    object(&[("jsonrpc", "\"2.0\""), ("id", id), ("result", &object(&members))]).into()
}

/// The JSON-RPC error of a refusal, for what cannot be answered by a tool result.
#[must_use]
pub fn refusal_error(id: &str, refusal: &Refusal) -> Bytes {
    refusal_with_code(id, REFUSED_CODE, refusal, None)
}

/// As [`refusal_error`], for what the protocol has a code of its own for. `more` is a further member of `data`, raw
/// JSON.
#[must_use]
pub fn refusal_with_code(id: &str, code: i32, refusal: &Refusal, more: Option<(&str, &str)>) -> Bytes {
    let text = format!(
        "{} {}{}",
        prefix(refusal.reason),
        refusal.text,
        retry_words(refusal.retry_after)
    );
    let meta = meta(refusal);
    let data = match (more, meta.strip_suffix('}')) {
        (Some((key, value)), Some(open)) => format!("{open},{}:{value}}}", quoted(key)),
        (Some(_) | None, _) => meta,
    };
    error_with_data(id, code, &text, Some(&data))
}

/// A JSON-RPC error. `id` is raw JSON, `null` where none is known.
#[must_use]
pub fn error(id: &str, code: i32, message: &str) -> Bytes {
    error_with_data(id, code, message, None)
}

/// A JSON-RPC error with `data`, which is raw JSON.
#[must_use]
pub fn error_with_data(id: &str, code: i32, message: &str, data: Option<&str>) -> Bytes {
    let code = code.to_string();
    let message = quoted(message);
    let mut members = vec![("code", code.as_str()), ("message", message.as_str())];
    if let Some(data) = data {
        members.push(("data", data));
    }
    object(&[("jsonrpc", "\"2.0\""), ("id", id), ("error", &object(&members))]).into()
}

/// The answer to a message that could not be read: its id is not trusted, so it is `null`.
#[must_use]
pub fn malformed(cause: &Malformed) -> Bytes {
    let data = object(&[(META_REASON, &quoted(cause.code()))]);
    error_with_data("null", cause.jsonrpc_code(), &cause.to_string(), Some(&data))
}

fn meta(refusal: &Refusal) -> String {
    let reason = quoted(refusal.reason.public_code());
    let rule = quoted(refusal.rule.as_str());
    let retry = refusal.retry_after.map(|wait| millis(wait).to_string());
    let mut members = vec![(META_REASON, reason.as_str())];
    let is_unnamed = matches!(
        refusal.reason,
        Reason::Hidden | Reason::NotInPolicy | Reason::NotListed
    );
    if !is_unnamed && !refusal.rule.as_str().is_empty() {
        members.push((META_RULE, rule.as_str()));
    }
    if let Some(retry) = &retry {
        members.push((META_RETRY_AFTER, retry.as_str()));
    }
    object(&members)
}

/// Rounded up: whoever waits exactly this long is not refused for the same reason again.
fn millis(wait: Duration) -> u128 {
    wait.as_nanos().div_ceil(1_000_000)
}

fn retry_words(wait: Option<Duration>) -> String {
    wait.map_or_else(String::new, |wait| {
        let seconds = wait.as_nanos().div_ceil(1_000_000_000);
        format!(" (try again in {seconds} s)")
    })
}

const fn prefix(reason: Reason) -> &'static str {
    match reason {
        Reason::Hidden
        | Reason::NotInPolicy
        | Reason::NotListed
        | Reason::ArgumentsInvalid
        | Reason::DeniedByRule
        | Reason::ConditionFailed
        | Reason::DenyIfMatched
        | Reason::ConditionError
        | Reason::ApprovalRequired
        | Reason::RateLimited
        | Reason::BudgetExceeded
        | Reason::ConcurrencyLimited
        | Reason::AmountInvalid
        | Reason::MethodNotInPolicy
        | Reason::TaskNotFound
        | Reason::ListUnavailable
        | Reason::StoreUnavailable
        | Reason::Overloaded
        | Reason::EraMismatch
        | Reason::BatchNotAllowed
        | Reason::IdInFlight => DENIED,
        Reason::UpstreamUnreachable
        | Reason::UpstreamAuth
        | Reason::UpstreamProtocol
        | Reason::Deadline
        | Reason::TooLarge => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callgate_core::name::RuleId;

    fn refusal(reason: Reason, retry_after: Option<Duration>) -> Refusal {
        Refusal {
            rule: RuleId::new("/tools/t/rules/0"),
            reason,
            text: "no \"more\"".into(),
            retry_after,
        }
    }

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_denial_is_a_tool_result_that_says_when_to_try_again() {
        let refusal = refusal(Reason::RateLimited, Some(Duration::from_millis(1_500)));
        let legacy = denial("\"a\"", &refusal, Era::Legacy);
        assert_eq!(
            text(&legacy),
            r#"{"jsonrpc":"2.0","id":"a","result":{"content":[{"type":"text","text":"[POLICY DENIED] no \"more\" (try again in 2 s)"}],"isError":true,"_meta":{"callgate/reason":"rate_limited","callgate/rule":"/tools/t/rules/0","callgate/retryAfterMs":1500}}}"#
        );
        let modern = denial("7", &refusal, Era::Modern);
        assert!(text(&modern).contains(r#""result":{"resultType":"complete","content""#));
    }

    #[test]
    fn hidden_unlisted_and_missing_tools_look_alike() {
        let told: Vec<Bytes> = [Reason::Hidden, Reason::NotInPolicy, Reason::NotListed]
            .map(|reason| denial("1", &refusal(reason, None), Era::Legacy))
            .into();
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]));
        assert!(!text(&told[0]).contains("callgate/rule"));
    }

    #[test]
    fn what_failed_at_the_server_is_not_called_a_denial() {
        let told = denial("1", &refusal(Reason::Deadline, None), Era::Legacy);
        assert!(text(&told).contains("[CALL FAILED]"), "{}", text(&told));
    }
}
