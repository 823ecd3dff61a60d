//! `callgate serve` while things change: what has begun before a revocation, a rotation or the end.

use crate::support::streamed::Streamed;
use crate::support::upstream::{Upstream, housekeeping, read, reply};
use crate::support::{state, until};
use crate::team::{Stage, Team, initialize};
use callgate_testkit::client::modern;
use callgate_testkit::process::{is_alive, is_gone_within};
use callgate_testkit::{Process, StdioServer};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
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
    until("the new token is let in", || {
        (team.client("mail", &new).listen().status() != 401).then_some(())
    });
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
    assert!(is_alive(pid));
    team.process.signal(Signal::TERM);
    team.process.ended();
    assert!(is_gone_within(pid, Duration::from_millis(200)));
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

#[test]
fn a_task_belongs_to_the_grant_whose_call_made_it() {
    let mut stage = Stage::new();
    // A server that knows all that come from the gateway as one.
    let mail = Upstream::start(|asked| {
        let message = asked.json();
        let task =
            json!({"taskId": "t-1", "status": "working", "createdAt": "2026-01-01T00:00:00Z", "ttl": null});
        let result = match message["method"].as_str() {
            Some("tools/call") => json!({"task": task}),
            Some("tasks/list") => json!({"tasks": [task]}),
            Some(method) if method.starts_with("tasks/") => json!({"content": [], "taskId": "t-1"}),
            _ => return housekeeping(asked),
        };
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        reply("200 OK", "application/json", &answer.to_string())
    });
    stage.config["servers"]["mail"] = json!({"url": mail.url});
    let tokens = ["ana", "bob"].map(|label| stage.grant(label, &["mail=open"]));
    let team = stage.serve();
    let [mut ana, mut bob] = tokens.each_ref().map(|token| team.begun("mail", token));
    let made = ana.request(
        "tools/call",
        json!({"name": "echo", "arguments": {}, "task": {"ttl": 60000}}),
    );
    assert_eq!(made.json["result"]["task"]["taskId"], "t-1", "{}", made.raw);
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let own = ana.request(method, json!({"taskId": "t-1"}));
        assert_eq!(own.json["result"]["taskId"], "t-1", "{}", own.raw);
        let [another, unknown] = ["t-1", "t-2"].map(|task| bob.request(method, json!({"taskId": task})));
        assert_eq!(another.reason(), Some("task_not_found"), "{}", another.raw);
        assert_eq!(another.json["error"], unknown.json["error"]);
        assert_eq!(another.json["error"]["code"], -32_602);
    }
    // Whose the tasks of a list are is not said in it.
    for client in [&mut ana, &mut bob] {
        let list = client.request("tasks/list", json!({}));
        assert_eq!(list.reason(), Some("task_not_found"), "{}", list.raw);
    }
    let listen = json!({"notifications": {"taskIds": ["t-1"]}});
    let modern = team
        .client("mail", &tokens[1])
        .modern()
        .request("subscriptions/listen", listen);
    assert_eq!(modern.reason(), Some("task_not_found"), "{}", modern.raw);
    let declaring = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}});
    let undeclaring = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}});
    for (method, meta, status, code) in [
        ("tasks/get", undeclaring, 400, -32_021),
        ("tasks/update", declaring.clone(), 200, -32_602),
        ("tasks/list", declaring.clone(), 404, -32_601),
        ("tasks/result", declaring, 404, -32_601),
    ] {
        let bob = team.client("mail", &tokens[1]).modern();
        let bob = bob.header("mcp-method", method).header("mcp-name", "t-1");
        let params = json!({"taskId": "t-1", "_meta": meta});
        let reply =
            bob.post(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string());
        let answer = reply.answer();
        let error = &answer.json["error"];
        assert_eq!(
            (reply.status, error["code"].as_i64()),
            (status, Some(code)),
            "{reply:?}"
        );
        assert_eq!(answer.reason(), Some("task_not_found"), "{reply:?}");
        let needed = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
        assert_eq!(
            code == -32_021,
            error["data"]["requiredCapabilities"] == needed,
            "{reply:?}"
        );
    }
    let asked = mail.asked();
    let of_tasks = asked.iter().filter(|asked| asked.body.contains("tasks/")).count();
    assert_eq!(of_tasks, 3);
}

