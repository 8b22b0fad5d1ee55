#![no_main]

#[path = "../bodies/tables.rs"]
mod tables;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tables::read(data));
