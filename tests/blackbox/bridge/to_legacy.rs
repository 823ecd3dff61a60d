//! A client of 2026-07-28 before a legacy server.

use super::{LEGACY, NO_ASK, at_most, call, over_http, over_stdio, questions};
use crate::support::upstream::{Asked, Upstream, reply};
use crate::support::{OPEN, Record, gate, until};
use crate::team::Stage;
use callgate_testkit::client::answer::Answer;
use callgate_testkit::client::modern;
use callgate_testkit::process::is_gone_within;
use callgate_testkit::{Http, HttpServer, PATIENCE, Room, Stdio, StdioServer};
use serde_json::{Value, json};

/// The parameters by which a call is made again.
fn again(arguments: &Value, state: &Value, responses: Value) -> Value {
    let mut params = call("ask", arguments);
    params["requestState"] = state.clone();
    params["inputResponses"] = responses;
    params
}

/// What a result wants: the key, the question, and the state.
fn wanted(told: &Answer) -> (String, Value, Value) {
    let result = told.result();
    assert_eq!(result["resultType"], "input_required", "{}", told.raw);
    let requests = result["inputRequests"].as_object().unwrap();
    assert_eq!(requests.len(), 1, "{}", told.raw);
    let (key, question) = requests.iter().next().unwrap();
    (key.clone(), question.clone(), result["requestState"].clone())
}

#[test]
fn what_the_server_asks_is_a_result_and_the_retry_goes_on_with_the_same_call() {
    let mut between = over_stdio(OPEN, LEGACY);
    let client = &mut between.client;
    for (what, method, answer) in questions() {
        let arguments = json!({"what": what});
        let (key, question, state) = wanted(&client.request("tools/call", call("ask", &arguments)));
        assert_eq!(question["method"], method);
        let mut responses = json!({});
        responses[&key] = answer.clone();
        let told = client.request("tools/call", again(&arguments, &state, responses));
        let said = told.text();
        assert!(said.contains(&answer.to_string()), "{said}");
        assert_eq!(told.result()["resultType"], "complete");
    }
    // The server has run each call once, within one session, whose client declared what this one did.
    let log = between.server.log();
    assert_eq!(log.of_method("tools/call").len(), 3);
    let begun = log.of_method("initialize");
    assert_eq!(begun.len(), 1);
    assert_eq!(begun[0]["params"]["clientInfo"]["name"], "testkit");
    assert!(begun[0]["params"]["capabilities"]["sampling"].is_object());
    for call in log.of_method("tools/call") {
        let meta = call["params"]["_meta"].as_object().cloned().unwrap_or_default();
        assert!(
            meta.keys()
                .all(|key| !key.starts_with("io.modelcontextprotocol/")),
            "{call}"
        );
    }
    let record = Record::once(&between.room, "the outcomes", Record::is_settled);
    record.assert_one_outcome_each();
    assert_eq!(
        record.statuses(),
        [
            "input_required",
            "ok",
            "input_required",
            "ok",
            "input_required",
            "ok"
        ]
    );
}

#[test]
fn a_state_leads_back_once_and_only_for_the_same_request() {
    let between = over_http(OPEN, LEGACY);
    let mut client = between.gate.client().modern();
    let arguments = json!({"what": "elicitation"});
    let (key, _, state) = wanted(&client.request("tools/call", call("ask", &arguments)));
    let mut responses = json!({});
    responses[&key] = json!({"action": "decline"});
    let state_text = state.as_str().unwrap();
    let mut refused = |what: &str, params: Value| {
        let told = client.request("tools/call", params);
        assert_eq!(told.error_code(), Some(-32_602), "{what}: {}", told.raw);
    };
    let other = json!({"what": "sampling"});
    refused("another request's", again(&other, &state, responses.clone()));
    let mut forged = state_text.to_owned();
    let last = if forged.pop() == Some('0') { '1' } else { '0' };
    forged.push(last);
    refused(
        "a forged seal",
        again(&arguments, &json!(forged), responses.clone()),
    );
    let parts: Vec<&str> = state_text.split('.').collect();
    let later = format!("{}.{}.{}", parts[0], "99999999999", parts[2]);
    refused(
        "a forged time",
        again(&arguments, &json!(later), responses.clone()),
    );
    for nothing in ["", "a", "a.b.c", "a.1.zz", "state-1"] {
        refused(nothing, again(&arguments, &json!(nothing), responses.clone()));
    }
    let told = client.request("tools/call", again(&arguments, &state, responses.clone()));
    assert!(told.text().contains("decline"), "{}", told.raw);
    let replayed = client.request("tools/call", again(&arguments, &state, responses));
    assert_eq!(replayed.error_code(), Some(-32_602), "{}", replayed.raw);
    assert_eq!(between.server.log().of_method("tools/call").len(), 1);
}

