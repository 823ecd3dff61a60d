//! What clients try by way of traces, and what must not be told.

use super::{PARENT, SPAN, TRACE, seen, stage, traced, with_meta};
use crate::support::collector::Collector;
use crate::support::{OPEN, Record, before_echo, until};
use crate::team::Stage;
use callgate_testkit::client::call;
use serde_json::{Value, json};

const SECRET: &str = "s3cret";

#[test]
fn no_value_no_name_that_was_made_up_and_no_secret_is_told() {
    let collector = Collector::start();
    let mut stage: Stage = stage(&collector);
    stage.room.write("collector-token", SECRET);
    stage.config["traces"]["headers"] = json!({"X-Token": "${file:collector-token}"});
    stage.config["servers"]["mail"]["headers"] = json!({"X-Key": "s3cret-of-mail"});
    let policy = "version: \"1\"\ndefault: allow\ntools:\n  add:\n    rules: [{conditions: [{path: args.a, op: lt, value: 5}], on_deny: s3cret-words}]\n";
    stage.room.write("open.yaml", policy);
    let token = stage.grant("s3cret-label", &["notes=open", "mail=open"]);
    let team = stage.serve();
    for server in ["notes", "mail"] {
        let mut client = team.begun(server, &token).header("x-client", "s3cret-header");
        assert!(
            client
                .call("echo", json!({"text": "s3cret-result", "s3cret-key": 1}))
                .text()
                .contains(SECRET)
        );
        client.call("fail", json!({"text": "s3cret-error"}));
        client.call("add", json!({"a": 7, "b": 1, "s3cret": 1}));
        client.call("s3cret-tool", json!({}));
        client.request("s3cret/method", json!({"s3cret": 1}));
        client.request("resources/read", json!({"uri": "file:///s3cret"}));
        client.request(
            "prompts/get",
            json!({"name": "s3cret-prompt", "arguments": {"s3cret": "s3cret"}}),
        );
        let odd_id = r#"{"jsonrpc":"2.0","id":"s3cret-id","method":"tools/call","params":{"name":"echo","_meta":{"progressToken":"s3cret-token","s3cret":1,"traceparent":"s3cret","baggage":"s3cret=1"},"arguments":{"text":"x"}}}"#;
        assert_eq!(client.post(odd_id).status, 200);
    }
    let mut all = team.client("", &token).path("/mcp").modern();
    all.call("s3cret__tool", json!({"s3cret": 1}));
    all.call("notes__s3cret", json!({}));
    // The last one is there, so the others are.
    until("all calls are told", || {
        let calls = collector.spans();
        let calls = calls
            .iter()
            .filter(|span| span.name.starts_with("tools/call") && span.kind == 2);
        (calls.count() == 12).then_some(())
    });
    for sent in collector.sent() {
        let body = String::from_utf8_lossy(&sent.body);
        for secret in [SECRET, token.as_str(), "file:///"] {
            assert!(!body.contains(secret), "{secret} in {body}");
        }
        assert!(sent.head.contains("x-token: s3cret\r\n"), "{}", sent.head);
        assert!(
            sent.head.starts_with("POST /v1/traces HTTP/1.1\r\n"),
            "{}",
            sent.head
        );
        assert!(
            sent.head.contains("content-type: application/x-protobuf\r\n"),
            "{}",
            sent.head
        );
    }
    assert!(
        !team.process.stderr().contains(SECRET),
        "{}",
        team.process.stderr()
    );
}

/// What clients may put in place of a context, as JSON.
fn oddities() -> Vec<String> {
    let mut odd: Vec<String> = [
        "null",
        "7",
        "[]",
        "{}",
        "\"\"",
        r#""00-00000000000000000000000000000000-00f067aa0ba902b7-01""#,
        r#""00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01""#,
        r#""ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01""#,
        r#""00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x""#,
        r#""00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nx-evil: 1""#,
        r#""00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\u0000""#,
    ]
    .iter()
    .map(ToString::to_string)
    .collect();
    odd.push(format!("\"{}\"", PARENT.to_uppercase()));
    odd.push(format!("\"{}\"", "0".repeat(1 << 20)));
    odd
}

#[test]
fn what_is_no_context_begins_a_trace_and_goes_no_further() {
    for odd in oddities() {
        let collector = Collector::start();
        let (_room, server, gate) = before_echo(OPEN);
        let mut client = traced(gate, &collector).stdio();
        client.initialize("2025-11-25");
        client.send(&format!(
            r#"{{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{{"name":"echo","_meta":{{"traceparent":{odd},"tracestate":"evil=1"}},"arguments":{{"text":"hi"}}}}}}"#
        ));
        assert_eq!(client.answer(9).text(), "hi", "{odd:.80}");
        let (own, outward) = collector.call();
        assert!(own.parent.is_empty() && own.trace != TRACE, "{odd:.80}");
        let meta = seen(&server.log().of_method("tools/call"));
        assert_eq!(meta, json!({"traceparent": outward.traceparent()}), "{odd:.80}");
    }
}

