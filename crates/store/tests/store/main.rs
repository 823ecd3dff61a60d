//! The store on real files, in real processes.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks at the records that it is about"
)]

#[cfg(test)]
mod alone;
#[cfg(test)]
mod folder;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod model;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod support;
