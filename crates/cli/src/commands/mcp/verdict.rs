//! Whether to connect a server, by what its tools are.

use super::quoted::name;
use crate::commands::scan::tools::Described;
use callgate_catalog::{Class, Severity, Signal};
use serde::Serialize;

/// Whether to connect a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Advice {
    Go,
    Ask,
    Stop,
}

impl Advice {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Ask => "ask",
            Self::Stop => "stop",
        }
    }

    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::Go => "nothing in its definitions speaks against it",
            Self::Ask => "ask a person before it is connected",
            Self::Stop => "do not connect it",
        }
    }
}

/// A reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    rule: &'static str,
    verdict: Advice,
    severity: &'static str,
    #[serde(skip)]
    weight: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    message: &'static str,
}

impl Finding {
    fn of(
        rule: &'static str,
        verdict: Advice,
        severity: Severity,
        tool: Option<&str>,
        message: &'static str,
    ) -> Self {
        Self {
            rule,
            verdict,
            severity: severity.name(),
            weight: severity,
            tool: tool.map(name),
            message,
        }
    }

    pub(super) fn differs() -> Self {
        Self::of(
            "differs-from-scan",
            Advice::Ask,
            Severity::Medium,
            None,
            "its tools are not those that were scanned",
        )
    }

    pub(super) fn unknown() -> Self {
        Self::of(
            "not-in-catalogue",
            Advice::Ask,
            Severity::Low,
            None,
            "the catalogue does not know this server",
        )
    }

    pub(super) fn near() -> Self {
        Self::of(
            "near-a-known-name",
            Advice::Ask,
            Severity::High,
            None,
            "its name is nearly that of a server that the catalogue knows, as a name is that is made to be taken for it",
        )
    }

    pub(super) const fn verdict(&self) -> Advice {
        self.verdict
    }

    pub(super) fn rank(&self) -> (Advice, Severity) {
        (self.verdict, self.weight)
    }

    pub(super) fn line(&self) -> String {
        let tool = self
            .tool
            .as_deref()
            .map_or_else(String::new, |tool| format!("{tool}: "));
        format!(
            "- {} ({}, {}): {tool}{}\n",
            self.verdict.word(),
            self.rule,
            self.severity,
            self.message
        )
    }
}

/// What speaks against tools.
pub(super) fn findings(tools: &[Described]) -> Vec<Finding> {
    let mut found = Vec::new();
    for tool in tools {
        let name = Some(tool.listed.name.as_str());
        let verdict = &tool.verdict;
        for signal in &verdict.signals {
            let rule = match signal {
                Signal::HiddenText { .. } => ("hidden-text", "its text has characters that nobody sees"),
                Signal::Instructions { .. } => ("instruction-like-text", "its text speaks to the model"),
                Signal::MixedAlphabets => ("mixed-alphabets", "its name mixes letters that look alike"),
                Signal::LookAlike { .. } => ("look-alike-name", "its name looks like another's"),
                Signal::Freeform { .. }
                | Signal::Credentials
                | Signal::Bulk
                | Signal::SingleTarget
                | Signal::RawHtml { .. }
                | Signal::Url { .. }
                | Signal::Path { .. }
                | Signal::ManyParameters { .. }
                | Signal::LyingAnnotation
                | Signal::NoDescription => continue,
            };
            found.push(Finding::of(rule.0, Advice::Stop, Severity::High, name, rule.1));
        }
        let open = match verdict.class {
            Class::Destructive => Some(("destructive-open", "it can destroy")),
            Class::Financial => Some(("financial-open", "it can move money")),
            Class::Execute | Class::Write | Class::Read if verdict.severity >= Severity::High => Some((
                "high-risk-open",
                "what goes wrong with it stays, or reaches others",
            )),
            Class::Execute | Class::Write | Class::Read => None,
        };
        if let Some((rule, message)) = open {
            found.push(Finding::of(rule, Advice::Ask, verdict.severity, name, message));
        }
    }
    found
}
