//! What is wrong, or worth knowing, about a policy: where, why, and what to write instead.

mod render;

pub use render::Style;

use crate::bounds::DIAGNOSTICS_MAX;
use crate::span::Span;
use serde::Serialize;
use std::fmt;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The policy does not load.
    Error,
    /// The policy loads; its author should know.
    Warning,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $slug:literal),+ $(,)?) => {
        /// What kind of finding it is. The slug is a promise: it stays what it is over versions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant),+
        }

        impl Code {
            /// All kinds, by their order in the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable slug.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug),+ }
            }

            /// What it means, in a sentence or two.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc, "\n"),+)),+ }
            }
        }
    };
}

codes! {
    /// The text is larger than a policy may be.
    TooLarge = "too-large",
    /// The text is no YAML or JSON.
    Syntax = "syntax",
    /// Mappings and lists nest deeper than they may.
    TooDeep = "too-deep",
    /// Aliases write out to more than they may.
    AliasBomb = "alias-bomb",
    /// An alias stands inside what it repeats.
    AliasCycle = "alias-cycle",
    /// A merge key `<<`, which YAML 1.2 does not have.
    MergeKey = "merge-key",
    /// A tag such as `!!str`.
    Tag = "tag",
    /// A second document in the same file.
    ManyDocuments = "many-documents",
    /// A key that is not a string.
    KeyType = "key-type",
    /// A key that stands twice in one mapping.
    DuplicateKey = "duplicate-key",
    /// A number in a spelling that tools read differently, or that is not finite.
    NumberSpelling = "number-spelling",
    /// A bare `yes`, `no`, `on` or `off`, which is a string in YAML 1.2.
    BooleanWord = "boolean-word",
    /// A key that the language does not have.
    UnknownKey = "unknown-key",
    /// A key that another key of the same mapping rules out.
    Conflict = "conflict",
    /// A key that has to be there and is not.
    MissingKey = "missing-key",
    /// A value of a type that the key does not take.
    WrongType = "wrong-type",
    /// A value that is none of the words the key takes.
    UnknownWord = "unknown-word",
    /// A list, mapping or text that is empty where it may not be.
    Empty = "empty",
    /// A text that is too long.
    TooLong = "too-long",
    /// More rules than a policy may have.
    TooManyRules = "too-many-rules",
    /// A version of the language that does not exist.
    UnsupportedVersion = "unsupported-version",
    /// No `version`.
    NoVersion = "no-version",
    /// No `default`, so tools that the policy does not name are allowed.
    NoDefault = "no-default",
    /// Methods other than tool calls pass unjudged.
    MethodsPass = "methods-pass",
    /// A key that is kept but has no effect.
    NotInForce = "not-in-force",
    /// An operator that the language does not have.
    UnknownOperator = "unknown-operator",
    /// A value that the operator cannot take.
    OperatorValue = "operator-value",
    /// A regular expression that cannot be used.
    Regex = "regex",
    /// A glob that cannot be used.
    Glob = "glob",
    /// A path that leads nowhere.
    Path = "path",
    /// A number that is not kept exactly.
    Number = "number",
    /// A window that is none.
    Window = "window",
    /// A duration that is none.
    Duration = "duration",
    /// An amount that no limit can use.
    Amount = "amount",
    /// A CEL expression that cannot be used.
    Cel = "cel",
    /// A counter in a place that cannot ask about it.
    StatePlace = "state-place",
    /// A counter that no rule keeps.
    StateUnknown = "state-unknown",
    /// A counter that two limits would keep at the same time.
    DuplicateCounter = "duplicate-counter",
    /// A limit that never counts anything.
    LimitNeverCounts = "limit-never-counts",
    /// A list that nobody has filled in, so that no call meets its condition.
    Unfilled = "unfilled",
    /// A condition that can never be true.
    NeverMatches = "never-matches",
    /// A condition that is always true.
    AlwaysMatches = "always-matches",
    /// A rule that is never reached.
    Unreachable = "unreachable",
    /// The same name for two rules of one tool.
    DuplicateName = "duplicate-name",
    /// The same entry twice in one list.
    DuplicateEntry = "duplicate-entry",
    /// Two globs of the same weight that match the same name.
    GlobTie = "glob-tie",
    /// A rule that lets calls pass because of what the server says of itself.
    AnnotationTrust = "annotation-trust",
    /// A limit by the calendar, which lets up to twice `max` through around a boundary.
    CalendarAlignment = "calendar-alignment",
    /// A limit by session, which a new session renews.
    SessionScope = "session-scope",
    /// A shadow rule or policy, which records and denies nothing.
    ShadowMode = "shadow-mode",
    /// A tool that the server does not list.
    UnknownTool = "unknown-tool",
    /// A pattern that none of the server's tools matches.
    UnusedGlob = "unused-glob",
    /// An argument that the tool's schema does not have.
    UnknownArgument = "unknown-argument",
    /// An argument that a call may leave out, and then the rule does not apply.
    OptionalArgument = "optional-argument",
    /// A tool whose input schema cannot be used for validation.
    UnusableSchema = "unusable-schema",
    /// A name of a server, policy, host, header or variable that cannot be one.
    Name = "name",
    /// A name that nothing in the file declares.
    UnknownName = "unknown-name",
    /// An address that cannot be listened on.
    Address = "address",
    /// A URL at which no server can be.
    Url = "url",
    /// A `${…}` that is misspelt, leads nowhere, or stands where none is resolved.
    Reference = "reference",
    /// A value that a header, a variable or an argument cannot hold.
    Unsendable = "unsendable",
    /// A file that cannot be read.
    File = "file",
    /// A policy file that has errors of its own.
    InvalidPolicy = "invalid-policy",
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.slug())
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How grave it is.
    pub severity: Severity,
    /// What kind it is.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to write instead, or what follows from it.
    pub hint: Option<String>,
    /// The part of the policy it is about, as a JSON Pointer; empty for the whole.
    pub pointer: String,
}

