//! Recommended policies: of all servers of the catalogue, and of definitions that nobody would write.
#![cfg(test)]

#[path = "recommended/gaps.rs"]
mod gaps;

use callgate_catalog::recommend::{Answers, Filling, HoleKind, Recommended, ToolFacts, recommend};
use callgate_catalog::{Class, Definition, Signal, Verdict, classify_list};
use callgate_core::call::{Caller, ListedTool, Listing, Scene, WallTime};
use callgate_core::decide::decide;
use callgate_core::json::Json;
use callgate_core::name::{GrantId, ServerName, ToolName};
use callgate_core::refusal::Reason;
use callgate_core::{Call, Decision};
use callgate_policy::{Code, Loaded, load};
use callgate_wire::{Bounds, RawJson};
use proptest::prelude::*;
use serde_json::{Value, json};

fn parsed(text: &str) -> Json<'static> {
    let raw =
        RawJson::read(text.as_bytes(), &Bounds::default()).unwrap_or_else(|error| panic!("{error}: {text}"));
    raw.parse().into_owned()
}

/// A server's tools, with what is recommended for them.
struct Server {
    name: String,
    tools: Vec<Value>,
    definitions: Vec<Json<'static>>,
    verdicts: Vec<Verdict>,
}

impl Server {
    fn of(name: &str, tools: &[Value]) -> Self {
        let definitions: Vec<Json<'static>> = tools.iter().map(|tool| parsed(&tool.to_string())).collect();
        let read: Vec<Definition> = definitions.iter().map(Definition::read).collect();
        Self {
            name: name.to_owned(),
            tools: tools.to_vec(),
            verdicts: classify_list(&read),
            definitions,
        }
    }

    fn recommended(&self, answers: &Answers) -> Recommended {
        let facts: Vec<ToolFacts<'_>> = self
            .definitions
            .iter()
            .zip(&self.verdicts)
            .map(|(tool, verdict)| ToolFacts { tool, verdict })
            .collect();
        recommend(&self.name, &facts, answers)
    }

    /// The policy as it is, and with all of its holes filled in.
    fn both(&self) -> [Recommended; 2] {
        let open = self.recommended(&Answers::default());
        let filled = self.recommended(&filling_all(&open));
        [open, filled]
    }

    fn listed(&self) -> Vec<ListedTool> {
        self.tools
            .iter()
            .filter_map(|tool| {
                Some(ListedTool {
                    name: ToolName::new(tool["name"].as_str()?).ok()?,
                    input_schema: tool.get("inputSchema").map(|schema| schema.to_string().into()),
                    required: Vec::new(),
                    annotations: Json::Null,
                    class: None,
                })
            })
            .collect()
    }
}

fn filling_all(made: &Recommended) -> Answers {
    Answers {
        fillings: made
            .open_holes()
            .map(|hole| Filling {
                tool: Some(hole.tool.clone()),
                argument: hole.argument.trim_start_matches("args.").replace("[*]", ""),
                values: match hole.kind {
                    HoleKind::Names => vec!["12".to_owned()],
                    HoleKind::Addresses => vec!["*@example.com".to_owned()],
                    HoleKind::Hosts => vec!["example.com".to_owned()],
                    HoleKind::Folders => vec!["/srv/agent".to_owned()],
                    HoleKind::Budget => vec!["50".to_owned(), "200".to_owned()],
                },
            })
            .collect(),
        ..Answers::default()
    }
}

#[track_caller]
fn loaded(policy: &str) -> Loaded {
    load(policy, &callgate_policy::LoadOptions::default()).unwrap_or_else(|found| panic!("{found}\n{policy}"))
}

/// What a policy does with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passes,
    WaitsForAPerson,
    Denied,
}

