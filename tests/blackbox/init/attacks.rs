//! Configurations, names and servers that mean ill, or are broken.

use super::YES;
use super::house::House;
use std::os::unix::fs::PermissionsExt;

#[test]
fn no_secret_is_shown_logged_or_kept_where_others_can_read() {
    let house = House::new();
    house.furnish(str::to_owned);
    let mut said = String::new();
    for arguments in [
        &["init", "--dry-run"][..],
        &["init"],
        &YES,
        &["init", "--yes", "--json"],
        &["init", "--undo", "--dry-run"],
        &["init", "--undo"],
        &["init", "--yes", "--trust-project", "--json"],
    ] {
        said.push_str(&house.callgate(arguments).all());
    }
    assert!(said.contains("issues"), "{said}");
    house.assert_no_secret(&said);
    let mut kept = 0;
    for (path, (mode, text)) in house.everything() {
        if path.starts_with(".config/callgate/") {
            house.assert_no_secret(&text);
        }
        if path.starts_with(".local/state/callgate/") {
            assert_eq!(mode, 0o600, "{path}");
            kept += usize::from(text.contains("canary-"));
        }
    }
    assert!(kept > 0, "the backups are there");
    for folder in [
        house.state(),
        house.state().join("init"),
        house.state().join("init/backups"),
    ] {
        let mode = folder.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o700, "{}", folder.display());
    }
    // Taken back, nothing of them is left.
    house.callgate(&["init", "--undo"]);
    for (path, (_, text)) in house.everything() {
        assert!(!path.contains("callgate/") || !text.contains("canary-"), "{path}");
    }
}

#[test]
fn secrets_within_arguments_and_folders_are_seen_by_nobody() {
    let house = House::new();
    house.write(
        ".cursor/mcp.json",
        r#"{"mcpServers": {
            "json": {"command": "npx", "args": ["--config", "{\"apiKey\": \"canary-a\", \"in\": {\"token\": \"canary-b\"}}"]},
            "header": {"command": "npx", "args": ["--header=Authorization: Basic canary-c", "Authorization: Bearer canary-d"]},
            "shell": {"command": "sh", "args": ["-c", "export TOKEN=\"canary-e canary-f\"; exit 1"]},
            "folder": {"command": "npx", "cwd": "/none/${env:GEMINI_CANARY}"},
            "query": {"url": "http://127.0.0.1:1/mcp?canary-g"}
        }}"#,
    );
    for arguments in [
        &["init", "--dry-run"][..],
        &["init", "--dry-run", "--json"],
        &["init", "--yes", "--timeout", "5"],
        &["init", "--undo"],
    ] {
        let ran = house.callgate(arguments);
        house.assert_no_secret(&ran.all());
    }
    for (path, (_, text)) in house.everything() {
        if path.starts_with(".config/callgate/") {
            house.assert_no_secret(&text);
        }
    }
}

