//! Inputs that were once a fault, found by the fuzzers in `fuzz/`: none may be one again.

#[path = "common/fuzzed.rs"]
mod fuzzed;

use std::fs;
use std::path::Path;

/// Replays every file in a target's folder of `tests/fixtures/fuzz`, and some inputs that are there for the test itself.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fuzz").join(name);
    let files = fs::read_dir(&folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
    let mut files: Vec<_> = files.unwrap_or_default();
    files.sort();
    for file in files {
        println!("{}", file.display());
        target(&fs::read(&file).unwrap());
    }
    for input in [&b""[..], b"GGUF", b"GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0c\x01a \xff <|x|> a"] {
        target(input);
    }
}

#[test]
fn containers() {
    replay("container", fuzzed::container);
}

#[test]
fn texts() {
    replay("tokenizer", fuzzed::tokenizer);
}

#[test]
fn whole_runs() {
    replay("run", fuzzed::run);
}
