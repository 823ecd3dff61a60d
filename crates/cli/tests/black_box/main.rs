//! The built program, from outside.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod completions;
mod demo;
mod gate;
mod grants;
mod ledger;
mod status;
