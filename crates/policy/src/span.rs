//! Where something stands in a policy's text.

use serde::Serialize;

/// A place in the text. Spans never take part in comparisons of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Span {
    /// The place from where this begins to where `end` ends.
    #[must_use]
    pub fn to(self, end: Self) -> Self {
        Self {
            end: end.end.max(self.start),
            ..self
        }
    }

    /// The part of this place that begins `offset` bytes in, for text whose bytes stand in the file as they are.
    #[must_use]
    pub fn within(self, source: &str, offset: usize, length: usize) -> Self {
        let start = self.start.saturating_add(offset);
        let skipped = source.get(self.start..start).unwrap_or_default();
        if skipped.contains('\n') || start > self.end {
            return self;
        }
        Self {
            start,
            end: start.saturating_add(length.max(1)).min(self.end.max(start)),
            line: self.line,
            column: self.column + skipped.chars().count(),
        }
    }
}

/// Finds lines and columns of byte offsets.
#[derive(Debug, Clone)]
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let mut starts = vec![0];
        starts.extend(
            text.bytes()
                .enumerate()
                .filter(|(_, b)| *b == b'\n')
                .map(|(i, _)| i + 1),
        );
        Self { text, starts }
    }

    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        let start = floor_boundary(self.text, start);
        let end = floor_boundary(self.text, end).max(start);
        let line = self.starts.partition_point(|&begin| begin <= start);
        let begin = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self
            .text
            .get(begin..start)
            .map_or(0, |before| before.chars().count());
        Span {
            start,
            end,
            line,
            column: column + 1,
        }
    }
}

/// The nearest boundary of a character at or before `offset`.
fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
