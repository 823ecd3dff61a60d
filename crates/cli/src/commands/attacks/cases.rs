//! The attacks that can be played, one file each.

mod annotation_lie;
mod approval_by_side_door;
mod argument_injection;
mod boundary_burst;
mod compromised_package;
mod confused_deputy;
mod credential_leak_in_errors;
mod cross_tenant_task;
mod duplicate_start_by_retry;
mod exfiltration_by_chaining;
mod hidden_tool_call;
mod indirect_prompt_injection;
mod injection_through_results;
mod negative_amounts;
mod parser_differential;
mod path_smuggling;
mod rug_pull;
mod runaway_loop;
mod session_theft;
mod token_misredemption;
mod tool_poisoning;
mod tool_shadowing;
mod typosquatting;
mod url_smuggling;

use super::case::Case;

/// All of them, in the order of their ids.
const ALL: &[&dyn Case] = &[
    &annotation_lie::AnnotationLie,
    &approval_by_side_door::ApprovalBySideDoor,
    &argument_injection::ArgumentInjection,
    &boundary_burst::BoundaryBurst,
    &compromised_package::CompromisedPackage,
    &confused_deputy::ConfusedDeputy,
    &credential_leak_in_errors::CredentialLeakInErrors,
    &cross_tenant_task::CrossTenantTask,
    &duplicate_start_by_retry::DuplicateStartByRetry,
    &exfiltration_by_chaining::ExfiltrationByChaining,
    &hidden_tool_call::HiddenToolCall,
    &indirect_prompt_injection::IndirectPromptInjection,
    &injection_through_results::InjectionThroughResults,
    &negative_amounts::NegativeAmounts,
    &parser_differential::ParserDifferential,
    &path_smuggling::PathSmuggling,
    &rug_pull::RugPull,
    &runaway_loop::RunawayLoop,
    &session_theft::SessionTheft,
    &token_misredemption::TokenMisredemption,
    &tool_poisoning::ToolPoisoning,
    &tool_shadowing::ToolShadowing,
    &typosquatting::Typosquatting,
    &url_smuggling::UrlSmuggling,
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
