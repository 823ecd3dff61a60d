//! What is answered: words for the agent, and the same for programs.

use crate::commands::catalog::safe::{cut, shown};
use serde::Serialize;
use serde_json::Value;

/// So many characters of what went wrong are told.
const REFUSED_CHARS_MAX: usize = 600;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) structured: Value,
}

impl Answer {
    pub(super) fn new(text: String, structured: &impl Serialize) -> anyhow::Result<Self> {
        Ok(Self {
            text,
            structured: serde_json::to_value(structured)?,
        })
    }
}

/// Why a question could not be answered. A hint keeps its line.
pub(super) fn told(refused: &anyhow::Error) -> String {
    let text = format!("{refused:#}");
    let lines: Vec<String> = text.lines().map(shown).collect();
    cut(&lines.join("\n"), REFUSED_CHARS_MAX)
}
