//! Conditions in words that an agent can act on. A call's own values are never among them.

use super::{Condition, EvalError, HostPattern, LengthBound, Literal, Operator, Presence, Test};
use std::fmt::Display;
use std::sync::Arc;

/// So many items of a list are named.
const LISTED_MAX: usize = 8;

/// A text from a policy is shown up to so many characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Whether the words ask for a condition, or for its opposite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// It has to hold.
    ToHold,
    /// It must not hold.
    NotToHold,
}

impl Asks {
    const fn inverted(self) -> Self {
        match self {
            Self::ToHold => Self::NotToHold,
            Self::NotToHold => Self::ToHold,
        }
    }
}

/// What has to be changed about a call, for a condition that it does not meet.
pub(crate) fn condition_text(condition: &Condition, asks: Asks) -> String {
    match condition {
        Condition::All(members) | Condition::Any(members) if members.is_empty() => {
            "the policy has a condition that no call meets".to_owned()
        }
        Condition::All(members) => {
            group_text(members, asks, if asks == Asks::ToHold { " and " } else { " or " })
        }
        Condition::Any(members) => {
            group_text(members, asks, if asks == Asks::ToHold { " or " } else { " and " })
        }
        Condition::Not(member) => condition_text(member, asks.inverted()),
        Condition::Test(test) => test_text(test, asks),
        Condition::External(_) => match asks {
            Asks::ToHold => "the policy's expression must hold for this call".to_owned(),
            Asks::NotToHold => "the policy's expression must not hold for this call".to_owned(),
        },
    }
}

fn group_text(members: &[Condition], asks: Asks, between: &str) -> String {
    let mut parts: Vec<String> = members
        .iter()
        .take(LISTED_MAX)
        .map(|member| match member {
            Condition::All(inner) | Condition::Any(inner) if inner.len() > 1 => {
                format!("({})", condition_text(member, asks))
            }
            Condition::All(_)
            | Condition::Any(_)
            | Condition::Not(_)
            | Condition::Test(_)
            | Condition::External(_) => condition_text(member, asks),
        })
        .collect();
    if members.len() > LISTED_MAX {
        parts.push("…".to_owned());
    }
    parts.join(between)
}

fn test_text(test: &Test, asks: Asks) -> String {
    let path = &test.spelled;
    let must = match asks {
        Asks::ToHold => "must",
        Asks::NotToHold => "must not",
    };
    match &test.operator {
        Operator::Neq(literal) => format!("`{path}` {} be {}", opposite(asks), literal_text(literal)),
        Operator::NotIn(literals) => format!(
            "`{path}` {} be one of {}",
            opposite(asks),
            literals_text(literals)
        ),
        Operator::Exists(Presence::Absent) => format!("`{path}` {} be given", opposite(asks)),
        Operator::Exists(Presence::Present) => format!("`{path}` {must} be given"),
        Operator::Lt(bound) => match asks {
            Asks::ToHold => format!("`{path}` must be below {bound}"),
            Asks::NotToHold => format!("`{path}` must be at least {bound}"),
        },
        Operator::Lte(bound) => match asks {
            Asks::ToHold => format!("`{path}` must be at most {bound}"),
            Asks::NotToHold => format!("`{path}` must be above {bound}"),
        },
        Operator::Gt(bound) => match asks {
            Asks::ToHold => format!("`{path}` must be above {bound}"),
            Asks::NotToHold => format!("`{path}` must be at most {bound}"),
        },
        Operator::Gte(bound) => match asks {
            Asks::ToHold => format!("`{path}` must be at least {bound}"),
            Asks::NotToHold => format!("`{path}` must be below {bound}"),
        },
        Operator::Eq(_)
        | Operator::In(_)
        | Operator::Regex(_)
        | Operator::Contains(_)
        | Operator::StartsWith(_)
        | Operator::EndsWith(_)
        | Operator::Glob(_)
        | Operator::PathUnder(_)
        | Operator::HostIn(_)
        | Operator::Cidr(_)
        | Operator::Length(_) => format!("`{path}` {must} {}", demand(&test.operator)),
    }
}

const fn opposite(asks: Asks) -> &'static str {
    match asks {
        Asks::ToHold => "must not",
        Asks::NotToHold => "must",
    }
}

/// What follows on `must` or `must not`.
fn demand(operator: &Operator) -> String {
    match operator {
        Operator::Eq(literal) | Operator::Neq(literal) => format!("be {}", literal_text(literal)),
        Operator::In(literals) | Operator::NotIn(literals) => {
            format!("be one of {}", literals_text(literals))
        }
        Operator::Lt(bound) | Operator::Lte(bound) | Operator::Gt(bound) | Operator::Gte(bound) => {
            format!("keep to {bound}")
        }
        Operator::Regex(regex) => format!("match the pattern `{}`", shown(regex.as_str())),
        Operator::Contains(literal) => format!("contain {}", literal_text(literal)),
        Operator::Exists(_) => "be given".to_owned(),
        Operator::StartsWith(starts) => format!("start with {}", any_text(starts)),
        Operator::EndsWith(ends) => format!("end with {}", any_text(ends)),
        Operator::Glob(_) => "match the policy's pattern".to_owned(),
        Operator::PathUnder(roots) => format!("be a path under {}", any_text(roots)),
        Operator::HostIn(hosts) => {
            let hosts: Vec<String> = hosts.iter().map(host_text).collect();
            format!("be a URL whose host is {}", any_text(&hosts))
        }
        Operator::Cidr(networks) => format!("be an address inside {}", any_text(networks)),
        Operator::Length(bound) => length_text(*bound),
    }
}

fn length_text(bound: LengthBound) -> String {
    match (bound.min, bound.max) {
        (0, max) => format!("have a length of at most {max}"),
        (min, u64::MAX) => format!("have a length of at least {min}"),
        (min, max) => format!("have a length from {min} to {max}"),
    }
}

fn host_text(host: &HostPattern) -> String {
    match host {
        HostPattern::Exact(host) => host.to_string(),
        HostPattern::Below(parent) => format!("*.{parent}"),
    }
}

fn any_text<T: Display>(items: &[T]) -> String {
    let mut texts: Vec<String> = items
        .iter()
        .take(LISTED_MAX)
        .map(|item| format!("`{}`", shown(&item.to_string())))
        .collect();
    if items.len() > LISTED_MAX {
        texts.push("…".to_owned());
    }
    texts.join(" or ")
}

fn literals_text(literals: &[Literal]) -> String {
    let mut texts: Vec<String> = literals.iter().take(LISTED_MAX).map(literal_text).collect();
    if literals.len() > LISTED_MAX {
        texts.push("…".to_owned());
    }
    texts.join(", ")
}

fn literal_text(literal: &Literal) -> String {
    match literal {
        Literal::Null => "null".to_owned(),
        Literal::Bool(value) => value.to_string(),
        Literal::Number(number) => number.to_string(),
        Literal::String(text) => format!("`{}`", shown(text)),
        Literal::List(_) => "the list that the policy names".to_owned(),
        Literal::Map(_) => "the object that the policy names".to_owned(),
    }
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// What an agent is told about a condition that could not be evaluated.
pub(crate) fn error_text(error: &EvalError) -> Arc<str> {
    format!("the policy cannot judge this call: {error}").into()
}
