//! A text that grows by one token a call.

use super::Session;
use super::draft_model::DraftModel;
use super::drafts::{Drafted, Drafter, MAX_DRAFT, Speculation};
use super::ln_softmax;
use crate::error::{Error, Result};
use crate::kernels;
use crate::model::can_shift;
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
    /// What happens where the context is full.
    pub overflow: Overflow,
    /// How many of the most probable tokens are kept at each step, with their probabilities: see
    /// [`Generation::alternatives`].
    pub n_alternatives: u32,
    /// Whether there is a [`Step::Logits`] before each token.
    pub edits_logits: bool,
}

impl GenerateOptions {
    /// Checks all that [`Generation::new`] would refuse but the prompt, and makes room for drafts.
    ///
    /// # Errors
    /// As there.
    pub fn check(&mut self, session: &mut Session) -> Result<()> {
        if let Overflow::Shift(n_keep) = self.overflow {
            can_shift(session.model().config())?;
            if n_keep.saturating_add(2) > session.n_ctx() {
                return Err(Error::Argument("of a full context at least two tokens must not be kept".into()));
            }
        }
        if !matches!(self.speculation, Speculation::Off) {
            session.reserve_draft(MAX_DRAFT)?;
        }
        if let Speculation::Draft(model) = &self.speculation {
            DraftModel::view(model.clone(), session)?;
        }
        self.sampler.check(session.model().config().n_vocab)
    }
}

/// What happens where the context is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The text ends.
    #[default]
    Stop,
    /// Half of what stands behind the first tokens, this many, goes, and the text goes on: see [`Session::shift`].
    Shift(usize),
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
    /// The next token is about to be chosen: [`Generation::logits_mut`] may be changed.
    Logits,
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
    /// A string came that ends the text. Whoever reads the tokens finds it; a generation knows no strings.
    Stop,
}

impl StopReason {
    /// Its name, as reports have it.
    pub fn name(self) -> &'static str {
        match self {
            StopReason::Eos => "eos",
            StopReason::MaxTokens => "maxTokens",
            StopReason::ContextFull => "contextFull",
            StopReason::Stop => "stop",
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
    overflow: Overflow,
    /// The next token's, where they may be changed; else empty.
    logits: Vec<f32>,
    /// Whether these are out to be changed.
    editing: bool,
    alternatives: Vec<(u32, f32)>,
    n_alternatives: usize,
    stop_reason: Option<StopReason>,
    failed: bool,
}

impl<S: BorrowMut<Session>> Generation<S> {
    /// Prepares the session for `prompt`; see [`Session::prepare`] for what of it is computed anew.
    ///
    /// # Errors
    /// `Argument` and `Limit` as [`Session::prepare`]; `Argument` for sampler options out of range, or a draft model with a
    /// vocabulary of another size; `Limit` where there is no memory for drafts.
    pub fn new(session: S, prompt: &[u32], options: GenerateOptions) -> Result<Generation<S>> {
        Generation::begin(session, prompt, options, false)
    }

    /// Goes on with the session's own text, and with the draws of the generation that made it if there was one: what comes
    /// is what would have come.
    ///
    /// # Errors
    /// As [`new`](Self::new); `Argument` where the text is empty.
    pub fn resume(session: S, options: GenerateOptions) -> Result<Generation<S>> {
        let text = session.borrow().tokens().to_vec();
        Generation::begin(session, &text, options, true)
    }

