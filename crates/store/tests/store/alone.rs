//! A caller that is alone writes by itself, and outcomes ride along with the next call.

use crate::support::{admitted, call, count, folder, ok, options, records, until, verified, wait};
use callgate_ledger::Kind;
use callgate_store::{Admission, StopReason, Store, StoreError};
use std::fs::File;
use std::pin::pin;
use std::task::{Context, Waker};

#[test]
fn one_transaction_writes_a_call_and_the_outcome_of_the_one_before() {
    let (_outer, dir) = folder();
    let store = Store::open(options(&dir)).unwrap();
    let before = store.stats().transactions;
    for _ in 0..200 {
        let Admission::Admitted(admitted) = wait(store.admit_alone(call())).unwrap() else {
            panic!("it was not admitted");
        };
        store.settle(admitted.call, ok());
    }
    let transactions = store.stats().transactions - before;
    // Where the machine is busy, an outcome may have waited for as long as it may.
    assert!(transactions < 300, "{transactions} transactions for 200 calls");
    store.close(StopReason::Exit);
    let report = verified(&dir);
    assert_eq!(count(&report, Kind::Intent), 200);
    assert_eq!(count(&report, Kind::Outcome), 200);
}

#[test]
fn the_outcome_of_the_last_call_is_written_without_another() {
    let (_outer, dir) = folder();
    let store = Store::open(options(&dir)).unwrap();
    let Admission::Admitted(last) = wait(store.admit_alone(call())).unwrap() else {
        panic!("it was not admitted");
    };
    store.settle(last.call, ok());
    until("the outcome to be written", || {
        records(&dir)
            .iter()
            .any(|record| record.body.kind() == Kind::Outcome)
    });
    store.close(StopReason::Exit);
}

#[test]
fn a_caller_that_is_alone_is_not_blocked_by_another_process() {
    let (_outer, dir) = folder();
    let store = Store::open(options(&dir)).unwrap();
    let other = File::open(dir.join("write.lock")).unwrap();
    other.lock().unwrap();
    {
        let mut asked = pin!(store.admit_alone(call()));
        let polled = asked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "it was admitted while another held the lock");
    }
    other.unlock().unwrap();
    // Nobody took that admission, so it was given back; the next one is as any.
    assert!(admitted(&store, call()).is_some());
    store.close(StopReason::Exit);
    assert!(matches!(wait(store.admit_alone(call())), Err(StoreError::Closed)));
    assert_eq!(verified(&dir).open, []);
}
