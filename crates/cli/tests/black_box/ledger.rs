//! `callgate ledger`, on a ledger that a real gate wrote.

use crate::gate::{Folder, callgate, text};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Output, Stdio};

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn kinds(values: &[Value]) -> Vec<&str> {
    values
        .iter()
        .map(|value| value["kind"].as_str().unwrap())
        .collect()
}

#[test]
fn tail_shows_each_call_once_with_who_what_and_why() {
    let folder = Folder::used();
    let shown = folder.told(&["tail"]);
    let words: Vec<Vec<&str>> = shown
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let of_flow: Vec<&Vec<&str>> = words
        .iter()
        .filter(|line| line.contains(&"execute_flow"))
        .collect();
    assert_eq!(of_flow.len(), 2, "{shown}");
    assert!(
        ["local", "allowed", "ok", "flows"]
            .iter()
            .all(|word| of_flow[0].contains(word)),
        "{shown}"
    );
    assert!(
        of_flow[1].contains(&"denied") && of_flow[1].contains(&"deny_if_matched"),
        "{shown}"
    );
    assert!(shown.contains("\"ask the release team\""), "{shown}");
    assert!(
        shown.contains("limited") && shown.contains("rate_limited"),
        "{shown}"
    );
    assert!(
        !shown.contains("secret-7") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    assert_eq!(folder.values(&["tail", "--json", "-n", "2"]).len(), 2);
}

#[test]
fn tail_follows_what_comes() {
    let folder = Folder::new();
    let mut gate = folder.start();
    assert!(!gate.call("workflow_status", &serde_json::json!({ "executionId": "e" })));
    let mut tail = callgate(&[
        "ledger",
        "tail",
        "--follow",
        "--json",
        "--state-dir",
        &folder.state(),
    ])
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut seen = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    assert!(seen.any(|value| value["kind"] == "outcome"));
    assert!(gate.call("delete_workflow", &serde_json::json!({})));
    let denial = seen.find(|value| value["kind"] == "denial").unwrap();
    assert_eq!(
        (&denial["tool"], &denial["reason"]),
        (&"delete_workflow".into(), &"not_in_policy".into())
    );
    // The client leaves, and the next record finds nobody who reads it.
    drop(seen);
    gate.end();
    assert!(tail.wait().unwrap().success());
}

#[test]
fn search_finds_by_each_of_its_options() {
    let folder = Folder::used();
    let found = |args: &[&str]| {
        let mut all = vec!["search", "--json"];
        all.extend(args);
        folder.values(&all)
    };
    let call = ["intent", "outcome"];
    assert_eq!(
        kinds(&found(&["--tool", "workflow_*", "--status", "ok"])),
        [call, call, call].concat()
    );
    assert_eq!(
        kinds(&found(&["--tool", "workflow_execute"])),
        ["intent", "outcome", "intent", "outcome", "denial"]
    );
    assert_eq!(kinds(&found(&["--kind", "denial"])), ["denial"; 3]);
    assert_eq!(
        kinds(&found(&["--kind", "outcome", "--tool", "execute_flow"])),
        ["outcome"]
    );
    assert_eq!(found(&["--rule", "/tools/workflow_execute/limits/*"]).len(), 5);
    assert_eq!(found(&["--grant", "nobody"]).len(), 0);
    assert_eq!(found(&["--status", "tool_error"]).len(), 0);
    assert_eq!(found(&["--status", "open"]).len(), 0);
    assert_eq!(found(&["--since", "1h", "--kind", "denial"]).len(), 3);
    assert_eq!(found(&["--since", "2100-01-01"]).len(), 0);
    assert_eq!(found(&["--until", "2020-01-01"]).len(), 0);
    assert_eq!(code(&folder.ledger(&["search", "--since", "yesterday"])), 2);
}

#[test]
fn show_tells_all_of_a_call_by_number_and_by_name() {
    let folder = Folder::used();
    let outcome = &folder.values(&["search", "--json", "--kind", "outcome"])[0];
    let seq = outcome["seq"].to_string();
    let by_number = folder.told(&["show", &seq]);
    assert_eq!(
        by_number,
        folder.told(&["show", outcome["call"].as_str().unwrap()])
    );
    for word in [
        "intent",
        "workflow_status",
        "outcome",
        "settlement",
        "kept",
        "leaf",
    ] {
        assert!(by_number.contains(word), "{word}: {by_number}");
    }
    assert!(!by_number.contains("under way"), "{by_number}");
    let shown = &folder.values(&["show", "--json", &seq])[0];
    assert_eq!(shown["records"][1], *outcome);
    let missing = folder.ledger(&["show", "4711"]);
    assert_eq!(code(&missing), 1);
    assert!(text(&missing.stderr).contains("no record 4711"));
}

#[test]
fn a_receipt_proves_a_call_to_someone_who_has_no_ledger() {
    let folder = Folder::used();
    let key = folder.told(&["key"]);
    let key = key.trim();
    let intent = &folder.values(&["search", "--json", "--kind", "intent"])[0];
    let receipt = folder.told(&["prove", &intent["seq"].to_string()]);
    let path = folder.path("receipt.json");
    let check = |receipt: &str, key: &str| {
        std::fs::write(&path, receipt).unwrap();
        let file = path.to_str().unwrap();
        callgate(&[
            "ledger",
            "verify",
            "--receipt",
            file,
            "--key",
            key,
            "--state-dir",
            "/nowhere",
        ])
        .output()
        .unwrap()
    };
    let good = check(&receipt, key);
    assert_eq!(code(&good), 0, "{}", text(&good.stderr));
    assert!(
        text(&good.stdout).contains("the receipt holds: 2 records"),
        "{}",
        text(&good.stdout)
    );
    let forged = check(&receipt.replace("workflow_status", "workflow_pstatus"), key);
    assert_eq!(code(&forged), 2);
    assert!(text(&forged.stderr).contains("the receipt does not hold"));
    let other = Folder::used().told(&["key"]);
    assert_eq!(code(&check(&receipt, other.trim())), 2);
}

#[test]
fn verify_says_what_it_checked() {
    let folder = Folder::used();
    let told = folder.told(&["verify"]);
    for words in [
        "verified",
        "4 intent",
        "4 outcome",
        "3 denial",
        "0 after that are unsigned",
        "0 without an outcome",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let report = &folder.values(&["verify", "--json"])[0];
    assert_eq!(
        (&report["ok"], &report["records"]["intent"]),
        (&true.into(), &4.into())
    );
    let nothing = callgate(&["ledger", "verify", "--state-dir", "/nowhere"])
        .output()
        .unwrap();
    assert_eq!(code(&nothing), 1);
    assert!(text(&nothing.stderr).contains("/nowhere holds no state"));
}

#[test]
fn verify_names_the_record_that_was_tampered_with() {
    let denial = "(SELECT min(seq) FROM ledger WHERE CAST(record AS TEXT) LIKE '%denial%')";
    let rewritten = "CAST(replace(CAST(record AS TEXT), 'workflow', 'workfold') AS BLOB)";
    let last = "(SELECT max(seq) FROM ledger)";
    let cases = [
        (
            format!("UPDATE ledger SET record = {rewritten} WHERE seq = {denial}"),
            Some("denial"),
        ),
        (
            format!("UPDATE ledger SET record = x'00' WHERE seq = {denial}"),
            Some("denial"),
        ),
        (format!("DELETE FROM ledger WHERE seq = {denial}"), Some("denial")),
        (
            format!("UPDATE ledger SET seq = 4711 WHERE seq = {denial}"),
            Some("denial"),
        ),
        (
            format!("UPDATE ledger SET leaf = zeroblob(32) WHERE seq = {denial}"),
            Some("denial"),
        ),
        (format!("DELETE FROM ledger WHERE seq = {last}"), Some("stop")),
        ("DELETE FROM ledger WHERE seq = 0".to_owned(), Some("start")),
        ("UPDATE ledger SET seq = -1 WHERE seq = 0".to_owned(), None),
        (
            format!("UPDATE ledger SET leaf = x'00' WHERE seq = {denial}"),
            None,
        ),
        (
            "UPDATE checkpoint SET note = substr(note, 1, length(note) - 10) || CASE substr(note, -10, 1) WHEN 'A' THEN 'B' ELSE 'A' END || substr(note, -9)".to_owned(),
            None,
        ),
    ];
    for (sql, wrong) in cases {
        let folder = Folder::used();
        let records = folder.values(&["tail", "--json", "-n", "1000"]);
        folder.tamper(&sql);
        let output = folder.ledger(&["verify"]);
        assert_eq!(code(&output), 2, "{sql}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "", "{sql}");
        let told: Value = serde_json::from_slice(&folder.ledger(&["verify", "--json"]).stdout).unwrap();
        assert_eq!(told["ok"], false, "{sql}");
        if let Some(kind) = wrong {
            let seq = records.iter().position(|record| record["kind"] == kind).unwrap();
            let said = text(&output.stderr);
            assert!(said.contains(&format!("record {seq}: ")), "{sql}: {said}");
            assert_eq!(told["record"], seq, "{sql}");
        }
    }
}

#[test]
fn verify_finds_a_record_whose_hash_was_changed_with_it() {
    let folder = Folder::used();
    let denial = &folder.values(&["search", "--json", "--kind", "denial"])[0];
    let rewritten = serde_json::to_string(denial)
        .unwrap()
        .replace("workflow", "workfold");
    let hex = callgate_ledger::leaf_hash(rewritten.as_bytes());
    let seq = &denial["seq"];
    folder.tamper(&format!(
        "UPDATE ledger SET record = CAST('{rewritten}' AS BLOB), leaf = x'{hex}' WHERE seq = {seq}"
    ));
    let output = folder.ledger(&["verify"]);
    assert_eq!(code(&output), 2, "{}", text(&output.stdout));
    assert!(
        text(&output.stderr).contains("a signed checkpoint has another root"),
        "{}",
        text(&output.stderr)
    );
    let proof = folder.ledger(&["prove", &seq.to_string()]);
    assert_eq!(code(&proof), 1);
    assert_eq!(text(&proof.stdout), "");
}

#[test]
fn a_ledger_that_was_set_back_does_not_agree_with_checkpoints_kept_elsewhere() {
    let folder = Folder::used();
    let key = folder.told(&["key"]);
    let files = ["callgate.db", "callgate.db-wal"];
    let copy = |from: &str, to: &str| {
        for file in files {
            let path = |place: &str| folder.path(place).join(file);
            // Without one file of the two, what the other says would not count.
            let _ = std::fs::remove_file(path(to));
            if path(from).exists() {
                std::fs::copy(path(from), path(to)).unwrap();
            }
        }
    };
    std::fs::create_dir(folder.path("backup")).unwrap();
    copy("state", "backup");
    let more = || {
        let mut gate = folder.start();
        assert!(gate.call("delete_workflow", &serde_json::json!({})));
        gate.end();
    };
    more();
    let kept = folder.path("kept");
    std::fs::rename(folder.path("checkpoints"), &kept).unwrap();
    let args = [
        "verify",
        "--checkpoint",
        kept.to_str().unwrap(),
        "--key",
        key.trim(),
    ];
    assert!(folder.told(&args).contains("kept elsewhere were signed"));

    copy("backup", "state");
    let shorter = folder.ledger(&args);
    assert_eq!(code(&shorter), 2, "{}", text(&shorter.stdout));
    assert!(
        text(&shorter.stderr).contains("missing: a checkpoint that was kept outside"),
        "{}",
        text(&shorter.stderr)
    );
    // Signed by the same key, and as long: another history.
    more();
    folder.told(&["verify"]);
    let other = folder.ledger(&args);
    assert_eq!(code(&other), 2, "{}", text(&other.stdout));
    assert!(
        text(&other.stderr).contains("a checkpoint kept outside has another root"),
        "{}",
        text(&other.stderr)
    );
}

#[test]
fn pruned_records_lie_in_a_file_that_verifies_and_so_does_the_rest() {
    let folder = Folder::used();
    assert_eq!(
        folder.values(&["prune", "--before", "2020-01-01", "--json"])[0]["moved"],
        Value::Null
    );
    let mut gate = folder.start();
    assert!(gate.call("delete_workflow", &serde_json::json!({})));
    let moved = &folder.values(&["prune", "--before", "0s", "--json"])[0]["moved"];
    assert!(!gate.call("workflow_status", &serde_json::json!({ "executionId": "e" })));
    gate.end();
    let (path, size) = (moved["path"].as_str().unwrap(), moved["size"].as_u64().unwrap());
    assert!(moved["first"] == 0 && size > 10, "{moved}");
    let archive = callgate(&["ledger", "verify", "--export", path, "--json"])
        .output()
        .unwrap();
    assert_eq!(code(&archive), 0, "{}", text(&archive.stderr));
    let report: Value = serde_json::from_slice(&archive.stdout).unwrap();
    assert_eq!(
        (&report["records"]["intent"], &report["size"]),
        (&4.into(), &size.into())
    );
    let rest = folder.told(&["verify"]);
    assert!(
        rest.contains(&format!("records 0 to {} are not here", size - 1)),
        "{rest}"
    );
    let shown = folder.told(&["tail", "-n", "1000"]);
    assert!(
        shown.contains("workflow_status") && !shown.contains("workflow_execute"),
        "{shown}"
    );
    assert_eq!(code(&folder.ledger(&["show", "0"])), 1);
    let receipt = folder.told(&["prove", &size.to_string()]);
    assert!(receipt.contains("\"kind\":\"receipt\""), "{receipt}");
}

#[test]
fn a_stranger_and_the_program_agree_on_an_export() {
    let folder = Folder::used();
    let export = folder.told(&["export"]);
    let path = folder.path("export.jsonl");
    let python = |export: &str| {
        std::fs::write(&path, export).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/verify_ledger.py");
        Command::new("python3").arg(script).arg(&path).output().unwrap()
    };
    let own = |export: &str| {
        std::fs::write(&path, export).unwrap();
        callgate(&["ledger", "verify", "--export", path.to_str().unwrap()])
            .output()
            .unwrap()
    };
    let output = python(&export);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("0 records are unsigned"),
        "{}",
        text(&output.stdout)
    );
    assert_eq!(code(&own(&export)), 0);
    let denial = export
        .lines()
        .position(|line| line.contains("\"kind\":\"denial\""))
        .unwrap();
    let dropped: String = export
        .lines()
        .enumerate()
        .filter(|(at, _)| *at != denial)
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    for broken in [export.replacen("not_in_policy", "not_in_folicy", 1), dropped] {
        assert_eq!(python(&broken).status.code(), Some(1));
        assert_eq!(code(&own(&broken)), 2);
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let folder = Folder::used();
    for args in [["tail"], ["export"], ["verify"], ["search"], ["key"]] {
        let mut child = callgate(&["ledger", "--state-dir", &folder.state()])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(child.wait().unwrap().success(), "{args:?}: {said}");
        assert_eq!(said, "", "{args:?}");
    }
}
