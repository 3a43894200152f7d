//! Integer dot products for plain simd128: bytes widened to i16, pairs multiplied and added by `i32x4.dot_i16x8_s`.

use crate::activation::Activation;
use crate::lanes::I4;
use core::arch::wasm32::*;

pub const BUILD: &str = "simd128";

/// Two running sums a row (even and odd pairs of columns), two rows a vector: eight rows in four vectors.
type Sums = [v128; 4];

/// For each of `N` inputs and eight rows: Σ w·x over `4 · S` columns. Weights are bytes, signed.
#[inline(always)]
pub fn dot_bytes<const S: usize, const K: usize, const N: usize>(w: &[[u8; 32]; S], x: [&[i8; K]; N]) -> [[I4; 2]; N] {
    let mut sums = [[i32x4_splat(0); 4]; N];
    for (step, w) in w.iter().enumerate() {
        let w = load(w);
        for n in 0..N {
            add_step(&mut sums[n], w, four(x[n], step));
        }
    }
    sums.map(close)
}

/// For each of `N` inputs and eight rows: Σ (w − 8)·x over 32 columns. Weights are nibbles, 0 ..= 15.
#[inline(always)]
pub fn dot_nibbles<const N: usize>(w: &[[u8; 32]; 4], x: [&Activation; N]) -> [[I4; 2]; N] {
    let mut sums = [[i32x4_splat(0); 4]; N];
    for (pair, w) in w.iter().enumerate() {
        let w = load(w);
        let low = w.map(|w| i8x16_sub(v128_and(w, u8x16_splat(15)), i8x16_splat(8)));
        let high = w.map(|w| i8x16_sub(u8x16_shr(w, 4), i8x16_splat(8)));
        for n in 0..N {
            add_step(&mut sums[n], low, four(&x[n].q, 2 * pair));
            add_step(&mut sums[n], high, four(&x[n].q, 2 * pair + 1));
        }
    }
    sums.map(close)
}

#[inline(always)]
fn load(w: &[u8; 32]) -> [v128; 2] {
    // SAFETY: the reference is to 32 readable bytes, and v128.load has no alignment requirement.
    unsafe { [v128_load(w.as_ptr().cast()), v128_load(w.as_ptr().add(16).cast())] }
}

/// Columns `4 · step ..` of an input as i16, twice.
#[inline(always)]
fn four(x: &[i8], step: usize) -> v128 {
    let (fours, _) = x.as_chunks::<4>();
    let x = fours[step];
    i16x8_extend_low_i8x16(i32x4_splat(i32::from_le_bytes(x.map(|x| x as u8))))
}

#[inline(always)]
fn add_step(sums: &mut Sums, w: [v128; 2], x: v128) {
    sums[0] = i32x4_add(sums[0], i32x4_dot_i16x8(i16x8_extend_low_i8x16(w[0]), x));
    sums[1] = i32x4_add(sums[1], i32x4_dot_i16x8(i16x8_extend_high_i8x16(w[0]), x));
    sums[2] = i32x4_add(sums[2], i32x4_dot_i16x8(i16x8_extend_low_i8x16(w[1]), x));
    sums[3] = i32x4_add(sums[3], i32x4_dot_i16x8(i16x8_extend_high_i8x16(w[1]), x));
}

/// Adds the two sums of each row.
#[inline(always)]
fn close(sums: Sums) -> [I4; 2] {
    let join = |a, b| I4(i32x4_add(i32x4_shuffle::<0, 2, 4, 6>(a, b), i32x4_shuffle::<1, 3, 5, 7>(a, b)));
    [join(sums[0], sums[1]), join(sums[2], sums[3])]
}