#[test]
fn a_server_that_tells_its_secrets_tells_them_to_nobody() {
    let house = House::new();
    let tell = house.write(
        "tell.py",
        r#"
import json, os, sys
key = os.environ["KEY"]
for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "initialize":
        if "fail" in sys.argv:
            answer = {"error": {"code": -32000, "message": f"the key {key} is wrong"}}
        else:
            answer = {"result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                      "serverInfo": {"name": key, "version": key}}}
    elif message["method"] == "tools/list":
        answer = {"result": {"tools": [{"name": "get_x", "description": f"with {key}", "inputSchema":
                  {"type": "object", "properties": {"k": {"type": "string", "description": key, "enum": [key]}}}}]}}
    elif "id" in message:
        answer = {"error": {"code": -32601, "message": f"no, {key}"}}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
"#,
    );
    let entry = |more: &str| {
        format!(
            "{{\"command\": \"python3\", \"args\": [\"{}\"{more}], \"env\": {{\"KEY\": \"canary-0123456789abcdef\"}}}}",
            tell.display()
        )
    };
    house.write(
        ".cursor/mcp.json",
        &format!(
            "{{\"mcpServers\": {{\"good\": {}, \"bad\": {}}}}}",
            entry(""),
            entry(", \"fail\"")
        ),
    );
    let ran = house.callgate(&["init", "--yes"]);
    assert!(
        ran.stderr.contains("bad was left as it is") && ran.stderr.contains("the key ••• is wrong"),
        "{}",
        ran.all()
    );
    house.assert_no_secret(&ran.all());
    let policy = house.read(".config/callgate/policies/good.yaml");
    assert!(policy.contains("with •••"), "{policy}");
    house.assert_no_secret(&policy);
}

#[test]
fn names_cannot_leave_the_folder_of_policies_nor_meet() {
    let house = House::new();
    let names = [
        "../../../evil",
        "a/b",
        "a\\\\b",
        "a\\nb: [",
        "",
        ".",
        "..",
        "名",
        "A",
        "a",
        "x\\u0000y",
        "\\u202e",
        "--yes",
    ];
    let entries: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(index, name)| format!("\"{name}\": {{\"command\": \"npx\", \"args\": [\"{index}\"]}}"))
        .collect();
    house.write(
        ".cursor/mcp.json",
        &format!("{{\"mcpServers\": {{{}}}}}", entries.join(",\n")),
    );
    // The same name in another client, and another command.
    house.write(
        ".gemini/settings.json",
        "{\"mcpServers\": {\"a\": {\"command\": \"uvx\", \"args\": [\"other\"]}}}",
    );
    let before = house.files();
    let ran = house.callgate(&YES);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(!ran.all().contains('\u{202e}'), "{}", ran.all());
    let policies: Vec<String> = house
        .everything()
        .into_keys()
        .filter(|path| path.ends_with(".yaml") && !path.ends_with(".test.yaml"))
        .collect();
    assert_eq!(policies.len(), names.len() + 1, "{policies:?}");
    for path in &policies {
        assert!(path.starts_with(".config/callgate/policies/"), "{path}");
        assert!(path.is_ascii(), "{path}");
    }
    let lower: std::collections::BTreeSet<String> = policies.iter().map(|path| path.to_lowercase()).collect();
    assert_eq!(lower.len(), policies.len(), "{policies:?}");
    assert_eq!(house.callgate(&["init", "--undo"]).code, 0);
    let own = |path: &String| !path.contains("callgate/");
    let after: Vec<_> = house
        .everything()
        .into_iter()
        .filter(|(path, _)| own(path))
        .collect();
    assert_eq!(after, before.into_iter().collect::<Vec<_>>());
}

#[test]
fn a_broken_configuration_is_told_with_its_place_and_the_others_go_on() {
    let house = House::new();
    house.write(
        ".cursor/mcp.json",
        "{\n  \"mcpServers\": {\n    \"a\": {\"command\" \"npx\"}\n  }\n}\n",
    );
    house.write(
        ".gemini/settings.json",
        "{\"mcpServers\": {\"a\": {\"command\": \"npx\"}, \"a\": {\"command\": \"uvx\"}}}",
    );
    house.write(".codex/config.toml", "[mcp_servers.a]\ncommand = \n");
    std::fs::create_dir_all(house.at(".claude.json")).unwrap();
    std::fs::create_dir_all(house.at(".config/zed")).unwrap();
    std::fs::write(house.at(".config/zed/settings.json"), [b'{', 0xff, b'}']).unwrap();
    let fifo = house.at(".codeium/windsurf/mcp_config.json");
    std::fs::create_dir_all(fifo.parent().unwrap()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    std::fs::create_dir_all(house.at(".config/Code/User")).unwrap();
    let huge = std::fs::File::create(house.at(".config/Code/User/mcp.json")).unwrap();
    huge.set_len(65 * 1024 * 1024).unwrap();
    house.write(".config/Code/User/settings.json", "");
    house.write(
        ".config/Claude/claude_desktop_config.json",
        "{\"mcpServers\": {\"fine\": {\"command\": \"npx\"}}}",
    );
    let ran = house.callgate(&YES);
    assert_eq!(ran.code, 2, "{}", ran.all());
    for said in [
        "line 3, column 21: `:` is expected here",
        "line 1: the key `a` stands here for the second time",
        "line 2, column",
        "it is a folder, not a file",
        "it is not UTF-8 text",
        "it is a pipe, not a file",
        "it has more than 67108864 bytes",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.all());
    }
    assert_eq!(house.started().len(), 1);
    assert!(
        house
            .read(".config/Claude/claude_desktop_config.json")
            .contains("--server")
    );
    assert_eq!(house.read(".config/Code/User/settings.json"), "");
}

#[test]
fn a_read_only_file_is_left_and_said() {
    let house = House::new();
    let text = "{\"mcpServers\": {\"a\": {\"command\": \"npx\"}}}";
    let path = house.write(".cursor/mcp.json", text);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o444)).unwrap();
    let ran = house.callgate(&YES);
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(ran.stderr.contains("it is read-only"), "{}", ran.all());
    assert_eq!(house.read(".cursor/mcp.json"), text);
    let undone = house.callgate(&["init", "--undo"]);
    assert!(undone.stderr.contains("nothing to take back"), "{}", undone.all());
}

