//! Recommended rules: for each tool a policy that would hold, from its definition and its class.
//!
//! [`recommend`] is pure: the same definitions and answers give the same text. What only a person can know (which
//! repository, which host, how much money) is a [`Hole`]: a list that is empty, and so denies every call, until it is
//! filled in. What is wanted of each tool is planned first ([`plan`]) and written down then ([`write`]), so that a
//! rule, its reason and its test come from the same place.

mod actions;
mod arguments;
mod cases;
mod guards;
mod maker;
mod others;
mod patterns;
mod plan;
mod roles;
mod sample;
mod terms;
mod write;
mod yaml;

use crate::Verdict;
use callgate_core::json::Json;
use callgate_core::path::Path;
use std::collections::{BTreeMap, BTreeSet};

pub use yaml::{one_line, scalar};

/// What is known of one tool.
#[derive(Debug, Clone, Copy)]
pub struct ToolFacts<'t> {
    /// Its definition, as the server lists it.
    pub tool: &'t Json<'t>,
    /// What the classifier says of it.
    pub verdict: &'t Verdict,
}

/// What a person has said beforehand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// What holes are filled with.
    pub fillings: Vec<Filling>,
    /// Tools that are listed although they would be hidden.
    pub allowed: BTreeSet<String>,
}

/// What one hole, or the same hole of all tools, is filled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filling {
    /// The tool; `None` for all tools that have such an argument.
    pub tool: Option<String>,
    /// The argument: its name, or its whole path without `args.`
    pub argument: String,
    /// The values: names, hosts, folders, addresses, or the two amounts of a budget.
    pub values: Vec<String>,
}

impl Filling {
    fn is_of(&self, tool: &str) -> bool {
        self.tool.as_deref().is_none_or(|name| name == tool)
    }

    /// Whether it names a hole's argument.
    fn is_for(&self, hole: &Hole) -> bool {
        let path = hole.argument.strip_prefix("args.").unwrap_or(&hole.argument);
        let path = path.replace("[*]", "");
        path == self.argument || path.rsplit('.').next() == Some(&*self.argument)
    }
}

impl Answers {
    /// What a tool's argument is filled with. What names the tool goes before what is for all tools, and of two of
    /// the same kind the last one holds.
    fn of(&self, tool: &str, path: &Path) -> Option<Vec<String>> {
        let (whole, last) = spellings(path);
        let fits = |filling: &&Filling| filling.argument == whole || filling.argument == last;
        let mut fitting: Vec<&Filling> = self
            .fillings
            .iter()
            .filter(|filling| filling.is_of(tool))
            .filter(fits)
            .collect();
        fitting.sort_by_key(|filling| filling.tool.is_some());
        fitting.last().map(|filling| filling.values.clone())
    }

    /// What the members of an object are filled with: `parameters.namespace`.
    fn members(&self, tool: &str, path: &Path) -> BTreeMap<String, Vec<String>> {
        let (whole, _) = spellings(path);
        let mut members = BTreeMap::new();
        for filling in self.fillings.iter().filter(|filling| filling.is_of(tool)) {
            let member = filling
                .argument
                .strip_prefix(&*whole)
                .and_then(|rest| rest.strip_prefix('.'));
            if let Some(member) = member.filter(|member| !member.is_empty()) {
                members.insert(member.to_owned(), filling.values.clone());
            }
        }
        members
    }
}

/// A path without `args.` and without `[*]`, and its last name.
fn spellings(path: &Path) -> (String, String) {
    let whole = path.to_string();
    let whole = whole.strip_prefix("args.").unwrap_or(&whole).replace("[*]", "");
    let last = whole.rsplit('.').next().unwrap_or(&whole).to_owned();
    (whole, last)
}

/// What a hole takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoleKind {
    /// Exact names.
    Names,
    /// Addresses of persons, or `*@example.com`.
    Addresses,
    /// Hosts of URLs, or `*.example.com`.
    Hosts,
    /// Folders.
    Folders,
    /// How much one call and all calls of a day may spend.
    Budget,
}

impl HoleKind {
    /// A word for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Addresses => "addresses",
            Self::Hosts => "hosts",
            Self::Folders => "folders",
            Self::Budget => "budget",
        }
    }

    /// What could be written, as an example.
    #[must_use]
    pub const fn example(self) -> &'static str {
        match self {
            Self::Names => "one, another",
            Self::Addresses => "ana@example.com, \"*@example.org\"",
            Self::Hosts => "example.com, \"*.example.org\"",
            Self::Folders => "/srv/agent",
            Self::Budget => "50, 200",
        }
    }
}

