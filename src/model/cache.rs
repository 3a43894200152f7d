//! The keys and values of all positions so far, allocated once for the whole context.

use super::config::Config;
use crate::error::Result;
use crate::tensor::zeros;

/// Keys and values: each \[layer × K × n_ctx × Dh\], so that a head's positions lie side by side.
#[derive(Debug)]
pub struct KvCache {
    keys: Vec<f32>,
    values: Vec<f32>,
    n_ctx: usize,
    n_head_kv: usize,
    head_dim: usize,
}

impl KvCache {
    /// An empty cache.
    ///
    /// # Errors
    /// `Limit` where memory does not suffice.
    pub fn new(config: &Config, n_ctx: usize) -> Result<KvCache> {
        let n = (KvCache::bytes_needed(config, n_ctx) / 8).try_into().unwrap_or(usize::MAX);
        Ok(KvCache {
            keys: zeros(n)?,
            values: zeros(n)?,
            n_ctx,
            n_head_kv: config.n_head_kv,
            head_dim: config.head_dim,
        })
    }

    /// Bytes that a cache takes: 2 · layers · K · Dh · n_ctx · 4.
    pub fn bytes_needed(config: &Config, n_ctx: usize) -> u64 {
        (config.n_layer as u64 * config.n_kv() as u64 * 8).saturating_mul(n_ctx as u64)
    }

    /// How many positions it holds.
    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    fn head_start(&self, layer: usize, head: usize) -> usize {
        (layer * self.n_head_kv + head) * self.n_ctx * self.head_dim
    }

    /// Stores one token's keys and values, each \[K × Dh\]. `position` < n_ctx.
    pub(super) fn store(&mut self, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        for head in 0..self.n_head_kv {
            let at = self.head_start(layer, head) + position * self.head_dim;
            let from = head * self.head_dim..(head + 1) * self.head_dim;
            self.keys[at..at + self.head_dim].copy_from_slice(&keys[from.clone()]);
            self.values[at..at + self.head_dim].copy_from_slice(&values[from]);
        }
    }

    /// Keys of the first `n` positions of one head: \[n × Dh\].
    pub(super) fn keys(&self, layer: usize, head: usize, n: usize) -> &[f32] {
        let at = self.head_start(layer, head);
        &self.keys[at..at + n * self.head_dim]
    }

    /// Values of the first `n` positions of one head: \[n × Dh\].
    pub(super) fn values(&self, layer: usize, head: usize, n: usize) -> &[f32] {
        let at = self.head_start(layer, head);
        &self.values[at..at + n * self.head_dim]
    }
}
