//! Makes the entries of a plan: allow-lists, what may be done, what is done once, and what money may go.

use super::actions::Actions;
use super::arguments::{self, Argument};
use super::patterns::{ID, MAIL};
use super::roles::{Role, Tool, is_run};
use super::terms::{Budget, Condition, Entry, Literals, Presence, Value};
use super::{Answers, Filled, Hole, HoleKind, RuleKind};
use crate::class::Class;
use callgate_core::json::Json;
use callgate_core::path::{Path, Segment};

pub(super) struct Maker<'a> {
    pub(super) tool: &'a Tool<'a>,
    pub(super) answers: &'a Answers,
    pub(super) entries: Vec<Entry>,
    pub(super) holes: Vec<Hole>,
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

/// An argument as people read it, without `args.`
pub(super) fn spelled(path: &Path) -> String {
    let whole = path.to_string();
    let short = whole.strip_prefix("args.").unwrap_or(&whole);
    super::yaml::one_line(short)
}

pub(super) fn names(found: &[&Argument]) -> String {
    let names: Vec<String> = found.iter().map(|argument| spelled(&argument.path)).collect();
    either(&names, "and")
}

/// The condition, or the argument is not there; where a list holds it, the list may also be empty.
pub(super) fn if_there(argument: &Argument, is_needed: bool, condition: Condition) -> Condition {
    if is_needed {
        return condition;
    }
    let mut any = Vec::new();
    for (at, step) in argument.path.segments.iter().enumerate() {
        if *step == Segment::Each {
            let list = Path {
                root: argument.path.root,
                segments: argument.path.segments.iter().take(at).cloned().collect(),
            };
            any.push(absent(&list));
            any.push(Condition::test(&list, "length", Value::Length { min: 0, max: 0 }));
        }
    }
    // A condition holds for all elements or for none, so all of them have it or none has.
    if !argument.in_list() || argument.may_lack {
        any.push(absent(&argument.path));
    }
    // To say what the server takes by itself is to say nothing.
    if !argument.in_list() && argument.kinds.is_text() && argument.default.as_deref() == Some("") {
        any.push(Condition::test(&argument.path, "eq", Value::Text(String::new())));
    }
    any.push(condition);
    Condition::Any(any)
}

pub(super) fn absent(path: &Path) -> Condition {
    Condition::test(path, "exists", Value::Flag(Presence::No))
}

pub(super) fn present(path: &Path) -> Condition {
    Condition::test(path, "exists", Value::Flag(Presence::Yes))
}

pub(super) fn all_of(mut conditions: Vec<Condition>) -> Option<Condition> {
    match conditions.len() {
        0 => None,
        1 => conditions.pop(),
        _ => Some(Condition::All(conditions)),
    }
}

impl Maker<'_> {
    pub(super) fn push(
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

    pub(super) fn by_action(&mut self, actions: &Actions) {
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
    pub(super) fn hole(
        &mut self,
        argument: &Argument,
        kind: HoleKind,
        is_needed: bool,
        given: Vec<String>,
    ) -> usize {
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

    pub(super) fn fill(
        &mut self,
        argument: &Argument,
        kind: HoleKind,
        is_needed: bool,
        operator: &'static str,
    ) {
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
        // Left out, it would be what the server takes by itself.
        let is_needed = is_needed || self.takes_another(argument, &values);
        if let Some(hole) = self.holes.get_mut(hole) {
            hole.is_needed = is_needed;
        }
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

    /// Whether a server that is not told takes a value that nobody has listed.
    fn takes_another(&self, argument: &Argument, values: &[String]) -> bool {
        self.tool.class != Class::Read
            && !argument.in_list()
            && argument
                .default
                .as_ref()
                .is_some_and(|default| !default.is_empty() && !values.contains(default))
    }

    pub(super) fn targets(&mut self, roles: &[(&Argument, Role)]) {
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

    pub(super) fn places(&mut self, roles: &[(&Argument, Role)]) {
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

    pub(super) fn once(&mut self, roles: &[(&Argument, Role)]) {
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

    /// The values that the schema names, where the schema is not enforced.
    pub(super) fn choices(&mut self, listed: &[Argument], tool: &Json<'_>) {
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

    pub(super) fn budget(
        &mut self,
        roles: &[(&Argument, Role)],
        actions: Option<&Actions>,
    ) -> Option<Budget> {
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
                    hole.values.clear();
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

pub(super) fn of<'r>(roles: &[(&'r Argument, Role)], is_so: impl Fn(Role) -> bool) -> Vec<&'r Argument> {
    roles
        .iter()
        .filter(|(_, role)| is_so(*role))
        .map(|(argument, _)| *argument)
        .collect()
}
