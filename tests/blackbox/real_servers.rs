//! Real servers behind the gate, and the official TypeScript and Python SDKs before it.

use crate::support::deps::{node, node_program, python, tests_dir};
use crate::support::{OPEN, Record, gate};
use callgate_testkit::{Gate, Process, Room, Script, StdioServer, free_port};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

/// Which official client speaks.
#[derive(Debug, Clone, Copy)]
enum Sdk {
    TypeScript,
    Python,
}

/// Has a client do these steps on a target, and gives what it saw of each.
#[track_caller]
fn done(sdk: Sdk, target: &[OsString], steps: &Value) -> Vec<Value> {
    let mut command = match sdk {
        Sdk::TypeScript => {
            let mut command = Command::new("node");
            command.arg(node().join("client.mjs"));
            command
        }
        Sdk::Python => {
            let mut command = Command::new(python());
            command.arg(tests_dir().join("clients/client.py"));
            command
        }
    };
    let output = command
        .arg(steps.to_string())
        .args(target)
        .env_remove("NODE_OPTIONS")
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let seen: Vec<Value> = stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let count = steps.as_array().unwrap().len();
    assert_eq!(
        seen.len(),
        count,
        "{sdk:?}: {stdout}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    seen
}

/// The command line of a gate on stdio, for a client that starts it.
fn words(room: &Room, policy: &str, server: &[OsString]) -> Vec<OsString> {
    let path = room.write("policy.yaml", policy);
    let mut words: Vec<OsString> = vec![env!("CARGO_BIN_EXE_callgate").into(), "run".into(), "-c".into()];
    words.extend([
        path.into(),
        "--state-dir".into(),
        room.at("state").into(),
        "--".into(),
    ]);
    words.extend(server.iter().cloned());
    words
}

pub(crate) fn everything(mode: &str) -> Vec<OsString> {
    let program = node_program("@modelcontextprotocol/server-everything/dist/index.js");
    vec!["node".into(), program.into(), mode.into()]
}

/// Allows what is used here, and denies one tool with a reason.
const EVERYTHING: &str = r#"
version: "1"
default: allow
hide: [get-env]
tools:
  get-sum:
    rules: [{conditions: [{path: args.a, op: lte, value: 10}], on_deny: "a may be at most 10"}]
methods:
  "*": {}
"#;

/// What each client does with server-everything.
fn script() -> Value {
    json!([
        {"do": "list"},
        {"do": "call", "name": "echo", "args": {"message": "through the gate"}},
        {"do": "call", "name": "get-sum", "args": {"a": 11, "b": 1}},
        {"do": "call", "name": "trigger-long-running-operation", "args": {"duration": 1, "steps": 4}},
        {"do": "call", "name": "get-env"},
        {"do": "together", "calls": [
            {"name": "trigger-long-running-operation", "args": {"duration": 1, "steps": 2}},
            {"name": "trigger-sampling-request", "args": {"prompt": "say it", "maxTokens": 10}},
            {"name": "trigger-elicitation-request"},
            {"name": "get-roots-list"},
            {"name": "get-sum", "args": {"a": 1, "b": 2}}
        ]},
        {"do": "ping"}
    ])
}

fn text(saw: &Value) -> &str {
    saw["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text: {saw}"))
}

/// How much progress was told. Without any gate, the TypeScript SDK at times loses the step that comes right
/// before the answer.
fn told(saw: &Value) -> usize {
    saw["progress"].as_array().unwrap().len()
}

#[track_caller]
fn assert_script(seen: &[Value]) {
    let saw: Vec<&Value> = seen.iter().map(|step| &step["saw"]).collect();
    let listed = saw[0].as_array().unwrap();
    assert!(
        listed.contains(&json!("echo")) && !listed.contains(&json!("get-env")),
        "{listed:?}"
    );
    assert_eq!(text(saw[1]), "Echo: through the gate");
    assert_eq!(
        saw[2]["isError"], true,
        "the SDK reads a denial as a result: {}",
        saw[2]
    );
    assert!(
        text(saw[2]).starts_with("[POLICY DENIED] ") && text(saw[2]).contains("at most 10"),
        "{}",
        saw[2]
    );
    assert!(told(saw[3]) >= 3, "{}", saw[3]);
    assert!(text(saw[3]).contains("completed"), "{}", saw[3]);
    assert_eq!(saw[4]["isError"], true);
    let together = saw[5].as_array().unwrap();
    assert!(told(&together[0]) >= 1, "{}", together[0]);
    assert!(
        together[1].to_string().contains("sampled words"),
        "{}",
        together[1]
    );
    assert!(together[2].get("content").is_some(), "{}", together[2]);
    assert!(
        together[3].to_string().contains("root-of-the-test"),
        "{}",
        together[3]
    );
    assert!(text(&together[4]).contains('3'), "{}", together[4]);
    let asked = &seen[5]["seen"];
    assert_eq!(
        (&asked["sampling"], &asked["elicitation"]),
        (&json!(1), &json!(1)),
        "{asked}"
    );
    assert!(saw[6].get("thrown").is_none(), "{}", saw[6]);
}

