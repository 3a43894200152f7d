//! `pagelm score`: how probable the model finds each line of a text.

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
}

/// For each line of standard input: the natural logarithm of its probability, a tab, its number of tokens.
///
/// ln p(line) = Σᵢ ln softmax(logits after the tokens before i)\[tokenᵢ\], begun by BOS, or EOS where there is no BOS;
/// that token is not counted. A line's end is not part of it.
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
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        if input.read_until(b'\n', &mut line).context("standard input")? == 0 {
            break;
        }
        let (ln_p, n_tokens) = score(&mut session, &tokenizer, start, &line)
            .with_context(|| format!("line {number} of standard input"))?;
        writeln!(out, "{ln_p:.6}\t{n_tokens}")?;
    }
    Ok(())
}

fn score(session: &mut Session, tokenizer: &Tokenizer, start: u32, line: &[u8]) -> Result<(f64, usize)> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = core::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line))?;
    let tokens = tokenizer.encode(line, EncodeOptions::default())?;
    if tokens.len() > session.n_ctx() {
        bail!("{} tokens are more than the context of {} holds; give --ctx-size", tokens.len(), session.n_ctx());
    }
    session.clear();
    let n_vocab = session.model().config().n_vocab;
    let mut before = start;
    let mut ln_p = 0.0;
    for batch in tokens.chunks(MAX_BATCH) {
        // Each token is predicted at the one before it; nothing follows the last one, so it is not computed.
        let inputs: Vec<u32> = core::iter::once(before).chain(batch[..batch.len() - 1].iter().copied()).collect();
        let logits = session.forward_all(&inputs)?;
        ln_p += logits.chunks_exact(n_vocab).zip(batch).map(|(logits, token)| ln_softmax(logits, *token)).sum::<f64>();
        before = batch[batch.len() - 1];
    }
    if !ln_p.is_finite() {
        bail!("the model computed {ln_p}; its weights are damaged, load another copy of the file");
    }
    Ok((ln_p, tokens.len()))
}

/// ln softmax(logits)\[token\] = (x − max) − ln Σ eˣʲ⁻ᵐᵃˣ, in f64.
fn ln_softmax(logits: &[f32], token: u32) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|x| f64::from(x - max).exp()).sum();
    f64::from(logits[token as usize]) - f64::from(max) - sum.ln()
}
