//! The policies of the seed pages, unchanged, before the tools they are for; the attacks that they do not stop,
//! and the policies of the project that do.

use crate::real_servers::mistral;
use crate::support::{OPEN, Record, before, gate};
use callgate_testkit::{Gate, Http, HttpGate, Room, Script, Stdio, StdioServer};
use serde_json::{Value, json};

const KESTRA_SEED: &str = include_str!("../../crates/policy/tests/seeds/execute_flow.json");
const TOON_SEED: &str = include_str!("../../crates/policy/tests/seeds/execute_workflow.json");
const CONDUCTOR_SEED: &str = include_str!("../../crates/policy/tests/seeds/run_workflow.json");

const KESTRA: &str = include_str!("../../policies/kestra.yaml");
const TOON: &str = include_str!("../../policies/code-mode-toon.yaml");
const CONDUCTOR: &str = include_str!("../../policies/conductor.yaml");
const MISTRAL: &str = include_str!("../../policies/mistral-mcp.yaml");

fn begun(gate: &Gate, version: &str) -> Stdio {
    let mut client = gate.stdio();
    client.initialize(version);
    client
}

fn flow(namespace: &str, flow: &str) -> Value {
    json!({"namespace": namespace, "flow_id": flow})
}

/// The eleventh call within a minute is denied, ten reach the server.
#[track_caller]
fn assert_ten_a_minute(client: &mut Stdio, server: &StdioServer, tool: &str, arguments: &Value) {
    for number in 0..10 {
        let answer = client.call(tool, arguments.clone());
        assert!(!answer.is_denied(), "{number}: {}", answer.raw);
    }
    let denied = client.call(tool, arguments.clone());
    assert_eq!(denied.reason(), Some("rate_limited"), "{}", denied.raw);
    assert!(denied.text().contains("try again in"), "{}", denied.text());
    assert_eq!(server.log().calls_of(tool).len(), 10);
}

#[test]
fn the_seed_page_of_execute_flow_works_unchanged() {
    let (_room, server, gate) = before(KESTRA_SEED, StdioServer::kestra);
    let mut client = begun(&gate, "2025-06-18");
    assert_eq!(client.tools(), ["execute_flow"]);
    assert!(client.call("list_executions", json!({})).is_denied());
    assert_ten_a_minute(&mut client, &server, "execute_flow", &flow("dev", "hello"));
    assert_eq!(server.backend().len(), 10);
}

#[test]
fn the_seed_page_of_execute_workflow_works_unchanged() {
    let (_room, server, gate) = before(TOON_SEED, StdioServer::toon);
    let mut client = begun(&gate, "2024-11-05");
    let arguments = json!({"workflowName": "k8s-detective", "parameters": {"namespace": "shop"}});
    assert_ten_a_minute(&mut client, &server, "execute_workflow", &arguments);
}

#[test]
fn attacks_on_the_path_are_real_under_the_seed_policy() {
    let (_room, server, gate) = before(KESTRA_SEED, StdioServer::kestra);
    let mut client = begun(&gate, "2025-06-18");
    // The tool reports an error, and a paused execution was approved.
    assert!(
        client
            .call("execute_flow", flow("exec-1", "resume#"))
            .is_tool_error()
    );
    client.call("execute_flow", flow("resume", "by-query"));
    client.call("execute_flow", flow("dev/../prod", "deploy"));
    assert_eq!(
        server.backend(),
        ["resume exec-1", "resume exec-2", "start prod deploy"]
    );
}

#[test]
fn attacks_on_the_path_are_stopped_and_ordinary_use_goes_on() {
    let (room, server, gate) = before(KESTRA, StdioServer::kestra);
    let mut client = begun(&gate, "2025-06-18");
    let mut waiting = flow("company.reports", "daily");
    waiting["wait"] = true.into();
    let mut extra = flow("company.reports", "daily");
    extra["namespace"] = json!(["company.reports"]);
    let attacks = [
        flow("exec-1", "resume#"),
        flow("resume", "by-query"),
        flow("company.reports/../prod", "daily"),
        flow("company.reports", "daily/../../resume/by-query"),
        flow("company.reports", "daily?x"),
        flow("company%2ereports", "daily"),
        flow("Company.Reports", "daily"),
        flow("company.support", "daily"),
        json!({"namespace": "company.reports"}),
        waiting,
        extra,
    ];
    for attack in &attacks {
        let denied = client.call("execute_flow", attack.clone());
        assert!(denied.is_denied(), "{attack}: {}", denied.raw);
    }
    assert_eq!(server.log().calls(), Vec::<Value>::new());
    assert!(
        !client
            .call("execute_flow", flow("company.reports", "daily"))
            .is_tool_error()
    );
    assert!(
        !client
            .call("execute_flow", flow("company.support", "close-ticket"))
            .is_tool_error()
    );
    assert_eq!(
        server.backend(),
        [
            "start company.reports daily",
            "start company.support close-ticket"
        ]
    );
    client.close_stdin();
    client.ended();
    assert_eq!(Record::of(&room).denials().len(), attacks.len());
}

