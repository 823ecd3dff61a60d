//! The tests that `callgate scan` writes beside its policies, for all servers of the catalogue.

use crate::support::{Folder, repository};
use callgate_catalog::recommend::{Answers, Filling, HoleKind, Recommended, ToolFacts, recommend};
use callgate_catalog::{Definition, classify_list};
use callgate_core::json::Json;
use callgate_wire::{Bounds, RawJson};

fn filled(made: &Recommended) -> Answers {
    let values = |kind| match kind {
        HoleKind::Names => "12",
        HoleKind::Addresses => "*@example.com",
        HoleKind::Hosts => "*.example.com",
        HoleKind::Folders => "/srv/agent",
        HoleKind::Budget => "50",
    };
    Answers {
        fillings: made
            .open_holes()
            .map(|hole| Filling {
                tool: Some(hole.tool.clone()),
                argument: hole.argument.trim_start_matches("args.").replace("[*]", ""),
                values: vec![values(hole.kind).to_owned()],
            })
            .collect(),
        ..Answers::default()
    }
}

/// Policies as they are recommended, and with every list filled in, of the servers whose place in the list has this
/// remainder by four.
#[track_caller]
fn assert_own_tests_pass(quarter: usize) {
    let folder = Folder::with(&[]);
    let mut files: Vec<_> = std::fs::read_dir(repository().join("crates/catalog/data/servers"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for path in files.iter().skip(quarter).step_by(4) {
        let bytes = std::fs::read(path).unwrap();
        let file = RawJson::read(&bytes, &Bounds::default()).unwrap().parse();
        let Some(Json::Array(tools)) = file.get("tools") else {
            panic!("{path:?} has no tools");
        };
        let definitions: Vec<Definition> = tools.iter().map(Definition::read).collect();
        let verdicts = classify_list(&definitions);
        let facts: Vec<ToolFacts<'_>> = tools
            .iter()
            .zip(&verdicts)
            .map(|(tool, verdict)| ToolFacts { tool, verdict })
            .collect();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let open = recommend(name, &facts, &Answers::default());
        let full = recommend(name, &facts, &filled(&open));
        for (made, state) in [(&open, "open"), (&full, "filled")] {
            folder.write(&format!("{name}-{state}.yaml"), &made.policy);
            folder.write(&format!("{name}-{state}.test.yaml"), &made.tests);
        }
    }
    let ran = folder.callgate(&["test"]);
    let failed: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| !line.trim_start().starts_with("ok "))
        .take(60)
        .collect();
    assert_eq!(ran.code, Some(0), "{}\n{}", failed.join("\n"), ran.stderr);
    assert!(
        ran.stdout.matches("  ok  ").count() > 3_000,
        "{}",
        ran.stdout.len()
    );
}

// Four parts, so that they run beside each other.
#[test]
fn recommended_policies_pass_the_tests_that_are_written_for_them_1() {
    assert_own_tests_pass(0);
}

#[test]
fn recommended_policies_pass_the_tests_that_are_written_for_them_2() {
    assert_own_tests_pass(1);
}

#[test]
fn recommended_policies_pass_the_tests_that_are_written_for_them_3() {
    assert_own_tests_pass(2);
}

#[test]
fn recommended_policies_pass_the_tests_that_are_written_for_them_4() {
    assert_own_tests_pass(3);
}
