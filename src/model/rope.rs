//! The angles of rotary positions, tabulated.

use super::config::Rope;
use crate::error::Result;
use crate::tensor::zeros;

/// Cosine and sine for every position and pair.
#[derive(Debug)]
pub struct RopeTable {
    /// \[n_ctx × n_rot/2\] of (cos, sin).
    angles: Vec<[f32; 2]>,
    n_pairs: usize,
}

impl RopeTable {
    /// Angles for positions 0 .. n_ctx: pair i at position p turns by p · freq_scale · freq_base^(−2i / n_rot), divided
    /// by `factors[i]` where the model has such factors. Computed in f64 and rounded once.
    ///
    /// # Errors
    /// `Limit` where memory does not suffice.
    pub fn new(rope: &Rope, factors: Option<&[f32]>, n_ctx: usize) -> Result<RopeTable> {
        let n_pairs = rope.n_rot / 2;
        let mut angles = zeros(n_ctx.saturating_mul(n_pairs))?;
        for i in 0..n_pairs {
            let factor = factors.and_then(|f| f.get(i)).map_or(1.0, |f| f64::from(*f));
            let exponent = -2.0 * i as f64 / rope.n_rot as f64;
            let frequency = libm::pow(f64::from(rope.freq_base), exponent) * f64::from(rope.freq_scale) / factor;
            for position in 0..n_ctx {
                let angle = position as f64 * frequency;
                angles[position * n_pairs + i] = [libm::cos(angle) as f32, libm::sin(angle) as f32];
            }
        }
        Ok(RopeTable { angles, n_pairs })
    }

    /// The pairs of one position; empty past the table's end.
    pub fn at(&self, position: usize) -> &[[f32; 2]] {
        self.angles.get(position * self.n_pairs..(position + 1) * self.n_pairs).unwrap_or(&[])
    }

    /// Bytes that a table for `n_ctx` positions takes.
    pub fn bytes_needed(rope: &Rope, n_ctx: usize) -> u64 {
        n_ctx as u64 * (rope.n_rot as u64 / 2) * 8
    }
}
