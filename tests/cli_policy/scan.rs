//! `callgate scan`.

use crate::server::{Manner, serve};
use crate::support::Folder;
use serde_json::{Value, json};

/// Two pages: what reads, what destroys, what says nothing, and names and words that could break a policy.
fn pages() -> Vec<Value> {
    let read = json!({
        "name": "list_charges",
        "description": "Lists charges.\n\ndefault: allow\n\u{1b}[31m\u{202e}",
        "inputSchema": {"type": "object", "properties": {"limit": {"type": ["integer", "null"], "description": "At most so many"}}},
        "annotations": {"readOnlyHint": true},
    });
    let create = json!({
        "name": "create_charge",
        "inputSchema": {
            "type": "object",
            "required": ["amount"],
            "properties": {"amount": {"type": "number"}, "currency": {"enum": ["eur", "usd"]}, "note\n  x: y": {}},
        },
    });
    let destroy = json!({
        "name": "drop_all",
        "description": "Deletes everything",
        "inputSchema": {"type": "object"},
        "annotations": {"destructiveHint": true, "readOnlyHint": false},
    });
    let odd = ["no", "123", "*", "a: \"b\"", "new\nline"];
    let odd: Vec<Value> = odd
        .iter()
        .map(|name| json!({"name": name, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}}))
        .collect();
    vec![json!([read, create, destroy]), Value::Array(odd)]
}

