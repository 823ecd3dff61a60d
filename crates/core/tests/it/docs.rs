//! The documented table of reason codes has every code, and no other.

use callgate_core::refusal::Reason;
use std::collections::BTreeMap;

const PAGE: &str = include_str!("../../../../docs/answers.md");
const SOURCE: &str = include_str!("../../src/refusal.rs");

/// The first and the last cell of each row of the table below this heading.
fn rows(heading: &str) -> BTreeMap<&'static str, &'static str> {
    let below = PAGE.split(heading).nth(1).expect("the heading is there");
    let section = below.split("\n## ").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix('|'))
        .map(|row| {
            let cells: Vec<&str> = row.split('|').collect();
            let word = |cell: &'static str| cell.trim().trim_matches('`');
            (word(cells[0]), cells.get(3).copied().map_or("", word))
        })
        .collect()
}

/// The codes that a function of the source gives, read off its text: an enum cannot be listed at run time.
fn codes(function: &str) -> Vec<&'static str> {
    let body = SOURCE.split(function).nth(1).expect("the function is there");
    let body = body.split("\n    }\n").next().unwrap_or_default();
    body.split("=> \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

#[test]
fn every_reason_code_is_documented_and_no_other() {
    let mut written: Vec<&str> = rows("## Reason codes").into_keys().collect();
    let mut known = codes("pub const fn code(self)");
    written.sort_unstable();
    known.sort_unstable();
    assert!(known.contains(&Reason::Deadline.code()));
    assert_eq!(written, known);
}

#[test]
fn what_an_agent_is_told_instead_is_documented() {
    let table = rows("## Reason codes");
    for reason in [
        Reason::Hidden,
        Reason::NotInPolicy,
        Reason::NotListed,
        Reason::DeniedByRule,
        Reason::Deadline,
    ] {
        let told = if reason.public_code() == reason.code() {
            ""
        } else {
            reason.public_code()
        };
        assert_eq!(table[reason.code()], told, "{reason:?}");
    }
}
