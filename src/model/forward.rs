//! The forward pass. There is one.
//!
//! ```text
//! x = embed(tokens)
//! for each layer:
//!     x += attention(norm(x))          keys and values go to the cache, queries meet all of it up to their position
//!     x += feed_forward(norm(x))       where both are parallel, of the same x
//! logits = output · norm(x)            only for the positions that are asked for
//! ```
//!
//! What an architecture does otherwise is asked of [`Config`], or shown by the weights that there are; the steps themselves
//! stand in `attention` and `feed_forward`.

use super::adapter::Inputs;
use super::architecture::Norm;
use super::cache::KvCache;
use super::config::Config;
use super::scratch::Scratch;
use super::tap::{Place, Site, Tap};
use super::weights::{Layer, Linear, Model, NormWeights};
use crate::error::{Error, Result};
use crate::kernels;
use crate::pool::Pool;
use std::sync::Arc;

/// Most tokens of one call.
pub const MAX_BATCH: usize = 64;

/// Whose logits are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Nobody's: keys and values are all that is computed.
    Nothing,
    /// Those of the last token: \[V\].
    Last,
    /// Those of every token: \[T × V\].
    All,
    /// Not the logits but what they are computed of, the last norm of every token: \[T × D\].
    Hidden,
}

/// Runs `tokens` (1 to [`MAX_BATCH`] of them) at the positions from `n_past` on, and returns the logits that are wanted.
/// The cache must hold `n_past` positions and have room for as many more.
///
/// # Errors
/// `Argument` for a token outside the vocabulary, too many tokens, or none; `Limit` for positions past the cache's end,
/// or where there is no memory for the logits of every token.
pub fn forward<'s>(
    model: &Model,
    cache: &mut KvCache,
    scratch: &'s mut Scratch,
    tokens: &[u32],
    n_past: usize,
    want: Want,
    tap: Option<&mut dyn Tap>,
) -> Result<&'s [f32]> {
    check(model, cache, tokens, n_past)?;
    let n_wanted = match want {
        Want::Nothing | Want::Hidden => 0,
        Want::Last => 1,
        Want::All => tokens.len(),
    };
    scratch.reserve_logits(n_wanted, model.config.n_vocab)?;
    let pool = &*Arc::clone(scratch.pool());
    let mut pass = Pass { model, config: &model.config, cache, s: scratch, pool, n_tokens: tokens.len(), n_past, tap };
    pass.embed(tokens);
    for (i, layer) in model.layers.iter().enumerate() {
        pass.attention(i, layer);
        pass.join_attention(i, layer);
        pass.feed_forward(i, layer);
    }
    if want == Want::Hidden {
        pass.output_norm(tokens.len());
        return Ok(&scratch.norm[..tokens.len() * model.config.n_embd]);
    }
    if n_wanted > 0 {
        pass.output(n_wanted);
        scratch.n_logits = n_wanted;
    }
    Ok(&scratch.logits[..n_wanted * model.config.n_vocab])
}

/// The logits that the last norm and the output head make of residual streams: of those after the last layer, the model's own;
/// of others, what it would say there (the logit lens).
///
/// # Shapes
/// `x` \[n × D\], at most [`MAX_BATCH`] and the scratch's context of them; the logits \[n × V\]
///
/// # Errors
/// `Argument` for another length; `Limit` where there is no memory for the logits.
pub fn project<'s>(model: &Model, cache: &mut KvCache, scratch: &'s mut Scratch, x: &[f32]) -> Result<&'s [f32]> {
    let (d, v) = (model.config.n_embd, model.config.n_vocab);
    let n = x.len() / d;
    if n == 0 || !x.len().is_multiple_of(d) || x.len() > scratch.x.len() {
        return Err(Error::Argument(format!("1 to {MAX_BATCH} vectors of {d} values are projected at a time")));
    }
    scratch.reserve_logits(n, v)?;
    scratch.x[..x.len()].copy_from_slice(x);
    let pool = &*Arc::clone(scratch.pool());
    let config = &model.config;
    Pass { model, config, cache, s: scratch, pool, n_tokens: n, n_past: 0, tap: None }.output(n);
    scratch.n_logits = n;
    Ok(&scratch.logits[..n * v])
}

