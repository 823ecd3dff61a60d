//! The store's time: the boot clock of one machine, the wall clock only across boots, never backwards.

use callgate_core::limit::StoreTime;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the store reads time. Tests drive it by hand.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Names the boot that [`Clock::since_boot`] counts from; `None` where there is no such clock, and
    /// then the wall clock is used.
    fn boot_id(&self) -> Option<String>;

    /// Nanoseconds since the boot, time asleep included.
    fn since_boot(&self) -> u64;

    /// Nanoseconds since the Unix epoch, as the wall clock has it.
    fn wall(&self) -> u64;
}

/// The clocks of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(target_os = "linux")]
    fn boot_id(&self) -> Option<String> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned())
    }

    #[cfg(not(target_os = "linux"))]
    fn boot_id(&self) -> Option<String> {
        None
    }

    #[cfg(target_os = "linux")]
    fn since_boot(&self) -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
    }

    #[cfg(not(target_os = "linux"))]
    fn since_boot(&self) -> u64 {
        0
    }

    fn wall(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The latest time that is stored, some 285 years after the epoch: microseconds stay below 2^53.
pub(crate) const TIME_MAX: StoreTime = StoreTime(((1 << 53) - 1) * MICRO);
/// Store times are whole microseconds, so that a record's time is exactly its entries' time.
pub(crate) const MICRO: u64 = 1_000;

/// How the boot clock of this boot becomes time since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Base {
    /// Nanoseconds to add to the time since boot, the same for all processes of one boot.
    Boot { id: String, offset: i64 },
    /// The wall clock, held by the last time used.
    Wall,
}

impl Base {
    /// The base of this boot: the stored one, or a new one that begins at the wall clock's time, and never
    /// before `last`.
    pub(crate) fn resume(clock: &dyn Clock, stored: Option<(String, i64)>, last: StoreTime) -> Self {
        let Some(id) = clock.boot_id() else {
            return Self::Wall;
        };
        if let Some((stored_id, offset)) = stored
            && stored_id == id
        {
            return Self::Boot { id, offset };
        }
        let begin = i128::from(clock.wall().max(last.0));
        let offset = i64::try_from(begin - i128::from(clock.since_boot())).unwrap_or(i64::MAX);
        Self::Boot { id, offset }
    }

    /// Now, in whole microseconds, and never before `last`.
    pub(crate) fn now(&self, clock: &dyn Clock, last: StoreTime) -> StoreTime {
        let raw = match self {
            Self::Boot { offset, .. } => clock.since_boot().saturating_add_signed(*offset),
            Self::Wall => clock.wall(),
        };
        StoreTime(raw - raw % MICRO).max(last).min(TIME_MAX)
    }
}

pub(crate) const fn micros(time: StoreTime) -> u64 {
    time.0 / MICRO
}

pub(crate) const fn from_micros(micros: u64) -> StoreTime {
    StoreTime(micros.saturating_mul(MICRO))
}
