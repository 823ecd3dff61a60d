//! What is asked of one tool, before it is written down.

use super::actions::{Actions, actions};
use super::arguments::{self, Argument};
use super::roles::{Role, Tool, is_run, role};
use super::{Answers, Filled, Hole, HoleKind, Reason, RuleKind, ToolFacts};
use crate::class::{Class, Severity};
use crate::definition::Definition;
use crate::signals::Signal;
use callgate_core::json::Json;
use callgate_core::path::{Path, Segment};

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

/// An identifier: nothing that ends a path, a word or a line, begins an option, or means anything to a shell.
pub(super) const ID: &str = "^[A-Za-z0-9_][A-Za-z0-9_.:@=+~-]{0,199}$";
/// The same, in steps: none of them begins with a dot, so none leads upwards.
pub(super) const NAME: &str = "^[A-Za-z0-9_@][A-Za-z0-9_.:@=+~-]*(/[A-Za-z0-9_@][A-Za-z0-9_.:@=+~-]*)*$";
/// A path that stays below where it starts.
pub(super) const INSIDE: &str = r"^\.?[\w@+][\w.@+ -]*(/\.?[\w@+][\w.@+ -]*)*/?$";
/// One address, and no second behind it.
pub(super) const MAIL: &str = r"^[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9.-]{1,253}$";
/// An amount that is written as a text: no sign, no exponent, less than a thousand.
pub(super) const SMALL_AMOUNT: &str = r"^(0|[1-9][0-9]{0,2})(\.[0-9]{1,18})?$";
/// No amount is larger, whatever its unit; a budget is closer.
const AMOUNT_MAX: u32 = 1_000_000;
/// A query that begins as one that reads.
const READING: &str = r"(?i)^\s*(select|with|show|describe|desc|explain|values|table)\b";
/// Words and signs of queries that do more than read, or of a second query.
const CHANGING: &str = r"(?i)\b(insert|update|delete|merge|replace|drop|alter|create|truncate|grant|revoke|call|exec|execute|do|copy|load|attach|detach|pragma|set|into|lock|vacuum|reindex|refresh|pg_read_file|pg_ls_dir|lo_import|lo_export|dblink|xp_cmdshell|load_file|pg_sleep|sleep|benchmark)\b|;\s*\S|--|/\*";
/// HTML that runs, loads or sends something.
const ACTIVE: &str = r"(?i)<\s*/?\s*(script|iframe|frame|object|embed|form|meta|link|base|svg|math|style|img|video|audio)\b|\bon[a-z]+\s*=|javascript\s*:";

/// Why a tool's schema is not enforced whole.
pub(super) const REQUIRED_ONLY: &str = "The schema has a pattern with look-around, which cannot be checked: only that what is required is there.";

