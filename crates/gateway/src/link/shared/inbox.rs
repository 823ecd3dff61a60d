//! What is handed to one session: a task of its own does it, so that no session waits for another.

use crate::link::{Passage, PassageKind};
use crate::session::{Departure, Origin, Session};
use bytes::Bytes;
use callgate_core::refusal::Reason;
use callgate_wire::IdKey;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use tokio::sync::mpsc;

/// Notifications that may wait for a session. Answers are not counted: each has a request that is.
const TOLD_MAX: usize = 1_024;

/// Where a session is handed what is meant for it.
#[derive(Debug)]
pub(super) struct Inbox {
    session: Weak<Session>,
    items: mpsc::UnboundedSender<Item>,
    /// Notifications that wait.
    told: Arc<AtomicUsize>,
}

/// A request of a session's: another of the same id is another.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) key: IdKey,
    pub(super) departure: Departure,
}

/// One thing that a session is handed.
#[derive(Debug)]
pub(super) enum Item {
    /// The answer to a request, under the session's own id, and its HTTP status.
    Answer { to: Asked, bytes: Bytes, status: u16 },
    /// An answer to a request that was given up.
    Late { key: IdKey, bytes: Bytes },
    /// A notification.
    Told(Bytes),
    /// A request that gets no answer.
    Failed {
        asked: Asked,
        reason: Reason,
        text: &'static str,
    },
    /// The child has gone.
    Gone,
}

impl Inbox {
    /// An inbox that hands over to a session for as long as that is there.
    pub(super) fn new(session: &Arc<Session>) -> Self {
        let (items, receiver) = mpsc::unbounded_channel();
        let told = Arc::new(AtomicUsize::new(0));
        let session = Arc::downgrade(session);
        tokio::spawn(hand_over(Weak::clone(&session), receiver, Arc::clone(&told)));
        Self { session, items, told }
    }

    /// The child's tools have changed: the session's calls are judged by a list that is read anew, whether its client
    /// is told of it or not.
    pub(super) fn outdate_list(&self) {
        if let Some(session) = self.session.upgrade() {
            session.forget_list();
        }
    }

    /// Hands something over. A notification is dropped where too many wait.
    pub(super) fn put(&self, item: Item) {
        if matches!(item, Item::Told(_)) {
            if self.told.load(Ordering::Acquire) >= TOLD_MAX {
                return;
            }
            self.told.fetch_add(1, Ordering::AcqRel);
        }
        // A session that has gone is told nothing.
        let _ = self.items.send(item);
    }
}

async fn hand_over(session: Weak<Session>, mut items: mpsc::UnboundedReceiver<Item>, told: Arc<AtomicUsize>) {
    while let Some(item) = items.recv().await {
        let Some(session) = session.upgrade() else { return };
        match item {
            Item::Answer { to, bytes, status } => {
                if session.waits_for(&to.key, &to.departure) {
                    let origin = Origin::Reply { to: &to.key, status };
                    session.on_server(bytes, origin).await;
                } else {
                    session.on_late_answer(&to.key, &bytes);
                }
            }
            Item::Late { key, bytes } => session.on_late_answer(&key, &bytes),
            Item::Told(bytes) => {
                told.fetch_sub(1, Ordering::AcqRel);
                session.on_server(bytes, Origin::Shared).await;
            }
            Item::Failed { asked, reason, text } => {
                if session.waits_for(&asked.key, &asked.departure) {
                    session.fail(&asked.key, reason, text).await;
                }
            }
            Item::Gone => return session.server_gone().await,
        }
    }
}

/// A message for which the child has no room.
#[derive(Debug)]
pub(super) struct Unsent(pub(super) Passage);

/// What is told of it.
pub(super) const NOT_READ: &str = "the server does not read what it is sent, so the call has not run";

impl Unsent {
    /// Tells a session of a request that is not sent.
    pub(super) async fn tell(self, session: &Arc<Session>) {
        if let (PassageKind::Request, Some(key)) = (self.0.kind, &self.0.key) {
            session.fail(key, Reason::UpstreamUnreachable, NOT_READ).await;
        }
    }
}
