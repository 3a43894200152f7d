//! The kernels as plain loops: slow, and the definition of every order. Tests hold the fast ones to their bits, and so does
//! [`crate::self_test()`] where the module runs; `#[inline]` for the same reason as there.

use crate::activation::Activation;
use crate::elementwise::{EXP, LN_2, TANH};
use crate::run::{Codes, Run};

/// Σ value(i), value i going to running sum i mod 8; in the end j with j + 4, then (0 + 2) + (1 + 3).
#[inline]
fn by_eights(n: usize, value: &dyn Fn(usize) -> f32) -> f32 {
    let mut sums = [0f32; 8];
    (0..n).for_each(|i| sums[i % 8] += value(i));
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// Σ a\[i\]·b\[i\], value i going to running sum i mod 8.
#[inline]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    by_eights(a.len().min(b.len()), &|i| a[i] * b[i])
}

/// Σ x\[i\], value i going to running sum i mod 8.
#[inline]
pub fn sum(xs: &[f32]) -> f32 {
    by_eights(xs.len(), &|i| xs[i])
}

/// eˣ.
#[inline]
pub fn exp(x: f32) -> f32 {
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let n = (x * core::f32::consts::LOG2_E).round_ties_even();
    let r = x - n * LN_2[0] - n * LN_2[1];
    let p = EXP[1..].iter().fold(EXP[0], |p, c| p * r + c);
    let (n, two_to) = (n as i32, |n: i32| f32::from_bits(((n + 127) as u32) << 23));
    (p * (r * r) + r + 1.0) * two_to(n >> 1) * two_to(n - (n >> 1))
}

/// tanh x.
#[inline]
pub fn tanh(x: f32) -> f32 {
    let a = x.abs();
    if a < 0.625 {
        let z = x * x;
        return TANH[1..].iter().fold(TANH[0], |p, c| p * z + c) * z * x + x;
    }
    let large = 1.0 - 2.0 / (exp(a + a) + 1.0);
    if x < 0.0 { 0.0 - large } else { large }
}

/// x / (1 + e⁻ˣ).
#[inline]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(0.0 - x))
}

/// x/2 · (1 + tanh(√(2/π) · x · (1 + 0.044715 x²))).
#[inline]
pub fn gelu(x: f32) -> f32 {
    let inner = 1.0 + 0.044715 * x * x;
    0.5 * x * (1.0 + tanh(0.797_884_6 * x * inner))
}

/// Softmax in place: e^(x − max), times 1 / their sum. Returns the largest and the sum.
#[inline]
pub fn softmax(xs: &mut [f32]) -> (f32, f32) {
    let max = xs.iter().fold(f32::NEG_INFINITY, |m, x| if *x > m { *x } else { m });
    xs.iter_mut().for_each(|x| *x = exp(*x - max));
    let sum = sum(xs);
    xs.iter_mut().for_each(|x| *x *= 1.0 / sum);
    (max, sum)
}

/// 32 finite values in 8 bits, as their scale and quants: q = x · 127 / max|x| to nearest, ties to even, and zeros where max|x| is below 10⁻³⁶.
#[inline]
pub fn rounded(x: &[f32; 32]) -> (f32, [i8; 32]) {
    let max = x.iter().fold(0f32, |m, x| if x.abs() > m { x.abs() } else { m });
    let inverse = if max < 1e-36 { 0.0 } else { 127.0 / max };
    let mut q = [0; 32];
    q.iter_mut().zip(x).for_each(|(q, x)| *q = (x * inverse).round_ties_even() as i8);
    (max / 127.0, q)
}

/// The score of one query against one key: products added from zero in rising d.
#[inline]
pub fn attention_score(q: &[f32], key: impl Iterator<Item = f32>) -> f32 {
    q.iter().zip(key).fold(0.0, |sum, (q, k)| sum + q * k)
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
#[inline]
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
#[inline]
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
#[inline]
pub fn f16(bits: u16) -> f32 {
    let magnitude = f32::from_bits(u32::from(bits & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
    if bits < 0x8000 { magnitude } else { -magnitude }
}

/// A bf16, given by its bits.
#[inline]
pub fn bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}
