//! `/mcp/sse`: all servers as one over the HTTP transport of 2024-11-05.

use super::{begun, everything, received, scripted};
use crate::support::streamed::Streamed;
use crate::support::{Record, until};
use crate::team::{Stage, Team};
use callgate_testkit::PATIENCE;
use callgate_testkit::process::is_gone_within;
use rustix::process::Signal;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A revocation is seen within a second; the rest is for a machine that is busy.
const REVOKED_WITHIN: Duration = Duration::from_secs(3);

fn stream(team: &Team, token: &str) -> Streamed {
    Streamed::open(&format!("{}/mcp/sse", team.url), token)
}

#[test]
fn a_stream_is_a_session_with_all_servers_and_belongs_to_its_grant() {
    let stage = Stage::new();
    let [ana, bob] = ["ana", "bob"].map(|label| stage.grant(label, &["notes=open", "mail=echo-only"]));
    let team = stage.serve();
    let mut client = stream(&team, &ana);
    assert!(
        client.address().starts_with("/mcp/sse/messages?sessionId="),
        "{}",
        client.address()
    );
    let greeting = client.initialize();
    assert_eq!(greeting.result()["protocolVersion"], "2024-11-05");
    assert_eq!(greeting.result()["serverInfo"]["name"], "callgate");
    let listed = client.request("tools/list", &json!({}));
    let names: BTreeSet<String> = listed.tool_names().into_iter().collect();
    assert!(
        names.contains("notes__add") && names.contains("mail__echo"),
        "{names:?}"
    );
    assert!(!names.contains("mail__add"), "{names:?}");
    for server in ["notes", "mail"] {
        let answer = client.call(&format!("{server}__echo"), &json!({"text": server}));
        assert_eq!(answer.text(), server);
    }
    let denied = client.call("mail__add", &json!({"a": 1, "b": 2}));
    assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
    let twice = r#"{"jsonrpc":"2.0","id":90,"method":"tools/call","params":{"name":"notes__echo","name":"mail__echo"}}"#;
    assert_eq!(client.post_text(twice), 202);
    assert_eq!(client.next().json["error"]["code"], -32_600);
    // Nobody else has a part in it, nor is it found by another way.
    let call = json!({"jsonrpc": "2.0", "id": 91, "method": "tools/call",
        "params": {"name": "notes__echo", "arguments": {"text": "theft"}}});
    let address = client.address().to_owned();
    let status = |token: &str, path: &str| everything(&team, token).path(path).post(&call.to_string()).status;
    assert_eq!(status(&bob, &address), 404);
    let alone = address.replace("/mcp/sse/", "/mcp/notes/");
    for wrong in [&alone, "/mcp/sse/messages?sessionId=0"] {
        assert_eq!(status(&ana, wrong), 404, "{wrong}");
    }
    for wrong in ["/mcp/sse/messages", &format!("{address}&sessionId=0")] {
        assert_eq!(status(&ana, wrong), 400, "{wrong}");
    }
    let mut by_header = everything(&team, &ana);
    by_header.set_session(Some(client.session()));
    assert_eq!(by_header.post(&call.to_string()).status, 404);
    assert_eq!(by_header.delete(), 404);
    // The client closes its stream, and the session ends with its children.
    let pid = stage.notes.notes_of("pid").last().unwrap().parse().unwrap();
    drop(client);
    assert!(is_gone_within(pid, PATIENCE), "the child stayed");
    assert_eq!(status(&ana, &address), 404);
    let record = Record::once(&stage.room, "both calls are settled", |record| {
        record.statuses() == ["ok", "ok"]
    });
    let sessions: BTreeSet<_> = record
        .intents()
        .iter()
        .map(|intent| intent.session.clone())
        .collect();
    assert_eq!(sessions.len(), 1, "one session with both");
    assert_eq!(record.denials().len(), 1);
    assert_eq!(stage.notes.calls().len() + stage.mail.log().calls().len(), 2);
}

#[test]
fn nothing_reaches_a_server_before_the_client_has_begun() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let team = stage.serve();
    let mut client = stream(&team, &ana);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"notes__echo","arguments":{"text":"x"}}}"#;
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05"}}"#;
    for early in [
        call,
        &format!("[{hello},{call}]"),
        "{",
        &hello.replacen("\"id\":1,", "", 1),
    ] {
        assert_eq!(client.post_text(early), 400, "{early}");
    }
    let record = Record::once(&stage.room, "what cannot be read is recorded", |record| {
        record.0.iter().any(|body| body.kind().as_str() == "malformed")
    });
    assert!(record.intents().is_empty());
    assert!(stage.notes.messages().is_empty() && stage.mail.log().messages().is_empty());
    client.initialize();
    assert_eq!(client.call("notes__echo", &json!({"text": "hi"})).text(), "hi");
    // It begins once.
    assert!(
        client
            .request("initialize", &json!({"protocolVersion": "2024-11-05"}))
            .error_code()
            .is_some()
    );
    assert_eq!(stage.notes.of_method("initialize").len(), 1);
}

