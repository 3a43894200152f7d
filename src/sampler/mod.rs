//! Logits to a token, by stages in llama.cpp's order, each of them optional:
//!
//! 1. penalties for tokens that occurred lately (repeat, frequency, presence),
//! 2. top-k, 3. top-p, 4. min-p: fewer candidates (typical sampling has its place between 2 and 3, XTC after 4),
//! 5. temperature, 6. a draw.
//!
//! At temperature 0 the largest logit after the penalties is taken. Everything is deterministic: the same logits,
//! history, options and seed give the same token on every machine.
//!
//! # Source
//! Order and formulas: `common_params_sampling::samplers` in llama.cpp's `common/common.h`, `src/llama-sampler.cpp`

mod rng;
mod stages;

pub use rng::Rng;

use crate::error::{Error, Result, number};
use serde::{Deserialize, Serialize};
use stages::Candidates;

/// How a token is chosen. The defaults are llama.cpp's, but for the seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SamplerOptions {
    /// Above 1 flattens the distribution, below 1 sharpens it; 0 or less always takes the most probable token.
    pub temperature: f32,
    /// Only the k most probable tokens; 0 for all.
    pub top_k: u32,
    /// Only the fewest most probable tokens that together have this probability, 0 to 1; 1 for all.
    pub top_p: f32,
    /// Only tokens at least this times as probable as the most probable one, 0 to 1; 0 for all.
    pub min_p: f32,
    /// Divides positive logits of tokens that occurred and multiplies negative ones, above 0 to 100; 1 for no effect.
    pub repeat_penalty: f32,
    /// Is taken from the logit of tokens that occurred, −100 to 100; 0 for no effect.
    pub presence_penalty: f32,
    /// Is taken from the logit of tokens for each time they occurred, −100 to 100; 0 for no effect.
    pub frequency_penalty: f32,
    /// How many of the last tokens the penalties look at; 0 for none.
    pub repeat_last_n: u32,
    /// Where the draws start.
    pub seed: u32,
}

impl Default for SamplerOptions {
    fn default() -> SamplerOptions {
        SamplerOptions {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repeat_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            repeat_last_n: 64,
            seed: 0,
        }
    }
}

impl SamplerOptions {
    /// Checks every option against its range.
    ///
    /// # Errors
    /// `Argument`, naming the first option that is out of range, its value, and the range.
    pub fn check(&self) -> Result<()> {
        let unit = 0.0..=1.0;
        let penalty = -100.0..=100.0;
        for (name, value, ok, range) in [
            ("temperature", self.temperature, self.temperature.is_finite(), "a finite number (0 or less is greedy)"),
            ("top_p", self.top_p, unit.contains(&self.top_p), "from 0 to 1"),
            ("min_p", self.min_p, unit.contains(&self.min_p), "from 0 to 1"),
            (
                "repeat_penalty",
                self.repeat_penalty,
                self.repeat_penalty > 0.0 && self.repeat_penalty <= 100.0,
                "above 0 and at most 100",
            ),
            ("presence_penalty", self.presence_penalty, penalty.contains(&self.presence_penalty), "from -100 to 100"),
            (
                "frequency_penalty",
                self.frequency_penalty,
                penalty.contains(&self.frequency_penalty),
                "from -100 to 100",
            ),
        ] {
            if !ok {
                return Err(Error::Argument(format!("{name} is {}; it must be {range}", number(value))));
            }
        }
        Ok(())
    }

    fn penalizes(&self) -> bool {
        self.repeat_last_n > 0
            && (self.repeat_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0)
    }
}

/// Chooses tokens by one set of options. What it keeps between calls is the state of its generator; everything else is
/// room that was made once.
#[derive(Debug, Clone)]
pub struct Sampler {
    options: SamplerOptions,
    rng: Rng,
    candidates: Candidates,
    /// For each token how often it occurred lately; all zero between calls.
    counts: Vec<u32>,
}

