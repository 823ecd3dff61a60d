//! "Did you mean": the nearest of a few known words.

/// The most bytes of a word that is looked up.
const WORD_BYTES_MAX: usize = 64;

/// The known word that `word` most likely was meant to be; `None` where none is near.
#[must_use]
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let plain = normal(word);
    let allowed = (plain.chars().count() / 3).max(1);
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= WORD_BYTES_MAX && *candidate != word)
        .map(|candidate| (distance(&plain, &normal(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Case, `-`, `_` and spaces are the commonest slips, so they cost nothing.
fn normal(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Edits between two words, a swap of neighbours counted as one.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, from) in left.chars().enumerate() {
        let mut line = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let at = |list: &[usize], index: usize| list.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&last, column) + usize::from(from != *to))
                .min(at(&last, column + 1) + 1)
                .min(at(&line, column) + 1);
            let swapped = column > 0
                && previous == Some(*to)
                && right.get(column - 1) == Some(&from)
                && !before.is_empty();
            if swapped {
                best = best.min(at(&before, column - 1) + 1);
            }
            line.push(best);
        }
        before = std::mem::replace(&mut last, line);
        previous = Some(from);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_word_is_found() {
        let known = ["rate_limit", "conditions", "on_deny", "action", "state"];
        let table = [
            ("rate_limt", Some("rate_limit")),
            ("rateLimit", Some("rate_limit")),
            ("RATE-LIMIT", Some("rate_limit")),
            ("conditon", Some("conditions")),
            ("acton", Some("action")),
            ("actoin", Some("action")),
            ("ondeny", Some("on_deny")),
            ("something", None),
            ("", None),
        ];
        for (word, wanted) in table {
            assert_eq!(nearest(word, known), wanted, "{word}");
        }
    }
}