    fn begin(mut session: S, prompt: &[u32], mut options: GenerateOptions, resumes: bool) -> Result<Generation<S>> {
        options.check(session.borrow_mut())?;
        let n_vocab = session.borrow().model().config().n_vocab;
        let mut sampler = Sampler::new(options.sampler, n_vocab)?;
        let drafter = Drafter::new(options.speculation, session.borrow(), &sampler, prompt)?;
        let text = session.borrow_mut();
        if resumes {
            text.step_back()?;
            text.sampler.into_iter().for_each(|state| sampler.set_state(state));
        } else {
            text.prepare(prompt)?;
        }
        text.sampler = Some(sampler.state());
        let n_alternatives = (options.n_alternatives as usize).min(n_vocab);
        Ok(Generation {
            overflow: options.overflow,
            logits: vec![0.0; if options.edits_logits { n_vocab } else { 0 }],
            editing: false,
            alternatives: Vec::with_capacity(n_alternatives),
            n_alternatives,
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

    /// The tokens that have been added and are still in the context.
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

    /// The logits of the next token, \[V\], after a [`Step::Logits`]: what they are changed to is what it is chosen by.
    /// Empty without [`GenerateOptions::edits_logits`].
    pub fn logits_mut(&mut self) -> &mut [f32] {
        &mut self.logits
    }

    /// The most probable tokens where the last one was chosen, and the natural logarithms of their probabilities: softmax of
    /// the raw logits. The most probable first.
    pub fn alternatives(&self) -> &[(u32, f32)] {
        &self.alternatives
    }

    fn step(&mut self) -> Result<Option<Step>> {
        if !self.editing {
            if let Some(step) = self.compute()? {
                return Ok(Some(step));
            }
            if self.stop_reason.is_some() {
                return Ok(None);
            }
            if !self.logits.is_empty() {
                self.logits.copy_from_slice(self.session.borrow().logits());
                self.editing = true;
                return Ok(Some(Step::Logits));
            }
        }
        self.editing = false;
        self.choose()
    }

    /// Computes the logits that come next, or a piece of the prompt, or finds the end.
    fn compute(&mut self) -> Result<Option<Step>> {
        let session = self.session.borrow_mut();
        if self.prefilling {
            session.prefill()?;
            self.drafter.prefill();
            self.prefilling = session.n_pending() > 0;
            return Ok(Some(Step::Prefill { n_done: session.n_past(), n_total: self.n_prompt }));
        }
        if self.n_left == 0 {
            self.stop_reason = Some(StopReason::MaxTokens);
            return Ok(None);
        }
        if session.tokens().len() >= session.n_ctx() {
            let Overflow::Shift(n_keep) = self.overflow else {
                self.stop_reason = Some(StopReason::ContextFull);
                return Ok(None);
            };
            let n_before = session.tokens().len();
            session.shift(n_keep)?;
            let gone = n_keep..n_keep + n_before - session.tokens().len();
            self.n_prompt -= self.n_prompt.clamp(gone.start, gone.end) - gone.start;
        }
        if session.n_pending() > 0 {
            // The last token that is asked for needs no successor.
            match self.drafter.propose(session, &self.sampler, self.n_left as usize - 1) {
                [] => session.forward(&[])?,
                draft => session.foresee(draft)?,
            };
        }
        Ok(None)
    }

    fn choose(&mut self) -> Result<Option<Step>> {
        let session = self.session.borrow_mut();
        let logits = if self.logits.is_empty() { session.logits() } else { &self.logits };
        let token = self.sampler.sample(logits, session.tokens())?;
        if self.stop_tokens.contains(&token) {
            self.stop_reason = Some(StopReason::Eos);
            return Ok(None);
        }
        let probability = kernels::probability(session.logits(), token as usize);
        find_best(session.logits(), self.n_alternatives, &mut self.alternatives);
        let foreseen = session.n_foreseen() > 0;
        session.accept(token)?;
        self.drafter.drafted.accepted += u32::from(foreseen && session.n_pending() == 0);
        session.sampler = Some(self.sampler.state());
        self.n_left -= 1;
        Ok(Some(Step::Token { token, probability }))
    }
}

/// The `n` most probable tokens, and the logarithms of their probabilities.
fn find_best(logits: &[f32], n: usize, best: &mut Vec<(u32, f32)>) {
    best.clear();
    if n == 0 {
        return;
    }
    for (token, logit) in logits.iter().enumerate() {
        if best.len() < n || best[n - 1].1 < *logit {
            best.truncate(n - 1);
            let at = best.iter().take_while(|other| other.1 >= *logit).count();
            best.insert(at, (token as u32, *logit));
        }
    }
    best.iter_mut().for_each(|(token, logit)| *logit = ln_softmax(logits, *token) as f32);
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
