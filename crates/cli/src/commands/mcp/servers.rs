//! What is known of servers and tools, and whether to connect them.

use super::answer::Answer;
use super::arguments::{CheckServer, CheckTool, Search};
use super::quoted::{Brief, Judged, name, speaks};
use super::verdict::{Finding, findings, meaning};
use crate::commands::catalog::abuse::{self, Abuse};
use crate::commands::catalog::rule::{self, Rule};
use crate::commands::catalog::view::ServerView;
use crate::commands::catalog::{find, show};
use crate::commands::check;
use crate::commands::scan::tools::{self, Described};
use anyhow::{Context, bail};
use callgate_catalog::catalogue::{Catalogue, Definitions, Filter, Server};
use callgate_catalog::{Class, Severity, Signal, Verdict, are_near};
use callgate_catalog_data::bundled;
use callgate_policy::nearest;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// So many hits are told at most.
const HITS_MAX: usize = 50;
/// So many hits are told where no number is given.
const HITS: usize = 10;
/// So many tools a list may have here.
const TOOLS_MAX: usize = 1_000;
/// So many reasons are written out; the structured answer has all.
const REASONS_MAX: usize = 20;
/// So many names of a list are written out.
const NAMES_MAX: usize = 20;

/// Tools and servers that have what is asked for.
pub(super) fn search(asked: &Search) -> anyhow::Result<Answer> {
    asked.check()?;
    let filter = Filter {
        classes: asked
            .class
            .iter()
            .map(|word| one_of(word, "class", Class::ALL, Class::name))
            .collect::<anyhow::Result<_>>()?,
        severity: asked
            .severity
            .as_deref()
            .map(|word| one_of(word, "severity", Severity::ALL, Severity::name))
            .transpose()?,
        signals: asked
            .signal
            .iter()
            .map(|word| one_of(word, "signal", Signal::KINDS.map(|(code, _)| code), |code| code))
            .collect::<anyhow::Result<_>>()?,
    };
    if asked.text.trim().is_empty() && filter == Filter::default() {
        bail!("say what to look for: `text`, `class`, `severity` or `signal`");
    }
    let limit = asked.limit.unwrap_or(HITS).clamp(1, HITS_MAX);
    let hits = bundled()?.search_by(&asked.text, &filter);
    let mut out = format!("{} found", hits.len());
    if hits.len() > limit {
        out.push_str(&format!(", the first {limit} are told"));
    }
    out.push_str(".\n");
    let mut told = Vec::new();
    for hit in hits.iter().take(limit) {
        match hit.tool {
            None => {
                let server = hit.server;
                out.push_str(&format!(
                    "- the server {} ({} {}, {} tools)\n",
                    server.name,
                    server.package.name,
                    server.package.version,
                    server.tools.len()
                ));
                told.push(json!({
                    "server": server.name,
                    "package": server.package.name,
                    "version": server.package.version,
                    "tools": server.tools.len(),
                    "high_risk": server.high_risk().len(),
                }));
            }
            Some(tool) => {
                let brief = Brief::of(&hit.server.name, tool);
                out.push_str(&format!("{}\n", brief.line()));
                told.push(serde_json::to_value(&brief)?);
            }
        }
    }
    Answer::new(out, &json!({"found": hits.len(), "hits": told}))
}

fn one_of<T: Copy>(
    word: &str,
    what: &str,
    all: impl IntoIterator<Item = T>,
    name: impl Fn(T) -> &'static str,
) -> anyhow::Result<T> {
    let all: Vec<T> = all.into_iter().collect();
    if let Some(found) = all.iter().find(|one| name(**one).eq_ignore_ascii_case(word)) {
        return Ok(*found);
    }
    let names = all.iter().map(|one| name(*one));
    match nearest(word, names.clone()) {
        Some(near) => bail!("there is no such {what}\nhint: did you mean `{near}`?"),
        None => bail!(
            "there is no such {what}; there are {}",
            names.collect::<Vec<_>>().join(", ")
        ),
    }
}

