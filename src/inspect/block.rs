//! A block of the first Transformer from scratch, by the engine's kernels, with every step of it kept.
//!
//! ```text
//! attn = heads(softmax(scale · q · kᵀ) · v) · Wo        for q, k, v = x · Wq, x · Wk, x · Wv
//! norm1 = LayerNorm(x + attn)
//! ffn = ReLU(norm1 · W1) · W2                            each product with a bias
//! out = LayerNorm(norm1 + ffn)
//! ```
//!
//! The models that this engine runs are built otherwise: their norms stand before each part, not behind. So this is no second
//! forward pass but a teaching aid, and as slow as it is plain.
//!
//! # Source
//! Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>; names, and the order of the weights, are those of PyTorch's
//! `nn.TransformerEncoderLayer`.

use crate::error::{Error, Result};
use crate::kernels::{self, Submatrix};
use crate::tensor::zeros;
use core::mem::take;

/// Most tokens.
pub const MAX_TOKENS: usize = 64;
/// Most columns of the stream, and of the feed-forward network.
pub const MAX_WIDTH: usize = 1024;

/// PyTorch's own, under the root of the norms.
const EPS: f32 = 1e-5;

/// What a block is to compute.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// T: tokens.
    pub n_tokens: usize,
    /// D: width of the stream.
    pub n_embd: usize,
    /// H: heads; D is a multiple of it.
    pub n_head: usize,
    /// F: width of the feed-forward network.
    pub n_ff: usize,
    /// Whether a token sees those before it alone.
    pub causal: bool,
    /// What scores are multiplied by; 1/√(D/H) in the paper.
    pub scale: f32,
    /// The input, \[T × D\], and behind it the weights, one after the other: of queries, keys and values \[3·D × D\] and
    /// \[3·D\], attention's output \[D × D\] and \[D\], the network's \[F × D\], \[F\], \[D × F\] and \[D\], the norms' \[D\]
    /// and \[D\] twice.
    pub values: &'a [f32],
}

impl Block<'_> {
    /// Every step, one after the other: `q`, `k`, `v` \[T × D\]; `scores` (scaled, the future's too) and `weights` \[H × T × T\];
    /// `heads`, `attn`, `sum1`, `norm1` \[T × D\]; `linear1` and `hidden` \[T × F\]; `ffn`, `sum2`, `out` \[T × D\].
    ///
    /// # Errors
    /// `Argument` for heads that do not divide D, for more than [`MAX_TOKENS`] tokens or [`MAX_WIDTH`] columns, and for
    /// another number of values; `Limit` where there is no memory.
    pub fn steps(&self) -> Result<Vec<f32>> {
        let Block { n_tokens: t, n_embd: d, n_head: h, n_ff: f, mut values, .. } = *self;
        let fits = (1..=MAX_TOKENS).contains(&t) && [d, f].iter().all(|n| (1..=MAX_WIDTH).contains(n));
        if !fits || h == 0 || d % h != 0 || values.len() != t * d + 4 * d * d + 2 * d * f + 9 * d + f {
            return Err(Error::Argument(format!(
                "a block of at most {MAX_TOKENS} tokens and {MAX_WIDTH} columns takes T·D + 4·D² + 2·D·F + 9·D + F values, and heads that divide D"
            )));
        }
        let mut given = |n: usize| {
            let (first, rest) = values.split_at(n);
            values = rest;
            first
        };
        let (td, tf, htt) = (t * d, t * f, h * t * t);
        let (x, qkv, qkv_bias) = (given(td), given(3 * d * d), given(3 * d));
        let attention_out = (given(d * d), given(d));
        let (up, down) = ((given(f * d), given(f)), (given(d * f), given(d)));
        let norms = [(given(d), given(d)), (given(d), given(d))];
        let mut steps = zeros(10 * td + 2 * tf + 2 * htt)?;
        let mut room = &mut steps[..];
        let mut step = |n: usize| {
            let (first, rest) = take(&mut room).split_at_mut(n);
            room = rest;
            first
        };
        let [q, k, v] = [0, 1, 2].map(|i| {
            let out = step(td);
            linear(out, x, (&qkv[i * d * d..][..d * d], &qkv_bias[i * d..][..d]))?;
            Ok(&*out)
        });
        let (scores, weights, heads) = (step(htt), step(htt), step(td));
        self.attend([q?, k?, v?], scores, weights, heads);
        let attn = step(td);
        linear(attn, heads, attention_out)?;
        let (sum, norm) = (step(td), step(td));
        add_and_norm(sum, norm, [x, attn], norms[0]);
        let (before, hidden, ffn) = (step(tf), step(tf), step(td));
        linear(before, norm, up)?;
        hidden.iter_mut().zip(before).for_each(|(hidden, x)| *hidden = x.max(0.0));
        linear(ffn, hidden, down)?;
        add_and_norm(step(td), step(td), [norm, ffn], norms[1]);
        Ok(steps)
    }

    fn attend(&self, [q, k, v]: [&[f32]; 3], scores: &mut [f32], weights: &mut [f32], heads: &mut [f32]) {
        let (t, d, width) = (self.n_tokens, self.n_embd, self.n_embd / self.n_head);
        let rows = scores.chunks_exact_mut(t).zip(weights.chunks_exact_mut(t));
        for (i, (scores, weights)) in rows.enumerate() {
            let (column, row) = (i / t * width, i % t);
            let part = |of: usize| of * d + column..of * d + column + width;
            for (j, score) in scores.iter_mut().enumerate() {
                *score = self.scale * kernels::dot(&q[part(row)], &k[part(j)]);
            }
            let n_seen = if self.causal { row + 1 } else { t };
            weights[..n_seen].copy_from_slice(&scores[..n_seen]);
            kernels::softmax(&mut weights[..n_seen]);
            for (j, weight) in weights[..n_seen].iter().enumerate() {
                kernels::add_scaled(&mut heads[part(row)], *weight, &v[part(j)]);
            }
        }
    }
}

/// out\[t\] = w · x\[t\] + bias, the rows of `w` packed for the kernel.
fn linear(out: &mut [f32], x: &[f32], (w, bias): (&[f32], &[f32])) -> Result<()> {
    let (rows, columns) = (bias.len(), w.len() / bias.len());
    let mut packed: Vec<[f32; 8]> = zeros(rows.div_ceil(8) * columns)?;
    for (row, w) in w.chunks_exact(columns).enumerate() {
        let group = &mut packed[row / 8 * columns..][..columns];
        group.iter_mut().zip(w).for_each(|(column, w)| column[row % 8] = *w);
    }
    kernels::matmul_f32(Submatrix::new(out, rows), &packed, x);
    out.chunks_exact_mut(rows).for_each(|out| kernels::add(out, bias));
    Ok(())
}

/// sum = a + b; norm = LayerNorm(sum), row by row.
fn add_and_norm(sum: &mut [f32], norm: &mut [f32], [a, b]: [&[f32]; 2], (weight, bias): (&[f32], &[f32])) {
    sum.copy_from_slice(a);
    kernels::add(sum, b);
    let d = weight.len();
    for (norm, sum) in norm.chunks_exact_mut(d).zip(sum.chunks_exact(d)) {
        kernels::layer_norm(norm, sum, weight, Some(bias), EPS);
    }
}
