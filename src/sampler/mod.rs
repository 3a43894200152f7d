//! Logits to a token, by stages in llama.cpp's order, each of them optional:
//!
//! 1. bias and bans: lᵢ ← lᵢ + biasᵢ, and −∞ for a token that is banned,
//! 2. penalties for tokens that occurred lately (repeat, frequency, presence),
//! 3. DRY: a penalty for tokens that lengthen a repetition,
//! 4. top-n-sigma, 5. top-k, 6. typical, 7. top-p, 8. min-p, 9. XTC: fewer candidates,
//! 10. temperature, which entropy may move, 11. a draw.
//!
//! Mirostat 2 stands in place of stages 4 to 9, after the temperature. At temperature 0 the largest logit after stage 3 is
//! taken. Everything is deterministic: the same logits, history, options and seed give the same token on every machine.
//! A draw is one number of the generator, and XTC takes one more before it.
//!
//! # Source
//! Order and formulas: `common_params_sampling::samplers` in llama.cpp's `common/common.h`, `src/llama-sampler.cpp`

mod dry;
mod ln;
mod options;
mod rng;
mod stages;

pub(crate) use ln::ln;
pub use options::SamplerOptions;
pub use rng::Rng;

use crate::error::{Error, Result, number};
use stages::Candidates;

/// Where repetitions end if nothing else is said: llama.cpp's default for DRY.
pub const DRY_BREAKERS: [&str; 4] = ["\n", ":", "\"", "*"];

/// What a [`Sampler`] keeps from one token to the next: all there is to save.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplerState {
    /// The generator's state.
    pub rng: u64,
    /// The surprise, in bits, up to which mirostat keeps tokens.
    pub mu: f32,
}

/// Chooses tokens by one set of options. What it keeps between calls is its [`SamplerState`]; everything else is room
/// that was made once.
#[derive(Debug, Clone)]
pub struct Sampler {
    options: SamplerOptions,
    rng: Rng,
    /// See [`SamplerState::mu`].
    mu: f32,
    candidates: Candidates,
    /// Room for typical sampling.
    ranks: Candidates,
    /// For each token whether repetitions end at it, where they are looked for.
    breakers: Vec<bool>,
    /// For each token how often it occurred lately; all zero between calls.
    counts: Vec<u32>,
}

impl Sampler {
    /// A sampler for logits of a vocabulary. Allocates 12 bytes a token, 8 more for typical sampling and one
    /// for DRY, and nothing after that.
    ///
    /// # Errors
    /// `Argument` for an option out of its range or an empty vocabulary.
    pub fn new(mut options: SamplerOptions, n_vocab: usize) -> Result<Sampler> {
        if n_vocab == 0 {
            return Err(Error::Argument("the vocabulary is empty; there is no token to choose".into()));
        }
        options.check(n_vocab)?;
        let mut breakers = vec![false; if options.dry_multiplier > 0.0 { n_vocab } else { 0 }];
        for token in &options.dry_breakers {
            if let Some(breaks) = breakers.get_mut(*token as usize) {
                *breaks = true;
            }
        }
        Ok(Sampler {
            breakers,
            rng: Rng::new(options.seed),
            mu: 2.0 * options.mirostat_tau,
            candidates: Candidates::new(n_vocab),
            ranks: Candidates::new(if options.typical_p < 1.0 { n_vocab } else { 0 }),
            counts: vec![0; n_vocab],
            options,
        })
    }

    /// The options that it was made with.
    pub fn options(&self) -> &SamplerOptions {
        &self.options
    }

    /// What there is to save.
    pub fn state(&self) -> SamplerState {
        SamplerState { rng: self.rng.state(), mu: self.mu }
    }

    /// Goes on from what was saved.
    pub fn set_state(&mut self, state: SamplerState) {
        self.rng = Rng::from_state(state.rng);
        self.mu = state.mu;
    }

    /// Chooses the next token.
    ///
    /// # Shapes
    /// `logits`: V, as given to [`new`](Self::new); −∞ bars a token. `history`: the tokens so far, the last one last.
    ///
    /// # Errors
    /// `Format` where a logit is not a number or +∞, or all are −∞; `Argument` where the length of `logits` is not V, a
    /// token of the history is not in the vocabulary, or every token is barred.
    pub fn sample(&mut self, logits: &[f32], history: &[u32]) -> Result<u32> {
        self.check_logits(logits)?;
        self.candidates.fill(logits);
        for (token, bias) in &self.options.logit_bias {
            self.candidates.change(*token, |logit| logit + bias);
        }
        for token in &self.options.banned_tokens {
            self.candidates.bar(*token);
        }
        self.check_history(history)?;
        if self.options.penalizes() {
            self.penalize(history);
        }
        if self.options.dry_multiplier > 0.0 {
            self.dry(history);
        }
        let (options, candidates) = (&self.options, &mut self.candidates);
        let best = candidates.greedy()?;
        if options.temperature <= 0.0 {
            return Ok(best);
        }
        if options.mirostat > 0 {
            candidates.mirostat(options.temperature, self.mu);
            let (token, surprise) = candidates.draw(options.temperature, self.rng.next_unit());
            self.mu -= options.mirostat_eta * (surprise as f32 - options.mirostat_tau);
            return Ok(token);
        }
        candidates.top_n_sigma(options.top_n_sigma);
        candidates.top_k(options.top_k as usize);
        candidates.typical(options.typical_p, &mut self.ranks);
        candidates.top_p(options.top_p);
        candidates.min_p(options.min_p);
        if options.xtc_probability > 0.0 && self.rng.next_unit() <= f64::from(options.xtc_probability) {
            candidates.xtc(options.xtc_threshold);
        }
        let temperature = match options.dynatemp_range {
            0.0 => options.temperature,
            range => candidates.moved(options.temperature, range, options.dynatemp_exponent),
        };
        Ok(candidates.draw(temperature, self.rng.next_unit()).0)
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

    /// Checks what of the history the penalties look at.
    fn check_history(&self, history: &[u32]) -> Result<()> {
        let (options, n_vocab) = (&self.options, self.counts.len());
        let n = if options.penalizes() { options.repeat_last_n } else { 0 };
        let n_dry = if options.dry_multiplier > 0.0 { options.dry_penalty_last_n } else { 0 };
        match history.iter().rev().take(n.max(n_dry) as usize).find(|token| **token as usize >= n_vocab) {
            Some(token) => Err(Error::Argument(format!(
                "token {token} of the history is not in the vocabulary of {n_vocab} tokens"
            ))),
            None => Ok(()),
        }
    }

    /// For each token that occurred c ≥ 1 times among the last `repeat_last_n`:
    /// l ← (l ≤ 0 ? l · repeat : l / repeat) − (c · frequency + presence).
    ///
    /// # Source
    /// N. Keskar et al., *CTRL*, <https://arxiv.org/abs/1909.05858>; `llama_sampler_penalties_apply` in llama.cpp
    fn penalize(&mut self, history: &[u32]) {
        let SamplerOptions { repeat_penalty, presence_penalty, frequency_penalty, .. } = self.options;
        let recent = &history[history.len().saturating_sub(self.options.repeat_last_n as usize)..];
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
    }
}
