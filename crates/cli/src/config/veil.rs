//! What of a configuration's text may be shown: findings quote the line that they are about, and lines hold secrets.
//!
//! What the format knows to be harmless is shown: keys, names, addresses, paths. What can hold a secret, and
//! whatever stands where it is not expected, is not, and neither is the rest of its line, such as a comment. Of
//! a text that could not be read, only the keys at the beginning of lines are shown.

use super::vocabulary::CONFIG;
use crate::reference::{Part, is_variable, parts};
use callgate_policy::Span;
use callgate_policy::document::{Table, Takes};
use callgate_policy::tree::{Entry, Node, Value};
use std::ops::Range;

/// Which characters of a text are hidden.
#[derive(Debug)]
pub(super) struct Veil(Vec<Range<usize>>);

/// What stands between values, and tells nothing of them.
const STRUCTURE: [char; 8] = ['{', '}', '[', ']', ',', ':', '"', '\''];

impl Veil {
    /// The veil of a text that was read.
    pub(super) fn of(text: &str, root: &Node) -> Self {
        let mut finder = Finder {
            text,
            shown: Vec::new(),
            hidden: Vec::new(),
        };
        finder.table(root, &CONFIG);
        let touched = touched_lines(text, &finder.hidden);
        let (shown, hidden) = (merged(finder.shown), merged(finder.hidden));
        Self::over(text, touched, |at, c| {
            !holds(&hidden, at) && (is_structure(c) || holds(&shown, at))
        })
    }

    /// The veil of a text that could not be read.
    pub(super) fn of_unread(text: &str) -> Self {
        let mut start = 0_usize;
        let mut keys = Vec::new();
        for line in text.split_inclusive('\n') {
            keys.push(start..start.saturating_add(key_length(line)));
            start = start.saturating_add(line.len());
        }
        Self::over(text, std::iter::once(0..text.len()).collect(), |at, c| {
            is_structure(c) || holds(&keys, at)
        })
    }

    /// Whether the character at this offset is hidden.
    pub(super) fn hides(&self, at: usize) -> bool {
        holds(&self.0, at)
    }

    /// Hides all of these lines but what `is_shown`.
    fn over(text: &str, lines: Vec<Range<usize>>, is_shown: impl Fn(usize, char) -> bool) -> Self {
        let mut hidden = Vec::new();
        for line in lines {
            let start = line.start;
            for (at, c) in text.get(line).unwrap_or_default().char_indices() {
                let at = start.saturating_add(at);
                if c != '\n' && !is_shown(at, c) {
                    hidden.push(at..at.saturating_add(c.len_utf8()));
                }
            }
        }
        Self(merged(hidden))
    }
}

fn is_structure(c: char) -> bool {
    c.is_whitespace() || STRUCTURE.contains(&c)
}

/// Whether one of these ranges, in order and apart, holds the offset.
fn holds(ranges: &[Range<usize>], at: usize) -> bool {
    let next = ranges.partition_point(|range| range.end <= at);
    ranges.get(next).is_some_and(|range| range.contains(&at))
}

/// The same ranges in order, with none that touch.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut out: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            Some(_) | None => out.push(range),
        }
    }
    out
}

/// The whole lines on which any of these ranges stands.
fn touched_lines(text: &str, ranges: &[Range<usize>]) -> Vec<Range<usize>> {
    let line = |range: &Range<usize>| {
        let start = text.get(..range.start).and_then(|before| before.rfind('\n'));
        let end = text.get(range.end..).and_then(|rest| rest.find('\n'));
        start.map_or(0, |at| at.saturating_add(1))..end.map_or(text.len(), |at| range.end.saturating_add(at))
    };
    merged(ranges.iter().map(line).collect())
}

/// How much of a line is its indentation and a key.
fn key_length(line: &str) -> usize {
    let key = line.trim_start_matches([' ', '-', '{', '"', '\'']);
    let length = key
        .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.'))
        .unwrap_or(key.len());
    let (name, rest) = key.split_at_checked(length).unwrap_or_default();
    let rest = rest.trim_start_matches(['"', '\'', ' ']);
    let is_key = rest
        .strip_prefix(':')
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
    if is_key {
        line.len() - key.len() + name.len()
    } else {
        0
    }
}

/// Finds what is harmless and what is not.
struct Finder<'t> {
    text: &'t str,
    shown: Vec<Range<usize>>,
    hidden: Vec<Range<usize>>,
}

