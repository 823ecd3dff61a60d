//! A reader whose lines have a bound, since one message is held whole.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// Reads on until a line is too long, which is an error.
#[derive(Debug)]
pub(super) struct BoundedLines<R> {
    inner: R,
    bytes_max: usize,
    /// What the line that is being read has so far.
    length: usize,
    exceeded: Exceeded,
}

/// Whether a line was too long; whoever reads on from the reader may not tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Exceeded(Arc<AtomicBool>);

impl Exceeded {
    pub(super) fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<R> BoundedLines<R> {
    pub(super) const fn new(inner: R, bytes_max: usize, exceeded: Exceeded) -> Self {
        Self {
            inner,
            bytes_max,
            length: 0,
            exceeded,
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for BoundedLines<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, into))?;
        let mut is_exceeded = false;
        for &byte in into.filled().iter().skip(before) {
            self.length = if byte == b'\n' {
                0
            } else {
                self.length.saturating_add(1)
            };
            is_exceeded |= self.length > self.bytes_max;
        }
        if is_exceeded {
            self.exceeded.0.store(true, Ordering::Relaxed);
            // With an error come no bytes: so asks the trait.
            into.set_filled(before);
            let told = format!(
                "a message has more than the {} bytes that are read",
                self.bytes_max
            );
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, told)));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    async fn read(text: &str, bytes_max: usize) -> Result<String, io::ErrorKind> {
        let mut out = String::new();
        BoundedLines::new(text.as_bytes(), bytes_max, Exceeded::default())
            .read_to_string(&mut out)
            .await
            .map(|_| out)
            .map_err(|error| error.kind())
    }

    #[tokio::test]
    async fn a_line_is_as_long_as_it_may_be_and_no_longer() {
        assert_eq!(read("abc\nde\nabc", 3).await, Ok("abc\nde\nabc".to_owned()));
        assert_eq!(read("abc\nabcd\n", 3).await, Err(io::ErrorKind::InvalidData));
        assert_eq!(read("abcd", 3).await, Err(io::ErrorKind::InvalidData));
    }
}
