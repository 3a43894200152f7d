//! Node.js and the npm packages of the workspaces pkg, www and tests/browser.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{paths, shell};

/// The oldest Node.js that the build tools (Vite) run on.
const MIN_VERSION: (u32, u32) = (20, 19);

const HOW_TO_GET: &str = "Install it from https://nodejs.org or by your system's package manager, and run this again.";

/// Fails with a plain word if Node.js is missing or too old.
pub fn require() -> Result<()> {
    let (major, minor) = MIN_VERSION;
    let Some(version) = shell::output(Command::new("node").arg("--version"))? else {
        bail!("Node.js is missing: the page is built by it (version {major}.{minor} or newer). {HOW_TO_GET}");
    };
    if parse_version(&version).is_some_and(|version| version < MIN_VERSION) {
        bail!("Node.js {version} is too old: the build needs {major}.{minor} or newer. {HOW_TO_GET}");
    }
    Ok(())
}

/// Installs the npm packages that package-lock.json names, unless they are there.
pub fn install_packages() -> Result<()> {
    require()?;
    install_packages_in(&paths::root())
}

/// The same for a folder that has a package-lock.json of its own.
pub fn install_packages_in(folder: &Path) -> Result<()> {
    let lock = fs::read(folder.join("package-lock.json")).context("cannot read package-lock.json")?;
    // A copy of the lock file that was installed last: node_modules is stale exactly when it differs.
    let stamp = folder.join("node_modules/.installed-lock.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    shell::run(npm(["ci", "--no-audit", "--no-fund"]).current_dir(folder))?;
    fs::write(&stamp, lock).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Runs a script of one workspace's package.json.
pub fn run_script(workspace: &str, script: &str) -> Result<()> {
    shell::run(&mut script_command(workspace, script))
}

/// The command that runs a script of one workspace's package.json.
pub fn script_command(workspace: &str, script: &str) -> Command {
    npm(["run", "--silent", "--workspace", workspace, script])
}

/// The command that runs a script of a package.json that is no workspace.
pub fn script_command_in(folder: &Path, script: &str) -> Command {
    let mut command = npm(["run", "--silent", script]);
    command.current_dir(folder);
    command
}

fn npm<const N: usize>(args: [&str; N]) -> Command {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let mut command = Command::new(OsStr::new(program));
    command.args(args).current_dir(paths::root());
    command
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(parse_version("v20.20.2"), Some((20, 20)));
        assert!(parse_version("v9.30.0").unwrap() < MIN_VERSION);
        assert!(parse_version("v22.1.0").unwrap() > MIN_VERSION);
        assert_eq!(parse_version("nonsense"), None);
    }
}
