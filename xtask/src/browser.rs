//! The browsers that the browser tests drive.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// A browser: where it is looked for, and how Debian calls it.
pub struct Browser {
    /// What people call it.
    pub name: &'static str,
    /// The environment variable that names its program.
    pub variable: &'static str,
    /// Names that it and its relatives go by.
    programs: &'static [&'static str],
    mac_path: &'static str,
    package: &'static str,
}

/// Chromium, or Chrome.
pub const CHROMIUM: Browser = Browser {
    name: "Chromium",
    variable: "PAGELM_CHROMIUM",
    programs: &["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"],
    mac_path: "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    package: "chromium",
};

/// Firefox.
pub const FIREFOX: Browser = Browser {
    name: "Firefox",
    variable: "PAGELM_FIREFOX",
    programs: &["firefox", "firefox-esr"],
    mac_path: "/Applications/Firefox.app/Contents/MacOS/firefox",
    package: "firefox-esr",
};

impl Browser {
    /// Its program, that is there or can be installed without asking anyone; `None` where neither is so.
    pub fn program(&self) -> Result<Option<PathBuf>> {
        if let Some(path) = self.find() {
            return Ok(Some(path));
        }
        if !can_install()? {
            return Ok(None);
        }
        self.install().with_context(|| format!("cannot install {}", self.name))?;
        Ok(self.find())
    }

    /// What to do where there is none.
    pub fn how_to_get(&self) -> String {
        let Browser { name, variable, package, .. } = self;
        format!(
            "{name} is missing: install it (on Debian: apt-get install --no-install-recommends {package}), or name its \
             program in {variable}"
        )
    }

    /// What its variable names, else the first of the known names on the search path.
    fn find(&self) -> Option<PathBuf> {
        if let Some(path) = std::env::var_os(self.variable) {
            return Some(path.into());
        }
        let search_path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&search_path).collect();
        let on_path = self.programs.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        on_path.chain([self.mac_path.into()]).find(|path| path.is_file())
    }

    /// The recommended packages are left out: they are spelling dictionaries and desktop parts that no test needs.
    fn install(&self) -> Result<()> {
        shell::run(&mut apt_get(&["update"]))?;
        shell::run(&mut apt_get(&["install", "-y", "--no-install-recommends", self.package]))
    }
}

/// Only on Debian and its relatives, and only as root: nothing is ever asked.
fn can_install() -> Result<bool> {
    let has_apt = Path::new("/usr/bin/apt-get").is_file();
    Ok(has_apt && shell::output(Command::new("id").arg("-u"))?.as_deref() == Some("0"))
}

fn apt_get(args: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
    command
}
