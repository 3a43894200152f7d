//! The native command `pagelm`: the engine without a browser.
//!
//! Each command is a module with its arguments and its `run`. What they share is [`model_file`]: opening, reading and
//! loading. Everything that the engine may not do happens here: files, the clock, the seed, the streams.

mod form;
mod generate;
mod imatrix;
mod inspect;
mod logits;
mod model_file;
mod perplexity;
mod quantize;
mod record;
mod remote;
mod sampling;
mod score;
mod tokenize;

use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::process::ExitCode;

/// Runs GGUF language models, with the same bits as in a web page.
#[derive(Debug, Parser)]
#[command(name = "pagelm", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Continue a text, token by token
    Generate(Box<generate::Args>),
    /// Write the logits at every token of a text
    Logits(logits::Args),
    /// Give the log-probability of each line of standard input
    Score(score::Args),
    /// Give the perplexity of standard input, by windows
    Perplexity(perplexity::Args),
    /// Write a model with its matrices in another format
    Quantize(quantize::Args),
    /// Turn standard input into token ids, or token ids into text
    Tokenize(tokenize::Args),
    /// Say what a GGUF file holds, and whether it can be run
    Inspect(inspect::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Generate(args) => generate::run(&args),
        Command::Logits(args) => logits::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Perplexity(args) => perplexity::run(&args),
        Command::Quantize(args) => quantize::run(&args),
        Command::Tokenize(args) => tokenize::run(&args),
        Command::Inspect(args) => inspect::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever was reading has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|io| io.kind() == io::ErrorKind::BrokenPipe)
}

/// One line on standard error, which may be closed.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "pagelm: {}", text.replace('\n', " "));
}
