//! Which refusals are recorded one by one, and which are counted.
//!
//! A flood of refusals must neither fill the disk nor slow the calls that pass. So a source gets so many
//! records a second, all sources together so many bytes an hour, and none the space kept for intents.

use crate::event::{Refused, Source};
use callgate_core::limit::StoreTime;
use callgate_ledger::record::{Denial, Suppressed, SuppressedKind};
use callgate_ledger::{Code, Text, Uint53};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How many refusals a second of one grant are recorded one by one.
pub(crate) const GRANT_REFUSALS_MAX: u32 = 20;
/// How many a second of one address that did not authenticate.
pub(crate) const ADDRESS_REFUSALS_MAX: u32 = 5;
/// How many bytes of refusals a run records one by one in an hour.
pub(crate) const REFUSAL_BYTES_MAX: u64 = 64 << 20;
/// How many sources are told apart; those beyond share one allowance.
pub(crate) const SOURCES_MAX: usize = 4_096;
/// How many kinds of refusal are remembered as seen.
const KINDS_MAX: usize = 16_384;
/// How many rules' counts wait to be written.
const TALLIES_MAX: usize = 4_096;

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3_600 * SECOND;

/// What to do with a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Record,
    Count,
}

/// Whether there is room for more than intents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    Enough,
    /// What is left is kept for intents and outcomes.
    Reserved,
}

/// What is known of recent refusals.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    seconds: HashMap<Source, (u64, u32)>,
    /// The second in which sources of earlier ones were forgotten last.
    cleared: u64,
    seen: HashSet<Refused>,
    hour: u64,
    bytes: u64,
    counted: BTreeMap<(Source, SuppressedKind), Counted>,
    tallies: HashMap<Tally, u64>,
}

/// What denials are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Tally {
    pub(crate) server: Text,
    pub(crate) rule: Text,
    pub(crate) reason: Code,
}

impl Tally {
    pub(crate) fn of(denial: &Denial) -> Self {
        Self {
            server: denial.server.clone().unwrap_or_else(|| Text::new("")),
            rule: denial.rule.clone().unwrap_or_else(|| Text::new("")),
            reason: denial.reason.clone(),
        }
    }
}

#[derive(Debug)]
struct Counted {
    count: u64,
    since: StoreTime,
    reason: Option<Code>,
}

impl Refusals {
    /// Decides on one refusal of about `bytes` bytes at `now`.
    pub(crate) fn offer(&mut self, refused: &Refused, bytes: u64, now: StoreTime, space: Space) -> Bound {
        if now.0 / HOUR != self.hour {
            self.hour = now.0 / HOUR;
            self.bytes = 0;
        }
        let first = self.seen.len() < KINDS_MAX && self.seen.insert(refused.clone());
        let within = self.within_second(&refused.source, now);
        let room = space == Space::Enough && self.bytes < REFUSAL_BYTES_MAX;
        if first || (within && room) {
            self.bytes = self.bytes.saturating_add(bytes);
            return Bound::Record;
        }
        self.count(refused, now);
        Bound::Count
    }

    fn within_second(&mut self, source: &Source, now: StoreTime) -> bool {
        let second = now.0 / SECOND;
        if self.seconds.len() >= SOURCES_MAX && self.cleared != second {
            self.cleared = second;
            self.seconds.retain(|_, (at, _)| *at == second);
        }
        let crowded = self.seconds.len() >= SOURCES_MAX && !self.seconds.contains_key(source);
        let source = if crowded { &Source::Nobody } else { source };
        let allowed = match source {
            Source::Grant(_) => GRANT_REFUSALS_MAX,
            Source::Address(_) | Source::Nobody => ADDRESS_REFUSALS_MAX,
        };
        let (at, count) = self.seconds.entry(source.clone()).or_insert((second, 0));
        if *at != second {
            (*at, *count) = (second, 0);
        }
        *count = count.saturating_add(1);
        *count <= allowed
    }

    fn count(&mut self, refused: &Refused, now: StoreTime) {
        let key = (refused.source.clone(), refused.of);
        let key = if self.counted.len() >= SOURCES_MAX && !self.counted.contains_key(&key) {
            (Source::Nobody, refused.of)
        } else {
            key
        };
        let counted = self.counted.entry(key).or_insert_with(|| Counted {
            count: 0,
            since: now,
            reason: Some(refused.reason.clone()),
        });
        counted.count += 1;
        if counted.reason.as_ref() != Some(&refused.reason) {
            counted.reason = None;
        }
    }

    /// Counts a denial that is not recorded by its rule.
    pub(crate) fn tally(&mut self, tally: Tally) {
        if self.tallies.len() < TALLIES_MAX || self.tallies.contains_key(&tally) {
            *self.tallies.entry(tally).or_default() += 1;
        }
    }

    /// Whether anything was counted that is not written yet.
    pub(crate) fn pending(&self) -> bool {
        !self.counted.is_empty()
    }

    /// What is due at `now`: what was counted for a second. It stays until [`Refusals::written`].
    pub(crate) fn due(&self, now: StoreTime) -> Vec<Suppressed> {
        let ready = |counted: &&Counted| now.0.saturating_sub(counted.since.0) >= SECOND;
        self.counted
            .iter()
            .filter(|(_, counted)| ready(counted))
            .map(|(key, counted)| suppressed(key, counted))
            .collect()
    }