fn check(model: &Model, cache: &KvCache, tokens: &[u32], n_past: usize) -> Result<()> {
    if tokens.is_empty() || tokens.len() > MAX_BATCH {
        return Err(Error::Argument(format!("a call takes 1 to {MAX_BATCH} tokens; this one has {}", tokens.len())));
    }
    let n_vocab = model.config.n_vocab;
    if let Some(token) = tokens.iter().find(|token| **token as usize >= n_vocab) {
        return Err(Error::Argument(format!("there is no token {token}: the vocabulary ends at {}", n_vocab - 1)));
    }
    if n_past + tokens.len() > cache.n_ctx() {
        return Err(Error::Limit(format!("the context is full: it holds {} tokens", cache.n_ctx())));
    }
    Ok(())
}

/// One call of [`forward`]: what its steps share.
pub(super) struct Pass<'a, 't> {
    pub model: &'a Model,
    pub config: &'a Config,
    pub cache: &'a mut KvCache,
    pub s: &'a mut Scratch,
    pub pool: &'a Pool,
    pub n_tokens: usize,
    pub n_past: usize,
    pub tap: Option<&'t mut dyn Tap>,
}

/// Calls the tap, if there is one.
#[inline(always)]
pub(super) fn visit(tap: &mut Option<&mut dyn Tap>, place: Place, data: &mut [f32]) {
    if let (true, Some(tap)) = (TAPS, tap) {
        tap.visit(place, data);
    }
}

/// Whether taps are compiled in: they are, but where their cost is measured.
pub(super) const TAPS: bool = !cfg!(feature = "without-taps");

/// out = scale · weight · x + bias, for T inputs.
pub(super) fn linear(linear: &Linear, out: &mut [f32], x: &[f32], inputs: &mut Inputs, pool: &Pool) {
    linear.weight.matmul(out, x, inputs, pool);
    finish(linear, out, x, inputs, pool);
}

/// What follows a product, which several matrices can have together. The one place where adapters change what a matrix gives.
pub(super) fn finish(linear: &Linear, out: &mut [f32], x: &[f32], inputs: &mut Inputs, pool: &Pool) {
    linear.rescale(out, 0);
    if let Some(bias) = &linear.bias {
        out.chunks_exact_mut(bias.len()).for_each(|row| kernels::add(row, bias));
    }
    inputs.add_changes(linear.name, out, x, pool);
}

/// out\[r\] = norm(x\[r\]), for rows as wide as the norm. Where it has weights for several rows, they take turns.
pub(super) fn normalise(config: &Config, norm: &NormWeights, out: &mut [f32], x: &[f32], pool: &Pool) {
    let (width, n) = (norm.width, norm.weight.len() / norm.width.max(1));
    by_rows(pool, out, width, 4 * width, &|r, out| {
        let (x, weight) = (&x[r * width..][..width], &norm.weight[r % n * width..][..width]);
        match config.norm {
            Norm::Rms => {
                kernels::rms_norm(out, x, weight, config.norm_eps);
                if let Some(bias) = &norm.bias {
                    kernels::add(out, bias);
                }
            }
            Norm::Layer => kernels::layer_norm(out, x, weight, norm.bias.as_deref(), config.norm_eps),
        }
    });
}

/// Multiplies by a factor that most models do not have.
fn scale(values: &mut [f32], factor: f32) {
    if factor != 1.0 {
        kernels::scale(values, factor);
    }
}

type RowWork<'a> = dyn Fn(usize, &mut [f32]) + Sync + 'a;

/// Calls `work(t, row t)` for every row of `out`, split between the threads where `work_per_row` multiply-adds a row are
/// worth that.
pub(super) fn by_rows(pool: &Pool, out: &mut [f32], width: usize, work_per_row: usize, work: &RowWork<'_>) {
    pool.rows(out, width, work_per_row, &|first, mut rows| {
        (0..rows.n_rows()).for_each(|i| work(first + i, rows.row(i)));
    });
}

impl Model {
    /// A token's row of `token_embd`, scaled where the architecture scales it: \[D\].
    pub(crate) fn embedding(&self, token: u32, row: &mut [f32]) {
        self.token_embd.row(token as usize, row);
        scale(row, self.config.embedding_scale);
    }
}

impl Pass<'_, '_> {
    pub fn place(&self, site: Site, layer: usize) -> Place {
        Place { site, layer, position: self.n_past, head: 0 }
    }

