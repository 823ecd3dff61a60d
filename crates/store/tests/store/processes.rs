//! Several processes on one folder, and processes that are killed. A child is this test binary again.

use crate::support::{
    admitted, admitted_either_way, at_most, call, count, folder, in_flight, limited, ok, options, records,
    until, verified, wait,
};
use callgate_ledger::CallId;
use callgate_ledger::record::{Body, Kind, Status};
use callgate_store::{
    Cause, GrantError, Grants, Reader, RunStatus, StopReason, Store, StoreError, SystemClock,
};
use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROLE: &str = "CALLGATE_STORE_TEST_ROLE";
const DIR: &str = "CALLGATE_STORE_TEST_DIR";
const HOUR: Duration = Duration::from_secs(3_600);

fn child(role: &str, dir: &Path, shell: Option<&str>) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut command = match shell {
        None => Command::new(program),
        Some(before) => {
            let mut command = Command::new("sh");
            command
                .arg("-c")
                .arg(format!("{before}; exec \"$0\" \"$@\""))
                .arg(program);
            command
        }
    };
    command
        .args([
            "processes::child_process",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE, role)
        .env(DIR, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a child wrote to its standard error, once it has ended.
fn said(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

fn finished(mut child: Child) -> String {
    let text = said(&mut child);
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}: {text}");
    text
}

fn say(line: &str) {
    std::io::stderr()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

/// Does nothing unless a test started it as a child.
#[test]
fn child_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let dir = PathBuf::from(std::env::var(DIR).unwrap());
    match role.as_str() {
        "open" => Store::open(options(&dir)).unwrap().close(StopReason::Exit),
        "share" => share(&dir),
        "loop" => admit_for_ever(&dir),
        "hold" => hold(&dir),
        "grant" => grant(&dir),
        "full" => run_full(&dir),
        other => panic!("{other}"),
    }
}

fn share(dir: &Path) {
    let store = Store::open(options(dir)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..50 {
                    let request = limited(at_most(100, HOUR));
                    if let Some(admitted) = admitted_either_way(&store, request, round) {
                        say("admitted");
                        store.settle(admitted.call, ok());
                    }
                }
            });
        }
    });
    store.close(StopReason::Exit);
}

#[test]
fn eight_processes_share_a_limit_exactly() {
    let (_outer, dir) = folder();
    let children: Vec<Child> = (0..8).map(|_| child("share", &dir, None)).collect();
    let admitted: usize = children
        .into_iter()
        .map(|child| finished(child).matches("admitted").count())
        .sum();
    assert_eq!(admitted, 100);
    let report = verified(&dir);
    assert_eq!(count(&report, Kind::Intent), 100);
    assert_eq!(count(&report, Kind::Outcome), 100);
    assert_eq!(report.unsigned(), 0, "the last to leave signs what is there");
    let denials: u64 = Reader::open(&dir)
        .unwrap()
        .denials()
        .unwrap()
        .iter()
        .map(|d| d.count)
        .sum();
    assert_eq!(denials, 1_500, "refusals are counted, recorded or not");
}

fn admit_for_ever(dir: &Path) {
    let store = Store::open(options(dir)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let store = &store;
            scope.spawn(move || {
                for round in 0_u64.. {
                    let mut request = limited(at_most(1_000_000, HOUR));
                    request.slots = vec![in_flight(1_000)];
                    let admitted = admitted_either_way(store, request, round).unwrap();
                    say(&format!("call {}", admitted.call));
                    if (round + thread) % 3 != 0 {
                        store.settle(admitted.call, ok());
                    }
                }
            });
        }
    });
}

#[test]
fn kill_at_any_moment_loses_no_intent_and_every_intent_gets_one_outcome() {
    let (_outer, dir) = folder();
    let mut seen = HashSet::new();
    let mut random = 0x2545_f491_u32;
    for _ in 0..17 {
        let mut children: Vec<Child> = (0..3).map(|_| child("loop", &dir, None)).collect();
        for child in &mut children {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            std::thread::sleep(Duration::from_millis(u64::from(random % 60)));
            child.kill().unwrap();
        }
        for mut child in children {
            let text = said(&mut child);
            child.wait().unwrap();
            assert!(!text.contains("panicked"), "{text}");
            // The last line may be cut by the kill.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            seen.extend(
                whole
                    .lines()
                    .filter_map(|line| CallId::from_hex(line.strip_prefix("call ")?)),
            );
        }
    }
    assert!(seen.len() > 100, "only {} calls were admitted", seen.len());
    Store::open(options(&dir)).unwrap().close(StopReason::Exit);

    let report = verified(&dir);
    assert_eq!(report.open, [], "every intent has its outcome");
    let mut unknown = 0;
    let mut intents = HashSet::new();
    for record in records(&dir) {
        match record.body {
            Body::Intent(intent) => drop(intents.insert(intent.call)),
            Body::Outcome(outcome) if outcome.status == Status::Unknown => {
                assert_eq!(outcome.reason.unwrap().as_str(), "process_gone");
                unknown += 1;
            }
            _ => {}
        }
    }
    assert!(unknown > 0, "the kills hit no call in flight");
    assert!(
        seen.is_subset(&intents),
        "a call was forwarded without its intent"
    );

    let reader = Reader::open(&dir).unwrap();
    let limits = reader.limits(&SystemClock).unwrap();
    let used: Vec<String> = limits
        .iter()
        .map(|limit| limit.windows[0].used.to_string())
        .collect();
    assert_eq!(
        used,
        [intents.len().to_string()],
        "what was admitted is charged, and places are free"
    );
    assert_eq!(limits[0].in_flight, 0);
    assert!(
        reader
            .runs()
            .unwrap()
            .iter()
            .all(|run| matches!(run.status, RunStatus::Ended { .. }))
    );
}

