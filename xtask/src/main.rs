//! `cargo xtask …`: everything one does with this repository, by one command each.
//!
//! Each module is one concern; `main` only reads the command line. What a command starts (cargo, npm, node) is always
//! printed first, so that anyone can run the same line by hand.

mod bench;
mod browser;
mod check;
mod compact;
mod conformance;
mod defects;
mod fresh;
mod fuzz;
mod grammar;
mod likeness;
mod node;
mod opcodes;
mod paths;
mod serve;
mod shell;
mod size;
mod stages;
mod test;
mod train;
mod unicode;
mod wasm;
mod web;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The build tool of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the static folder www/dist: the engine, the npm package and the pages, deployable as it is
    Build,
    /// Build, then serve the demo page on this machine
    Demo {
        /// Port to listen on; without it 8080, or the next free one
        #[arg(long)]
        port: Option<u16>,
    },
    /// Formatting, lints, docs, import order, types, size gate, disassembly check
    Check,
    /// Every test there is: Rust, wasm, TypeScript, real browsers
    Test {
        /// Run only the training smoke test
        #[arg(long)]
        train: bool,
    },
    /// Measure this engine beside its peers in one browser, and native llama.cpp (about an hour)
    Bench(bench::Options),
    /// Give the engine damaged files and odd texts, for hours (needs a nightly toolchain)
    Fuzz(fuzz::Options),
    /// Compare every architecture and weight format with transformers and native llama.cpp, and write docs/conformance.md
    Conformance(conformance::Options),
    /// Write src/tokenizer/unicode_table.rs anew, when Unicode has a new version
    Unicode,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Build => web::build(),
        Command::Demo { port } => {
            web::build()?;
            serve::serve(&paths::www_dist(), port)
        }
        Command::Check => check::run(),
        Command::Test { train: false } => test::run(),
        Command::Test { train: true } => train::smoke_test(),
        Command::Bench(options) => bench::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Conformance(options) => conformance::run(&options),
        Command::Unicode => unicode::run(),
    }
}
