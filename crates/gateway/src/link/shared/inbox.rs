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
/// Bytes of them; one alone may have more.
const TOLD_BYTES_MAX: usize = 16 << 20;

/// Where a session is handed what is meant for it.
#[derive(Debug)]
pub(super) struct Inbox {
    session: Weak<Session>,
    items: mpsc::UnboundedSender<Item>,
    told: Arc<Told>,
}

/// How many notifications wait, and how long they are together.
#[derive(Debug, Default)]
struct Told {
    count: AtomicUsize,
    bytes: AtomicUsize,
}

impl Told {
    /// Counts one more; false where too many wait.
    fn add(&self, length: usize) -> bool {
        let count = self.count.load(Ordering::Acquire);
        let bytes = self.bytes.load(Ordering::Acquire).saturating_add(length);
        let has_room = count < TOLD_MAX && (count == 0 || bytes <= TOLD_BYTES_MAX);
        if has_room {
            self.count.fetch_add(1, Ordering::AcqRel);
            self.bytes.fetch_add(length, Ordering::AcqRel);
        }
        has_room
    }

    fn remove(&self, length: usize) {
        self.bytes.fetch_sub(length, Ordering::AcqRel);
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
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
        let told = Arc::<Told>::default();
        let session = Arc::downgrade(session);
        tokio::spawn(hand_over(Weak::clone(&session), receiver, Arc::clone(&told)));
        Self { session, items, told }
    }

    /// The session, where it is still there.
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        self.session.upgrade()
    }

    /// Hands something over. A notification is dropped where too many wait.
    pub(super) fn put(&self, item: Item) {
        if let Item::Told(bytes) = &item
            && !self.told.add(bytes.len())
        {
            return;
        }
        // A session that has gone is told nothing.
        let _ = self.items.send(item);
    }
}

async fn hand_over(session: Weak<Session>, mut items: mpsc::UnboundedReceiver<Item>, told: Arc<Told>) {
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
                told.remove(bytes.len());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_that_wait_have_a_maximum_in_number_and_in_bytes() {
        let told = Told::default();
        for _ in 0..TOLD_MAX {
            assert!(told.add(1));
        }
        assert!(!told.add(1));
        told.remove(1);
        assert!(told.add(1));
        let told = Told::default();
        assert!(told.add(TOLD_BYTES_MAX + 1), "one alone");
        assert!(!told.add(1));
        told.remove(TOLD_BYTES_MAX + 1);
        assert!(told.add(TOLD_BYTES_MAX - 1) && told.add(1));
        assert!(!told.add(1));
    }
}
