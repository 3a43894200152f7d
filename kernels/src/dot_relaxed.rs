//! Integer dot products by the relaxed instructions, in whichever of two ways is exact on this machine.
//!
//! The first operand of a relaxed dot product is signed bytes; the second is exact everywhere only while it holds
//! 0 ..= 127. What becomes of a second operand with its top bit set is up to the processor, and a probe at start-up
//! finds it out:
//!
//! | processor | second operand | way |
//! |---|---|---|
//! | x86 with AVX-VNNI (`vpdpbusd`) | unsigned, sums in 32 bits | [`Wide`], weights flipped by 0x80 |
//! | ARM with dot products (`sdot`), x86 with AVX-VNNI-INT8 | signed, sums in 32 bits | [`Wide`], weights as they are |
//! | other x86 (`pmaddubsw`) | unsigned, sums of two saturate at 16 bits | [`Narrow`] |
//!
//! Nibbles and six-bit weights are within 0 ..= 127 and exact either way; the ways differ in their speed. `Wide` costs
//! one instruction for 16 products where the processor has it. Elsewhere that instruction is five, and `Narrow` adds
//! 16-bit sums of two products for as long as they cannot overflow before it widens them.
//!
//! Tests force `Wide` on every processor, with second operands of 0 ..= 127 alone, which mean the same on all of them. That
//! those with their top bit set are right, only a processor of the first two rows can show.

use super::simd128::{self, Simd128, load};
use super::{Dot, Sums};
use crate::activation::Activation;
use crate::gemm::{add_tile, gemm_short};
use crate::gemm_bytes::{NarrowMany, WideMany, gemm_bytes};
use crate::lanes::I4;
use crate::matmul::{quant_pair, quant_tile};
use crate::packed::{QuantBlock, Quants, Rows, Unpack, both};
use crate::submatrix::Submatrix;
use core::arch::wasm32::*;
use core::hint::black_box;
use core::sync::atomic::{AtomicU8, Ordering};

pub use super::simd128::plain_tile_pair;

pub const BUILD: &str = "relaxed";

/// What weights are flipped by in [`Wide`], or [`NARROW`].
static FLIP: AtomicU8 = AtomicU8::new(NARROW);
const NARROW: u8 = 1;

/// Chooses the way that is exact on this machine and, by `is_right`, computes as it should; false: there is none.
pub fn choose(is_right: impl Fn() -> bool) -> bool {
    if let Some(flip) = probe_relaxed_dot() {
        FLIP.store(flip, Ordering::Relaxed);
        if is_right() {
            return true;
        }
    }
    FLIP.store(NARROW, Ordering::Relaxed);
    is_right()
}

/// What signed weights must be flipped by to be an exact second operand: 0x80 where that is unsigned, 0 where it is
/// signed, nothing where sums saturate.
#[inline(never)]
fn probe_relaxed_dot() -> Option<u8> {
    let exact = |meaning: fn(u8) -> i32| {
        [(127, 255), (-127, 255), (127, 128), (-127, 128), (127, 127), (-127, 1)].into_iter().all(|(a, b)| {
            let (a4, b4) = (black_box(i8x16_splat(a)), black_box(u8x16_splat(b)));
            let dots = i32x4_relaxed_dot_i8x16_i7x16_add(a4, b4, i32x4_splat(1));
            i32x4_extract_lane::<0>(dots) == 4 * i32::from(a) * meaning(b) + 1
        })
    };
    if exact(i32::from) {
        Some(0x80)
    } else if exact(|b| i32::from(b as i8)) {
        Some(0)
    } else {
        None
    }
}

/// Twice eight rows times one input.
#[inline(always)]
pub fn tile_pair<B: QuantBlock>(w: [&[B]; 2], x: &[Activation]) -> [Rows; 2] {
    match FLIP.load(Ordering::Relaxed) {
        NARROW => quant_pair(Narrow, w, x),
        flip => w.map(|w| quant_tile(Wide { flip }, w, x)),
    }
}

