//! Clients of `callgate serve` that send or read too slowly: each is cut off after its time, keeps nobody else waiting,
//! and leaves nothing behind.

use crate::aggregate::scripted;
use crate::support::{Record, until};
use crate::team::{Stage, Team, initialize};
use crate::tls::{certificate, trusting};
use callgate_testkit::process::is_gone_within;
use callgate_testkit::{Http, PATIENCE};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// More than what the system keeps of a connection whose client does not read.
const BIG: usize = 7_000_000;
/// Gives a client one second, in place of a minute.
const SHORT: [&str; 2] = ["--client-time", "1"];

/// Connections of clients that the gateway at a URL holds.
pub(crate) fn connections(url: &str) -> usize {
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let (local, listens) = (format!(":{port:04X}"), "0A");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_held = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // What was closed, and only waits for its last bytes to be taken, is no file of anyone's.
        words[1].ends_with(&local) && words[3] != listens && words[9] != "0"
    };
    table.lines().skip(1).filter(is_held).count()
}

/// Waits until all are closed, and does something meanwhile. Large answers take their time until they are written.
#[track_caller]
fn all_are_cut_off_while(team: &Team, mut meanwhile: impl FnMut()) {
    let end = Instant::now() + 4 * PATIENCE;
    while connections(&team.url) > 0 {
        assert!(Instant::now() < end, "connections are still open");
        meanwhile();
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
fn all_are_cut_off(team: &Team) {
    all_are_cut_off_while(team, || ());
}

/// Sends a request, and reads nothing.
fn unread(team: &Team, client: &Http, token: &str, path: &str, call: &Value) -> TcpStream {
    let body = call.to_string();
    let mut socket = TcpStream::connect(team.url.split_once("://").unwrap().1).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let session = client.session().map(|id| format!("mcp-session-id: {id}\r\n"));
    let head = head(team, token, path, body.len(), &session.unwrap_or_default());
    socket.write_all((head + &body).as_bytes()).unwrap();
    socket
}

fn head(team: &Team, token: &str, path: &str, length: usize, more: &str) -> String {
    let authority = team.url.split_once("://").unwrap().1;
    format!(
        "POST {path} HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {token}\r\n{more}\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

fn call(id: u64, tool: &str, arguments: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
}

/// All that is still to be read.
fn left(mut socket: impl Read) -> Vec<u8> {
    let mut left = Vec::new();
    match socket.read_to_end(&mut left) {
        Err(cause) if matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("it is not cut off");
        }
        Ok(_) | Err(_) => left,
    }
}

#[track_caller]
fn answers(client: &mut Http, tool: &str) {
    let begun = Instant::now();
    assert_eq!(client.call(tool, json!({"text": "hi"})).text(), "hi");
    assert!(begun.elapsed() < PATIENCE / 2, "it was held up");
}

/// Every call has its one outcome, and none is still open.
#[track_caller]
fn all_is_settled(stage: &Stage) {
    Record::once(&stage.room, "every call is settled", Record::is_settled).assert_one_outcome_each();
}

#[test]
fn a_body_that_comes_too_slowly_is_given_up_while_others_are_served() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let team = stage.serve_with(&SHORT);
    let mut client = team.begun("notes", &ana);
    answers(&mut client, "echo");
    for path in [
        "/mcp/notes",
        "/mcp/mail",
        "/mcp",
        "/mcp/notes/messages?sessionId=0",
    ] {
        let mut socket = TcpStream::connect(team.url.trim_start_matches("http://")).unwrap();
        socket
            .write_all(head(&team, &ana, path, 1_000, "").as_bytes())
            .unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let (mut told, end) = ([0; 12], Instant::now() + PATIENCE);
        // It goes on sending, a byte at a time.
        let read = loop {
            let _ = socket.write_all(b" ");
            match socket.read(&mut told) {
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => {}
                read => break read.unwrap(),
            }
            assert!(Instant::now() < end, "{path}: it is not given up");
            answers(&mut client, "echo");
        };
        assert_eq!(&told[..read], b"HTTP/1.1 408", "{path}");
    }
    all_are_cut_off(&team);
    assert_eq!(stage.notes.of_method("initialize").len(), 1);
}

#[test]
fn a_body_that_takes_its_time_within_what_is_allowed_is_answered() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve_with(&["--client-time", "5"]);
    let body = initialize();
    let mut socket = TcpStream::connect(team.url.trim_start_matches("http://")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
        .write_all(head(&team, &ana, "/mcp/notes", body.len(), "").as_bytes())
        .unwrap();
    let (first, second) = body.split_at(40);
    for part in [first, second] {
        std::thread::sleep(Duration::from_millis(700));
        socket.write_all(part.as_bytes()).unwrap();
    }
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
}

#[test]
fn a_client_that_does_not_read_its_answer_is_cut_off_while_others_are_served() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let team = stage.serve_with(&SHORT);
    let mut other = team.begun("mail", &ana);
    for (path, tool) in [("/mcp/notes", "big"), ("/mcp/mail", "big"), ("/mcp", "mail__big")] {
        let mut client = team.client("", &ana).path(path);
        client.initialize("2025-06-18");
        answers(&mut client, &tool.replace("big", "echo"));
        answers(&mut other, "echo");
        let big = call(77, tool, &json!({"bytes": BIG}));
        let sockets: Vec<TcpStream> = (0..2).map(|_| unread(&team, &client, &ana, path, &big)).collect();
        until("they are let in", || {
            (connections(&team.url) == sockets.len()).then_some(())
        });
        all_are_cut_off_while(&team, || answers(&mut other, "echo"));
        for socket in sockets {
            let read = left(socket).len();
            assert!(read < BIG, "{path}: all of it was read");
        }
        // Its session lives on.
        answers(&mut client, &tool.replace("big", "echo"));
    }
    all_is_settled(&stage);
}

#[test]
fn a_client_that_reads_slowly_but_does_read_gets_all_of_its_answer() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["mail=open"]);
    let team = stage.serve_with(&SHORT);
    let client = team.begun("mail", &ana);
    let mut socket = unread(
        &team,
        &client,
        &ana,
        "/mcp/mail",
        &call(7, "big", &json!({"bytes": BIG})),
    );
    let (mut read, mut part) = (0, vec![0; 2_000_000]);
    while read < BIG {
        std::thread::sleep(Duration::from_millis(200));
        let more = socket.read(&mut part).unwrap();
        assert!(more > 0, "it was cut off after {read} bytes");
        read += more;
    }
}

