//! The browser that the browser tests drive.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// Names that Chromium and its relatives go by.
const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"];
const MAC_PATH: &str = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";

/// A Chromium that is there, or that can be installed without asking anyone; `None` where neither is so.
pub fn chromium() -> Result<Option<PathBuf>> {
    if let Some(path) = find() {
        return Ok(Some(path));
    }
    if !can_install()? {
        return Ok(None);
    }
    install().context("cannot install Chromium")?;
    Ok(find())
}

/// `PAGELM_CHROMIUM`, else the first of the known names on the search path.
fn find() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("PAGELM_CHROMIUM") {
        return Some(path.into());
    }
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&search_path).collect();
    let on_path = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    on_path.chain([PathBuf::from(MAC_PATH)]).find(|path| path.is_file())
}

/// Only on Debian and its relatives, and only as root: nothing is ever asked.
fn can_install() -> Result<bool> {
    let has_apt = Path::new("/usr/bin/apt-get").is_file();
    Ok(has_apt && shell::output(Command::new("id").arg("-u"))?.as_deref() == Some("0"))
}

/// The recommended packages are left out: they are spelling dictionaries and desktop parts that no test needs.
fn install() -> Result<()> {
    shell::run(&mut apt_get(&["update"]))?;
    shell::run(&mut apt_get(&["install", "-y", "--no-install-recommends", "chromium"]))
}

fn apt_get(args: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
    command
}
