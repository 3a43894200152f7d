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

use super::simd128::{self, Simd128, load};
use super::{Dot, Sums};
use crate::activation::Activation;
use crate::gemm::{ByteInputs, ByteWeights, Factors, Scales, TILE, Way, add_tile, gemm_bytes, gemm_short};
use crate::lanes::I4;
use crate::matmul::quant_tile;
use crate::packed::{QuantBlock, Rows, Unpack};
use crate::submatrix::Submatrix;
use core::arch::wasm32::*;
use core::hint::black_box;
use core::sync::atomic::{AtomicU8, Ordering};

pub use super::simd128::plain_tile;

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

/// Eight rows times `N` inputs.
#[inline(always)]
pub fn tile<B: QuantBlock, const N: usize>(w: &[B], x: [&[Activation]; N]) -> [Rows; N] {
    match FLIP.load(Ordering::Relaxed) {
        NARROW => quant_tile(Narrow, w, x),
        flip => quant_tile(Wide { flip }, w, x),
    }
}

/// All rows times many inputs.
pub fn many<B: Unpack>(out: &mut Submatrix<'_>, w: &[B], x: &[Activation], row_len: usize) {
    let is_bytes = B::SHORT_COLUMNS == 0;
    match FLIP.load(Ordering::Relaxed) {
        NARROW if B::SHORT_COLUMNS == 32 => {
            let add = if B::SCALES == 0 { add_tile::<NarrowMany<false>> } else { add_tile::<NarrowMany<true>> };
            gemm_bytes(out, w, (x, B::OFFSET), row_len, 0, add);
        }
        NARROW => gemm_short(out, w, x, row_len),
        flip => {
            let add = match B::SCALES {
                0 => add_tile::<WideMany<0>>,
                1 => add_tile::<WideMany<1>>,
                _ => add_tile::<WideMany<2>>,
            };
            let (flip, offset) = if is_bytes { (flip, i32::from(flip)) } else { (0, B::OFFSET) };
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
            add_wide(&mut sums, load(w).map(|w| v128_xor(w, u8x16_splat(self.flip))), x, step);
        }
        sums.map(|sums| sums.map(I4))
    }

    #[inline(always)]
    fn nibbles<const OFFSET: i32, const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N]) -> [Sums; N] {
        let mut sums = x.map(|x| [i32x4_splat(-OFFSET * x.sum()); 2]);
        for (pair, w) in w.iter().enumerate() {
            let [low, high] = nibbles(w);
            add_wide(&mut sums, low, x, 2 * pair);
            add_wide(&mut sums, high, x, 2 * pair + 1);
        }
        sums.map(|sums| sums.map(I4))
    }

    #[inline(always)]
    fn sixes<const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N], half: usize) -> [Sums; N] {
        let mut sums = x.map(|x| [i32x4_splat(-32 * i32::from(x.sums[half])); 2]);
        for (step, w) in w.iter().enumerate() {
            add_wide(&mut sums, load(w), x, 4 * half + step);
        }
        sums.map(|sums| sums.map(I4))
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
            sums[n].map(|sums| I4(i32x4_add(start, i32x4_extadd_pairwise_i16x8(sums))))
        })
    }

    /// Two steps of two products each stay within 2 · 2 · 127 · 63 = 32,004.
    #[inline(always)]
    fn sixes<const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N], half: usize) -> [Sums; N] {
        let mut sums = x.map(|x| [i32x4_splat(-32 * i32::from(x.sums[half])); 2]);
        for (two, w) in w.as_chunks::<2>().0.iter().enumerate() {
            let mut short = [[i16x8_splat(0); 2]; N];
            add_narrow(&mut short, load(&w[0]), x, 4 * half + 2 * two);
            add_narrow(&mut short, load(&w[1]), x, 4 * half + 2 * two + 1);
            for n in 0..N {
                for half in 0..2 {
                    sums[n][half] = i32x4_add(sums[n][half], i32x4_extadd_pairwise_i16x8(short[n][half]));
                }
            }
        }
        sums.map(|sums| sums.map(I4))
    }

    #[inline(always)]
    fn coded<const N: usize>(self, table: &[i8; 16], w: &[[u8; 32]; 2], x: [&Activation; N], half: usize) -> [Sums; N] {
        Simd128.coded(table, w, x, half)
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
    let [a, b] = load(w).map(simd128::nibbles);
    [[a[0], b[0]], [a[1], b[1]]]
}

