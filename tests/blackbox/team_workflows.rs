//! The servers that start workflows, behind `callgate serve`: the real mistral-mcp in all its modes under two
//! grants at once, and the stand-in of Conductor with its habits.

use crate::support::deps::node_program;
use crate::support::{Record, until};
use crate::team::{Stage, Team};
use callgate_testkit::{Answer, Http, Script};
use serde_json::{Value, json};
use std::time::Duration;

/// Both seed pages of mistral-mcp in one file, as a team has to write them.
const OPERATORS: &str = r"
tools:
  workflow_execute:
    rules:
      - action: allow
        rate_limit: {max: 10, window: 60}
        validate: {required_args: true}
  workflow_interact:
    rules:
      - action: allow
        rate_limit: {max: 10, window: 60}
        validate: {required_args: true}
";
const AGENTS: &str = include_str!("../../policies/mistral-mcp.yaml");
const CONDUCTOR_SEED: &str = include_str!("../../crates/policy/tests/seeds/run_workflow.json");

/// The real mistral-mcp as a server of the gateway, pointed at a stand-in of its backend that lets one key in.
fn with_mistral(stage: &mut Stage) -> Script {
    let log = stage.room.at("backend.log");
    stage.room.write("mistral.key", "key-of-the-team\n");
    let envs = [
        ("STANDIN_LOG", log.to_str().unwrap()),
        ("STANDIN_KEY", "key-of-the-team"),
    ];
    let backend = Script::python("mistral.py", &envs);
    let redirect = Script::path("mistral-redirect.mjs").canonicalize().unwrap();
    stage.config["servers"]["mistral"] = json!({
        "command": ["node", node_program("mistral-mcp/dist/index.js")],
        "env": {
            "PATH": "${env:PATH}",
            "NODE_OPTIONS": format!("--import file://{}", redirect.display()),
            "MISTRAL_STANDIN": backend.url().trim_end_matches('/'),
            "MISTRAL_API_KEY": "${file:mistral.key}",
            "MISTRAL_MCP_PROFILE": "workflows",
        },
    });
    for (name, text) in [("operators", OPERATORS), ("agents", AGENTS)] {
        stage.room.write(&format!("{name}.yaml"), text);
        stage.config["policies"][name] = json!(format!("{name}.yaml"));
    }
    backend
}

/// What the backend was asked to do, as `PATH-END STATUS`, in the order of its log.
fn done_at_backend(stage: &Stage) -> Vec<String> {
    let log = std::fs::read_to_string(stage.room.at("backend.log")).unwrap_or_default();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| line["method"] == "POST")
        .map(|line| {
            let end = line["path"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned();
            format!("{end} {}", line["status"])
        })
        .collect()
}

fn execute(client: &mut Http, arguments: Value) -> Answer {
    client.call("workflow_execute", arguments)
}

fn interact(client: &mut Http, id: &Value, action: &str, name: &str, input: &Value) -> Answer {
    let arguments = json!({"action": action, "executionId": id, "name": name, "input": input});
    client.call("workflow_interact", arguments)
}

fn status_of(client: &mut Http, id: &Value) -> Value {
    let answer = client.call("workflow_status", json!({"executionId": id}));
    assert!(!answer.is_tool_error(), "{}", answer.raw);
    answer.result()["structuredContent"].clone()
}

