//! Connections that write what is small in one piece: the head of a message and its body come as two, and the kernel
//! takes longer to gather them than it takes to copy them.

use hyper::rt::{Read, ReadBufCursor, Write};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes at most that are copied together.
const COPIED_BYTES_MAX: usize = 2_048;

/// A connection whose small pieces are copied together before they are written.
#[derive(Debug)]
pub(crate) struct Gathered<S>(pub(crate) S);

impl<S: Read + Unpin> Read for Gathered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: Write + Unpin> Write for Gathered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        let mut room = [0; COPIED_BYTES_MAX];
        match together(pieces, &mut room) {
            Some(bytes) => stream.poll_write(context, bytes),
            None => stream.poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// All pieces in a row, where there is room for them.
fn together<'a>(pieces: &[IoSlice<'_>], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut length = 0_usize;
    for piece in pieces {
        let end = length.checked_add(piece.len())?;
        room.get_mut(length..end)?.copy_from_slice(piece);
        length = end;
    }
    room.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_put_in_a_row_where_there_is_room_for_all_of_them() {
        let pieces = [&b"head"[..], b"", b"body"].map(IoSlice::new);
        assert_eq!(together(&pieces, &mut [0; 8]), Some(&b"headbody"[..]));
        assert_eq!(together(&pieces, &mut [0; 7]), None);
        assert_eq!(together(&[], &mut [0; 7]), Some(&b""[..]));
    }
}
