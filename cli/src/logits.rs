//! `pagelm logits`: the raw output of the model, for comparisons.

use crate::model_file::ModelArgs;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Arguments of `pagelm logits`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("input").required(true).args(["prompt", "tokens"]))]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// A text, which gets a beginning-of-text token where the file asks for one
    #[arg(long, short, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// Token ids, to which nothing is added
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    tokens: Option<Vec<u32>>,
    /// Take control tokens spelled in the prompt, such as <s>, for the tokens
    #[arg(long)]
    parse_special: bool,
    /// Where the logits go: little-endian f32, n_tokens × n_vocab
    #[arg(long, short, value_name = "PATH")]
    out: PathBuf,
}

/// Computes all logits, batch by batch. The file is made when the input is known to be sound.
pub fn run(args: &Args) -> Result<()> {
    let loaded = args.model.load()?;
    let tokens = match (&args.tokens, &args.prompt) {
        (Some(tokens), _) => tokens.clone(),
        (None, prompt) => {
            loaded.tokenizer()?.encode_prompt(prompt.as_deref().unwrap_or_default(), args.parse_special)?
        }
    };
    let mut session = args.model.session(&loaded)?;
    session.prepare(&tokens)?;
    let name = || format!("{} cannot be written", args.out.display());
    let mut out = BufWriter::new(File::create(&args.out).with_context(name)?);
    while session.n_pending() > 0 {
        for logit in session.forward_all(&[])? {
            out.write_all(&logit.to_le_bytes()).with_context(name)?;
        }
    }
    out.flush().with_context(name)
}
