//! `cargo +nightly fuzz run passing`
#![no_main]

#[path = "../bodies/passing.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::fuzz_passing(data));
