//! Globs over names: what they weigh, and whether two of them can match the same name.

use crate::bounds::{GLOB_ALTERNATIVES_MAX, GLOB_BYTES_MAX};
use std::collections::VecDeque;

/// Why a glob cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GlobError {
    #[error("a pattern may have at most {GLOB_BYTES_MAX} bytes")]
    TooLong,
    #[error("the braces of a pattern may stand for at most {GLOB_ALTERNATIVES_MAX} patterns")]
    TooManyAlternatives,
    #[error("{0}")]
    Invalid(String),
}

/// One step of a pattern without braces.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(char),
    One,
    Many,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// A glob, compiled and taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    pub(crate) compiled: globset::Glob,
    alternatives: Vec<Vec<Token>>,
    /// Literal characters; of several alternatives, the fewest.
    pub(crate) weight: usize,
}

/// Whether a key is a pattern rather than a name.
pub(crate) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{', '\\'])
}

impl Glob {
    pub(crate) fn new(text: &str) -> Result<Self, GlobError> {
        if text.len() > GLOB_BYTES_MAX {
            return Err(GlobError::TooLong);
        }
        let compiled = globset::GlobBuilder::new(text)
            .literal_separator(false)
            .backslash_escape(true)
            .empty_alternates(true)
            .build()
            .map_err(|error| GlobError::Invalid(error.kind().to_string()))?;
        let alternatives = expand(text)?
            .iter()
            .map(|plain| tokens(plain))
            .collect::<Vec<_>>();
        let weight = alternatives
            .iter()
            .map(|tokens| tokens.iter().filter(|t| matches!(t, Token::Literal(_))).count())
            .min()
            .unwrap_or(0);
        Ok(Self {
            compiled,
            alternatives,
            weight,
        })
    }

    /// Whether some name is matched by both.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.alternatives
            .iter()
            .any(|left| other.alternatives.iter().any(|right| meet(left, right)))
    }
}

