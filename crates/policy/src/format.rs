//! A document in the one canonical spelling: YAML, keys in the order of the reference, comments kept.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is no full list or mapping is written on its line"
)]

use crate::load::Document;
use crate::read::resolves_to_string;
use crate::tree::{Entry, Node, Value};
use crate::vocabulary::{DOCUMENT, Takes};
use std::fmt::Write as _;

/// The widest list that is written on one line, in characters.
const LINE_CHARS_MAX: usize = 80;

/// Writes a document canonically. Reading it back gives the same document.
#[must_use]
pub fn format(document: &Document) -> String {
    let mut out = String::new();
    write(&mut out, &document.root, Some(&Takes::Table(&DOCUMENT)), 0);
    for comment in &document.trailing {
        comment_line(&mut out, comment, 0);
    }
    out
}

/// Writes a mapping or list as a block, or anything else as a line of its own.
fn write(out: &mut String, node: &Node, takes: Option<&Takes>, indent: usize) {
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            for entry in ordered(entries, takes) {
                write_entry(out, entry, takes, indent, Lead::Indent);
            }
        }
        Value::List(items) if !items.is_empty() => write_items(out, items, takes, indent),
        _ => {
            pad(out, indent);
            inline(out, node);
            beside(out, node);
            out.push('\n');
        }
    }
}

/// What stands before the first entry of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// The indent.
    Indent,
    /// The dash of a list, already written.
    Dash,
}

fn write_entry(out: &mut String, entry: &Entry, takes: Option<&Takes>, indent: usize, lead: Lead) {
    if lead == Lead::Indent {
        for comment in &entry.value.above {
            comment_line(out, comment, indent);
        }
        pad(out, indent);
    }
    scalar(out, &entry.key);
    out.push(':');
    let inner = member(takes, &entry.key);
    match &entry.value.value {
        Value::Map(entries) if !entries.is_empty() => {
            beside(out, &entry.value);
            out.push('\n');
            write(out, &entry.value, inner, indent + 2);
        }
        Value::List(items) if !items.is_empty() && !fits_line(items) => {
            beside(out, &entry.value);
            out.push('\n');
            write(out, &entry.value, inner, indent + 2);
        }
        _ => {
            out.push(' ');
            inline(out, &entry.value);
            beside(out, &entry.value);
            out.push('\n');
        }
    }
}

fn write_items(out: &mut String, items: &[Node], takes: Option<&Takes>, indent: usize) {
    let inner = element(takes);
    for item in items {
        for comment in &item.above {
            comment_line(out, comment, indent);
        }
        let block = matches!(&item.value, Value::Map(entries) if !entries.is_empty())
            || matches!(&item.value, Value::List(inside) if !inside.is_empty() && !fits_line(inside));
        if let (true, Some(comment)) = (block, &item.beside) {
            comment_line(out, comment, indent);
        }
        match &item.value {
            Value::Map(entries) if !entries.is_empty() => {
                for (index, entry) in ordered(entries, inner).into_iter().enumerate() {
                    if index == 0 {
                        // Nothing fits between the dash and the first key.
                        for comment in &entry.value.above {
                            comment_line(out, comment, indent);
                        }
                        pad(out, indent);
                        out.push_str("- ");
                        write_entry(out, entry, inner, indent + 2, Lead::Dash);
                    } else {
                        write_entry(out, entry, inner, indent + 2, Lead::Indent);
                    }
                }
            }
            Value::List(inside) if !inside.is_empty() && !fits_line(inside) => {
                pad(out, indent);
                out.push_str("-\n");
                write(out, item, inner, indent + 2);
            }
            _ => {
                pad(out, indent);
                out.push_str("- ");
                inline(out, item);
                beside(out, item);
                out.push('\n');
            }
        }
    }
}

/// The entries by the order of their table; those without one keep their own.
fn ordered<'e>(entries: &'e [Entry], takes: Option<&Takes>) -> Vec<&'e Entry> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    if let Some(Takes::Table(table)) = pick(takes, |takes| matches!(takes, Takes::Table(_))) {
        sorted.sort_by_key(|entry| table.keys.iter().position(|word| word.key == &*entry.key));
    }
    sorted
}

/// The one of several forms that `wanted` names.
fn pick(takes: Option<&Takes>, wanted: fn(&Takes) -> bool) -> Option<&Takes> {
    match takes? {
        Takes::OneOf(forms) => forms.iter().find(|form| wanted(form)),
        takes => wanted(takes).then_some(takes),
    }
}

fn member(takes: Option<&Takes>, key: &str) -> Option<&'static Takes> {
    match pick(takes, |takes| matches!(takes, Takes::Table(_) | Takes::Named(_)))? {
        Takes::Table(table) => table.word(key).map(|word| &word.takes),
        Takes::Named(inner) => Some(inner),
        _ => None,
    }
}

fn element(takes: Option<&Takes>) -> Option<&'static Takes> {
    match pick(takes, |takes| matches!(takes, Takes::List(_)))? {
        Takes::List(inner) => Some(inner),
        _ => None,
    }
}

/// Whether a list is short and plain enough for one line.
fn fits_line(items: &[Node]) -> bool {
    let plain = items.iter().all(|item| {
        item.above.is_empty()
            && item.beside.is_none()
            && !matches!(item.value, Value::List(_) | Value::Map(_))
    });
    plain && {
        let mut line = String::new();
        for item in items {
            inline(&mut line, item);
            line.push_str(", ");
        }
        line.chars().count() <= LINE_CHARS_MAX
    }
}

/// Writes a value inside a line.
fn inline(out: &mut String, node: &Node) {
    match &node.value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(numeral) => out.push_str(numeral),
        Value::String(text) => scalar(out, text),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                inline(out, item);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (index, entry) in entries.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { " " });
                scalar(out, &entry.key);
                out.push_str(": ");
                inline(out, &entry.value);
            }
            out.push_str(if entries.is_empty() { "}" } else { " }" });
        }
    }
}

/// Writes a string, in quotes where YAML could read it as anything else.
fn scalar(out: &mut String, text: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ');
    let bare = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && !text.ends_with(' ')
        && text.len() <= LINE_CHARS_MAX * 4
        && text.chars().all(plain)
        && resolves_to_string(text);
    if bare {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if needs_escape(c) => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Characters that YAML does not print, takes for line breaks, or that turn text round.
fn needs_escape(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

fn comment_line(out: &mut String, comment: &str, indent: usize) {
    pad(out, indent);
    out.push('#');
    out.push_str(comment.trim_end());
    out.push('\n');
}

fn beside(out: &mut String, node: &Node) {
    if let Some(comment) = &node.beside {
        out.push_str(" #");
        out.push_str(comment.trim_end());
    }
}

fn pad(out: &mut String, indent: usize) {
    for _ in 0..indent {
        out.push(' ');
    }
}
