//! `callgate serve`: several servers, each caller with a grant of its own.

use crate::support::upstream::{Upstream, housekeeping, reply};
use crate::support::{OPEN, Record, state, until};
use callgate_testkit::process::is_gone_within;
use callgate_testkit::{Http, HttpServer, PATIENCE, Process, Room, ServerLog, StdioServer};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

const NOTHING: &str = "version: \"1\"\ndefault: deny\ntools: {}\n";
const ECHO_ONLY: &str = "version: \"1\"\ndefault: deny\ntools:\n  echo: {}\n";

/// Two echo servers, `notes` as a child and `mail` behind a URL, and three policies.
pub(crate) struct Stage {
    pub(crate) room: Room,
    pub(crate) notes: ServerLog,
    pub(crate) mail: HttpServer,
    pub(crate) config: Value,
}

/// A running gateway.
pub(crate) struct Team {
    pub(crate) process: Process,
    pub(crate) url: String,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let room = Room::new();
        let child = StdioServer::echo(&room);
        let mail = HttpServer::start(&room, &[]);
        for (name, text) in [("open", OPEN), ("echo-only", ECHO_ONLY), ("nothing", NOTHING)] {
            room.write(&format!("{name}.yaml"), text);
        }
        let words: Vec<String> = child
            .words()
            .iter()
            .map(|word| word.to_str().unwrap().to_owned())
            .collect();
        let config = json!({
            "version": 1,
            "listen": "127.0.0.1:0",
            "state": {"dir": state(&room)},
            "servers": {"notes": {"command": words}, "mail": {"url": mail.url()}},
            "policies": {"open": "open.yaml", "echo-only": "echo-only.yaml", "nothing": "nothing.yaml"},
            "local": {"notes": "echo-only"},
        });
        Self {
            notes: child.log().clone(),
            room,
            mail,
            config,
        }
    }

    pub(crate) fn serve(&self) -> Team {
        self.serve_after(":")
    }

    /// Serves from a shell that has done this before.
    pub(crate) fn serve_after(&self, line: &str) -> Team {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &format!("{line}; exec \"$@\""), "sh"])
            .arg(env!("CARGO_BIN_EXE_callgate"));
        self.serve_by(command, &[])
    }

    /// Serves with more flags.
    pub(crate) fn serve_with(&self, flags: &[&str]) -> Team {
        self.serve_by(Command::new(env!("CARGO_BIN_EXE_callgate")), flags)
    }

    fn serve_by(&self, mut command: Command, flags: &[&str]) -> Team {
        let config = self.room.write("callgate.yaml", &self.config.to_string());
        command
            .args(["serve", "-c"])
            .arg(config)
            .args(flags)
            .current_dir("/");
        let mut process = Process::start(&mut command);
        process.lives_in(&self.room);
        process.owns_servers_of(self.notes.clone());
        let line = process.stderr_line("listening on");
        let url = line.split_whitespace().find(|word| word.contains("://")).unwrap();
        Team {
            url: url.trim_end_matches("/mcp/SERVER").to_owned(),
            process,
        }
    }

    /// Runs `callgate grants`, and gives what it wrote to stdout.
    pub(crate) fn grants(&self, words: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .arg("grants")
            .args(words)
            .arg("--state-dir")
            .arg(state(&self.room))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A grant's token.
    pub(crate) fn grant(&self, label: &str, servers: &[&str]) -> String {
        let mut words = vec!["create", label];
        for server in servers {
            words.extend(["--server", server]);
        }
        self.grants(&words)
    }
}

impl Team {
    pub(crate) fn anyone(&self, server: &str) -> Http {
        Http::to(&format!("{}/mcp/{server}", self.url))
    }

    pub(crate) fn client(&self, server: &str, token: &str) -> Http {
        self.anyone(server)
            .header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn begun(&self, server: &str, token: &str) -> Http {
        let mut client = self.client(server, token);
        client.initialize("2025-11-25");
        client
    }
}

pub(crate) fn initialize() -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}})
    .to_string()
}

