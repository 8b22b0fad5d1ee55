#![no_main]

#[path = "../bodies/idx.rs"]
mod idx;

libfuzzer_sys::fuzz_target!(|data: &[u8]| idx::read(data));