#[test]
fn what_is_no_state_is_dropped_and_what_is_large_is_cut() {
    let long: Vec<String> = (0..20)
        .map(|number| format!("k{number}={}", "v".repeat(60)))
        .collect();
    let many: Vec<String> = (0..33).map(|number| format!("k{number}=v")).collect();
    for (state, kept) in [
        (json!("a=1,a=2"), None),
        (json!("A=1"), None),
        (json!("a=1\r\nx-evil: 1"), None),
        (json!("a=\u{0}"), None),
        (json!("a=é"), None),
        (json!(7), None),
        (json!(many.join(",")), None),
        (json!("x".repeat(1 << 20)), None),
        (json!(long.join(",")), Some(long[..8].join(","))),
    ] {
        let collector = Collector::start();
        let (_room, server, gate) = before_echo(OPEN);
        let mut client = traced(gate, &collector).stdio();
        client.initialize("2025-11-25");
        let meta = json!({"traceparent": PARENT, "tracestate": state});
        let told = client.request("tools/call", with_meta("echo", &json!({"text": "hi"}), &meta));
        assert_eq!(told.text(), "hi");
        let (own, _) = collector.call();
        assert_eq!((own.trace.as_str(), own.parent.as_str()), (TRACE, SPAN));
        let seen = seen(&server.log().of_method("tools/call"));
        assert_eq!(
            seen.get("tracestate").and_then(Value::as_str),
            kept.as_deref(),
            "{own:?}"
        );
    }
}

#[test]
fn a_name_twice_or_in_another_case_fools_nobody() {
    let collector = Collector::start();
    let (_room, server, gate) = before_echo(OPEN);
    let mut client = traced(gate, &collector).stdio();
    client.initialize("2025-11-25");
    let call = |id: u32, meta: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","_meta":{{{meta}}},"arguments":{{"text":"hi"}}}}}}"#
        )
    };
    for meta in [
        format!(r#""traceparent":"{PARENT}","traceparent":"{PARENT}""#),
        format!(r#""traceparent":"{PARENT}","TraceParent":"{PARENT}""#),
    ] {
        client.send(&call(1, &meta));
        assert_eq!(client.answer(Value::Null).error_code(), Some(-32_600), "{meta}");
    }
    // One that is only like it is the client's own affair: the message has no place for another.
    let line = call(2, &format!(r#""TraceParent":"{PARENT}""#));
    client.send(&line);
    assert_eq!(client.answer(2).text(), "hi");
    assert!(server.log().lines().contains(&line));
    let (own, _) = collector.call();
    assert!(own.parent.is_empty());
}

#[test]
fn what_is_judged_and_recorded_is_what_is_sent() {
    let collector = Collector::start();
    let policy = "version: \"1\"\ndefault: deny\ntools:\n  echo: {rules: [{conditions: [{path: args.text, op: eq, value: hi}]}]}\nmethods:\n  \"resources/read\": {}\n";
    let (room, server, gate) = before_echo(policy);
    let mut client = traced(gate, &collector).stdio();
    client.initialize("2025-11-25");
    let odd = r#"{ "params" : {"arguments":{ "text" : "hi" ,"n":1e2} , "name" : "echo" } ,"method":"tools/call", "id" : 3 ,"jsonrpc":"2.0"}"#;
    client.send(odd);
    assert_eq!(client.answer(3).text(), "hi");
    let (_, outward) = collector.call();
    let parent = outward.traceparent();
    let told = odd.replace(
        r#""params" : {"#,
        &format!(r#""params" : {{"_meta":{{"traceparent":"{parent}"}},"#),
    );
    assert!(
        server.log().lines().contains(&told),
        "{:#?}",
        server.log().lines()
    );
    let denied = odd.replace("\"hi\"", "\"no\"").replace(": 3", ": 4");
    client.send(&denied);
    assert!(client.answer(4).is_denied());
    let record = Record::once(&room, "the denial", |record| !record.denials().is_empty());
    record.assert_one_outcome_each();
    assert_eq!(server.log().of_method("tools/call").len(), 1);
}

#[test]
fn a_message_that_is_as_large_as_may_be_still_passes() {
    let collector = Collector::start();
    let (_room, server, gate) = before_echo(OPEN);
    let mut client = traced(gate, &collector).stdio();
    client.initialize("2025-11-25");
    let frame = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": call("echo", &json!({"text": ""}))});
    let room_left = (16 << 20) - frame.to_string().len();
    let line = frame
        .to_string()
        .replace(r#""text":"""#, &format!(r#""text":"{}""#, "x".repeat(room_left)));
    assert_eq!(line.len(), 16 << 20);
    client.send(&line);
    client.answer(5);
    assert_eq!(server.log().of_method("tools/call").len(), 1);
    assert!(server.log().lines().contains(&line), "it went as it came");
    collector.calls(2);
}
