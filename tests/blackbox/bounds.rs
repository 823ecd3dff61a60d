//! What clients of `callgate serve` can take up: headers, bodies and connections are bounded, whoever is slow.

use crate::slow_clients::connections;
use crate::support::upstream::Upstream;
use crate::support::{Record, until};
use crate::team::{Stage, Team, initialize};
use callgate_testkit::PATIENCE;
use serde_json::json;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn connect(team: &Team) -> TcpStream {
    let socket = TcpStream::connect(team.url.trim_start_matches("http://")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A request's head for a server, without the line that ends it.
fn head(team: &Team, token: &str) -> String {
    let authority = team.url.trim_start_matches("http://");
    format!(
        "POST /mcp/notes HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n"
    )
}

fn status(socket: TcpStream) -> String {
    let mut line = String::new();
    let _ = BufReader::new(socket).read_line(&mut line);
    line.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn headers_without_end_are_refused() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let mut socket = connect(&team);
    let long = format!("{}x-long: {}\r\n", head(&team, &ana), "x".repeat(80 * 1024));
    // The gateway may have hung up before all of it is sent.
    let _ = socket.write_all(long.as_bytes());
    assert_eq!(status(socket), "431");
    let mut socket = connect(&team);
    let many = head(&team, &ana) + &"x-one: 1\r\n".repeat(200) + "\r\n";
    let _ = socket.write_all(many.as_bytes());
    assert_eq!(status(socket), "431");
    let mut client = team.begun("notes", &ana);
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
}

#[test]
fn a_client_that_does_not_end_its_headers_is_hung_up_on() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let mut socket = connect(&team);
    socket.write_all(head(&team, &ana).as_bytes()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let end = Instant::now() + 3 * PATIENCE;
    // It goes on sending a little, which is no use.
    let is_hung_up = loop {
        let _ = socket.write_all(b"x-slow: 1\r\n");
        match socket.read(&mut [0; 512]) {
            Ok(0) => break true,
            Err(cause) if cause.kind() != ErrorKind::WouldBlock => break true,
            Ok(_) | Err(_) if Instant::now() > end => break false,
            Ok(_) | Err(_) => {}
        }
    };
    assert!(is_hung_up);
}

#[test]
fn large_bodies_that_are_never_finished_fill_the_room_for_large_ones_and_no_more() {
    const MEGABYTE: usize = 1 << 20;
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let mut client = team.begun("notes", &ana);
    let part = vec![b' '; MEGABYTE];
    let begin = || {
        let mut socket = connect(&team);
        let head = format!("{}content-length: {}\r\n\r\n", head(&team, &ana), 16 * MEGABYTE);
        let mut sent = socket.write_all(head.as_bytes());
        for _ in 0..15 {
            sent = sent.and_then(|()| socket.write_all(&part));
        }
        socket
    };
    let held: Vec<TcpStream> = (0..8).map(|_| begin()).collect();
    // All of these are read before the gateway sees that one more has no room, but none is given up for its time.
    let mut one_more = begin();
    one_more.set_read_timeout(Some(Duration::from_secs(45))).unwrap();
    let mut answer = [0; 12];
    match one_more.read(&mut answer) {
        // The gateway hangs up on what it does not read, which may take its answer away.
        Ok(0) => {}
        Ok(_) => assert_eq!(&answer, b"HTTP/1.1 503"),
        Err(cause) => assert_ne!(cause.kind(), ErrorKind::WouldBlock, "it is not refused"),
    }
    // What is small passes all the same.
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    drop(held);
    let text = "x".repeat(MEGABYTE);
    until("there is room again", || {
        let reply = client.reply("tools/call", json!({"name": "echo", "arguments": {"text": text}}));
        (reply.status == 200).then_some(())
    });
}

/// Whether a message of a megabyte is taken.
#[track_caller]
fn large_messages_are_taken(team: &Team, token: &str) {
    let mut client = team.begun("notes", token);
    let large = json!({"name": "echo", "arguments": {"text": "x".repeat(1 << 20)}});
    let reply = client.reply("tools/call", large);
    assert_eq!(reply.status, 200, "{:.200}", reply.body);
}

#[test]
fn sessions_take_no_room_from_large_messages_however_they_were_begun() {
    let stage = Stage::new();
    let [ana, bo] = ["ana", "bo"].map(|label| stage.grant(label, &["notes=open"]));
    let team = stage.serve();
    let padded = initialize() + &" ".repeat(15 << 20);
    for path in ["/mcp/notes", "/mcp"] {
        for _ in 0..9 {
            let begun = team.client("", &ana).path(path).post(&padded);
            assert!(begun.header("mcp-session-id").is_some(), "{path}: {begun:?}");
        }
        large_messages_are_taken(&team, &bo);
    }
    // One that is large itself begins none: it is kept as long as its session.
    let large = initialize().replace("\"t\"", &format!("\"{}\"", "t".repeat(64 * 1024)));
    assert!(large.len() > 64 * 1024);
    for path in ["/mcp/notes", "/mcp"] {
        let refused = team.client("", &ana).path(path).post(&large);
        assert_eq!(refused.status, 413, "{path}: {refused:?}");
        assert!(refused.header("mcp-session-id").is_none());
    }
    let address = crate::team_changes::stream_of_2024(&team, "notes", &ana);
    let posted = team.client("notes", &ana).path(&address.1).post(&large);
    assert_eq!(posted.status, 202, "{posted:?}");
    Record::once(&stage.room, "they are recorded", |record| {
        record.malformed_or_suppressed() >= 3
    });
    assert!(
        stage
            .notes
            .of_method("initialize")
            .iter()
            .all(|hello| hello.to_string().len() < 64 * 1024)
    );
}

#[test]
fn an_id_that_would_fill_memory_is_refused_and_a_long_one_is_none() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let client = team.begun("notes", &ana);
    let call = |id: &str| {
        let params = json!({"name": "echo", "arguments": {"text": "hi"}});
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        client.post(&call.to_string()).answer()
    };
    let long = "i".repeat(4_094);
    let answer = call(&long);
    assert_eq!(
        (answer.text().as_str(), answer.json["id"].as_str()),
        ("hi", Some(&*long))
    );
    let refused = call(&"i".repeat(4_095));
    assert_eq!(refused.error_code(), Some(-32_600), "{}", refused.raw);
    assert!(refused.json["id"].is_null());
    let record = Record::once(&stage.room, "it is recorded", |record| {
        record.malformed_or_suppressed() == 1
    });
    assert_eq!(record.intents().len(), 1);
    assert_eq!(stage.notes.of_method("tools/call").len(), 1);
}

#[test]
fn calls_that_wait_for_their_answer_take_no_room_from_large_messages() {
    let mut stage = Stage::new();
    let (server, calls) = Upstream::holding(|asked| asked.json()["method"] == "tools/call");
    stage.config["servers"]["mail"] = json!({"url": server.url});
    let [ana, bo] = ["ana", "bo"].map(|label| stage.grant(label, &["notes=open", "mail=open"]));
    let team = stage.serve();
    // Eight of these leave no room for one more.
    let large = "x".repeat((16 << 20) - 8_192);
    for (path, tool, is_modern) in [
        ("/mcp/mail", "echo", false),
        ("/mcp/mail", "echo", true),
        ("/mcp", "mail__echo", false),
    ] {
        let mut client = team.client("", &ana).path(path);
        if is_modern {
            client = client.modern();
        } else {
            client.initialize("2025-11-25");
        }
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                let answer = client.open_call(tool, json!({"text": large}));
                (answer, calls.recv_timeout(PATIENCE).unwrap())
            })
            .collect();
        large_messages_are_taken(&team, &bo);
        drop(waiting);
    }
}

