//! `pagelm generate`: continues a text, token by token.

use crate::form::{self, FormArgs};
use crate::model_file::{self, ModelArgs};
use crate::note;
use crate::record::{self, Record};
use crate::sampling::{self, Sampling};
use anyhow::{Context, Result, anyhow, bail};
use pagelm::session::{Drafted, GenerateOptions, Generation, Overflow, Session, Speculation, Step, StopReason};
use pagelm::tokenizer::{StopStrings, TextStream, Tokenizer};
use pagelm_grammar::Constraint;
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
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
    /// A string that ends the text, without being in it; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// How many texts to write, with the seed and those that follow it: the prompt is worked through once
    #[arg(long, value_name = "N", default_value_t = 1)]
    answers: u32,
    /// Where the context is full, forget half of what stands behind the first --keep tokens, and go on
    #[arg(long)]
    shift: bool,
    /// How many of the first tokens --shift keeps
    #[arg(long, value_name = "N", default_value_t = 0, requires = "shift")]
    keep: usize,
    /// Give, for each token, the N most probable ones and the logarithms of their probabilities; with --json
    #[arg(long, value_name = "N", default_value_t = 0, requires = "json")]
    logprobs: u32,
    /// Write a record of the answer to FILE, from which --replay makes it again
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Make the answer of a record again, with the record's own prompt and options, and say whether it is the same
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "n_predict", "stop", "record", "answers", "FormArgs"])]
    replay: Option<PathBuf>,
    /// Guess the next tokens, so that several are computed at once: by what followed the last ones before ("lookup"), or by
    /// a smaller model with the same vocabulary. Changes the speed, never the text
    #[arg(long, value_name = "lookup|FILE")]
    speculate: Option<String>,
    /// Print one JSON object at the end instead of the text as it grows
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    sampling: Sampling,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    prompt_tokens: Vec<u32>,
    tokens: Vec<u32>,
    text: String,
    seed: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alternatives: Vec<Vec<(u32, f32)>>,
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
            if !tokenizer.has_vocabulary_of(&other) {
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
    let mut session = args.model.session(&loaded)?;
    let asked = match &args.replay {
        Some(path) => Some(record::read(path, &session)?),
        None => None,
    };
    for i in 0..args.answers {
        let mut record = match &asked {
            Some(record) => record.clone(),
            None => args.asked(&tokenizer, &session)?,
        };
        record.sampler.seed = record.sampler.seed.wrapping_add(i);
        session = args.answer(session, &tokenizer, &mut record)?;
        if let Some(path) = &args.record {
            record.write(path)?;
        }
        if let Some(asked) = &asked {
            record.check(asked)?;
        }
    }
    Ok(())
}

impl Args {
    /// What is asked for, as a record without an answer.
    fn asked(&self, tokenizer: &Tokenizer, session: &Session) -> Result<Record> {
        let prompt_tokens = tokenizer.encode_prompt(&self.prompt, self.parse_special)?;
        let sampler = self.sampling.options(tokenizer)?;
        let n_fit = session.n_ctx().saturating_sub(prompt_tokens.len()) as u32;
        let n_asked = self.n_predict.unwrap_or(u32::MAX);
        let mut record = Record::new(session, prompt_tokens, sampler);
        record.dry_breakers = self.sampling.dry_breakers();
        record.constraint = self.form.form(if self.shift { n_asked } else { n_asked.min(n_fit) });
        record.max_tokens = self.n_predict;
        record.stop = self.stop.clone();
        record.n_keep = self.shift.then_some(self.keep);
        Ok(record)
    }

