//! What a server says of its tools, read as the gate reads it.

use crate::commands::explain::value::json_text;
use anyhow::{Context, bail};
use callgate_catalog::recommend::{Advice, ToolFacts};
use callgate_catalog::{Definition, Signal, Verdict, classify_list};
use callgate_core::call::ListedTool;
use callgate_core::json::Json;
use callgate_core::name::ToolName;
use callgate_wire::list::{Tool, ToolList, result_of};
use callgate_wire::{Bounds, Decoded, JsonKind, Kind, RawJson, decode};
use serde::Serialize;
use serde_json::value::RawValue;

/// A tool with what a person wants to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    /// As the gate judges it.
    pub(crate) listed: ListedTool,
    pub(crate) description: Option<String>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) effect: Effect,
    /// What the classifier says of it.
    pub(crate) verdict: Verdict,
    /// The whole definition, as the server sent it.
    pub(crate) definition: Json<'static>,
}

/// What a tool's annotations claim that it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    /// `readOnlyHint: true`.
    Reads,
    /// `destructiveHint: true`.
    Destroys,
    /// Neither is claimed.
    Unknown,
}

/// One argument of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// The types that the schema names, `any` where it names none.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
}

/// A tool, for `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Summary<'t> {
    name: &'t str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'t str>,
    effect: Effect,
    class: &'static str,
    severity: &'static str,
    confidence: f64,
    signals: Vec<&'static str>,
    parameters: &'t [Parameter],
    /// Whether the policy lists it.
    listed: bool,
    /// Why each rule is there.
    rules: Vec<RuleReason<'t>>,
    /// As the server sent it, so that the whole can be given to `--tools` and to test files.
    #[serde(rename = "inputSchema", skip_serializing_if = "Option::is_none")]
    input_schema: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Box<RawValue>>,
}

/// Why a rule is there, for `--json`.
#[derive(Debug, Serialize)]
struct RuleReason<'t> {
    kind: &'static str,
    rule: &'t str,
    why: &'t str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    arguments: &'t [String],
}

impl Described {
    /// What rules are recommended from.
    pub(crate) fn facts(&self) -> ToolFacts<'_> {
        ToolFacts {
            tool: &self.definition,
            verdict: &self.verdict,
        }
    }

    /// It, with what is recommended for it; a tool that the policy says nothing of is not listed.
    pub(crate) fn summary<'t>(&'t self, advice: Option<&'t Advice>) -> Summary<'t> {
        Summary {
            name: self.listed.name.as_str(),
            description: self.description.as_deref(),
            effect: self.effect,
            class: self.verdict.class.name(),
            severity: self.verdict.severity.name(),
            confidence: self.verdict.confidence.as_share(),
            signals: self.verdict.signals.iter().map(Signal::code).collect(),
            parameters: &self.parameters,
            listed: advice.is_some_and(|advice| advice.is_listed),
            rules: advice.map_or_else(Vec::new, |advice| {
                advice
                    .reasons
                    .iter()
                    .map(|reason| RuleReason {
                        kind: reason.kind.name(),
                        rule: &reason.rule,
                        why: &reason.why,
                        arguments: &reason.arguments,
                    })
                    .collect()
            }),
            input_schema: self.listed.input_schema.as_deref().and_then(raw),
            annotations: Some(&self.listed.annotations)
                .filter(|annotations| **annotations != Json::Null)
                .and_then(|annotations| raw(&json_text(annotations))),
        }
    }
}

fn raw(text: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(text.to_owned()).ok()
}

/// A list of tools, and what of it cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) tools: Vec<Described>,
    /// How many were left out: those without a single meaning, and those whose name stood there before.
    pub(crate) left_out: usize,
}

/// Reads a response to `tools/list`, its result, or the bare list of tools.
pub(crate) fn read(text: &str) -> anyhow::Result<Vec<Described>> {
    read_whole(text).map(|list| list.tools)
}

/// The same, with how many tools were left out.
pub(crate) fn read_whole(text: &str) -> anyhow::Result<List> {
    let bounds = Bounds::default();
    let text = text.trim_start_matches('\u{feff}').trim();
    if let Ok(Decoded::Single(message)) = decode(text.as_bytes(), &bounds) {
        let Kind::Response(response) = message.kind() else {
            bail!("this is a request, not a list of tools");
        };
        let result = result_of(response).context("this is an error, not a list of tools")?;
        return of_page(result);
    }
    let result = if text.starts_with('[') {
        format!("{{\"tools\":{text}}}")
    } else {
        text.to_owned()
    };
    let message = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{result}}}");
    match decode(message.as_bytes(), &bounds) {
        Ok(Decoded::Single(message)) => match message.kind() {
            Kind::Response(response) => of_page(result_of(response).context("there is no list of tools")?),
            Kind::Request(_) | Kind::Notification(_) => bail!("there is no list of tools"),
        },
        Ok(Decoded::Batch(_)) => bail!("there is no list of tools"),
        Err(cause) => bail!("this is not a list of tools: {cause}"),
    }
}

