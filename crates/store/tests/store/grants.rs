//! Grants: made, changed and followed by processes that share a folder.

use crate::support::{Hands, call, count, folder, options, records, until, verified, wait};
use callgate_core::limit::StoreTime;
use callgate_core::name::ServerName;
use callgate_ledger::record::{Body, GrantAction, GrantChange, Kind};
use callgate_store::{
    Admission, AdmitRequest, Expiry, Grant, GrantError, GrantLabel, Grants, GrantsSnapshot, Identity, Issued,
    NewGrant, PolicyName, ReadError, Reader, StopReason, Store,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn new(label: &str, servers: &[(&str, Option<&str>)]) -> NewGrant {
    NewGrant {
        label: GrantLabel::new(label).unwrap(),
        servers: attached(servers),
        expires: None,
    }
}

fn attached(servers: &[(&str, Option<&str>)]) -> BTreeMap<ServerName, Option<PolicyName>> {
    servers
        .iter()
        .map(|(server, policy)| (self::server(server), policy.map(self::policy)))
        .collect()
}

fn server(name: &str) -> ServerName {
    ServerName::new(name).unwrap()
}

fn policy(name: &str) -> PolicyName {
    PolicyName::new(name).unwrap()
}

fn open(dir: &Path) -> Store {
    Store::open(options(dir)).unwrap()
}

/// Whom a token lets in.
fn of_token<'s>(store: &Store, snapshot: &'s GrantsSnapshot, token: &str) -> Option<&'s Grant> {
    let hash = store.token_hash(token);
    let found = snapshot.grants.iter().find(|live| live.token == hash);
    found.map(|live| &live.grant)
}

fn under(generation: u64) -> AdmitRequest {
    AdmitRequest {
        grants_generation: Some(generation),
        ..call()
    }
}

fn changes(dir: &Path) -> Vec<GrantChange> {
    let bodies = records(dir).into_iter().map(|record| record.body);
    bodies
        .filter_map(|body| match body {
            Body::GrantChange(change) => Some(change),
            _ => None,
        })
        .collect()
}

#[test]
fn several_are_made_at_once_or_none() {
    let (_outer, dir) = folder();
    let grants = Grants::of(&dir);
    let servers = [("github", Some("reviewers")), ("mail", None)];
    let made = grants
        .create_all(["a", "b", "c"].map(|label| new(label, &servers)).into())
        .unwrap();
    let listed: Vec<Grant> = made.iter().map(|issued| issued.grant.clone()).collect();
    // They were made at one moment, so their ids order them.
    let mut found = grants.list().unwrap();
    found.sort_by(|one, other| one.label.cmp(&other.label));
    assert_eq!(found, listed);
    let store = open(&dir);
    let snapshot = store.grants().unwrap();
    for issued in &made {
        let found = of_token(&store, &snapshot, issued.token.reveal());
        assert_eq!(found, Some(&issued.grant));
    }
    // None is no change: where there are no grants, gateways let those on their machine in.
    assert_eq!(grants.create_all(Vec::new()).unwrap(), []);
    assert_eq!(store.grants().unwrap().generation, snapshot.generation);
    let before = changes(&dir).len();
    assert_eq!(before, 3 * (1 + servers.len()), "each has its records");
    let ended = NewGrant {
        expires: Some(Expiry::In(Duration::ZERO)),
        ..new("e", &[])
    };
    let many = (0..10_000).map(|number| new(&number.to_string(), &[])).collect();
    for (what, wrong) in [
        ("a label is taken", vec![new("d", &servers), new("b", &servers)]),
        ("a label comes twice", vec![new("d", &[]), new("d", &[])]),
        ("one has ended", vec![new("d", &servers), ended]),
        ("there is no room for all", many),
    ] {
        assert!(grants.create_all(wrong).is_err(), "{what}");
        assert_eq!(grants.list().unwrap().len(), 3, "{what}");
        assert_eq!(changes(&dir).len(), before, "{what}");
    }
}

