//! Sums of many values, each in one fixed order.
//!
//! The order: eight running sums, value i going to sum i mod 8; at the end sums j and j + 4 are added (j < 4), and of
//! those four (0 + 2) + (1 + 3). A missing value at the tail counts as +0.

use crate::elementwise::exp4_below;
use crate::lanes::{F4, map_in_place};
use crate::packed::halves;

/// Adds `f(i)` over groups of eight positions; `f` gets a range and must return zeros past its end.
#[inline(always)]
fn sum_by_eights(n: usize, f: impl Fn(usize) -> [F4; 2], tail: impl Fn(usize) -> [F4; 2]) -> f32 {
    let (mut even, mut odd) = (F4::splat(0.0), F4::splat(0.0));
    let whole = n / 8 * 8;
    for at in (0..whole).step_by(8) {
        let [a, b] = f(at);
        even = even.add(a);
        odd = odd.add(b);
    }
    if whole < n {
        let [a, b] = tail(whole);
        even = even.add(a);
        odd = odd.add(b);
    }
    even.add(odd).sum()
}

#[inline(always)]
fn eight(xs: &[f32], at: usize) -> [F4; 2] {
    let (fours, _) = xs[at..at + 8].as_chunks::<4>();
    [F4::load(&fours[0]), F4::load(&fours[1])]
}

#[inline(always)]
fn eight_of(xs: &[f32; 8]) -> [F4; 2] {
    halves(xs).map(F4::load)
}

#[inline(always)]
fn part(xs: &[f32], at: usize) -> [F4; 2] {
    let rest = &xs[at..];
    let (low, high) = rest.split_at(rest.len().min(4));
    [F4::load_part(low), F4::load_part(high)]
}

/// Σ aᵢ·bᵢ. Both slices have the same length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let product = |x: [F4; 2], y: [F4; 2]| [x[0].mul(y[0]), x[1].mul(y[1])];
    sum_by_eights(n, |at| product(eight(a, at), eight(b, at)), |at| product(part(a, at), part(b, at)))
}

/// Σ xᵢ.
pub fn sum(xs: &[f32]) -> f32 {
    sum_by_eights(xs.len(), |at| eight(xs, at), |at| part(xs, at))
}

/// `out[i] += factor · xs[i]`. Both slices have the same length.
pub fn add_scaled(out: &mut [f32], factor: f32, xs: &[f32]) {
    crate::lanes::zip_in_place(out, xs, |o, x| o.add(F4::splat(factor).mul(x)));
}

/// RMSNorm: `out[i] = x[i] / √(Σx²/n + eps) · weight[i]`.
///
/// # Shapes
/// `out`, `x`, `weight`: all \[n\].
///
/// # Source
/// Zhang and Sennrich 2019, <https://arxiv.org/abs/1910.07467>
pub fn rms_norm(out: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
    let scale = 1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt();
    for ((o, x), w) in out.iter_mut().zip(x).zip(weight) {
        *o = x * scale * w;
    }
}

/// LayerNorm: `out[i] = (x[i] − mean) / √(variance + eps) · weight[i] + bias[i]`, the variance over n.
///
/// # Shapes
/// `out`, `x`, `weight`, `bias`: all \[n\].
///
/// # Source
/// Ba et al. 2016, <https://arxiv.org/abs/1607.06450>
#[inline]
pub fn layer_norm(out: &mut [f32], x: &[f32], weight: &[f32], bias: Option<&[f32]>, eps: f32) {
    let n = x.len() as f32;
    let mean = sum(x) / n;
    for (o, x) in out.iter_mut().zip(x) {
        *o = x - mean;
    }
    let scale = 1.0 / (dot(out, out) / n + eps).sqrt();
    for (o, w) in out.iter_mut().zip(weight) {
        *o = *o * scale * w;
    }
    if let Some(bias) = bias {
        crate::add(out, bias);
    }
}

/// The largest value; NaN is passed over, and of nothing it is −∞. Of 0 and −0 it may be either.
fn largest(xs: &[f32]) -> f32 {
    // Four at a time: one would wait for the one before.
    let mut max = [F4::splat(f32::NEG_INFINITY); 4];
    let (sixteens, rest) = xs.as_chunks::<16>();
    for sixteen in sixteens {
        for (max, four) in max.iter_mut().zip(sixteen.as_chunks::<4>().0) {
            *max = max.max(F4::load(four));
        }
    }
    let max = max[0].max(max[1]).max(max[2].max(max[3]));
    max.to_array().iter().chain(rest).fold(f32::NEG_INFINITY, |m, x| if *x > m { *x } else { m })
}

