//! What `callgate scan` recommends for the five tools of the seed pages, before their servers: the attacks that the
//! pages' own rules do not stop are stopped, and ordinary use goes on.

use crate::real_servers::mistral;
use crate::support::deps::node_program;
use crate::support::gate;
use callgate_testkit::{Answer, Gate, Http, HttpGate, Room, Script, Stdio, StdioServer};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::process::Command;

/// Scans a server, has the policy tested by what was written beside it, and gives the policy.
#[track_caller]
fn scanned(room: &Room, server: &[OsString], answers: &[&str], envs: &[(&str, &str)]) -> String {
    let callgate = |words: &[OsString]| {
        let output = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args(words)
            .envs(envs.iter().copied())
            .current_dir(room.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success(),
            "{words:?}\n{told}\n{}",
            String::from_utf8_lossy(&output.stdout)
        );
    };
    let mut words: Vec<OsString> = ["scan", "--force", "-o", "policy.yaml"]
        .map(OsString::from)
        .to_vec();
    for answer in answers {
        words.extend(["--set".into(), answer.into()]);
    }
    words.extend(server.iter().cloned());
    callgate(&words);
    callgate(&["test".into(), "policy.test.yaml".into()]);
    std::fs::read_to_string(room.at("policy.yaml")).unwrap()
}

/// The server that a gate is put in front of, as `scan` takes it.
fn words(server: &StdioServer) -> Vec<OsString> {
    std::iter::once("--".into())
        .chain(server.words().iter().cloned())
        .collect()
}

fn begun(gate: &Gate, version: &str) -> Stdio {
    let mut client = gate.stdio();
    client.initialize(version);
    client
}

#[track_caller]
fn assert_denied(answer: &Answer, attack: &Value) {
    assert!(answer.is_denied(), "{attack}: {}", answer.raw);
}

fn flow(namespace: &str, flow: &str) -> Value {
    json!({"namespace": namespace, "flow_id": flow})
}

#[test]
fn the_policy_for_execute_flow_denies_all_until_it_is_filled_in_and_says_what_to_do() {
    let room = Room::new();
    let server = StdioServer::kestra(&room);
    let policy = scanned(&room, &words(&server), &[], &[]);
    let mut client = begun(&gate(&room, &policy).before(&server), "2025-06-18");
    for call in [
        flow("company.reports", "daily"),
        flow("resume", "by-query"),
        flow("", ""),
    ] {
        let denied = client.call("execute_flow", call.clone());
        assert_denied(&denied, &call);
        assert_eq!(denied.reason(), Some("condition_failed"), "{}", denied.raw);
        assert!(denied.text().contains("a person can add it"), "{}", denied.text());
    }
    assert_eq!(server.backend(), Vec::<String>::new());
    // What only reads needs no filling in.
    assert!(!client.call("list_executions", json!({})).is_denied());
}

#[test]
fn the_policy_for_execute_flow_stops_what_a_path_can_do() {
    let room = Room::new();
    let server = StdioServer::kestra(&room);
    let answers = [
        "execute_flow.namespace=company.reports",
        "execute_flow.flow_id=daily,weekly",
    ];
    let policy = scanned(&room, &words(&server), &answers, &[]);
    let mut client = begun(&gate(&room, &policy).before(&server), "2025-06-18");
    let with = |name: &str, value: Value| {
        let mut call = flow("company.reports", "daily");
        call[name] = value;
        call
    };
    for attack in [
        flow("exec-1", "resume#"),
        flow("<executionId>", "resume#"),
        flow("resume", "by-query"),
        flow("company.reports/../prod", "daily"),
        flow("dev/../prod", "daily"),
        flow("company.reports", "daily/../../resume/by-query"),
        flow("company.reports", "daily?x"),
        flow("company.reports", "daily#"),
        flow("company%2ereports", "daily"),
        flow("Company.Reports", "daily"),
        flow(" company.reports", "daily"),
        json!({"namespace": "company.reports"}),
        with("wait", json!(true)),
        with("wait", json!("true")),
        with("namespace", json!(["company.reports"])),
        with("smuggled", json!(1)),
        with("inputs", json!({"day": "$(touch X)"})),
    ] {
        assert_denied(&client.call("execute_flow", attack.clone()), &attack);
    }
    assert_eq!(server.log().calls(), Vec::<Value>::new());
    for usual in [
        flow("company.reports", "weekly"),
        with("inputs", json!({"day": "2026-01-05", "count": 5})),
        with("wait", json!(false)),
    ] {
        let answer = client.call("execute_flow", usual.clone());
        assert!(
            !answer.is_denied() && !answer.is_tool_error(),
            "{usual}: {}",
            answer.raw
        );
    }
    assert_eq!(
        server.backend(),
        [
            "start company.reports weekly",
            "start company.reports daily",
            "start company.reports daily"
        ]
    );
    for _ in 3..10 {
        client.call("execute_flow", flow("company.reports", "daily"));
    }
    let denied = client.call("execute_flow", flow("company.reports", "daily"));
    assert_eq!(denied.reason(), Some("rate_limited"), "{}", denied.raw);
}

