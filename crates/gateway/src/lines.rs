//! Lines of stdio, bounded: one that is too long is skipped to its end, and what follows is read as ever.

use bytes::Bytes;
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// What stands on a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its bytes without the line break.
    Text(Bytes),
    /// It had more bytes than may be.
    TooLong,
}

/// Reads lines of up to `bytes_max` bytes.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: R,
    bytes_max: usize,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(crate) const fn new(reader: R, bytes_max: usize) -> Self {
        Self { reader, bytes_max }
    }

    /// The next line; `None` at the end. The last line needs no line break.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut is_too_long = false;
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                return Ok(match (is_too_long, line.is_empty()) {
                    (true, _) => Some(Line::TooLong),
                    (false, true) => None,
                    (false, false) => Some(Line::Text(line.into())),
                });
            }
            let end = memchr::memchr(b'\n', chunk);
            let (piece, used) = match end {
                Some(end) => (chunk.get(..end).unwrap_or_default(), end + 1),
                None => (chunk, chunk.len()),
            };
            if is_too_long || line.len().saturating_add(piece.len()) > self.bytes_max.saturating_add(1) {
                is_too_long = true;
                line = Vec::new();
            } else {
                line.extend_from_slice(piece);
            }
            self.reader.consume(used);
            if end.is_some() {
                if is_too_long {
                    return Ok(Some(Line::TooLong));
                }
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(Some(Line::Text(line.into())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines_of(input: &[u8], bytes_max: usize) -> Vec<Line> {
        let mut lines = Lines::new(tokio::io::BufReader::with_capacity(3, input), bytes_max);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    fn text(line: &str) -> Line {
        Line::Text(Bytes::copy_from_slice(line.as_bytes()))
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_does_not_take_the_next_one_with_it() {
        let lines = lines_of(b"ab\r\n\nmuch too long\ncd", 4).await;
        assert_eq!(lines, [text("ab"), text(""), Line::TooLong, text("cd")]);
    }
}
