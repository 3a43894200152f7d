//! What the forward pass computes in, allocated once.

use super::adapter::{Adapter, Inputs};
use super::attention::{most_rows, padded};
use super::config::Config;
use super::forward::MAX_BATCH;
use super::rope::RopeTable;
use super::weights::{Model, Qkv};
use crate::error::Result;
use crate::kernels::{self, TILE};
use crate::pool::Pool;
use crate::tensor::zeros;
use std::sync::{Arc, Mutex};

/// Buffers and tables of the forward pass, allocated once.
#[derive(Debug)]
pub struct Scratch {
    /// Of the layers that see everything, and of the local ones where these turn otherwise; none for learned positions.
    pub(super) rope: [Option<RopeTable>; 2],
    pub(super) x: Vec<f32>,
    pub(super) norm: Vec<f32>,
    pub(super) q: Vec<f32>,
    pub(super) k: Vec<f32>,
    pub(super) v: Vec<f32>,
    pub(super) qkv: Vec<f32>,
    pub(super) heads: Vec<f32>,
    pub(super) branch: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) up: Vec<f32>,
    /// What each token takes of each expert: \[T × experts\].
    pub(super) router: Vec<f32>,
    /// The inputs of one expert, and its outputs.
    pub(super) expert: [Vec<f32>; 2],
    /// One for each thread.
    pub(super) rows: Vec<Mutex<Rows>>,
    pool: Arc<Pool>,
    pub(super) inputs: Inputs,
    pub(super) logits: Vec<f32>,
    /// How many rows of `logits` the last call wrote.
    pub(super) n_logits: usize,
}

/// Queries, scores and outputs of the rows that attention takes at a time, and a tile of keys or values.
#[derive(Debug)]
pub(super) struct Rows {
    pub q: Vec<f32>,
    pub scores: Vec<f32>,
    pub out: Vec<f32>,
    pub tile: Vec<f32>,
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
        let fused = model.layers.iter().any(|layer| matches!(layer.attn_qkv, Qkv::Fused(_)));
        let (d, n_q, n_kv, n_ff) = (config.n_embd, config.n_q(), config.n_kv(), config.widest_ff());
        let n_experts = config.experts.map_or(0, |experts| experts.n);
        let one = if n_experts > 0 { d } else { 0 };
        let qkv = if fused { n_q + 2 * n_kv } else { 0 };
        let n_up = n_ff << u32::from(config.fused_gate);
        let is_short = config.rope.is_some_and(|rope| n_ctx <= rope.n_ctx_orig);
        let factors = model.rope_factors[usize::from(is_short)].as_deref();
        let mut rope = [None, None];
        for (table, (from, factors)) in rope.iter_mut().zip([(&config.rope, factors), (&config.local_rope, None)]) {
            if let Some(from) = from {
                *table = Some(RopeTable::new(from, factors, n_ctx)?);
            }
        }
        let n_parallel = pool.capacity();
        let mut s = Scratch {
            rope,
            x: Vec::new(),
            norm: Vec::new(),
            q: Vec::new(),
            k: Vec::new(),
            v: Vec::new(),
            qkv: Vec::new(),
            heads: Vec::new(),
            branch: Vec::new(),
            gate: Vec::new(),
            up: Vec::new(),
            router: Vec::new(),
            expert: [Vec::new(), Vec::new()],
            rows: Vec::new(),
            pool,
            inputs: Inputs::new(n_batch.saturating_mul(d.max(n_ff).max(n_q)))?,
            logits: zeros(config.n_vocab)?,
            n_logits: 1,
        };
        let [expert_in, expert_out] = &mut s.expert;
        for (buffer, width) in [
            (&mut s.x, d),
            (&mut s.norm, d),
            (&mut s.q, n_q),
            (&mut s.k, n_kv),
            (&mut s.v, n_kv),
            (&mut s.qkv, qkv),
            (&mut s.heads, n_q),
            (&mut s.branch, d),
            (&mut s.gate, n_ff),
            (&mut s.up, n_up),
            (&mut s.router, n_experts),
            (expert_in, one),
            (expert_out, one),
        ] {
            *buffer = zeros(n_batch.saturating_mul(width))?;
        }
        for _ in 0..n_parallel {
            s.rows.push(Mutex::new(Rows::new(config, n_rows, n_ctx)?));
        }
        Ok(s)
    }

    /// The adapters that change the matrices, each with its scale.
    pub fn adapters(&self) -> &[(Arc<Adapter>, f32)] {
        &self.inputs.adapters
    }

    /// Puts others in their place.
    ///
    /// # Errors
    /// `Argument` for an adapter of another model or a scale that is no number; `Limit` where memory does not suffice. Those
    /// that were there then stay.
    pub fn adapt(&mut self, model: &Model, adapters: Vec<(Arc<Adapter>, f32)>) -> Result<()> {
        let n_batch = self.x.len() / model.config.n_embd;
        self.inputs.adapt(model, n_batch, adapters)
    }

    /// A number that tells the model with these adapters from all others; its own hash without any.
    pub fn hash(&self, model: &Model) -> u64 {
        self.inputs.hash(model.hash)
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
        let [d, q, kv, f] = [config.n_embd, config.n_q(), config.n_kv(), config.widest_ff()].map(|n| n as u64);
        let gates = 2 + u64::from(config.fused_gate);
        let experts = config.experts.map_or(0, |experts| experts.n as u64 + 2 * d);
        let floats = 3 * d + 3 * q + 4 * kv + gates * f + experts;
        let inputs = d.max(f).max(q).div_ceil(32) * size_of::<kernels::Activation>() as u64;
        let ropes = config.rope.iter().chain(&config.local_rope);
        let rope: u64 = ropes.map(|rope| RopeTable::bytes_needed(rope, n_ctx)).sum();
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
