//! What a decision looked at, for `explain`.

use crate::condition::{CheckId, Truth};
use crate::name::RuleId;
use crate::program::Label;
use crate::refusal::Refusal;
use std::sync::Arc;

/// Sees a decision as it is made. [`Untraced`] sees nothing and costs nothing.
pub trait Trace {
    /// A rule is judged; what follows belongs to it.
    fn rule(&mut self, _label: &Label, _asked: Asked) {}
    /// One operator on one path came to `truth`.
    fn leaf(&mut self, _path: &Arc<str>, _operator: &'static str, _truth: &Truth) {}
    /// A check outside of this crate came to `truth`.
    fn external(&mut self, _id: CheckId, _truth: &Truth) {}
    /// The call was refused, or would have been by a rule in shadow mode.
    fn refused(&mut self, _refusal: &Refusal) {}
}

/// Sees nothing.
#[derive(Debug, Clone, Copy)]
pub struct Untraced;

impl Trace for Untraced {}

/// What a rule asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The form of the arguments.
    Validate,
    /// Nothing: it denies.
    Deny,
    /// A condition that must hold.
    Require,
    /// A condition that must not hold.
    DenyIf,
    /// Whether a person has to approve.
    Approval,
    /// A limit.
    Limit,
}

/// Keeps what it sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorder {
    /// The rules in the order in which they were judged.
    pub steps: Vec<Step>,
    /// Refusals before any rule was judged.
    pub before: Vec<Refusal>,
}

/// One rule, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where the rule stands.
    pub rule: RuleId,
    /// Its name, where it has one.
    pub name: Option<Arc<str>>,
    /// What it asked.
    pub asked: Asked,
    /// Its conditions, in order.
    pub leaves: Vec<Leaf>,
    /// What it refused, or would have refused in shadow mode.
    pub refused: Option<Refusal>,
}

/// One condition, evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// One operator on one path.
    Test {
        /// The path as the policy spells it.
        path: Arc<str>,
        /// The operator.
        operator: &'static str,
        /// What it came to.
        truth: Truth,
    },
    /// A check outside of this crate.
    External {
        /// Which.
        id: CheckId,
        /// What it came to.
        truth: Truth,
    },
}

impl Trace for Recorder {
    fn rule(&mut self, label: &Label, asked: Asked) {
        self.steps.push(Step {
            rule: label.id.clone(),
            name: label.name.clone(),
            asked,
            leaves: Vec::new(),
            refused: None,
        });
    }

    fn leaf(&mut self, path: &Arc<str>, operator: &'static str, truth: &Truth) {
        if let Some(step) = self.steps.last_mut() {
            step.leaves.push(Leaf::Test {
                path: path.clone(),
                operator,
                truth: truth.clone(),
            });
        }
    }

    fn external(&mut self, id: CheckId, truth: &Truth) {
        if let Some(step) = self.steps.last_mut() {
            step.leaves.push(Leaf::External {
                id,
                truth: truth.clone(),
            });
        }
    }

    fn refused(&mut self, refusal: &Refusal) {
        match self.steps.last_mut() {
            Some(step) => step.refused = Some(refusal.clone()),
            None => self.before.push(refusal.clone()),
        }
    }
}
