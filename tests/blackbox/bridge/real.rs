//! Real servers of the legacy era before a client of 2026-07-28.

use super::call;
use crate::real_servers::{everything, everything_at, serve};
use crate::support::deps::python;
use crate::support::{OPEN, Record, gate, until};
use callgate_testkit::client::answer::Answer;
use callgate_testkit::client::modern;
use callgate_testkit::{Http, Room, Stdio, StdioServer};
use serde_json::{Value, json};

/// The server and a client of it.
fn before_everything() -> (Room, Stdio) {
    let room = Room::new();
    let server = StdioServer::command(&room, everything("stdio"));
    let client = gate(&room, OPEN).before(&server).stdio();
    (room, client)
}

/// Calls a tool, answers what it asks for, and gives its result.
fn asked_and_told(client: &mut Stdio, tool: &str, arguments: &Value, method: &str, answer: &Value) -> Answer {
    let asked = client.request("tools/call", call(tool, arguments));
    let result = asked.result();
    assert_eq!(result["resultType"], "input_required", "{}", asked.raw);
    let (key, question) = result["inputRequests"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    assert_eq!(question["method"], method, "{question}");
    let mut params = call(tool, arguments);
    params["requestState"] = result["requestState"].clone();
    params["inputResponses"] = json!({key: answer});
    client.request("tools/call", params)
}

#[test]
fn server_everything_is_one_of_2026_07_28_through_the_bridge() {
    let (room, mut client) = before_everything();
    let seen = client.request("server/discover", modern(json!({})));
    let seen = seen.result();
    assert_eq!(seen["supportedVersions"], json!([super::MODERN]));
    assert!(seen["capabilities"].get("tasks").is_none(), "{seen}");
    let tools = until("the tools for what the client can do are there", || {
        let tools = client.request("tools/list", modern(json!({}))).tool_names();
        let names = ["trigger-elicitation-request", "trigger-sampling-request"];
        names
            .iter()
            .all(|name| tools.iter().any(|tool| tool == name))
            .then_some(tools)
    });
    assert!(tools.contains(&"get-sum".to_owned()), "{tools:?}");
    let sum = client.request("tools/call", call("get-sum", &json!({"a": 1, "b": 2})));
    assert!(sum.text().contains('3'), "{}", sum.raw);
    let told = asked_and_told(
        &mut client,
        "trigger-elicitation-request",
        &json!({}),
        "elicitation/create",
        &json!({"action": "accept", "content": {"name": "Ada", "check": true}}),
    );
    assert!(told.raw.contains("Ada"), "{}", told.raw);
    let told = asked_and_told(
        &mut client,
        "trigger-sampling-request",
        &json!({"prompt": "say it", "maxTokens": 10}),
        "sampling/createMessage",
        &json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "it was said"}}),
    );
    assert!(told.raw.contains("it was said"), "{}", told.raw);
    for (method, params, member) in [
        ("resources/list", json!({}), "resources"),
        ("resources/templates/list", json!({}), "resourceTemplates"),
        ("prompts/list", json!({}), "prompts"),
    ] {
        let listed = client.request(method, modern(params));
        assert_eq!(listed.result()["ttlMs"], 0, "{method}");
        assert!(listed.result()[member].is_array(), "{method}: {}", listed.raw);
    }
    let record = Record::once(&room, "the outcomes", Record::is_settled);
    record.assert_one_outcome_each();
    assert_eq!(
        record.statuses(),
        ["ok", "input_required", "ok", "input_required", "ok"]
    );
}

#[test]
fn a_team_reaches_real_servers_of_four_kinds_through_the_bridge() {
    let room = Room::new();
    let (_streamable, streamable_url) = everything_at("streamableHttp", "mcp");
    let (_sse, sse_url) = everything_at("sse", "sse");
    let words: Vec<String> = everything("stdio")
        .into_iter()
        .map(|word| word.into_string().unwrap())
        .collect();
    let env = json!({"PATH": "${env:PATH}", "HOME": "${env:HOME}"});
    let time = [
        python().to_str().unwrap().to_owned(),
        "-m".into(),
        "mcp_server_time".into(),
    ];
    let config = json!({
        "version": 1,
        "listen": "127.0.0.1:0",
        "state": {"dir": room.at("state")},
        "servers": {
            "child": {"command": words, "env": env},
            "streamable": {"url": streamable_url},
            "events": {"url": sse_url, "transport": "sse"},
            "time": {"command": time, "env": env},
        },
        "policies": {"everything": "everything.yaml"},
        "local": {"child": "everything", "streamable": "everything", "events": "everything", "time": "everything"},
    });
    let (_gateway, url) = serve(&room, &config);
    let client = |server: &str| Http::to(&url.replace("SERVER", server)).modern();
    for server in ["child", "streamable", "events"] {
        let mut client = client(server);
        until("the tool is there", || {
            let tools = client.request("tools/list", json!({})).tool_names();
            tools
                .contains(&"trigger-elicitation-request".to_owned())
                .then_some(())
        });
        let params = |responses: Option<(&Value, Value)>| {
            let mut params = json!({"name": "trigger-elicitation-request", "arguments": {}});
            if let Some((state, responses)) = responses {
                params["requestState"] = state.clone();
                params["inputResponses"] = responses;
            }
            params
        };
        let asked = client.request("tools/call", params(None));
        let result = asked.result();
        let (key, question) = result["inputRequests"]
            .as_object()
            .unwrap()
            .iter()
            .next()
            .unwrap();
        assert_eq!(question["method"], "elicitation/create", "{server}");
        let answer = json!({key: {"action": "accept", "content": {"name": "Ada", "check": true}}});
        let told = client.request("tools/call", params(Some((&result["requestState"], answer))));
        assert!(told.raw.contains("Ada"), "{server}: {}", told.raw);
        let denied = client.call("get-sum", json!({"a": 11, "b": 1}));
        assert!(denied.is_denied(), "{server}: {}", denied.raw);
    }
    let told = client("time").call("get_current_time", json!({"timezone": "UTC"}));
    assert!(told.raw.contains("UTC"), "{}", told.raw);
    let record = Record::once(&room, "the outcomes", Record::is_settled);
    record.assert_one_outcome_each();
}
