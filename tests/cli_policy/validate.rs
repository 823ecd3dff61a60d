//! `callgate validate` and `callgate schema`.

use crate::server::{Manner, serve};
use crate::support::Folder;

const GOOD: &str = r##"version: "1"
default: deny
hide: ["admin_*"]
tools:
  create_charge:
    require:
      - name: largest charge
        path: args.amount
        op: lte
        value: 50000
        on_deny: One charge may be at most 500.00
    limits:
      - {name: ten a minute, window: minute, max: 10}
"##;

const BAD: &str = r##"version: "1"
defualt: deny
tools:
  create_charge:
    rules:
      - name: largest charge
        conditions:
          - path: args.amount
            op: smaller
            value: 50000
      - name: largest charge
        rate_limit: 10/fortnight
"##;

#[test]
fn errors_have_a_place_a_caret_and_a_way_out() {
    let ran = Folder::with(&[("policy.yaml", BAD)]).callgate(&["validate", "policy.yaml"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 2
    --- stdout
    warning[no-default]: without `default`, tools that the policy does not name are allowed
     --> policy.yaml:1:1
      |
    1 | version: "1"
      | ^^^^^^^
      = help: add `default: deny`, and list the tools to allow under `tools`

    warning[methods-pass]: methods other than tool calls pass unjudged, such as `resources/read`
     --> policy.yaml:1:1
      |
    1 | version: "1"
      | ^^^^^^^
      = help: add `methods:` to judge them

    error[unknown-key]: `defualt` is no key of a policy
     --> policy.yaml:2:1
      |
    2 | defualt: deny
      | ^^^^^^^
      = help: did you mean `default`?

    error[unknown-operator]: there is no operator `smaller`
     --> policy.yaml:9:17
      |
    9 |             op: smaller
      |                 ^^^^^^^
      = help: the operators are eq, neq, in, not_in, lt, lte, gt, gte, regex, contains, exists, starts_with, ends_with, glob, path_under, host_in, cidr, length

    warning[duplicate-name]: another rule of this tool is called `largest charge` too
      --> policy.yaml:11:15
       |
    11 |       - name: largest charge
       |               ^^^^^^^^^^^^^^
       = help: denials and records name the rule; give each a name of its own

    error[window]: `fortnight` is no window
      --> policy.yaml:12:21
       |
    12 |         rate_limit: 10/fortnight
       |                     ^^^^^^^^^^^^
       = help: write `10/minute`, `10/hour`, `10/day` or `10/90s`

    policy.yaml: invalid, 3 errors
    --- stderr
    callgate: an invalid policy is never put in force
    "##);
}

#[test]
fn a_valid_policy_is_told_in_a_few_lines() {
    let ran = Folder::with(&[("policy.yaml", GOOD)]).callgate(&["validate", "policy.yaml"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 0
    --- stdout
    policy.yaml: valid
      shape     hosted
      default   deny: tools that are not named cannot be called
      methods   deny: resources, prompts and other methods that are not named cannot be used
      tools     1 (create_charge)
      hidden    1 (admin_*)
      rules     2
    "##);
}

#[test]
fn what_a_catalogue_page_leaves_open_is_said() {
    let ran = Folder::with(&[(
        "page.yaml",
        r##"tools:
  create_charge:
    rules:
      - action: allow
        rate_limit: {max: 10, window: 60}
"##,
    )])
    .callgate(&["validate", "page.yaml"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 0
    --- stdout
    warning[no-default]: without `default`, tools that the policy does not name are allowed
     --> page.yaml:1:1
      |
    1 | tools:
      | ^^^^^
      = help: add `default: deny`, and list the tools to allow under `tools`

    warning[methods-pass]: methods other than tool calls pass unjudged, such as `resources/read`
     --> page.yaml:1:1
      |
    1 | tools:
      | ^^^^^
      = help: add `methods:` to judge them

    warning[session-scope]: a new session renews this limit
     --> page.yaml:5:21
      |
    5 |         rate_limit: {max: 10, window: 60}
      |                     ^^^^^^^^^^^^^^^^^^^^
      = help: use `limits` with `scope: grant` to keep it over sessions

    page.yaml: valid, 3 warnings
      shape     catalogue
      default   allow: TOOLS THAT ARE NOT NAMED CAN BE CALLED
      methods   allow: resources, prompts and other methods pass unjudged
      tools     1 (create_charge)
      rules     1
    "##);
}

#[test]
fn the_flag_of_run_works_too() {
    let ran = Folder::with(&[(
        "policy.yaml",
        r##"version: "1"
default: deny
tools:
  create_charge:
    rules:
      - name: largest charge
        conditions:
          - path: args.amount
            op: lt
            value: 50000
      - name: largest charge
        rate_limit: 10/hour
"##,
    )])
    .callgate(&["validate", "-c", "policy.yaml"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 0
    --- stdout
    warning[methods-pass]: methods other than tool calls pass unjudged, such as `resources/read`
     --> policy.yaml:1:1
      |
    1 | version: "1"
      | ^^^^^^^
      = help: add `methods:` to judge them

    warning[duplicate-name]: another rule of this tool is called `largest charge` too
      --> policy.yaml:11:15
       |
    11 |       - name: largest charge
       |               ^^^^^^^^^^^^^^
       = help: denials and records name the rule; give each a name of its own

    policy.yaml: valid, 2 warnings
      shape     rules
      default   deny: tools that are not named cannot be called
      methods   allow: resources, prompts and other methods pass unjudged
      tools     1 (create_charge)
      rules     2
    "##);
}

#[test]
fn an_unreadable_file_does_not_hide_an_invalid_one() {
    let ran = Folder::with(&[(
        "bad.json",
        r##"{"version": "1", "tools": {"a": {"limits": [{"max": 1}]}}}"##,
    )])
    .callgate(&["validate", "missing.yaml", "bad.json"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 2
    --- stdout
    warning[no-default]: without `default`, tools that the policy does not name are allowed
     --> bad.json:1:2
      |
    1 | {"version": "1", "tools": {"a": {"limits": [{"max": 1}]}}}
      |  ^^^^^^^^^
      = help: add `default: deny`, and list the tools to allow under `tools`

    error[missing-key]: a limit needs `window`
     --> bad.json:1:46
      |
    1 | {"version": "1", "tools": {"a": {"limits": [{"max": 1}]}}}
      |                                              ^^^^^
      = help: write `window: minute` and `max: 10`, or `concurrent: 2`

    bad.json: invalid, 1 error
    --- stderr
    error: cannot read missing.yaml: No such file or directory (os error 2)
    callgate: an invalid policy is never put in force
    "##);
}

#[test]
fn no_file_is_an_error_with_a_hint() {
    let ran = Folder::with(&[("policy.yaml", GOOD)]).callgate(&["validate"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 1
    --- stderr
    error: name a policy to check
    hint: callgate validate policy.yaml
    "##);
}

#[test]
fn json_carries_places_and_posture() {
    let folder = Folder::with(&[("good.yaml", GOOD), ("bad.yaml", BAD)]);
    let ran = folder.callgate(&["validate", "good.yaml", "bad.yaml", "--json"]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    let json = ran.json();
    assert_eq!(json[0]["valid"], true);
    assert_eq!(json[0]["summary"]["denies_unlisted_tools"], true);
    assert_eq!(json[1]["valid"], false);
    let found = json[1]["diagnostics"].as_array().unwrap();
    let misspelt = found.iter().find(|found| found["code"] == "unknown-key").unwrap();
    assert_eq!(misspelt["severity"], "error");
    assert_eq!(misspelt["span"]["line"], 2);
    assert_eq!(misspelt["hint"], "did you mean `default`?");
}

#[test]
fn a_server_shows_what_its_tools_do_not_have() {
    let tools = serde_json::json!([{
        "name": "create_charge",
        "inputSchema": {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number"}}, "additionalProperties": false},
    }]);
    let url = serve(Manner::Legacy, vec![tools]);
    let policy = GOOD
        .replace("args.amount", "args.amuont")
        .replace("admin_*", "drop_everything");
    let folder = Folder::with(&[("policy.yaml", &policy)]);
    let ran = folder.callgate(&["validate", "policy.yaml", "--json", "--upstream", &url]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    let json = ran.json();
    let codes: Vec<&str> = json[0]["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["unused-glob", "unknown-argument"], "{json}");
}

#[test]
fn the_schema_describes_the_language() {
    let ran = Folder::with(&[]).callgate(&["schema"]);
    assert_eq!(ran.code, Some(0));
    let schema = ran.json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(schema["properties"]["default"]["description"].is_string());
}
