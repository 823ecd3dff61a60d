//! Where answers go: one client's writer, or the response to one HTTP request.

use crate::flow::Flow;
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Others may follow: it was a notification or a request of the server's.
    More,
    /// It is the answer.
    Last,
    /// It is the answer, which comes in pieces.
    Flowing(Flow),
    /// It is no message: the server has opened a stream for the request.
    Opened,
    /// It is no message: the server has closed that stream, and goes on once it is asked for again.
    Paused,
}

/// Takes messages for one client, or for one request of it.
#[derive(Debug, Clone)]
pub enum Sink {
    /// Straight to the one client of a server: while it does not read, its server waits.
    Direct(mpsc::Sender<Outbound>),
    /// To the response to one request, which consists of its answer alone as long as nothing else is handed over.
    Alone(mpsc::Sender<Outbound>),
    /// To one of several clients: what it does not read must not hold up the others.
    Shared(mpsc::Sender<Outbound>),
    /// Answers wait until those of the whole batch are there; the rest goes straight on.
    Batch(Arc<BatchJoin>),
    /// From one of several servers that the client takes for one.
    Part(Arc<Lane>),
}

/// What messages of one of several servers go through on their way to the client.
#[derive(Debug)]
pub struct Lane {
    /// What makes them messages of the whole.
    pub edit: Box<dyn Edit>,
    /// Where they go.
    pub to: Sink,
    /// Where answers go instead, as they are: Callgate makes one of several.
    pub answers: Option<mpsc::Sender<Outbound>>,
}

/// Makes messages of one server messages of the whole that it is a part of.
pub trait Edit: std::fmt::Debug + Send + Sync {
    /// An answer. There always is one.
    fn answer(&self, answer: Bytes) -> Bytes;

    /// A notification or a request; `None` where it cannot be passed on.
    fn message(&self, message: Bytes) -> Option<Bytes>;
}

/// Whether a message on the way was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It was.
    Taken,
    /// The client has gone, or has too many unread.
    Dropped,
}

impl Sink {
    /// Hands over a message that is no answer.
    pub async fn offer(&self, bytes: Bytes) -> Offered {
        let message = Outbound {
            bytes,
            end: End::More,
            status: 200,
        };
        let is_taken = match self {
            Self::Direct(sender) => sender.send(message).await.is_ok(),
            Self::Alone(sender) | Self::Shared(sender) => sender.try_send(message).is_ok(),
            Self::Batch(join) => join.sender.try_send(message).is_ok(),
            Self::Part(lane) => {
                return match lane.edit.message(message.bytes) {
                    Some(bytes) => Box::pin(lane.to.offer(bytes)).await,
                    None => Offered::Dropped,
                };
            }
        };
        if is_taken {
            Offered::Taken
        } else {
            Offered::Dropped
        }
    }

    /// Tells what becomes of the server's stream, where the client's side has streams too. It may get lost: no
    /// message depends on it.
    pub fn tell(&self, end: End) {
        let message = Outbound {
            bytes: Bytes::new(),
            end,
            status: 200,
        };
        match self {
            Self::Direct(_) => {}
            Self::Alone(sender) | Self::Shared(sender) => drop(sender.try_send(message)),
            Self::Batch(join) => drop(join.sender.try_send(message)),
            Self::Part(lane) if lane.answers.is_none() => lane.to.tell(message.end),
            Self::Part(_) => {}
        }
    }

    /// Hands over an answer. A client that has gone is no error: there is nobody to tell. One of several
    /// clients that has too many unread gets it once it reads.
    pub async fn send(&self, bytes: Bytes, status: u16) {
        let message = Outbound {
            bytes,
            end: End::Last,
            status,
        };
        match self {
            Self::Direct(sender) => {
                let _ = sender.send(message).await;
            }
            Self::Alone(sender) | Self::Shared(sender) => deliver(sender, message),
            Self::Batch(join) => join.answer(&message.bytes),
            Self::Part(lane) => match &lane.answers {
                Some(answers) => deliver(answers, message),
                None => {
                    let bytes = lane.edit.answer(message.bytes);
                    Box::pin(lane.to.send(bytes, status)).await;
                }
            },
        }
    }

    /// The client waits for one answer less: the request was cancelled.
    pub fn forgo(&self) {
        match self {
            Self::Batch(join) => join.forgo(),
            Self::Part(lane) if lane.answers.is_none() => lane.to.forgo(),
            Self::Direct(_) | Self::Alone(_) | Self::Shared(_) | Self::Part(_) => {}
        }
    }

    /// Hands over an answer.
    pub async fn answer(&self, bytes: Bytes) {
        self.send(bytes, 200).await;
    }

    /// Whether the client still listens.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Direct(sender) | Self::Alone(sender) | Self::Shared(sender) => sender.is_closed(),
            Self::Batch(join) => join.sender.is_closed(),
            Self::Part(lane) => lane
                .answers
                .as_ref()
                .map_or_else(|| lane.to.is_closed(), mpsc::Sender::is_closed),
        }
    }

    /// Whether the client has as many messages unread as may wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Direct(sender) | Self::Alone(sender) | Self::Shared(sender) => sender.capacity() == 0,
            Self::Batch(join) => join.sender.capacity() == 0,
            Self::Part(lane) => lane.to.is_full(),
        }
    }

    /// Resolves once the client no longer listens.
    pub async fn closed(&self) {
        match self {
            Self::Direct(sender) | Self::Alone(sender) | Self::Shared(sender) => sender.closed().await,
            Self::Batch(join) => join.sender.closed().await,
            Self::Part(lane) => match &lane.answers {
                Some(answers) => answers.closed().await,
                None => Box::pin(lane.to.closed()).await,
            },
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

    fn answer(&self, bytes: &[u8]) {
        self.count_down(Some(bytes));
    }

    fn forgo(&self) {
        self.count_down(None);
    }

    fn count_down(&self, answer: Option<&[u8]>) {
        let joined = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.missing == 0 {
                return;
            }
            if let Some(answer) = answer {
                if state.answers.len() > 1 {
                    state.answers.push(b',');
                }
                state.answers.extend_from_slice(answer);
            }
            state.missing -= 1;
            // A batch of which every request was cancelled has no answer.
            (state.missing == 0 && state.answers.len() > 1).then(|| {
                state.answers.push(b']');
                std::mem::take(&mut state.answers)
            })
        };
        if let Some(joined) = joined {
            deliver(
                &self.sender,
                Outbound {
                    bytes: joined.into(),
                    end: End::Last,
                    status: 200,
                },
            );
        }
    }
}

/// Hands over an answer without waiting for a client that does not read.
fn deliver(sender: &mpsc::Sender<Outbound>, message: Outbound) {
    if let Err(mpsc::error::TrySendError::Full(message)) = sender.try_send(message) {
        let sender = sender.clone();
        tokio::spawn(async move {
            let _ = sender.send(message).await;
        });
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
        assert_eq!(
            sink.offer(Bytes::from_static(b"{\"method\":\"m\"}")).await,
            Offered::Taken
        );
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