#[test]
fn what_is_granted_is_read_back_by_a_gateway() {
    let (_outer, dir) = folder();
    let grants = Grants::of(&dir);
    let servers = [("github", Some("reviewers")), ("mail", None)];
    let Issued { grant, token } = grants.create(new("ci", &servers)).unwrap();
    assert!(grant.id.as_str().starts_with("g_") && grant.id.as_str().len() == 18);
    assert_eq!(grants.list().unwrap(), std::slice::from_ref(&grant));
    for which in ["ci", grant.id.as_str()] {
        assert_eq!(grants.show(which).unwrap(), grant);
    }
    let store = open(&dir);
    let snapshot = store.grants().unwrap();
    assert_eq!((snapshot.generation, snapshot.grants.len()), (1, 1));
    assert_eq!(of_token(&store, &snapshot, token.reveal()), Some(&grant));
    assert_eq!(of_token(&store, &snapshot, "cg_something else"), None);
    assert_eq!(grant.servers, attached(&servers));

    let grant = grants
        .attach("ci", &server("mail"), Some(&policy("sender")))
        .unwrap();
    let same = grants
        .attach("ci", &server("mail"), Some(&policy("sender")))
        .unwrap();
    assert_eq!(same, grant);
    assert_eq!(
        store.grants_generation().unwrap(),
        2,
        "what changes nothing is no change"
    );
    let grant = grants.detach(grant.id.as_str(), &server("github")).unwrap();
    assert_eq!(grant.servers, attached(&[("mail", Some("sender"))]));
    let snapshot = store.grants().unwrap();
    assert_eq!(snapshot.generation, 3);
    assert_eq!(of_token(&store, &snapshot, token.reveal()), Some(&grant));
    store.close(StopReason::Exit);

    let told: Vec<_> = changes(&dir)
        .iter()
        .map(|change| {
            assert_eq!(
                (change.grant.as_str(), change.label.as_str()),
                (grant.id.as_str(), "ci")
            );
            let text = |text: &Option<callgate_ledger::Text>| text.as_ref().map(ToString::to_string);
            (change.action, text(&change.server), text(&change.policy_name))
        })
        .collect();
    let row = |action, server: Option<&str>, policy: Option<&str>| {
        (action, server.map(str::to_owned), policy.map(str::to_owned))
    };
    assert_eq!(
        told,
        [
            row(GrantAction::Create, None, None),
            row(GrantAction::Attach, Some("github"), Some("reviewers")),
            row(GrantAction::Attach, Some("mail"), None),
            row(GrantAction::Attach, Some("mail"), Some("sender")),
            row(GrantAction::Detach, Some("github"), None),
        ]
    );
    let report = verified(&dir);
    assert_eq!((count(&report, Kind::Start), report.unsigned()), (1, 0));
    let left: Vec<_> = std::fs::read_dir(dir.join("runs")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_token_is_in_no_file() {
    let (_outer, dir) = folder();
    let grants = Grants::of(&dir);
    let first = grants.create(new("a label", &[])).unwrap().token;
    let second = grants.rotate("a label").unwrap().token;
    let store = open(&dir);
    let files: Vec<Vec<u8>> = ["callgate.db", "callgate.db-wal"]
        .iter()
        .map(|name| std::fs::read(dir.join(name)).unwrap())
        .collect();
    let found = |needle: &[u8]| {
        files
            .iter()
            .any(|bytes| bytes.windows(needle.len()).any(|part| part == needle))
    };
    assert!(found(b"a label"), "what is there is found");
    for token in [&first, &second] {
        assert!(!found(token.reveal().strip_prefix("cg_").unwrap().as_bytes()));
    }
    let shown = format!("{:?} {first:?}", store.grants().unwrap());
    assert!(
        shown.contains("TokenHash(..) }]") && !shown.contains("cg_"),
        "{shown}"
    );
    store.close(StopReason::Exit);
}

#[test]
fn a_call_is_admitted_only_under_the_grants_of_now() {
    let (_outer, dir) = folder();
    let (store, other) = (open(&dir), open(&dir));
    let admit = |store: &Store, generation| wait(store.admit(under(generation))).unwrap();
    assert!(
        matches!(admit(&store, 0), Admission::Admitted(_)),
        "before there is any grant"
    );
    let grants = Grants::of(&dir);
    grants.create(new("ci", &[])).unwrap();
    let records_before = records(&dir).len();
    assert_eq!(admit(&store, 0), Admission::Stale);
    assert_eq!(admit(&other, 7), Admission::Stale);
    assert_eq!(records(&dir).len(), records_before, "nothing is recorded");
    let generation = other.grants().unwrap().generation;
    assert!(matches!(admit(&other, generation), Admission::Admitted(_)));
    assert!(matches!(
        wait(store.admit(call())).unwrap(),
        Admission::Admitted(_)
    ));
    grants.revoke("ci").unwrap();
    assert_eq!(admit(&store, generation), Admission::Stale);
    assert_eq!(admit(&other, generation), Admission::Stale);
    assert_eq!(store.grants_generation().unwrap(), generation + 1);
    store.close(StopReason::Exit);
    other.close(StopReason::Exit);
    assert_eq!(verified(&dir).open, []);
}

#[test]
fn a_revocation_holds_in_the_batch_that_follows_it() {
    let (_outer, dir) = folder();
    let store = open(&dir);
    let grants = Grants::of(&dir);
    grants.create(new("ci", &[])).unwrap();
    let revoked = std::sync::atomic::AtomicBool::new(false);
    let over = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(order) {
                    let late = revoked.load(order);
                    let admission = wait(store.admit(under(1))).unwrap();
                    assert!(!late || admission == Admission::Stale, "{admission:?}");
                }
            });
        }
        std::thread::sleep(Duration::from_millis(50));
        grants.revoke("ci").unwrap();
        revoked.store(true, order);
        std::thread::sleep(Duration::from_millis(50));
        over.store(true, order);
    });
    store.close(StopReason::Exit);
    verified(&dir);
}

