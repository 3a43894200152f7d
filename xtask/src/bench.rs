//! `cargo xtask bench`: this engine, its peers and native llama.cpp side by side.
//!
//! The peers are installed into `bench/` and `target/bench/` when this runs, and by nothing else: who builds or tests the
//! engine does not wait for them. The measuring itself is `bench/src/main.ts`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use wasm_bindgen_cli_support::Bindgen;

use crate::browser::{CHROMIUM, FIREFOX};
use crate::{fresh, node, paths, shell, wasm, web};

/// What is to be measured.
#[derive(Args)]
pub struct Options {
    /// One round of fewer models, for a first look
    #[arg(long)]
    quick: bool,
    /// Only models whose name matches
    #[arg(long, value_name = "REGEX")]
    models: Option<String>,
    /// Only engines whose name matches
    #[arg(long, value_name = "REGEX")]
    engines: Option<String>,
    /// How often each engine measures each model; 3 without it
    #[arg(long)]
    rounds: Option<u32>,
    /// For the browser's command line, such as "--js-flags=--no-enable-avx-vnni"
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    chromium_flags: Option<String>,
    /// chromium or firefox
    #[arg(long)]
    browser: Option<String>,
    /// Let another process keep one core busy meanwhile
    #[arg(long)]
    busy_core: bool,
    /// Show where this engine's time goes, function by function and thread by thread, instead of measuring
    #[arg(long)]
    profile: bool,
    /// Where the record goes, instead of bench/records
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Options {
    /// The same, for the program that measures.
    fn to_args(&self) -> Vec<String> {
        let values = [
            ("models", self.models.clone()),
            ("engines", self.engines.clone()),
            ("rounds", self.rounds.map(|rounds| rounds.to_string())),
            ("chromium-flags", self.chromium_flags.clone()),
            ("browser", self.browser.clone()),
            ("out", self.out.as_ref().map(|path| absolute(path).display().to_string())),
        ];
        let given = values.into_iter().filter_map(|(name, value)| value.map(|value| format!("--{name}={value}")));
        let switches = [("--quick", self.quick), ("--busy-core", self.busy_core), ("--profile", self.profile)];
        let on = switches.into_iter().filter(|(_, on)| *on).map(|(switch, _)| switch.to_owned());
        on.chain(given).collect()
    }
}

/// Makes everything that is measured, then measures it.
pub fn run(options: &Options) -> Result<()> {
    web::build()?;
    node::install_packages_in(&folder())?;
    node::install_packages_in(&folder().join("report"))?;
    build_candle()?;
    make_models()?;
    measure(options)
}

/// The benchmark's folder, which has npm packages of its own.
pub fn folder() -> PathBuf {
    paths::root().join("bench")
}

/// The user's path is relative to where the user is, the program's to where the program runs.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// candle has no package for the browser: `bench/candle` makes one of it.
fn build_candle() -> Result<()> {
    wasm::add_target(wasm::TARGET)?;
    let target = paths::target().join("bench/candle");
    let mut cargo = shell::cargo();
    cargo.args(["build", "--release", "--locked", "--target", wasm::TARGET, "--config"]);
    cargo.arg(format!("target.{}.rustflags=[\"-C\", \"target-feature=+simd128\"]", wasm::TARGET));
    cargo.arg("--manifest-path").arg(folder().join("candle/Cargo.toml")).arg("--target-dir").arg(&target);
    shell::run(&mut cargo)?;
    let module = target.join(wasm::TARGET).join("release/pagelm_bench_candle.wasm");
    let bound = target.join("pkg");
    if fresh::is_fresh(&[&bound.join("pagelm_bench_candle.js")], &[&module]) {
        return Ok(());
    }
    Bindgen::new()
        .web(true)?
        .input_path(module)
        .typescript(false)
        .omit_default_module_path(false)
        .remove_name_section(true)
        .generate(bound)
        .context("wasm-bindgen failed on bench/candle")
}

/// Native llama.cpp, which quantizes the synthetic models too, and the models in both kinds of file.
fn make_models() -> Result<()> {
    for script in [&["native.py", "build"][..], &["models.py"], &["onnx_models.py"]] {
        let mut python = Command::new("python3");
        python.arg(folder().join(script[0])).args(&script[1..]).current_dir(paths::root());
        shell::run(&mut python)?;
    }
    Ok(())
}

fn measure(options: &Options) -> Result<()> {
    let mut bench = node::script_command_in(&folder(), "bench");
    bench.arg("--").args(options.to_args());
    let browser = if options.browser.as_deref() == Some("firefox") { FIREFOX } else { CHROMIUM };
    if let Some(program) = browser.program()? {
        bench.env(browser.variable, program);
    }
    shell::run(&mut bench)
}
