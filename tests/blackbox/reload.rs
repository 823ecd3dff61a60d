//! A policy that changes while the gate runs, however the file is changed.

use crate::support::{Record, before_echo, gate, state, until};
use callgate_testkit::{Gate, Room, Stdio, StdioServer};
use serde_json::json;
use std::os::unix::fs::symlink;
use std::path::Path;

const STRICT: &str = "version: \"1\"\ndefault: deny\ntools: {echo: {}}\n";
const LOOSE: &str = "version: \"1\"\ndefault: deny\ntools: {echo: {}, add: {}}\n";
const BROKEN: &str = "version: \"1\"\ndefault: deny\ntools: {echo: {}, add: {\n";

fn may_add(client: &mut Stdio) -> bool {
    !client.call("add", json!({"a": 1, "b": 2})).is_denied()
}

fn begun(gate: &Gate) -> Stdio {
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    client
}

#[track_caller]
fn await_add(client: &mut Stdio, wanted: bool) {
    until("the policy is in force", || {
        (may_add(client) == wanted).then_some(())
    });
}

/// As editors do: the new file is written beside the old one, and renamed over it.
fn rename_over(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

#[test]
fn a_policy_that_an_editor_replaces_or_writes_in_place_is_put_in_force() {
    let (room, _server, gate) = before_echo(STRICT);
    let mut client = begun(&gate);
    assert!(!may_add(&mut client));
    rename_over(&gate.policy_path(), LOOSE);
    await_add(&mut client, true);
    std::fs::write(gate.policy_path(), STRICT).unwrap();
    await_add(&mut client, false);
    let effects = |record: &Record| {
        record
            .reloads()
            .iter()
            .map(|reload| reload.effect.as_str())
            .collect::<Vec<_>>()
    };
    let record = Record::once(&room, "both reloads are recorded", |record| {
        record.reloads().len() == 2
    });
    assert_eq!(effects(&record), ["looser", "tighter"]);
}

#[test]
fn a_looser_policy_says_so_in_log_and_ledger() {
    let (room, _server, gate) = before_echo(STRICT);
    let client = begun(&gate);
    rename_over(&gate.policy_path(), LOOSE);
    let said = client.stderr_line("looser");
    assert!(said.contains("add"), "what is looser is named: {said}");
    let record = Record::once(&room, "the reload is recorded", |record| {
        record.reloads().len() == 1
    });
    let reload = record.reloads()[0];
    assert_eq!(reload.effect.as_str(), "looser");
    assert!(
        reload
            .reason
            .as_ref()
            .is_some_and(|reason| reason.to_string().contains("add")),
        "{reload:?}"
    );
    assert!(reload.from.is_some() && reload.to.is_some() && reload.from != reload.to);
}

#[test]
fn a_policy_behind_links_as_kubernetes_swaps_them_is_put_in_force() {
    let room = Room::new();
    for (version, text) in [("v1", STRICT), ("v2", LOOSE)] {
        std::fs::create_dir(room.at(version)).unwrap();
        room.write(&format!("{version}/policy.yaml"), text);
    }
    symlink("v1", room.at("..data")).unwrap();
    symlink("..data/policy.yaml", room.at("policy.yaml")).unwrap();
    let server = StdioServer::echo(&room);
    let mut client = begun(&Gate::of(env!("CARGO_BIN_EXE_callgate"), &room).before(&server));
    assert!(!may_add(&mut client));
    symlink("v2", room.at("..data_tmp")).unwrap();
    std::fs::rename(room.at("..data_tmp"), room.at("..data")).unwrap();
    await_add(&mut client, true);
}

#[test]
fn a_broken_policy_leaves_the_old_one_in_force_until_it_is_mended() {
    let (room, _server, gate) = before_echo(STRICT);
    let mut client = begun(&gate);
    std::fs::write(gate.policy_path(), BROKEN).unwrap();
    let _ = client.stderr_line("the policy in force stays");
    let _ = client.stderr_line("policy.yaml:3:");
    assert!(!may_add(&mut client));
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    // Away altogether, as while it is being replaced.
    std::fs::remove_file(gate.policy_path()).unwrap();
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    std::fs::write(gate.policy_path(), LOOSE).unwrap();
    await_add(&mut client, true);
    let record = Record::once(&room, "both are recorded", |record| record.reloads().len() == 2);
    let effects: Vec<_> = record
        .reloads()
        .iter()
        .map(|reload| reload.effect.as_str())
        .collect();
    assert_eq!(effects, ["rejected", "looser"]);
}

#[test]
fn a_policy_that_is_no_text_leaves_the_old_one_in_force_and_is_recorded() {
    let (room, _server, gate) = before_echo(STRICT);
    let mut client = begun(&gate);
    std::fs::write(gate.policy_path(), [LOOSE.as_bytes(), b"# \xff\n"].concat()).unwrap();
    let _ = client.stderr_line("is not UTF-8 text; the policy in force stays");
    assert!(!may_add(&mut client));
    let record = Record::once(&room, "it is recorded", |record| record.reloads().len() == 1);
    assert!(
        record
            .reloads()
            .iter()
            .all(|reload| reload.effect.as_str() == "rejected")
    );
}

#[test]
fn with_tighten_a_looser_policy_waits_and_a_tighter_one_does_not() {
    let (room, server, _) = before_echo(LOOSE);
    let gate = gate(&room, LOOSE).before(&server).flags(&["--reload", "tighten"]);
    let mut client = begun(&gate);
    std::fs::write(gate.policy_path(), STRICT).unwrap();
    await_add(&mut client, false);
    std::fs::write(gate.policy_path(), LOOSE).unwrap();
    let _ = client.stderr_line("is looser");
    assert!(!may_add(&mut client));
    let record = Record::once(&room, "both are recorded", |record| record.reloads().len() == 2);
    assert_eq!(record.reloads()[1].effect.as_str(), "waiting");
    assert!(state(&room).exists());
}
