//! The arguments that say how the next token is chosen.

use anyhow::{Result, anyhow, bail};
use pagelm::sampler::{DRY_BREAKERS, SamplerOptions};
use pagelm::tokenizer::Tokenizer;

fn default() -> SamplerOptions {
    SamplerOptions::default()
}

/// How the next token is chosen; `SamplerOptions` says what each option means.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sampling", allow_negative_numbers = true)]
pub struct Sampling {
    /// Flattens (above 1) or sharpens (below 1) the distribution; 0 always takes the most probable token
    #[arg(long, value_name = "T", default_value_t = default().temperature)]
    temperature: f32,
    /// How far the temperature moves to either side with the entropy; 0 for not at all
    #[arg(long, value_name = "T", default_value_t = default().dynatemp_range)]
    dynatemp_range: f32,
    /// The power of the entropy by which it moves
    #[arg(long, value_name = "X", default_value_t = default().dynatemp_exponent)]
    dynatemp_exponent: f32,
    /// Only the K most probable tokens; 0 for all
    #[arg(long, value_name = "K", default_value_t = default().top_k)]
    top_k: u32,
    /// Only the most probable tokens that together have probability P; 1 for all
    #[arg(long, value_name = "P", default_value_t = default().top_p)]
    top_p: f32,
    /// Only tokens at least P times as probable as the most probable one; 0 for all
    #[arg(long, value_name = "P", default_value_t = default().min_p)]
    min_p: f32,
    /// Only tokens of nearly the expected surprise that together have probability P; 1 for all
    #[arg(long, value_name = "P", default_value_t = default().typical_p)]
    typical_p: f32,
    /// Only tokens whose logit is at most N standard deviations below the largest; 0 for all
    #[arg(long, value_name = "N", default_value_t = default().top_n_sigma)]
    top_n_sigma: f32,
    /// How often all top choices but the last are left out, 0 to 1
    #[arg(long, value_name = "P", default_value_t = default().xtc_probability)]
    xtc_probability: f32,
    /// From which probability on a token is a top choice
    #[arg(long, value_name = "P", default_value_t = default().xtc_threshold)]
    xtc_threshold: f32,
    /// Where the draws start [default: drawn, and reported]
    #[arg(long, value_name = "S")]
    seed: Option<u32>,
    /// Divides the logits of tokens that occurred lately; 1 for no effect
    #[arg(long, value_name = "X", default_value_t = default().repeat_penalty)]
    repeat_penalty: f32,
    /// Is taken from the logits of tokens that occurred lately
    #[arg(long, value_name = "X", default_value_t = default().presence_penalty)]
    presence_penalty: f32,
    /// Is taken from the logits of tokens for each time they occurred lately
    #[arg(long, value_name = "X", default_value_t = default().frequency_penalty)]
    frequency_penalty: f32,
    /// How many tokens back "lately" reaches; 0 for none
    #[arg(long, value_name = "N", default_value_t = default().repeat_last_n)]
    repeat_last_n: u32,
    /// Is taken from the logit of a token that would lengthen a repetition beyond what is allowed
    #[arg(long, value_name = "X", default_value_t = default().dry_multiplier)]
    dry_multiplier: f32,
    /// Multiplies that for each further token that is repeated
    #[arg(long, value_name = "X", default_value_t = default().dry_base)]
    dry_base: f32,
    /// How many tokens may be repeated
    #[arg(long, value_name = "N", default_value_t = default().dry_allowed_length)]
    dry_allowed_length: u32,
    /// In how many of the last tokens repetitions are looked for [default: all]
    #[arg(long, value_name = "N")]
    dry_penalty_last_n: Option<u32>,
    /// A string at which a repetition ends; may be given several times [default: line break, colon, quote and asterisk]
    #[arg(long, value_name = "TEXT")]
    dry_breaker: Vec<String>,
    /// 2 for mirostat 2 in place of the options that leave tokens out; 0 for those
    #[arg(long, value_name = "0|2", default_value_t = default().mirostat)]
    mirostat: u32,
    /// The surprise that mirostat aims at, in bits
    #[arg(long, value_name = "X", default_value_t = default().mirostat_tau)]
    mirostat_tau: f32,
    /// How fast mirostat corrects itself
    #[arg(long, value_name = "X", default_value_t = default().mirostat_eta)]
    mirostat_eta: f32,
    /// Adds X to the logit of token ID; may be given several times
    #[arg(long, value_name = "ID=X")]
    logit_bias: Vec<String>,
    /// A token that is never chosen; may be given several times
    #[arg(long, value_name = "ID")]
    ban: Vec<u32>,
}

impl Sampling {
    /// The strings at which repetitions end, if any are given.
    pub fn dry_breakers(&self) -> Option<Vec<String>> {
        (!self.dry_breaker.is_empty()).then(|| self.dry_breaker.clone())
    }

    /// The options as the engine takes them, with a seed, and without the tokens at which repetitions end: [`breakers`] finds
    /// these.
    pub fn options(&self, tokenizer: &Tokenizer) -> Result<SamplerOptions> {
        let draw = || getrandom::u32().map_err(|error| anyhow!("no seed can be drawn ({error}); choose one by --seed"));
        let mut options = SamplerOptions {
            temperature: self.temperature,
            dynatemp_range: self.dynatemp_range,
            dynatemp_exponent: self.dynatemp_exponent,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            typical_p: self.typical_p,
            top_n_sigma: self.top_n_sigma,
            xtc_probability: self.xtc_probability,
            xtc_threshold: self.xtc_threshold,
            repeat_penalty: self.repeat_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            repeat_last_n: self.repeat_last_n,
            dry_multiplier: self.dry_multiplier,
            dry_base: self.dry_base,
            dry_allowed_length: self.dry_allowed_length,
            dry_penalty_last_n: self.dry_penalty_last_n.unwrap_or(default().dry_penalty_last_n),
            dry_breakers: Vec::new(),
            mirostat: self.mirostat,
            mirostat_tau: self.mirostat_tau,
            mirostat_eta: self.mirostat_eta,
            logit_bias: self.logit_bias.iter().map(|pair| bias(pair)).collect::<Result<_>>()?,
            banned_tokens: self.ban.clone(),
            seed: self.seed.map_or_else(draw, Ok)?,
        };
        options.check(tokenizer.n_vocab())?;
        Ok(options)
    }
}

/// The tokens at which repetitions end, where they are looked for.
pub fn breakers(options: &SamplerOptions, strings: Option<&[String]>, tokenizer: &Tokenizer) -> Vec<u32> {
    match (options.dry_multiplier > 0.0, strings) {
        (false, _) => Vec::new(),
        (true, Some(strings)) => tokenizer.tokens_with(strings),
        (true, None) => tokenizer.tokens_with(&DRY_BREAKERS.map(String::from)),
    }
}

fn bias(pair: &str) -> Result<(u32, f32)> {
    match pair.split_once('=').map(|(token, bias)| (token.parse(), bias.parse())) {
        Some((Ok(token), Ok(bias))) => Ok((token, bias)),
        _ => bail!("a bias is given as a token, an equals sign and a number, such as 13=-2.5, and not as {pair}"),
    }
}
