//! Arguments of an ordinary call, made from a tool's schema; none where the schema asks for more than is understood.

use super::arguments::{Binds, parts, schema_of, strings};
use callgate_core::json::Json;
use callgate_core::path::{Path, Root, Segment};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

/// So deep a value is made.
const LEVELS_MAX: usize = 6;

/// What words of a schema are understood.
const UNDERSTOOD: &[&str] = &[
    "$schema",
    "$id",
    "$defs",
    "definitions",
    "$ref",
    "title",
    "description",
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "default",
    "examples",
    "format",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
    "anyOf",
    "oneOf",
    "nullable",
    "deprecated",
    "readOnly",
    "writeOnly",
    "uniqueItems",
    "$comment",
    "example",
    "propertyNames",
    "x-google-enum-descriptions",
];

/// A value for each path that a rule asks about.
pub(super) type Wanted = BTreeMap<Path, Json<'static>>;

pub(super) fn text(text: &str) -> Json<'static> {
    Json::String(Cow::Owned(text.to_owned()))
}

pub(super) fn number(digits: &str) -> Json<'static> {
    Json::Number(Cow::Owned(digits.to_owned()))
}

/// The arguments of a call that fits the schema and holds `wanted` where the schema or a rule needs it.
pub(super) fn call(tool: &Json<'_>, wanted: &Wanted, needed: &[Path]) -> Option<Json<'static>> {
    let schema = schema_of(tool)?;
    let sampler = Sampler {
        root: schema,
        wanted,
        needed,
        made: Cell::new(0),
    };
    sampler.object(schema, &mut Vec::new())
}

/// So many values are made for one call: schemas that refer to themselves name more.
const VALUES_MAX: u32 = 2_000;

struct Sampler<'s, 'a> {
    root: &'s Json<'a>,
    wanted: &'s Wanted,
    needed: &'s [Path],
    made: Cell<u32>,
}

impl Sampler<'_, '_> {
    fn value(&self, schema: &Json<'_>, at: &mut Vec<Segment>) -> Option<Json<'static>> {
        self.made.set(self.made.get().saturating_add(1));
        if at.len() > LEVELS_MAX || self.made.get() > VALUES_MAX {
            return None;
        }
        if matches!(schema, Json::Bool(true)) {
            return Some(self.wanted_at(at).unwrap_or_else(|| text("a")));
        }
        is_understood(schema)?;
        let all = parts(self.root, schema);
        // Of several forms, the first that a value may have.
        let form = all.iter().map(|(part, _)| *part).find(|part| is_whole(part))?;
        if !std::ptr::eq(form, schema) {
            is_understood(form)?;
        }
        if let Some(wanted) = self.wanted_at(at) {
            return all
                .iter()
                .filter(|(_, binds)| *binds == Binds::Always)
                .all(|(part, _)| fits(part, &wanted))
                .then_some(wanted)
                .filter(|wanted| fits(form, wanted));
        }
        if let Some(Json::Array(values)) = form.get("enum") {
            return values.first().map(|value| value.clone().into_owned());
        }
        if let Some(value) = form.get("const") {
            return Some(value.clone().into_owned());
        }
        match strings(form.get("type")).into_iter().find(|kind| *kind != "null") {
            Some("string") => sample_text(form),
            Some("integer" | "number") => sample_number(form),
            Some("boolean") => Some(Json::Bool(false)),
            Some("array") => self.array(form, at),
            Some("object") => self.object(form, at),
            Some(_) => None,
            None if form.get("properties").is_some() => self.object(form, at),
            None => Some(text("a")),
        }
    }

    fn wanted_at(&self, at: &[Segment]) -> Option<Json<'static>> {
        let path = Path {
            root: Root::Args,
            segments: at.to_vec(),
        };
        self.wanted.get(&path).cloned()
    }

    fn array(&self, schema: &Json<'_>, at: &mut Vec<Segment>) -> Option<Json<'static>> {
        let least = bound(schema, "minItems")?.unwrap_or(0.0);
        if least < 1.0 && !self.wanted.keys().any(|path| is_below(path, at)) {
            return Some(Json::Array(Vec::new()));
        }
        if least > 1.0 && schema.get("uniqueItems").is_some() || least > 8.0 {
            return None;
        }
        at.push(Segment::Each);
        let item = match schema.get("items") {
            Some(items) => self.value(items, at),
            None => Some(text("a")),
        };
        at.pop();
        let item = item?;
        let count = if least > 1.0 { least } else { 1.0 };
        let mut items = Vec::new();
        let mut made = 0.0;
        while made < count {
            items.push(item.clone());
            made += 1.0;
        }
        Some(Json::Array(items))
    }

    fn object(&self, schema: &Json<'_>, at: &mut Vec<Segment>) -> Option<Json<'static>> {
        is_understood(schema)?;
        // Which of several forms is meant, nothing says.
        if at.is_empty() && (schema.get("anyOf").is_some() || schema.get("oneOf").is_some()) {
            return None;
        }
        let properties = match schema.get("properties") {
            Some(Json::Object(members)) => members.as_slice(),
            Some(_) => return None,
            None => &[],
        };
        let required = strings(schema.get("required"));
        let mut members = Vec::new();
        for (name, property) in properties {
            at.push(Segment::Key(std::sync::Arc::from(&**name)));
            let is_needed =
                required.contains(&&**name) || self.needed.iter().any(|path| path.segments.starts_with(at));
            let value = is_needed.then(|| self.value(property, at));
            at.pop();
            match value {
                None => {}
                Some(value) => members.push((Cow::Owned(name.clone().into_owned()), value?)),
            }
        }
        // What is required and not described cannot be made.
        required
            .iter()
            .all(|name| members.iter().any(|(other, _): &(Cow<'_, str>, _)| other == name))
            .then_some(Json::Object(members))
    }
}

fn is_below(path: &Path, at: &[Segment]) -> bool {
    path.segments.len() > at.len() && path.segments.starts_with(at)
}

/// Whether a part of a schema says by itself what a value is.
fn is_whole(part: &Json<'_>) -> bool {
    let has = |word: &str| part.get(word).is_some();
    let kinds = strings(part.get("type"));
    if kinds == ["null"] {
        return false;
    }
    has("enum")
        || has("const")
        || has("type")
        || has("properties")
        || !(has("anyOf") || has("oneOf") || has("allOf") || has("$ref"))
}

fn is_understood(schema: &Json<'_>) -> Option<()> {
    match schema {
        Json::Object(members) => members
            .iter()
            .all(|(word, _)| UNDERSTOOD.contains(&&**word) || word.starts_with("x-"))
            .then_some(()),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => None,
    }
}

/// A number that a word of a schema holds; `None` where it holds something else.
#[expect(
    clippy::option_option,
    reason = "a word that is missing is not a word that is wrong"
)]
fn bound(schema: &Json<'_>, word: &str) -> Option<Option<f64>> {
    match schema.get(word) {
        None => Some(None),
        Some(Json::Number(digits)) => digits.parse().ok().map(Some),
        Some(_) => None,
    }
}

fn length_fits(schema: &Json<'_>, text: &str) -> bool {
    let Ok(length) = u32::try_from(text.chars().count()) else {
        return false;
    };
    let length = f64::from(length);
    matches!(bound(schema, "minLength"), Some(least) if least.is_none_or(|least| length >= least))
        && matches!(bound(schema, "maxLength"), Some(most) if most.is_none_or(|most| length <= most))
}

/// Whether a value that a rule wants fits a part of a schema, as far as that is understood.
fn fits(schema: &Json<'_>, value: &Json<'_>) -> bool {
    let kinds = strings(schema.get("type"));
    let is_kind = |names: &[&str]| kinds.is_empty() || kinds.iter().any(|kind| names.contains(kind));
    if let Some(Json::Array(values)) = schema.get("enum")
        && !values.contains(value)
    {
        return false;
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return false;
    }
    match value {
        Json::String(text) => {
            let format_fits = match strings(schema.get("format")).first() {
                None => true,
                Some(&"uri" | &"url") => text.starts_with("https://"),
                Some(&"email") => text.contains('@'),
                Some(_) => false,
            };
            is_kind(&["string"]) && format_fits && length_fits(schema, text)
        }
        Json::Number(digits) => {
            let Ok(number) = digits.parse::<f64>() else {
                return false;
            };
            let test = |word: &str, holds: fn(f64, f64) -> bool| matches!(bound(schema, word), Some(limit) if limit.is_none_or(|limit| holds(number, limit)));
            is_kind(&["number", "integer"])
                && test("minimum", |number, limit| number >= limit)
                && test("exclusiveMinimum", |number, limit| number > limit)
                && test("maximum", |number, limit| number <= limit)
                && test("exclusiveMaximum", |number, limit| number < limit)
        }
        Json::Bool(_) => is_kind(&["boolean"]),
        Json::Object(_) => is_kind(&["object"]),
        Json::Array(_) => is_kind(&["array"]),
        Json::Null => is_kind(&["null"]),
    }
}

fn sample_text(schema: &Json<'_>) -> Option<Json<'static>> {
    let made = match strings(schema.get("format")).first() {
        None => "a",
        Some(&"date-time") => "2026-01-05T10:00:00Z",
        Some(&"date") => "2026-01-05",
        Some(&"uri" | &"url") => "https://example.com/",
        Some(&"email") => "ana@example.com",
        Some(&"uuid") => "5e5ac6ba-9b4a-4d3e-8c0f-2f8f4c7c1a11",
        Some(_) => return None,
    };
    let least = bound(schema, "minLength")?.unwrap_or(0.0);
    let mut made = made.to_owned();
    let is_free = schema.get("format").is_none();
    while is_free
        && made.len() < 64
        && !length_fits(schema, &made)
        && f64::from(u8::try_from(made.len()).ok()?) < least
    {
        made.push('a');
    }
    length_fits(schema, &made).then(|| text(&made))
}

fn sample_number(schema: &Json<'_>) -> Option<Json<'static>> {
    ["1", "0", "2", "5", "10", "24", "50", "100", "300", "1000", "-1"]
        .iter()
        .map(|digits| number(digits))
        .find(|value| fits(schema, value))
}
