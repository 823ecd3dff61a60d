//! Whether two conditions surely ask for the same.

use crate::condition::{Condition, Operator};
use std::sync::Arc;

/// Checks outside of this crate are named by numbers of their own policy, so they are never surely the same.
pub(super) fn same_condition(left: &Condition, right: &Condition) -> bool {
    match (left, right) {
        (Condition::All(left), Condition::All(right)) | (Condition::Any(left), Condition::Any(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| same_condition(left, right))
        }
        (Condition::Not(left), Condition::Not(right)) => same_condition(left, right),
        (Condition::Test(left), Condition::Test(right)) => {
            left.path == right.path && same_operator(&left.operator, &right.operator)
        }
        (
            Condition::All(_)
            | Condition::Any(_)
            | Condition::Not(_)
            | Condition::Test(_)
            | Condition::External(_),
            _,
        ) => false,
    }
}

fn same_operator(left: &Operator, right: &Operator) -> bool {
    use Operator as Op;
    match (left, right) {
        (Op::Eq(left), Op::Eq(right))
        | (Op::Neq(left), Op::Neq(right))
        | (Op::Contains(left), Op::Contains(right)) => left == right,
        (Op::In(left), Op::In(right)) | (Op::NotIn(left), Op::NotIn(right)) => left == right,
        (Op::Lt(left), Op::Lt(right))
        | (Op::Lte(left), Op::Lte(right))
        | (Op::Gt(left), Op::Gt(right))
        | (Op::Gte(left), Op::Gte(right)) => left == right,
        (Op::Regex(left), Op::Regex(right)) => left.as_str() == right.as_str(),
        (Op::Exists(left), Op::Exists(right)) => left == right,
        (Op::StartsWith(left), Op::StartsWith(right))
        | (Op::EndsWith(left), Op::EndsWith(right))
        | (Op::PathUnder(left), Op::PathUnder(right)) => left == right,
        (Op::Glob(left), Op::Glob(right)) => same_globs(left, right),
        (Op::HostIn(left), Op::HostIn(right)) => left == right,
        (Op::Cidr(left), Op::Cidr(right)) => left == right,
        (Op::Length(left), Op::Length(right)) => left == right,
        _ => false,
    }
}

/// A compiled set does not give its patterns back, but writes out all that it matches by.
fn same_globs(left: &Arc<globset::GlobSet>, right: &Arc<globset::GlobSet>) -> bool {
    Arc::ptr_eq(left, right) || format!("{left:?}") == format!("{right:?}")
}
