//! One client on stdin and stdout.

use crate::lines::{Line, Lines};
use crate::session::{Entry, Intake, Ready, Session, line};
use crate::sink::{Outbound, Sink};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Messages that may wait for the client to read them.
const QUEUE_MAX: usize = 256;
/// Bytes read from a client at once.
const READ_BYTES: usize = 64 * 1024;

/// Starts to write what the client is sent, a line a message. The task ends once all sinks are gone, or the
/// client does not read any more.
pub fn writer<W>(output: W) -> (Sink, JoinHandle<()>)
where
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    (Sink::Direct(sender), tokio::spawn(write(output, receiver)))
}

async fn write<W: AsyncWrite + Unpin>(output: W, mut messages: mpsc::Receiver<Outbound>) {
    let mut output = BufWriter::with_capacity(READ_BYTES, output);
    while let Some(message) = messages.recv().await {
        let mut next = Some(message);
        while let Some(message) = next {
            let bytes = line(&message.bytes);
            if output.write_all(&bytes).await.is_err() || output.write_all(b"\n").await.is_err() {
                return;
            }
            next = messages.try_recv().ok();
        }
        if output.flush().await.is_err() {
            return;
        }
    }
}

/// Takes a client's lines until its input ends. Calls that are still being judged then go on behind.
///
/// Calls are judged at once and released in their order; everything else goes on without waiting for them.
///
/// # Errors
/// Where the input cannot be read.
pub async fn read<R>(session: &Arc<Session>, input: R, sink: &Sink) -> io::Result<()>
where
    R: AsyncRead + Unpin,
{
    let bytes_max = session.gate().settings.bounds.message_bytes_max;
    let mut lines = Lines::new(BufReader::with_capacity(READ_BYTES, input), bytes_max);
    let mut judged: FuturesOrdered<BoxFuture<'static, Ready>> = FuturesOrdered::new();
    let mut next_line = Box::pin(take(&mut lines));
    loop {
        tokio::select! {
            Some(ready) = judged.next() => session.release(ready).await,
            taken = &mut next_line => {
                let (line, lines) = taken;
                let Some(line) = line? else { break };
                let intake = accept(session, line, sink);
                judged.extend(settle(session, intake).await);
                next_line.set(take(lines));
            }
        }
    }
    drop(next_line);
    // The caller decides how long what is still being judged may take: its requests are in flight.
    let session = Arc::clone(session);
    tokio::spawn(async move {
        while let Some(ready) = judged.next().await {
            session.release(ready).await;
        }
    });
    Ok(())
}

/// Reads a line and gives the reader back, so that a line half read is never lost.
async fn take<R>(lines: &mut Lines<R>) -> (io::Result<Option<Line>>, &mut Lines<R>)
where
    R: tokio::io::AsyncBufRead + Unpin,
{
    (lines.next().await, lines)
}

fn accept(session: &Arc<Session>, line: Line, sink: &Sink) -> Intake {
    match line {
        Line::Text(text) if text.iter().all(u8::is_ascii_whitespace) => Intake::default(),
        Line::Text(text) => session.accept(&text, sink, &Entry::default()),
        Line::TooLong => session.accept_too_long(sink),
    }
}

/// Answers and sends what is due at once, and returns what is being judged.
async fn settle(session: &Arc<Session>, intake: Intake) -> Vec<BoxFuture<'static, Ready>> {
    for due in intake.answers {
        due.give().await;
    }
    for passage in intake.passages {
        session.forward(passage).await;
    }
    intake.work.into_iter().map(|work| work.0).collect()
}
