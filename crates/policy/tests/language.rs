//! What loaded policies do to calls: the language judged by its effects.
#![cfg(test)]

use callgate_core::call::{Call, Caller, ListedTool, Listing, OtherCall, Scene, WallTime};
use callgate_core::decide::MethodClass;
use callgate_core::decision::{Admission, Decision};
use callgate_core::json::Json;
use callgate_core::name::{GrantId, ServerName, ToolName};
use callgate_core::refusal::{Reason, Refusal};
use callgate_core::{Program, decide, decide_method};
use callgate_policy::{LoadOptions, Loaded, Severity, Trust, load};
use std::borrow::Cow;

fn loaded(text: &str) -> Loaded {
    load(text, &LoadOptions::default()).unwrap_or_else(|errors| panic!("{errors}\n{errors:#?}"))
}

/// A program with one tool `t`, whose rules are `body`, written with an indent of two.
fn tool(body: &str) -> Program {
    let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
    loaded(&format!("version: \"1\"\ndefault: deny\ntools:\n  t:\n{body}")).program
}

fn json(value: &serde_json::Value) -> Json<'static> {
    match value {
        serde_json::Value::Null => Json::Null,
        serde_json::Value::Bool(value) => Json::Bool(*value),
        serde_json::Value::Number(number) => Json::Number(Cow::Owned(number.to_string())),
        serde_json::Value::String(text) => Json::String(Cow::Owned(text.clone())),
        serde_json::Value::Array(items) => Json::Array(items.iter().map(json).collect()),
        serde_json::Value::Object(members) => Json::Object(
            members
                .iter()
                .map(|(key, value)| (Cow::Owned(key.clone()), json(value)))
                .collect(),
        ),
    }
}

fn with_scene<T>(run: impl FnOnce(Scene<'_>) -> T) -> T {
    let server = ServerName::new("s").unwrap();
    let caller = Caller {
        grant: GrantId::new("g").unwrap(),
        label: "ci".into(),
        issuer: None,
        subject: None,
        claims: json(&serde_json::json!({ "team": "infra" })),
    };
    run(Scene {
        server: &server,
        caller: &caller,
        session: None,
        // Saturday, 2026-11-21, 14:30 UTC.
        now: WallTime(1_795_271_400_000),
    })
}

const SCHEMA: &str = r#"{"type":"object","required":["a"],"additionalProperties":false,
  "properties":{"a":{"type":"number","maximum":100},"b":{"type":"string","format":"email"}}}"#;

fn judge_listed(program: &Program, listed: &ListedTool, arguments: &Json<'_>) -> Decision {
    with_scene(|scene| {
        decide(
            program,
            &Call {
                scene,
                tool: listed.name.as_str(),
                listing: Listing::Listed(listed),
                arguments: Some(arguments),
            },
        )
    })
}

fn listed(name: &str) -> ListedTool {
    ListedTool {
        name: ToolName::new(name).unwrap(),
        input_schema: Some(SCHEMA.into()),
        required: vec!["a".into()],
        annotations: json(&serde_json::json!({ "readOnlyHint": true })),
        class: None,
    }
}

fn parsed(text: &str) -> Json<'static> {
    json(&serde_json::from_str(text).unwrap())
}

fn judge(program: &Program, arguments: &str) -> Result<Admission, Refusal> {
    match judge_listed(program, &listed("t"), &parsed(arguments)) {
        Decision::Admit(admission) => Ok(admission),
        Decision::Deny(refusal) => Err(refusal),
    }
}

fn reason(program: &Program, arguments: &str) -> Option<Reason> {
    judge(program, arguments).err().map(|refusal| refusal.reason)
}

