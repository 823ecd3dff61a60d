//! The tables: which words mean what, and how much they weigh. [`crate::weigh`] adds them up.
//!
//! Weights are in points. A class that has [`ENOUGH`] is taken; where none has, one that has [`SOME`] is, with low
//! confidence. So a word of 60 speaks for itself, one of 30 needs another beside it.

mod groups;
mod phrases;
mod rules;
mod verbs;

pub(crate) use groups::GROUPS;
pub(crate) use phrases::{PHRASES, Reach};
pub(crate) use rules::{RULES, Rule};
pub(crate) use verbs::{Act, OFTEN_NOUNS, SHOWN, VERBS};

/// A class with so many points is taken.
pub(crate) const ENOUGH: i32 = 50;
/// A class with so many points is taken where none has enough.
pub(crate) const SOME: i32 = 25;

/// Whether a word is one of a list that is written with spaces between.
pub(crate) fn is_in(word: &str, list: &str) -> bool {
    list.split_whitespace().any(|other| other == word)
}

/// What the definition says that something lost can be brought back.
pub(crate) const CAN_BE_BROUGHT_BACK: &[&str] = &[
    "to trash",
    "to the trash",
    "to bin",
    "to the bin",
    "recycle bin",
    "soft delete*",
    "soft deletion",
    "can be restored",
    "be recovered",
    "archive",
    "archives",
    "moves to trash",
    "soft deletes",
    "can be undone",
    "undeleted",
    "recoverable",
    "moves it to",
    "deactivates",
];
/// What says that it can not.
pub(crate) const IS_LOST: &[&str] = &[
    "permanent*",
    "cannot be undone",
    "can't be undone",
    "irreversibl*",
    "not reversible",
    "cannot be recovered",
    "cannot be restored",
    "no undo",
    "bypass* trash",
    "skip* trash",
];
/// What says that nothing is owed yet.
pub(crate) const DRAFT_ONLY: &[&str] = &["in draft state", "only works on draft", "does not send"];
/// Parameters that hold a query; what says "read-only" of these is a promise that writing is refused.
pub(crate) const QUERIES: &str =
    "query sql cypher graphql statement soql expression q queries pipeline filter querystring";
/// Parameters of which nothing said of reading can be a promise.
pub(crate) const ANYTHING: &str = "command cmd commands script shell bash code";
/// What says that only reading is let through, anywhere in a description.
pub(crate) const ONLY_READS: &[&str] = &[
    "only select",
    "select only",
    "select statements only",
    "get only",
    "only get",
    "select queries only",
    "only read",
    "does not modify",
    "non mutating",
    "only supports select",
    "only select queries",
    "sql like",
    "select quer*",
    "read only sql",
    "safe read",
    "only queries",
    "read only transaction",
    "read only mode",
];
/// What says so near the beginning.
pub(crate) const READ_ONLY: &[&str] = &["read only", "readonly"];
/// What says so of the tool as a whole.
pub(crate) const READS_ONLY: &[&str] = &[
    ". read only .",
    "read only operation",
    "read operations read only",
    "this tool is read only",
    "read only tool",
];
/// What turns a phrase into its opposite, right before it.
pub(crate) const NOT: &str = "not never without non no cannot don't doesn't won't isn't avoid";

/// Parameters whose values say what is done.
pub(crate) const CHOOSES: &str = "action operation op method verb act subcommand actions operations";
/// First words of switches that take something away.
pub(crate) const LOSES: &str =
    "delete wipe discard purge prune kill drop truncate overwrite destroy erase terminate";
/// HTTP's methods that change something.
pub(crate) const HTTP_CHANGES: &str = "post put patch delete";

/// Names of parameters that take code, commands or queries in a language that can do anything.
pub(crate) const COMMANDS: &str =
    "command cmd sql cypher graphql shell bash mutation commands sqlquery querysql";
/// Names of parameters that take code to be looked at where the verb looks, and to be run where it does not.
pub(crate) const CODE: &str =
    "code script javascript js python expression statement pipeline manifest function";
/// Verbs that do not run what they are given.
pub(crate) const ONLY_LOOKS_AT_CODE: &str =
    "validate verify explain format lint parse analyze analyse check estimate count describe";
/// What makes of a free text such a language.
pub(crate) const LANGUAGES: &[&str] = &[
    "sql",
    "cypher",
    "graphql",
    "javascript",
    "python",
    "shell",
    "bash",
    "command line",
    "aggregation pipeline",
    "typescript",
    "groovy",
    "powershell",
    "spl",
    "n1ql",
    "aql",
    "gremlin",
    "sparql update",
];
