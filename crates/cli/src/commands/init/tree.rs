//! A configuration as a tree whose nodes know their places in the text, so that a change touches nothing else.

mod jsonc;
mod toml;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// How deep values may nest.
const DEPTH_MAX: usize = 128;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// JSON, with comments and trailing commas.
    Json,
    Toml,
}

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Text(String),
    List(Vec<Node>),
    Table(Shape, Vec<Member>),
    Flag(bool),
    /// A number, a date, or null.
    Other,
}

/// How a table's members are set apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Within braces, by commas.
    Braced,
    /// By lines, as under a `[header]` of TOML.
    Lines,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) key: Range<usize>,
    pub(super) value: Node,
}

/// Why a text cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) what: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}

impl std::error::Error for Fault {}

/// Reads a configuration.
///
/// # Errors
/// [`Fault`] where it is not of this format.
pub(super) fn read(format: Format, text: &str) -> Result<Node, Fault> {
    match format {
        Format::Json => jsonc::read(text),
        Format::Toml => toml::read(text),
    }
}

/// A fault at a byte of a text.
fn fault(text: &str, at: usize, what: &'static str) -> Fault {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let last = before.rsplit('\n').next().unwrap_or_default();
    Fault {
        line,
        column: last.chars().count().saturating_add(1),
        what,
    }
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::List(_) | Kind::Table(..) | Kind::Flag(_) | Kind::Other => None,
        }
    }

    /// The members of a table, none of any other value.
    pub(super) fn members(&self) -> &[Member] {
        match &self.kind {
            Kind::Table(_, members) => members,
            Kind::Text(_) | Kind::List(_) | Kind::Flag(_) | Kind::Other => &[],
        }
    }

    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        self.members().iter().find(|member| member.name == name)
    }

    /// The value that a path of keys leads to.
    pub(super) fn at(&self, path: &[String]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |node, name| Some(&node.member(name)?.value))
    }

    /// What it says in a text, the same however it is laid out and ordered.
    pub(super) fn says(&self, text: &str) -> String {
        match &self.kind {
            Kind::Text(text) => literal(text),
            Kind::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.says(text)).collect();
                format!("[{}]", items.join(","))
            }
            Kind::Table(_, members) => {
                let member =
                    |member: &Member| format!("{}:{}", literal(&member.name), member.value.says(text));
                let mut members: Vec<String> = members.iter().map(member).collect();
                members.sort();
                format!("{{{}}}", members.join(","))
            }
            Kind::Flag(flag) => flag.to_string(),
            Kind::Other => text.get(self.span.clone()).unwrap_or_default().to_owned(),
        }
    }

    /// A key that stands twice in this table, where two readers could take different values.
    pub(super) fn twice(&self) -> Option<&Member> {
        let members = self.members();
        members.iter().enumerate().find_map(|(index, member)| {
            members
                .iter()
                .take(index)
                .any(|other| other.name == member.name)
                .then_some(member)
        })
    }

    /// As [`Self::twice`], in this table and all below it.
    pub(super) fn twice_below(&self) -> Option<&Member> {
        let nested = match &self.kind {
            Kind::Table(_, members) => members.iter().find_map(|member| member.value.twice_below()),
            Kind::List(items) => items.iter().find_map(Self::twice_below),
            Kind::Text(_) | Kind::Flag(_) | Kind::Other => None,
        };
        self.twice().or(nested)
    }
}

/// The line of a byte of a text.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    fault(text, at, "").line
}

/// A text as a literal, which is the same in JSON and in TOML.
pub(super) fn literal(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    // TOML wants it escaped (TOML 1.0, "String").
    json.replace('\u{7f}', "\\u007f")
}

/// What stands between a key and its value.
pub(super) const fn between(format: Format) -> &'static str {
    match format {
        Format::Json => ": ",
        Format::Toml => " = ",
    }
}

/// A key as it is written where it has letters, digits and `_` alone.
pub(super) fn bare_key(format: Format, name: &str) -> String {
    match format {
        Format::Json => literal(name),
        Format::Toml => name.to_owned(),
    }
}
