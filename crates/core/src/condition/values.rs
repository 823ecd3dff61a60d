//! Comparing a call's values with a policy's: types kept, numbers exact and as doubles.

use super::{Literal, Polarity, Truth};
use crate::decimal::Decimal;
use crate::json::Json;
use std::cmp::Ordering;

/// How a server may read a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As it is written.
    Exact,
    /// As the nearest double.
    Double,
}

/// Why two values could not be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// The call's value has another type; a server may turn one into the other.
    Type {
        /// What the policy's value is.
        wanted: &'static str,
    },
    /// A number that cannot be kept exactly.
    Inexact,
}

/// Joins both readings of a value's numbers, so that the one that denies wins.
pub(crate) fn by_readings<F>(value: &Json<'_>, polarity: Polarity, test: F) -> Truth
where
    F: Fn(Reading) -> Truth,
{
    let exact = test(Reading::Exact);
    match value {
        Json::Null | Json::Bool(_) | Json::String(_) => exact,
        Json::Number(_) | Json::Array(_) | Json::Object(_) => polarity.join(exact, test(Reading::Double)),
    }
}

/// How a number of the call compares with one of the policy.
pub(crate) fn compare(numeral: &str, policy: &Decimal, reading: Reading) -> Result<Ordering, Mismatch> {
    let number = Decimal::parse(numeral).map_err(|_| Mismatch::Inexact)?;
    Ok(match reading {
        Reading::Exact => number.cmp(policy),
        Reading::Double => number.cmp_as_double(policy),
    })
}

/// Whether a value equals the policy's. `null` equals only `null`; another type cannot be compared.
pub(crate) fn equals(value: &Json<'_>, literal: &Literal, reading: Reading) -> Result<bool, Mismatch> {
    match (value, literal) {
        (Json::Null, literal) => Ok(*literal == Literal::Null),
        (_, Literal::Null) => Ok(false),
        (Json::Bool(value), Literal::Bool(wanted)) => Ok(value == wanted),
        (Json::String(value), Literal::String(wanted)) => Ok(**value == **wanted),
        (Json::Number(numeral), Literal::Number(wanted)) => {
            Ok(compare(numeral, wanted, reading)? == Ordering::Equal)
        }
        (Json::Array(items), Literal::List(wanted)) => {
            if items.len() != wanted.len() {
                return Ok(false);
            }
            all_equal(items.iter().zip(wanted), reading)
        }
        (Json::Object(members), Literal::Map(wanted)) => {
            if members.len() != wanted.len() {
                return Ok(false);
            }
            let mut pairs = Vec::with_capacity(wanted.len());
            for (key, literal) in wanted {
                match value.get(key) {
                    Some(member) => pairs.push((member, literal)),
                    None => return Ok(false),
                }
            }
            all_equal(pairs.into_iter(), reading)
        }
        (Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_), literal) => {
            Err(Mismatch::Type {
                wanted: article(literal),
            })
        }
    }
}

/// Looks at every pair: one that cannot be compared wins over one that differs.
fn all_equal<'v>(
    pairs: impl Iterator<Item = (&'v Json<'v>, &'v Literal)>,
    reading: Reading,
) -> Result<bool, Mismatch> {
    let mut equal = true;
    for (value, literal) in pairs {
        equal &= equals(value, literal, reading)?;
    }
    Ok(equal)
}

/// Whether a value equals any of the policy's. Where it equals none, and one of them has another type, it
/// cannot be said.
pub(crate) fn equals_any<'v>(
    pairs: impl Iterator<Item = (&'v Json<'v>, &'v Literal)>,
    reading: Reading,
) -> Result<bool, Mismatch> {
    let mut mismatch = None;
    for (value, literal) in pairs {
        match equals(value, literal, reading) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(found) => mismatch = Some(found),
        }
    }
    mismatch.map_or(Ok(false), Err)
}

/// What a person calls a literal's type, with its article.
const fn article(literal: &Literal) -> &'static str {
    match literal {
        Literal::Null => "null",
        Literal::Bool(_) => "a boolean",
        Literal::Number(_) => "a number",
        Literal::String(_) => "a string",
        Literal::List(_) => "an array",
        Literal::Map(_) => "an object",
    }
}
