//! Request ids and progress tokens: what was sent, and what it means.

use std::fmt;
use std::ops::Range;

use crate::json::{JsonKind, RawJson};

/// The id of a request or response: a JSON string or integer, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id<'a> {
    raw: RawJson<'a>,
    key: IdKey,
}

impl<'a> Id<'a> {
    /// Reads an id; `None` where it is neither a string nor an integer without fraction and exponent.
    pub(crate) fn read(raw: RawJson<'a>) -> Option<Self> {
        Some(Self {
            raw,
            key: IdKey::of(raw)?,
        })
    }

    /// The exact JSON text, quotes included, to answer with.
    #[must_use]
    pub fn raw(&self) -> &'a str {
        self.raw.text()
    }

    /// Where it stands in its message.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.raw.span()
    }

    /// What it means, to look it up by.
    #[must_use]
    pub fn key(&self) -> &IdKey {
        &self.key
    }

    /// As [`Id::key`], taken.
    #[must_use]
    pub fn into_key(self) -> IdKey {
        self.key
    }
}

/// The meaning of an id or a progress token: equal exactly where the JSON values are equal. The integer 1 and
/// the string "1" differ, `"a"` and `"\u0061"` do not, nor do 0 and -0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdKey(Meaning);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Meaning {
    Integer(i64),
    /// Decimal digits of an integer that does not fit above; JSON writes each integer in one way only.
    LargeInteger(Box<str>),
    Text(Box<str>),
}

impl IdKey {
    /// The meaning of a JSON string or integer; `None` for every other value, `1.0` and `1e0` included.
    #[must_use]
    pub fn of(raw: RawJson<'_>) -> Option<Self> {
        match raw.kind() {
            JsonKind::String => raw.as_str().map(|text| Self(Meaning::Text(text.into()))),
            JsonKind::Number => {
                let numeral = raw.text();
                if numeral.contains(['.', 'e', 'E']) {
                    return None;
                }
                Some(Self(match numeral.parse() {
                    Ok(integer) => Meaning::Integer(integer),
                    Err(_) => Meaning::LargeInteger(numeral.into()),
                }))
            }
            JsonKind::Null | JsonKind::Bool | JsonKind::Array | JsonKind::Object => None,
        }
    }

    /// The text, where it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match &self.0 {
            Meaning::Text(text) => Some(text),
            Meaning::Integer(_) | Meaning::LargeInteger(_) => None,
        }
    }

    /// The JSON text of this id.
    #[must_use]
    pub fn to_json(&self) -> String {
        match &self.0 {
            Meaning::Integer(integer) => integer.to_string(),
            Meaning::LargeInteger(numeral) => numeral.to_string(),
            Meaning::Text(text) => crate::json::quoted(text),
        }
    }
}

impl From<i64> for IdKey {
    fn from(integer: i64) -> Self {
        Self(Meaning::Integer(integer))
    }
}

impl From<&str> for IdKey {
    fn from(text: &str) -> Self {
        Self(Meaning::Text(text.into()))
    }
}

impl fmt::Display for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}