fn hold(dir: &Path) {
    let store = Store::open(options(dir)).unwrap();
    let mut request = call();
    request.slots = vec![in_flight(1)];
    let admitted = admitted(&store, request).unwrap();
    say(&format!("call {}", admitted.call));
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_silent_process_keeps_its_place_and_a_dead_one_does_not() {
    let (_outer, dir) = folder();
    let mut holder = child("hold", &dir, None);
    let holds = || {
        Reader::open(&dir).is_ok_and(|reader| {
            reader
                .runs()
                .is_ok_and(|runs| runs.iter().any(|run| run.open_calls == 1))
        })
    };
    until("the other process's call", holds);
    let store = Store::open(options(&dir)).unwrap();
    let request = || {
        let mut request = call();
        request.slots = vec![in_flight(1)];
        request
    };
    assert!(admitted(&store, request()).is_none(), "the other process lives");
    holder.kill().unwrap();
    holder.wait().unwrap();
    until("the dead process's place", || {
        admitted(&store, request()).is_some()
    });
    store.close(StopReason::Exit);
    assert_eq!(verified(&dir).open, []);
}

#[test]
fn processes_that_start_at_once_make_one_folder() {
    let (_outer, dir) = folder();
    let children: Vec<Child> = (0..6).map(|_| child("open", &dir, None)).collect();
    for child in children {
        finished(child);
    }
    let report = verified(&dir);
    assert_eq!(count(&report, Kind::Start), 6);
    assert_eq!(count(&report, Kind::Stop), 6);
    assert_eq!(
        Reader::open(&dir).unwrap().keys().unwrap().len(),
        1,
        "one key signs"
    );
}

/// One process in three gets the label that all of them want.
fn grant(dir: &Path) {
    let grants = Grants::of(dir);
    for round in 0..10 {
        let made = grants.create(crate::grants::new(&format!("label {round}"), &[("mail", None)]));
        match made {
            Ok(issued) => say(issued.token.reveal()),
            Err(error) => assert!(matches!(error, GrantError::Taken { .. }), "{error}"),
        }
    }
}

#[test]
fn processes_that_make_grants_at_once_make_each_once() {
    let (_outer, dir) = folder();
    let children: Vec<Child> = (0..3).map(|_| child("grant", &dir, None)).collect();
    let texts: Vec<String> = children.into_iter().map(finished).collect();
    let store = Store::open(options(&dir)).unwrap();
    let snapshot = store.grants().unwrap();
    assert_eq!((snapshot.generation, snapshot.grants.len()), (10, 10));
    let known: HashSet<_> = snapshot.grants.iter().map(|live| live.token).collect();
    let tokens = texts.iter().flat_map(|text| text.lines());
    let shown: HashSet<_> = tokens
        .filter(|line| line.starts_with("cg_"))
        .map(|token| store.token_hash(token))
        .collect();
    assert_eq!(shown, known);
    store.close(StopReason::Exit);
    assert_eq!(count(&verified(&dir), Kind::GrantChange), 20);
}

#[test]
fn files_are_private_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    for umask in ["000", "022", "277"] {
        let (_outer, dir) = folder();
        finished(child("open", &dir, Some(&format!("umask {umask}"))));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700, "umask {umask}");
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), expected, "umask {umask}: {}", path.display());
        }
    }
}

/// Files may grow to 400 KiB at first, which stands for a full disk.
fn run_full(dir: &Path) {
    let store = Store::open(options(dir)).unwrap();
    let held = admitted(&store, call()).unwrap();
    let error = loop {
        match wait(store.admit(limited(at_most(1_000_000, HOUR)))) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, StoreError::Unavailable(Cause::Full | Cause::Other(_))),
        "{error}"
    );
    store.settle(held.call, ok());
    std::thread::sleep(Duration::from_millis(100));
    assert!(!store.healthy());
    assert!(
        wait(store.admit(call())).is_err(),
        "while an outcome is not written, calls are denied"
    );
    let limit = rustix::process::Rlimit {
        current: None,
        maximum: None,
    };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    let begun = Instant::now();
    while !store.healthy() {
        assert!(begun.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(admitted(&store, call()).is_some());
    say(&format!("held {}", held.call));
    store.close(StopReason::Exit);
}

#[test]
fn a_full_disk_denies_and_what_waits_is_written_when_there_is_space() {
    let (_outer, dir) = folder();
    let text = finished(child("full", &dir, Some("trap '' XFSZ; ulimit -S -f 800")));
    let held = text
        .lines()
        .find_map(|line| CallId::from_hex(line.strip_prefix("held ")?));
    let call = Reader::open(&dir).unwrap().call(held.unwrap()).unwrap().unwrap();
    let outcomes: Vec<Body> = call
        .following
        .iter()
        .map(|entry| entry.record().unwrap().body)
        .collect();
    assert!(matches!(outcomes.as_slice(), [Body::Outcome(outcome)] if outcome.status == Status::Ok));
    verified(&dir);
}
