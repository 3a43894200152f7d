//! `pagelm generate`: continues a text, token by token.

use crate::model_file::{self, ModelArgs};
use crate::note;
use anyhow::{Context, Result, anyhow, bail};
use pagelm::sampler::SamplerOptions;
use pagelm::session::{Drafted, GenerateOptions, Generation, Session, Speculation, Step, StopReason};
use pagelm::tokenizer::{TextStream, Tokenizer};
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Arguments of `pagelm generate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The beginning of the text
    #[arg(long, short, value_name = "TEXT", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    prompt: String,
    /// The most tokens to add [default: until the text ends or the context is full]
    #[arg(long, short, value_name = "N")]
    n_predict: Option<u32>,
    /// Take control tokens spelled in the prompt, such as <s>, for the tokens
    #[arg(long)]
    parse_special: bool,
    /// Guess the next tokens, so that several are computed at once: by what followed the last ones before ("lookup"), or by
    /// a smaller model with the same vocabulary. Changes the speed, never the text
    #[arg(long, value_name = "lookup|FILE")]
    speculate: Option<String>,
    /// Print one JSON object at the end instead of the text as it grows
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sampling: Sampling,
}

/// How the next token is chosen; `SamplerOptions` says what each option means.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sampling", allow_negative_numbers = true)]
struct Sampling {
    /// Flattens (above 1) or sharpens (below 1) the distribution; 0 always takes the most probable token
    #[arg(long, value_name = "T", default_value_t = SamplerOptions::default().temperature)]
    temperature: f32,
    /// Only the K most probable tokens; 0 for all
    #[arg(long, value_name = "K", default_value_t = SamplerOptions::default().top_k)]
    top_k: u32,
    /// Only the most probable tokens that together have probability P; 1 for all
    #[arg(long, value_name = "P", default_value_t = SamplerOptions::default().top_p)]
    top_p: f32,
    /// Only tokens at least P times as probable as the most probable one; 0 for all
    #[arg(long, value_name = "P", default_value_t = SamplerOptions::default().min_p)]
    min_p: f32,
    /// Where the draws start [default: drawn, and reported]
    #[arg(long, value_name = "S")]
    seed: Option<u32>,
    /// Divides the logits of tokens that occurred lately; 1 for no effect
    #[arg(long, value_name = "X", default_value_t = SamplerOptions::default().repeat_penalty)]
    repeat_penalty: f32,
    /// Is taken from the logits of tokens that occurred lately
    #[arg(long, value_name = "X", default_value_t = SamplerOptions::default().presence_penalty)]
    presence_penalty: f32,
    /// Is taken from the logits of tokens for each time they occurred lately
    #[arg(long, value_name = "X", default_value_t = SamplerOptions::default().frequency_penalty)]
    frequency_penalty: f32,
    /// How many tokens back "lately" reaches; 0 for none
    #[arg(long, value_name = "N", default_value_t = SamplerOptions::default().repeat_last_n)]
    repeat_last_n: u32,
}

impl Sampling {
    fn options(&self) -> Result<SamplerOptions> {
        let draw = || getrandom::u32().map_err(|error| anyhow!("no seed can be drawn ({error}); choose one by --seed"));
        Ok(SamplerOptions {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repeat_penalty: self.repeat_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            repeat_last_n: self.repeat_last_n,
            seed: self.seed.map_or_else(draw, Ok)?,
        })
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    prompt_tokens: Vec<u32>,
    tokens: Vec<u32>,
    text: String,
    seed: u32,
    stop_reason: StopReason,
    prefill_ms: f64,
    decode_ms: f64,
    proposed_tokens: u32,
    accepted_tokens: u32,
}

/// Where guesses come from.
fn speculation(speculate: Option<&str>, tokenizer: &Tokenizer) -> Result<Speculation> {
    match speculate {
        None => Ok(Speculation::Off),
        Some("lookup") => Ok(Speculation::Lookup),
        Some(path) => {
            let draft = model_file::load(Path::new(path)).context("the draft model")?;
            let other = draft.tokenizer().context("the draft model")?;
            let spelled = |tokenizer: &Tokenizer, id| tokenizer.decode(&[id]).ok();
            let n = tokenizer.n_vocab();
            if n != other.n_vocab() || (0..n as u32).any(|id| spelled(tokenizer, id) != spelled(&other, id)) {
                bail!("{path} has another vocabulary than the model, so that it cannot guess the model's tokens");
            }
            Ok(Speculation::Draft(draft.model))
        }
    }
}

/// Generates. The text, and nothing else, goes to standard output as it comes; the seed, before it, and the speed, after
/// it, to standard error.
pub fn run(args: &Args) -> Result<()> {
    let loaded = args.model.load()?;
    let tokenizer = loaded.tokenizer()?;
    let prompt_tokens = tokenizer.encode_prompt(&args.prompt, args.parse_special)?;
    let sampler = args.sampling.options()?;
    let seed = sampler.seed;
    let stop_tokens = tokenizer.ends().to_vec();
    let speculation = speculation(args.speculate.as_deref(), &tokenizer)?;
    let options = GenerateOptions { sampler, max_tokens: args.n_predict, stop_tokens, speculation };
    let mut generation = Generation::new(args.model.session(&loaded)?, &prompt_tokens, options)?;
    if args.json {
        let done = drive(&mut generation, &tokenizer, |_| Ok(()))?;
        let report = Report {
            prompt_tokens,
            tokens: generation.generated().to_vec(),
            text: done.text,
            seed,
            stop_reason: done.stop_reason,
            prefill_ms: milliseconds(done.prefill),
            decode_ms: milliseconds(done.decode),
            proposed_tokens: generation.drafted().proposed,
            accepted_tokens: generation.drafted().accepted,
        };
        return Ok(writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?);
    }
    note(&format!("seed {seed}"));
    let mut out = io::stdout().lock();
    let done = drive(&mut generation, &tokenizer, |text| {
        out.write_all(text.as_bytes())?;
        out.flush()
    })?;
    let _ = writeln!(io::stderr());
    note(&done.summary(prompt_tokens.len(), generation.generated().len()));
    let Drafted { proposed, accepted } = generation.drafted();
    if args.speculate.is_some() {
        note(&format!("guessed {proposed} tokens, of which {accepted} came"));
    }
    Ok(())
}

/// A generation that has ended.
struct Done {
    text: String,
    stop_reason: StopReason,
    prefill: Duration,
    decode: Duration,
}

/// Runs a generation to its end, with the clock beside it, and shows each piece of text.
fn drive(
    generation: &mut Generation<Session>,
    tokenizer: &Tokenizer,
    mut show: impl FnMut(&str) -> io::Result<()>,
) -> Result<Done> {
    let mut stream = TextStream::new();
    let (mut text, mut prefill, mut decode) = (String::new(), Duration::ZERO, Duration::ZERO);
    loop {
        let start = Instant::now();
        let step = generation.next().transpose()?;
        let piece = match step {
            Some(Step::Prefill { .. }) => {
                prefill += start.elapsed();
                continue;
            }
            Some(Step::Token { token, .. }) => {
                decode += start.elapsed();
                stream.push(tokenizer, token)?
            }
            None => {
                decode += start.elapsed();
                stream.finish()
            }
        };
        show(&piece)?;
        text.push_str(&piece);
        if step.is_none() {
            let stop_reason =
                generation.stop_reason().ok_or_else(|| anyhow!("the generation ended without a reason"))?;
            return Ok(Done { text, stop_reason, prefill, decode });
        }
    }
}

impl Done {
    fn summary(&self, n_prompt: usize, n_tokens: usize) -> String {
        let per_s = |n: usize, time: Duration| n as f64 / time.as_secs_f64().max(1e-9);
        let why = match self.stop_reason {
            StopReason::Eos => "the text ended",
            StopReason::MaxTokens => "as many as asked for",
            StopReason::ContextFull => "the context is full",
        };
        format!(
            "prompt {n_prompt} tokens ({:.0} tokens/s), text {n_tokens} tokens ({:.0} tokens/s): {why}",
            per_s(n_prompt, self.prefill),
            per_s(n_tokens, self.decode)
        )
    }
}

/// Milliseconds, to the microsecond.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