/// What differs between a list and what was scanned.
#[derive(Debug, Default, Serialize)]
struct Differences {
    /// Tools that were not there.
    added: Vec<String>,
    /// Tools that are not there any more.
    removed: Vec<String>,
    /// Tools whose definitions are others.
    changed: Vec<String>,
}

impl Differences {
    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    fn of(scanned: &Definitions, given: &[Value]) -> Self {
        let before: BTreeMap<&str, Value> = scanned
            .tools
            .iter()
            .filter_map(|tool| {
                Some((
                    tool.definition.name.as_str(),
                    serde_json::from_str(&tool.raw).ok()?,
                ))
            })
            .collect();
        let now: BTreeMap<&str, &Value> = given
            .iter()
            .filter_map(|tool| Some((tool.get("name")?.as_str()?, tool)))
            .collect();
        let mut differences = Self::default();
        for (tool, definition) in &now {
            match before.get(tool) {
                None => differences.added.push(name(tool)),
                Some(scanned) if is_changed(scanned, definition) => differences.changed.push(name(tool)),
                Some(_) => {}
            }
        }
        differences.removed = before
            .keys()
            .filter(|tool| !now.contains_key(**tool))
            .map(|tool| name(tool))
            .collect();
        differences
    }

    fn words(&self) -> String {
        if self.is_empty() {
            return "Its tools are those that were scanned.\n".to_owned();
        }
        let mut out = String::new();
        for (what, tools) in [
            ("Not there when it was scanned", &self.added),
            ("Not there any more", &self.removed),
            ("Defined otherwise than when it was scanned", &self.changed),
        ] {
            if !tools.is_empty() {
                out.push_str(&format!("{what}: {}\n", few(tools)));
            }
        }
        out
    }
}

/// Whether a tool is defined otherwise. What clients leave out or add for themselves is no change.
fn is_changed(scanned: &Value, given: &Value) -> bool {
    let differs = |key: &str| !is_same(scanned.get(key), given.get(key));
    let differs_if_given = |key: &str| given.get(key).is_some() && differs(key);
    differs("description")
        || differs("inputSchema")
        || ["title", "annotations", "outputSchema"]
            .iter()
            .any(|key| differs_if_given(key))
}

/// Whether two values are the same; `1` and `1.0` are, since some clients write one for the other.
fn is_same(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(Value::Number(left)), Some(Value::Number(right))) => {
            left == right || left.as_f64() == right.as_f64()
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| is_same(Some(left), Some(right)))
        }
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, value)| is_same(Some(value), right.get(key)))
        }
        (left, right) => left == right,
    }
}

/// The first of some names, and how many more there are.
fn few(names: &[String]) -> String {
    let first: Vec<&str> = names.iter().take(NAMES_MAX).map(String::as_str).collect();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => first.join(", "),
        more => format!("{}, and {more} more", first.join(", ")),
    }
}

/// What is said of a server.
#[derive(Debug, Serialize)]
struct Report<'c> {
    verdict: check::rules::Verdict,
    reasons: Vec<Finding>,
    /// What the catalogue knows of it, where it was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    catalogue: Option<ServerView<'c>>,
    /// The server or package of the catalogue whose name is nearly the one that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    near: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<Differences>,
    tools: usize,
    classes: BTreeMap<&'static str, usize>,
    high_risk: Vec<String>,
}

/// The names that the catalogue knows servers and packages by.
fn known_names(catalogue: &Catalogue) -> impl Iterator<Item = &str> {
    catalogue
        .servers()
        .iter()
        .flat_map(|server| [server.name.as_str(), server.package.name.as_str()])
}

