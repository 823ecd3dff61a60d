//! A legacy client that does not wait for the answer to its `initialize`.

use super::{LEGACY, MODERN, over_stdio};
use crate::support::streamed::Streamed;
use crate::support::{OPEN, Record, gate, until};
use crate::team::Stage;
use callgate_testkit::{Room, Script, ServerLog, Stdio, StdioServer};
use serde_json::{Value, json};

/// A server of the legacy era that pings its client, and answers `initialize` once the client has answered that.
const ASKS_FIRST: &str = r#"
import json, sys
greeting, log = None, open(sys.argv[1], "a", buffering=1)
def say(message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)
for line in sys.stdin:
    log.write(line)
    message = json.loads(line)
    method, id = message.get("method"), message.get("id")
    if method == "initialize":
        greeting = id
        say({"id": "are you there", "method": "ping"})
    elif id == "are you there":
        info = {"name": "asks-first", "version": "1"}
        say({"id": greeting, "result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}})
    elif method == "tools/list":
        say({"id": id, "result": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}})
    elif method == "tools/call":
        text = message["params"]["arguments"]["text"]
        say({"id": id, "result": {"content": [{"type": "text", "text": text}]}})
"#;

fn initialize(id: &str, version: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": {"protocolVersion": version,
        "capabilities": {}, "clientInfo": {"name": "hasty", "version": "1"}}})
}

fn echo(id: &str, text: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": "echo", "arguments": {"text": text}}})
}

/// Sends all of it before anything is read.
fn at_once(client: &mut Stdio, messages: &[Value]) {
    let lines: String = messages.iter().map(|message| format!("{message}\n")).collect();
    client.send_bytes(lines.as_bytes());
}

fn initialized() -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/initialized"})
}

#[test]
fn what_comes_before_the_answer_to_initialize_is_told_a_modern_server_in_its_words() {
    let mut between = over_stdio(OPEN, MODERN);
    at_once(
        &mut between.client,
        &[
            initialize("i", LEGACY),
            initialized(),
            json!({"jsonrpc": "2.0", "id": "p", "method": "ping"}),
            json!({"jsonrpc": "2.0", "id": "l", "method": "tools/list"}),
            echo("c", "hi"),
        ],
    );
    let client = &mut between.client;
    assert_eq!(client.answer("i").result()["protocolVersion"], LEGACY);
    assert_eq!(client.answer("p").result(), &json!({}));
    assert!(client.answer("l").tool_names().contains(&"echo".to_owned()));
    assert_eq!(client.answer("c").text(), "hi");
    // The server has seen nothing of the legacy era but the question by which its own was found out.
    let log = between.server.log();
    for method in ["notifications/initialized", "ping"] {
        assert!(log.of_method(method).is_empty(), "{method} reached the server");
    }
    for method in ["tools/list", "tools/call"] {
        let all = log.of_method(method);
        assert!(!all.is_empty(), "{method}");
        for message in all {
            let meta = &message["params"]["_meta"];
            assert_eq!(
                meta["io.modelcontextprotocol/protocolVersion"], MODERN,
                "{message}"
            );
        }
    }
    let record = Record::once(&between.room, "the outcome", Record::is_settled);
    record.assert_one_outcome_each();
    assert_eq!(record.statuses(), ["ok"]);
}

/// A server that asks something of the client before it answers.
fn asks_first(room: &Room) -> (StdioServer, ServerLog) {
    let (path, log) = (room.write("asks_first.py", ASKS_FIRST), room.at("asks_first.log"));
    let words = [
        "python3".into(),
        path.into_os_string(),
        log.clone().into_os_string(),
    ];
    (StdioServer::command(room, words), ServerLog::at(log))
}

