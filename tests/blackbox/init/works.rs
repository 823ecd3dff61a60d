//! What stands in a configuration afterwards does what it has to do.

use super::YES;
use super::house::House;
use crate::support::deps::{node_program, python};
use callgate_testkit::PATIENCE;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

#[test]
fn a_wrapped_entry_serves_its_tools_and_denies_what_is_hidden() {
    let house = House::new();
    house.write(
        ".config/Claude/claude_desktop_config.json",
        &house.filled(include_str!("claude-desktop.json")),
    );
    let ran = house.callgate(&YES);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.stdout.contains("filesystem: 3 tools"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("denied     1  delete_notes"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr
            .contains("where 2 lists deny until you fill them in (FILL IN)"),
        "{}",
        ran.all()
    );
    for (name, policy) in [
        ("filesystem", "filesystem.yaml"),
        ("notes & more", "notes-more.yaml"),
    ] {
        let policy = format!(".config/callgate/policies/{policy}");
        let text = house.read(&policy);
        // What a person does.
        house.write(&policy, &text.replace("value: []", "value: [/home/ana/notes]"));
        let entry = house.entry(
            ".config/Claude/claude_desktop_config.json",
            &format!("/mcpServers/{name}"),
        );
        let mut client = house.start(&entry);
        client.initialize("2025-06-18");
        assert_eq!(client.tools(), ["list_notes", "send_note"]);
        let listed = client.call("list_notes", json!({"folder": "/home/ana/notes/a"}));
        assert_eq!(listed.text(), "list_notes is done");
        let denied = client.call("delete_notes", json!({"folder": "x"}));
        assert_eq!(denied.reason(), Some("tool_not_available"), "{}", denied.raw);
        client.close_stdin();
        assert!(client.ended_within(PATIENCE).is_some());
    }
    // Its own arguments reached it behind the gate as before.
    let started = house.started();
    let line = "npx -y @modelcontextprotocol/server-filesystem /home/ana/Desktop";
    assert_eq!(
        started.iter().filter(|started| *started == line).count(),
        2,
        "{started:?}"
    );
    // Limits and ledger know it by its name.
    let status = house.callgate(&["status", "--json"]);
    assert!(
        status.stdout.contains("\"filesystem\"") && status.stdout.contains("\"notes-more\""),
        "{}",
        status.all()
    );
}

#[test]
fn a_wrapped_url_gets_its_headers_and_no_process_shows_them() {
    let house = House::new();
    let text = format!(
        "{{\"mcpServers\": {{\"issues\": {{\"type\": \"http\", \"url\": \"{0}?key=canary-url\", \"headers\": {{\"Authorization\": \"Bearer canary-header\", \"X-Api-Key\": \"canary-key\"}}}}}}}}",
        house.remote()
    );
    house.write(".claude.json", &text);
    let ran = house.callgate(&YES);
    assert_eq!(ran.code, 0, "{}", ran.all());
    house.assert_no_secret(&ran.all());
    let scanned = house.server().log().notes().join("\n");
    assert!(
        scanned.contains("canary-header"),
        "the scan sends the headers: {scanned}"
    );
    let before = house.server().log().notes().len();
    let mut client = house.start(&house.entry(".claude.json", "/mcpServers/issues"));
    client.initialize("2025-06-18");
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    let command = std::fs::read(format!("/proc/{}/cmdline", client.pid())).unwrap();
    let command = String::from_utf8_lossy(&command).into_owned();
    assert!(command.contains("--header-env"), "{command}");
    house.assert_no_secret(&command);
    let notes = house.server().log().notes()[before..].join("\n");
    assert!(
        notes.contains("Bearer canary-header") && notes.contains("canary-key"),
        "{notes}"
    );
    client.close_stdin();
    client.ended();
    house.assert_no_secret(&client.stderr());
}

/// The ids of what `check` finds of each server, and the number of its tools.
fn checked(house: &House, arguments: &[&str]) -> Vec<(String, Vec<String>, Option<u64>)> {
    let ran = house.callgate(&[&["check", "--json", "--config"], arguments].concat());
    house.assert_no_secret(&ran.all());
    let servers = ran.json()["servers"].as_array().unwrap().clone();
    let one = |server: &serde_json::Value| {
        let found = server["findings"].as_array().unwrap().iter();
        let ids = found.map(|found| found["rule"].as_str().unwrap().to_owned());
        (
            server["name"].as_str().unwrap().to_owned(),
            ids.collect(),
            server["tools"].as_u64(),
        )
    };
    servers.iter().map(one).collect()
}

#[test]
fn what_was_put_behind_callgate_is_known_as_guarded_and_its_tools_are_listed() {
    let house = House::new();
    let text = house.filled(
        r#"{"mcpServers": {
            "header": {"type": "http", "url": "REMOTE", "headers": {"Authorization": "Bearer canary-header"}},
            "query": {"type": "http", "url": "REMOTE?key=canary-url", "headers": {"X-Api-Key": "canary-key"}}
        }}"#,
    );
    let path = house.write("shop/.mcp.json", &text);
    let path = path.to_str().unwrap();
    assert_eq!(house.callgate(&YES).code, 0);
    let secret = || vec!["credentials-in-file".to_owned()];
    let both = || vec!["credentials-in-file".to_owned(), "credentials-in-file".to_owned()];
    assert_eq!(
        checked(&house, &[path]),
        [
            ("header".to_owned(), secret(), None),
            ("query".to_owned(), both(), None)
        ]
    );
    let before = house.server().log().notes().len();
    let tools = checked(&house, &[path, "--start"]);
    assert!(
        tools
            .iter()
            .all(|(_, found, tools)| !found.contains(&"no-answer".to_owned()) && *tools > Some(0)),
        "{tools:?}"
    );
    let notes = house.server().log().notes()[before..].join("\n");
    for sent in ["Bearer canary-header", "canary-key"] {
        assert!(notes.contains(sent), "{sent}: {notes}");
    }
}

