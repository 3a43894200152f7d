#![no_main]

#[path = "../../tests/common/fuzzed.rs"]
#[allow(dead_code, reason = "each target uses its part")]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::run(data));
