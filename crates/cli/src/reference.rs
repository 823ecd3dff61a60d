//! Texts in which `${env:NAME}` and `${file:PATH}` stand for secrets.

use std::ffi::OsString;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The most bytes of a file that stands for a secret: 64 KiB.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// How a reference is written, for whoever wrote it otherwise.
pub(crate) const FORMS: &str = "write `${env:NAME}` or `${file:PATH}`";

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    /// It stands for itself.
    Text(&'t str),
    /// It stands for the value of a variable.
    Env(&'t str),
    /// It stands for what a file holds.
    File(&'t str),
    /// A `${` without its `}`.
    Unclosed,
    /// A `${…}` that is neither; what stands before its colon.
    Unknown(&'t str),
}

/// The pieces of a text in order, each with its place.
pub(crate) fn parts(text: &str) -> Vec<(Part<'_>, Range<usize>)> {
    let mut parts = Vec::new();
    let mut at = 0_usize;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let (part, length) = match rest.find("${") {
            Some(0) => reference(rest),
            Some(start) => (Part::Text(rest.get(..start).unwrap_or(rest)), start),
            None => (Part::Text(rest), rest.len()),
        };
        let end = at.saturating_add(length);
        parts.push((part, at..end));
        at = end;
    }
    parts
}

/// The reference at the beginning of a text, and its length.
fn reference(text: &str) -> (Part<'_>, usize) {
    let inside = text.get(2..).and_then(|rest| rest.split_once('}'));
    let Some((inside, _)) = inside else {
        return (Part::Unclosed, text.len());
    };
    let part = match inside.split_once(':') {
        Some(("env", name)) if is_variable(name) => Part::Env(name),
        Some(("file", path)) if !path.is_empty() && !path.contains('\0') => Part::File(path),
        Some((kind, _)) => Part::Unknown(kind),
        None => Part::Unknown(""),
    };
    (part, inside.len().saturating_add(3))
}

/// Whether a text can be the name of an environment variable (POSIX, "Environment Variable Definition").
pub(crate) fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Why a reference leads nowhere. None of it tells a value.
#[derive(Debug)]
pub(crate) enum Unresolved {
    /// No such variable, or one whose value is no text.
    Variable(String),
    /// A file that cannot be read.
    File(PathBuf, std::io::Error),
    /// A file that is too large to be a secret.
    TooLarge(PathBuf),
    /// A file that is no text.
    NotText(PathBuf),
}

impl std::fmt::Display for Unresolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the environment variable {name} is not set, or is no text"),
            Self::File(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::TooLarge(path) => write!(
                f,
                "{} has more than the {SECRET_BYTES_MAX} bytes that are read of a secret",
                path.display()
            ),
            Self::NotText(path) => write!(f, "{} is not UTF-8 text", path.display()),
        }
    }
}

impl std::error::Error for Unresolved {}

/// Where environment variables come from.
pub(crate) type Variables<'v> = &'v dyn Fn(&str) -> Option<OsString>;

/// The value of a variable.
pub(crate) fn variable(name: &str, variables: Variables<'_>) -> Result<String, Unresolved> {
    variables(name)
        .and_then(|value| value.into_string().ok())
        .ok_or_else(|| Unresolved::Variable(name.to_owned()))
}

/// What a file holds, without the line break that files end with.
pub(crate) fn file(path: &Path) -> Result<String, Unresolved> {
    let unread = |error| Unresolved::File(path.to_owned(), error);
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .map_err(unread)?
        .take(SECRET_BYTES_MAX.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unread)?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(Unresolved::TooLarge(path.to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|_| Unresolved::NotText(path.to_owned()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_apart_without_a_gap() {
        let table: [(&str, &[Part<'_>]); 9] = [
            ("", &[]),
            ("plain $x {y}", &[Part::Text("plain $x {y}")]),
            ("Bearer ${env:A_1}", &[Part::Text("Bearer "), Part::Env("A_1")]),
            ("${file:/run/é}é", &[Part::File("/run/é"), Part::Text("é")]),
            ("${env:A}${env:B}", &[Part::Env("A"), Part::Env("B")]),
            ("a${env:A", &[Part::Text("a"), Part::Unclosed]),
            ("${evn:A}", &[Part::Unknown("evn")]),
            ("${A}${}", &[Part::Unknown(""), Part::Unknown("")]),
            ("${env:}${env:1A}", &[Part::Unknown("env"), Part::Unknown("env")]),
        ];
        for (text, wanted) in table {
            let found = parts(text);
            let parts: Vec<_> = found.iter().map(|(part, _)| *part).collect();
            assert_eq!(parts, wanted, "{text}");
            let mut end = 0;
            for (_, range) in found {
                assert_eq!(range.start, end, "{text}");
                end = range.end;
            }
            assert_eq!(end, text.len(), "{text}");
        }
    }
}