/// Tells so much that nobody can keep it, and then answers.
const TALKS: &str = "
if k == 'tools/list': tools('talk', 'echo')
elif k == 'tools/call' and p['name'] == 'echo': text(p['arguments']['text'])
elif k == 'tools/call':
    for step in range(20):
        tell('notifications/progress', {'progressToken': p['_meta']['progressToken'], 'progress': step, 'message': 'x' * 400000})
    text('talked')
";

#[test]
fn a_stream_that_nobody_reads_is_cut_off_and_its_client_gets_the_answer_once_it_comes_back() {
    let mut stage = Stage::new();
    stage.config["servers"]["talker"] = scripted(&stage.room, "talker", TALKS);
    let ana = stage.grant("ana", &["talker=open", "mail=open"]);
    let team = stage.serve_with(&SHORT);
    let mut other = team.begun("mail", &ana);
    for (path, tool) in [("/mcp/talker", "talk"), ("/mcp", "talker__talk")] {
        let mut client = team.client("", &ana).path(path);
        client.initialize("2025-11-25");
        answers(
            &mut client,
            &tool.replace("talk", "echo").replace("echoer", "talker"),
        );
        answers(&mut other, "echo");
        let mut talk = call(77, tool, &json!({}));
        talk["params"]["_meta"] = json!({"progressToken": "t"});
        let socket = unread(&team, &client, &ana, path, &talk);
        until("it is listened to", || {
            (connections(&team.url) == 1).then_some(())
        });
        all_are_cut_off(&team);
        answers(&mut other, "echo");
        let told = String::from_utf8(left(socket)).unwrap();
        assert!(told.starts_with("HTTP/1.1 200"), "{path}: {told:.200}");
        assert!(!told.contains("talked"), "{path}: all of it was read");
        let last = told
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("id: "))
            .unwrap();
        let resumed = client
            .send("GET", &[("last-event-id".to_owned(), last.to_owned())], b"")
            .rest();
        assert_eq!(resumed.status, 200, "{path}");
        assert!(resumed.body.contains("talked"), "{path}: {:.300}", resumed.body);
    }
    all_is_settled(&stage);
}

#[test]
fn a_stream_of_2024_11_05_that_nobody_reads_ends_with_its_session_and_child() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let team = stage.serve_with(&SHORT);
    let mut other = team.begun("mail", &ana);
    answers(&mut other, "echo");
    let (stream, address) = crate::team_changes::stream_of_2024(&team, "notes", &ana);
    let client = team.client("notes", &ana).path(&address);
    assert_eq!(client.post(&initialize()).status, 202);
    let child = until("its child runs", || stage.notes.notes_of("pid").first().cloned());
    let big = call(7, "big", &json!({"bytes": BIG}));
    assert_eq!(client.post(&big.to_string()).status, 202);
    until("its session has ended", || {
        answers(&mut other, "echo");
        (client.post(&big.to_string()).status == 404).then_some(())
    });
    assert!(
        is_gone_within(child.parse().unwrap(), PATIENCE),
        "the child stayed"
    );
    all_are_cut_off(&team);
    drop(stream);
    all_is_settled(&stage);
}

#[test]
fn under_tls_a_client_that_does_not_read_is_cut_off_too() {
    let mut stage = Stage::new();
    let (shown, key) = certificate(&stage.room, "shown");
    stage.room.write("shown.pem", &shown);
    stage.room.write("shown.key", &key);
    stage.config["tls"] = json!({"certificate": "shown.pem", "key": "shown.key"});
    let ana = stage.grant("ana", &["mail=open"]);
    let team = stage.serve_with(&SHORT);
    let authority = team.url.trim_start_matches("https://");
    let send = |body: &str, more: &str| {
        let mut stream = trusting(authority, &shown);
        let request = head(&team, &ana, "/mcp/mail", body.len(), more) + body;
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let mut greeted = BufReader::new(send(&initialize(), ""));
    let session = until("the session is named", || {
        let mut line = String::new();
        greeted.read_line(&mut line).unwrap();
        line.strip_prefix("mcp-session-id: ")
            .map(|id| id.trim().to_owned())
    });
    drop(greeted);
    let big = call(7, "big", &json!({"bytes": BIG})).to_string();
    let unread = send(&big, &format!("mcp-session-id: {session}\r\n"));
    until("the server has answered", || {
        (stage.mail.log().calls().len() == 1).then_some(())
    });
    all_are_cut_off(&team);
    assert!(left(unread).len() < BIG);
    all_is_settled(&stage);
}