/// Who has filled in a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filled {
    /// Nobody has.
    Open,
    /// The server's schema names the values.
    BySchema,
    /// An answer does.
    ByAnswer,
}

impl Filled {
    /// A word for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::BySchema => "schema",
            Self::ByAnswer => "answer",
        }
    }
}

/// A place that a person has to fill in. While it is open, calls that reach it are denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    /// The tool.
    pub tool: String,
    /// The argument's path: `args.repo`.
    pub argument: String,
    /// What it takes.
    pub kind: HoleKind,
    /// Whether each call has this argument, so that nothing passes while it is open.
    pub is_needed: bool,
    /// What it is filled with, by an answer or by the values that the schema names.
    pub values: Vec<String>,
    /// Who has filled it in.
    pub filled: Filled,
    /// The name of the rule that denies while it is open.
    pub rule: String,
}

impl Hole {
    /// Whether nobody has filled it in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.filled == Filled::Open
    }

    /// What a person is asked.
    #[must_use]
    pub fn question(&self) -> String {
        let word = one_line(self.argument.strip_prefix("args.").unwrap_or(&self.argument));
        match self.kind {
            HoleKind::Names => format!("Which values of {word} may agents use?"),
            HoleKind::Addresses => format!("To which addresses may agents write ({word})?"),
            HoleKind::Hosts => format!("Which hosts may the server be sent to ({word})?"),
            HoleKind::Folders => format!("In which folders may agents work ({word})?"),
            HoleKind::Budget => {
                format!("How much may one call spend, and how much all calls of a day ({word})?")
            }
        }
    }
}

/// What a rule is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleKind {
    /// The tool is left out.
    Hidden,
    /// The server's own schema is enforced.
    Schema,
    /// What may be done, by an argument that says so.
    Action,
    /// Only what a person has listed.
    AllowList,
    /// What identifiers and paths may look like.
    Pattern,
    /// Nothing is done twice.
    Once,
    /// The server does not wait.
    NoWaiting,
    /// Safeguards stay in place.
    Safeguard,
    /// Nothing is changed.
    ReadOnly,
    /// Numbers have bounds.
    Bound,
    /// HTML that does nothing.
    Html,
    /// Texts have an end.
    Length,
    /// Objects of which nothing is said.
    Open,
    /// Arguments that the schema does not name.
    NoOthers,
    /// A person has to say yes.
    Approval,
    /// Money has an end.
    Budget,
    /// Calls are limited.
    Limit,
}

impl RuleKind {
    /// A word for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Schema => "schema",
            Self::Action => "action",
            Self::AllowList => "allow_list",
            Self::Pattern => "pattern",
            Self::Once => "once",
            Self::NoWaiting => "no_waiting",
            Self::Safeguard => "safeguard",
            Self::ReadOnly => "read_only",
            Self::Bound => "bound",
            Self::Html => "html",
            Self::Length => "length",
            Self::Open => "open_object",
            Self::NoOthers => "no_other_arguments",
            Self::Approval => "approval",
            Self::Budget => "budget",
            Self::Limit => "limit",
        }
    }
}

/// Why a rule is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What the rule is there for.
    pub kind: RuleKind,
    /// The rule's name, or its key.
    pub rule: String,
    /// Why, in words.
    pub why: String,
    /// The arguments that it is about, as paths.
    pub arguments: Vec<String>,
}

impl Reason {
    fn new(kind: RuleKind, rule: &str, why: &str, arguments: &[Path]) -> Self {
        Self {
            kind,
            rule: rule.to_owned(),
            why: why.to_owned(),
            arguments: arguments.iter().map(Path::to_string).collect(),
        }
    }
}

/// What is recommended for one tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// The tool's name.
    pub tool: String,
    /// Whether the policy lists it.
    pub is_listed: bool,
    /// Each rule's reason.
    pub reasons: Vec<Reason>,
    /// A whole policy for this tool alone.
    pub policy: String,
    /// The arguments of an ordinary call, as JSON, with examples where lists are open; `None` where the tool is hidden
    /// or its schema asks for more than is understood.
    pub example: Option<String>,
}

/// An answer that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// Its position in [`Answers::fillings`].
    pub filling: usize,
    /// Why.
    pub why: WhyUnused,
}

/// Why an answer came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyUnused {
    /// No tool that it is for has such a list.
    NoList,
    /// Only tools that are left out have one.
    LeftOut {
        /// The first of them.
        tool: String,
    },
    /// It is for the budget of this tool, and names more than two amounts.
    NoBudget {
        /// The tool.
        tool: String,
    },
}

