//! What was found, for people and as JSON.

use super::finding::{Finding, Looked, Place};
use super::rules::{Rule, Verdict};
use super::verdict;
use callgate_policy::Style;
use serde::Serialize;
use std::fmt::Write as _;

/// So many findings of one rule are shown to people for a server.
const SHOWN_MAX: usize = 8;

#[derive(Debug, Serialize)]
pub(super) struct Report<'l> {
    verdict: Verdict,
    servers: Vec<Server<'l>>,
}

#[derive(Debug, Serialize)]
struct Server<'l> {
    name: &'l str,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'l str>,
    /// How many tools it has; nothing where they were not looked at.
    tools: Option<usize>,
    findings: Vec<Found<'l>>,
}

#[derive(Debug, Serialize)]
struct Found<'l> {
    rule: &'static str,
    verdict: Verdict,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'l str>,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'l str>,
    advice: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

/// All of it, for programs.
pub(super) fn json(looked: &[Looked]) -> Report<'_> {
    Report {
        verdict: verdict(looked),
        servers: looked
            .iter()
            .map(|one| Server {
                name: &one.name,
                verdict: one.verdict(),
                runs: one.what.as_deref(),
                file: one.file.as_deref(),
                tools: one.tools,
                findings: one.findings.iter().map(found).collect(),
            })
            .collect(),
    }
}

fn found(found: &Finding) -> Found<'_> {
    Found {
        rule: found.rule.id,
        verdict: found.rule.verdict,
        severity: found.severity.name(),
        tool: found.tool.as_deref(),
        message: found.rule.title,
        evidence: found.evidence.as_deref(),
        advice: found.rule.advice,
        line: found.place.map(|place| place.line),
        column: found.place.map(|place| place.column),
    }
}

/// As people read it.
pub(super) fn words(looked: &[Looked], style: &Style) -> String {
    let mut out = String::new();
    for one in looked {
        server(&mut out, one, style);
    }
    let count = |wanted| looked.iter().filter(|one| one.verdict() == wanted).count();
    // Writing to a `String` cannot fail.
    let _ = match looked {
        [] => writeln!(out, "{}: no server is named", painted(Verdict::Go, style)),
        [one] => writeln!(
            out,
            "{}: {}",
            painted(one.verdict(), style),
            meaning(one.verdict())
        ),
        _ => writeln!(
            out,
            "{}: {}; {} servers, {} go, {} ask, {} stop",
            painted(verdict(looked), style),
            meaning(verdict(looked)),
            looked.len(),
            count(Verdict::Go),
            count(Verdict::Ask),
            count(Verdict::Stop)
        ),
    };
    out
}

const fn meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Go => "nothing that was looked at speaks against it",
        Verdict::Ask => "a person should look before it is connected",
        Verdict::Stop => "do not connect it",
    }
}

fn painted(verdict: Verdict, style: &Style) -> String {
    let paint = match verdict {
        Verdict::Go => style.hint,
        Verdict::Ask => style.warning,
        Verdict::Stop => style.error,
    };
    format!("{paint}{}{}", verdict.word(), style.reset)
}

fn server(out: &mut String, one: &Looked, style: &Style) {
    let _ = write!(out, "{}", one.name);
    if let Some(what) = one.what.as_deref().filter(|what| *what != one.name) {
        let _ = write!(out, ", {what}");
    }
    if let Some(file) = &one.file {
        let _ = write!(out, " ({})", at(file, one.place));
    }
    let _ = match one.tools {
        Some(1) => writeln!(out, ": 1 tool"),
        Some(tools) => writeln!(out, ": {tools} tools"),
        None => writeln!(out, ": its tools were not looked at"),
    };
    let mut rules: Vec<Rule> = Vec::new();
    for found in &one.findings {
        if !rules.contains(&found.rule) {
            rules.push(found.rule);
        }
    }
    for rule in rules {
        let found: Vec<&Finding> = one.findings.iter().filter(|found| found.rule == rule).collect();
        let verdict = painted(rule.verdict, style);
        let pad = " ".repeat(5_usize.saturating_sub(rule.verdict.word().len()));
        let _ = writeln!(out, "  {verdict}{pad}{}: {}", rule.id, rule.title);
        for one_found in found.iter().take(SHOWN_MAX) {
            let _ = writeln!(out, "{}", line(one, one_found).trim_end());
        }
        let more = found.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            let _ = writeln!(out, "         and {more} more, which --json shows");
        }
        let _ = writeln!(out, "       {}do{} {}", style.frame, style.reset, rule.advice);
    }
}

/// One finding of a rule: its severity, its tool, what was seen, and where.
fn line(one: &Looked, found: &Finding) -> String {
    let mut line = format!("         {:<8}", found.severity);
    if let Some(tool) = &found.tool {
        let _ = write!(line, "  {tool}");
    }
    if let Some(evidence) = found.evidence.as_deref().filter(|text| !text.is_empty()) {
        let _ = match found.tool {
            Some(_) => write!(line, " ({evidence})"),
            None => write!(line, "  {evidence}"),
        };
    }
    if let (Some(file), Some(place)) = (&one.file, found.place) {
        let _ = write!(line, "  {}", at(file, Some(place)));
    }
    line
}

fn at(file: &str, place: Option<Place>) -> String {
    match place {
        Some(place) => format!("{file}:{}:{}", place.line, place.column),
        None => file.to_owned(),
    }
}
