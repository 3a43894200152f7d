//! A text with all that is computed of it, as bytes and as a copy.

use super::Session;
use crate::error::{Error, Result};
use crate::gguf::hash;
use crate::sampler::SamplerState;

/// How saved texts begin; the last byte is the version.
const MAGIC: [u8; 8] = *b"pagelm\0\x01";
/// Bytes in front of the tokens.
const HEAD: usize = 8 + 8 + 8 + 6 * 4;

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |long| u64::from_le_bytes(*long))
}

impl Session {
    /// The text, its keys and values, and its sampler's state: all it takes to go on as if nothing had been.
    ///
    /// Little-endian: "pagelm", 0 and the version; the model's [hash](Session::hash) (u64); the sampler's state
    /// (u64, f32) and whether there is one; the cache's type; how many tokens there are, how many are computed, and how many
    /// of these as if alone (u32 each); the tokens; the cache's bytes; a [`hash`] of it all (u64).
    pub fn save(&mut self) -> Vec<u8> {
        let state = self.sampler.unwrap_or(SamplerState { rng: 0, mu: 0.0 });
        let mut out = MAGIC.to_vec();
        out.extend(self.hash().to_le_bytes());
        out.extend(state.rng.to_le_bytes());
        let n_past = self.n_unchanged();
        let counts = [self.tokens.len(), n_past, self.n_own.min(n_past)].map(|n| n as u32);
        let head = [state.mu.to_bits(), self.sampler.is_some().into(), self.cache_type() as u32];
        head.iter().chain(&counts).chain(&self.tokens).for_each(|word| out.extend(word.to_le_bytes()));
        self.cache.visit_bytes(n_past, &mut |bytes| out.extend_from_slice(bytes));
        out.extend(hash(0, &out).to_le_bytes());
        out
    }

    /// Puts a [saved](Self::save) text in place of this one. The context may be of another length, if it holds the text.
    ///
    /// # Errors
    /// `Format` where the bytes are no saved text, damaged, or of another version; `Argument` where they come from another
    /// model or another type of cache; `Limit` for a text longer than the context. The old text then stays.
    pub fn restore(&mut self, saved: &[u8]) -> Result<()> {
        let damaged = || Error::Format("this is no saved text, or it is damaged".into());
        if saved.len() < HEAD + 8 || saved[..7] != MAGIC[..7] {
            return Err(damaged());
        }
        if saved[7] != MAGIC[7] {
            return Err(Error::Format("this text was saved by another version".into()));
        }
        let (body, sum) = saved.split_at(saved.len() - 8);
        if hash(0, body) != long(sum, 0) {
            return Err(damaged());
        }
        if long(body, 8) != self.hash() || word(body, 32) != self.cache_type() as u32 {
            return Err(Error::Argument("this text was saved with another model, or another type of cache".into()));
        }
        let [n_tokens, n_past, n_own] = [36, 40, 44].map(|at| word(body, at) as usize);
        if n_tokens > self.n_ctx() {
            return Err(Error::Limit(format!(
                "the saved text has {n_tokens} tokens and the context holds {}",
                self.n_ctx()
            )));
        }
        if n_own > n_past || n_past > n_tokens {
            return Err(damaged());
        }
        let mut n_bytes = 0;
        self.cache.visit_bytes(n_past, &mut |bytes| n_bytes += bytes.len());
        if body.len() != HEAD + 4 * n_tokens + n_bytes {
            return Err(damaged());
        }
        let (tokens, mut cache) = body[HEAD..].split_at(4 * n_tokens);
        let n_vocab = self.model.config().n_vocab;
        if tokens.as_chunks::<4>().0.iter().any(|token| u32::from_le_bytes(*token) as usize >= n_vocab) {
            return Err(damaged());
        }
        self.clear();
        self.tokens.extend(tokens.as_chunks::<4>().0.iter().map(|token| u32::from_le_bytes(*token)));
        self.n_past = n_past;
        self.n_own = if n_own == n_past { usize::MAX } else { n_own };
        let state = SamplerState { rng: long(body, 16), mu: f32::from_bits(word(body, 24)) };
        self.sampler = (word(body, 28) == 1).then_some(state);
        self.cache.visit_bytes(n_past, &mut |bytes| {
            let (piece, rest) = cache.split_at(bytes.len());
            bytes.copy_from_slice(piece);
            cache = rest;
        });
        self.n_past = self.n_unchanged();
        Ok(())
    }

    /// How many tokens are computed as they are without interventions, which are not kept with a text.
    fn n_unchanged(&self) -> usize {
        if self.interventions.is_empty() { self.n_past } else { 0 }
    }

    /// Another session with the same text, at the cost of a copy of its cache. It has no interventions, and computes the text
    /// anew where this one has some.
    ///
    /// # Errors
    /// `Limit` where memory does not suffice.
    pub fn try_clone(&mut self) -> Result<Session> {
        let (model, pool) = (self.model.clone(), self.pool().clone());
        let mut copy = Session::with_pool(model, Some(self.n_ctx() as u32), self.cache_type(), pool)?;
        copy.scratch.adapt(&self.model, self.adapters().to_vec())?;
        copy.cache.copy_from(&mut self.cache);
        copy.tokens.extend_from_slice(&self.tokens);
        (copy.n_past, copy.n_own, copy.sampler) = (self.n_unchanged(), self.n_own, self.sampler);
        Ok(copy)
    }
}
