//! A tool's arguments as its schema describes them, with what a rule has to know of each.

use crate::definition::{sorted, target};
use crate::text::{singular, words_of_name};
use callgate_core::json::Json;
use callgate_core::path::{Path, Root, Segment};

/// So many arguments of a tool are looked at.
const ARGUMENTS_MAX: usize = 256;
/// So many parts of a schema that stand for the same value are looked at.
const FORMS_MAX: usize = 64;
/// So many levels of a schema are looked at.
const LEVELS_MAX: usize = 3;

/// Words of a schema that ask more of a value than its type.
const CHECKS: [&str; 10] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "multipleOf",
    "propertyNames",
];

/// One argument, or a member of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Argument {
    /// Where a call holds it.
    pub(super) path: Path,
    /// Its own name.
    pub(super) name: String,
    /// The words of its name, singular.
    pub(super) words: Vec<String>,
    /// What it may be.
    pub(super) kinds: Kinds,
    /// Whether the schema names all values that it may have.
    pub(super) is_choice: bool,
    /// These values, as far as they are texts.
    pub(super) choices: Vec<String>,
    /// Whether a call that fits the schema always has it.
    pub(super) is_required: bool,
    /// Whether the elements of the list that it stands in may lack it.
    pub(super) may_lack: bool,
    /// The text, number or flag that the server takes where it is missing.
    pub(super) default: Option<String>,
    /// What the server says of it, in lower case.
    pub(super) description: String,
    /// `format`, where it is given.
    pub(super) format: Option<String>,
    /// Whether the schema names members of it.
    pub(super) has_members: bool,
    /// Whether the schema bounds it, as a number or in its length.
    pub(super) is_bounded: bool,
    /// Whether the schema asks more of it than its type, and so may deny it before a rule does.
    pub(super) is_checked: bool,
}

/// The types of JSON that a value may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kinds {
    pub(super) text: bool,
    pub(super) number: bool,
    pub(super) flag: bool,
    pub(super) list: bool,
    pub(super) object: bool,
}

impl Kinds {
    const NONE: Self = Self {
        text: false,
        number: false,
        flag: false,
        list: false,
        object: false,
    };

    /// Whether nothing is said, so that it may be anything.
    pub(super) fn is_open(self) -> bool {
        self == Self::NONE
    }

    pub(super) fn may_be_text(self) -> bool {
        self.text || self.is_open()
    }

    pub(super) fn is_text(self) -> bool {
        self.text && !self.number && !self.flag && !self.list && !self.object
    }

    pub(super) fn is_number(self) -> bool {
        self.number && !self.text && !self.flag && !self.list && !self.object
    }

    pub(super) fn is_flag(self) -> bool {
        self.flag && !self.text && !self.number && !self.list && !self.object
    }

    fn add(&mut self, kind: &str) {
        match kind {
            "string" => self.text = true,
            "number" | "integer" => self.number = true,
            "boolean" => self.flag = true,
            "array" => self.list = true,
            "object" => self.object = true,
            _ => {}
        }
    }
}

/// A server's own default is believed up to here.
const DEFAULT_MAX: u32 = 10_000_000;

impl Argument {
    /// A bound for it, which is not less than what the server takes by itself, unless that is out of all measure.
    pub(super) fn at_most(&self, max: u32) -> u32 {
        let whole = self
            .default
            .as_deref()
            .and_then(|default| default.split('.').next());
        whole
            .and_then(|whole| whole.parse().ok())
            .map_or(max, |own: u32| own.min(DEFAULT_MAX).max(max))
    }

    /// Whether it stands in a list, so that a call may have several of it.
    pub(super) fn in_list(&self) -> bool {
        self.path.segments.contains(&Segment::Each)
    }

    /// Whether any word of its name is one of these.
    pub(super) fn has(&self, list: &str) -> bool {
        self.words
            .iter()
            .any(|word| list.split_whitespace().any(|other| other == word))
    }

    /// Whether the last word of its name is one of these.
    pub(super) fn ends(&self, list: &str) -> bool {
        self.words
            .last()
            .is_some_and(|word| list.split_whitespace().any(|other| other == word))
    }

    /// The same name without its gaps is one of these.
    pub(super) fn joined(&self, list: &str) -> bool {
        let joined = self.words.concat();
        list.split_whitespace().any(|other| other == joined)
    }
}

/// The input schema of a tool, where it has one that arguments can be checked against.
pub(super) fn schema_of<'j, 'a>(tool: &'j Json<'a>) -> Option<&'j Json<'a>> {
    tool.get("inputSchema")
        .filter(|schema| matches!(schema, Json::Object(_)))
}

