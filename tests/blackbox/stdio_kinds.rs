//! Whatever a client gives the gate as stdin and stdout, each message passes, and what it gave stays as it was.

use crate::support::OPEN;
use crate::support::before_echo;
use callgate_testkit::{Room, StdioServer};
use rustix::fs::{OFlags, fcntl_getfl};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};

/// More than a pipe or a socket takes at once.
const LARGE: usize = 1 << 20;

fn spawn(room: &Room, server: &StdioServer, input: OwnedFd, output: OwnedFd) -> Child {
    let policy = room.path().join("policy.yaml");
    std::fs::write(&policy, OPEN).unwrap();
    Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(["run", "--log-level", "error", "-c"])
        .arg(policy)
        .arg("--state-dir")
        .arg(room.path().join("state"))
        .arg("--")
        .args(server.words())
        .current_dir("/")
        .stdin(input)
        .stdout(output)
        .spawn()
        .unwrap()
}

fn messages() -> Vec<Value> {
    let client = json!({"name": "test", "version": "1"});
    let begin = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    vec![
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": begin}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        call(2, "small"),
        call(3, &"x".repeat(LARGE)),
    ]
}

fn call(id: u64, text: &str) -> Value {
    let params = json!({"name": "echo", "arguments": {"text": text}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

fn assert_answers(answers: &[Value]) {
    let text = |id: u64| {
        let answer = answers.iter().find(|answer| answer["id"] == id).unwrap();
        answer["result"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert_eq!(text(2), "small");
    assert!(
        text(3) == "x".repeat(LARGE),
        "the large message came back as another"
    );
}

/// Talks to a gate over these, and looks at the flags of the gate's own ends.
fn converse(gate_input: OwnedFd, gate_output: OwnedFd, mut to: impl Write, from: impl Read) {
    let (room, server, _) = before_echo(OPEN);
    let kept = [&gate_input, &gate_output].map(|end| end.try_clone().unwrap());
    let mut child = spawn(&room, &server, gate_input, gate_output);
    let mut lines = BufReader::new(from).lines();
    let mut answers = Vec::new();
    for message in messages() {
        writeln!(to, "{message}").unwrap();
        if message.get("id").is_some() {
            answers.push(serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap());
        }
    }
    assert_answers(&answers);
    for end in &kept {
        let flags = fcntl_getfl(end.as_fd()).unwrap();
        assert!(!flags.contains(OFlags::NONBLOCK), "{flags:?}");
    }
    drop(kept);
    drop(to);
    assert!(child.wait().unwrap().success());
    assert!(lines.next().is_none());
}

#[test]
fn pipes() {
    let (input, to) = std::io::pipe().unwrap();
    let (from, output) = std::io::pipe().unwrap();
    converse(input.into(), output.into(), to, from);
}

#[test]
fn sockets() {
    let (input, to) = UnixStream::pair().unwrap();
    let (output, from) = UnixStream::pair().unwrap();
    converse(input.into(), output.into(), to, from);
}

#[test]
fn files() {
    let (room, server, _) = before_echo(OPEN);
    let script: String = messages().iter().map(|message| format!("{message}\n")).collect();
    let (input, output) = (room.path().join("input"), room.path().join("output"));
    std::fs::write(&input, script).unwrap();
    let opened = File::open(&input).unwrap();
    let mut child = spawn(
        &room,
        &server,
        opened.into(),
        File::create(&output).unwrap().into(),
    );
    assert!(child.wait().unwrap().success());
    let answers: Vec<Value> = std::fs::read_to_string(&output)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_answers(&answers);
}
