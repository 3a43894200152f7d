//! `cargo xtask conformance`: every architecture and every weight format against transformers and native llama.cpp, natively
//! and in Chromium.
//!
//! What is compared is made and computed by `tests/conformance/*.py`; this installs what they need, in the versions below,
//! into `target/conformance`, and runs them. The results go to `docs/conformance.md`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::browser::CHROMIUM;
use crate::{defects, node, paths, shell, train, web};

/// The reference, and what writes files. PyPI's torch brings libraries for GPUs that are not used here.
const PACKAGES: [&str; 4] = ["torch==2.15.0", "transformers==5.24.0", "gguf==0.19.0", "numpy==2.4.6"];

/// What is to be done.
#[derive(Args)]
pub struct Options {
    /// Also record anew what `cargo test` compares with
    #[arg(long)]
    record: bool,
    /// Only these models, and no report
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only plant the defects, and write the report with the last comparison's results
    #[arg(long)]
    defects: bool,
}

/// Compares everything and writes the report.
pub fn run(options: &Options) -> Result<()> {
    let folder = paths::target().join("conformance");
    let files = folder.join("files");
    let python = train::environment(&folder.join("venv"), &PACKAGES)?;
    if options.defects {
        return plant(&files, &python);
    }
    if options.record {
        shell::run(script(&python, "record.py").args(&options.only))?;
        shell::run(&mut script(&python, "sites.py"))?;
        shell::run(&mut script(&python, "block.py"))?;
    }
    let llama = native_llama(&folder)?;
    shell::run(shell::cargo().args(["build", "--package", "pagelm-cli"]))?;
    let engine = paths::target().join("debug").join(format!("pagelm{}", std::env::consts::EXE_SUFFIX));
    let mut compare = script(&python, "run.py");
    compare.arg(&files).arg("--engine").arg(&engine).arg("--llama").arg(&llama);
    if !options.only.is_empty() {
        return shell::run(compare.arg("--only").args(&options.only));
    }
    shell::run(&mut compare)?;
    in_chromium(&files, &engine)?;
    plant(&files, &python)
}

/// Plants the defects, then writes the report.
fn plant(files: &Path, python: &Path) -> Result<()> {
    let caught = defects::run()?;
    let lines: Vec<String> = caught.iter().map(|(what, n)| format!("{n}\t{what}\n")).collect();
    fs::write(files.join("defects.tsv"), lines.concat()).context("cannot write the list of defects")?;
    shell::run(script(python, "report.py").arg(files))
}

fn script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(paths::root().join("tests/conformance").join(name)).current_dir(paths::root());
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("TRANSFORMERS_VERBOSITY", "error");
    command
}

/// A program that prints llama.cpp's logits, linked with the libraries that the benchmark builds.
fn native_llama(folder: &Path) -> Result<PathBuf> {
    let mut build = Command::new("python3");
    shell::run(build.arg("bench/native.py").arg("build").current_dir(paths::root()))?;
    let llama = paths::target().join("bench/llama.cpp");
    let mut sources = fs::read_dir(llama.join("archive"))?;
    let Some(sources) = sources.next().transpose()? else { bail!("llama.cpp's sources are missing") };
    let sources = sources.path().join("vendor/llama.cpp");
    let program = folder.join("native");
    let mut compiler = Command::new("c++");
    compiler.args(["-O1", "-std=c++17"]).arg(paths::root().join("tests/conformance/native.cpp"));
    for include in ["include", "ggml/include"] {
        compiler.arg("-I").arg(sources.join(include));
    }
    for library in ["src/libllama.a", "ggml/src/libggml.a", "ggml/src/libggml-cpu.a", "ggml/src/libggml-base.a"] {
        compiler.arg(llama.join(library));
    }
    shell::run(compiler.args(["-lgomp", "-lpthread", "-ldl", "-lm", "-o"]).arg(&program))?;
    Ok(program)
}

/// Every file again in Chromium, in every build: the bits must be those of the native command.
fn in_chromium(files: &Path, engine: &Path) -> Result<()> {
    web::build()?;
    node::install_packages()?;
    let Some(chromium) = CHROMIUM.program()? else { bail!(CHROMIUM.how_to_get()) };
    let mut script = node::script_command("tests/browser", "test");
    script.args(["--", "conformance"]).env("PAGELM_CONFORMANCE", files).env("PAGELM_NATIVE", engine);
    shell::run(script.env(CHROMIUM.variable, chromium))
}
