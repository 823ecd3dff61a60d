//! A legacy client before a server of 2026-07-28.

use super::{DENIES_ASK, LEGACY, MODERN, at_most, over_http, over_stdio, questions};
use crate::support::upstream::{Asked, Upstream, reply};
use crate::support::{OPEN, Record, gate, until};
use callgate_testkit::{Room, Stdio};
use serde_json::{Value, json};

/// Calls the tool that asks, and gives the question.
fn asked(client: &mut Stdio, what: &str, method: &str) -> (u64, callgate_testkit::client::answer::Answer) {
    let id = client.start_call("ask", json!({"what": what}));
    (id, client.message(method))
}

#[test]
fn what_a_result_wants_is_asked_by_requests_and_the_answers_go_back() {
    let mut between = over_stdio(OPEN, MODERN);
    let client = &mut between.client;
    client.initialize(LEGACY);
    for (what, method, answer) in questions() {
        let (id, question) = asked(client, what, method);
        assert!(question.json.get("id").is_some(), "{}", question.raw);
        client.reply(&question, answer.clone());
        let told = client.answer(id);
        let said = told.text();
        let said: Value = serde_json::from_str(said.trim_start_matches("the client said ")).unwrap();
        assert_eq!(said, json!({"first": answer}), "{what}");
    }
    // The state came back as the server gave it, under another id, and each question has been another round.
    let calls = between.server.log().of_method("tools/call");
    assert_eq!(calls.len(), 6);
    for pair in calls.chunks(2) {
        assert_ne!(pair[0]["id"], pair[1]["id"]);
        assert_eq!(pair[1]["params"]["requestState"], "state-1");
        assert_eq!(pair[0]["params"]["arguments"], pair[1]["params"]["arguments"]);
        let meta = &pair[1]["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], MODERN);
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "testkit");
        assert!(meta["io.modelcontextprotocol/clientCapabilities"]["elicitation"].is_object());
    }
}

#[test]
fn over_http_the_client_is_asked_on_the_stream_of_its_call() {
    let between = over_http(OPEN, MODERN);
    let mut client = between.gate.client();
    client.initialize(LEGACY);
    let mut stream = client.open_call("ask", json!({"what": "elicitation"}));
    let question = stream.event();
    assert_eq!(question.json["method"], "elicitation/create");
    assert!(client.answer(&question, json!({"action": "decline"})) < 300);
    let told = stream.rest().answer();
    assert!(told.text().contains("decline"), "{}", told.raw);
    let calls = between.server.log().of_method("tools/call");
    assert_eq!(calls.len(), 2);
    Record::once(&between.room, "the outcome", |record| record.statuses() == ["ok"])
        .assert_one_outcome_each();
}

#[test]
fn rounds_belong_to_one_intent_and_count_once() {
    let mut between = over_stdio(&at_most(1), MODERN);
    let client = &mut between.client;
    client.initialize(LEGACY);
    let (id, question) = asked(client, "roots", "roots/list");
    client.reply(&question, json!({"roots": []}));
    assert!(client.answer(id).text().contains("roots"));
    assert_eq!(client.call("ask", json!({})).reason(), Some("rate_limited"));
    let record = Record::once(&between.room, "the outcome", |record| {
        record.is_settled() && !record.denials().is_empty()
    });
    record.assert_one_outcome_each();
    assert_eq!(record.statuses(), ["ok"]);
    assert_eq!(between.server.log().of_method("tools/call").len(), 2);
}

#[test]
fn a_round_is_judged_again_by_the_policy_in_force() {
    let mut between = over_stdio(OPEN, MODERN);
    let room = between.room.clone();
    let client = &mut between.client;
    client.initialize(LEGACY);
    let (id, question) = asked(client, "elicitation", "elicitation/create");
    room.write("policy.yaml", DENIES_ASK);
    let _ = client.stderr_line("nothing is allowed that was not");
    client.reply(&question, json!({"action": "accept"}));
    let denied = client.answer(id);
    assert!(denied.is_denied(), "{}", denied.raw);
    assert_eq!(
        between.server.log().of_method("tools/call").len(),
        1,
        "the retry was sent"
    );
    let record = Record::once(&room, "the outcome", Record::is_settled);
    record.assert_one_outcome_each();
    assert_eq!(record.statuses(), ["input_required"]);
    assert_eq!(record.denials().len(), 1);
}

