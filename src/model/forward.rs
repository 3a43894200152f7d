//! The forward pass. There is one.
//!
//! ```text
//! x = embed(tokens)
//! for each layer:
//!     x += attention(norm(x))          keys and values go to the cache, queries meet all of it up to their position
//!     x += feed_forward(norm(x))
//! logits = output · norm(x)            only for the positions that are asked for
//! ```

use super::cache::KvCache;
use super::config::{Activation, Config, Norm, Pairing};
use super::rope::RopeTable;
use super::tap::{Place, Site, Tap};
use super::weights::{Layer, Linear, Model, NormWeights, Qkv};
use crate::error::{Error, Result};
use crate::kernels::{self, Submatrix, TILE};
use crate::pool::{self, Part, Pool};
use crate::tensor::{Inputs, zeros};
use core::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

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

/// Buffers and tables of the forward pass, allocated once.
#[derive(Debug)]
pub struct Scratch {
    /// `None` for learned positions.
    pub(super) rope: Option<RopeTable>,
    x: Vec<f32>,
    norm: Vec<f32>,
    pub(super) q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    qkv: Vec<f32>,
    heads: Vec<f32>,
    branch: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    /// One for each thread.
    rows: Vec<Mutex<Rows>>,
    pool: Arc<Pool>,
    inputs: Inputs,
    logits: Vec<f32>,
    /// How many rows of `logits` the last call wrote.
    n_logits: usize,
}

/// Queries, scores and outputs of the rows that attention takes at a time, and a tile of keys or values.
#[derive(Debug)]
struct Rows {
    q: Vec<f32>,
    scores: Vec<f32>,
    out: Vec<f32>,
    tile: Vec<f32>,
}

impl Rows {
    fn new(config: &Config, n_rows: usize, n_ctx: usize) -> Result<Rows> {
        Ok(Rows {
            q: zeros(n_rows.saturating_mul(config.head_dim))?,
            scores: zeros(n_rows.saturating_mul(padded(n_ctx)))?,
            out: zeros(n_rows.saturating_mul(config.head_dim))?,
            tile: zeros(TILE.saturating_mul(config.head_dim))?,
        })
    }

    fn bytes_needed(config: &Config, n_rows: usize, n_ctx: usize) -> u64 {
        4 * (n_rows as u64 * (2 * config.head_dim as u64 + padded(n_ctx) as u64) + (TILE * config.head_dim) as u64)
    }
}

impl Scratch {
    /// Buffers for up to [`MAX_BATCH`] tokens at up to `n_ctx` positions, for the threads of `pool`.
    ///
    /// # Errors
    /// `Limit` where memory does not suffice.
    pub fn new(model: &Model, n_ctx: usize, pool: Arc<Pool>) -> Result<Scratch> {
        let config = &model.config;
        let n_batch = MAX_BATCH.min(n_ctx);
        let n_rows = most_rows(config, n_batch);
        let batch = |width: usize| zeros(n_batch.saturating_mul(width));
        let fused = model.layers.iter().any(|layer| matches!(layer.attn_qkv, Qkv::Fused(_)));
        let widest = config.n_embd.max(config.n_ff).max(config.n_q());
        let rope = config.rope.as_ref().map(|rope| RopeTable::new(rope, model.rope_factors.as_deref(), n_ctx));
        Ok(Scratch {
            rope: rope.transpose()?,
            x: batch(config.n_embd)?,
            norm: batch(config.n_embd)?,
            q: batch(config.n_q())?,
            k: batch(config.n_kv())?,
            v: batch(config.n_kv())?,
            qkv: batch(if fused { config.n_q() + 2 * config.n_kv() } else { 0 })?,
            heads: batch(config.n_q())?,
            branch: batch(config.n_embd)?,
            gate: batch(config.n_ff)?,
            up: batch(config.n_ff)?,
            rows: (0..pool.capacity())
                .map(|_| Rows::new(config, n_rows, n_ctx).map(Mutex::new))
                .collect::<Result<_>>()?,
            pool,
            inputs: Inputs::new(n_batch.saturating_mul(widest))?,
            logits: zeros(config.n_vocab)?,
            n_logits: 1,
        })
    }

    /// The threads that compute.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The logits that the last call wrote for one of its tokens, `back` tokens before the last one: \[V\]. Past the first
    /// that was written, the first.
    pub fn logits(&self, back: usize, n_vocab: usize) -> &[f32] {
        let row = (self.n_logits - 1).saturating_sub(back);
        &self.logits[row * n_vocab..(row + 1) * n_vocab]
    }

