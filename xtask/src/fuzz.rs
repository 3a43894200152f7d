//! Fuzzing by cargo-fuzz, which needs the nightly toolchain.

use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::{paths, shell};

/// What there is to fuzz, and the longest input that is tried.
const TARGETS: [(&str, u32); 3] = [("container", 65_536), ("tokenizer", 4_096), ("run", 65_536)];

/// How long, and what.
#[derive(Args)]
pub struct Options {
    /// Minutes for each target
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// The targets: container, tokenizer, run; all of them where none is named
    targets: Vec<String>,
}

/// Runs the targets one after the other; a fault ends it, with the input that showed it.
pub fn run(options: &Options) -> Result<()> {
    let is_there =
        Command::new("cargo").args(["fuzz", "--version"]).output().is_ok_and(|output| output.status.success());
    if !is_there {
        shell::run(shell::cargo().args(["install", "--locked", "cargo-fuzz"]))
            .context("cargo-fuzz could not be installed")?;
    }
    let folder = paths::root().join("fuzz");
    shell::run(shell::cargo().args(["run", "--quiet", "--bin", "seeds"]).current_dir(&folder))?;
    for (target, max_len) in TARGETS {
        if !options.targets.is_empty() && !options.targets.iter().any(|wanted| wanted == target) {
            continue;
        }
        let mut fuzz = Command::new("cargo");
        fuzz.args(["+nightly", "fuzz", "run", target, "--"]);
        fuzz.arg(format!("-max_total_time={}", options.minutes * 60));
        fuzz.arg(format!("-max_len={max_len}"));
        fuzz.args(["-rss_limit_mb=2048", "-malloc_limit_mb=1024", "-timeout=20", "-print_final_stats=1"]);
        shell::run(fuzz.current_dir(&folder)).with_context(|| {
            format!(
                "{target}: put the input that cargo-fuzz names into tests/fixtures/fuzz/{target}, and mend the fault"
            )
        })?;
    }
    Ok(())
}
