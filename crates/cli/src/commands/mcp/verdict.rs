//! Why to connect a server or not: what `callgate check` finds, and what the catalogue knows.

use super::quoted::name;
use crate::commands::check::finding;
use crate::commands::check::rules::{self, Rule, Verdict};
use crate::commands::check::tools;
use crate::commands::scan::tools::Described;
use callgate_catalog::Severity;
use serde::Serialize;

/// What a verdict asks for.
pub(super) const fn meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Go => "nothing in its definitions speaks against it",
        Verdict::Ask => "ask a person before it is connected",
        Verdict::Stop => "do not connect it",
    }
}

const DIFFERS: Rule = Rule {
    id: "differs-from-scan",
    verdict: Verdict::Ask,
    severity: Severity::Medium,
    title: "its tools are not those that were scanned",
    advice: "Compare the versions, and read what was added or changed.",
};

const UNKNOWN: Rule = Rule {
    id: "not-in-catalogue",
    verdict: Verdict::Ask,
    severity: Severity::Low,
    title: "the catalogue does not know this server",
    advice: "Have a person look at who publishes it, and at its tools.",
};

/// A reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    rule: &'static str,
    verdict: Verdict,
    severity: &'static str,
    #[serde(skip)]
    weight: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    message: &'static str,
    advice: &'static str,
}

impl Finding {
    /// What was found, without what was quoted of it.
    fn of(found: &finding::Finding) -> Self {
        Self {
            rule: found.rule.id,
            verdict: found.rule.verdict,
            severity: found.severity.name(),
            weight: found.severity,
            tool: found.tool.as_deref().map(name),
            message: found.rule.title,
            advice: found.rule.advice,
        }
    }

    pub(super) fn differs() -> Self {
        Self::of(&finding::Finding::of(DIFFERS))
    }

    pub(super) fn unknown() -> Self {
        Self::of(&finding::Finding::of(UNKNOWN))
    }

    pub(super) fn near() -> Self {
        Self::of(&finding::Finding::of(rules::LOOK_ALIKE_PACKAGE))
    }

    pub(super) const fn verdict(&self) -> Verdict {
        self.verdict
    }

    pub(super) fn rank(&self) -> (Verdict, Severity) {
        (self.verdict, self.weight)
    }

    pub(super) fn line(&self) -> String {
        let tool = self
            .tool
            .as_deref()
            .map_or_else(String::new, |tool| format!("{tool}: "));
        format!(
            "- {} ({}, {}): {tool}{}. {}\n",
            self.verdict.word(),
            self.rule,
            self.severity,
            self.message,
            self.advice
        )
    }
}

/// What speaks against tools that no policy guards.
pub(super) fn findings(described: &[Described]) -> anyhow::Result<Vec<Finding>> {
    Ok(tools::check(described, None)?.iter().map(Finding::of).collect())
}
