#![no_main]

#[path = "../bodies/torch_file.rs"]
mod torch_file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| torch_file::read(data));