#[test]
fn a_path_in_a_reason_moves_no_cursor() {
    let house = House::new();
    let json = house.write(
        "shop/a\u{1b}[2J.json",
        "{\"mcpServers\": {\"a\": {\"command\": \"npx\"}}}",
    );
    std::fs::set_permissions(&json, PermissionsExt::from_mode(0o444)).unwrap();
    let toml = house.write(
        "shop/b\u{1b}[2J.toml",
        &house.filled("[mcp_servers.b]\nurl = \"REMOTE?key=k\"\n[mcp_servers.b.http_headers]\nX-A = \"1\"\n"),
    );
    let (json, toml) = (json.to_str().unwrap(), toml.to_str().unwrap());
    let ran = house.callgate(&[
        "init",
        "--yes",
        "--trust-project",
        "--config",
        json,
        "--config",
        toml,
    ]);
    assert_eq!(ran.code, 2, "{}", ran.all());
    for said in ["it is read-only", "its URL holds a secret"] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.all());
    }
    assert!(!ran.all().contains('\u{1b}'), "{:?}", ran.all());
}

#[test]
fn a_file_of_more_servers_than_are_looked_at_is_left_and_said() {
    let house = House::new();
    let text = |count: usize| {
        let servers: Vec<String> = (0..count)
            .map(|number| format!("\"s{number}\": {{\"command\": \"npx\"}}"))
            .collect();
        format!("{{\"mcpServers\": {{{}}}}}", servers.join(", "))
    };
    house.write(".cursor/mcp.json", &text(501));
    let ran = house.callgate(&["init", "--dry-run"]);
    assert!(
        ran.stderr
            .contains("left alone: it names more than the 500 servers that are looked at"),
        "{}",
        ran.all()
    );
    house.write(".cursor/mcp.json", &text(500));
    let ran = house.callgate(&["init", "--dry-run"]);
    assert!(ran.stderr.contains("s499: npx"), "{}", ran.all());
}

