//! What is wrong with a policy, a state folder or a command line is said at once, and nothing is started.

use crate::support::{OPEN, before_echo, gate, state};
use callgate_testkit::{Process, Room, Stdio};
use serde_json::json;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Whoever reads the program's stderr finds these words, and the server was not started.
#[track_caller]
fn refused_in(room: &Room, options: &[&str], words: &[&str]) {
    let server = callgate_testkit::StdioServer::echo(room);
    let _ = std::fs::remove_file(server.log().path());
    let gate = callgate_testkit::Gate::of(env!("CARGO_BIN_EXE_callgate"), room)
        .flags(options)
        .before(&server);
    let mut process = gate.start(&[]);
    let code = process.ended().code();
    assert!(matches!(code, Some(1 | 2)), "{code:?}: {}", process.stderr());
    assert!(process.stdout().is_closed_within(Duration::from_secs(5)));
    assert_eq!(
        process.stdout().all(),
        Vec::<String>::new(),
        "stdout belongs to the client"
    );
    for word in words {
        let _ = process.stderr_line(word);
    }
    assert!(!server.log().path().exists(), "the server was started");
}

#[track_caller]
fn refused(policy: &str, options: &[&str], words: &[&str]) {
    let room = Room::new();
    room.write("policy.yaml", policy);
    refused_in(&room, options, words);
}

#[test]
fn a_misspelt_key_is_shown_at_its_place_with_a_suggestion() {
    let policy = "version: \"1\"\ntools:\n  echo:\n    ruels:\n      - action: deny\n";
    refused(policy, &[], &["policy.yaml:4:5", "ruels", "rules", "^^^^^"]);
}

#[test]
fn a_duplicate_key_is_shown_at_its_place() {
    let yaml = "version: \"1\"\ntools:\n  echo: {}\n  add: {}\n  echo: {rules: [{action: deny}]}\n";
    refused(yaml, &[], &["policy.yaml:5:3", "echo"]);
    let json = r#"{"version": "1", "default": "deny", "default": "allow", "tools": {}}"#;
    refused(json, &[], &["policy.yaml:1:", "default"]);
}

#[test]
fn a_wrong_type_is_shown_at_its_place() {
    let policy = "version: \"1\"\ntools:\n  echo:\n    limits: [{max: many, window: hour}]\n";
    refused(policy, &[], &["policy.yaml:4:", "many"]);
}

#[test]
fn a_yaml_bomb_and_cyclic_aliases_are_refused_quickly() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..40 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    for policy in [bomb.as_str(), "version: \"1\"\ntools: &t\n  echo: *t\n"] {
        let began = Instant::now();
        refused(policy, &[], &["policy.yaml:"]);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}

#[test]
fn a_policy_that_is_not_there_is_named() {
    let (_room, server, gate) = before_echo(OPEN);
    std::fs::remove_file(gate.policy_path()).unwrap();
    let mut process = gate.start(&[]);
    assert_eq!(process.ended().code(), Some(1));
    let _ = process.stderr_line("cannot read the policy");
    assert!(!server.log().path().exists(), "the server was started");
}

#[test]
fn a_state_folder_that_is_a_file_is_refused() {
    let room = Room::new();
    room.write("state", "");
    refused_in(&room, &[], &["state", "is not a folder", "--state-dir"]);
}

#[test]
fn a_state_folder_that_others_can_write_is_refused() {
    let room = Room::new();
    std::fs::create_dir(state(&room)).unwrap();
    std::fs::set_permissions(state(&room), std::fs::Permissions::from_mode(0o777)).unwrap();
    refused_in(&room, &[], &["can be written by others", "chmod 700"]);
}

#[test]
fn a_state_folder_that_cannot_be_written_is_refused() {
    let room = Room::new();
    // What even the superuser cannot write.
    symlink("/proc/sys", state(&room)).unwrap();
    refused_in(&room, &[], &["state", "--state-dir"]);
}

/// Runs a gate once, so that there is a state, and gives the path of its database.
fn with_state(room: &Room) -> std::path::PathBuf {
    let server = callgate_testkit::StdioServer::echo(room);
    let mut client = gate(room, OPEN).before(&server).stdio();
    client.initialize("2025-06-18");
    client.close_stdin();
    client.ended();
    state(room).join("callgate.db")
}

