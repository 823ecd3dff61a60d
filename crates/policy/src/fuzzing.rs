//! What must hold of any bytes that are given as a policy.

use crate::{LoadOptions, Style, format, load};

/// Reads bytes as a policy: no panic, every finding can be shown, and formatting keeps what was said.
pub fn fuzz_policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let options = LoadOptions::default();
    match load(text, &options) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                let _shown = warning.render("policy.yaml", text, &Style::PLAIN);
            }
            let formatted = format(&loaded.document);
            let again = load(&formatted, &options);
            assert!(
                again.is_ok_and(|again| again.document == loaded.document && again.shape == loaded.shape),
                "formatting changed the policy"
            );
        }
        Err(found) => {
            assert!(
                found.errors().next().is_some(),
                "a policy that does not load has an error"
            );
            for finding in &found.0 {
                let _shown = finding.render("policy.yaml", text, &Style::PLAIN);
            }
        }
    }
}
