#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nodelith_fuzz::yaml::run(bytes));
