//! Looking at a session's pass, and interfering with it.

use super::Session;
use crate::error::{Error, Result};
use crate::model::{Intervention, project};

impl Session {
    /// Puts these in place of the interventions that there are: every pass from now on has them, whoever runs it. The text is
    /// to be computed anew; with an empty list it gets the bits that it had before.
    ///
    /// # Errors
    /// As [`Intervention::check`]; those from before then stay.
    pub fn set_interventions(&mut self, list: Vec<Intervention>) -> Result<()> {
        list.iter().try_for_each(|intervention| intervention.check(&self.model))?;
        self.interventions = list;
        self.n_past = 0;
        self.foreseen.clear();
        Ok(())
    }

    /// The logits that the last norm and the output head make of residual streams `x`, \[n × D\]: the logit lens. Leaves the
    /// text as it is, but for its last logits, which are to be computed again. Returns \[n × V\].
    ///
    /// # Errors
    /// `Argument` where `x` is not 1 to [`crate::model::MAX_BATCH`] vectors, `Limit` where there is no memory.
    pub fn project(&mut self, x: &[f32]) -> Result<&[f32]> {
        if !self.tokens.is_empty() {
            self.step_back()?;
        }
        let Session { model, cache, scratch, .. } = self;
        project(model, cache, scratch, x)
    }

    /// The embedding of each of these tokens, as the first layer gets it but for learned positions: \[n × D\].
    ///
    /// # Errors
    /// `Argument` for a token outside the vocabulary; `Limit` where there is no memory.
    pub fn embeddings(&self, tokens: &[u32]) -> Result<Vec<f32>> {
        self.check_vocabulary(tokens)?;
        let d = self.model.config().n_embd;
        let n = tokens.len().checked_mul(d).ok_or_else(|| Error::Limit("these are too many tokens".into()))?;
        let mut rows: Vec<f32> = crate::tensor::zeros(n)?;
        rows.chunks_exact_mut(d).zip(tokens).for_each(|(row, token)| self.model.embedding(*token, row));
        Ok(rows)
    }
}
