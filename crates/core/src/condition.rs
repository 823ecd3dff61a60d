//! Conditions, compiled: what a policy asks of a call.

mod eval;
mod hosts;
mod locate;
mod paths;
mod possible;
mod values;
mod words;

pub(crate) use eval::{Facts, evaluate};
pub(crate) use locate::each_value;
pub(crate) use possible::{always_applies, never_holds};
pub(crate) use words::{Asks, condition_text, error_text};

use crate::decimal::Decimal;
use crate::json::Json;
use crate::path::Path;
use std::sync::Arc;

/// What became of a condition. In groups `Error` wins, then `Missing` unless the group is decided without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// The value it asks about is not there.
    Missing,
    /// It could not be evaluated: a wrong type, a number that cannot be held, a check that failed.
    Error(EvalError),
}

impl Truth {
    /// Both hold: an error wins, then what is false, then what is missing.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Error(error), _) | (_, Self::Error(error)) => Self::Error(error),
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Missing, _) | (_, Self::Missing) => Self::Missing,
            (Self::True, Self::True) => Self::True,
        }
    }

    /// Either holds: an error wins, then what is true, then what is missing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Error(error), _) | (_, Self::Error(error)) => Self::Error(error),
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::Missing, _) | (_, Self::Missing) => Self::Missing,
            (Self::False, Self::False) => Self::False,
        }
    }

    /// It does not hold; what is missing or an error stays so.
    #[must_use]
    pub fn negate(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Missing => Self::Missing,
            Self::Error(error) => Self::Error(error),
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// Why a condition could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The value has a type that the operator does not take.
    #[error("`{path}` is {found}, where `{operator}` needs {wanted}")]
    WrongType {
        /// The path as written.
        path: Arc<str>,
        /// The operator.
        operator: &'static str,
        /// What it takes.
        wanted: &'static str,
        /// What it found.
        found: &'static str,
    },
    /// A number with more digits or a larger exponent than is kept exactly.
    #[error("`{path}` is a number that cannot be compared exactly")]
    Inexact {
        /// The path as written.
        path: Arc<str>,
    },
    /// A text that programs read differently, so that what is judged might not be what is done.
    #[error("`{path}` is not usable: {why}")]
    Ambiguous {
        /// The path as written.
        path: Arc<str>,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A check outside of this crate failed.
    #[error("{0}")]
    Check(Arc<str>),
}

/// How the place of a condition reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    /// `conditions`, `require`: it must hold, only [`Truth::True`] passes, `[*]` asks every element.
    MustHold,
    /// `deny_if`, `require_approval`: it selects, [`Truth::True`] and [`Truth::Error`] apply, `[*]` asks any.
    Selects,
}

impl Polarity {
    /// Joins the truths of several values or readings: all of them where it must hold, else any.
    #[must_use]
    pub(crate) fn join(self, left: Truth, right: Truth) -> Truth {
        match self {
            Self::MustHold => left.and(right),
            Self::Selects => left.or(right),
        }
    }

    /// What it turns into inside `not`.
    #[must_use]
    pub const fn inverted(self) -> Self {
        match self {
            Self::MustHold => Self::Selects,
            Self::Selects => Self::MustHold,
        }
    }
}

/// A condition, compiled.
#[derive(Debug, Clone)]
pub enum Condition {
    /// All hold.
    All(Vec<Self>),
    /// Any holds.
    Any(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// One operator on one path.
    Test(Test),
    /// A check that this crate cannot make itself, such as a CEL expression.
    External(CheckId),
}

/// Names a check that [`Checks`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckId(pub u32);

/// One operator on one path.
#[derive(Debug, Clone)]
pub struct Test {
    /// Where the value is.
    pub path: Path,
    /// The path as the policy spells it, for messages.
    pub spelled: Arc<str>,
    /// What is asked of the value.
    pub operator: Operator,
}

/// A value in a policy that an argument is compared with, its type kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// `null`: equals only `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number, exact.
    Number(Decimal),
    /// A string.
    String(Arc<str>),
    /// A list, for equality with an array.
    List(Vec<Self>),
    /// A mapping, for equality with an object, its keys sorted.
    Map(Vec<(Arc<str>, Self)>),
}

