//! Mappings whose keys are checked against a table, and values by their types.

use crate::diagnostic::{Code, Findings};
use crate::span::Span;
use crate::suggest::nearest;
use crate::tree::{Entry, Node, Value};
use crate::vocabulary::{Table, Takes};

/// A mapping whose keys have been checked.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'n> {
    /// The mapping.
    pub node: &'n Node,
    /// Where it stands, as a JSON Pointer.
    pub pointer: &'n str,
}

impl Findings {
    /// The fields of `node` by `table`; `None`, with a finding, where it is no mapping.
    pub fn fields<'n>(&mut self, node: &'n Node, pointer: &'n str, table: &Table) -> Option<Fields<'n>> {
        if !matches!(node.value, Value::Map(_)) {
            let keys: Vec<_> = table.keys.iter().map(|word| word.key).collect();
            let hint = format!("its keys are {}", keys.join(", "));
            self.wrong_type(node, pointer, &format!("{} is a mapping", table.called), &hint);
            return None;
        }
        for entry in node.entries() {
            self.known_key(entry, pointer, table);
        }
        Some(Fields { node, pointer })
    }

    fn known_key(&mut self, entry: &Entry, pointer: &str, table: &Table) {
        if let Some(word) = table.word(&entry.key) {
            if matches!(entry.value.value, Value::Null) && !matches!(word.takes, Takes::Anything) {
                self.error(
                    Code::WrongType,
                    entry.key_span,
                    &join(pointer, &entry.key),
                    format!("`{}` has no value", entry.key),
                )
                .hint("give it one, `[]` or `{}` for none, or remove the key");
            }
            return;
        }
        let near = nearest(&entry.key, table.keys.iter().map(|word| word.key));
        let hint = near.map_or_else(
            || {
                let known: Vec<_> = table.keys.iter().map(|word| word.key).collect();
                format!("its keys are {}", known.join(", "))
            },
            |near| format!("did you mean `{near}`?"),
        );
        self.error(
            Code::UnknownKey,
            entry.key_span,
            &join(pointer, &entry.key),
            format!("`{}` is no key of {}", entry.key, table.called),
        )
        .hint(hint);
    }

    /// Says that a value is of another type than is wanted.
    pub fn wrong_type(&mut self, node: &Node, pointer: &str, wanted: &str, hint: &str) {
        self.error(
            Code::WrongType,
            node.span,
            pointer,
            format!("{wanted}, and this is {}", node.type_name()),
        )
        .hint(hint);
    }

    /// The text of a key that takes a string; `None` where it is absent or, with a finding, no string.
    pub fn text<'n>(&mut self, fields: Fields<'n>, key: &str) -> Option<(&'n str, Span)> {
        let node = fields.value(key)?;
        match &node.value {
            Value::String(text) => Some((text, node.span)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
                let pointer = join(fields.pointer, key);
                self.error(
                    Code::WrongType,
                    node.span,
                    &pointer,
                    format!("`{key}` is a string, and this is {}", node.type_name()),
                )
                .maybe(quoted(node));
                None
            }
        }
    }

    /// One of several words; with a finding where it is another.
    pub fn word<T: Copy>(&mut self, fields: Fields<'_>, key: &str, words: &[(&str, T)]) -> Option<T> {
        let (text, span) = self.text(fields, key)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = nearest(text, known.iter().copied()).map_or_else(
            || format!("it takes {}", known.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        self.error(
            Code::UnknownWord,
            span,
            &join(fields.pointer, key),
            format!("`{key}` cannot be `{text}`"),
        )
        .hint(hint);
        None
    }

    /// The items of a key that takes a list, or one mapping in its place, each with its pointer.
    pub(crate) fn listed<'n>(&mut self, fields: Fields<'n>, key: &str) -> Vec<(&'n Node, String)> {
        let Some(node) = fields.value(key) else {
            return Vec::new();
        };
        let pointer = join(fields.pointer, key);
        match &node.value {
            Value::List(items) => numbered(items, &pointer),
            Value::Map(_) => vec![(node, pointer)],
            Value::Null => Vec::new(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                self.wrong_type(
                    node,
                    &pointer,
                    &format!("`{key}` is a list"),
                    "begin each item with `- `, or write `[a, b]`",
                );
                Vec::new()
            }
        }
    }

    /// The items of a key that takes a list, each with its pointer.
    pub fn list<'n>(&mut self, fields: Fields<'n>, key: &str) -> Vec<(&'n Node, String)> {
        if let Some(node) = fields.value(key)
            && matches!(node.value, Value::Map(_))
        {
            let pointer = join(fields.pointer, key);
            self.wrong_type(
                node,
                &pointer,
                &format!("`{key}` is a list"),
                "begin each item with `- `, or write `[a, b]`",
            );
            return Vec::new();
        }
        self.listed(fields, key)
    }
}

impl<'n> Fields<'n> {
    /// The value of a key; nothing where it has none, which was reported with the key.
    #[must_use]
    pub fn value(self, key: &str) -> Option<&'n Node> {
        self.node
            .get(key)
            .filter(|node| !matches!(node.value, Value::Null))
    }

    /// A key and its value, which may be null.
    #[must_use]
    pub fn entry(self, key: &str) -> Option<&'n Entry> {
        self.node.entry(key)
    }

    /// Whether the key is there, with or without a value.
    #[must_use]
    pub fn has(self, key: &str) -> bool {
        self.node.entry(key).is_some()
    }

    /// Where a finding about the whole mapping points.
    #[must_use]
    pub fn head(self) -> Span {
        self.node
            .entries()
            .first()
            .map_or(self.node.span, |entry| entry.key_span)
    }
}

/// Each item with its pointer.
pub(crate) fn numbered<'n>(items: &'n [Node], pointer: &str) -> Vec<(&'n Node, String)> {
    items
        .iter()
        .enumerate()
        .map(|(index, item)| (item, format!("{pointer}/{index}")))
        .collect()
}

/// A pointer one step down (RFC 6901).
#[must_use]
pub fn join(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn quoted(node: &Node) -> Option<String> {
    match &node.value {
        Value::Number(numeral) => Some(format!("write `\"{numeral}\"`")),
        Value::Bool(value) => Some(format!("write `\"{value}\"`")),
        Value::Null | Value::String(_) | Value::List(_) | Value::Map(_) => None,
    }
}