#[test]
fn the_real_mistral_server_works_in_all_its_modes_under_two_grants_at_once() {
    let mut stage = Stage::new();
    let _backend = with_mistral(&mut stage);
    let tokens = ["operators", "agents"].map(|name| stage.grant(name, &[&format!("mistral={name}")]));
    let team = stage.serve();
    let [mut operator, mut agent] = tokens.each_ref().map(|token| team.begun("mistral", token));

    starts_and_waits(&mut operator);
    // Poll, query, update and signal one that waits for a human.
    let approval = execute(
        &mut operator,
        json!({"workflowIdentifier": "approval", "input": {}}),
    );
    let id = approval.result()["structuredContent"]["execution_id"].clone();
    assert_eq!(status_of(&mut operator, &id)["status"], "RUNNING");
    let asked = interact(&mut operator, &id, "query", "status", &json!({}));
    assert_eq!(
        asked.result()["structuredContent"]["result"]["waiting_for"],
        "approve",
        "{}",
        asked.raw
    );
    let updated = interact(
        &mut operator,
        &id,
        "update",
        "set_priority",
        &json!({"priority": 3}),
    );
    assert_eq!(
        updated.result()["structuredContent"]["result"],
        json!({"priority": 3}),
        "{}",
        updated.raw
    );

    is_held_to_its_policy(&stage, &mut agent, &mut operator, &id);
    let signalled = interact(&mut operator, &id, "signal", "approve", &json!({"ok": true}));
    assert!(!signalled.is_tool_error(), "{}", signalled.raw);
    let status = until("the workflow has ended", || {
        let status = status_of(&mut operator, &id);
        (status["status"] == "COMPLETED").then_some(status)
    });
    assert_eq!(status["result"], json!({"approved": true, "priority": 3}));
    let all = [
        "execute 200",
        "execute 200",
        "execute 200",
        "execute 200",
        "queries 200",
        "updates 200",
        "queries 200",
        "signals 202",
    ];
    assert_eq!(done_at_backend(&stage), all);
    assert_limits_are_each_callers_own(&mut operator, &mut agent, &id);
    drop(team);
    assert_mistral_is_recorded(&stage);
}

/// Starts workflows, and waits for them to the end and not.
#[track_caller]
fn starts_and_waits(operator: &mut Http) {
    let started = execute(operator, json!({"workflowIdentifier": "echo", "input": {"n": 1}}));
    assert_eq!(
        started.result()["structuredContent"]["sync"],
        false,
        "{}",
        started.raw
    );
    let waited = json!({"workflowIdentifier": "slow", "input": {"seconds": 0.5}, "waitForResult": true, "timeoutSeconds": 20});
    let waited = execute(operator, waited);
    assert_eq!(
        waited.result()["structuredContent"]["result"],
        json!({"slept": 0.5}),
        "{}",
        waited.raw
    );
    let early = json!({"workflowIdentifier": "slow", "input": {"seconds": 60}, "waitForResult": true, "timeoutSeconds": 1});
    let early = execute(operator, early);
    assert_eq!(
        early.result()["structuredContent"]["status"],
        "RUNNING",
        "{}",
        early.raw
    );
}

/// The agent sees the run of another through a policy of its own: it may look, and no more.
#[track_caller]
fn is_held_to_its_policy(stage: &Stage, agent: &mut Http, operator: &mut Http, id: &Value) {
    assert_eq!(status_of(agent, id)["status"], "RUNNING");
    let asked = interact(agent, id, "query", "status", &json!({}));
    assert_eq!(
        asked.result()["structuredContent"]["result"]["state"]["priority"],
        3,
        "{}",
        asked.raw
    );
    let before = done_at_backend(stage);
    for action in ["signal", "update", "Query", "cancel"] {
        let denied = interact(agent, id, action, "approve", &json!({"ok": true}));
        assert!(denied.is_denied(), "{action}: {}", denied.raw);
    }
    let denied = execute(
        agent,
        json!({"workflowIdentifier": "approval", "executionId": "agent-run-1"}),
    );
    assert!(
        denied.text().contains("report and translate only"),
        "{}",
        denied.raw
    );
    // So it is with what the seed pages ask of an operator.
    for tool in ["workflow_execute", "workflow_interact"] {
        let denied = operator.call(tool, json!({"input": {}}));
        assert_eq!(denied.reason(), Some("arguments_invalid"), "{}", denied.raw);
    }
    assert_eq!(
        done_at_backend(stage),
        before,
        "a denied call has reached the backend"
    );
}

/// The operator's eleventh look is refused by the seed page's limit; the agent's own limit knows nothing of it.
#[track_caller]
fn assert_limits_are_each_callers_own(operator: &mut Http, agent: &mut Http, id: &Value) {
    // The workflow has ended, so each of these fails at the backend, and counts.
    for number in 0..7 {
        let answer = interact(operator, id, "query", "status", &json!({}));
        assert!(
            answer.is_tool_error() && answer.reason().is_none(),
            "{number}: {}",
            answer.raw
        );
    }
    let eleventh = interact(operator, id, "query", "status", &json!({}));
    assert_eq!(eleventh.reason(), Some("rate_limited"), "{}", eleventh.raw);
    let own = interact(agent, id, "query", "status", &json!({}));
    assert_eq!(own.reason(), None, "{}", own.raw);
}