#[test]
fn a_damaged_state_is_refused_and_kept_as_it_is() {
    let room = Room::new();
    let database = with_state(&room);
    let damaged = vec![0x5a; 40_000];
    std::fs::write(&database, &damaged).unwrap();
    refused_in(&room, &[], &["callgate.db", "damaged", "backup"]);
    assert_eq!(std::fs::read(&database).unwrap(), damaged);
}

#[test]
fn the_state_of_a_newer_version_is_refused_and_kept_as_it_is() {
    let room = Room::new();
    let database = with_state(&room);
    let mut bytes = std::fs::read(&database).unwrap();
    // The user version of the database header: https://www.sqlite.org/fileformat.html#user_version
    bytes[60..64].copy_from_slice(&999_u32.to_be_bytes());
    std::fs::write(&database, &bytes).unwrap();
    refused_in(&room, &[], &["newer version", "999", "update callgate"]);
    assert_eq!(std::fs::read(&database).unwrap(), bytes);
}

#[test]
fn the_state_is_private_to_the_user() {
    let room = Room::new();
    with_state(&room);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state(&room)), 0o700);
    for entry in std::fs::read_dir(state(&room)).unwrap() {
        let entry = entry.unwrap();
        let wanted = if entry.file_type().unwrap().is_dir() {
            0o700
        } else {
            0o600
        };
        assert_eq!(mode(&entry.path()), wanted, "{:?}", entry.path());
    }
}

#[test]
fn a_shared_store_is_refused_with_a_word_of_what_to_do() {
    refused(
        OPEN,
        &["--state-dsn", "redis://127.0.0.1:6379/0"],
        &["--state-dsn", "not available", "--state-dir"],
    );
    refused(
        OPEN,
        &["--state-fail-mode", "open"],
        &["--state-fail-mode", "denied"],
    );
}

#[test]
fn the_flags_of_intercept_keep_their_names() {
    let (_room, _server, gate) = before_echo(OPEN);
    let flags = [
        "--state-prefix",
        "mine",
        "--log-level",
        "debug",
        "--transport",
        "stdio",
        "--state-fail-mode",
        "closed",
    ];
    let mut client = gate.flags(&flags).stdio();
    client.initialize("2025-06-18");
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
}

#[test]
fn the_word_run_may_be_left_out() {
    let (_room, server, gate) = before_echo(OPEN);
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command
        .arg("-c")
        .arg(gate.policy_path())
        .arg("--state-dir")
        .arg(gate.state());
    command.arg("--").args(server.words());
    let mut client = Stdio::on(Process::start(&mut command));
    client.initialize("2025-06-18");
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
}

#[test]
fn a_command_that_does_not_exist_is_named() {
    let room = Room::new();
    let server = callgate_testkit::StdioServer::command(&room, ["no-such-program-anywhere"]);
    let mut process = gate(&room, OPEN).before(&server).start(&[]);
    assert_eq!(process.ended().code(), Some(1));
    let _ = process.stderr_line("no-such-program-anywhere");
    let _ = process.stderr_line("installed");
}

#[test]
fn an_address_that_others_can_reach_needs_a_token() {
    let room = Room::new();
    let options = ["--transport", "http", "--bind", "0.0.0.0", "--port", "0"];
    refused_in(&room, &options, &["--bind", "--token-file", "127.0.0.1"]);
    let token = room.write("token", "too-short\n");
    let options = [&options[..], &["--token-file", token.to_str().unwrap()]].concat();
    refused_in(&room, &options, &["--token-file", "16"]);
}

#[test]
fn what_is_no_url_is_told_by_the_flag_that_named_it_and_not_shown() {
    let room = Room::new();
    let policy = room.write("policy.yaml", OPEN);
    for (flags, flag) in [
        (["--upstream", "hunter2"], "--upstream: "),
        (["--upstream-env", "WHERE"], "--upstream-env: "),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command.args(["run", "-c"]).arg(&policy).arg("--state-dir");
        command.arg(room.at("state")).args(flags).env("WHERE", "hunter2");
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(flag) && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_policy_that_others_can_write_is_warned_of() {
    let (_room, _server, gate) = before_echo(OPEN);
    std::fs::set_permissions(gate.policy_path(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let mut client = gate.stdio();
    client.initialize("2025-06-18");
    let warning = client.stderr_line("can be written by others");
    assert!(warning.contains("policy.yaml"), "{warning}");
}
