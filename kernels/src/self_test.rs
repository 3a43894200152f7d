//! Whether this machine computes as it should: the integer dot products against plain loops, where the module runs.
//!
//! The relaxed instruction is exact on every processor for the operands that it is given here, by its specification.
//! Some engines have got it wrong all the same, so the fast build is asked before it is trusted.

use crate::activation::Activation;
use crate::packed::{Q4x8, Q6x8, Q8x8};
use crate::{matmul_q4, matmul_q6, matmul_q8, oracle};

const BLOCKS: usize = 3;
const INPUTS: usize = 5; // a whole tile and one more

/// Computes a small product in every quantized layout and compares it with the oracle, bit by bit. The numbers include
/// the extremes of every range.
pub fn self_test() -> bool {
    let mut state = 1u32;
    let mut byte = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let byte = (state >> 24) as u8;
        match state >> 20 & 7 {
            0 => 0x80, // the least i8, and the nibbles 0 and 8
            1 => 0xff, // the largest nibbles
            2 => 0x7f, // the largest i8
            _ => byte,
        }
    };
    let x: [[Activation; BLOCKS]; INPUTS] = core::array::from_fn(|_| {
        core::array::from_fn(|_| {
            let q: [i8; 32] = core::array::from_fn(|_| (byte() as i8).max(-127));
            Activation { d: 0.25, sum: q.iter().map(|q| i32::from(*q)).sum(), q }
        })
    });
    let bytes: [[[u8; 32]; 8]; BLOCKS] =
        core::array::from_fn(|_| core::array::from_fn(|_| core::array::from_fn(|_| byte())));
    q8(&bytes, &x) && q4(&bytes, &x) && q6(&bytes, &x)
}

/// The f16 bits of row `r`'s scale, and the same as f32: 2⁻ʳ, so that every product of the test is exact.
fn scale(row: usize) -> (u16, f32) {
    ((15 - row as u16) << 10, 1.0 / (1u32 << row) as f32)
}

fn q8(bytes: &[[[u8; 32]; 8]; BLOCKS], x: &[[Activation; BLOCKS]; INPUTS]) -> bool {
    let w = bytes.map(|q| Q8x8 { d: core::array::from_fn(|row| scale(row).0), q });
    let mut out = [0.0; INPUTS * 8];
    matmul_q8(&mut out, 8, &w, x.as_flattened());
    agrees(&out, x, 32, |row, k| bytes[k / 32][k % 32 / 4][row * 4 + k % 4] as i8)
}

fn q4(bytes: &[[[u8; 32]; 8]; BLOCKS], x: &[[Activation; BLOCKS]; INPUTS]) -> bool {
    let w = bytes.map(|q| Q4x8 { d: core::array::from_fn(|row| scale(row).0), q: [q[0], q[1], q[2], q[3]] });
    let mut out = [0.0; INPUTS * 8];
    matmul_q4(&mut out, 8, &w, x.as_flattened());
    agrees(&out, x, 32, |row, k| {
        let byte = bytes[k / 32][k % 32 / 8][row * 4 + k % 4];
        (if k / 4 % 2 == 0 { byte & 15 } else { byte >> 4 }) as i8 - 8
    })
}

fn q6(bytes: &[[[u8; 32]; 8]; BLOCKS], x: &[[Activation; BLOCKS]; INPUTS]) -> bool {
    let w = bytes.map(|q| Q6x8 { scale: [core::array::from_fn(|row| scale(row).1); 2], q });
    let mut out = [0.0; INPUTS * 8];
    matmul_q6(&mut out, 8, &w, x.as_flattened());
    agrees(&out, x, 16, |row, k| bytes[k / 32][k % 32 / 4][row * 4 + k % 4] as i8)
}

fn agrees(out: &[f32], x: &[[Activation; BLOCKS]; INPUTS], run: usize, quant: impl Fn(usize, usize) -> i8) -> bool {
    (0..INPUTS * 8).all(|i| {
        let (input, row) = (i / 8, i % 8);
        let quants: [i8; BLOCKS * 32] = core::array::from_fn(|k| quant(row, k));
        let scales = [scale(row).1; BLOCKS * 2];
        oracle::quant_row(&quants, &scales, run, &x[input]).to_bits() == out[i].to_bits()
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_machine_computes_as_it_should() {
        assert!(super::self_test());
    }
}