#[test]
fn cel_judges_with_what_stands_around_the_call() {
    let table = [
        ("args.a <= 100", r#"{"a":100}"#, None),
        ("args.a <= 100", r#"{"a":101}"#, Some(Reason::ConditionFailed)),
        ("args.a <= 100.0", r#"{"a":19.99}"#, None),
        ("args.a <= 100", r#"{}"#, Some(Reason::ConditionFailed)),
        ("has(args.a)", r#"{}"#, Some(Reason::ConditionFailed)),
        ("!has(args.b) || args.b.startsWith('x')", r#"{"a":1}"#, None),
        (
            "caller.label == 'ci' && caller.claims.team == 'infra'",
            r#"{"a":1}"#,
            None,
        ),
        (
            "time.weekday == 'sat' && time.hour == 14 && time.date == '2026-11-21'",
            r#"{"a":1}"#,
            None,
        ),
        ("server.name == 's' && tool.name == 't'", r#"{"a":1}"#, None),
        ("args.list.all(x, x < 3)", r#"{"list":[1,2]}"#, None),
        (
            "args.list.all(x, x < 3)",
            r#"{"list":[1,3]}"#,
            Some(Reason::ConditionFailed),
        ),
        (
            "args.list.all(x, args.list.exists(y, y == x))",
            r#"{"list":[1,2]}"#,
            None,
        ),
        // No boolean, a wrong type, a number that is not held exactly, a division by zero: errors, and so denied.
        ("args.a", r#"{"a":1}"#, Some(Reason::ConditionError)),
        ("args.a < 5", r#"{"a":"1"}"#, Some(Reason::ConditionError)),
        (
            "args.a < 1e300",
            r#"{"a":18446744073709551615}"#,
            Some(Reason::ConditionError),
        ),
        ("1 / args.a > 0", r#"{"a":0}"#, Some(Reason::ConditionError)),
    ];
    for (when, arguments, wanted) in table {
        let program = tool(&format!("require:\n  - when: \"{when}\""));
        assert_eq!(reason(&program, arguments), wanted, "{when} {arguments}");
    }
}

#[test]
fn cel_that_cannot_be_evaluated_denies_where_it_selects_too() {
    let table = [
        ("args.a > 5", r#"{"a":6}"#, Some(Reason::DenyIfMatched)),
        ("args.a > 5", r#"{"a":5}"#, None),
        // Missing does not select; what fails does.
        ("args.a > 5", "{}", None),
        ("args.a > 5", r#"{"a":"6"}"#, Some(Reason::ConditionError)),
        (
            "{'x': 1}[args.b] == 1",
            r#"{"b":"y"}"#,
            Some(Reason::ConditionError),
        ),
    ];
    for (when, arguments, wanted) in table {
        let program = tool(&format!("deny_if:\n  - when: \"{when}\""));
        assert_eq!(reason(&program, arguments), wanted, "{when} {arguments}");
    }
}

#[test]
fn cel_is_bounded_by_its_input() {
    let list = |length: usize| format!("{{\"list\":[{}]}}", vec!["1"; length].join(","));
    let nested = tool("require:\n  - when: \"args.list.all(x, args.list.all(y, x == y))\"");
    assert_eq!(reason(&nested, &list(200)), None);
    assert_eq!(reason(&nested, &list(400)), Some(Reason::ConditionError));
    let flat = tool("require:\n  - when: \"args.list.all(x, x == 1)\"");
    assert_eq!(reason(&flat, &list(3_900)), None);
    assert_eq!(reason(&flat, &list(4_100)), Some(Reason::ConditionError));
    let text = |length: usize| format!("{{\"list\":[\"x\"],\"text\":\"{}\"}}", "x".repeat(length));
    let searching = tool("require:\n  - when: \"args.list.all(x, args.text.contains(x))\"");
    assert_eq!(reason(&searching, &text(200_000)), None);
    assert_eq!(reason(&searching, &text(300_000)), Some(Reason::ConditionError));
    let plain = tool("require:\n  - when: \"args.text.contains('x')\"");
    assert_eq!(reason(&plain, &text(300_000)), None);
    let deep = "version: \"1\"\ndefault: deny\ntools:\n  t:\n    require:\n      - when: \"args.l.all(x, args.l.all(y, args.l.all(z, x == y && y == z)))\"\n";
    assert!(load(deep, &LoadOptions::default()).is_err());
}

#[test]
fn a_schema_is_checked_in_full_and_never_shows_values() {
    let program = tool("validate: schema");
    let table = [
        (r#"{"a":1}"#, ""),
        (r#"{"a":99.5,"b":"x@example.com"}"#, ""),
        (r#"{}"#, "needs `a`"),
        (r#"{"a":"secret"}"#, "`arguments.a` has to be of type number"),
        (r#"{"a":1,"b":"secret"}"#, "is not of the format `email`"),
        (r#"{"a":101}"#, "is more than 100"),
        (r#"{"a":1,"c":"secret"}"#, "`c`"),
    ];
    for (arguments, text) in table {
        match judge(&program, arguments) {
            Ok(_) => assert_eq!(text, "", "{arguments} was admitted"),
            Err(refusal) => {
                assert_eq!(refusal.reason, Reason::ArgumentsInvalid, "{arguments}");
                assert!(
                    !text.is_empty() && refusal.text.contains(text),
                    "{arguments}: {}",
                    refusal.text
                );
                assert!(!refusal.text.contains("secret"), "{}", refusal.text);
                assert_eq!(refusal.rule.as_str(), "/tools/t/validate");
            }
        }
    }
}

#[test]
fn a_schema_that_cannot_be_used_denies() {
    let program = tool("validate: schema");
    let arguments = json(&serde_json::json!({ "a": 1 }));
    for schema in [
        None,
        Some("not json"),
        Some(r#"{"$ref":"https://example.com/schema.json"}"#),
        Some(r#"{"$ref":"file:///etc/passwd"}"#),
        Some(r#"{"type":"nonsense"}"#),
        Some(r#"{"properties":{"a":{"pattern":"("}}}"#),
    ] {
        let mut tool = listed("t");
        tool.input_schema = schema.map(Into::into);
        let Decision::Deny(refusal) = judge_listed(&program, &tool, &arguments) else {
            panic!("{schema:?} was admitted")
        };
        assert_eq!(refusal.reason, Reason::ArgumentsInvalid, "{schema:?}");
    }
    // A number that no machine number holds is not checked on a rounded one.
    let huge = Json::Object(vec![("a".into(), Json::Number("0.10000000000000000001".into()))]);
    assert!(matches!(
        judge_listed(&program, &listed("t"), &huge),
        Decision::Deny(_)
    ));
}

/// A server that wrote its schema has nothing to lose by patterns that take gigabytes.
#[test]
fn a_schema_whose_patterns_take_too_much_denies() {
    let program = tool("validate: schema");
    let judge = |schema: String| {
        let mut tool = listed("t");
        tool.input_schema = Some(schema.as_str().into());
        judge_listed(&program, &tool, &json(&serde_json::json!({ "a": "x" })))
    };
    let many = |count: usize| -> Vec<String> { (0..count).map(|n| format!(r"(x{{60}}){{60}}{n}")).collect() };
    let heavy = |patterns: &[String], form: &dyn Fn(usize, &str) -> String| {
        let parts: Vec<String> = patterns
            .iter()
            .enumerate()
            .map(|(n, text)| form(n, text))
            .collect();
        parts.join(",")
    };
    let named = |n: usize, text: &str| format!(r#""p{n}":{{"pattern":"{text}"}}"#);
    let keyed = |_: usize, text: &str| format!(r#""{text}":{{"type":"string"}}"#);
    for schema in [
        format!(r#"{{"properties":{{{}}}}}"#, heavy(&many(300), &named)),
        format!(r#"{{"patternProperties":{{{}}}}}"#, heavy(&many(300), &keyed)),
    ] {
        let Decision::Deny(refusal) = judge(schema) else {
            panic!("admitted")
        };
        assert_eq!(refusal.reason, Reason::ArgumentsInvalid);
        assert!(refusal.text.contains("patterns"), "{}", refusal.text);
    }
    let some = format!(r#"{{"properties":{{{}}}}}"#, heavy(&many(3), &named));
    assert!(matches!(judge(some), Decision::Admit(_)));
}

#[test]
fn operators_take_one_value_or_several() {
    let table = [
        ("starts_with, value: feat/", r#"{"b":"feat/x"}"#, true),
        ("starts_with, value: [feat/, fix/]", r#"{"b":"fix/x"}"#, true),
        ("ends_with, value: .md", r#"{"b":"x.rs"}"#, false),
        ("glob, value: \"feat/*\"", r#"{"b":"feat/x"}"#, true),
        ("path_under, value: /srv/data", r#"{"b":"/srv/data/x"}"#, true),
        (
            "path_under, value: /srv/data",
            r#"{"b":"/srv/data/../etc"}"#,
            false,
        ),
        (
            "host_in, value: [\"*.example.com\", example.org]",
            r#"{"b":"https://a.example.com/x"}"#,
            true,
        ),
        (
            "host_in, value: example.com",
            r#"{"b":"https://example.com.evil.net/"}"#,
            false,
        ),
        ("cidr, value: 10.0.0.0/8", r#"{"b":"10.1.2.3"}"#, true),
        ("length, value: { max: 3 }", r#"{"b":"abcd"}"#, false),
        ("length, value: 4", r#"{"b":"abcd"}"#, true),
        ("contains, value: x", r#"{"b":["x"]}"#, true),
        ("regex, value: '^\\d+$'", r#"{"b":"12"}"#, true),
        ("not_in, value: [a, \"1\"]", r#"{"b":"2"}"#, true),
        ("eq, value: { k: [1, null] }", r#"{"b":{"k":[1.0,null]}}"#, true),
    ];
    for (operator, arguments, admitted) in table {
        let operator = operator.replace("'^\\\\d+$'", "'^\\d+$'");
        let program = tool(&format!("require:\n  - {{ path: args.b, op: {operator} }}"));
        assert_eq!(
            judge(&program, arguments).is_ok(),
            admitted,
            "{operator} {arguments}"
        );
    }
}

#[test]
fn groups_limits_and_spend_work_together() {
    let program = tool(
        "deny_if:\n  - on_deny: not there\n    conditions:\n      - any:\n          - { path: args.b, op: eq, value: prod }\n          - not: { path: args.a, op: lte, value: 10 }\nspend: { amount: args.a, per_call: 8, daily: 20 }\nlimits:\n  - { window: hour, max: 5, scope: args.b, name: by customer }\n  - { concurrent: 2 }\nrecord: [args.b]\ntimeout: 90s",
    );
    let admission = judge(&program, r#"{"a":5,"b":"x"}"#).unwrap();
    assert_eq!(admission.reservations.len(), 2);
    assert_eq!(admission.slots.len(), 1);
    assert_eq!(admission.record.len(), 1);
    assert_eq!(admission.timeout, Some(std::time::Duration::from_secs(90)));
    let refusal = judge(&program, r#"{"a":5,"b":"prod"}"#).unwrap_err();
    assert_eq!(
        (refusal.reason, &*refusal.text),
        (Reason::DenyIfMatched, "not there")
    );
    assert_eq!(
        reason(&program, r#"{"a":11,"b":"x"}"#),
        Some(Reason::DenyIfMatched)
    );
    assert_eq!(
        reason(&program, r#"{"a":9,"b":"x"}"#),
        Some(Reason::ConditionFailed)
    );
    assert_eq!(
        reason(&program, r#"{"a":-1,"b":"x"}"#),
        Some(Reason::ConditionFailed)
    );
}

#[test]
fn shadow_only_records() {
    let program = tool("rules:\n  - { name: later, action: deny, mode: shadow }");
    let admission = judge(&program, r#"{"a":1}"#).unwrap();
    assert_eq!(admission.shadow.len(), 1);
}

#[test]
fn methods_are_judged_by_their_params() {
    let text = "version: \"1\"\ndefault: deny\nmethods:\n  resources/read:\n    require:\n      - { path: uri, op: starts_with, value: \"file:///srv/\" }\n  \"prompts/*\": {}\n";
    let program = loaded(text).program;
    let judge = |method: &str, params: serde_json::Value| {
        let params = json(&params);
        with_scene(|scene| {
            decide_method(
                &program,
                &OtherCall {
                    scene,
                    method,
                    params: Some(&params),
                },
                MethodClass::Other,
            )
        })
    };
    let admitted = |decision: Decision| matches!(decision, Decision::Admit(_));
    assert!(admitted(judge(
        "resources/read",
        serde_json::json!({ "uri": "file:///srv/x" })
    )));
    assert!(!admitted(judge(
        "resources/read",
        serde_json::json!({ "uri": "file:///etc/x" })
    )));
    assert!(!admitted(judge("resources/read", serde_json::json!({}))));
    assert!(admitted(judge("prompts/get", serde_json::json!({}))));
    assert!(!admitted(judge("completion/complete", serde_json::json!({}))));
}

#[test]
fn a_trusted_server_may_let_calls_pass() {
    let text = "version: \"1\"\ndefault: deny\ntools:\n  \"?\":\n    require:\n      - { path: tool.annotations.readOnlyHint, op: eq, value: true }\n";
    assert!(load(text, &LoadOptions::default()).is_err());
    let trusted = LoadOptions {
        trust: Trust::Annotations,
    };
    let program = load(text, &trusted).unwrap().program;
    assert_eq!(reason(&program, r#"{"a":1}"#), None);
    // What restricts is fine without trust, and so is a hold of what the server itself calls destructive.
    for body in [
        "deny_if:\n  - conditions: [{ path: tool.annotations.destructiveHint, op: eq, value: true }]",
        "require_approval:\n  - conditions: [{ path: tool.annotations.destructiveHint, op: eq, value: true }, { path: args.a, op: gt, value: 1 }]",
        "require: { path: tool.annotations.readOnlyHint, op: eq, value: true }",
    ] {
        let _ = tool(body);
    }
    for body in [
        "deny_if:\n  - conditions: [{ path: tool.annotations.readOnlyHint, op: neq, value: true }, { path: args.a, op: gt, value: 1 }]",
        "deny_if:\n  - conditions: [{ not: { path: tool.class, op: eq, value: read } }, { path: args.a, op: gt, value: 1 }]",
        "require:\n  - not:\n      - { path: tool.class, op: eq, value: write }\n      - { path: args.a, op: gt, value: 1 }",
        "require: { when: \"tool.annotations.readOnlyHint\" }",
        "deny_if: { when: \"tool['class'] == 'write'\" }",
        "require: { when: \"size(tool) > 0\" }",
    ] {
        let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
        let text = format!("version: \"1\"\ndefault: deny\ntools:\n  t:\n{body}");
        let errors = load(&text, &LoadOptions::default()).expect_err(&text);
        assert!(
            errors
                .errors()
                .any(|found| found.code.slug() == "annotation-trust"),
            "{text}: {errors}"
        );
    }
}

#[test]
fn every_error_says_what_to_do() {
    let cases = include_str!("diagnostics.rs");
    for text in cases.split("let text = r##\"").skip(1) {
        let text = text.split("\"##;").next().unwrap();
        if let Err(errors) = load(text, &LoadOptions::default()) {
            for found in errors.0 {
                assert!(found.hint.is_some(), "{found:?}");
                assert!(found.span.line >= 1 && found.severity <= Severity::Warning);
            }
        }
    }
}

#[test]
fn the_patterns_of_a_policy_have_a_bound_together() {
    let policy = |count: usize, pattern: &str| {
        let conditions: String = (0..count)
            .map(|n| format!("      - {{path: args.a, op: regex, value: '{pattern}{n}'}}\n"))
            .collect();
        format!("version: \"1\"\ndefault: deny\ntools:\n  a:\n    require:\n{conditions}")
    };
    // Nobody writes so many by hand.
    loaded(&policy(5_000, "^[a-z]{1,8}-"));
    let errors = load(&policy(200, "(x{90}){90}"), &LoadOptions::default()).unwrap_err();
    let said: Vec<&str> = errors.errors().map(|found| found.code.slug()).collect();
    assert_eq!(said, ["regex"; 136], "{errors}");
    assert!(errors.to_string().contains("67108864 bytes"), "{errors}");
}

#[test]
fn a_pattern_that_aliases_repeat_is_compiled_once() {
    // Counted each time, these would not fit into the room that a policy's patterns have.
    let repeated = "      - *heavy\n".repeat(1_000);
    let text = format!(
        "version: \"1\"\ndefault: deny\ntools:\n  a:\n    require:\n      - &heavy {{path: args.a, op: regex, value: \"(x{{99}}){{99}}\"}}\n{repeated}"
    );
    loaded(&text);
}
