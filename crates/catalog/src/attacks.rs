//! Known attacks on agents and their tools: how each works, where it was seen, and what stops it.
//!
//! Each is a page, `data/attacks/ID.md`, in a form that is read strictly ([`page`]), so that a program can show it,
//! run it and compare what it claims with what happens.

mod page;

pub use page::{PageError, Section};

use crate::class::{Class, Severity};
use std::sync::LazyLock;

/// The pages by their ids.
macro_rules! pages {
    ($($id:literal),* $(,)?) => {
        /// The ids of all attacks with their pages, as they lie in `data/attacks`, in the order of the ids.
        const PAGES: &[(&str, &str)] = &[
            $(($id, include_str!(concat!("../data/attacks/", $id, ".md")))),*
        ];
    };
}

pages![
    "annotation-lie",
    "approval-by-side-door",
    "argument-injection",
    "boundary-burst",
    "compromised-package",
    "confused-deputy",
    "credential-leak-in-errors",
    "cross-tenant-task",
    "duplicate-start-by-retry",
    "exfiltration-by-chaining",
    "hidden-tool-call",
    "indirect-prompt-injection",
    "injection-through-results",
    "negative-amounts",
    "parser-differential",
    "path-smuggling",
    "rug-pull",
    "runaway-loop",
    "session-theft",
    "token-misredemption",
    "tool-poisoning",
    "tool-shadowing",
    "typosquatting",
    "url-smuggling",
];

/// One attack, as its page describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attack {
    /// Its name for commands and addresses, such as `runaway-loop`.
    pub id: &'static str,
    /// What people call it.
    pub title: String,
    /// How much it matters.
    pub severity: Severity,
    /// The classes of tools that it abuses, the worst first.
    pub classes: Vec<Class>,
    /// By what one can tell that a tool is open to it: signals of the classifier, or plain words.
    pub signals: Vec<String>,
    sections: [String; Section::ALL.len()],
    policy: String,
}

impl Attack {
    /// A section of its page, as Markdown.
    #[must_use]
    pub fn section(&self, section: Section) -> &str {
        self.sections.get(section as usize).map_or("", String::as_str)
    }

    /// The policy of its page, as YAML.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// What its page sets in code where it says what stops it: among other words, the reason codes that the denials
    /// carry.
    pub fn stopped_by(&self) -> impl Iterator<Item = &str> {
        page::code_spans(self.section(Section::WhatStopsIt))
    }
}

static ALL: LazyLock<Result<Vec<Attack>, PageError>> =
    LazyLock::new(|| PAGES.iter().map(|(id, text)| page::read(id, text)).collect());

/// All attacks, in the order of their ids.
///
/// # Errors
/// When a bundled page is not in the form of one; a test keeps that from happening.
pub fn all() -> Result<&'static [Attack], &'static PageError> {
    ALL.as_deref()
}

/// The attack of this id.
///
/// # Errors
/// As [`all`].
pub fn find(id: &str) -> Result<Option<&'static Attack>, &'static PageError> {
    Ok(all()?.iter().find(|attack| attack.id == id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_page_of_the_folder_is_read_in_order() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/attacks");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let ids: Vec<String> = all()
            .unwrap()
            .iter()
            .map(|attack| format!("{}.md", attack.id))
            .collect();
        assert_eq!(ids, files);
    }

    #[test]
    fn an_attack_is_found_by_its_id_alone() {
        assert_eq!(find("runaway-loop").unwrap().unwrap().id, "runaway-loop");
        assert_eq!(find("Runaway-Loop").unwrap(), None);
    }

    #[test]
    fn a_source_stands_with_every_attack() {
        for attack in all().unwrap() {
            let seen = attack.section(Section::Seen);
            assert!(seen.contains("https://"), "{}: {seen}", attack.id);
        }
    }
}
