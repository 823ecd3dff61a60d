//! Tests of what users of a policy notice: one binary, so that it links once.
#![expect(
    clippy::string_slice,
    reason = "the reader of tests' own JSON steps over quotes it has seen"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test's own policy text has one type at each place"
)]

#[cfg(test)]
mod conditions;
#[cfg(test)]
mod decimals;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod dsl;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod loosening;
#[cfg(test)]
mod play;
#[cfg(test)]
mod properties;
