//! What a new policy allows that the old one did not. Where that cannot be told, it counts as looser.

mod same;

use crate::name::{CounterName, RuleId};
use crate::program::{
    Default, LimitKind, LimitRule, Mode, Program, RuleKind, ToolPattern, ToolRules, ValidationLevel,
};
use same::same_condition;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// One way in which a policy became looser.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loosening {
    /// Denials are recorded only.
    Shadowed,
    /// Tools that the policy does not name are allowed.
    ToolsAllowed,
    /// Methods that the policy does not name are allowed.
    MethodsAllowed,
    /// Tools are no longer hidden.
    Shown {
        /// The entry of `hide` that is gone.
        pattern: Arc<str>,
    },
    /// What was denied because nothing named it is named now.
    Listed {
        /// The key.
        key: Key,
    },
    /// A rule is gone, is in shadow mode, or asks for something else.
    RuleChanged {
        /// The key.
        key: Key,
        /// The rule as the old policy names it.
        rule: RuleId,
    },
    /// A limit is gone, is in shadow mode, lets more through, or counts something else.
    LimitChanged {
        /// The key.
        key: Key,
        /// The limit as the policy that has it names it.
        rule: RuleId,
    },
}

/// A key of a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A key of `tools`.
    Tool(Arc<str>),
    /// `"*"` and `all_tools`.
    AllTools,
    /// A key of `methods`.
    Method(Arc<str>),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool(key) => write!(f, "tool `{key}`"),
            Self::AllTools => f.write_str("all tools"),
            Self::Method(key) => write!(f, "method `{key}`"),
        }
    }
}

impl fmt::Display for Loosening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shadowed => f.write_str("denials are only recorded, not carried out"),
            Self::ToolsAllowed => f.write_str("tools that the policy does not name are allowed"),
            Self::MethodsAllowed => f.write_str("methods that the policy does not name are allowed"),
            Self::Shown { pattern } => write!(f, "`{pattern}` is no longer hidden"),
            Self::Listed { key } => write!(f, "{key} is newly listed"),
            Self::RuleChanged { key, rule } => {
                write!(f, "{key}: rule `{rule}` is gone, or asks for something else")
            }
            Self::LimitChanged { key, rule } => {
                write!(f, "{key}: limit `{rule}` is gone, or may let more through")
            }
        }
    }
}

/// What `new` may allow that `old` did not, each once and sorted; empty where `new` is surely no looser.
#[must_use]
pub fn looser(old: &Program, new: &Program) -> Vec<Loosening> {
    let same_text = old.digest == new.digest && old.digest != [0; 32];
    if same_text || old.mode == Mode::Shadow {
        return Vec::new();
    }
    let mut found = Found {
        gates: gates(new),
        all: BTreeSet::new(),
    };
    if new.mode == Mode::Shadow {
        found.all.insert(Loosening::Shadowed);
    }
    if old.default == Default::Deny && new.default == Default::Allow {
        found.all.insert(Loosening::ToolsAllowed);
    }
    if old.methods.default == Default::Deny && new.methods.default == Default::Allow {
        found.all.insert(Loosening::MethodsAllowed);
    }
    for pattern in &old.hide.texts {
        if !new.hide.texts.contains(pattern) {
            found.all.insert(Loosening::Shown {
                pattern: pattern.clone(),
            });
        }
    }
    let tools = |program: &Program| program.exact.keys().map(|name| name.as_str().into()).collect();
    let (old_tools, new_tools): (BTreeSet<Arc<str>>, BTreeSet<Arc<str>>) = (tools(old), tools(new));
    for name in old_tools.union(&new_tools) {
        let key = Key::Tool(name.clone());
        found.key(
            &key,
            old.rules_for(name),
            new.rules_for(name),
            [old.default, new.default],
        );
    }
    found.globs(Key::Tool, [&old.globs, &new.globs], [old.default, new.default]);
    found.rules(&Key::AllTools, &old.everywhere, &new.everywhere);
    let (mine, theirs) = (&old.methods, &new.methods);
    for name in mine.exact.keys().chain(theirs.exact.keys()) {
        let key = Key::Method(name.clone());
        let defaults = [mine.default, theirs.default];
        found.key(&key, mine.rules_for(name), theirs.rules_for(name), defaults);
    }
    found.globs(
        Key::Method,
        [&mine.globs, &theirs.globs],
        [mine.default, theirs.default],
    );
    found.all.into_iter().collect()
}

type Globs = [(ToolPattern, Arc<ToolRules>)];

/// Counters that have to reach a `min`: there, counting more lets more through.
fn gates(program: &Program) -> BTreeSet<CounterName> {
    let (tools, methods) = (&program.globs, &program.methods.globs);
    let keyed = program.exact.values().chain(program.methods.exact.values());
    keyed
        .chain(tools.iter().chain(methods).map(|(_, rules)| rules))
        .chain([&program.everywhere])
        .flat_map(|rules| &rules.limits)
        .filter(|limit| matches!(limit.kind, LimitKind::Window { min: Some(_), .. }))
        .map(|limit| limit.counter.clone())
        .collect()
}

struct Found {
    gates: BTreeSet<CounterName>,
    all: BTreeSet<Loosening>,
}

