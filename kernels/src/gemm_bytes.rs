//! [`crate::gemm`] by the relaxed instructions, which multiply bytes.

use crate::activation::Activation;
use crate::gemm::{Add, Blocks, Factors, Scales, TILE, Way, Weights, gemm};
use crate::lanes::I4;
use crate::packed::Unpack;
use crate::submatrix::Submatrix;
use core::arch::wasm32::*;
use core::array::from_fn;
use core::hint::black_box;
use core::ops::Range;

/// Eight rows × 32 columns.
#[derive(Clone, Copy)]
pub(crate) struct ByteWeights {
    /// `q[s][i]`: columns 4s .. 4s + 4 of rows 4i .. 4i + 4.
    q: [[v128; 2]; 8],
    /// Of each 16 columns.
    scale: [[v128; 2]; 2],
    factors: Factors,
}

/// 32 columns of a tile's inputs.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(crate) struct ByteInputs {
    /// `q[s][n]`: columns 4s .. 4s + 4 of input n.
    q: [[[i8; 4]; TILE]; 8],
    /// What sums begin at because of the weights' offset: for the first and the last 16 columns, and for all 32.
    start: [[i32; TILE]; 3],
    scales: Scales,
}

impl ByteWeights {
    /// Unpacks a block; each byte is flipped by `flip`.
    #[inline(always)]
    fn of<B: Unpack>(block: &B, flip: u8) -> ByteWeights {
        ByteWeights {
            q: from_fn(|step| block.step(step).map(|w| v128_xor(w.0, u8x16_splat(flip)))),
            scale: from_fn(|half| block.scale(half).map(|scale| scale.0)),
            factors: Factors::of(block),
        }
    }
}

impl Weights for ByteWeights {
    type Inputs = ByteInputs;

    const ROOM: (ByteWeights, ByteInputs) = (
        ByteWeights {
            q: [[u8x16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); 2]; 8],
            scale: [[i32x4(0, 0, 0, 0); 2]; 2],
            factors: Factors::ROOM,
        },
        ByteInputs { q: [[[0; 4]; TILE]; 8], start: [[0; TILE]; 3], scales: Scales::ROOM },
    );

    #[inline(always)]
    fn lay(x: [&Activation; TILE], offset: i32) -> ByteInputs {
        let fours = x.map(|x| x.q.as_chunks::<4>().0);
        let [first, last] = [0, 1].map(|half| x.map(|x| -offset * i32::from(x.sums[half])));
        ByteInputs {
            q: from_fn(|s| fours.map(|x| x[s])),
            start: [first, last, from_fn(|n| first[n] + last[n])],
            scales: Scales::of(x),
        }
    }
}

/// All rows times many inputs, by a way that multiplies bytes, each flipped by `flip`; `offset` has been added to them.
pub(crate) fn gemm_bytes<B: Unpack>(
    out: &mut Submatrix<'_>,
    w: &[B],
    (x, offset): (&[Activation], i32),
    row_len: usize,
    flip: u8,
    add: Add<ByteWeights>,
) {
    gemm(out, (x, offset), row_len, &Flipped { w, flip }, add);
}

struct Flipped<'a, B> {
    w: &'a [B],
    flip: u8,
}

impl<B: Unpack> Blocks<ByteWeights> for Flipped<'_, B> {
    fn unpack(&self, blocks: Range<usize>, to: &mut [ByteWeights]) {
        to.iter_mut().zip(&self.w[blocks]).for_each(|(to, block)| *to = ByteWeights::of(block, self.flip));
    }
}

/// Sums of two products in 16 bits, for as many steps as cannot fill them: eight of nibbles, 8 · 2 · 127 · 15 = 30,480, and
/// four of five bits, 4 · 2 · 127 · 31 = 31,496.
pub(crate) struct NarrowMany<const SCALED: bool, const STEPS: usize>;

impl<const SCALED: bool, const STEPS: usize> Way for NarrowMany<SCALED, STEPS> {
    type Weights = ByteWeights;

