//! What the store's tests share: requests, limits, runtimes, clocks.

use callgate_core::amount::Amount;
use callgate_core::limit::{Bound, LimitInForce, LimitKey, Measure, Reservation, ScopeValue, Slot, Window};
use callgate_core::name::{CounterName, GrantId, RuleId, ServerName, ToolName};
use callgate_core::program::{Mode, Scope};
use callgate_ledger::record::{Mode as ServeMode, Status};
use callgate_ledger::{Kind, Record, Report, Verifier};
use callgate_store::{
    Admission, AdmitRequest, Admitted, Clock, Durability, PolicyInForce, Reader, Refund, RunInfo, Settlement,
    Store, StoreOptions,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(crate) fn options(dir: &Path) -> StoreOptions {
    StoreOptions {
        dir: dir.to_owned(),
        durability: Durability::Process,
        ledger_key: None,
        checkpoint_out: None,
        run: RunInfo {
            label: "a test".to_owned(),
            mode: ServeMode::Run,
            policies: vec![policy(&[])],
            version: "0.1.0".to_owned(),
        },
    }
}

/// A policy with limits of these lengths in seconds, each by another rule, on the history of [`at_most`].
pub(crate) fn policy(windows: &[(u64, u64)]) -> PolicyInForce {
    let limit = |(seconds, max): &(u64, u64)| LimitInForce {
        scope: Scope::Server,
        tool: Some("send".into()),
        counter: CounterName::new("calls").unwrap(),
        bound: Bound::Window {
            window: Window::Sliding(Duration::from_secs(*seconds)),
            max: Some(Amount::units(*max)),
        },
    };
    PolicyInForce {
        server: ServerName::new("mail").unwrap(),
        digest: [7; 32],
        limits: windows.iter().map(limit).collect(),
    }
}

/// [`options`] of a run that judges by [`policy`].
pub(crate) fn options_with(dir: &Path, windows: &[(u64, u64)]) -> StoreOptions {
    let mut options = options(dir);
    options.run.policies = vec![policy(windows)];
    options
}

/// A state folder that does not exist yet, below one that goes with the test.
pub(crate) fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("state");
    (outer, dir)
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) fn key(scope: ScopeValue) -> LimitKey {
    LimitKey {
        server: Some(ServerName::new("mail").unwrap()),
        scope,
        tool: "send".into(),
        counter: CounterName::new("calls").unwrap(),
    }
}

pub(crate) fn at_most(max: u64, window: Duration) -> Reservation {
    Reservation {
        key: key(ScopeValue::Server),
        window: Window::Sliding(window),
        amount: Amount::ONE,
        max: Some(Amount::units(max)),
        min: None,
        rule: RuleId::new("/tools/send/rules/0"),
        on_deny: None,
        mode: Mode::Enforce,
        measure: Measure::Calls,
    }
}

pub(crate) fn in_flight(max: u32) -> Slot {
    Slot {
        key: key(ScopeValue::Tool),
        max,
        rule: RuleId::new("/tools/send/concurrent"),
        on_deny: None,
        mode: Mode::Enforce,
    }
}

pub(crate) fn call() -> AdmitRequest {
    AdmitRequest {
        server: ServerName::new("mail").unwrap(),
        grant: GrantId::new("local").unwrap(),
        holder: None,
        session: None,
        method: "tools/call".into(),
        tool: Some(ToolName::new("send").unwrap()),
        arguments: None,
        policy: [7; 32],
        rule: None,
        reservations: Vec::new(),
        slots: Vec::new(),
        shadow: Vec::new(),
        values: None,
        grants_generation: None,
    }
}

pub(crate) fn limited(reservation: Reservation) -> AdmitRequest {
    AdmitRequest {
        reservations: vec![reservation],
        ..call()
    }
}

pub(crate) fn ended(status: Status, refund: Refund) -> Settlement {
    Settlement {
        status,
        reason: None,
        duration: Some(Duration::from_micros(1_500)),
        refund,
    }
}

pub(crate) fn ok() -> Settlement {
    ended(Status::Ok, Refund::Keep)
}

pub(crate) fn admitted(store: &Store, request: AdmitRequest) -> Option<Admitted> {
    taken(wait(store.admit(request)).unwrap())
}

/// As [`admitted`], every other time by the thread that asks.
pub(crate) fn admitted_either_way(store: &Store, request: AdmitRequest, round: u64) -> Option<Admitted> {
    if round.is_multiple_of(2) {
        admitted(store, request)
    } else {
        taken(wait(store.admit_alone(request)).unwrap())
    }
}

fn taken(admission: Admission) -> Option<Admitted> {
    match admission {
        Admission::Admitted(admitted) => Some(admitted),
        Admission::Refused(_) | Admission::Stale => None,
    }
}

/// A clock that a test sets.
#[derive(Debug, Default)]
pub(crate) struct Hands {
    pub(crate) boot: std::sync::Mutex<Option<String>>,
    pub(crate) since_boot: AtomicU64,
    pub(crate) wall: AtomicU64,
}

impl Hands {
    pub(crate) fn at(seconds: u64) -> Arc<Self> {
        let hands = Self::default();
        *hands.boot.lock().unwrap() = Some("first".to_owned());
        hands.wall.store(seconds * 1_000_000_000, Ordering::SeqCst);
        Arc::new(hands)
    }

    pub(crate) fn pass(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap();
        self.since_boot.fetch_add(nanos, Ordering::SeqCst);
        self.wall.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn boot_id(&self) -> Option<String> {
        self.boot.lock().unwrap().clone()
    }

    fn since_boot(&self) -> u64 {
        self.since_boot.load(Ordering::SeqCst)
    }

    fn wall(&self) -> u64 {
        self.wall.load(Ordering::SeqCst)
    }
}

/// Verifies all of a folder's log against the checkpoints in it.
pub(crate) fn verified(dir: &Path) -> Report {
    let reader = Reader::open(dir).unwrap();
    let mut verifier = Verifier::new(
        &reader.origin().unwrap(),
        reader.keys().unwrap(),
        reader.prefix().unwrap(),
        None,
    )
    .unwrap();
    let mut checkpoints = reader.checkpoints().unwrap().into_iter().peekable();
    let first = reader.range().unwrap().start;
    for entry in reader.entries(first) {
        let entry = entry.unwrap();
        verifier
            .record(entry.seq, &entry.bytes, Some(&entry.leaf))
            .unwrap();
        while let Some((_, note)) = checkpoints.next_if(|(size, _)| *size == entry.seq + 1) {
            verifier.checkpoint(&note).unwrap();
        }
    }
    assert_eq!(checkpoints.next(), None, "a checkpoint is ahead of the log");
    verifier.finish().unwrap()
}

/// All records of a folder.
pub(crate) fn records(dir: &Path) -> Vec<Record> {
    let reader = Reader::open(dir).unwrap();
    reader
        .entries(0)
        .map(|entry| entry.unwrap().record().unwrap())
        .collect()
}

pub(crate) fn count(report: &Report, kind: Kind) -> u64 {
    report
        .kinds
        .iter()
        .find(|(known, _)| *known == kind)
        .map_or(0, |(_, count)| *count)
}

/// Waits until `done`, at most for ten seconds.
pub(crate) fn until(what: &str, done: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(10), "never came: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
