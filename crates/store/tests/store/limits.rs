//! Invariant 4: a limit is never exceeded.

use crate::support::{
    Hands, admitted, at_most, call, ended, folder, in_flight, limited, ok, options, options_with, policy,
    until, wait,
};
use callgate_core::name::SessionId;
use callgate_ledger::record::{Reload, ReloadEffect, Status};
use callgate_store::{Admission, Reader, Refund, StopReason, Store};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_window_admits_its_max_and_then_again_when_it_has_slid() {
    let (_outer, dir) = folder();
    let clock = Hands::at(1_000_000);
    let store = Store::open_with_clock(options(&dir), clock.clone()).unwrap();
    let admit = || admitted(&store, limited(at_most(2, MINUTE))).is_some();
    assert!(admit());
    clock.pass(Duration::from_secs(30));
    assert!(admit());
    assert!(!admit());
    clock.pass(Duration::from_micros(29_999_999));
    assert!(!admit(), "the first call is still inside the window");
    clock.pass(Duration::from_micros(1));
    assert!(admit());
    assert!(!admit());
    store.close(StopReason::Exit);
}

#[test]
fn a_restart_forgets_nothing() {
    let (_outer, dir) = folder();
    for round in 0..3 {
        let store = Store::open(options(&dir)).unwrap();
        let passed = admitted(&store, limited(at_most(2, MINUTE))).is_some();
        assert_eq!(passed, round < 2, "round {round}");
        store.close(StopReason::Exit);
    }
}

#[test]
fn a_refund_gives_back_at_its_own_time() {
    let (_outer, dir) = folder();
    let clock = Hands::at(1_000_000);
    let store = Store::open_with_clock(options(&dir), clock.clone()).unwrap();
    let request = || limited(at_most(1, MINUTE));
    let first = admitted(&store, request()).unwrap();
    assert!(admitted(&store, request()).is_none());
    store.settle(first.call, ended(Status::Unreachable, Refund::Release));
    let second = admitted(&store, request()).expect("the first call was given back");
    clock.pass(MINUTE);
    let third = admitted(&store, request()).expect("the second call has left the window");
    store.settle(second.call, ended(Status::Unreachable, Refund::Release));
    assert!(
        admitted(&store, request()).is_none(),
        "a refund of what has left the window frees nothing in it"
    );
    store.settle(third.call, ok());
    assert!(
        admitted(&store, request()).is_none(),
        "an ordinary end gives nothing back"
    );
    store.close(StopReason::Exit);
}

#[test]
fn a_place_in_flight_is_free_again_when_its_call_has_ended() {
    let (_outer, dir) = folder();
    let store = Store::open(options(&dir)).unwrap();
    let request = || {
        let mut request = call();
        request.slots = vec![in_flight(2)];
        request
    };
    let first = admitted(&store, request()).unwrap();
    let _second = admitted(&store, request()).unwrap();
    assert!(admitted(&store, request()).is_none());
    store.settle(first.call, ok());
    assert!(admitted(&store, request()).is_some());
    assert!(admitted(&store, request()).is_none());
    store.close(StopReason::Exit);
}

#[test]
fn limits_of_two_lengths_on_one_key_do_not_disturb_each_other() {
    let (_outer, dir) = folder();
    let clock = Hands::at(1_000_000);
    let store = Store::open_with_clock(options(&dir), clock.clone()).unwrap();
    let retry = |max, window| match wait(store.admit(limited(at_most(max, window)))).unwrap() {
        Admission::Admitted(_) | Admission::Stale => None,
        Admission::Refused(refusal) => refusal.retry_after,
    };
    let hour = Duration::from_secs(3_600);
    for _ in 0..3 {
        assert_eq!(retry(3, hour), None);
        clock.pass(MINUTE);
    }
    assert_eq!(retry(1, MINUTE), None, "the minute is empty again");
    clock.pass(Duration::from_secs(20));
    assert_eq!(retry(1, MINUTE), Some(Duration::from_secs(40)));
    assert_eq!(retry(4, hour), Some(hour - 3 * MINUTE - Duration::from_secs(20)));
    store.close(StopReason::Exit);
}

#[test]
fn a_history_is_kept_for_the_longest_window_that_any_gate_looks_through() {
    let (_outer, dir) = folder();
    let clock = Hands::at(1_000_000);
    let open =
        |windows: &[(u64, u64)]| Store::open_with_clock(options_with(&dir, windows), clock.clone()).unwrap();
    let admit =
        |store, max, seconds| admitted(store, limited(at_most(max, Duration::from_secs(seconds)))).is_some();
    let (short, long) = (open(&[(10, 3)]), open(&[(35, 4)]));
    for _ in 0..3 {
        assert!(admit(&short, 3, 10));
    }
    clock.pass(Duration::from_secs(11));
    assert!(admit(&short, 3, 10), "the short window is empty again");
    assert!(!admit(&long, 4, 35), "the long one holds all four");
    // Its own calls count also where it was not there while others came.
    long.close(StopReason::Exit);
    clock.pass(Duration::from_secs(11));
    assert!(admit(&short, 3, 10));
    let long = open(&[(35, 4)]);
    assert!(!admit(&long, 4, 35), "a restart forgets nothing");
    clock.pass(Duration::from_secs(13));
    assert!(admit(&long, 4, 35), "the first three have left the long window");
    for store in [short, long] {
        store.close(StopReason::Exit);
    }
}

