//! Taking a mapping of a test file apart, with a finding for whatever is wrong with it.

use callgate_policy::tree::{Node, Value};
use callgate_policy::{Code, Diagnostic, Severity, Span};

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Diagnostic>);

impl Findings {
    pub(super) fn add(&mut self, code: Code, span: Span, message: String, hint: &str) {
        self.0.push(Diagnostic {
            severity: Severity::Error,
            code,
            message,
            span,
            hint: Some(hint.to_owned()),
            pointer: String::new(),
        });
    }

    /// A mapping whose keys are all known.
    pub(super) fn mapping<'n>(&mut self, node: &'n Node, called: &str, keys: &[&str]) -> Option<&'n Node> {
        if !matches!(node.value, Value::Map(_)) {
            let message = format!("{called} is a mapping, this is {}", node.type_name());
            self.add(Code::WrongType, node.span, message, &keys_hint(called, keys));
            return None;
        }
        for entry in node.entries() {
            if !keys.contains(&&*entry.key) {
                let message = format!("{called} has no key `{}`", entry.key);
                self.add(
                    Code::UnknownKey,
                    entry.key_span,
                    message,
                    &keys_hint(called, keys),
                );
            }
        }
        Some(node)
    }

    /// The text at `key`.
    pub(super) fn text<'n>(&mut self, node: &'n Node, key: &str) -> Option<&'n str> {
        let value = node.get(key)?;
        let text = value.text();
        if text.is_none() {
            let message = format!("`{key}` is a text, this is {}", value.type_name());
            self.add(Code::WrongType, value.span, message, "put it in quotes");
        }
        text
    }

    /// The text at `key`, read by `read`.
    pub(super) fn read<T>(
        &mut self,
        node: &Node,
        key: &str,
        read: impl Fn(&str) -> Option<T>,
        hint: &str,
    ) -> Option<T> {
        let value = node.get(key)?;
        let text = match &value.value {
            Value::String(text) | Value::Number(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        };
        let found = text.and_then(|text| read(text));
        if found.is_none() {
            self.add(
                Code::UnknownWord,
                value.span,
                format!("`{key}` cannot be read"),
                hint,
            );
        }
        found
    }

    /// The items at `key`.
    pub(super) fn items<'n>(&mut self, node: &'n Node, key: &str) -> &'n [Node] {
        let Some(value) = node.get(key) else { return &[] };
        match &value.value {
            Value::List(items) if items.is_empty() => {
                let message = format!("`{key}` is empty");
                self.add(Code::Empty, value.span, message, "add an entry, or remove it");
                &[]
            }
            Value::List(items) => items,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Map(_) => {
                let message = format!("`{key}` is a list, this is {}", value.type_name());
                self.add(Code::WrongType, value.span, message, "begin each entry with `- `");
                &[]
            }
        }
    }
}

fn keys_hint(called: &str, keys: &[&str]) -> String {
    format!("{called} has the keys {}", keys.join(", "))
}
