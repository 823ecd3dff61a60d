//! Invariant 3: no call without a record.

use crate::support::{
    Hands, admitted, at_most, call, count, ended, folder, limited, ok, options, records, until, verified,
    wait,
};
use callgate_core::limit::StoreTime;
use callgate_ledger::consistency_proof;
use callgate_ledger::export::{Trust, verify_export};
use callgate_ledger::record::{Body, Denial, Kind, Late, Malformed, Peer, Status, TaskEnd, TaskStatus};
use callgate_ledger::{CallId, Checkpoint, Outside, inclusion_proof, leaf_hash, root_at, verify_inclusion};
use callgate_store::{Event, Reader, Refund, StopReason, Store, prune};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

fn kinds(dir: &std::path::Path) -> Vec<Kind> {
    records(dir).iter().map(callgate_ledger::Record::kind).collect()
}

fn denial(reason: &str) -> Event {
    Event::Denial(Denial {
        args_digest: None,
        grant: "local".into(),
        issuer: None,
        method: "tools/call".into(),
        policy: None,
        reason: reason.into(),
        rule: Some("/tools/send/rules/1".into()),
        server: Some("mail".into()),
        session: None,
        shadow: Vec::new(),
        subject: None,
        text: None,
        tool: Some("send".into()),
    })
}

#[test]
fn every_step_of_a_call_is_recorded_in_order() {
    let (_outer, dir) = folder();
    let store = Store::open(options(&dir)).unwrap();
    let first = admitted(&store, limited(at_most(1, Duration::from_secs(60)))).unwrap();
    assert!(admitted(&store, limited(at_most(1, Duration::from_secs(60)))).is_none());
    store.settle(first.call, ended(Status::Accepted, Refund::Keep));
    store.settle(first.call, ok());
    let end = TaskEnd {
        call: first.call,
        duration_us: None,
        status: TaskStatus::Completed,
    };
    wait(store.record_now(Event::TaskEnd(end.clone()))).unwrap();
    wait(store.record_now(Event::TaskEnd(end))).unwrap();
    store.record(Event::Late(Late {
        after_us: 5_u32.into(),
        call: CallId([9; 16]),
        status: Status::Ok,
    }));
    let open = admitted(&store, call()).unwrap();
    store.close(StopReason::Signal);
    let expected = [
        Kind::Start,
        Kind::Intent,
        Kind::Denial,
        Kind::Outcome,
        Kind::TaskEnd,
        Kind::Intent,
        Kind::Outcome,
        Kind::Stop,
    ];
    assert_eq!(
        kinds(&dir),
        expected,
        "a second outcome or end, and a record of no call, are not written"
    );
    let report = verified(&dir);
    assert_eq!((report.unsigned(), report.open.len()), (0, 0));
    let reader = Reader::open(&dir).unwrap();
    let records = reader.call(open.call).unwrap().unwrap();
    let outcome = records.following[0].record().unwrap().body;
    assert!(matches!(outcome, Body::Outcome(outcome) if outcome.status == Status::Unknown));
    assert_eq!(reader.call(CallId([9; 16])).unwrap(), None);
}

