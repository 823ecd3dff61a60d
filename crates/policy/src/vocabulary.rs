//! The words of the language, once: what reading accepts, how formatting orders, what the JSON Schema describes.

mod tables;

pub(crate) use tables::{
    APPROVAL_ENTRY, CONDITION, DENY_ENTRY, DOCUMENT, LIMIT, METHOD, RATE_LIMIT, REQUIRE_ENTRY, RULE, SPEND,
    STATE, TOOL, VALIDATE,
};

/// The keys that one kind of mapping may have.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// What the mapping is called in messages: "a rule".
    pub called: &'static str,
    /// Its name among the schema's definitions.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Its keys, in the order in which they are written.
    pub keys: &'static [Word],
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// The key.
    pub key: &'static str,
    /// What it means.
    pub about: &'static str,
    /// What it takes.
    pub takes: Takes,
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// A string.
    Text,
    /// A string that matches this regular expression.
    Matching(&'static str),
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A whole number from 1.
    Whole,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A window such as `minute`, `90s` or a number of seconds.
    Window,
    /// A duration such as `30s` or a number of seconds.
    Duration,
    /// A path such as `args.amount`.
    Path,
    /// A CEL expression.
    Cel,
    /// `10/hour`.
    Rate,
    /// Any value, `null` included.
    Anything,
    /// A mapping with the keys of a table.
    Table(&'static Table),
    /// A list.
    List(&'static Self),
    /// A mapping from names or globs.
    Named(&'static Self),
    /// A mapping from names that match this regular expression.
    NamedLike(&'static str, &'static Self),
    /// Any of these.
    OneOf(&'static [Self]),
}

impl Table {
    /// The word of a key.
    #[must_use]
    pub fn word(&self, key: &str) -> Option<&'static Word> {
        self.keys.iter().find(|word| word.key == key)
    }
}