/// As [`Narrow`], for many inputs and nibbles.
struct NarrowMany<const SCALED: bool>;

impl<const SCALED: bool> Way for NarrowMany<SCALED> {
    type Weights = ByteWeights;

    const MINIMA: bool = SCALED;

    #[inline(always)]
    fn dots(w: &ByteWeights, x: &ByteInputs) -> [[I4; 2]; TILE] {
        let mut shorts = [[i16x8_splat(0); 2]; TILE];
        for (w, x) in w.q.iter().zip(&x.q) {
            let w = w.each_ref().map(sixteen);
            for (shorts, x) in shorts.iter_mut().zip(x) {
                let x = splat(x);
                for i in 0..2 {
                    shorts[i] = i16x8_add(shorts[i], i16x8_relaxed_dot_i8x16_i7x16(x, w[i]));
                }
            }
        }
        core::array::from_fn(|n| {
            let start = i32x4_splat(x.start[2][n]);
            core::array::from_fn(|i| {
                let dots = I4(i32x4_add(start, i32x4_extadd_pairwise_i16x8(shorts[n][i])));
                if SCALED { dots.mul(I4::load(&w.scale[0][i])) } else { dots }
            })
        })
    }

    #[inline(always)]
    fn factors<'a>(w: &'a ByteWeights, x: &'a ByteInputs) -> (&'a Factors, &'a Scales) {
        (&w.factors, &x.scales)
    }
}

/// As [`Wide`], for many inputs.
struct WideMany<const SCALES: usize>;

impl<const SCALES: usize> Way for WideMany<SCALES> {
    type Weights = ByteWeights;

    const MINIMA: bool = SCALES > 0;

    #[inline(always)]
    fn dots(w: &ByteWeights, x: &ByteInputs) -> [[I4; 2]; TILE] {
        if SCALES < 2 {
            let dots = dots_wide(&w.q, &x.q, x.start[2]);
            if SCALES == 0 { dots } else { scaled(dots, &w.scale[0]) }
        } else {
            let [first, last] = [0, 1].map(|half| {
                let steps = 4 * half..4 * half + 4;
                scaled(dots_wide(&w.q[steps.clone()], &x.q[steps], x.start[half]), &w.scale[half])
            });
            core::array::from_fn(|n| core::array::from_fn(|i| first[n][i].add(last[n][i])))
        }
    }

    #[inline(always)]
    fn factors<'a>(w: &'a ByteWeights, x: &'a ByteInputs) -> (&'a Factors, &'a Scales) {
        (&w.factors, &x.scales)
    }
}

#[inline(always)]
fn scaled(dots: [[I4; 2]; TILE], scale: &[[i32; 4]; 2]) -> [[I4; 2]; TILE] {
    dots.map(|[a, b]| [a.mul(I4::load(&scale[0])), b.mul(I4::load(&scale[1]))])
}

#[inline(always)]
fn dots_wide(w: &[[[u8; 16]; 2]], x: &[[[i8; 4]; TILE]], start: [i32; TILE]) -> [[I4; 2]; TILE] {
    let mut dots = start.map(|start| [i32x4_splat(start); 2]);
    // Of unknown length, so that the compiler does not unroll the loop: it would load all weights before it used one.
    for (w, x) in black_box(w).iter().zip(black_box(x)) {
        let w = w.each_ref().map(sixteen);
        for (dots, x) in dots.iter_mut().zip(x) {
            let x = splat(x);
            for i in 0..2 {
                dots[i] = i32x4_relaxed_dot_i8x16_i7x16_add(x, w[i], dots[i]);
            }
        }
    }
    dots.map(|dots| dots.map(I4))
}

#[inline(always)]
fn sixteen(bytes: &[u8; 16]) -> v128 {
    // SAFETY: the reference is to 16 readable bytes, and v128.load has no alignment requirement.
    unsafe { v128_load(bytes.as_ptr().cast()) }
}

/// Four bytes, four times.
#[inline(always)]
fn splat(bytes: &[i8; 4]) -> v128 {
    // SAFETY: the reference is to 4 readable bytes, and v128.load32_splat has no alignment requirement.
    unsafe { v128_load32_splat(bytes.as_ptr().cast()) }
}
