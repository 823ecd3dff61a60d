//! What the catalogue that the program carries is made of.
#![expect(clippy::panic, reason = "a test that cannot be set up has failed")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use callgate_catalog::catalogue::{Catalogue, Registry, Server};
use callgate_catalog::{Class, Severity, Signal};
use callgate_catalog_data::bundled;
use std::collections::BTreeSet;
use std::path::Path;

fn catalogue() -> &'static Catalogue {
    bundled().unwrap()
}

fn server(name: &str) -> &'static Server {
    catalogue()
        .server(name)
        .unwrap_or_else(|| panic!("{name} is not there"))
}

#[test]
fn every_data_file_is_a_server_with_version_source_and_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../catalog/data/servers");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let servers: BTreeSet<String> = catalogue()
        .servers()
        .iter()
        .map(|server| format!("{}.json", server.name))
        .collect();
    assert_eq!(files, servers);
    for server in catalogue().servers() {
        let package = &server.package;
        for (field, text) in [
            ("package", &package.name),
            ("version", &package.version),
            ("licence", &server.licence),
            ("date", &server.date),
            ("obtained", &server.obtained),
        ] {
            assert!(!text.is_empty(), "{}: {field}", server.name);
        }
        assert!(server.date.as_str() >= "2026-01-01", "{}", server.name);
        // What is in no registry is found by its source alone.
        let has_source = server.source.is_some();
        let is_published = matches!(package.registry, Registry::Npm | Registry::Pypi);
        assert!(has_source || is_published, "{}", server.name);
    }
}

#[test]
fn there_are_as_many_servers_and_tools_as_the_catalogue_claims() {
    let servers = catalogue().servers().len();
    let tools = catalogue().tools().count();
    assert!(servers >= 100, "{servers} servers");
    assert!(tools >= 1_500, "{tools} tools");
    let published: BTreeSet<_> = catalogue()
        .servers()
        .iter()
        .map(|server| (server.package.registry, server.package.name.as_str()))
        .collect();
    assert_eq!(published.len(), servers, "a package stands twice");
}

#[test]
fn the_five_tools_of_the_pages_are_there() {
    for (name, package, tools) in [
        (
            "mistral",
            "mistral-mcp",
            &["workflow_execute", "workflow_interact"][..],
        ),
        ("kestra", "kestra-io/mcp-server-python", &["execute_flow"]),
        ("code-mode-toon", "ziad-hsn/code-mode-toon", &["execute_workflow"]),
        ("conductor", "tooloracle.io/conductor", &["run_workflow"]),
    ] {
        assert_eq!(server(name), server(package), "by its package");
        for tool in tools {
            let tool = server(name).tool(tool).unwrap_or_else(|| panic!("{name} {tool}"));
            assert_eq!((tool.class, tool.severity), (Class::Execute, Severity::High));
            assert!(server(name).high_risk().contains(&tool), "{name}");
        }
    }
    assert_eq!(server("kestra").tools.len(), 39);
    assert_eq!(server("conductor").tools.len(), 16);
    assert!(
        server("conductor")
            .tool("run_workflow")
            .unwrap()
            .signals
            .contains(&"freeform_input")
    );
}

#[test]
fn the_index_says_of_each_tool_what_the_classifier_says_of_its_definition() {
    for server in catalogue().servers() {
        let definitions = catalogue().definitions(server).unwrap();
        let verdicts = definitions.verdicts();
        assert_eq!(server.tools.len(), verdicts.len(), "{}", server.name);
        for ((tool, listed), verdict) in server.tools.iter().zip(&definitions.tools).zip(verdicts) {
            let at = format!("{} {}", server.name, tool.name);
            assert!(listed.raw.starts_with('{') && listed.raw.ends_with('}'), "{at}");
            assert_eq!(
                (&tool.name, &tool.description),
                (&listed.definition.name, &listed.definition.description),
                "{at}"
            );
            assert_eq!(
                (tool.class, tool.severity, tool.confidence),
                (verdict.class, verdict.severity, verdict.confidence),
                "{at}"
            );
            let codes: Vec<_> = verdict.signals.iter().map(Signal::code).collect();
            assert_eq!(tool.signals, codes, "{at}");
        }
    }
}

#[test]
fn one_tool_alone_gets_the_verdict_that_it_gets_among_all() {
    for name in ["mistral", "filesystem-agent-infra", "unifi"] {
        let server = server(name);
        let definitions = catalogue().definitions(server).unwrap();
        let all = definitions.tools.iter().zip(definitions.verdicts());
        for (tool, of_all) in server.tools.iter().zip(all) {
            let alone = catalogue().verdict(server, &tool.name).unwrap().unwrap();
            assert_eq!(
                (&alone.0, &alone.1),
                (of_all.0, &of_all.1),
                "{name} {}",
                tool.name
            );
        }
        assert_eq!(catalogue().verdict(server, "no_such_tool"), Ok(None));
    }
}
