//! What entries of all kinds share: the subject they are about, their label.

use super::context::{Context, Fields};
use callgate_core::name::RuleId;
use callgate_core::program::{Label, Mode};
use std::sync::Arc;

/// What rules are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A tool by its name.
    Tool(Arc<str>),
    /// Tools by a glob.
    Glob(Arc<str>),
    /// Every tool.
    Everywhere,
    /// A method, or methods by a glob.
    Method(Arc<str>),
}

impl Subject {
    /// The tool's part of the keys of its limits.
    pub(crate) fn key(&self) -> Arc<str> {
        match self {
            Self::Tool(name) | Self::Glob(name) => Arc::clone(name),
            Self::Everywhere => "*".into(),
            Self::Method(name) => format!("methods/{name}").into(),
        }
    }
}

impl Context<'_> {
    /// The label of an entry, whose keys are `name`, `mode`, `on_deny` and `reason`.
    pub(crate) fn label(&mut self, fields: Fields<'_>, outer: Mode) -> Label {
        Label {
            id: RuleId::new(fields.pointer),
            name: self.name(fields),
            on_deny: self.message(fields),
            mode: self.mode(fields).unwrap_or(outer),
        }
    }
}