    /// Bytes that buffers and tables take for one thread, at most: a model whose queries, keys and values are in three
    /// matrices needs no room for them in one.
    pub fn bytes_needed(config: &Config, n_ctx: usize) -> u64 {
        let [d, q, kv, f] = [config.n_embd, config.n_q(), config.n_kv(), config.n_ff].map(|n| n as u64);
        let floats = 3 * d + 3 * q + 4 * kv + 2 * f;
        let inputs = d.max(f).max(q).div_ceil(32) * size_of::<kernels::Activation>() as u64;
        let rope = config.rope.as_ref().map_or(0, |rope| RopeTable::bytes_needed(rope, n_ctx));
        let rows = Rows::bytes_needed(config, most_rows(config, MAX_BATCH.min(n_ctx)), n_ctx);
        MAX_BATCH.min(n_ctx) as u64 * (4 * floats + inputs) + rows + 4 * config.n_vocab as u64 + rope
    }

    /// Makes room for the logits of `n` tokens, so that calls that want as many allocate nothing.
    ///
    /// # Errors
    /// `Limit` where memory does not suffice.
    pub fn reserve_logits(&mut self, n: usize, n_vocab: usize) -> Result<()> {
        let n = n.saturating_mul(n_vocab);
        if self.logits.len() < n {
            let mut logits = zeros(n)?;
            logits[..self.logits.len()].copy_from_slice(&self.logits);
            self.logits = logits;
        }
        Ok(())
    }
}

/// Most rows that attention takes at a time: enough that reading a tile of the cache costs little beside computing with
/// it, few enough that their scores stay in the processor's cache.
const MAX_ROWS: usize = 16;

/// How many rows a batch can bring: its tokens times the query heads that share a key head.
fn most_rows(config: &Config, n_batch: usize) -> usize {
    MAX_ROWS.min(n_batch.saturating_mul(config.n_head / config.n_head_kv))
}

/// How many query heads are taken together, and of how many tokens, so that all of them fall into `n_parts` or somewhat
/// more. Heads of one group are best taken together, since they share what is read.
fn attention_part(group: usize, n_head: usize, n_tokens: usize, n_parts: usize) -> (usize, usize) {
    let tokens = |heads: usize| (MAX_ROWS / heads).clamp(1, n_tokens);
    let fits = |heads: &usize| n_head.div_ceil(*heads) * n_tokens.div_ceil(tokens(*heads)) >= n_parts;
    let heads = (1..=group.min(MAX_ROWS)).rev().find(fits).unwrap_or(1);
    (heads, tokens(heads))
}