#[test]
fn another_process_and_another_server_know_no_such_state() {
    let first = over_http(OPEN, LEGACY);
    let second = over_http(OPEN, LEGACY);
    let arguments = json!({"what": "roots"});
    let (key, _, state) = wanted(
        &first
            .gate
            .client()
            .modern()
            .request("tools/call", call("ask", &arguments)),
    );
    let mut responses = json!({});
    responses[&key] = json!({"roots": []});
    let told = second
        .gate
        .client()
        .modern()
        .request("tools/call", again(&arguments, &state, responses));
    assert_eq!(told.error_code(), Some(-32_602), "{}", told.raw);
    assert!(second.server.log().of_method("tools/call").is_empty());
}

#[test]
fn what_is_not_answered_is_asked_again() {
    let mut between = over_stdio(OPEN, LEGACY);
    let client = &mut between.client;
    let arguments = json!({"what": "roots"});
    let (key, question, state) = wanted(&client.request("tools/call", call("ask", &arguments)));
    let told = client.request("tools/call", again(&arguments, &state, json!({"other": {}})));
    let (same, again_asked, state) = wanted(&told);
    assert_eq!((&same, &again_asked), (&key, &question));
    let mut responses = json!({});
    responses[&key] = json!({"roots": []});
    assert!(
        client
            .request("tools/call", again(&arguments, &state, responses))
            .text()
            .contains("roots")
    );
    assert_eq!(between.server.log().of_method("tools/call").len(), 1);
}

#[test]
fn a_client_is_not_asked_for_what_it_does_not_declare() {
    let mut between = over_stdio(OPEN, LEGACY);
    let mut params = call("ask", &json!({"what": "elicitation"}));
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({"roots": {}});
    let told = between.client.request("tools/call", params);
    assert!(told.text().contains("-32601"), "{}", told.raw);
    let begun = between.server.log().of_method("initialize");
    assert_eq!(begun[0]["params"]["capabilities"], json!({"roots": {}}));
}

#[test]
fn each_set_of_capabilities_has_a_session_of_its_own_at_the_server() {
    let between = over_http(OPEN, LEGACY);
    let mut client = between.gate.client().modern();
    for capabilities in [json!({}), json!({"roots": {}}), json!({})] {
        assert_eq!(declaring(&client, &capabilities, "echo").text(), "hi");
    }
    assert_eq!(between.server.log().of_method("initialize").len(), 2);
    assert_eq!(
        client.request("server/discover", json!({})).result()["resultType"],
        "complete"
    );
    assert_eq!(between.server.log().of_method("initialize").len(), 3);
}

/// Asks for a tool call as a client that declares these capabilities.
fn declaring(client: &Http, capabilities: &Value, tool: &str) -> Answer {
    let mut params = call(tool, &json!({"text": "hi"}));
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities.clone();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    client
        .clone()
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool)
        .post(&body.to_string())
        .answer()
}

#[test]
fn each_set_of_capabilities_has_a_process_of_its_own_which_ends_with_the_gate() {
    let room = Room::new();
    let server = StdioServer::echo(&room).version(LEGACY);
    let gate = gate(&room, OPEN).before(&server).http();
    let client = gate.client().modern();
    for capabilities in [
        json!({}),
        json!({"roots": {}}),
        json!({}),
        json!({"sampling": {}}),
    ] {
        assert_eq!(
            declaring(&client, &capabilities, "echo").text(),
            "hi",
            "{capabilities}"
        );
    }
    let pids: Vec<u32> = server
        .log()
        .notes_of("pid")
        .iter()
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert_eq!(pids.len(), 3);
    gate.signal(rustix::process::Signal::TERM);
    assert!(
        pids.iter().all(|pid| is_gone_within(*pid, PATIENCE)),
        "a process was left behind"
    );
}

