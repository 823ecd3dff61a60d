//! Streams that answer requests of 2025-11-25, and that their client may take up again with `Last-Event-ID`: after
//! it has lost the connection, or after its server has closed the stream so that the client polls.
//!
//! An event's id names its stream within the session, and how many events of it came up to there.

use super::answer::{Body, KEEP_ALIVE, event, event_stream_of, still_here};
use crate::sink::{End, Outbound};
use bytes::Bytes;
use futures_util::stream::Stream as FrameStream;
use http::Response;
use hyper::body::Frame;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep};

/// How long a client is to wait before it takes a stream up again, in milliseconds.
const RETRY_MILLIS: u32 = 1_000;
/// How long a stream that has answered, or that nobody can answer any more, may still be taken up.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// Streams of a session that have answered and are kept.
const KEPT_MAX: usize = 8;
/// Streams of a session that are kept because nobody has read their answer.
const UNREAD_MAX: usize = 64;
/// Bytes of a stream that have been handed out and are kept.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// The streams of one session.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    begun: u64,
    streams: HashMap<u64, Arc<Stream>>,
}

impl Streams {
    /// A response whose stream may be taken up again.
    pub(super) fn begin(&self, first: Outbound, receiver: mpsc::Receiver<Outbound>) -> Response<Body> {
        let mut table = self.lock();
        table.sweep();
        table.begun = table.begun.wrapping_add(1);
        let stream = Arc::new(Stream {
            id: table.begun,
            state: Mutex::new(State::new(receiver)),
        });
        stream.lock().take(first);
        table.streams.insert(stream.id, Arc::clone(&stream));
        event_stream_of(View::new(stream, 0))
    }

    /// The rest of a stream after this event; `None` where there is none of this id.
    pub(super) fn resume(&self, last_event_id: &str) -> Option<Response<Body>> {
        let (stream, at) = last_event_id.split_once('-')?;
        let (stream, at): (u64, u64) = (stream.parse().ok()?, at.parse().ok()?);
        let stream = Arc::clone(self.lock().streams.get(&stream)?);
        if at > stream.lock().handed_out {
            return None;
        }
        Some(event_stream_of(View::new(stream, at)))
    }

    /// Lets go of what nobody will ask for.
    pub(super) fn sweep(&self) {
        self.lock().sweep();
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn sweep(&mut self) {
        let now = Instant::now();
        let (mut answered, mut unread) = (Vec::new(), Vec::new());
        self.streams.retain(|id, stream| {
            let mut state = stream.lock();
            if state.over_since.is_none() && state.receiver.is_closed() {
                state.over_since = Some(now);
            }
            let Some(since) = state.over_since else {
                return true;
            };
            let kind = if state.has_answered {
                &mut answered
            } else {
                &mut unread
            };
            kind.push((since, *id));
            now.duration_since(since) < KEPT_FOR
        });
        for (mut over, max) in [(answered, KEPT_MAX), (unread, UNREAD_MAX)] {
            over.sort_unstable();
            let surplus = over.len().saturating_sub(max);
            for (_, id) in over.into_iter().take(surplus) {
                self.streams.remove(&id);
            }
        }
    }
}

#[derive(Debug)]
struct Stream {
    id: u64,
    state: Mutex<State>,
}

impl Stream {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct State {
    receiver: mpsc::Receiver<Outbound>,
    /// The last of what has been handed out.
    kept: VecDeque<Outbound>,
    kept_bytes: usize,
    /// How many events have been handed out.
    handed_out: u64,
    has_answered: bool,
    over_since: Option<Instant>,
    /// How often the stream has been taken up: only the last one who did reads on.
    viewer: u64,
    waker: Option<Waker>,
}

impl State {
    const fn new(receiver: mpsc::Receiver<Outbound>) -> Self {
        Self {
            receiver,
            kept: VecDeque::new(),
            kept_bytes: 0,
            handed_out: 0,
            has_answered: false,
            over_since: None,
            viewer: 0,
            waker: None,
        }
    }

    /// Takes a message over from the session; what is no message is not kept.
    fn take(&mut self, message: Outbound) {
        match message.end {
            End::Opened | End::Paused | End::Flowing(_) => return,
            End::More => {}
            End::Last => {
                self.has_answered = true;
                self.over_since = Some(Instant::now());
            }
        }
        self.handed_out = self.handed_out.saturating_add(1);
        self.kept_bytes = self.kept_bytes.saturating_add(message.bytes.len());
        self.kept.push_back(message);
    }

    /// Lets go of messages that have been shown, the oldest first.
    fn trim(&mut self) {
        while self.kept_bytes > KEPT_BYTES_MAX
            && let Some(oldest) = self.kept.pop_front()
        {
            self.kept_bytes = self.kept_bytes.saturating_sub(oldest.bytes.len());
        }
    }

