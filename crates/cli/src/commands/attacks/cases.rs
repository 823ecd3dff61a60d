//! The attacks that can be played, one file each.

mod argument_injection;
mod parser_differential;
mod runaway_loop;

use super::case::Case;

/// All of them, in the order of their ids.
const ALL: &[&dyn Case] = &[
    &argument_injection::ArgumentInjection,
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

    #[test]
    fn every_page_can_be_played_and_every_case_has_a_page() {
        let pages: Vec<&str> = attacks::all().unwrap().iter().map(|attack| attack.id).collect();
        let cases: Vec<&str> = ALL.iter().map(|case| case.id()).collect();
        assert_eq!(cases, pages);
    }
}
