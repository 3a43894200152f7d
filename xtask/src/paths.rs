//! Where things are in this repository.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository").to_path_buf()
}

/// Cargo's target folder: `CARGO_TARGET_DIR` where it is set.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The npm package.
pub fn pkg() -> PathBuf {
    root().join("pkg")
}

/// What the npm package ships.
pub fn pkg_dist() -> PathBuf {
    pkg().join("dist")
}

/// The pages.
pub fn www() -> PathBuf {
    root().join("www")
}

/// The static folder that `cargo xtask build` makes.
pub fn www_dist() -> PathBuf {
    www().join("dist")
}