/// What is recommended for one tool.
pub(super) fn plan(facts: &ToolFacts<'_>, answers: &Answers) -> Plan {
    let definition = Definition::read(facts.tool);
    let verdict = facts.verdict;
    let listed = arguments::arguments(facts.tool);
    let is_delicate = verdict.class == Class::Read && verdict.severity >= Severity::High
        || verdict
            .signals
            .iter()
            .any(|signal| matches!(signal, Signal::Freeform { .. }));
    let tool = Tool::new(&definition, verdict.class, is_delicate, &listed);
    let roles: Vec<(&Argument, Role)> = listed
        .iter()
        .filter_map(|argument| Some((argument, role(argument, &tool)?)))
        .collect();
    let by_action = roles
        .iter()
        .find(|(_, role)| *role == Role::Action)
        .and_then(|(argument, _)| actions(&definition, verdict.class, argument));
    let fate = fate(facts, &definition, by_action.as_ref(), answers);
    let mut maker = Maker {
        tool: &tool,
        answers,
        entries: Vec::new(),
        holes: Vec::new(),
    };
    maker.by_action(by_action.as_ref());
    maker.targets(&roles);
    maker.places(&roles);
    maker.switches(&roles);
    maker.patterns(&roles);
    maker.once(&roles);
    maker.bounds(&roles);
    maker.queries(&roles);
    maker.texts(&roles);
    maker.open(&roles);
    maker.choices(&listed, facts.tool);
    maker.no_others(facts.tool);
    let budget = maker.budget(&roles, by_action.as_ref());
    let takes_code = roles.iter().any(|(_, role)| *role == Role::Code);
    let (entries, holes) = (maker.entries, maker.holes);
    Plan {
        name: definition.name.clone(),
        description: definition.description.clone(),
        class: verdict.class,
        severity: verdict.severity,
        signals: verdict.signals.iter().map(Signal::text).collect(),
        fate,
        validation: match arguments::schema_of(facts.tool) {
            None => Validation::None,
            Some(schema) if arguments::looks_around(schema) => Validation::Required,
            Some(_) => Validation::Schema,
        },
        entries,
        approval: approval(verdict.class, verdict.severity, takes_code, by_action.as_ref()),
        budget,
        a_minute: match verdict.class {
            Class::Read => None,
            Class::Write => Some(30),
            Class::Execute | Class::Destructive | Class::Financial => Some(10),
        },
        at_once: (matches!(verdict.class, Class::Execute | Class::Destructive)).then_some(2),
        holes,
    }
}

fn fate(facts: &ToolFacts<'_>, tool: &Definition, actions: Option<&Actions>, answers: &Answers) -> Fate {
    if answers.allowed.contains(&tool.name) {
        return Fate::Listed;
    }
    let suspicious = facts.verdict.signals.iter().find(|signal| {
        matches!(
            signal,
            Signal::Instructions { .. }
                | Signal::HiddenText { .. }
                | Signal::MixedAlphabets
                | Signal::LookAlike { .. }
        )
    });
    let why = if let Some(signal) = suspicious {
        format!("read its text first: {}", signal.text())
    } else if facts.verdict.class == Class::Destructive && actions.is_none() {
        "it can lose something for good".to_owned()
    } else if tool.claims_destructive == Some(true)
        && tool.claims_read_only != Some(true)
        && actions.is_none()
        && facts.verdict.class != Class::Read
    {
        "the server says that it destroys (destructiveHint)".to_owned()
    } else {
        return Fate::Listed;
    };
    Fate::Hidden { why }
}

fn approval(class: Class, severity: Severity, takes_code: bool, actions: Option<&Actions>) -> Approval {
    if takes_code {
        return Approval::Always {
            why: "It takes code or commands, and no rule tells a good one from a bad one.".to_owned(),
        };
    }
    if let Some(actions) = actions {
        if actions.held.is_empty() {
            return Approval::None;
        }
        return Approval::Unless {
            path: actions.path.clone(),
            is_required: actions.is_required,
            free: actions.free.clone(),
            why: format!("A person says yes to {}.", either(&actions.held, "or")),
        };
    }
    match (class, severity) {
        (Class::Financial, _) => Approval::Always {
            why: "It moves money, or a duty to pay.".to_owned(),
        },
        (Class::Destructive, _) => Approval::Always {
            why: "It can lose something for good.".to_owned(),
        },
        (Class::Execute, Severity::Critical) => Approval::Always {
            why: "What goes wrong here is large, and stays.".to_owned(),
        },
        (Class::Execute | Class::Write | Class::Read, _) => Approval::None,
    }
}

/// `a, b or c`, made harmless, and not without end.
pub(super) fn either(values: &[String], last: &str) -> String {
    let mut shown: Vec<String> = values
        .iter()
        .take(12)
        .map(|value| super::yaml::one_line(value))
        .collect();
    if values.len() > shown.len() {
        shown.push("others".to_owned());
    }
    match shown.pop() {
        None => String::new(),
        Some(only) if shown.is_empty() => only,
        Some(end) => format!("{} {last} {end}", shown.join(", ")),
    }
}