#[test]
fn a_reload_keeps_what_its_windows_need_and_no_more() {
    let (_outer, dir) = folder();
    let clock = Hands::at(1_000_000);
    let store = Store::open_with_clock(options_with(&dir, &[(10, 3)]), clock.clone()).unwrap();
    let admit =
        |max, seconds| admitted(&store, limited(at_most(max, Duration::from_secs(seconds)))).is_some();
    let reload = |windows: &[(u64, u64)]| {
        let record = Reload {
            effect: ReloadEffect::Tighter,
            from: None,
            reason: None,
            server: None,
            to: None,
        };
        wait(store.reload(vec![policy(windows)], vec![record])).unwrap();
    };
    let kept = || {
        let reader = Reader::open(&dir).unwrap();
        let limits = reader.limits(&*clock).unwrap();
        limits
            .first()
            .map_or(0, |limit| reader.history(limit).unwrap().len())
    };
    assert!(admit(3, 10));
    clock.pass(Duration::from_secs(5));
    reload(&[(10, 3), (35, 2)]);
    clock.pass(Duration::from_secs(6));
    assert!(admit(3, 10));
    assert!(
        !admit(2, 35),
        "what was there at the reload counts in the longer window"
    );
    reload(&[(10, 3)]);
    assert!(admit(3, 10));
    assert_eq!(kept(), 1, "what no policy looks at any more is not kept");
    store.close(StopReason::Exit);
}

#[test]
fn a_limit_is_shown_with_its_windows_and_what_they_may_hold() {
    let (_outer, dir) = folder();
    let clock = Hands::at(1_000_000);
    let store = Store::open_with_clock(options_with(&dir, &[(10, 3), (35, 4)]), clock.clone()).unwrap();
    for _ in 0..2 {
        assert!(admitted(&store, limited(at_most(4, Duration::from_secs(35)))).is_some());
        clock.pass(Duration::from_secs(6));
    }
    let shown = || {
        let limits = Reader::open(&dir).unwrap().limits(&*clock).unwrap();
        let [limit] = limits.try_into().unwrap();
        let windows = limit.windows.into_iter();
        windows
            .map(|shown| {
                let max = shown.max.map(|max| max.to_string()).unwrap_or_default();
                (shown.window.length().as_secs(), max, shown.used.to_string())
            })
            .collect::<Vec<_>>()
    };
    let expected = [
        (10, "3".to_owned(), "1".to_owned()),
        (35, "4".to_owned(), "2".to_owned()),
    ];
    assert_eq!(shown(), expected);
    store.close(StopReason::Exit);
    assert_eq!(shown(), expected, "also when no gate runs");
}

#[test]
fn thousands_in_a_window_are_counted_never_over_and_at_most_a_sixtieth_late() {
    let (_outer, dir) = folder();
    let clock = Hands::at(1_000_000);
    let store = Store::open_with_clock(options(&dir), clock.clone()).unwrap();
    let admit = || admitted(&store, limited(at_most(1_300, MINUTE))).is_some();
    for number in 0..1_300 {
        assert!(admit(), "call {number}");
        clock.pass(Duration::from_millis(1));
    }
    assert!(!admit());
    let limits = Reader::open(&dir).unwrap().limits(&*clock).unwrap();
    assert_eq!(limits[0].windows[0].used.to_string(), "1300");
    clock.pass(MINUTE - Duration::from_millis(1_300 - 1_100));
    assert!((0..1_300).filter(|_| admit()).count() <= 1_101);
    clock.pass(Duration::from_millis(1_200));
    assert!(
        (0..1_300).filter(|_| admit()).count() >= 199,
        "at most a second late"
    );
    store.close(StopReason::Exit);
}

#[test]
fn limits_of_sessions_that_are_over_are_swept_away() {
    let (_outer, dir) = folder();
    let clock = Hands::at(1_000_000);
    let store = Store::open_with_clock(options(&dir), clock.clone()).unwrap();
    for session in 0..50 {
        let mut reservation = at_most(5, MINUTE);
        let session = SessionId::new(&format!("session-{session}")).unwrap();
        reservation.key.scope = callgate_core::limit::ScopeValue::Session(session);
        assert!(admitted(&store, limited(reservation)).is_some());
    }
    let keys = || -> i64 {
        let database = rusqlite::Connection::open(dir.join("callgate.db")).unwrap();
        database
            .query_row("SELECT count(*) FROM limit_key", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(keys(), 50);
    clock.pass(MINUTE);
    until("the sweep", || {
        assert!(admitted(&store, limited(at_most(1_000_000, MINUTE))).is_some());
        keys() == 1
    });
    store.close(StopReason::Exit);
}
