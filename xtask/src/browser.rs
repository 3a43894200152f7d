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
    /// What else has to be on the search path.
    beside: &'static [&'static str],
    /// Where it stands if in no folder of the search path.
    other_paths: &'static [&'static str],
    /// The packages that have it and what drives it.
    packages: &'static [&'static str],
}

/// Chromium, or Chrome.
pub const CHROMIUM: Browser = Browser {
    name: "Chromium",
    variable: "PAGELM_CHROMIUM",
    programs: &["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"],
    beside: &[],
    other_paths: &["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"],
    packages: &["chromium"],
};

/// Firefox.
pub const FIREFOX: Browser = Browser {
    name: "Firefox",
    variable: "PAGELM_FIREFOX",
    programs: &["firefox", "firefox-esr"],
    beside: &[],
    other_paths: &["/Applications/Firefox.app/Contents/MacOS/firefox"],
    packages: &["firefox-esr"],
};

/// WebKit, as GTK has it: its driver, which starts the browser that its library brings, on a screen that nobody sees.
pub const WEBKIT: Browser = Browser {
    name: "WebKit",
    variable: "PAGELM_WEBKIT",
    programs: &["WebKitWebDriver"],
    beside: &["Xvfb"],
    other_paths: &[],
    packages: &["webkit2gtk-driver", "xvfb"],
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
        let Browser { name, variable, packages, .. } = self;
        let packages = packages.join(" ");
        format!(
            "{name} is missing: install it (on Debian: apt-get install --no-install-recommends {packages}), or name its \
             program in {variable}"
        )
    }

    /// What its variable names, else the first of the known names on the search path; `None` if something beside it lacks.
    fn find(&self) -> Option<PathBuf> {
        if let Some(path) = std::env::var_os(self.variable) {
            return Some(path.into());
        }
        if self.beside.iter().any(|name| on_path(name).is_none()) {
            return None;
        }
        let known = self.programs.iter().find_map(|name| on_path(name));
        known.or_else(|| self.other_paths.iter().map(PathBuf::from).find(|path| path.is_file()))
    }

    /// The recommended packages are left out: they are spelling dictionaries and desktop parts that no test needs.
    fn install(&self) -> Result<()> {
        shell::run(&mut apt_get(&["update"]))?;
        shell::run(apt_get(&["install", "-y", "--no-install-recommends"]).args(self.packages))
    }
}

/// A program in a folder of the search path.
fn on_path(name: &str) -> Option<PathBuf> {
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search_path).map(|folder| folder.join(name)).find(|path| path.is_file())
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
