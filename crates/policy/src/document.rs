//! A document beside a policy, such as its test file: read as strictly as a policy, whatever its keys.

use crate::diagnostic::{Diagnostics, Findings};
use crate::load::Document;
use crate::read::{self, Read};

/// Reads YAML or JSON without asking what it says.
///
/// # Errors
/// Every error of the text; there is no document then.
pub fn read_document(text: &str) -> Result<Document, Diagnostics> {
    let mut findings = Findings::default();
    let read = read::read(text, &mut findings);
    let failed = findings.error_count() > 0;
    match read {
        Some(Read { root, trailing }) if !failed => Ok(Document { root, trailing }),
        Some(_) | None => Err(Diagnostics(findings.finish())),
    }
}