fn outcome(loaded: &Loaded, tool: &ListedTool, arguments: &Value) -> Outcome {
    let server = ServerName::new("s").unwrap();
    let caller = Caller {
        grant: GrantId::new("g").unwrap(),
        label: "g".into(),
        issuer: None,
        subject: None,
        claims: Json::Null,
    };
    let arguments = parsed(&arguments.to_string());
    let call = Call {
        scene: Scene {
            server: &server,
            caller: &caller,
            session: None,
            now: WallTime(0),
        },
        tool: tool.name.as_str(),
        listing: Listing::Listed(tool),
        arguments: Some(&arguments),
    };
    match decide(&loaded.program, &call) {
        Decision::Admit(_) => Outcome::Passes,
        Decision::Deny(refusal) if refusal.reason == Reason::ApprovalRequired => Outcome::WaitsForAPerson,
        Decision::Deny(_) => Outcome::Denied,
    }
}

/// Every server of the catalogue whose place in the list has this remainder by four.
fn servers(quarter: usize) -> Vec<Server> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/servers");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 172, "{}", files.len());
    files
        .iter()
        .skip(quarter)
        .step_by(4)
        .map(|path| {
            let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            Server::of(file["name"].as_str().unwrap(), file["tools"].as_array().unwrap())
        })
        .collect()
}

#[track_caller]
fn assert_no_findings(server: &Server, made: &Recommended, loaded: &Loaded, wrong: &mut Vec<String>) {
    for found in &loaded.warnings {
        assert!(
            found.code == Code::Unfilled && made.open_holes().next().is_some(),
            "{}: {found:?}",
            server.name
        );
    }
    let found = callgate_policy::check_against_tools(loaded, &server.listed());
    wrong.extend(found.iter().map(|found| format!("{}: {found:?}", server.name)));
}

#[track_caller]
fn assert_guarded(server: &Server, made: &Recommended) {
    for (tool, verdict) in server.tools.iter().zip(&server.verdicts) {
        let name = tool["name"].as_str().unwrap();
        let advice = made.tools.iter().find(|advice| advice.tool == name).unwrap();
        let has = |kinds: &[&str]| {
            advice
                .reasons
                .iter()
                .any(|reason| kinds.contains(&reason.kind.name()))
        };
        if matches!(verdict.class, Class::Destructive | Class::Financial) {
            // Where one argument says what is done, what loses something is denied by its value.
            assert!(has(&["hidden", "approval", "action"]), "{} {name}", server.name);
        }
        let is_free = verdict
            .signals
            .iter()
            .any(|signal| matches!(signal, Signal::Freeform { .. }));
        if is_free {
            let guards = [
                "hidden",
                "approval",
                "length",
                "read_only",
                "allow_list",
                "pattern",
                "no_other_arguments",
                "action",
                "schema",
            ];
            assert!(has(&guards), "{} {name}", server.name);
        }
        let is_suspicious = verdict.signals.iter().any(|signal| {
            matches!(
                signal,
                Signal::HiddenText { .. }
                    | Signal::Instructions { .. }
                    | Signal::LookAlike { .. }
                    | Signal::MixedAlphabets
            )
        });
        assert!(!is_suspicious || !advice.is_listed, "{} {name}", server.name);
    }
}

/// Calls that differ from an ordinary one in one argument, and should not pass.
fn attacks(tool: &Value, ordinary: &Value, verdict: &Verdict) -> Vec<Value> {
    let mut attacks = Vec::new();
    let empty = serde_json::Map::new();
    let schema = &tool["inputSchema"];
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let mut with = |name: &str, value: Value| {
        let mut call = ordinary.clone();
        call[name] = value;
        attacks.push(call);
    };
    for (name, property) in properties {
        let lower = name.to_lowercase();
        let kind = property["type"].as_str().unwrap_or_default();
        if property["enum"].is_array() {
            with(name, json!("no-such-value"));
            with(name, json!({}));
            continue;
        }
        if kind == "string" {
            let is_id = ["namespace", "repo", "owner", "id"].contains(&&*lower)
                || (lower.ends_with("_id") || name.ends_with("Id")) && !lower.contains("client_order");
            if is_id {
                for odd in [
                    "dev/../prod",
                    "a; touch X #",
                    "<executionId>",
                    "a\nb",
                    "$(touch X)",
                    "a b",
                ] {
                    with(name, json!(odd));
                }
            }
            if lower.ends_with("url") && verdict.class != Class::Financial {
                with(name, json!("http://169.254.169.254/latest/meta-data/"));
                with(name, json!("http://localhost:1/"));
            }
            if ["path", "file_path", "filepath", "repo_path", "cwd"].contains(&&*lower) {
                with(name, json!("../../etc/passwd"));
                with(name, json!("/srv/agent/../../etc/passwd"));
                with(name, json!("/etc/passwd"));
            }
        }
        if ["integer", "number"].contains(&kind) {
            let is_count =
                ["limit", "per_page", "perpage", "page_size", "pagesize", "timeout"].contains(&&*lower);
            let is_amount =
                verdict.class == Class::Financial && ["amount", "quantity", "price"].contains(&&*lower);
            if is_count || is_amount {
                with(name, json!(-5));
                with(name, json!(1_000_000_000_000_u64));
                with(name, json!("5"));
            }
        }
    }
    if schema.get("patternProperties").is_none() && schema.get("anyOf").is_none() {
        with("an-argument-that-nobody-knows", json!(true));
    }
    attacks
}