/// What is recommended for the tools of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recommended {
    /// The policy, as YAML.
    pub policy: String,
    /// Its tests, for `callgate test`.
    pub tests: String,
    /// What is recommended for each tool, in the order of the policy.
    pub tools: Vec<Advice>,
    /// What a person has to fill in, or has filled in, of the tools that are listed.
    pub holes: Vec<Hole>,
    /// Answers that came to nothing.
    pub unused: Vec<Unused>,
}

impl Recommended {
    /// The holes that nobody has filled in.
    pub fn open_holes(&self) -> impl Iterator<Item = &Hole> {
        self.holes.iter().filter(|hole| hole.is_open())
    }
}

/// Recommends a policy for the tools of a server called `server`.
///
/// The policy denies what it does not list. A tool without a name is left out, and so is a name that is listed twice:
/// which of the two a server means, nothing says.
#[must_use]
pub fn recommend(server: &str, tools: &[ToolFacts<'_>], answers: &Answers) -> Recommended {
    let mut planned: Vec<(terms::Plan, &Json<'_>)> = tools
        .iter()
        .map(|facts| (plan::plan(facts, answers), facts.tool))
        .filter(|(plan, _)| !plan.name.is_empty())
        .collect();
    planned.sort_by(|(left, _), (right, _)| left.name.cmp(&right.name));
    planned.dedup_by(|(later, _), (first, _)| {
        let is_twice = later.name == first.name;
        if is_twice {
            first.fate = terms::Fate::Hidden {
                why: "the server lists this name more than once".to_owned(),
            };
        }
        is_twice
    });
    let mut patterns = 0;
    for (plan, _) in &mut planned {
        if plan.fate == terms::Fate::Listed && write::key(&plan.name, &mut patterns).is_none() {
            plan.fate = terms::Fate::Hidden {
                why: "its name cannot be written as a key".to_owned(),
            };
        }
    }
    let plans: Vec<&terms::Plan> = planned.iter().map(|(plan, _)| plan).collect();
    let policy = write::policy(server, &plans);
    let tests = cases::tests(&planned);
    let holes: Vec<Hole> = plans
        .iter()
        .filter(|plan| plan.fate == terms::Fate::Listed)
        .flat_map(|plan| plan.holes.iter().cloned())
        .collect();
    Recommended {
        policy,
        tests,
        tools: planned
            .iter()
            .map(|(plan, tool)| Advice {
                tool: plan.name.clone(),
                is_listed: plan.fate == terms::Fate::Listed,
                reasons: plan.reasons(),
                policy: write::fragment(plan),
                example: cases::example(plan, tool),
            })
            .collect(),
        unused: unused(&plans, answers),
        holes,
    }
}

fn unused(plans: &[&terms::Plan], answers: &Answers) -> Vec<Unused> {
    answers
        .fillings
        .iter()
        .enumerate()
        .filter_map(|(index, filling)| {
            let why = why_unused(plans, filling)?;
            Some(Unused { filling: index, why })
        })
        .collect()
}

fn why_unused(plans: &[&terms::Plan], filling: &Filling) -> Option<WhyUnused> {
    let (listed, left_out): (Vec<&terms::Plan>, Vec<&terms::Plan>) = plans
        .iter()
        .filter(|plan| filling.is_of(&plan.name) && has_place(plan, filling))
        .partition(|plan| plan.fate == terms::Fate::Listed);
    let is_refused = |plan: &&&terms::Plan| {
        filling.values.len() > 2
            && plan
                .holes
                .iter()
                .any(|hole| hole.kind == HoleKind::Budget && hole.is_open() && filling.is_for(hole))
    };
    if let Some(plan) = listed.iter().find(is_refused) {
        return Some(WhyUnused::NoBudget {
            tool: plan.name.clone(),
        });
    }
    match (listed.first(), left_out.first()) {
        (Some(_), _) => None,
        (None, Some(plan)) => Some(WhyUnused::LeftOut {
            tool: plan.name.clone(),
        }),
        (None, None) => Some(WhyUnused::NoList),
    }
}

/// Whether a tool has a list, a budget, or an object whose members are listed, that an answer is for.
fn has_place(plan: &terms::Plan, filling: &Filling) -> bool {
    plan.holes.iter().any(|hole| filling.is_for(hole))
        || plan
            .entries
            .iter()
            .filter(|entry| entry.kind == RuleKind::Open)
            .flat_map(|entry| &entry.arguments)
            .any(|path| filling.argument.starts_with(&format!("{}.", spellings(path).0)))
}
