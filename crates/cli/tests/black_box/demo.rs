//! `callgate demo`.

use crate::gate::{callgate, good};
use serde_json::Value;
use std::time::{Duration, Instant};

#[test]
fn the_demo_shows_what_was_allowed_limited_and_denied_and_the_verified_ledger() {
    let began = Instant::now();
    let text = good(&["demo"]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for line in [
        "The server has 6 tools. The agent is shown 5",
        "allowed  workflow_execute   invoice-intake, batch 17",
        "limited  workflow_execute   invoice-intake, batch 17         at most 2 calls per minute",
        "denied   execute_flow       nightly-report, production       Production flows",
        "limited  run_workflow       market-scan, 2.51 USD            The budget of 25 USD a day is used up.",
        "denied   delete_workflow    invoice-intake",
        "7 allowed, 2 limited, 5 denied. 7 calls reached the server",
        "verified 24 records",
        "verify would say: record 22:",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colour where no terminal is");
}

#[test]
fn the_demo_speaks_json_and_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let output = callgate(&["demo", "--json"])
        .env("TMPDIR", place.path())
        .output()
        .unwrap();
    assert!(output.status.success());
    let values: Vec<Value> = std::str::from_utf8(&output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let decisions = |word: &str| values.iter().filter(|value| value["decision"] == word).count();
    assert_eq!(
        (decisions("allowed"), decisions("limited"), decisions("denied")),
        (7, 2, 5)
    );
    let last = values.last().unwrap();
    assert_eq!(last["kind"], "verified");
    assert_eq!(
        (&last["intents"], &last["outcomes"], &last["denials"]),
        (&7.into(), &7.into(), &7.into())
    );
    assert_eq!(last["tampered"]["record"], 22);
    assert_eq!(
        std::fs::read_dir(place.path()).unwrap().count(),
        0,
        "the folder stayed"
    );
}