#[track_caller]
fn assert_mistral_is_recorded(stage: &Stage) {
    let record = Record::of(&stage.room);
    record.assert_one_outcome_each();
    let failed = record
        .statuses()
        .iter()
        .filter(|status| **status == "tool_error")
        .count();
    assert_eq!(failed, 8, "{:?}", record.statuses());
    assert_eq!(record.denials().len(), 4 + 1 + 2 + 1);
    let mut grants: Vec<&str> = record
        .intents()
        .iter()
        .map(|intent| intent.grant.as_str())
        .collect();
    grants.sort_unstable();
    grants.dedup();
    assert_eq!(grants.len(), 2);
    // The key that the child was given stands nowhere.
    for entry in std::fs::read_dir(stage.room.at("state")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(15).any(|window| window == b"key-of-the-team"));
    }
}

/// Stand-ins of Conductor: one that works, one that wants to be paid, one that has had enough after a call.
fn with_conductors(stage: &mut Stage) -> Vec<Script> {
    stage.room.write("conductor.yaml", CONDUCTOR_SEED);
    stage.config["policies"]["conductor"] = json!("conductor.yaml");
    let kinds: [(&str, &[(&str, &str)]); 3] = [
        ("conductor", &[]),
        ("paid", &[("PAID", "1")]),
        ("rate", &[("RATE", "1")]),
    ];
    let start = |(name, envs): (&str, &[(&str, &str)])| {
        let log = stage.room.at(&format!("{name}.log"));
        let envs = [envs, &[("STANDIN_LOG", log.to_str().unwrap())]].concat();
        let server = Script::python("conductor.py", &envs);
        stage.config["servers"][name] = json!({"url": server.url()});
        server
    };
    kinds.into_iter().map(start).collect()
}

