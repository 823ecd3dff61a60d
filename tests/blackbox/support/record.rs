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

    /// How many records there are of a kind, those that are only counted among them.
    fn counted(&self, is_one: impl Fn(&Body) -> bool, of: SuppressedKind) -> u64 {
        let count = |body: &Body| {
            if let Body::Suppressed(suppressed) = body
                && suppressed.of == of
            {
                suppressed.count.get()
            } else {
                u64::from(is_one(body))
            }
        };
        self.0.iter().map(count).sum()
    }

    /// How many calls were denied, those that are only counted among them.
    pub(crate) fn denials_counted(&self) -> u64 {
        self.counted(|body| matches!(body, Body::Denial(_)), SuppressedKind::Denial)
    }

    /// How many messages were refused as malformed, those that are only counted among them.
    pub(crate) fn malformed_or_suppressed(&self) -> u64 {
        self.counted(
            |body| matches!(body, Body::Malformed(_)),
            SuppressedKind::Malformed,
        )
    }

    /// How many requests were not let in, those that are only counted among them.
    pub(crate) fn auth_failures(&self) -> u64 {
        self.counted(
            |body| matches!(body, Body::AuthFailure(_)),
            SuppressedKind::AuthFailure,
        )
    }

    /// Where requests came from that were not let in.
    pub(crate) fn refused_addresses(&self) -> Vec<String> {
        let address = |body: &Body| {
            if let Body::AuthFailure(failure) = body {
                failure.address.as_ref().map(ToString::to_string)
            } else {
                None
            }
        };
        self.0.iter().filter_map(address).collect()
    }

    /// Whether a request was not let in whose token was that of a known grant.
    pub(crate) fn has_refused_grant(&self) -> bool {
        let is_one = |body: &Body| {
            matches!(body, Body::AuthFailure(failure)
                if failure.grant.is_some() && failure.reason.as_str() == "grant_ended")
        };
        self.0.iter().any(is_one)
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
            if let Body::Intent(intent) = body {
                assert_eq!(open.insert(intent.call, 0), None, "an intent stands twice");
            } else if let Body::Outcome(outcome) = body {
                *open.get_mut(&outcome.call).expect("an outcome without an intent") += 1;
            }
        }
        let wrong: Vec<_> = open.iter().filter(|(_, count)| **count != 1).collect();
        assert!(wrong.is_empty(), "intents without exactly one outcome: {wrong:?}");
    }
}
