//! Ways in which one party held up another.

use crate::support::{OPEN, Record, before_echo, begun, state, until};
use callgate_testkit::Room;
use callgate_testkit::client::modern;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What a modern client says again in headers.
fn mirrored(method: &str, tool: &str) -> Vec<(String, String)> {
    [("mcp-method", method), ("mcp-name", tool)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

/// A modern call with a token for its progress.
fn with_progress(tool: &str, arguments: &Value, token: &str) -> String {
    let mut params = modern(json!({"name": tool, "arguments": arguments}));
    params["_meta"]["progressToken"] = token.into();
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
}

fn once_settled(room: &Room) -> Record {
    Record::once(room, "all outcomes are written", |record| {
        !record.intents().is_empty() && record.is_settled()
    })
}

#[test]
fn a_client_over_http_that_does_not_read_holds_up_no_other() {
    let (_room, server, gate) =
        before_echo("version: \"1\"\ndefault: allow\ntools: {sleep: {timeout: 1s}}\n");
    let gate = gate.http();
    let idle = gate.client().modern();
    // More than the sockets hold: 10,000 times 4 KiB.
    let body = with_progress("progress", &json!({"steps": 10_000, "ms": 0}), &"t".repeat(4_096));
    let _unread = idle.send("POST", &mirrored("tools/call", "progress"), body.as_bytes());
    server
        .log()
        .wait_until(Duration::from_secs(5), |log| log.calls().len() == 1);
    std::thread::sleep(Duration::from_millis(700));
    let mut other = gate.client().modern();
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(other.call("echo", json!({"text": "hi"})).text(), "hi");
    }
    let late = other.call("sleep", json!({"ms": 60_000}));
    assert_eq!(late.reason(), Some("deadline"), "{}", late.raw);
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}

#[test]
fn subscriptions_that_clients_close_are_cancelled_and_do_not_pile_up() {
    const TIMES: usize = 20;
    let (_room, server, gate) = before_echo(OPEN);
    let gate = gate.http();
    let mut client = gate.client().modern();
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    for _ in 0..TIMES {
        let mut stream = client.open(
            "subscriptions/listen",
            json!({"notifications": {"toolsListChanged": true}}),
        );
        let acknowledged = stream.event();
        assert_eq!(
            acknowledged.json["method"],
            "notifications/subscriptions/acknowledged"
        );
    }
    server.log().wait_until(Duration::from_secs(3), |log| {
        log.of_method("notifications/cancelled").len() == TIMES
    });
    assert_eq!(server.log().of_method("subscriptions/listen").len(), TIMES);
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
}

#[test]
fn a_server_that_announces_its_list_all_the_time_does_not_put_off_a_tighter_policy() {
    let loose = "version: \"1\"\ndefault: deny\ntools: {grow: {}, add: {}}\n";
    let strict = "version: \"1\"\ndefault: deny\ntools: {grow: {}}\n";
    let (_room, _server, gate) = before_echo(loose);
    let mut client = begun(&gate, "2025-06-18");
    let sum = json!({"a": 1, "b": 2});
    assert_eq!(client.call("add", sum.clone()).text(), "3");
    std::fs::write(gate.policy_path(), strict).unwrap();
    let end = Instant::now() + Duration::from_secs(3);
    loop {
        assert_eq!(client.call("grow", json!({})).text(), "grown");
        if client.call("add", sum.clone()).is_denied() {
            break;
        }
        assert!(Instant::now() < end, "the tighter policy is not in force");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_client_cannot_cancel_what_another_asked_under_the_same_id() {
    let (room, server, gate) = before_echo(OPEN);
    let gate = gate.http();
    let mut first = gate.client().modern();
    let second = gate.client().modern();
    let stream = first.open_call("sleep", json!({"ms": 1_500}));
    server
        .log()
        .wait_until(Duration::from_secs(5), |log| log.calls().len() == 1);
    for params in [json!({"requestId": 1}), modern(json!({"requestId": 1}))] {
        let note = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
        let headers = [("mcp-method".to_owned(), "notifications/cancelled".to_owned())];
        let _ = second.send("POST", &headers, note.to_string().as_bytes()).rest();
    }
    assert_eq!(stream.rest().answer().text(), "slept");
    assert!(server.log().of_method("notifications/cancelled").is_empty());
    assert_eq!(once_settled(&room).statuses(), ["ok"]);
}

#[test]
fn a_state_folder_that_another_process_holds_denies_in_time_and_does_not_keep_the_gate_from_ending() {
    let (room, server, gate) = before_echo(OPEN);
    let mut client = begun(&gate, "2025-06-18");
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    let lock = std::fs::File::options()
        .write(true)
        .open(state(&room).join("write.lock"))
        .unwrap();
    lock.lock().unwrap();
    let began = Instant::now();
    let denied = client.call("echo", json!({"text": "held"}));
    assert_eq!(denied.reason(), Some("store_unavailable"), "{}", denied.raw);
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert_eq!(server.log().calls().len(), 1);
    client.signal(rustix::process::Signal::TERM);
    assert!(
        client.ended_within(Duration::from_secs(15)).is_some(),
        "the gate does not end"
    );
    lock.unlock().unwrap();
    // Whoever comes next closes what was left open.
    let mut next = begun(&gate, "2025-06-18");
    assert_eq!(next.call("echo", json!({"text": "again"})).text(), "again");
    next.close_stdin();
    next.ended();
    until("all is settled", || Record::of(&room).is_settled().then_some(()));
    Record::of(&room).assert_one_outcome_each();
}
