#![no_main]

#[path = "../bodies/experiment.rs"]
mod experiment;
#[path = "../mutate.rs"]
mod mutate;

libfuzzer_sys::fuzz_target!(|data: &[u8]| experiment::read(data));

// Bytes changed blindly are seldom TOML: half of the changes are of a whole word or line.
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    match mutate::text(&data[..size], seed) {
        Some(text) if seed % 2 == 0 && text.len() <= max_size => {
            data[..text.len()].copy_from_slice(text.as_bytes());
            text.len()
        }
        _ => libfuzzer_sys::fuzzer_mutate(data, size, max_size),
    }
});
