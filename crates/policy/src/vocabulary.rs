//! The words of the language, once: what reading accepts, how formatting orders, what the JSON Schema describes.

mod tables;

pub(crate) use tables::{
    APPROVAL_ENTRY, CONDITION, DENY_ENTRY, DOCUMENT, LIMIT, METHOD, RATE_LIMIT, REQUIRE_ENTRY, RULE, SPEND,
    STATE, TOOL, VALIDATE,
};

/// The keys that one kind of mapping may have.
#[derive(Debug)]
pub(crate) struct Table {
    /// What the mapping is called in messages: "a rule".
    pub(crate) called: &'static str,
    /// Its name among the schema's definitions.
    pub(crate) name: &'static str,
    /// What it is for.
    pub(crate) about: &'static str,
    /// Its keys, in the order in which they are written.
    pub(crate) keys: &'static [Word],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Word {
    /// The key.
    pub(crate) key: &'static str,
    /// What it means.
    pub(crate) about: &'static str,
    /// What it takes.
    pub(crate) takes: Takes,
}

/// What a key takes.
#[derive(Debug)]
pub(crate) enum Takes {
    Text,
    Boolean,
    Number,
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
    /// Any value.
    Anything,
    Table(&'static Table),
    List(&'static Self),
    /// A mapping from names or globs.
    Named(&'static Self),
    OneOf(&'static [Self]),
}

impl Table {
    pub(crate) fn word(&self, key: &str) -> Option<&'static Word> {
        self.keys.iter().find(|word| word.key == key)
    }
}
