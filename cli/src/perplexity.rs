//! `pagelm perplexity`: how well a model foretells a long text.

use crate::model_file::ModelArgs;
use anyhow::{Context, Result, bail};
use std::io::{self, Write};

/// Arguments of `pagelm perplexity`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints the perplexity of standard input, by llama.cpp's windows: the text's tokens are cut into pieces as long as the
/// context, the first token of each is replaced by BOS where the model begins its texts with one, and of each piece the second
/// half is counted, so that every token that counts has at least half a context before it.
///
/// perplexity = exp(− mean ln p), and its standard error is perplexity · σ(ln p) / √(n − 1).
///
/// # Source
/// `perplexity` in llama.cpp's `tools/perplexity/perplexity.cpp`
pub fn run(args: &Args) -> Result<()> {
    let loaded = args.model.load()?;
    let tokenizer = loaded.tokenizer()?;
    let mut session = args.model.session(&loaded)?;
    let text = io::read_to_string(io::stdin().lock()).context("standard input")?;
    let tokens = tokenizer.encode_prompt(&text, false)?;
    let n_ctx = session.n_ctx();
    if tokens.len() < n_ctx || n_ctx < 4 {
        bail!(
            "the text has {} tokens, less than one window of {n_ctx}: give more, or a --ctx-size of 4 to that",
            tokens.len()
        );
    }
    let bos = tokenizer.bos().filter(|_| tokenizer.adds_bos());
    let (mut sum, mut squares, mut n) = (0.0, 0.0, 0.0);
    for window in tokens.chunks_exact(n_ctx) {
        let mut window = window.to_vec();
        if let Some(bos) = bos {
            window[0] = bos;
        }
        // The score at i is that of token i + 1.
        for ln_p in &session.score(&window)?[n_ctx / 2..] {
            sum += ln_p;
            squares += ln_p * ln_p;
            n += 1.0;
        }
    }
    let mean: f64 = sum / n;
    let perplexity = (-mean).exp();
    let error = perplexity * ((squares / n - mean * mean).max(0.0) / (n - 1.0)).sqrt();
    if !perplexity.is_finite() {
        bail!("the model computed no numbers; its weights are damaged, load another copy of the file");
    }
    let n_windows = tokens.len() / n_ctx;
    let mut out = io::stdout();
    match args.json {
        true => {
            let report = serde_json::json!({
                "perplexity": perplexity, "error": error, "n_tokens": n as u64, "n_windows": n_windows, "n_ctx": n_ctx
            });
            writeln!(out, "{report}")?;
        }
        false => writeln!(out, "{perplexity:.4} ± {error:.4} ({n} tokens counted in {n_windows} windows of {n_ctx})")?,
    }
    Ok(())
}
