//! Whether this machine computes as it should: the integer dot products against plain loops, where the module runs.
//!
//! The relaxed instructions are exact on every processor for the operands that they are given here, as far as their
//! specification and a probe can tell. Some engines have got them wrong all the same, so the fast build is asked before
//! it is trusted.

use crate::activation::Activation;
use crate::packed::{Q4Kx8, Q4x8, Q5Kx8, Q6Kx8, Q8x8};
use crate::run::Run;
use crate::submatrix::Submatrix;
use crate::{dot, matmul_q4, matmul_q4k, matmul_q5k, matmul_q6k, matmul_q8, oracle};
use bytemuck::{Pod, cast_slice_mut};

const BLOCKS: usize = 3;
const INPUTS: usize = 9; // more than any layout multiplies one by one

type Inputs = [[Activation; BLOCKS]; INPUTS];

/// 2⁻ʳᵒʷ, as f16 bits.
pub(crate) const D: [u16; 8] = [15 << 10, 14 << 10, 13 << 10, 12 << 10, 11 << 10, 10 << 10, 9 << 10, 8 << 10];

/// Chooses how integer dot products are computed on this machine, and computes a small product that way in every layout
/// whose dot products are chosen, to be compared with the oracle bit by bit. False: this build is of no use here.
///
/// `#[inline]`, as what it calls is, so that it is compiled where it is called, for size.
#[inline]
pub fn self_test() -> bool {
    dot::choose(computes_as_the_oracle)
}

#[inline]
fn computes_as_the_oracle() -> bool {
    let mut noise = Noise(1);
    let mut x: Inputs = [[Activation::ZERO; BLOCKS]; INPUTS];
    for x in x.as_flattened_mut() {
        *x = noise.activation();
    }
    let (noise, x) = (&mut noise, &x);
    agrees(noise, x, |w: &mut Q8x8| w.d = D, matmul_q8, Q8x8::run)
        && agrees(noise, x, |w: &mut Q4x8| w.d = D, matmul_q4, Q4x8::run)
        && agrees(noise, x, |w: &mut Q4Kx8| (w.d, w.dmin) = (D, D), matmul_q4k, Q4Kx8::run)
        && agrees(noise, x, |w: &mut Q5Kx8| (w.d, w.dmin, w.offset) = (D, D, 16), matmul_q5k, Q5Kx8::run)
        && agrees(noise, x, six_bits, matmul_q6k, Q6Kx8::run)
}

#[inline]
pub(crate) fn six_bits(w: &mut Q6Kx8) {
    (w.d, w.dmin) = (D, D);
    w.q.as_flattened_mut().iter_mut().for_each(|q| *q &= 63);
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
}

/// Whether blocks of noise, made sound by `set`, are multiplied as the oracle does it: with one input, and with all of them
/// together.
#[inline(never)]
fn agrees<B: Pod>(
    noise: &mut Noise,
    x: &Inputs,
    set: fn(&mut B),
    matmul: fn(Submatrix<'_>, &[B], &[Activation]),
    run: fn(&B, usize) -> Run,
) -> bool {
    let mut w = [B::zeroed(); BLOCKS];
    noise.fill(cast_slice_mut(&mut w));
    w.iter_mut().for_each(set);
    let mut out = [0.0; INPUTS * 8];
    [1, INPUTS].into_iter().all(|n| {
        let (out, x) = (&mut out[..n * 8], &x[..n]);
        matmul(Submatrix::new(out, 8), &w, x.as_flattened());
        out.iter().enumerate().all(|(i, out)| {
            let row = w.each_ref().map(|block| run(block, i % 8));
            oracle::quant_row(&row, &x[i / 8]).to_bits() == out.to_bits()
        })
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_machine_computes_as_it_should() {
        assert!(super::self_test());
    }
}
