//! Guesses at the next tokens, so that several positions are computed in one pass over the weights.
//!
//! # Source
//! Y. Leviathan, M. Kalman, Y. Matias, *Fast inference from Transformers via speculative decoding*,
//! <https://arxiv.org/abs/2211.17192>; lookup in the text: A. Saxena, *Prompt lookup decoding*,
//! <https://github.com/apoorvumang/prompt-lookup-decoding>. Other than there, a guess is accepted only where it equals the
//! token that plain sampling draws, so that a seeded text stays what it is.

use super::Session;
use super::draft_model::DraftModel;
use crate::error::Result;
use crate::model::Model;
use crate::sampler::Sampler;
use std::sync::Arc;

/// Where guesses come from.
#[derive(Debug, Clone, Default)]
pub enum Speculation {
    /// There are none.
    #[default]
    Off,
    /// The text itself: what followed where its last tokens stood before.
    Lookup,
    /// A second model with the same vocabulary, smaller than the first.
    Draft(Arc<Model>),
}

/// How guessing went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drafted {
    /// Tokens that were guessed and computed.
    pub proposed: u32,
    /// Those of them that came.
    pub accepted: u32,
}

/// Most tokens guessed at a time. With the token before it a draft fills whole tiles of four inputs, as do 3 and 7.
pub const MAX_DRAFT: usize = 15;
/// Most steps without a guess after guesses that failed.
const MAX_PAUSE: usize = 64;
/// Tokens guessed at first.
const FIRST_DRAFT: usize = 3;
/// How many of the last tokens must have stood before, at least, for what followed them to be a guess.
const MIN_MATCH: usize = 2;
/// Longer matches are no better.
const MAX_MATCH: usize = 8;

/// Makes the guesses of one generation.
#[derive(Debug)]
pub(super) struct Drafter {
    source: Source,
    draft: Vec<u32>,
    /// How long the next draft may be: twice as long and one more after one that came whole, half after one of which less
    /// than half came.
    n_draft: usize,
    /// Steps left without a guess, and how many there are after the next single guess that fails: twice as many each time.
    pause: usize,
    next_pause: usize,
    pub(super) drafted: Drafted,
    /// What was drafted before the last draft.
    before: Drafted,
}

#[derive(Debug)]
enum Source {
    Nothing,
    Text,
    Model(Box<DraftModel>),
}

impl Drafter {
    /// For a generation of `session` from `prompt` with `sampler`.
    ///
    /// # Errors
    /// `Argument` for a draft model with a vocabulary of another size, `Limit` where memory does not suffice.
    pub(super) fn new(
        speculation: Speculation,
        session: &Session,
        sampler: &Sampler,
        prompt: &[u32],
    ) -> Result<Drafter> {
        let source = match speculation {
            Speculation::Off => Source::Nothing,
            Speculation::Lookup => Source::Text,
            Speculation::Draft(model) => Source::Model(Box::new(DraftModel::new(model, session, sampler, prompt)?)),
        };
        let guesses = !matches!(source, Source::Nothing);
        let nothing = Drafted::default();
        let draft = Vec::with_capacity(if guesses { MAX_DRAFT } else { 0 });
        let (n_draft, pause, next_pause) = (FIRST_DRAFT, 0, 1);
        Ok(Drafter { source, draft, n_draft, pause, next_pause, drafted: nothing, before: nothing })
    }

    /// Computes a piece of the prompt in the draft model, if there is one.
    pub(super) fn prefill(&mut self) {
        if let Source::Model(model) = &mut self.source {
            model.prefill();
        }
    }

    /// Tokens that may follow the text, at most `n_left`; none where nothing suggests itself, or the guess fails.
    pub(super) fn propose(&mut self, session: &Session, sampler: &Sampler, n_left: usize) -> &[u32] {
        self.draft.clear();
        if let Source::Nothing = self.source {
            return &self.draft;
        }
        self.adapt();
        self.before = self.drafted;
        if self.pause > 0 {
            self.pause -= 1;
            return &self.draft;
        }
        let n = self.n_draft.min(n_left).min(session.n_ctx() - session.tokens().len());
        match &mut self.source {
            Source::Nothing => {}
            Source::Text => look_up(session.tokens(), n, &mut self.draft),
            Source::Model(model) => model.propose(session.tokens(), sampler, n, &mut self.draft),
        }
        self.drafted.proposed += self.draft.len() as u32;
        &self.draft
    }

    fn adapt(&mut self) {
        let proposed = self.drafted.proposed - self.before.proposed;
        let accepted = self.drafted.accepted - self.before.accepted;
        if proposed > 0 && accepted == proposed {
            self.n_draft = (2 * self.n_draft + 1).min(MAX_DRAFT);
        } else if 2 * accepted < proposed {
            self.n_draft = (self.n_draft / 2).max(1);
        }
        if accepted > 0 {
            self.next_pause = 1;
        } else if proposed == 1 {
            self.pause = self.next_pause;
            self.next_pause = (2 * self.next_pause).min(MAX_PAUSE);
        }
    }
}

/// Adds to `draft` what followed where the text's last tokens stood before, `n` tokens: after the longest match, of equal
/// ones the latest. Where that reaches the text's end, the guess goes on with itself, as a text does that repeats its end.
fn look_up(text: &[u32], n: usize, draft: &mut Vec<u32>) {
    let (mut best, mut start) = (MIN_MATCH - 1, text.len());
    for end in (1..text.len()).rev() {
        let same = text[..end].iter().rev().zip(text.iter().rev()).take_while(|(a, b)| a == b);
        let n_same = same.take(MAX_MATCH).count();
        if n_same > best {
            (best, start) = (n_same, end);
            if n_same == MAX_MATCH {
                break;
            }
        }
    }
    draft.extend(text[start..].iter().cycle().take(n));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_match_is_continued_and_of_equal_ones_the_latest() {
        let looked_up = |text: &[u32], n| {
            let mut draft = Vec::new();
            look_up(text, n, &mut draft);
            draft
        };
        assert_eq!(looked_up(&[], 4), [0; 0]);
        assert_eq!(looked_up(&[1, 2, 3], 4), [0; 0]);
        assert_eq!(looked_up(&[1, 2, 1], 4), [0; 0], "one token alone suggests nothing");
        assert_eq!(looked_up(&[1, 2, 7, 8, 1, 2], 4), [7, 8, 1, 2]);
        assert_eq!(looked_up(&[1, 2, 7, 8, 1, 2], 2), [7, 8]);
        assert_eq!(looked_up(&[1, 2, 7, 1, 2, 8, 1, 2], 1), [8]);
        assert_eq!(looked_up(&[5, 1, 2, 7, 1, 2, 8, 5, 1, 2], 1), [7]);
        assert_eq!(looked_up(&[3, 3, 3], 4), [3, 3, 3, 3], "a loop goes on");
        assert_eq!(looked_up(&[9, 1, 2, 1, 2], 5), [1, 2, 1, 2, 1]);
    }
}
