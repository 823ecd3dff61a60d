//! What the page on `check` shows of other programs: a workflow's steps, and a client's settings.

use super::desk::Desk;
use super::page::Block;
use serde_json::{Value, json};

/// The steps' own commands, in a folder with servers that are a stop, and with none.
pub(super) fn a_workflow(desk: &Desk, block: &Block) {
    super::odd::other_yaml(desk, block);
    let command = block
        .text
        .lines()
        .find_map(|line| line.trim().strip_prefix("run: "))
        .unwrap();
    for (server, code) in [
        (json!({"url": "https://host.example/mcp?token=s3cret"}), 20),
        (json!({"url": "https://host.example/mcp"}), 0),
    ] {
        desk.room
            .write(".mcp.json", &json!({"mcpServers": {"notes": server}}).to_string());
        let (printed, ended) = desk.ran(command);
        assert_eq!(ended, Some(code), "{}: {printed}", block.place);
        let file = block
            .text
            .lines()
            .find_map(|line| line.trim().strip_prefix("sarif_file: "))
            .unwrap();
        let log: Value = serde_json::from_str(&std::fs::read_to_string(desk.at(file)).unwrap()).unwrap();
        assert!(!log["runs"][0]["results"].as_array().unwrap().is_empty());
    }
}

/// The hook's command, asked as the client asks it of each tool that its matcher names.
pub(super) fn a_hook(desk: &Desk, block: &Block) {
    let settings: Value = serde_json::from_str(&block.text).unwrap();
    let group = &settings["hooks"]["PreToolUse"][0];
    let matcher = regex::Regex::new(&format!("^({})$", group["matcher"].as_str().unwrap())).unwrap();
    let hook = &group["hooks"][0];
    assert_eq!(
        (&hook["type"], &hook["onFailure"]),
        (&json!("command"), &json!("block"))
    );
    let calls = [
        ("mcp__notes__delete_note", json!({"id": "1"}), "ask"),
        ("mcp__notes__list_notes", json!({}), ""),
        ("Bash", json!({"command": "claude mcp add x -- npx x"}), "ask"),
        (
            "PowerShell",
            json!({"command": "claude mcp add x -- npx x"}),
            "ask",
        ),
        ("Monitor", json!({"command": "claude mcp add x -- npx x"}), "ask"),
        ("Write", json!({"file_path": ".mcp.json", "content": "{}"}), "ask"),
        (
            "Edit",
            json!({"file_path": "a.txt", "old_string": "a", "new_string": "b"}),
            "",
        ),
    ];
    for (tool, input, wanted) in calls {
        assert!(matcher.is_match(tool), "{}: {tool}", block.place);
        let call = json!({
            "hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": input, "cwd": desk.room.path(),
        });
        let command = hook["command"].as_str().unwrap();
        let printed = desk.said(&format!("printf %s '{call}' | {command}"));
        let decision = serde_json::from_str::<Value>(&printed)
            .map(|answer| {
                answer["hookSpecificOutput"]["permissionDecision"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .unwrap_or_default();
        assert_eq!(decision, wanted, "{}: {tool}: {printed}", block.place);
    }
}
