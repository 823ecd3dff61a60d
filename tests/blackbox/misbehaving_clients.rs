//! Whatever a client does, nothing passes unjudged, and what it has begun is recorded to its end.

use crate::support::{OPEN, Record, before, before_echo};
use callgate_testkit::{Gate, Stdio, StdioServer};
use serde_json::{Value, json};
use std::time::Duration;

fn begun(gate: &Gate) -> Stdio {
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    client
}

fn call(id: &str, tool: &str, arguments: &Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#)
}

#[test]
fn an_id_in_flight_cannot_be_used_again_until_it_is_answered() {
    let (_room, server, gate) = before_echo(OPEN);
    let mut client = begun(&gate);
    client.send(&call("77", "sleep", &json!({"ms": 400})));
    client.send(&call("77", "echo", &json!({"text": "second"})));
    let refused = client.answer(Value::Null);
    assert_eq!(refused.reason(), Some("id_in_flight"), "{}", refused.raw);
    assert_eq!(client.answer(77).text(), "slept");
    // 77 and "77" are two ids, and one that was answered is free.
    client.send(&call("\"77\"", "echo", &json!({"text": "third"})));
    assert_eq!(client.answer("77").text(), "third");
    assert_eq!(server.log().calls().len(), 2);
}

#[test]
fn a_flood_beyond_what_may_be_pending_is_refused_and_the_rest_is_answered() {
    let (room, server, gate) = before(OPEN, |room| StdioServer::echo(room).mischief("never-answers"));
    let mut client = begun(&gate);
    // The gate's own request for the list takes a place too, and is over after this.
    assert!(client.call("no-such-tool", json!({})).is_denied());
    let flood: String = (0..1_100)
        .map(|id| call(&format!("\"f{id}\""), "echo", &json!({})) + "\n")
        .collect();
    client.send_bytes(flood.as_bytes());
    let last = client.answer("f1099");
    assert_eq!(last.reason(), Some("overloaded"), "{}", last.raw);
    let refused = client
        .messages()
        .iter()
        .filter(|answer| answer["result"]["_meta"]["callgate/reason"] == "overloaded")
        .count();
    assert_eq!(refused, 1_100 - 1_024);
    server
        .log()
        .wait_until(Duration::from_secs(10), |log| log.lines().len() >= 1_024);
    client.kill9();
    // The next run closes what was left open.
    let mut next = begun(&gate);
    next.tools();
    next.close_stdin();
    next.ended();
    let record = Record::of(&room);
    record.assert_one_outcome_each();
    assert_eq!(record.intents().len(), 1_024);
    assert!(record.statuses().iter().all(|status| *status == "unknown"));
}

#[test]
fn a_client_that_closes_mid_call_is_waited_for_a_while_and_its_calls_are_settled() {
    let (room, server, gate) = before_echo(OPEN);
    let mut client = begun(&gate);
    let quick = client.start_call("sleep", json!({"ms": 300}));
    client.start_call("sleep", json!({"ms": 60_000}));
    server
        .log()
        .wait_until(Duration::from_secs(5), |log| log.calls().len() == 2);
    client.close_stdin();
    assert_eq!(
        client.answer(quick).text(),
        "slept",
        "what was asked is still answered"
    );
    client.ended();
    let record = Record::of(&room);
    record.assert_one_outcome_each();
    let mut statuses = record.statuses();
    statuses.sort_unstable();
    assert_eq!(statuses, ["ok", "unknown"]);
}

#[test]
fn a_message_that_is_too_large_is_refused_and_the_session_lives_on() {
    let (_room, server, gate) = before_echo(OPEN);
    let mut client = begun(&gate);
    client.send(&call("5", "echo", &json!({"text": "x".repeat(17 << 20)})));
    assert_eq!(client.answer(Value::Null).reason(), Some("too_large"));
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    // Just below the bound it passes, there and back.
    let text = "y".repeat((16 << 20) - 200);
    assert_eq!(
        client.call("echo", json!({"text": text})).text().len(),
        text.len()
    );
    assert_eq!(server.log().calls().len(), 2);
}

#[test]
fn a_cancelled_call_that_has_not_left_does_not_leave() {
    let (room, server, gate) = before(OPEN, |room| StdioServer::echo(room).mischief("slow-start"));
    let mut client = gate.stdio();
    // The server reads nothing yet, so the call waits for the list of tools.
    let id = client.start_call("echo", json!({"text": "hi"}));
    client.notify("notifications/cancelled", json!({"requestId": id}));
    client.initialize("2025-06-18");
    assert_eq!(client.call("echo", json!({"text": "other"})).text(), "other");
    assert_eq!(server.log().calls_of("echo"), [json!({"text": "other"})]);
    client.close_stdin();
    client.ended();
    let record = Record::of(&room);
    record.assert_one_outcome_each();
    assert_eq!(client.count_of(id), 0, "a cancelled call has no answer");
}

#[test]
fn a_cancelled_call_is_cancelled_at_the_server_once() {
    let (room, server, gate) = before_echo(OPEN);
    let mut client = begun(&gate);
    let id = client.start_call("sleep", json!({"ms": 60_000}));
    server
        .log()
        .wait_until(Duration::from_secs(5), |log| log.calls().len() == 1);
    for _ in 0..2 {
        client.send(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{ "requestId":{id}, "reason":"\u0065nough"}}}}"#
        ));
    }
    client.request("ping", json!({}));
    let cancelled = server
        .log()
        .lines()
        .into_iter()
        .filter(|line| line.contains("notifications/cancelled"));
    assert_eq!(
        cancelled.collect::<Vec<_>>(),
        [format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{ "requestId":{id}, "reason":"\u0065nough"}}}}"#
        )]
    );
    client.close_stdin();
    client.ended();
    assert_eq!(Record::of(&room).statuses(), ["cancelled"]);
}

#[test]
fn many_calls_are_in_flight_at_once_and_none_waits_for_another() {
    let (_room, _server, gate) = before_echo(OPEN);
    let mut client = begun(&gate);
    let slow: Vec<u64> = (0..50)
        .map(|_| client.start_call("sleep", json!({"ms": 1_500})))
        .collect();
    let began = std::time::Instant::now();
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    assert_eq!(client.call("add", json!({"a": 1, "b": 2})).text(), "3");
    assert!(
        began.elapsed() < Duration::from_millis(1_200),
        "{:?}",
        began.elapsed()
    );
    for id in slow {
        assert_eq!(client.answer(id).text(), "slept");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn an_answer_that_the_server_did_not_ask_for_does_not_reach_it() {
    let (room, server, gate) = before_echo(OPEN);
    let mut client = begun(&gate);
    client.send(r#"{"jsonrpc":"2.0","id":"ask-0","result":{"roots":[]}}"#);
    let call = client.start_call("ask", json!({"what": "roots"}));
    let asked = client.message("roots/list");
    client.reply(&asked, json!({"roots": []}));
    client.reply(&asked, json!({"roots": [], "twice": true}));
    assert!(client.answer(call).text().starts_with("the client said"));
    client.request("ping", json!({}));
    let answers = server
        .log()
        .lines()
        .into_iter()
        .filter(|line| line.contains("ask-0"))
        .count();
    assert_eq!(answers, 1, "{:#?}", server.log().lines());
    client.close_stdin();
    client.ended();
    assert!(Record::of(&room).has("drop"));
}