#[test]
fn what_servers_ask_and_tell_comes_on_the_stream() {
    let mut stage = Stage::new();
    let lines = "if k == 'notifications/initialized': tell('notifications/message', {'level': 'info', 'data': 'begun'})";
    stage.config["servers"]["loud"] = scripted(&stage.room, "loud", lines);
    let ana = stage.grant("ana", &["notes=open", "loud=open"]);
    let team = stage.serve();
    let mut client = stream(&team, &ana);
    client.initialize();
    let told = until("the server has said it", || {
        let message = client.next();
        (message.json["method"] == "notifications/message").then_some(message)
    });
    assert_eq!(told.json["params"]["data"], "begun");
    let call = client.send(
        "tools/call",
        &json!({"name": "notes__ask", "arguments": {"what": "elicitation"}}),
    );
    let asked = until("the server asks", || {
        let message = client.next();
        (message.json["method"] == "elicitation/create").then_some(message)
    });
    assert!(
        asked.json["id"].as_str().unwrap().starts_with("notes:"),
        "{}",
        asked.raw
    );
    let answer = json!({"jsonrpc": "2.0", "id": asked.json["id"], "result": {"action": "decline"}});
    assert_eq!(client.post(&answer), 202);
    assert!(client.answer_to(call).text().contains("decline"));
    // A server that comes later is told of, and can be called.
    stage.grants(&["attach", "ana", "mail", "--policy", "echo-only"]);
    until("mail is there", || {
        let answer = client.call("mail__echo", &json!({"text": "hi"}));
        (!answer.is_tool_error()).then_some(())
    });
}

#[test]
fn a_revocation_ends_streams_within_a_second_whatever_they_wait_for() {
    let mut stage = Stage::new();
    let silent = json!({"command": ["/bin/sh", "-c", "exec sleep 600"], "env": {"PATH": "${env:PATH}"}});
    stage.config["servers"]["silent"] = silent;
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let slow = stage.grant("slow", &["silent=open"]);
    let team = stage.serve();
    let unbegun = stream(&team, &ana);
    let mut begun = stream(&team, &ana);
    begun.initialize();
    let mut calling = stream(&team, &ana);
    calling.initialize();
    let call = json!({"name": "notes__sleep", "arguments": {"ms": 60_000}});
    calling.send("tools/call", &call);
    until("the call has reached its server", || {
        (!stage.notes.calls().is_empty()).then_some(())
    });
    let mut greeting = stream(&team, &slow);
    greeting.send(
        "initialize",
        &json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}),
    );
    let mut sending = stream(&team, &ana);
    sending.initialize();
    let authority = team.url.strip_prefix("http://").unwrap();
    let mut half = TcpStream::connect(authority).unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {ana}\r\ncontent-type: application/json\r\n\
         content-length: 1000\r\nexpect: 100-continue\r\n\r\n",
        sending.address()
    );
    half.write_all(head.as_bytes()).unwrap();
    half.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut line = String::new();
    BufReader::new(half.try_clone().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("HTTP/1.1 100"), "{line}");
    stage.grants(&["revoke", "ana"]);
    stage.grants(&["revoke", "slow"]);
    std::thread::scope(|scope| {
        for open in [unbegun, begun, calling, greeting, sending] {
            scope.spawn(move || open.ends_within(REVOKED_WITHIN));
        }
    });
    Record::once(&stage.room, "the call has ended", |record| {
        record.statuses().len() == 1
    })
    .assert_one_outcome_each();
}

#[test]
fn a_signal_lets_an_open_call_end_on_its_stream() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let mut team = stage.serve();
    let mut client = stream(&team, &ana);
    client.initialize();
    client.send(
        "tools/call",
        &json!({"name": "notes__sleep", "arguments": {"ms": 700}}),
    );
    until("the call has reached its server", || {
        (!stage.notes.calls().is_empty()).then_some(())
    });
    team.process.signal(Signal::TERM);
    let rest = client.ends_within(PATIENCE);
    assert!(rest.contains("slept"), "{rest}");
    assert_eq!(team.process.ended().code(), Some(143));
    Record::of(&stage.room).assert_one_outcome_each();
}

#[test]
fn streams_that_are_not_read_and_streams_without_end_are_bounded() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["mail=open"]);
    let team = stage.serve();
    let mut unread = stream(&team, &ana);
    unread.initialize();
    let (text, mut ids) = ("x".repeat(256 * 1024), 100_u64..);
    let status = until("it is told to read first", || {
        let call = json!({"jsonrpc": "2.0", "id": ids.next().unwrap(), "method": "tools/call",
            "params": {"name": "mail__echo", "arguments": {"text": text}}});
        let status = unread.post(&call);
        (status != 202).then_some(status)
    });
    assert_eq!(status, 429);
    // Both kinds of session are counted together: 30 a minute.
    let _open: Vec<Streamed> = (0..28).map(|_| stream(&team, &ana)).collect();
    let _last = begun(&team, &ana);
    let refused = everything(&team, &ana).path("/mcp/sse").listen().status();
    assert_eq!(refused, 429);
}

#[test]
fn a_limit_of_a_session_is_one_of_the_stream() {
    let stage = Stage::new();
    let limits =
        "version: \"1\"\ndefault: allow\ntools: {echo: {limits: [{window: hour, max: 2, scope: session}]}}\n";
    stage.room.write("open.yaml", limits);
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    for _ in 0..2 {
        let mut client = stream(&team, &ana);
        client.initialize();
        let mut call = || client.call("notes__echo", &json!({"text": "x"})).is_denied();
        assert_eq!([call(), call(), call()], [false, false, true]);
    }
}

#[test]
fn other_paths_and_methods_lead_nowhere() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    for (method, path, status) in [
        ("POST", "/mcp/sse", 405),
        ("DELETE", "/mcp/sse", 405),
        ("GET", "/mcp/sse/messages?sessionId=0", 405),
        ("GET", "/mcp/sse/", 404),
        ("GET", "/mcp/sse/sse", 404),
        ("GET", "/mcp/SSE", 404),
        ("GET", "/sse", 404),
    ] {
        let client = everything(&team, &ana).path(path);
        assert_eq!(client.send(method, &[], b"").status(), status, "{method} {path}");
    }
    assert_eq!(everything(&team, "wrong").path("/mcp/sse").listen().status(), 401);
    assert!(received(&stage.room, "none").is_empty());
}
