//! Black-box tests of the commands around policies: `validate`, `explain`, `test`, `scan`, `check`, `catalog`, `attacks`, `schema`.
#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot be set up has failed"
)]

mod attacks;
mod catalog;
mod catalogue;
mod check;
mod configuration;
mod explain;
mod recommended;
mod scan;
mod server;
mod support;
mod templates;
mod test;
mod validate;
