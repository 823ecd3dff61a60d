//! Limits as arithmetic: windows, keys, reservations, and whether they fit.

mod admit;
mod in_force;
mod memory;

pub use admit::{Charge, Counters, Totals, Verdict, admit, cutoff, entry_time, period};
pub use in_force::{Bound, LimitInForce};
pub use memory::{MemoryCounters, SumOutOfRange};

use crate::amount::Amount;
use crate::name::{CounterName, GrantId, RuleId, ServerName, SessionId};
use crate::program::Mode;
use std::sync::Arc;
use std::time::Duration;

/// The store's time, in nanoseconds since the Unix epoch. It never runs backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StoreTime(pub u64);

/// How long a limit looks back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Every half-open interval (t − length, t].
    Sliding(Duration),
    /// The calendar's own minute, hour or day in UTC, which lets up to twice `max` through around a boundary.
    Calendar(CalendarUnit),
}

/// A unit of the calendar, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarUnit {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Window {
    /// How far it looks back at most.
    #[must_use]
    pub const fn length(self) -> Duration {
        match self {
            Self::Sliding(length) => length,
            Self::Calendar(unit) => unit.length(),
        }
    }
}

impl CalendarUnit {
    /// Its length.
    #[must_use]
    pub const fn length(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(60),
            Self::Hour => Duration::from_secs(3_600),
            Self::Day => Duration::from_secs(86_400),
        }
    }
}

/// Up to so many entries a key are kept at their own times.
pub const EXACT_ENTRIES_MAX: u64 = 1_000;

/// Above [`EXACT_ENTRIES_MAX`], entries share so many sub-windows of a window.
pub const SUB_WINDOWS: u32 = 60;

/// What identifies a limit's history: never the policy's version or the rule's place in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitKey {
    /// The server; `None` over all servers.
    pub server: Option<ServerName>,
    /// The value of the scope.
    pub scope: ScopeValue,
    /// The tool's part, or `*`.
    pub tool: Arc<str>,
    /// The counter.
    pub counter: CounterName,
}

/// The value that a call gives to a limit's scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeValue {
    /// This grant.
    Grant(GrantId),
    /// This session.
    Session(SessionId),
    /// The tool, by anyone.
    Tool,
    /// The server, by anyone.
    Server,
    /// Any server, by anyone.
    Global,
    /// The value of an argument, in a form in which equal values are equal. It is never stored as it is.
    Argument {
        /// The path as the policy spells it.
        path: Arc<str>,
        /// The normal form of the value: sorted keys, each number as its nearest double, so that numerals which
        /// some server reads as one number share a limit instead of doubling it.
        value: Arc<str>,
    },
}

/// What a call would take from one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Whose history.
    pub key: LimitKey,
    /// How long it looks back.
    pub window: Window,
    /// What the call takes; zero for a limit that is only looked at.
    pub amount: Amount,
    /// At most so much, the call included.
    pub max: Option<Amount>,
    /// At least so much before the call.
    pub min: Option<Amount>,
    /// The rule that asks for it.
    pub rule: RuleId,
    /// What the agent is told when it does not fit.
    pub on_deny: Option<Arc<str>>,
    /// Whether it acts, or is only recorded.
    pub mode: Mode,
    /// Whether it counts calls or sums an argument.
    pub measure: Measure,
}

/// What a limit counts, for the words of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Calls.
    Calls,
    /// A sum of an argument.
    Sum,
}

/// A place among the calls in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Whose calls share the places.
    pub key: LimitKey,
    /// How many places there are.
    pub max: u32,
    /// The rule that asks for it.
    pub rule: RuleId,
    /// What the agent is told when none is free.
    pub on_deny: Option<Arc<str>>,
    /// Whether it acts, or is only recorded.
    pub mode: Mode,
}