#[test]
fn each_caller_has_the_servers_and_policies_of_its_own_grant() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let bob = stage.grant("bob", &["notes=nothing"]);
    let eve = stage.grant("eve", &["notes"]);
    let team = stage.serve();
    let mut first = team.begun("notes", &ana);
    assert_eq!(first.call("echo", json!({"text": "a"})).text(), "a");
    let mut second = team.begun("mail", &ana);
    assert_eq!(second.call("echo", json!({"text": "b"})).text(), "b");
    for token in [&bob, &eve] {
        let mut client = team.begun("notes", token);
        let denied = client.call("echo", json!({"text": "c"}));
        assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
        let listed = client.request("tools/list", json!({}));
        assert_eq!(listed.json["result"]["tools"], json!([]));
    }
    // A server that there is not, and one that the grant does not name, look alike.
    let [hidden, unknown] = ["mail", "none"].map(|server| {
        let reply = team.client(server, &bob).post(&initialize());
        (reply.status, reply.body)
    });
    assert_eq!(hidden.0, 404);
    assert_eq!(hidden, unknown);
    Record::once(&stage.room, "both attempts are recorded", |record| {
        record.auth_failures() == 2
    });
    assert_eq!(stage.notes.calls().len(), 1);
    assert_eq!(stage.mail.log().calls().len(), 1);
    let record = Record::of(&stage.room);
    let grants: Vec<String> = record
        .intents()
        .iter()
        .map(|intent| intent.grant.as_str().to_owned())
        .collect();
    assert_eq!(grants.len(), 2);
    assert!(grants.iter().all(|grant| *grant == grants[0]));
}

#[test]
fn a_session_belongs_to_the_grant_that_opened_it() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let bob = stage.grant("bob", &["notes=open"]);
    let team = stage.serve();
    let first = team.begun("notes", &ana);
    let mut thief = team.client("notes", &bob);
    thief.set_session(first.session());
    assert_eq!(thief.reply("tools/list", json!({})).status, 404);
    assert_eq!(thief.delete(), 404);
    assert_eq!(thief.listen().status(), 404);
    let mut first = first;
    assert_eq!(first.call("echo", json!({"text": "mine"})).text(), "mine");
}

#[test]
fn without_a_valid_token_nothing_is_reached_and_failures_are_recorded_and_bounded() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let wrong = ana.replacen("cg_", "cg_x", 1);
    let attempts = [
        team.anyone("notes"),
        team.client("notes", &wrong),
        team.client("notes", ""),
        team.anyone("notes")
            .header("authorization", &format!("Basic {ana}")),
        team.anyone("notes").path(&format!("/mcp/notes?token={ana}")),
        team.anyone("notes")
            .path(&format!("/mcp/notes?access_token={ana}")),
    ];
    for client in &attempts {
        let refused = client.post(&initialize());
        assert_eq!(refused.status, 401, "{client:?}");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    let statuses: Vec<u16> = (0..40)
        .map(|_| team.client("notes", &wrong).post(&initialize()).status)
        .collect();
    assert_eq!(statuses.last(), Some(&429));
    // Who has a token comes in nevertheless.
    let mut client = team.begun("notes", &ana);
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    assert_eq!(stage.notes.of_method("initialize").len(), 1);
    let record = Record::once(&stage.room, "the failures are recorded", |record| {
        record.auth_failures() >= 46
    });
    assert_eq!(record.auth_failures(), 46);
    // Neither the token nor one that was tried is anywhere in the state folder.
    for entry in std::fs::read_dir(state(&stage.room)).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        for secret in [&ana, &wrong] {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "a token stands in the state folder");
        }
    }
}

