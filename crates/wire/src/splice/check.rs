//! The proof that spliced bytes are the original with the edits, and nothing else.

use super::{SpliceError, Touched};
use crate::bounds::Bounds;
use crate::envelope::{Decoded, Message, decode};

/// The proof that is owed of spliced bytes.
#[derive(Debug, Clone)]
#[must_use]
pub struct Check<'m, 'a> {
    original: &'m Message<'a>,
    touched: Touched,
}

impl<'m, 'a> Check<'m, 'a> {
    pub(super) const fn new(original: &'m Message<'a>, touched: Touched) -> Self {
        Self { original, touched }
    }

    /// The spliced bytes, decoded, where they are the original with the edits and nothing else.
    ///
    /// # Errors
    /// [`SpliceError`] where they are not.
    pub fn read<'s>(&self, spliced: &'s [u8], bounds: &Bounds) -> Result<Decoded<'s>, SpliceError> {
        let decoded = decode(spliced, bounds)?;
        let Decoded::Single(message) = &decoded else {
            return Err(SpliceError::Differs { member: "batch" });
        };
        self.touched.compare(self.original, message)?;
        Ok(decoded)
    }
}
