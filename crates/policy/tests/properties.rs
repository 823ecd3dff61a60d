//! What must hold of every policy: no slip widens it, the order of keys does not matter, formatting keeps it.
#![cfg(test)]

mod common;

use callgate_core::Program;
use callgate_core::decision::Decision;
use callgate_policy::tree::{Node, Value};
use callgate_policy::{Document, LoadOptions, format, json_schema, load};

/// A policy that denies or limits each of its probes by one rule alone, so that losing any of them shows.
const TIGHT: &str = r#"version: "1"
default: deny
hide: [hidden]
tools:
  hidden: {}
  denied:
    rules:
      - name: no
        action: deny
  required:
    require:
      - { path: args.a, op: eq, value: 2 }
  grouped:
    require:
      - any:
          - { path: args.a, op: gt, value: 5 }
          - not: { path: args.a, op: lte, value: 5 }
  conditions:
    rules:
      - name: two
        conditions:
          - { path: args.a, op: in, value: [2, 3] }
  deny_if:
    deny_if:
      - on_deny: no
        conditions:
          - { path: args.a, op: eq, value: 1 }
  expression:
    require:
      when: "args.a == 2"
  held:
    rules:
      - name: ask
        action: require_approval
  held_too:
    require_approval: true
  "glob_*":
    rules: [{ name: no, action: deny }]
"#;

const PROBES: [&str; 12] = [
    "hidden",
    "denied",
    "required",
    "grouped",
    "conditions",
    "deny_if",
    "expression",
    "held",
    "held_too",
    "glob_x",
    "unlisted",
    "tools",
];

fn loads(text: &str) -> Option<Program> {
    load(text, &LoadOptions::default())
        .ok()
        .map(|loaded| loaded.program)
}

fn admitted(program: &Program) -> Vec<&'static str> {
    PROBES
        .into_iter()
        .filter(|tool| matches!(common::decide_plainly(program, tool), Decision::Admit(_)))
        .collect()
}

#[test]
fn the_tight_policy_admits_none_of_its_probes() {
    assert_eq!(admitted(&loads(TIGHT).unwrap()), Vec::<&str>::new());
}

#[test]
fn no_slip_of_a_key_or_a_value_widens_a_policy() {
    let root = load(TIGHT, &LoadOptions::default()).unwrap().document.root;
    let mut slips = Vec::new();
    mutate(&root, "", &mut |node| slips.push(node));
    assert!(slips.len() > 250, "{}", slips.len());
    let mut loaded = 0;
    for root in slips {
        let text = format(&Document {
            root,
            trailing: Vec::new(),
        });
        if let Some(program) = loads(&text) {
            loaded += 1;
            assert_eq!(admitted(&program), Vec::<&str>::new(), "{text}");
        }
    }
    assert!(loaded > 10, "{loaded}");
}

/// Every document in which one key is misspelt, or one value is lost, misspelt or of another type.
///
/// Not among them: `null` as a value to compare with (a value left out is an error), another tool, argument or value, and a list of rules that says it is empty. Those are other
/// policies rather than slips that could be told from what was meant.
fn mutate(node: &Node, key: &str, emit: &mut dyn FnMut(Node)) {
    let with = |value: Value| Node {
        value,
        ..node.clone()
    };
    if key != "value" {
        emit(with(Value::Null));
    }
    if !["rules", "require", "deny_if", "hide"].contains(&key) {
        emit(with(Value::List(Vec::new())));
    }
    match &node.value {
        Value::Map(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                let mut misspelt = entries.clone();
                misspelt[index].key = format!("{}x", entry.key).into();
                if key != "tools" {
                    emit(with(Value::Map(misspelt)));
                }
                mutate(&entry.value, &entry.key, &mut |inner| {
                    let mut changed = entries.clone();
                    changed[index].value = inner;
                    emit(with(Value::Map(changed)));
                });
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                mutate(item, key, &mut |inner| {
                    let mut changed = items.clone();
                    changed[index] = inner;
                    emit(with(Value::List(changed)));
                });
            }
        }
        Value::String(text) => {
            emit(with(Value::Map(Vec::new())));
            emit(with(Value::Bool(true)));
            emit(with(Value::Number("7".into())));
            if !["path", "hide"].contains(&key) {
                emit(with(Value::String(format!("{text}x").into())));
            }
        }
        Value::Number(numeral) => {
            emit(with(Value::Map(Vec::new())));
            emit(with(Value::Bool(true)));
            emit(with(Value::String(numeral.clone())));
        }
        Value::Bool(_) | Value::Null => {
            emit(with(Value::Map(Vec::new())));
            emit(with(Value::Number("7".into())));
            emit(with(Value::String("true".into())));
        }
    }
}

