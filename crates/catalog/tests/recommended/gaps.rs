//! Ways round a recommended rule: each tool here has a call that is ordinary, and some that no rule used to ask about.

use super::{Outcome, Server, loaded, outcome};
use callgate_catalog::recommend::{Answers, Filling};
use serde_json::{Value, json};

/// A tool with its lists filled in: `argument=value,value`.
struct Tool {
    server: Server,
    policy: String,
}

impl Tool {
    fn new(name: &str, description: &str, schema: Value, fillings: &[(&str, &str)]) -> Self {
        let mut tool = json!({"name": name, "description": description});
        tool["inputSchema"] = schema;
        let server = Server::of("s", &[tool]);
        let answers = Answers {
            fillings: fillings
                .iter()
                .map(|(argument, values)| Filling {
                    tool: None,
                    argument: (*argument).to_owned(),
                    values: values.split(',').map(str::to_owned).collect(),
                })
                .collect(),
            ..Answers::default()
        };
        let policy = server.recommended(&answers).policy;
        Self { server, policy }
    }

    fn outcome(&self, call: &Value) -> Outcome {
        outcome(&loaded(&self.policy), &self.server.listed()[0], call)
    }

    #[track_caller]
    fn assert_passes(&self, calls: &[Value]) {
        for call in calls {
            assert_eq!(self.outcome(call), Outcome::Passes, "{call}\n{}", self.policy);
        }
    }

    /// Denied, or held for a person.
    #[track_caller]
    fn assert_stopped(&self, calls: &[Value]) {
        let passed: Vec<&Value> = calls
            .iter()
            .filter(|call| self.outcome(call) == Outcome::Passes)
            .collect();
        assert!(passed.is_empty(), "{passed:?}\n{}", self.policy);
    }
}

#[test]
fn what_elements_of_a_list_may_lack_is_asked_about() {
    let step = json!({
        "type": "object",
        "properties": {"url": {"type": "string"}, "title": {"type": "string"}},
        "required": ["title"],
    });
    let tool = Tool::new(
        "trigger_steps",
        "Triggers steps",
        json!({"type": "object", "properties": {"steps": {"type": "array", "items": step}}}),
        &[("url", "example.com")],
    );
    tool.assert_passes(&[
        json!({}),
        json!({"steps": []}),
        json!({"steps": [{"title": "a"}, {"title": "b"}]}),
        json!({"steps": [{"title": "a", "url": "https://example.com/"}]}),
    ]);
    let evil = json!({"title": "a", "url": "http://169.254.169.254/"});
    tool.assert_stopped(&[
        json!({"steps": [evil]}),
        json!({"steps": [{"title": "a", "url": "https://example.com/"}, evil]}),
        json!({"steps": [{"title": "a"}, evil]}),
    ]);
}

#[test]
fn code_that_an_element_of_a_list_may_hold_waits_for_a_person() {
    let step = json!({"type": "object", "properties": {"command": {"type": "string"}}});
    let tool = Tool::new(
        "trigger_steps",
        "Triggers steps",
        json!({"type": "object", "properties": {"steps": {"type": "array", "items": step}}}),
        &[],
    );
    tool.assert_stopped(&[json!({"steps": [{"command": "touch X"}]})]);
}

#[test]
fn a_list_whose_elements_are_not_described_is_asked_about() {
    for list in [json!({"type": "array"}), json!({"type": "array", "items": {}})] {
        let tool = Tool::new(
            "trigger_fetch",
            "Triggers a fetch",
            json!({"type": "object", "properties": {"urls": list}}),
            &[("urls", "example.com")],
        );
        tool.assert_passes(&[json!({}), json!({"urls": ["https://example.com/a"]})]);
        tool.assert_stopped(&[
            json!({"urls": ["http://169.254.169.254/"]}),
            json!({"urls": ["https://example.com/a", "http://localhost/"]}),
            json!({"urls": [{"a": 1}]}),
        ]);
    }
}

