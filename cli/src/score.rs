//! `pagelm score`: how probable the model finds each line, or each document, of a text.

use crate::model_file::ModelArgs;
use anyhow::{Context, Result, bail};
use pagelm::model::MAX_BATCH;
use pagelm::session::Session;
use pagelm::tokenizer::{EncodeOptions, Tokenizer};
use std::io::{self, BufRead, Write};

/// Arguments of `pagelm score`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Score documents with TEXT between them, such as <|endoftext|>, in place of lines
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    separator: Option<String>,
    /// Score what is longer than the context in pieces, each begun by the last token of the one before
    #[arg(long)]
    windows: bool,
}

/// For each line of standard input: the natural logarithm of its probability, a tab, its number of tokens.
///
/// ln p(line) = Σᵢ ln softmax(logits after the tokens before i)\[tokenᵢ\], begun by BOS, or EOS where there is no BOS;
/// that token is not counted. A line's end, or the separator of documents, is not part of it.
pub fn run(args: &Args) -> Result<()> {
    let loaded = args.model.load()?;
    let tokenizer = loaded.tokenizer()?;
    let Some(start) = tokenizer.bos().or(tokenizer.eos()) else {
        bail!(
            "this model has neither a token that begins a text nor one that ends it, so a line has no first condition"
        );
    };
    let mut session = args.model.session(&loaded)?;
    let (mut input, mut out) = (io::stdin().lock(), io::stdout().lock());
    let mut score_text = |what: &str, number: usize, text: &str| -> Result<()> {
        let (ln_p, n_tokens) = score(&mut session, &tokenizer, start, text, args.windows)
            .with_context(|| format!("{what} {number} of standard input"))?;
        Ok(writeln!(out, "{ln_p:.6}\t{n_tokens}")?)
    };
    if let Some(separator) = &args.separator {
        let text = io::read_to_string(input).context("standard input")?;
        return text.split(separator).zip(1..).try_for_each(|(text, number)| score_text("document", number, text));
    }
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line).context("standard input")? == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = core::str::from_utf8(text.strip_suffix(b"\r").unwrap_or(text))
            .with_context(|| format!("line {number} of standard input"))?;
        score_text("line", number, text)?;
    }
    Ok(())
}

fn score(session: &mut Session, tokenizer: &Tokenizer, start: u32, text: &str, windows: bool) -> Result<(f64, usize)> {
    let tokens = tokenizer.encode(text, EncodeOptions::default())?;
    let n_ctx = session.n_ctx();
    if tokens.len() > n_ctx && !windows {
        bail!("{} tokens are more than the context of {n_ctx} holds; give --ctx-size or --windows", tokens.len());
    }
    let (mut before, mut ln_p) = (start, 0.0);
    for window in tokens.chunks(n_ctx) {
        ln_p += score_window(session, before, window)?;
        before = window[window.len() - 1];
    }
    if !ln_p.is_finite() {
        bail!("the model computed {ln_p}; its weights are damaged, load another copy of the file");
    }
    Ok((ln_p, tokens.len()))
}

/// Σᵢ ln p(tokenᵢ) after `before` and the tokens before i, in an empty context that holds them all.
fn score_window(session: &mut Session, mut before: u32, tokens: &[u32]) -> Result<f64> {
    session.clear();
    let n_vocab = session.model().config().n_vocab;
    let mut ln_p = 0.0;
    for batch in tokens.chunks(MAX_BATCH) {
        // Each token is predicted at the one before it; nothing follows the last one, so it is not computed.
        let inputs: Vec<u32> = core::iter::once(before).chain(batch[..batch.len() - 1].iter().copied()).collect();
        let logits = session.forward_all(&inputs)?;
        ln_p += logits.chunks_exact(n_vocab).zip(batch).map(|(logits, token)| ln_softmax(logits, *token)).sum::<f64>();
        before = batch[batch.len() - 1];
    }
    Ok(ln_p)
}

/// ln softmax(logits)\[token\] = (x − max) − ln Σ eˣʲ⁻ᵐᵃˣ, in f64.
fn ln_softmax(logits: &[f32], token: u32) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|x| f64::from(x - max).exp()).sum();
    f64::from(logits[token as usize]) - f64::from(max) - sum.ln()
}
