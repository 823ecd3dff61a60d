//! `callgate status`.

use crate::gate::{Folder, callgate, good, text};
use serde_json::{Value, json};

fn status(folder: &Folder) -> Value {
    serde_json::from_str(&good(&["status", "--json", "--state-dir", &folder.state()])).unwrap()
}

#[test]
fn status_knows_gates_calls_denials_and_limits() {
    let folder = Folder::new();
    let mut gate = folder.start();
    gate.usual_calls();
    let told = status(&folder);
    let running = &told["gates"][0];
    assert_eq!(
        (&running["pid"], &running["running"]),
        (&gate.pid().into(), &true.into())
    );
    assert_eq!(
        (&running["servers"], &running["label"]),
        (&json!(["flows"]), &"callgate".into())
    );
    assert_eq!(
        (&told["calls"]["allowed"], &told["calls"]["denied"]),
        (&4.into(), &3.into())
    );
    assert_eq!(told["denials"].as_array().unwrap().len(), 3);
    let limit = &told["limits"][0];
    assert_eq!(
        (
            &limit["counter"],
            &limit["used"],
            &limit["max"],
            &limit["window_s"]
        ),
        (&"executions".into(), &"2".into(), &"2".into(), &3600.0.into())
    );
    let shown = good(&["status", "--state-dir", &folder.state()]);
    for words in [
        "Gates: 1 running",
        "4 allowed, 3 denied",
        "/tools/execute_flow/deny_if/0: deny_if_matched",
        "Limits in use: 1",
        "2 of 2 ",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    gate.end();
    let told = status(&folder);
    assert_eq!(told["gates"], json!([]));
    assert_eq!(told["ledger"]["signed"], told["ledger"]["size"]);
    let later = good(&[
        "status",
        "--json",
        "--since",
        "2100-01-01",
        "--state-dir",
        &folder.state(),
    ]);
    let later: Value = serde_json::from_str(&later).unwrap();
    assert_eq!(later["calls"]["allowed"], 0);
}

#[test]
fn status_of_no_state_says_what_to_do() {
    let output = callgate(&["status", "--state-dir", "/nowhere"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("name the folder of a gate with --state-dir"));
}

#[test]
fn denials_that_came_too_fast_are_counted_all_the_same() {
    let folder = Folder::new();
    let mut gate = folder.start();
    for _ in 0..200 {
        assert!(gate.call("delete_workflow", &json!({})));
    }
    gate.end();
    let told = status(&folder);
    assert_eq!(told["calls"]["denied"], 200);
    let of = |recorded: bool| {
        let denials = told["denials"].as_array().unwrap().iter();
        let counts = denials.filter(|denied| denied["recorded"] == recorded);
        counts
            .map(|denied| denied["count"].as_u64().unwrap())
            .sum::<u64>()
    };
    assert!(
        of(true) > 0 && of(false) > 0 && of(true) + of(false) == 200,
        "{}",
        told["denials"]
    );
    let warning = told["warnings"][0].as_str().unwrap();
    assert!(warning.contains("came too fast"), "{warning}");
}

#[test]
fn a_gate_that_was_killed_is_told_from_one_that_runs() {
    let folder = Folder::new();
    let mut gate = folder.start();
    assert!(!gate.call("workflow_status", &json!({ "executionId": "e" })));
    gate.kill();
    let told = status(&folder);
    assert_eq!(
        (&told["gates"][0]["running"], &told["gates"][0]["servers"]),
        (&false.into(), &json!(["flows"]))
    );
    let warning = told["warnings"][0].as_str().unwrap();
    assert!(warning.contains("ended without a word"), "{warning}");
    let shown = good(&["status", "--state-dir", &folder.state()]);
    assert!(shown.contains("Gates: 0 running"), "{shown}");
}
