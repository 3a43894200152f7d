//! Rotary positions: how they are scaled, and their angles, tabulated.

use super::architecture::Pairing;
use super::keys::Keys;
use super::math;
use crate::error::{Error, Result, shown};
use crate::tensor::zeros;

/// Rotary positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rope {
    /// Which values are turned together.
    pub pairing: Pairing,
    /// How many values of each head are turned; even.
    pub n_rot: usize,
    /// The base of the geometric row of frequencies.
    pub freq_base: f32,
    /// Frequencies are multiplied by this; 1 where there is no scaling.
    pub freq_scale: f32,
    /// Where given, fast frequencies are scaled less, or not (YaRN).
    pub yarn: Option<Yarn>,
    /// What the turned values are multiplied by.
    pub attn_factor: f32,
    /// The context that the model was trained on before frequencies were scaled.
    pub n_ctx_orig: usize,
}

/// YaRN: a frequency that turns more than `beta_fast` times within the original context stays as it is, one that turns less
/// than `beta_slow` times is scaled, and those between are mixed.
///
/// # Source
/// Peng et al. 2023, YaRN, <https://arxiv.org/abs/2309.00071>
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Yarn {
    /// Turns of the fastest frequency that is scaled at all.
    pub beta_fast: f32,
    /// Turns of the fastest frequency that is scaled wholly.
    pub beta_slow: f32,
}

impl Rope {
    pub(super) fn unscaled(pairing: Pairing, n_rot: usize, freq_base: f32) -> Rope {
        Rope { pairing, n_rot, freq_base, freq_scale: 1.0, yarn: None, attn_factor: 1.0, n_ctx_orig: 0 }
    }

    pub(super) fn from_keys(keys: &Keys<'_>, pairing: Pairing, head_dim: usize) -> Result<Rope> {
        let n_rot = keys.optional_dim("rope.dimension_count")?.unwrap_or(head_dim);
        if n_rot % 2 != 0 || n_rot > head_dim {
            return Err(Error::Format(format!(
                "rope.dimension_count is {n_rot}; it must be even and at most {head_dim}"
            )));
        }
        let factor = match keys.f32_or_0("rope.scaling.factor")? {
            Some(factor) => factor,
            None => keys.factor("rope.scale_linear")?,
        };
        let mut rope = Rope::unscaled(pairing, n_rot, keys.f32("rope.freq_base")?.unwrap_or(10_000.0));
        rope.n_ctx_orig = match keys.count("rope.scaling.original_context_length")? {
            Some(n) => n,
            None => keys.dim("context_length", u32::MAX)?,
        };
        rope.attn_factor = keys.factor("rope.scaling.attn_factor")?;
        match keys.metadata.str(&keys.name("rope.scaling.type"))?.unwrap_or("linear") {
            "none" => {}
            "linear" | "longrope" => rope.freq_scale = 1.0 / factor,
            "yarn" => {
                rope.freq_scale = 1.0 / factor;
                rope.attn_factor *= 1.0 + 0.1 * math::log(f64::from(factor)) as f32;
                let beta = |key, usual| Ok::<_, Error>(keys.f32(key)?.unwrap_or(usual));
                rope.yarn = Some(Yarn {
                    beta_fast: beta("rope.scaling.yarn_beta_fast", 32.0)?,
                    beta_slow: beta("rope.scaling.yarn_beta_slow", 1.0)?,
                });
            }
            other => {
                let other = shown(other);
                return Err(Error::Unsupported(format!(
                    "rotary positions scaled by \"{other}\" cannot be run; none, linear, yarn and longrope can"
                )));
            }
        }
        Ok(rope)
    }

    /// The share of a pair's frequency that stays unscaled.
    fn unscaled_share(&self, yarn: Yarn, pair: usize) -> f64 {
        // The pair that turns `turns` times within the original context, as a fraction.
        let at = |turns: f32| {
            let wavelengths = self.n_ctx_orig as f64 / (f64::from(turns) * core::f64::consts::TAU);
            self.n_rot as f64 * math::log(wavelengths) / (2.0 * math::log(f64::from(self.freq_base)))
        };
        let low = at(yarn.beta_fast).floor().max(0.0);
        let high = at(yarn.beta_slow).ceil().min(self.n_rot as f64 - 1.0);
        1.0 - ((pair as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0)
    }
}

/// Cosine and sine for every position and pair.
#[derive(Debug)]
pub(super) struct RopeTable {
    /// \[n_ctx × n_rot/2\] of (cos, sin).
    angles: Vec<[f32; 2]>,
    n_pairs: usize,
}

impl RopeTable {
    /// Angles for positions 0 .. n_ctx: pair i at position p turns by p · freq_base^(−2i / n_rot), scaled, and divided by
    /// `factors[i]` where the model has such factors. Computed in f64 and rounded once.
    ///
    /// # Errors
    /// `Limit` where memory does not suffice.
    pub fn new(rope: &Rope, factors: Option<&[f32]>, n_ctx: usize) -> Result<RopeTable> {
        let n_pairs = rope.n_rot / 2;
        let mut angles = zeros(n_ctx.saturating_mul(n_pairs))?;
        let m = f64::from(rope.attn_factor);
        for i in 0..n_pairs {
            let factor = factors.and_then(|f| f.get(i)).map_or(1.0, |f| f64::from(*f));
            let exponent = -2.0 * i as f64 / rope.n_rot as f64;
            let mut frequency = math::pow(f64::from(rope.freq_base), exponent);
            let scale = f64::from(rope.freq_scale);
            frequency *= match rope.yarn {
                Some(yarn) => scale + (1.0 - scale) * rope.unscaled_share(yarn, i),
                None => scale,
            };
            frequency /= factor;
            for position in 0..n_ctx {
                let angle = position as f64 * frequency;
                angles[position * n_pairs + i] = math::cos_sin(angle).map(|x| (m * x) as f32);
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