#[test]
fn server_everything_over_stdio_serves_both_sdks_through_the_gate() {
    for sdk in [Sdk::TypeScript, Sdk::Python] {
        let room = Room::new();
        assert_script(&done(
            sdk,
            &words(&room, EVERYTHING, &everything("stdio")),
            &script(),
        ));
        let record = Record::of(&room);
        record.assert_one_outcome_each();
        assert_eq!(
            record.statuses().iter().filter(|status| **status == "ok").count(),
            7,
            "{sdk:?}: {:?}",
            record.statuses()
        );
        assert_eq!(record.denials().len(), 2);
    }
}

/// server-everything as a Streamable HTTP server.
fn everything_over_http() -> (Process, String) {
    everything_at("streamableHttp", "mcp")
}

/// server-everything as a server at a URL, in one of its modes.
pub(crate) fn everything_at(mode: &str, path: &str) -> (Process, String) {
    let port = free_port();
    (
        everything_on(port, mode),
        format!("http://127.0.0.1:{port}/{path}"),
    )
}

/// The same, on a port.
pub(crate) fn everything_on(port: u16, mode: &str) -> Process {
    let words = everything(mode);
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .env("PORT", port.to_string())
        .env_remove("NODE_OPTIONS");
    let server = Process::start(&mut command);
    let _ = server.stderr_line("on port");
    server
}

