//! Whether something built is newer than all that it was built from, by modification times.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// Folders that hold what was built or installed, never sources.
const NOT_SOURCES: &[&str] = &["dist", "node_modules", "target", "artifacts"];

/// True if every output exists and none is older than any input. An input folder stands for all that is in it, itself
/// included: removing a file touches the folder.
pub fn is_fresh(outputs: &[&Path], inputs: &[&Path]) -> bool {
    let oldest_output = outputs.iter().map(|path| modified(path)).min().flatten();
    let newest_input = inputs.iter().filter_map(|path| newest(path)).max();
    match (oldest_output, newest_input) {
        (Some(output), Some(input)) => input <= output,
        _ => false,
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn newest(path: &Path) -> Option<SystemTime> {
    let own = modified(path);
    let Ok(entries) = fs::read_dir(path) else { return own };
    let within = entries.flatten().filter(|entry| !is_built(&entry.file_name())).map(|entry| newest(&entry.path()));
    within.chain([own]).flatten().max()
}

fn is_built(name: &std::ffi::OsStr) -> bool {
    NOT_SOURCES.iter().any(|built| name == *built)
}
