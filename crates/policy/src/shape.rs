//! Which of the published shapes a document has.

use crate::tree::Node;
use serde::Serialize;

/// The shape of a document. It decides how methods other than tool calls are judged where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Rules under `rules`, as in Intercept's policy files.
    Rules,
    /// Rules without `version` and names, as catalogue pages print them.
    Catalogue,
    /// `require`, `deny_if`, `limits` beside each tool, as in a hosted `policy.json`.
    Hosted,
    /// Callgate's own: anything else, and any mixture.
    Callgate,
}

/// What only a catalogue page's rules have.
const CATALOGUE_KEYS: [&str; 5] = ["action", "rate_limit", "validate", "reason", "on_deny"];

/// The shape of a document.
pub(crate) fn shape(root: &Node) -> Shape {
    let tools = || {
        let named = root
            .get("tools")
            .map_or(&[][..], Node::entries)
            .iter()
            .map(|entry| &entry.value);
        named.chain(root.get("all_tools"))
    };
    let rules = tools().any(|tool| tool.get("rules").is_some());
    let hosted_keys = ["require", "deny_if", "limits", "spend", "require_approval"];
    let hosted = root.get("all_tools").is_some()
        || root.get("approvals").is_some()
        || tools().any(|tool| hosted_keys.iter().any(|key| tool.get(key).is_some()));
    let methods = root.get("methods").is_some();
    match (rules, hosted, methods) {
        (true, false, false) if root.get("version").is_none() && plain(tools()) => Shape::Catalogue,
        (true, false, false) => Shape::Rules,
        (false, true, false) => Shape::Hosted,
        (_, _, _) => Shape::Callgate,
    }
}

fn plain<'n>(mut tools: impl Iterator<Item = &'n Node>) -> bool {
    tools.all(|tool| {
        let rules = tool.get("rules").map_or(&[][..], Node::items);
        rules.iter().all(|rule| {
            rule.entries()
                .iter()
                .all(|entry| CATALOGUE_KEYS.contains(&&*entry.key))
        })
    })
}