#[test]
fn what_init_says_is_guarded_check_says_too() {
    let house = House::new();
    let entry = |command: &str, more: &str| {
        format!(r#"{{"command": "{command}", "args": ["run", "-c", "/p.yaml", "--", "x"], {more}}}"#)
    };
    let own = env!("CARGO_BIN_EXE_callgate");
    let before = format!(
        r#"{{"mcpServers": {{"path": {}, "loader": {}, "file": {}, "other": {}, "new": {{"command": "npx", "env": {{"PATH": "REAL"}}}}}}}}"#,
        entry(own, r#""env": {"PATH": "./evil"}"#),
        entry(own, r#""env": {"LD_PRELOAD": "./evil.so"}"#),
        entry(own, r#""envFile": "./evil.env""#),
        entry(own, r#""env": {}, "environment": {"DYLD_INSERT_LIBRARIES": "./evil"}"#),
    )
    .replace(
        "REAL",
        &format!(
            "{}:{}",
            house.room.at("bin").display(),
            std::env::var("PATH").unwrap()
        ),
    );
    let path = house.write(".cursor/mcp.json", &before);
    let ran = house.callgate(&YES);
    for said in [
        "path: behind Callgate, under /p.yaml",
        "loader: left as it is: its variables may start another program",
        "file: left as it is: its client reads variables from a file (`envFile`)",
        "other: left as it is: its variables may start another program",
        "callgate: new is behind Callgate",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.all());
    }
    let checked = house
        .callgate(&["check", "--config", path.to_str().unwrap(), "--json"])
        .json();
    let bare: Vec<&str> = checked["servers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|server| server["findings"].to_string().contains("not-behind-callgate"))
        .map(|server| server["name"].as_str().unwrap())
        .collect();
    assert_eq!(bare, ["loader", "file", "other"], "{}", ran.all());
}

#[test]
fn a_file_that_a_client_writes_meanwhile_loses_nothing() {
    let house = House::new();
    // The server itself plays the client: while it is scanned, the file changes.
    let path = house.at(".claude.json");
    let script = format!(
        "printf '{{\"new\": 1, \"mcpServers\": {{\"a\": {{\"command\": \"npx\"}}}}}}' > {}; exec npx",
        path.display()
    );
    let entry = serde_json::json!({"mcpServers": {"a": {"command": "npx"}, "changer": {"command": "sh", "args": ["-c", script]}}});
    house.write(".claude.json", &entry.to_string());
    let ran = house.callgate(&YES);
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(ran.stderr.contains("changer was left as it is"), "{}", ran.all());
    let text = house.read(".claude.json");
    assert!(
        text.starts_with("{\"new\": 1,") && text.contains("--server"),
        "{text}"
    );
    assert_eq!(house.callgate(&["init", "--undo"]).code, 0);
    assert_eq!(
        house.read(".claude.json"),
        "{\"new\": 1, \"mcpServers\": {\"a\": {\"command\": \"npx\"}}}"
    );
}

#[test]
fn another_program_called_callgate_is_not_taken_for_this_one() {
    let house = House::new();
    let evil = house.write("shop/callgate", "#!/bin/sh\ntouch evil\n");
    std::fs::set_permissions(&evil, PermissionsExt::from_mode(0o755)).unwrap();
    let text = "{\"mcpServers\": {\"a\": {\"command\": \"./callgate\", \"args\": [\"run\", \"-c\", \"p.yaml\", \"--\", \"npx\"]}}}";
    house.write("shop/.mcp.json", text);
    // One that says that it is behind this program names the policy that it brings.
    house.write(
        "shop/.gemini/settings.json",
        &format!(
            "{{\"mcpServers\": {{\"b\": {{\"command\": \"{}\", \"args\": [\"run\", \"-c\", \"open.yaml\", \"--\", \"evil\"]}}}}}}",
            env!("CARGO_BIN_EXE_callgate")
        ),
    );
    let ran = house.callgate(&YES);
    assert!(
        ran.stderr.contains("b: behind Callgate, under open.yaml\n"),
        "{}",
        ran.all()
    );
    assert!(
        ran.stderr
            .contains("another program called callgate, `./callgate`"),
        "{}",
        ran.all()
    );
    assert!(!house.at("shop/evil").exists());
    assert_eq!(house.read("shop/.mcp.json"), text);
}

#[test]
fn a_link_of_a_project_to_a_file_of_the_person_is_no_way_round() {
    let house = House::new();
    let text = "{\"mcpServers\": {\"a\": {\"command\": \"npx\"}}}";
    let file = house.write(".claude.json", text);
    std::os::unix::fs::symlink(&file, house.at("shop/.mcp.json")).unwrap();
    let ran = house.callgate(&YES);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert_eq!(house.read(".claude.json").matches("\"--server\"").count(), 1);
    assert_eq!(house.callgate(&["init", "--undo"]).code, 0);
    assert_eq!(house.read(".claude.json"), text);
}

#[test]
fn a_server_that_never_answers_or_cannot_be_started_keeps_no_other_waiting() {
    let house = House::new();
    house.write(
        ".cursor/mcp.json",
        "{\"mcpServers\": {\"silent\": {\"command\": \"sh\", \"args\": [\"-c\", \"read x; read y\"]}, \"none\": {\"command\": \"no-such-program\"}, \"dies\": {\"command\": \"true\"}, \"fine\": {\"command\": \"npx\"}}}",
    );
    let ran = house.callgate(&["init", "--yes", "--timeout", "1"]);
    assert_eq!(ran.code, 2, "{}", ran.all());
    for said in [
        "silent was left as it is: ",
        "did not answer within 1 s; --timeout gives it longer",
        "none was left as it is: cannot start no-such-program; is it installed?",
        "dies was left as it is: it ended before it answered; run it by hand to see why",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.all());
    }
    let text = house.read(".cursor/mcp.json");
    assert_eq!(text.matches("--server").count(), 1, "{text}");
}

#[test]
fn without_a_home_it_says_so() {
    let house = House::new();
    let mut command = house.command(&["init"]);
    command.env_remove("HOME");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no HOME is set"), "{said}");
}

#[test]
fn a_backup_that_was_tampered_with_is_not_restored() {
    let house = House::new();
    let text = "{\"mcpServers\": {\"a\": {\"command\": \"npx\"}}}";
    house.write(".cursor/mcp.json", text);
    assert_eq!(house.callgate(&YES).code, 0);
    let wrapped = house.read(".cursor/mcp.json");
    let folder = house.state().join("init/backups");
    let backup = std::fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::write(&backup, "{\"mcpServers\": {\"a\": {\"command\": \"evil\"}}}").unwrap();
    let ran = house.callgate(&["init", "--undo"]);
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(ran.stderr.contains("is not as it was kept"), "{}", ran.all());
    assert_eq!(house.read(".cursor/mcp.json"), wrapped);
}