#[test]
fn what_waits_keeps_its_order_and_the_server_can_ask_meanwhile() {
    let room = Room::new();
    let (server, log) = asks_first(&room);
    let mut client = gate(&room, OPEN).before(&server).stdio();
    at_once(
        &mut client,
        &[
            initialize("i", LEGACY),
            initialized(),
            json!({"jsonrpc": "2.0", "id": "l", "method": "tools/list"}),
            echo("c", "one"),
            echo("gone", "two"),
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "gone"}}),
            json!({"jsonrpc": "2.0", "id": "x", "method": "ping/x"}),
        ],
    );
    let ping = client.message("ping");
    client.reply(&ping, json!({}));
    assert!(client.answer("i").json["result"].is_object());
    assert_eq!(client.answer("c").text(), "one");
    assert!(client.answer("l").tool_names().contains(&"echo".to_owned()));
    assert_eq!(client.call("echo", json!({"text": "three"})).text(), "three");
    let came: Vec<Value> = log.messages();
    let methods: Vec<&str> = came
        .iter()
        .map(|message| message["method"].as_str().unwrap_or("an answer"))
        .collect();
    assert_eq!(
        methods.get(..4).unwrap_or_default(),
        [
            "initialize",
            "an answer",
            "notifications/initialized",
            "tools/list"
        ],
        "{methods:?}"
    );
    assert!(methods.contains(&"ping/x"), "{methods:?}");
    let texts: Vec<&Value> = came
        .iter()
        .map(|message| &message["params"]["arguments"]["text"])
        .filter(|text| text.is_string())
        .collect();
    assert_eq!(texts, ["one", "three"], "what was cancelled has run");
    let record = Record::once(&room, "the outcomes", |record| {
        record.is_settled() && record.statuses().iter().filter(|status| **status == "ok").count() == 2
    });
    record.assert_one_outcome_each();
}

#[test]
fn what_waits_is_bounded_by_its_bytes() {
    let room = Room::new();
    let (server, log) = asks_first(&room);
    let mut client = gate(&room, OPEN).before(&server).stdio();
    let long = |id: &str| {
        let padding = "x".repeat(6 << 20);
        json!({"jsonrpc": "2.0", "id": id, "method": "ping/x", "params": {"padding": padding}})
    };
    at_once(&mut client, &[initialize("i", LEGACY)]);
    let ping = client.message("ping");
    at_once(&mut client, &[long("first"), long("second"), long("third")]);
    let told = client.answer("third");
    assert_eq!(told.reason(), Some("upstream_unreachable"), "{}", told.raw);
    client.reply(&ping, json!({}));
    assert!(client.answer("i").json["result"].is_object());
    until("the others have come", || {
        let came = log.of_method("ping/x");
        (came.len() == 2).then_some(())
    });
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    assert_eq!(log.of_method("ping/x").len(), 2);
}

#[test]
fn what_waits_ends_with_a_server_that_ends_instead_of_answering() {
    let room = Room::new();
    let words = ["sh", "-c", "read line; exit 3"];
    let server = StdioServer::command(&room, words);
    let mut client = gate(&room, OPEN).before(&server).stdio();
    at_once(
        &mut client,
        &[initialize("i", LEGACY), initialized(), echo("c", "hi")],
    );
    assert!(client.answer("i").json["error"].is_object());
    let told = client.answer("c");
    assert_eq!(told.reason(), Some("upstream_unreachable"), "{}", told.raw);
    Record::of(&room).assert_one_outcome_each();
}

#[test]
fn over_the_transport_of_2024_it_waits_too() {
    let mut stage = Stage::new();
    let log = ServerLog::at(stage.room.at("desk.log"));
    stage.config["servers"]["desk"] = json!({
        "command": ["python3", Script::path("puppet.py"), log.path(), "modern"],
        "env": {"PATH": "${env:PATH}"},
    });
    let token = stage.grant("ana", &["desk=open"]);
    let team = stage.serve();
    let mut client = Streamed::open(&format!("{}/mcp/desk/sse", team.url), &token);
    for message in [initialize("i", "2024-11-05"), initialized(), echo("c", "hi")] {
        assert_eq!(client.post(&message), 202);
    }
    let mut told = [client.next(), client.next()];
    told.sort_by_key(|answer| answer.json["id"] == "c");
    assert_eq!(
        told[0].json["result"]["protocolVersion"], "2024-11-05",
        "{}",
        told[0].raw
    );
    assert_eq!(told[1].text(), "hi", "{}", told[1].raw);
    assert!(log.of_method("notifications/initialized").is_empty());
    let call = until("the call has come", || log.of_method("tools/call").pop());
    assert_eq!(
        call["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"],
        MODERN
    );
}
