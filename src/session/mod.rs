//! What changes while a model runs: the text so far, its keys and values, and the generation that extends it.

mod draft_model;
mod drafts;
mod generation;
mod measures;
mod saved;
mod taps;

pub use drafts::{Drafted, MAX_DRAFT, Speculation};
pub use generation::{GenerateOptions, Generation, Overflow, Step, StopReason};
pub use measures::{Pooling, ln_softmax};

use crate::error::{Error, Result};
use crate::model::{
    Adapter, CacheType, Config, Interfering, Intervention, KvCache, MAX_BATCH, Model, Scratch, Tap, Want, can_shift,
    forward,
};
use crate::pool::Pool;
use crate::sampler::SamplerState;
use std::sync::Arc;

/// The context where none is asked for: the model's own, but at most this.
pub const DEFAULT_N_CTX: usize = 2048;

/// One text in the making, over a shared [`Model`]. Everything it needs is allocated when it is made.
///
/// Its text is a list of tokens. The first `n_past` of them are computed (their keys and values are in the cache); the
/// rest is pending. [`accept`](Session::accept) adds to the text, [`forward`](Session::forward) computes.
/// [`foresee`](Session::foresee) also computes tokens that may come next; those that do come are then computed already.
#[derive(Debug)]
pub struct Session {
    model: Arc<Model>,
    cache: KvCache,
    scratch: Scratch,
    tokens: Vec<u32>,
    n_past: usize,
    /// Tokens that are computed after the text, without being part of it: the next one last. Nothing is pending then.
    foreseen: Vec<u32>,
    /// How many computed tokens, at most, are as they would be without what a [shift](Session::shift) took away.
    n_own: usize,
    /// Where the sampler of the last generation stands.
    sampler: Option<SamplerState>,
    /// See [`set_interventions`](Session::set_interventions).
    interventions: Vec<Intervention>,
}

impl Session {
    /// A session with an empty text and room for `n_ctx` tokens; by default min(n_ctx_train, [`DEFAULT_N_CTX`]).
    ///
    /// # Errors
    /// `Argument` for a context of 0, or one longer than the model has learned positions for; `Limit` where memory does
    /// not suffice.
    pub fn new(model: Arc<Model>, n_ctx: Option<u32>) -> Result<Session> {
        Session::with_cache_type(model, n_ctx, CacheType::F32)
    }

