//! A policy beside a server's tools: names, arguments and schemas that do not fit are found.
#![cfg(test)]

use callgate_core::call::ListedTool;
use callgate_core::json::Json;
use callgate_core::name::ToolName;
use callgate_policy::{LoadOptions, Style, check_against_tools, load};

fn tool(name: &str, schema: &str) -> ListedTool {
    ListedTool {
        name: ToolName::new(name).unwrap(),
        input_schema: Some(schema.into()),
        required: Vec::new(),
        annotations: Json::Null,
        class: None,
    }
}

const PUSH: &str = r#"{"type":"object","required":["branch","to"],"additionalProperties":false,"properties":{
  "branch":{"type":"string"},"force":{"type":"boolean"},
  "to":{"type":"object","properties":{"remote":{"type":"string"}}}}}"#;

#[test]
fn what_does_not_fit_the_servers_tools_is_said() {
    let text = r#"version: "1"
default: deny
hide: [delete_*, push]
tools:
  git_push:
    deny_if:
      - conditions: [{ path: args.branch, op: eq, value: main }]
      - conditions: [{ path: args.force, op: eq, value: true }]
      - conditions: [{ path: args.frce, op: eq, value: true }]
      - conditions: [{ path: args.force, op: exists, value: true }]
      - conditions: [{ path: args.to.remote, op: eq, value: origin }]
    limits: [{ window: hour, max: 5, scope: args.force }]
  git_pul: {}
  "list_*": {}
  odd: { validate: schema }
"#;
    let loaded = load(text, &LoadOptions::default()).unwrap();
    let tools = [
        tool("git_push", PUSH),
        tool("git_pull", "{}"),
        tool("odd", r#"{"$ref":"https://example.com/x"}"#),
    ];
    let shown: Vec<_> = check_against_tools(&loaded, &tools)
        .iter()
        .map(|found| found.render("policy.yaml", text, &Style::PLAIN))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r##"
warning[unused-glob]: none of the server's tools matches `delete_*`
 --> policy.yaml:3:8
  |
3 | hide: [delete_*, push]
  |        ^^^^^^^^
  = help: names are matched whole and with case; correct it, or remove it

warning[unused-glob]: none of the server's tools matches `push`
 --> policy.yaml:3:18
  |
3 | hide: [delete_*, push]
  |                  ^^^^
  = help: names are matched whole and with case; correct it, or remove it

warning[optional-argument]: a call may leave `force` out, and then this does not apply
 --> policy.yaml:8:30
  |
8 |       - conditions: [{ path: args.force, op: eq, value: true }]
  |                              ^^^^^^^^^^
  = help: also deny where it is missing: { path: args.force, op: exists, value: false } in an entry of its own

warning[unknown-argument]: the tool `git_push` takes no argument `frce`
 --> policy.yaml:9:30
  |
9 |       - conditions: [{ path: args.frce, op: eq, value: true }]
  |                              ^^^^^^^^^
  = help: did you mean `force`?

warning[optional-argument]: a call may leave `remote` out, and then this does not apply
  --> policy.yaml:11:30
   |
11 |       - conditions: [{ path: args.to.remote, op: eq, value: origin }]
   |                              ^^^^^^^^^^^^^^
   = help: also deny where it is missing: { path: args.to.remote, op: exists, value: false } in an entry of its own

warning[optional-argument]: a call may leave `force` out, and then it is denied
  --> policy.yaml:12:45
   |
12 |     limits: [{ window: hour, max: 5, scope: args.force }]
   |                                             ^^^^^^^^^^
   = help: the agent has to give it; say so in `on_deny`

warning[unknown-tool]: the server has no tool `git_pul`
  --> policy.yaml:13:3
   |
13 |   git_pul: {}
   |   ^^^^^^^
   = help: did you mean `git_pull`?

warning[unused-glob]: none of the server's tools matches `list_*`
  --> policy.yaml:14:3
   |
14 |   "list_*": {}
   |   ^^^^^^^^
   = help: names are matched whole and with case; correct it, or remove it

warning[unusable-schema]: every call of `odd` is denied: the tool's input schema cannot be used: Resource 'https://example.com/x' is not present in a registry and retrieving it failed: Retrieval is disabled, cannot fetch https://example.com/x
  --> policy.yaml:15:20
   |
15 |   odd: { validate: schema }
   |                    ^^^^^^
   = help: use `validate: required_args` for this tool, or conditions
"##);
}

#[test]
fn a_group_that_asks_whether_an_argument_is_there_is_not_warned_of_it() {
    let warned = |conditions: &str| {
        let text =
            format!("version: \"1\"\ndefault: deny\ntools:\n  git_push:\n    require: [{conditions}]\n");
        let loaded = load(&text, &LoadOptions::default()).unwrap();
        check_against_tools(&loaded, &[tool("git_push", PUSH)]).len()
    };
    let absent = "{path: args.force, op: exists, value: false}";
    let present = "{path: args.force, op: exists, value: true}";
    let test = "{path: args.force, op: eq, value: false}";
    let both = "{all: [{path: args.force, op: neq, value: true}, {path: args.to.remote, op: eq, value: x}]}";
    assert_eq!(warned(test), 1);
    assert_eq!(warned(&format!("{{any: [{absent}, {test}]}}")), 0);
    assert_eq!(warned(&format!("{{all: [{present}, {test}]}}")), 0);
    // The other way round the group does not do what the test needs.
    assert_eq!(warned(&format!("{{any: [{present}, {test}]}}")), 1);
    // Another argument, and one that stands outside.
    assert_eq!(warned(&format!("{{any: [{absent}, {both}]}}")), 1);
    assert_eq!(warned(&format!("{{any: [{absent}, {test}]}}, {test}")), 1);
}
