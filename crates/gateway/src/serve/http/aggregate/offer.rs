//! What a server says it can do, as far as the whole can pass it on.

use crate::sink::object;
use callgate_wire::{Object, RawJson, quoted};

/// The extension of tasks (2026-07-28).
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// What one server offers, or several together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offer {
    features: Vec<Feature>,
    instructions: Vec<String>,
}

/// A thing that a server can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Feature {
    Completions,
    Logging,
    Prompts,
    Resources,
    /// Changes of a resource are told to who asks for it.
    Subscriptions,
    Tools,
    /// Calls as tasks (2025-11-25), and what can be done with those.
    Tasks,
    TaskLists,
    TaskCancellation,
    /// Calls that become tasks (2026-07-28).
    TaskExtension,
}

impl Offer {
    /// Reads the result of `initialize` or `server/discover`.
    pub(super) fn of(server: &str, result: &Object<'_>) -> Self {
        let instructions = result
            .get("instructions")
            .and_then(|text| text.as_str())
            .filter(|text| !text.trim().is_empty())
            .map(|text| format!("# {server}\n\n{text}"));
        Self {
            features: object_at(Some(result), "capabilities")
                .map(|declared| features(&declared))
                .unwrap_or_default(),
            instructions: instructions.into_iter().collect(),
        }
    }

    /// What a server may bring that has not answered yet.
    pub(super) fn of_the_late() -> Self {
        Self {
            features: vec![Feature::Prompts, Feature::Resources, Feature::Tools],
            instructions: Vec::new(),
        }
    }

    /// Adds what another server offers.
    pub(super) fn join(&mut self, other: &Self) {
        self.features.extend_from_slice(&other.features);
        self.features.sort_unstable();
        self.features.dedup();
        self.instructions.extend_from_slice(&other.instructions);
    }

    pub(super) fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// The instructions of all, each under its server's name, as a JSON string.
    pub(super) fn instructions(&self) -> Option<String> {
        (!self.instructions.is_empty()).then(|| quoted(&self.instructions.join("\n\n")))
    }

    /// The capabilities, as JSON. Lists change when a server comes late, whatever the servers say.
    pub(super) fn capabilities(&self) -> String {
        const CHANGING: &str = r#"{"listChanged":true}"#;
        let resources = if self.has(Feature::Subscriptions) {
            r#"{"subscribe":true,"listChanged":true}"#
        } else {
            CHANGING
        };
        let tasks = self.tasks();
        let extensions = object(&[(TASKS, "{}")]);
        let all = [
            (Feature::Completions, "completions", "{}"),
            (Feature::Logging, "logging", "{}"),
            (Feature::Prompts, "prompts", CHANGING),
            (Feature::Resources, "resources", resources),
            (Feature::Tools, "tools", CHANGING),
            (Feature::Tasks, "tasks", &tasks),
            (Feature::TaskExtension, "extensions", &extensions),
        ];
        let members: Vec<(&str, &str)> = all
            .into_iter()
            .filter(|(feature, _, _)| self.has(*feature))
            .map(|(_, key, value)| (key, value))
            .collect();
        object(&members)
    }

    fn tasks(&self) -> String {
        let mut members = vec![("requests", r#"{"tools":{"call":{}}}"#)];
        if self.has(Feature::TaskLists) {
            members.push(("list", "{}"));
        }
        if self.has(Feature::TaskCancellation) {
            members.push(("cancel", "{}"));
        }
        object(&members)
    }
}

fn features(declared: &Object<'_>) -> Vec<Feature> {
    let mut features = Vec::new();
    let plain = [
        ("completions", Feature::Completions),
        ("logging", Feature::Logging),
        ("prompts", Feature::Prompts),
        ("resources", Feature::Resources),
        ("tools", Feature::Tools),
    ];
    for (key, feature) in plain {
        if object_at(Some(declared), key).is_some() {
            features.push(feature);
        }
    }
    let resources = object_at(Some(declared), "resources");
    let subscribe = resources.and_then(|resources| resources.get("subscribe"));
    if subscribe.as_ref().and_then(RawJson::as_bool) == Some(true) {
        features.push(Feature::Subscriptions);
    }
    let tasks = object_at(Some(declared), "tasks");
    let requests = object_at(tasks.as_ref(), "requests");
    let tools = object_at(requests.as_ref(), "tools");
    if object_at(tools.as_ref(), "call").is_some() {
        features.push(Feature::Tasks);
    }
    for (key, feature) in [
        ("list", Feature::TaskLists),
        ("cancel", Feature::TaskCancellation),
    ] {
        if object_at(tasks.as_ref(), key).is_some() {
            features.push(feature);
        }
    }
    let extensions = object_at(Some(declared), "extensions");
    if object_at(extensions.as_ref(), TASKS).is_some() {
        features.push(Feature::TaskExtension);
    }
    features
}

fn object_at<'a>(holder: Option<&Object<'a>>, key: &str) -> Option<Object<'a>> {
    holder?.get(key)?.as_object()
}

#[cfg(test)]
mod tests {
    use super::{Feature, Offer};
    use callgate_wire::{Bounds, RawJson};

    fn offer(server: &str, json: &str) -> Offer {
        let raw = RawJson::read(json.as_bytes(), &Bounds::default()).unwrap();
        Offer::of(server, &raw.as_object().unwrap())
    }

    #[test]
    fn together_servers_offer_what_any_of_them_does_and_nothing_that_cannot_be_passed_on() {
        let mut all = offer(
            "notes",
            r#"{"capabilities":{"tools":{},"experimental":{"x":{}},"tasks":{"list":{},"requests":{"tools":{"call":{}}}}},"instructions":"Be \"kind\"."}"#,
        );
        let other = offer(
            "mail",
            r#"{"capabilities":{"resources":{"subscribe":true},"tools":{"listChanged":true},"extensions":{"vendor/x":{}}},"instructions":" "}"#,
        );
        all.join(&other);
        assert_eq!(
            all.capabilities(),
            r#"{"resources":{"subscribe":true,"listChanged":true},"tools":{"listChanged":true},"tasks":{"requests":{"tools":{"call":{}}},"list":{}}}"#
        );
        assert_eq!(
            all.instructions().as_deref(),
            Some("\"# notes\\u000a\\u000aBe \\\"kind\\\".\"")
        );
        assert!(!all.has(Feature::Logging));
        assert_eq!(offer("x", "{}").capabilities(), "{}");
        assert_eq!(offer("x", "{}").instructions(), None);
    }
}