    /// All that was counted, whether a second is over or not.
    pub(crate) fn all(&self) -> Vec<Suppressed> {
        self.counted
            .iter()
            .map(|(key, counted)| suppressed(key, counted))
            .collect()
    }

    /// The counts by rule that are not written yet.
    pub(crate) fn tallies(&self) -> impl Iterator<Item = (&Tally, u64)> {
        self.tallies.iter().map(|(tally, count)| (tally, *count))
    }

    /// Forgets what is written now.
    pub(crate) fn written(&mut self, written: &[Suppressed]) {
        for record in written {
            let source = match (&record.grant, &record.address) {
                (Some(grant), _) => Source::Grant(grant.clone()),
                (None, Some(address)) => Source::Address(address.clone()),
                (None, None) => Source::Nobody,
            };
            self.counted.remove(&(source, record.of));
        }
        self.tallies.clear();
    }
}

fn suppressed((source, of): &(Source, SuppressedKind), counted: &Counted) -> Suppressed {
    let (grant, address) = match source {
        Source::Grant(grant) => (Some(grant.clone()), None),
        Source::Address(address) => (None, Some(address.clone())),
        Source::Nobody => (None, None),
    };
    Suppressed {
        address,
        count: Uint53::saturating(counted.count),
        grant,
        of: *of,
        reason: counted.reason.clone(),
        since: Uint53::saturating(crate::clock::micros(counted.since)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(source: Source, reason: &str) -> Refused {
        Refused {
            source,
            of: SuppressedKind::Denial,
            reason: reason.into(),
        }
    }

    fn recorded(refusals: &mut Refusals, refused: &Refused, times: u32, at: u64, space: Space) -> u32 {
        let offers = (0..times).map(|_| refusals.offer(refused, 1_000, StoreTime(at * SECOND), space));
        u32::try_from(offers.filter(|bound| *bound == Bound::Record).count()).unwrap()
    }

    #[test]
    fn each_source_has_its_own_allowance_a_second() {
        let mut refusals = Refusals::default();
        let grant = refused(Source::Grant("a".into()), "hidden");
        let other = refused(Source::Grant("b".into()), "hidden");
        let address = refused(Source::Address("192.0.2.1".into()), "bad_token");
        for second in 1..4 {
            let mut count = |refused| recorded(&mut refusals, refused, 100, second, Space::Enough);
            assert_eq!(count(&grant), GRANT_REFUSALS_MAX);
            assert_eq!(count(&other), GRANT_REFUSALS_MAX);
            assert_eq!(count(&address), ADDRESS_REFUSALS_MAX);
        }
        let counts: Vec<u64> = refusals.all().iter().map(|record| record.count.get()).collect();
        assert_eq!(counts, [240, 240, 285]);
    }

    #[test]
    fn the_first_of_its_kind_is_recorded_even_when_space_is_reserved() {
        let mut refusals = Refusals::default();
        for reason in ["hidden", "rate_limited"] {
            let refused = refused(Source::Grant("a".into()), reason);
            assert_eq!(
                recorded(&mut refusals, &refused, 5, 1, Space::Reserved),
                1,
                "{reason}"
            );
        }
        let [suppressed] = refusals.due(StoreTime(2 * SECOND)).try_into().unwrap();
        assert_eq!((suppressed.count.get(), suppressed.reason), (8, None));
    }

    #[test]
    fn refusals_have_a_budget_of_bytes_an_hour() {
        let mut refusals = Refusals::default();
        let refused = refused(Source::Grant("a".into()), "hidden");
        let mut total = 0;
        for second in 3_600..7_200 {
            total += recorded(&mut refusals, &refused, 25, second, Space::Enough);
        }
        assert_eq!(u64::from(total), REFUSAL_BYTES_MAX.div_ceil(1_000));
        assert_eq!(
            recorded(&mut refusals, &refused, 25, 7_200, Space::Enough),
            GRANT_REFUSALS_MAX
        );
    }

    #[test]
    fn what_is_counted_is_written_a_second_later_and_then_forgotten() {
        let mut refusals = Refusals::default();
        let refused = refused(Source::Grant("a".into()), "hidden");
        recorded(&mut refusals, &refused, 30, 1, Space::Enough);
        assert!(refusals.due(StoreTime(SECOND)).is_empty());
        let due = refusals.due(StoreTime(2 * SECOND));
        assert_eq!(due.len(), 1);
        refusals.written(&due);
        assert!(!refusals.pending());
    }

    #[test]
    fn sources_without_end_take_bounded_memory() {
        let mut refusals = Refusals::default();
        for number in 0..3 * SOURCES_MAX {
            let address = Source::Address(Text::new(&number.to_string()));
            recorded(&mut refusals, &refused(address, "bad_token"), 7, 1, Space::Enough);
        }
        assert!(refusals.seconds.len() <= SOURCES_MAX + 1);
        assert!(refusals.counted.len() <= SOURCES_MAX + 1);
        assert!(refusals.seen.len() <= KINDS_MAX);
        let counted: u64 = refusals.all().iter().map(|record| record.count.get()).sum();
        assert!(
            counted >= 3 * u64::try_from(SOURCES_MAX).unwrap(),
            "what is not recorded is counted"
        );
    }
}
