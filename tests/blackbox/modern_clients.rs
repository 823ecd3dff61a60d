//! The official TypeScript and Python SDKs in the era of 2026-07-28, before the reference server and before the
//! bundled ones: what they see through the gate is what they see of the server alone.

use crate::support::deps::{node, python, reference, tests_dir};
use crate::support::{OPEN, Record, gate};
use crate::team::Stage;
use callgate_testkit::{PATIENCE, Process, Room, StdioServer};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::process::Command;

#[derive(Debug, Clone, Copy)]
enum Sdk {
    TypeScript,
    Python,
}

const SDKS: [Sdk; 2] = [Sdk::TypeScript, Sdk::Python];

/// Has a client do these steps on a target, with a token, and gives what it saw of each.
#[track_caller]
fn done(sdk: Sdk, target: &[OsString], token: &str, steps: &Value) -> Vec<Value> {
    let mut command = match sdk {
        Sdk::TypeScript => {
            let mut command = Command::new("node");
            command.arg(node().join("modern.mjs"));
            command
        }
        Sdk::Python => {
            let mut command = Command::new(python());
            command.arg(tests_dir().join("clients/modern.py"));
            command
        }
    };
    command
        .arg(steps.to_string())
        .args(target)
        .env("TEST_TOKEN", token);
    let output = command.env_remove("NODE_OPTIONS").output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let seen: Vec<Value> = stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let is_whole = output.status.success() && seen.len() == steps.as_array().unwrap().len();
    assert!(is_whole, "{sdk:?}: {stdout}\n{stderr}");
    seen
}

/// The command line of a gate on stdio, for a client that starts it.
fn on_stdio(room: &Room, before: &[OsString]) -> Vec<OsString> {
    let policy = room.write("policy.yaml", OPEN);
    let words = [
        env!("CARGO_BIN_EXE_callgate").into(),
        "run".into(),
        "-c".into(),
        policy.into_os_string(),
        "--state-dir".into(),
        room.at("state").into(),
    ];
    [&words[..], before].concat()
}

/// What each client does with the reference server.
fn script() -> Value {
    json!([
        {"do": "discover"},
        {"do": "list"},
        {"do": "call", "name": "test_tool_with_progress"},
        {"do": "call", "name": "test_input_required_result_elicitation"},
        {"do": "call", "name": "test_input_required_result_multiple_inputs"},
        {"do": "call", "name": "test_input_required_result_multi_round"},
        {"do": "together", "calls": [
            {"name": "test_multiple_content_types"},
            {"name": "test_input_required_result_sampling"},
            {"name": "test_input_required_result_list_roots"},
            {"name": "test_custom_header", "args": {"value": "eü"}},
            {"name": "test_error_handling"}
        ]},
        {"do": "listen", "by": "test_trigger_tool_change"},
        {"do": "resource", "uri": "test://static-text"},
        {"do": "call", "name": "no_such_tool"}
    ])
}

/// Tool calls of the script that reach the server: one a round.
const CALLS: usize = 1 + 2 + 2 + 3 + (1 + 2 + 2 + 1 + 1) + 1;

/// Takes out how much progress there was. Without any gate, the TypeScript SDK at times loses the step that comes
/// right before the answer.
fn without_progress(seen: &[Value]) -> Vec<Value> {
    let mut seen = seen.to_vec();
    for step in &mut seen {
        let told = &mut step["saw"];
        let calls = if told.is_array() {
            told.as_array_mut().unwrap().iter_mut().collect()
        } else {
            vec![told]
        };
        for call in calls {
            if let Some(call) = call.as_object_mut() {
                call.remove("progress");
            }
        }
    }
    seen
}

#[track_caller]
fn assert_as_alone(sdk: Sdk, route: &str, alone: &[Value], through: &[Value]) {
    let told = |seen: &[Value]| seen[2]["saw"]["progress"].as_array().unwrap().len();
    assert!(told(through) >= 2, "{sdk:?} {route}: {}", through[2]);
    let last = alone.len() - 1;
    let pairs = without_progress(alone).into_iter().zip(without_progress(through));
    for (alone, through) in pairs.take(last) {
        assert_eq!(through, alone, "{sdk:?} {route}");
    }
    let unlisted = &through[last]["saw"];
    assert!(
        unlisted.to_string().contains("POLICY DENIED"),
        "{sdk:?} {route}: {unlisted}"
    );
}