#[test]
fn what_follows_a_call_is_found_however_late_it_comes() {
    let (_outer, dir) = folder();
    let store = Store::open(options(&dir)).unwrap();
    let (soon, late) = (
        admitted(&store, call()).unwrap(),
        admitted(&store, call()).unwrap(),
    );
    let late_answer = |call| {
        let late = Late {
            after_us: 5_u32.into(),
            call,
            status: Status::Ok,
        };
        wait(store.record_now(Event::Late(late))).unwrap();
    };
    store.settle(soon.call, ended(Status::Unknown, Refund::Keep));
    late_answer(soon.call);
    late_answer(late.call);
    for _ in 0..300 {
        let between = admitted(&store, call()).unwrap();
        store.settle(between.call, ok());
    }
    store.settle(late.call, ended(Status::Unknown, Refund::Keep));
    for call in [soon.call, late.call] {
        late_answer(call);
    }
    store.close(StopReason::Exit);
    let reader = Reader::open(&dir).unwrap();
    let following = |call| {
        let records = reader.call(call).unwrap().unwrap().following;
        let kinds = records.iter().map(|entry| entry.record().unwrap().kind());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(following(soon.call), [Kind::Outcome, Kind::Late, Kind::Late]);
    assert_eq!(following(late.call), [Kind::Outcome, Kind::Late]);
    verified(&dir);
}

#[test]
fn a_call_whose_admission_nobody_took_is_given_back() {
    let (_outer, dir) = folder();
    let store = Store::open(options(&dir)).unwrap();
    let request = || limited(at_most(1, Duration::from_secs(60)));
    {
        let mut asked = pin!(store.admit(request()));
        assert!(
            asked
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
    }
    until("the place to be given back", || {
        admitted(&store, request()).is_some()
    });
    store.close(StopReason::Exit);
    let first = records(&dir).into_iter().find_map(|record| match record.body {
        Body::Outcome(outcome) => Some(outcome),
        _ => None,
    });
    let outcome = first.unwrap();
    assert_eq!(outcome.status, Status::Cancelled);
    assert_eq!(outcome.settlement, callgate_ledger::record::Settlement::Refunded);
}

#[test]
fn a_flood_of_refusals_is_counted_and_calls_are_still_recorded() {
    let (_outer, dir) = folder();
    let clock = Hands::at(1_000_000);
    let store = Store::open_with_clock(options(&dir), clock.clone()).unwrap();
    for _ in 0..50 {
        store.record(denial("denied_by_rule"));
    }
    store.record(denial("hidden"));
    for _ in 0..3 {
        let call = admitted(&store, call()).unwrap();
        store.settle(call.call, ok());
    }
    clock.pass(Duration::from_secs(1));
    store.record(denial("denied_by_rule"));
    wait(store.record_now(denial("hidden"))).unwrap();
    store.close(StopReason::Exit);
    let report = verified(&dir);
    assert_eq!(
        count(&report, Kind::Denial),
        20 + 1 + 2,
        "the first of its kind is always recorded"
    );
    assert_eq!(
        (count(&report, Kind::Intent), count(&report, Kind::Outcome)),
        (3, 3)
    );
    let suppressed: Vec<_> = records(&dir)
        .into_iter()
        .filter_map(|record| match record.body {
            Body::Suppressed(suppressed) => Some(suppressed),
            _ => None,
        })
        .collect();
    assert_eq!(suppressed.len(), 1);
    assert_eq!(suppressed[0].count.get(), 30);
    assert_eq!(suppressed[0].grant.as_ref().unwrap().as_str(), "local");
    let denials = Reader::open(&dir).unwrap().denials().unwrap();
    let counts: Vec<_> = denials
        .iter()
        .map(|denied| (denied.reason.as_str(), denied.count))
        .collect();
    assert_eq!(counts, [("denied_by_rule", 51), ("hidden", 2)]);
}

#[test]
fn checkpoints_that_are_handed_out_cover_the_log_and_prove_its_records() {
    let (outer, dir) = folder();
    let handed_out = outer.path().join("checkpoints");
    let mut with_out = options(&dir);
    with_out.checkpoint_out = Some(handed_out.clone());
    for _ in 0..2 {
        let store = Store::open(with_out.clone()).unwrap();
        for _ in 0..300 {
            let call = admitted(&store, call()).unwrap();
            store.settle(call.call, ok());
        }
        store.close(StopReason::Exit);
    }
    let reader = Reader::open(&dir).unwrap();
    let keys = reader.keys().unwrap();
    let notes = std::fs::read_to_string(&handed_out).unwrap();
    Outside::open(&notes, &keys).unwrap();
    let (size, note) = reader.last_checkpoint().unwrap().unwrap();
    assert_eq!(size, 2 * (300 * 2 + 2));
    assert!(notes.ends_with(&note));
    let checkpoint = Checkpoint::open(&note, &keys).unwrap();
    assert_eq!(root_at(size, &reader).unwrap(), checkpoint.root);
    for entry in reader.entries(0).step_by(97).map(Result::unwrap) {
        let proof = inclusion_proof(entry.seq, size, &reader).unwrap();
        verify_inclusion(
            &leaf_hash(&entry.bytes),
            entry.seq,
            size,
            &proof,
            &checkpoint.root,
        )
        .unwrap();
    }
}

#[test]
fn secrets_stay_out_of_the_folder() {
    let (_outer, dir) = folder();
    let store = Store::open(options(&dir)).unwrap();
    let mut reservation = at_most(5, Duration::from_secs(60));
    reservation.key.scope = callgate_core::limit::ScopeValue::Argument {
        path: "args.customer".into(),
        value: "\"swordfish-customer\"".into(),
    };
    let mut request = limited(reservation);
    request.arguments = Some(store.fingerprint(b"{\"text\":\"swordfish-text\"}"));
    let call = admitted(&store, request.clone()).unwrap();
    store.settle(call.call, ok());
    request.arguments = Some(store.fingerprint(b"{\"text\":\"swordfish-text\"} "));
    let other = admitted(&store, request).unwrap();
    store.record(Event::Malformed(Malformed {
        bytes: 5_u32.into(),
        grant: None,
        peer: Peer::Client,
        reason: "not_json".into(),
        server: None,
        session: None,
    }));
    store.close(StopReason::Exit);
    for entry in std::fs::read_dir(&dir).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            let found = bytes.windows(9).any(|window| window == b"swordfish");
            assert!(!found, "{}", entry.path().display());
        }
    }
    let reader = Reader::open(&dir).unwrap();
    let digest = |call| match reader.call(call).unwrap().unwrap().intent.record().unwrap().body {
        Body::Intent(intent) => intent.args_digest.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_ne!(digest(call.call), digest(other.call));
}

#[test]
fn recorded_values_lie_beside_the_log_under_their_salted_hash() {
    let (_outer, dir) = folder();
    let store = Store::open(options(&dir)).unwrap();
    let mut request = call();
    request.values = Some("{\"args.to\":\"a@example.com\"}".into());
    let kept = admitted(&store, request.clone()).unwrap();
    let again = admitted(&store, request).unwrap();
    store.close(StopReason::Exit);
    let reader = Reader::open(&dir).unwrap();
    let records = |call| reader.call(call).unwrap().unwrap();
    assert_eq!(
        records(kept.call).values.as_deref(),
        Some("{\"args.to\":\"a@example.com\"}")
    );
    let hash = |call| match records(call).intent.record().unwrap().body {
        Body::Intent(intent) => intent.values.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_ne!(
        hash(kept.call),
        hash(again.call),
        "equal values cannot be told to be equal"
    );
    rusqlite::Connection::open(dir.join("callgate.db"))
        .unwrap()
        .execute("DELETE FROM recorded", [])
        .unwrap();
    assert_eq!(records(kept.call).values, None);
    verified(&dir);
}

#[test]
fn old_records_move_to_a_file_that_verifies_and_the_rest_verifies_behind_it() {
    let (outer, dir) = folder();
    let clock = Hands::at(1_000_000);
    let run = |calls: u32| {
        let store = Store::open_with_clock(options(&dir), clock.clone()).unwrap();
        for _ in 0..calls {
            let call = admitted(&store, call()).unwrap();
            store.settle(call.call, ok());
        }
        store.close(StopReason::Exit);
    };
    run(611);
    clock.pass(Duration::from_secs(10));
    let store = Store::open_with_clock(options(&dir), clock.clone()).unwrap();
    let held = admitted(&store, call()).unwrap();
    clock.pass(Duration::from_secs(10));
    run(20);
    let old = StoreTime(held.at.0 - 1);
    assert_eq!(prune(&dir, StoreTime(0), outer.path()).unwrap(), None);
    let before = Reader::open(&dir).unwrap().last_checkpoint().unwrap().unwrap();
    for (limit, expected_first) in [(old, true), (StoreTime(u64::MAX), false)] {
        let first = Reader::open(&dir).unwrap().range().unwrap().start;
        let archive = prune(&dir, limit, outer.path()).unwrap();
        let Some(archive) = archive else { continue };
        assert_eq!(archive.records.start, first);
        let report = verify_export(&std::fs::read(&archive.path).unwrap(), Trust::default()).unwrap();
        assert_eq!(report.size, archive.records.end);
        assert_eq!(report.unsigned(), 0);
        assert_eq!(report.first == 0, expected_first);
        let rest = verified(&dir);
        assert_eq!(rest.first, archive.records.end);
    }
    store.settle(held.call, ok());
    store.close(StopReason::Exit);
    let rest = verified(&dir);
    assert!(rest.first > 1_000, "only {} records were moved", rest.first);
    assert_eq!(
        rest.open,
        [],
        "the call that was open in the archive has its outcome here"
    );
    assert_eq!(rest.unsigned(), 0);
    let reader = Reader::open(&dir).unwrap();
    let (size, note) = reader.last_checkpoint().unwrap().unwrap();
    assert!(size > before.0);
    let root = Checkpoint::open(&note, &reader.keys().unwrap()).unwrap().root;
    for entry in reader.entries(rest.first).map(Result::unwrap) {
        let proof = inclusion_proof(entry.seq, size, &reader).unwrap();
        verify_inclusion(&leaf_hash(&entry.bytes), entry.seq, size, &proof, &root).unwrap();
    }
    consistency_proof(rest.first, size, &reader).unwrap();
}

#[test]
fn what_was_written_and_signed_can_be_watched() {
    let (_outer, dir) = folder();
    let store = Store::open(options(&dir)).unwrap();
    let before = store.stats();
    assert!(before.healthy);
    assert!(before.transactions >= 1, "the start was written");
    let held = admitted(&store, call()).unwrap();
    store.settle(held.call, ok());
    until("the outcome is written", || {
        store.stats().records == before.records + 2
    });
    let after = store.stats();
    assert_eq!(after.transactions, before.transactions + 2);
    assert_eq!(after.queued, 0);
    until("a checkpoint covers all", || {
        let sizes = store.ledger_sizes().unwrap();
        assert!(sizes.signed <= sizes.size);
        sizes.size == after.records && sizes.signed == sizes.size
    });
    store.close(StopReason::Exit);
}
