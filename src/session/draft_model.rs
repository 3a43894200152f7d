//! A second, smaller model that guesses what the first will say.

use super::Session;
use crate::error::{Error, Result};
use crate::model::{CacheType, Model};
use crate::sampler::Sampler;
use std::sync::Arc;

/// The draft model's own view of the text, and a sampler with the same options as the generation's.
#[derive(Debug)]
pub(super) struct DraftModel {
    view: Session,
    sampler: Sampler,
}

impl DraftModel {
    /// # Errors
    /// As [`view`](Self::view).
    pub(super) fn new(model: Arc<Model>, session: &Session, sampler: &Sampler, prompt: &[u32]) -> Result<DraftModel> {
        let mut view = DraftModel::view(model, session)?;
        let _ = view.prepare(prompt); // a prompt that is too long for the draft model is not for it to refuse
        Ok(DraftModel { view, sampler: sampler.clone() })
    }

    /// A session of the draft model that is as long as `session`, as far as it can be.
    ///
    /// # Errors
    /// `Argument` for a vocabulary of another size than the session's, `Limit` where memory does not suffice.
    #[inline(never)]
    pub(super) fn view(model: Arc<Model>, session: &Session) -> Result<Session> {
        let (n_vocab, n_draft_vocab) = (session.model().config().n_vocab, model.config().n_vocab);
        if n_vocab != n_draft_vocab {
            return Err(Error::Argument(format!(
                "the draft model has {n_draft_vocab} tokens and the model {n_vocab}: they must share a vocabulary"
            )));
        }
        let n_ctx = session.n_ctx().min(model.max_positions().unwrap_or(usize::MAX));
        Session::with_pool(model, Some(n_ctx as u32), CacheType::F32, session.pool().clone())
    }

    /// Computes a piece of the prompt.
    pub(super) fn prefill(&mut self) {
        if self.view.n_pending() > 0 {
            let _ = self.view.prefill(); // a model that computes no numbers shows when it is sampled
        }
    }

    /// Continues `text` by up to `n` tokens into `draft`, with the draws that `sampler` will make for the real ones. What
    /// goes wrong ends the guess.
    pub(super) fn propose(&mut self, text: &[u32], sampler: &Sampler, n: usize, draft: &mut Vec<u32>) {
        self.sampler.set_state(sampler.state());
        let _ = self.imagine(text, n, draft);
    }

    /// A view that is more than a batch behind catches up first; a text beyond its context has no guesses.
    fn imagine(&mut self, text: &[u32], n: usize, draft: &mut Vec<u32>) -> Result<()> {
        let view = &mut self.view;
        if text.len() > view.n_ctx() {
            return Ok(()); // the error of `prepare` would be written anew for each token
        }
        view.prepare(text)?;
        view.prefill()?;
        let n = if view.n_pending() > 0 { 0 } else { n.min(view.n_ctx() - text.len()) };
        for i in 0..n {
            if i > 0 {
                view.forward(&[])?;
            }
            let token = self.sampler.sample(view.logits(), view.tokens())?;
            view.accept(token)?;
            draft.push(token);
        }
        Ok(())
    }
}
