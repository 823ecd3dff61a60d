//! Which histories a program looks at, and how far back: what their keeper has to know before any call.

use super::Window;
use crate::amount::Amount;
use crate::name::CounterName;
use crate::program::{LimitKind, LimitRule, Program, Scope, ToolPart, ToolRules};
use std::sync::Arc;

/// A limit of a program, by the shape of the keys that calls give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitInForce {
    /// Whose calls share it, as the key has it.
    pub scope: Scope,
    /// The tool's part of the key; `None` where that may be any tool's.
    pub tool: Option<Arc<str>>,
    /// The counter.
    pub counter: CounterName,
    /// What it bounds.
    pub bound: Bound,
}

/// What a limit bounds, and by how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// What is used within a window.
    Window {
        /// How far it looks back.
        window: Window,
        /// At most so much; `None` where only `min` is asked.
        max: Option<Amount>,
    },
    /// Calls in flight.
    InFlight {
        /// At most so many.
        max: u32,
    },
}

impl Program {
    /// All limits, so that each history is kept for the longest window that looks at it, also while the calls
    /// that come look through shorter ones.
    #[must_use]
    pub fn limits_in_force(&self) -> Vec<LimitInForce> {
        let tools = self
            .exact
            .iter()
            .map(|(name, rules)| (Some(name.as_str()), rules));
        let methods = &self.methods;
        let exact_methods = methods.exact.iter().map(|(name, rules)| (Some(&**name), rules));
        let globs = self
            .globs
            .iter()
            .chain(&methods.globs)
            .map(|(_, rules)| (None, rules));
        tools
            .chain(exact_methods)
            .chain(globs)
            .chain([(None, &self.everywhere)])
            .flat_map(|(name, rules)| limits_of(name, rules))
            .collect()
    }
}

fn limits_of<'p>(
    name: Option<&'p str>,
    rules: &'p ToolRules,
) -> impl Iterator<Item = LimitInForce> + use<'p> {
    rules.limits.iter().flat_map(move |rule| {
        // Where the protocol has no session, a session's limit counts by the grant.
        let fallback = (rule.scope == Scope::Session).then_some(Scope::Grant);
        [Some(rule.scope.clone()), fallback]
            .into_iter()
            .flatten()
            .map(move |scope| in_force(rule, scope, name))
    })
}

fn in_force(rule: &LimitRule, scope: Scope, name: Option<&str>) -> LimitInForce {
    let tool = match (&rule.tool, &scope) {
        (ToolPart::Called, _) | (ToolPart::Fixed(_), Scope::Tool) => name.map(Arc::from),
        (ToolPart::Fixed(text), _) => Some(Arc::clone(text)),
    };
    LimitInForce {
        scope,
        tool,
        counter: rule.counter.clone(),
        bound: match rule.kind {
            LimitKind::Window { window, max, .. } => Bound::Window { window, max },
            LimitKind::Concurrent { max } => Bound::InFlight { max },
        },
    }
}