#[test]
fn a_parked_call_whose_client_does_not_come_back_is_cancelled_at_the_server() {
    let room = Room::new();
    let server = StdioServer::echo(&room).version(LEGACY);
    let mut client = gate(&room, OPEN)
        .flags(&["--answer-time", "1"])
        .before(&server)
        .stdio();
    let arguments = json!({"what": "roots"});
    let (key, _, state) = wanted(&client.request("tools/call", call("ask", &arguments)));
    let log = server.log();
    let cancelled = until("the server is told", || {
        log.of_method("notifications/cancelled").pop()
    });
    assert_eq!(
        cancelled["params"]["requestId"],
        log.of_method("tools/call")[0]["id"]
    );
    let mut responses = json!({});
    responses[&key] = json!({"roots": []});
    let late = client.request("tools/call", again(&arguments, &state, responses));
    assert_eq!(late.error_code(), Some(-32_602), "{}", late.raw);
    let record = Record::once(&room, "the outcomes", |record| record.outcomes().len() == 2);
    record.assert_one_outcome_each();
    assert_eq!(record.statuses(), ["input_required", "protocol_error"]);
}

#[test]
fn a_state_belongs_to_the_grant_that_received_it() {
    let mut stage = Stage::new();
    let server = HttpServer::start(&stage.room, &["--version", LEGACY]);
    stage.config["servers"]["mail"] = json!({"url": server.url()});
    stage.config["policies"]["mail"] = json!("open.yaml");
    let grants = ["one", "two"].map(|label| stage.grant(label, &["mail=open"]));
    let team = stage.serve();
    let [mut one, mut two] = grants.map(|token| {
        Http::to(&format!("{}/mcp/mail", team.url))
            .header("authorization", &format!("Bearer {token}"))
            .modern()
    });
    let arguments = json!({"what": "elicitation"});
    let (key, _, state) = wanted(&one.request("tools/call", call("ask", &arguments)));
    let mut responses = json!({});
    responses[&key] = json!({"action": "decline"});
    let stolen = two.request("tools/call", again(&arguments, &state, responses.clone()));
    assert_eq!(stolen.error_code(), Some(-32_602), "{}", stolen.raw);
    let told = one.request("tools/call", again(&arguments, &state, responses));
    assert!(told.text().contains("decline"), "{}", told.raw);
}

#[test]
fn a_version_that_is_not_known_is_told_what_is() {
    let mut between = over_stdio(OPEN, LEGACY);
    let client = &mut between.client;
    client.request("server/discover", modern(json!({})));
    let mut params = modern(json!({}));
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
    let told = client.request("tools/list", params);
    assert_eq!(told.error_code(), Some(-32_022), "{}", told.raw);
    let mut params = modern(json!({}));
    params["_meta"]
        .as_object_mut()
        .unwrap()
        .remove("io.modelcontextprotocol/clientCapabilities");
    assert_eq!(client.request("tools/list", params).error_code(), Some(-32_602));
}

#[test]
fn a_call_and_its_retry_count_once_and_each_has_its_record() {
    let mut between = over_stdio(&at_most(1), LEGACY);
    let client = &mut between.client;
    let arguments = json!({"what": "roots"});
    let (key, _, state) = wanted(&client.request("tools/call", call("ask", &arguments)));
    let mut responses = json!({});
    responses[&key] = json!({"roots": []});
    let told = client.request("tools/call", again(&arguments, &state, responses.clone()));
    assert!(told.text().contains("roots"), "{}", told.raw);
    // What takes up no call that waits counts, and so is denied.
    for params in [
        again(&arguments, &state, responses.clone()),
        again(&arguments, &json!("state-1"), responses),
        call("ask", &arguments),
    ] {
        let denied = client.request("tools/call", params);
        assert_eq!(denied.reason(), Some("rate_limited"), "{}", denied.raw);
    }
    let record = Record::once(&between.room, "the outcomes", Record::is_settled);
    record.assert_one_outcome_each();
    assert_eq!(record.statuses(), ["input_required", "ok"]);
    assert_eq!(between.server.log().of_method("tools/call").len(), 1);
}

#[test]
fn a_retry_is_judged_by_the_policy_in_force() {
    let mut between = over_stdio(OPEN, LEGACY);
    let room = between.room.clone();
    let client = &mut between.client;
    let arguments = json!({"what": "roots"});
    let (key, _, state) = wanted(&client.request("tools/call", call("ask", &arguments)));
    room.write("policy.yaml", super::DENIES_ASK);
    let _ = client.stderr_line("nothing is allowed that was not");
    let mut responses = json!({});
    responses[&key] = json!({"roots": []});
    let denied = client.request("tools/call", again(&arguments, &state, responses.clone()));
    assert!(denied.is_denied(), "{}", denied.raw);
    // It waits on, and goes on where it is allowed again.
    room.write("policy.yaml", OPEN);
    let _ = client.stderr_line("and is looser");
    let told = client.request("tools/call", again(&arguments, &state, responses));
    assert!(told.text().contains("roots"), "{}", told.raw);
}