#[test]
fn a_body_that_is_not_sent_holds_up_nobody() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let body = initialize();
    let head = format!("{}content-length: {}\r\n\r\n", head(&team, &ana), body.len());
    let mut slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut socket = connect(&team);
            socket.write_all(head.as_bytes()).unwrap();
            socket
        })
        .collect();
    let mut client = team.begun("notes", &ana);
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    let mut last = slow.pop().unwrap();
    let (first, rest) = body.split_at(10);
    last.write_all(first.as_bytes()).unwrap();
    last.write_all(rest.as_bytes()).unwrap();
    assert_eq!(status(last), "200");
}

#[test]
fn a_connection_too_many_is_told_so_and_those_that_say_nothing_leave_room_again() {
    const MAX: usize = 4_096;
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let mut client = team.begun("notes", &ana);
    // One has been answered before, and is kept open.
    let mut kept = connect(&team);
    let request = format!("{}content-length: 2\r\n\r\n{{}}", head(&team, &ana));
    kept.write_all(request.as_bytes()).unwrap();
    assert!(kept.read(&mut [0; 512]).unwrap() > 0);
    // Not faster than they are accepted: what waits for that is kept waiting for a second by the system.
    let mut silent = Vec::new();
    while silent.len() < MAX - 1 {
        silent.extend((silent.len()..MAX - 1).take(100).map(|_| connect(&team)));
        until("they are accepted", || {
            (connections(&team.url) == silent.len() + 1).then_some(())
        });
    }
    for _ in 0..3 {
        let mut answer = String::new();
        let mut socket = connect(&team);
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("retry-after: "), "{answer}");
        assert!(answer.contains("too many connections"), "{answer}");
    }
    let refused = client.reply("tools/call", json!({"name": "echo", "arguments": {"text": "hi"}}));
    assert_eq!(refused.status, 503, "{refused:?}");
    // One that closes leaves its place to another.
    silent.truncate(MAX - 4);
    until("there is room", || {
        (connections(&team.url) == MAX - 3).then_some(())
    });
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    // And those that say nothing are hung up on.
    let end = Instant::now() + 3 * PATIENCE;
    while connections(&team.url) > 0 {
        assert!(Instant::now() < end, "they are kept");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    let told = team.process.stderr();
    assert!(told.contains("too many connections"), "{told}");
    let lines = told.lines().filter(|line| line.contains("too many connections"));
    assert!(lines.count() < 4, "a line for each: {told}");
}

