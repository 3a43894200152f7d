//! What can be asked of a [`Sampler`](super::Sampler).

use crate::error::{Error, Result, number};
use serde::{Deserialize, Serialize};

/// How a token is chosen. The defaults are llama.cpp's, but for the seed. [The module](super) has the formulas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SamplerOptions {
    /// Above 1 flattens the distribution, below 1 sharpens it; 0 or less always takes the most probable token.
    pub temperature: f32,
    /// How far the temperature moves to either side with the distribution's entropy; 0 for not at all.
    pub dynatemp_range: f32,
    /// The power of the normalized entropy by which it moves, 0 to 100.
    pub dynatemp_exponent: f32,
    /// Only the k most probable tokens; 0 for all.
    pub top_k: u32,
    /// Only the fewest most probable tokens that together have this probability, 0 to 1; 1 for all.
    pub top_p: f32,
    /// Only tokens at least this times as probable as the most probable one, 0 to 1; 0 for all.
    pub min_p: f32,
    /// Only the fewest tokens of nearly the expected surprise that together have this probability, 0 to 1; 1 for all.
    pub typical_p: f32,
    /// Only tokens whose logit is at most this many standard deviations below the largest; 0 for all.
    pub top_n_sigma: f32,
    /// How often top choices are left out, 0 to 1; 0 for never.
    pub xtc_probability: f32,
    /// What a top choice is: a token at least this probable that is not the last such; above 0.5 there is none.
    pub xtc_threshold: f32,
    /// Divides positive logits of tokens that occurred and multiplies negative ones, 0.0001 to 100; 1 for no effect.
    pub repeat_penalty: f32,
    /// Is taken from the logit of tokens that occurred, −100 to 100; 0 for no effect.
    pub presence_penalty: f32,
    /// Is taken from the logit of tokens for each time they occurred, −100 to 100; 0 for no effect.
    pub frequency_penalty: f32,
    /// How many of the last tokens the penalties look at; 0 for none.
    pub repeat_last_n: u32,
    /// Is taken from the logit of a token that would make a repetition longer than is allowed; 0 for no effect.
    pub dry_multiplier: f32,
    /// Multiplies that for each further token that is repeated, from 1 on.
    pub dry_base: f32,
    /// How long a repetition may get.
    pub dry_allowed_length: u32,
    /// In how many of the last tokens repetitions are looked for.
    pub dry_penalty_last_n: u32,
    /// Tokens at which a repetition ends.
    pub dry_breakers: Vec<u32>,
    /// 2 for mirostat 2, in place of the stages that leave candidates out; 0 for those.
    pub mirostat: u32,
    /// The surprise that mirostat aims at, in bits.
    pub mirostat_tau: f32,
    /// How fast mirostat corrects itself, 0 to 1.
    pub mirostat_eta: f32,
    /// Is added to the logit of a token.
    pub logit_bias: Vec<(u32, f32)>,
    /// Tokens that are never chosen.
    pub banned_tokens: Vec<u32>,
    /// Where the draws start.
    pub seed: u32,
}

impl Default for SamplerOptions {
    fn default() -> SamplerOptions {
        SamplerOptions {
            temperature: 0.8,
            dynatemp_range: 0.0,
            dynatemp_exponent: 1.0,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            typical_p: 1.0,
            top_n_sigma: 0.0,
            xtc_probability: 0.0,
            xtc_threshold: 0.1,
            repeat_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            repeat_last_n: 64,
            dry_multiplier: 0.0,
            dry_base: 1.75,
            dry_allowed_length: 2,
            dry_penalty_last_n: u32::MAX,
            dry_breakers: Vec::new(),
            mirostat: 0,
            mirostat_tau: 5.0,
            mirostat_eta: 0.1,
            logit_bias: Vec::new(),
            banned_tokens: Vec::new(),
            seed: 0,
        }
    }
}

impl SamplerOptions {
    /// Shows every option that is a number with a fraction: its name in JS, the number, the least and the largest it may be.
    pub fn fractions(&mut self, see: &mut dyn FnMut(&'static str, &mut f32, f32, f32)) {
        see("temperature", &mut self.temperature, -1e4, 1e4);
        see("dynatempRange", &mut self.dynatemp_range, 0.0, 1e4);
        see("dynatempExponent", &mut self.dynatemp_exponent, 0.0, 100.0);
        see("topP", &mut self.top_p, 0.0, 1.0);
        see("minP", &mut self.min_p, 0.0, 1.0);
        see("typicalP", &mut self.typical_p, 0.0, 1.0);
        see("topNSigma", &mut self.top_n_sigma, 0.0, 1e4);
        see("xtcProbability", &mut self.xtc_probability, 0.0, 1.0);
        see("xtcThreshold", &mut self.xtc_threshold, 0.0, 1.0);
        see("repeatPenalty", &mut self.repeat_penalty, 1e-4, 100.0);
        see("presencePenalty", &mut self.presence_penalty, -100.0, 100.0);
        see("frequencyPenalty", &mut self.frequency_penalty, -100.0, 100.0);
        see("dryMultiplier", &mut self.dry_multiplier, 0.0, 1e4);
        see("dryBase", &mut self.dry_base, 1.0, 1e4);
        see("mirostatTau", &mut self.mirostat_tau, 0.0, 100.0);
        see("mirostatEta", &mut self.mirostat_eta, 0.0, 1.0);
    }

    /// Shows every option that is a count, with its name in JS.
    pub fn counts(&mut self, see: &mut dyn FnMut(&'static str, &mut u32)) {
        see("topK", &mut self.top_k);
        see("repeatLastN", &mut self.repeat_last_n);
        see("dryAllowedLength", &mut self.dry_allowed_length);
        see("dryPenaltyLastN", &mut self.dry_penalty_last_n);
        see("mirostat", &mut self.mirostat);
        see("seed", &mut self.seed);
    }

    /// Checks every option against its range, and the tokens that are named against a vocabulary.
    ///
    /// # Errors
    /// `Argument`, naming one option that is out of range, its value, and the range.
    pub fn check(&mut self, n_vocab: usize) -> Result<()> {
        let mut wrong = None;
        let mut see = |name: &str, value: f32, least: f32, largest: f32| {
            if !(least..=largest).contains(&value) {
                let [value, least, largest] = [value, least, largest].map(number);
                wrong = Some(format!("{name} is {value}; it must be from {least} to {largest}"));
            }
        };
        let token = |token: u32| (token as f32, (n_vocab - 1) as f32);
        for (id, bias) in &self.logit_bias {
            see("a bias", *bias, -1e4, 1e4);
            see("a token with a bias", token(*id).0, 0.0, token(0).1);
        }
        for id in self.banned_tokens.iter().chain(&self.dry_breakers) {
            see("a banned or breaking token", token(*id).0, 0.0, token(0).1);
        }
        if self.mirostat % 2 == 1 {
            see("mirostat, 0 or 2,", self.mirostat as f32, 0.0, 0.0);
        }
        see("mirostat", self.mirostat as f32, 0.0, 2.0);
        self.fractions(&mut |name, value, least, largest| see(name, *value, least, largest));
        wrong.map_or(Ok(()), |text| Err(Error::Argument(text)))
    }

    pub(super) fn penalizes(&self) -> bool {
        self.repeat_last_n > 0
            && (self.repeat_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0)
    }
}