impl Sampler {
    /// A sampler for logits of a vocabulary. Allocates 12 bytes a token, and nothing after that.
    ///
    /// # Errors
    /// `Argument` for an option out of its range or an empty vocabulary.
    pub fn new(options: SamplerOptions, n_vocab: usize) -> Result<Sampler> {
        options.check()?;
        if n_vocab == 0 {
            return Err(Error::Argument("the vocabulary is empty; there is no token to choose".into()));
        }
        let rng = Rng::new(options.seed);
        Ok(Sampler { options, rng, candidates: Candidates::new(n_vocab), counts: vec![0; n_vocab] })
    }

    /// The options that it was made with.
    pub fn options(&self) -> &SamplerOptions {
        &self.options
    }

    /// The generator, whose state is all there is to save.
    pub fn rng(&self) -> &Rng {
        &self.rng
    }

    /// Goes on from a saved generator.
    pub fn set_rng(&mut self, rng: Rng) {
        self.rng = rng;
    }

    /// Chooses the next token. Draws one number, or none at temperature 0.
    ///
    /// # Shapes
    /// `logits`: V, as given to [`new`](Self::new); −∞ bars a token. `history`: the tokens so far, the last one last.
    ///
    /// # Errors
    /// `Format` where a logit is not a number or +∞, or all are −∞; `Argument` where the length of `logits` is not V
    /// or a token of the history that penalties look at is not in the vocabulary.
    pub fn sample(&mut self, logits: &[f32], history: &[u32]) -> Result<u32> {
        self.check_logits(logits)?;
        self.candidates.fill(logits);
        if self.options.penalizes() {
            self.penalize(history)?;
        }
        if self.options.temperature <= 0.0 {
            return Ok(self.candidates.greedy());
        }
        self.candidates.top_k(self.options.top_k as usize);
        self.candidates.top_p(self.options.top_p);
        self.candidates.min_p(self.options.min_p);
        Ok(self.candidates.draw(self.options.temperature, self.rng.next_unit()))
    }

    fn check_logits(&self, logits: &[f32]) -> Result<()> {
        if logits.len() != self.counts.len() {
            return Err(Error::Argument(format!(
                "{} logits were given for a vocabulary of {} tokens",
                logits.len(),
                self.counts.len()
            )));
        }
        if let Some(id) = logits.iter().position(|logit| logit.is_nan() || *logit == f32::INFINITY) {
            return Err(Error::Format(format!(
                "the model computed {} for token {id}; its weights are damaged, load another copy of the file",
                number(logits[id])
            )));
        }
        if logits.iter().all(|logit| *logit == f32::NEG_INFINITY) {
            return Err(Error::Format("the model computed -inf for every token; there is none to choose".into()));
        }
        Ok(())
    }

    /// For each token that occurred c ≥ 1 times among the last `repeat_last_n`:
    /// l ← (l ≤ 0 ? l · repeat : l / repeat) − (c · frequency + presence).
    ///
    /// # Source
    /// N. Keskar et al., *CTRL*, <https://arxiv.org/abs/1909.05858>; `llama_sampler_penalties_apply` in llama.cpp
    fn penalize(&mut self, history: &[u32]) -> Result<()> {
        let SamplerOptions { repeat_penalty, presence_penalty, frequency_penalty, .. } = self.options;
        let recent = &history[history.len().saturating_sub(self.options.repeat_last_n as usize)..];
        let n_vocab = self.counts.len();
        if let Some(token) = recent.iter().find(|token| **token as usize >= n_vocab) {
            return Err(Error::Argument(format!(
                "token {token} of the history is not in the vocabulary of {n_vocab} tokens"
            )));
        }
        for &token in recent {
            self.counts[token as usize] += 1;
        }
        for &token in recent {
            // The first occurrence takes the count, the others find none.
            let count = core::mem::take(&mut self.counts[token as usize]);
            if count > 0 {
                self.candidates.change(token, |logit| {
                    let repeated = if logit <= 0.0 { logit * repeat_penalty } else { logit / repeat_penalty };
                    repeated - (count as f32 * frequency_penalty + presence_penalty)
                });
            }
        }
        Ok(())
    }
}
