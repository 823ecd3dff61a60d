//! The catalogue that this program carries.
//!
//! The data lies packed in the program's file. A program that does not ask for it reads none of these pages, so it costs
//! neither memory nor time; [`bundled`] unpacks the index once.

use callgate_catalog::catalogue::{Catalogue, Damaged};
use std::sync::OnceLock;

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/catalogue.bin"));

/// All that is known, unpacked when it is first asked for.
///
/// # Errors
/// [`Damaged`] where the program's file is.
pub fn bundled() -> Result<&'static Catalogue, Damaged> {
    static OPENED: OnceLock<Result<Catalogue, Damaged>> = OnceLock::new();
    OPENED
        .get_or_init(|| Catalogue::open(PACKED))
        .as_ref()
        .map_err(|damaged| *damaged)
}