struct Maker<'a> {
    tool: &'a Tool<'a>,
    answers: &'a Answers,
    entries: Vec<Entry>,
    holes: Vec<Hole>,
}

/// An argument as people read it, without `args.`
pub(super) fn spelled(path: &Path) -> String {
    let whole = path.to_string();
    let short = whole.strip_prefix("args.").unwrap_or(&whole);
    super::yaml::one_line(short)
}

fn names(found: &[&Argument]) -> String {
    let names: Vec<String> = found.iter().map(|argument| spelled(&argument.path)).collect();
    either(&names, "and")
}

/// The condition, or the argument is not there; where a list holds it, the list may also be empty.
fn if_there(argument: &Argument, is_needed: bool, condition: Condition) -> Condition {
    if is_needed {
        return condition;
    }
    let each = argument
        .path
        .segments
        .iter()
        .position(|step| *step == Segment::Each);
    let mut any = Vec::new();
    match each {
        None => any.push(absent(&argument.path)),
        Some(at) => {
            let list = Path {
                root: argument.path.root,
                segments: argument.path.segments.iter().take(at).cloned().collect(),
            };
            any.push(absent(&list));
            any.push(Condition::test(&list, "length", Value::Length { min: 0, max: 0 }));
        }
    }
    any.push(condition);
    Condition::Any(any)
}

fn absent(path: &Path) -> Condition {
    Condition::test(path, "exists", Value::Flag(Presence::No))
}

pub(super) fn present(path: &Path) -> Condition {
    Condition::test(path, "exists", Value::Flag(Presence::Yes))
}

fn all_of(mut conditions: Vec<Condition>) -> Option<Condition> {
    match conditions.len() {
        0 => None,
        1 => conditions.pop(),
        _ => Some(Condition::All(conditions)),
    }
}

