//! `cargo xtask check`: what can be told without running the engine.

use anyhow::Result;

use crate::stages::Stages;
use crate::wasm::{self, TARGET, VARIANTS};
use crate::{bench, grammar, node, opcodes, shell, size, web};

/// Runs every check, and fails if one of them does.
pub fn run() -> Result<()> {
    let mut stages = Stages::default();
    stages.run("formatting", || shell::run(shell::cargo().args(["fmt", "--all", "--check"])));
    stages.run("lints", lint);
    stages.run("lints of the wasm builds", lint_wasm);
    stages.run("documentation", document);
    stages
        .run("import order", || shell::run(shell::cargo().args(["test", "--package", "pagelm", "--test", "layering"])));
    stages.run("types of the pages", check_types);
    if stages.run("build", web::build) {
        stages.run("size gate", || size::check(&VARIANTS));
        stages.run("disassembly", || opcodes::check(&VARIANTS));
    } else {
        stages.blocked("size gate", "build");
        stages.blocked("disassembly", "build");
    }
    stages.finish()
}

fn lint() -> Result<()> {
    shell::run(shell::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn lint_wasm() -> Result<()> {
    wasm::add_target(TARGET)?;
    VARIANTS.iter().try_for_each(|variant| {
        shell::run(variant.cargo("clippy", TARGET).args(["--package", "pagelm", "--lib", "--", "-D", "warnings"]))
    })?;
    grammar::lint()
}

fn document() -> Result<()> {
    let mut cargo = shell::cargo();
    cargo.args(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    shell::run(cargo.env("RUSTDOCFLAGS", "-D warnings"))
}

/// The pages' types refer to the package's, which tsc makes from its sources.
fn check_types() -> Result<()> {
    node::install_packages()?;
    node::run_script("pkg", "check")?;
    web::build_package()?;
    node::run_script("www", "check")?;
    node::run_script("tests/browser", "check")?;
    shell::run(&mut node::script_command_in(&bench::folder(), "check"))
}