/// All rows times many inputs.
pub fn many<B: Unpack>(out: &mut Submatrix<'_>, w: &[B], x: &[Activation], row_len: usize) {
    let offset = w.first().map_or(0, B::offset);
    match (FLIP.load(Ordering::Relaxed), B::QUANTS, B::SCALES) {
        (NARROW, Quants::Nibbles, 0) => gemm_bytes(out, w, (x, offset), row_len, 0, add_tile::<NarrowMany<false, 8>>),
        (NARROW, Quants::Nibbles, _) => gemm_bytes(out, w, (x, offset), row_len, 0, add_tile::<NarrowMany<true, 8>>),
        (NARROW, Quants::Fives, _) => gemm_bytes(out, w, (x, offset), row_len, 0, add_tile::<NarrowMany<true, 4>>),
        (NARROW, ..) => gemm_short(out, w, x, row_len),
        (flip, quants, scales) => {
            let add = match scales {
                0 => add_tile::<WideMany<0>>,
                1 => add_tile::<WideMany<1>>,
                _ => add_tile::<WideMany<2>>,
            };
            // Flipped, bytes have 128 or 0 added to them.
            let (flip, offset) = if quants == Quants::Bytes { (flip, i32::from(flip)) } else { (0, offset) };
            gemm_bytes(out, w, (x, offset), row_len, flip, add);
        }
    }
}

/// Sums of four products in 32 bits.
#[derive(Clone, Copy)]
struct Wide {
    /// For weights that are signed bytes: w ^ 0x80 is w + 128 without a sign, and 128 · Σx is taken off again.
    flip: u8,
}

impl Dot for Wide {
    #[inline(always)]
    fn bytes<const N: usize>(self, w: &[[u8; 32]; 8], x: [&Activation; N]) -> [Sums; N] {
        let mut sums = x.map(|x| [i32x4_splat(-i32::from(self.flip) * x.sum()); 2]);
        for (step, w) in w.iter().enumerate() {
            add_wide(&mut sums, both(load(w), |w| v128_xor(w, u8x16_splat(self.flip))), x, step);
        }
        sums.map(|sums| both(sums, I4))
    }

    #[inline(always)]
    fn nibbles<const OFFSET: i32, const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N]) -> [Sums; N] {
        let mut sums = x.map(|x| [i32x4_splat(-OFFSET * x.sum()); 2]);
        for (pair, w) in w.iter().enumerate() {
            let [low, high] = nibbles(w);
            add_wide(&mut sums, low, x, 2 * pair);
            add_wide(&mut sums, high, x, 2 * pair + 1);
        }
        sums.map(|sums| both(sums, I4))
    }

    #[inline(always)]
    fn fives<const N: usize>(self, offset: i32, w: &[[u8; 32]; 4], high: &[u8; 32], x: [&Activation; N]) -> [Sums; N] {
        let mut sums = x.map(|x| [i32x4_splat(-offset * x.sum()); 2]);
        let high = load(high);
        for (pair, w) in w.iter().enumerate() {
            for (i, w) in simd128::fives(w, high, pair).into_iter().enumerate() {
                add_wide(&mut sums, w, x, 2 * pair + i);
            }
        }
        sums.map(|sums| both(sums, I4))
    }

    #[inline(always)]
    fn sixes<const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N], half: usize) -> [Sums; N] {
        let mut sums = x.map(|x| [i32x4_splat(-32 * i32::from(x.sums[half])); 2]);
        for (step, w) in w.iter().enumerate() {
            add_wide(&mut sums, load(w), x, 4 * half + step);
        }
        sums.map(|sums| both(sums, I4))
    }

    #[inline(always)]
    fn coded<const N: usize>(self, table: &[i8; 16], w: &[[u8; 32]; 2], x: [&Activation; N], half: usize) -> [Sums; N] {
        Simd128.coded(table, w, x, half)
    }
}

#[inline(always)]
fn add_wide<const N: usize>(sums: &mut [[v128; 2]; N], w: [v128; 2], x: [&Activation; N], step: usize) {
    for n in 0..N {
        let x = four(x[n], step);
        for half in 0..2 {
            sums[n][half] = i32x4_relaxed_dot_i8x16_i7x16_add(x, w[half], sums[n][half]);
        }
    }
}

/// Sums of two products in 16 bits, where they fit; bytes as plain simd128 has them.
#[derive(Clone, Copy)]
struct Narrow;

impl Dot for Narrow {
    #[inline(always)]
    fn bytes<const N: usize>(self, w: &[[u8; 32]; 8], x: [&Activation; N]) -> [Sums; N] {
        Simd128.bytes(w, x)
    }

