//! Text to tree: YAML 1.2 (core schema) or JSON, strictly.

mod json;
mod scalar;
mod yaml;

pub(crate) use scalar::resolves_to_string;

use crate::bounds::{DOCUMENT_BYTES_MAX, NESTING_MAX};
use crate::diagnostic::{Code, Findings};
use crate::span::{Lines, Span};
use crate::tree::Node;

/// A tree, and the comments below it.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) root: Node,
    pub(crate) trailing: Vec<Box<str>>,
}

/// What a document is, in the words of findings about the whole of it.
#[derive(Debug, Clone, Copy)]
pub struct Genre {
    /// What it is called: "policy".
    pub called: &'static str,
    /// How one begins, for an empty text.
    pub begin: &'static str,
    /// What to do about one that is too large.
    pub split: &'static str,
    /// What to do instead of repeating a value by aliases.
    pub repeat: &'static str,
}

/// Reads a text; `None` where it is no document at all. Errors may also stand beside a tree.
pub(crate) fn read(text: &str, genre: &Genre, findings: &mut Findings) -> Option<Read> {
    if text.len() > DOCUMENT_BYTES_MAX {
        findings
            .error(
                Code::TooLarge,
                Span {
                    line: 1,
                    column: 1,
                    ..Span::default()
                },
                "",
                format!(
                    "the {} has {} bytes; at most {DOCUMENT_BYTES_MAX} are read",
                    genre.called,
                    text.len()
                ),
            )
            .hint(genre.split);
        return None;
    }
    let lines = Lines::new(text);
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let base = text.len() - body.len();
    if body.trim_start().starts_with('{') {
        match json::read(body, base, &lines) {
            Ok(root) => {
                return Some(Read {
                    root,
                    trailing: Vec::new(),
                });
            }
            // What does not even look like JSON's first key is YAML in braces.
            Err(fault) if looks_like_json(body) => {
                findings
                    .error(fault.code, fault.span, "", fault.message)
                    .maybe(fault.hint);
                return None;
            }
            Err(_) => {}
        }
    }
    yaml::read(body, base, &lines, genre, findings)
}

fn looks_like_json(body: &str) -> bool {
    let inside = body.trim_start().trim_start_matches('{').trim_start();
    inside.starts_with('"') && !body.contains('#')
}

/// Whether one more level may open above `depth` open ones.
const fn may_nest(depth: usize) -> bool {
    depth < NESTING_MAX
}