/// What is asked of a value.
#[derive(Debug, Clone)]
pub enum Operator {
    /// `eq`: the same type and value.
    Eq(Literal),
    /// `neq`.
    Neq(Literal),
    /// `in`.
    In(Vec<Literal>),
    /// `not_in`.
    NotIn(Vec<Literal>),
    /// `lt`.
    Lt(Decimal),
    /// `lte`.
    Lte(Decimal),
    /// `gt`.
    Gt(Decimal),
    /// `gte`.
    Gte(Decimal),
    /// `regex`: found anywhere in a string, in linear time.
    Regex(regex::Regex),
    /// `contains`: a substring of a string, or an element of an array.
    Contains(Literal),
    /// `exists: true | false`; `null` counts as absent.
    Exists(Presence),
    /// `starts_with`: any of these.
    StartsWith(Vec<Arc<str>>),
    /// `ends_with`: any of these.
    EndsWith(Vec<Arc<str>>),
    /// `glob`: the whole string, by any of these patterns.
    Glob(Arc<globset::GlobSet>),
    /// `path_under`: a path that, made plain, lies below any of these folders.
    PathUnder(Vec<Arc<str>>),
    /// `host_in`: a URL whose host is any of these; `*.example.com` takes its subdomains.
    HostIn(Vec<HostPattern>),
    /// `cidr`: an address, or a URL's address, inside any of these networks.
    Cidr(Vec<ipnet::IpNet>),
    /// `length`: characters of a string, elements of an array, members of an object.
    Length(LengthBound),
}

/// Whether a value has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It must be there.
    Present,
    /// It must not be there.
    Absent,
}

/// A host, or all hosts below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This host, in lower case.
    Exact(Arc<str>),
    /// Any host that ends with `.` and this, in lower case.
    Below(Arc<str>),
}

/// How long a value may be; each bound is part of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LengthBound {
    /// At least so many.
    pub min: u64,
    /// At most so many.
    pub max: u64,
}

impl Operator {
    /// The operator's name in a policy.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Eq(_) => "eq",
            Self::Neq(_) => "neq",
            Self::In(_) => "in",
            Self::NotIn(_) => "not_in",
            Self::Lt(_) => "lt",
            Self::Lte(_) => "lte",
            Self::Gt(_) => "gt",
            Self::Gte(_) => "gte",
            Self::Regex(_) => "regex",
            Self::Contains(_) => "contains",
            Self::Exists(_) => "exists",
            Self::StartsWith(_) => "starts_with",
            Self::EndsWith(_) => "ends_with",
            Self::Glob(_) => "glob",
            Self::PathUnder(_) => "path_under",
            Self::HostIn(_) => "host_in",
            Self::Cidr(_) => "cidr",
            Self::Length(_) => "length",
        }
    }
}

/// What a check that this crate cannot make itself gets to see.
#[derive(Debug, Clone, Copy)]
pub struct CheckInput<'a> {
    /// What stands around the call.
    pub scene: crate::call::Scene<'a>,
    /// The tool's name; `None` for other methods.
    pub tool: Option<&'a str>,
    /// Its definition, where the server lists it.
    pub listed: Option<&'a crate::call::ListedTool>,
    /// The arguments, or the params of another method.
    pub arguments: Option<&'a Json<'a>>,
}

/// Checks that need what this crate must not see: CEL and JSON Schema.
pub trait Checks: std::fmt::Debug + Send + Sync {
    /// Evaluates an external condition.
    fn check(&self, id: CheckId, input: &CheckInput<'_>) -> Truth;

    /// Checks the arguments against the tool's own input schema.
    ///
    /// # Errors
    /// What does not fit, worded for the agent; also where the schema itself cannot be used.
    fn validate(&self, tool: &crate::call::ListedTool, arguments: Option<&Json<'_>>) -> Result<(), Arc<str>>;
}
