//! Logs as JSON: one object a line, with the members that the page on monitoring names, and without values.

use crate::support::{OPEN, gate, until};
use crate::team::{Stage, initialize};
use callgate_testkit::{Process, Room, StdioServer};
use rustix::process::Signal;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::process::Command;

const SECRET: &str = "hunter2-correct-horse-battery";

/// The members that an object may have, by the page on monitoring.
fn members() -> BTreeSet<String> {
    let page = include_str!("../../docs/monitoring.md");
    let (_, section) = page.split_once("## Logs").expect("a section on logs");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.flat_map(|row| {
        let (names, _) = row.split_once(" |").unwrap();
        names.split(", ").map(|name| name.trim_matches('`').to_owned())
    });
    names.collect()
}

/// All lines as objects.
#[track_caller]
fn objects(stderr: &str) -> Vec<Map<String, Value>> {
    let known = members();
    let read = |line: &str| {
        let read: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no object: {line}"));
        let object = read.as_object().expect("an object").clone();
        let names: BTreeSet<String> = object.keys().cloned().collect();
        for name in ["time", "level", "message"] {
            assert!(object[name].is_string(), "{line}");
        }
        assert!(line.starts_with("{\"time\":\"20"), "{line}");
        assert!(
            ["debug", "info", "warn", "error"].contains(&object["level"].as_str().unwrap()),
            "{line}"
        );
        assert!(
            names.is_subset(&known),
            "{line}: the page does not name all of its members"
        );
        object
    };
    stderr.lines().map(read).collect()
}

fn messages(objects: &[Map<String, Value>]) -> Vec<&str> {
    objects
        .iter()
        .map(|object| object["message"].as_str().unwrap())
        .collect()
}

/// The bundled server, behind a line that writes what it is given to stderr.
fn talkative(room: &Room) -> StdioServer {
    let server = StdioServer::echo(room);
    let line = format!("echo 'it says {SECRET}' >&2; exec \"$@\"");
    let mut words: Vec<String> = ["/bin/sh", "-c", &line, "sh"].map(str::to_owned).to_vec();
    words.extend(
        server
            .words()
            .iter()
            .map(|word| word.to_str().unwrap().to_owned()),
    );
    StdioServer::command(room, words)
}

#[test]
fn each_line_of_run_is_an_object_whatever_goes_wrong() {
    for level in ["info", "debug"] {
        let room = Room::new();
        let gate = gate(&room, OPEN).before(&talkative(&room)).flags(&[
            "--log-format",
            "json",
            "--log-level",
            level,
        ]);
        let mut client = gate.stdio();
        client.initialize("2025-06-18");
        assert_eq!(client.call("echo", json!({"text": SECRET})).text(), SECRET);
        std::fs::write(gate.policy_path(), "version: \"1\"\ntools: {echo: {ruels: []}}\n").unwrap();
        let _ = client.stderr_line("the policy in force stays");
        std::fs::write(gate.policy_path(), "version: \"1\"\ndefault: deny\ntools: {}\n").unwrap();
        let _ = client.stderr_line("the policy was reloaded");
        client.close_stdin();
        client.ended();
        let stderr = client.stderr();
        let objects = objects(&stderr);
        let misspelt = objects
            .iter()
            .find(|object| object.get("code") == Some(&json!("unknown-key")))
            .expect("the finding");
        assert_eq!(misspelt["level"], "error");
        assert_eq!(misspelt["line"], 2);
        assert!(
            misspelt["file"].as_str().unwrap().ends_with(".yaml"),
            "{misspelt:?}"
        );
        assert!(
            misspelt["hint"].as_str().unwrap().contains("rules"),
            "{misspelt:?}"
        );
        // What a server writes may hold whatever it was sent: it is told where that was asked for.
        let said = objects.iter().any(|object| object.contains_key("said"));
        assert_eq!(said, level == "debug", "{stderr}");
        assert_eq!(stderr.contains(SECRET), level == "debug", "{stderr}");
    }
}

#[test]
fn an_error_at_the_start_is_an_object_too() {
    let room = Room::new();
    let policy = room.write("policy.yaml", "version: \"1\"\ntools: {echo: {ruels: []}}\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command
        .args(["run", "--log-format", "json", "-c"])
        .arg(policy)
        .args(["--", "true"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let objects = objects(&stderr);
    assert_eq!(objects.len(), 3, "two findings and the error: {stderr}");
    assert!(messages(&objects)[2].contains("is not valid"), "{stderr}");
}

#[test]
fn each_line_of_serve_is_an_object_where_the_configuration_or_a_flag_says_so() {
    for by_flag in [true, false] {
        let mut stage = Stage::new();
        let mut flags = vec!["--log-format", "json"];
        if !by_flag {
            stage.config["log"] = json!({"format": "json", "level": "debug"});
            flags.clear();
        }
        stage.config["servers"]["away"] = json!({"command": ["/nowhere"]});
        stage.config["metrics"] = json!("127.0.0.1:0");
        let ana = stage.grant("ana", &["notes=open", "away=open", "mail=gone"]);
        let config = stage.room.write("callgate.yaml", &stage.config.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command.args(["serve", "-c"]).arg(config).args(&flags);
        let mut process = Process::start(&mut command);
        process.lives_in(&stage.room);
        let line = process.stderr_line("listening on");
        let read: Value = serde_json::from_str(&line).unwrap();
        let url = read["message"].as_str().unwrap();
        let url = url
            .trim_start_matches("listening on ")
            .trim_end_matches("/mcp/SERVER");
        let client = |server: &str| {
            let client = callgate_testkit::Http::to(&format!("{url}/mcp/{server}"));
            client.header("authorization", &format!("Bearer {ana}"))
        };
        assert_eq!(client("away").post(&initialize()).status, 502);
        let mut notes = client("notes");
        notes.initialize("2025-11-25");
        assert_eq!(notes.call("echo", json!({"text": SECRET})).text(), SECRET);
        let _ = notes.post(&format!("{{\"x\": \"{SECRET}\", \"x\": 1}}"));
        stage.config["listen"] = json!("127.0.0.1:1");
        stage.room.write("callgate.yaml", &stage.config.to_string());
        let _ = process.stderr_line("takes a restart");
        stage
            .room
            .write("callgate.yaml", &format!("{{\"servers\": \"{SECRET}\""));
        until("the broken one is said", || {
            (process.stderr().matches("was not reloaded").count() == 2).then_some(())
        });
        process.signal(Signal::TERM);
        assert_eq!(process.ended().code(), Some(143));
        let stderr = process.stderr();
        let objects = objects(&stderr);
        assert!(
            objects
                .iter()
                .any(|object| object.get("server") == Some(&json!("away"))),
            "{stderr}"
        );
        assert!(!stderr.contains(SECRET), "{stderr}");
        assert!(!stderr.contains(&ana), "{stderr}");
    }
}