#[test]
fn a_rotated_token_and_a_revoked_one_let_nobody_in() {
    let (_outer, dir) = folder();
    let grants = Grants::of(&dir);
    let first = grants.create(new("ci", &[])).unwrap();
    let second = grants.rotate("ci").unwrap();
    assert_eq!(first.grant, second.grant);
    let store = open(&dir);
    let snapshot = store.grants().unwrap();
    assert_eq!(of_token(&store, &snapshot, first.token.reveal()), None);
    assert_eq!(
        of_token(&store, &snapshot, second.token.reveal()),
        Some(&second.grant)
    );

    let id = second.grant.id.as_str();
    let revoked = grants.revoke("ci").unwrap();
    assert!(revoked.revoked.is_some() && !revoked.is_live(store.now()));
    let snapshot = store.grants().unwrap();
    assert_eq!(snapshot.grants, []);
    assert_eq!(
        snapshot.revoked,
        [(store.token_hash(second.token.reveal()), revoked.id.clone())]
    );
    assert!(matches!(grants.rotate(id), Err(GrantError::Revoked(_))));
    assert!(matches!(grants.revoke(id), Err(GrantError::Revoked(_))));
    assert!(matches!(
        grants.attach(id, &server("mail"), None),
        Err(GrantError::Revoked(_))
    ));
    assert!(
        matches!(grants.revoke("ci"), Err(GrantError::Unknown(_))),
        "its label is free"
    );
    let again = grants.create(new("ci", &[])).unwrap().grant;
    assert_ne!(again.id, revoked.id);
    assert_eq!(grants.list().unwrap(), [revoked, again]);
    assert_eq!(
        store.grants_generation().unwrap(),
        4,
        "what was refused is no change"
    );
    store.close(StopReason::Exit);
}

