//! What reading a mapping needs: its keys checked against the vocabulary, its values by their types.

use crate::bounds::MESSAGE_BYTES_MAX;
use crate::cel::Expressions;
use crate::diagnostic::{Code, Findings};
use crate::span::Span;
use crate::suggest::nearest;
use crate::tree::{Entry, Node, Value};
use crate::vocabulary::Table;
use callgate_core::path::Path;
use callgate_core::program::Mode;
use std::sync::Arc;

/// What goes along while a tree is read.
#[derive(Debug)]
pub(crate) struct Context<'f> {
    pub(crate) findings: &'f mut Findings,
    pub(crate) source: &'f str,
    pub(crate) expressions: Expressions,
    pub(crate) trust: crate::Trust,
    pub(crate) denies_by_default: bool,
    pub(crate) rules: usize,
    pub(crate) uses: Vec<ArgumentUse>,
}

/// A path into a tool's arguments, and the rule that follows it.
#[derive(Debug, Clone)]
pub(crate) struct ArgumentUse {
    pub(crate) tool: Arc<str>,
    pub(crate) path: Path,
    pub(crate) span: Span,
    pub(crate) pointer: Arc<str>,
    pub(crate) purpose: Purpose,
}

/// What following a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It must hold; a missing argument denies.
    MustHold,
    /// It selects; a missing argument means that the rule does not apply.
    Selects,
    /// It asks whether the argument is there.
    Presence,
    /// It is summed or shares a limit; a missing argument denies.
    Counts,
    /// It is recorded.
    Records,
}

/// A mapping whose keys have been checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'n> {
    pub(crate) node: &'n Node,
    pub(crate) pointer: &'n str,
}

impl Context<'_> {
    /// The fields of `node` by `table`; `None`, with a finding, where it is no mapping.
    pub(crate) fn fields<'n>(
        &mut self,
        node: &'n Node,
        pointer: &'n str,
        table: &'static Table,
    ) -> Option<Fields<'n>> {
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

    fn known_key(&mut self, entry: &Entry, pointer: &str, table: &'static Table) {
        if table.word(&entry.key).is_some() {
            if matches!(entry.value.value, Value::Null) && &*entry.key != "value" {
                self.findings
                    .error(
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
        self.findings
            .error(
                Code::UnknownKey,
                entry.key_span,
                &join(pointer, &entry.key),
                format!("`{}` is no key of {}", entry.key, table.called),
            )
            .hint(hint);
    }

    pub(crate) fn wrong_type(&mut self, node: &Node, pointer: &str, wanted: &str, hint: &str) {
        self.findings
            .error(
                Code::WrongType,
                node.span,
                pointer,
                format!("{wanted}, and this is {}", node.type_name()),
            )
            .hint(hint);
    }

    /// A rule is one more; whether there are still no more than may be is checked at the end.
    pub(crate) const fn count_rule(&mut self) {
        self.rules += 1;
    }

    /// The text of a key that takes a string; `None` where it is absent or, with a finding, no string.
    pub(crate) fn text<'n>(&mut self, fields: Fields<'n>, key: &str) -> Option<(&'n str, Span)> {
        let node = fields.value(key)?;
        match &node.value {
            Value::String(text) => Some((text, node.span)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
                let pointer = join(fields.pointer, key);
                self.findings
                    .error(
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

    /// A message for the agent, from `on_deny` or `reason`.
    pub(crate) fn message(&mut self, fields: Fields<'_>) -> Option<Arc<str>> {
        if let (Some(_), Some(reason)) = (fields.entry("on_deny"), fields.entry("reason")) {
            self.findings
                .error(
                    Code::Conflict,
                    reason.key_span,
                    fields.pointer,
                    "`on_deny` and `reason` say the same thing",
                )
                .hint("keep one of them");
        }
        let key = if fields.entry("on_deny").is_some() {
            "on_deny"
        } else {
            "reason"
        };
        let (text, span) = self.text(fields, key)?;
        if text.trim().is_empty() {
            self.findings
                .error(Code::Empty, span, fields.pointer, format!("`{key}` is empty"))
                .hint("say what the agent should do instead, or remove the key");
        }
        if text.len() > MESSAGE_BYTES_MAX {
            self.findings.error(
                Code::TooLong,
                span,
                fields.pointer,
                format!("`{key}` may have at most {MESSAGE_BYTES_MAX} bytes"),
            );
        }
        Some(text.into())
    }

    /// A name: not empty.
    pub(crate) fn name(&mut self, fields: Fields<'_>) -> Option<Arc<str>> {
        let (text, span) = self.text(fields, "name")?;
        if text.trim().is_empty() {
            self.findings
                .error(Code::Empty, span, fields.pointer, "`name` is empty")
                .hint("name the rule, or remove the key; its place then names it");
        }
        Some(text.into())
    }

    /// One of several words; with a finding where it is another.
    pub(crate) fn word<T: Copy>(&mut self, fields: Fields<'_>, key: &str, words: &[(&str, T)]) -> Option<T> {
        let (text, span) = self.text(fields, key)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = nearest(text, known.iter().copied()).map_or_else(
            || format!("it takes {}", known.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        self.findings
            .error(
                Code::UnknownWord,
                span,
                &join(fields.pointer, key),
                format!("`{key}` cannot be `{text}`"),
            )
            .hint(hint);
        None
    }

    /// `mode`, where it is there.
    pub(crate) fn mode(&mut self, fields: Fields<'_>) -> Option<Mode> {
        let mode = self.word(
            fields,
            "mode",
            &[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)],
        )?;
        if mode == Mode::Shadow
            && let Some(entry) = fields.entry("mode")
        {
            self.findings
                .warn(
                    Code::ShadowMode,
                    entry.value.span,
                    fields.pointer,
                    "shadow mode records what would be denied, and denies nothing",
                )
                .hint("use `mode: enforce`, or remove the key, to deny");
        }
        Some(mode)
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

    /// The items of a key that takes a list.
    pub(crate) fn list<'n>(&mut self, fields: Fields<'n>, key: &str) -> Vec<(&'n Node, String)> {
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
    pub(crate) fn value(self, key: &str) -> Option<&'n Node> {
        self.node
            .get(key)
            .filter(|node| !matches!(node.value, Value::Null))
    }

    pub(crate) fn entry(self, key: &str) -> Option<&'n Entry> {
        self.node.entry(key)
    }

    pub(crate) fn has(self, key: &str) -> bool {
        self.node.entry(key).is_some()
    }

    /// Where a finding about the whole mapping points.
    pub(crate) fn head(self) -> Span {
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
pub(crate) fn join(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn quoted(node: &Node) -> Option<String> {
    match &node.value {
        Value::Number(numeral) => Some(format!("write `\"{numeral}\"`")),
        Value::Bool(value) => Some(format!("write `\"{value}\"`")),
        Value::Null | Value::String(_) | Value::List(_) | Value::Map(_) => None,
    }
}
