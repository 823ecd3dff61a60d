//! What goes along while a policy is read: findings, what was compiled so far, and what several kinds of entries share.

use crate::bounds::MESSAGE_BYTES_MAX;
use crate::cel::Expressions;
use crate::diagnostic::{Code, Findings};
pub(super) use crate::fields::{Fields, join, numbered};
use crate::patterns::Room;
use crate::span::Span;
use crate::tree::Node;
use crate::vocabulary::Table;
use callgate_core::path::Path;
use callgate_core::program::Mode;
use std::collections::BTreeMap;
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
    /// Patterns that were compiled, each once: an alias repeats one as often as it likes.
    pub(crate) patterns: BTreeMap<String, regex::Regex>,
    /// What more of them may take.
    pub(crate) room_for_patterns: Room,
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

impl Context<'_> {
    /// A rule is one more; whether there are still no more than may be is checked at the end.
    pub(crate) const fn count_rule(&mut self) {
        self.rules += 1;
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

    /// As [`Findings::fields`].
    pub(crate) fn fields<'n>(
        &mut self,
        node: &'n Node,
        pointer: &'n str,
        table: &Table,
    ) -> Option<Fields<'n>> {
        self.findings.fields(node, pointer, table)
    }

    /// As [`Findings::wrong_type`].
    pub(crate) fn wrong_type(&mut self, node: &Node, pointer: &str, wanted: &str, hint: &str) {
        self.findings.wrong_type(node, pointer, wanted, hint);
    }

    /// As [`Findings::text`].
    pub(crate) fn text<'n>(&mut self, fields: Fields<'n>, key: &str) -> Option<(&'n str, Span)> {
        self.findings.text(fields, key)
    }

    /// As [`Findings::word`].
    pub(crate) fn word<T: Copy>(&mut self, fields: Fields<'_>, key: &str, words: &[(&str, T)]) -> Option<T> {
        self.findings.word(fields, key, words)
    }

    /// As [`Findings::listed`].
    pub(crate) fn listed<'n>(&mut self, fields: Fields<'n>, key: &str) -> Vec<(&'n Node, String)> {
        self.findings.listed(fields, key)
    }

    /// As [`Findings::list`].
    pub(crate) fn list<'n>(&mut self, fields: Fields<'n>, key: &str) -> Vec<(&'n Node, String)> {
        self.findings.list(fields, key)
    }
}
