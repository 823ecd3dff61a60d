//! Connections whose client does not read, or does not say what it wants: they are ended, so that they keep nobody
//! else out.

use hyper::body::{Body, Frame, SizeHint};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How often a connection is looked at that may be waiting for a request's headers.
const LOOK_PERIOD: Duration = Duration::from_secs(5);

/// The requests of one connection. A timer for each of them would cost more than reading them does, so they are
/// counted, and the connection looks at the count from time to time.
#[derive(Debug, Default)]
pub(super) struct Requests {
    begun: AtomicU64,
    open: AtomicU64,
}

impl Requests {
    /// Counts one whose headers are there.
    pub(super) fn begin(self: &Arc<Self>) -> Open {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }
}

/// A request that is not answered yet, or whose answer goes on.
#[derive(Debug)]
pub(super) struct Open(Arc<Requests>);

impl Open {
    /// The request's answer, which keeps it open until the last of it has been given to the connection.
    pub(super) const fn until_end_of<B>(self, body: B) -> Answer<B> {
        Answer { body, _open: self }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A response's body.
#[derive(Debug)]
pub(super) struct Answer<B> {
    body: B,
    _open: Open,
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How long a client is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Until a request's headers are there; up to [`LOOK_PERIOD`] longer.
    pub(super) headers: Duration,
    /// While it takes nothing of what is written to it.
    pub(super) taking: Duration,
}

/// A stream whose reading fails once no request's headers have come for a while, and whose writing fails once the
/// other side has taken nothing for a while.
///
/// Under TLS it is what the records go through: above, what TLS keeps would count as taken.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    /// Runs while something waits to be taken.
    stall: Option<Pin<Box<Sleep>>>,
    requests: Arc<Requests>,
    patience: Patience,
    next_look: Pin<Box<Sleep>>,
    /// How many requests had begun at the last look.
    seen: u64,
    /// At the first look that found it waiting for a next one.
    waiting_since: Option<Instant>,
}

impl<S> Watched<S> {
    /// A client's stream, on which these requests come.
    pub(super) fn new(stream: S, requests: Arc<Requests>, patience: Patience) -> Self {
        Self {
            stream,
            stall: None,
            requests,
            patience,
            next_look: Box::pin(sleep(LOOK_PERIOD)),
            seen: 0,
            waiting_since: Some(Instant::now()),
        }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stall = None;
            return polled;
        }
        let time = self.patience.taking;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(time)));
        match stall.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Ready once the client has taken too long to say what it wants.
    fn look(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.next_look.as_mut().poll(context).is_ready() {
            let begun = self.requests.begun.load(Ordering::Relaxed);
            let is_busy = self.requests.open.load(Ordering::Relaxed) > 0 || self.stall.is_some();
            let now = Instant::now();
            if is_busy {
                self.waiting_since = None;
            } else if begun != self.seen || self.waiting_since.is_none() {
                self.waiting_since = Some(now);
            }
            self.seen = begun;
            if self
                .waiting_since
                .is_some_and(|since| now.duration_since(since) >= self.patience.headers)
            {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.next_look.as_mut().reset(now + LOOK_PERIOD);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => self.look(context),
            read @ Poll::Ready(_) => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.watch(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const PATIENCE: Patience = Patience {
        headers: Duration::from_secs(15),
        taking: Duration::from_secs(60),
    };

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up_and_one_that_is_slow_is_not() {
        let (mut client, server) = duplex(4);
        let mut server = Watched::new(server, Arc::default(), PATIENCE);
        let written = tokio::spawn(async move { (server.write_all(&[7; 12]).await, server) });
        // It takes a part just in time, twice.
        for _ in 0..2 {
            tokio::time::sleep(PATIENCE.taking - Duration::from_secs(1)).await;
            client.read_exact(&mut [0; 4]).await.unwrap();
        }
        let (written, mut server) = written.await.unwrap();
        assert!(written.is_ok());
        let failed = server.write_all(&[7; 4]).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_finishes_its_headers_is_given_up() {
        let (mut client, server) = duplex(64);
        let begun = Instant::now();
        let reading = tokio::spawn(async move {
            let mut server = Watched::new(server, Arc::default(), PATIENCE);
            loop {
                if let Err(failed) = server.read_exact(&mut [0]).await {
                    return failed.kind();
                }
            }
        });
        // A byte every second is no request.
        let written = async {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        written.await;
        assert_eq!(reading.await.unwrap(), io::ErrorKind::TimedOut);
        let took = begun.elapsed();
        assert!(
            (Duration::from_secs(15)..Duration::from_secs(22)).contains(&took),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_goes_on_keeps_its_connection_and_one_that_has_ended_does_not() {
        let (client, server) = duplex(64);
        let requests = Arc::<Requests>::default();
        let mut server = Watched::new(server, Arc::clone(&requests), PATIENCE);
        let answer = requests.begin().until_end_of(());
        let mut byte = [0];
        let waited = tokio::time::timeout(Duration::from_secs(3600), server.read(&mut byte)).await;
        assert!(waited.is_err(), "{waited:?}");
        drop(answer);
        let ended = Instant::now();
        let failed = server.read(&mut byte).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        let took = ended.elapsed();
        assert!(
            (Duration::from_secs(15)..=Duration::from_secs(20)).contains(&took),
            "{took:?}"
        );
        drop(client);
    }
}