#[test]
fn arguments_behind_several_references_are_asked_about() {
    let properties = json!({"workflow": {"$ref": "#/$defs/W1"}});
    let forms = [
        json!({"$ref": "#/$defs/A"}),
        json!({"allOf": [{"$ref": "#/$defs/A"}]}),
        json!({"allOf": [{"allOf": [{"anyOf": [{"$ref": "#/$defs/A"}]}]}]}),
    ];
    for mut schema in forms {
        schema["type"] = json!("object");
        schema["$defs"] = json!({
            "A": {"$ref": "#/$defs/B"},
            "B": {"type": "object", "properties": properties, "required": ["workflow"]},
            "W1": {"$ref": "#/$defs/W2"},
            "W2": {"type": "string"},
        });
        let tool = Tool::new(
            "run_workflow",
            "Runs a workflow",
            schema,
            &[("workflow", "report")],
        );
        tool.assert_passes(&[json!({"workflow": "report"})]);
        tool.assert_stopped(&[
            json!({"workflow": "payments"}),
            json!({"workflow": "report", "smuggled": true}),
            json!({}),
        ]);
    }
}

#[test]
fn arguments_that_no_rule_can_see_are_denied() {
    for word in ["then", "else"] {
        let tool = Tool::new(
            "trigger_build",
            "Triggers a build",
            json!({
                "type": "object",
                "properties": {"title": {"type": "string"}},
                "if": {"required": ["title"]},
                word: {"properties": {"workflow": {"type": "string"}}},
            }),
            &[],
        );
        tool.assert_passes(&[json!({"title": "a"})]);
        tool.assert_stopped(&[
            json!({"title": "a", "workflow": "payments"}),
            json!({"workflow": "payments"}),
        ]);
    }
    let tool = Tool::new(
        "trigger_build",
        "Triggers a build",
        json!({
            "type": "object",
            "properties": {"title": {"type": "string"}},
            "patternProperties": {"^work": {"type": "string"}},
        }),
        &[],
    );
    tool.assert_stopped(&[json!({"title": "a", "workflow": "payments"})]);
}