#[test]
fn the_configuration_of_codex_is_checked_before_and_after() {
    let house = House::new();
    let path = house.write(".codex/config.toml", &house.filled(include_str!("codex.toml")));
    let path = path.to_str().unwrap();
    let names = |checked: &[(String, Vec<String>, Option<u64>)], rule: &str| -> Vec<String> {
        let with = checked
            .iter()
            .filter(|(_, found, _)| found.iter().any(|id| id == rule));
        with.map(|(name, ..)| name.clone()).collect()
    };
    let before = checked(&house, &[path]);
    assert_eq!(
        names(&before, "not-behind-callgate"),
        ["context7", "with env", "figma"]
    );
    assert_eq!(names(&before, "unpinned-package"), ["context7"]);
    assert_eq!(house.callgate(&YES).code, 0);
    let after = checked(&house, &[path]);
    assert_eq!(names(&after, "not-behind-callgate"), [""; 0]);
    let sent = house.server().log().notes().len();
    let after = checked(&house, &[path, "--start"]);
    assert_eq!(names(&after, "no-answer"), [""; 0]);
    let notes = house.server().log().notes()[sent..].join("\n");
    for header in ["Bearer canary-codex-variable", "canary-codex-header"] {
        assert!(notes.contains(header), "{header}: {notes}");
    }
    // What is no TOML is said with its place.
    let path = house.write("broken.toml", "[mcp_servers.a]\ncommand =\n");
    let ran = house.callgate(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{}", ran.all());
    assert!(
        ran.stderr.contains("broken.toml:2:10: this is not valid TOML"),
        "{}",
        ran.all()
    );
}

#[test]
fn codex_passes_a_token_on_by_its_variable() {
    let house = House::new();
    let text = format!(
        "[mcp_servers.figma]\nurl = \"{}\"\nbearer_token_env_var = \"FIGMA_TOKEN\"\n",
        house.remote()
    );
    house.write(".codex/config.toml", &text);
    let ran = house.callgate(&YES);
    assert_eq!(ran.code, 0, "{}", ran.all());
    house.assert_no_secret(&ran.all());
    let notes = house.server().log().notes();
    assert!(
        notes.join("\n").contains("Bearer canary-codex-variable"),
        "{notes:?}"
    );
    let text = house.read(".codex/config.toml");
    assert!(text.contains("env_vars = [\"FIGMA_TOKEN\"]"), "{text}");
    house.assert_no_secret(&text);
    let args = text
        .lines()
        .find_map(|line| line.strip_prefix("args = "))
        .unwrap();
    let entry = json!({"command": env!("CARGO_BIN_EXE_callgate"), "args": serde_json::from_str::<serde_json::Value>(args).unwrap()});
    let mut client = house.start(&entry);
    client.initialize("2025-06-18");
    assert_eq!(client.call("echo", json!({"text": "hi"})).text(), "hi");
    assert!(
        house.server().log().notes()[notes.len()..]
            .join("\n")
            .contains("Bearer canary-codex-variable")
    );
    client.close_stdin();
    client.ended();
}

#[test]
fn a_server_that_wants_a_login_is_left_to_its_client() {
    let house = House::new();
    let text = format!(
        "{{\"mcpServers\": {{\"a\": {{\"url\": \"{}\"}}}}}}",
        unauthorized()
    );
    house.write(".cursor/mcp.json", &text);
    let ran = house.callgate(&YES);
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(ran.stderr.contains("it wants a login"), "{}", ran.all());
    assert_eq!(house.read(".cursor/mcp.json"), text);
}

/// The URL of a server that lets nobody in.
fn unauthorized() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 65536];
            let _ = stream.read(&mut bytes);
            let _ = stream.write_all(
                b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
    });
    url
}