    fn embed(&mut self, tokens: &[u32]) {
        let d = self.config.n_embd;
        for (t, (x, token)) in self.s.x.chunks_exact_mut(d).zip(tokens).enumerate() {
            self.model.embedding(*token, x);
            if let Some(positions) = &self.model.position_embd {
                positions.row(self.n_past + t, &mut self.s.branch[..d]);
                kernels::add(x, &self.s.branch[..d]);
            }
        }
        let place = self.place(Site::InpEmbd, 0);
        visit(&mut self.tap, place, &mut self.s.x[..self.n_tokens * d]);
    }

    /// Normalises the residual stream into `s.norm`, or copies it where there is no norm.
    pub fn norm(&mut self, weights: Option<&NormWeights>, site: Site, layer: usize) {
        let n = self.n_tokens * self.config.n_embd;
        match weights {
            Some(weights) => normalise(self.config, weights, &mut self.s.norm[..n], &self.s.x[..n], self.pool),
            None => self.s.norm[..n].copy_from_slice(&self.s.x[..n]),
        }
        let place = self.place(site, layer);
        visit(&mut self.tap, place, &mut self.s.norm[..n]);
        self.s.inputs.changed();
    }

    /// Adds attention's branch to the residual stream, and leaves the input of the feed-forward network in `s.norm`.
    fn join_attention(&mut self, i: usize, layer: &Layer) {
        let reads_attn_norm = layer.ffn_norm.is_none() && layer.attn_norm.is_some();
        if reads_attn_norm {
            // `s.norm` holds it, but for a layer whose attention has a norm of its own.
            if layer.attn_norm_2.is_some() {
                self.norm(layer.attn_norm.as_deref(), Site::FfnNorm, i);
            }
            self.s.inputs.changed();
        } else if self.config.parallel {
            self.norm(layer.ffn_norm.as_deref(), Site::FfnNorm, i);
        }
        self.add_branch(Site::AttnOut, Site::FfnInp, i);
        if !reads_attn_norm && !self.config.parallel {
            self.norm(layer.ffn_norm.as_deref(), Site::FfnNorm, i);
        }
    }

    /// Normalises `s.branch`, where there is such a norm; `s.norm` is lost then.
    pub fn post_norm(&mut self, weights: Option<&NormWeights>) {
        if let Some(weights) = weights {
            let n = self.n_tokens * self.config.n_embd;
            normalise(self.config, weights, &mut self.s.norm[..n], &self.s.branch[..n], self.pool);
            core::mem::swap(&mut self.s.norm, &mut self.s.branch);
        }
    }

    /// Adds `s.branch` to the residual stream.
    pub fn add_branch(&mut self, branch: Site, sum: Site, layer: usize) {
        let n = self.n_tokens * self.config.n_embd;
        scale(&mut self.s.branch[..n], self.config.residual_scale);
        let (before, after) = (self.place(branch, layer), self.place(sum, layer));
        visit(&mut self.tap, before, &mut self.s.branch[..n]);
        let (d, branch) = (self.config.n_embd, &self.s.branch);
        by_rows(self.pool, &mut self.s.x[..n], d, d, &|t, x| kernels::add(x, &branch[t * d..(t + 1) * d]));
        visit(&mut self.tap, after, &mut self.s.x[..n]);
    }

    /// The last norm of the last `n` tokens, into `s.norm`.
    fn output_norm(&mut self, n: usize) {
        let (d, first) = (self.config.n_embd, self.n_tokens - n);
        let s = &mut *self.s;
        let norm = &mut s.norm[..n * d];
        normalise(self.config, &self.model.output_norm, norm, &s.x[first * d..self.n_tokens * d], self.pool);
        visit(&mut self.tap, Place { site: Site::ResultNorm, layer: 0, position: self.n_past + first, head: 0 }, norm);
        s.inputs.changed();
    }

    /// The logits of the last `n` tokens.
    fn output(&mut self, n: usize) {
        self.output_norm(n);
        let position = self.n_past + self.n_tokens - n;
        let (d, v) = (self.config.n_embd, self.config.n_vocab);
        let s = &mut *self.s;
        let norm = &s.norm[..n * d];
        let logits = &mut s.logits[..n * v];
        match &self.model.output {
            Some(output) => linear(output, logits, norm, &mut s.inputs, self.pool),
            None => self.model.token_embd.matmul(logits, norm, &mut s.inputs, self.pool),
        }
        scale(logits, self.config.logit_scale);
        if let Some(cap) = self.config.logit_softcap {
            kernels::soft_cap(logits, cap);
        }
        visit(&mut self.tap, Place { site: Site::ResultOutput, layer: 0, position, head: 0 }, logits);
    }
}