/// The methods that a stand-in was sent, in the order of its log.
fn sent(stage: &Stage, server: &str) -> Vec<String> {
    let log = std::fs::read_to_string(stage.room.at(&format!("{server}.log"))).unwrap_or_default();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|line| line["method"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn calls(stage: &Stage, server: &str) -> usize {
    sent(stage, server)
        .iter()
        .filter(|method| *method == "tools/call")
        .count()
}

fn begun_in_2025_03_26(team: &Team, server: &str, token: &str) -> Http {
    let mut client = team.client(server, token);
    let answer = client.initialize("2025-03-26");
    assert_eq!(answer.result()["serverInfo"]["name"], "Conductor");
    client
}

#[test]
fn what_conductor_answers_in_place_of_mcp_is_told_recorded_and_ends_no_session() {
    let mut stage = Stage::new();
    let _servers = with_conductors(&mut stage);
    let ana = stage.grant(
        "ana",
        &["conductor=conductor", "paid=conductor", "rate=conductor"],
    );
    let team = stage.serve();
    let run = || json!({"name": "run_workflow", "arguments": {"workflow": "daily"}});

    let mut rate = begun_in_2025_03_26(&team, "rate", &ana);
    assert!(rate.request("tools/call", run()).text().contains("completed"));
    for (server, code, mut client) in [
        ("paid", "402", begun_in_2025_03_26(&team, "paid", &ana)),
        ("rate", "429", rate),
    ] {
        let before = calls(&stage, server);
        let reply = client.reply("tools/call", run());
        assert_eq!(reply.status, 200, "{reply:?}");
        for name in [
            "x-payment-required",
            "x-denial-reason",
            "retry-after",
            "set-cookie",
        ] {
            assert_eq!(reply.header(name), None, "{reply:?}");
        }
        let failed = reply.answer();
        assert!(
            failed.is_tool_error() && failed.text().contains(code),
            "{}",
            failed.raw
        );
        for of_the_body in ["<html>", "x402Version", "required_cents"] {
            assert!(!failed.raw.contains(of_the_body), "{}", failed.raw);
        }
        assert_eq!(calls(&stage, server), before + 1, "it was called once");
        // The session lives on, and another call of it is another call.
        assert_eq!(
            client.request("tools/list", json!({})).tool_names(),
            ["run_workflow"]
        );
        let again = client.request("tools/call", run());
        assert!(again.text().contains(code), "{}", again.raw);
        assert_eq!(calls(&stage, server), before + 2);
        // In a batch, which this version has, the others are answered.
        let call = json!({"jsonrpc": "2.0", "id": "b", "method": "tools/call", "params": run()});
        let list = json!({"jsonrpc": "2.0", "id": "l", "method": "tools/list"});
        let batch = client.post(&json!([call, list]).to_string());
        let answers: Vec<Value> = batch
            .messages()
            .into_iter()
            .flat_map(|answer| {
                answer
                    .json
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![answer.json])
            })
            .collect();
        let of = |id: &str| answers.iter().find(|answer| answer["id"] == id).unwrap();
        assert_eq!(of("b")["result"]["isError"], true, "{batch:?}");
        assert_eq!(
            of("l")["result"]["tools"].as_array().unwrap().len(),
            1,
            "{batch:?}"
        );
    }
    drop(team);
    let record = Record::of(&stage.room);
    record.assert_one_outcome_each();
    let mut statuses = record.statuses();
    statuses.sort_unstable();
    assert_eq!(statuses, [["ok"].as_slice(), &["protocol_error"; 6]].concat());
    assert!(record.denials().is_empty());
}

#[test]
fn what_conductor_answers_to_notifications_reaches_nobody() {
    let mut stage = Stage::new();
    let _servers = with_conductors(&mut stage);
    let ana = stage.grant("ana", &["conductor=conductor"]);
    let team = stage.serve();
    let mut client = team.client("conductor", &ana);
    // It speaks 2025-03-26 whatever it is asked for.
    let answer = client.initialize("2025-11-25");
    assert_eq!(answer.result()["protocolVersion"], "2025-03-26");
    let mut stream = client.listen();
    assert_eq!(stream.status(), 200);
    for method in [
        "notifications/initialized",
        "notifications/roots/list_changed",
        "notifications/vendor",
    ] {
        assert_eq!(client.notify(method, json!({"_meta": {"v": 1}})), 202, "{method}");
    }
    // What has an id is answered by the server's own error.
    let unknown = client.request("prompts/list", json!({}));
    assert_eq!(unknown.error_code(), Some(-32_601), "{}", unknown.raw);
    let ran = client.call("run_workflow", json!({"workflow": "daily"}));
    assert!(ran.text().contains("completed"), "{}", ran.raw);
    // A failure that the server tells as a success stays what the server says.
    let failed = client.call("run_workflow", json!({"workflow": "none"}));
    assert!(
        failed.text().contains("Unknown workflow") && !failed.is_tool_error(),
        "{}",
        failed.raw
    );
    assert!(client.call("sync_all", json!({})).is_denied());
    assert!(stream.event_within(Duration::from_millis(300)).is_none());
    assert_eq!(client.delete(), 202);
    let methods = sent(&stage, "conductor");
    let notified = methods
        .iter()
        .filter(|method| method.starts_with("notifications/"));
    assert_eq!(notified.count(), 4, "{methods:?}");
    assert_eq!(calls(&stage, "conductor"), 2);
    let record = Record::once(&stage.room, "both calls are settled", Record::is_settled);
    assert_eq!(record.statuses(), ["ok", "ok"]);
    assert_eq!(record.denials().len(), 1);
}

#[test]
fn ten_runs_a_minute_are_each_grants_own_whatever_sessions_it_opens() {
    let mut stage = Stage::new();
    let _servers = with_conductors(&mut stage);
    let tokens = ["ana", "bob"].map(|label| stage.grant(label, &["conductor=conductor"]));
    let team = stage.serve();
    for (number, token) in tokens.iter().enumerate() {
        for _ in 0..2 {
            let mut client = begun_in_2025_03_26(&team, "conductor", token);
            for _ in 0..5 {
                let ran = client.call("run_workflow", json!({"workflow": "daily"}));
                assert!(ran.text().contains("completed"), "{}", ran.raw);
            }
        }
        let mut client = begun_in_2025_03_26(&team, "conductor", token);
        let denied = client.call("run_workflow", json!({"workflow": "daily"}));
        assert_eq!(denied.reason(), Some("rate_limited"), "{}", denied.raw);
        assert_eq!(calls(&stage, "conductor"), 10 * (number + 1));
    }
}
