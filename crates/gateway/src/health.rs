//! Whether a server is worth trying: one that keeps failing is left alone for a while, so that neither callers
//! nor the machine wait for it again and again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row after which a server is left alone.
const FAILURES_MAX: u32 = 3;
/// How long it is left alone then; each further failure doubles it.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What is known of one server's health, shared by all who use it.
#[derive(Debug, Default)]
pub struct Breaker {
    /// Failures in a row. Beside the lock, so that a server that is well costs no lock.
    failures: AtomicU32,
    paused: Mutex<Option<Instant>>,
}

impl Breaker {
    /// Whether to try the server now; the time is asked for only of one that fails. Once a pause is over one attempt is let through, and the others wait
    /// for as long again, unless it succeeds.
    ///
    /// # Errors
    /// How long to leave it alone.
    pub fn attempt(&self, now: impl FnOnce() -> Instant) -> Result<(), Duration> {
        let failures = self.failures.load(Ordering::Acquire);
        if failures < FAILURES_MAX {
            return Ok(());
        }
        let now = now();
        let mut paused = self.paused();
        match *paused {
            Some(until) if until > now => Err(until.duration_since(now)),
            Some(_) | None => {
                *paused = Some(now + pause(failures));
                Ok(())
            }
        }
    }

    /// The server answered.
    pub fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Release);
            *self.paused() = None;
        }
    }

    /// It could not be reached, or ended before it answered anything.
    pub fn failed(&self, now: Instant) {
        let failures = self.failures.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        if failures >= FAILURES_MAX {
            *self.paused() = Some(now + pause(failures));
        }
    }

    /// Whether the server is left alone, but for an attempt now and then.
    pub(crate) fn is_open(&self) -> bool {
        self.failures.load(Ordering::Acquire) >= FAILURES_MAX
    }

    fn paused(&self) -> MutexGuard<'_, Option<Instant>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(FAILURES_MAX).min(10);
    PAUSE_FIRST.saturating_mul(1 << doublings).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_keeps_failing_is_left_alone_for_longer_and_longer() {
        let breaker = Breaker::default();
        let mut now = Instant::now();
        for _ in 0..2 {
            breaker.failed(now);
            assert_eq!(breaker.attempt(|| now), Ok(()), "a failure or two may be chance");
        }
        breaker.failed(now);
        assert_eq!(breaker.attempt(|| now), Err(Duration::from_secs(1)));
        for pause in [1, 2, 4, 8, 16, 30, 30].map(Duration::from_secs) {
            assert_eq!(breaker.attempt(|| now), Err(pause));
            now += pause;
            assert_eq!(breaker.attempt(|| now), Ok(()), "one attempt is let through");
            assert_eq!(breaker.attempt(|| now), Err(pause), "and no other beside it");
            breaker.failed(now);
        }
        now += PAUSE_MAX;
        assert_eq!(breaker.attempt(|| now), Ok(()));
        breaker.succeeded();
        assert_eq!(breaker.attempt(|| now), Ok(()));
        assert_eq!(breaker.attempt(|| now), Ok(()));
    }
}
