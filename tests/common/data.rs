//! The data beside the repository, and tests that are ignored by name where it is missing.

use libtest_mimic::{Failed, Trial};
use std::path::{Path, PathBuf};

/// A file of the data beside the repository.
pub fn shared(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(file)
}

/// All of a file of the data beside the repository.
pub fn read(file: &str) -> Vec<u8> {
    let path = shared(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Little-endian f32.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|raw| f32::from_le_bytes(*raw)).collect()
}

/// A test that is reported as ignored where one of the files it needs is missing.
pub fn needs(files: &[&str], name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    let missing = files.iter().find(|file| !shared(file).is_file());
    let name = missing.map_or(name.into(), |file| format!("{name} (needs ../shared/{file})"));
    always(&name, test).with_ignored_flag(missing.is_some())
}

/// A test that needs nothing.
pub fn always(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok::<(), Failed>(())
    })
}
