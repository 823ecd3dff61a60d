//! Invariant: secrets stay. Neither the client's nor the server's credentials nor argument values are in a log,
//! the ledger, a process list or an error.

use crate::support::{OPEN, Record, before_echo, gate, state};
use callgate_testkit::{HttpServer, Room};
use serde_json::json;
use std::path::Path;

const SECRET: &str = "hunter2-correct-horse-battery";

/// All bytes of all files below a folder.
fn bytes_below(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(bytes_below(&path));
        } else {
            all.extend(std::fs::read(&path).unwrap());
        }
    }
    all
}

#[track_caller]
fn assert_without(bytes: &[u8], secret: &str, place: &str) {
    let found = bytes
        .windows(secret.len())
        .any(|window| window == secret.as_bytes());
    assert!(
        !found,
        "`{secret}` is in {place}: {}",
        String::from_utf8_lossy(bytes)
    );
}

fn command_line(pid: u32) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/cmdline")).unwrap()
}

#[test]
fn secrets_stay_out_of_logs_ledger_process_list_and_errors() {
    let faults = [
        None,
        Some("unauthorized"),
        Some("redirect"),
        Some("reset"),
        Some("server-error"),
    ];
    for (fault, format) in faults
        .into_iter()
        .flat_map(|fault| [(fault, "text"), (fault, "json")])
    {
        let room = Room::new();
        let flags: Vec<&str> = fault.map_or(vec![], |fault| vec!["--fault", fault]);
        let server = HttpServer::start(&room, &flags);
        let from_file = room.write("secret", &format!("file-{SECRET}\n"));
        let headers = room.write("headers", &format!("X-Third: third-{SECRET}\n"));
        let token = room.write("token", &format!("token-{SECRET}\n"));
        let mut gate = gate(&room, OPEN)
            .before_http(&server)
            .env("CALLGATE_TEST_KEY", format!("env-{SECRET}"))
            .flags(&[
                "--log-level",
                "debug",
                "--log-format",
                format,
                "--header",
                "Authorization: Bearer ${env:CALLGATE_TEST_KEY}",
            ])
            .flag("--header")
            .flag(format!("X-Second: ${{file:{}}}", from_file.display()))
            .flag("--header-file")
            .flag(headers)
            .flag("--token-file")
            .flag(token)
            .http();
        let mut client = gate
            .client()
            .header("authorization", &format!("Bearer token-{SECRET}"));
        client.initialize("2025-06-18");
        let answer = client.call("echo", json!({"text": format!("argument-{SECRET}")}));
        if fault.is_some() {
            assert_without(answer.raw.as_bytes(), SECRET, "the answer");
            assert_without(answer.raw.as_bytes(), "upstream-realm", "the answer");
            assert!(answer.is_tool_error(), "{}", answer.raw);
        } else {
            let noted = server.log().notes().join("\n");
            for part in ["env", "file", "third"] {
                assert!(
                    noted.contains(&format!("{part}-{SECRET}")),
                    "the server got its header: {noted}"
                );
            }
            assert!(
                !noted.contains("token-"),
                "the client's token went upstream: {noted}"
            );
        }
        // One more that fails before it reaches the server.
        let wrong = gate
            .client()
            .header("authorization", &format!("Bearer other-{SECRET}"))
            .post("{}");
        assert_eq!(wrong.status, 401);
        assert_without(wrong.body.as_bytes(), SECRET, "the refusal");
        let _ = client.post(&format!(r#"{{"jsonrpc":"2.0","id":1,"id":"{SECRET}"}}"#));
        assert_without(&command_line(gate.pid()), SECRET, "the process list");
        gate.signal(rustix::process::Signal::TERM);
        gate.ended();
        assert_without(gate.stderr().as_bytes(), SECRET, "the log");
        assert_without(&bytes_below(&state(&room)), SECRET, "the state folder");
        assert!(!Record::of(&room).intents().is_empty());
    }
}

#[test]
fn a_literal_secret_in_a_header_works_and_is_warned_of_without_being_shown() {
    let room = Room::new();
    let server = HttpServer::start(&room, &[]);
    let gate = gate(&room, OPEN)
        .before_http(&server)
        .flags(&["--header", "X-Key: literal-secret-value"])
        .http();
    let warning = gate.stderr_line("X-Key");
    assert!(warning.contains("--header-file"), "{warning}");
    let mut client = gate.client();
    client.initialize("2025-06-18");
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    assert_without(gate.stderr().as_bytes(), "literal-secret-value", "the log");
}

#[test]
fn argument_values_are_recorded_only_where_the_policy_says_so() {
    let policy = "version: \"1\"\ndefault: allow\ntools:\n  mirror: {record: [args.kept]}\n  echo: {rules: [{conditions: [{path: args.text, op: eq, value: x}]}]}\n";
    let (room, _server, gate) = before_echo(policy);
    let mut client = gate.flags(&["--log-level", "debug"]).stdio();
    client.initialize("2025-06-18");
    client.call("mirror", json!({"kept": "kept-value", "other": SECRET}));
    assert!(client.call("echo", json!({"text": SECRET})).is_denied());
    client.call("boom", json!({"x": SECRET}));
    client.close_stdin();
    client.ended();
    assert_without(client.stderr().as_bytes(), SECRET, "the log");
    let bytes = bytes_below(&state(&room));
    assert_without(&bytes, SECRET, "the state folder");
    assert!(
        bytes.windows(10).any(|window| window == b"kept-value"),
        "what was opted in is kept"
    );
}

#[test]
fn a_url_with_credentials_is_refused_and_not_shown() {
    let room = Room::new();
    let mut process = gate(&room, OPEN)
        .upstream("http://user:s3cr3t-pw@127.0.0.1:9/mcp")
        .start(&[]);
    assert_eq!(process.ended().code(), Some(1));
    let said = process.stderr_line("--header-file");
    assert_without(said.as_bytes(), "s3cr3t-pw", "the error");
}
