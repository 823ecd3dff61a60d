//! From the limits of a policy to what one call takes from them.

use crate::amount::Amount;
use crate::condition::{Facts, Polarity, Truth, each_value};
use crate::decimal::Decimal;
use crate::json::Json;
use crate::limit::{LimitKey, Measure, ScopeValue};
use crate::path::Path;
use crate::program::{AmountSource, LimitRule, Scope, ToolPart};
use crate::refusal::Reason;
use std::fmt::Write;
use std::sync::Arc;

/// Why a limit cannot be counted for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Uncountable {
    pub(super) reason: Reason,
    pub(super) text: String,
}

/// Whose history the call adds to. `subject` is the tool, or the method of another request.
pub(super) fn key(limit: &LimitRule, facts: &Facts<'_>, subject: &str) -> Result<LimitKey, Uncountable> {
    let scene = &facts.input.scene;
    let scope = match &limit.scope {
        Scope::Grant => ScopeValue::Grant(scene.caller.grant.clone()),
        Scope::Session => match scene.session {
            Some(session) => ScopeValue::Session(session.clone()),
            None => ScopeValue::Grant(scene.caller.grant.clone()),
        },
        Scope::Tool => ScopeValue::Tool,
        Scope::Server => ScopeValue::Server,
        Scope::Global => ScopeValue::Global,
        Scope::Argument(path) => argument(path, facts)?,
    };
    let tool = match (&limit.tool, &limit.scope) {
        (ToolPart::Called, _) | (ToolPart::Fixed(_), Scope::Tool) => subject.into(),
        (ToolPart::Fixed(text), _) => text.clone(),
    };
    Ok(LimitKey {
        server: (limit.scope != Scope::Global).then(|| scene.server.clone()),
        scope,
        tool,
        counter: limit.counter.clone(),
    })
}

/// A limit that cannot be keyed must not be skipped.
fn argument(path: &Path, facts: &Facts<'_>) -> Result<ScopeValue, Uncountable> {
    let mut values = Vec::new();
    let truth = each_value(facts, path, "scope", Polarity::MustHold, &mut |value| {
        values.push(value.map(normal_form));
        Truth::True
    });
    let failed = |text: String| Uncountable {
        reason: Reason::ConditionError,
        text,
    };
    if let Truth::Error(error) = truth {
        return Err(failed(format!("a limit cannot be counted: {error}")));
    }
    match values.as_slice() {
        [Some(Ok(value))] if value != "null" => Ok(ScopeValue::Argument {
            path: path.to_string().into(),
            value: value.as_str().into(),
        }),
        [Some(Err(Inexact))] => Err(failed(format!(
            "a limit is counted for each value of `{path}`, and this one holds a number that cannot be kept exactly"
        ))),
        [] | [None | Some(Ok(_))] => Err(failed(format!(
            "a limit is counted for each value of `{path}`, so it must be given"
        ))),
        [_, _, ..] => Err(failed(format!(
            "a limit is counted for each value of `{path}`, so there must be exactly one"
        ))),
    }
}

struct Inexact;

/// A text that is the same for equal values: sorted keys, one spelling of each number.
///
/// Numbers are spelled as their nearest double, so that two numerals which some server reads as one number
/// share a limit instead of doubling it.
fn normal_form(value: &Json<'_>) -> Result<String, Inexact> {
    let mut text = String::new();
    write_normal(value, &mut text)?;
    Ok(text)
}

fn write_normal(value: &Json<'_>, out: &mut String) -> Result<(), Inexact> {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Number(numeral) => {
            let number = Decimal::parse(numeral).map_err(|_| Inexact)?;
            write!(out, "{:e}", number.nearest_double()).map_err(|_| Inexact)?;
        }
        Json::String(text) => write_text(text, out),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_normal(item, out)?;
            }
            out.push(']');
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(left, _), (right, _)| left.cmp(right));
            out.push('{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write_normal(member, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// Quoted, so that a string never equals a number, and escaped, so that it cannot end its own quotes.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// What the call takes, and what that is called.
pub(super) fn amount(source: &AmountSource, facts: &Facts<'_>) -> Result<(Amount, Measure), Uncountable> {
    match source {
        AmountSource::Fixed(amount) if *amount == Amount::ONE || *amount == Amount::ZERO => {
            Ok((*amount, Measure::Calls))
        }
        AmountSource::Fixed(amount) => Ok((*amount, Measure::Sum)),
        AmountSource::Argument(path) => Ok((sum(path, facts)?, Measure::Sum)),
    }
}

/// The sum of the numbers at a path, of which there is one unless it has a `[*]`.
fn sum(path: &Path, facts: &Facts<'_>) -> Result<Amount, Uncountable> {
    let mut total = Ok(Amount::ZERO);
    let truth = each_value(facts, path, "amount", Polarity::MustHold, &mut |value| {
        total = total.and_then(|sum| sum.plus(single(value)?).ok_or(TOO_LARGE));
        Truth::True
    });
    let failed = |why: &str| Uncountable {
        reason: Reason::AmountInvalid,
        text: format!("`{path}` is counted against a budget, and {why}"),
    };
    match truth {
        Truth::True => total.map_err(failed),
        Truth::False | Truth::Missing => Err(failed(MISSING)),
        Truth::Error(error) => Err(failed(&error.to_string())),
    }
}

const MISSING: &str = "it is missing";
const TOO_LARGE: &str = "it is larger than a budget can count";

fn single(value: Option<&Json<'_>>) -> Result<Amount, &'static str> {
    match value {
        None | Some(Json::Null) => Err(MISSING),
        Some(Json::Number(numeral)) => {
            let number = Decimal::parse(numeral).map_err(|_| "it cannot be counted exactly")?;
            if number.is_negative() {
                return Err("it is negative");
            }
            number.amount_counted().ok_or(TOO_LARGE)
        }
        Some(Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_)) => Err("it is not a number"),
    }
}

/// The text of a policy, or what is said where it has none.
pub(super) fn text_or(on_deny: Option<&Arc<str>>, default: impl FnOnce() -> Arc<str>) -> Arc<str> {
    on_deny.cloned().unwrap_or_else(default)
}
