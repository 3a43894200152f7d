//! Whether this machine computes as it should: products, rounding, sums, softmax, SiLU and attention against plain loops, where
//! the module runs. Norms, positions and the other activation functions are made of the same steps of vectors, which
//! WebAssembly defines to the bit; they stand for themselves in unit tests.
//!
//! The relaxed instructions are exact on every processor for the operands that they are given here, as far as their
//! specification and a probe can tell. Some engines have got them wrong all the same, and others are not above it, so a
//! build is asked before it is trusted. Where integer dot products are wrong in the way that the probe found, they are computed
//! in the one that needs none; whatever else is wrong, the page takes the next of the builds, and the last of them has no
//! relaxed instructions.

use crate::activation::{Activation, quantize_activations};
use crate::attention::{TILE, attention_scores, attention_values, widen_f16};
use crate::elementwise::silu_mul;
use crate::packed::{Q4Kx8, Q4Tx8, Q4x8, Q5Kx8, Q6Kx8, Q8x8};
use crate::reduce::{self, max_and_exp_sum, softmax, sum};
use crate::run::Run;
use crate::submatrix::Submatrix;
use crate::{dot, matmul_q4, matmul_q4k, matmul_q4t, matmul_q5k, matmul_q6k, matmul_q8, oracle};
use crate::{matmul_bf16, matmul_f16, matmul_f32};
use bytemuck::{Pod, cast_slice, cast_slice_mut};

/// Two groups of eight, which are computed together.
const ROWS: usize = 16;
const BLOCKS: usize = 17; // more than are unpacked at a time
const INPUTS: usize = 9; // more than any layout multiplies one by one
/// Floats in a row: no multiple of what is taken at a time, be it 32, 16, 8 or 4.
const FLOATS: usize = 46;

type Inputs = [[Activation; BLOCKS]; INPUTS];
type Floats = [f32; FLOATS];

/// 2⁻ʳᵒʷ, as f16 bits.
pub(crate) const D: [u16; 8] = [15 << 10, 14 << 10, 13 << 10, 12 << 10, 11 << 10, 10 << 10, 9 << 10, 8 << 10];

const POWERS: [f32; 8] = [1.0, 1.0 / 2.0, 1.0 / 4.0, 1.0 / 8.0, 1.0 / 16.0, 1.0 / 32.0, 1.0 / 64.0, 1.0 / 128.0];

/// Chooses how integer dot products are computed on this machine, and computes a little with the kernels, to be compared with
/// the oracle. False: this build is of no use here.
///
/// `#[inline]`, as what it calls is, so that it is compiled where it is called, for size.
#[inline]
pub fn self_test() -> bool {
    dot::choose(integers_are_right) && floats_are_right()
}

#[inline]
fn integers_are_right() -> bool {
    let mut noise = Noise(1);
    let mut x: Inputs = [[Activation::ZERO; BLOCKS]; INPUTS];
    for x in x.as_flattened_mut() {
        *x = noise.activation();
    }
    let (noise, x) = (&mut noise, &x);
    runs_agree(noise, x, |w: &mut Q8x8| w.d = D, matmul_q8, Q8x8::run)
        && runs_agree(noise, x, |w: &mut Q4x8| w.d = D, matmul_q4, Q4x8::run)
        && runs_agree(noise, x, |w: &mut Q4Kx8| (w.d, w.dmin) = (D, D), matmul_q4k, Q4Kx8::run)
        && runs_agree(noise, x, |w: &mut Q5Kx8| (w.d, w.dmin, w.offset) = (D, D, 16), matmul_q5k, Q5Kx8::run)
        && runs_agree(noise, x, six_bits, matmul_q6k, Q6Kx8::run)
        && runs_agree(noise, x, |w: &mut Q4Tx8| w.d = [POWERS; 2], matmul_q4t, coded)
}

#[inline]
pub(crate) fn six_bits(w: &mut Q6Kx8) {
    (w.d, w.dmin) = (D, D);
    w.q.as_flattened_mut().iter_mut().for_each(|q| *q &= 63);
}