fn of_page(result: RawJson<'_>) -> anyhow::Result<List> {
    let page = ToolList::read(result)?;
    let mut left_out = page.unjudgeable();
    let twice = page.duplicate_names();
    let mut kept = Vec::new();
    for tool in page.tools() {
        // As the gate has it, none of two of one name is listed.
        match judged_name(tool).filter(|name| twice.binary_search(&name.as_str()).is_err()) {
            Some(name) => kept.push((tool, name, tool.raw.parse().into_owned())),
            None => left_out = left_out.saturating_add(1),
        }
    }
    let definitions: Vec<Definition> = kept.iter().map(|(_, _, raw)| Definition::read(raw)).collect();
    let tools = kept
        .into_iter()
        .zip(classify_list(&definitions))
        .map(|((tool, name, definition), verdict)| described(tool, name, definition, verdict))
        .collect();
    Ok(List { tools, left_out })
}

/// A tool's name; `None` where its definition has no single meaning, as the gate has it.
fn judged_name(tool: &Tool<'_>) -> Option<ToolName> {
    let bounds = Bounds::default();
    let strict = |part: Option<RawJson<'_>>| part.is_none_or(|part| part.check_strict(&bounds).is_ok());
    if !strict(tool.input_schema) || !strict(tool.annotations) {
        return None;
    }
    ToolName::new(&tool.name).ok()
}

/// A tool as conditions read it.
fn described(tool: &Tool<'_>, name: ToolName, definition: Json<'static>, verdict: Verdict) -> Described {
    let schema = tool.input_schema.map(|schema| schema.parse());
    let annotations = tool
        .annotations
        .map_or(Json::Null, |annotations| annotations.parse().into_owned());
    let claims = |hint| annotations.get(hint) == Some(&Json::Bool(true));
    let effect = match (claims("destructiveHint"), claims("readOnlyHint")) {
        (true, _) => Effect::Destroys,
        (false, true) => Effect::Reads,
        (false, false) => Effect::Unknown,
    };
    let required = schema.as_ref().map(required).unwrap_or_default();
    Described {
        description: tool
            .description
            .filter(|text| text.kind() == JsonKind::String)
            .and_then(|text| text.as_str())
            .map(std::borrow::Cow::into_owned),
        parameters: schema
            .as_ref()
            .map(|schema| parameters(schema, &required))
            .unwrap_or_default(),
        effect,
        verdict,
        listed: ListedTool {
            name,
            input_schema: tool.input_schema.map(|schema| schema.text().into()),
            required,
            annotations,
            class: None,
        },
        definition,
    }
}

fn required(schema: &Json<'_>) -> Vec<Box<str>> {
    match schema.get("required") {
        Some(Json::Array(names)) => names.iter().filter_map(string).map(Into::into).collect(),
        _ => Vec::new(),
    }
}

fn parameters(schema: &Json<'_>, required: &[Box<str>]) -> Vec<Parameter> {
    let Some(Json::Object(properties)) = schema.get("properties") else {
        return Vec::new();
    };
    properties
        .iter()
        .map(|(name, property)| Parameter {
            name: name.clone().into_owned(),
            kind: kind(property),
            required: required.iter().any(|other| **other == **name),
            description: property.get("description").and_then(string).map(str::to_owned),
        })
        .collect()
}

fn kind(property: &Json<'_>) -> String {
    if let Some(Json::Array(values)) = property.get("enum") {
        let values: Vec<&str> = values.iter().filter_map(string).collect();
        if !values.is_empty() {
            return values.join(" | ");
        }
    }
    match property.get("type") {
        Some(Json::String(kind)) => kind.clone().into_owned(),
        Some(Json::Array(kinds)) => kinds.iter().filter_map(string).collect::<Vec<_>>().join(" | "),
        _ => "any".to_owned(),
    }
}

fn string<'j>(json: &'j Json<'_>) -> Option<&'j str> {
    match json {
        Json::String(text) => Some(text),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
    }
}
