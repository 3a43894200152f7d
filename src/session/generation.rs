//! A text that grows by one token a call.

use super::Session;
use super::drafts::{Drafted, Drafter, Speculation};
use crate::error::Result;
use crate::kernels;
use crate::sampler::{Sampler, SamplerOptions};
use core::borrow::BorrowMut;
use serde::{Deserialize, Serialize};

/// How a text is to be continued.
#[derive(Debug, Clone, Default)]
pub struct GenerateOptions {
    /// How the next token is chosen.
    pub sampler: SamplerOptions,
    /// The most tokens to add; `None`: until the model ends the text or the context is full.
    pub max_tokens: Option<u32>,
    /// Tokens that end the text; they are not part of it.
    pub stop_tokens: Vec<u32>,
    /// Whether the next tokens are guessed, so that several can be computed at once. Never changes the text.
    pub speculation: Speculation,
}

/// One step of a generation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Some of the prompt has been computed.
    Prefill {
        /// Tokens of the prompt that are computed, those found in the cache included.
        n_done: usize,
        /// Tokens of the prompt.
        n_total: usize,
    },
    /// A token has been chosen and added to the text.
    Token {
        /// The token.
        token: u32,
        /// The model's own probability of it: softmax of the raw logits, before any stage of the sampler.
        probability: f32,
    },
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StopReason {
    /// The model chose a token that ends the text.
    Eos,
    /// As many tokens were added as were asked for.
    MaxTokens,
    /// The context is full.
    ContextFull,
}

impl StopReason {
    /// Its name, as reports have it.
    pub fn name(self) -> &'static str {
        match self {
            StopReason::Eos => "eos",
            StopReason::MaxTokens => "maxTokens",
            StopReason::ContextFull => "contextFull",
        }
    }
}

/// A generation in progress: an iterator of [`Step`]s over a session that it owns or borrows.
///
/// Each call of `next` does a bounded piece of work: at most [`crate::model::MAX_BATCH`] tokens of the prompt, or one
/// new token. To stop, stop calling; the session stays usable and remembers the text so far.
///
/// With [`Speculation`] a call may compute further tokens that are only guessed. Each position is still sampled from its
/// own logits, with the draws that it would get without a guess, and a guess counts only while it equals the token that
/// was sampled: text, probabilities and draws are the same in every bit, however good or bad the guesses.
#[derive(Debug)]
pub struct Generation<S> {
    session: S,
    sampler: Sampler,
    drafter: Drafter,
    stop_tokens: Vec<u32>,
    n_left: u32,
    n_prompt: usize,
    prefilling: bool,
    stop_reason: Option<StopReason>,
    failed: bool,
}

impl<S: BorrowMut<Session>> Generation<S> {
    /// Prepares the session for `prompt`; see [`Session::prepare`] for what of it is computed anew.
    ///
    /// # Errors
    /// `Argument` and `Limit` as [`Session::prepare`]; `Argument` for sampler options out of range, or a draft model with a
    /// vocabulary of another size; `Limit` where there is no memory for drafts.
    pub fn new(mut session: S, prompt: &[u32], options: GenerateOptions) -> Result<Generation<S>> {
        let n_vocab = session.borrow().model().config().n_vocab;
        let sampler = Sampler::new(options.sampler, n_vocab)?;
        let drafter = Drafter::new(options.speculation, session.borrow_mut(), &sampler, prompt)?;
        session.borrow_mut().prepare(prompt)?;
        Ok(Generation {
            session,
            sampler,
            drafter,
            stop_tokens: options.stop_tokens,
            n_left: options.max_tokens.unwrap_or(u32::MAX),
            n_prompt: prompt.len(),
            prefilling: true,
            stop_reason: None,
            failed: false,
        })
    }

    /// Why it ended, once it has.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.stop_reason
    }

    /// The tokens that have been added.
    pub fn generated(&self) -> &[u32] {
        &self.session.borrow().tokens()[self.n_prompt..]
    }

    /// How many tokens were guessed so far, and how many of them came.
    pub fn drafted(&self) -> Drafted {
        self.drafter.drafted
    }

    /// Gives the session back.
    pub fn into_session(self) -> S {
        self.session
    }

    fn step(&mut self) -> Result<Option<Step>> {
        let session = self.session.borrow_mut();
        if self.prefilling {
            session.prefill()?;
            self.drafter.prefill();
            self.prefilling = session.n_pending() > 0;
            return Ok(Some(Step::Prefill { n_done: session.n_past(), n_total: self.n_prompt }));
        }
        self.stop_reason = match () {
            () if self.n_left == 0 => Some(StopReason::MaxTokens),
            () if session.tokens().len() >= session.n_ctx() => Some(StopReason::ContextFull),
            () => None,
        };
        if self.stop_reason.is_some() {
            return Ok(None);
        }
        if session.n_pending() > 0 {
            // The last token that is asked for needs no successor.
            match self.drafter.propose(session, &self.sampler, self.n_left as usize - 1) {
                [] => session.forward(&[])?,
                draft => session.foresee(draft)?,
            };
        }
        let token = self.sampler.sample(session.logits(), session.tokens())?;
        if self.stop_tokens.contains(&token) {
            self.stop_reason = Some(StopReason::Eos);
            return Ok(None);
        }
        let probability = kernels::probability(session.logits(), token as usize);
        let foreseen = session.n_foreseen() > 0;
        session.accept(token)?;
        self.drafter.drafted.accepted += u32::from(foreseen && session.n_pending() == 0);
        self.n_left -= 1;
        Ok(Some(Step::Token { token, probability }))
    }
}

impl<S: BorrowMut<Session>> Iterator for Generation<S> {
    type Item = Result<Step>;

    fn next(&mut self) -> Option<Result<Step>> {
        if self.stop_reason.is_some() || self.failed {
            return None;
        }
        let step = self.step().transpose();
        self.failed = matches!(step, Some(Err(_)));
        step
    }
}
