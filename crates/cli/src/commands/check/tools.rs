//! What a server's list of tools tells, and what a policy leaves of it.

mod holds;

use super::finding::Finding;
use super::rules;
use crate::commands::scan::tools::Described;
use callgate_catalog::{Class, Severity, Signal, look_the_same};
use callgate_core::call::{Caller, Scene, WallTime};
use callgate_core::decide::visible;
use callgate_core::json::Json;
use callgate_core::name::{GrantId, ServerName};
use callgate_core::program::{AmountSource, Default, LimitKind, Mode, Program, RuleKind};
use holds::{can_deny, can_select};
use std::collections::BTreeSet;

/// What a policy makes of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cover {
    /// There is none.
    Absent,
    /// It is never called: hidden, not listed, denied, or held while no approver can be set up.
    Closed,
    /// Conditions or a budget hold for each call.
    Guarded,
    /// Its calls are counted, and that is all.
    Counted,
    /// It is named, and nothing is asked.
    Named,
    /// It is not named, and let through.
    Unnamed,
}

/// All that is found in a list, under a policy where there is one.
pub(crate) fn check(tools: &[Described], policy: Option<&Program>) -> anyhow::Result<Vec<Finding>> {
    let server = ServerName::new("server")?;
    let caller = caller()?;
    let scene = Scene {
        server: &server,
        caller: &caller,
        session: None,
        now: WallTime(0),
    };
    let shown: BTreeSet<&str> = tools
        .iter()
        .filter(|tool| policy.is_none_or(|program| visible(program, scene, &tool.listed)))
        .map(|tool| tool.listed.name.as_str())
        .collect();
    let mut found = Vec::new();
    for tool in tools {
        if shown.contains(tool.listed.name.as_str()) {
            texts(tool, &shown, &mut found);
        }
        let cover = policy.map_or(Cover::Absent, |program| cover(program, tool));
        found.extend(reach(tool, cover));
    }
    Ok(found)
}

/// Who calls under `callgate run`.
pub(crate) fn caller() -> anyhow::Result<Caller> {
    Ok(Caller {
        grant: GrantId::new("local")?,
        label: "local".into(),
        issuer: None,
        subject: None,
        claims: Json::Null,
    })
}

/// What a model would read of the tool.
fn texts(tool: &Described, shown: &BTreeSet<&str>, found: &mut Vec<Finding>) {
    let name = tool.listed.name.as_str();
    let severity = tool.verdict.severity;
    for signal in &tool.verdict.signals {
        let about = match signal {
            Signal::HiddenText { characters } => {
                Finding::of(rules::HIDDEN_TEXT).quoting(&characters.join(" "))
            }
            Signal::Instructions { quote } => Finding::of(rules::INSTRUCTION_LIKE_TEXT).quoting(quote),
            Signal::MixedAlphabets => Finding::of(rules::MIXED_ALPHABETS).quoting(&codes(name)),
            Signal::LookAlike { other } if !shown.contains(other.as_str()) => continue,
            Signal::LookAlike { other } if look_the_same(name, other) => {
                Finding::of(rules::LOOK_ALIKE_NAME).quoting(other)
            }
            Signal::LookAlike { other } => Finding::of(rules::SIMILAR_NAME).quoting(other),
            Signal::LyingAnnotation => {
                let seen = tool.verdict.evidence.first();
                Finding::of(rules::LYING_ANNOTATION)
                    .quoting(&seen.map(|seen| seen.quote.clone()).unwrap_or_default())
            }
            Signal::NoDescription => Finding::of(rules::NO_DESCRIPTION),
            Signal::Freeform { .. }
            | Signal::Credentials
            | Signal::Bulk
            | Signal::SingleTarget
            | Signal::RawHtml { .. }
            | Signal::Url { .. }
            | Signal::Path { .. }
            | Signal::ManyParameters { .. } => continue,
        };
        let at_least = if matches!(signal, Signal::LyingAnnotation) {
            severity
        } else {
            Severity::Low
        };
        found.push(about.about(name, at_least));
    }
}

/// A name with its letters beyond ASCII as their codes, for they look like others.
fn codes(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii() {
                c.to_string()
            } else {
                format!("U+{:04X} ", u32::from(c))
            }
        })
        .collect()
}

/// What can be done with the tool.
fn reach(tool: &Described, cover: Cover) -> Option<Finding> {
    let verdict = &tool.verdict;
    let takes_code = verdict
        .signals
        .iter()
        .any(|signal| matches!(signal, Signal::Freeform { .. }));
    let danger = match verdict.class {
        Class::Destructive => Some(rules::DESTRUCTIVE_OPEN),
        Class::Financial => Some(rules::FINANCIAL_OPEN),
        Class::Execute | Class::Write | Class::Read if verdict.severity == Severity::Critical => {
            Some(rules::CRITICAL_OPEN)
        }
        Class::Execute if takes_code => Some(rules::FREEFORM_EXECUTION),
        Class::Execute | Class::Write | Class::Read => None,
    };
    let rule = match (cover, danger) {
        (Cover::Closed | Cover::Guarded, _) => return None,
        (Cover::Counted, Some(_)) => rules::RATE_ONLY,
        (Cover::Absent | Cover::Named | Cover::Unnamed, Some(danger)) => danger,
        (Cover::Unnamed, None) if verdict.class > Class::Read => rules::NOT_IN_POLICY,
        (Cover::Absent | Cover::Counted | Cover::Named | Cover::Unnamed, None) => return None,
    };
    let seen = verdict.evidence.first();
    let quote = seen.map_or_else(
        || verdict.rationale.clone(),
        |seen| format!("{}: {}", seen.part.name(), seen.quote),
    );
    let at_least = match danger {
        Some(_) => verdict.severity,
        None => Severity::Low,
    };
    Some(
        Finding::of(rule)
            .quoting(&quote)
            .about(tool.listed.name.as_str(), at_least),
    )
}

fn cover(program: &Program, described: &Described) -> Cover {
    let tool = described.listed.name.as_str();
    let own = program.rules_for(tool);
    let open = match own {
        Some(_) => Cover::Named,
        None => Cover::Unnamed,
    };
    if program.mode == Mode::Shadow {
        return open;
    }
    if program.hide.set.is_match(tool) || own.is_none() && program.default == Default::Deny {
        return Cover::Closed;
    }
    let parts = || own.into_iter().chain([&*program.everywhere]);
    let rules = || {
        parts()
            .flat_map(|part| &part.rules)
            .filter(|rule| rule.label.mode == Mode::Enforce)
    };
    let approvals = || {
        parts()
            .flat_map(|part| &part.approvals)
            .filter(|approval| approval.label.mode == Mode::Enforce)
    };
    let limits = || {
        parts()
            .flat_map(|part| &part.limits)
            .filter(|limit| limit.label.mode == Mode::Enforce)
    };
    if rules().any(|rule| matches!(rule.kind, RuleKind::Deny))
        || approvals().any(|approval| approval.when.is_none())
    {
        return Cover::Closed;
    }
    let has_budget = limits().any(|limit| match &limit.kind {
        LimitKind::Window { amount, max, .. } => matches!(amount, AmountSource::Argument(_)) && max.is_some(),
        LimitKind::Concurrent { .. } => false,
    });
    let is_asked = rules().any(|rule| can_deny(&rule.kind, described));
    let is_held = approvals().any(|approval| {
        approval
            .when
            .as_ref()
            .is_none_or(|when| can_select(when, described))
    });
    if is_asked || is_held || has_budget {
        Cover::Guarded
    } else if limits().next().is_some() {
        Cover::Counted
    } else {
        open
    }
}
