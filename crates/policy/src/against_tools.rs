//! A policy beside the tools that its server lists.

use crate::checks::usable;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::load::Loaded;
use crate::lower::{ArgumentUse, Purpose};
use crate::span::Span;
use crate::suggest::nearest;
use crate::tree::Node;
use callgate_core::call::ListedTool;
use callgate_core::path::Segment;
use callgate_core::program::{ToolRules, ValidationLevel};
use serde_json::Value;
use std::collections::BTreeMap;

/// What the author should know of a policy once the server's tools are known: names that no tool has, arguments
/// that a schema does not have or does not require, schemas that cannot be checked against. All are warnings:
/// a server's list may change, and what it does not list is denied anyway.
#[must_use]
pub fn check_against_tools(loaded: &Loaded, tools: &[ListedTool]) -> Vec<Diagnostic> {
    let mut findings = Findings::default();
    let listed: BTreeMap<&str, &ListedTool> = tools.iter().map(|tool| (tool.name.as_str(), tool)).collect();
    names(loaded, &listed, &mut findings);
    patterns(loaded, &listed, &mut findings);
    let schemas: BTreeMap<&str, Value> = tools
        .iter()
        .filter_map(|tool| {
            let schema = serde_json::from_str(tool.input_schema.as_deref()?).ok()?;
            Some((tool.name.as_str(), schema))
        })
        .collect();
    for follows in &loaded.uses {
        if let Some(schema) = schemas.get(&*follows.tool) {
            argument(follows, schema, &mut findings);
        }
    }
    validations(loaded, tools, &mut findings);
    findings.finish()
}

fn names(loaded: &Loaded, listed: &BTreeMap<&str, &ListedTool>, findings: &mut Findings) {
    for name in loaded.program.exact.keys() {
        if listed.contains_key(name.as_str()) {
            continue;
        }
        let root = &loaded.document.root;
        let span = root
            .get("tools")
            .and_then(|tools| tools.entry(name.as_str()))
            .map_or(root.span, |entry| entry.key_span);
        findings
            .warn(
                Code::UnknownTool,
                span,
                &pointer(&["tools", name.as_str()]),
                format!("the server has no tool `{name}`"),
            )
            .hint(meant(name.as_str(), listed));
    }
}

fn patterns(loaded: &Loaded, listed: &BTreeMap<&str, &ListedTool>, findings: &mut Findings) {
    let root = &loaded.document.root;
    for (pattern, _) in &loaded.program.globs {
        if !listed.keys().any(|name| pattern.matcher.is_match(name)) {
            let span = root
                .get("tools")
                .and_then(|tools| tools.entry(&pattern.text))
                .map_or(root.span, |entry| entry.key_span);
            unused(
                findings,
                span,
                &pointer(&["tools", &pattern.text]),
                &pattern.text,
                listed,
            );
        }
    }
    for (index, text) in loaded.program.hide.texts.iter().enumerate() {
        let matched = listed
            .keys()
            .any(|name| loaded.program.hide.set.matches(name).contains(&index));
        if !matched {
            let span = root
                .get("hide")
                .and_then(|hide| hide.items().get(index))
                .map_or(root.span, |item| item.span);
            unused(findings, span, &format!("/hide/{index}"), text, listed);
        }
    }
}

fn unused(
    findings: &mut Findings,
    span: Span,
    pointer: &str,
    text: &str,
    listed: &BTreeMap<&str, &ListedTool>,
) {
    findings
        .warn(
            Code::UnusedGlob,
            span,
            pointer,
            format!("none of the server's tools matches `{text}`"),
        )
        .hint(meant(text, listed));
}

fn meant(text: &str, listed: &BTreeMap<&str, &ListedTool>) -> String {
    nearest(text, listed.keys().copied()).map_or_else(
        || "names are matched whole and with case; correct it, or remove it".to_owned(),
        |near| format!("did you mean `{near}`?"),
    )
}

