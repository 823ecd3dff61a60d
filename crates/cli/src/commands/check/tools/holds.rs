//! Whether a rule holds any call back at all, as far as that can be told from its text and the tool's schema.

use crate::commands::scan::tools::Described;
use callgate_core::condition::{Condition, LengthBound, Operator, Presence, Test};
use callgate_core::json::Json;
use callgate_core::path::{Root, Segment};
use callgate_core::program::RuleKind;

/// Values that no list and no form of a value has in common. What takes them all takes whatever comes.
const ANYTHING: &[&str] = &[
    "a",
    "0",
    "-rf",
    "../../etc/passwd",
    "x; rm -rf / #",
    "' OR 1=1 --",
    "https://example.com/?q=[1]",
    "Ü {}",
];

/// Keywords by which a schema may take more than its `properties` say.
const ELSEWHERE: &[&str] = &[
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "patternProperties",
    "$dynamicRef",
];

/// Whether a rule can deny a call that is made as the tool is defined.
pub(super) fn can_deny(kind: &RuleKind, tool: &Described) -> bool {
    match kind {
        RuleKind::Deny => true,
        RuleKind::Require(condition) => !asks_nothing(condition),
        RuleKind::DenyIf(condition) => can_select(condition, tool),
    }
}

/// Whether a condition that selects can select such a call: the arguments that it asks about are ones that the tool
/// takes, since a missing one selects nothing.
pub(super) fn can_select(condition: &Condition, tool: &Described) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(|part| can_select(part, tool)),
        Condition::Any(parts) => parts.iter().any(|part| can_select(part, tool)),
        Condition::Not(inner) => asks_presence(inner) || can_select(inner, tool),
        Condition::External(_) => true,
        Condition::Test(test) => {
            matches!(test.operator, Operator::Exists(Presence::Absent)) || is_taken(test, tool)
        }
    }
}

/// Whether a condition turns on what is there, for then what is missing decides it.
fn asks_presence(condition: &Condition) -> bool {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(asks_presence),
        Condition::Not(inner) => asks_presence(inner),
        Condition::External(_) => true,
        Condition::Test(test) => matches!(test.operator, Operator::Exists(_)),
    }
}

/// Whether a condition that must hold lets every value through.
fn asks_nothing(condition: &Condition) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(asks_nothing),
        Condition::Any(parts) => parts.iter().any(asks_nothing),
        Condition::Not(_) | Condition::External(_) => false,
        Condition::Test(test) => takes_all(&test.operator),
    }
}

fn takes_all(operator: &Operator) -> bool {
    match operator {
        Operator::Exists(Presence::Present | Presence::Absent) => true,
        Operator::Regex(regex) => ANYTHING.iter().all(|text| regex.is_match(text)),
        Operator::Glob(set) => ANYTHING.iter().all(|text| set.is_match(text)),
        Operator::Length(LengthBound { max, .. }) => *max == u64::MAX,
        Operator::Contains(_)
        | Operator::StartsWith(_)
        | Operator::EndsWith(_)
        | Operator::Eq(_)
        | Operator::Neq(_)
        | Operator::In(_)
        | Operator::NotIn(_)
        | Operator::Lt(_)
        | Operator::Lte(_)
        | Operator::Gt(_)
        | Operator::Gte(_)
        | Operator::PathUnder(_)
        | Operator::HostIn(_)
        | Operator::Cidr(_) => false,
    }
}

/// Whether what is asked about can be there. Where the schema does not say all that the tool takes, it can.
fn is_taken(test: &Test, tool: &Described) -> bool {
    let (Root::Args, Some(Segment::Key(name))) = (test.path.root, test.path.segments.first()) else {
        return true;
    };
    let Some(schema) = tool.definition.get("inputSchema") else {
        return true;
    };
    let Some(Json::Object(properties)) = schema.get("properties") else {
        return true;
    };
    ELSEWHERE.iter().any(|key| schema.get(key).is_some())
        || properties.iter().any(|(property, _)| **property == **name)
}
