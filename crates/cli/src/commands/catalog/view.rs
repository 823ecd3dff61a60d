//! What is told of servers and tools, for programs: the same on the command line and over MCP.

use super::abuse::Abuse;
use super::rule::Rule;
use callgate_catalog::catalogue::{Hit, Listed, Server, Tool};
use callgate_catalog::{Class, Evidence, Severity, Signal, Verdict};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A server, without its tools.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServerView<'c> {
    pub(crate) name: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<&'c str>,
    pub(crate) registry: &'static str,
    pub(crate) package: &'c str,
    pub(crate) version: &'c str,
    pub(crate) licence: &'c str,
    pub(crate) source: Option<&'c str>,
    /// The day of the scan.
    pub(crate) date: &'c str,
    pub(crate) obtained: &'c str,
    /// How many tools, and how many of each class and severity.
    pub(crate) tools: usize,
    pub(crate) classes: BTreeMap<&'static str, usize>,
    pub(crate) severities: BTreeMap<&'static str, usize>,
}

impl<'c> ServerView<'c> {
    pub(crate) fn of(server: &'c Server) -> Self {
        let severity = |severity: Severity| {
            server
                .tools
                .iter()
                .filter(|tool| tool.severity == severity)
                .count()
        };
        Self {
            name: &server.name,
            title: server.title.as_deref(),
            description: server.about.as_deref(),
            registry: server.package.registry.name(),
            package: &server.package.name,
            version: &server.package.version,
            licence: &server.licence,
            source: server.source.as_deref(),
            date: &server.date,
            obtained: &server.obtained,
            tools: server.tools.len(),
            classes: Class::ALL.map(|class| (class.name(), server.count(class))).into(),
            severities: Severity::ALL.map(|each| (each.name(), severity(each))).into(),
        }
    }
}

/// A server with its tools.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServerPage<'c> {
    #[serde(flatten)]
    pub(crate) server: ServerView<'c>,
    /// The tools whose severity is High or Critical, the most severe first.
    pub(crate) high_risk: Vec<&'c str>,
    pub(crate) list: Vec<ToolView<'c>>,
}

impl<'c> ServerPage<'c> {
    pub(crate) fn of(server: &'c Server) -> Self {
        Self {
            server: ServerView::of(server),
            high_risk: server.high_risk().iter().map(|tool| tool.name.as_str()).collect(),
            list: server.tools.iter().map(ToolView::of).collect(),
        }
    }
}

/// A tool in a list.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ToolView<'c> {
    pub(crate) name: &'c str,
    pub(crate) class: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) confidence: f64,
    pub(crate) signals: &'c [&'static str],
    pub(crate) description: &'c str,
}

impl<'c> ToolView<'c> {
    pub(crate) fn of(tool: &'c Tool) -> Self {
        Self {
            name: &tool.name,
            class: tool.class.name(),
            severity: tool.severity.name(),
            confidence: tool.confidence.as_share(),
            signals: &tool.signals,
            description: &tool.description,
        }
    }
}

/// Something that was found.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum HitView<'c> {
    Server(ServerView<'c>),
    Tool {
        server: &'c str,
        #[serde(flatten)]
        tool: ToolView<'c>,
    },
}

impl<'c> HitView<'c> {
    pub(crate) fn of(hit: &Hit<'c>) -> Self {
        match hit.tool {
            None => Self::Server(ServerView::of(hit.server)),
            Some(tool) => Self::Tool {
                server: &hit.server.name,
                tool: ToolView::of(tool),
            },
        }
    }
}

/// A piece of evidence.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EvidenceView {
    part: &'static str,
    quote: String,
    points: i32,
}

impl EvidenceView {
    fn of(found: &Evidence) -> Self {
        Self {
            part: found.part.name(),
            quote: found.quote.clone(),
            points: found.points,
        }
    }
}

/// All that the classifier says of a tool.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct VerdictView {
    pub(crate) name: String,
    pub(crate) class: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) confidence: f64,
    pub(crate) signals: Vec<&'static str>,
    /// The signals in words.
    pub(crate) details: Vec<String>,
    pub(crate) evidence: Vec<EvidenceView>,
    pub(crate) rationale: String,
}

impl VerdictView {
    pub(crate) fn of(name: &str, verdict: &Verdict) -> Self {
        Self {
            name: name.to_owned(),
            class: verdict.class.name(),
            severity: verdict.severity.name(),
            confidence: verdict.confidence.as_share(),
            signals: verdict.signals.iter().map(Signal::code).collect(),
            details: verdict.signals.iter().map(Signal::text).collect(),
            evidence: verdict.evidence.iter().map(EvidenceView::of).collect(),
            rationale: verdict.rationale.clone(),
        }
    }
}

/// A tool of the catalogue by itself.
#[derive(Debug, Serialize)]
pub(crate) struct ToolPage<'c> {
    pub(crate) server: ServerView<'c>,
    #[serde(flatten)]
    pub(crate) verdict: VerdictView,
    pub(crate) description: &'c str,
    /// As its server sent it.
    pub(crate) definition: Option<Box<RawValue>>,
    /// What is usually done with tools of its class.
    pub(crate) usual_rule: &'static str,
    /// The rule that is recommended for it.
    pub(crate) recommended: Rule,
    /// Known attacks that it is open to.
    pub(crate) attacks: Vec<Abuse>,
    /// Tools of its class, on this server and on others.
    pub(crate) others: Vec<Other<'c>>,
}

/// Another tool.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Other<'c> {
    pub(crate) server: &'c str,
    pub(crate) name: &'c str,
}

/// A definition as it was sent, for JSON.
pub(crate) fn definition(listed: &Listed) -> Option<Box<RawValue>> {
    RawValue::from_string(listed.raw.clone()).ok()
}

/// What is usually done with the tools of a class.
pub(crate) const fn usual_rule(class: Class) -> &'static str {
    match class {
        Class::Financial => {
            "held for a person (`action: require_approval`), with a budget; no approver can be set up in this version, so until then every call is denied"
        }
        Class::Destructive => "hidden (`hide`); where it has to be used, held for a person",
        Class::Execute => "at most 10 calls a minute, arguments held to the schema (`validate: schema`)",
        Class::Write => "at most 30 calls a minute, arguments held to the schema (`validate: schema`)",
        Class::Read => "no limit, arguments held to the schema (`validate: schema`)",
    }
}
