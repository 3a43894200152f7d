//! Integer dot products by `i32x4.relaxed_dot_i8x16_i7x16_add_s`.
//!
//! Its first operand is signed bytes; its second is exact on every processor only while it holds 0 ..= 127. So nibbles
//! go second as they are, and activations that meet byte weights are split into what is above and what is below zero:
//! w·x = w·max(x, 0) − w·max(−x, 0). Sums of two products stay within i16 (2 · 128 · 127), so no lowering saturates.

use crate::activation::Activation;
use crate::lanes::I4;
use core::arch::wasm32::*;

pub const BUILD: &str = "relaxed";

/// For each of `N` inputs and eight rows: Σ w·x over `4 · S` columns. Weights are bytes, signed.
#[inline(always)]
pub fn dot_bytes<const S: usize, const K: usize, const N: usize>(w: &[[u8; 32]; S], x: [&[i8; K]; N]) -> [[I4; 2]; N] {
    let zero = i32x4_splat(0);
    let mut above = [[zero; 2]; N];
    let mut below = [[zero; 2]; N];
    for (step, w) in w.iter().enumerate() {
        let w = load(w);
        for n in 0..N {
            let x = four(x[n], step);
            let (positive, negative) = (i8x16_max(x, zero), i8x16_max(i8x16_neg(x), zero));
            for half in 0..2 {
                above[n][half] = i32x4_relaxed_dot_i8x16_i7x16_add(w[half], positive, above[n][half]);
                below[n][half] = i32x4_relaxed_dot_i8x16_i7x16_add(w[half], negative, below[n][half]);
            }
        }
    }
    core::array::from_fn(|n| core::array::from_fn(|half| I4(i32x4_sub(above[n][half], below[n][half]))))
}

/// For each of `N` inputs and eight rows: Σ (w − 8)·x over 32 columns. Weights are nibbles, 0 ..= 15.
#[inline(always)]
pub fn dot_nibbles<const N: usize>(w: &[[u8; 32]; 4], x: [&Activation; N]) -> [[I4; 2]; N] {
    let mut sums = x.map(|x| [i32x4_splat(-8 * x.sum); 2]);
    for (pair, w) in w.iter().enumerate() {
        let w = load(w);
        let low = w.map(|w| v128_and(w, u8x16_splat(15)));
        let high = w.map(|w| u8x16_shr(w, 4));
        for n in 0..N {
            let (even, odd) = (four(&x[n].q, 2 * pair), four(&x[n].q, 2 * pair + 1));
            for half in 0..2 {
                let sum = i32x4_relaxed_dot_i8x16_i7x16_add(even, low[half], sums[n][half]);
                sums[n][half] = i32x4_relaxed_dot_i8x16_i7x16_add(odd, high[half], sum);
            }
        }
    }
    sums.map(|sums| sums.map(I4))
}

#[inline(always)]
fn load(w: &[u8; 32]) -> [v128; 2] {
    // SAFETY: the reference is to 32 readable bytes, and v128.load has no alignment requirement.
    unsafe { [v128_load(w.as_ptr().cast()), v128_load(w.as_ptr().add(16).cast())] }
}

/// Columns `4 · step ..` of an input, four times.
#[inline(always)]
fn four(x: &[i8], step: usize) -> v128 {
    let (fours, _) = x.as_chunks::<4>();
    i32x4_splat(i32::from_le_bytes(fours[step].map(|x| x as u8)))
}
