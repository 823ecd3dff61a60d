//! Names that have been checked once, at the edge.

use std::fmt;
use std::sync::Arc;

/// A name that was empty, or longer than its kind may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was left of it.
    #[error("a {kind} must not be empty")]
    Empty {
        /// Which kind of name it was to be.
        kind: &'static str,
    },
    /// More bytes than [`NAME_BYTES_MAX`].
    #[error("a {kind} may have at most {NAME_BYTES_MAX} bytes, this one has {length}")]
    TooLong {
        /// Which kind of name it was to be.
        kind: &'static str,
        /// Its length in bytes.
        length: usize,
    },
}

/// The longest name accepted, in bytes.
pub const NAME_BYTES_MAX: usize = 1024;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks a text and keeps it.
            ///
            /// # Errors
            /// [`NameError`] where the text is empty or too long.
            pub fn new(text: &str) -> Result<Self, NameError> {
                match text.len() {
                    0 => Err(NameError::Empty { kind: $kind }),
                    length if length > NAME_BYTES_MAX => Err(NameError::TooLong { kind: $kind, length }),
                    _ => Ok(Self(text.into())),
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A tool's name as its own server lists it.
    ToolName,
    "tool name"
);
name!(
    /// A server's configured name.
    ServerName,
    "server name"
);
name!(
    /// What identifies a grant.
    GrantId,
    "grant id"
);
name!(
    /// What identifies a session that Callgate itself keeps.
    SessionId,
    "session id"
);
name!(
    /// A limit's counter.
    CounterName,
    "counter name"
);

/// Where a rule stands: a JSON Pointer (RFC 6901) into its policy. Empty for what no rule says, such as
/// a tool that the server does not list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RuleId(Arc<str>);

impl RuleId {
    /// A rule at this pointer.
    #[must_use]
    pub fn new(pointer: &str) -> Self {
        Self(pointer.into())
    }

    /// The pointer as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
