//! The npm package and the pages: TypeScript by tsc, pages by Vite.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{fresh, grammar, node, paths, wasm};

/// Everything, up to the static folder www/dist.
pub fn build() -> Result<()> {
    node::require()?;
    wasm::build()?;
    grammar::build()?;
    node::install_packages()?;
    build_package()?;
    build_pages()
}

/// pkg/dist: the client, the worker and their types, beside the engine's builds.
pub fn build_package() -> Result<()> {
    let outputs = [paths::pkg_dist().join("index.js"), paths::pkg_dist().join("worker.js")];
    // The engine's glue, made small along with the rest, is new whenever the engine is.
    let mut inputs = vec![paths::pkg(), paths::root().join("package-lock.json")];
    inputs.extend(wasm::VARIANTS.iter().map(wasm::Variant::named_module));
    inputs.push(grammar::files()[0].clone());
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    if fresh::is_fresh(&[&outputs[0], &outputs[1]], &inputs) {
        return Ok(());
    }
    node::run_script("pkg", "build")
}

/// www/dist: the pages, the engine and the models, all by relative paths.
fn build_pages() -> Result<()> {
    let lock = paths::root().join("package-lock.json");
    let inputs = [paths::www(), paths::pkg_dist(), lock];
    if fresh::is_fresh(&[&paths::www_dist().join("index.html")], &[&inputs[0], &inputs[1], &inputs[2]]) {
        return Ok(());
    }
    node::run_script("www", "build")
}
