//! `callgate validate` on a configuration, `callgate schema --config`, and the page about both.

use crate::support::{Folder, Ran, repository, run};

const GOOD: &str = r#"version: 1
listen: 127.0.0.1:0
hosts: [gate.example.com]
state: {dir: state, durability: disk}
servers:
  mistral:
    command: [npx, -y, "--key=s3cret"]
    env: {KEY: "${file:key}"}
    shared: false
  conductor:
    url: https://conductor.example/mcp?key=s3cret
    headers: {Authorization: Bearer s3cret}
policies: {readers: policies/readers.yaml}
local: {mistral: readers}
"#;

const POLICY: &str = "version: \"1\"\ndefault: deny\ntools: {echo: {}}\n";

fn folder(config: &str, policy: &str) -> Folder {
    Folder::with(&[
        ("gate/callgate.yaml", config),
        ("gate/policies/readers.yaml", policy),
        ("gate/key", "s3cret"),
    ])
}

fn validated(config: &str, policy: &str, arguments: &[&str]) -> Ran {
    let arguments = [&["validate", "gate/callgate.yaml"], arguments].concat();
    let ran = folder(config, policy).callgate(&arguments);
    assert!(!ran.shown().contains("s3cret"), "{}", ran.shown());
    ran
}

#[test]
fn a_configuration_is_told_in_a_few_lines_and_its_policies_with_it() {
    insta::assert_snapshot!(validated(GOOD, POLICY, &[]).shown());
}

#[test]
fn errors_of_a_configuration_and_of_its_policy_each_have_their_own_file() {
    let config = GOOD
        .replace("hosts", "host")
        .replace("file:key", "env:CALLGATE_TEST_NOT_SET")
        .replace("Bearer s3cret", "\"s3cret ${evn:TOKEN}\"");
    let policy = POLICY.replace("echo: {}", "echo: {rulse: []}");
    insta::assert_snapshot!(validated(&config, &policy, &[]).shown());
}

#[test]
fn json_has_an_entry_for_each_file() {
    let ran = validated(GOOD, POLICY, &["--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    let json = ran.json();
    assert_eq!(json[0]["file"], "gate/callgate.yaml");
    assert_eq!(json[0]["valid"], true);
    insta::assert_snapshot!(serde_json::to_string_pretty(&json[0]["configuration"]).unwrap());
    assert_eq!(json[1]["file"], "gate/policies/readers.yaml");
    assert_eq!(json[1]["summary"]["denies_unlisted_tools"], true);
    assert_eq!(json[2], serde_json::Value::Null);

    let ran = validated(
        &GOOD.replace("mistral: readers", "mistral: reader"),
        POLICY,
        &["--json"],
    );
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    let json = ran.json();
    assert_eq!(json[0]["valid"], false);
    assert_eq!(json[0]["diagnostics"][0]["code"], "unknown-name");
    assert_eq!(json[0]["diagnostics"][0]["span"]["line"], 14);
    assert_eq!(json[0]["diagnostics"][0]["pointer"], "/local/mistral");
    assert_eq!(json[0]["diagnostics"][0]["hint"], "did you mean `readers`?");
}

#[test]
fn policies_and_configurations_are_validated_together() {
    let folder = folder(GOOD, POLICY);
    folder.write("bad.yaml", "tools: [x]\n");
    let ran = folder.callgate(&["validate", "gate/callgate.yaml", "bad.yaml", "--json"]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    let files: Vec<String> = ran
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|report| report["file"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        files,
        ["gate/callgate.yaml", "gate/policies/readers.yaml", "bad.yaml"]
    );
    let ran = folder.callgate(&["validate", "gate/callgate.yaml", "missing.yaml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.shown());
}

#[test]
fn what_is_no_yaml_is_still_shown_without_its_secrets() {
    let config = GOOD.replace("Bearer s3cret", "\"Bearer s3cret");
    let ran = validated(&config, POLICY, &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    assert!(ran.stdout.contains("error[syntax]"), "{}", ran.shown());
}

fn accepts(config: &str) -> bool {
    let schema = Folder::with(&[]).callgate(&["schema", "--config"]).json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let folder = Folder::with(&[("config.json", config)]);
    validator.is_valid(&serde_json::from_str(&folder.read("config.json")).unwrap())
}

#[test]
fn the_schema_accepts_what_loads_and_refuses_what_is_misspelt() {
    let good = r#"{"version": 1, "listen": "127.0.0.1:0", "servers": {"one": {"command": ["one"], "env": {"A": "${env:A}"}, "shared": true}, "two": {"url": "https://host", "headers": {"X-Key": "x"}}}, "policies": {"a": "a.yaml"}, "local": {"one": "a"}, "state": {"durability": "disk"}}"#;
    assert!(accepts(good));
    for (part, slip) in [
        ("\"listen\"", "\"lisen\""),
        ("\"servers\"", "\"server\""),
        ("\"one\": {\"command\"", "\"One\": {\"command\""),
        ("\"command\": [\"one\"],", ""),
        (
            "\"url\": \"https://host\"",
            "\"url\": \"https://host\", \"command\": [\"x\"]",
        ),
        ("https://host", "ftp://host"),
        ("\"shared\": true", "\"shared\": \"yes\""),
        ("\"disk\"", "\"dsik\""),
        ("{\"a\": \"a.yaml\"}", "[\"a.yaml\"]"),
    ] {
        assert!(good.contains(part), "{part}");
        assert!(!accepts(&good.replacen(part, slip, 1)), "{slip}");
    }
}

#[test]
fn the_page_shows_the_example_and_names_every_key() {
    let page = std::fs::read_to_string(repository().join("docs/serve-config.md")).unwrap();
    let example = std::fs::read_to_string(repository().join("docs/examples/team/callgate.yaml")).unwrap();
    assert!(page.contains(&format!("```yaml\n{}\n```", example.trim_end())));
    let schema = Folder::with(&[]).callgate(&["schema", "--config"]).json();
    for table in [
        "",
        "/$defs/oauth",
        "/$defs/issuer",
        "/$defs/client",
        "/$defs/state",
        "/$defs/server",
    ] {
        let keys = schema.pointer(&format!("{table}/properties")).unwrap();
        for (key, meaning) in keys.as_object().unwrap() {
            assert!(
                page.contains(&format!("`{key}")) || page.contains(&format!(".{key}`")),
                "{key}"
            );
            assert!(meaning["description"].is_string(), "{key}");
        }
    }
}

#[test]
fn the_example_is_valid_where_its_secrets_are() {
    let team = repository().join("docs/examples/team");
    let config = std::fs::read_to_string(team.join("callgate.yaml")).unwrap();
    let folder = Folder::with(&[
        ("key", "k"),
        (
            "callgate.yaml",
            &config
                .replace("/run/secrets/mistral", "key")
                .replace("env:CONDUCTOR_TOKEN", "file:key")
                .replace("env:HOME", "env:PATH"),
        ),
    ]);
    for name in ["policies/mistral-readers.yaml", "policies/conductor-runners.yaml"] {
        folder.write(name, &std::fs::read_to_string(team.join(name)).unwrap());
    }
    let ran = folder.callgate(&["validate", "callgate.yaml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.shown());
    assert!(!ran.stdout.contains("warning"), "{}", ran.shown());
    // Where they are not, only that is wrong.
    let ran = run(&team, &["validate", "callgate.yaml", "--json"], "");
    for found in ran.json()[0]["diagnostics"].as_array().unwrap() {
        assert_eq!(found["code"], "reference", "{found}");
    }
}
