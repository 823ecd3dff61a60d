//! What the ledger of a state folder says.

use super::{state, until};
use callgate_ledger::record::{Body, Denial, Intent, Outcome, Reload, SuppressedKind};
use callgate_store::Reader;
use callgate_testkit::Room;
use std::collections::HashMap;

/// The ledger as it was when it was read.
#[derive(Debug)]
pub(crate) struct Record(pub(crate) Vec<Body>);

impl Record {
    /// Reads it.
    #[track_caller]
    pub(crate) fn of(room: &Room) -> Self {
        let reader = Reader::open(&state(room)).expect("the state can be read");
        let bodies = reader
            .entries(0)
            .map(|entry| entry.unwrap().record().unwrap().body);
        Self(bodies.collect())
    }

    /// Reads it until it says something.
    #[track_caller]
    pub(crate) fn once(room: &Room, what: &str, holds: impl Fn(&Self) -> bool) -> Self {
        until(what, || {
            // Before its first record there may be nothing to read.
            Reader::open(&state(room)).ok()?;
            let record = Self::of(room);
            holds(&record).then_some(record)
        })
    }

    fn each<'a, T>(&'a self, pick: impl Fn(&'a Body) -> Option<&'a T>) -> Vec<&'a T> {
        self.0.iter().filter_map(pick).collect()
    }

    pub(crate) fn intents(&self) -> Vec<&Intent> {
        self.each(|body| {
            if let Body::Intent(intent) = body {
                Some(intent)
            } else {
                None
            }
        })
    }

    pub(crate) fn outcomes(&self) -> Vec<&Outcome> {
        self.each(|body| {
            if let Body::Outcome(outcome) = body {
                Some(outcome)
            } else {
                None
            }
        })
    }

    pub(crate) fn denials(&self) -> Vec<&Denial> {
        self.each(|body| {
            if let Body::Denial(denial) = body {
                Some(denial)
            } else {
                None
            }
        })
    }

    pub(crate) fn reloads(&self) -> Vec<&Reload> {
        self.each(|body| {
            if let Body::Reload(reload) = body {
                Some(reload)
            } else {
                None
            }
        })
    }

    /// How many calls were denied, those that are only counted among them.
    pub(crate) fn denials_counted(&self) -> u64 {
        let count = |body: &Body| match body {
            Body::Denial(_) => 1,
            Body::Suppressed(suppressed) if suppressed.of == SuppressedKind::Denial => suppressed.count.get(),
            _ => 0,
        };
        self.0.iter().map(count).sum()
    }

    /// How many messages were refused as malformed, those that are only counted among them.
    pub(crate) fn malformed_or_suppressed(&self) -> u64 {
        let count = |body: &Body| match body {
            Body::Malformed(_) => 1,
            Body::Suppressed(suppressed) if suppressed.of == SuppressedKind::Malformed => {
                suppressed.count.get()
            }
            _ => 0,
        };
        self.0.iter().map(count).sum()
    }

    /// Whether there is a record of a kind.
    pub(crate) fn has(&self, kind: &str) -> bool {
        self.0.iter().any(|body| body.kind().as_str() == kind)
    }

    /// The statuses of all outcomes, in the order of the log.
    pub(crate) fn statuses(&self) -> Vec<&'static str> {
        self.outcomes()
            .iter()
            .map(|outcome| outcome.status.as_str())
            .collect()
    }

    /// Whether every intent has its outcome.
    pub(crate) fn is_settled(&self) -> bool {
        self.outcomes().len() >= self.intents().len()
    }

    /// Every intent has exactly one outcome, after it, and no outcome lacks its intent.
    #[track_caller]
    pub(crate) fn assert_one_outcome_each(&self) {
        let mut open = HashMap::new();
        for body in &self.0 {
            match body {
                Body::Intent(intent) => {
                    assert_eq!(open.insert(intent.call, 0), None, "an intent stands twice")
                }
                Body::Outcome(outcome) => {
                    *open.get_mut(&outcome.call).expect("an outcome without an intent") += 1
                }
                _ => {}
            }
        }
        let wrong: Vec<_> = open.iter().filter(|(_, count)| **count != 1).collect();
        assert!(wrong.is_empty(), "intents without exactly one outcome: {wrong:?}");
    }
}
