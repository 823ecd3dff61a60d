//! A policy, compiled: an index from a tool to what is asked of its calls.

mod by_name;

pub use by_name::RulesByName;

use crate::amount::Amount;
use crate::condition::{Checks, Condition};
use crate::limit::Window;
use crate::name::{CounterName, RuleId, ToolName};
use crate::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A policy, compiled. Its cost does not grow with the number of tools.
///
/// [`Program::deny_all`] is the empty value: it refuses.
#[derive(Debug, Clone)]
pub struct Program {
    /// What happens to tools that `tools` does not name.
    pub default: Default,
    /// Tools that are hidden, whatever else is said.
    pub hide: ToolPatterns,
    /// Rules for tools by exact name.
    pub exact: RulesByName<ToolName>,
    /// Rules for tools by glob, the pattern with the most literal characters first. Exactly one applies,
    /// and only where no exact key does.
    pub globs: Vec<(ToolPattern, Arc<ToolRules>)>,
    /// `"*"` and `all_tools`: apply after the tool's own, and list nothing.
    pub everywhere: Arc<ToolRules>,
    /// What `methods:` says of anything that is not a tool call.
    pub methods: MethodTable,
    /// The policy's own deadline for an answer.
    pub timeout: Option<Duration>,
    /// Whether a denial is carried out or only recorded.
    pub mode: Mode,
    /// Checks outside of this crate, where the policy needs any.
    pub checks: Option<Arc<dyn Checks>>,
    /// SHA-256 of the policy's text, which names this version in every record.
    pub digest: [u8; 32],
}

/// What happens to what a policy does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// It is allowed.
    Allow,
    /// It is denied.
    Deny,
}

/// Whether a rule acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// It decides.
    Enforce,
    /// It is recorded what it would have done.
    Shadow,
}

/// One glob over tool names, whole and with case.
#[derive(Debug, Clone)]
pub struct ToolPattern {
    /// As written.
    pub text: Arc<str>,
    /// Compiled.
    pub matcher: globset::GlobMatcher,
}

/// Any of several globs over tool names.
#[derive(Debug, Clone)]
pub struct ToolPatterns {
    /// As written, in the order of `set`.
    pub texts: Vec<Arc<str>>,
    /// Compiled.
    pub set: globset::GlobSet,
}

/// All that one key of `tools` asks, by the order in which it is judged.
#[derive(Debug, Clone, std::default::Default)]
pub struct ToolRules {
    /// Checks of the arguments' form.
    pub validate: Vec<Validation>,
    /// Denials and conditions, in file order.
    pub rules: Vec<Rule>,
    /// Holds for a person.
    pub approvals: Vec<Approval>,
    /// Limits.
    pub limits: Vec<LimitRule>,
    /// This tool's deadline for an answer.
    pub timeout: Option<Duration>,
    /// Arguments whose values the ledger may keep.
    pub record: Vec<Path>,
}

/// What a rule is known by.
#[derive(Debug, Clone)]
pub struct Label {
    /// Where it stands.
    pub id: RuleId,
    /// Its `name`, where it has one.
    pub name: Option<Arc<str>>,
    /// `on_deny` or `reason`: what the agent is told.
    pub on_deny: Option<Arc<str>>,
    /// Whether it acts.
    pub mode: Mode,
}

/// A check of the arguments' form.
#[derive(Debug, Clone)]
pub struct Validation {
    /// What it is known by.
    pub label: Label,
    /// How far it goes.
    pub level: ValidationLevel,
}

/// How far arguments are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidationLevel {
    /// `required_args`: each argument that the schema requires is there.
    Required,
    /// `schema`: all of the schema, formats and `additionalProperties` included.
    Schema,
}

/// A denial or a condition.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What it is known by.
    pub label: Label,
    /// What it asks.
    pub kind: RuleKind,
}

/// What a rule asks.
#[derive(Debug, Clone)]
pub enum RuleKind {
    /// Denies whatever the call says.
    Deny,
    /// Denies unless the condition is true.
    Require(Condition),
    /// Denies where the condition is true or cannot be evaluated.
    DenyIf(Condition),
}

/// A hold for a person.
#[derive(Debug, Clone)]
pub struct Approval {
    /// What it is known by.
    pub label: Label,
    /// Which calls it selects; `None` for all.
    pub when: Option<Condition>,
    /// How long a hold waits.
    pub timeout: Option<Duration>,
}

/// A limit, before a call gives it a key.
#[derive(Debug, Clone)]
pub struct LimitRule {
    /// What it is known by.
    pub label: Label,
    /// Its counter.
    pub counter: CounterName,
    /// The tool's part of the key.
    pub tool: ToolPart,
    /// Whose calls share it.
    pub scope: Scope,
    /// What it bounds.
    pub kind: LimitKind,
}

/// The tool's part of a limit's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolPart {
    /// The name that the call gives.
    Called,
    /// This text: a key of `tools`, or `*`.
    Fixed(Arc<str>),
}

/// Whose calls share a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Those of the grant.
    Grant,
    /// Those of the session; of the grant where the protocol has no session.
    Session,
    /// Those of the tool, by anyone.
    Tool,
    /// Those on the server, by anyone.
    Server,
    /// Those on any server.
    Global,
    /// Those with the same value at this path.
    Argument(Path),
}

/// What a limit bounds.
#[derive(Debug, Clone)]
pub enum LimitKind {
    /// A count or a sum in a window.
    Window {
        /// How long, and whether it slides.
        window: Window,
        /// What a call takes.
        amount: AmountSource,
        /// At most so much, the call included; `None` where only `min` is asked.
        max: Option<Amount>,
        /// At least so much before the call; `None` mostly.
        min: Option<Amount>,
    },
    /// Calls in flight.
    Concurrent {
        /// At most so many, the call included.
        max: u32,
    },
}

/// What a call takes from a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AmountSource {
    /// The same for each call; zero for a limit that is only looked at.
    Fixed(Amount),
    /// The number at this path.
    Argument(Path),
}

/// What `methods:` says.
#[derive(Debug, Clone)]
pub struct MethodTable {
    /// What happens to methods that are neither listed nor protocol housekeeping.
    pub default: Default,
    /// Rules by exact method.
    pub exact: RulesByName<Arc<str>>,
    /// Rules by glob, the most literal characters first.
    pub globs: Vec<(ToolPattern, Arc<ToolRules>)>,
}

impl Program {
    /// The program that denies every tool call and every method that is not housekeeping.
    #[must_use]
    pub fn deny_all() -> Self {
        Self {
            default: Default::Deny,
            hide: ToolPatterns {
                texts: Vec::new(),
                set: globset::GlobSet::empty(),
            },
            exact: RulesByName::new(),
            globs: Vec::new(),
            everywhere: Arc::new(ToolRules::default()),
            methods: MethodTable {
                default: Default::Deny,
                exact: RulesByName::new(),
                globs: Vec::new(),
            },
            timeout: None,
            mode: Mode::Enforce,
            checks: None,
            digest: [0; 32],
        }
    }
}