#[test]
fn a_grant_expires_by_the_time_of_the_store() {
    let (_outer, dir) = folder();
    let hands = Hands::at(1_000_000);
    let grants = Grants::with_clock(&dir, hands.clone());
    let expiring = |expires| NewGrant {
        expires: Some(expires),
        ..new("ci", &[])
    };
    let past = StoreTime(999_999 * 1_000_000_000);
    for expires in [Expiry::In(Duration::ZERO), Expiry::At(past)] {
        assert!(matches!(
            grants.create(expiring(expires)),
            Err(GrantError::Expired)
        ));
    }
    let grant = grants.create(expiring(Expiry::In(DAY))).unwrap().grant;
    assert_eq!(
        grant.expires,
        Some(StoreTime(grant.created.0 + 86_400_000_000_000))
    );
    let store = Store::open_with_clock(options(&dir), hands.clone()).unwrap();
    let known = store.grants().unwrap().grants.remove(0).grant;
    hands.pass(DAY - Duration::from_secs(1));
    assert!(known.is_live(store.now()));
    hands.pass(Duration::from_secs(1));
    assert!(!known.is_live(store.now()));
    // The wall clock is turned back, and the time since the boot is not.
    hands.wall.store(0, std::sync::atomic::Ordering::SeqCst);
    assert!(!known.is_live(store.now()));
    let recorded = changes(&dir)[0].expires.unwrap().get();
    assert_eq!(recorded * 1_000, known.expires.unwrap().0);
    let latest = grants.create(NewGrant {
        expires: Some(Expiry::In(Duration::MAX)),
        ..new("for ever", &[])
    });
    assert!(latest.unwrap().grant.is_live(store.now()));
    store.close(StopReason::Exit);
    verified(&dir);
}

#[test]
fn what_cannot_be_done_is_said() {
    let (_outer, dir) = folder();
    let grants = Grants::of(&dir);
    assert!(matches!(
        grants.list(),
        Err(GrantError::Read(ReadError::Missing { .. }))
    ));
    assert!(!dir.exists(), "looking makes nothing");
    let Issued { grant, token } = grants.create(new("ci", &[])).unwrap();
    let taken = grants.create(new("ci", &[])).unwrap_err();
    assert!(
        matches!(&taken, GrantError::Taken { id, .. } if *id == grant.id),
        "{taken}"
    );
    let by_token = grants.show(token.reveal()).unwrap_err();
    assert!(matches!(by_token, GrantError::NamedByToken));
    assert!(!by_token.to_string().contains(token.reveal()));
    assert!(matches!(
        grants.revoke(token.reveal()),
        Err(GrantError::NamedByToken)
    ));
    for unknown in ["cd", "CI", "g_0000000000000000", ""] {
        assert!(
            matches!(grants.show(unknown), Err(GrantError::Unknown(_))),
            "{unknown}"
        );
        assert!(
            matches!(grants.revoke(unknown), Err(GrantError::Unknown(_))),
            "{unknown}"
        );
    }
    let detached = grants.detach("ci", &server("mail")).unwrap_err();
    assert!(matches!(detached, GrantError::NotAttached { .. }), "{detached}");
    assert_eq!(changes(&dir).len(), 1);
}

#[test]
fn a_gateway_that_reads_a_change_signs_its_record() {
    let (_outer, dir) = folder();
    let store = open(&dir);
    let grants = Grants::of(&dir);
    let signed = || {
        let reader = Reader::open(&dir).unwrap();
        let (size, end) = (reader.last_checkpoint().unwrap(), reader.range().unwrap().end);
        size.is_some_and(|(size, _)| size == end)
    };
    grants.create(new("ci", &[])).unwrap();
    assert!(!signed());
    store.grants().unwrap();
    until("the change to be signed", signed);
    store.close(StopReason::Exit);
    assert_eq!(verified(&dir).unsigned(), 0);
}

#[test]
fn there_are_not_more_grants_than_a_gateway_can_hold() {
    let (_outer, dir) = folder();
    let grants = Grants::of(&dir);
    grants.create(new("ci", &[])).unwrap();
    let database = rusqlite::Connection::open(dir.join("callgate.db")).unwrap();
    let more = |rows: u32, revoked: Option<u32>, from: u32| {
        let sql = "WITH RECURSIVE n(n) AS (VALUES (?1) UNION ALL SELECT n + 1 FROM n WHERE n + 1 < ?1 + ?2)
            INSERT INTO caller_grant SELECT printf('g_%016x', n), 'label ' || n, randomblob(32), 0, NULL, ?3 + n FROM n";
        database
            .execute(sql, rusqlite::params![from, rows, revoked])
            .unwrap();
    };
    more(1_200, Some(0), 0);
    more(9_998, None, 100_000);
    grants.create(new("the last", &[])).unwrap();
    let refused = grants.create(new("one more", &[])).unwrap_err();
    assert!(matches!(refused, GrantError::TooMany), "{refused}");
    let store = open(&dir);
    let snapshot = store.grants().unwrap();
    assert_eq!((snapshot.grants.len(), snapshot.revoked.len()), (10_000, 1_000));
    assert_eq!(
        snapshot.revoked[0].1.as_str(),
        format!("g_{:016x}", 1_199),
        "the last ones"
    );
    grants.revoke("ci").unwrap();
    grants.create(new("one more", &[])).unwrap();
    store.close(StopReason::Exit);
}

