//! The keys of an issuer as they are known here: fetched again when they are old or a token names an unknown one,
//! kept while the issuer cannot be reached, and given up after a time.

use super::fetch::{FetchError, KeysSource};
use super::jwk::{DocumentError, KeySet};
use arc_swap::ArcSwapOption;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex as TurnMutex, OwnedMutexGuard};
use tokio::time::Instant;

/// How soon after a failure keys are asked for again.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// How old keys from a file get before it is read again, at most.
const FILE_REFRESH: Duration = Duration::from_secs(1);
/// How often within [`UNKNOWN_PERIOD`] keys are fetched because a token names one that is not known: whoever makes
/// names up must not make a storm of it.
const UNKNOWN_MAX: usize = 5;
const UNKNOWN_PERIOD: Duration = Duration::from_secs(60);

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys {
    issuer: Box<str>,
    source: KeysSource,
    refresh: Duration,
    stale: Duration,
    held: ArcSwapOption<Held>,
    /// Held while keys are fetched: those who want the same wait for it, and find it done.
    turn: Arc<TurnMutex<Tries>>,
}

/// Keys, and when they were fetched.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) set: KeySet,
    fetched: Instant,
}

/// No key of a set is the one that a token is signed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The set has none of this name that fits the algorithm; a newer one may.
    Unknown,
    /// The token names none, and several fit.
    Unnamed,
}

#[derive(Debug, Default)]
struct Tries {
    failed: Option<Instant>,
    unknown: VecDeque<Instant>,
}

#[derive(Debug, thiserror::Error)]
enum KeysError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("what was sent cannot be used: {0}")]
    Document(#[from] DocumentError),
}

impl Keys {
    pub(super) fn new(issuer: &str, source: KeysSource, refresh: Duration, stale: Duration) -> Arc<Self> {
        // A file costs little to read, and whoever changes it means it.
        let refresh = if source.is_file() {
            refresh.min(FILE_REFRESH)
        } else {
            refresh
        };
        Arc::new(Self {
            issuer: issuer.into(),
            source,
            refresh,
            stale,
            held: ArcSwapOption::empty(),
            turn: Arc::default(),
        })
    }

    /// The keys that may be used now. Those that are due are fetched again before they are used; where that fails,
    /// the ones before still are, until they are too old.
    pub(super) async fn usable(self: &Arc<Self>) -> Option<Arc<Held>> {
        if let Some(held) = self.younger_than(self.refresh) {
            return Some(held);
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // Whoever held the turn before may have fetched them.
        if let Some(held) = self.younger_than(self.refresh) {
            return Some(held);
        }
        let fetched = if turn.may_retry() {
            self.see_through(turn).await
        } else {
            None
        };
        fetched.or_else(|| self.not_stale())
    }

    /// Keys that are newer than those which lack a name; `None` where there are none, or they were asked for
    /// too often.
    pub(super) async fn newer_than(self: &Arc<Self>, known: &Arc<Held>) -> Option<Arc<Held>> {
        let mut turn = Arc::clone(&self.turn).lock_owned().await;
        if let Some(held) = self.not_stale()
            && !Arc::ptr_eq(&held, known)
        {
            return Some(held);
        }
        if !turn.may_ask_for_unknown() {
            return None;
        }
        self.see_through(turn).await
    }

    /// Fetches keys, and goes on where nobody waits for them any more: what failed has to be known.
    async fn see_through(self: &Arc<Self>, turn: OwnedMutexGuard<Tries>) -> Option<Arc<Held>> {
        let keys = Arc::clone(self);
        tokio::spawn(async move { keys.fetch(turn).await })
            .await
            .ok()
            .flatten()
    }

    fn not_stale(&self) -> Option<Arc<Held>> {
        self.younger_than(self.stale)
    }

    fn younger_than(&self, age: Duration) -> Option<Arc<Held>> {
        self.held.load_full().filter(|held| held.fetched.elapsed() < age)
    }

    async fn fetch(&self, mut tries: OwnedMutexGuard<Tries>) -> Option<Arc<Held>> {
        let asked = Instant::now();
        let fetched: Result<KeySet, KeysError> = async {
            let document = self.source.fetch().await?;
            Ok(KeySet::read(&document)?)
        }
        .await;
        match fetched {
            Ok(set) => {
                tries.failed = None;
                let held = Arc::new(Held { set, fetched: asked });
                self.held.store(Some(Arc::clone(&held)));
                Some(held)
            }
            Err(cause) => {
                tries.failed = Some(Instant::now());
                tracing::warn!(issuer = %self.issuer, "the issuer's keys could not be fetched: {cause}");
                None
            }
        }
    }
}

impl Tries {
    fn may_retry(&self) -> bool {
        self.failed.is_none_or(|failed| failed.elapsed() >= RETRY_PAUSE)
    }

    fn may_ask_for_unknown(&mut self) -> bool {
        while self
            .unknown
            .front()
            .is_some_and(|asked| asked.elapsed() >= UNKNOWN_PERIOD)
        {
            self.unknown.pop_front();
        }
        let may = self.unknown.len() < UNKNOWN_MAX && self.may_retry();
        if may {
            self.unknown.push_back(Instant::now());
        }
        may
    }
}