    const MINIMA: bool = SCALED;

    #[inline(always)]
    fn dots(w: &ByteWeights, x: &ByteInputs) -> [[I4; 2]; TILE] {
        let mut dots = x.start[2].map(|start| [i32x4_splat(start); 2]);
        for (w, x) in w.q.as_chunks::<STEPS>().0.iter().zip(x.q.as_chunks::<STEPS>().0) {
            let mut shorts = [[i16x8_splat(0); 2]; TILE];
            for (w, x) in w.iter().zip(x) {
                for (shorts, x) in shorts.iter_mut().zip(x) {
                    let x = splat(x);
                    for (short, w) in shorts.iter_mut().zip(w) {
                        *short = i16x8_add(*short, i16x8_relaxed_dot_i8x16_i7x16(x, *w));
                    }
                }
            }
            for (dots, shorts) in dots.iter_mut().zip(shorts) {
                for (dot, short) in dots.iter_mut().zip(shorts) {
                    *dot = i32x4_add(*dot, i32x4_extadd_pairwise_i16x8(short));
                }
            }
        }
        if SCALED { scaled(dots, &w.scale[0]) } else { dots.map(|dots| dots.map(I4)) }
    }

    #[inline(always)]
    fn factors<'a>(w: &'a ByteWeights, x: &'a ByteInputs) -> (&'a Factors, &'a Scales) {
        (&w.factors, &x.scales)
    }
}

/// Sums of four products in 32 bits.
pub(crate) struct WideMany<const SCALES: usize>;

impl<const SCALES: usize> Way for WideMany<SCALES> {
    type Weights = ByteWeights;

    const MINIMA: bool = SCALES > 0;

    #[inline(always)]
    fn dots(w: &ByteWeights, x: &ByteInputs) -> [[I4; 2]; TILE] {
        match SCALES {
            0 => dots_wide(&w.q, &x.q, x.start[2]).map(|dots| dots.map(I4)),
            1 => scaled(dots_wide(&w.q, &x.q, x.start[2]), &w.scale[0]),
            _ => {
                let [first, last] = [0, 1].map(|half| {
                    let steps = 4 * half..4 * half + 4;
                    scaled(dots_wide(&w.q[steps.clone()], &x.q[steps], x.start[half]), &w.scale[half])
                });
                from_fn(|n| from_fn(|i| first[n][i].add(last[n][i])))
            }
        }
    }

    #[inline(always)]
    fn factors<'a>(w: &'a ByteWeights, x: &'a ByteInputs) -> (&'a Factors, &'a Scales) {
        (&w.factors, &x.scales)
    }
}

#[inline(always)]
fn scaled(dots: [[v128; 2]; TILE], scale: &[v128; 2]) -> [[I4; 2]; TILE] {
    dots.map(|dots| [I4(i32x4_mul(dots[0], scale[0])), I4(i32x4_mul(dots[1], scale[1]))])
}

#[inline(always)]
fn dots_wide(w: &[[v128; 2]], x: &[[[i8; 4]; TILE]], start: [i32; TILE]) -> [[v128; 2]; TILE] {
    let mut dots = start.map(|start| [i32x4_splat(start); 2]);
    // Of unknown length, so that the compiler does not unroll the loop: it would load all weights before it used one.
    for (w, x) in black_box(w).iter().zip(black_box(x)) {
        for (dots, x) in dots.iter_mut().zip(x) {
            let x = splat(x);
            for (dot, w) in dots.iter_mut().zip(w) {
                *dot = i32x4_relaxed_dot_i8x16_i7x16_add(x, *w, *dot);
            }
        }
    }
    dots
}

/// Four bytes, four times.
#[inline(always)]
fn splat(bytes: &[i8; 4]) -> v128 {
    // SAFETY: the reference is to 4 readable bytes, and v128.load32_splat has no alignment requirement.
    unsafe { v128_load32_splat(bytes.as_ptr().cast()) }
}
