//! Attention: queries, keys and values, positions, and what every head reads.

use super::architecture::Pairing;
use super::cache::KvCache;
use super::config::Config;
use super::forward::{Pass, TAPS, by_rows, finish, linear, normalise, visit};
use super::rope::{Rope, RopeTable};
use super::scratch::Rows;
use super::tap::{Place, Site, Tap};
use super::weights::{Layer, Qkv};
use crate::kernels::{self, Submatrix, TILE};
use crate::pool::{self, Part};
use crate::tensor::{Product, matmul_all};
use core::ops::Range;
use std::sync::PoisonError;

/// Most rows that attention takes at a time: enough that reading a tile of the cache costs little beside computing with
/// it, few enough that their scores stay in the processor's cache.
const MAX_ROWS: usize = 16;

/// How many rows a batch can bring: its tokens times the query heads that share a key head.
pub(super) fn most_rows(config: &Config, n_batch: usize) -> usize {
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
pub(super) fn padded(n: usize) -> usize {
    n.div_ceil(TILE).saturating_mul(TILE)
}

/// By what a layer turns queries and keys, of the tables for all layers and for local ones; `None`: it does not.
pub(super) fn turns<'a>(
    config: &'a Config,
    [all, local]: &'a [Option<RopeTable>; 2],
    layer: usize,
) -> Option<(&'a Rope, &'a RopeTable)> {
    if (layer + 1).checked_rem(config.unturned_step) == Some(0) {
        return None;
    }
    let [all, local] = [config.rope.as_ref().zip(all.as_ref()), config.local_rope.as_ref().zip(local.as_ref())];
    local.filter(|_| config.is_local(layer)).or(all)
}

impl Pass<'_, '_> {
    /// Leaves in `s.branch` what attention adds to the residual stream.
    pub fn attention(&mut self, i: usize, layer: &Layer) {
        self.norm(layer.attn_norm_2.as_deref().or(layer.attn_norm.as_deref()), Site::AttnNorm, i);
        self.project_qkv(&layer.attn_qkv);
        self.prepare_heads(i, layer);
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
        self.post_norm(layer.attn_post_norm.as_deref());
    }

    /// Clamps, normalises and turns queries and keys, as the model wants it.
    fn prepare_heads(&mut self, i: usize, layer: &Layer) {
        let (q, kv) = (self.n_tokens * self.config.n_q(), self.n_tokens * self.config.n_kv());
        let s = &mut *self.s;
        if let Some(most) = self.config.clamp_kqv {
            let all = s.q[..q].iter_mut().chain(&mut s.k[..kv]).chain(&mut s.v[..kv]);
            all.for_each(|x| *x = x.clamp(-most, most));
        }
        for (heads, norm) in [(&mut s.q[..q], &layer.attn_q_norm), (&mut s.k[..kv], &layer.attn_k_norm)] {
            if let Some(norm) = norm {
                let room = &mut s.heads[..heads.len()];
                room.copy_from_slice(heads);
                normalise(self.config, norm, heads, room, self.pool);
            }
        }
        self.turn(i);
    }

    fn project_qkv(&mut self, qkv: &Qkv) {
        let (n_q, n_kv) = (self.config.n_q(), self.config.n_kv());
        let (t, s) = (self.n_tokens, &mut *self.s);
        let x = &s.norm[..t * self.config.n_embd];
        match qkv {
            Qkv::Split { q, k, v } => {
                let (to_q, to_k, to_v) = (&mut s.q[..t * n_q], &mut s.k[..t * n_kv], &mut s.v[..t * n_kv]);
                let mut products = [
                    Product::of_all(&q.weight, &mut *to_q),
                    Product::of_all(&k.weight, &mut *to_k),
                    Product::of_all(&v.weight, &mut *to_v),
                ];
                matmul_all(&mut products, x, &mut s.inputs, self.pool);
                finish(q, to_q, x, &mut s.inputs, self.pool);
                finish(k, to_k, x, &mut s.inputs, self.pool);
                finish(v, to_v, x, &mut s.inputs, self.pool);
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
    fn turn(&mut self, layer: usize) {
        let Some((rope, table)) = turns(self.config, &self.s.rope, layer) else { return };
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
    /// heads\[t, h\] = softmax(q · keysᵀ / √Dh) · values. A local layer leaves out the positions before its window.
    ///
    /// The query heads of all tokens that share a key head are its rows, token by token; they are taken some at a time,
    /// and each tile of the cache is read once for them. No row meets a tile that lies wholly in its future.
    fn attend(&mut self, layer: usize) {
        let (config, n_tokens, s) = (self.config, self.n_tokens, &mut *self.s);
        let (n_q, dh, group) = (config.n_q(), config.head_dim, config.n_head / config.n_head_kv);
        let work = n_tokens * config.n_head * dh * 2 * (self.n_past + n_tokens);
        let tap = self.tap.as_mut().filter(|_| TAPS);
        let alone = tap.is_some() || self.pool.n_parts(work) == 1;
        let n_parts = if alone { 1 } else { 2 * self.pool.n_threads() };
        let (heads, tokens) = attention_part(group, config.n_head, n_tokens, n_parts);
        let attention = Attention { config, cache: self.cache, q: &s.q, layer, n_past: self.n_past };
        let (out, part) = (&mut s.heads[..n_tokens * n_q], [tokens, heads * dh]);
        let rows = |thread: usize| s.rows[thread].lock().unwrap_or_else(PoisonError::into_inner);
        match tap {
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
        // The first row's window begins first.
        let n_seen = self.config.n_seen(layer);
        let first_tile = ends[0].saturating_sub(n_seen) / TILE;
        for tile in first_tile..n_tiles {
            let keys = self.cache.keys(layer, kv_head, tile, &mut s.tile);
            kernels::attention_scores(&mut s.scores, stride, tile * TILE, rows_q, keys, ends);
        }
        for (r, (scores, end)) in s.scores.chunks_exact_mut(stride).zip(ends).enumerate() {
            let scores = &mut scores[..*end];
            let head = first_head + r % heads;
            let place = |site| Place { site, layer, position: end - 1, head };
            let start = end.saturating_sub(n_seen);
            scores[..start].fill(0.0);
            visit(&mut tap, place(Site::Kq), scores);
            let seen = &mut scores[start..];
            kernels::scale(seen, self.config.attention_scale);
            self.bend(head, seen);
            kernels::softmax(seen);
            visit(&mut tap, place(Site::KqSoftMax), scores);
        }
        rows_out.fill(0.0);
        for tile in first_tile..n_tiles {
            let values = self.cache.values(layer, kv_head, tile, &mut s.tile);
            kernels::attention_values(rows_out, &s.scores, stride, tile * TILE, values, ends);
        }
        for (r, row) in rows_out.chunks_exact(dh).enumerate() {
            let column = (first_head + r % heads) * dh - part.columns.start;
            out.row(r / heads)[column..column + dh].copy_from_slice(row);
        }
    }

    /// What some architectures do to a row of scaled scores: a soft cap, and a bias by the distance of each position.
    #[inline(never)]
    fn bend(&self, head: usize, scores: &mut [f32]) {
        if let Some(cap) = self.config.attention_softcap {
            kernels::soft_cap(scores, cap);
        }
        if self.config.max_alibi_bias.is_some() {
            let slope = self.config.slope(head);
            scores.iter_mut().rev().enumerate().for_each(|(distance, score)| *score -= slope * distance as f32);
        }
    }
}
