//! `pagelm tokenize`: text to token ids and back.

use crate::model_file::{read_header, tokenizer};
use anyhow::{Context, Result};
use core::ops::Range;
use pagelm::tokenizer::{EncodeOptions, Tokenizer};
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// Arguments of `pagelm tokenize`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The GGUF file; one with a vocabulary and no weights will do
    #[arg(long, short, value_name = "FILE")]
    model: PathBuf,
    /// Leave out the tokens that the file wants before and after a text
    #[arg(long)]
    no_bos: bool,
    /// Take control tokens spelled in the text, such as <s>, for the tokens
    #[arg(long)]
    parse_special: bool,
    /// Write a line for each token: its id, the bytes of the text that it stands for (from, and up to), its spelling
    #[arg(long)]
    ranges: bool,
    /// Read token ids and write their text
    #[arg(long, conflicts_with_all = ["no_bos", "parse_special", "ranges"])]
    decode: bool,
}

/// Standard input, byte for byte, to ids separated by spaces; with `--decode` ids to text, byte for byte.
pub fn run(args: &Args) -> Result<()> {
    let (gguf, _) = read_header(&args.model)?;
    let tokenizer = tokenizer(&gguf).with_context(|| args.model.display().to_string())?;
    let mut input = Vec::new();
    io::stdin().lock().read_to_end(&mut input).context("standard input")?;
    let input = core::str::from_utf8(&input).context("standard input is no UTF-8 text")?;
    let output = if args.decode { decode(&tokenizer, input)? } else { encode(&tokenizer, input, args)? };
    let mut out = io::stdout().lock();
    out.write_all(output.as_bytes())?;
    Ok(out.flush()?)
}

fn encode(tokenizer: &Tokenizer, text: &str, args: &Args) -> Result<String> {
    let options = EncodeOptions { add_special: !args.no_bos, parse_special: args.parse_special };
    if args.ranges {
        let pieces = tokenizer.encode_with_ranges(text, options)?;
        let line = |(id, range): &(u32, Range<usize>)| {
            Ok(format!("{id}\t{}\t{}\t{}\n", range.start, range.end, tokenizer.token_text(*id)?.escape_debug()))
        };
        return pieces.iter().map(line).collect();
    }
    let ids: Vec<String> = tokenizer.encode(text, options)?.iter().map(u32::to_string).collect();
    Ok(ids.join(" ") + "\n")
}

fn decode(tokenizer: &Tokenizer, ids: &str) -> Result<String> {
    let words = ids.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
    let tokens: Vec<u32> =
        words.map(|word| word.parse().with_context(|| format!("\"{word}\" is no token id"))).collect::<Result<_>>()?;
    Ok(tokenizer.decode(&tokens)?)
}
