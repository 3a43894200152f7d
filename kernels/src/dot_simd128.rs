//! Integer dot products for plain simd128: bytes widened to i16, pairs multiplied and added by `i32x4.dot_i16x8_s`.

use super::{Dot, Sums};
use crate::activation::Activation;
use crate::lanes::I4;
use core::arch::wasm32::*;

#[cfg(not(target_feature = "relaxed-simd"))]
pub use only::*;

/// What a build has that knows no other way.
#[cfg(not(target_feature = "relaxed-simd"))]
mod only {
    use super::{Activation, Simd128};
    use crate::matmul::quant_tile;
    use crate::packed::{QuantBlock, Rows};

    pub const BUILD: &str = "simd128";

    /// Whether the kernels are right; there is nothing to choose from.
    pub fn choose(is_right: impl Fn() -> bool) -> bool {
        is_right()
    }

    /// Eight rows times `N` inputs.
    #[inline(always)]
    pub fn tile<B: QuantBlock, const N: usize>(w: &[B], x: [&[Activation]; N]) -> [Rows; N] {
        quant_tile(Simd128, w, x)
    }
}

#[derive(Clone, Copy)]
pub struct Simd128;

/// Two running sums a row (even and odd pairs of columns), two rows a vector: eight rows in four vectors.
type Pairs = [v128; 4];

impl Dot for Simd128 {
    #[inline(always)]
    fn bytes<const N: usize>(self, w: &[[u8; 32]; 8], x: [&Activation; N]) -> [Sums; N] {
        let mut sums = [[i32x4_splat(0); 4]; N];
        for (step, w) in w.iter().enumerate() {
            add_step(&mut sums, load(w), x, step);
        }
        sums.map(close)
    }

    #[inline(always)]
    fn nibbles<const OFFSET: i32, const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N]) -> [Sums; N] {
        let mut sums = x.map(|x| start(-OFFSET * x.sum()));
        for (pair, w) in w.iter().enumerate() {
            let w = load(w);
            add_step(&mut sums, w.map(|w| v128_and(w, u8x16_splat(15))), x, 2 * pair);
            add_step(&mut sums, w.map(|w| u8x16_shr(w, 4)), x, 2 * pair + 1);
        }
        sums.map(close)
    }

    #[inline(always)]
    fn sixes<const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N], half: usize) -> [Sums; N] {
        let mut sums = x.map(|x| start(-32 * i32::from(x.sums[half])));
        for (step, w) in w.iter().enumerate() {
            add_step(&mut sums, load(w), x, 4 * half + step);
        }
        sums.map(close)
    }
}

#[inline(always)]
pub fn load(w: &[u8; 32]) -> [v128; 2] {
    // SAFETY: the reference is to 32 readable bytes, and v128.load has no alignment requirement.
    unsafe { [v128_load(w.as_ptr().cast()), v128_load(w.as_ptr().add(16).cast())] }
}

/// Columns `4 · step ..` of an input, four times.
#[inline(always)]
pub fn four(x: &Activation, step: usize) -> v128 {
    let (fours, _) = x.q.as_chunks::<4>();
    i32x4_splat(i32::from_le_bytes(fours[step].map(|x| x as u8)))
}

/// Running sums that begin at `n` for each row.
#[inline(always)]
fn start(n: i32) -> Pairs {
    [i32x4(n, 0, n, 0); 4]
}

#[inline(always)]
fn add_step<const N: usize>(sums: &mut [Pairs; N], w: [v128; 2], x: [&Activation; N], step: usize) {
    let w = [
        i16x8_extend_low_i8x16(w[0]),
        i16x8_extend_high_i8x16(w[0]),
        i16x8_extend_low_i8x16(w[1]),
        i16x8_extend_high_i8x16(w[1]),
    ];
    for n in 0..N {
        let x = i16x8_extend_low_i8x16(four(x[n], step));
        for i in 0..4 {
            sums[n][i] = i32x4_add(sums[n][i], i32x4_dot_i16x8(w[i], x));
        }
    }
}

/// Adds the two sums of each row.
#[inline(always)]
fn close(sums: Pairs) -> Sums {
    let join = |a, b| I4(i32x4_add(i32x4_shuffle::<0, 2, 4, 6>(a, b), i32x4_shuffle::<1, 3, 5, 7>(a, b)));
    [join(sums[0], sums[1]), join(sums[2], sums[3])]
}
