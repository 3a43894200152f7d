//! `cargo xtask test`: everything that runs the engine, from unit tests to real browsers.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::browser::{Browser, CHROMIUM, FIREFOX, WEBKIT};
use crate::stages::{Outcome, Stages};
use crate::wasm::{self, TEST_TARGET, VARIANTS};
use crate::{bench, node, paths, shell, train, web};

/// Runs every test, and fails if one does. What cannot run here is skipped by name; unattended (`CI=true`), it fails.
pub fn run() -> Result<()> {
    let mut stages = Stages::default();
    stages.run("Rust: unit, integration and doc tests", || shell::run(shell::cargo().args(["test", "--workspace"])));
    stages.run_or_skip("Rust: unit tests of the wasm builds, in Chromium", || with_browsers(&[CHROMIUM], test_wasm));
    if stages.run("build of the page", web::build) {
        stages.run("TypeScript: package", || test_script("pkg"));
        stages.run("TypeScript: pages", || test_script("www"));
        stages.run("TypeScript: benchmark", test_bench);
        stages.run_or_skip("browsers: Chromium and Firefox", || with_browsers(&[CHROMIUM, FIREFOX], test_browser));
        stages.run_or_skip("browsers: WebKit", || with_browsers(&[WEBKIT], test_webkit));
    } else {
        for name in NEED_THE_PAGE {
            stages.blocked(name, "build of the page");
        }
    }
    stages.run_or_skip("Python: training code", train::unit_tests);
    stages.finish()
}

/// Stages that test what was built.
const NEED_THE_PAGE: [&str; 5] = [
    "TypeScript: package",
    "TypeScript: pages",
    "TypeScript: benchmark",
    "browsers: Chromium and Firefox",
    "browsers: WebKit",
];

/// Flags of Chromium that take processor features away, so that each lowering of the relaxed dot product is met that this
/// processor has. The tests say which way they took.
const RELAXED_LOWERINGS: [&str; 2] = ["", "--js-flags=--no-enable-avx-vnni"];

/// The engine's unit tests as WebAssembly, in Chromium: the kernels that only these builds have meet their oracle.
fn test_wasm(browsers: &[PathBuf]) -> Result<()> {
    node::install_packages()?;
    wasm::add_target(TEST_TARGET)?;
    let runner = paths::root().join("tests/browser/wasm-runner.mjs");
    // Threads change nothing in the kernels, and WASI without threads cannot run their builds.
    VARIANTS.iter().filter(|variant| !variant.has_threads()).try_for_each(|variant| {
        let lowerings: &[&str] = if variant.is_relaxed() { &RELAXED_LOWERINGS } else { &[""] };
        lowerings.iter().try_for_each(|flags| {
            let mut cargo = variant.cargo("test", TEST_TARGET);
            cargo.args(["--package", "pagelm", "--package", "pagelm-kernels", "--lib"]);
            cargo.arg("--config").arg(format!("target.{TEST_TARGET}.runner=[\"node\", {runner:?}]"));
            cargo.env(CHROMIUM.variable, &browsers[0]).env("PAGELM_CHROMIUM_FLAGS", flags);
            shell::run(&mut cargo).with_context(|| format!("the {} build", variant.name))
        })
    })
}

fn test_script(workspace: &str) -> Result<()> {
    node::run_script(workspace, "check")?;
    node::run_script(workspace, "test")
}

/// What the benchmark computes by itself: neither its peers nor their packages are needed for that.
fn test_bench() -> Result<()> {
    for script in ["check", "test"] {
        shell::run(&mut node::script_command_in(&bench::folder(), script))?;
    }
    Ok(())
}

fn test_browser(browsers: &[PathBuf]) -> Result<()> {
    let mut script = browser_script()?;
    // WebKit has a stage of its own, for it is there on fewer machines.
    script.args(["--", "--exclude", "test/webkit.test.ts"]);
    shell::run(script.env(CHROMIUM.variable, &browsers[0]).env(FIREFOX.variable, &browsers[1]))
}

fn test_webkit(browsers: &[PathBuf]) -> Result<()> {
    shell::run(browser_script()?.args(["--", "webkit"]).env(WEBKIT.variable, &browsers[0]))
}

/// The browser tests, with the native command, which is what the page is compared with.
fn browser_script() -> Result<Command> {
    node::run_script("tests/browser", "check")?;
    shell::run(shell::cargo().args(["build", "--package", "pagelm-cli"]))?;
    let native = paths::target().join("debug").join(format!("pagelm{}", std::env::consts::EXE_SUFFIX));
    let mut script = node::script_command("tests/browser", "test");
    script.env("PAGELM_NATIVE", native);
    Ok(script)
}

/// Runs a test that needs browsers. Where one is missing, it is skipped; unattended, that is a failure.
fn with_browsers(browsers: &[Browser], test: impl FnOnce(&[PathBuf]) -> Result<()>) -> Result<Outcome> {
    let mut programs = Vec::new();
    for browser in browsers {
        match browser.program()? {
            Some(program) => programs.push(program),
            None if shell::is_ci() => bail!(browser.how_to_get()),
            None => return Ok(Outcome::Skipped(browser.how_to_get())),
        }
    }
    test(&programs).map(|()| Outcome::Passed)
}