/// Go, ask or stop.
pub(super) fn check_server(asked: &CheckServer) -> anyhow::Result<Answer> {
    asked.check()?;
    let given = asked.tools.as_ref().map(list).transpose()?;
    let catalogue = bundled()?;
    let known = asked
        .server
        .as_deref()
        .and_then(|server| catalogue.server(server));
    let (described, differences) = match (known, given) {
        (None, None) if asked.server.is_none() => {
            bail!("give `server`, a name or package, or `tools`, what the server lists; or both")
        }
        (None, None) => (Vec::new(), None),
        (Some(server), None) => (described(server)?, None),
        (None, Some(given)) => (read(&given)?, None),
        (Some(server), Some(given)) => {
            let scanned = catalogue.definitions(server)?;
            (read(&given)?, Some(Differences::of(&scanned, &given)))
        }
    };
    let mut reasons = findings(&described)?;
    if differences
        .as_ref()
        .is_some_and(|differences| !differences.is_empty())
    {
        reasons.push(Finding::differs());
    }
    let near = match (known, &asked.server) {
        (None, Some(server)) => known_names(catalogue).find(|known| are_near(known, server)),
        (Some(_), _) | (None, None) => None,
    };
    if known.is_none() {
        reasons.push(Finding::unknown());
    }
    if near.is_some() {
        reasons.push(Finding::near());
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.rank()));
    let report = Report {
        verdict: reasons
            .iter()
            .map(Finding::verdict)
            .max()
            .unwrap_or(check::rules::Verdict::Go),
        catalogue: known.map(ServerView::of),
        near: near.map(str::to_owned),
        differences,
        tools: described.len(),
        classes: Class::ALL
            .map(|class| {
                (
                    class.name(),
                    described
                        .iter()
                        .filter(|tool| tool.verdict.class == class)
                        .count(),
                )
            })
            .into(),
        high_risk: described
            .iter()
            .filter(|tool| tool.verdict.severity >= Severity::High)
            .map(|tool| name(tool.listed.name.as_str()))
            .collect(),
        reasons,
    };
    let words = report.words();
    Answer::new(words, &report)
}

impl Report<'_> {
    fn words(&self) -> String {
        let mut out = format!("{}: {}\n", self.verdict.word(), meaning(self.verdict));
        if let Some(server) = &self.catalogue {
            out.push_str(&format!(
                "In the catalogue: {}, package {} {}, scanned on {}. Another version may have other tools.\n",
                server.name, server.package, server.version, server.date
            ));
        }
        if let Some(near) = &self.near {
            out.push_str(&format!("The catalogue knows `{near}`: was that meant?\n"));
        }
        if let Some(differences) = &self.differences {
            out.push_str(&differences.words());
        }
        let counts: Vec<String> = Class::ALL
            .iter()
            .filter_map(|class| {
                let count = self
                    .classes
                    .get(class.name())
                    .copied()
                    .filter(|count| *count > 0)?;
                Some(format!("{count} {class}"))
            })
            .collect();
        if self.tools == 0 {
            out.push_str("Nothing is known of its tools; give `tools`, what it lists.\n");
        } else {
            out.push_str(&format!("{} tools: {}\n", self.tools, counts.join(", ")));
        }
        if !self.high_risk.is_empty() {
            out.push_str(&format!("Of high risk: {}\n", few(&self.high_risk)));
        }
        for reason in self.reasons.iter().take(REASONS_MAX) {
            out.push_str(&reason.line());
        }
        if self.reasons.len() > REASONS_MAX {
            out.push_str(&format!(
                "- and {} more, see the structured answer\n",
                self.reasons.len().saturating_sub(REASONS_MAX)
            ));
        }
        out
    }
}

