//! What is in `packaging`: the configurations are valid, the chart renders to one that is, and none of it asks for more
//! rights than it needs.

use crate::support::deps::{helm, tests_dir};
use callgate_policy::document::Genre;
use callgate_policy::read_document;
use callgate_policy::tree::{Node, Value};
use callgate_testkit::Room;
use std::path::{Path, PathBuf};
use std::process::Command;

const YAML: Genre = Genre {
    called: "file",
    begin: "write a mapping",
    split: "write one document",
    repeat: "write the values out",
};
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn packaging() -> PathBuf {
    tests_dir().join("../packaging")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(packaging().join(name)).unwrap()
}

/// Validates a configuration, with a token in place of the file that would be mounted.
#[track_caller]
fn validate(room: &Room, config: &str, token_file: &str) {
    let token = room.write("admin-token", TOKEN);
    let reference = format!("${{file:{token_file}}}");
    assert!(config.contains(&reference), "{config}");
    let config = config.replace(&reference, &format!("${{file:{}}}", token.display()));
    let path = room.write("callgate.yaml", &config);
    let output = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .arg("validate")
        .arg(path)
        .env("NOTES_TOKEN", "secret")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}\n{config}");
    assert!(!said.contains("warning["), "{said}");
}

fn policy(room: &Room, name: &str, text: &str) {
    let path = Path::new(name);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(room.path().join(folder)).unwrap();
    }
    room.write(name, text);
}

#[test]
fn the_configurations_that_are_mounted_are_valid() {
    let room = Room::new();
    let name = "policies/notes-readers.yaml";
    policy(&room, name, &text(&format!("compose/{name}")));
    validate(&room, &text("compose/callgate.yaml"), "/run/secrets/admin-token");
    let room = Room::new();
    policy(&room, "notes-readers.yaml", &text("systemd/notes-readers.yaml"));
    let credential = "/run/credentials/callgate.service/admin-token";
    validate(&room, &text("systemd/callgate.yaml"), credential);
}

#[track_caller]
fn read(text: &str) -> Node {
    read_document(text, &YAML)
        .unwrap_or_else(|wrong| panic!("{wrong:?}\n{text}"))
        .root
}

fn at<'n>(node: &'n Node, path: &[&str]) -> &'n Node {
    path.iter().fold(node, |node, key| {
        node.get(key).unwrap_or_else(|| panic!("no {key} of {path:?}"))
    })
}

fn word(node: &Node) -> String {
    match &node.value {
        Value::Bool(value) => value.to_string(),
        Value::Number(text) | Value::String(text) => text.to_string(),
        Value::Null | Value::List(_) | Value::Map(_) => panic!("{node:?}"),
    }
}

