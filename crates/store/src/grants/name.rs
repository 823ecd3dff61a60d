//! The names that grants are made of, checked once.

use super::token::PREFIX;
use std::fmt;
use std::sync::Arc;

const LABEL_CHARACTERS_MAX: usize = 64;
const POLICY_BYTES_MAX: usize = 64;
/// What ids of grants begin with.
pub(super) const ID_PREFIX: &str = "g_";

/// Why a text is no name of this kind. The text is not repeated: it may be a token in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantNameError {
    /// Not a label.
    #[error("a label has 1 to {LABEL_CHARACTERS_MAX} visible characters, and spaces only between them")]
    Label,
    /// A label that could be taken for an id or a token.
    #[error("a label cannot begin with `{ID_PREFIX}` or `{PREFIX}`, as ids and tokens do")]
    Ambiguous,
    /// Not the name of a policy.
    #[error("the name of a policy is 1 to {POLICY_BYTES_MAX} of a-z, 0-9 and `-`")]
    Policy,
}

/// What people call a grant: a line of up to 64 characters that can be seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantLabel(Arc<str>);

impl GrantLabel {
    /// Checks a text and keeps it.
    ///
    /// # Errors
    /// [`GrantNameError`] where the text is no label.
    pub fn new(text: &str) -> Result<Self, GrantNameError> {
        let length = text.chars().count();
        let good = (1..=LABEL_CHARACTERS_MAX).contains(&length)
            && text.trim() == text
            && text.chars().all(is_visible);
        if !good {
            return Err(GrantNameError::Label);
        }
        if text.starts_with(ID_PREFIX) || text.starts_with(PREFIX) {
            return Err(GrantNameError::Ambiguous);
        }
        Ok(Self(text.into()))
    }

    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GrantLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Two labels that look alike would be two grants, so what takes no space, turns the direction of writing or
/// is another space than the usual one is refused.
fn is_visible(character: char) -> bool {
    let hidden = character.is_control()
        || (character.is_whitespace() && character != ' ')
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    !hidden
}

/// The name that a gateway's configuration gives a policy: 1 to 64 of a-z, 0-9 and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyName(Arc<str>);

impl PolicyName {
    /// Checks a text and keeps it.
    ///
    /// # Errors
    /// [`GrantNameError::Policy`] where the text is no such name.
    pub fn new(text: &str) -> Result<Self, GrantNameError> {
        let good = (1..=POLICY_BYTES_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if good {
            Ok(Self(text.into()))
        } else {
            Err(GrantNameError::Policy)
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for PolicyName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_what_can_be_seen() {
        for good in ["ci", "Ana's laptop", "é", "日本", &"x".repeat(64)] {
            assert_eq!(GrantLabel::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            " ",
            " ci",
            "ci ",
            "a\nb",
            "a\tb",
            "a\u{200b}",
            "\u{202e}ic",
            "a\u{a0}b",
            "\u{2028}",
            "\u{e0041}",
            &"x".repeat(65),
        ] {
            assert_eq!(GrantLabel::new(bad), Err(GrantNameError::Label), "{bad:?}");
        }
        for bad in ["g_0123456789abcdef", "cg_x"] {
            assert_eq!(GrantLabel::new(bad), Err(GrantNameError::Ambiguous), "{bad:?}");
        }
    }

    #[test]
    fn names_of_policies_are_plain() {
        for good in ["a", "read-only", "v2", &"x".repeat(64)] {
            assert_eq!(PolicyName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "a_b", "a.yaml", "../a", "é", &"x".repeat(65)] {
            assert_eq!(PolicyName::new(bad), Err(GrantNameError::Policy), "{bad:?}");
        }
    }
}
