//! What was found, and where.

use super::rules::{Rule, Verdict};
use crate::commands::scan::comment::one_line;
use callgate_catalog::Severity;
use callgate_policy::Span;

/// A line and a column of a file, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl From<Span> for Place {
    fn from(span: Span) -> Self {
        Self {
            line: span.line,
            column: span.column,
        }
    }
}

/// One thing that was found. No text in it moves a cursor, and none is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) rule: Rule,
    pub(crate) severity: Severity,
    /// The tool that it is about.
    pub(crate) tool: Option<String>,
    /// What of it was seen, quoted.
    pub(crate) evidence: Option<String>,
    pub(crate) place: Option<Place>,
}

impl Finding {
    pub(crate) fn of(rule: Rule) -> Self {
        Self {
            rule,
            severity: rule.severity,
            tool: None,
            evidence: None,
            place: None,
        }
    }

    /// About a tool, and at least as severe as `severity`.
    pub(crate) fn about(mut self, tool: &str, severity: Severity) -> Self {
        self.tool = Some(one_line(tool));
        self.severity = self.severity.max(severity);
        self
    }

    pub(crate) fn quoting(mut self, evidence: &str) -> Self {
        self.evidence = Some(one_line(evidence));
        self
    }

    pub(crate) const fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    /// What was found, in a sentence without its end.
    pub(crate) fn sentence(&self) -> String {
        match &self.tool {
            Some(tool) => format!("{tool}: {}", self.rule.title),
            None => self.rule.title.to_owned(),
        }
    }
}

/// A server that was looked at, with all that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Looked {
    /// What it is called.
    pub(crate) name: String,
    /// What it is, as far as that can be said without a secret: a program, a package, a host.
    pub(crate) what: Option<String>,
    /// The file that tells of it.
    pub(crate) file: Option<String>,
    pub(crate) place: Option<Place>,
    /// How many tools it has; `None` where they were not looked at.
    pub(crate) tools: Option<usize>,
    pub(crate) findings: Vec<Finding>,
}

impl Looked {
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: one_line(name),
            what: None,
            file: None,
            place: None,
            tools: None,
            findings: Vec::new(),
        }
    }

    /// The worst that any finding comes to.
    pub(crate) fn verdict(&self) -> Verdict {
        self.findings
            .iter()
            .map(|found| found.rule.verdict)
            .max()
            .unwrap_or(Verdict::Go)
    }

    /// The worst first, each kind together.
    pub(crate) fn sort(&mut self) {
        self.findings.sort_by(|left, right| {
            (right.rule.verdict, right.severity)
                .cmp(&(left.rule.verdict, left.severity))
                .then_with(|| left.rule.id.cmp(right.rule.id))
                .then_with(|| left.tool.cmp(&right.tool))
        });
    }
}