    /// Eight steps of two products each stay within 8 · 2 · 127 · 15 = 30,480.
    #[inline(always)]
    fn nibbles<const OFFSET: i32, const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N]) -> [Sums; N] {
        let mut sums = [[i16x8_splat(0); 2]; N];
        for (pair, w) in w.iter().enumerate() {
            let [low, high] = nibbles(w);
            add_narrow(&mut sums, low, x, 2 * pair);
            add_narrow(&mut sums, high, x, 2 * pair + 1);
        }
        core::array::from_fn(|n| {
            let start = i32x4_splat(-OFFSET * x[n].sum());
            both(sums[n], |sums| I4(i32x4_add(start, i32x4_extadd_pairwise_i16x8(sums))))
        })
    }

    /// Four steps of two products each stay within 4 · 2 · 127 · 31 = 31,496.
    #[inline(always)]
    fn fives<const N: usize>(self, offset: i32, w: &[[u8; 32]; 4], high: &[u8; 32], x: [&Activation; N]) -> [Sums; N] {
        let mut sums = x.map(|x| [i32x4_splat(-offset * x.sum()); 2]);
        let high = load(high);
        for (two, w) in w.as_chunks::<2>().0.iter().enumerate() {
            let mut short = [[i16x8_splat(0); 2]; N];
            for (i, w) in w.iter().enumerate() {
                let pair = 2 * two + i;
                for (i, w) in simd128::fives(w, high, pair).into_iter().enumerate() {
                    add_narrow(&mut short, w, x, 2 * pair + i);
                }
            }
            widen(&mut sums, short);
        }
        sums.map(|sums| both(sums, I4))
    }

    /// Two steps of two products each stay within 2 · 2 · 127 · 63 = 32,004.
    #[inline(always)]
    fn sixes<const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N], half: usize) -> [Sums; N] {
        let mut sums = x.map(|x| [i32x4_splat(-32 * i32::from(x.sums[half])); 2]);
        for (two, w) in w.as_chunks::<2>().0.iter().enumerate() {
            let mut short = [[i16x8_splat(0); 2]; N];
            add_narrow(&mut short, load(&w[0]), x, 4 * half + 2 * two);
            add_narrow(&mut short, load(&w[1]), x, 4 * half + 2 * two + 1);
            widen(&mut sums, short);
        }
        sums.map(|sums| both(sums, I4))
    }

    #[inline(always)]
    fn coded<const N: usize>(self, table: &[i8; 16], w: &[[u8; 32]; 2], x: [&Activation; N], half: usize) -> [Sums; N] {
        Simd128.coded(table, w, x, half)
    }
}

/// Adds sums in 16 bits to those in 32.
#[inline(always)]
fn widen<const N: usize>(sums: &mut [[v128; 2]; N], short: [[v128; 2]; N]) {
    for n in 0..N {
        for half in 0..2 {
            sums[n][half] = i32x4_add(sums[n][half], i32x4_extadd_pairwise_i16x8(short[n][half]));
        }
    }
}

#[inline(always)]
fn add_narrow<const N: usize>(sums: &mut [[v128; 2]; N], w: [v128; 2], x: [&Activation; N], step: usize) {
    for n in 0..N {
        let x = four(x[n], step);
        for half in 0..2 {
            sums[n][half] = i16x8_add(sums[n][half], i16x8_relaxed_dot_i8x16_i7x16(x, w[half]));
        }
    }
}

/// Columns `4 · step ..` of an input, four times.
#[inline(always)]
fn four(x: &Activation, step: usize) -> v128 {
    let (fours, _) = x.q.as_chunks::<4>();
    i32x4_splat(i32::from_le_bytes(fours[step].map(|x| x as u8)))
}