    /// As [`new`](Self::new), with keys and values kept in another type than f32.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_cache_type(model: Arc<Model>, n_ctx: Option<u32>, cache_type: CacheType) -> Result<Session> {
        Session::with_pool(model, n_ctx, cache_type, Arc::new(Pool::new(1)))
    }

    /// As [`with_cache_type`](Self::with_cache_type), computed by the threads of `pool`. The bits do not depend on them.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_pool(model: Arc<Model>, n_ctx: Option<u32>, cache_type: CacheType, pool: Arc<Pool>) -> Result<Session> {
        let n_ctx = Session::choose_n_ctx(&model, n_ctx)?;
        Ok(Session {
            cache: KvCache::new(model.config(), n_ctx, cache_type)?,
            scratch: Scratch::new(&model, n_ctx, pool)?,
            tokens: crate::tensor::zeros(n_ctx).map(|mut tokens| {
                tokens.clear();
                tokens
            })?,
            n_past: 0,
            foreseen: Vec::new(),
            n_own: usize::MAX,
            sampler: None,
            interventions: Vec::new(),
            model,
        })
    }

    fn choose_n_ctx(model: &Model, asked: Option<u32>) -> Result<usize> {
        match (asked.map(|n| n as usize), model.max_positions()) {
            (Some(0), _) => Err(Error::Argument("a context of 0 tokens holds no text: ask for 1 or more".into())),
            (Some(n), Some(max)) if n > max => Err(Error::Argument(format!(
                "a context of {n} tokens was asked for; this model has positions for {max}"
            ))),
            (Some(n), _) => Ok(n),
            (None, _) => Ok(model.config().n_ctx_train.min(DEFAULT_N_CTX)),
        }
    }

    /// Bytes of memory that a session with room for `n_ctx` tokens takes.
    pub fn bytes_needed(config: &Config, n_ctx: usize, cache_type: CacheType) -> u64 {
        KvCache::bytes_needed(config, n_ctx, cache_type).saturating_add(Scratch::bytes_needed(config, n_ctx))
    }

    /// The model that runs.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The most tokens that the text can have.
    pub fn n_ctx(&self) -> usize {
        self.cache.n_ctx()
    }

    /// How keys and values are kept.
    pub fn cache_type(&self) -> CacheType {
        self.cache.cache_type()
    }

    /// The threads that compute.
    pub fn pool(&self) -> &Arc<Pool> {
        self.scratch.pool()
    }

    /// The adapters that change the model's matrices, each with its scale.
    pub fn adapters(&self) -> &[(Arc<Adapter>, f32)] {
        self.scratch.adapters()
    }

    /// Puts other adapters in their place; none gives back the model itself, in every bit. The text stays, and all of it is to
    /// be computed anew.
    ///
    /// # Errors
    /// `Argument` for an adapter of another model or a scale that is no number; `Limit` where memory does not suffice. Nothing
    /// is changed then.
    pub fn set_adapters(&mut self, adapters: Vec<(Arc<Adapter>, f32)>) -> Result<()> {
        self.scratch.adapt(&self.model, adapters)?;
        self.foreseen.clear();
        (self.n_past, self.n_own) = (0, usize::MAX);
        Ok(())
    }

    /// A number that tells the model with these adapters from all others; the [model's own](Model::hash) without any.
    pub fn hash(&self) -> u64 {
        self.scratch.hash(&self.model)
    }

    /// The text so far.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many tokens of the text are computed.
    pub fn n_past(&self) -> usize {
        self.n_past
    }

    /// How many tokens of the text are not.
    pub fn n_pending(&self) -> usize {
        self.tokens.len() - self.n_past
    }

    /// Makes `tokens` the text. What it shares with the old text's beginning stays computed, except its last token, so
    /// that there is always a position whose logits come next. Returns how many tokens need not be computed again.
    ///
    /// # Errors
    /// `Argument` for an empty text or a token outside the vocabulary, `Limit` for a text longer than the context. The
    /// old text then stays.
    pub fn prepare(&mut self, tokens: &[u32]) -> Result<usize> {
        if tokens.is_empty() {
            return Err(Error::Argument("the prompt is empty and the model has no token to begin with".into()));
        }
        if tokens.len() > self.n_ctx() {
            return Err(Error::Limit(format!(
                "the prompt has {} tokens and the context holds {}: shorten it, or load the model with a longer context",
                tokens.len(),
                self.n_ctx()
            )));
        }
        self.check_vocabulary(tokens)?;
        let shared = self.tokens[..self.n_past].iter().zip(tokens).take_while(|(a, b)| a == b).count();
        self.n_past = shared.min(tokens.len() - 1).min(self.n_own);
        self.n_own = usize::MAX;
        self.foreseen.clear();
        self.tokens.clear();
        self.tokens.extend_from_slice(tokens);
        Ok(self.n_past)
    }

    /// Makes the text empty.
    pub fn clear(&mut self) {
        self.tokens.clear();
        self.foreseen.clear();
        self.n_past = 0;
        self.n_own = usize::MAX;
    }

    /// Makes the text's last token one that is to be computed again, so that its logits come next. Returns how many tokens
    /// need not be computed.
    ///
    /// # Errors
    /// `Argument` for an empty text.
    pub fn step_back(&mut self) -> Result<usize> {
        let Some(last) = self.tokens.len().checked_sub(1) else {
            return Err(Error::Argument("there is no text to go on with: it is empty".into()));
        };
        self.n_past = self.n_past.min(last);
        self.foreseen.clear();
        Ok(self.n_past)
    }

    /// Takes half of the tokens behind the first `n_keep` out of the text. What is behind them moves to their place: its keys
    /// turn back by as many positions, its values stay, so that it still knows of what is gone. The last token is then
    /// pending.
    ///
    /// # Errors
    /// `Unsupported` for a model with learned positions; `Argument` where fewer than two tokens stand behind the first
    /// `n_keep`.
    pub fn shift(&mut self, n_keep: usize) -> Result<()> {
        can_shift(self.model.config())?;
        let n_gone = self.tokens.len().saturating_sub(n_keep) / 2;
        if n_gone == 0 {
            return Err(Error::Argument(format!(
                "a text of {} tokens of which {n_keep} stay cannot be shifted",
                self.tokens.len()
            )));
        }
        let (n_past, from) = (self.step_back()?, n_keep + n_gone);
        self.scratch.shift(self.model.config(), &mut self.cache, from, n_past, n_keep);
        self.tokens.drain(n_keep..from);
        self.n_past = n_past.saturating_sub(n_gone).max(n_past.min(n_keep));
        self.n_own = self.n_own.min(n_keep);
        Ok(())
    }

    /// Adds a token to the text, to be computed by the next [`forward`](Session::forward), unless it is the next one that
    /// was [foreseen](Session::foresee): that one is computed.
    ///
    /// # Errors
    /// `Argument` for a token outside the vocabulary, `Limit` where the context is full.
    pub fn accept(&mut self, token: u32) -> Result<()> {
        self.append(&[token])?;
        if self.foreseen.last() == Some(&token) {
            self.foreseen.pop();
            self.n_past += 1;
        } else {
            self.foreseen.clear();
        }
        Ok(())
    }

    /// Adds all of `tokens` to the text, or none.
    fn append(&mut self, tokens: &[u32]) -> Result<()> {
        self.check_vocabulary(tokens)?;
        if tokens.len() > self.n_ctx() - self.tokens.len() {
            return Err(Error::Limit(format!(
                "the context is full: it holds {} tokens, {} are there and {} would be added",
                self.n_ctx(),
                self.tokens.len(),
                tokens.len()
            )));
        }
        self.tokens.extend_from_slice(tokens);
        Ok(())
    }

    /// Adds `tokens` to the text, computes what is pending, at most [`MAX_BATCH`] tokens of it, and returns the logits
    /// of the last token computed: \[V\]. Call again with no tokens while [`n_pending`](Session::n_pending) is not 0.
    ///
    /// # Errors
    /// As [`accept`](Session::accept), the text then being as before; `Argument` where nothing is pending.
    pub fn forward(&mut self, tokens: &[u32]) -> Result<&[f32]> {
        self.run(tokens, Want::Last, None)
    }

    /// As [`forward`](Session::forward) with no tokens, for texts of which only the end matters: while more is pending
    /// afterwards no logits are computed, and those from before stay.
    ///
    /// # Errors
    /// `Argument` where nothing is pending.
    pub fn prefill(&mut self) -> Result<()> {
        let want = if self.n_pending() > MAX_BATCH { Want::Nothing } else { Want::Last };
        self.run(&[], want, None).map(|_| ())
    }

    /// As [`forward`](Session::forward), with the logits of every token computed: \[T × V\].
    ///
    /// # Errors
    /// As [`forward`](Session::forward).
    pub fn forward_all(&mut self, tokens: &[u32]) -> Result<&[f32]> {
        self.run(tokens, Want::All, None)
    }

    /// As [`forward_all`](Session::forward_all), with someone who looks at every step, or changes it. What a tap changes
    /// stays in the keys and values of these tokens: [`clear`](Session::clear) the text before going on without it.
    ///
    /// # Errors
    /// As [`forward`](Session::forward).
    pub fn forward_tapped(&mut self, tokens: &[u32], tap: &mut dyn Tap) -> Result<&[f32]> {
        self.run(tokens, Want::All, Some(tap))
    }

    /// Computes what is pending and, after it, `draft`: tokens that may come next but are not yet part of the text.
    /// Returns the logits of the text's last token, \[V\], in the same bits as without a draft. While
    /// [`accept`](Session::accept) is given the tokens of the draft, their logits are there without another call; at the
    /// first other token the rest is forgotten.
    ///
    /// # Errors
    /// As [`forward`](Session::forward); `Limit` where text and draft together exceed the context, `Argument` where nothing
    /// is pending or pending tokens and draft are more than [`MAX_BATCH`]. The text stays as it was in any case.
    pub fn foresee(&mut self, draft: &[u32]) -> Result<&[f32]> {
        let n_text = self.tokens.len();
        if n_text == self.n_past {
            return Err(Error::Argument("nothing is pending: accept a token first".into()));
        }
        self.append(draft)?;
        let Session { model, cache, scratch, tokens, n_past, interventions, .. } = self;
        let mut own = Interfering { model, list: interventions, then: None };
        let tap = own.tap();
        let done = forward(model, cache, scratch, &tokens[*n_past..], *n_past, Want::All, tap).map(|_| ());
        tokens.truncate(n_text);
        done?;
        self.n_past = n_text;
        self.foreseen.clear();
        self.foreseen.extend(draft.iter().rev());
        Ok(self.logits())
    }

    /// How many tokens after the text are computed.
    pub fn n_foreseen(&self) -> usize {
        self.foreseen.len()
    }

    /// Makes room for drafts of up to `n` tokens, so that [`foresee`](Session::foresee) allocates nothing.
    ///
    /// # Errors
    /// `Limit` where memory does not suffice.
    pub fn reserve_draft(&mut self, n: usize) -> Result<()> {
        self.foreseen.reserve(n);
        self.scratch.reserve_logits(n + 1, self.model.config().n_vocab)
    }

    pub(crate) fn run(&mut self, tokens: &[u32], want: Want, tap: Option<&mut dyn Tap>) -> Result<&[f32]> {
        self.append(tokens)?;
        let Session { model, cache, scratch, tokens, n_past, foreseen, interventions, .. } = self;
        let end = tokens.len().min(*n_past + MAX_BATCH);
        let mut own = Interfering { model, list: interventions, then: tap };
        let tap = own.tap();
        let logits = forward(model, cache, scratch, &tokens[*n_past..end], *n_past, want, tap)?;
        *n_past = end;
        foreseen.clear();
        Ok(logits)
    }

    /// The logits of the text's last token that is computed: \[V\]. Zeros before the first.
    pub fn logits(&self) -> &[f32] {
        self.scratch.logits(self.foreseen.len(), self.model.config().n_vocab)
    }

    fn check_vocabulary(&self, tokens: &[u32]) -> Result<()> {
        let n_vocab = self.model.config().n_vocab;
        match tokens.iter().find(|token| **token as usize >= n_vocab) {
            None => Ok(()),
            Some(token) => {
                Err(Error::Argument(format!("there is no token {token}: the vocabulary's last is {}", n_vocab - 1)))
            }
        }
    }
}