#[test]
fn a_revocation_holds_from_the_next_call_on() {
    let stage = Stage::new();
    let team = stage.serve();
    for round in 0..5 {
        let token = stage.grant(&format!("agent-{round}"), &["notes=open"]);
        let mut client = until("the new grant is let in", || {
            let client = team.client("notes", &token);
            (client.post(&initialize()).status == 200).then_some(client)
        });
        client.initialize("2025-11-25");
        assert_eq!(client.call("echo", json!({"text": "before"})).text(), "before");
        let before = stage.notes.calls().len();
        stage.grants(&["revoke", &format!("agent-{round}")]);
        let after = client.reply(
            "tools/call",
            json!({"name": "echo", "arguments": {"text": "after"}}),
        );
        assert!(
            matches!(after.status, 401 | 404 | 429 | 502) || after.answer().is_tool_error(),
            "{after:?}"
        );
        assert_eq!(stage.notes.calls().len(), before, "the call reached the server");
        until("the revoked token is refused", || {
            matches!(client.post(&initialize()).status, 401 | 429).then_some(())
        });
        // The last grant that is revoked does not open the gateway again.
        let without = team.anyone("notes").post(&initialize());
        assert!(matches!(without.status, 401 | 429), "{without:?}");
    }
    // The record says whose token was refused.
    Record::once(&stage.room, "the refused grants are named", |record| {
        record.has_refused_grant()
    });
}

#[test]
fn another_policy_holds_from_the_next_call_on_open_sessions_too() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let mut client = team.begun("notes", &ana);
    assert_eq!(client.call("echo", json!({"text": "a"})).text(), "a");
    stage.grants(&["attach", "ana", "notes", "--policy", "nothing"]);
    let denied = client.call("echo", json!({"text": "b"}));
    assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
    stage.grants(&["attach", "ana", "notes", "--policy", "echo-only"]);
    until("the wider policy is in force", || {
        (client.call("echo", json!({"text": "c"})).json["result"]["isError"] != true).then_some(())
    });
    // An edited file is in force once the gateway says so, for open sessions too.
    stage.room.write("echo-only.yaml", NOTHING);
    let _ = team.process.stderr_line("the policy `echo-only` was reloaded");
    let calls = stage.notes.calls().len();
    let denied = client.call("echo", json!({"text": "d"}));
    assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
    assert_eq!(stage.notes.calls().len(), calls);
}

#[test]
fn a_revocation_ends_open_streams_within_a_second() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let client = team.begun("notes", &ana);
    let mut stream = client.listen();
    assert_eq!(stream.status(), 200);
    stage.grants(&["revoke", "ana"]);
    let revoked = Instant::now();
    let rest = stream.rest();
    assert!(revoked.elapsed() < Duration::from_secs(2), "{rest:?}");
}

#[test]
fn a_token_that_was_rotated_is_worth_nothing() {
    let stage = Stage::new();
    let old = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let mut client = team.begun("notes", &old);
    let new = stage.grants(&["rotate", "ana"]);
    assert_ne!(old, new);
    until("the old token is refused", || {
        (client.reply("tools/list", json!({})).status == 401).then_some(())
    });
    let mut client = team.begun("notes", &new);
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
}

#[test]
fn while_there_is_no_grant_only_callers_on_this_machine_are_let_in_and_the_start_says_so() {
    let stage = Stage::new();
    let team = stage.serve();
    let _ = team.process.stderr_line("no grant was made yet");
    let mut client = team.anyone("notes");
    client.initialize("2025-11-25");
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    assert_eq!(
        team.anyone("mail").post(&initialize()).status,
        404,
        "mail is not named under `local`"
    );
    stage.grant("ana", &["notes=open"]);
    until("callers without a token are refused", || {
        (client.reply("tools/list", json!({})).status == 401).then_some(())
    });
}

#[test]
fn an_address_beyond_this_machine_is_not_served_without_a_grant() {
    let mut stage = Stage::new();
    stage.config["listen"] = json!("0.0.0.0:0");
    let config = stage.room.write("callgate.yaml", &stage.config.to_string());
    let output = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(["serve", "-c"])
        .arg(config)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("callgate grants create"), "{stderr}");
}