#[test]
fn asking_for_the_generation_takes_microseconds() {
    let (_outer, dir) = folder();
    let store = open(&dir);
    let ask = || {
        let begun = Instant::now();
        store.grants_generation().unwrap();
        begun.elapsed()
    };
    ask();
    let mut times: Vec<Duration> = (0..1_001).map(|_| ask()).collect();
    times.sort();
    // Without optimisation, and beside other tests, it is some times what it is in a gate.
    assert!(times[500] < Duration::from_micros(200), "{:?}", times[500]);
    store.close(StopReason::Exit);
}

const ISSUER: &str = "https://login.example.com";

#[test]
fn a_subject_lets_in_as_one_grant_until_it_is_detached_or_the_grant_revoked() {
    let (_outer, dir) = folder();
    let grants = Grants::of(&dir);
    let store = Store::open(options(&dir)).unwrap();
    for label in ["ana", "bo"] {
        grants.create(new(label, &[])).unwrap();
    }
    let ana = Identity::subject(ISSUER, "ana").unwrap();
    let staff = Identity::new(ISSUER, "groups", "staff").unwrap();
    let before = store.grants_generation().unwrap();
    let attached = grants.attach_identity("ana", &ana).unwrap();
    assert!(attached.identities.contains(&ana));
    // Again changes nothing; another grant cannot have the same.
    grants.attach_identity("ana", &ana).unwrap();
    assert_eq!(store.grants_generation().unwrap(), before + 1);
    assert!(matches!(
        grants.attach_identity("bo", &ana),
        Err(GrantError::Claimed { .. })
    ));
    assert!(matches!(
        grants.detach_identity("bo", &ana),
        Err(GrantError::NotClaimed { .. })
    ));
    grants.attach_identity("ana", &staff).unwrap();
    let seen = store.grants().unwrap();
    assert_eq!(
        seen.grants[0].grant.identities,
        [ana.clone(), staff.clone()].into()
    );
    grants.detach_identity("ana", &staff).unwrap();
    assert_eq!(grants.show("ana").unwrap().identities, [ana.clone()].into());
    grants.revoke("ana").unwrap();
    assert_eq!(
        grants.attach_identity("bo", &ana).unwrap().identities,
        [ana].into()
    );
    let named: Vec<(GrantAction, Option<String>)> = changes(&dir)
        .iter()
        .filter(|change| change.issuer.is_some())
        .map(|change| {
            (
                change.action,
                change.value.as_ref().map(|value| value.as_str().to_owned()),
            )
        })
        .collect();
    assert_eq!(
        named,
        [
            (GrantAction::Attach, Some("ana".to_owned())),
            (GrantAction::Attach, Some("staff".to_owned())),
            (GrantAction::Detach, Some("staff".to_owned())),
            (GrantAction::Attach, Some("ana".to_owned())),
        ]
    );
}

#[test]
fn a_folder_from_before_there_were_subjects_is_taken_over() {
    let (_outer, dir) = folder();
    let grants = Grants::of(&dir);
    grants.create(new("ana", &[])).unwrap();
    let database = rusqlite::Connection::open(dir.join("callgate.db")).unwrap();
    database
        .execute_batch("DROP TABLE grant_identity; PRAGMA user_version = 1;")
        .unwrap();
    drop(database);
    assert!(grants.show("ana").unwrap().identities.is_empty());
    let ana = Identity::subject(ISSUER, "ana").unwrap();
    assert_eq!(
        grants.attach_identity("ana", &ana).unwrap().identities,
        [ana].into()
    );
}