    /// Writes one answer, and completes its record.
    fn answer(&self, session: Session, tokenizer: &Tokenizer, record: &mut Record) -> Result<Session> {
        let mut sampler = record.sampler.clone();
        sampler.dry_breakers = sampling::breakers(&sampler, record.dry_breakers.as_deref(), tokenizer);
        let options = GenerateOptions {
            sampler,
            max_tokens: record.max_tokens,
            stop_tokens: [tokenizer.ends(), &record.stop_tokens].concat(),
            speculation: speculation(self.speculate.as_deref(), tokenizer)?,
            overflow: record.n_keep.map_or(Overflow::Stop, Overflow::Shift),
            n_alternatives: self.logprobs,
            edits_logits: record.constraint.is_some(),
        };
        let form = record.constraint.as_ref();
        let mut constraint = form.map(|form| form.constraint(tokenizer, &record.stop_tokens)).transpose()?;
        let stops = StopStrings::new(record.stop.clone());
        let mut generation = Generation::new(session, &record.prompt_tokens, options)?;
        let n_prompt = record.prompt_tokens.len();
        let done = if self.json {
            drive(&mut generation, constraint.as_mut(), tokenizer, stops, |_| Ok(()))?
        } else {
            note(&format!("seed {}", record.sampler.seed));
            let mut out = io::stdout().lock();
            drive(&mut generation, constraint.as_mut(), tokenizer, stops, |text| {
                out.write_all(text.as_bytes())?;
                out.flush()
            })?
        };
        let Drafted { proposed, accepted } = generation.drafted();
        record.answer(&done.tokens, done.stop_reason);
        if self.json {
            let report = Report {
                prompt_tokens: record.prompt_tokens.clone(),
                tokens: done.tokens,
                text: done.text,
                seed: record.sampler.seed,
                alternatives: done.alternatives,
                stop_reason: done.stop_reason,
                prefill_ms: milliseconds(done.prefill),
                decode_ms: milliseconds(done.decode),
                proposed_tokens: proposed,
                accepted_tokens: accepted,
            };
            writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?;
        } else {
            let _ = writeln!(io::stderr());
            note(&done.summary(n_prompt));
            if self.speculate.is_some() {
                note(&format!("guessed {proposed} tokens, of which {accepted} came"));
            }
        }
        Ok(generation.into_session())
    }
}

/// A generation that has ended.
struct Done {
    text: String,
    tokens: Vec<u32>,
    alternatives: Vec<Vec<(u32, f32)>>,
    stop_reason: StopReason,
    prefill: Duration,
    decode: Duration,
}

/// Runs a generation to its end, with the clock beside it, and shows each piece of text.
fn drive(
    generation: &mut Generation<Session>,
    mut constraint: Option<&mut Constraint>,
    tokenizer: &Tokenizer,
    mut stops: StopStrings,
    mut show: impl FnMut(&str) -> io::Result<()>,
) -> Result<Done> {
    let mut stream = TextStream::new();
    let mut done = Done {
        text: String::new(),
        tokens: Vec::new(),
        alternatives: Vec::new(),
        stop_reason: StopReason::Stop,
        prefill: Duration::ZERO,
        decode: Duration::ZERO,
    };
    loop {
        let start = Instant::now();
        let step = generation.next().transpose()?;
        let rest;
        let (piece, stopped) = match step {
            Some(Step::Prefill { .. }) => {
                done.prefill += start.elapsed();
                continue;
            }
            Some(Step::Logits) => {
                if let Some(constraint) = &mut constraint {
                    form::bar(generation.logits_mut(), constraint.allowed()?);
                }
                done.decode += start.elapsed();
                continue;
            }
            Some(Step::Token { token, .. }) => {
                if let Some(constraint) = &mut constraint {
                    constraint.accept(token)?;
                }
                done.decode += start.elapsed();
                done.tokens.push(token);
                if !generation.alternatives().is_empty() {
                    done.alternatives.push(generation.alternatives().to_vec());
                }
                stops.push(stream.push(tokenizer, token)?)
            }
            None => {
                done.decode += start.elapsed();
                rest = stops.finish() + &stream.finish();
                (&rest[..], false)
            }
        };
        show(piece)?;
        done.text.push_str(piece);
        if step.is_none() {
            let reason = generation.stop_reason();
            done.stop_reason = reason.ok_or_else(|| anyhow!("the generation ended without a reason"))?;
        }
        if stopped || step.is_none() {
            return Ok(done);
        }
    }
}

impl Done {
    fn summary(&self, n_prompt: usize) -> String {
        let n_tokens = self.tokens.len();
        let per_s = |n: usize, time: Duration| n as f64 / time.as_secs_f64().max(1e-9);
        let why = match self.stop_reason {
            StopReason::Eos => "the text ended",
            StopReason::MaxTokens => "as many as asked for",
            StopReason::ContextFull => "the context is full",
            StopReason::Stop => "a string that ends it came",
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