#[test]
fn a_denied_call_never_reaches_the_server() {
    let mut between = over_stdio(NO_ASK, LEGACY);
    let client = &mut between.client;
    let listed = client.request("tools/list", modern(json!({}))).tool_names();
    assert!(
        !listed.contains(&"ask".to_owned()) && listed.contains(&"echo".to_owned()),
        "{listed:?}"
    );
    let denied = client.request("tools/call", call("ask", &json!({})));
    assert!(denied.is_denied());
    assert_eq!(denied.result()["resultType"], "complete");
    assert_eq!(
        client
            .request("tools/call", call("echo", &json!({"text": "hi"})))
            .text(),
        "hi"
    );
    assert_eq!(between.server.log().of_method("tools/call").len(), 1);
}

#[test]
fn arguments_reach_the_server_byte_for_byte() {
    let mut between = over_stdio(OPEN, LEGACY);
    let arguments = r#"{"z":1.50,"a":[1e2,  "\u0041\/"],"text":null,"n":{"":{}}}"#;
    let meta = modern(json!({}))["_meta"].to_string();
    let meta = format!(r#"{{"k":1.0,{}"#, meta.trim_start_matches('{'));
    between.client.send(&format!(
        r#"{{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{{"vendor":[ 1.0 ],"name":"mirror","arguments":{arguments},"_meta":{meta}}}}}"#
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
    assert!(line.contains(r#""vendor":[ 1.0 ]"#), "{line}");
    assert!(line.contains(r#""_meta":{"k":1.0}"#), "{line}");
}

#[test]
fn progress_crosses_and_a_client_that_leaves_cancels() {
    let between = over_http(OPEN, LEGACY);
    let mut client = between.gate.client().modern();
    let mut params = json!({"name": "progress", "arguments": {"steps": 2}});
    params["_meta"] = json!({});
    let body = {
        let mut params = modern(params.clone());
        params["_meta"]["progressToken"] = json!("p");
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    };
    let told = client
        .clone()
        .header("mcp-method", "tools/call")
        .header("mcp-name", "progress")
        .post(&body.to_string());
    let tokens: Vec<Value> = told
        .messages()
        .iter()
        .map(|told| told.json["params"]["progressToken"].clone())
        .collect();
    assert_eq!(tokens, [json!("p"), json!("p"), Value::Null], "{}", told.body);
    let stream = client.open_call("sleep", json!({"ms": 60_000}));
    let log = between.server.log().clone();
    let sent = until("the call arrives", || {
        log.of_method("tools/call")
            .into_iter()
            .find(|call| call["params"]["name"] == "sleep")
    });
    drop(stream);
    let cancelled = until("the server is told", || {
        log.of_method("notifications/cancelled").pop()
    });
    assert_eq!(cancelled["params"]["requestId"], sent["id"]);
    let record = Record::once(&between.room, "the outcomes", Record::is_settled);
    record.assert_one_outcome_each();
    assert_eq!(record.statuses(), ["ok", "cancelled"]);
}

#[test]
fn what_2026_07_28_has_not_is_not_found() {
    let between = over_http(OPEN, LEGACY);
    let mut client = between.gate.client().modern();
    for method in [
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "tasks/get",
        "tasks/list",
        "unheard/of",
    ] {
        let params = match method {
            "tasks/get" => json!({"taskId": "t", "name": "t"}),
            _ => json!({"level": "info"}),
        };
        let told = client.reply(method, params);
        assert_eq!(told.status, 404, "{method}: {told:?}");
        assert_eq!(told.answer().error_code(), Some(-32_601), "{method}");
    }
    let log = between.server.log();
    assert!(log.of_method("ping").is_empty() && log.of_method("tasks/get").is_empty());
    assert_eq!(
        log.of_method("unheard/of").len(),
        1,
        "the server may know what the protocol does not"
    );
}

#[test]
fn a_subscription_is_acknowledged_and_told_what_it_asked_for() {
    let mut between = over_stdio(OPEN, LEGACY);
    let client = &mut between.client;
    let filter = json!({"toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": ["test://one"]});
    let listening = client.start("subscriptions/listen", modern(json!({"notifications": filter})));
    let told = client.message("notifications/subscriptions/acknowledged");
    assert_eq!(
        told.json["params"],
        json!({"_meta": {"io.modelcontextprotocol/subscriptionId": listening},
            "notifications": {"toolsListChanged": true, "resourceSubscriptions": ["test://one"]}})
    );
    client.request("tools/call", call("grow", &json!({})));
    let changed = client.message("notifications/tools/list_changed");
    assert_eq!(
        changed.json["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        json!(listening)
    );
    client.notify("notifications/cancelled", json!({"requestId": listening}));
    let left = until("the server is told", || {
        between.server.log().of_method("resources/unsubscribe").pop()
    });
    assert_eq!(left["params"]["uri"], "test://one");
}

/// A legacy server that answers a call as it is told to.
fn written(answer: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |asked: &Asked| {
        let message = asked.json();
        if message["method"] != "tools/call" && message["method"] != "resources/read" {
            if message["method"] == "server/discover" {
                return reply("404 Not Found", "text/plain", "nobody is here");
            }
            return crate::support::upstream::housekeeping(asked);
        }
        let mut whole = json!({"jsonrpc": "2.0", "id": message["id"]});
        for (key, value) in answer(&message).as_object().unwrap() {
            whole[key] = value.clone();
        }
        reply("200 OK", "application/json", &whole.to_string())
    })
}

fn before(server: &Upstream) -> (Room, Stdio) {
    let room = Room::new();
    let client = gate(&room, OPEN).upstream(&server.url).stdio();
    (room, client)
}

#[test]
fn errors_have_the_codes_of_the_clients_era() {
    let server = written(|message| match message["method"].as_str() {
        Some("resources/read") => {
            json!({"error": {"code": -32_002, "message": "none", "data": {"uri": "a://b"}}})
        }
        _ => json!({"error": {"code": -32_042, "message": "visit", "data": {"elicitations":
            [{"mode": "url", "elicitationId": "e", "url": "https://a.example", "message": "go"}]}}}),
    });
    let (room, mut client) = before(&server);
    let missing = client.request("resources/read", modern(json!({"uri": "a://b"})));
    assert_eq!(
        missing.json["error"],
        json!({"code": -32_602, "message": "none", "data": {"uri": "a://b"}})
    );
    let told = client.request("tools/call", call("echo", &json!({})));
    assert_eq!(
        told.result(),
        &json!({"resultType": "input_required", "inputRequests": {"elicitation-1": {"method": "elicitation/create",
            "params": {"mode": "url", "url": "https://a.example", "message": "go"}}}})
    );
    let record = Record::once(&room, "the outcomes", Record::is_settled);
    assert_eq!(record.statuses(), ["input_required"]);
}

#[test]
fn a_session_that_the_server_has_forgotten_is_begun_anew_by_the_next_request() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let server = Upstream::start(move |asked: &Asked| {
        let message = asked.json();
        if message["method"] == "server/discover" {
            return reply(
                "400 Bad Request",
                "application/json",
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no session"}}"#,
            );
        }
        if message["method"] == "tools/call" && count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            return reply(
                "404 Not Found",
                "application/json",
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"session not found"}}"#,
            );
        }
        crate::support::upstream::housekeeping(asked)
    });
    let (_room, mut client) = before(&server);
    let lost = client.request("tools/call", call("echo", &json!({})));
    assert_eq!(lost.error_code(), Some(-32_001), "{}", lost.raw);
    let told = client.request("tools/call", call("echo", &json!({})));
    assert_eq!(told.result()["resultType"], "complete");
    let begun = server
        .asked()
        .iter()
        .filter(|asked| asked.json()["method"] == "initialize")
        .count();
    assert_eq!(begun, 2);
}

#[test]
fn a_server_that_never_answers_discover_is_one_of_the_legacy_era() {
    let server = Upstream::start(|asked: &Asked| {
        if asked.json()["method"] == "server/discover" {
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
        crate::support::upstream::housekeeping(asked)
    });
    let (_room, mut client) = before(&server);
    let told = client.request("tools/call", call("echo", &json!({})));
    assert_eq!(told.result()["resultType"], "complete", "{}", told.raw);
}

#[test]
fn within_an_era_nothing_is_asked_that_the_client_does_not_ask_but_the_era_once() {
    let legacy = over_http(OPEN, LEGACY);
    let mut client = legacy.gate.client();
    client.initialize(LEGACY);
    client.call("echo", json!({"text": "hi"}));
    assert!(legacy.server.log().of_method("server/discover").is_empty());
    let modern = over_http(OPEN, super::MODERN);
    for _ in 0..3 {
        let mut client = modern.gate.client().modern();
        client.call("echo", json!({"text": "hi"}));
    }
    assert_eq!(modern.server.log().of_method("server/discover").len(), 1);
    assert!(modern.server.log().of_method("initialize").is_empty());
}
