//! Counters in memory: for trying policies out, and for properties of the arithmetic.

use super::{Charge, Counters, LimitKey, StoreTime, Totals};
use crate::amount::Amount;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Entries and places in memory, all of them kept until [`MemoryCounters::forget`].
#[derive(Debug, Clone, Default)]
pub struct MemoryCounters {
    entries: BTreeMap<LimitKey, BTreeMap<StoreTime, Amount>>,
    places: BTreeMap<LimitKey, u32>,
    /// Where each key was last looked at from: what is later is live.
    cutoffs: BTreeMap<LimitKey, StoreTime>,
}

/// The entries of a key sum to more than an amount can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the entries of a limit sum to more than can be counted")]
pub struct SumOutOfRange;

impl MemoryCounters {
    /// Counters without any entry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a charge back, at the time at which it was entered.
    pub fn refund(&mut self, charge: &Charge) {
        let Some(entries) = self.entries.get_mut(&charge.key) else {
            return;
        };
        let rest = entries
            .get(&charge.at)
            .and_then(|amount| amount.minus(charge.amount))
            .unwrap_or(Amount::ZERO);
        if rest == Amount::ZERO {
            entries.remove(&charge.at);
        } else {
            entries.insert(charge.at, rest);
        }
    }

    /// Gives one place of `key` back.
    pub fn release(&mut self, key: &LimitKey) {
        if let Some(taken) = self.places.get_mut(key) {
            *taken = taken.saturating_sub(1);
        }
    }

    /// Forgets the entries at or before `cutoff`, which has to lie before the longest window.
    pub fn forget(&mut self, cutoff: StoreTime) {
        for entries in self.entries.values_mut() {
            entries.retain(|at, _| *at > cutoff);
        }
        self.entries.retain(|_, entries| !entries.is_empty());
    }

    fn later(&self, key: &LimitKey, cutoff: StoreTime) -> impl Iterator<Item = (StoreTime, Amount)> {
        self.entries.get(key).into_iter().flat_map(move |entries| {
            entries
                .range((Bound::Excluded(cutoff), Bound::Unbounded))
                .map(|(at, amount)| (*at, *amount))
        })
    }
}

impl Counters for MemoryCounters {
    type Error = SumOutOfRange;

    fn totals(&mut self, key: &LimitKey, cutoff: StoreTime) -> Result<Totals, SumOutOfRange> {
        self.cutoffs.insert(key.clone(), cutoff);
        let mut totals = Totals::default();
        for (_, amount) in self.later(key, cutoff) {
            totals.used = totals.used.plus(amount).ok_or(SumOutOfRange)?;
            totals.entries = totals.entries.saturating_add(1);
        }
        Ok(totals)
    }

    fn add(&mut self, key: &LimitKey, at: StoreTime, amount: Amount) -> Result<(), SumOutOfRange> {
        let entries = self.entries.entry(key.clone()).or_default();
        let entry = entries.entry(at).or_default();
        *entry = entry.plus(amount).ok_or(SumOutOfRange)?;
        Ok(())
    }

    fn freed_by(&mut self, key: &LimitKey, need: Amount) -> Result<Option<StoreTime>, SumOutOfRange> {
        let cutoff = self.cutoffs.get(key).copied().unwrap_or_default();
        let mut freed = Amount::ZERO;
        for (at, amount) in self.later(key, cutoff) {
            freed = freed.plus(amount).ok_or(SumOutOfRange)?;
            if freed >= need {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    fn in_flight(&mut self, key: &LimitKey) -> Result<u32, SumOutOfRange> {
        Ok(self.places.get(key).copied().unwrap_or(0))
    }

    fn occupy(&mut self, key: &LimitKey) -> Result<(), SumOutOfRange> {
        let taken = self.places.entry(key.clone()).or_default();
        *taken = taken.saturating_add(1);
        Ok(())
    }
}
