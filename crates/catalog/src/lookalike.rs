//! Names that look like others: letters of another alphabet, and names one edit apart.

use crate::definition::Definition;
use std::collections::BTreeMap;

/// So many names of a list are compared with each other.
const NAMES_MAX: usize = 2_000;
/// Names shorter than this differ by one letter without meaning to.
const LETTERS_MIN: usize = 6;

/// Words of so many letters are abbreviations, which differ by one letter and mean different things.
const WORD_SHORT_MAX: usize = 3;

/// Letters that look like a Latin one.
const LOOK_ALIKE: &[(char, &str)] = &[
    ('a', "аɑα"),
    ('b', "Ьƅ"),
    ('c', "сϲⅽ"),
    ('d', "ԁⅾ"),
    ('e', "еҽ"),
    ('g', "ɡց"),
    ('h', "һհ"),
    ('i', "іıιⅰ"),
    ('j', "јϳ"),
    ('k', "κк"),
    ('l', "ӏⅼӀ"),
    ('m', "ⅿм"),
    ('n', "ոп"),
    ('o', "оοօσ"),
    ('p', "рρ"),
    ('q', "ԛգ"),
    ('r', "г"),
    ('s', "ѕ"),
    ('t', "τт"),
    ('u', "υսц"),
    ('v', "νѵⅴ"),
    ('w', "ԝѡ"),
    ('x', "хχⅹ"),
    ('y', "уγү"),
    ('z', "ᴢ"),
    ('A', "АΑ"),
    ('B', "ВΒ"),
    ('C', "СϹ"),
    ('E', "ЕΕ"),
    ('H', "НΗ"),
    ('I', "ІΙ"),
    ('J', "Ј"),
    ('K', "КΚ"),
    ('M', "МΜ"),
    ('N', "Ν"),
    ('O', "ОΟ"),
    ('P', "РΡ"),
    ('S', "Ѕ"),
    ('T', "ТΤ"),
    ('X', "ХΧ"),
    ('Y', "ҮΥ"),
    ('Z', "Ζ"),
    ('-', "‐‑‒–—−"),
    ('_', "＿"),
    ('.', "．․"),
    ('/', "⁄∕"),
];

/// A letter as the one that it looks like.
pub(crate) fn plain(letter: char) -> char {
    let code = u32::from(letter);
    // Fullwidth forms stand in the order of ASCII.
    if (0xff01..=0xff5e).contains(&code) {
        return char::from_u32(code.saturating_sub(0xfee0)).unwrap_or(letter);
    }
    let found = LOOK_ALIKE.iter().find(|(_, others)| others.contains(letter));
    found.map_or(letter, |(plain, _)| *plain)
}

/// A name as it looks to somebody who reads it fast: `l`, `I` and `1` are one, and so are `o` and `0`.
#[must_use]
pub fn look(name: &str) -> String {
    name.chars()
        .filter(|c| !crate::hidden::is_unseen(*c))
        .map(plain)
        .flat_map(char::to_lowercase)
        .filter_map(|letter| match letter {
            '1' | '|' | 'i' => Some('l'),
            '0' => Some('o'),
            '_' | '-' | '.' | ' ' => None,
            letter => Some(letter),
        })
        .collect()
}

/// Whether two different names look the same to somebody who reads them fast: they differ in case, in separators, in
/// letters of another alphabet or in letters that nobody sees.
#[must_use]
pub fn look_the_same(left: &str, right: &str) -> bool {
    left != right && look(left) == look(right)
}

/// Whether two different names are easily taken for each other: they look the same, or are one edit apart and long
/// enough for that to mean something.
#[must_use]
pub fn are_near(left: &str, right: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (look(left).chars().collect(), look(right).chars().collect());
    left != right
        && (one == other
            || one.len() >= LETTERS_MIN
                && other.len() >= LETTERS_MIN
                && is_one_edit(&one, &other)
                && !differ_by_design(left, right))
}