/// The tools of a list that was given as a result or as an array.
fn list(given: &Value) -> anyhow::Result<Vec<Value>> {
    let tools = match given {
        Value::Array(tools) => Some(tools),
        Value::Object(result) => {
            let result = result.get("result").and_then(Value::as_object).unwrap_or(result);
            result.get("tools").and_then(Value::as_array)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    let tools = tools.context("`tools` is neither an array of tools nor an object with one")?;
    if tools.is_empty() {
        bail!("`tools` has no tools");
    }
    if tools.len() > TOOLS_MAX {
        bail!(
            "`tools` has {} tools, more than the {TOOLS_MAX} that are looked at",
            tools.len()
        );
    }
    Ok(tools.clone())
}

fn read(given: &[Value]) -> anyhow::Result<Vec<Described>> {
    tools::read(&json!({ "tools": given }).to_string()).context("`tools`")
}

fn described(server: &Server) -> anyhow::Result<Vec<Described>> {
    tools::read(&check::known::list(bundled()?, server)?)
}

/// What is said of a tool.
#[derive(Debug, Serialize)]
struct ToolReport<'c> {
    #[serde(flatten)]
    judged: Judged,
    /// The rule that is recommended for it; none where the definition is not to be repeated, and the tool is best hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    recommended: Option<Rule>,
    /// Known attacks that it is open to.
    attacks: Vec<Abuse>,
    /// The server that it is of, where the catalogue was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    catalogue: Option<ServerView<'c>>,
    /// Tools of its class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<OtherTool>,
}

/// Another tool.
#[derive(Debug, Serialize)]
struct OtherTool {
    server: String,
    tool: String,
}

impl<'c> ToolReport<'c> {
    fn of(server: &str, tool: &str, definition: &str, verdict: &Verdict) -> anyhow::Result<Self> {
        let signals: Vec<&str> = verdict.signals.iter().map(Signal::code).collect();
        let recommended = if speaks(&signals) {
            None
        } else {
            Some(rule::of(server, definition, verdict)?)
        };
        Ok(Self {
            judged: Judged::of(tool, verdict),
            recommended,
            attacks: abuse::of(verdict.class, &signals)?,
            catalogue: None,
            others: Vec::new(),
        })
    }

    fn words(&self) -> String {
        let mut out = self.judged.words();
        match &self.recommended {
            None => out.push_str("Recommended: hide it (`hide`), and ask a person to read its definition.\n"),
            Some(rule) => {
                out.push_str(&format!(
                    "Recommended policy for it alone:\n{}\n",
                    rule.policy.trim_end()
                ));
                for question in &rule.open {
                    out.push_str(&format!("A person has to fill in: {question}\n"));
                }
            }
        }
        if !self.attacks.is_empty() {
            let named: Vec<&str> = self.attacks.iter().map(|abuse| abuse.id).collect();
            out.push_str(&format!(
                "Known attacks that it is open to: {}.\n",
                named.join(", ")
            ));
        }
        if let Some(server) = &self.catalogue {
            out.push_str(&format!(
                "Scanned on {}, package {} {}.\n",
                server.date, server.package, server.version
            ));
        }
        out
    }
}

/// What one tool can do at worst.
pub(super) fn check_tool(asked: CheckTool) -> anyhow::Result<Answer> {
    asked.check()?;
    match (asked.server, asked.tool, asked.definition) {
        (None, None, Some(definition)) => {
            let definition = Value::Object(definition);
            let text = definition.to_string();
            let described = read(&[definition]).context("`definition`")?;
            let tool = described.first().context("`definition` is no tool")?;
            let report = ToolReport::of("server", tool.listed.name.as_str(), &text, &tool.verdict)?;
            Answer::new(report.words(), &report)
        }
        (Some(server), Some(tool), None) => {
            let catalogue = bundled()?;
            let server = find::server(catalogue, &server)?;
            let tool = find::tool(server, &tool)?;
            let (listed, verdict) = catalogue
                .verdict(server, &tool.name)?
                .context("the tool is not there")?;
            let others = show::others(catalogue, server, tool);
            let report = ToolReport {
                catalogue: Some(ServerView::of(server)),
                others: others
                    .iter()
                    .map(|other| OtherTool {
                        server: other.server.to_owned(),
                        tool: name(other.name),
                    })
                    .collect(),
                ..ToolReport::of(&server.name, &tool.name, &listed.raw, &verdict)?
            };
            let brief = Brief::of(&server.name, tool);
            Answer::new(format!("{}\n{}", brief.line(), report.words()), &report)
        }
        (Some(_) | None, Some(_) | None, Some(_)) => {
            bail!("give either `definition`, or `server` and `tool`")
        }
        (Some(_) | None, Some(_) | None, None) => {
            bail!(
                "give `definition`, the tool as its server lists it, or `server` and `tool` of the catalogue"
            )
        }
    }
}
