//! What made an answer, so that it can be made again.

use crate::form::Form;
use anyhow::{Context, Result, bail};
use pagelm::sampler::SamplerOptions;
use pagelm::session::{Session, StopReason};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Everything that an answer depends on, and the answer.
///
/// The engine gives the same bits on every build, so that none of it says on what machine or by how many threads. `build` and
/// `time` tell readers where it comes from; a replay does not need them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The hash of the model's file, and of its adapters' with their scales, in hexadecimal.
    model: String,
    /// Which version of this program, and which kernels.
    build: String,
    /// Seconds since 1970, UTC.
    time: u64,
    n_ctx: usize,
    cache_type: String,
    /// The chat template that made the prompt, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    /// The prompt as the model saw it.
    pub prompt_tokens: Vec<u32>,
    /// Without the tokens at which repetitions end: these are found anew, by `dry_breakers`.
    pub sampler: SamplerOptions,
    /// The strings at which repetitions end; none: the default ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_breakers: Option<Vec<String>>,
    /// Tokens that end the text, beside the model's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_tokens: Vec<u32>,
    /// What the text has to be like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<Form>,
    pub max_tokens: Option<u32>,
    pub stop: Vec<String>,
    /// How many tokens a shift keeps; none: no shift.
    pub n_keep: Option<usize>,
    tokens: Vec<u32>,
    stop_reason: Option<StopReason>,
}

impl Record {
    /// What is asked of a session's model, without an answer.
    pub fn new(session: &Session, prompt_tokens: Vec<u32>, sampler: SamplerOptions) -> Record {
        Record {
            model: format!("{:016x}", session.hash()),
            build: format!("pagelm {} {}", env!("CARGO_PKG_VERSION"), pagelm::kernels::BUILD),
            time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            n_ctx: session.n_ctx(),
            cache_type: session.cache_type().name().into(),
            template: None,
            prompt_tokens,
            sampler,
            dry_breakers: None,
            stop_tokens: Vec::new(),
            constraint: None,
            max_tokens: None,
            stop: Vec::new(),
            n_keep: None,
            tokens: Vec::new(),
            stop_reason: None,
        }
    }

    /// Puts the answer in.
    pub fn answer(&mut self, tokens: &[u32], stop_reason: StopReason) {
        self.tokens = tokens.to_vec();
        self.stop_reason = Some(stop_reason);
    }

    /// Writes it as JSON.
    pub fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, serde_json::to_string_pretty(self)? + "\n")
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Holds this answer against the one that was recorded.
    pub fn check(&self, recorded: &Record) -> Result<()> {
        let same = self.tokens.iter().zip(&recorded.tokens).take_while(|(a, b)| a == b).count();
        if same < self.tokens.len().max(recorded.tokens.len()) || self.stop_reason != recorded.stop_reason {
            bail!("this is not the answer of the record: they part after {same} tokens of {}", recorded.tokens.len());
        }
        crate::note(&format!("the same {same} tokens as in the record"));
        Ok(())
    }
}

/// Reads a record for a session that is to make its answer again.
pub fn read(path: &Path, session: &Session) -> Result<Record> {
    let name = || path.display().to_string();
    let text = fs::read_to_string(path).with_context(name)?;
    let record: Record = serde_json::from_str(&text).with_context(name)?;
    let model = format!("{:016x}", session.hash());
    if record.model != model {
        bail!(
            "the record was made with another model, or other adapters: its hash is {}, this one's {model}",
            record.model
        );
    }
    if (record.n_ctx, &*record.cache_type) != (session.n_ctx(), session.cache_type().name()) {
        bail!(
            "the record was made with --ctx-size {} and --cache-type {}: give these too",
            record.n_ctx,
            record.cache_type
        );
    }
    Ok(record)
}
