//! The client's side of stdio, waited for and not blocked on.
//!
//! Whoever started this process may share its pipes, and a flag such as `O_NONBLOCK` would be shared as well. So a
//! pipe is opened once more, which Linux allows under `/proc`, and a socket, as Node gives its children, is asked
//! each time not to block. Anything else, such as a terminal, is read and written by threads that block.

use rustix::fs::{FileType, fstat};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;

/// What the client says.
pub(super) fn input() -> Box<dyn AsyncRead + Send + Unpin> {
    let input = io::stdin();
    let waited_for: io::Result<Box<dyn AsyncRead + Send + Unpin>> = match kind(&input) {
        Some(FileType::Fifo) => pipe::OpenOptions::new()
            .open_receiver("/proc/self/fd/0")
            .map(|pipe| Box::new(pipe) as _),
        Some(FileType::Socket) => Socket::of(&input).map(|socket| Box::new(socket) as _),
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    waited_for.unwrap_or_else(|_| Box::new(tokio::io::stdin()))
}

/// Where the client reads.
pub(super) fn output() -> Box<dyn AsyncWrite + Send + Unpin> {
    let output = io::stdout();
    let waited_for: io::Result<Box<dyn AsyncWrite + Send + Unpin>> = match kind(&output) {
        Some(FileType::Fifo) => pipe::OpenOptions::new()
            .open_sender("/proc/self/fd/1")
            .map(|pipe| Box::new(pipe) as _),
        Some(FileType::Socket) => Socket::of(&output).map(|socket| Box::new(socket) as _),
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    waited_for.unwrap_or_else(|_| Box::new(tokio::io::stdout()))
}

fn kind(file: &impl AsFd) -> Option<FileType> {
    fstat(file)
        .ok()
        .map(|status| FileType::from_raw_mode(status.st_mode))
}

/// A stream socket whose flags are left as they are.
struct Socket(AsyncFd<OwnedFd>);

impl Socket {
    #[expect(
        deprecated,
        reason = "its successor is unsafe, as some types change what their descriptor is; an `OwnedFd` does not"
    )]
    fn of(file: &impl AsFd) -> io::Result<Self> {
        file.as_fd().try_clone_to_owned().and_then(AsyncFd::new).map(Self)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(context))?;
            let room = buffer.initialize_unfilled();
            let received = ready.try_io(|socket| Ok(recv(socket, room, RecvFlags::DONTWAIT)?));
            match received {
                Ok(Ok((_, count))) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(context))?;
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match ready.try_io(|socket| Ok(send(socket, bytes, flags)?)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(sent) => return Poll::Ready(sent),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever started this process may go on writing to what it gave.
        Poll::Ready(Ok(()))
    }
}