#[test]
fn objects_that_may_also_be_something_else_hold_plain_members_only() {
    let forms = [
        json!({}),
        json!({"description": "what to give it"}),
        json!({"type": ["object", "string"]}),
        json!({"anyOf": [{"type": "object"}, {"type": "string"}, {"type": "null"}]}),
    ];
    for form in forms {
        let tool = Tool::new(
            "run_workflow",
            "Runs a workflow",
            json!({
                "type": "object",
                "properties": {"workflow": {"type": "string"}, "parameters": form},
                "required": ["workflow"],
            }),
            &[("workflow", "report")],
        );
        let with = |parameters: Value| json!({"workflow": "report", "parameters": parameters});
        tool.assert_passes(&[
            json!({"workflow": "report"}),
            with(json!({})),
            with(json!({"namespace": "shop", "count": 3})),
        ]);
        tool.assert_stopped(&[
            with(json!({"namespace": "shop; touch X #"})),
            with(json!({"namespace": ["$(touch X)"]})),
            with(json!(r#"{"namespace": "$(touch X)"}"#)),
            with(json!(["$(touch X)"])),
            with(json!({"--kubeconfig": "a"})),
        ]);
    }
}

#[test]
fn what_a_server_takes_by_itself_has_to_be_on_the_list_too() {
    let schema = |default: &str| {
        json!({
            "type": "object",
            "properties": {
                "workflow": {"type": "string"},
                "environment": {"type": "string", "default": default},
            },
            "required": ["workflow"],
        })
    };
    let fillings = [("workflow", "report"), ("environment", "staging")];
    let missing = json!({"workflow": "report"});
    let given = json!({"workflow": "report", "environment": "staging"});
    let tool = Tool::new("run_workflow", "Runs a workflow", schema("production"), &fillings);
    tool.assert_passes(std::slice::from_ref(&given));
    tool.assert_stopped(std::slice::from_ref(&missing));
    let tool = Tool::new("run_workflow", "Runs a workflow", schema("staging"), &fillings);
    tool.assert_passes(&[missing.clone(), given]);
    // Nobody has said yet that production may be touched.
    let tool = Tool::new(
        "run_workflow",
        "Runs a workflow",
        schema("production"),
        &fillings[..1],
    );
    tool.assert_stopped(&[missing]);
}

#[test]
fn no_identifier_holds_two_dots() {
    let tool = Tool::new(
        "update_branch",
        "Updates a branch",
        json!({
            "type": "object",
            "properties": {"branch": {"type": "string"}, "issue_id": {"type": "string"}},
            "required": ["branch", "issue_id"],
        }),
        &[],
    );
    let with = |branch: &str, id: &str| json!({"branch": branch, "issue_id": id});
    tool.assert_passes(&[
        with("main", "a"),
        with("feature/v1.2.3", "a.b:c@d=e+f~1"),
        with("a", &"x".repeat(200)),
    ]);
    tool.assert_stopped(&[
        with("main..secret", "a"),
        with("main", "a..b"),
        with("main", "a.."),
        with("a/..", "a"),
        with("a", ".a"),
        with("a", &"x".repeat(201)),
    ]);
}

#[test]
fn functions_that_do_more_than_read_are_no_part_of_a_query() {
    let tool = Tool::new(
        "read_query",
        "Run a read-only SQL query. Only SELECT statements are allowed.",
        json!({"type": "object", "properties": {"sql": {"type": "string"}}, "required": ["sql"]}),
        &[],
    );
    let with = |sql: &str| json!({"sql": sql});
    tool.assert_passes(&[
        with("select id, settings, offset_id from lookups where callsign = 'x'"),
        with("SELECT count(*) FROM orders WHERE created_at > '2026-01-01' GROUP BY day"),
    ]);
    tool.assert_stopped(&[
        with("select pg_read_binary_file('/etc/passwd')"),
        with("select dblink_exec('host=x', 'a')"),
        with("select query_to_xml('del'||'ete from t', true, true, '')"),
        with("select lo_unlink(1)"),
        with("select setval('s', 1)"),
        with("select pg_terminate_backend(1)"),
        with("select load_extension('x')"),
        with("select writefile('x', 'y')"),
        with("select * from openrowset('a', 'b', 'c')"),
        with("select PG_SLEEP_FOR('1 day')"),
    ]);
}

#[test]
fn a_tool_that_pays_pays_whatever_its_action_is_called() {
    let tool = Tool::new(
        "send_payment",
        "Sends a payment",
        json!({
            "type": "object",
            "properties": {
                "action": {"type": "string", "enum": ["get", "list"]},
                "amount": {"type": "number"},
                "to": {"type": "string"},
            },
            "required": ["action", "amount", "to"],
        }),
        &[("to", "ana"), ("amount", "50,200")],
    );
    tool.assert_stopped(&[json!({"action": "get", "amount": 10, "to": "ana"})]);
}

#[test]
fn of_two_arguments_that_say_what_is_done_both_are_looked_at() {
    let tool = Tool::new(
        "manage_jobs",
        "Manages jobs",
        json!({
            "type": "object",
            "properties": {
                "action": {"type": "string", "enum": ["get", "list"]},
                "operation": {"type": "string", "enum": ["execute", "show"]},
            },
            "required": ["action", "operation"],
        }),
        &[],
    );
    tool.assert_stopped(&[json!({"action": "get", "operation": "execute"})]);
}

#[test]
fn members_of_other_arguments_do_not_crowd_out_an_argument() {
    let many: serde_json::Map<String, Value> = (0..300)
        .map(|number| (format!("a{number}"), json!({"type": "string"})))
        .collect();
    let tool = Tool::new(
        "run_workflow",
        "Runs a workflow",
        json!({
            "type": "object",
            "properties": {
                "options": {"type": "object", "properties": many},
                "workflow": {"type": "string"},
            },
            "required": ["workflow"],
        }),
        &[("workflow", "report")],
    );
    tool.assert_passes(&[json!({"workflow": "report"})]);
    tool.assert_stopped(&[json!({"workflow": "payments"})]);
}

#[test]
fn a_name_that_is_listed_twice_is_left_out() {
    let tool =
        |schema: Value| json!({"name": "show_page", "description": "Shows a page", "inputSchema": schema});
    let tools = [
        tool(json!({"type": "object", "properties": {}, "additionalProperties": false})),
        tool(json!({"type": "object", "properties": {"command": {"type": "string"}}})),
    ];
    let server = Server::of("s", &tools);
    let made = server.recommended(&Answers::default());
    let loaded = loaded(&made.policy);
    for listed in server.listed() {
        assert_eq!(
            outcome(&loaded, &listed, &json!({})),
            Outcome::Denied,
            "{}",
            made.policy
        );
    }
}
#[test]
fn what_a_server_takes_by_itself_may_also_be_given() {
    let tool = Tool::new(
        "update_list",
        "Updates a list",
        json!({
            "type": "object",
            "properties": {
                "branch": {"type": "string", "default": ""},
                "list_id": {"type": "string", "default": ""},
                "max_rows_limit": {"type": "integer", "default": 20_000},
                "timeout": {"type": "number", "default": 3600.0},
            },
        }),
        &[],
    );
    tool.assert_passes(&[
        json!({}),
        json!({"branch": "", "list_id": "", "max_rows_limit": 20_000, "timeout": 3600}),
        json!({"branch": "main", "list_id": "a", "max_rows_limit": 5, "timeout": 5}),
    ]);
    tool.assert_stopped(&[
        json!({"list_id": " "}),
        json!({"list_id": "a/../b"}),
        json!({"max_rows_limit": 20_001}),
        json!({"timeout": 3601}),
        json!({"timeout": -1}),
    ]);
}

#[test]
fn a_name_that_cannot_be_a_key_is_said_to_be_left_out() {
    let mut names: Vec<String> = (0..510).map(|number| format!("show*{number}")).collect();
    names.push("*".repeat(200));
    names.push("x".repeat(1_025));
    let tools: Vec<Value> = names
        .iter()
        .map(|name| json!({"name": name, "description": "Shows a page", "inputSchema": {"type": "object"}}))
        .collect();
    let server = Server::of("s", &tools);
    let made = server.recommended(&Answers::default());
    let listed: Vec<&str> = made
        .tools
        .iter()
        .filter(|advice| advice.is_listed)
        .map(|advice| &*advice.tool)
        .collect();
    let loaded = loaded(&made.policy);
    let passing: Vec<String> = server
        .listed()
        .iter()
        .filter(|tool| outcome(&loaded, tool, &json!({})) == Outcome::Passes)
        .map(|tool| tool.name.as_str().to_owned())
        .collect();
    assert_eq!(passing.len(), 500);
    assert!(passing.iter().all(|name| listed.contains(&&**name)));
    assert_eq!(listed.len(), passing.len());
    assert!(made.tests.contains("show*99 is hidden"));
}

/// A schema that lets other arguments through, with these.
fn open_schema(names: &[String]) -> Value {
    let properties: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| (name.clone(), json!({"type": "boolean"})))
        .collect();
    json!({"type": "object", "properties": properties})
}

#[test]
fn however_many_arguments_a_tool_has_others_are_denied() {
    let plain: Vec<String> = (0..250).map(|number| format!("a{number:03}")).collect();
    let odd: Vec<String> = (0..100)
        .map(|number| format!("ключ \"{number:03}\".é\u{1f600}"))
        .collect();
    let long: Vec<String> = (10..40).map(|number| format!("{number}").repeat(120)).collect();
    for names in [&plain, &odd, &long] {
        let tool = Tool::new("list_pages", "Lists pages", open_schema(names), &[]);
        let loaded = loaded(&tool.policy);
        let listed = &tool.server.listed()[0];
        let denied = |name: &str| outcome(&loaded, listed, &json!({name: true})) == Outcome::Denied;
        let all: serde_json::Map<String, Value> =
            names.iter().map(|name| (name.clone(), json!(true))).collect();
        assert_eq!(outcome(&loaded, listed, &Value::Object(all)), Outcome::Passes);
        for name in names {
            assert!(!denied(name), "{name}\n{}", tool.policy);
            let after = format!("{name}\u{1}");
            let before = format!("\u{1}{name}");
            let cut: String = name.chars().skip(1).collect();
            for near in [after, before, cut] {
                assert!(denied(&near), "{near}\n{}", tool.policy);
            }
        }
        for name in ["", "A", "smuggled", "zz", "\u{10ffff}"] {
            assert!(denied(name), "{name}\n{}", tool.policy);
        }
    }
}

#[test]
fn a_name_that_no_expression_can_hold_is_denied_like_others() {
    let names = ["limit_a".to_owned(), "x".repeat(3_000), "\"".repeat(300)];
    let tool = Tool::new("list_pages", "Lists pages", open_schema(&names), &[]);
    tool.assert_passes(&[json!({}), json!({"limit_a": true})]);
    tool.assert_stopped(&[&*names[1], &*names[2], "smuggled"].map(|name| json!({name: true})));
    assert!(tool.policy.contains("too long"), "{}", tool.policy);
}

#[test]
fn of_the_tool_with_the_most_arguments_in_the_catalogue_others_are_denied() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/servers/twilio.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let tool = file["tools"]
        .as_array()
        .unwrap()
        .iter()
        .find(|tool| tool["name"] == "TwilioApiV2010--CreateStream")
        .unwrap();
    assert!(tool["inputSchema"]["properties"].as_object().unwrap().len() > 200);
    let server = Server::of("twilio", std::slice::from_ref(tool));
    let [open, filled] = server.both();
    assert!(open.tools[0].is_listed);
    let loaded = loaded(&filled.policy);
    let ordinary: Value = serde_json::from_str(filled.tools[0].example.as_deref().unwrap()).unwrap();
    let listed = &server.listed()[0];
    assert_eq!(
        outcome(&loaded, listed, &ordinary),
        Outcome::Passes,
        "{}",
        filled.policy
    );
    for name in ["", "smuggled", "Parameter50.Names", "a", "zz"] {
        let mut call = ordinary.clone();
        call[name] = json!("x");
        assert_eq!(outcome(&loaded, listed, &call), Outcome::Denied, "{name}");
    }
}

