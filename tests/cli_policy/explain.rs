//! `callgate explain`.

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

#[test]
fn a_denial_names_its_rule_and_the_value() {
    let ran = Folder::with(&[("policy.yaml", GOOD)]).callgate(&[
        "explain",
        "-c",
        "policy.yaml",
        "--tool",
        "create_charge",
        "--args",
        "{\"amount\": 50000.01}",
    ]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 0
    --- stdout
    deny  create_charge  condition_failed
      rule      /tools/create_charge/require/0 "largest charge" (policy.yaml:7)
      told      One charge may be at most 500.00

    rules, in the order in which they were asked:
      DENY    require   /tools/create_charge/require/0 "largest charge" (policy.yaml:7)
                args.amount lte 50000: false, it is 50000.01
    "##);
}

#[test]
fn limits_are_shown_before_and_after() {
    let ran = Folder::with(&[("policy.yaml", GOOD), ("call.json", r##"{"amount": 3}"##)]).callgate(&[
        "explain",
        "-c",
        "policy.yaml",
        "--tool",
        "create_charge",
        "--args",
        "@call.json",
    ]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 0
    --- stdout
    allow  create_charge

    rules, in the order in which they were asked:
      pass    require   /tools/create_charge/require/0 "largest charge" (policy.yaml:7)
                args.amount lte 50000: true, it is 3
      pass    limit     /tools/create_charge/limits/0 "ten a minute" (policy.yaml:13)

    limits:
      /tools/create_charge/limits/0: at most 10 calls per minute, by grant local: 0 before, this call takes 1, 1 after
    "##);
}

#[test]
fn a_value_that_cannot_be_judged_is_an_error() {
    let ran = Folder::with(&[("policy.yaml", GOOD)]).callgate_with_stdin(
        &[
            "explain",
            "-c",
            "policy.yaml",
            "--tool",
            "create_charge",
            "--args",
            "-",
        ],
        r##"{"amount": "3"}"##,
    );
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 0
    --- stdout
    deny  create_charge  condition_error
      rule      /tools/create_charge/require/0 "largest charge" (policy.yaml:7)
      told      One charge may be at most 500.00

    rules, in the order in which they were asked:
      DENY    require   /tools/create_charge/require/0 "largest charge" (policy.yaml:7)
                args.amount lte 50000: error, `args.amount` is a string, where `lte` needs a number
    "##);
}

#[test]
fn every_kind_of_rule_is_told() {
    let ran = Folder::with(&[("policy.yaml", r##"version: "1"
default: deny
tools:
  order:
    validate: schema
    require:
      - name: each item is cheap
        path: args.items[*].price
        op: lt
        value: 100
      - name: as many as it says
        when: size(args.items) == int(args.count)
    deny_if:
      - name: not at night
        mode: shadow
        conditions:
          - any:
              - {path: time.hour, op: lt, value: 8}
              - {path: time.hour, op: gte, value: 18}
    limits:
      - {name: a purse for each customer, window: day, max: 250.5, amount: args.total, scope: args.customer}
"##), ("tools.json", r##"{"tools":[{"name":"order","inputSchema":{"type":"object","required":["items"],"properties":{"items":{"type":"array"}}}}]}"##)]).callgate(&["explain", "-c", "policy.yaml", "--tool", "order", "--tools", "tools.json", "--time", "2026-01-05T20:00:00Z", "--args", "{\"items\": [{\"price\": 1.5}, {\"price\": 99}], \"count\": 2, \"total\": 100.5, \"customer\": \"c-7\"}"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 0
    --- stdout
    allow  order
      shadow    would deny: deny_if_matched
      rule      /tools/order/deny_if/0 "not at night" (policy.yaml:14)
      told      `time.hour` must be at least 8 and `time.hour` must be below 18

    rules, in the order in which they were asked:
      pass    validate  /tools/order/validate (policy.yaml:5)
      shadow  deny_if   /tools/order/deny_if/0 "not at night" (policy.yaml:14)
                time.hour lt 8: false, it is 20
                time.hour gte 18: true, it is 20
      pass    require   /tools/order/require/0 "each item is cheap" (policy.yaml:7)
                args.items[*].price lt 100: true, it is 1.5, 99
      pass    require   /tools/order/require/1 "as many as it says" (policy.yaml:11)
                when size(args.items) == int(args.count): true
      pass    limit     /tools/order/limits/0 "a purse for each customer" (policy.yaml:21)

    limits:
      /tools/order/limits/0: at most 250.5 of args.total per day, by args.customer = "c-7": 0 before, this call takes 100.5, 100.5 after
    "##);
}

#[test]
fn a_tool_that_the_server_does_not_list_is_denied() {
    let ran = Folder::with(&[("policy.yaml", GOOD), ("tools.json", r##"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"other","inputSchema":{"type":"object"}}]}}"##)]).callgate(&["explain", "-c", "policy.yaml", "--tool", "create_charge", "--tools", "tools.json"]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 0
    --- stdout
    deny  create_charge  not_listed
      rule      none: see `default`, `hide`, and what the server lists
      told      tool `create_charge` is not available here
    "##);
}

#[test]
fn a_hidden_tool_is_denied_by_no_rule() {
    let ran = Folder::with(&[("policy.yaml", GOOD)]).callgate(&[
        "explain",
        "-c",
        "policy.yaml",
        "--tool",
        "admin_drop",
    ]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 0
    --- stdout
    deny  admin_drop  hidden
      rule      none: see `default`, `hide`, and what the server lists
      told      tool `admin_drop` is not available here
    "##);
}

#[test]
fn other_methods_can_be_explained() {
    let ran = Folder::with(&[("policy.yaml", GOOD)]).callgate(&[
        "explain",
        "-c",
        "policy.yaml",
        "--method",
        "resources/read",
        "--args",
        "{\"uri\": \"file:///x\"}",
    ]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 0
    --- stdout
    deny  resources/read  method_not_in_policy
      rule      none: see `default`, `hide`, and what the server lists
      told      the method `resources/read` is not available here
    "##);
}

#[test]
fn a_schema_that_is_not_known_is_said() {
    let ran = Folder::with(&[(
        "policy.yaml",
        r##"version: "1"
default: deny
tools:
  order:
    validate: schema
    require:
      - name: each item is cheap
        path: args.items[*].price
        op: lt
        value: 100
      - name: as many as it says
        when: size(args.items) == int(args.count)
    deny_if:
      - name: not at night
        mode: shadow
        conditions:
          - any:
              - {path: time.hour, op: lt, value: 8}
              - {path: time.hour, op: gte, value: 18}
    limits:
      - {name: a purse for each customer, window: day, max: 250.5, amount: args.total, scope: args.customer}
"##,
    )])
    .callgate(&[
        "explain",
        "-c",
        "policy.yaml",
        "--tool",
        "order",
        "--time",
        "2026-01-05T03:00:00Z",
        "--args",
        "{}",
    ]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 0
    --- stdout
    deny  order  condition_failed
      rule      /tools/order/require/0 "each item is cheap" (policy.yaml:7)
      told      `args.items[*].price` must be below 100, and it is missing

    rules, in the order in which they were asked:
      pass    validate  /tools/order/validate (policy.yaml:5)
      shadow  deny_if   /tools/order/deny_if/0 "not at night" (policy.yaml:14)
                time.hour lt 8: true, it is 3
                time.hour gte 18: false, it is 3
      DENY    require   /tools/order/require/0 "each item is cheap" (policy.yaml:7)
                args.items[*].price lt 100: missing
    note: the input schema of `order` is not known, so `validate` was not tried; give the server's list with --tools
    "##);
}

#[test]
fn arguments_that_parsers_read_differently_never_reach_a_policy() {
    let ran = Folder::with(&[("policy.yaml", GOOD)]).callgate(&[
        "explain",
        "-c",
        "policy.yaml",
        "--tool",
        "create_charge",
        "--args",
        "{\"amount\": 1, \"amount\": 60000}",
    ]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 1
    --- stderr
    error: --args: the key `amount` is given twice in one object (byte 14); such a call is refused before any policy
    "##);
}

#[test]
fn an_invalid_policy_explains_nothing() {
    let ran = Folder::with(&[("policy.yaml", r##"tools: []"##)]).callgate(&[
        "explain",
        "-c",
        "policy.yaml",
        "--tool",
        "x",
    ]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 2
    --- stderr
    error[wrong-type]: `tools` is a mapping from names to rules, and this is a list
     --> policy.yaml:1:8
      |
    1 | tools: []
      |        ^^
      = help: write `tools: { NAME: {} }`

    callgate: the policy is not valid, so every call is denied
    "##);
}

#[test]
fn json_carries_the_same() {
    let folder = Folder::with(&[("policy.yaml", GOOD)]);
    let arguments = [
        "explain",
        "-c",
        "policy.yaml",
        "--json",
        "--tool",
        "create_charge",
        "--args",
    ];
    let ran = folder.callgate(&[&arguments[..], &["{\"amount\": 60000}"]].concat());
    let json = ran.json();
    assert_eq!(json["decision"], "deny");
    assert_eq!(json["denial"]["reason"], "condition_failed");
    assert_eq!(
        json["denial"]["rule"]["pointer"],
        "/tools/create_charge/require/0"
    );
    assert_eq!(json["denial"]["rule"]["line"], 7);
    assert_eq!(json["rules"][0]["conditions"][0]["value"], "60000");
    let ran = folder.callgate(&[&arguments[..], &["{\"amount\": 1}"]].concat());
    let json = ran.json();
    assert_eq!(json["decision"], "allow");
    assert_eq!(
        [
            &json["limits"][0]["before"],
            &json["limits"][0]["takes"],
            &json["limits"][0]["after"]
        ],
        ["0", "1", "1"]
    );
}

/// What a gate has counted is what `explain` begins with, and looking at it counts nothing.
#[test]
fn limits_in_a_state_folder_are_looked_at() {
    let tools = serde_json::json!([{"name": "create_charge", "inputSchema": {"type": "object"}}]);
    let url = serve(Manner::Legacy, vec![tools]);
    let policy = GOOD.replace("max: 10}", "max: 2}");
    let folder = Folder::with(&[("policy.yaml", &policy)]);
    let call = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"create_charge","arguments":{"amount":1}}}"#;
    let messages = [
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        call,
        &call.replace("\"id\":2", "\"id\":3"),
    ]
    .join("\n");
    let run = [
        "run",
        "-c",
        "policy.yaml",
        "--state-dir",
        "state",
        "--server",
        "payments",
        "--upstream",
        &url,
    ];
    let ran = folder.callgate_with_stdin(&run, &format!("{messages}\n"));
    assert!(ran.stdout.contains("\"id\":3"), "{}", ran.shown());
    let explain = [
        "explain",
        "-c",
        "policy.yaml",
        "--tool",
        "create_charge",
        "--args",
        "{\"amount\": 1}",
    ];
    let with_state = [&explain[..], &["--state-dir", "state", "--json"]].concat();
    for _ in 0..2 {
        let ran = folder.callgate(&with_state);
        let json = ran.json();
        assert_eq!(json["decision"], "deny", "{}", ran.shown());
        assert_eq!(json["denial"]["reason"], "rate_limited");
        assert_eq!(json["limits"][0]["before"], "2");
    }
    // Of another grant, or another server, nothing was counted.
    for other in [["--grant", "ada"], ["--server", "other"]] {
        let json = folder.callgate(&[&with_state[..], &other].concat()).json();
        assert_eq!(json["limits"][0]["before"], "0", "{other:?}");
    }
    let ran = folder.callgate(&[&explain[..], &["--state-dir", "nowhere"]].concat());
    assert_eq!(ran.code, Some(1), "{}", ran.shown());
    assert!(ran.stderr.contains("nowhere"), "{}", ran.shown());
}

#[test]
fn conditions_on_one_argument_keep_their_own_values() {
    let policy = "version: '1'\ndefault: deny\ntools:\n  t:\n    require:\n      - any:\n          - {path: args.a, op: eq, value: x}\n          - {path: args.a, op: eq, value: y}\n";
    let folder = Folder::with(&[("policy.yaml", policy)]);
    let explain = [
        "explain",
        "-c",
        "policy.yaml",
        "--json",
        "--tool",
        "t",
        "--args",
        r#"{"a": "y"}"#,
    ];
    let json = folder.callgate(&explain).json();
    let conditions = &json["rules"][0]["conditions"];
    assert_eq!(
        [&conditions[0]["wanted"], &conditions[0]["truth"]],
        ["\"x\"", "false"]
    );
    assert_eq!(
        [&conditions[1]["wanted"], &conditions[1]["truth"]],
        ["\"y\"", "true"]
    );
}
