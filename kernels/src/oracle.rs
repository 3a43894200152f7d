//! The kernels as plain loops: slow, and the definition of every order. Tests hold the fast ones to their bits.

use crate::activation::Activation;
use crate::lanes::F4;
use crate::run::{Codes, Run};

/// Adds eight running sums as every reduction ends: j with j + 4, then (0 + 2) + (1 + 3).
fn close(sums: [f32; 8]) -> f32 {
    let four: [f32; 4] = core::array::from_fn(|j| sums[j] + sums[j + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

/// Σ a\[i\]·b\[i\], value i going to running sum i mod 8.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        sums[i % 8] += a * b;
    }
    close(sums)
}

/// Σ x\[i\], value i going to running sum i mod 8.
pub fn sum(xs: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    for (i, x) in xs.iter().enumerate() {
        sums[i % 8] += x;
    }
    close(sums)
}

/// Scores of one query against keys \[n × Dh\]: products added from zero in rising d.
pub fn attention_scores(q: &[f32], keys: &[f32]) -> Vec<f32> {
    keys.chunks_exact(q.len()).map(|key| q.iter().zip(key).fold(0.0, |sum, (q, k)| sum + q * k)).collect()
}

/// Values \[n × Dh\] under their weights, added from zero in rising position.
pub fn attention_values(weights: &[f32], values: &[f32]) -> Vec<f32> {
    let mut out = vec![0f32; values.len() / weights.len()];
    for (weight, value) in weights.iter().zip(values.chunks_exact(out.len())) {
        for (out, value) in out.iter_mut().zip(value) {
            *out += weight * value;
        }
    }
    out
}

/// One row of floats times one input: blocks of 32 products, each summed from zero in order, then added in order.
pub fn float_row(w: &[f32], x: &[f32]) -> f32 {
    let mut sum = 0f32;
    for (w, x) in w.chunks(32).zip(x.chunks(32)) {
        let mut share = 0f32;
        for (w, x) in w.iter().zip(x) {
            share += w * x;
        }
        sum += share;
    }
    sum
}

/// One row of quants times one input: for each run, (d · x.d) times the exact sum of scale · q · x.q is added, then
/// (dmin · x.d) times the exact sum of min · x.q taken off.
#[inline(never)]
pub fn quant_row(runs: &[Run], x: &[Activation]) -> f32 {
    let mut sum = 0f32;
    for (run, x) in runs.iter().zip(x) {
        let (mut exact, mut least) = (0i32, 0i32);
        for k in 0..32 {
            exact += i32::from(run.scale[k / 16]) * i32::from(run.q[k]) * i32::from(x.q[k]);
            least += i32::from(run.min[k / 16]) * i32::from(x.q[k]);
        }
        sum += (f16(run.d) * x.d) * exact as f32;
        sum -= (f16(run.dmin) * x.d) * least as f32;
    }
    sum
}

/// One row of coded weights times one input: for each 16, (d · x.d) times the exact sum of table\[code\] · x.q is added.
pub fn coded_row(runs: &[Codes], x: &[Activation]) -> f32 {
    let mut sum = 0f32;
    for (run, x) in runs.iter().zip(x) {
        for half in 0..2 {
            let weight = |k: usize| i32::from(run.table[usize::from(run.code[k])]);
            let exact: i32 = (16 * half..16 * half + 16).map(|k| weight(k) * i32::from(x.q[k])).sum();
            sum += (run.d[half] * x.d) * exact as f32;
        }
    }
    sum
}

/// A finite f16, given by its bits.
fn f16(bits: u16) -> f32 {
    F4::from_f16(&[bits; 4]).to_array()[0]
}