#[test]
fn a_denied_call_never_reaches_the_server() {
    let mut between = over_stdio(DENIES_ASK, MODERN);
    between.client.initialize(LEGACY);
    assert!(between.client.call("ask", json!({})).is_denied());
    assert_eq!(between.client.call("echo", json!({"text": "hi"})).text(), "hi");
    let calls = between.server.log().of_method("tools/call");
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["params"]["name"], "echo");
}

#[test]
fn arguments_reach_the_server_byte_for_byte() {
    let mut between = over_stdio(OPEN, MODERN);
    between.client.initialize(LEGACY);
    let arguments = r#"{"z":1.50,"a":[1e2,  "\u0041\/"],"text":null,"n":{"":{}}}"#;
    between.client.send(&format!(
        r#"{{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{{"vendor":[ 1.0 ],"name":"mirror","arguments":{arguments},"_meta":{{"k":1.0}}}}}}"#
    ));
    let told = between.client.answer("x");
    assert!(
        told.raw.contains(&format!(r#""structuredContent":{arguments}"#)),
        "{}",
        told.raw
    );
    let line = until("the call arrives", || {
        let lines = between.server.log().lines();
        lines.into_iter().find(|line| line.contains("mirror"))
    });
    assert!(
        line.contains(r#""vendor":[ 1.0 ]"#) && line.contains(r#""k":1.0"#),
        "{line}"
    );
}

#[test]
fn what_the_modern_era_has_not_is_answered_here() {
    let mut between = over_stdio(OPEN, MODERN);
    let client = &mut between.client;
    client.initialize(LEGACY);
    assert_eq!(client.request("ping", json!({})).result(), &json!({}));
    assert_eq!(
        client
            .request("logging/setLevel", json!({"level": "error"}))
            .result(),
        &json!({})
    );
    client.call("echo", json!({"text": "hi"}));
    let log = between.server.log();
    let call = log.of_method("tools/call").pop().unwrap();
    assert_eq!(
        call["params"]["_meta"]["io.modelcontextprotocol/logLevel"],
        "error"
    );
    for method in ["ping", "logging/setLevel", "notifications/initialized"] {
        assert!(log.of_method(method).is_empty(), "{method} reached the server");
    }
    let task = client.request(
        "tools/call",
        json!({"name": "echo", "arguments": {}, "task": {"ttl": 1}}),
    );
    assert_eq!(task.reason(), Some("era_mismatch"), "{}", task.raw);
}

#[test]
fn progress_and_cancellation_cross() {
    let mut between = over_stdio(OPEN, MODERN);
    let client = &mut between.client;
    client.initialize(LEGACY);
    let params = json!({"name": "progress", "arguments": {"steps": 2}, "_meta": {"progressToken": "p"}});
    let told = client.request("tools/call", params);
    assert_eq!(told.text(), "done");
    let progress = client.message("notifications/progress");
    assert_eq!(progress.json["params"]["progressToken"], "p");
    let slow = client.start_call("sleep", json!({"ms": 60_000}));
    let log = between.server.log().clone();
    let sent = until("the call arrives", || {
        log.of_method("tools/call")
            .into_iter()
            .find(|call| call["params"]["name"] == "sleep")
    });
    client.notify("notifications/cancelled", json!({"requestId": slow}));
    let cancelled = until("the server is told", || {
        log.of_method("notifications/cancelled").pop()
    });
    assert_eq!(cancelled["params"]["requestId"], sent["id"]);
    let record = Record::once(&between.room, "the outcomes", Record::is_settled);
    assert_eq!(record.statuses(), ["ok", "cancelled"]);
}

#[test]
fn a_change_of_the_list_is_told_untagged() {
    let mut between = over_stdio(OPEN, MODERN);
    let client = &mut between.client;
    client.initialize(LEGACY);
    until("the bridge listens", || {
        between.server.log().of_method("subscriptions/listen").pop()
    });
    client.call("grow", json!({}));
    let told = client.message("notifications/tools/list_changed");
    assert_eq!(
        told.json["params"]
            .get("_meta")
            .filter(|meta| **meta != json!({})),
        None,
        "{}",
        told.raw
    );
    client.request("resources/subscribe", json!({"uri": "test://one"}));
    let listens = until("the bridge listens anew", || {
        Some(between.server.log().of_method("subscriptions/listen")).filter(|listens| listens.len() == 2)
    });
    assert_eq!(
        listens[1]["params"]["notifications"]["resourceSubscriptions"],
        json!(["test://one"])
    );
    let cancelled = until("the first is taken back", || {
        between.server.log().of_method("notifications/cancelled").pop()
    });
    assert_eq!(cancelled["params"]["requestId"], listens[0]["id"]);
}

/// A server of 2026-07-28 that answers a call as it is told to.
fn written(answer: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |asked: &Asked| {
        let message = asked.json();
        let result = match message["method"].as_str() {
            Some("server/discover") => {
                json!({"result": {"resultType": "complete", "supportedVersions": [MODERN],
                "capabilities": {"tools": {}, "tasks": {}, "extensions": {"io.modelcontextprotocol/tasks": {}, "x/y": {}}},
                "ttlMs": 0, "cacheScope": "private"}})
            }
            Some("tools/list") => {
                let tool = |name: &str, header: &str| {
                    json!({"name": name, "inputSchema": {"type": "object",
                        "properties": {"q": {"type": "string", "x-mcp-header": header}}}})
                };
                json!({"result": {"resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                    "tools": [tool("good", "Q"), tool("bad", "not a token")]}})
            }
            Some("initialize") => json!({"error": {"code": -32_020, "message": "no version"}}),
            _ => answer(&message),
        };
        let mut whole = json!({"jsonrpc": "2.0", "id": message["id"]});
        for (key, value) in result.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let status = if whole.get("error").is_some() {
            "400 Bad Request"
        } else {
            "200 OK"
        };
        reply(status, "application/json", &whole.to_string())
    })
}

fn before(server: &Upstream) -> (Room, Stdio) {
    let room = Room::new();
    let client = gate(&room, OPEN).upstream(&server.url).stdio();
    (room, client)
}

#[test]
fn headers_are_written_from_the_body_and_tools_whose_headers_cannot_be_are_left_out() {
    let server = written(|_| {
        json!({"result": {"resultType": "complete", "content": [], "structuredContent": [1],
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "s", "version": "1"}, "k": 1}}})
    });
    let (_room, mut client) = before(&server);
    let begun = client.initialize("2025-06-18");
    assert_eq!(
        begun.result()["capabilities"],
        json!({"tools": {}, "extensions": {"x/y": {}}})
    );
    assert_eq!(client.tools(), ["good"]);
    let told = client.call("good", json!({"q": "é"}));
    assert_eq!(told.result(), &json!({"content": [], "_meta": {"k": 1}}));
    let asked = server.asked();
    let call = asked
        .iter()
        .find(|asked| asked.json()["method"] == "tools/call")
        .unwrap();
    assert_eq!(call.header("mcp-protocol-version"), Some(MODERN));
    assert_eq!(call.header("mcp-method"), Some("tools/call"));
    assert_eq!(call.header("mcp-name"), Some("good"));
    assert_eq!(call.header("mcp-param-q"), Some("=?base64?w6k=?="));
    assert_eq!(call.header("mcp-session-id"), None);
}

#[test]
fn what_the_legacy_era_cannot_be_told_is_an_error_and_ends_the_call_once() {
    for (answer, words) in [
        (
            json!({"result": {"resultType": "task", "taskId": "t"}}),
            "not known: `task`",
        ),
        (
            json!({"result": {"resultType": "input_required", "inputRequests": {"a": {"method": "vendor/x"}}}}),
            "what the server wants",
        ),
        (
            json!({"result": {"resultType": "input_required", "inputRequests": {"a": {"method": "elicitation/create",
                "params": {"mode": "url", "url": "https://a.example", "message": "go"}}}}}),
            "elicitation/create",
        ),
        // Nothing is wanted, for ever.
        (
            json!({"result": {"resultType": "input_required", "requestState": "s"}}),
            "more than 10 times",
        ),
    ] {
        let server = written(move |_| answer.clone());
        let (room, mut client) = before(&server);
        client.initialize(LEGACY);
        let told = client.call("good", json!({}));
        assert_eq!(told.reason(), Some("upstream_protocol"), "{}", told.raw);
        assert!(told.text().contains(words), "{words}: {}", told.raw);
        let record = Record::once(&room, "the outcome", Record::is_settled);
        record.assert_one_outcome_each();
        assert_eq!(record.statuses(), ["protocol_error"]);
    }
}

#[test]
fn errors_have_the_codes_of_the_clients_era() {
    let server = written(|message| match message["method"].as_str() {
        Some("resources/read") => {
            json!({"error": {"code": -32_602, "message": "none", "data": {"uri": "a://b"}}})
        }
        _ => json!({"error": {"code": -32_021, "message": "no", "data": {"requiredCapabilities": {}}}}),
    });
    let (_room, mut client) = before(&server);
    client.initialize(LEGACY);
    let missing = client.request("resources/read", json!({"uri": "a://b"}));
    assert_eq!(
        missing.json["error"],
        json!({"code": -32_002, "message": "none", "data": {"uri": "a://b"}})
    );
    assert_eq!(client.call("good", json!({})).error_code(), Some(-32_602));
}

#[test]
fn a_server_of_neither_era_has_its_own_error_told() {
    let server = Upstream::start(|asked: &Asked| {
        let message = asked.json();
        let told =
            json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32_000, "message": "go away"}});
        reply("400 Bad Request", "application/json", &told.to_string())
    });
    let (_room, mut client) = before(&server);
    let refused = client.request(
        "initialize",
        json!({"protocolVersion": LEGACY, "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}}),
    );
    assert_eq!(
        refused.json["error"],
        json!({"code": -32_000, "message": "go away"})
    );
    let asked: Vec<Value> = server
        .asked()
        .iter()
        .map(|asked| asked.json()["method"].clone())
        .collect();
    assert_eq!(asked, ["initialize", "server/discover"]);
}

#[test]
fn a_question_that_is_refused_ends_the_call_and_takes_back_the_others() {
    let server = written(|_| {
        let question = json!({"method": "elicitation/create", "params": {"message": "m", "requestedSchema": {"type": "object"}}});
        json!({"result": {"resultType": "input_required", "inputRequests": {"a": question, "b": question}}})
    });
    let (room, mut client) = before(&server);
    client.initialize(LEGACY);
    let id = client.start_call("good", json!({}));
    let questions = until("both are asked", || {
        let asked: Vec<Value> = client
            .messages()
            .into_iter()
            .filter(|message| message["method"] == "elicitation/create")
            .collect();
        (asked.len() == 2).then_some(asked)
    });
    let refusal = json!({"jsonrpc": "2.0", "id": questions[0]["id"], "error": {"code": -1, "message": "no"}});
    client.send(&refusal.to_string());
    let told = client.answer(id);
    assert_eq!(told.reason(), Some("upstream_protocol"), "{}", told.raw);
    let taken_back = client.message("notifications/cancelled");
    assert_eq!(taken_back.json["params"]["requestId"], questions[1]["id"]);
    let record = Record::once(&room, "the outcome", Record::is_settled);
    record.assert_one_outcome_each();
}
