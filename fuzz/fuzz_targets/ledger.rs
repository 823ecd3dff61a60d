//! `cargo +nightly fuzz run ledger`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| callgate_ledger::fuzzing::fuzz_ledger(data));