/// The findings that keep a policy from loading, with the warnings among them, by their place in the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors: Vec<_> = self.errors().collect();
        match errors.as_slice() {
            [] => f.write_str("the policy has no errors"),
            [first, rest @ ..] => {
                write!(f, "line {}: {}", first.span.line, first.message)?;
                match rest.len() {
                    0 => Ok(()),
                    1 => f.write_str(" (and one more error)"),
                    more => write!(f, " (and {more} more errors)"),
                }
            }
        }
    }
}

impl std::error::Error for Diagnostics {}

impl Diagnostics {
    /// The errors alone.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter().filter(|found| found.severity == Severity::Error)
    }
}

/// Gathers findings while a document is read.
#[derive(Debug, Default)]
pub struct Findings {
    found: Vec<Diagnostic>,
    dropped: usize,
    errors: usize,
}

impl Findings {
    /// Adds what keeps the document from being used.
    pub fn error(&mut self, code: Code, span: Span, pointer: &str, message: impl Into<String>) -> Hint<'_> {
        self.add(Severity::Error, code, span, pointer, message.into())
    }

    /// Adds what the document's author should know.
    pub fn warn(&mut self, code: Code, span: Span, pointer: &str, message: impl Into<String>) -> Hint<'_> {
        self.add(Severity::Warning, code, span, pointer, message.into())
    }

    /// Adds the same, unless this place has it already: an alias stands for one place.
    pub fn warn_once(
        &mut self,
        code: Code,
        span: Span,
        pointer: &str,
        message: impl Into<String>,
    ) -> Hint<'_> {
        match self
            .found
            .iter()
            .any(|found| found.code == code && found.span == span)
        {
            true => Hint(None),
            false => self.warn(code, span, pointer, message),
        }
    }

    fn add(
        &mut self,
        severity: Severity,
        code: Code,
        span: Span,
        pointer: &str,
        message: String,
    ) -> Hint<'_> {
        if severity == Severity::Error {
            self.errors += 1;
        }
        // The first error is always kept, whatever stood before it.
        if self.found.len() >= DIAGNOSTICS_MAX && !(severity == Severity::Error && self.errors == 1) {
            self.dropped += 1;
            return Hint(None);
        }
        self.found.push(Diagnostic {
            severity,
            code,
            message,
            span,
            hint: None,
            pointer: pointer.to_owned(),
        });
        Hint(self.found.last_mut())
    }

    /// How many errors there are so far.
    #[must_use]
    pub const fn error_count(&self) -> usize {
        self.errors
    }

    /// All of them, by their place in the text.
    #[must_use]
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|found| (found.span.start, found.severity));
        if self.dropped > 0
            && let Some(last) = self.found.last_mut()
        {
            let more = format!("{} more findings are not shown", self.dropped);
            last.hint = Some(match last.hint.take() {
                Some(hint) => format!("{hint}; {more}"),
                None => more,
            });
        }
        self.found
    }
}

/// The finding that was just made, to which a hint may be added.
#[derive(Debug)]
pub struct Hint<'f>(Option<&'f mut Diagnostic>);

impl Hint<'_> {
    /// Says what to write instead.
    pub fn hint(self, hint: impl Into<String>) {
        if let Some(found) = self.0 {
            found.hint = Some(hint.into());
        }
    }

    /// Says what to write instead, where that is known.
    pub fn maybe(self, hint: Option<String>) {
        if let Some(hint) = hint {
            self.hint(hint);
        }
    }
}
