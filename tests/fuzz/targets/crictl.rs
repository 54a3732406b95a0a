#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nodelith_fuzz::crictl::run(bytes));