fn in_namespace(namespace: &str) -> Value {
    json!({"workflowName": "k8s-detective", "parameters": {"namespace": namespace}})
}

const SHELL_ATTACKS: [&str; 6] = [
    "shop; touch X #",
    "$(touch X)",
    "`touch X`",
    "shop\ntouch X",
    "a && touch X",
    "shop | touch X",
];

#[test]
fn attacks_on_the_shell_are_real_under_the_seed_policy() {
    let (_room, server, gate) = before(TOON_SEED, StdioServer::toon);
    let mut client = begun(&gate, "2024-11-05");
    let answer = client.call("execute_workflow", in_namespace(SHELL_ATTACKS[0]));
    assert!(answer.text().starts_with("success: true"), "{}", answer.raw);
    assert_eq!(server.shell_files(), ["X"]);
}

#[test]
fn attacks_on_the_shell_are_stopped_and_ordinary_use_goes_on() {
    let (_room, server, gate) = before(TOON, StdioServer::toon);
    let mut client = begun(&gate, "2024-11-05");
    for attack in SHELL_ATTACKS {
        let denied = client.call("execute_workflow", in_namespace(attack));
        assert!(denied.is_denied(), "{attack:?}: {}", denied.raw);
    }
    for wrong in [
        json!({"workflowName": "research"}),
        json!({"workflowName": "k8s-detective"}),
    ] {
        assert!(client.call("execute_workflow", wrong).is_denied());
    }
    assert_eq!(server.log().calls(), Vec::<Value>::new());
    assert!(
        client
            .call("execute_workflow", in_namespace("shop"))
            .text()
            .contains("--namespace shop")
    );
    assert_eq!(server.shell_files(), Vec::<String>::new());
}

#[test]
fn a_failure_that_is_told_as_a_success_passes_unchanged() {
    let (room, _server, gate) = before(OPEN, StdioServer::toon);
    let mut client = begun(&gate, "2024-11-05");
    let answer = client.call("execute_workflow", json!({"workflowName": "research"}));
    assert!(answer.text().starts_with("success: false"), "{}", answer.raw);
    assert!(!answer.is_tool_error());
    client.close_stdin();
    client.ended();
    assert_eq!(Record::of(&room).statuses(), ["ok"]);
}

const ENTITY: &str = "529900T8BM49AURSDO55";

/// The stand-in of Conductor with a gate before it.
fn conductor(room: &Room, policy: &str, envs: &[(&str, &str)]) -> (Script, HttpGate) {
    let log = room.at("conductor.log");
    let envs = [envs, &[("STANDIN_LOG", log.to_str().unwrap())]].concat();
    let server = Script::python("conductor.py", &envs);
    let url = format!(
        "{}/mcp",
        server.url().trim_end_matches('/').trim_end_matches("/mcp")
    );
    (server, gate(room, policy).upstream(&url).http())
}

fn calls_of_conductor(room: &Room) -> usize {
    let log = std::fs::read_to_string(room.at("conductor.log")).unwrap_or_default();
    log.lines().filter(|line| line.contains("tools/call")).count()
}

fn http(gate: &HttpGate) -> Http {
    let mut client = gate.client();
    client.initialize("2025-03-26");
    client
}

