//! Text that people do not see, and text that speaks to the model.

use crate::definition::Definition;
use crate::text::{beginning, flat};

/// So many characters around what was found are quoted.
const QUOTE_CHARS_MAX: usize = 80;

/// Openings by which a description tells the model what to do beside this tool, or what to keep from people.
const INSTRUCTIONS: &[&str] = &[
    "<important>",
    "<system>",
    "[system]",
    "<secret>",
    " ignore previous instructions",
    " ignore all previous",
    " ignore prior instructions",
    " disregard previous",
    " disregard all ",
    " forget your instructions",
    " override your instructions",
    " do not tell the user",
    " don't tell the user",
    " do not mention",
    " don't mention",
    " without telling the user",
    " never tell the user",
    " not inform the user",
    " hide this from",
    " keep this secret",
    " before using any other tool",
    " before calling any other tool",
    " instead of the other tool",
    " ~/.ssh",
    " id_rsa",
    " .env file",
    " ~/.aws",
    " mcp.json",
    " system prompt",
    " your conversation history",
    " full conversation",
    " you are now ",
];

/// A character that is not shown, or that turns text round: zero width, bidirectional, tags, fillers, and those that
/// stand for nothing.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}'
        | '\u{1d173}'..='\u{1d17a}')
        || c.is_control() && !matches!(c, '\n' | '\t' | '\r')
}

/// A variation selector: nobody sees it, unless it follows a sign that it gives another look.
const fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}')
}

/// A character that may stand between the letters of a word and does not show.
pub(crate) fn is_unseen(c: char) -> bool {
    is_hidden(c) || is_selector(c)
}

/// Whether a character is seen, and only as itself, on the line that it stands in.
#[must_use]
pub fn is_shown(c: char) -> bool {
    let ends_or_moves = c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    !is_unseen(c) && !ends_or_moves
}

/// Whether an unseen character is part of how a pictograph, or a keycap, is written.
fn belongs(c: char, before: Option<&char>, after: Option<&char>) -> bool {
    let follows_sign = before.is_some_and(|before| {
        let is_sign =
            !before.is_ascii() && !is_unseen(*before) && (is_selector(c) || !before.is_alphanumeric());
        is_sign || c == '\u{200d}' && is_selector(*before)
    });
    (c == '\u{200d}' || is_selector(c)) && follows_sign || is_selector(c) && after == Some(&'\u{20e3}')
}

/// The hidden characters of a definition, each once, as `U+200B`.
pub(crate) fn hidden(tool: &Definition) -> Vec<String> {
    let mut found = Vec::new();
    for text in &tool.said {
        let letters: Vec<char> = text.chars().collect();
        for (index, &c) in letters.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|before| letters.get(before));
            let after = letters.get(index.saturating_add(1));
            if is_unseen(c) && !belongs(c, before, after) {
                found.push(format!("U+{:04X}", u32::from(c)));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Where a definition speaks to the model as an instruction would.
pub(crate) fn instruction(tool: &Definition) -> Option<String> {
    tool.said.iter().find_map(|text| {
        // What is hidden between the letters does not hide the words, nor do letters that only look right.
        let seen: String = text
            .chars()
            .filter(|c| !is_unseen(*c))
            .map(crate::lookalike::plain)
            .flat_map(char::to_lowercase)
            .collect();
        let spaced = format!(" {} ", seen.split_whitespace().collect::<Vec<_>>().join(" "));
        let flat = flat(&seen);
        let opening = INSTRUCTIONS
            .iter()
            .find(|opening| spaced.contains(*opening) || flat.contains(*opening))?;
        let at = spaced.find(opening.trim_start()).unwrap_or_default();
        let rest = spaced.get(at..).unwrap_or(&spaced);
        Some(beginning(rest.trim(), QUOTE_CHARS_MAX))
    })
}