/// The status line that bytes get, sent as they are.
fn status_of(team: &Team, head: &str, body: &str) -> String {
    let authority = team.url.strip_prefix("http://").unwrap();
    let socket = TcpStream::connect(authority).unwrap();
    let mut reader = BufReader::new(socket);
    let head = head.replace("HOST", &format!("host: {authority}"));
    let common = format!(
        "content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    reader.get_mut().write_all((head + &common).as_bytes()).unwrap();
    line(&mut reader)
        .trim_end()
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_path_or_a_header_that_is_spelt_oddly_reaches_nothing() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let body = initialize();
    let by_path = |path: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nHOST\r\nauthorization: Bearer {ana}\r\n");
        status_of(&team, &head, &body)
    };
    let odd = [
        "/mcp//notes",
        "/mcp/notes/",
        "/mcp/%6eotes",
        "/mcp/NOTES",
        "/mcp/notes/../notes",
        "/mcp/./notes",
        "//mcp/notes",
        "/MCP/notes",
        "/mcp/notes;x",
        "/mcp/notes%00",
        "/mcp/notes%3Fx",
        "/mcp/",
        "/",
        "/notes",
        "*",
    ];
    for path in odd {
        assert_eq!(by_path(path), "404", "{path}");
    }
    let by_head = |head: &str| status_of(&team, &format!("POST /mcp/notes HTTP/1.1\r\n{head}"), &body);
    for head in [
        format!("HOST\r\nauthorization: Bearer {ana}\r\nauthorization: Bearer {ana}\r\n"),
        format!("HOST\r\nauthorization: Bearer\t{ana}\r\n"),
        format!("HOST\r\nauthorization: Bearer  {ana}\r\n"),
        format!("HOST\r\nauthorization: Bearer {ana},Bearer {ana}\r\n"),
        format!("HOST\r\nauthorization: Bearer {ana} {ana}\r\n"),
        format!("HOST\r\nauthorization: Bearer {}\r\n", ana.to_uppercase()),
        format!("HOST\r\nauthorization: {ana}\r\n"),
        format!("HOST\r\nproxy-authorization: Bearer {ana}\r\n"),
        format!("HOST\r\ncookie: token={ana}\r\n"),
        "HOST\r\nauthorization: Bearer \u{e9}\r\n".to_owned(),
        "HOST\r\n".to_owned(),
    ] {
        assert_eq!(by_head(&head), "401", "{head}");
    }
    for head in [
        format!("authorization: Bearer {ana}\r\n"),
        format!("HOST\r\nHOST\r\nauthorization: Bearer {ana}\r\n"),
        format!("host: evil.example\r\nauthorization: Bearer {ana}\r\n"),
    ] {
        assert_eq!(by_head(&head), "403", "{head}");
    }
    let old = format!("POST /mcp/notes HTTP/1.0\r\nauthorization: Bearer {ana}\r\n");
    assert_eq!(status_of(&team, &old, &body), "403");
    assert!(stage.notes.messages().is_empty());
    assert_eq!(by_path("/mcp/notes?x=1"), "200");
    assert_eq!(
        by_head(&format!("HOST\r\nAUTHORIZATION: bEARER {ana}\r\n")),
        "200"
    );
}

#[test]
fn a_session_that_its_client_never_heard_of_ends_with_the_request() {
    let mut stage = Stage::new();
    let mute = StdioServer::echo(&stage.room).mischief("mute");
    let words: Vec<&str> = mute.words().iter().map(|word| word.to_str().unwrap()).collect();
    let pid = stage.room.at("pid");
    let script = format!("echo $$ > {}; exec \"$@\"", pid.display());
    let mut command = vec!["/bin/sh", "-c", &script, "sh"];
    command.extend(words);
    stage.config["servers"]["notes"] = json!({"command": command});
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let waiting = team
        .client("notes", &ana)
        .send("POST", &[], initialize().as_bytes());
    let pid: u32 = until("the child has started", || {
        std::fs::read_to_string(&pid).ok()?.trim().parse().ok()
    });
    drop(waiting);
    assert!(is_gone_within(pid, Duration::from_secs(5)));
}

