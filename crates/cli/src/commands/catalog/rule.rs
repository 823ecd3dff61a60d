//! The rule that is recommended for one tool.

use anyhow::Context;
use callgate_catalog::Verdict;
use callgate_catalog::recommend::{Answers, Reason, ToolFacts, recommend};
use callgate_wire::{Bounds, RawJson};
use serde::Serialize;

/// A rule for a tool.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Rule {
    /// Whether the policy lists the tool; what it does not list cannot be called.
    pub(crate) listed: bool,
    /// A whole policy for this tool alone, as YAML.
    pub(crate) policy: String,
    /// Why each part of it is there.
    pub(crate) reasons: Vec<Why>,
    /// What a person has yet to fill in; until then nothing passes.
    pub(crate) open: Vec<String>,
}

/// Why a part of a rule is there.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Why {
    kind: &'static str,
    rule: String,
    pub(crate) why: String,
}

impl Why {
    fn of(reason: &Reason) -> Self {
        Self {
            kind: reason.kind.name(),
            rule: reason.rule.clone(),
            why: reason.why.clone(),
        }
    }
}

/// The rule for a tool with this definition.
pub(crate) fn of(server: &str, definition: &str, verdict: &Verdict) -> anyhow::Result<Rule> {
    let raw = RawJson::read(definition.as_bytes(), &Bounds::default())
        .map_err(|cause| anyhow::anyhow!("the definition cannot be read: {cause}"))?;
    let json = raw.parse();
    let facts = ToolFacts { tool: &json, verdict };
    let made = recommend(server, &[facts], &Answers::default());
    let advice = made
        .tools
        .first()
        .context("nothing is recommended for a tool without a name")?;
    Ok(Rule {
        listed: advice.is_listed,
        policy: advice.policy.clone(),
        reasons: advice.reasons.iter().map(Why::of).collect(),
        open: made.open_holes().map(|hole| hole.question()).collect(),
    })
}
