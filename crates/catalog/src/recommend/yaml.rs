//! Texts of servers as they can stand in YAML: in keys, values and comments.

use crate::hidden::is_shown;
use std::fmt::Write as _;

/// So many characters of a server's text stand in a comment.
const COMMENT_CHARS_MAX: usize = 100;
/// Lines of comments are broken before they are longer.
const WIDTH: usize = 112;

/// A server's words made harmless: one line, nothing that moves the cursor, hides, or ends a comment.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    let mut count = 0_usize;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        let word: String = word.chars().filter(|c| is_shown(*c)).collect();
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
            count = count.saturating_add(1);
        }
        for c in word.chars() {
            if count >= COMMENT_CHARS_MAX {
                line.push('…');
                return line;
            }
            line.push(c);
            count = count.saturating_add(1);
        }
    }
    line
}

/// Adds a comment, broken into lines, each behind `indent` spaces.
pub(super) fn comment(out: &mut String, indent: usize, text: &str) {
    let margin = " ".repeat(indent);
    let mut line = String::new();
    for word in text.split_whitespace() {
        let length = line.chars().count().saturating_add(word.chars().count());
        if !line.is_empty() && length.saturating_add(indent).saturating_add(3) > WIDTH {
            let _ = writeln!(out, "{margin}# {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|c| is_shown(*c)));
    }
    if !line.is_empty() {
        let _ = writeln!(out, "{margin}# {line}");
    }
}

/// A text as YAML 1.2 and 1.1 alike read it as this string, on one line, in flow and block style.
#[must_use]
pub fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
        && !is_word(text);
    if is_plain {
        return text.to_owned();
    }
    quoted(text)
}

/// A sentence of the project's own: without quotes where it can be.
pub(super) fn sentence(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.ends_with(' ')
        && !text.contains(": ")
        && !text.contains(" #")
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || " _-./,;()'@".contains(c))
        && !is_word(text);
    if is_plain { text.to_owned() } else { quoted(text) }
}

/// In double quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_shown(c) && c != '\u{a0}' => out.push(c),
            c => {
                let code = u32::from(c);
                let _ = if code > 0xffff {
                    write!(out, "\\U{code:08x}")
                } else {
                    write!(out, "\\u{code:04x}")
                };
            }
        }
    }
    out.push('"');
    out
}

/// Words that some YAML takes for something other than a string.
fn is_word(text: &str) -> bool {
    ["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_description_becomes_one_harmless_line() {
        let cases = [
            ("Runs a flow.", "Runs a flow."),
            ("one\ntools:\n  evil: {}", "one tools: evil: {}"),
            ("a\u{2028}b\u{85}c\r\nd\te", "a b c d e"),
            ("\u{1b}[31mred\u{7}", "[31mred"),
            ("x\u{202e}txt\u{200b}y\u{e0041}", "xtxty"),
            ("  ", ""),
        ];
        for (text, wanted) in cases {
            assert_eq!(one_line(text), wanted, "{text:?}");
        }
        let long = one_line(&"ä".repeat(500));
        assert_eq!(long.chars().count(), 101);
        assert!(long.ends_with('…'));
    }
}
