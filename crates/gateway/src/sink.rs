//! Where answers go: one client's writer, or the response to one HTTP request.

use bytes::Bytes;
use callgate_wire::quoted;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// One message on its way to a client.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// The message: one JSON value, or an array of answers to a batch.
    pub bytes: Bytes,
    /// Whether more follows for the same request.
    pub end: End,
    /// The HTTP status it goes out with, where it is the only message of a response.
    pub status: u16,
}

/// Whether a message is the last for its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Others may follow: it was a notification or a request of the server's.
    More,
    /// It is the answer.
    Last,
}

/// Takes messages for one client, or for one request of it.
#[derive(Debug, Clone)]
pub enum Sink {
    /// Straight to a writer.
    Direct(mpsc::Sender<Outbound>),
    /// Answers wait until those of the whole batch are there; the rest goes straight on.
    Batch(Arc<BatchJoin>),
}

impl Sink {
    /// Hands over a message. A client that has gone is no error: there is nobody to tell.
    pub async fn send(&self, bytes: Bytes, end: End, status: u16) {
        match (self, end) {
            (Self::Direct(sender), _) => {
                let _ = sender.send(Outbound { bytes, end, status }).await;
            }
            (Self::Batch(join), End::More) => {
                let _ = join.sender.send(Outbound { bytes, end, status }).await;
            }
            (Self::Batch(join), End::Last) => join.answer(bytes).await,
        }
    }

    /// Hands over an answer.
    pub async fn answer(&self, bytes: Bytes) {
        self.send(bytes, End::Last, 200).await;
    }

    /// Whether the client still listens.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Direct(sender) => sender.is_closed(),
            Self::Batch(join) => join.sender.is_closed(),
        }
    }

    /// Resolves once the client no longer listens.
    pub async fn closed(&self) {
        match self {
            Self::Direct(sender) => sender.closed().await,
            Self::Batch(join) => join.sender.closed().await,
        }
    }
}

/// Joins the answers to a batch into one array.
#[derive(Debug)]
pub struct BatchJoin {
    sender: mpsc::Sender<Outbound>,
    state: Mutex<BatchState>,
}

#[derive(Debug)]
struct BatchState {
    missing: usize,
    answers: Vec<u8>,
}

impl BatchJoin {
    /// Waits for so many answers.
    #[must_use]
    pub fn new(sender: mpsc::Sender<Outbound>, missing: usize) -> Self {
        Self {
            sender,
            state: Mutex::new(BatchState {
                missing,
                answers: vec![b'['],
            }),
        }
    }

    async fn answer(&self, bytes: Bytes) {
        let joined = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.missing == 0 {
                return;
            }
            if state.answers.len() > 1 {
                state.answers.push(b',');
            }
            state.answers.extend_from_slice(&bytes);
            state.missing -= 1;
            (state.missing == 0).then(|| {
                state.answers.push(b']');
                std::mem::take(&mut state.answers)
            })
        };
        if let Some(joined) = joined {
            let _ = self
                .sender
                .send(Outbound {
                    bytes: joined.into(),
                    end: End::Last,
                    status: 200,
                })
                .await;
        }
    }
}

/// A JSON object of string members, in their order, for small messages that a gate writes itself.
#[must_use]
pub fn object(members: &[(&str, &str)]) -> String {
    let mut out = String::from("{");
    for (index, (key, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&quoted(key));
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_to_a_batch_go_out_together_and_the_rest_at_once() {
        let (sender, mut receiver) = mpsc::channel(8);
        let sink = Sink::Batch(Arc::new(BatchJoin::new(sender, 2)));
        sink.answer(Bytes::from_static(b"{\"id\":1}")).await;
        sink.send(Bytes::from_static(b"{\"method\":\"m\"}"), End::More, 200)
            .await;
        sink.answer(Bytes::from_static(b"{\"id\":2}")).await;
        let first = receiver.recv().await.unwrap();
        assert_eq!(
            (first.bytes.as_ref(), first.end),
            (&b"{\"method\":\"m\"}"[..], End::More)
        );
        let second = receiver.recv().await.unwrap();
        assert_eq!(
            (second.bytes.as_ref(), second.end),
            (&b"[{\"id\":1},{\"id\":2}]"[..], End::Last)
        );
    }
}
