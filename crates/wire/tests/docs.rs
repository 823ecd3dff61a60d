//! The documented table of causes has every cause, and no other.

const PAGE: &str = include_str!("../../../docs/answers.md");
const SOURCE: &str = include_str!("../src/malformed.rs");

#[test]
fn every_cause_of_a_refused_message_is_documented_and_no_other() {
    let below = PAGE.split("## Messages that cannot be read").nth(1).unwrap();
    let section = below.split("\n## ").next().unwrap();
    let mut written: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();

    // Read off the text of the source: an enum cannot be listed at run time.
    let body = SOURCE.split("pub fn code(&self)").nth(1).unwrap();
    let body = body.split("\n    }\n").next().unwrap();
    let mut known: Vec<&str> = body
        .split("=> \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();

    written.sort_unstable();
    known.sort_unstable();
    assert!(known.len() > 20, "the codes were not found: {known:?}");
    assert_eq!(written, known);
}
