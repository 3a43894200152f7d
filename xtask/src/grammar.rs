//! The module of grammars: fetched when a text of a given form is asked for, and counted apart from the engine.
//!
//! There is one build. It computes no floats, so what a browser's processor has makes no difference to it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::wasm::{self, TARGET};
use crate::{fresh, opcodes, paths, shell};

/// What cargo and then wasm-bindgen call it.
const NAME: &str = "pagelm_grammar";

/// What ships: the folder in pkg/dist.
pub fn dist() -> PathBuf {
    paths::pkg_dist().join("grammar")
}

/// The files that a page fetches.
pub fn files() -> [PathBuf; 2] {
    [dist().join(format!("{NAME}_bg.wasm")), dist().join(format!("{NAME}.js"))]
}

fn target_dir() -> PathBuf {
    paths::target().join("wasm/grammar")
}

/// Makes the module and puts it into pkg/dist.
pub fn build() -> Result<()> {
    wasm::add_target(TARGET)?;
    let mut cargo = shell::cargo();
    cargo.args(["build", "--target", TARGET, "--profile", "wasm", "--package", "pagelm-grammar", "--lib"]);
    cargo.arg("--target-dir").arg(target_dir());
    shell::run(&mut cargo)?;
    bind()
}

/// Lints what only the browser's build has.
pub fn lint() -> Result<()> {
    wasm::add_target(TARGET)?;
    let mut cargo = shell::cargo();
    cargo.args(["clippy", "--target", TARGET, "--package", "pagelm-grammar", "--lib"]).arg("--target-dir");
    shell::run(cargo.arg(target_dir()).args(["--", "-D", "warnings"]))
}

fn bind() -> Result<()> {
    let compiled = target_dir().join(TARGET).join("wasm").join(format!("{NAME}.wasm"));
    let [module, glue] = files();
    if fresh::is_fresh(&[&module, &glue], &[&compiled, &std::env::current_exe()?]) {
        return Ok(());
    }
    eprintln!("wasm-bindgen: {}", dist().display());
    Bindgen::new()
        .web(true)?
        .input_path(compiled)
        .typescript(false)
        .omit_default_module_path(false)
        .demangle(false)
        .generate(dist())
        .context("wasm-bindgen failed on the module of grammars")?;
    let stripped = opcodes::without_custom_sections(&fs::read(&module)?)?;
    fs::write(&module, stripped).context("cannot write the module of grammars")
}
