//! Paths as a policy spells them: `args.a.b`, `args.items[*].price`, `args["a.b"]`.

use super::context::Context;
use super::entry::Subject;
use crate::bounds::PATH_SEGMENTS_MAX;
use crate::diagnostic::Code;
use crate::span::Span;
use crate::suggest::nearest;
use callgate_core::path::{Path, Root, Segment};

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathFault {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// The byte it was found at.
    pub(crate) at: usize,
}

fn fault<T>(at: usize, message: impl Into<String>, hint: &str) -> Result<T, PathFault> {
    Err(PathFault {
        message: message.into(),
        hint: Some(hint.to_owned()),
        at,
    })
}

const ROOTS: [(&str, Root); 6] = [
    ("args", Root::Args),
    ("caller", Root::Caller),
    ("tool", Root::Tool),
    ("session", Root::Session),
    ("time", Root::Time),
    ("server", Root::Server),
];

/// Reads a path into a call of `subject`.
pub(crate) fn parse(text: &str, subject: &Subject) -> Result<Path, PathFault> {
    let head_end = text.find(['.', '[']).unwrap_or(text.len());
    let head = text.get(..head_end).unwrap_or_default();
    let method = matches!(subject, Subject::Method(_));
    let (root, mut segments) = match (head, method) {
        ("params", true) => (Root::Params, Vec::new()),
        ("uri" | "name", true) => (Root::Params, vec![Segment::Key(head.into())]),
        ("args" | "tool", true) => {
            return fault(
                0,
                format!("a method has no `{head}`"),
                "use `uri`, `name` or `params`",
            );
        }
        ("state", _) => {
            return fault(
                0,
                "a counter can only be asked about in the `conditions` of a rule",
                "use `limits` here",
            );
        }
        _ => match ROOTS.iter().find(|(name, _)| *name == head) {
            Some((_, root)) => (*root, Vec::new()),
            None => return unknown_root(text, head, method),
        },
    };
    walk(text, head_end, &mut segments)?;
    if segments.len() > PATH_SEGMENTS_MAX {
        return fault(
            0,
            format!("a path may have at most {PATH_SEGMENTS_MAX} steps"),
            "",
        );
    }
    let path = Path { root, segments };
    known_member(&path, head_end)?;
    Ok(path)
}

fn unknown_root<T>(text: &str, head: &str, method: bool) -> Result<T, PathFault> {
    let known: &[&str] = if method {
        &["uri", "name", "params", "caller", "session", "time", "server"]
    } else {
        &["args", "caller", "tool", "session", "time", "server", "state"]
    };
    let hint = match nearest(head, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if method => "a path of a method begins with `uri`, `name`, `params` or `caller`".to_owned(),
        None => format!("did you mean `args.{text}`?"),
    };
    fault(0, format!("a path cannot begin with `{head}`"), &hint)
}

fn walk(text: &str, start: usize, segments: &mut Vec<Segment>) -> Result<(), PathFault> {
    let mut at = start;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(after) = rest.strip_prefix('.') {
            let length = after.find(['.', '[']).unwrap_or(after.len());
            let key = after.get(..length).unwrap_or_default();
            if key.is_empty() {
                return fault(
                    at,
                    "a step of this path is empty",
                    "write one dot between two steps",
                );
            }
            if let Some(odd) = key.chars().find(|c| !is_plain(*c)) {
                return fault(
                    at + 1,
                    format!("`{odd}` cannot stand in a path as it is"),
                    "put the key in brackets and quotes: `args[\"a.b\"]`",
                );
            }
            segments.push(Segment::Key(key.into()));
            at += 1 + length;
        } else if rest.starts_with("[\"") || rest.starts_with("['") {
            let (key, length) = quoted_key(rest, at)?;
            segments.push(Segment::Key(key.into()));
            at += length;
        } else if let Some(after) = rest.strip_prefix('[') {
            let Some(length) = after.find(']') else {
                return fault(at, "this bracket is not closed", "close it with `]`");
            };
            let inside = after.get(..length).unwrap_or_default();
            let plain =
                inside.bytes().all(|b| b.is_ascii_digit()) && (inside == "0" || !inside.starts_with('0'));
            segments.push(match inside.parse() {
                _ if inside == "*" => Segment::Each,
                Ok(index) if plain => Segment::Index(index),
                Ok(_) | Err(_) => {
                    return fault(
                        at,
                        "brackets hold a number, `*`, or a key in quotes",
                        "write `[0]`, `[*]` or `[\"key\"]`",
                    );
                }
            });
            at += length + 2;
        } else {
            return fault(at, "a `.` is missing here", "write a dot before the next step");
        }
    }
    Ok(())
}

/// Which characters may stand after a dot; the others need brackets.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '@')
}

/// The key of `["…"]`, and how many bytes it took. Double-quoted keys take JSON's escapes.
fn quoted_key(rest: &str, at: usize) -> Result<(String, usize), PathFault> {
    let quote = rest.chars().nth(1).unwrap_or('"');
    let body = rest.get(2..).unwrap_or_default();
    let mut escaped = false;
    for (index, c) in body.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote == '"' {
            escaped = true;
        } else if c == quote {
            let inside = body.get(..index).unwrap_or_default();
            let key = unescape(inside, quote);
            if !body.get(index + 1..).unwrap_or_default().starts_with(']') {
                return fault(at, "a `]` is missing behind this key", "write `[\"key\"]`");
            }
            return match key {
                Some(key) => Ok((key, index + 4)),
                None => fault(
                    at,
                    "this key has an escape that JSON does not have",
                    "write a backslash as `\\\\`",
                ),
            };
        }
    }
    fault(at, "this key is not closed", "close it with its quote and `]`")
}

