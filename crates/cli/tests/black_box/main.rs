//! The built program, from outside.

mod completions;
mod demo;
mod gate;
mod ledger;
mod status;
