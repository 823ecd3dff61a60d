//! Keys of one object: equal ones, and ones that are equal when case is ignored.

use std::borrow::Cow;

use super::Scanned;
use crate::malformed::Malformed;

/// Objects up to this many keys are compared pair by pair; larger ones are sorted.
const PAIRWISE_MAX: usize = 12;

/// A decoded key and the offset of its opening quote.
#[derive(Debug, Clone)]
pub(crate) struct Key<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) at: usize,
}

/// Refuses equal keys. May reorder the slice.
pub(crate) fn differ(keys: &mut [Key<'_>]) -> Scanned<()> {
    if keys.len() <= PAIRWISE_MAX {
        return first_pair(keys, |one, other| one == other).map_or(Ok(()), |(_, later)| {
            Err(Malformed::duplicate_key(&later.text, later.at).into())
        });
    }
    keys.sort_unstable_by(|one, other| (&one.text, one.at).cmp(&(&other.text, other.at)));
    match keys.array_windows().find(|[one, other]| one.text == other.text) {
        Some([_, later]) => Err(Malformed::duplicate_key(&later.text, later.at).into()),
        None => Ok(()),
    }
}

/// Refuses keys that are equal, or equal when case is ignored. May reorder the slice.
pub(crate) fn differ_without_case(keys: &mut [Key<'_>]) -> Scanned<()> {
    if keys.len() <= PAIRWISE_MAX {
        // Looked at once for all keys, not once for each pair.
        let pair = if keys.iter().all(|key| key.text.is_ascii()) {
            first_pair(keys, str::eq_ignore_ascii_case)
        } else {
            first_pair(keys, equal_without_case)
        };
        return match pair {
            Some((one, later)) => Err(same(one, later).into()),
            None => Ok(()),
        };
    }
    let mut folded: Vec<(String, &Key<'_>)> = keys.iter().map(|key| (fold(&key.text), key)).collect();
    folded.sort_unstable_by(|one, other| (&one.0, one.1.at).cmp(&(&other.0, other.1.at)));
    match folded.array_windows().find(|[one, other]| one.0 == other.0) {
        Some([(_, one), (_, later)]) => Err(same(one, later).into()),
        None => Ok(()),
    }
}

fn same(one: &Key<'_>, later: &Key<'_>) -> Malformed {
    if one.text == later.text {
        Malformed::duplicate_key(&later.text, later.at)
    } else {
        Malformed::case_variant(&later.text, &one.text, later.at)
    }
}

fn first_pair<'k, 'a>(
    keys: &'k [Key<'a>],
    equal: impl Fn(&str, &str) -> bool,
) -> Option<(&'k Key<'a>, &'k Key<'a>)> {
    keys.iter().enumerate().find_map(|(index, later)| {
        let earlier = keys.get(..index).unwrap_or_default();
        earlier
            .iter()
            .find(|one| equal(&one.text, &later.text))
            .map(|one| (one, later))
    })
}

/// Whether two keys are equal when case is ignored. Coarser than Unicode's simple case folding: what that
/// folds together is equal here, and so are a few more (`ß` and `ss`, `ı` and `i`), because there are parsers
/// that compare by upper case.
pub(crate) fn equal_without_case(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    folded_chars(one).eq(folded_chars(other))
}

/// A key with its case taken away.
pub(crate) fn fold(key: &str) -> String {
    if key.is_ascii() {
        key.to_ascii_lowercase()
    } else {
        folded_chars(key).collect()
    }
}

/// Lower, upper, lower: the first step brings letters that exist in upper case only (`ẞ`, the Kelvin sign)
/// down, the second brings variants (`ſ`, `ς`, `ı`) together.
fn folded_chars(key: &str) -> impl Iterator<Item = char> {
    key.chars()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::{equal_without_case, fold};

    #[test]
    fn keys_that_differ_only_by_case_are_found_in_every_script() {
        for (one, other) in [
            ("name", "NAME"),
            ("k", "\u{212a}"),
            ("s", "\u{17f}"),
            ("i", "\u{131}"),
            ("I", "\u{131}"),
            ("straße", "STRASSE"),
            ("ß", "ẞ"),
            ("σ", "ς"),
            ("Σ", "ς"),
            ("µ", "μ"),
            ("å", "\u{212b}"),
            ("ω", "\u{2126}"),
            ("ǆ", "ǅ"),
            ("β", "ϐ"),
            ("\u{13a0}", "\u{ab70}"),
            ("𐐀", "𐐨"),
        ] {
            assert!(equal_without_case(one, other), "{one} {other}");
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn different_keys_stay_different() {
        for (one, other) in [
            ("name", "names"),
            ("a", "á"),
            ("o", "0"),
            ("i", "l"),
            ("а", "a"),
            ("", "a"),
        ] {
            assert!(!equal_without_case(one, other), "{one} {other}");
            assert_ne!(fold(one), fold(other), "{one} {other}");
        }
    }
}
