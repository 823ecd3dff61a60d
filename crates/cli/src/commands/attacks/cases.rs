//! The attacks that can be played, one file each.

mod argument_injection;
mod confused_deputy;
mod parser_differential;
mod runaway_loop;

use super::case::Case;

/// All of them, in the order of their ids.
const ALL: &[&dyn Case] = &[
    &argument_injection::ArgumentInjection,
    &confused_deputy::ConfusedDeputy,
    &parser_differential::ParserDifferential,
    &runaway_loop::RunawayLoop,
];

/// The one of this id.
pub(super) fn find(id: &str) -> Option<&'static dyn Case> {
    ALL.iter().copied().find(|case| case.id() == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use callgate_catalog::attacks;

    /// Attacks whose case is not written.
    const NOT_PLAYED: &[&str] = &[
        "annotation-lie",
        "approval-by-side-door",
        "boundary-burst",
        "compromised-package",
        "credential-leak-in-errors",
        "cross-tenant-task",
        "duplicate-start-by-retry",
        "exfiltration-by-chaining",
        "hidden-tool-call",
        "indirect-prompt-injection",
        "injection-through-results",
        "negative-amounts",
        "path-smuggling",
        "rug-pull",
        "session-theft",
        "token-misredemption",
        "tool-poisoning",
        "tool-shadowing",
        "typosquatting",
        "url-smuggling",
    ];

    #[test]
    fn every_page_can_be_played_and_every_case_has_a_page() {
        let all = attacks::all().unwrap().iter().map(|attack| attack.id);
        let pages: Vec<&str> = all.filter(|id| !NOT_PLAYED.contains(id)).collect();
        let cases: Vec<&str> = ALL.iter().map(|case| case.id()).collect();
        assert_eq!(cases, pages);
    }
}
