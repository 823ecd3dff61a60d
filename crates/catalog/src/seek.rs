//! Phrases that are looked for in a description.

use crate::text::{beginning, flat};
use crate::words::{self, is_in};

/// So many characters are quoted.
pub(crate) const QUOTE_CHARS_MAX: usize = 120;

/// Where a phrase stands in a flat text, if nothing before it turns it round.
pub(crate) fn find(text: &str, phrase: &str) -> Option<usize> {
    let pieces: Vec<&str> = phrase.split(' ').collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    (0..words.len()).find(|&start| {
        pieces.iter().enumerate().all(|(offset, piece)| {
            words
                .get(start.saturating_add(offset))
                .is_some_and(|word| match piece.strip_suffix('*') {
                    Some(stem) => word.starts_with(stem),
                    None => word == piece,
                })
        }) && !words
            .iter()
            .take(start)
            .skip(start.saturating_sub(2))
            .any(|word| is_in(word, words::NOT))
    })
}

pub(crate) fn has(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| find(text, phrase).is_some())
}

/// The sentence of a description that a phrase stands in.
pub(crate) fn sentence_with(description: &str, phrase: &str) -> String {
    description
        .split_inclusive(['.', '!', '?', '\n', ';'])
        .find(|sentence| find(&flat(sentence), phrase).is_some())
        .map_or_else(
            || beginning(description.trim(), QUOTE_CHARS_MAX),
            |sentence| beginning(sentence.trim(), QUOTE_CHARS_MAX),
        )
}
