//! Known attacks that a tool is open to, by its class and its signals.

use callgate_catalog::attacks::{self, Attack};
use callgate_catalog::{Class, Signal};
use serde::Serialize;
use std::cmp::Reverse;

/// An attack that abuses what a tool can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Abuse {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) severity: &'static str,
    /// Signals of the tool that are signs of it.
    pub(crate) signals: Vec<&'static str>,
}

/// The attacks that abuse tools of a class, first those that the tool's signals are signs of. One that shows by signals
/// alone abuses only tools that have one of them.
pub(crate) fn of(class: Class, signals: &[&str]) -> anyhow::Result<Vec<Abuse>> {
    let all = attacks::all().map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let mut found: Vec<(&Attack, Vec<&'static str>)> = all
        .iter()
        .filter(|attack| attack.classes.contains(&class))
        .map(|attack| (attack, shared(attack, signals)))
        .filter(|(attack, shared)| !shared.is_empty() || !shows_by_signals_alone(attack))
        .collect();
    found.sort_by_key(|(attack, shared)| (Reverse(shared.len()), Reverse(attack.severity), attack.id));
    let abuses = found.into_iter().map(|(attack, signals)| Abuse {
        id: attack.id,
        title: &attack.title,
        severity: attack.severity.name(),
        signals,
    });
    Ok(abuses.collect())
}

fn shared(attack: &Attack, signals: &[&str]) -> Vec<&'static str> {
    Signal::KINDS
        .iter()
        .map(|(code, _)| *code)
        .filter(|code| signals.contains(code) && attack.signals.iter().any(|signal| signal == code))
        .collect()
}

fn shows_by_signals_alone(attack: &Attack) -> bool {
    attack
        .signals
        .iter()
        .all(|signal| Signal::KINDS.iter().any(|(code, _)| code == signal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(class: Class, signals: &[&str]) -> Vec<&'static str> {
        of(class, signals).unwrap().iter().map(|abuse| abuse.id).collect()
    }

    #[test]
    fn a_tool_is_open_to_what_abuses_its_class_and_first_to_what_its_signals_show() {
        let of_execute = ids(Class::Execute, &["single_target"]);
        assert_eq!(of_execute.first(), Some(&"argument-injection"), "{of_execute:?}");
        assert!(of_execute.contains(&"runaway-loop"), "{of_execute:?}");
        assert!(
            !of_execute.contains(&"annotation-lie"),
            "its annotations do not lie: {of_execute:?}"
        );
        assert!(ids(Class::Execute, &["lying_annotation"]).contains(&"annotation-lie"));
        assert!(!ids(Class::Read, &[]).contains(&"runaway-loop"));
        for class in Class::ALL {
            assert!(!ids(class, &[]).is_empty(), "{class}");
        }
    }
}
