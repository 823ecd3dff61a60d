//! What is asked of one tool, before it is written down.

use super::actions::{Actions, actions};
use super::arguments::{self, Argument};
use super::maker::{Maker, either};
use super::roles::{Role, Tool, role};
use super::terms::{Approval, Fate, Plan, Validation};
use super::{Answers, ToolFacts};
use crate::class::{Class, Severity};
use crate::definition::Definition;
use crate::signals::Signal;

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
    let all_actions = all_actions(&roles, &definition, verdict.class);
    let by_action = all_actions.first();
    let fate = fate(facts, &definition, by_action, answers);
    let mut maker = Maker {
        tool: &tool,
        answers,
        entries: Vec::new(),
        holes: Vec::new(),
    };
    for actions in &all_actions {
        maker.by_action(actions);
    }
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
    maker.no_others(&listed, facts.tool);
    let budget = maker.budget(&roles, by_action);
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
        approval: approval(verdict.class, verdict.severity, takes_code, by_action),
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

/// What each argument that says what is done may be; nothing, where one of them makes no value harmless. A person can be
/// asked about the first of them; what would be held by another is left out.
fn all_actions(roles: &[(&Argument, Role)], tool: &Definition, class: Class) -> Vec<Actions> {
    let found: Option<Vec<Actions>> = roles
        .iter()
        .filter(|(_, role)| *role == Role::Action)
        .map(|(argument, _)| actions(tool, class, argument))
        .collect();
    let mut found = found.unwrap_or_default();
    for actions in found.iter_mut().skip(1) {
        actions.held.clear();
    }
    found
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