fn run_helm(words: &[&str]) -> (bool, String) {
    let output = Command::new(helm())
        .args(words)
        .env("HELM_CACHE_HOME", "/nonexistent")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn rendered(template: &str, more: &[&str]) -> String {
    let chart = packaging().join("helm/callgate");
    let template = format!("templates/{template}.yaml");
    let words = [
        "template",
        "demo",
        chart.to_str().unwrap(),
        "--show-only",
        &template,
    ];
    let (is_good, text) = run_helm(&[&words, more].concat());
    assert!(is_good, "{text}");
    text.trim_start_matches("---\n").to_owned()
}

#[test]
fn the_chart_renders_to_a_valid_configuration_and_to_pods_without_rights() {
    let chart = packaging().join("helm/callgate");
    let (is_good, said) = run_helm(&["lint", "--strict", chart.to_str().unwrap()]);
    assert!(is_good, "{said}");
    for more in [
        &[][..],
        &[
            "--set",
            "metrics.enabled=false",
            "--set",
            "config.hosts={gate.example.com}",
        ],
    ] {
        let config_map = read(&rendered("configmap", more));
        let data = at(&config_map, &["data"]);
        let room = Room::new();
        for entry in data.entries() {
            let text = entry.value.text().unwrap();
            if &*entry.key == "callgate.yaml" {
                continue;
            }
            room.write(&entry.key, text);
        }
        let config = at(data, &["callgate.yaml"]).text().unwrap();
        assert_eq!(config.contains("metrics"), more.is_empty(), "{config}");
        validate(&room, config, "/run/secrets/callgate/admin-token");
    }
    let deployment = read(&rendered("deployment", &[]));
    let pod = at(&deployment, &["spec", "template", "spec"]);
    let is = |path: &[&str], value: &str| assert_eq!(word(at(pod, path)), value, "{path:?}");
    is(&["automountServiceAccountToken"], "false");
    is(&["securityContext", "runAsNonRoot"], "true");
    is(&["securityContext", "seccompProfile", "type"], "RuntimeDefault");
    let text = rendered("deployment", &[]);
    for line in [
        "allowPrivilegeEscalation: false",
        "readOnlyRootFilesystem: true",
        "drop: [ALL]",
        "replicas: 1",
        "type: Recreate",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    for template in ["pvc", "service", "serviceaccount"] {
        let _ = read(&rendered(template, &[]));
    }
    // What the chart sets itself cannot be set beside it.
    let chart = chart.to_str().unwrap();
    for value in [
        "config.listen=127.0.0.1:1",
        "config.servers=null",
        "polices.x=y",
        "config.local.notes=notes-readers",
    ] {
        let (is_good, said) = run_helm(&["template", "demo", chart, "--set", value]);
        assert!(!is_good, "{value}: {said}");
    }
}

#[test]
fn the_image_is_small_pinned_and_not_run_as_root() {
    let dockerfile = text("Dockerfile");
    let stages: Vec<&str> = dockerfile.split("\nFROM ").skip(1).collect();
    let last = stages.last().unwrap();
    assert!(
        last.starts_with("gcr.io/distroless/cc-debian12:nonroot\n"),
        "{last}"
    );
    assert!(!last.contains("\nRUN "), "there is no shell in it");
    assert!(last.contains("\nUSER 65532:65532\n"));
    for stage in &stages {
        let image = stage.split_whitespace().next().unwrap();
        assert!(image.contains(':') && !image.ends_with(":latest"), "{image}");
    }
    let rust = include_str!("../../Cargo.toml");
    let version = rust
        .split("rust-version = \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(
        dockerfile.contains(&format!("FROM rust:{version}-")),
        "the compiler is the workspace's"
    );
    let compose = read(&text("compose/compose.yaml"));
    let service = at(&compose, &["services", "callgate"]);
    assert_eq!(word(at(service, &["read_only"])), "true");
    let published = format!("{:?}", at(service, &["ports"]));
    assert!(published.contains("127.0.0.1:8700:8700"), "{published}");
}

#[test]
fn the_unit_gives_the_gateway_no_more_than_it_needs() {
    let unit = text("systemd/callgate.service");
    for line in [
        "User=callgate",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateDevices=yes",
        "StateDirectoryMode=0700",
        "SystemCallFilter=@system-service",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    ] {
        assert!(unit.lines().any(|one| one == line), "{line}");
    }
    // Where there is systemd, it reads the unit as it will.
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        return;
    };
    assert!(version.status.success());
    let room = Room::new();
    let unit = unit
        .replace("/usr/bin/callgate", env!("CARGO_BIN_EXE_callgate"))
        .replace("Documentation=man:callgate(1)\n", "");
    let path = room.write("callgate.service", &unit);
    let analyzed = |words: &[&str]| {
        let output = Command::new("systemd-analyze")
            .args(words)
            .arg(&path)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    };
    let (is_good, said) = analyzed(&["verify"]);
    assert!(is_good && said.trim().is_empty(), "{said}");
    let (is_good, said) = analyzed(&["security", "--offline=true", "--threshold=20"]);
    assert!(is_good, "{said}");
}
