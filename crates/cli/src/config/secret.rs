//! A value that is never shown.

use std::fmt;

/// A resolved value, of which only [`Secret::reveal`] tells anything.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Box<str>);

impl Secret {
    /// Keeps a value.
    pub(crate) fn new(value: String) -> Self {
        Self(value.into_boxed_str())
    }

    /// The value, for whom it was meant.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