#[test]
fn a_child_has_only_the_environment_that_its_entry_names() {
    let mut stage = Stage::new();
    let seen = stage.room.at("environment");
    let words = stage.config["servers"]["notes"]["command"].take();
    let line = format!("env > {}; exec \"$@\"", seen.display());
    let mut command = vec![json!("/bin/sh"), json!("-c"), json!(line), json!("sh")];
    command.extend(words.as_array().unwrap().iter().cloned());
    stage.config["servers"]["notes"] =
        json!({"command": command, "env": {"TOKEN": "${env:PATH}", "FIXED": "1"}});
    let ana = stage.grant("ana", &["notes=open"]);
    let team = stage.serve();
    let mut client = team.begun("notes", &ana);
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    let seen = std::fs::read_to_string(seen).unwrap();
    let mut names: Vec<&str> = seen
        .lines()
        .filter_map(|line| line.split_once('=').map(|pair| pair.0))
        // What the shell itself sets.
        .filter(|name| !matches!(*name, "PWD" | "SHLVL" | "_" | "OLDPWD"))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["FIXED", "TOKEN"], "{seen}");
    assert!(seen.contains(&format!("TOKEN={}", std::env::var("PATH").unwrap())));
}

#[test]
fn a_server_that_is_dead_or_does_not_answer_delays_no_other() {
    let mut stage = Stage::new();
    let other = Room::new();
    let hanging = StdioServer::echo(&other).mischief("never-answers");
    let words: Vec<&str> = hanging
        .words()
        .iter()
        .map(|word| word.to_str().unwrap())
        .collect();
    stage.config["servers"]["hanging"] = json!({"command": words});
    stage.config["servers"]["dead"] = json!({"command": ["/bin/false"]});
    stage.config["servers"]["missing"] = json!({"command": ["/nowhere/at-all"]});
    stage.config["servers"]["refusing"] = json!({"url": "http://127.0.0.1:1/mcp"});
    let servers = [
        "notes=open",
        "hanging=open",
        "dead=open",
        "missing=open",
        "refusing=open",
    ];
    let ana = stage.grant("ana", &servers);
    let team = stage.serve();
    let mut good = team.begun("notes", &ana);
    std::thread::scope(|scope| {
        for server in ["hanging", "dead", "missing", "refusing"] {
            let client = team.client(server, &ana);
            scope.spawn(move || client.send("POST", &[], initialize().as_bytes()).status());
        }
        let begun = Instant::now();
        for round in 0..50 {
            let text = round.to_string();
            assert_eq!(good.call("echo", json!({"text": text})).text(), text);
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
        // Ends what still waits.
        team.process.signal(Signal::TERM);
    });
}

#[test]
fn an_sse_server_cannot_have_messages_posted_to_another_origin() {
    let other = Upstream::start(housekeeping);
    let authority = other
        .url
        .trim_start_matches("http://")
        .trim_end_matches("/mcp")
        .to_owned();
    for named in [
        format!("http://{authority}/steal"),
        format!("//{authority}/steal"),
        format!("http://user:pass@{authority}/steal"),
        "https://127.0.0.1/steal".to_owned(),
        "file:///etc/passwd".to_owned(),
        "http://[::1".to_owned(),
        String::new(),
    ] {
        let event = format!("event: endpoint\ndata: {named}\n\n");
        let server = Upstream::start(move |_| reply("200 OK", "text/event-stream", &event));
        let mut stage = Stage::new();
        stage.config["servers"]["mail"] = json!({"url": server.url, "transport": "sse", "headers": {"Authorization": "Bearer of-the-server"}});
        let ana = stage.grant("ana", &["mail=open"]);
        let team = stage.serve();
        let answer = team.client("mail", &ana).post(&initialize());
        let is_refused = answer.status != 200 || answer.answer().error_code().is_some();
        assert!(is_refused, "{named}: {answer:?}");
        let asked = server.asked();
        assert!(
            asked.iter().all(|asked| asked.method == "GET"),
            "{named}: {asked:?}"
        );
    }
    assert!(other.asked().is_empty(), "{:?}", other.asked());
}

#[test]
fn a_stream_of_2024_11_05_is_its_session_and_belongs_to_its_grant() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open"]);
    let bob = stage.grant("bob", &["notes=open"]);
    let team = stage.serve();
    let head = |token: &str, url: &str| format!("authorization: Bearer {token}\r\nhost: {url}\r\n");
    let authority = team.url.trim_start_matches("http://").to_owned();
    let mut stream = BufReader::new(TcpStream::connect(&authority).unwrap());
    stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    let get = format!("GET /mcp/notes/sse HTTP/1.1\r\n{}\r\n", head(&ana, &authority));
    stream.get_mut().write_all(get.as_bytes()).unwrap();
    let mut next_data = || loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        if let Some(data) = line.strip_prefix("data: ") {
            break data.trim().to_owned();
        }
    };
    let address = next_data();
    assert!(address.starts_with("/mcp/notes/messages?sessionId="), "{address}");
    let post = |token: &str, message: &Value| {
        team.client("notes", token)
            .path(&address)
            .post(&message.to_string())
            .status
    };
    assert_eq!(post(&ana, &serde_json::from_str(&initialize()).unwrap()), 202);
    assert!(next_data().contains("serverInfo"));
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": {"name": "echo", "arguments": {"text": "by the stream"}}});
    assert_eq!(post(&bob, &call), 404, "another grant has no part in it");
    assert_eq!(post(&ana, &call), 202);
    let answer = next_data();
    assert!(answer.contains("by the stream"), "{answer}");
    let twice =
        json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "echo", "name": "x"}});
    let raw = twice
        .to_string()
        .replace("\"name\":\"x\"", "\"name\":\"echo\",\"name\":\"x\"");
    assert_eq!(team.client("notes", &ana).path(&address).post(&raw).status, 202);
    assert!(
        next_data().contains("\"error\""),
        "a malformed message is answered on the stream"
    );
    for wrong in [
        "/mcp/notes/messages",
        "/mcp/notes/messages?sessionId=0",
        "/mcp/mail/messages?sessionId=0",
    ] {
        let status = team
            .client("notes", &ana)
            .path(wrong)
            .post(&call.to_string())
            .status;
        assert!(matches!(status, 400 | 404), "{wrong}: {status}");
    }
    // The client closes the stream, and the session ends with its child.
    let pids = stage.notes.notes_of("pid");
    let pid = pids.last().unwrap().parse().unwrap();
    drop(stream);
    assert!(is_gone_within(pid, PATIENCE), "the child stayed");
    assert_eq!(post(&ana, &call), 404);
    assert_eq!(stage.notes.calls().len(), 1);
}

#[test]
fn a_signal_lets_open_calls_end_and_leaves_nothing_behind() {
    let stage = Stage::new();
    let ana = stage.grant("ana", &["notes=open", "mail=open"]);
    let mut team = stage.serve();
    let mut clients = [team.begun("notes", &ana), team.begun("mail", &ana)];
    let streams: Vec<_> = clients
        .iter_mut()
        .map(|client| client.open_call("sleep", json!({"ms": 700})))
        .collect();
    until("both calls have reached their servers", || {
        (stage.notes.calls().len() == 1 && stage.mail.log().calls().len() == 1).then_some(())
    });
    team.process.signal(Signal::TERM);
    for stream in streams {
        let rest = stream.rest();
        assert!(format!("{rest:?}").contains("slept"), "{rest:?}");
    }
    let status = team.process.ended();
    assert_eq!(status.code(), Some(143));
    let record = Record::of(&stage.room);
    record.assert_one_outcome_each();
    assert_eq!(
        record.statuses().iter().filter(|status| **status == "ok").count(),
        2
    );
}