/// `Debug` of a string, which writes paths back, also uses `\u{…}` and `\'`; both are read.
fn unescape(text: &str, quote: char) -> Option<String> {
    if quote == '\'' || !text.contains('\\') {
        return Some(text.to_owned());
    }
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            'u' => {
                let digits: String = if chars.as_str().starts_with('{') {
                    chars.by_ref().skip(1).take_while(|c| *c != '}').collect()
                } else {
                    chars.by_ref().take(4).collect()
                };
                char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
            }
            c @ ('"' | '\\' | '\'' | '/') => c,
            _ => return None,
        });
    }
    Some(out)
}

/// Whether the root has such a member, where its members are known.
fn known_member(path: &Path, at: usize) -> Result<(), PathFault> {
    let (known, open): (&[&str], &[&str]) = match path.root {
        Root::Args | Root::Params => return Ok(()),
        Root::Caller => (&["label", "subject", "grant", "claims"], &["claims"]),
        Root::Tool => (&["name", "class", "annotations"], &["annotations"]),
        Root::Session => (&["id"], &[]),
        Root::Time => (&["hour", "minute", "weekday", "date", "unix"], &[]),
        Root::Server => (&["name"], &[]),
    };
    match path.segments.as_slice() {
        [Segment::Key(key)] if known.contains(&&**key) => Ok(()),
        [Segment::Key(key), ..] if open.contains(&&**key) => Ok(()),
        [Segment::Key(key), ..] if known.contains(&&**key) => fault(
            at,
            format!("`{}.{key}` has no members", path.root),
            "end the path here",
        ),
        [Segment::Key(key), ..] => {
            let hint = nearest(key, known.iter().copied()).map_or_else(
                || format!("it has {}", known.join(", ")),
                |near| format!("did you mean `{}.{near}`?", path.root),
            );
            fault(at, format!("`{}` has no `{key}`", path.root), &hint)
        }
        [] | [Segment::Index(_) | Segment::Each, ..] => {
            let hint = format!("it has {}", known.join(", "));
            fault(at, format!("`{}` alone is no value", path.root), &hint)
        }
    }
}

impl Context<'_> {
    /// A path, or a finding.
    pub(crate) fn path(&mut self, text: &str, span: Span, pointer: &str, subject: &Subject) -> Option<Path> {
        match parse(text, subject) {
            Ok(path) => Some(path),
            Err(fault) => {
                let quote = usize::from(
                    self.source
                        .get(span.start..)
                        .is_some_and(|s| s.starts_with(['"', '\''])),
                );
                let place = span.within(self.source, fault.at + quote, text.len().saturating_sub(fault.at));
                let state = text == "state" || text.starts_with("state.");
                let code = if state { Code::StatePlace } else { Code::Path };
                self.findings
                    .error(code, place, pointer, fault.message)
                    .maybe(fault.hint);
                None
            }
        }
    }

    /// A path to one argument: no `[*]`, and nothing but arguments.
    pub(crate) fn argument(
        &mut self,
        text: &str,
        span: Span,
        pointer: &str,
        subject: &Subject,
    ) -> Option<Path> {
        let path = self.path(text, span, pointer, subject)?;
        let method = matches!(subject, Subject::Method(_));
        if !matches!((path.root, method), (Root::Args, false) | (Root::Params, true))
            || path.segments.is_empty()
        {
            self.findings
                .error(Code::Path, span, pointer, "only an argument can stand here")
                .hint("use a path such as `args.amount`");
            return None;
        }
        if path.segments.contains(&Segment::Each) {
            self.findings
                .error(
                    Code::Path,
                    span,
                    pointer,
                    "`[*]` names many values where one is needed",
                )
                .hint("name one argument");
            return None;
        }
        Some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool() -> Subject {
        Subject::Tool("t".into())
    }

    #[test]
    fn paths_read_back_as_they_are_written() {
        let table = [
            ("args.a.b", "args.a.b"),
            ("args.items[*].price", "args.items[*].price"),
            ("args.items[0][12]", "args.items[0][12]"),
            ("args[\"a.b\"].c", "args[\"a.b\"].c"),
            ("args['a b']", "args[\"a b\"]"),
            ("args[\"q\\\"\\n\\u00e9\"]", "args[\"q\\\"\\né\"]"),
            ("args", "args"),
            ("caller.claims.org.id", "caller.claims.org.id"),
            ("time.weekday", "time.weekday"),
        ];
        for (text, shown) in table {
            let path = parse(text, &tool()).unwrap();
            assert_eq!(path.to_string(), shown, "{text}");
            assert_eq!(parse(shown, &tool()).unwrap(), path, "{text}");
        }
        let method = Subject::Method("resources/read".into());
        assert_eq!(parse("uri", &method).unwrap().to_string(), "params.uri");
        assert_eq!(parse("params.uri", &method), parse("uri", &method));
    }

    #[test]
    fn what_leads_nowhere_is_refused_where_it_goes_wrong() {
        let table = [
            ("amount", 0),
            ("arg.amount", 0),
            ("args..a", 4),
            ("args.", 4),
            ("args.a b", 5),
            ("args[", 4),
            ("args[01]", 4),
            ("args[x]", 4),
            ("args[-1]", 4),
            ("args[\"a]", 4),
            ("args[\"a\"", 4),
            ("args[0]x", 7),
            ("time.day", 4),
            ("time", 4),
            ("caller.label.x", 6),
            ("state.t.c", 0),
            ("", 0),
        ];
        for (text, at) in table {
            assert_eq!(parse(text, &tool()).unwrap_err().at, at, "{text}");
        }
    }
}