impl Found {
    /// Compares what applied to one name with what applies now.
    fn key(&mut self, key: &Key, old: Option<&ToolRules>, new: Option<&ToolRules>, defaults: [Default; 2]) {
        let unnamed = ToolRules::default();
        match (old, new) {
            (None, Some(_)) if defaults[0] == Default::Deny => {
                self.all.insert(Loosening::Listed { key: key.clone() });
            }
            (Some(_), None) if defaults[1] == Default::Deny => {}
            (old, new) => self.rules(key, old.unwrap_or(&unnamed), new.unwrap_or(&unnamed)),
        }
    }

    /// A tool may have gone from any glob to any that is new, or from one that is gone to any.
    fn globs(&mut self, key: fn(Arc<str>) -> Key, [old, new]: [&Globs; 2], defaults: [Default; 2]) {
        let named = |globs: &Globs, text: &Arc<str>| globs.iter().any(|(pattern, _)| pattern.text == *text);
        for (before, rules) in old {
            let key = key(before.text.clone());
            let gone = !named(new, &before.text);
            if gone {
                self.key(&key, Some(rules), None, defaults);
            }
            for (after, new_rules) in new {
                if gone || before.text == after.text || !named(old, &after.text) {
                    self.rules(&key, rules, new_rules);
                }
            }
        }
        for (after, rules) in new {
            if !named(old, &after.text) {
                self.key(&key(after.text.clone()), None, Some(rules), defaults);
            }
        }
    }

    /// Each thing that the old rules enforce has to be enforced still.
    fn rules(&mut self, key: &Key, old: &ToolRules, new: &ToolRules) {
        let mut gone = Vec::new();
        for check in old
            .validate
            .iter()
            .filter(|check| check.label.mode == Mode::Enforce)
        {
            let kept = new.validate.iter().any(|other| {
                other.label.mode == Mode::Enforce
                    && (other.level == check.level || other.level == ValidationLevel::Schema)
            });
            if !kept {
                gone.push(&check.label.id);
            }
        }
        for rule in old.rules.iter().filter(|rule| rule.label.mode == Mode::Enforce) {
            let kept = new
                .rules
                .iter()
                .any(|other| other.label.mode == Mode::Enforce && implies(&other.kind, &rule.kind));
            if !kept {
                gone.push(&rule.label.id);
            }
        }
        for approval in old
            .approvals
            .iter()
            .filter(|approval| approval.label.mode == Mode::Enforce)
        {
            let kept = new.approvals.iter().any(|other| {
                other.label.mode == Mode::Enforce
                    && match (&other.when, &approval.when) {
                        (None, _) => true,
                        (Some(new), Some(old)) => same_condition(new, old),
                        (Some(_), None) => false,
                    }
            });
            if !kept {
                gone.push(&approval.label.id);
            }
        }
        self.all
            .extend(gone.into_iter().map(|rule| Loosening::RuleChanged {
                key: key.clone(),
                rule: rule.clone(),
            }));
        self.limits(key, old, new);
    }

    fn limits(&mut self, key: &Key, old: &ToolRules, new: &ToolRules) {
        let gone = old.limits.iter().filter(|limit| {
            limit.label.mode == Mode::Enforce && !new.limits.iter().any(|other| is_as_tight(other, limit))
        });
        let added = new.limits.iter().filter(|limit| {
            self.gates.contains(&limit.counter) && !old.limits.iter().any(|other| counts_alike(other, limit))
        });
        let changed: Vec<Loosening> = gone
            .chain(added)
            .map(|limit| Loosening::LimitChanged {
                key: key.clone(),
                rule: limit.label.id.clone(),
            })
            .collect();
        self.all.extend(changed);
    }
}

fn implies(new: &RuleKind, old: &RuleKind) -> bool {
    match (new, old) {
        (RuleKind::Deny, _) => true,
        (RuleKind::Require(new), RuleKind::Require(old)) | (RuleKind::DenyIf(new), RuleKind::DenyIf(old)) => {
            same_condition(new, old)
        }
        (RuleKind::Require(_) | RuleKind::DenyIf(_), _) => false,
    }
}

/// Whether two limits add the same to the same history.
fn counts_alike(new: &LimitRule, old: &LimitRule) -> bool {
    let same_key = new.counter == old.counter && new.tool == old.tool && new.scope == old.scope;
    same_key
        && match (&new.kind, &old.kind) {
            (LimitKind::Concurrent { .. }, LimitKind::Concurrent { .. }) => true,
            (
                LimitKind::Window { window, amount, .. },
                LimitKind::Window {
                    window: old_window,
                    amount: old_amount,
                    ..
                },
            ) => window == old_window && amount == old_amount,
            (LimitKind::Concurrent { .. } | LimitKind::Window { .. }, _) => false,
        }
}

fn is_as_tight(new: &LimitRule, old: &LimitRule) -> bool {
    new.label.mode == Mode::Enforce
        && counts_alike(new, old)
        && match (&new.kind, &old.kind) {
            (LimitKind::Concurrent { max }, LimitKind::Concurrent { max: old_max }) => max <= old_max,
            (
                LimitKind::Window { max, min, .. },
                LimitKind::Window {
                    max: old_max,
                    min: old_min,
                    ..
                },
            ) => {
                let max_is_tight = old_max.is_none_or(|old| max.is_some_and(|max| max <= old));
                let min_is_tight = old_min.is_none_or(|old| min.is_some_and(|min| min >= old));
                max_is_tight && min_is_tight
            }
            (LimitKind::Concurrent { .. } | LimitKind::Window { .. }, _) => false,
        }
}