/// Positions in whole tiles.
fn padded(n: usize) -> usize {
    n.div_ceil(TILE).saturating_mul(TILE)
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
    let pool = &*Arc::clone(&scratch.pool);
    let mut pass = Pass { model, config: &model.config, cache, s: scratch, pool, n_tokens: tokens.len(), n_past, tap };
    pass.embed(tokens);
    for (i, layer) in model.layers.iter().enumerate() {
        pass.attention(i, layer);
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
struct Pass<'a, 't> {
    model: &'a Model,
    config: &'a Config,
    cache: &'a mut KvCache,
    s: &'a mut Scratch,
    pool: &'a Pool,
    n_tokens: usize,
    n_past: usize,
    tap: Option<&'t mut dyn Tap>,
}

/// Calls the tap, if there is one.
#[inline(always)]
fn visit(tap: &mut Option<&mut dyn Tap>, place: Place, data: &mut [f32]) {
    if let Some(tap) = tap {
        tap.visit(place, data);
    }
}

/// out = weight · x + bias, for T inputs. The one place where activations meet a matrix, and so where adapters go.
fn linear(linear: &Linear, out: &mut [f32], x: &[f32], inputs: &mut Inputs, pool: &Pool) {
    linear.weight.matmul(out, x, inputs, pool);
    if let Some(bias) = &linear.bias {
        out.chunks_exact_mut(bias.len()).for_each(|row| kernels::add(row, bias));
    }
}

/// out\[t\] = norm(x\[t\]), for rows of D.
fn normalise(config: &Config, weights: &NormWeights, out: &mut [f32], x: &[f32], pool: &Pool) {
    let d = config.n_embd;
    by_rows(pool, out, d, 4 * d, &|t, out| {
        let x = &x[t * d..(t + 1) * d];
        match config.norm {
            Norm::Rms => {
                kernels::rms_norm(out, x, &weights.weight, config.norm_eps);
                if let Some(bias) = &weights.bias {
                    kernels::add(out, bias);
                }
            }
            Norm::Layer => kernels::layer_norm(out, x, &weights.weight, weights.bias.as_deref(), config.norm_eps),
        }
    });
}

type RowWork<'a> = dyn Fn(usize, &mut [f32]) + Sync + 'a;

/// Calls `work(t, row t)` for every row of `out`, split between the threads where `work_per_row` multiply-adds a row are
/// worth that.
fn by_rows(pool: &Pool, out: &mut [f32], width: usize, work_per_row: usize, work: &RowWork<'_>) {
    pool.rows(out, width, work_per_row, &|first, mut rows| {
        (0..rows.n_rows()).for_each(|i| work(first + i, rows.row(i)));
    });
}

impl Pass<'_, '_> {
    fn place(&self, site: Site, layer: usize) -> Place {
        Place { site, layer, position: self.n_past, head: 0 }
    }

    fn embed(&mut self, tokens: &[u32]) {
        let d = self.config.n_embd;
        for (t, (x, token)) in self.s.x.chunks_exact_mut(d).zip(tokens).enumerate() {
            self.model.token_embd.row(*token as usize, x);
            if let Some(positions) = &self.model.position_embd {
                positions.row(self.n_past + t, &mut self.s.branch[..d]);
                kernels::add(x, &self.s.branch[..d]);
            }
        }
        let place = self.place(Site::InpEmbd, 0);
        visit(&mut self.tap, place, &mut self.s.x[..self.n_tokens * d]);
    }

    /// Normalises the residual stream into `s.norm`.
    fn norm(&mut self, weights: &NormWeights, site: Site, layer: usize) {
        let n = self.n_tokens * self.config.n_embd;
        normalise(self.config, weights, &mut self.s.norm[..n], &self.s.x[..n], self.pool);
        let place = self.place(site, layer);
        visit(&mut self.tap, place, &mut self.s.norm[..n]);
        self.s.inputs.changed();
    }

    /// Adds `s.branch` to the residual stream.
    fn add_branch(&mut self, branch: Site, sum: Site, layer: usize) {
        let n = self.n_tokens * self.config.n_embd;
        let (before, after) = (self.place(branch, layer), self.place(sum, layer));
        visit(&mut self.tap, before, &mut self.s.branch[..n]);
        let (d, branch) = (self.config.n_embd, &self.s.branch);
        by_rows(self.pool, &mut self.s.x[..n], d, d, &|t, x| kernels::add(x, &branch[t * d..(t + 1) * d]));
        visit(&mut self.tap, after, &mut self.s.x[..n]);
    }

    fn attention(&mut self, i: usize, layer: &Layer) {
        self.norm(&layer.attn_norm, Site::AttnNorm, i);
        self.project_qkv(&layer.attn_qkv);
        self.turn();
        let (q, kv) = (self.n_tokens * self.config.n_q(), self.n_tokens * self.config.n_kv());
        let [at_q, at_k, at_v, at_out] = [Site::Qcur, Site::Kcur, Site::Vcur, Site::KqvOut].map(|s| self.place(s, i));
        visit(&mut self.tap, at_q, &mut self.s.q[..q]);
        visit(&mut self.tap, at_k, &mut self.s.k[..kv]);
        visit(&mut self.tap, at_v, &mut self.s.v[..kv]);
        let n_kv = self.config.n_kv();
        for t in 0..self.n_tokens {
            let (k, v) = (&self.s.k[t * n_kv..][..n_kv], &self.s.v[t * n_kv..][..n_kv]);
            self.cache.store(i, self.n_past + t, k, v);
        }
        self.attend(i);
        visit(&mut self.tap, at_out, &mut self.s.heads[..q]);
        self.s.inputs.changed();
        let out = &mut self.s.branch[..self.n_tokens * self.config.n_embd];
        linear(&layer.attn_output, out, &self.s.heads[..q], &mut self.s.inputs, self.pool);
        self.add_branch(Site::AttnOut, Site::FfnInp, i);
    }

    fn project_qkv(&mut self, qkv: &Qkv) {
        let (n_q, n_kv) = (self.config.n_q(), self.config.n_kv());
        let (t, s) = (self.n_tokens, &mut *self.s);
        let x = &s.norm[..t * self.config.n_embd];
        match qkv {
            Qkv::Split { q, k, v } => {
                linear(q, &mut s.q[..t * n_q], x, &mut s.inputs, self.pool);
                linear(k, &mut s.k[..t * n_kv], x, &mut s.inputs, self.pool);
                linear(v, &mut s.v[..t * n_kv], x, &mut s.inputs, self.pool);
            }
            Qkv::Fused(fused) => {
                let width = n_q + 2 * n_kv;
                linear(fused, &mut s.qkv[..t * width], x, &mut s.inputs, self.pool);
                for (t, row) in s.qkv[..t * width].chunks_exact(width).enumerate() {
                    s.q[t * n_q..][..n_q].copy_from_slice(&row[..n_q]);
                    s.k[t * n_kv..][..n_kv].copy_from_slice(&row[n_q..n_q + n_kv]);
                    s.v[t * n_kv..][..n_kv].copy_from_slice(&row[n_q + n_kv..]);
                }
            }
        }
    }

    /// Turns queries and keys to their positions.
    fn turn(&mut self) {
        let (Some(rope), Some(table)) = (&self.config.rope, &self.s.rope) else { return };
        let turn = match rope.pairing {
            Pairing::Adjacent => kernels::rope_adjacent,
            Pairing::Halves => kernels::rope_halves,
        };
        let dh = self.config.head_dim;
        for (heads, width) in [(&mut self.s.q, self.config.n_q()), (&mut self.s.k, self.config.n_kv())] {
            by_rows(self.pool, &mut heads[..self.n_tokens * width], width, 4 * width, &|t, token| {
                token.chunks_exact_mut(dh).for_each(|head| turn(head, table.at(self.n_past + t)));
            });
        }
    }

    /// Every head of every token reads the values of all positions up to its own:
    /// heads\[t, h\] = softmax(q · keysᵀ / √Dh) · values.
    ///
    /// The query heads of all tokens that share a key head are its rows, token by token; they are taken some at a time,
    /// and each tile of the cache is read once for them. No row meets a tile that lies wholly in its future.
    fn attend(&mut self, layer: usize) {
        let (config, n_tokens, s) = (self.config, self.n_tokens, &mut *self.s);
        let (n_q, dh, group) = (config.n_q(), config.head_dim, config.n_head / config.n_head_kv);
        let work = n_tokens * config.n_head * dh * 2 * (self.n_past + n_tokens);
        let alone = self.tap.is_some() || self.pool.n_parts(work) == 1;
        let n_parts = if alone { 1 } else { 2 * self.pool.n_threads() };
        let (heads, tokens) = attention_part(group, config.n_head, n_tokens, n_parts);
        let attention = Attention { config, cache: self.cache, q: &s.q, layer, n_past: self.n_past };
        let (out, part) = (&mut s.heads[..n_tokens * n_q], [tokens, heads * dh]);
        let rows = |thread: usize| s.rows[thread].lock().unwrap_or_else(PoisonError::into_inner);
        match &mut self.tap {
            Some(tap) => pool::in_order(out, n_q, part, &mut |part, out| {
                attention.attend(&mut rows(0), &part, out, Some(&mut **tap));
            }),
            None if alone => pool::in_order(out, n_q, part, &mut |part, out| {
                attention.attend(&mut rows(0), &part, out, None);
            }),
            None => self.pool.grid(out, n_q, part, &|thread, part, out| {
                attention.attend(&mut rows(thread), &part, out, None);
            }),
        }
    }

    fn feed_forward(&mut self, i: usize, layer: &Layer) {
        self.norm(&layer.ffn_norm, Site::FfnNorm, i);
        let (d, f) = (self.n_tokens * self.config.n_embd, self.n_tokens * self.config.n_ff);
        let [at_gate, at_up, at_act] = [Site::FfnGate, Site::FfnUp, Site::FfnAct].map(|site| self.place(site, i));
        let s = &mut *self.s;
        let (x, gate, up) = (&s.norm[..d], &mut s.gate[..f], &mut s.up[..f]);
        linear(&layer.ffn_up, up, x, &mut s.inputs, self.pool);
        if let Some(weights) = &layer.ffn_gate {
            linear(weights, gate, x, &mut s.inputs, self.pool);
            visit(&mut self.tap, at_gate, gate);
        }
        visit(&mut self.tap, at_up, up);
        let (n_ff, work) = (self.config.n_ff, 16 * self.config.n_ff);
        let act = self.config.activation;
        let hidden = if layer.ffn_gate.is_some() {
            by_rows(self.pool, gate, n_ff, work, &|t, gate| match act {
                Activation::Silu => kernels::silu_mul(gate, &up[t * n_ff..(t + 1) * n_ff]),
                Activation::Gelu => kernels::gelu_mul(gate, &up[t * n_ff..(t + 1) * n_ff]),
            });
            gate
        } else {
            by_rows(self.pool, up, n_ff, work, &|_, up| match act {
                Activation::Silu => kernels::silu_in_place(up),
                Activation::Gelu => kernels::gelu_in_place(up),
            });
            up
        };
        visit(&mut self.tap, at_act, hidden);
        s.inputs.changed();
        linear(&layer.ffn_down, &mut s.branch[..d], hidden, &mut s.inputs, self.pool);
        self.add_branch(Site::FfnOut, Site::LOut, i);
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
        visit(&mut self.tap, Place { site: Site::ResultOutput, layer: 0, position, head: 0 }, logits);
    }
}

/// What the parts of one layer's attention share.
struct Attention<'a> {
    config: &'a Config,
    cache: &'a KvCache,
    q: &'a [f32],
    layer: usize,
    n_past: usize,
}

impl Attention<'_> {
    /// Some query heads of some tokens, the heads of one group after those of another.
    fn attend(&self, s: &mut Rows, part: &Part, mut out: Submatrix<'_>, mut tap: Option<&mut dyn Tap>) {
        let (dh, group) = (self.config.head_dim, self.config.n_head / self.config.n_head_kv);
        let (mut first, end) = (part.columns.start / dh, part.columns.end / dh);
        while first < end {
            let heads = first..end.min((first / group + 1) * group);
            first = heads.end;
            match &mut tap {
                Some(tap) => self.attend_group(s, part, heads, &mut out, Some(&mut **tap)),
                None => self.attend_group(s, part, heads, &mut out, None),
            }
        }
    }

    /// Query heads of some tokens that share a key head: row r is token `r / heads` of the part, and head `r % heads`.
    fn attend_group(
        &self,
        s: &mut Rows,
        part: &Part,
        heads: Range<usize>,
        out: &mut Submatrix<'_>,
        mut tap: Option<&mut dyn Tap>,
    ) {
        let (dh, n_q, layer) = (self.config.head_dim, self.config.n_q(), self.layer);
        let (first_head, heads) = (heads.start, heads.len());
        let kv_head = first_head / (self.config.n_head / self.config.n_head_kv);
        let n = part.rows.len() * heads;
        let at = |r: usize| (part.rows.start + r / heads) * n_q + (first_head + r % heads) * dh;
        let ends: [usize; MAX_ROWS] = core::array::from_fn(|r| self.n_past + part.rows.start + r / heads + 1);
        let ends = &ends[..n];
        let n_tiles = ends[n - 1].div_ceil(TILE);
        let stride = n_tiles * TILE;
        let (rows_q, rows_out) = (&mut s.q[..n * dh], &mut s.out[..n * dh]);
        for (r, row) in rows_q.chunks_exact_mut(dh).enumerate() {
            row.copy_from_slice(&self.q[at(r)..at(r) + dh]);
        }
        for tile in 0..n_tiles {
            let keys = self.cache.keys(layer, kv_head, tile, &mut s.tile);
            kernels::attention_scores(&mut s.scores, stride, tile * TILE, rows_q, keys, ends);
        }
        let factor = 1.0 / (dh as f32).sqrt();
        for (r, (scores, end)) in s.scores.chunks_exact_mut(stride).zip(ends).enumerate() {
            let scores = &mut scores[..*end];
            let place = |site| Place { site, layer, position: end - 1, head: first_head + r % heads };
            visit(&mut tap, place(Site::Kq), scores);
            kernels::scale(scores, factor);
            kernels::softmax(scores);
            visit(&mut tap, place(Site::KqSoftMax), scores);
        }
        rows_out.fill(0.0);
        for tile in 0..n_tiles {
            let values = self.cache.values(layer, kv_head, tile, &mut s.tile);
            kernels::attention_values(rows_out, &s.scores, stride, tile * TILE, values, ends);
        }
        for (r, row) in rows_out.chunks_exact(dh).enumerate() {
            let column = (first_head + r % heads) * dh - part.columns.start;
            out.row(r / heads)[column..column + dh].copy_from_slice(row);
        }
    }
}