    /// The first message after the event of this number that is still there, with the number of its event.
    fn after(&self, at: u64) -> Option<(u64, Outbound)> {
        let kept = u64::try_from(self.kept.len()).unwrap_or(u64::MAX);
        let oldest = self.handed_out.saturating_sub(kept);
        let skipped = usize::try_from(at.saturating_sub(oldest)).ok()?;
        let message = self.kept.get(skipped)?.clone();
        Some((at.max(oldest).saturating_add(1), message))
    }
}

/// What one response shows of a stream: what came after an event, and what still comes.
#[derive(Debug)]
struct View {
    stream: Arc<Stream>,
    /// The number of the last event that was shown.
    at: u64,
    viewer: u64,
    is_primed: bool,
    is_over: bool,
    idle: Pin<Box<Sleep>>,
}

impl View {
    /// Takes the stream up; whoever read it before is at its end.
    fn new(stream: Arc<Stream>, at: u64) -> Self {
        let viewer = {
            let mut state = stream.lock();
            state.viewer = state.viewer.wrapping_add(1);
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
            state.viewer
        };
        Self {
            stream,
            at,
            viewer,
            is_primed: false,
            is_over: false,
            idle: Box::pin(sleep(KEEP_ALIVE)),
        }
    }

    /// The event that tells where to go on, before there is a message.
    fn priming(&self) -> Bytes {
        format!(
            "id: {}-{}\nretry: {RETRY_MILLIS}\ndata: \n\n",
            self.stream.id, self.at
        )
        .into()
    }

    /// The next message; `None` once no more is to be shown.
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let stream = Arc::clone(&self.stream);
        let mut state = stream.lock();
        if state.viewer != self.viewer {
            return Poll::Ready(None);
        }
        loop {
            if let Some((at, message)) = state.after(self.at) {
                self.at = at;
                self.is_over = message.end == End::Last;
                if at == state.handed_out {
                    state.trim();
                }
                let mut out = format!("id: {}-{at}\n", stream.id).into_bytes();
                event(&mut out, &message.bytes);
                return Poll::Ready(Some(out.into()));
            }
            if state.has_answered {
                return Poll::Ready(None);
            }
            match state.receiver.poll_recv(context) {
                Poll::Ready(Some(Outbound { end: End::Paused, .. })) | Poll::Ready(None) => {
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(message)) => state.take(message),
                Poll::Pending => {
                    state.waker = Some(context.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }
}

impl FrameStream for View {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let shown = if self.is_primed {
            match self.poll_message(context) {
                Poll::Ready(None) => {
                    self.is_over = true;
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(bytes)) => bytes,
                Poll::Pending if self.idle.as_mut().poll(context).is_ready() => still_here(),
                Poll::Pending => return Poll::Pending,
            }
        } else {
            self.is_primed = true;
            self.priming()
        };
        self.idle.as_mut().reset(Instant::now() + KEEP_ALIVE);
        Poll::Ready(Some(Ok(Frame::data(shown))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn message(text: &str, end: End) -> Outbound {
        Outbound {
            bytes: text.to_owned().into(),
            end,
            status: 200,
        }
    }

    async fn next(response: &mut Response<Body>) -> Option<String> {
        let frame = response.body_mut().frame().await?.unwrap();
        Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_stream_goes_on_where_its_client_left_it_and_for_one_reader_only() {
        let streams = Streams::default();
        let (sender, receiver) = mpsc::channel(8);
        let mut first = streams.begin(message("", End::Opened), receiver);
        assert_eq!(
            next(&mut first).await.unwrap(),
            "id: 1-0\nretry: 1000\ndata: \n\n"
        );
        for text in ["a", "b"] {
            sender.send(message(text, End::More)).await.unwrap();
            assert!(next(&mut first).await.is_some());
        }
        let mut second = streams.resume("1-1").unwrap();
        assert_eq!(next(&mut first).await, None);
        assert_eq!(
            next(&mut second).await.unwrap(),
            "id: 1-1\nretry: 1000\ndata: \n\n"
        );
        assert_eq!(
            next(&mut second).await.unwrap(),
            "id: 1-2\nevent: message\ndata: b\n\n"
        );
        sender.send(message("", End::Paused)).await.unwrap();
        assert_eq!(next(&mut second).await, None);
        sender.send(message("c", End::Last)).await.unwrap();
        for _ in 0..2 {
            let mut last = streams.resume("1-2").unwrap();
            assert!(next(&mut last).await.unwrap().starts_with("id: 1-2\n"));
            assert_eq!(
                next(&mut last).await.unwrap(),
                "id: 1-3\nevent: message\ndata: c\n\n"
            );
            assert_eq!(next(&mut last).await, None);
        }
        for wrong in ["1-4", "2-0", "1", "", "1-x", "-", "1--1"] {
            assert!(streams.resume(wrong).is_none(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_is_kept_of_a_session_has_a_bound() {
        let streams = Streams::default();
        for _ in 0..2 * KEPT_MAX {
            let (sender, receiver) = mpsc::channel(8);
            let mut response = streams.begin(message("", End::Opened), receiver);
            sender
                .send(message(&"x".repeat(KEPT_BYTES_MAX), End::More))
                .await
                .unwrap();
            sender.send(message("y", End::Last)).await.unwrap();
            while next(&mut response).await.is_some() {}
        }
        let kept: usize = streams
            .lock()
            .streams
            .values()
            .map(|stream| stream.lock().kept_bytes)
            .sum();
        assert_eq!(kept, streams.lock().streams.len());
        assert_eq!(streams.lock().streams.len(), KEPT_MAX + 1);
        let kept_since = Instant::now().checked_sub(KEPT_FOR);
        for stream in streams.lock().streams.values() {
            stream.lock().over_since = kept_since;
        }
        let (_sender, receiver) = mpsc::channel(8);
        let _response = streams.begin(message("", End::Opened), receiver);
        assert_eq!(streams.lock().streams.len(), 1);
    }
}
