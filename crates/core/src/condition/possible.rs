//! What a condition may come to when the call is not known yet: for lists of tools.

use super::eval::{Facts, evaluate};
use super::{Condition, Polarity, Truth};
use crate::decide::Untraced;
use crate::path::Root;

/// Whether a condition that must hold holds for no call of this caller and tool.
pub(crate) fn never_holds(condition: &Condition, facts: &Facts<'_>) -> bool {
    !possible(condition, facts, Polarity::MustHold).has(Outcome::True)
}

/// Whether a condition that selects applies to every call of this caller and tool.
pub(crate) fn always_applies(condition: &Condition, facts: &Facts<'_>) -> bool {
    let outcomes = possible(condition, facts, Polarity::Selects);
    !outcomes.has(Outcome::False) && !outcomes.has(Outcome::Missing)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    True,
    False,
    Missing,
    Error,
}

const OUTCOMES: [Outcome; 4] = [Outcome::True, Outcome::False, Outcome::Missing, Outcome::Error];

/// A set of outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outcomes(u8);

impl Outcomes {
    const NONE: Self = Self(0);
    const ALL: Self = Self(0b1111);

    const fn only(outcome: Outcome) -> Self {
        Self(1 << outcome as u8)
    }

    const fn with(self, outcome: Outcome) -> Self {
        Self(self.0 | Self::only(outcome).0)
    }

    const fn has(self, outcome: Outcome) -> bool {
        self.0 & Self::only(outcome).0 != 0
    }

    fn combined(self, other: Self, join: fn(Outcome, Outcome) -> Outcome) -> Self {
        let mut joined = Self::NONE;
        for left in OUTCOMES.into_iter().filter(|outcome| self.has(*outcome)) {
            for right in OUTCOMES.into_iter().filter(|outcome| other.has(*outcome)) {
                joined = joined.with(join(left, right));
            }
        }
        joined
    }
}

fn possible(condition: &Condition, facts: &Facts<'_>, polarity: Polarity) -> Outcomes {
    match condition {
        Condition::All(members) => members
            .iter()
            .map(|member| possible(member, facts, polarity))
            .fold(Outcomes::only(Outcome::True), |all, member| {
                all.combined(member, |left, right| first_of(left, right, Outcome::False))
            }),
        Condition::Any(members) => members
            .iter()
            .map(|member| possible(member, facts, polarity))
            .fold(Outcomes::only(Outcome::False), |any, member| {
                any.combined(member, |left, right| first_of(left, right, Outcome::True))
            }),
        Condition::Not(member) => {
            let inner = possible(member, facts, polarity.inverted());
            inner.combined(Outcomes::only(Outcome::True), |outcome, _| match outcome {
                Outcome::True => Outcome::False,
                Outcome::False => Outcome::True,
                Outcome::Missing => Outcome::Missing,
                Outcome::Error => Outcome::Error,
            })
        }
        Condition::Test(test) => match test.path.root {
            Root::Args | Root::Params | Root::Time => Outcomes::ALL,
            Root::Caller | Root::Tool | Root::Session | Root::Server => {
                Outcomes::only(outcome(&evaluate(condition, facts, polarity, &mut Untraced)))
            }
        },
        Condition::External(_) => Outcomes::ALL,
    }
}

/// An error wins, then what decides the group, then what is missing.
fn first_of(left: Outcome, right: Outcome, deciding: Outcome) -> Outcome {
    [Outcome::Error, deciding, Outcome::Missing]
        .into_iter()
        .find(|outcome| left == *outcome || right == *outcome)
        .unwrap_or(left)
}

const fn outcome(truth: &Truth) -> Outcome {
    match truth {
        Truth::True => Outcome::True,
        Truth::False => Outcome::False,
        Truth::Missing => Outcome::Missing,
        Truth::Error(_) => Outcome::Error,
    }
}
