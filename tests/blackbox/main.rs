//! Black-box tests: the built `callgate` between servers and clients, judged by what each side notices, by what
//! the servers logged, and by the ledger.
//!
//! What the tests need beside the binary they make themselves: the bundled servers are built by cargo, and the
//! real servers and clients are installed below the target folder, once (`support/deps.rs`).

#[cfg(test)]
mod bad_policies;
#[cfg(test)]
mod support;