#[test]
fn a_session_too_many_is_refused_and_takes_nothing_from_another_grant_or_server() {
    const MAX: usize = 1_024;
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let bob = stage.grant("bob", &["mail=open"]);
    let team = stage.serve_with(&["--sessions-per-minute", "5000"]);
    let body = initialize();
    let open = |token: &str| team.client("mail", token).post(&body);
    let sessions: Vec<String> = (0..MAX)
        .map(|number| {
            let reply = open(&ana);
            assert_eq!(reply.status, 200, "{number}: {reply:?}");
            reply.header("mcp-session-id").unwrap().to_owned()
        })
        .collect();
    for _ in 0..3 {
        let refused = open(&ana);
        assert_eq!(refused.status, 429);
        assert_eq!(refused.body, "too many sessions are open; close some\n");
    }
    let mut one = team.client("mail", &ana);
    one.set_session(sessions.last().map(String::as_str));
    // Those that are open are served, and so are the same grant elsewhere, requests without a session, and others.
    let mut modern = team.client("mail", &ana).modern();
    for client in [
        &mut one,
        &mut team.begun("notes", &ana),
        &mut modern,
        &mut team.begun("mail", &bob),
    ] {
        assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    }
    assert_eq!(one.delete(), 202);
    let mut again = team.begun("mail", &ana);
    assert_eq!(again.call("echo", json!({"text": "hi"})).text(), "hi");
    assert_eq!(open(&ana).status, 429);
}
