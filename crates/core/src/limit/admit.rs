//! Whether a call's reservations fit: all of them are taken, or none.

use super::{
    CalendarUnit, EXACT_ENTRIES_MAX, LimitKey, Measure, Reservation, SUB_WINDOWS, Slot, StoreTime, Window,
};
use crate::amount::Amount;
use crate::name::RuleId;
use crate::program::Mode;
use crate::refusal::{Reason, Refusal};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What is live of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// The sum of the live entries.
    pub used: Amount,
    /// How many live entries there are; those that share a time and were merged count as one.
    pub entries: u64,
}

/// Where entries are kept: the store's transaction, or memory.
pub trait Counters {
    /// Why the entries could not be read or written.
    type Error;

    /// What is live of `key`: the entries later than `cutoff`. Older ones may be forgotten.
    ///
    /// # Errors
    /// Where the entries cannot be read, or their sum is out of range.
    fn totals(&mut self, key: &LimitKey, cutoff: StoreTime) -> Result<Totals, Self::Error>;

    /// Adds to the entry of `key` at `at`, making it where there is none.
    ///
    /// # Errors
    /// Where the entry cannot be written.
    fn add(&mut self, key: &LimitKey, at: StoreTime, amount: Amount) -> Result<(), Self::Error>;

    /// The time of the earliest entry of `key` up to which the live entries sum to at least `need`.
    ///
    /// # Errors
    /// Where the entries cannot be read.
    fn freed_by(&mut self, key: &LimitKey, need: Amount) -> Result<Option<StoreTime>, Self::Error>;

    /// How many calls hold a place of `key`.
    ///
    /// # Errors
    /// Where the places cannot be read.
    fn in_flight(&mut self, key: &LimitKey) -> Result<u32, Self::Error>;

    /// Takes a place of `key` for the call that is being admitted.
    ///
    /// # Errors
    /// Where the place cannot be written.
    fn occupy(&mut self, key: &LimitKey) -> Result<(), Self::Error>;
}

/// What admission came to.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was taken. Each charge is what a refund has to take back, at its own time.
    Admitted {
        /// What was taken.
        charges: Vec<Charge>,
        /// What shadow limits would have refused.
        shadow: Vec<Refusal>,
    },
    /// Nothing was taken.
    Refused(Refusal),
}

/// What one limit was charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Whose entry.
    pub key: LimitKey,
    /// The entry's time.
    pub at: StoreTime,
    /// How much of it is this call's.
    pub amount: Amount,
    /// The rule that asked for it.
    pub rule: RuleId,
}

/// Takes all reservations and places of one call at `now`, or none.
///
/// # Errors
/// Only those of `counters`; the caller then has to undo what it wrote, and deny.
pub fn admit<C: Counters>(
    counters: &mut C,
    now: StoreTime,
    reservations: &[Reservation],
    slots: &[Slot],
) -> Result<Verdict, C::Error> {
    let mut taken: Vec<Taken<'_>> = Vec::with_capacity(reservations.len());
    let mut shadow = Vec::new();
    for reservation in reservations {
        let totals = counters.totals(&reservation.key, cutoff(reservation.window, now))?;
        let earlier = earlier(&taken, reservation);
        match fits(reservation, totals.used, earlier) {
            Fit::Fits(together) => taken.push(Taken {
                reservation,
                together,
                at: entry_time(reservation.window, now, totals.entries),
            }),
            Fit::Exceeds => {
                let wait = retry_after(counters, reservation, totals.used, earlier, now)?;
                match reservation.mode {
                    Mode::Enforce => return Ok(Verdict::Refused(refusal(reservation, wait))),
                    Mode::Shadow => shadow.push(refusal(reservation, wait)),
                }
            }
        }
    }
    let mut places: BTreeMap<&LimitKey, u32> = BTreeMap::new();
    for slot in slots {
        let others = counters.in_flight(&slot.key)?;
        let mine = places.get(&slot.key).copied().unwrap_or(0);
        if others.saturating_add(mine) < slot.max {
            places.insert(&slot.key, mine.saturating_add(1));
            continue;
        }
        match slot.mode {
            Mode::Enforce => return Ok(Verdict::Refused(slot_refusal(slot))),
            Mode::Shadow => shadow.push(slot_refusal(slot)),
        }
    }
    let charges = charges(&taken);
    for charge in &charges {
        counters.add(&charge.key, charge.at, charge.amount)?;
    }
    for (key, count) in places {
        for _ in 0..count {
            counters.occupy(key)?;
        }
    }
    Ok(Verdict::Admitted { charges, shadow })
}

