//! Integer dot products in plain Rust: what runs natively, and the meaning of the other builds' versions.

use super::{Dot, Sums};
use crate::activation::Activation;
pub(crate) use crate::gemm::gemm_short as many;
use crate::lanes::I4;
use crate::matmul::quant_pair;
use crate::packed::{QuantBlock, Rows};

pub const BUILD: &str = "portable";

/// Whether the kernels are right; there is nothing to choose from.
pub fn choose(is_right: impl Fn() -> bool) -> bool {
    is_right()
}

/// Twice eight rows times one input.
#[inline(always)]
pub fn tile_pair<B: QuantBlock>(w: [&[B]; 2], x: &[Activation]) -> [Rows; 2] {
    quant_pair(Portable, w, x)
}

pub use tile_pair as plain_tile_pair;

#[derive(Clone, Copy)]
struct Portable;

impl Dot for Portable {
    #[inline(always)]
    fn bytes<const N: usize>(self, w: &[[u8; 32]; 8], x: [&Activation; N]) -> [Sums; N] {
        x.map(|x| add_steps(0, w, &x.q, |byte| byte as i8))
    }

    #[inline(always)]
    fn nibbles<const OFFSET: i32, const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N]) -> [Sums; N] {
        x.map(|x| {
            let mut sums = [-OFFSET * x.sum(); 8];
            for (step, x) in w.iter().zip(x.q.as_chunks::<8>().0) {
                let (fours, _) = x.as_chunks::<4>();
                add_step(&mut sums, step, &fours[0], |byte| (byte & 15) as i8);
                add_step(&mut sums, step, &fours[1], |byte| (byte >> 4) as i8);
            }
            pair(sums)
        })
    }

    #[inline(always)]
    fn fives<const N: usize>(self, offset: i32, w: &[[u8; 32]; 4], high: &[u8; 32], x: [&Activation; N]) -> [Sums; N] {
        let fives: [[u8; 32]; 8] = core::array::from_fn(|step| {
            core::array::from_fn(|i| w[step / 2][i] >> (step % 2 * 4) & 15 | (high[i] >> step & 1) << 4)
        });
        x.map(|x| add_steps(-offset * x.sum(), &fives, &x.q, |byte| byte as i8))
    }

    #[inline(always)]
    fn sixes<const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N], half: usize) -> [Sums; N] {
        x.map(|x| add_steps(-32 * i32::from(x.sums[half]), w, &x.q[16 * half..], |byte| byte as i8))
    }

    #[inline(always)]
    fn coded<const N: usize>(self, table: &[i8; 16], w: &[[u8; 32]; 2], x: [&Activation; N], half: usize) -> [Sums; N] {
        let weights = |byte: u8| table[usize::from(byte & 15)] as u8;
        let w = [
            w[0].map(weights),
            w[0].map(|byte| weights(byte >> 4)),
            w[1].map(weights),
            w[1].map(|byte| weights(byte >> 4)),
        ];
        x.map(|x| add_steps(0, &w, &x.q[16 * half..], |byte| byte as i8))
    }
}

#[inline(always)]
fn add_steps(start: i32, w: &[[u8; 32]], x: &[i8], weight: impl Fn(u8) -> i8) -> Sums {
    let mut sums = [start; 8];
    for (step, x) in w.iter().zip(x.as_chunks::<4>().0) {
        add_step(&mut sums, step, x, &weight);
    }
    pair(sums)
}

#[inline(always)]
fn add_step(sums: &mut [i32; 8], step: &[u8; 32], x: &[i8; 4], weight: impl Fn(u8) -> i8) {
    for (sum, w) in sums.iter_mut().zip(step.as_chunks::<4>().0) {
        for k in 0..4 {
            *sum += i32::from(weight(w[k])) * i32::from(x[k]);
        }
    }
}

#[inline(always)]
fn pair(sums: [i32; 8]) -> Sums {
    let (fours, _) = sums.as_chunks::<4>();
    [I4(fours[0]), I4(fours[1])]
}
