//! Documents beside a policy, such as its test file or a configuration: read as strictly as a policy, with
//! findings of the same form, whatever their keys.

pub use crate::diagnostic::{Findings, Hint};
pub use crate::fields::{Fields, join};
pub use crate::json_schema::schema;
pub use crate::read::Genre;
pub use crate::suggest::nearest;
pub use crate::vocabulary::{Table, Takes, Word};

use crate::diagnostic::Diagnostics;
use crate::load::Document;
use crate::read::{self, Read};

/// Reads YAML or JSON without asking what it says.
///
/// # Errors
/// Every error of the text; there is no document then.
pub fn read_document(text: &str, genre: &Genre) -> Result<Document, Diagnostics> {
    let mut findings = Findings::default();
    let read = read::read(text, genre, &mut findings);
    let failed = findings.error_count() > 0;
    match read {
        Some(Read { root, trailing }) if !failed => Ok(Document { root, trailing }),
        Some(_) | None => Err(Diagnostics(findings.finish())),
    }
}
