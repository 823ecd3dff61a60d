//! A tool that does several things, by the argument that says which.

use super::arguments::Argument;
use crate::class::Class;
use crate::definition::Definition;
use crate::text::words_of_name;
use crate::{classify, phrase};
use callgate_core::path::Path;

/// What becomes of each value of an argument such as `action`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Actions {
    pub(super) path: Path,
    /// Whether a call may leave it out: what the server then does is among the free ones.
    pub(super) may_be_missing: bool,
    /// Whether the schema requires it.
    pub(super) is_required: bool,
    /// What may be done.
    pub(super) free: Vec<String>,
    /// What a person has to say yes to.
    pub(super) held: Vec<String>,
    /// What can lose something for good, and is denied.
    pub(super) lost: Vec<String>,
}

/// Sorts the values of a tool's argument; `None` where no value is less than the tool as a whole.
pub(super) fn actions(tool: &Definition, class: Class, argument: &Argument) -> Option<Actions> {
    let classes: Vec<Class> = argument
        .choices
        .iter()
        .map(|value| class_of_value(tool, value))
        .collect();
    let base = without(tool, &argument.name);
    // A description tells of all the values: what it says of losing or paying is said of the value that does it.
    let is_said_of_all =
        |worst: Class| base == worst && (!classes.contains(&worst) || by_name(tool) == worst);
    if is_said_of_all(Class::Destructive) || is_said_of_all(Class::Financial) {
        return None;
    }
    // Where the tool is for reading and writing, what writes is what it is there for.
    let writes = class != Class::Financial
        && base != Class::Execute
        && !classes
            .iter()
            .any(|class| matches!(class, Class::Execute | Class::Financial));
    let mut actions = Actions {
        path: argument.path.clone(),
        may_be_missing: false,
        is_required: argument.is_required,
        free: Vec::new(),
        held: Vec::new(),
        lost: Vec::new(),
    };
    for (value, of_value) in argument.choices.iter().zip(classes) {
        let place = match of_value {
            Class::Read => &mut actions.free,
            Class::Write if writes => &mut actions.free,
            Class::Destructive => &mut actions.lost,
            Class::Write | Class::Execute | Class::Financial => &mut actions.held,
        };
        place.push(value.clone());
    }
    actions.may_be_missing = !argument.is_required
        && argument
            .default
            .as_ref()
            .is_some_and(|default| actions.free.contains(default));
    (!actions.free.is_empty()).then_some(actions)
}

/// The class of the tool if it had not this argument.
fn without(tool: &Definition, name: &str) -> Class {
    let mut rest = tool.clone();
    rest.parameters.retain(|parameter| parameter.name != name);
    rest.claims_destructive = None;
    let verdict = classify(&rest);
    if verdict.confidence.is_low() {
        Class::Write
    } else {
        verdict.class
    }
}

/// What the name alone says.
fn by_name(tool: &Definition) -> Class {
    classify(&Definition {
        name: tool.name.clone(),
        ..Definition::default()
    })
    .class
}

/// The class of a tool that did only this.
fn class_of_value(tool: &Definition, value: &str) -> Class {
    let nouns: Vec<String> = words_of_name(&tool.name)
        .into_iter()
        .filter(|word| phrase::act_of(word).is_none())
        .collect();
    let verdict = classify(&Definition {
        name: format!("{value}_{}", nouns.join("_")),
        ..Definition::default()
    });
    if verdict.confidence.is_low() {
        Class::Execute
    } else {
        verdict.class
    }
}
