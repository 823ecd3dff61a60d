//! What a client sends before it has the answer to its `initialize`: held back in its order, as which era the server is
//! of, and so in whose words it is to be told, is known by that answer alone.

use super::Course;
use crate::link::{Passage, PassageKind, Style};
use crate::recorder::Peer;
use crate::session::{Departure, Session};
use bytes::Bytes;
use callgate_wire::IdKey;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Messages that are held back at once: more than the requests that may be in flight.
const HELD_MAX: usize = 2_048;
/// Bytes of them; one alone may have more.
const HELD_BYTES_MAX: usize = 16 << 20;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Whether anything has to wait; changed under the lock alone.
    is_on: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// Messages in their order, and how long they are together.
#[derive(Debug, Default)]
struct Waiting {
    passages: VecDeque<Passage>,
    bytes: usize,
}

impl Waiting {
    /// Adds a message; gives it back where there is no room for it.
    fn add(&mut self, mut passage: Passage) -> Result<(), Passage> {
        let bytes = self.bytes.saturating_add(length(&passage));
        let count = self.passages.len();
        if count >= HELD_MAX || (count > 0 && bytes > HELD_BYTES_MAX) {
            return Err(passage);
        }
        // It may be a small part of a large body, which would be kept with it.
        passage.bytes = Bytes::copy_from_slice(&passage.bytes);
        self.bytes = bytes;
        self.passages.push_back(passage);
        Ok(())
    }

    fn next(&mut self) -> Option<Passage> {
        let next = self.passages.pop_front()?;
        self.bytes = self.bytes.saturating_sub(length(&next));
        Some(next)
    }
}

/// What a message takes: its own bytes, and the headers that came with it.
fn length(passage: &Passage) -> usize {
    let headers = passage.mirrored.iter().flatten();
    let headers = headers.map(|(name, value)| name.len().saturating_add(value.len()));
    headers.fold(passage.bytes.len(), usize::saturating_add)
}

/// What becomes of a message.
enum Place {
    /// It need not wait.
    Free(Passage),
    /// It waits.
    Taken,
    /// Too many wait, or they are too long together.
    None(Passage),
}

impl Held {
    /// Whether a message has to wait.
    pub(super) fn keeps(&self, passage: &Passage) -> bool {
        self.is_on() && waits(passage)
    }

    fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    fn begin(&self) {
        let _waiting = self.lock();
        self.is_on.store(true, Ordering::Release);
    }

    fn take(&self, passage: Passage) -> Place {
        let mut waiting = self.lock();
        if !self.is_on() {
            return Place::Free(passage);
        }
        waiting.add(passage).map_or_else(Place::None, |()| Place::Taken)
    }