/// The patterns without braces that a pattern stands for.
fn expand(text: &str) -> Result<Vec<Vec<(char, bool)>>, GlobError> {
    let mut chars = Vec::new();
    let mut escaped = false;
    for c in text.chars() {
        if escaped {
            chars.push((c, true));
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else {
            chars.push((c, false));
        }
    }
    let mut done = Vec::new();
    let mut open = VecDeque::from([chars]);
    while let Some(pattern) = open.pop_front() {
        if done.len() + open.len() > GLOB_ALTERNATIVES_MAX {
            return Err(GlobError::TooManyAlternatives);
        }
        match innermost(&pattern) {
            None => done.push(pattern),
            Some((start, end)) => {
                let inner = pattern.get(start + 1..end).unwrap_or_default();
                for part in inner.split(|c| *c == (',', false)) {
                    let mut plain = pattern.get(..start).unwrap_or_default().to_vec();
                    plain.extend_from_slice(part);
                    plain.extend_from_slice(pattern.get(end + 1..).unwrap_or_default());
                    open.push_back(plain);
                }
            }
        }
    }
    Ok(done)
}

/// The first pair of braces that holds no other pair.
fn innermost(pattern: &[(char, bool)]) -> Option<(usize, usize)> {
    let mut start = None;
    let mut in_class = false;
    for (index, c) in pattern.iter().enumerate() {
        match c {
            ('[', false) if !in_class => in_class = true,
            (']', false) => in_class = false,
            ('{', false) if !in_class => start = Some(index),
            ('}', false) if !in_class => return start.map(|start| (start, index)),
            _ => {}
        }
    }
    None
}

fn tokens(pattern: &[(char, bool)]) -> Vec<Token> {
    let mut out = Vec::new();
    let mut rest = pattern.iter().copied().peekable();
    while let Some((c, escaped)) = rest.next() {
        match c {
            _ if escaped => out.push(Token::Literal(c)),
            '*' => {
                if out.last() != Some(&Token::Many) {
                    out.push(Token::Many);
                }
            }
            '?' => out.push(Token::One),
            '[' => {
                let negated = rest.next_if(|c| matches!(c.0, '!' | '^')).is_some();
                let mut ranges: Vec<(char, char)> = Vec::new();
                let mut first = true;
                while let Some((c, _)) = rest.next_if(|c| first || c.0 != ']') {
                    first = false;
                    match (c, ranges.last_mut()) {
                        ('-', Some(last)) if rest.peek().is_some_and(|next| next.0 != ']') => {
                            last.1 = rest.next().map_or(last.1, |next| next.0);
                        }
                        _ => ranges.push((c, c)),
                    }
                }
                rest.next();
                out.push(Token::Class { negated, ranges });
            }
            c => out.push(Token::Literal(c)),
        }
    }
    out
}

/// Whether two patterns match a common name: a walk over the pairs of places in both.
fn meet(left: &[Token], right: &[Token]) -> bool {
    let literals = left
        .iter()
        .zip(right)
        .take_while(|(l, r)| matches!((l, r), (Token::Literal(_), Token::Literal(_))));
    for (l, r) in literals {
        if l != r {
            return false;
        }
    }
    let width = right.len() + 1;
    let mut seen = vec![false; (left.len() + 1) * width];
    let mut open = vec![(0, 0)];
    while let Some((i, j)) = open.pop() {
        match seen.get_mut(i * width + j) {
            Some(seen) if !*seen => *seen = true,
            Some(_) | None => continue,
        }
        match (left.get(i), right.get(j)) {
            (None, None) => return true,
            (Some(Token::Many), Some(Token::Many)) => open.extend([(i + 1, j), (i, j + 1)]),
            (Some(Token::Many), Some(_)) => open.extend([(i + 1, j), (i, j + 1)]),
            (Some(_), Some(Token::Many)) => open.extend([(i, j + 1), (i + 1, j)]),
            (Some(Token::Many), None) => open.push((i + 1, j)),
            (None, Some(Token::Many)) => open.push((i, j + 1)),
            (Some(l), Some(r)) if share(l, r) => open.push((i + 1, j + 1)),
            (Some(_), Some(_) | None) | (None, Some(_)) => {}
        }
    }
    false
}

/// Whether two single steps take a common character.
fn share(left: &Token, right: &Token) -> bool {
    match (left, right) {
        (Token::Literal(l), Token::Literal(r)) => l == r,
        (Token::Literal(c), Token::Class { negated, ranges })
        | (Token::Class { negated, ranges }, Token::Literal(c)) => {
            ranges.iter().any(|(from, to)| from <= c && c <= to) != *negated
        }
        (
            Token::Class {
                negated: false,
                ranges: l,
            },
            Token::Class {
                negated: false,
                ranges: r,
            },
        ) => l.iter().any(|l| r.iter().any(|r| l.0 <= r.1 && r.0 <= l.1)),
        // Two negated classes, or one of each, practically always share a character.
        (Token::Class { .. }, Token::Class { .. })
        | (Token::One | Token::Many, _)
        | (_, Token::One | Token::Many) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_globs_meet_where_a_name_matches_both() {
        let table = [
            ("delete_*", "delete_*", true),
            ("delete_*", "create_*", false),
            ("delete_*", "*_file", true),
            ("a*b", "b*a", false),
            ("a?c", "abc", true),
            ("get_[a-m]*", "get_[n-z]*", false),
            ("get_[a-m]*", "get_[m-z]*", true),
            ("get_[!a]*", "get_a*", false),
            ("{read,write}_x*", "write_*y", true),
            ("{read,write}_x*", "list_*yy", false),
            ("*", "anything", true),
            (r"a\*b", "a?b", true),
            (r"a\*b", "axb", false),
            ("", "*", true),
        ];
        for (left, right, wanted) in table {
            let (left_glob, right_glob) = (Glob::new(left).unwrap(), Glob::new(right).unwrap());
            assert_eq!(left_glob.meets(&right_glob), wanted, "{left} {right}");
            assert_eq!(right_glob.meets(&left_glob), wanted, "{right} {left}");
        }
    }

    #[test]
    fn a_globs_weight_is_its_literal_characters() {
        for (text, weight) in [
            ("delete_*", 7),
            ("?x?", 1),
            ("{a,bcd}_*", 2),
            ("[ab]c", 1),
            (r"\*", 1),
            ("*", 0),
        ] {
            assert_eq!(Glob::new(text).unwrap().weight, weight, "{text}");
        }
    }

    #[test]
    fn braces_that_multiply_are_refused() {
        assert_eq!(
            Glob::new("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}").unwrap_err(),
            GlobError::TooManyAlternatives
        );
    }
}
