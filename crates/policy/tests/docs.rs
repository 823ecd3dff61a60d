//! What the documents promise is there: each bound, each test that a claim names, and policies that load.

use callgate_policy::{LoadOptions, load};
use std::fs;
use std::path::{Path, PathBuf};

const BOUNDS: &str = include_str!("../../../docs/bounds.md");
const SOURCE: &str = include_str!("../src/bounds.rs");
const CLAIMS: [(&str, &str); 4] = [
    ("SECURITY.md", include_str!("../../../SECURITY.md")),
    ("ARCHITECTURE.md", include_str!("../../../ARCHITECTURE.md")),
    ("docs/limits.md", include_str!("../../../docs/limits.md")),
    ("docs/ledger.md", include_str!("../../../docs/ledger.md")),
];

#[test]
fn every_bound_of_a_policy_is_documented() {
    let section = BOUNDS.split("## Policies").nth(1).unwrap();
    let bounds: Vec<&str> = SOURCE
        .split("pub const ")
        .skip(1)
        .filter_map(|rest| rest.split(':').next())
        .collect();
    assert!(bounds.len() > 10, "the bounds were not found: {bounds:?}");
    for bound in bounds {
        assert!(
            section.contains(&format!("| `{bound}` |")),
            "docs/bounds.md does not say what `{bound}` is"
        );
    }
}

#[test]
fn policies_in_the_documents_load_without_a_word() {
    let pages = [
        include_str!("../../../README.md"),
        include_str!("../../../docs/getting-started.md"),
        include_str!("../../../docs/limits.md"),
    ];
    let mut seen = 0;
    for page in pages {
        let blocks = page.split("```yaml\n").skip(1);
        let policies = blocks.filter_map(|rest| rest.split("```").next());
        for policy in policies.filter(|text| text.contains("\ntools:")) {
            seen += 1;
            let loaded = load(policy, &LoadOptions::default());
            assert!(
                loaded.as_ref().is_ok_and(|loaded| loaded.warnings.is_empty()),
                "{policy}\n{loaded:?}"
            );
        }
    }
    assert_eq!(seen, pages.len());
}

#[test]
fn docs_name_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut code = String::new();
    for folder in ["crates", "tests", "testkit", "xtask"] {
        read(&root.join(folder), &mut code);
    }
    let mut named = 0;
    for (page, text) in CLAIMS {
        for name in text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|text| is_test_name(text))
        {
            named += 1;
            assert!(
                code.contains(&format!("fn {name}(")),
                "{page} names the test `{name}`, which does not exist"
            );
        }
    }
    assert!(named > 40, "the names were not found");
}

/// Tests are named by sentences: four words or more.
fn is_test_name(text: &str) -> bool {
    text.split('_').count() >= 4
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn read(path: &Path, code: &mut String) {
    let entries: Vec<PathBuf> = fs::read_dir(path)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    for entry in entries {
        if entry.is_dir() && !entry.ends_with("target") && !entry.ends_with("node_modules") {
            read(&entry, code);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            code.push_str(&fs::read_to_string(&entry).unwrap_or_default());
        }
    }
}
