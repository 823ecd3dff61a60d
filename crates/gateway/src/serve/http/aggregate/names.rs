//! The names of the whole put into what one server sends.

use crate::answer;
use crate::sink::{Edit, Lane, Outbound, Sink};
use bytes::Bytes;
use callgate_wire::aggregate::{self, Prefix, Shape};
use callgate_wire::{Bounds, Decoded, Kind, decode};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::mpsc;

/// JSON-RPC's code for what went wrong inside.
const INTERNAL: i32 = -32_603;

/// Renames what a server sends, for the client of the whole.
#[derive(Debug)]
pub(super) struct Names {
    prefix: Prefix,
    shape: Shape,
    bounds: Bounds,
}

impl Names {
    /// For the answer to a request of this shape, and what comes with it.
    pub(super) const fn new(prefix: Prefix, shape: Shape, bounds: Bounds) -> Self {
        Self {
            prefix,
            shape,
            bounds,
        }
    }

    /// A way to the client for what a server sends.
    pub(super) fn to(self, to: Sink) -> Sink {
        self.lane(to, None)
    }

    /// The same, but answers go to Callgate.
    pub(super) fn but_answers(self, to: Sink, answers: mpsc::Sender<Outbound>) -> Sink {
        self.lane(to, Some(answers))
    }

    fn lane(self, to: Sink, answers: Option<mpsc::Sender<Outbound>>) -> Sink {
        Sink::Part(Arc::new(Lane {
            edit: Box::new(self),
            to,
            answers,
        }))
    }
}

impl Edit for Names {
    fn answer(&self, answer: Bytes) -> Bytes {
        if self.shape == Shape::Other || !aggregate::may_hold_names(&answer) {
            return answer;
        }
        let lost = |id: &str| answer::error(id, INTERNAL, "the server's answer could not be re-addressed");
        let Ok(Decoded::Single(message)) = decode(&answer, &self.bounds) else {
            return lost("null");
        };
        match aggregate::answer(&message, self.shape, &self.prefix, &self.bounds) {
            Ok(Cow::Borrowed(_)) => answer,
            Ok(Cow::Owned(renamed)) => renamed.into(),
            Err(_) => match message.kind() {
                Kind::Response(response) => lost(response.id.as_ref().map_or("null", callgate_wire::Id::raw)),
                Kind::Request(_) | Kind::Notification(_) => lost("null"),
            },
        }
    }

    fn message(&self, message: Bytes) -> Option<Bytes> {
        let Ok(Decoded::Single(decoded)) = decode(&message, &self.bounds) else {
            return None;
        };
        match aggregate::from_server(&decoded, &self.prefix, &self.bounds).ok()? {
            Cow::Borrowed(_) => Some(message),
            Cow::Owned(renamed) => Some(renamed.into()),
        }
    }
}