#[test]
fn both_sdks_of_2026_07_28_see_the_reference_server_through_the_gate_as_it_is() {
    let server = Process::start(&mut Command::new(reference()));
    let told = server
        .stdout()
        .find(0, PATIENCE, |line| line.starts_with("http://"));
    let (_, url) = told.expect("the reference server tells its URL");
    std::thread::scope(|scope| {
        for sdk in SDKS {
            let url = &url;
            scope.spawn(move || {
                let alone = done(sdk, &[url.into()], "", &script());
                assert_eq!(alone[0]["saw"]["era"], "modern", "{}", alone[0]);
                let counted = json!({"elicitation": 4, "sampling": 2, "roots": 2, "listChanged": 1});
                assert_eq!(alone[7]["seen"], counted, "{alone:#?}");

                let room = Room::new();
                let gate = gate(&room, OPEN).upstream(url).http();
                let through = done(sdk, &[gate.url().into()], "", &script());
                assert_as_alone(sdk, "run over HTTP", &alone, &through);
                drop(gate);
                assert_recorded(&room);

                let room = Room::new();
                let target = on_stdio(&room, &["--upstream".into(), url.into()]);
                let through = done(sdk, &target, "", &script());
                assert_as_alone(sdk, "run over stdio", &alone, &through);
                assert_recorded(&room);

                let mut stage = Stage::new();
                stage.config["servers"]["reference"] = json!({"url": url});
                let ana = stage.grant("ana", &["reference=open"]);
                let team = stage.serve();
                let target = format!("{}/mcp/reference", team.url);
                let through = done(sdk, &[target.into()], &ana, &script());
                assert_as_alone(sdk, "serve", &alone, &through);
                drop(team);
                assert_recorded(&stage.room);

                assert_as_alone_among_all(sdk, url, &alone);
            });
        }
    });
}

/// Among all servers of a grant, the reference server's own are called by its name, and answer as they do alone.
#[track_caller]
fn assert_as_alone_among_all(sdk: Sdk, url: &str, alone: &[Value]) {
    let mut stage = Stage::new();
    stage.config["servers"]["reference"] = json!({"url": url});
    let ana = stage.grant("ana", &["mail=open", "reference=open"]);
    let team = stage.serve();
    let named = script()
        .to_string()
        .replace("\"test_", "\"reference__test_")
        .replace("\"test://", "\"mcp+reference:test://");
    let named: Value = serde_json::from_str(&named).unwrap();
    let through = done(sdk, &[format!("{}/mcp", team.url).into()], &ana, &named);
    let listed = through[1]["saw"].as_array().unwrap();
    for tool in alone[1]["saw"].as_array().unwrap() {
        let tool = format!("reference__{}", tool.as_str().unwrap());
        assert!(listed.contains(&tool.clone().into()), "{sdk:?}: {tool}");
    }
    assert!(listed.contains(&"mail__echo".into()), "{sdk:?}: {listed:?}");
    let unnamed: Vec<Value> = through
        .iter()
        .map(|step| step.to_string().replace("mcp+reference:", "").parse().unwrap())
        .collect();
    let pairs = without_progress(alone)
        .into_iter()
        .zip(without_progress(&unnamed));
    for (alone, through) in pairs.skip(2).take(alone.len() - 3) {
        assert_eq!(through, alone, "{sdk:?}, all servers as one");
    }
}

#[track_caller]
fn assert_recorded(room: &Room) {
    let record = Record::of(room);
    record.assert_one_outcome_each();
    let statuses = record.statuses();
    let count = |of: &str| statuses.iter().filter(|status| **status == of).count();
    assert_eq!(
        (statuses.len(), count("input_required"), count("tool_error")),
        (CALLS, 6, 1),
        "{statuses:?}"
    );
    assert_eq!(record.denials().len(), 1);
}

#[test]
fn a_call_that_an_sdk_of_2026_07_28_cancels_is_cancelled_at_the_server_and_recorded() {
    let steps = json!([
        {"do": "call", "name": "progress", "args": {"steps": 1000, "ms": 20}, "abortAfter": 2},
        {"do": "call", "name": "echo", "args": {"text": "still here"}}
    ]);
    let assert_cancelled = |seen: &[Value]| {
        assert!(seen[0]["saw"]["thrown"].is_string(), "{}", seen[0]);
        assert_eq!(seen[1]["saw"]["content"][0]["text"], "still here", "{}", seen[1]);
    };
    for sdk in SDKS {
        let room = Room::new();
        let server = StdioServer::echo(&room);
        let before = [&["--".into()], server.words()].concat();
        assert_cancelled(&done(sdk, &on_stdio(&room, &before), "", &steps));
        assert_eq!(
            server.log().of_method("notifications/cancelled").len(),
            1,
            "{sdk:?}"
        );
        assert_eq!(Record::of(&room).statuses(), ["cancelled", "ok"], "{sdk:?}");

        let stage = Stage::new();
        let ana = stage.grant("ana", &["notes=open", "mail=open"]);
        let team = stage.serve();
        for server in ["notes", "mail"] {
            let target = format!("{}/mcp/{server}", team.url);
            assert_cancelled(&done(sdk, &[target.into()], &ana, &steps));
        }
        assert_eq!(
            stage.notes.of_method("notifications/cancelled").len(),
            1,
            "{sdk:?}"
        );
        drop(team);
        let record = Record::of(&stage.room);
        record.assert_one_outcome_each();
        let mut statuses = record.statuses();
        statuses.sort_unstable();
        assert_eq!(statuses, ["cancelled", "cancelled", "ok", "ok"], "{sdk:?}");
    }
}