#[test]
fn callers_that_come_through_a_proxy_are_not_taken_for_callers_on_this_machine() {
    let mut stage = Stage::new();
    stage.config["hosts"] = json!(["gate.example.com"]);
    let config = stage.room.write("callgate.yaml", &stage.config.to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.args(["serve", "-c"]).arg(config);
    let mut process = Process::start(&mut command);
    assert_eq!(process.ended().code(), Some(1));
    let _ = process.stderr_line("callgate grants create");
}

/// A stream of 2024-11-05, once it has named its address.
pub(crate) fn stream_of_2024(team: &Team, server: &str, token: &str) -> (BufReader<TcpStream>, String) {
    let authority = team.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(authority).unwrap();
    let head = format!(
        "GET /mcp/{server}/sse HTTP/1.1\r\nconnection: close\r\nhost: {authority}\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(socket);
    let address = until("the address is named", || {
        line(&mut reader)
            .strip_prefix("data: ")
            .map(|address| address.trim().to_owned())
    });
    (reader, address)
}

#[test]
fn a_client_that_does_not_read_its_stream_is_not_answered_without_end() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["mail=open"]);
    let team = stage.serve();
    let client = Streamed::open(&format!("{}/mcp/mail/sse", team.url), &ana);
    assert_eq!(client.post_text(&initialize()), 202);
    let (text, mut ids) = ("x".repeat(256 * 1024), 0_u64..);
    let status = until("it is told to read first", || {
        let call = json!({"jsonrpc": "2.0", "id": 2 + ids.next().unwrap(),
            "method": "tools/call", "params": {"name": "echo", "arguments": {"text": text}}});
        let status = client.post(&call);
        (status != 202).then_some(status)
    });
    assert_eq!(status, 429);
}

#[test]
fn a_stream_ends_with_its_grant_whatever_is_still_being_sent() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["mail=open"]);
    let team = stage.serve();
    let stream = Streamed::open(&format!("{}/mcp/mail/sse", team.url), &ana);
    let rest = stream.address().strip_prefix("/mcp/").unwrap();
    let _sending = let_in(&team, rest, &ana, "", 1_000);
    stage.grants(&["revoke", "ana"]);
    stream.ends_within(Duration::from_secs(3));
}

/// A server of 2024-11-05 that takes each message by a response whose body never ends.
fn endless() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/sse", listener.local_addr().unwrap());
    let stream: Arc<Mutex<Option<TcpStream>>> = Arc::default();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let stream = Arc::clone(&stream);
            std::thread::spawn(move || {
                let mut reader = BufReader::new(socket.try_clone().unwrap());
                let Some(asked) = read(&mut reader) else { return };
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
                if asked.method == "GET" {
                    let named = format!("{head}event: endpoint\ndata: /messages\n\n");
                    // Whoever answers a message waits for it.
                    let mut stream = stream.lock().unwrap();
                    socket.write_all(named.as_bytes()).unwrap();
                    *stream = Some(socket);
                    return;
                }
                let taken = "HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n";
                socket.write_all(taken.as_bytes()).unwrap();
                let message = asked.json();
                if message.get("id").is_some() {
                    let answer = if message["method"] == "tools/call" {
                        let result = json!({"content": [{"type": "text", "text": "done"}]});
                        json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string()
                    } else {
                        let reply = housekeeping(&asked);
                        reply.split("\r\n\r\n").nth(1).unwrap().to_owned()
                    };
                    let mut stream = stream.lock().unwrap();
                    let event = format!("data: {answer}\n\n");
                    stream.as_mut().unwrap().write_all(event.as_bytes()).unwrap();
                }
                let _ = reader.read(&mut [0; 1]);
            });
        }
    });
    url
}

#[test]
fn a_server_that_never_ends_what_it_has_taken_holds_up_no_other_message() {
    let mut stage = Stage::new();
    stage.config["servers"]["mail"] = json!({"url": endless(), "transport": "sse"});
    let ana = stage.grant("ana", &["mail=open"]);
    let team = stage.serve();
    let mut client = team.begun("mail", &ana);
    assert_eq!(client.call("echo", json!({})).text(), "done");
}

#[test]
fn connections_without_a_request_keep_nobody_out() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let team = stage.serve_after("ulimit -Sn 64");
    let authority = team.url.strip_prefix("http://").unwrap();
    let silent: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(authority).unwrap()).collect();
    for server in ["notes", "mail"] {
        let mut client = team.begun(server, &ana);
        assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    }
    drop(silent);
}
