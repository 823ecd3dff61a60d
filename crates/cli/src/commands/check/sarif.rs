//! What was found as SARIF 2.1.0, which code scanning reads.

use super::finding::{Finding, Looked};
use super::rules::{self, Rule, Verdict};
use crate::words::hex;
use callgate_catalog::Severity;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::Path;

/// So many results are written; readers take no more of one run.
const RESULTS_MAX: usize = 5_000;

/// Where the format is described, which editors follow.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The whole log: one run.
pub(super) fn log(looked: &[Looked]) -> Value {
    let mut all: Vec<(&Looked, &Finding)> = looked
        .iter()
        .flat_map(|one| one.findings.iter().map(move |found| (one, found)))
        .collect();
    all.sort_by_key(|(_, found)| std::cmp::Reverse((found.rule.verdict, found.severity)));
    let results: Vec<Outcome<'_>> = all
        .iter()
        .take(RESULTS_MAX)
        .map(|(one, found)| outcome(one, found))
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "callgate",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules::ALL.iter().map(rule).collect::<Vec<_>>(),
            }},
            "automationDetails": {"id": "callgate-check/"},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "name": rule.id,
        "shortDescription": {"text": sentence(rule.title)},
        "fullDescription": {"text": sentence(rule.title)},
        "help": {"text": rule.advice, "markdown": rule.advice},
        "defaultConfiguration": {"level": level(rule.verdict)},
        "properties": {
            "verdict": rule.verdict.word(),
            "precision": "medium",
            "security-severity": score(rule.severity),
            "tags": ["security", "mcp"],
        },
    })
}

/// A finding, as readers take it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'l> {
    rule_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    level: &'static str,
    message: Message,
    locations: [Location; 1],
    partial_fingerprints: Fingerprints,
    properties: Properties<'l>,
}

#[derive(Debug, Serialize)]
struct Message {
    text: String,
}

#[derive(Debug, Serialize)]
struct Fingerprints {
    #[serde(rename = "callgateFinding/v1")]
    finding: String,
}

#[derive(Debug, Serialize)]
struct Properties<'l> {
    verdict: Verdict,
    severity: &'static str,
    server: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'l str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<Physical>,
    logical_locations: [Logical; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical {
    fully_qualified_name: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Debug, Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_column: Option<usize>,
}

fn outcome<'l>(one: &'l Looked, found: &'l Finding) -> Outcome<'l> {
    Outcome {
        rule_id: found.rule.id,
        rule_index: rules::ALL.iter().position(|rule| rule.id == found.rule.id),
        level: level(found.rule.verdict),
        message: Message {
            text: message(one, found),
        },
        locations: [location(one, found)],
        partial_fingerprints: Fingerprints {
            finding: fingerprint(one, found),
        },
        properties: Properties {
            verdict: found.rule.verdict,
            severity: found.severity.name(),
            server: &one.name,
            tool: found.tool.as_deref(),
            evidence: found.evidence.as_deref(),
        },
    }
}

/// A message in which brackets and braces, which readers take for links and for places to fill in, are round.
fn message(one: &Looked, found: &Finding) -> String {
    let mut text = format!("{}: {}", one.name, found.sentence());
    if let Some(evidence) = found.evidence.as_deref().filter(|text| !text.is_empty()) {
        // Writing to a `String` cannot fail.
        let _ = write!(text, " ({evidence})");
    }
    text.push('.');
    text.chars()
        .map(|c| match c {
            '[' | '{' => '(',
            ']' | '}' => ')',
            c => c,
        })
        .collect()
}

fn location(one: &Looked, found: &Finding) -> Location {
    let place = found.place.or(one.place);
    Location {
        physical_location: one.file.as_deref().map(|file| Physical {
            artifact_location: Artifact { uri: uri(file) },
            region: Region {
                start_line: place.map_or(1, |place| place.line),
                start_column: place.map(|place| place.column),
            },
        }),
        logical_locations: [Logical {
            fully_qualified_name: match &found.tool {
                Some(tool) => format!("{}/{tool}", one.name),
                None => one.name.clone(),
            },
        }],
    }
}

/// The same for the same finding, wherever in its file it stands.
fn fingerprint(one: &Looked, found: &Finding) -> String {
    let parts = [
        found.rule.id,
        &one.name,
        found.tool.as_deref().unwrap_or_default(),
        found.evidence.as_deref().unwrap_or_default(),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    hex(digest.get(..16).unwrap_or(&digest))
}

/// A path as a reference: relative ones stay so.
fn uri(file: &str) -> String {
    let path = Path::new(file);
    if path.is_absolute()
        && let Ok(url) = url::Url::from_file_path(path)
    {
        return url.to_string();
    }
    let file = file.strip_prefix("./").unwrap_or(file).replace('\\', "/");
    let mut out = String::new();
    for byte in file.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn sentence(title: &str) -> String {
    let mut letters = title.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).chain(['.']).collect(),
        None => String::new(),
    }
}

const fn level(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Go => "note",
        Verdict::Ask => "warning",
        Verdict::Stop => "error",
    }
}

/// As code scanning ranks it.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "2.0",
        Severity::Medium => "5.5",
        Severity::High => "8.0",
        Severity::Critical => "9.5",
    }
}
