//! Policies in the form in which people have them from Intercept, for well-known servers: each loads, and each of its
//! rules does what it says.

use crate::support::{Folder, repository, run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn folder() -> PathBuf {
    repository().join("tests/templates")
}

/// The templates' names.
fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".test.yaml").map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// The file with the server's own list of tools, where the catalogue has one.
fn list(name: &str) -> Option<PathBuf> {
    let tests = text(&format!("{name}.test.yaml"));
    let path = tests.strip_prefix("tools: ../../")?.lines().next()?.to_owned();
    Some(repository().join(path))
}

#[test]
fn each_template_loads_and_its_tests_pass() {
    let names = names();
    assert!(names.len() >= 18, "{names:?}");
    for name in &names {
        let ran = run(&folder(), &["validate", "--json", &format!("{name}.yaml")], "");
        let report = &ran.json()[0];
        assert_eq!(report["valid"], true, "{}", ran.shown());
        assert_eq!(report["shape"], "rules", "{name}");
        for found in report["diagnostics"].as_array().unwrap() {
            assert!(
                ["methods-pass", "no-default"].contains(&found["code"].as_str().unwrap()),
                "{name}: {found}"
            );
        }
    }
    let ran = run(&folder(), &["test", "--json"], "");
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    assert_eq!(ran.json()["files"].as_array().unwrap().len(), names.len());
}

#[test]
fn the_tools_of_a_template_are_those_of_its_server() {
    let mut compared = 0;
    for name in names() {
        let Some(list) = list(&name) else {
            continue;
        };
        let listed: Value = serde_json::from_str(&std::fs::read_to_string(list).unwrap()).unwrap();
        let listed: BTreeSet<&str> = listed["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap())
            .collect();
        let ran = run(&folder(), &["validate", "--json", &format!("{name}.yaml")], "");
        let summary = ran.json()[0]["summary"].clone();
        for named in summary["tools"].as_array().unwrap() {
            assert!(listed.contains(named.as_str().unwrap()), "{name}: {named}");
        }
        compared += 1;
    }
    assert!(compared >= 17, "{compared}");
}

/// Without any one rule, condition or hidden name of a template, some case of its tests fails.
#[test]
fn nothing_of_a_template_can_be_left_out() {
    let mut left_out = 0;
    for name in names() {
        let (policy, tests) = (text(&format!("{name}.yaml")), text(&format!("{name}.test.yaml")));
        let tests = tests.replace("../../crates", repository().join("crates").to_str().unwrap());
        let room = Folder::with(&[("t.test.yaml", &tests)]);
        let lines: Vec<&str> = policy.lines().collect();
        let depth = |line: &str| line.len() - line.trim_start().len();
        for (index, line) in lines.iter().enumerate() {
            if !line.trim_start().starts_with("- ") {
                continue;
            }
            let below = lines[index + 1..]
                .iter()
                .take_while(|next| depth(next) > depth(line))
                .count();
            let rest: Vec<&str> = [&lines[..index], &lines[index + 1 + below..]].concat();
            room.write("t.yaml", &rest.join("\n"));
            let ran = room.callgate(&["test", "t.test.yaml"]);
            assert_eq!(
                ran.code,
                Some(2),
                "{name}: nothing fails without `{}`\n{}",
                line.trim(),
                ran.shown()
            );
            left_out += 1;
        }
    }
    assert!(left_out >= 140, "{left_out}");
}

/// Under its template a server leaves nothing open that a person has to be asked about.
#[test]
fn a_server_under_its_template_is_a_go() {
    for name in names() {
        let Some(list) = list(&name) else {
            continue;
        };
        let list = list.to_str().unwrap();
        let policy = format!("{name}.yaml");
        let ran = run(
            &folder(),
            &["check", "--tools", list, "-c", &policy, "--json"],
            "",
        );
        let found: BTreeSet<String> = ran.json()["servers"][0]["findings"]
            .as_array()
            .unwrap()
            .iter()
            // What annotations say is not the policy's to mend.
            .filter(|found| found["verdict"] != "go" && found["rule"] != "lying-annotation")
            .map(|found| {
                format!(
                    "{} {}",
                    found["rule"].as_str().unwrap(),
                    found["tool"].as_str().unwrap_or_default()
                )
            })
            .collect();
        // What people have without a default stays open.
        let wanted: &[&str] = match name.as_str() {
            "memory" => &["policy-open-by-default "],
            _ => &[],
        };
        assert_eq!(
            found,
            wanted.iter().map(|found| (*found).to_owned()).collect(),
            "{name}"
        );
    }
}
