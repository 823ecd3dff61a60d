//! What follows from a call: it may go on to the store, or it is refused.

use crate::limit::{Reservation, Slot};
use crate::path::Path;
use crate::refusal::Refusal;
use std::time::Duration;

/// What a policy says of one call.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may be forwarded once all its reservations are admitted.
    Admit(Admission),
    /// It is refused.
    Deny(Refusal),
}

/// What a call that may pass takes with it to the store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Admission {
    /// What it takes from limits: all of them or none.
    pub reservations: Vec<Reservation>,
    /// The places among calls in flight that it takes.
    pub slots: Vec<Slot>,
    /// How long its answer may take; `None` for the default.
    pub timeout: Option<Duration>,
    /// What shadow rules would have done.
    pub shadow: Vec<Refusal>,
    /// Arguments whose values the ledger may keep.
    pub record: Vec<Path>,
}
