//! Whether this machine computes as it should: the integer dot products against plain loops, where the module runs.
//!
//! The relaxed instructions are exact on every processor for the operands that they are given here, as far as their
//! specification and a probe can tell. Some engines have got them wrong all the same, so the fast build is asked before
//! it is trusted.

use crate::activation::Activation;
use crate::packed::{Q4Kx8, Q4x8, Q6Kx8, Q8x8};
use crate::run::Run;
use crate::submatrix::Submatrix;
use crate::{dot, matmul_q4, matmul_q4k, matmul_q6k, matmul_q8, oracle};
use core::array::from_fn;

const BLOCKS: usize = 3;
const INPUTS: usize = 5; // a whole tile and one more

type Inputs = [[Activation; BLOCKS]; INPUTS];

/// Chooses how integer dot products are computed on this machine, and computes a small product in every quantized
/// layout that way, to be compared with the oracle bit by bit. False: this build is of no use here.
pub fn self_test() -> bool {
    dot::choose(computes_as_the_oracle)
}

fn computes_as_the_oracle() -> bool {
    let mut noise = Noise(1);
    let x: Inputs = from_fn(|_| from_fn(|_| Activation::new(0.25, from_fn(|_| (noise.byte() as i8).max(-127)))));
    let d: [u16; 8] = from_fn(|row| (15 - row as u16) << 10); // 2⁻ʳᵒʷ
    let q8: [Q8x8; BLOCKS] = from_fn(|_| Q8x8 { d, q: from_fn(|_| noise.bytes()) });
    let q4: [Q4x8; BLOCKS] = from_fn(|_| Q4x8 { d, q: from_fn(|_| noise.bytes()) });
    let q4k: [Q4Kx8; BLOCKS] = from_fn(|_| Q4Kx8 {
        d,
        dmin: d,
        scale: noise.bytes().map(|b: u8| b as i8),
        min: noise.bytes(),
        q: from_fn(|_| noise.bytes()),
    });
    let q6k: [Q6Kx8; BLOCKS] = from_fn(|_| Q6Kx8 {
        d,
        dmin: d,
        scale: from_fn(|_| noise.bytes().map(|b: u8| b as i8)),
        min: from_fn(|_| noise.bytes()),
        q: from_fn(|_| noise.bytes().map(|b: u8| b & 63)),
    });
    agrees(&x, &|out, x| matmul_q8(out, &q8, x), &|row, b| q8[b].run(row))
        && agrees(&x, &|out, x| matmul_q4(out, &q4, x), &|row, b| q4[b].run(row))
        && agrees(&x, &|out, x| matmul_q4k(out, &q4k, x), &|row, b| q4k[b].run(row))
        && agrees(&x, &|out, x| matmul_q6k(out, &q6k, x), &|row, b| q6k[b].run(row))
}

/// Bytes from a small generator, the extremes of every range often among them.
struct Noise(u32);

impl Noise {
    #[inline(never)]
    fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match self.0 >> 20 & 7 {
            0 => 0x80, // the least i8, and the nibbles 0 and 8
            1 => 0xff, // the largest nibbles
            2 => 0x7f, // the largest i8
            _ => (self.0 >> 24) as u8,
        }
    }

    #[inline(never)]
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        from_fn(|_| self.byte())
    }
}

type Product<'a> = dyn Fn(Submatrix<'_>, &[Activation]) + 'a;

/// By reference, not by type: this runs once, and should not be in the module once for each layout.
#[inline(never)]
fn agrees(x: &Inputs, matmul: &Product<'_>, run: &dyn Fn(usize, usize) -> Run) -> bool {
    let mut out = [0.0; INPUTS * 8];
    matmul(Submatrix::new(&mut out, 8), x.as_flattened());
    let rows: [[Run; BLOCKS]; 8] = from_fn(|row| from_fn(|b| run(row, b)));
    out.iter().enumerate().all(|(i, out)| oracle::quant_row(&rows[i % 8], &x[i / 8]).to_bits() == out.to_bits())
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_machine_computes_as_it_should() {
        assert!(super::self_test());
    }
}