/// Whether a schema has a pattern that cannot be run in linear time, so that nothing can be checked against it.
pub(super) fn looks_around(schema: &Json<'_>) -> bool {
    match schema {
        Json::Object(members) => members.iter().any(|(key, value)| match value {
            Json::String(pattern) if key == "pattern" => has_look_around(pattern),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
            Json::Array(_) | Json::Object(_) => looks_around(value),
        }),
        Json::Array(items) => items.iter().any(looks_around),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

fn has_look_around(pattern: &str) -> bool {
    let has_back_reference = pattern
        .as_bytes()
        .windows(2)
        .any(|pair| matches!(pair, [b'\\', digit] if digit.is_ascii_digit() && *digit != b'0'));
    ["(?=", "(?!", "(?<=", "(?<!"]
        .iter()
        .any(|sign| pattern.contains(sign))
        || has_back_reference
}

/// All arguments of a tool, those of its nested objects too, in the order of their names.
pub(super) fn arguments(tool: &Json<'_>) -> Vec<Argument> {
    let mut found = Vec::new();
    if let Some(schema) = schema_of(tool) {
        let start = Place {
            path: Vec::new(),
            is_certain: true,
            is_in_each: true,
        };
        walk(schema, schema, &start, 0, &mut found);
        found.sort_by(|left, right| left.path.cmp(&right.path));
        if looks_around(schema) {
            // Nothing of it is enforced.
            for argument in &mut found {
                argument.is_bounded = false;
                argument.is_checked = false;
            }
        }
    }
    found
}

/// How a part of a schema binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binds {
    /// Each value has to fit it.
    Always,
    /// It is one of several that a value may fit.
    Perhaps,
}

/// The parts of a schema that stand for the same value.
pub(super) fn parts<'j, 'a>(root: &'j Json<'a>, schema: &'j Json<'a>) -> Vec<(&'j Json<'a>, Binds)> {
    let mut parts = vec![(schema, Binds::Always)];
    let mut at = 0_usize;
    // Alternatives refer to others, which have alternatives; a schema may also refer to itself.
    while let Some((part, binds)) = parts.get(at).copied() {
        at = at.saturating_add(1);
        for (form, own) in forms(root, part) {
            if parts.len() < FORMS_MAX && !parts.iter().any(|(other, _)| std::ptr::eq(*other, form)) {
                let binds = if binds == Binds::Always { own } else { binds };
                parts.push((form, binds));
            }
        }
    }
    parts
}

/// What one part of a schema leads to directly.
fn forms<'j, 'a>(root: &'j Json<'a>, part: &'j Json<'a>) -> Vec<(&'j Json<'a>, Binds)> {
    let items = |word| match part.get(word) {
        Some(Json::Array(items)) => items.as_slice(),
        _ => &[],
    };
    let mut forms: Vec<_> = items("allOf").iter().map(|item| (item, Binds::Always)).collect();
    for word in ["anyOf", "oneOf"] {
        let alternatives: Vec<_> = items(word).iter().filter(|item| !is_null(item)).collect();
        let binds = if alternatives.len() == 1 {
            Binds::Always
        } else {
            Binds::Perhaps
        };
        forms.extend(alternatives.into_iter().map(|item| (item, binds)));
    }
    if let Some(Json::String(pointer)) = part.get("$ref") {
        forms.extend(target(root, pointer).map(|target| (target, Binds::Always)));
    }
    forms
}

fn is_null(schema: &Json<'_>) -> bool {
    matches!(schema.get("type"), Some(Json::String(kind)) if kind == "null")
        || matches!(schema.get("const"), Some(Json::Null))
}

#[derive(Debug)]
struct Place {
    path: Vec<Segment>,
    /// Whether every call that fits the schema has what stands here.
    is_certain: bool,
    /// Whether every element of the innermost list around it has it.
    is_in_each: bool,
}

impl Place {
    fn below(&self, step: Segment, is_certain: bool) -> Self {
        let mut path = self.path.clone();
        let is_in_each = step == Segment::Each || self.is_in_each && is_certain;
        path.push(step);
        Self {
            path,
            is_certain: self.is_certain && is_certain,
            is_in_each,
        }
    }
}

fn walk(root: &Json<'_>, schema: &Json<'_>, place: &Place, level: usize, out: &mut Vec<Argument>) {
    if level >= LEVELS_MAX {
        return;
    }
    let all = parts(root, schema);
    // A form may require what another describes.
    let required: Vec<&str> = all
        .iter()
        .filter(|(_, binds)| *binds == Binds::Always)
        .flat_map(|(part, _)| strings(part.get("required")))
        .collect();
    let mut inner = Vec::new();
    for (part, _) in all {
        for (name, property) in part.get("properties").map(sorted).unwrap_or_default() {
            let here = place.below(Segment::Key(name.into()), required.contains(&name));
            let argument = argument(root, name, property, &here);
            if out.len() >= ARGUMENTS_MAX || out.iter().any(|other| other.path == argument.path) {
                continue;
            }
            inner.push((name, property, here, argument.kinds));
            out.push(argument);
        }
    }
    // The members come after, so that those of one argument do not take the place of another argument.
    for (name, property, here, kinds) in inner {
        if kinds.object {
            walk(root, property, &here, level.saturating_add(1), out);
        }
        if kinds.list && !kinds.text {
            elements(root, name, property, &here, level, out);
        }
    }
}

fn elements(
    root: &Json<'_>,
    name: &str,
    property: &Json<'_>,
    here: &Place,
    level: usize,
    out: &mut Vec<Argument>,
) {
    const ANYTHING: &Json<'static> = &Json::Bool(true);
    let all = parts(root, property);
    let mut described: Vec<&Json<'_>> = all.iter().filter_map(|(part, _)| part.get("items")).collect();
    if described.is_empty() {
        described.push(ANYTHING);
    }
    for items in described {
        let each = here.below(Segment::Each, false);
        let element = argument(root, name, items, &each);
        if out.len() >= ARGUMENTS_MAX || out.iter().any(|other| other.path == element.path) {
            continue;
        }
        let is_object = element.kinds.object;
        out.push(element);
        if is_object && !each.path.iter().rev().skip(1).any(|step| *step == Segment::Each) {
            walk(root, items, &each, level.saturating_add(1), out);
        }
    }
}

fn argument(root: &Json<'_>, name: &str, property: &Json<'_>, place: &Place) -> Argument {
    let all = parts(root, property);
    let mut kinds = Kinds::NONE;
    let mut choices = Vec::new();
    let (mut is_bounded, mut has_members, mut is_checked) = (false, false, false);
    let (mut closed, mut open) = (false, false);
    let mut format = None;
    for (part, binds) in &all {
        for kind in strings(part.get("type")) {
            kinds.add(kind);
        }
        let listed = part.get("enum").or_else(|| part.get("const"));
        match (listed, binds) {
            (Some(listed), _) => {
                choices.extend(strings(Some(listed)).into_iter().map(str::to_owned));
                closed = true;
            }
            (None, Binds::Perhaps) => open = true,
            (None, Binds::Always) => {}
        }
        let has_end = ["maximum", "exclusiveMaximum"]
            .iter()
            .any(|word| is_small(part.get(word)));
        let has_start = part
            .get("minimum")
            .or_else(|| part.get("exclusiveMinimum"))
            .is_some();
        is_bounded |=
            part.get("pattern").is_some() || is_small(part.get("maxLength")) || has_end && has_start;
        is_checked |= CHECKS.iter().any(|word| part.get(word).is_some())
            || matches!(part.get("additionalProperties"), Some(Json::Bool(false)))
            || matches!(part.get("additionalProperties"), Some(Json::Object(members)) if !members.is_empty());
        has_members |= matches!(part.get("properties"), Some(Json::Object(members)) if !members.is_empty());
        if let Some(Json::String(text)) = part.get("format") {
            format = Some(text.clone().into_owned());
        }
    }
    let is_choice = closed && !open;
    choices.sort();
    choices.dedup();
    if is_choice && !choices.is_empty() && kinds.is_open() {
        kinds.text = true;
    }
    Argument {
        path: Path {
            root: Root::Args,
            segments: place.path.clone(),
        },
        name: name.to_owned(),
        words: words_of_name(name).iter().map(|word| singular(word)).collect(),
        kinds,
        choices: if is_choice { choices } else { Vec::new() },
        is_choice,
        is_required: place.is_certain,
        may_lack: !place.is_in_each && place.path.contains(&Segment::Each),
        default: match property.get("default") {
            Some(Json::String(text)) => Some(text.clone().into_owned()),
            Some(Json::Bool(flag)) => Some(flag.to_string()),
            Some(Json::Number(digits)) => Some(digits.clone().into_owned()),
            Some(Json::Null | Json::Array(_) | Json::Object(_)) | None => None,
        },
        description: match property.get("description") {
            Some(Json::String(text)) => text.chars().take(1_000).collect::<String>().to_lowercase(),
            _ => String::new(),
        },
        format,
        has_members,
        is_bounded,
        is_checked,
    }
}

/// Whether a bound is one: generators of schemas also write the largest number that there is.
fn is_small(bound: Option<&Json<'_>>) -> bool {
    matches!(bound, Some(Json::Number(digits)) if digits.parse::<f64>().is_ok_and(|bound| bound <= 1_000_000.0))
}

/// A text, or the texts of a list.
pub(super) fn strings<'j>(json: Option<&'j Json<'_>>) -> Vec<&'j str> {
    match json {
        Some(Json::String(text)) => vec![text],
        Some(Json::Array(items)) => items
            .iter()
            .filter_map(|item| match item {
                Json::String(text) => Some(&**text),
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
            })
            .collect(),
        Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_)) | None => Vec::new(),
    }
}