/// What a schema says of the argument that a path leads to.
enum Known<'s> {
    /// It has it, and each step is required.
    Required,
    /// It has it, or may have it; a call may leave this step out.
    Optional(&'s str),
    /// It has no such member, and takes no others.
    Absent { key: &'s str, near: Option<String> },
    /// It does not say.
    Open,
}

fn argument(follows: &ArgumentUse, schema: &Value, findings: &mut Findings) {
    let spelled = &follows.path;
    match known(schema, &follows.path.segments) {
        Known::Absent { key, near } => findings
            .warn(
                Code::UnknownArgument,
                follows.span,
                &follows.pointer,
                format!("the tool `{}` takes no argument `{key}`", follows.tool),
            )
            .maybe(near.map(|near| format!("did you mean `{near}`?"))),
        Known::Optional(key) => match follows.purpose {
            Purpose::Selects => findings
                .warn(
                    Code::OptionalArgument,
                    follows.span,
                    &follows.pointer,
                    format!("a call may leave `{key}` out, and then this does not apply"),
                )
                .hint(format!(
                    "also deny where it is missing: {{ path: {spelled}, op: exists, value: false }} in an entry of its own"
                )),
            Purpose::MustHold | Purpose::Counts => findings
                .warn(
                    Code::OptionalArgument,
                    follows.span,
                    &follows.pointer,
                    format!("a call may leave `{key}` out, and then it is denied"),
                )
                .hint("the agent has to give it; say so in `on_deny`"),
            Purpose::Presence | Purpose::Records => {}
        },
        Known::Required | Known::Open => {}
    }
}

fn known<'s>(schema: &'s Value, segments: &'s [Segment]) -> Known<'s> {
    let mut at = schema;
    let mut optional = None;
    for segment in segments {
        match segment {
            Segment::Key(key) => {
                let Some(properties) = at.get("properties").and_then(Value::as_object) else {
                    return optional.map_or(Known::Open, Known::Optional);
                };
                let Some(next) = properties.get(&**key) else {
                    let closed = at.get("additionalProperties") == Some(&Value::Bool(false));
                    let patterned = at.get("patternProperties").is_some() || at.get("allOf").is_some();
                    if closed && !patterned {
                        let near = nearest(key, properties.keys().map(String::as_str)).map(str::to_owned);
                        return Known::Absent { key, near };
                    }
                    return Known::Optional(key);
                };
                let required = at
                    .get("required")
                    .and_then(Value::as_array)
                    .is_some_and(|names| names.iter().any(|name| name.as_str() == Some(key)));
                if !required {
                    optional = optional.or(Some(&**key));
                }
                at = next;
            }
            Segment::Index(_) | Segment::Each => match at.get("items") {
                Some(next) => at = next,
                None => return optional.map_or(Known::Open, Known::Optional),
            },
        }
    }
    optional.map_or(Known::Required, Known::Optional)
}

fn validations(loaded: &Loaded, tools: &[ListedTool], findings: &mut Findings) {
    let program = &loaded.program;
    for tool in tools {
        let own = program.exact.get(tool.name.as_str()).or_else(|| {
            let matched = program
                .globs
                .iter()
                .find(|(pattern, _)| pattern.matcher.is_match(tool.name.as_str()));
            matched.map(|(_, rules)| rules)
        });
        let asked = own
            .into_iter()
            .chain([&program.everywhere])
            .flat_map(|rules: &std::sync::Arc<ToolRules>| &rules.validate)
            .find(|validation| validation.level == ValidationLevel::Schema);
        let Some(validation) = asked else { continue };
        let reason = match &tool.input_schema {
            None => "the server gives no input schema".to_owned(),
            Some(text) => match usable(text) {
                Ok(()) => continue,
                Err(reason) => reason,
            },
        };
        let pointer = validation.label.id.as_str();
        let root = &loaded.document.root;
        let span = root.at(pointer).map_or(root.span, |node: &Node| node.span);
        findings
            .warn(
                Code::UnusableSchema,
                span,
                pointer,
                format!("every call of `{}` is denied: {reason}", tool.name),
            )
            .hint("use `validate: required_args` for this tool, or conditions");
    }
}

fn pointer(steps: &[&str]) -> String {
    steps
        .iter()
        .map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1")))
        .collect()
}