#[test]
fn a_real_server_of_npm_works_behind_what_was_written() {
    let house = House::new();
    let program = node_program("@modelcontextprotocol/server-everything/dist/index.js");
    let config = json!({"mcpServers": {"everything": {"command": "node", "args": [program, "stdio"]}}});
    house.write(
        ".cursor/mcp.json",
        &serde_json::to_string_pretty(&config).unwrap(),
    );
    let ran = house.callgate(&["init", "--yes", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    let server = ran.json()["servers"][0].clone();
    assert_eq!(server["status"], "guarded");
    assert!(Path::new(server["policy"].as_str().unwrap()).is_file());
    assert!(
        server["tools"]
            .as_array()
            .unwrap()
            .iter()
            .any(|tool| tool["name"] == "echo"),
        "{server}"
    );
    let mut client = house.start(&house.entry(".cursor/mcp.json", "/mcpServers/everything"));
    client.initialize("2025-06-18");
    let answer = client.call("echo", json!({"message": "hi"}));
    assert!(answer.text().contains("hi"), "{}", answer.raw);
    client.close_stdin();
    assert!(client.ended_within(PATIENCE).is_some());
}

#[test]
fn a_real_server_of_pypi_is_shown_by_risk_and_works_behind_what_was_written() {
    let house = House::new();
    let config = json!({"mcpServers": {"git": {"command": python(), "args": ["-m", "mcp_server_git"]}}});
    house.write(".cursor/mcp.json", &config.to_string());
    let ran = house.callgate(&["init", "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.stdout.contains("git: 12 tools"), "{}", ran.all());
    assert!(ran.stdout.contains("denied     1  git_reset\n"), "{}", ran.all());

    let python = python();
    let words = [
        "scan",
        "--json",
        "--",
        python.to_str().unwrap(),
        "-m",
        "mcp_server_git",
    ];
    let found = house.callgate(&words).json();
    let tools = found["tools"].as_array().unwrap();
    let mut listed: Vec<(&str, &str)> = tools
        .iter()
        .filter(|tool| tool["listed"] == true)
        .map(|tool| (tool["name"].as_str().unwrap(), tool["class"].as_str().unwrap()))
        .collect();
    listed.sort_unstable();
    // All but the one that says of itself that it destroys.
    assert_eq!(
        listed,
        [
            ("git_add", "Write"),
            ("git_branch", "Read"),
            ("git_checkout", "Write"),
            ("git_commit", "Write"),
            ("git_create_branch", "Write"),
            ("git_diff", "Read"),
            ("git_diff_staged", "Read"),
            ("git_diff_unstaged", "Read"),
            ("git_log", "Read"),
            ("git_show", "Read"),
            ("git_status", "Read"),
        ]
    );

    let repository = house.write("desk/note", "ours");
    let repository = repository.parent().unwrap();
    let made = Command::new("git").args(["init", "-q"]).arg(repository).status();
    assert!(made.unwrap().success());
    let mut client = house.start(&house.entry(".cursor/mcp.json", "/mcpServers/git"));
    client.initialize("2025-06-18");
    assert_eq!(client.tools().len(), 11, "{:?}", client.tools());
    // Its working folder is `/`.
    let inside = repository.strip_prefix("/").unwrap();
    let status = client.call("git_status", json!({"repo_path": inside}));
    assert!(status.text().contains("note"), "{}", status.raw);
    let outside = client.call("git_status", json!({"repo_path": repository}));
    assert_eq!(outside.reason(), Some("condition_failed"), "{}", outside.raw);
    let reset = client.call("git_reset", json!({"repo_path": inside}));
    assert_eq!(reset.reason(), Some("tool_not_available"), "{}", reset.raw);
    client.close_stdin();
    assert!(client.ended_within(PATIENCE).is_some());
}
