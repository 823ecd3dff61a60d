//! Sessions with all servers over the transport of 2024-11-05. Such a session lasts as long as its stream, and the
//! client's `initialize`, which servers are greeted with, comes after that is open.

use super::Aggregates;
use super::whole::Whole;
use crate::serve::http::QUEUE_MAX;
use crate::serve::http::sessions::{OpenError, session_id};
use crate::sink::{Outbound, Sink};
use bytes::Bytes;
use callgate_core::name::SessionId;
use callgate_wire::mcp::Version;
use std::sync::Arc;
use tokio::sync::mpsc;

/// How far a session is.
#[derive(Debug)]
pub(super) enum Streamed {
    /// Its client has the address, and has not begun.
    Named(mpsc::Sender<Outbound>),
    /// It has begun, and itself holds its stream open.
    Begun(Arc<Whole>, mpsc::WeakSender<Outbound>),
}

impl Streamed {
    /// The session, where it has begun.
    pub(super) const fn whole(&self) -> Option<&Arc<Whole>> {
        match self {
            Self::Named(_) => None,
            Self::Begun(whole, _) => Some(whole),
        }
    }
}

/// What a message finds that is posted for a stream.
pub(super) enum Found {
    /// A client that has not begun.
    Named(mpsc::Sender<Outbound>),
    /// A session, and its stream.
    Begun(Arc<Whole>, mpsc::Sender<Outbound>),
}

impl Found {
    /// The stream.
    pub(super) const fn sender(&self) -> &mpsc::Sender<Outbound> {
        match self {
            Self::Named(sender) | Self::Begun(_, sender) => sender,
        }
    }
}

/// A stream that is open, and the id by which messages find it. Its session ends with this.
#[derive(Debug)]
pub(super) struct Stream {
    all: Arc<Aggregates>,
    id: SessionId,
}

impl Stream {
    pub(super) fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let streamed = self.all.lock().streamed.remove(self.id.as_str());
        if let Some(Streamed::Begun(whole, _)) = streamed
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { whole.close().await });
        }
    }
}

impl Aggregates {
    /// Opens a stream for a client that is to begin by it.
    pub(super) fn open_stream(self: &Arc<Self>) -> Result<(Stream, mpsc::Receiver<Outbound>), OpenError> {
        let mut state = self.lock();
        state.take_place(&self.house.settings)?;
        let (text, id) = session_id().ok_or(OpenError::TooMany)?;
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        state.streamed.insert(text, Streamed::Named(sender));
        let all = Arc::clone(self);
        Ok((Stream { all, id }, receiver))
    }

    /// What a message for this stream is for; `None` where there is no such stream.
    pub(super) fn find_stream(&self, id: &str) -> Option<Found> {
        let state = self.lock();
        if state.has_ended {
            return None;
        }
        match state.streamed.get(id)? {
            Streamed::Named(sender) => Some(Found::Named(sender.clone())),
            Streamed::Begun(whole, sender) => Some(Found::Begun(Arc::clone(whole), sender.upgrade()?)),
        }
    }

    /// Begins the session of a stream; `None` where that has ended, or has begun before.
    pub(super) fn begin_stream(&self, id: &str, hello: Bytes, version: Version) -> Option<Arc<Whole>> {
        let mut state = self.lock();
        let streamed = state.streamed.get_mut(id)?;
        let Streamed::Named(sender) = streamed else {
            return None;
        };
        let sender = sender.clone();
        let house = Arc::clone(&self.house);
        let whole = Arc::new(Whole::session(house, SessionId::new(id).ok()?, hello, version));
        *streamed = Streamed::Begun(Arc::clone(&whole), sender.downgrade());
        whole.attach(Sink::Shared(sender));
        whole.put_parts(&state.mounts);
        Some(whole)
    }
}
