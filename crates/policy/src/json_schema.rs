//! The language as a JSON Schema, for editors and the reference: made from the same words that reading checks.

use crate::vocabulary::{
    APPROVAL_ENTRY, CONDITION, DENY_ENTRY, DOCUMENT, LIMIT, METHOD, RATE_LIMIT, REQUIRE_ENTRY, RULE, SPEND,
    STATE, TOOL, Table, Takes, VALIDATE,
};
use serde_json::{Map, Value, json};

/// The tables that others refer to.
static DEFINITIONS: [&Table; 12] = [
    &TOOL,
    &METHOD,
    &RULE,
    &CONDITION,
    &REQUIRE_ENTRY,
    &DENY_ENTRY,
    &APPROVAL_ENTRY,
    &LIMIT,
    &RATE_LIMIT,
    &STATE,
    &SPEND,
    &VALIDATE,
];

/// The JSON Schema (2020-12) of a policy. It accepts every policy that loads, and is looser than loading.
#[must_use]
pub fn json_schema() -> Value {
    schema("Callgate policy", &DOCUMENT, &DEFINITIONS)
}

/// The JSON Schema (2020-12) of documents whose keys are those of `root`, which refers to `parts`.
#[must_use]
pub fn schema(title: &str, root: &Table, parts: &[&Table]) -> Value {
    let definitions: Map<String, Value> = parts
        .iter()
        .map(|table| (table.name.to_owned(), object(table)))
        .collect();
    let mut schema = object(root);
    if let Value::Object(members) = &mut schema {
        members.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        members.insert("title".to_owned(), json!(title));
        members.insert("$defs".to_owned(), Value::Object(definitions));
    }
    schema
}

fn object(table: &Table) -> Value {
    let properties: Map<String, Value> = table
        .keys
        .iter()
        .map(|word| {
            let mut schema = value(&word.takes);
            if let Value::Object(members) = &mut schema {
                members.insert("description".to_owned(), json!(word.about));
            }
            (word.key.to_owned(), schema)
        })
        .collect();
    json!({
        "description": table.about,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn value(takes: &Takes) -> Value {
    match takes {
        Takes::Text | Takes::Cel => json!({ "type": "string" }),
        Takes::Matching(pattern) => json!({ "type": "string", "pattern": pattern }),
        Takes::Boolean => json!({ "type": "boolean" }),
        Takes::Number => json!({ "type": "number" }),
        Takes::Whole => json!({ "type": "integer", "minimum": 1 }),
        Takes::Words(words) => json!({ "enum": words }),
        Takes::Window => json!({
            "anyOf": [
                { "type": "integer", "minimum": 1 },
                { "type": "string", "pattern": "^(minute|hour|day|[0-9]+[smhd])$" },
            ],
        }),
        Takes::Duration => json!({
            "anyOf": [
                { "type": "integer", "minimum": 1 },
                { "type": "string", "pattern": "^[0-9]+[smhd]$" },
            ],
        }),
        Takes::Path => json!({
            "type": "string",
            "pattern": "^(args|params|uri|name|caller|tool|session|time|server|state)([.\\[].*)?$",
        }),
        Takes::Rate => json!({ "type": "string", "pattern": "^[0-9]+/(minute|hour|day|[0-9]+[smhd])$" }),
        Takes::Anything => json!({}),
        Takes::Table(table) => json!({ "$ref": format!("#/$defs/{}", table.name) }),
        Takes::List(inner) => json!({ "type": "array", "items": value(inner) }),
        Takes::Named(inner) => json!({ "type": "object", "additionalProperties": value(inner) }),
        Takes::NamedLike(names, inner) => json!({
            "type": "object",
            "propertyNames": { "pattern": names },
            "additionalProperties": value(inner),
        }),
        Takes::OneOf(forms) => json!({ "anyOf": forms.iter().map(value).collect::<Vec<_>>() }),
    }
}
