//! `callgate catalog search`, `show`, `classes` and `risks`: the catalogue that the program carries.

use crate::support::{Folder, Ran};
use serde_json::{Value, json};

fn catalog(arguments: &[&str]) -> Ran {
    let all: Vec<&str> = ["catalog"].iter().chain(arguments).copied().collect();
    Folder::with(&[]).callgate(&all)
}

fn lines(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    ran.stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_tool_has_a_page_with_class_severity_signals_evidence_and_where_it_is_from() {
    let ran = catalog(&["show", "conductor", "run_workflow"]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    for part in [
        "run_workflow of conductor\nExecute a predefined multi-step workflow across oracles.\n",
        "class       Execute: something is set going",
        "severity    High: ",
        "why         By its name this tool sets something going",
        "name: “run_workflow”",
        "signals     freeform_input: takes free code or queries (query)",
        "usual rule  at most 10 calls a minute",
        "package     tooloracle.io/conductor as of 2026-09-19, which runs remotely only\n",
        "scanned     2026-11-26, published list",
        "Recommended policy for it alone\n  version: \"1\"\n  default: deny\n  tools:\n",
        "Attacks that it is open to\n",
        "injection-through-results: ",
        "Other Execute tools\n",
        "  rerun_workflow of circleci\n",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let page = catalog(&["show", "conductor", "run_workflow", "--json"]).json();
    assert_eq!(page["class"], "Execute");
    assert_eq!(page["signals"], json!(["freeform_input"]));
    assert_eq!(page["evidence"][0]["quote"], "run_workflow");
    assert_eq!(page["definition"]["inputSchema"]["additionalProperties"], false);
    assert_eq!(page["server"]["date"], "2026-11-26");
    let policy = page["recommended"]["policy"].as_str().unwrap();
    let folder = Folder::with(&[("policy.yaml", policy)]);
    assert_eq!(
        folder.callgate(&["validate", "policy.yaml"]).code,
        Some(0),
        "{policy}"
    );
    assert!(!page["recommended"]["reasons"].as_array().unwrap().is_empty());
    let attacks: Vec<&str> = page["attacks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attack| attack["id"].as_str().unwrap())
        .collect();
    assert!(attacks.contains(&"runaway-loop"), "{attacks:?}");
    for attack in attacks {
        let shown = Folder::with(&[]).callgate(&["attacks", "show", attack]);
        assert_eq!(shown.code, Some(0), "{}", shown.shown());
    }
}

#[test]
fn a_server_has_a_page_with_its_tools_and_what_of_them_is_of_high_risk() {
    let ran = catalog(&["show", "mistral-mcp"]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    for part in [
        "mistral (mistral-mcp)\n",
        "package     mistral-mcp 0.8.2 of npm\n",
        "tools       8: ",
        "High risk: ",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let (high, other) = ran.stdout.split_once("\nOther tools\n").unwrap();
    assert!(high.contains("\nworkflow_execute "), "{high}");
    assert!(high.contains("\nworkflow_interact "), "{high}");
    assert!(other.contains("\nworkflow_status "), "{other}");
    let page = catalog(&["show", "mistral", "--json"]).json();
    assert_eq!(page["tools"], 8);
    assert_eq!(page["list"].as_array().unwrap().len(), 8);
    let high = page["high_risk"].as_array().unwrap();
    assert!(high.contains(&json!("workflow_execute")), "{page}");
    let counted: u64 = page["classes"]
        .as_object()
        .unwrap()
        .values()
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert_eq!(counted, 8);
}

#[test]
fn what_is_looked_for_is_found_by_words_class_severity_and_signal() {
    let found = lines(&catalog(&["search", "run", "workflow", "--json"]));
    assert_eq!(
        (&found[0]["kind"], &found[0]["server"], &found[0]["name"]),
        (&json!("tool"), &json!("conductor"), &json!("run_workflow"))
    );
    let found = lines(&catalog(&["search", "kestra", "--json"]));
    assert_eq!(
        (&found[0]["kind"], &found[0]["name"]),
        (&json!("server"), &json!("kestra"))
    );
    let found = lines(&catalog(&[
        "search",
        "--class",
        "financial",
        "--severity",
        "Critical",
        "--json",
    ]));
    assert!(found.len() > 20, "{}", found.len());
    for tool in &found {
        assert_eq!(
            (&tool["class"], &tool["severity"]),
            (&json!("Financial"), &json!("Critical"))
        );
    }
    let found = lines(&catalog(&[
        "search",
        "sql",
        "--signal",
        "freeform_input",
        "--json",
        "--limit",
        "5",
    ]));
    assert_eq!(found.len(), 5);
    for tool in &found {
        assert!(
            tool["signals"]
                .as_array()
                .unwrap()
                .contains(&json!("freeform_input")),
            "{tool}"
        );
    }
    let ran = catalog(&["search", "workflow", "--limit", "3"]);
    assert_eq!(ran.stdout.lines().count(), 4, "{}", ran.stdout);
    assert!(ran.stderr.contains("the first 3 are shown"), "{}", ran.stderr);
}

#[test]
fn an_unknown_name_is_told_with_what_may_have_been_meant() {
    for (arguments, wanted) in [
        (
            &["show", "kestr"][..],
            "error: there is no server `kestr` in the catalogue\nhint: did you mean `kestra`?\n",
        ),
        (
            &["show", "mistral", "workflow_exec"],
            "error: mistral has no tool `workflow_exec`\nhint: did you mean `workflow_execute`?\n",
        ),
        (
            &["show", "mistral", "zzz"],
            "error: mistral has no tool `zzz`\nhint: `callgate catalog show mistral` lists its 8 tools\n",
        ),
        (
            &["show", "\u{1b}[31m\u{202e}x"],
            "error: there is no server `\\u{1b}[31m\\u{202e}x` in the catalogue",
        ),
        (
            &["search", "zzzqqqzzz"],
            "error: nothing in the catalogue has all of that\n",
        ),
        (&["search"], "error: say what to look for\n"),
    ] {
        let ran = catalog(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{}", ran.shown());
        assert!(ran.stderr.starts_with(wanted), "{}", ran.shown());
    }
    let ran = catalog(&["show", "oracles"]);
    assert!(
        ran.stderr.contains("hint: servers that have these words: "),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("conductor"), "{}", ran.stderr);
    for wrong in [
        &["search", "--class", "other"][..],
        &["risks", "--signal", "nothing"],
    ] {
        assert_eq!(catalog(wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn classes_and_risks_count_the_whole_catalogue() {
    let classes = lines(&catalog(&["classes", "--json"]));
    let names: Vec<_> = classes
        .iter()
        .map(|class| class["class"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Financial", "Destructive", "Execute", "Write", "Read"]);
    let tools: u64 = classes.iter().map(|class| class["tools"].as_u64().unwrap()).sum();
    assert!(tools >= 1_500, "{tools}");
    let risks = catalog(&["risks", "--json"]).json();
    let of_severities: u64 = risks["severities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|severity| severity["tools"].as_u64().unwrap())
        .sum();
    assert_eq!(of_severities, tools);
    assert_eq!(risks["signals"].as_array().unwrap().len(), 14);
    let critical = lines(&catalog(&["risks", "--severity", "critical", "--json"]));
    assert_eq!(
        risks["severities"][0],
        json!({
            "severity": "Critical", "tools": critical.len(), "servers": risks["severities"][0]["servers"],
            "meaning": "what goes wrong is large and stays",
        })
    );
    let by_signal = lines(&catalog(&["risks", "--signal", "credentials", "--json"]));
    for tool in &by_signal {
        assert!(
            ["High", "Critical"].contains(&tool["severity"].as_str().unwrap()),
            "{tool}"
        );
    }
    for arguments in [&["classes"][..], &["risks"], &["risks", "--severity", "critical"]] {
        let ran = catalog(arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.shown());
        assert!(
            ran.stdout.lines().all(|line| line.chars().count() <= 100),
            "{}",
            ran.stdout
        );
    }
}

/// Whether a character would move the cursor, turn a line round, or not be seen.
fn is_hostile(c: char) -> bool {
    c.is_control() && c != '\n'
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

#[test]
fn no_page_of_any_server_with_odd_text_moves_a_cursor_or_hides_anything() {
    let odd: Vec<(String, String)> = lines(&catalog(&["search", "--signal", "hidden_text", "--json"]))
        .iter()
        .map(|tool| {
            let text = |key: &str| tool[key].as_str().unwrap().to_owned();
            (text("server"), text("name"))
        })
        .collect();
    assert!(!odd.is_empty());
    for (server, tool) in odd {
        let ran = catalog(&["show", &server, &tool]);
        assert_eq!(ran.code, Some(0), "{}", ran.shown());
        assert!(!ran.stdout.contains(is_hostile), "{:?}", ran.stdout);
        assert!(
            ran.stdout.contains("has text that nobody sees (U+"),
            "what is hidden is told: {}",
            ran.stdout
        );
    }
    let ran = catalog(&["search", "--severity", "low", "--limit", "10000"]);
    assert!(ran.stdout.lines().count() > 5_000);
    assert!(!ran.stdout.contains(is_hostile));
}
