//! `path_under`: whether a path, made plain, lies at or below a folder.

use super::Polarity;
use std::sync::Arc;

/// Whether `path` is one of `roots` or below it. Only roots of the same kind, absolute or relative, are
/// asked.
///
/// Where the condition selects, case does not matter: on many file systems it does not, and a folder that
/// is denied must not be reached by another spelling.
///
/// # Errors
/// What makes the path mean different things to different programs, worded for the agent.
pub(crate) fn is_under(path: &str, roots: &[Arc<str>], polarity: Polarity) -> Result<bool, &'static str> {
    let path = Plain::read(path)?;
    let mut asked = false;
    for root in roots {
        let root = Plain::read(root)?;
        if root.absolute != path.absolute {
            continue;
        }
        asked = true;
        if path.is_at_or_below(&root, polarity) {
            return Ok(true);
        }
    }
    match (asked || roots.is_empty(), path.absolute) {
        (true, _) => Ok(false),
        (false, true) => Err("it is absolute, and only relative folders are named"),
        (false, false) => Err("it is relative, and depends on a folder that is not known"),
    }
}

struct Plain<'t> {
    absolute: bool,
    parts: Vec<&'t str>,
}

impl<'t> Plain<'t> {
    fn read(text: &'t str) -> Result<Self, &'static str> {
        refuse_ambiguous(text)?;
        let absolute = text.starts_with('/');
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    if parts.pop().is_none() {
                        return Err("`..` leads above where it starts");
                    }
                }
                part if is_odd(part) => {
                    return Err("a part of it is made of dots or ends with a dot or space");
                }
                part => parts.push(part),
            }
        }
        Ok(Self { absolute, parts })
    }

    fn is_at_or_below(&self, root: &Self, polarity: Polarity) -> bool {
        self.parts.len() >= root.parts.len()
            && self
                .parts
                .iter()
                .zip(&root.parts)
                .all(|(part, wanted)| match polarity {
                    Polarity::MustHold => part == wanted,
                    Polarity::Selects => part == wanted || part.to_lowercase() == wanted.to_lowercase(),
                })
    }
}

fn refuse_ambiguous(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.chars().any(char::is_control) {
        return Err("it holds a control character");
    }
    if text.contains('\\') {
        return Err("it holds a backslash");
    }
    if has_percent_encoding(text) {
        return Err("it holds percent-encoding");
    }
    // Normalisation (Unicode TR15, compatibility forms) turns these into `/` and `.`.
    if text.contains([
        '\u{2024}', '\u{2025}', '\u{2026}', '\u{ff0e}', '\u{ff0f}', '\u{2044}', '\u{2215}', '\u{fe52}',
    ]) {
        return Err("it holds a character that looks like a dot or a slash");
    }
    if text.trim() != text {
        return Err("it begins or ends with white space");
    }
    if text.starts_with("//") {
        return Err("it begins with two slashes");
    }
    if text.starts_with('~') {
        return Err("it begins with a tilde");
    }
    let first = text.split('/').next().unwrap_or(text);
    if first.contains(':') {
        return Err("it begins with a drive or a scheme");
    }
    Ok(())
}

/// Parts that one system takes as a name and another as `.` or `..`, such as `...`, `.. ` and `..;x`.
fn is_odd(part: &str) -> bool {
    let dots_only = part.chars().all(|c| c == '.' || c.is_whitespace());
    let after_dots = part.strip_prefix("..").unwrap_or("");
    dots_only || part.ends_with(['.', ' ']) || after_dots.starts_with([';', ' ', ':'])
}

pub(super) fn has_percent_encoding(text: &str) -> bool {
    text.as_bytes()
        .windows(3)
        .any(|w| matches!(w, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}