/// A gateway with this configuration, which may name the policy `everything.yaml`; and its URL, in which `SERVER`
/// stands for a server's name.
pub(crate) fn serve(room: &Room, config: &Value) -> (Process, String) {
    room.write("everything.yaml", EVERYTHING);
    let config = room.write("callgate.yaml", &config.to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.args(["serve", "-c"]).arg(config);
    let mut gateway = Process::start(&mut command);
    gateway.lives_in(room);
    let line = gateway.stderr_line("listening on");
    let url = line.split_whitespace().find(|word| word.starts_with("http://"));
    (gateway, url.unwrap().to_owned())
}

/// A gateway before an npm server as a child and at a URL, and a Python server as a child.
fn real_config(room: &Room, streamable_url: &str) -> Value {
    let words = |words: Vec<OsString>| -> Vec<String> {
        let words = words.into_iter();
        words.map(|word| word.into_string().unwrap()).collect()
    };
    let env = json!({"PATH": "${env:PATH}", "HOME": "${env:HOME}"});
    let time = [
        python().into(),
        "-m".into(),
        "mcp_server_time".into(),
        "--local-timezone".into(),
        "UTC".into(),
    ];
    json!({
        "version": 1,
        "listen": "127.0.0.1:0",
        "state": {"dir": room.at("state")},
        "servers": {
            "child": {"command": words(everything("stdio")), "env": env},
            "streamable": {"url": streamable_url},
            "time": {"command": words(time.to_vec()), "env": env},
        },
        "policies": {"everything": "everything.yaml"},
        "local": {"child": "everything", "streamable": "everything", "time": "everything"},
    })
}

#[test]
fn one_gateway_serves_real_servers_of_four_kinds_to_both_sdks() {
    let room = Room::new();
    let (_streamable, streamable_url) = everything_at("streamableHttp", "mcp");
    let (_sse, sse_url) = everything_at("sse", "sse");
    let mut config = real_config(&room, &streamable_url);
    config["servers"]["events"] = json!({"url": sse_url, "transport": "sse"});
    config["local"]["events"] = json!("everything");
    let (mut gateway, url) = serve(&room, &config);
    let at = |server: &str| -> OsString { url.replace("SERVER", server).into() };
    std::thread::scope(|scope| {
        for sdk in [Sdk::TypeScript, Sdk::Python] {
            for server in ["child", "streamable", "events", "child/sse", "events/sse"] {
                let target = at(server);
                scope.spawn(move || assert_script(&done(sdk, &[target], &script())));
            }
            let target = at("time");
            scope.spawn(move || {
                let steps = json!([
                    {"do": "list"},
                    {"do": "call", "name": "get_current_time", "args": {"timezone": "Asia/Tokyo"}}
                ]);
                let seen = done(sdk, &[target], &steps);
                assert!(text(&seen[1]["saw"]).contains("Asia/Tokyo"), "{}", seen[1]);
            });
        }
    });
    gateway.signal(rustix::process::Signal::TERM);
    assert_eq!(gateway.ended().code(), Some(143));
    let record = Record::of(&room);
    record.assert_one_outcome_each();
    let servers: std::collections::BTreeSet<&str> = record
        .intents()
        .iter()
        .map(|intent| intent.server.as_str())
        .collect();
    assert_eq!(
        servers.into_iter().collect::<Vec<_>>(),
        ["child", "events", "streamable", "time"]
    );
}

/// Calls of tools of two servers, each of which asks the client something meanwhile.
fn calls_of_both() -> Value {
    json!([
        {"do": "list"},
        {"do": "call", "name": "child__echo", "args": {"message": "to all"}},
        {"do": "call", "name": "streamable__get-sum", "args": {"a": 11, "b": 1}},
        {"do": "call", "name": "child__get-env"},
        {"do": "call", "name": "time__get_current_time", "args": {"timezone": "Asia/Tokyo"}},
        {"do": "call", "name": "streamable__get-resource-links", "args": {"count": 2}},
        {"do": "call", "name": "child__trigger-long-running-operation", "args": {"duration": 1, "steps": 4}},
        {"do": "together", "calls": [
            {"name": "child__trigger-sampling-request", "args": {"prompt": "say it", "maxTokens": 10}},
            {"name": "streamable__trigger-sampling-request", "args": {"prompt": "say it", "maxTokens": 10}},
            {"name": "child__trigger-elicitation-request"},
            {"name": "streamable__get-roots-list"},
            {"name": "child__get-roots-list"}
        ]},
        {"do": "ping"}
    ])
}

#[test]
fn real_servers_of_three_kinds_are_one_server_to_both_sdks() {
    let room = Room::new();
    let (_streamable, streamable_url) = everything_over_http();
    let config = real_config(&room, &streamable_url);
    let (_gateway, url) = serve(&room, &config);
    let targets = ["", "/sse"].map(|way| OsString::from(url.replace("/SERVER", way)));
    for (sdk, target) in [Sdk::TypeScript, Sdk::Python]
        .into_iter()
        .flat_map(|sdk| targets.iter().map(move |target| (sdk, target)))
    {
        let seen = done(sdk, std::slice::from_ref(target), &calls_of_both());
        let saw: Vec<&Value> = seen.iter().map(|step| &step["saw"]).collect();
        let listed = saw[0].as_array().unwrap();
        for name in ["child__echo", "streamable__echo", "time__get_current_time"] {
            assert!(listed.contains(&json!(name)), "{listed:?}");
        }
        assert!(!listed.contains(&json!("child__get-env")), "{listed:?}");
        assert_eq!(text(saw[1]), "Echo: to all");
        assert!(text(saw[2]).contains("at most 10"), "{}", saw[2]);
        assert_eq!(saw[3]["isError"], true, "{}", saw[3]);
        assert!(text(saw[4]).contains("Asia/Tokyo"), "{}", saw[4]);
        let content = saw[5]["content"].as_array().unwrap();
        let links = content.iter().filter_map(|block| block["uri"].as_str());
        let links: Vec<&str> = links.collect();
        assert_eq!(links.len(), 2, "{}", saw[5]);
        assert!(
            links.iter().all(|uri| uri.starts_with("mcp+streamable:")),
            "{links:?}"
        );
        assert!(told(saw[6]) >= 3, "{}", saw[6]);
        let together = saw[7].as_array().unwrap();
        for sampled in &together[..2] {
            assert!(sampled.to_string().contains("sampled words"), "{sampled}");
        }
        assert!(together[2].get("content").is_some(), "{}", together[2]);
        for rooted in &together[3..] {
            assert!(rooted.to_string().contains("root-of-the-test"), "{rooted}");
        }
        let asked = &seen[7]["seen"];
        assert_eq!(
            (&asked["sampling"], &asked["elicitation"]),
            (&json!(2), &json!(1)),
            "{asked}"
        );
        assert!(saw[8].get("thrown").is_none(), "{}", saw[8]);
    }
    Record::of(&room).assert_one_outcome_each();
}

#[test]
fn server_everything_over_http_serves_both_sdks_through_the_gate() {
    let (_server, upstream) = everything_over_http();
    for sdk in [Sdk::TypeScript, Sdk::Python] {
        // The client on HTTP, then on stdio.
        let room = Room::new();
        let gate = gate(&room, EVERYTHING).upstream(&upstream).http();
        assert_script(&done(sdk, &[gate.url().into()], &script()));
        drop(gate);
        let record = Record::of(&room);
        record.assert_one_outcome_each();
        assert!(
            record.statuses().iter().filter(|status| **status == "ok").count() >= 7,
            "{sdk:?}: {:?}",
            record.statuses()
        );
        let room = Room::new();
        let mut target = words(&room, EVERYTHING, &[]);
        target.pop();
        target.extend(["--upstream".into(), upstream.clone().into()]);
        assert_script(&done(sdk, &target, &script()));
    }
}

#[test]
fn an_sse_server_that_dies_mid_call_ends_its_sessions_and_they_begin_anew() {
    let room = Room::new();
    let (mut server, url) = everything_at("sse", "sse");
    let config = json!({
        "version": 1,
        "listen": "127.0.0.1:0",
        "state": {"dir": room.at("state")},
        "servers": {"events": {"url": url, "transport": "sse"}},
        "policies": {"everything": "everything.yaml"},
        "local": {"events": "everything"},
    });
    let (_gateway, gate) = serve(&room, &config);
    let mut client = callgate_testkit::Http::to(&gate.replace("SERVER", "events"));
    client.initialize("2024-11-05");
    client.notify("notifications/initialized", json!({}));
    let answered = client.call("echo", json!({"message": "hi"}));
    assert!(answered.text().contains("hi"), "{}", answered.raw);
    let open = client.open_call(
        "trigger-long-running-operation",
        json!({"duration": 60, "steps": 2}),
    );
    Record::once(&room, "the second call is under way", |record| {
        record.intents().len() == 2
    });
    std::thread::sleep(Duration::from_millis(300));
    server.kill9();
    let failed = open.rest().answer();
    assert_eq!(failed.reason(), Some("upstream_unreachable"), "{}", failed.raw);
    assert!(failed.text().contains("may have run"), "{}", failed.text());
    assert_eq!(client.reply("tools/list", json!({})).status, 404);
    let record = Record::once(&room, "all is settled", Record::is_settled);
    assert_eq!(record.statuses(), ["ok", "unknown"]);
}

#[test]
fn a_call_that_the_sdk_cancels_is_cancelled_at_the_server_and_recorded() {
    let room = Room::new();
    let steps = json!([
        {"do": "call", "name": "progress", "args": {"steps": 1000, "ms": 20}, "abortAfter": 2},
        {"do": "call", "name": "echo", "args": {"text": "still here"}}
    ]);
    let server = StdioServer::echo(&room);
    let seen = done(Sdk::TypeScript, &words(&room, OPEN, server.words()), &steps);
    assert!(
        seen[0]["saw"]["thrown"].as_str().unwrap().contains("enough"),
        "{}",
        seen[0]
    );
    assert_eq!(text(&seen[1]["saw"]), "still here");
    assert_eq!(server.log().of_method("notifications/cancelled").len(), 1);
    let record = Record::of(&room);
    record.assert_one_outcome_each();
    assert_eq!(record.statuses(), ["cancelled", "ok"]);
}

#[test]
fn a_python_server_serves_both_sdks_through_the_gate() {
    let policy = r#"
version: "1"
default: deny
tools:
  get_current_time:
    validate: schema
    require: {conditions: [{path: args.timezone, op: in, value: [Europe/Paris, UTC]}]}
"#;
    for sdk in [Sdk::TypeScript, Sdk::Python] {
        let room = Room::new();
        let server = [
            python().into(),
            "-m".into(),
            "mcp_server_time".into(),
            "--local-timezone".into(),
            "UTC".into(),
        ];
        let seen = done(
            sdk,
            &words(&room, policy, &server),
            &json!([
                {"do": "list"},
                {"do": "call", "name": "get_current_time", "args": {"timezone": "Europe/Paris"}},
                {"do": "call", "name": "get_current_time", "args": {"timezone": "Asia/Tokyo"}},
                {"do": "call", "name": "get_current_time", "args": {}},
                {"do": "call", "name": "convert_time", "args": {}}
            ]),
        );
        assert_eq!(seen[0]["saw"], json!(["get_current_time"]));
        assert!(text(&seen[1]["saw"]).contains("Europe/Paris"), "{}", seen[1]);
        for denied in &seen[2..] {
            assert_eq!(denied["saw"]["isError"], true, "{denied}");
            assert!(text(&denied["saw"]).starts_with("[POLICY DENIED]"), "{denied}");
        }
    }
}

/// The real mistral-mcp, pointed at a stand-in of its backend.
pub(crate) fn mistral(room: &Room, profile: &str) -> (Script, Gate) {
    let log = room.at("backend.log");
    let backend = Script::python("mistral.py", &[("STANDIN_LOG", log.to_str().unwrap())]);
    let origin = backend.url().trim_end_matches('/').to_owned();
    let server = StdioServer::command(
        room,
        [
            "node".into(),
            node_program("mistral-mcp/dist/index.js").into_os_string(),
        ],
    );
    let gate = Gate::of(env!("CARGO_BIN_EXE_callgate"), room)
        .before(&server)
        .env(
            "NODE_OPTIONS",
            format!(
                "--import file://{}",
                Script::path("mistral-redirect.mjs")
                    .canonicalize()
                    .unwrap()
                    .display()
            ),
        )
        .env("MISTRAL_STANDIN", origin)
        .env("MISTRAL_API_KEY", "k")
        .env("MISTRAL_MCP_PROFILE", profile);
    (backend, gate)
}

#[test]
fn the_seed_page_of_workflow_execute_works_unchanged_with_the_real_server() {
    let room = Room::new();
    room.write(
        "policy.yaml",
        include_str!("../../crates/policy/tests/seeds/workflow_execute.yaml"),
    );
    let (_backend, gate) = mistral(&room, "workflows");
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    let missing = client.call("workflow_execute", json!({"input": {}}));
    assert_eq!(missing.reason(), Some("arguments_invalid"), "{}", missing.raw);
    for number in 0..10 {
        let answer = client.call(
            "workflow_execute",
            json!({"workflowIdentifier": "echo", "input": {"n": number}}),
        );
        assert!(!answer.is_tool_error(), "{number}: {}", answer.raw);
    }
    let eleventh = client.call(
        "workflow_execute",
        json!({"workflowIdentifier": "echo", "input": {}}),
    );
    assert_eq!(eleventh.reason(), Some("rate_limited"), "{}", eleventh.raw);
    assert!(eleventh.text().contains("try again in"), "{}", eleventh.text());
    let backend = std::fs::read_to_string(room.at("backend.log")).unwrap();
    assert_eq!(
        backend.lines().filter(|line| line.contains("/execute")).count(),
        10,
        "{backend}"
    );
}

#[test]
fn the_seed_page_of_workflow_interact_works_unchanged_with_the_real_server() {
    let room = Room::new();
    room.write(
        "policy.yaml",
        include_str!("../../crates/policy/tests/seeds/workflow_interact.yaml"),
    );
    let (_backend, gate) = mistral(&room, "workflows");
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    let started = client.call(
        "workflow_execute",
        json!({"workflowIdentifier": "approval", "input": {}}),
    );
    let id = started.result()["structuredContent"]["execution_id"].clone();
    for number in 0..10 {
        let asked = json!({"action": "query", "executionId": id, "name": "status"});
        let answer = client.call("workflow_interact", asked);
        assert!(!answer.is_tool_error(), "{number}: {}", answer.raw);
    }
    let signal = json!({"action": "signal", "executionId": id, "name": "approve"});
    assert_eq!(
        client.call("workflow_interact", signal).reason(),
        Some("rate_limited")
    );
    let backend = std::fs::read_to_string(room.at("backend.log")).unwrap();
    assert!(!backend.contains("/signals"), "{backend}");
    client.close_stdin();
    assert!(client.ended_within(Duration::from_secs(15)).is_some());
}