#[test]
fn a_number_and_a_text_of_one_name_have_lists_of_their_own() {
    let tool = |name: &str, kind: &str| {
        json!({
            "name": name,
            "description": "Creates an issue",
            "inputSchema": {"type": "object", "properties": {"project_id": {"type": kind}}, "required": ["project_id"]},
        })
    };
    let tools = [
        tool("create_issue", "integer"),
        tool("create_note", "integer"),
        tool("create_task", "string"),
        tool("create_ticket", "string"),
    ];
    let server = Server::of("s", &tools);
    let open = server.recommended(&Answers::default());
    assert_eq!(
        open.policy.matches("FILL IN, such as").count(),
        2,
        "{}",
        open.policy
    );
    assert!(
        open.policy.contains("Still to be filled in: 2,"),
        "{}",
        open.policy
    );
    let filled = server.recommended(&Answers {
        fillings: vec![Filling {
            tool: None,
            argument: "project_id".to_owned(),
            values: vec!["12".to_owned(), "13".to_owned()],
        }],
        ..Answers::default()
    });
    let loaded = loaded(&filled.policy);
    let calls = [json!(12), json!(13), json!("12"), json!("13")];
    for (listed, passing) in server.listed().iter().zip([0..2, 0..2, 2..4, 2..4]) {
        for (place, project) in calls.iter().enumerate() {
            let passes = outcome(&loaded, listed, &json!({"project_id": project})) == Outcome::Passes;
            assert_eq!(
                passes,
                passing.contains(&place),
                "{} {project}\n{}",
                listed.name.as_str(),
                filled.policy
            );
        }
    }
}

#[test]
fn each_open_budget_is_counted() {
    let tool = |name: &str| {
        json!({
            "name": name,
            "description": "Sends a payment",
            "inputSchema": {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]},
        })
    };
    let server = Server::of("s", &[tool("send_payment"), tool("send_transfer")]);
    let open = server.recommended(&Answers::default());
    assert!(
        open.policy.contains("Still to be filled in: 2,"),
        "{}",
        open.policy
    );
}

#[test]
fn no_character_that_nobody_sees_stands_in_a_policy() {
    let unseen = (0..=u32::from(char::MAX))
        .filter_map(char::from_u32)
        .filter(|c| callgate_catalog::is_hidden(*c));
    let mut checked = 0;
    for c in unseen {
        let name = format!("list{c}pages");
        let said = format!("Lists{c} pages");
        let tool = Tool::new(&name, &said, json!({"type": "object"}), &[]);
        assert!(!tool.policy.contains(c), "{c:?}: {}", tool.policy);
        assert!(!callgate_catalog::recommend::one_line(&said).contains(c), "{c:?}");
        checked += 1;
    }
    assert!(checked > 4_000, "{checked}");
}