/// Whether all that two names differ in is a short word, such as the `ecs` and `eks` of one maker: each is a name of its
/// own. Letters that changed places are a slip in a short word too, and `mcp` is a word that has no others beside it.
fn differ_by_design(left: &str, right: &str) -> bool {
    let words = |name: &str| -> Vec<Vec<char>> {
        name.split(|c: char| !c.is_alphanumeric())
            .map(|word| look(word).chars().collect())
            .collect()
    };
    let (one, other) = (words(left), words(right));
    let sorted = |word: &[char]| {
        let mut letters = word.to_vec();
        letters.sort_unstable();
        letters
    };
    one.len() == other.len()
        && one.iter().zip(&other).filter(|(a, b)| a != b).all(|(a, b)| {
            a.len().min(b.len()) <= WORD_SHORT_MAX
                && sorted(a) != sorted(b)
                && [a, b].iter().all(|word| !word.iter().eq(&['m', 'c', 'p']))
        })
}

/// Whether a name mixes Latin letters with ones that only look so.
pub(crate) fn is_mixed(name: &str) -> bool {
    let has_latin = name.chars().any(|c| c.is_ascii_alphabetic());
    has_latin && name.chars().any(|c| !c.is_ascii() && plain(c).is_ascii())
}

/// Of the tools of a list, those whose name looks like another's, with that name.
pub(crate) fn pairs(tools: &[Definition]) -> Vec<(usize, String)> {
    let names: Vec<(usize, &str, Vec<char>)> = tools
        .iter()
        .take(NAMES_MAX)
        .enumerate()
        .map(|(index, tool)| (index, &*tool.name, look(&tool.name).chars().take(128).collect()))
        .collect();
    let mut found: BTreeMap<usize, String> = BTreeMap::new();
    for (at, (index, name, letters)) in names.iter().enumerate() {
        for (other_index, other, other_letters) in names.iter().skip(at.saturating_add(1)) {
            if name != other && are_alike(name, letters, other, other_letters) {
                found.entry(*index).or_insert_with(|| (*other).to_owned());
                found.entry(*other_index).or_insert_with(|| (*name).to_owned());
            }
        }
    }
    found.into_iter().collect()
}

fn are_alike(name: &str, letters: &[char], other: &str, other_letters: &[char]) -> bool {
    if letters == other_letters {
        return true;
    }
    letters.len() >= LETTERS_MIN
        && other_letters.len() >= LETTERS_MIN
        && is_one_edit(letters, other_letters)
        && !is_plural(name, other)
}

/// Whether two names are a thing and its plural, or a version and the next, which is how servers name theirs.
fn is_plural(name: &str, other: &str) -> bool {
    let words = crate::text::words_of_name(name);
    let others = crate::text::words_of_name(other);
    words.len() == others.len()
        && words.iter().zip(&others).all(|(word, other)| {
            word == other
                || crate::text::singular(word) == crate::text::singular(other)
                || word.chars().chain(other.chars()).any(|c| c.is_ascii_digit())
                || is_word(word) && is_word(other)
        })
}

/// Whether a word is one that the tables know: `start` and `stat` differ by a letter and mean different things.
fn is_word(word: &str) -> bool {
    crate::phrase::act_of(word).is_some() || word.chars().count() <= 3
}

/// One letter more, one less, another one, or two that changed places.
fn is_one_edit(left: &[char], right: &[char]) -> bool {
    let (short, long) = if left.len() <= right.len() {
        (left, right)
    } else {
        (right, left)
    };
    let same_start = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let rest_short = short.get(same_start..).unwrap_or_default();
    let rest_long = long.get(same_start..).unwrap_or_default();
    match long.len().saturating_sub(short.len()) {
        0 => {
            let differ: Vec<usize> = rest_short
                .iter()
                .zip(rest_long)
                .enumerate()
                .filter(|(_, (a, b))| a != b)
                .map(|(index, _)| index)
                .collect();
            differ.len() == 1
                || differ == [0, 1]
                    && rest_short.first() == rest_long.get(1)
                    && rest_short.get(1) == rest_long.first()
        }
        1 => rest_long.get(1..).unwrap_or_default() == rest_short,
        _ => false,
    }
}