fn reversed(node: &Node) -> Node {
    let value = match &node.value {
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .rev()
                .map(|entry| {
                    let mut entry = entry.clone();
                    entry.value = reversed(&entry.value);
                    entry
                })
                .collect(),
        ),
        Value::List(items) => Value::List(items.iter().map(reversed).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other.clone(),
    };
    Node {
        value,
        ..node.clone()
    }
}

/// What a program asks, without where it was written and its digest.
fn meaning(program: &Program) -> String {
    let mut program = program.clone();
    program.digest = [0; 32];
    format!("{program:?}")
}

/// JSON keeps whatever order a test gives its keys.
fn json(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(numeral) => numeral.to_string(),
        Value::String(text) => serde_json::to_string(text).unwrap(),
        Value::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        Value::Map(entries) => {
            let members: Vec<_> = entries
                .iter()
                .map(|entry| {
                    format!(
                        "{}:{}",
                        serde_json::to_string(&entry.key).unwrap(),
                        json(&entry.value)
                    )
                })
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

#[test]
fn the_order_of_keys_and_the_notation_do_not_matter() {
    let text = TIGHT.replace("  expression:\n    require:\n      when: \"args.a == 2\"\n", "");
    let first = load(&text, &LoadOptions::default()).unwrap();
    for written in [json(&first.document.root), json(&reversed(&first.document.root))] {
        let again =
            load(&written, &LoadOptions::default()).unwrap_or_else(|errors| panic!("{errors} {written}"));
        assert_eq!(meaning(&again.program), meaning(&first.program));
        assert_eq!(again.document, first.document);
        assert_eq!(again.shape, first.shape);
    }
}

#[test]
fn formatting_is_stable_ordered_and_keeps_comments() {
    let text = "# top\ntools: # beside tools\n  # on push\n  push:\n    limits:\n    # a limit\n    - {max: 5, window: hour, counter: 'x: y'} # five\n    rules: [] # none\n    record: [args.a, \"args['b c']\"]\ndefault: \"deny\" # closed\nversion: '1'\n# the end\n";
    let loaded = load(text, &LoadOptions::default()).unwrap();
    let formatted = format(&loaded.document);
    insta::assert_snapshot!(formatted, @r#"
    version: "1"
    default: deny # closed
    # top
    tools:
      # beside tools
      # on push
      push:
        rules: [] # none
        limits:
          # a limit
          # five
          - counter: "x: y"
            window: hour
            max: 5
        record: [args.a, "args['b c']"]
    # the end
    "#);
    let again = load(&formatted, &LoadOptions::default()).unwrap();
    assert_eq!(again.document, loaded.document);
    assert_eq!(format(&again.document), formatted);
}

#[test]
fn the_json_schema_takes_what_loads_and_refuses_slips() {
    let schema = json_schema();
    let validator = jsonschema::options().offline().build(&schema).unwrap();
    let value = |node: &Node| -> serde_json::Value { serde_json::from_str(&json(node)).unwrap() };
    for text in [
        TIGHT,
        include_str!("seeds/workflow_execute.yaml"),
        include_str!("seeds/execute_flow.json"),
    ] {
        let root = load(text, &LoadOptions::default()).unwrap().document.root;
        let errors: Vec<_> = validator
            .iter_errors(&value(&root))
            .map(|e| e.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    for slip in [
        r#"{"default": "denny"}"#,
        r#"{"tools": {"t": {"limit": []}}}"#,
        r#"{"tools": {"t": {"limits": [{"max": "5"}]}}}"#,
        r#"{"tools": {"t": {"rules": [{"conditions": [{"path": "x", "op": "eqq"}]}]}}}"#,
    ] {
        assert!(
            !validator.is_valid(&serde_json::from_str(slip).unwrap()),
            "{slip}"
        );
    }
}
