//! `callgate catalog classify`.

use crate::support::Folder;
use serde_json::{Value, json};

fn objects(stdout: &str) -> Vec<Value> {
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn three() -> Value {
    json!([
        {"name": "list_charges", "description": "Lists charges.", "annotations": {"readOnlyHint": true}},
        {"name": "delete_repository", "annotations": {"readOnlyHint": true}},
        {
            "name": "run_workflow",
            "description": "Execute a predefined multi-step workflow across oracles.",
            "inputSchema": {"type": "object", "properties": {"workflow": {"type": "string"}, "query": {"type": "string"}}},
        },
    ])
}

#[test]
fn a_list_gets_an_object_a_line_in_whichever_form_it_comes() {
    let lines: String = three()
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| format!("{tool}\n\n"))
        .collect();
    let forms = [
        three().to_string(),
        json!({"tools": three()}).to_string(),
        serde_json::to_string_pretty(&json!({"tools": three(), "nextCursor": "x"})).unwrap(),
        json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": three()}}).to_string(),
        lines,
    ];
    let folder = Folder::with(&[]);
    for (index, form) in forms.iter().enumerate() {
        let ran = folder.callgate_with_stdin(&["catalog", "classify", "--json", "-"], form);
        assert_eq!(ran.code, Some(0), "{}", ran.shown());
        let found = objects(&ran.stdout);
        let told: Vec<_> = found
            .iter()
            .map(|tool| {
                (
                    tool["name"].as_str().unwrap(),
                    tool["class"].as_str().unwrap(),
                    tool["severity"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("list_charges", "Read", "Low"),
                ("delete_repository", "Destructive", "Critical"),
                ("run_workflow", "Execute", "High"),
            ],
            "{form}"
        );
        folder.write("tools.json", form);
        let of_file = folder.callgate(&["catalog", "classify", "--json", "tools.json"]);
        assert_eq!(of_file.stdout, ran.stdout, "form {index}");
    }
    let ran = folder.callgate_with_stdin(&["catalog", "classify", "--json", "-"], &three()[1].to_string());
    let [tool] = objects(&ran.stdout).try_into().unwrap();
    assert_eq!(tool["signals"], json!(["lying_annotation", "no_description"]));
    assert_eq!(
        tool["evidence"][0],
        json!({"part": "name", "quote": "delete_repository", "points": 90})
    );
    assert!(
        (0.0..=1.0).contains(&tool["confidence"].as_f64().unwrap()),
        "{tool}"
    );
    assert!(tool["rationale"].as_str().unwrap().ends_with('.'), "{tool}");
}

#[test]
fn the_table_shows_nothing_that_moves_a_cursor_and_fits_its_width() {
    let name = format!("drop\u{1b}[31m\n\u{202e}{}", "x".repeat(300));
    let tools = json!([{"name": name}, {"name": "list_charges"}]);
    let ran = Folder::with(&[]).callgate_with_stdin(&["catalog", "classify", "-"], &tools.to_string());
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    assert_eq!(ran.stdout.lines().count(), 3, "{}", ran.stdout);
    assert!(!ran.stdout.contains(['\u{1b}', '\u{202e}']), "{:?}", ran.stdout);
    assert!(
        ran.stdout.lines().all(|line| line.chars().count() <= 100),
        "{}",
        ran.stdout
    );
    insta::assert_snapshot!(ran.stdout, @"
    TOOL                              CLASS        SEVERITY  SURE  SIGNALS
    drop [31m xxxxxxxxxxxxxxxxxxxxx…  Destructive  High      0.75  no description, hidden text
    list_charges                      Read         Low       0.85  no description
    ");
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let folder = Folder::with(&[]);
    let table = [
        ("", "error: there are no tools: the input is empty\n"),
        (
            "{\"tools\": [{\"name\": \"x\",}]}",
            "error: line 1, column 25: not valid JSON: expected a key in double quotes\n",
        ),
        (
            "{\"tools\": [\n  {\"name\": }\n]}",
            "error: line 2, column 12: not valid JSON: expected a value\n",
        ),
        (
            "{\"name\":\"a\"}\n{\"name\":\"b\"\n",
            "error: line 2, column 12: not valid JSON: expected `,` or `}`\n",
        ),
        (
            "{\"name\":\"a\"}\n{\"title\":\"b\"}\n",
            "error: line 2: 1 of the tools cannot be read: each has to be an object with one `name`, and no key twice\n",
        ),
        (
            "[{\"name\": 5}]",
            "error: 1 of the tools cannot be read: each has to be an object with one `name`, and no key twice\n",
        ),
        (
            "[{\"name\": \"a\", \"name\": \"b\"}]",
            "error: 1 of the tools cannot be read: each has to be an object with one `name`, and no key twice\n",
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"no\"}}",
            "error: this is an error, not a list of tools\n",
        ),
        (
            "{\"tool\": []}",
            "error: the result of `tools/list` has no array `tools`\n",
        ),
        (
            "7",
            "error: the result of `tools/list` is not an object with each key given once\n",
        ),
    ];
    for (input, wanted) in table {
        let ran = folder.callgate_with_stdin(&["catalog", "classify", "-"], input);
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (Some(1), "", wanted),
            "{input}"
        );
    }
    let ran = folder.callgate(&["catalog", "classify", "missing.json"]);
    assert!(
        ran.stderr.starts_with("error: cannot read missing.json: "),
        "{}",
        ran.stderr
    );
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let ran = folder.callgate_with_stdin(&["catalog", "classify", "-"], &deep);
    assert!(ran.stderr.contains("nested deeper than"), "{}", ran.stderr);
    folder.write("large.json", &" ".repeat(16 * 1024 * 1024 + 1));
    let ran = folder.callgate(&["catalog", "classify", "large.json"]);
    assert_eq!(
        ran.stderr,
        "error: large.json has more than the 16777216 bytes that are read\n"
    );
    let many = format!("[{}]", vec!["{\"name\":\"a\"}"; 10_001].join(","));
    let ran = folder.callgate_with_stdin(&["catalog", "classify", "-"], &many);
    assert_eq!(
        ran.stderr,
        "error: there are 10001 tools, more than the 10000 that are classified at once\n"
    );
}

#[test]
fn numbers_that_no_call_may_hold_are_no_hindrance_in_a_schema() {
    let tool = r#"{"name":"get_row","inputSchema":{"properties":{"id":{"type":"integer","maximum":18446744073709551615}}}}"#;
    let ran = Folder::with(&[]).callgate_with_stdin(&["catalog", "classify", "--json", "-"], tool);
    assert_eq!(objects(&ran.stdout)[0]["class"], "Read", "{}", ran.shown());
}
