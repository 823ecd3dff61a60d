//! A finding as a person reads it: the place, the line, a caret, what to do.

use super::{Diagnostic, Severity};
use std::fmt::Write as _;

/// What is written around the parts of a finding, such as terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Before an error's headline and carets.
    pub error: &'static str,
    /// Before a warning's headline and carets.
    pub warning: &'static str,
    /// Before line numbers, arrows and bars.
    pub frame: &'static str,
    /// Before a hint's label.
    pub hint: &'static str,
    /// Behind each of these.
    pub reset: &'static str,
}

impl Style {
    /// Nothing but the text.
    pub const PLAIN: Self = Self {
        error: "",
        warning: "",
        frame: "",
        hint: "",
        reset: "",
    };
}

/// The most characters of a source line that are shown.
const SHOWN_CHARS_MAX: usize = 110;
/// How much of a long line is shown before the place.
const CONTEXT_CHARS: usize = 40;

impl Diagnostic {
    /// The finding with its place and its line of `text`, which is the text it was made from.
    #[must_use]
    pub fn render(&self, file_name: &str, text: &str, style: &Style) -> String {
        self.render_hiding(file_name, text, style, &|_| false)
    }

    /// As [`Self::render`], with a star in place of each character whose offset in `text` is hidden: for
    /// documents that may hold secrets.
    #[must_use]
    pub fn render_hiding(
        &self,
        file_name: &str,
        text: &str,
        style: &Style,
        is_hidden: &dyn Fn(usize) -> bool,
    ) -> String {
        let (label, paint) = match self.severity {
            Severity::Error => ("error", style.error),
            Severity::Warning => ("warning", style.warning),
        };
        let (frame, reset) = (style.frame, style.reset);
        let number = self.span.line.to_string();
        let indent = " ".repeat(number.len());
        let line = self.line(text, is_hidden);
        let (shown, before, width) = window(&line, self.span.column, self.width(text));
        let mut out = String::new();
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "{paint}{label}[{}]{reset}: {}",
            self.code.slug(),
            clean(&self.message)
        );
        let _ = writeln!(
            out,
            "{indent}{frame}-->{reset} {file_name}:{}:{}",
            self.span.line, self.span.column
        );
        let _ = writeln!(out, "{indent} {frame}|{reset}");
        let _ = writeln!(out, "{frame}{number} |{reset} {}", shown.trim_end());
        let _ = writeln!(
            out,
            "{indent} {frame}|{reset} {}{paint}{}{reset}",
            " ".repeat(before),
            "^".repeat(width)
        );
        if let Some(hint) = &self.hint {
            let _ = writeln!(
                out,
                "{indent} {frame}={reset} {}help{reset}: {}",
                style.hint,
                clean(hint)
            );
        }
        out
    }

    /// The line on which the place begins.
    fn line(&self, text: &str, is_hidden: &dyn Fn(usize) -> bool) -> String {
        let before = self.span.line.saturating_sub(1);
        let start: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
        let line = text.get(start..).and_then(|rest| rest.lines().next());
        line.unwrap_or_default()
            .char_indices()
            .map(|(at, c)| if is_hidden(start + at) { '*' } else { c })
            .collect()
    }

    /// How many characters of its first line the place covers.
    fn width(&self, text: &str) -> usize {
        text.get(self.span.start..self.span.end)
            .and_then(|part| part.lines().next())
            .map_or(0, |part| part.trim_end().chars().count())
    }
}

/// The part of a line around a place, how far into it the place begins, and how wide it is.
fn window(line: &str, column: usize, width: usize) -> (String, usize, usize) {
    let before = column.saturating_sub(1);
    let total = line.chars().count();
    let skip = if total > SHOWN_CHARS_MAX {
        before.saturating_sub(CONTEXT_CHARS)
    } else {
        0
    };
    let mut shown = String::new();
    if skip > 0 {
        shown.push('…');
    }
    let lead = usize::from(skip > 0);
    shown.extend(line.chars().skip(skip).take(SHOWN_CHARS_MAX).map(printable));
    if skip + SHOWN_CHARS_MAX < total {
        shown.push('…');
    }
    let room = SHOWN_CHARS_MAX.saturating_sub(before - skip);
    (shown, before - skip + lead, width.clamp(1, room.max(1)))
}

/// A character that moves neither the cursor nor the columns.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() || is_bidi(c) => '\u{fffd}',
        c => c,
    }
}

/// Marks that turn the direction of text round, by which a line could be shown as what it is not.
const fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c == '\n' { ' ' } else { printable(c) })
        .collect()
}
