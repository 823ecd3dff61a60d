//! A tool's input schema, compiled once and kept by its text. Nothing is ever fetched.

use crate::bounds::{
    SCHEMA_BYTES_MAX, SCHEMA_PATTERN_COMPILED_BYTES_MAX, SCHEMA_PATTERNS_COMPILED_BYTES_MAX, SCHEMAS_MAX,
    SCHEMAS_PATTERNS_COMPILED_BYTES_MAX,
};
use crate::exact::{Exact, exact};
use crate::patterns::{Refused, Room};
use callgate_core::call::ListedTool;
use callgate_core::json::Json;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Number, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Compiled schemas by their text.
#[derive(Default)]
pub(crate) struct Schemas(Mutex<Kept>);

/// What is kept, and what its patterns take together.
#[derive(Default)]
struct Kept {
    by_text: BTreeMap<Arc<str>, Compiled>,
    pattern_bytes: usize,
}

/// A schema, or why there is none.
type Compiled = Result<Arc<Validator>, Arc<str>>;

impl std::fmt::Debug for Schemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schemas")
    }
}

impl Schemas {
    /// Checks arguments against a tool's schema; what cannot be checked does not pass.
    pub(crate) fn validate(&self, tool: &ListedTool, arguments: Option<&Json<'_>>) -> Result<(), Arc<str>> {
        let Some(text) = &tool.input_schema else {
            return Err(
                "the server gives no input schema for this tool, so its arguments cannot be checked".into(),
            );
        };
        let validator = self.compiled(text)?;
        let empty = Json::Object(Vec::new());
        let mut path = String::from("arguments");
        let instance = plain(arguments.unwrap_or(&empty), &mut path)?;
        let found = catch_unwind(AssertUnwindSafe(|| {
            validator.iter_errors(&instance).next().map(|error| {
                let at = spelled(error.instance_path().as_str());
                format!("`{at}` {}", complaint(error.kind()))
            })
        }));
        match found {
            Ok(None) => Ok(()),
            Ok(Some(message)) => Err(message.into()),
            Err(_) => Err("the arguments could not be checked against the tool's input schema".into()),
        }
    }

    fn compiled(&self, text: &Arc<str>) -> Compiled {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept().by_text.get(text) {
            return found.clone();
        }
        // Compiled outside of the lock: a slow schema holds up only its own calls.
        let mut room = room();
        let made = compile(text, &mut room).map(Arc::new).map_err(Arc::from);
        let bytes = if made.is_ok() { room.taken() } else { 0 };
        let mut kept = kept();
        if kept.by_text.len() >= SCHEMAS_MAX
            || kept.pattern_bytes.saturating_add(bytes) > SCHEMAS_PATTERNS_COMPILED_BYTES_MAX
        {
            *kept = Kept::default();
        }
        if kept.by_text.insert(Arc::clone(text), made.clone()).is_none() {
            kept.pattern_bytes = kept.pattern_bytes.saturating_add(bytes);
        }
        made
    }
}

/// Whether a schema can be used, and why not.
pub(crate) fn usable(text: &str) -> Result<(), String> {
    compile(text, &mut room()).map(|_| ())
}

/// Room for the patterns of one schema.
const fn room() -> Room {
    Room::of(
        SCHEMA_PATTERN_COMPILED_BYTES_MAX,
        SCHEMA_PATTERNS_COMPILED_BYTES_MAX,
    )
}

/// What a pattern counts whose syntax is not that of policies.
const UNREAD_PATTERN_BYTES: usize = 1024 * 1024;

/// Whether there is room for all that may be a pattern in a schema, for the server that wrote it has nothing to lose.
fn fits<'s>(schema: &'s Value, room: &mut Room) -> bool {
    let mut seen = BTreeSet::new();
    let mut may_be_one = |pattern: &'s str| {
        // The validator compiles the same one once.
        if !seen.insert(pattern) {
            return true;
        }
        // To the validator these are letters of ASCII, as in ECMA 262.
        let pattern = pattern.replace(r"\w", "[0-9A-Za-z_]").replace(r"\d", "[0-9]");
        match room.compile(&pattern) {
            Ok(_) | Err(Refused::Pattern(regex::Error::CompiledTooBig(_))) => true,
            // The validator may know how to read it.
            Err(Refused::Pattern(_)) => room.take(UNREAD_PATTERN_BYTES),
            Err(Refused::Full) => false,
        }
    };
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    let has_room = match (key.as_str(), value) {
                        ("pattern", Value::String(pattern)) => may_be_one(pattern),
                        ("patternProperties", Value::Object(patterns)) => {
                            patterns.keys().all(|pattern| may_be_one(pattern))
                        }
                        _ => true,
                    };
                    if !has_room {
                        return false;
                    }
                    open.push(value);
                }
            }
            Value::Array(items) => open.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    true
}

