//! DRY: do not repeat yourself.

use super::Sampler;

/// Repetitions longer than this count as this long: what is looked at for a token of the text stays bounded.
const LONGEST: usize = 256;

impl Sampler {
    /// For each token that stood behind an earlier copy of the text's end, n ≥ allowed tokens long (of several copies the
    /// longest): l ← l − multiplier · base^(n − allowed). A copy does not reach back past a breaker, and breakers lose
    /// nothing.
    ///
    /// # Source
    /// p-e-w, *DRY: a modern repetition penalty*, <https://github.com/oobabooga/text-generation-webui/pull/5677>;
    /// `llama_sampler_dry_apply` in llama.cpp
    pub(super) fn dry(&mut self, history: &[u32]) {
        let options = &self.options;
        let (n, allowed) = (history.len(), options.dry_allowed_length as usize);
        let text = &history[n.saturating_sub(options.dry_penalty_last_n as usize)..];
        let breaks = |token: &u32| self.breakers[*token as usize];
        // How long a copy can be: up to the last breaker.
        let end = text.iter().rev().take(LONGEST).take_while(|token| !breaks(token)).count();
        for (at, &next) in text.iter().enumerate().skip(1) {
            let pairs = text[..at].iter().rev().zip(text.iter().rev().take(end));
            let n_same = pairs.take_while(|(a, b)| a == b).count();
            let longest = &mut self.counts[next as usize];
            if n_same >= allowed {
                *longest = (n_same as u32 + 1).max(*longest);
            }
        }
        for &next in text {
            let longest = core::mem::take(&mut self.counts[next as usize]) as usize;
            if longest > 0 && !breaks(&next) {
                let loss = (allowed + 1..longest).fold(options.dry_multiplier, |loss, _| loss * options.dry_base);
                self.candidates.change(next, |logit| logit - loss);
            }
        }
    }
}