impl Maker<'_> {
    fn push(
        &mut self,
        kind: RuleKind,
        name: String,
        why: &str,
        on_deny: String,
        condition: Condition,
        found: &[&Argument],
    ) {
        self.entries.push(Entry {
            kind,
            name,
            why: why.to_owned(),
            on_deny,
            condition,
            arguments: found.iter().map(|argument| argument.path.clone()).collect(),
            hole: None,
        });
    }

    fn by_action(&mut self, actions: Option<&Actions>) {
        let Some(actions) = actions else { return };
        let mut values = actions.free.clone();
        values.extend(actions.held.iter().cloned());
        let test = Condition::test(
            &actions.path,
            "in",
            Value::List {
                values: values.clone(),
                are: Literals::Texts,
            },
        );
        let condition = match (actions.is_required, actions.may_be_missing) {
            (true, _) => test,
            (false, true) => Condition::Any(vec![absent(&actions.path), test]),
            (false, false) => Condition::All(vec![present(&actions.path), test]),
        };
        let word = spelled(&actions.path);
        let why = if actions.lost.is_empty() {
            format!("What the tool does is in `{word}`, so that is looked at; a value that is new is denied.")
        } else {
            format!(
                "What the tool does is in `{word}`. Left out, as it can lose something for good: {}.",
                either(&actions.lost, "and")
            )
        };
        self.entries.push(Entry {
            kind: RuleKind::Action,
            name: format!("what {word} may be"),
            why,
            on_deny: format!("{word} may be {} only", either(&values, "or")),
            condition,
            arguments: vec![actions.path.clone()],
            hole: None,
        });
    }

    /// A list that a person fills in.
    fn hole(&mut self, argument: &Argument, kind: HoleKind, is_needed: bool, given: Vec<String>) -> usize {
        let filled = self.answers.of(&self.tool.definition.name, &argument.path);
        let (values, filled) = match filled {
            Some(values) if !values.is_empty() => (values, Filled::ByAnswer),
            Some(_) | None if !given.is_empty() => (given, Filled::BySchema),
            Some(_) | None => (Vec::new(), Filled::Open),
        };
        self.holes.push(Hole {
            tool: self.tool.definition.name.clone(),
            argument: argument.path.to_string(),
            kind,
            is_needed,
            values,
            filled,
            rule: String::new(),
        });
        self.holes.len().saturating_sub(1)
    }

    fn fill(&mut self, argument: &Argument, kind: HoleKind, is_needed: bool, operator: &'static str) {
        let hole = self.hole(argument, kind, is_needed, argument.choices.clone());
        let values = self
            .holes
            .get(hole)
            .map(|hole| hole.values.clone())
            .unwrap_or_default();
        let are = if argument.kinds.is_number() {
            Literals::Numbers
        } else {
            Literals::Texts
        };
        let list = Condition::test(&argument.path, operator, Value::List { values, are });
        let test = match kind {
            HoleKind::Addresses => Condition::All(vec![
                Condition::test(&argument.path, "regex", Value::Text(MAIL.to_owned())),
                list,
            ]),
            HoleKind::Names | HoleKind::Hosts | HoleKind::Folders | HoleKind::Budget => list,
        };
        let word = spelled(&argument.path);
        let name = match kind {
            HoleKind::Names => format!("known values of {word}"),
            HoleKind::Addresses => format!("known addresses in {word}"),
            HoleKind::Hosts => format!("known hosts in {word}"),
            HoleKind::Folders => format!("known folders in {word}"),
            HoleKind::Budget => format!("a budget for {word}"),
        };
        if let Some(hole) = self.holes.get_mut(hole) {
            hole.rule.clone_from(&name);
        }
        self.entries.push(Entry {
            kind: RuleKind::AllowList,
            name,
            why: String::new(),
            on_deny: match kind {
                HoleKind::Names => {
                    format!("Not among the values of {word} that the policy lists; a person can add it there")
                }
                HoleKind::Addresses => format!(
                    "Not among the addresses that the policy lists for {word}; a person can add it there"
                ),
                HoleKind::Hosts => {
                    format!("Not among the hosts that the policy lists for {word}; a person can add it there")
                }
                HoleKind::Folders | HoleKind::Budget => {
                    format!("Not in a folder that the policy lists for {word}; a person can add it there")
                }
            },
            condition: match (is_needed, argument.is_required) {
                (true, false) => Condition::All(vec![present(&argument.path), test]),
                (true, true) | (false, _) => if_there(argument, is_needed, test),
            },
            arguments: vec![argument.path.clone()],
            hole: Some(hole),
        });
    }

    fn targets(&mut self, roles: &[(&Argument, Role)]) {
        let targets: Vec<&Argument> = of(roles, |role| role == Role::Target);
        let is_any_needed = targets
            .iter()
            .any(|argument| argument.is_required && is_run(argument));
        let mut first = self.tool.class == Class::Execute && !is_any_needed;
        for argument in targets {
            let is_first_run = first && is_run(argument) && !argument.in_list();
            if is_first_run {
                first = false;
            }
            let is_needed = argument.is_required && !argument.in_list() || is_first_run;
            self.fill(argument, HoleKind::Names, is_needed, "in");
        }
    }

    fn places(&mut self, roles: &[(&Argument, Role)]) {
        for (argument, role) in roles {
            let is_needed = argument.is_required && !argument.in_list();
            let (kind, operator) = if *role == Role::Mail {
                (HoleKind::Addresses, "glob")
            } else if *role == Role::Url {
                (HoleKind::Hosts, "host_in")
            } else if *role == Role::Folder {
                (HoleKind::Folders, "path_under")
            } else {
                continue;
            };
            self.fill(argument, kind, is_needed, operator);
        }
    }

    fn switches(&mut self, roles: &[(&Argument, Role)]) {
        let waits = of(roles, |role| role == Role::Wait);
        let no = |argument: &&Argument| {
            if_there(
                argument,
                false,
                Condition::test(&argument.path, "eq", Value::Flag(Presence::No)),
            )
        };
        if let Some(condition) = all_of(waits.iter().map(no).collect()) {
            let on_deny = format!(
                "Leave {} out, or give false; look at the result later",
                names(&waits)
            );
            self.push(
                RuleKind::NoWaiting,
                "do not wait".to_owned(),
                "Servers stop waiting before the work has ended, and who then tries again starts it twice.",
                on_deny,
                condition,
                &waits,
            );
        }
        let forces = of(roles, |role| role == Role::Force);
        if let Some(condition) = all_of(forces.iter().map(no).collect()) {
            self.push(
                RuleKind::Safeguard,
                "safeguards stay".to_owned(),
                "With it the tool does more, or asks less, than it does by itself.",
                format!("Leave {} out, or give false", names(&forces)),
                condition,
                &forces,
            );
        }
        let takes_code = roles
            .iter()
            .any(|(_, role)| matches!(role, Role::Code | Role::Query));
        let read_only = of(roles, |role| role == Role::ReadOnly);
        if takes_code
            && let Some(condition) = all_of(
                read_only
                    .iter()
                    .flat_map(|argument| {
                        [
                            present(&argument.path),
                            Condition::test(&argument.path, "eq", Value::Flag(Presence::Yes)),
                        ]
                    })
                    .collect(),
            )
        {
            self.push(
                RuleKind::ReadOnly,
                "read only".to_owned(),
                "The server can be told to change nothing, so it is.",
                format!("Give {} as true", names(&read_only)),
                condition,
                &read_only,
            );
        }
    }

    fn patterns(&mut self, roles: &[(&Argument, Role)]) {
        let found = of(roles, |role| matches!(role, Role::Id | Role::Name));
        let conditions = roles
            .iter()
            .filter_map(|(argument, role)| {
                let pattern = if *role == Role::Id {
                    ID
                } else if *role == Role::Name {
                    NAME
                } else {
                    return None;
                };
                let test = Condition::test(&argument.path, "regex", Value::Text(pattern.to_owned()));
                Some(if_there(
                    argument,
                    argument.is_required && !argument.in_list(),
                    test,
                ))
            })
            .collect();
        if let Some(condition) = all_of(conditions) {
            self.push(
                RuleKind::Pattern,
                "plain identifiers".to_owned(),
                "Servers put identifiers into paths and command lines as they are.",
                format!("{}: letters, digits and _.:@=+~- only, not empty", names(&found)),
                condition,
                &found,
            );
        }
        let inside = of(roles, |role| role == Role::Inside);
        let conditions = inside
            .iter()
            .map(|argument| {
                let test = Condition::test(&argument.path, "regex", Value::Text(INSIDE.to_owned()));
                if_there(argument, argument.is_required && !argument.in_list(), test)
            })
            .collect();
        if let Some(condition) = all_of(conditions) {
            self.push(
                RuleKind::Pattern,
                "paths stay inside".to_owned(),
                "No path begins at the root or leads upwards.",
                format!(
                    "{}: a relative path without .. and without odd characters",
                    names(&inside)
                ),
                condition,
                &inside,
            );
        }
    }

    fn once(&mut self, roles: &[(&Argument, Role)]) {
        let mut found = of(roles, |role| role == Role::Once);
        found.truncate(1);
        let conditions = found
            .iter()
            .flat_map(|argument| {
                [
                    present(&argument.path),
                    Condition::test(&argument.path, "regex", Value::Text(ID.to_owned())),
                    Condition::test(&argument.path, "length", Value::Length { min: 8, max: 128 }),
                ]
            })
            .collect();
        if let Some(condition) = all_of(conditions) {
            self.push(
                RuleKind::Once,
                "an id, so that nothing is done twice".to_owned(),
                "A server that sees the same id again does not start again.",
                format!(
                    "Make up {} of at least 8 letters and digits, and keep it when you try again",
                    names(&found)
                ),
                condition,
                &found,
            );
        }
    }

    fn bounds(&mut self, roles: &[(&Argument, Role)]) {
        let is_financial = self.tool.class == Class::Financial;
        let found = of(roles, |role| {
            matches!(role, Role::Count { .. } | Role::Time { .. }) || is_financial && role == Role::Amount
        });
        let mut words = Vec::new();
        let mut conditions = Vec::new();
        for (argument, role) in roles {
            let bound = |max: u32| {
                Condition::All(vec![
                    Condition::test(&argument.path, "gte", Value::Number("0".to_owned())),
                    Condition::test(&argument.path, "lte", Value::Number(max.to_string())),
                ])
            };
            let max = if let Role::Count { max } | Role::Time { max } = role {
                Some(*max)
            } else if *role == Role::Amount {
                argument.kinds.is_number().then_some(AMOUNT_MAX)
            } else {
                continue;
            };
            let word = spelled(&argument.path);
            let test = match max {
                Some(max) => {
                    words.push(format!("{word} from 0 to {max}"));
                    bound(max)
                }
                None => {
                    words.push(format!("{word} a plain number below 1000"));
                    Condition::test(&argument.path, "regex", Value::Text(SMALL_AMOUNT.to_owned()))
                }
            };
            conditions.push(if_there(
                argument,
                argument.is_required && !argument.in_list(),
                test,
            ));
        }
        if let Some(condition) = all_of(conditions) {
            self.push(
                RuleKind::Bound,
                "bounds of numbers".to_owned(),
                "A number that is negative or huge does what nobody meant.",
                either(&words, "and"),
                condition,
                &found,
            );
        }
    }

    fn queries(&mut self, roles: &[(&Argument, Role)]) {
        for argument in of(roles, |role| role == Role::Query) {
            let test = Condition::All(vec![
                Condition::test(&argument.path, "regex", Value::Text(READING.to_owned())),
                Condition::Not(Box::new(Condition::test(
                    &argument.path,
                    "regex",
                    Value::Text(CHANGING.to_owned()),
                ))),
                Condition::test(&argument.path, "length", Value::Length { min: 1, max: 20_000 }),
            ]);
            self.push(
                RuleKind::ReadOnly,
                format!("{} only reads", spelled(&argument.path)),
                "The server says that it only reads; a user of the database without the right to write holds better.",
                format!("{}: one query that reads, without comments", spelled(&argument.path)),
                if_there(argument, argument.is_required && !argument.in_list(), test),
                &[argument],
            );
        }
    }

    fn texts(&mut self, roles: &[(&Argument, Role)]) {
        let html = of(roles, |role| role == Role::Html);
        let conditions = html
            .iter()
            .map(|argument| {
                let test = Condition::All(vec![
                    Condition::Not(Box::new(Condition::test(
                        &argument.path,
                        "regex",
                        Value::Text(ACTIVE.to_owned()),
                    ))),
                    Condition::test(&argument.path, "length", Value::Length { min: 0, max: 100_000 }),
                ]);
                if_there(argument, argument.is_required && !argument.in_list(), test)
            })
            .collect();
        if let Some(condition) = all_of(conditions) {
            self.push(
                RuleKind::Html,
                "plain HTML".to_owned(),
                "Whoever reads it runs what is in it, and loads what it names.",
                format!("{}: no scripts, forms, images or handlers", names(&html)),
                condition,
                &html,
            );
        }
        let mut words = Vec::new();
        let mut conditions = Vec::new();
        for (argument, role) in roles {
            let Role::Text { max } = role else { continue };
            let test = Condition::test(&argument.path, "length", Value::Length { min: 0, max: *max });
            words.push(format!("{} of at most {max} characters", spelled(&argument.path)));
            conditions.push(if_there(
                argument,
                argument.is_required && !argument.in_list(),
                test,
            ));
        }
        if let Some(condition) = all_of(conditions) {
            let found = of(roles, |role| matches!(role, Role::Text { .. }));
            self.push(
                RuleKind::Length,
                "lengths of texts".to_owned(),
                "No message needs to carry a whole file away.",
                either(&words, "and"),
                condition,
                &found,
            );
        }
    }

    /// Objects of which nothing is said: only members that are numbers, flags or plain words.
    fn open(&mut self, roles: &[(&Argument, Role)]) {
        for argument in of(roles, |role| role == Role::Open) {
            let word = spelled(&argument.path);
            let members = self.answers.members(&self.tool.definition.name, &argument.path);
            if !members.is_empty() {
                let mut conditions = Vec::new();
                for (member, values) in &members {
                    let mut path = argument.path.clone();
                    path.segments.push(Segment::Key(member.as_str().into()));
                    conditions.push(Condition::test(
                        &path,
                        "in",
                        Value::List {
                            values: values.clone(),
                            are: Literals::Texts,
                        },
                    ));
                }
                let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
                conditions.push(Condition::test(
                    &argument.path,
                    "length",
                    Value::Length {
                        min: count,
                        max: count,
                    },
                ));
                self.push(
                    RuleKind::Open,
                    format!("known members of {word}"),
                    "Nothing says where the members end up, so only known ones pass.",
                    format!("{word}: exactly the members and values that the policy lists"),
                    Condition::All(conditions),
                    &[argument],
                );
                continue;
            }
            let Some(when) = plain_members(argument) else {
                self.push(
                    RuleKind::Open,
                    format!("nothing in {word}"),
                    "Nothing says where the members end up.",
                    format!("Leave {word} empty"),
                    if_there(
                        argument,
                        false,
                        Condition::test(&argument.path, "length", Value::Length { min: 0, max: 0 }),
                    ),
                    &[argument],
                );
                continue;
            };
            self.push(
                RuleKind::Open,
                format!("plain members of {word}"),
                "Nothing says where the members end up; some servers put them into a command line.",
                format!("{word}: members that are numbers, true, false, or words without spaces, slashes and signs of a shell"),
                Condition::When(when),
                &[argument],
            );
        }
    }

    /// The values that the schema names, where the schema is not enforced.
    fn choices(&mut self, listed: &[Argument], tool: &Json<'_>) {
        if !arguments::schema_of(tool).is_some_and(arguments::looks_around) {
            return;
        }
        let found: Vec<&Argument> = listed
            .iter()
            .filter(|argument| !argument.choices.is_empty() && argument.path.segments.len() == 1)
            .filter(|argument| {
                !self
                    .entries
                    .iter()
                    .any(|entry| entry.arguments.contains(&argument.path))
            })
            .collect();
        let conditions = found
            .iter()
            .map(|argument| {
                let list = Value::List {
                    values: argument.choices.clone(),
                    are: Literals::Texts,
                };
                if_there(
                    argument,
                    argument.is_required,
                    Condition::test(&argument.path, "in", list),
                )
            })
            .collect();
        if let Some(condition) = all_of(conditions) {
            self.push(
                RuleKind::Schema,
                "values that the schema names".to_owned(),
                "The schema itself is not enforced.",
                format!("{}: one of the values of the schema", names(&found)),
                condition,
                &found,
            );
        }
    }

    /// Denies what the schema does not name, where the schema itself does not.
    fn no_others(&mut self, tool: &Json<'_>) {
        let Some(schema) = arguments::schema_of(tool) else {
            self.push(
                RuleKind::NoOthers,
                "no arguments".to_owned(),
                "The server gives no schema, so nothing is known of its arguments.",
                String::new(),
                Condition::When("size(args) == 0".to_owned()),
                &[],
            );
            return;
        };
        let is_closed = schema.get("additionalProperties") == Some(&Json::Bool(false))
            && !arguments::looks_around(schema);
        let has_alternatives = ["allOf", "anyOf", "oneOf", "$ref", "patternProperties", "if"]
            .iter()
            .any(|word| schema.get(word).is_some());
        if is_closed || has_alternatives {
            return;
        }
        let names: Vec<&str> = match schema.get("properties") {
            Some(Json::Object(members)) => members.iter().map(|(name, _)| &**name).collect(),
            _ => Vec::new(),
        };
        let is_plain = |name: &&str| {
            name.chars()
                .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '(' | '[' | '{'))
        };
        let signs: usize = names
            .iter()
            .map(|name| {
                let odd = name.chars().filter(|c| !c.is_alphanumeric() && *c != '_').count();
                odd.saturating_add(3)
            })
            .sum();
        let bytes: usize = names.iter().map(|name| name.len().saturating_add(4)).sum();
        if !names.iter().all(is_plain) || signs > 220 || bytes > 1_900 {
            return;
        }
        let condition = if names.is_empty() {
            "size(args) == 0".to_owned()
        } else {
            let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
            format!("args.all(name, name in [{}])", quoted.join(", "))
        };
        self.push(
            RuleKind::NoOthers,
            "no other arguments".to_owned(),
            "The schema lets others through.",
            String::new(),
            Condition::When(condition),
            &[],
        );
    }

    fn budget(&mut self, roles: &[(&Argument, Role)], actions: Option<&Actions>) -> Option<Budget> {
        if self.tool.class != Class::Financial || actions.is_some() {
            return None;
        }
        let amounts: Vec<&Argument> = of(roles, |role| role == Role::Amount)
            .into_iter()
            .filter(|argument| argument.is_required && argument.kinds.is_number() && !argument.in_list())
            .collect();
        let by_rank =
            "amount total value sat sum notional cost quantity qty size share volume budget price fee";
        let amount = by_rank
            .split_whitespace()
            .find_map(|word| amounts.iter().find(|argument| argument.has(word)))?;
        let hole = self.hole(amount, HoleKind::Budget, true, Vec::new());
        let most = self.holes.get_mut(hole).and_then(|hole| {
            "no budget yet".clone_into(&mut hole.rule);
            match hole.values.as_slice() {
                [one] => Some((one.clone(), one.clone())),
                [call, day] => Some((call.clone(), day.clone())),
                _ => {
                    hole.filled = Filled::Open;
                    None
                }
            }
        });
        Some(Budget {
            path: amount.path.clone(),
            most,
            hole,
        })
    }
}