#[track_caller]
fn assert_holds(quarter: usize) {
    let (mut ordinary_calls, mut denied) = (0, 0);
    let mut wrong = Vec::new();
    for server in servers(quarter) {
        let [open, filled] = server.both();
        let (open_loaded, filled_loaded) = (loaded(&open.policy), loaded(&filled.policy));
        assert_no_findings(&server, &open, &open_loaded, &mut wrong);
        assert_no_findings(&server, &filled, &filled_loaded, &mut wrong);
        assert_eq!(filled.open_holes().count(), 0, "{}", server.name);
        assert!(filled.unused.is_empty(), "{}", server.name);
        assert_guarded(&server, &open);
        let listed = server.listed();
        for (tool, verdict) in server.tools.iter().zip(&server.verdicts) {
            let name = tool["name"].as_str().unwrap();
            let listed = listed.iter().find(|listed| listed.name.as_str() == name).unwrap();
            let advice = filled.tools.iter().find(|advice| advice.tool == name).unwrap();
            let Some(example) = &advice.example else { continue };
            let ordinary: Value = serde_json::from_str(example).unwrap();
            let usual = outcome(&filled_loaded, listed, &ordinary);
            if usual == Outcome::Denied {
                wrong.push(format!("denied: {} {name} {ordinary}", server.name));
            }
            ordinary_calls += 1;
            for attack in attacks(tool, &ordinary, verdict) {
                let came = outcome(&filled_loaded, listed, &attack);
                if came != Outcome::Denied {
                    wrong.push(format!("{came:?}: {} {name} {attack}", server.name));
                }
                denied += 1;
            }
            // An open list lets nothing pass that it is asked about.
            for hole in open
                .open_holes()
                .filter(|hole| hole.tool == name && hole.is_needed)
            {
                let came = outcome(&open_loaded, listed, &ordinary);
                if came != Outcome::Denied {
                    wrong.push(format!("open: {} {name} {}", server.name, hole.argument));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {denied}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(
        ordinary_calls > 600 && denied > 2_000,
        "{ordinary_calls} {denied}"
    );
}

// Four parts, so that they run beside each other.
#[test]
fn the_policies_of_the_catalogue_hold_1() {
    assert_holds(0);
}

#[test]
fn the_policies_of_the_catalogue_hold_2() {
    assert_holds(1);
}

#[test]
fn the_policies_of_the_catalogue_hold_3() {
    assert_holds(2);
}

#[test]
fn the_policies_of_the_catalogue_hold_4() {
    assert_holds(3);
}

/// Names that YAML, globs and comments read in other ways.
const ODD_NAMES: [&str; 31] = [
    "plain",
    "with space",
    "no",
    "Yes",
    "null",
    "~",
    "123",
    "1.5",
    "0x1f",
    "-",
    "- a",
    "a: b",
    "a #b",
    "#a",
    "*",
    "a*",
    "?",
    "[a]",
    "{a,b}",
    "\\",
    "a\\b",
    "\"",
    "'",
    "a\nb",
    "a\tb",
    "\u{7f}\u{85}",
    "ünï",
    "<<",
    "!!str a",
    "&a",
    "a]",
];

fn reading(name: &str) -> Value {
    json!({
        "name": name,
        "description": format!("Lists {name}\ntools: {{}}\n  evil: {{}}\n\"'*&evil #"),
        "inputSchema": {"type": "object", "properties": {name: {"type": "string", "description": name}}},
        "annotations": {"readOnlyHint": true},
    })
}

/// Which of `asked` a policy lets be called without arguments; every tool is allowed by name first.
fn let_through(tools: &[Value], asked: &[String]) -> Vec<String> {
    let server = Server::of("odd\nserver\n  evil: {}", tools);
    let answers = Answers {
        allowed: tools
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect(),
        ..Answers::default()
    };
    let made = server.recommended(&answers);
    assert_eq!(made, server.recommended(&answers));
    let loaded = loaded(&made.policy);
    asked
        .iter()
        .filter(|name| {
            let tool = Server::of("one", &[reading(name)]).listed().remove(0);
            outcome(&loaded, &tool, &json!({})) != Outcome::Denied
        })
        .cloned()
        .collect()
}

#[test]
fn a_policy_for_odd_names_lists_exactly_these_names() {
    let names: Vec<String> = ODD_NAMES.iter().map(|name| (*name).to_owned()).collect();
    let tools: Vec<Value> = names.iter().map(|name| reading(name)).collect();
    let mut asked = names.clone();
    asked.extend(["evil", "tools", "ab", "aa", "b", "anything"].map(str::to_owned));
    assert_eq!(let_through(&tools, &asked), names);
}

/// Any JSON, with the keys that are looked for among others, and texts that could end a comment or a scalar.
fn any_json(depth: u32) -> BoxedStrategy<Value> {
    let text = prop_oneof![
        "\\PC{0,12}",
        "[a-z_]{0,8}",
        Just("string".to_owned()),
        Just("object".to_owned()),
        Just("array".to_owned()),
        Just("x\n  evil: {}\n# \"'*&".to_owned()),
        Just("#/inputSchema".to_owned()),
        Just("#".to_owned()),
        Just("delete".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-5_i64..2_000).prop_map(Value::from),
        text.prop_map(Value::from)
    ];
    let key = prop_oneof![
        Just("properties".to_owned()),
        Just("type".to_owned()),
        Just("required".to_owned()),
        Just("items".to_owned()),
        Just("enum".to_owned()),
        Just("anyOf".to_owned()),
        Just("$ref".to_owned()),
        Just("namespace".to_owned()),
        Just("url".to_owned()),
        Just("path".to_owned()),
        Just("action".to_owned()),
        Just("amount".to_owned()),
        Just("inputs".to_owned()),
        Just("email".to_owned()),
        Just("sql".to_owned()),
        Just("wait".to_owned()),
        Just("limit".to_owned()),
        Just("a\n  evil: {}".to_owned()),
        Just("\"'".to_owned()),
        "\\PC{0,6}",
    ];
    leaf.prop_recursive(depth, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}

fn any_tool() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        "[a-z]{1,8}_[a-z]{1,8}",
        "\\PC{0,10}",
        Just("pay_invoice".to_owned()),
        Just("run_workflow".to_owned()),
        Just("create_a\n  evil: {}".to_owned()),
        Just("query_database".to_owned()),
    ];
    let property = (
        prop_oneof![
            Just("namespace"),
            Just("workflow_id"),
            Just("url"),
            Just("file_path"),
            Just("amount"),
            Just("action"),
            Just("to"),
            Just("email"),
            Just("sql"),
            Just("wait"),
            Just("limit"),
            Just("input"),
            Just("html"),
            Just("idempotency_key"),
            Just("force"),
            Just("body"),
            Just("a\n  evil: {}"),
            Just("it's \"odd\" #"),
        ],
        prop_oneof![
            Just(json!({"type": "string"})),
            Just(json!({"type": "integer"})),
            Just(json!({"type": "boolean"})),
            Just(json!({"type": "object"})),
            Just(json!({"type": "array", "items": {"type": "string"}})),
            Just(json!({"enum": ["list", "delete\n  evil: {}", "run"]})),
            Just(json!({"type": ["string", "null"]})),
            Just(json!({})),
            any_json(2),
        ],
    );
    let schema = prop::collection::vec(property, 0..8).prop_map(|properties| {
        let required: Vec<&str> = properties.iter().step_by(2).map(|(name, _)| *name).collect();
        let members: serde_json::Map<String, Value> = properties
            .iter()
            .map(|(name, property)| ((*name).to_owned(), property.clone()))
            .collect();
        json!({"type": "object", "properties": members, "required": required})
    });
    (name, any_json(1), prop_oneof![schema, any_json(4)], any_json(2)).prop_map(
        |(name, description, schema, annotations)| {
            json!({"name": name, "description": description, "inputSchema": schema, "annotations": annotations})
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_definitions_give_policies_that_load_and_list_nothing_else(
        tools in prop::collection::vec(any_tool(), 0..4),
        values in prop::collection::vec("\\PC{0,8}|\\*|a\n  evil: \\{\\}|\"'#", 1..3),
        allow in any::<bool>(),
    ) {
        let server = Server::of("s", &tools);
        let mut answers = Answers::default();
        if allow {
            answers.allowed = tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
        }
        let open = server.recommended(&answers);
        answers.fillings = open
            .open_holes()
            .filter(|hole| hole.kind == HoleKind::Names)
            .map(|hole| Filling {
                tool: Some(hole.tool.clone()),
                argument: hole.argument.trim_start_matches("args.").to_owned(),
                values: values.clone(),
            })
            .collect();
        let filled = server.recommended(&answers);
        for made in [&open, &filled] {
            let loaded = loaded(&made.policy);
            let evil = ListedTool {
                name: ToolName::new("evil").unwrap(),
                input_schema: None,
                required: Vec::new(),
                annotations: Json::Null,
                class: None,
            };
            prop_assert_eq!(outcome(&loaded, &evil, &json!({})), Outcome::Denied);
            let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
            for key in loaded.program.exact.keys() {
                prop_assert!(names.contains(&key.as_str()), "{}", key);
            }
            for advice in &made.tools {
                load(&advice.policy, &callgate_policy::LoadOptions::default())
                    .map_err(|found| TestCaseError::fail(format!("{found}\n{}", advice.policy)))?;
            }
        }
    }

    #[test]
    fn any_one_name_is_listed_alone(name in "[a0 :#*?\\[\\]{},&!|>'\"%@`\\\\~\n\t\r\u{1b}\u{85}\u{a0}\u{2028}\u{feff}é\u{1f600}/._=<-]{1,4}") {
        let names = vec![name];
        let mut asked = names.clone();
        asked.extend(["a", "evil", "b"].map(str::to_owned));
        asked.dedup();
        let tools: Vec<Value> = names.iter().map(|name| reading(name)).collect();
        prop_assert_eq!(let_through(&tools, &asked), names);
    }
}

/// A call of such a tool would have a hundred million values.
#[test]
fn a_schema_that_names_more_than_can_be_made_has_an_end() {
    let level = |below: Value| {
        let names: Vec<String> = (0..40).map(|number| format!("name_{number}")).collect();
        let properties: serde_json::Map<String, Value> =
            names.iter().map(|name| (name.clone(), below.clone())).collect();
        json!({"type": "object", "properties": properties, "required": names})
    };
    let mut schema = level(json!({"$ref": "#/$defs/a"}));
    schema["$defs"] = json!({
        "a": level(json!({"$ref": "#/$defs/b"})),
        "b": level(json!({"$ref": "#/$defs/c"})),
        "c": level(json!({"$ref": "#/$defs/d"})),
        "d": level(json!({"type": "string"})),
    });
    let made = Server::of("s", &[json!({"name": "list_items", "inputSchema": schema})])
        .recommended(&Answers::default());
    loaded(&made.policy);
    assert_eq!(made.tools[0].example, None);
}