/// With scales like these all sums are exact, and the order of their halves does not show.
#[inline]
fn coded(w: &Q4Tx8, row: usize) -> Run {
    let codes = w.run(row);
    let mut q = [0; 32];
    q.iter_mut().zip(codes.code).for_each(|(q, code)| *q = codes.table[usize::from(code)]);
    Run::plain(D[row], q)
}

#[inline]
fn floats_are_right() -> bool {
    let noise = &mut Noise(2);
    let mut x = [[0.0; FLOATS]; INPUTS];
    x.iter_mut().for_each(|x| noise.floats(x));
    products_agree(noise, &x) && rounds(&x) && sums_agree(&x) && activates(&x) && attends(&x)
}

/// Bytes from a small generator, the extremes of every range often among them.
pub(crate) struct Noise(pub u32);

impl Noise {
    #[inline(never)]
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = match self.0 >> 20 & 7 {
                0 => 0x80, // the least i8, and the nibbles 0 and 8
                1 => 0xff, // the largest nibbles
                2 => 0x7f, // the largest i8
                _ => (self.0 >> 24) as u8,
            };
        }
    }

    #[inline(always)]
    pub fn activation(&mut self) -> Activation {
        let mut q = [0; 32];
        self.fill(&mut q);
        Activation::new(0.25, q.map(|b| (b as i8).max(-127)))
    }

    /// From −108 to 107, below and above all that has an exponential, and from −0.65 to 0.65 by turns.
    #[inline(always)]
    fn floats(&mut self, floats: &mut Floats) {
        let mut bytes = [0; FLOATS];
        self.fill(&mut bytes);
        for (i, float) in floats.iter_mut().enumerate() {
            *float = f32::from(bytes[i] as i8) * [0.845_1, 0.005_1][i % 2];
        }
    }
}