/// The low and the high nibbles of 32 bytes.
#[inline(always)]
fn nibbles(w: &[u8; 32]) -> [[v128; 2]; 2] {
    let [a, b] = both(load(w), simd128::nibbles);
    [[a[0], b[0]], [a[1], b[1]]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::{Q4Kx8, Q4x8, Q5Kx8, Q6Kx8, Q8x8};
    use crate::run::Run;
    use crate::self_test::{D, Noise, six_bits};
    use crate::{matmul_q4, matmul_q4k, matmul_q5k, matmul_q6k, matmul_q8, oracle};
    use bytemuck::{Pod, cast_slice_mut};
    use std::io::Write;

    /// Runs `test` in [`Wide`] with this flip.
    fn with_flip(flip: u8, test: impl FnOnce()) {
        let chosen = FLIP.swap(flip, Ordering::Relaxed);
        test();
        FLIP.store(chosen, Ordering::Relaxed);
    }

    /// Products of blocks of noise, made sound by `set`, with the oracle's: rows that end within eight, more blocks than are
    /// unpacked at a time, inputs one by one, in tiles, and more than are laid side by side.
    fn equals_the_oracle<B: Pod>(
        name: &str,
        set: fn(&mut B),
        matmul: fn(Submatrix<'_>, &[B], &[Activation]),
        run: fn(&B, usize) -> Run,
    ) {
        let mut noise = Noise(7);
        for (rows, row_len, inputs) in [(8, 1, 1), (19, 3, 2), (13, 2, 5), (24, 17, 9), (11, 18, 4), (9, 1, 67)] {
            let mut w = vec![B::zeroed(); usize::div_ceil(rows, 8) * row_len];
            noise.fill(cast_slice_mut(&mut w));
            w.iter_mut().for_each(set);
            let x: Vec<Activation> = (0..inputs * row_len).map(|_| noise.activation()).collect();
            let mut out = vec![0.0; inputs * rows];
            matmul(Submatrix::new(&mut out, rows), &w, &x);
            for (i, out) in out.iter().enumerate() {
                let (input, row) = (i / rows, i % rows);
                let blocks = &w[row / 8 * row_len..][..row_len];
                let runs: Vec<Run> = blocks.iter().map(|block| run(block, row % 8)).collect();
                let want = oracle::quant_row(&runs, &x[input * row_len..][..row_len]);
                assert_eq!(out.to_bits(), want.to_bits(), "{name}, {rows} rows, {row_len} blocks, {input} {row}");
            }
        }
    }

    #[test]
    fn the_wide_way_equals_the_oracle_where_every_lowering_is_exact() {
        for (flip, bytes) in [(0x80, negative as fn(&mut Q8x8)), (0, positive)] {
            with_flip(flip, || {
                equals_the_oracle("bytes", bytes, matmul_q8, Q8x8::run);
                equals_the_oracle("nibbles", |w: &mut Q4x8| w.d = D, matmul_q4, Q4x8::run);
                equals_the_oracle("scaled", |w: &mut Q4Kx8| (w.d, w.dmin) = (D, D), matmul_q4k, Q4Kx8::run);
                for fives in [fives::<0> as fn(&mut Q5Kx8), fives::<16>] {
                    equals_the_oracle("fives", fives, matmul_q5k, Q5Kx8::run);
                }
                equals_the_oracle("sixes", six_bits, matmul_q6k, Q6Kx8::run);
            });
        }
    }

    /// Bytes whose top bit is set, and is not once they are flipped.
    fn negative(w: &mut Q8x8) {
        w.d = D;
        w.q.as_flattened_mut().iter_mut().for_each(|q| *q |= 0x80);
    }

    fn positive(w: &mut Q8x8) {
        w.d = D;
        w.q.as_flattened_mut().iter_mut().for_each(|q| *q &= 0x7f);
    }

    fn fives<const OFFSET: u16>(w: &mut Q5Kx8) {
        (w.d, w.dmin, w.offset) = (D, D, OFFSET);
    }

    /// Says it past the harness, which keeps what passing tests print: without it nobody knew which code has run.
    #[test]
    fn which_way_this_processor_takes_is_told() {
        let (way, wide) = match probe_relaxed_dot() {
            None => ("sums of two in 16 bits", "forced, on values that are exact everywhere only"),
            Some(0) => {
                ("sums of four in 32 bits, signed", "as chosen; flipped, on values that are exact everywhere only")
            }
            Some(_) => {
                ("sums of four in 32 bits, flipped", "as chosen; signed, on values that are exact everywhere only")
            }
        };
        let told = writeln!(
            std::io::stderr(),
            "relaxed dot products here: {way}; the wide way (AVX-VNNI, ARM) was tested {wide}"
        );
        assert!(told.is_ok());
    }
}
