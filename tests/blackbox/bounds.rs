//! What clients of `callgate serve` can take up: headers, bodies and connections are bounded, whoever is slow.

use crate::support::until;
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
