//! What is wrong with a policy, a state folder or a command line is said at once, and nothing is started.

use crate::support::bench::OPEN;
use crate::support::{Bench, lives};
use std::os::unix::fs::PermissionsExt as _;

/// Nothing was started, and the program says why.
#[track_caller]
fn refused(bench: &Bench, options: &[&str], words: &[&str]) {
    let ended = bench.echo(&[]).with(options).finish();
    assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
    assert_eq!(ended.stdout, "", "stdout belongs to the client");
    for word in words {
        assert!(
            ended.stderr.contains(word),
            "`{word}` is not in: {}",
            ended.stderr
        );
    }
    assert!(!bench.log("echo").path().exists(), "the server was started");
}

#[test]
fn a_misspelt_key_is_shown_at_its_place_with_a_suggestion_and_nothing_starts() {
    let bench = Bench::new("version: \"1\"\ntools:\n  echo:\n    ruels:\n      - action: deny\n");
    refused(&bench, &[], &["policy.yaml:4:5", "ruels", "rules", "^^^^^"]);
}

#[test]
fn a_duplicate_key_is_shown_at_its_place_and_nothing_starts() {
    let bench =
        Bench::new("version: \"1\"\ntools:\n  echo: {}\n  add: {}\n  echo: {rules: [{action: deny}]}\n");
    refused(&bench, &[], &["policy.yaml:5:3", "echo"]);
}

#[test]
fn a_duplicate_key_in_json_is_shown_too() {
    let bench = Bench::new(r#"{"version": "1", "default": "deny", "default": "allow", "tools": {}}"#);
    refused(&bench, &[], &["policy.yaml:1:", "default"]);
}

#[test]
fn a_wrong_type_is_an_error_with_a_place() {
    let bench = Bench::new("version: \"1\"\ntools:\n  echo:\n    limits: [{max: many, window: hour}]\n");
    refused(&bench, &[], &["policy.yaml:4:", "many"]);
}

#[test]
fn a_yaml_bomb_and_cyclic_aliases_are_refused_quickly() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..40 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    for policy in [bomb.as_str(), "version: \"1\"\ntools: &t\n  echo: *t\n"] {
        let began = std::time::Instant::now();
        refused(&Bench::new(policy), &[], &["policy.yaml:"]);
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }
}

#[test]
fn a_policy_that_is_not_there_is_named() {
    let bench = Bench::new(OPEN);
    std::fs::remove_file(bench.policy()).unwrap();
    refused(&bench, &[], &["policy.yaml", "cannot read"]);
}

#[test]
fn a_state_folder_that_is_a_file_is_refused() {
    let bench = Bench::new(OPEN);
    bench.write("state", "");
    refused(&bench, &[], &["state", "is not a folder", "--state-dir"]);
}

#[test]
fn a_state_folder_that_others_can_write_is_refused() {
    let bench = Bench::new(OPEN);
    std::fs::create_dir(bench.state()).unwrap();
    std::fs::set_permissions(bench.state(), std::fs::Permissions::from_mode(0o777)).unwrap();
    refused(&bench, &[], &["can be written by others", "chmod 700"]);
}

#[test]
fn a_read_only_state_folder_is_refused() {
    let bench = Bench::new(OPEN);
    // What even the superuser cannot write.
    std::os::unix::fs::symlink("/proc/sys", bench.state()).unwrap();
    refused(&bench, &[], &["state", "--state-dir"]);
}

#[test]
fn a_damaged_state_file_is_refused_and_kept_as_it_is() {
    let bench = Bench::new(OPEN);
    bench.echo(&[]).finish();
    std::fs::remove_file(bench.log("echo").path()).unwrap();
    let database = bench.state().join("callgate.db");
    let damaged = vec![0x5a; 40_000];
    std::fs::write(&database, &damaged).unwrap();
    refused(&bench, &[], &["callgate.db", "damaged"]);
    assert_eq!(std::fs::read(&database).unwrap(), damaged);
}

#[test]
fn the_state_of_a_newer_version_is_refused_and_kept_as_it_is() {
    let bench = Bench::new(OPEN);
    bench.echo(&[]).finish();
    std::fs::remove_file(bench.log("echo").path()).unwrap();
    let database = bench.state().join("callgate.db");
    let mut bytes = std::fs::read(&database).unwrap();
    // The database's own version number, the user's: https://www.sqlite.org/fileformat.html#user_version
    bytes[60..64].copy_from_slice(&999_u32.to_be_bytes());
    std::fs::write(&database, &bytes).unwrap();
    refused(&bench, &[], &["newer version", "999", "update callgate"]);
    assert_eq!(std::fs::read(&database).unwrap(), bytes);
}

#[test]
fn the_state_is_private_to_the_user() {
    let bench = Bench::new(OPEN);
    bench.echo(&[]).finish();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&bench.state()), 0o700);
    for entry in std::fs::read_dir(bench.state()).unwrap() {
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
    let bench = Bench::new(OPEN);
    refused(
        &bench,
        &["--state-dsn", "redis://127.0.0.1:6379/0"],
        &["--state-dsn", "not available", "--state-dir"],
    );
    refused(
        &bench,
        &["--state-fail-mode", "open"],
        &["--state-fail-mode", "denied"],
    );
}

#[test]
fn the_flags_of_intercept_keep_their_names() {
    let bench = Bench::new(OPEN);
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
    let run = bench.echo(&[]).with(&flags);
    let mut gate = run.start();
    gate.initialize("2025-06-18");
    assert_eq!(
        gate.call(1, "echo", serde_json::json!({"text": "hi"}))["result"]["content"][0]["text"],
        "hi"
    );
    let (status, _) = gate.end();
    assert!(status.success());
}

#[test]
fn run_may_be_left_out() {
    let bench = Bench::new(OPEN);
    let mut words = bench.echo(&[]).words();
    words.remove(1);
    let mut command = std::process::Command::new(words.remove(0));
    command.args(words);
    let mut gate = crate::support::Gate::start(command);
    gate.initialize("2025-06-18");
    assert_eq!(gate.tools().len(), 10);
}

#[test]
fn a_command_that_does_not_exist_is_named() {
    let bench = Bench::new(OPEN);
    let ended = bench.run(["no-such-program-anywhere"]).finish();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("no-such-program-anywhere"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("installed"), "{}", ended.stderr);
}

#[test]
fn an_address_that_others_can_reach_needs_a_token() {
    let bench = Bench::new(OPEN);
    let options = ["--transport", "http", "--bind", "0.0.0.0", "--port", "0"];
    refused(&bench, &options, &["--bind", "--token-file", "127.0.0.1"]);
    let token = bench.write("token", "too-short\n");
    let options = [&options[..], &["--token-file", token.to_str().unwrap()]].concat();
    refused(&bench, &options, &["--token-file", "16"]);
}

#[test]
fn a_policy_within_the_agents_reach_is_warned_of() {
    let bench = Bench::new(OPEN);
    std::fs::set_permissions(bench.policy(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let mut gate = bench.echo(&[]).start();
    gate.initialize("2025-06-18");
    assert!(lives(gate.pid()));
    gate.await_words("can be written by others");
    gate.await_words("below the working folder");
}
