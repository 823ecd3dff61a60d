//! What a condition comes to for one call.

use super::locate::{article, each_value};
use super::values::{Mismatch, Reading, by_readings, compare, equals, equals_any};
use super::{
    CheckId, CheckInput, Checks, Condition, EvalError, LengthBound, Literal, Operator, Polarity, Presence,
    Test, Truth, hosts, paths,
};
use crate::decide::Trace;
use crate::decimal::Decimal;
use crate::json::Json;
use std::cmp::Ordering;

/// All that a condition may ask about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// The call; a method that is not a tool call has no tool.
    pub(crate) input: CheckInput<'a>,
    /// Who makes external checks.
    pub(crate) checks: Option<&'a dyn Checks>,
}

/// What `condition` comes to. Every member of a group is looked at, since an error wins in each.
pub(crate) fn evaluate<T: Trace>(
    condition: &Condition,
    facts: &Facts<'_>,
    polarity: Polarity,
    trace: &mut T,
) -> Truth {
    match condition {
        Condition::All(members) => members.iter().fold(Truth::True, |truth, member| {
            truth.and(evaluate(member, facts, polarity, trace))
        }),
        Condition::Any(members) => members.iter().fold(Truth::False, |truth, member| {
            truth.or(evaluate(member, facts, polarity, trace))
        }),
        Condition::Not(member) => evaluate(member, facts, polarity.inverted(), trace).negate(),
        Condition::Test(test) => {
            let truth = each_value(facts, &test.path, test.operator.name(), polarity, &mut |value| {
                ask(test, value, polarity)
            });
            trace.leaf(&test.spelled, test.operator.name(), &truth);
            truth
        }
        Condition::External(id) => {
            let truth = external(*id, facts);
            trace.external(*id, &truth);
            truth
        }
    }
}

fn external(id: CheckId, facts: &Facts<'_>) -> Truth {
    match facts.checks {
        Some(checks) => checks.check(id, &facts.input),
        None => Truth::Error(EvalError::Check(
            "the check that this rule needs is not loaded".into(),
        )),
    }
}

/// What one value answers.
fn ask(test: &Test, value: Option<&Json<'_>>, polarity: Polarity) -> Truth {
    if let Operator::Exists(presence) = test.operator {
        let present = value.is_some_and(|value| *value != Json::Null);
        return Truth::from(present == (presence == Presence::Present));
    }
    let Some(value) = value else {
        return Truth::Missing;
    };
    match &test.operator {
        Operator::Eq(literal) => equality(test, value, polarity, |reading| equals(value, literal, reading)),
        Operator::Neq(literal) => equality(test, value, polarity, |reading| {
            equals(value, literal, reading).map(|equal| !equal)
        }),
        Operator::In(literals) => equality(test, value, polarity, |reading| {
            equals_any(literals.iter().map(|literal| (value, literal)), reading)
        }),
        Operator::NotIn(literals) => equality(test, value, polarity, |reading| {
            equals_any(literals.iter().map(|literal| (value, literal)), reading).map(|found| !found)
        }),
        Operator::Lt(bound) => order(test, value, polarity, bound, Ordering::is_lt),
        Operator::Lte(bound) => order(test, value, polarity, bound, Ordering::is_le),
        Operator::Gt(bound) => order(test, value, polarity, bound, Ordering::is_gt),
        Operator::Gte(bound) => order(test, value, polarity, bound, Ordering::is_ge),
        Operator::Contains(literal) => contains(test, value, literal, polarity),
        Operator::Exists(_) => Truth::Missing,
        Operator::Regex(regex) => text(test, value, |text| regex.is_match(text).into()),
        Operator::StartsWith(starts) => text(test, value, |text| {
            starts.iter().any(|start| text.starts_with(&**start)).into()
        }),
        Operator::EndsWith(ends) => text(test, value, |text| {
            ends.iter().any(|end| text.ends_with(&**end)).into()
        }),
        Operator::Glob(set) => text(test, value, |text| set.is_match(text).into()),
        Operator::PathUnder(roots) => text(test, value, |text| {
            plain(test, paths::is_under(text, roots, polarity))
        }),
        Operator::HostIn(patterns) => text(test, value, |text| plain(test, hosts::is_in(text, patterns))),
        Operator::Cidr(networks) => text(test, value, |text| {
            plain(test, hosts::is_inside(text, networks, polarity))
        }),
        Operator::Length(bound) => length(test, value, *bound),
    }
}

fn equality<F>(test: &Test, value: &Json<'_>, polarity: Polarity, holds: F) -> Truth
where
    F: Fn(Reading) -> Result<bool, Mismatch>,
{
    by_readings(value, polarity, |reading| match holds(reading) {
        Ok(holds) => holds.into(),
        Err(mismatch) => failed(test, value, mismatch),
    })
}

fn order(
    test: &Test,
    value: &Json<'_>,
    polarity: Polarity,
    bound: &Decimal,
    holds: fn(Ordering) -> bool,
) -> Truth {
    let Json::Number(numeral) = value else {
        return wrong_type(test, value, "a number");
    };
    by_readings(value, polarity, |reading| {
        match compare(numeral, bound, reading) {
            Ok(ordering) => holds(ordering).into(),
            Err(mismatch) => failed(test, value, mismatch),
        }
    })
}

fn contains(test: &Test, value: &Json<'_>, literal: &Literal, polarity: Polarity) -> Truth {
    match (value, literal) {
        (Json::String(text), Literal::String(part)) => text.contains(&**part).into(),
        (Json::Array(items), literal) => equality(test, value, polarity, |reading| {
            equals_any(items.iter().map(|item| (item, literal)), reading)
        }),
        (Json::String(_), _) => wrong_type(test, value, "an array"),
        (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_), _) => {
            wrong_type(test, value, "a string or an array")
        }
    }
}

fn length(test: &Test, value: &Json<'_>, bound: LengthBound) -> Truth {
    let length = match value {
        Json::String(text) => text.chars().count(),
        Json::Array(items) => items.len(),
        Json::Object(members) => members.len(),
        Json::Null | Json::Bool(_) | Json::Number(_) => {
            return wrong_type(test, value, "a string, an array or an object");
        }
    };
    u64::try_from(length)
        .is_ok_and(|length| (bound.min..=bound.max).contains(&length))
        .into()
}

fn text<F>(test: &Test, value: &Json<'_>, holds: F) -> Truth
where
    F: FnOnce(&str) -> Truth,
{
    match value {
        Json::String(text) => holds(text),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
            wrong_type(test, value, "a string")
        }
    }
}

fn plain(test: &Test, holds: Result<bool, &'static str>) -> Truth {
    match holds {
        Ok(holds) => holds.into(),
        Err(why) => Truth::Error(EvalError::Ambiguous {
            path: test.spelled.clone(),
            why,
        }),
    }
}

fn failed(test: &Test, value: &Json<'_>, mismatch: Mismatch) -> Truth {
    match mismatch {
        Mismatch::Inexact => Truth::Error(EvalError::Inexact {
            path: test.spelled.clone(),
        }),
        Mismatch::Type { wanted } => wrong_type(test, value, wanted),
    }
}

fn wrong_type(test: &Test, value: &Json<'_>, wanted: &'static str) -> Truth {
    Truth::Error(EvalError::WrongType {
        path: test.spelled.clone(),
        operator: test.operator.name(),
        wanted,
        found: article(value),
    })
}
