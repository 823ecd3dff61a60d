//! MCP servers for black-box tests and the bench, well-behaved and not; never shipped.
//!
//! Each server writes every message it receives, verbatim and before it acts, to a log that a test compares with
//! the ledger ([`log`]).

pub mod log;
pub mod protocol;
pub mod shell;
pub mod tools;
