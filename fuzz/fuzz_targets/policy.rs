//! `cargo +nightly fuzz run policy`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| callgate_policy::fuzzing::fuzz_policy(data));
