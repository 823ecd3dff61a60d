//! Values as people read them, and the values that a path leads to.

use super::story::Subject;
use callgate_core::call::Listing;
use callgate_core::json::Json;
use callgate_policy::tree::{Node, Value};
use callgate_wire::JsonStyle;
use std::borrow::Cow;

/// So many values of one path are shown.
const VALUES_SHOWN_MAX: usize = 8;

/// So many characters of one value are shown.
const VALUE_CHARS_MAX: usize = 200;

/// A value as JSON text.
pub(crate) fn json_text(value: &Json<'_>) -> String {
    JsonStyle::SPACED.text(value)
}

/// A part of a document as JSON.
pub(crate) fn json_of(node: &Node) -> Json<'static> {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(numeral) => Json::Number(Cow::Owned(numeral.to_string())),
        Value::String(text) => Json::String(Cow::Owned(text.to_string())),
        Value::List(items) => Json::Array(items.iter().map(json_of).collect()),
        Value::Map(entries) => Json::Object(
            entries
                .iter()
                .map(|entry| (Cow::Owned(entry.key.to_string()), json_of(&entry.value)))
                .collect(),
        ),
    }
}

/// A value, shortened.
pub(crate) fn shown(value: &Json<'_>) -> String {
    let text = json_text(value);
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    let mut short: String = text.chars().take(VALUE_CHARS_MAX).collect();
    short.push('…');
    short
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    Each,
}

/// What a path of a policy leads to in this call, as people read it; `None` where there is nothing, or where
/// the path starts from something that has no value to show.
pub(crate) fn at(path: &str, subject: &Subject<'_>) -> Option<String> {
    let (root, steps) = steps(path)?;
    let base = base(&root, subject)?;
    let mut found = vec![Cow::Borrowed(&base)];
    for step in &steps {
        let mut next = Vec::new();
        for value in &found {
            match (step, &**value) {
                (Step::Key(key), Json::Object(_)) => {
                    next.extend(value.get(key).cloned().map(Cow::Owned));
                }
                (Step::Index(index), Json::Array(items)) => {
                    next.extend(items.get(*index).cloned().map(Cow::Owned));
                }
                (Step::Each, Json::Array(items)) => next.extend(items.iter().cloned().map(Cow::Owned)),
                // A step into what has no parts is an error: shown is what stands in the way.
                (_, Json::Null) => {}
                (_, other) => next.push(Cow::Owned(other.clone())),
            }
        }
        found = next;
    }
    let mut words: Vec<String> = found
        .iter()
        .take(VALUES_SHOWN_MAX)
        .map(|value| shown(value))
        .collect();
    if found.len() > VALUES_SHOWN_MAX {
        words.push("…".to_owned());
    }
    (!words.is_empty()).then(|| words.join(", "))
}

fn text(value: &str) -> Json<'static> {
    Json::String(Cow::Owned(value.to_owned()))
}

/// What paths of a root start from.
fn base(root: &str, subject: &Subject<'_>) -> Option<Json<'static>> {
    let scene = subject.scene();
    let object = |members: Vec<(&'static str, Json<'static>)>| {
        let members = members
            .into_iter()
            .map(|(key, value)| (Cow::Borrowed(key), value));
        Some(Json::Object(members.collect()))
    };
    match (root, subject) {
        ("args", Subject::Tool(call)) => call.arguments.cloned().map(Json::into_owned),
        ("params", Subject::Method(call)) => call.params.cloned().map(Json::into_owned),
        ("uri" | "name", Subject::Method(call)) => call.params?.get(root).cloned().map(Json::into_owned),
        ("caller", _) => object(vec![
            ("label", text(&scene.caller.label)),
            ("grant", text(scene.caller.grant.as_str())),
            (
                "subject",
                scene.caller.subject.as_deref().map_or(Json::Null, text),
            ),
            ("claims", scene.caller.claims.clone()),
        ]),
        ("tool", Subject::Tool(call)) => {
            let mut members = vec![("name", text(call.tool))];
            if let Listing::Listed(listed) = call.listing {
                members.push(("annotations", listed.annotations.clone()));
            }
            object(members)
        }
        ("session", _) => object(vec![("id", text(scene.session?.as_str()))]),
        ("server", _) => object(vec![("name", text(scene.server.as_str()))]),
        ("time", _) => {
            let seconds = scene.now.0 / 1_000;
            let number = |value: u64| Json::Number(Cow::Owned(value.to_string()));
            // The epoch was a Thursday.
            let weekday = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"]
                .get(usize::try_from(seconds / 86_400 % 7).ok()?)?;
            object(vec![
                ("unix", number(seconds)),
                ("weekday", text(weekday)),
                ("hour", number(seconds / 3_600 % 24)),
                ("minute", number(seconds / 60 % 60)),
            ])
        }
        _ => None,
    }
}

/// Takes a path such as `args.items[*]["a.b"][0]` apart.
fn steps(path: &str) -> Option<(String, Vec<Step>)> {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (root, mut rest) = path.split_at_checked(end)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, after) = after.split_at_checked(end)?;
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        } else {
            let after = rest.strip_prefix('[')?;
            let (step, after) = bracket(after)?;
            steps.push(step);
            rest = after;
        }
    }
    Some((root.to_owned(), steps))
}

/// What stands between brackets, the opening one taken.
fn bracket(text: &str) -> Option<(Step, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some(quote) = quote else {
        let (inside, after) = text.split_once(']')?;
        let step = match inside {
            "*" => Step::Each,
            index => Step::Index(index.parse().ok()?),
        };
        return Some((step, after));
    };
    let mut key = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => key.push(chars.next()?.1),
            c if c == quote => {
                let after = text.get(at.saturating_add(1)..)?.strip_prefix(']')?;
                return Some((Step::Key(key), after));
            }
            c => key.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        let key = |text: &str| Step::Key(text.to_owned());
        let cases = [
            ("args", Some(("args", vec![]))),
            ("args.a.b", Some(("args", vec![key("a"), key("b")]))),
            (
                "args.items[*].price",
                Some(("args", vec![key("items"), Step::Each, key("price")])),
            ),
            (
                "args[\"a.b\"][0]",
                Some(("args", vec![key("a.b"), Step::Index(0)])),
            ),
            ("args['a\\'b']", Some(("args", vec![key("a'b")]))),
            ("args[", None),
            ("args[x]", None),
            ("args[\"a\"", None),
        ];
        for (path, wanted) in cases {
            let wanted = wanted.map(|(root, steps)| (root.to_owned(), steps));
            assert_eq!(steps(path), wanted, "{path}");
        }
    }
}