/// What one reservation came to.
struct Taken<'r> {
    reservation: &'r Reservation,
    /// With the call's earlier reservations of the same key and window.
    together: Amount,
    at: StoreTime,
}

/// What the call's earlier reservations take in the same window. Another window looks at the same entry.
fn earlier(taken: &[Taken<'_>], reservation: &Reservation) -> Amount {
    taken
        .iter()
        .rev()
        .find(|other| {
            other.reservation.key == reservation.key && other.reservation.window == reservation.window
        })
        .map_or(Amount::ZERO, |other| other.together)
}

/// One charge a key: two windows of one counter are two looks at one entry.
///
/// INVARIANT: no window sees less than its own reservations took, nor sees it leave earlier.
fn charges(taken: &[Taken<'_>]) -> Vec<Charge> {
    let mut charges: Vec<Charge> = Vec::with_capacity(taken.len());
    for Taken {
        reservation,
        together,
        at,
    } in taken
    {
        match charges.iter_mut().find(|charge| charge.key == reservation.key) {
            Some(charge) => {
                charge.amount = charge.amount.max(*together);
                charge.at = charge.at.max(*at);
            }
            None => charges.push(Charge {
                key: reservation.key.clone(),
                at: *at,
                amount: *together,
                rule: reservation.rule.clone(),
            }),
        }
    }
    charges.retain(|charge| charge.amount > Amount::ZERO);
    charges
}

/// Entries at or before this time no longer count.
#[must_use]
pub fn cutoff(window: Window, now: StoreTime) -> StoreTime {
    match window {
        Window::Sliding(length) => StoreTime(now.0.saturating_sub(nanos(length))),
        Window::Calendar(unit) => StoreTime(unit_start(unit, now).saturating_sub(1)),
    }
}

/// The time under which an admission at `now` is entered.
///
/// INVARIANT: never before `now`, so that an entry leaves late rather than early, also where a limit that
/// slides looks at a calendar limit's history; never in the next unit of the calendar; and never 0, which is the cutoff of windows that reach back beyond the epoch.
#[must_use]
pub fn entry_time(window: Window, now: StoreTime, live_entries: u64) -> StoreTime {
    let at = match window {
        Window::Sliding(_) if live_entries < EXACT_ENTRIES_MAX => now.0,
        Window::Sliding(length) => {
            let step = (nanos(length) / u64::from(SUB_WINDOWS)).max(1);
            now.0.div_ceil(step).saturating_mul(step)
        }
        Window::Calendar(unit) => {
            let step = unit_nanos(unit) / u64::from(SUB_WINDOWS);
            let last = unit_start(unit, now).saturating_add(unit_nanos(unit) - 1);
            now.0.div_ceil(step).saturating_mul(step).min(last)
        }
    };
    StoreTime(at.max(1))
}

enum Fit {
    Fits(Amount),
    Exceeds,
}

fn fits(reservation: &Reservation, used: Amount, earlier: Amount) -> Fit {
    if reservation.min.is_some_and(|min| used < min) {
        return Fit::Exceeds;
    }
    let Some(taken) = earlier.plus(reservation.amount) else {
        return Fit::Exceeds;
    };
    let Some(after) = used.plus(taken) else {
        return Fit::Exceeds;
    };
    if reservation.max.is_some_and(|max| after > max) {
        Fit::Exceeds
    } else {
        Fit::Fits(taken)
    }
}

fn retry_after<C: Counters>(
    counters: &mut C,
    reservation: &Reservation,
    used: Amount,
    earlier: Amount,
    now: StoreTime,
) -> Result<Option<Duration>, C::Error> {
    let Some(max) = reservation.max else {
        return Ok(None);
    };
    let Some(own) = earlier.plus(reservation.amount) else {
        return Ok(None);
    };
    if own > max {
        return Ok(None);
    }
    let Some(need) = used.plus(own).and_then(|after| after.minus(max)) else {
        return Ok(None);
    };
    if need == Amount::ZERO {
        return Ok(None);
    }
    let free_at = match reservation.window {
        Window::Sliding(length) => counters
            .freed_by(&reservation.key, need)?
            .map(|at| at.0.saturating_add(nanos(length))),
        Window::Calendar(unit) => unit_start(unit, now).checked_add(unit_nanos(unit)),
    };
    Ok(free_at.map(|at| Duration::from_nanos(at.saturating_sub(now.0))))
}

fn refusal(reservation: &Reservation, wait: Option<Duration>) -> Refusal {
    let reason = match reservation.measure {
        Measure::Calls => Reason::RateLimited,
        Measure::Sum => Reason::BudgetExceeded,
    };
    let text = reservation
        .on_deny
        .clone()
        .unwrap_or_else(|| default_text(reservation));
    Refusal {
        rule: reservation.rule.clone(),
        reason,
        text,
        retry_after: wait,
    }
}

fn default_text(reservation: &Reservation) -> Arc<str> {
    let period = period(reservation.window);
    match (reservation.max, reservation.min, reservation.measure) {
        (Some(max), _, Measure::Calls) => {
            let calls = if max == Amount::ONE { "call" } else { "calls" };
            format!("at most {max} {calls} {period}; the limit is used up").into()
        }
        (Some(max), _, Measure::Sum) => format!(
            "the budget `{}` allows {max} {period}, and this call would exceed it",
            reservation.key.counter
        )
        .into(),
        (None, Some(min), _) => format!(
            "`{}` has to reach {min} {period} before this call may pass",
            reservation.key.counter
        )
        .into(),
        (None, None, _) => "a limit that cannot be counted refuses every call".into(),
    }
}

fn slot_refusal(slot: &Slot) -> Refusal {
    let text = slot.on_deny.clone().unwrap_or_else(|| match slot.max {
        1 => "only one call may be in flight at once; wait for it to end".into(),
        max => format!("at most {max} calls may be in flight at once; wait for one to end").into(),
    });
    Refusal {
        rule: slot.rule.clone(),
        reason: Reason::ConcurrencyLimited,
        text,
        retry_after: None,
    }
}

/// A window in words: `per minute`, `in any 90 s`.
#[must_use]
pub fn period(window: Window) -> String {
    match window {
        Window::Sliding(length) => match length.as_secs() {
            60 => "per minute".to_owned(),
            3_600 => "per hour".to_owned(),
            86_400 => "per day".to_owned(),
            seconds => format!("in any {seconds} s"),
        },
        Window::Calendar(CalendarUnit::Minute) => "per calendar minute".to_owned(),
        Window::Calendar(CalendarUnit::Hour) => "per calendar hour".to_owned(),
        Window::Calendar(CalendarUnit::Day) => "per calendar day".to_owned(),
    }
}

fn unit_nanos(unit: CalendarUnit) -> u64 {
    nanos(unit.length())
}

/// UTC's units are whole multiples from the epoch on, leap seconds not being counted in Unix time.
fn unit_start(unit: CalendarUnit, now: StoreTime) -> u64 {
    let length = unit_nanos(unit);
    now.0 - now.0 % length
}

fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
