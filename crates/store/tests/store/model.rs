//! Limits against a naive model, over two stores of one folder that stand for two processes. They have
//! different policies: one looks at the history through the short window alone.

use crate::support::{
    Hands, admitted, admitted_either_way, at_most, ended, folder, limited, ok, options, options_with, records,
};
use callgate_core::amount::Amount;
use callgate_ledger::CallId;
use callgate_ledger::record::{Body, Status};
use callgate_store::{Refund, StopReason, Store};
use proptest::prelude::*;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A window in seconds, and what it may hold.
const SHORT: (u64, u64) = (10, 7);
const LONG: (u64, u64) = (35, 13);
/// The windows that each store's policy has.
const POLICIES: [&[(u64, u64)]; 2] = [&[SHORT], &[SHORT, LONG]];

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Admit {
        store: usize,
        amount: u64,
        window: u64,
        max: u64,
    },
    Refund(usize),
    Keep(usize),
    Reopen(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let look = prop_oneof![Just((0, SHORT)), Just((1, SHORT)), Just((1, LONG))];
    let admit = (look, 0..4_u64);
    prop_oneof![
        3 => (0..6_u64).prop_map(Step::Pass),
        8 => admit.prop_map(|((store, (window, max)), amount)| Step::Admit { store, amount, window, max }),
        2 => any::<usize>().prop_map(Step::Refund),
        1 => any::<usize>().prop_map(Step::Keep),
        1 => (0..2_usize).prop_map(Step::Reopen),
    ]
}

struct Taken {
    at: u64,
    amount: u64,
    store: usize,
    /// `None` once it is settled.
    call: Option<CallId>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn limits_decide_as_the_naive_model_does(steps in proptest::collection::vec(step(), 1..60)) {
        let (_outer, dir) = folder();
        let clock = Hands::at(1_000_000);
        let open = |store: usize| {
            Store::open_with_clock(options_with(&dir, POLICIES[store]), clock.clone()).unwrap()
        };
        let mut stores = [open(0), open(1)];
        let mut now = 0;
        let mut taken: Vec<Taken> = Vec::new();
        for step in steps {
            match step {
                Step::Pass(seconds) => {
                    now += seconds;
                    clock.pass(Duration::from_secs(seconds));
                }
                Step::Admit { store, amount, window, max } => {
                    let used: u64 = taken.iter().filter(|t| t.at + window > now).map(|t| t.amount).sum();
                    let mut reservation = at_most(max, Duration::from_secs(window));
                    reservation.amount = Amount::units(amount);
                    let verdict = admitted(&stores[store], limited(reservation));
                    prop_assert_eq!(verdict.is_some(), used + amount <= max, "{} of {} used at {}", used, max, now);
                    if let Some(admitted) = verdict {
                        taken.push(Taken { at: now, amount, store, call: Some(admitted.call) });
                    }
                }
                Step::Refund(index) | Step::Keep(index) => {
                    let open: Vec<usize> = (0..taken.len()).filter(|i| taken[*i].call.is_some()).collect();
                    if open.is_empty() {
                        continue;
                    }
                    let index = open[index % open.len()];
                    let Some(call) = taken[index].call.take() else { continue };
                    let store = &stores[taken[index].store];
                    if matches!(step, Step::Keep(_)) {
                        store.settle(call, ok());
                        continue;
                    }
                    store.settle(call, ended(Status::Unreachable, Refund::Release));
                    taken.remove(index);
                    // The other store sees it once it is committed, which this call waits for.
                    admitted(store, crate::support::call());
                }
                Step::Reopen(store) => {
                    // Its open calls are closed as unknown, which keeps what they took.
                    taken.iter_mut().filter(|t| t.store == store).for_each(|t| t.call = None);
                    stores[store].close(StopReason::Exit);
                    stores[store] = open(store);
                }
            }
        }
        for store in &stores {
            store.close(StopReason::Exit);
        }
    }
}

#[test]
fn no_window_holds_more_than_its_max_under_threads_and_a_running_clock() {
    const MAX: u64 = 20;
    let window = Duration::from_millis(500);
    let (_outer, dir) = folder();
    let clock = Hands::at(1_000_000);
    let stores = [0, 1].map(|_| Store::open_with_clock(options(&dir), clock.clone()).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (stores, clock) = (&stores, &clock);
            scope.spawn(move || {
                for round in 0..150_u64 {
                    clock.pass(Duration::from_micros(round * 37 % 4_000));
                    let store = &stores[thread % 2];
                    let request = limited(at_most(MAX, window));
                    let Some(call) = admitted_either_way(store, request, round) else {
                        continue;
                    };
                    if round % 5 == 0 {
                        store.settle(call.call, ok());
                    }
                }
            });
        }
    });
    for store in &stores {
        store.close(StopReason::Exit);
    }
    let times: Vec<u64> = records(&dir)
        .into_iter()
        .filter(|record| matches!(record.body, Body::Intent(_)))
        .map(|record| record.at.get())
        .collect();
    assert!(
        times.len() > usize::try_from(MAX).unwrap(),
        "the window never slid"
    );
    let window = u64::try_from(window.as_micros()).unwrap();
    for (index, end) in times.iter().enumerate() {
        let inside = times[..=index].iter().filter(|at| **at + window > *end).count();
        assert!(
            inside <= usize::try_from(MAX).unwrap(),
            "{inside} in the window that ends at {end}"
        );
    }
}

#[test]
fn time_never_runs_backwards() {
    let (_outer, dir) = folder();
    let clock = Hands::at(1_000_000);
    let minute = Duration::from_secs(60);
    let admit = |expected: bool, what: &str| {
        let store = Store::open_with_clock(options(&dir), clock.clone()).unwrap();
        assert_eq!(
            admitted(&store, limited(at_most(1, minute))).is_some(),
            expected,
            "{what}"
        );
        store.close(StopReason::Exit);
    };
    admit(true, "the first call");
    clock.wall.fetch_add(3_600_000_000_000, Ordering::SeqCst);
    admit(false, "a jump of the wall clock within one boot frees nothing");
    clock.pass(minute);
    admit(true, "a minute of the boot clock does");
    *clock.boot.lock().unwrap() = Some("second".to_owned());
    clock.since_boot.store(0, Ordering::SeqCst);
    clock.wall.store(5, Ordering::SeqCst);
    admit(false, "a wall clock that fell back over a boot frees nothing");
    clock.pass(minute);
    admit(true, "time goes on from where it was");
    *clock.boot.lock().unwrap() = None;
    admit(false, "without a boot clock it stays where it was");
    let times: Vec<u64> = records(&dir).iter().map(|record| record.at.get()).collect();
    assert!(times.is_sorted());
}