fn compile(text: &str, room: &mut Room) -> Result<Validator, String> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(format!(
            "the tool's input schema is larger than {SCHEMA_BYTES_MAX} bytes"
        ));
    }
    let schema: Value =
        serde_json::from_str(text).map_err(|error| format!("the tool's input schema is no JSON: {error}"))?;
    if !fits(&schema, room) {
        return Err(format!(
            "the patterns of the tool's input schema take more than the {SCHEMA_PATTERNS_COMPILED_BYTES_MAX} bytes that they may take once compiled"
        ));
    }
    let built = catch_unwind(AssertUnwindSafe(|| {
        let mut options = jsonschema::options();
        // Without `$schema`, MCP means 2020-12.
        if schema.get("$schema").is_none() {
            options = options.with_draft(Draft::Draft202012);
        }
        options
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex().size_limit(SCHEMA_PATTERN_COMPILED_BYTES_MAX))
            .build(&schema)
            .map_err(|error| format!("the tool's input schema cannot be used: {}", error.masked()))
    }));
    built.unwrap_or_else(|_| Err("the tool's input schema cannot be used".to_owned()))
}

/// A value for the validator; `path` is where it stands, for messages.
fn plain(json: &Json<'_>, path: &mut String) -> Result<Value, Arc<str>> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(numeral) => {
            let number = match exact(numeral) {
                Some(Exact::Signed(number)) => Some(Number::from(number)),
                Some(Exact::Unsigned(number)) => Some(Number::from(number)),
                Some(Exact::Double(number)) => Number::from_f64(number),
                None => None,
            };
            Value::Number(number.ok_or_else(|| {
                Arc::from(format!("`{path}` is a number that cannot be checked exactly").as_str())
            })?)
        }
        Json::String(text) => Value::String(text.clone().into_owned()),
        Json::Array(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                list.push(step(path, &format!("[{index}]"), item)?);
            }
            Value::Array(list)
        }
        Json::Object(members) => {
            let mut map = Map::new();
            for (key, member) in members {
                map.insert(key.clone().into_owned(), step(path, &format!(".{key}"), member)?);
            }
            Value::Object(map)
        }
    })
}

fn step(path: &mut String, segment: &str, json: &Json<'_>) -> Result<Value, Arc<str>> {
    let before = path.len();
    path.push_str(segment);
    let value = plain(json, path);
    path.truncate(before);
    value
}

/// A JSON Pointer as a path.
fn spelled(pointer: &str) -> String {
    let mut path = String::from("arguments");
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        if token.bytes().all(|b| b.is_ascii_digit()) && !token.is_empty() {
            path.push_str(&format!("[{token}]"));
        } else {
            path.push('.');
            path.push_str(&token);
        }
    }
    path
}

/// What is wrong, in words that never hold a value of the call.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the keyword itself says what the rest of them mean"
)]
fn complaint(kind: &ValidationErrorKind) -> String {
    match kind {
        ValidationErrorKind::Required { property } => {
            format!("needs `{}`", property.as_str().unwrap_or_default())
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let names: Vec<_> = unexpected.iter().map(|name| format!("`{name}`")).collect();
            format!("has members that the tool does not take: {}", names.join(", "))
        }
        ValidationErrorKind::Type { kind } => format!("has to be {}", type_words(kind)),
        ValidationErrorKind::Enum { .. } => "is none of the values that the tool takes".to_owned(),
        ValidationErrorKind::Constant { .. } => "is not the one value that the tool takes".to_owned(),
        ValidationErrorKind::Format { format } => format!("is not of the format `{format}`"),
        ValidationErrorKind::Pattern { .. } => "does not match the pattern that the tool asks for".to_owned(),
        ValidationErrorKind::MaxLength { limit } => format!("has more than {limit} characters"),
        ValidationErrorKind::MinLength { limit } => format!("has fewer than {limit} characters"),
        ValidationErrorKind::MaxItems { limit } => format!("has more than {limit} items"),
        ValidationErrorKind::MinItems { limit } => format!("has fewer than {limit} items"),
        ValidationErrorKind::Maximum { limit } => format!("is more than {limit}"),
        ValidationErrorKind::Minimum { limit } => format!("is less than {limit}"),
        ValidationErrorKind::ExclusiveMaximum { limit } => format!("is not less than {limit}"),
        ValidationErrorKind::ExclusiveMinimum { limit } => format!("is not more than {limit}"),
        _ => format!("does not fit `{}` of the tool's input schema", kind.keyword()),
    }
}

fn type_words(kind: &jsonschema::error::TypeKind) -> String {
    match kind {
        jsonschema::error::TypeKind::Single(kind) => format!("of type {kind}"),
        jsonschema::error::TypeKind::Multiple(_) => "of another type".to_owned(),
    }
}
