//! Changes of a text, each of which can be found again and taken back, whatever else has changed since.

use crate::commands::tree::{Node, Shape};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A place in an entry, by its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum At {
    /// Where the key begins.
    Key,
    /// Where the value begins.
    Value,
    /// Behind the bracket or brace that opens the value.
    Inside,
}

/// One change of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Edit {
    /// The keys below the entry, as they are once it is changed.
    pub(crate) path: Vec<String>,
    pub(crate) at: At,
    /// What stood there.
    pub(crate) was: String,
    /// What stands there since.
    pub(crate) is: String,
}

/// A change, and where it is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) start: usize,
    pub(crate) edit: Edit,
}

/// Puts other texts in place of some. `None` where they overlap or lie outside.
pub(crate) fn replace(text: &str, changes: &[(Range<usize>, &str)]) -> Option<String> {
    let mut changes: Vec<_> = changes.to_vec();
    // What is put in comes before what stands there.
    changes.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::new();
    let mut at = 0;
    for (range, new) in changes {
        out.push_str(text.get(at..range.start)?);
        out.push_str(new);
        at = range.end;
    }
    out.push_str(text.get(at..)?);
    Some(out)
}

/// Makes changes.
pub(crate) fn apply(text: &str, placed: &[Placed]) -> Option<String> {
    let changes: Vec<_> = placed
        .iter()
        .map(|placed| {
            let end = placed.start.saturating_add(placed.edit.was.len());
            (placed.start..end, placed.edit.is.as_str())
        })
        .collect();
    replace(text, &changes)
}

/// Where what an entry's changes have put there stands, each with what stood there before. `None` where one of them
/// is not as it was made.
pub(crate) fn found<'e>(text: &str, entry: &Node, edits: &'e [Edit]) -> Option<Vec<(Range<usize>, &'e str)>> {
    let place = |edit: &'e Edit| {
        let (last, above) = edit.path.split_last()?;
        let member = entry.at(above)?.member(last)?;
        let start = match edit.at {
            At::Key => member.key.start,
            At::Value => member.value.span.start,
            At::Inside => member.value.span.start.checked_add(1)?,
        };
        let end = start.checked_add(edit.is.len())?;
        (text.get(start..end)? == edit.is).then_some((start..end, edit.was.as_str()))
    };
    edits.iter().map(place).collect()
}

/// The end of lines in a text.
pub(crate) fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// What stands between the beginning of a line and a place on it.
pub(crate) fn line_start(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    let before = before.rsplit('\n').next().unwrap_or_default();
    before.strip_prefix('\u{feff}').unwrap_or(before)
}

/// What sets one more member apart from the one whose key stands at `key`: as its neighbours are.
pub(crate) fn separator(text: &str, shape: Shape, key: usize) -> String {
    let start = line_start(text, key);
    match shape {
        // With what stands before a dotted key.
        Shape::Lines => format!("{}{start}", newline(text)),
        Shape::Braced if start.trim().is_empty() => format!(",{}{start}", newline(text)),
        Shape::Braced => ", ".to_owned(),
    }
}

/// Items put before the first one of a list or a table in braces, laid out as that one is.
pub(crate) fn before_first(text: &str, open: usize, first: Option<usize>, items: &[String]) -> String {
    let Some(first) = first else {
        return items.join(", ");
    };
    let inside = open.saturating_add(1);
    let gap = text.get(inside..first).unwrap_or_default();
    let start = line_start(text, first);
    let space = if gap.trim().is_empty() {
        gap.to_owned()
    } else if start.trim().is_empty() {
        // A comment stands between; it stays where it is, before what was the first.
        format!("{}{start}", newline(text))
    } else {
        String::new()
    };
    if space.contains('\n') {
        return items.iter().map(|item| format!("{space}{item},")).collect();
    }
    let end = if gap.starts_with(char::is_whitespace) {
        ","
    } else {
        ", "
    };
    format!("{space}{}{end}", items.join(", "))
}
