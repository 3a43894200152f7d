//! Other uses of the pass than to go on with a text.

use super::Session;
use crate::error::Result;
use crate::kernels::{self, max_and_exp_sum};
use crate::model::{MAX_BATCH, Want};
use crate::sampler::ln;

/// How the vectors of a text's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The last one.
    Last,
}

/// ln softmax(logits)\[token\] = (x − max) − ln Σ eˣʲ⁻ᵐᵃˣ; −∞ past the end of `logits`.
pub fn ln_softmax(logits: &[f32], token: u32) -> f64 {
    let (max, sum) = max_and_exp_sum(logits);
    logits.get(token as usize).map_or(f64::NEG_INFINITY, |x| f64::from(x - max) - ln(f64::from(sum)))
}

impl Session {
    /// One vector for a text: the model's last norm at each token, pooled, and divided by its Euclidean length. `tokens`
    /// become the session's text.
    ///
    /// # Shapes
    /// D
    ///
    /// # Errors
    /// As [`prepare`](Session::prepare).
    pub fn embed(&mut self, tokens: &[u32], pooling: Pooling) -> Result<Vec<f32>> {
        let d = self.model.config().n_embd;
        let mut sum = vec![0.0; d];
        self.clear();
        self.prepare(tokens)?;
        while self.n_pending() > 0 {
            for vector in self.run(&[], Want::Hidden, None)?.chunks_exact(d) {
                match pooling {
                    Pooling::Mean => kernels::add(&mut sum, vector),
                    Pooling::Last => sum.copy_from_slice(vector),
                }
            }
        }
        let length = kernels::dot(&sum, &sum).sqrt();
        if length > 0.0 {
            kernels::scale(&mut sum, 1.0 / length);
        }
        Ok(sum)
    }

    /// The natural logarithm of each token's probability after the tokens before it, from the second token on. `tokens`
    /// become the session's text. The perplexity of a text is e to the power of minus the mean of these.
    ///
    /// # Errors
    /// As [`prepare`](Session::prepare), and `Limit` where there is no memory for the logits of a batch.
    pub fn score(&mut self, tokens: &[u32]) -> Result<Vec<f64>> {
        let n_vocab = self.model.config().n_vocab;
        let mut scores = Vec::with_capacity(tokens.len());
        self.clear();
        self.prepare(tokens)?;
        for next in tokens[1..].chunks(MAX_BATCH) {
            let logits = self.run(&[], Want::All, None)?;
            scores.extend(logits.chunks_exact(n_vocab).zip(next).map(|(logits, token)| ln_softmax(logits, *token)));
        }
        Ok(scores)
    }
}
