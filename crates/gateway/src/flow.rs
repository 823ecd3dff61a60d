//! An answer that goes to its client while the rest of it still comes from the server.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Pieces that wait between the two sides: while the client takes none, none is read from the server.
const PIECES_MAX: usize = 1;

/// A part of an answer. One whose last piece does not come was broken off.
#[derive(Debug)]
pub(crate) enum Piece {
    /// More has to follow.
    More(Bytes),
    /// It is complete with this.
    Last(Bytes),
}

/// The client's side of an answer in pieces: whoever takes it first has it.
#[derive(Debug, Clone)]
pub struct Flow(Arc<Mutex<Option<mpsc::Receiver<Piece>>>>);

impl PartialEq for Flow {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Flow {}

impl Flow {
    /// Both sides of an answer. The server's breaks it off where it is dropped, the client's stops it.
    pub(crate) fn open() -> (mpsc::Sender<Piece>, Self) {
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        (sender, Self(Arc::new(Mutex::new(Some(receiver)))))
    }

    pub(crate) fn take(&self) -> Option<mpsc::Receiver<Piece>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