    /// The message whose turn it is; after the last, nothing has to wait any more.
    fn next(&self) -> Option<Passage> {
        let mut waiting = self.lock();
        let next = waiting.next();
        if next.is_none() {
            self.is_on.store(false, Ordering::Release);
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// From now on what the client sends waits, until its `initialize`, which is in flight, is over: answered, refused,
    /// cancelled or too late.
    pub(crate) fn hold_until_answered(self: &Arc<Self>, key: &IdKey, departure: &Departure) {
        if self.crossing().course() != Course::Undecided {
            return;
        }
        let Some(over) = self.hold_by(key, departure) else {
            return;
        };
        self.crossing().held.begin();
        // A session that is given up takes its `initialize` with it, which ends this.
        let session = Arc::downgrade(self);
        tokio::spawn(async move {
            let _ = over.await;
            let Some(session) = session.upgrade() else { return };
            while let Some(passage) = session.crossing().held.next() {
                // Where a side has gone, all that waits has been ended already.
                if !session.is_closed() {
                    session.send_on(passage).await;
                }
            }
        });
    }

    /// Holds a message back that has to wait for the answer to `initialize`.
    pub(super) async fn hold_back(self: &Arc<Self>, passage: Passage) {
        match self.crossing().held.take(passage) {
            // The answer has come meanwhile.
            Place::Free(passage) => self.send_on(passage).await,
            Place::Taken => {}
            Place::None(passage) => match (passage.kind, &passage.key) {
                (PassageKind::Request, Some(key)) => {
                    let text = "too much waits for the server's answer to `initialize`, so this request was not sent";
                    self.fail_unsent(key, text).await;
                }
                (_, _) => self.record_drop(Peer::Client, passage.bytes.len()),
            },
        }
    }
}

/// Whether it waits. `initialize` itself does not, nor what says of itself that it is modern; nor what answers the
/// server, which may ask before it answers; nor what ends a request that has left.
fn waits(passage: &Passage) -> bool {
    match passage.kind {
        PassageKind::Request | PassageKind::Notification | PassageKind::Initialized => {
            passage.style == Style::Plain
        }
        PassageKind::Cancellation | PassageKind::Response => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(count: usize) -> Passage {
        Passage::notification(Bytes::from(count.to_string()), false)
    }

    #[test]
    fn what_waits_goes_on_in_its_order_and_has_a_maximum() {
        let held = Held::default();
        assert!(
            matches!(held.take(passage(0)), Place::Free(_)),
            "nothing has to wait"
        );
        held.begin();
        for count in 0..HELD_MAX {
            assert!(matches!(held.take(passage(count)), Place::Taken));
        }
        assert!(matches!(held.take(passage(HELD_MAX)), Place::None(_)));
        assert_eq!(held.next().unwrap().bytes, "0");
        // What comes while they go on does not overtake them.
        assert!(matches!(held.take(passage(HELD_MAX)), Place::Taken));
        for count in 1..=HELD_MAX {
            assert_eq!(held.next().unwrap().bytes, count.to_string());
        }
        assert!(held.next().is_none() && !held.is_on());
        assert!(matches!(held.take(passage(0)), Place::Free(_)));
    }

    #[test]
    fn what_waits_has_a_maximum_of_bytes_and_gives_them_back() {
        let long = |length: usize| Passage::notification(Bytes::from(vec![b'x'; length]), false);
        let headed = |length: usize| Passage {
            mirrored: Some(vec![("a".to_owned(), "x".repeat(length - 1))]),
            ..long(0)
        };
        let held = Held::default();
        held.begin();
        assert!(
            matches!(held.take(long(HELD_BYTES_MAX + 1)), Place::Taken),
            "one alone"
        );
        assert!(matches!(held.take(long(0)), Place::None(_)));
        held.next().unwrap();
        assert!(matches!(held.take(long(HELD_BYTES_MAX - 9)), Place::Taken));
        assert!(matches!(held.take(headed(10)), Place::None(_)));
        assert!(matches!(held.take(headed(9)), Place::Taken));
        assert!(matches!(held.take(long(1)), Place::None(_)));
        held.next().unwrap();
        assert!(matches!(held.take(long(HELD_BYTES_MAX - 9)), Place::Taken));
        assert!(matches!(held.take(long(1)), Place::None(_)));
    }

    #[test]
    fn a_small_part_that_waits_does_not_keep_the_whole_that_it_came_in() {
        struct Whole {
            _alive: Arc<()>,
        }
        impl AsRef<[u8]> for Whole {
            fn as_ref(&self) -> &[u8] {
                b"[1,2]"
            }
        }
        let alive = Arc::new(());
        let whole = Bytes::from_owner(Whole {
            _alive: Arc::clone(&alive),
        });
        let held = Held::default();
        held.begin();
        let part = Passage::notification(whole.slice(1..2), false);
        assert!(matches!(held.take(part), Place::Taken));
        drop(whole);
        assert_eq!(Arc::strong_count(&alive), 1, "the whole is kept");
        assert_eq!(held.next().unwrap().bytes, "1");
    }
}
