//! A configuration as a tree whose nodes know their places in the text, so that a change touches nothing else.

mod jsonc;
mod toml;

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::Path;

/// How deep values may nest.
const DEPTH_MAX: usize = 128;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// JSON, with comments and trailing commas.
    Json,
    Toml,
}

impl Format {
    /// That of a file, by its name.
    pub(super) fn of(path: &Path) -> Self {
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
        {
            Self::Toml
        } else {
            Self::Json
        }
    }
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
pub(crate) struct Fault {
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

    /// The value of a member.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.member(name).map(|member| &member.value)
    }

    /// The items of a list, none of any other value.
    pub(super) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            Kind::Text(_) | Kind::Table(..) | Kind::Flag(_) | Kind::Other => &[],
        }
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
        let mut seen = BTreeSet::new();
        self.members()
            .iter()
            .find(|member| !seen.insert(member.name.as_str()))
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

/// So many bytes lie between two marks.
const MARK_BYTES: usize = 1024;

/// Finds lines and columns in a text. A long line costs no more than a short one: who has written the text may be
/// nobody's friend.
#[derive(Debug)]
pub(super) struct Places<'t> {
    text: &'t str,
    /// Bytes some way apart, each with its line and column.
    marks: Vec<(usize, usize, usize)>,
}

impl<'t> Places<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let mut marks = Vec::new();
        let (mut line, mut column) = (1_usize, 1_usize);
        for (at, c) in text.char_indices() {
            if marks
                .last()
                .is_none_or(|(last, _, _)| at.saturating_sub(*last) >= MARK_BYTES)
            {
                marks.push((at, line, column));
            }
            (line, column) = after(c, line, column);
        }
        Self { text, marks }
    }

    /// The line and the column of a byte, both from 1, the column in characters.
    pub(super) fn at(&self, at: usize) -> (usize, usize) {
        let next = self.marks.partition_point(|(mark, _, _)| *mark <= at);
        let mark = next.checked_sub(1).and_then(|last| self.marks.get(last));
        let (mark, line, column) = mark.copied().unwrap_or((0, 1, 1));
        let between = self.text.get(mark..at).unwrap_or_default();
        between
            .chars()
            .fold((line, column), |(line, column), c| after(c, line, column))
    }
}

fn after(c: char, line: usize, column: usize) -> (usize, usize) {
    match c {
        '\n' => (line.saturating_add(1), 1),
        _ => (line, column.saturating_add(1)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_that_of_its_character_however_long_its_line_is() {
        let text = format!("é\n{}\n\r\n{}x", "ü".repeat(3_000), "a\n".repeat(900));
        let places = Places::of(&text);
        for (at, _) in text.char_indices().step_by(7).chain([(text.len(), ' ')]) {
            let wanted = fault(&text, at, "");
            assert_eq!(places.at(at), (wanted.line, wanted.column), "{at}");
        }
        assert_eq!(Places::of("").at(0), (1, 1));
    }

    #[test]
    fn a_key_that_stands_twice_is_found_where_it_stands_again() {
        let text = r#"{"a": 1, "b": [{"c": 1, "d": 2, "c": 3}]}"#;
        let root = read(Format::Json, text).unwrap();
        assert_eq!(root.twice(), None);
        let again = root.twice_below().unwrap();
        assert_eq!((again.name.as_str(), again.key.start), ("c", 32));
    }
}
