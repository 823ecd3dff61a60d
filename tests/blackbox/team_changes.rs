//! `callgate serve` while things change: what has begun before a revocation, a rotation or the end.

use crate::support::{state, until};
use crate::team::{Stage, Team, initialize};
use callgate_testkit::StdioServer;
use callgate_testkit::client::modern;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

/// A request that was let in by its headers, and whose body is still to come.
fn let_in(team: &Team, server: &str, token: &str, more: &str, length: usize) -> BufReader<TcpStream> {
    let authority = team.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(authority).unwrap();
    let head = format!(
        "POST /mcp/{server} HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {token}\r\n{more}\
         content-type: application/json\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(socket);
    assert!(line(&mut reader).starts_with("HTTP/1.1 100"), "it was let in");
    assert_eq!(line(&mut reader), "\r\n");
    reader
}

fn line(reader: &mut BufReader<TcpStream>) -> String {
    let patience = Some(Duration::from_secs(5));
    reader.get_ref().set_read_timeout(patience).unwrap();
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line
}

#[test]
fn what_was_let_in_before_a_revocation_opens_nothing_after_it() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["mail=open", "notes=open"]);
    let team = stage.serve();
    let body = initialize();
    let listen =
        json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": modern(json!({}))});
    let listen = listen.to_string();
    let headers = "mcp-protocol-version: 2026-07-28\r\nmcp-method: subscriptions/listen\r\n";
    let mut waiting = [
        (let_in(&team, "mail", &ana, "", body.len()), &body),
        (let_in(&team, "notes", &ana, "", body.len()), &body),
        (let_in(&team, "mail", &ana, headers, listen.len()), &listen),
    ];
    stage.grants(&["revoke", "ana"]);
    until("the revocation is in force", || {
        matches!(team.client("notes", &ana).listen().status(), 401 | 429).then_some(())
    });
    for (reader, body) in &mut waiting {
        reader.get_mut().write_all(body.as_bytes()).unwrap();
        let status = line(reader);
        assert!(status.starts_with("HTTP/1.1 503"), "{status}");
    }
    assert_eq!(stage.notes.messages(), Vec::<Value>::new());
    assert_eq!(stage.mail.log().messages(), Vec::<Value>::new());
}

/// A server that answers all but tool calls, and tells when the connection of one is closed.
fn hanging() -> (String, mpsc::Receiver<()>, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let (called, calls) = mpsc::channel();
    let (closed, closings) = mpsc::channel();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let (called, closed) = (called.clone(), closed.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(socket);
                loop {
                    let mut length = 0;
                    let mut line = String::new();
                    while reader.read_line(&mut line).unwrap_or(0) > 0 && line != "\r\n" {
                        if let Some(value) = line.strip_prefix("content-length: ") {
                            length = value.trim().parse().unwrap();
                        }
                        line.clear();
                    }
                    let mut body = vec![0; length];
                    if line.is_empty() || reader.read_exact(&mut body).is_err() {
                        return;
                    }
                    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
                    let result = match asked["method"].as_str() {
                        Some("initialize") => json!({"protocolVersion": "2025-11-25",
                            "capabilities": {"tools": {}}, "serverInfo": {"name": "hanging", "version": "1"}}),
                        Some("tools/list") => {
                            json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]})
                        }
                        Some("tools/call") => {
                            called.send(()).unwrap();
                            let _ = reader.read(&mut [0; 1]);
                            closed.send(()).unwrap();
                            return;
                        }
                        _ => json!({}),
                    };
                    let body = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}).to_string();
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    let reply = if asked.get("id").is_some() {
                        head + &body
                    } else {
                        "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned()
                    };
                    reader.get_mut().write_all(reply.as_bytes()).unwrap();
                }
            });
        }
    });
    (url, calls, closings)
}

