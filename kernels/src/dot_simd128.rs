//! Integer dot products for plain simd128: bytes widened to i16, pairs multiplied and added by `i32x4.dot_i16x8_s`.

use super::{Dot, Sums};
use crate::activation::Activation;
use crate::lanes::I4;
use crate::matmul::quant_pair;
use crate::packed::{QuantBlock, Rows, both};
use core::arch::wasm32::*;

#[cfg(not(target_feature = "relaxed-simd"))]
pub use only::*;

/// What a build has that knows no other way.
#[cfg(not(target_feature = "relaxed-simd"))]
mod only {
    pub(crate) use crate::gemm::gemm_short as many;

    pub const BUILD: &str = "simd128";

    /// Whether the kernels are right; there is nothing to choose from.
    pub fn choose(is_right: impl Fn() -> bool) -> bool {
        is_right()
    }

    pub use super::plain_tile_pair as tile_pair;
}

/// Twice eight rows times one input.
#[inline(always)]
pub fn plain_tile_pair<B: QuantBlock>(w: [&[B]; 2], x: &[Activation]) -> [Rows; 2] {
    quant_pair(Simd128, w, x)
}

#[derive(Clone, Copy)]
pub struct Simd128;

/// Two running sums a row (even and odd pairs of columns), two rows a vector: eight rows in four vectors.
type Pairs = [[v128; 2]; 2];

impl Dot for Simd128 {
    #[inline(always)]
    fn bytes<const N: usize>(self, w: &[[u8; 32]; 8], x: [&Activation; N]) -> [Sums; N] {
        x.map(|x| {
            let mut sums = start(0);
            for (step, w) in w.iter().enumerate() {
                add_step(&mut sums, load(w), x, step);
            }
            both(sums, close)
        })
    }

    #[inline(always)]
    fn nibbles<const OFFSET: i32, const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N]) -> [Sums; N] {
        x.map(|x| {
            let mut sums = start(-OFFSET * x.sum());
            for (pair, w) in w.iter().enumerate() {
                let [a, b] = both(load(w), nibbles);
                add_step(&mut sums, [a[0], b[0]], x, 2 * pair);
                add_step(&mut sums, [a[1], b[1]], x, 2 * pair + 1);
            }
            both(sums, close)
        })
    }

    #[inline(always)]
    fn fives<const N: usize>(self, offset: i32, w: &[[u8; 32]; 4], high: &[u8; 32], x: [&Activation; N]) -> [Sums; N] {
        let high = load(high);
        x.map(|x| {
            let mut sums = start(-offset * x.sum());
            for (pair, w) in w.iter().enumerate() {
                let [low, up] = fives(w, high, pair);
                add_step(&mut sums, low, x, 2 * pair);
                add_step(&mut sums, up, x, 2 * pair + 1);
            }
            both(sums, close)
        })
    }

    #[inline(always)]
    fn sixes<const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N], half: usize) -> [Sums; N] {
        x.map(|x| {
            let mut sums = start(-32 * i32::from(x.sums[half]));
            for (step, w) in w.iter().enumerate() {
                add_step(&mut sums, load(w), x, 4 * half + step);
            }
            both(sums, close)
        })
    }

    #[inline(always)]
    fn coded<const N: usize>(self, table: &[i8; 16], w: &[[u8; 32]; 2], x: [&Activation; N], half: usize) -> [Sums; N] {
        // SAFETY: the reference is to 16 readable bytes, and v128.load has no alignment requirement.
        let table = unsafe { v128_load(table.as_ptr().cast()) };
        x.map(|x| {
            let mut sums = start(0);
            for (pair, w) in w.iter().enumerate() {
                let [a, b] = both(load(w), |w| both(nibbles(w), |codes| i8x16_swizzle(table, codes)));
                add_step(&mut sums, [a[0], b[0]], x, 4 * half + 2 * pair);
                add_step(&mut sums, [a[1], b[1]], x, 4 * half + 2 * pair + 1);
            }
            both(sums, close)
        })
    }
}

/// Four columns of eight rows: those of rows 0 to 3 and those of rows 4 to 7.
#[inline(always)]
pub fn load(w: &[u8; 32]) -> [v128; 2] {
    // SAFETY: the reference is to 32 readable bytes, and v128.load has no alignment requirement.
    unsafe { [v128_load(w.as_ptr().cast()), v128_load(w.as_ptr().add(16).cast())] }
}

/// The low and the high nibbles of 16 bytes. Shifted by 16 bits, because processors have no shift by 8.
#[inline(always)]
pub fn nibbles(w: v128) -> [v128; 2] {
    [v128_and(w, u8x16_splat(15)), v128_and(u16x8_shr(w, 4), u8x16_splat(15))]
}

/// The weights of steps `2 · pair` and `2 · pair + 1`: nibbles, and the fifth bits in bits `2 · pair` and `2 · pair + 1`.
#[inline(always)]
pub fn fives(w: &[u8; 32], high: [v128; 2], pair: usize) -> [[v128; 2]; 2] {
    let [a, b] = both(load(w), nibbles);
    let fifth = |high: v128, step: u32| {
        let there = if step < 4 { u16x8_shl(high, 4 - step) } else { u16x8_shr(high, step - 4) };
        v128_and(there, u8x16_splat(16))
    };
    core::array::from_fn(|i| {
        let step = (2 * pair + i) as u32;
        [v128_or(a[i], fifth(high[0], step)), v128_or(b[i], fifth(high[1], step))]
    })
}

/// Columns `4 · step ..` of an input in 16 bits, twice.
#[inline(always)]
fn two(x: &Activation, step: usize) -> v128 {
    let (fours, _) = x.wide.as_chunks::<4>();
    // SAFETY: the reference is to 8 readable bytes, and v128.load64_splat has no alignment requirement.
    unsafe { v128_load64_splat(fours[step].as_ptr().cast()) }
}

/// Running sums that begin at `n` for each row.
#[inline(always)]
fn start(n: i32) -> Pairs {
    [[i32x4(n, 0, n, 0); 2]; 2]
}

#[inline(always)]
fn add_step(sums: &mut Pairs, w: [v128; 2], x: &Activation, step: usize) {
    let x = two(x, step);
    for (sums, w) in sums.iter_mut().zip(w) {
        sums[0] = i32x4_add(sums[0], i32x4_dot_i16x8(i16x8_extend_low_i8x16(w), x));
        sums[1] = i32x4_add(sums[1], i32x4_dot_i16x8(i16x8_extend_high_i8x16(w), x));
    }
}

/// Adds the two sums of each row.
#[inline(always)]
fn close(sums: [v128; 2]) -> I4 {
    I4(i32x4_add(i32x4_shuffle::<0, 2, 4, 6>(sums[0], sums[1]), i32x4_shuffle::<1, 3, 5, 7>(sums[0], sums[1])))
}
