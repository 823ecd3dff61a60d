//! A tool's definition, as far as the classifier looks at it.

use callgate_core::json::Json;

/// So many parameters of a schema are looked at, nested ones included.
pub(crate) const PARAMETERS_MAX: usize = 256;
/// So many values of an enumeration are looked at.
const CHOICES_MAX: usize = 64;
/// So many values of one parameter are looked at, and of all together: a schema can name the same enumerations
/// everywhere.
const PARAMETER_CHOICES_MAX: usize = 256;
const TOOL_CHOICES_MAX: usize = 500;
/// So many levels of a schema are looked at.
const LEVELS_MAX: usize = 4;

/// What a server says of one tool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Definition {
    /// The name by which it is called.
    pub name: String,
    /// A name for people.
    pub title: String,
    /// What the server says that it does.
    pub description: String,
    /// What it takes, sorted by name; those of nested objects too.
    pub parameters: Vec<Parameter>,
    /// How many parameters stand on the outermost level.
    pub outer: usize,
    /// `readOnlyHint`, where it is given.
    pub claims_read_only: Option<bool>,
    /// `destructiveHint`, where it is given.
    pub claims_destructive: Option<bool>,
    /// Every text in it, keys included: a model reads those of schemas and annotations too.
    pub said: Vec<String>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What the server says of it.
    pub description: String,
    /// Its types in JSON Schema's words; empty where none is named.
    pub kinds: Vec<String>,
    /// The texts that it may be, where these are enumerated.
    pub choices: Vec<String>,
    /// Whether it has to be given.
    pub is_required: bool,
}

impl Parameter {
    /// Whether it can be a text that is not one of a few.
    #[must_use]
    pub fn is_free_text(&self) -> bool {
        self.choices.is_empty() && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == "string"))
    }

    /// Whether it can be a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.kinds.iter().any(|kind| kind == "array")
    }
}

impl Definition {
    /// Reads what is there. What is missing or of another type is empty: any JSON is a definition, though one that
    /// says little.
    #[must_use]
    pub fn read(tool: &Json<'_>) -> Self {
        let annotations = tool.get("annotations");
        let title = text(tool.get("title"));
        let mut parameters = Vec::new();
        let schema = tool.get("inputSchema").or_else(|| tool.get("input_schema"));
        if let Some(schema) = schema {
            gather(schema, schema, 0, &mut parameters);
        }
        let outer = schema
            .and_then(|schema| schema.get("properties"))
            .map_or(0, members);
        parameters.sort();
        parameters.dedup();
        let mut choices_left = TOOL_CHOICES_MAX;
        for parameter in &mut parameters {
            parameter.choices.truncate(choices_left);
            choices_left = choices_left.saturating_sub(parameter.choices.len());
        }
        Self {
            name: text(tool.get("name")),
            title: if title.is_empty() {
                text(annotations.and_then(|annotations| annotations.get("title")))
            } else {
                title
            },
            description: text(tool.get("description")),
            parameters,
            outer,
            claims_read_only: flag(annotations, "readOnlyHint"),
            claims_destructive: flag(annotations, "destructiveHint"),
            said: {
                let mut said = Vec::new();
                gather_texts(tool, &mut said);
                said
            },
        }
    }
}

fn gather_texts(json: &Json<'_>, out: &mut Vec<String>) {
    match json {
        Json::String(text) => out.push(text.clone().into_owned()),
        Json::Array(items) => items.iter().for_each(|item| gather_texts(item, out)),
        Json::Object(_) => {
            for (key, value) in sorted(json) {
                out.push(key.to_owned());
                gather_texts(value, out);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

fn members(json: &Json<'_>) -> usize {
    match json {
        Json::Object(members) => members.len(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => 0,
    }
}

fn flag(annotations: Option<&Json<'_>>, hint: &str) -> Option<bool> {
    match annotations?.get(hint)? {
        Json::Bool(value) => Some(*value),
        Json::Null | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

fn text(json: Option<&Json<'_>>) -> String {
    match json {
        Some(Json::String(text)) => text.clone().into_owned(),
        Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) | None => {
            String::new()
        }
    }
}

/// The members of an object by key, so that nothing depends on their order.
pub(crate) fn sorted<'j, 'a>(json: &'j Json<'a>) -> Vec<(&'j str, &'j Json<'a>)> {
    let Json::Object(members) = json else {
        return Vec::new();
    };
    let mut members: Vec<_> = members.iter().map(|(key, value)| (&**key, value)).collect();
    members.sort_by_key(|(key, _)| *key);
    members
}

fn texts(json: Option<&Json<'_>>) -> Vec<String> {
    let mut found: Vec<String> = match json {
        Some(Json::String(text)) => vec![text.clone().into_owned()],
        Some(Json::Array(items)) => items
            .iter()
            .filter_map(|item| match item {
                Json::String(text) => Some(text.clone().into_owned()),
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
            })
            .take(CHOICES_MAX)
            .collect(),
        Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_)) | None => Vec::new(),
    };
    found.sort();
    found.dedup();
    found
}

/// The parts of a schema that stand for the same value: itself, what it refers to, and its alternatives.
pub(crate) fn forms<'j, 'a>(root: &'j Json<'a>, schema: &'j Json<'a>) -> Vec<&'j Json<'a>> {
    let mut forms = vec![schema];
    for word in ["anyOf", "oneOf", "allOf"] {
        if let Some(Json::Array(items)) = schema.get(word) {
            forms.extend(items.iter().take(CHOICES_MAX));
        }
    }
    let targets: Vec<_> = forms
        .iter()
        .filter_map(|form| match form.get("$ref") {
            Some(Json::String(pointer)) => target(root, pointer),
            _ => None,
        })
        .collect();
    forms.extend(targets);
    forms
}

pub(crate) fn target<'j, 'a>(root: &'j Json<'a>, pointer: &str) -> Option<&'j Json<'a>> {
    pointer
        .strip_prefix("#/")?
        .split('/')
        .take(8)
        .try_fold(root, |json, key| json.get(key))
}

fn gather(root: &Json<'_>, schema: &Json<'_>, level: usize, out: &mut Vec<Parameter>) {
    if level >= LEVELS_MAX {
        return;
    }
    for form in forms(root, schema) {
        let required = texts(form.get("required"));
        let properties = form.get("properties").map(sorted).unwrap_or_default();
        for (name, property) in properties {
            if out.len() >= PARAMETERS_MAX {
                return;
            }
            out.push(parameter(root, name, property, &required));
            gather(root, property, level.saturating_add(1), out);
            if let Some(items) = property.get("items") {
                gather(root, items, level.saturating_add(1), out);
            }
        }
    }
}

fn parameter(root: &Json<'_>, name: &str, property: &Json<'_>, required: &[String]) -> Parameter {
    let mut kinds = Vec::new();
    let mut choices = Vec::new();
    for form in forms(root, property) {
        kinds.extend(texts(form.get("type")));
        choices.extend(texts(form.get("enum")));
        choices.extend(texts(form.get("const")));
    }
    kinds.sort();
    kinds.dedup();
    choices.sort();
    choices.dedup();
    choices.truncate(PARAMETER_CHOICES_MAX);
    Parameter {
        name: name.to_owned(),
        description: text(property.get("description")),
        kinds,
        choices,
        is_required: required.iter().any(|other| other == name),
    }
}
