//! Which tools a caller is shown.

use crate::call::{ListedTool, Scene};
use crate::condition::{CheckInput, Facts, always_applies, never_holds};
use crate::program::{Default, Mode, Program, Rule, RuleKind};

/// Whether `tools/list` shows a tool: those that the policy could allow, and those it denies with a reason
/// meant to be read.
///
/// A tool is left out where it is hidden, unlisted under `default: deny`, or denied whatever the arguments,
/// the time and the state are by a rule that gives no reason. Approvals leave nothing out: they depend on a
/// person. A policy in shadow mode leaves nothing out.
#[must_use]
pub fn visible(program: &Program, scene: Scene<'_>, tool: &ListedTool) -> bool {
    if program.mode == Mode::Shadow {
        return true;
    }
    let name = tool.name.as_str();
    if program.hide.set.is_match(name) {
        return false;
    }
    let own = program.rules_for(name);
    if own.is_none() && program.default == Default::Deny {
        return false;
    }
    let facts = Facts {
        input: CheckInput {
            scene,
            tool: Some(name),
            listed: Some(tool),
            arguments: None,
        },
        checks: None,
    };
    own.into_iter()
        .chain([&*program.everywhere])
        .flat_map(|part| &part.rules)
        .find(|rule| rule.label.mode == Mode::Enforce && always_denies(rule, &facts))
        .is_none_or(|rule| rule.label.on_deny.is_some())
}

fn always_denies(rule: &Rule, facts: &Facts<'_>) -> bool {
    match &rule.kind {
        RuleKind::Deny => true,
        RuleKind::Require(condition) => never_holds(condition, facts),
        RuleKind::DenyIf(condition) => always_applies(condition, facts),
    }
}