/// Softmax in place: `xs[i] = e^(xs[i] − max) / Σ e^(xs[j] − max)`. An empty slice stays empty.
pub fn softmax(xs: &mut [f32]) {
    let max = F4::splat(largest(xs));
    let (mut even, mut odd) = (F4::splat(0.0), F4::splat(0.0));
    let (eights, rest) = xs.as_chunks_mut::<8>();
    for eight in eights {
        let [low, high] = eight_of(eight).map(|x| exp4_below(x.sub(max)));
        (even, odd) = (even.add(low), odd.add(high));
        let (fours, _) = eight.as_chunks_mut::<4>();
        low.store(&mut fours[0]);
        high.store(&mut fours[1]);
    }
    map_in_place(rest, |x| exp4_below(x.sub(max)));
    if !rest.is_empty() {
        let [low, high] = part(rest, 0);
        (even, odd) = (even.add(low), odd.add(high));
    }
    crate::scale(xs, 1.0 / even.add(odd).sum());
}

/// The largest of `xs` and Σ e^(x − largest): what a softmax divides by.
#[inline]
pub fn max_and_exp_sum(xs: &[f32]) -> (f32, f32) {
    let max = largest(xs);
    let shifted = |eight: [F4; 2]| eight.map(|x| exp4_below(x.sub(F4::splat(max))));
    let sum = sum_by_eights(
        xs.len(),
        |at| shifted(eight(xs, at)),
        |at| {
            let mut rest = [f32::NEG_INFINITY; 8]; // e^−∞ is the 0 that a missing value counts as
            rest[..xs.len() - at].copy_from_slice(&xs[at..]);
            shifted(eight(&rest, 0))
        },
    );
    (max, sum)
}

/// The softmax probability of one of `logits`; 0 past their end.
#[inline]
pub fn probability(logits: &[f32], i: usize) -> f32 {
    let (max, sum) = max_and_exp_sum(logits);
    logits.get(i).map_or(0.0, |x| crate::exp(x - max) / sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_equal_the_oracle_in_bits(a in prop::collection::vec(-8f32..8.0, 0..70)) {
            let b: Vec<f32> = a.iter().rev().map(|x| x * 0.7 + 0.1).collect();
            prop_assert_eq!(dot(&a, &b).to_bits(), oracle::dot(&a, &b).to_bits());
            prop_assert_eq!(sum(&a).to_bits(), oracle::sum(&a).to_bits());
        }

        #[test]
        fn softmax_equals_the_oracle_in_bits(mut xs in prop::collection::vec(-120f32..80.0, 1..70)) {
            let mut want = xs.clone();
            let (max, sum) = oracle::softmax(&mut want);
            prop_assert_eq!(max_and_exp_sum(&xs), (max, sum));
            softmax(&mut xs);
            prop_assert!(xs.iter().zip(&want).all(|(a, b)| a.to_bits() == b.to_bits()));
        }

        #[test]
        fn softmax_sums_to_one(mut xs in prop::collection::vec(-80f32..80.0, 1..70)) {
            let first = probability(&xs, 0);
            softmax(&mut xs);
            prop_assert!((first - xs[0]).abs() <= 2e-7);
            prop_assert!((sum(&xs) - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn norms_match_their_formulas() {
        let x: Vec<f32> = (0..13).map(|i| (i as f32 * 0.7).sin()).collect();
        let w: Vec<f32> = (0..13).map(|i| 1.0 + i as f32 * 0.1).collect();
        let (mut rms, mut layer) = (vec![0.0; 13], vec![0.0; 13]);
        rms_norm(&mut rms, &x, &w, 1e-5);
        layer_norm(&mut layer, &x, &w, Some(&w), 1e-5);
        let mean = x.iter().map(|v| f64::from(*v)).sum::<f64>() / 13.0;
        let square = x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 13.0;
        let variance = square - mean * mean;
        for i in 0..13 {
            let (xi, wi) = (f64::from(x[i]), f64::from(w[i]));
            assert!((f64::from(rms[i]) - xi / (square + 1e-5).sqrt() * wi).abs() < 1e-6);
            assert!((f64::from(layer[i]) - ((xi - mean) / (variance + 1e-5).sqrt() * wi + wi)).abs() < 1e-5);
        }
    }
}
