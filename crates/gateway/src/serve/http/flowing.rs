//! The body of a response whose message comes in pieces.

use crate::flow::{Flow, Piece};
use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

/// The message ended before it was complete. What has gone out of it is no HTTP message and no JSON value.
#[derive(Debug, thiserror::Error)]
#[error("the answer was broken off")]
pub(super) struct BrokenOff;

/// A message as it comes. It ends in an error unless all of it has come.
#[derive(Debug)]
pub(super) struct Flowing {
    state: State,
    /// When the caller's right to it ends.
    until: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum State {
    Open(mpsc::Receiver<Piece>),
    Complete,
    Broken,
}

impl Flowing {
    pub(super) fn new(flow: &Flow) -> Self {
        Self {
            state: flow.take().map_or(State::Broken, State::Open),
            until: None,
        }
    }

    /// The same; it breaks off then.
    pub(super) fn until(self, end: Instant) -> Self {
        Self {
            until: Some(Box::pin(sleep_until(end))),
            ..self
        }
    }
}

impl Body for Flowing {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let is_over = self
            .until
            .as_mut()
            .is_some_and(|until| until.as_mut().poll(context).is_ready());
        let piece = match &mut self.state {
            State::Complete => return Poll::Ready(None),
            State::Broken => None,
            State::Open(_) if is_over => None,
            State::Open(pieces) => match pieces.poll_recv(context) {
                Poll::Ready(piece) => piece,
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(Some(match piece {
            Some(Piece::More(bytes)) => Ok(Frame::data(bytes)),
            Some(Piece::Last(bytes)) => {
                self.state = State::Complete;
                Ok(Frame::data(bytes))
            }
            None => {
                self.state = State::Broken;
                Err(BrokenOff)
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_message_is_complete_with_its_last_piece_alone() {
        let (pieces, flow) = Flow::open();
        let mut body = Flowing::new(&flow);
        pieces.send(Piece::More("a".into())).await.unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        assert!(!body.is_end_stream());
        pieces.send(Piece::Last("b".into())).await.unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.is_end_stream() && body.frame().await.is_none());

        let (pieces, flow) = Flow::open();
        let mut body = Flowing::new(&flow);
        pieces.send(Piece::More("a".into())).await.unwrap();
        drop(pieces);
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().await.unwrap().is_err() && !body.is_end_stream());
        // What one has taken is no other's.
        assert!(Flowing::new(&flow).frame().await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_broken_off_when_the_right_to_it_ends() {
        let (pieces, flow) = Flow::open();
        let mut body = Flowing::new(&flow).until(Instant::now() + Duration::from_secs(1));
        pieces.send(Piece::More("a".into())).await.unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().await.unwrap().is_err());
        assert!(pieces.is_closed() || pieces.try_send(Piece::Last("b".into())).is_err());
    }
}