impl Finder<'_> {
    fn show(&mut self, span: Span) {
        self.shown.push(span.start..span.end);
    }

    fn hide(&mut self, span: Span) {
        self.hidden.push(span.start..span.end);
    }

    /// Hides all that a value holds, brackets and commas left out.
    fn hide_all(&mut self, node: &Node) {
        match &node.value {
            Value::List(items) => items.iter().for_each(|item| self.hide_all(item)),
            Value::Map(entries) => {
                for entry in entries {
                    self.hide(entry.key_span);
                    self.hide_all(&entry.value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => self.hide(node.span),
        }
    }

    fn table(&mut self, node: &Node, table: &Table) {
        let Value::Map(entries) = &node.value else {
            return self.hide_all(node);
        };
        for entry in entries {
            self.show(entry.key_span);
            match (table.word(&entry.key), &*entry.key) {
                (Some(_), "env" | "headers") => self.secrets(&entry.value),
                (Some(_), "client_secret" | "token") => self.secret(entry),
                (Some(_), "command") => self.command(&entry.value),
                (Some(_), "url" | "issuer" | "jwks" | "client_metadata" | "endpoint") => {
                    self.url(&entry.value)
                }
                (Some(word), _) => self.value(&entry.value, &word.takes),
                (None, _) => self.hide_all(&entry.value),
            }
        }
    }

    fn value(&mut self, node: &Node, takes: &Takes) {
        match (takes, &node.value) {
            (Takes::Table(table), _) => self.table(node, table),
            (Takes::NamedLike(_, inner), Value::Map(entries)) => {
                for entry in entries {
                    self.show(entry.key_span);
                    self.value(&entry.value, inner);
                }
            }
            (Takes::List(inner), Value::List(items)) => {
                for item in items {
                    self.value(item, inner);
                }
            }
            (_, Value::List(_) | Value::Map(_)) => self.hide_all(node),
            (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => self.show(node.span),
        }
    }

    /// Variables or headers: their names are shown, and where values are taken from.
    fn secrets(&mut self, node: &Node) {
        let Value::Map(entries) = &node.value else {
            return self.hide_all(node);
        };
        for entry in entries {
            self.secret(entry);
        }
    }

    fn secret(&mut self, entry: &Entry) {
        // What has no value, or is no name, may be the secret itself.
        let is_name = is_variable(&entry.key.replace('-', "_"));
        if is_name && !matches!(entry.value.value, Value::Null) {
            self.show(entry.key_span);
        } else {
            self.hide(entry.key_span);
        }
        let span = entry.value.span;
        let Some((text, start)) = entry
            .value
            .text()
            .and_then(|text| verbatim(self.text, span, text))
        else {
            return self.hide_all(&entry.value);
        };
        for (part, range) in parts(text) {
            let range = start.saturating_add(range.start)..start.saturating_add(range.end);
            match part {
                Part::Env(_) | Part::File(_) => self.shown.push(range),
                Part::Text(_) | Part::Unclosed | Part::Unknown(_) => self.hidden.push(range),
            }
        }
    }

    /// The program is shown; arguments may hold secrets.
    fn command(&mut self, node: &Node) {
        match &node.value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    match (index, item.text()) {
                        (0, Some(text)) if !text.contains(char::is_whitespace) => self.show(item.span),
                        _ => self.hide_all(item),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Map(_) => {
                self.hide_all(node);
            }
        }
    }

    /// A URL is shown without its user, password, query and fragment.
    fn url(&mut self, node: &Node) {
        let span = node.span;
        let Some((text, start)) = node.text().and_then(|text| verbatim(self.text, span, text)) else {
            return self.hide_all(node);
        };
        let is_scheme = |scheme: &str| scheme.bytes().all(|byte| byte.is_ascii_alphabetic());
        let Some((scheme, _)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
            return self.hide_all(node);
        };
        let scheme = scheme.len().saturating_add(3);
        let user = text.rfind('@').map_or(scheme, |at| at.max(scheme));
        let rest = text.get(user..).unwrap_or_default();
        let query = rest
            .find(['?', '#'])
            .map_or(text.len(), |at| user.saturating_add(at));
        let offset = |at: usize| start.saturating_add(at);
        self.show(span);
        self.hidden.push(offset(scheme)..offset(user));
        self.hidden.push(offset(query)..offset(text.len()));
    }
}

/// The text as it stands in the file, and where it begins there; `None` where it is spelled otherwise.
pub(super) fn verbatim<'v>(source: &str, span: Span, text: &'v str) -> Option<(&'v str, usize)> {
    let raw = source.get(span.start..span.end)?;
    let quotes = usize::from(raw.starts_with(['"', '\'']));
    let inside = raw.get(quotes..)?;
    inside
        .starts_with(text)
        .then_some((text, span.start.saturating_add(quotes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use callgate_policy::read_document;

    fn veiled(text: &str) -> String {
        let veil = match read_document(text, &super::super::vocabulary::CONFIGURATION) {
            Ok(document) => Veil::of(text, &document.root),
            Err(_) => Veil::of_unread(text),
        };
        text.char_indices()
            .map(|(at, c)| if veil.hides(at) { '*' } else { c })
            .collect()
    }

    #[test]
    fn what_may_hold_a_secret_is_hidden_and_the_rest_is_not() {
        let text = r#"version: 1 # one
listen: 127.0.0.1:8700
servers:
  one: # the first
    command: [npx, -y, "--token=s3cret"] # s3cret
    env: {PATH: "${env:PATH}", KEY: s3cret, PIN: 1234, s3cret, "s3 cret": x, B: "a${s3cret}b${env:C}"}
    dir: /srv/one
    shraed: s3cret
  two:
    url: https://me:s3cret@host/mcp?key=s3cret
    headers:
      Authorization: Bearer s3cret
      X: |
        s3cret
        s3cret
  three:
    command: npx s3cret
    env: s3cret
    headers: [s3cret, {s3cret: s3cret}]
policies: {a: a.yaml, b: {s3cret: s3cret}}
"#;
        insta::assert_snapshot!(veiled(text));
    }

    #[test]
    fn of_what_cannot_be_read_only_keys_are_shown() {
        let text = r#"servers:
  one:
    headers: {Authorization: "Bearer s3cret}
    env:
      KEY: s3cret
      - s3cret
      s3cret
      "KEY" : 's3cret'
      s3cret:s3cret
"#;
        insta::assert_snapshot!(veiled(text));
        insta::assert_snapshot!(
            "json",
            veiled(r#"{"servers": {"one": {"env": {"A": "s3cret"}, "env": {}}}}"#)
        );
    }
}