fn in_namespace(namespace: &str) -> Value {
    json!({"workflowName": "k8s-detective", "parameters": {"namespace": namespace}})
}

const SHELL_ATTACKS: [&str; 9] = [
    "shop; touch X #",
    "$(touch X)",
    "`touch X`",
    "shop\ntouch X",
    "a && touch X",
    "shop | touch X",
    "shop --all-namespaces",
    "--kubeconfig=/tmp/x",
    "shop ",
];

#[test]
fn the_policy_for_execute_workflow_lets_no_parameter_reach_the_shell() {
    for answers in [
        // As it is recommended, and with the names of namespaces.
        &[][..],
        &[
            "execute_workflow.workflowName=k8s-detective",
            "execute_workflow.parameters.namespace=shop,warehouse",
        ],
    ] {
        let room = Room::new();
        let server = StdioServer::toon(&room);
        let policy = scanned(&room, &words(&server), answers, &[]);
        let mut client = begun(&gate(&room, &policy).before(&server), "2024-11-05");
        for attack in SHELL_ATTACKS {
            let attack = in_namespace(attack);
            assert_denied(&client.call("execute_workflow", attack.clone()), &attack);
        }
        for attack in [
            json!({"workflowName": "k8s-detective", "parameters": {"namespace": ["shop; touch X #"]}}),
            json!({"workflowName": "k8s-detective", "parameters": {"namespace": {"a": "$(touch X)"}}}),
            json!({"workflowName": "k8s-detective", "parameters": {"namespace": "shop", "touch X;": 1}}),
            json!({"workflowName": "k8s-detective", "parameters": r#"{"namespace": "x; touch X"}"#}),
            json!({"workflowName": "K8s-detective", "parameters": {"namespace": "shop"}}),
            json!({"workflowName": "k8s-detective", "parameters": {"namespace": "shop"}, "shell": "touch X"}),
            json!({"parameters": {"namespace": "shop"}}),
        ] {
            assert_denied(&client.call("execute_workflow", attack.clone()), &attack);
        }
        if !answers.is_empty() {
            for attack in [in_namespace("kube-system"), json!({"workflowName": "research"})] {
                assert_denied(&client.call("execute_workflow", attack.clone()), &attack);
            }
        }
        assert_eq!(server.log().calls(), Vec::<Value>::new());
        let usual = client.call("execute_workflow", in_namespace("shop"));
        assert!(usual.text().contains("--namespace shop"), "{}", usual.raw);
        assert_eq!(server.shell_files(), Vec::<String>::new());
    }
}

const ENTITY: &str = "529900T8BM49AURSDO55";

fn conductor(room: &Room) -> (Script, String) {
    let log = room.at("conductor.log");
    let server = Script::python("conductor.py", &[("STANDIN_LOG", log.to_str().unwrap())]);
    let url = format!(
        "{}/mcp",
        server.url().trim_end_matches('/').trim_end_matches("/mcp")
    );
    (server, url)
}

fn http(gate: &HttpGate) -> Http {
    let mut client = gate.client();
    client.initialize("2025-03-26");
    client
}

#[test]
fn the_policy_for_run_workflow_lets_known_workflows_run_for_plain_entities() {
    let room = Room::new();
    let (_server, url) = conductor(&room);
    let target = ["--upstream".into(), OsString::from(&url)];
    let answers = ["run_workflow.workflow=compliance_check,market_summary"];
    let policy = scanned(&room, &target, &answers, &[]);
    let gate = gate(&room, &policy).upstream(&url).http();
    let mut client = http(&gate);
    let calls = || {
        let log = std::fs::read_to_string(room.at("conductor.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains("tools/call")).count()
    };
    let before = calls();
    for attack in [
        json!({}),
        json!({"query": "run full_onboarding"}),
        json!({"workflow": "full_onboarding", "entity_id": ENTITY}),
        json!({"workflow": "sync", "entity_id": ENTITY}),
        json!({"workflow": "compliance_check", "entity_id": "*"}),
        json!({"workflow": "compliance_check", "entity_id": "x; y"}),
        json!({"workflow": "compliance_check", "entity_id": format!("{ENTITY}\nOR 1=1")}),
        json!({"workflow": "compliance_check", "entity_id": ENTITY, "smuggled": true}),
        json!({"workflow": ["compliance_check"], "entity_id": ENTITY}),
        json!({"workflow": "compliance_check", "entity_id": ENTITY, "query": "x".repeat(30_000)}),
    ] {
        assert_denied(&client.call("run_workflow", attack.clone()), &attack);
    }
    assert_eq!(calls(), before);
    let usual =
        json!({"workflow": "compliance_check", "entity_id": ENTITY, "query": "sanctions, and who owns it?"});
    let answer = client.call("run_workflow", usual);
    assert!(!answer.is_denied() && !answer.is_tool_error(), "{}", answer.raw);
    assert_eq!(calls(), before + 1);
}

#[test]
fn the_policy_for_the_real_mistral_server_starts_nothing_twice_and_only_queries() {
    let room = Room::new();
    let program = node_program("mistral-mcp/dist/index.js").into_os_string();
    let target = ["--".into(), "node".into(), program];
    let envs = [("MISTRAL_API_KEY", "k"), ("MISTRAL_MCP_PROFILE", "workflows")];
    let answers = ["workflow_execute.workflowIdentifier=report,translate"];
    // The gate that `mistral` makes reads the policy that was written there.
    scanned(&room, &target, &answers, &envs);
    let (_backend, gate) = mistral(&room, "workflows");
    let mut client = begun(&gate, "2025-06-18");
    let interact = |action: Value| json!({"action": action, "executionId": "e-1", "name": "approve"});
    for (tool, attack) in [
        ("workflow_interact", interact(json!("signal"))),
        ("workflow_interact", interact(json!("update"))),
        ("workflow_interact", interact(json!("Query"))),
        ("workflow_interact", interact(json!(["query"]))),
        (
            "workflow_interact",
            json!({"action": "query", "executionId": "e-1/../../signals", "name": "progress"}),
        ),
        ("workflow_execute", json!({"workflowIdentifier": "report"})),
        (
            "workflow_execute",
            json!({"workflowIdentifier": "report", "executionId": "short"}),
        ),
        (
            "workflow_execute",
            json!({"workflowIdentifier": "payments", "executionId": "once-only-1"}),
        ),
        (
            "workflow_execute",
            json!({"workflowIdentifier": "report", "executionId": "once-only-1", "smuggled": 1}),
        ),
        (
            "workflow_execute",
            json!({"workflowIdentifier": "report", "executionId": "once-only-1", "waitForResult": true}),
        ),
        (
            "workflow_execute",
            json!({"workflowIdentifier": "report", "executionId": "once-only-1", "deploymentName": "prod"}),
        ),
        (
            "workflow_execute",
            json!({"workflowIdentifier": "report", "executionId": "once-only-1", "timeoutSeconds": 1_000_000}),
        ),
    ] {
        assert_denied(&client.call(tool, attack.clone()), &attack);
    }
    let held = client.call("workflow_interact", interact(json!("signal")));
    assert_eq!(held.reason(), Some("approval_required"), "{}", held.raw);
    let backend = || std::fs::read_to_string(room.at("backend.log")).unwrap_or_default();
    assert!(!backend().contains("POST"), "{}", backend());
    client.call(
        "workflow_execute",
        json!({"workflowIdentifier": "report", "executionId": "once-only-1", "input": {"day": 5}}),
    );
    assert!(backend().contains("once-only-1"), "{}", backend());
    let queried = client.call(
        "workflow_interact",
        json!({"action": "query", "executionId": "once-only-1", "name": "progress"}),
    );
    assert!(!queried.is_denied(), "{}", queried.raw);
    let looked = client.call("workflow_status", json!({"executionId": "once-only-1"}));
    assert!(!looked.is_denied(), "{}", looked.raw);
}