#[test]
fn the_seed_page_of_run_workflow_works_unchanged_over_http() {
    let room = Room::new();
    let (_server, gate) = conductor(&room, CONDUCTOR_SEED, &[]);
    let mut client = http(&gate);
    assert_eq!(
        client.request("tools/list", json!({})).tool_names(),
        ["run_workflow"]
    );
    for _ in 0..10 {
        let answer = client.call("run_workflow", json!({"workflow": "law_change_response"}));
        assert!(answer.text().contains("completed"), "{}", answer.raw);
    }
    let denied = client.call("run_workflow", json!({"workflow": "law_change_response"}));
    assert_eq!(denied.reason(), Some("rate_limited"), "{}", denied.raw);
    assert!(client.call("sync_all", json!({})).is_denied());
    assert_eq!(calls_of_conductor(&room), 10);
}

#[test]
fn what_has_effects_is_not_reached_and_the_servers_own_schema_holds() {
    let room = Room::new();
    let (_server, gate) = conductor(&room, CONDUCTOR, &[]);
    let mut client = http(&gate);
    for (tool, arguments) in [
        ("sync_all", json!({})),
        ("onboard_entity", json!({"entity_id": "x"})),
        ("react_to_event", json!({"event_type": "breach"})),
        ("run_workflow", json!({"workflow": "sync", "entity_id": ENTITY})),
        (
            "run_workflow",
            json!({"workflow": "compliance_check", "entity_id": "x; y"}),
        ),
        (
            "run_workflow",
            json!({"workflow": "compliance_check", "entity_id": ENTITY, "smuggled": true}),
        ),
        ("run_workflow", json!({})),
    ] {
        let denied = client.call(tool, arguments);
        assert!(denied.is_denied(), "{tool}: {}", denied.raw);
    }
    assert_eq!(calls_of_conductor(&room), 0);
    assert!(
        !client
            .call(
                "run_workflow",
                json!({"workflow": "compliance_check", "entity_id": ENTITY})
            )
            .is_tool_error()
    );
    assert_eq!(calls_of_conductor(&room), 1);
}

#[test]
fn a_demand_for_payment_and_an_html_page_are_told_and_the_session_lives_on() {
    for (env, code) in [(("PAID", "1"), "402"), (("RATE", "1"), "429")] {
        let room = Room::new();
        let (_server, gate) = conductor(&room, CONDUCTOR_SEED, &[env]);
        let mut client = http(&gate);
        if code == "429" {
            client.call("run_workflow", json!({}));
        }
        let reply = client.reply("tools/call", json!({"name": "run_workflow", "arguments": {}}));
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("x-payment-required"), None);
        let failed = reply.answer();
        assert!(
            failed.is_tool_error() && failed.text().contains(code),
            "{}",
            failed.raw
        );
        assert!(!failed.raw.contains("<html>"), "{}", failed.raw);
        assert_eq!(
            client.request("tools/list", json!({})).tool_names(),
            ["run_workflow"]
        );
        drop(gate);
        let record = Record::of(&room);
        record.assert_one_outcome_each();
        assert_eq!(record.statuses().last(), Some(&"protocol_error"));
    }
}

#[test]
fn the_real_mistral_server_starts_nothing_twice_and_is_only_queried() {
    let room = Room::new();
    room.write("policy.yaml", MISTRAL);
    let (_backend, gate) = mistral(&room, "workflows");
    let mut client = begun(&gate, "2025-06-18");
    let interact = |action: Value| json!({"action": action, "executionId": "e-1", "name": "approve"});
    for (tool, attack) in [
        ("workflow_interact", interact(json!("signal"))),
        ("workflow_interact", interact(json!("update"))),
        ("workflow_interact", interact(json!("Query"))),
        ("workflow_interact", interact(json!(["query"]))),
        ("workflow_execute", json!({"workflowIdentifier": "report"})),
        (
            "workflow_execute",
            json!({"workflowIdentifier": "payments", "executionId": "once-only-1"}),
        ),
        (
            "workflow_execute",
            json!({"workflowIdentifier": "report", "executionId": "once-only-1", "smuggled": 1}),
        ),
    ] {
        let denied = client.call(tool, attack.clone());
        assert!(denied.is_denied(), "{attack}: {}", denied.raw);
    }
    let backend = || std::fs::read_to_string(room.at("backend.log")).unwrap_or_default();
    assert!(!backend().contains("POST"), "{}", backend());
    client.call(
        "workflow_execute",
        json!({"workflowIdentifier": "report", "executionId": "once-only-1"}),
    );
    assert!(backend().contains("once-only-1"), "{}", backend());
}
