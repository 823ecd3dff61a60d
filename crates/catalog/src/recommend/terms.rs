//! What is asked of a tool, as values: conditions, entries, and the plan that they make.

use super::{Hole, Reason, RuleKind};
use crate::class::{Class, Severity};
use callgate_core::path::Path;

/// What a condition compares with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    /// As it is written.
    Number(String),
    Flag(Presence),
    /// A list of texts, or of numbers.
    List {
        values: Vec<String>,
        are: Literals,
    },
    Length {
        min: u32,
        max: u32,
    },
}

/// A flag, or whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Yes,
    No,
}

/// How the values of a list are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Literals {
    Texts,
    Numbers,
}

/// A condition of the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    Test {
        path: Path,
        operator: &'static str,
        value: Value,
    },
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    When(String),
}

impl Condition {
    pub(super) fn test(path: &Path, operator: &'static str, value: Value) -> Self {
        Self::Test {
            path: path.clone(),
            operator,
            value,
        }
    }
}

/// One entry of `require`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: RuleKind,
    pub(super) name: String,
    /// Why, for the file's reader.
    pub(super) why: String,
    /// What the agent is told; empty where the name says it.
    pub(super) on_deny: String,
    pub(super) condition: Condition,
    /// The arguments that it is about.
    pub(super) arguments: Vec<Path>,
    /// Where the entry is a list to fill in, which.
    pub(super) hole: Option<usize>,
}

/// Which calls wait for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Approval {
    None,
    /// All of them.
    Always {
        why: String,
    },
    /// Those whose argument is none of these values; a call that may leave it out does not wait.
    Unless {
        path: Path,
        is_required: bool,
        free: Vec<String>,
        why: String,
    },
}

/// The budget of a tool that spends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) path: Path,
    /// At most so much a call, and a day; `None` until a person says so.
    pub(super) most: Option<(String, String)>,
    pub(super) hole: usize,
}

/// What becomes of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It may be called as far as the rules go.
    Listed,
    /// It is left out, and why.
    Hidden { why: String },
}

/// What is checked against the server's own schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validation {
    /// There is none.
    None,
    /// It has a pattern that cannot be used, so only that what it requires is there.
    Required,
    /// All of it.
    Schema,
}

/// All that is asked of one tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) class: Class,
    pub(super) severity: Severity,
    pub(super) signals: Vec<String>,
    pub(super) fate: Fate,
    pub(super) validation: Validation,
    pub(super) entries: Vec<Entry>,
    pub(super) approval: Approval,
    pub(super) budget: Option<Budget>,
    /// At most so many calls a minute.
    pub(super) a_minute: Option<u32>,
    /// At most so many at once.
    pub(super) at_once: Option<u32>,
    pub(super) holes: Vec<Hole>,
}

/// Why a tool's schema is not enforced whole.
pub(super) const REQUIRED_ONLY: &str = "The schema has a pattern with look-around, which cannot be checked: only that what is required is there.";

impl Plan {
    /// The reasons of all that is asked, in words.
    pub(super) fn reasons(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if let Fate::Hidden { why } = &self.fate {
            reasons.push(Reason::new(RuleKind::Hidden, "hidden", why, &[]));
            return reasons;
        }
        let checked = match self.validation {
            Validation::None => None,
            Validation::Required => Some(REQUIRED_ONLY),
            Validation::Schema => Some("The arguments fit the schema that the server publishes."),
        };
        if let Some(why) = checked {
            reasons.push(Reason::new(RuleKind::Schema, "validate", why, &[]));
        }
        for entry in &self.entries {
            let why = match entry.hole.and_then(|hole| self.holes.get(hole)) {
                Some(hole) => hole.question(),
                None => entry.why.clone(),
            };
            reasons.push(Reason::new(entry.kind, &entry.name, &why, &entry.arguments));
        }
        match &self.approval {
            Approval::None => {}
            Approval::Always { why } => {
                reasons.push(Reason::new(RuleKind::Approval, "require_approval", why, &[]));
            }
            Approval::Unless { path, why, .. } => {
                reasons.push(Reason::new(
                    RuleKind::Approval,
                    "require_approval",
                    why,
                    std::slice::from_ref(path),
                ));
            }
        }
        if let Some(budget) = &self.budget {
            reasons.push(Reason::new(
                RuleKind::Budget,
                "spend",
                "What calls may spend has an end.",
                std::slice::from_ref(&budget.path),
            ));
        }
        if self.a_minute.is_some() {
            reasons.push(Reason::new(
                RuleKind::Limit,
                "limits",
                "A loop that runs away is stopped.",
                &[],
            ));
        }
        reasons
    }
}