/// Whether products are in all bits what `row_of` says for a row and an input: with one input, and with all of them
/// together; some of them, in both groups and of nearly all rows and inputs, since plain loops take long in a page that has
/// just been opened.
#[inline(never)]
fn agrees(multiply: &dyn Fn(Submatrix<'_>, usize), row_of: &dyn Fn(usize, usize) -> f32) -> bool {
    let mut out = [0.0; INPUTS * ROWS];
    [1, INPUTS].into_iter().all(|n| {
        let out = &mut out[..n * ROWS];
        multiply(Submatrix::new(out, ROWS), n);
        let mut some = (0..).zip(out).step_by(n + 2);
        some.all(|(i, out)| row_of(i % ROWS, i / ROWS).to_bits() == out.to_bits())
    })
}

/// Blocks of noise, made sound by `set`.
#[inline(always)]
fn blocks<B: Pod>(noise: &mut Noise, set: fn(&mut B)) -> [[B; BLOCKS]; ROWS / 8] {
    let mut w = [[B::zeroed(); BLOCKS]; ROWS / 8];
    noise.fill(cast_slice_mut(w.as_flattened_mut()));
    w.as_flattened_mut().iter_mut().for_each(set);
    w
}

#[inline(never)]
fn runs_agree<B: Pod>(
    noise: &mut Noise,
    x: &Inputs,
    set: fn(&mut B),
    matmul: fn(Submatrix<'_>, &[B], &[Activation]),
    run: fn(&B, usize) -> Run,
) -> bool {
    let w = blocks(noise, set);
    agrees(&|out, n| matmul(out, w.as_flattened(), x[..n].as_flattened()), &|row, input| {
        let mut runs = [Run::plain(0, [0; 32]); BLOCKS];
        runs.iter_mut().zip(&w[row / 8]).for_each(|(into, block)| *into = run(block, row % 8));
        oracle::quant_row(&runs, &x[input])
    })
}

/// f32, f16 and bf16 weights; those of f32 are the widened f16.
#[inline]
fn products_agree(noise: &mut Noise, x: &[Floats; INPUTS]) -> bool {
    let mut halves = [[[0u16; 8]; FLOATS]; ROWS / 8];
    noise.fill(cast_slice_mut(halves.as_flattened_mut()));
    let halves = halves.as_flattened_mut();
    halves.as_flattened_mut().iter_mut().for_each(|half| *half &= 0xbfff); // below 2, as f16 and as bf16
    let mut wide = [[0.0; 8]; FLOATS * ROWS / 8];
    widen_f16(wide.as_flattened_mut(), halves.as_flattened());
    let weights_agree = |multiply: &dyn Fn(Submatrix<'_>, &[f32]), widen: fn(u16) -> f32| {
        agrees(&|out, n| multiply(out, x[..n].as_flattened()), &|row, input| {
            let mut w = [0.0; FLOATS];
            let group = &halves[row / 8 * FLOATS..];
            w.iter_mut().zip(group).for_each(|(w, halves)| *w = widen(halves[row % 8]));
            oracle::float_row(&w, &x[input])
        })
    };
    weights_agree(&|out, x| matmul_f32(out, &wide, x), oracle::f16)
        && weights_agree(&|out, x| matmul_f16(out, cast_slice(halves), x), oracle::f16)
        && weights_agree(&|out, x| matmul_bf16(out, cast_slice(halves), x), oracle::bf16)
}

#[inline]
fn rounds(x: &[Floats; INPUTS]) -> bool {
    let mut out = [Activation::ZERO; INPUTS];
    let blocks = x.as_flattened().as_chunks::<32>().0;
    quantize_activations(blocks.as_flattened(), &mut out);
    blocks.iter().zip(&out).all(|(x, out)| (out.d, out.q) == oracle::rounded(x))
}

#[inline]
fn sums_agree([x, y, ..]: &[Floats; INPUTS]) -> bool {
    let (mut got, mut want) = (*x, *x);
    softmax(&mut got);
    max_and_exp_sum(x) == oracle::softmax(&mut want)
        && got == want
        && sum(x) == oracle::sum(x)
        && reduce::dot(x, y) == oracle::dot(x, y)
}

#[inline]
fn activates([x, y, ..]: &[Floats; INPUTS]) -> bool {
    let mut gate = *x;
    silu_mul(&mut gate, y);
    gate.iter().zip(x).zip(y).all(|((out, x), y)| *out == oracle::silu(*x) * y)
}

/// Three queries that see a tile and a half, a tile, and a part of it.
#[inline]
fn attends(x: &[Floats; INPUTS]) -> bool {
    const DH: usize = 21; // sixteen, four, and one
    const ENDS: [usize; 3] = [TILE + 7, TILE, 3];
    const STRIDE: usize = 2 * TILE;
    let x = x.as_flattened();
    let q = &x[..3 * DH];
    let place = |p: usize, d: usize| (p * DH + d) % x.len(); // of keys and values, the same
    let (mut scores, mut out) = ([0.0; 3 * STRIDE], [0.0; 3 * DH]);
    let (mut keys, mut values) = ([0.0; DH * TILE], [0.0; DH * TILE]);
    for at in [0, TILE] {
        for i in 0..DH * TILE {
            keys[i] = x[place(at + i % TILE, i / TILE)];
            values[i] = x[place(at + i / DH, i % DH)];
        }
        attention_scores(&mut scores, STRIDE, at, q, &keys, &ENDS);
        attention_values(&mut out, &scores, STRIDE, at, &values, &ENDS);
    }
    (0..3 * DH).all(|i| {
        let (row, column) = (i / DH, i % DH);
        let mut sum = 0.0;
        let right = (0..ENDS[row]).all(|p| {
            let score = oracle::attention_score(&q[row * DH..][..DH], (0..DH).map(|d| x[place(p, d)]));
            sum += score * x[place(p, column)];
            score == scores[row * STRIDE + p]
        });
        right && sum == out[i]
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_machine_computes_as_it_should() {
        assert!(super::self_test());
    }
}