#[test]
fn a_call_that_hangs_holds_no_connection_once_its_session_has_ended() {
    let mut stage = Stage::new();
    let (url, calls, closings) = hanging();
    stage.config["servers"]["mail"] = json!({"url": url});
    let ana = stage.grant("ana", &["mail=open"]);
    let team = stage.serve();
    let patience = Duration::from_secs(5);
    let mut client = team.begun("mail", &ana);
    let call = client.open_call("echo", json!({}));
    calls
        .recv_timeout(patience)
        .expect("the call has reached the server");
    assert_eq!(client.delete(), 202);
    closings
        .recv_timeout(patience)
        .expect("nobody waits for the answer any more");
    drop(call);
    // So it is with a session that a revocation ends, and a client that stays.
    let mut client = team.begun("mail", &ana);
    let call = client.open_call("echo", json!({}));
    calls
        .recv_timeout(patience)
        .expect("the call has reached the server");
    stage.grants(&["revoke", "ana"]);
    closings
        .recv_timeout(patience)
        .expect("nobody waits for the answer any more");
    drop(call);
}

#[test]
fn a_token_that_was_rotated_admits_no_call_that_was_let_in_before_and_its_streams_end() {
    let stage = Stage::new();
    let old = stage.grant("ana", &["mail=open"]);
    let team = stage.serve();
    let mut client = team.begun("mail", &old);
    assert_eq!(client.call("echo", json!({"text": "before"})).text(), "before");
    let mut stream = client.listen();
    assert_eq!(stream.status(), 200);
    let call = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call",
        "params": {"name": "echo", "arguments": {"text": "after"}}})
    .to_string();
    let session = format!("mcp-session-id: {}\r\n", client.session().unwrap());
    let mut waiting = let_in(&team, "mail", &old, &session, call.len());
    let new = stage.grants(&["rotate", "ana"]);
    waiting.get_mut().write_all(call.as_bytes()).unwrap();
    let _ = line(&mut waiting);
    assert_eq!(
        stage.mail.log().calls().len(),
        1,
        "the call has reached the server"
    );
    let _ = stream.rest();
    let mut client = team.begun("mail", &new);
    assert_eq!(client.call("echo", json!({"text": "new"})).text(), "new");
}

#[test]
fn a_child_that_is_being_ended_does_not_outlive_the_gateway() {
    let mut stage = Stage::new();
    let stubborn = StdioServer::echo(&stage.room).mischief("stubborn");
    let words: Vec<&str> = stubborn
        .words()
        .iter()
        .map(|word| word.to_str().unwrap())
        .collect();
    let pid = stage.room.at("pid");
    // What the child has started is left behind by whoever ends the child alone.
    let script = format!("exec 3<&0; \"$@\" <&3 & echo $! > {}; wait", pid.display());
    let mut command = vec!["/bin/sh", "-c", &script, "sh"];
    command.extend(words);
    stage.config["servers"]["notes"] = json!({"command": command});
    let ana = stage.grant("ana", &["notes=open"]);
    let mut team = stage.serve();
    let client = team.begun("notes", &ana);
    let pid: u32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    stage.grants(&["revoke", "ana"]);
    until("the session has ended", || {
        matches!(client.post(&initialize()).status, 401 | 429).then_some(())
    });
    assert!(callgate_testkit::process::is_alive(pid));
    team.process.signal(Signal::TERM);
    team.process.ended();
    assert!(callgate_testkit::process::is_gone_within(
        pid,
        Duration::from_millis(200)
    ));
}

#[test]
fn policies_that_are_edited_at_once_are_all_known_to_the_store() {
    let mut stage = Stage::new();
    let policy = |window: &str, name: &str| {
        format!(
            "version: \"1\"\ndefault: deny\ntools:\n  echo:\n    limits: [{{counter: {name}, window: {window}, max: 5}}]\n"
        )
    };
    let names: Vec<String> = (0..4).map(|index| format!("p{index}")).collect();
    for name in &names {
        stage.room.write(&format!("{name}.yaml"), &policy("minute", name));
        stage.config["policies"][name] = json!(format!("{name}.yaml"));
    }
    let team = stage.serve();
    let database = state(&stage.room).join("callgate.db");
    let store = rusqlite::Connection::open(database).unwrap();
    // Nothing is written until all of them have been read.
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    for name in &names {
        stage.room.write(&format!("{name}.yaml"), &policy("day", name));
    }
    std::thread::sleep(Duration::from_secs(2));
    store.execute_batch("COMMIT").unwrap();
    for name in &names {
        let _ = team
            .process
            .stderr_line(&format!("the policy `{name}` was reloaded"));
    }
    let lengths: Vec<i64> = store
        .prepare("SELECT length FROM limit_in_force WHERE server = 'notes'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(lengths, [86_400_000_000_000; 4]);
}
