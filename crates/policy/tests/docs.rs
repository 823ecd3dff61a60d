//! The documented table of bounds has every bound of a policy.

const PAGE: &str = include_str!("../../../docs/bounds.md");
const SOURCE: &str = include_str!("../src/bounds.rs");

#[test]
fn every_bound_of_a_policy_is_documented() {
    let section = PAGE.split("## Policies").nth(1).unwrap();
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
