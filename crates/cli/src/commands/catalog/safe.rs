//! A server's words for a terminal: what would move the cursor, turn the line round or hide is spelt out.

use crate::commands::scan::comment::is_shown;

/// So many characters a line has.
pub(super) const LINE_CHARS_MAX: usize = 100;

/// A text on one line: white space as one space, and what nobody would see as `\u{200b}`.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut has_gap = true;
    let mut last = ' ';
    for character in text.chars() {
        let is_pictograph = character == '\u{fe0f}' && !last.is_ascii() && is_shown(last);
        last = character;
        if matches!(character, ' ' | '\n' | '\r' | '\t') {
            if !has_gap {
                out.push(' ');
            }
            has_gap = true;
            continue;
        }
        has_gap = false;
        if is_shown(character) {
            out.push(character);
        } else if !is_pictograph {
            out.extend(character.escape_unicode());
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// A line with its spaces as they are, and what nobody would see as `\u{200b}`.
pub(crate) fn spelt_out(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for character in line.chars() {
        if is_shown(character) {
            out.push(character);
        } else {
            out.extend(character.escape_unicode());
        }
    }
    out
}

/// The first characters of a text.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    out.truncate(out.trim_end().len());
    out.push('…');
    out
}

/// A text in lines of at most [`LINE_CHARS_MAX`], the first behind `head`, the others behind as many spaces.
pub(super) fn wrapped(head: &str, text: &str) -> String {
    let indent = head.chars().count();
    let room = LINE_CHARS_MAX.saturating_sub(indent).max(20);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').flat_map(|word| pieces(word, room)) {
        let length = line.chars().count();
        if length > 0 && length.saturating_add(word.chars().count()) >= room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        if index == 0 {
            out.push_str(head);
        } else {
            out.extend(std::iter::repeat_n(' ', indent));
        }
        out.push_str(line);
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }
    out
}

/// A word that is longer than a line, in parts.
fn pieces(word: &str, room: usize) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    if letters.is_empty() {
        return vec![String::new()];
    }
    letters
        .chunks(room.saturating_sub(1).max(1))
        .map(|part| part.iter().collect())
        .collect()
}

/// Rows under a heading, each column as wide as its widest cell, each line cut at [`LINE_CHARS_MAX`].
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(String::as_str);
        cells
            .chain(heading.get(column).copied())
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let head: Vec<String> = heading.iter().map(|cell| (*cell).to_owned()).collect();
    let mut out = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        out.push_str(cut(line.trim_end(), LINE_CHARS_MAX).trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_would_see_is_spelt_out_and_nothing_else() {
        for (text, wanted) in [
            ("Runs a flow.\n\n  Then waits. ", "Runs a flow. Then waits."),
            ("a\u{1b}[2Jb\u{202e}c", "a\\u{1b}[2Jb\\u{202e}c"),
            ("x\u{200b}y\u{e0041}\u{ad}", "x\\u{200b}y\\u{e0041}\\u{ad}"),
            ("⚠\u{fe0f} b\u{fe0f}\u{fe0f}", "⚠ b\\u{fe0f}\\u{fe0f}"),
            ("a\u{2028}b\u{85}c", "a\\u{2028}b\\u{85}c"),
        ] {
            assert_eq!(shown(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn no_line_is_longer_than_a_line() {
        let text = format!("{} {} end", "word ".repeat(60).trim(), "x".repeat(300));
        let out = wrapped("why   ", &text);
        assert!(
            out.lines().all(|line| line.chars().count() <= LINE_CHARS_MAX),
            "{out}"
        );
        assert!(
            out.lines().skip(1).all(|line| line.starts_with("      ")),
            "{out}"
        );
        let joined: String = out.split_whitespace().collect();
        assert_eq!(joined, format!("why{}", text.replace(' ', "")));
    }
}