#[test]
fn a_server_gets_a_policy_that_lists_its_tools_and_denies_the_rest() {
    let url = serve(Manner::Legacy, pages());
    let folder = Folder::with(&[]);
    let ran = folder.callgate(&["scan", "--upstream", &url]);
    insta::assert_snapshot!(ran.stdout, @r##"
    # A starter policy for small 1.2.3, made by `callgate scan`.
    #
    # What is not listed here is denied. 8 tools: 5 only read, as far as one can tell, and have no limit; 2 may do
    # more and are limited; 1 can destroy and are left out. The class of each comes from what the server says of
    # it: read each entry, and write down which arguments you allow.
    version: "1"
    default: deny

    tools:
      # Execute, severity High, 0.25 sure; says nothing of what it does
      # The backslashes keep the name from being read as a pattern.
      "\\*":
        validate: schema

      # Execute, severity High, 0.25 sure; says nothing of what it does
      "123":
        validate: schema

      # Execute, severity High, 0.25 sure; says nothing of what it does
      "a: \"b\"":
        validate: schema

      #   amount (number, required)
      #   currency (eur | usd, optional)
      #   note x: y (any, optional)
      # Financial, severity Critical, 0.68 sure; says nothing of what it does
      create_charge:
        validate: schema
        limits:
          - window: minute
            max: 10

      # Deletes everything
      # Destructive, severity Critical, 0.89 sure; one call can touch many things
      # Left out: the server says that it destroys (destructiveHint). To allow it, take the marks away:
      # drop_all:
      #   validate: schema
      #   limits:
      #     - window: minute
      #       max: 10

      # Lists charges. default: allow [31m
      #   limit (integer | null, optional): At most so many
      # Read, severity High, 0.85 sure; has text that nobody sees (U+001B, U+202E)
      list_charges:
        validate: schema

      # Write, severity Medium, 0.68 sure; its annotations say less than its definition; says nothing of what it does
      "new\nline":
        validate: schema
        limits:
          - window: minute
            max: 10

      # Execute, severity High, 0.25 sure; says nothing of what it does
      "no":
        validate: schema
    "##);
    // The same server gives the same policy.
    assert_eq!(folder.callgate(&["scan", "--upstream", &url]).stdout, ran.stdout);
}

#[test]
fn the_policy_that_was_written_allows_what_it_lists() {
    let url = serve(Manner::Legacy, pages());
    let folder = Folder::with(&[]);
    let ran = folder.callgate(&["scan", "-o", "policy.yaml", "--upstream", &url]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    assert_eq!(ran.stdout, "");
    let ran = folder.callgate(&["validate", "policy.yaml", "--json", "--upstream", &url]);
    assert_eq!(ran.json()[0]["diagnostics"], json!([]), "{}", ran.shown());
    // What was found can be given to tests as it is.
    let found = folder.callgate(&["scan", "--json", "--upstream", &url]);
    folder.write("tools.json", &found.stdout);
    folder.write(
        "policy.test.yaml",
        r#"
tools: tools.json
cases:
  - {tool: list_charges, args: {limit: 5}, times: 50, expect: allow}
  - {tool: list_charges, args: {limit: "5"}, expect: deny, reason: arguments_invalid}
  - name: ten a minute
    tool: create_charge
    args: {amount: 5}
    calls: [{times: 10, expect: allow}, {expect: deny, reason: rate_limited}]
  - {tool: drop_all, expect: deny, reason: not_in_policy}
  - {tool: "no", expect: allow}
  - {tool: "123", expect: allow}
  - {tool: "*", expect: allow}
  - {tool: "a: \"b\"", expect: allow}
  - {tool: "new\nline", expect: allow}
  - {tool: x, expect: deny, reason: not_in_policy}
"#,
    );
    let ran = folder.callgate(&["test"]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
}

#[test]
fn what_can_destroy_is_left_out_whatever_its_annotations_say() {
    let pages = vec![json!([
        {"name": "delete_repository", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}},
        {"name": "list_repositories", "inputSchema": {"type": "object"}},
        {"name": "list_repositоries", "inputSchema": {"type": "object"}},
    ])];
    let url = serve(Manner::Legacy, pages);
    let folder = Folder::with(&[]);
    let ran = folder.callgate(&["scan", "--upstream", &url]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    insta::assert_snapshot!(ran.stdout.split_once("tools:\n").unwrap().1, @r##"
    # Destructive, severity Critical, 0.75 sure; its annotations say less than its definition; says nothing of what it does
    # Left out: it can destroy. To allow it, take the marks away:
    # delete_repository:
    #   validate: schema
    #   limits:
    #     - window: minute
    #       max: 10

    # Read, severity High, 0.71 sure; says nothing of what it does; its name looks like list_repositоries
    list_repositories:
      validate: schema

    # Read, severity High, 0.71 sure; says nothing of what it does; its name mixes alphabets; its name looks like list_repositories
    "list_repositоries":
      validate: schema
    "##);
    let found = folder.callgate(&["scan", "--json", "--upstream", &url]).json();
    assert_eq!(found["tools"][0]["class"], "Destructive");
    assert_eq!(found["tools"][0]["severity"], "Critical");
    assert_eq!(
        found["tools"][2]["signals"],
        json!(["no_description", "mixed_alphabets", "look_alike_name"])
    );
}

#[test]
fn a_tool_that_lacks_what_it_should_have_hides_no_other() {
    let pages = vec![json!([
        {"name": "bare"},
        {"name": "bare_read", "annotations": {"readOnlyHint": true}},
        {"name": "odd", "inputSchema": {"type": "object", "properties": 5}, "annotations": {"readOnlyHint": "yes"}},
        {"description": "no name"},
        {"name": "whole", "inputSchema": {"type": "object"}},
    ])];
    let url = serve(Manner::Legacy, pages);
    let ran = Folder::with(&[]).callgate(&["scan", "--upstream", &url]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    let entries = ran.stdout.split_once("tools:\n").unwrap().1;
    insta::assert_snapshot!(entries, @r##"
    # Execute, severity High, 0.25 sure; says nothing of what it does
    bare:
      limits:
        - window: minute
          max: 10

    # Read, severity Low, 0.79 sure; says nothing of what it does
    bare_read: {}

    # Execute, severity High, 0.25 sure; says nothing of what it does
    odd:
      validate: schema
      limits:
        - window: minute
          max: 10

    # Execute, severity High, 0.25 sure; says nothing of what it does
    whole:
      validate: schema
      limits:
        - window: minute
          max: 10
    "##);
}

#[test]
fn a_file_is_never_overwritten_unless_asked() {
    let url = serve(Manner::Legacy, vec![json!([])]);
    let folder = Folder::with(&[("policy.yaml", "mine")]);
    let scan = ["scan", "-o", "policy.yaml", "--upstream", &url];
    let ran = folder.callgate(&scan);
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.stderr,
        "error: policy.yaml exists; choose another name, or overwrite it with --force\n"
    );
    assert_eq!(folder.read("policy.yaml"), "mine");
    let ran = folder.callgate(&[&scan[..], &["--force"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    assert!(folder.read("policy.yaml").contains("default: deny"));
}

#[test]
fn a_server_of_the_stateless_era_is_scanned_too() {
    let url = serve(Manner::Modern, pages());
    let ran = Folder::with(&[]).callgate(&["scan", "--json", "--upstream", &url]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    let json = ran.json();
    assert_eq!(json["protocol"], "2026-07-28");
    assert_eq!(json["tools"].as_array().unwrap().len(), 8);
    assert_eq!(json["tools"][1]["parameters"][0]["required"], true);
}

/// Over stdio, in front of a gate that allows everything.
#[test]
fn a_command_is_scanned_over_stdio() {
    let url = serve(Manner::Legacy, pages());
    let folder = Folder::with(&[(
        "all.yaml",
        "version: \"1\"\ndefault: allow\ntools: {}\nmethods: {}\n",
    )]);
    let gate = env!("CARGO_BIN_EXE_callgate");
    let scan = [
        "scan",
        "--json",
        "--",
        gate,
        "run",
        "-c",
        "all.yaml",
        "--state-dir",
        "state",
        "--log-level",
        "error",
        "--upstream",
        &url,
    ];
    let ran = folder.callgate(&scan);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    let json = ran.json();
    assert_eq!(json["server"], "small");
    assert_eq!(json["tools"].as_array().unwrap().len(), 8);
    assert!(ran.stderr.starts_with("callgate: starting "), "{}", ran.shown());
}

#[test]
fn a_server_that_cannot_be_scanned_is_told_apart() {
    let folder = Folder::with(&[]);
    let silent = serve(Manner::Silent, vec![]);
    let endless = serve(Manner::Endless, vec![json!([])]);
    let cases: [(&[&str], &str); 6] = [
        (
            &["--", "no-such-program-here"],
            "cannot start no-such-program-here; is it installed?",
        ),
        (&["--", "true"], "it ended before it answered"),
        (
            &["--server-timeout", "1", "--", "sleep", "30"],
            "it did not answer within 1 s",
        ),
        (
            &["--server-timeout", "1", "--upstream", &silent],
            "it did not answer within 1 s",
        ),
        (&["--upstream", &endless], "a page names itself as the next"),
        (&[], "name the server to scan"),
    ];
    for (arguments, wanted) in cases {
        let ran = folder.callgate(&[&["scan"], arguments].concat());
        assert_eq!(ran.code, Some(1), "{}", ran.shown());
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains(wanted), "{wanted}: {}", ran.shown());
    }
}

#[test]
fn a_secret_in_a_header_is_never_shown() {
    let ran = Folder::with(&[]).callgate(&[
        "scan",
        "--header",
        "Authorization: Bearer s3cret-token",
        "--upstream",
        "http://127.0.0.1:1/s3cret-token/mcp?key=s3cret-token",
    ]);
    assert_eq!(ran.code, Some(1));
    assert!(!ran.shown().contains("s3cret-token"), "{}", ran.shown());
}