fn of<'r>(roles: &[(&'r Argument, Role)], is_so: impl Fn(Role) -> bool) -> Vec<&'r Argument> {
    roles
        .iter()
        .filter(|(_, role)| is_so(*role))
        .map(|(argument, _)| *argument)
        .collect()
}

/// An expression that is true where all members are numbers, flags or plain words; `None` where the argument's name
/// cannot stand in one.
fn plain_members(argument: &Argument) -> Option<String> {
    let is_plain = argument.name.starts_with(|c: char| c.is_ascii_alphabetic())
        && argument
            .name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_')
        && argument.path.segments.len() == 1;
    let path = format!("args.{}", argument.name);
    is_plain.then(|| {
        format!(
            "!has({path}) || {path}.all(k, [\" \", \"/\", \"..\", \";\", \"|\", \"&\", \"$\", \"`\", \"<\", \">\", \"(\", \"{{\", \"*\", \
             \"?\", \"#\", \"%\", \"'\", \"\\\"\", \"\\\\\", \"\\n\", \"\\r\", \"\\t\"].all(c, !k.contains(c) && (type({path}[k]) in \
             [type(1), type(1.5), type(true)] || type({path}[k]) == type(\"\") && !{path}[k].startsWith(\"-\") && \
             !{path}[k].contains(c))))"
        )
    })
}

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
