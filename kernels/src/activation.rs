//! Activations in 8 bits, for the integer dot products.

use crate::lanes::{F4, I4};
use bytemuck::Zeroable;

/// 32 activations: `x[i] ≈ d · q[i]`.
#[derive(Debug, Clone, Copy, PartialEq, Zeroable)]
#[repr(C)]
pub struct Activation {
    /// The scale, max|x| / 127.
    pub d: f32,
    /// Σ q of each 16, for formats whose quants have an offset or a minimum.
    pub sums: [i16; 2],
    /// The quants, −127 ..= 127.
    pub q: [i8; 32],
    /// The same in 16 bits, for processors that multiply those.
    pub wide: [i16; 32],
}

impl Activation {
    /// 32 zeros.
    pub const ZERO: Activation = Activation { d: 0.0, sums: [0; 2], q: [0; 32], wide: [0; 32] };

    /// `d · q[i]`.
    pub fn new(d: f32, q: [i8; 32]) -> Activation {
        let wide = q.map(i16::from);
        let sums = core::array::from_fn(|half| wide[16 * half..][..16].iter().sum());
        Activation { d, sums, q, wide }
    }

    /// Σ q.
    #[inline(always)]
    pub fn sum(&self) -> i32 {
        i32::from(self.sums[0]) + i32::from(self.sums[1])
    }
}

/// Quantizes activations block by block: d = max|x| / 127, q = x / d rounded to nearest, ties to even. Where max|x| is
/// below 10⁻³⁶, q is zeros.
///
/// A block that holds a NaN or an infinity gets d = NaN, so that what is computed from it shows the fault.
///
/// # Shapes
/// `x`: \[32 n\]; `out`: \[n\].
pub fn quantize_activations(x: &[f32], out: &mut [Activation]) {
    for (block, x) in out.iter_mut().zip(x.as_chunks::<32>().0) {
        let fours = x.as_chunks::<4>().0;
        let mut max = F4::splat(0.0);
        let mut check = F4::splat(0.0);
        for four in fours {
            let v = F4::load(four);
            max = max.max(v.abs());
            check = check.add(v.mul(F4::splat(0.0))); // 0 · NaN and 0 · ∞ are NaN
        }
        let [a, b, c, d] = max.to_array();
        let amax = a.max(b).max(c).max(d);
        // Below this, 127 / amax would be infinite.
        let inverse = if amax < 1e-36 { 0.0 } else { 127.0 / amax };
        // 1.5 · 2²³ + n has the nearest integer to n, ties to even, in its low bits.
        let magic = F4::splat(12_582_912.0);
        let integer = |four| I4::from_bits(F4::load(four).mul(F4::splat(inverse)).add(magic)).sub(I4::from_bits(magic));
        let mut q = [0; 32];
        for (qs, fours) in q.as_chunks_mut::<16>().0.iter_mut().zip(fours.as_chunks::<4>().0) {
            *qs = I4::to_bytes(fours.each_ref().map(integer));
        }
        *block = Activation::new(amax / 127.0 + check.sum(), q);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_equal_the_oracle(x in prop::array::uniform32(-4f32..4.0), size in -130i32..120) {
            let x = x.map(|x| x * 2f32.powi(size));
            let mut block = [Activation::ZERO];
            quantize_activations(&x, &mut block);
            let (d, q) = oracle::rounded(&x);
            prop_assert_eq!(block[0], Activation::new(d, q));
        }
    }

    #[test]
    fn rounds_to_nearest_ties_to_even_and_never_past_127() {
        let mut x = [0f32; 32];
        (x[0], x[1], x[2], x[3]) = (127.0, 0.5, 1.5, -2.5);
        let mut block = [Activation::ZERO];
        quantize_activations(&x, &mut block);
        assert_eq!(block[0].d, 1.0);
        assert_eq!(block[0].q[..4], [127, 0, 2, -2]);
        assert_eq!((block[0].sums, block[0].sum()), ([127, 0], 127));
        quantize_activations(&[1e-45; 32], &mut block);
        assert_eq!(block[0].q, [0; 32], "a block whose scale has no inverse");
        let mixed: [f32; 32] = core::array::from_fn(|i| [0.0, -1e-39, 1e-40, 1e-45][i % 4]);
        quantize_activations(&mixed, &mut block);
        assert_eq!(block[0].q, [0; 32]);
    }

    #[test]
    fn a_nan_shows_in_the_scale() {
        let mut x = [1f32; 32];
        x[7] = f32::NAN;
        let mut block = [Activation::ZERO];
        quantize_activations(&x, &mut block);
        assert!(block[0].d.is_nan());
        x[7] = f32::INFINITY;
        quantize_activations(&x, &mut block);
        assert!(block[0].d.is_nan());
    }
}
