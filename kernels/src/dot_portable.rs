//! Integer dot products in plain Rust: what runs natively, and the meaning of the other builds' versions.

use crate::activation::Activation;
use crate::lanes::I4;

pub const BUILD: &str = "portable";

/// For each of `N` inputs and eight rows: Σ w·x over `4 · S` columns. Weights are bytes, signed.
#[inline(always)]
pub fn dot_bytes<const S: usize, const K: usize, const N: usize>(w: &[[u8; 32]; S], x: [&[i8; K]; N]) -> [[I4; 2]; N] {
    x.map(|x| {
        let mut sums = [0i32; 8];
        for (step, x) in w.iter().zip(x.as_chunks::<4>().0) {
            add_step(&mut sums, step, x, |byte| byte as i8);
        }
        pair(sums)
    })
}

/// For each of `N` inputs and eight rows: Σ (w − 8)·x over 32 columns. Weights are nibbles, 0 ..= 15.
#[inline(always)]
pub fn dot_nibbles<const N: usize>(w: &[[u8; 32]; 4], x: [&Activation; N]) -> [[I4; 2]; N] {
    x.map(|x| {
        let mut sums = [-8 * x.sum; 8];
        for (step, x) in w.iter().zip(x.q.as_chunks::<8>().0) {
            let (fours, _) = x.as_chunks::<4>();
            add_step(&mut sums, step, &fours[0], |byte| (byte & 15) as i8);
            add_step(&mut sums, step, &fours[1], |byte| (byte >> 4) as i8);
        }
        pair(sums)
    })
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
fn pair(sums: [i32; 8]) -> [I4; 2] {
    let (fours, _) = sums.as_chunks::<4>();
    [I4(fours[0]), I4(fours[1])]
}
