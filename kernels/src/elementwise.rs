//! Functions of one value, or of values side by side: no sums, so no order to fix.

use crate::lanes::{F4, I4, map_in_place, zip_in_place};

/// Coefficients of eʳ from r⁷ down to r².
pub(crate) const EXP: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 0.5];
/// ln 2 as a sum, the first of few digits.
pub(crate) const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// Coefficients of (tanh x − x) / x³ from x⁸ down to 1.
pub(crate) const TANH: [f32; 5] = [-5.704_988_7e-3, 2.063_908_8e-2, -5.373_971_5e-2, 1.333_144_2e-1, -3.333_328e-1];

/// eˣ in four lanes, within 2 ulp: +, −, × and integer operations only.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2; eʳ by a polynomial of degree 7; then ×2ⁿ in two steps, so that results reach
/// down into the subnormals and up to infinity by one rounding.
///
/// # Source
/// The reduction and coefficients of `expf` in the Cephes library (S. Moshier).
#[inline(always)]
pub(crate) fn exp4(x: F4) -> F4 {
    exp4_below(x.min(F4::splat(89.0)))
}

/// [`exp4`] of what is at most 89.
#[inline(always)]
pub(crate) fn exp4_below(x: F4) -> F4 {
    let x = x.max(F4::splat(-104.0));
    // 1.5 · 2²³ + n has the nearest integer to n, ties to even, in its low bits.
    let magic = F4::splat(12_582_912.0);
    let shifted = x.mul(F4::splat(core::f32::consts::LOG2_E)).add(magic);
    let n = shifted.sub(magic);
    let r = x.sub(n.mul(F4::splat(LN_2[0]))).sub(n.mul(F4::splat(LN_2[1])));
    let mut p = F4::splat(EXP[0]);
    for &c in &EXP[1..] {
        p = p.mul(r).add(F4::splat(c));
    }
    let y = p.mul(r.mul(r)).add(r).add(F4::splat(1.0));
    let n = I4::from_bits(shifted).sub(I4::from_bits(magic));
    let low = n.half();
    y.mul(low.exp2()).mul(n.sub(low).exp2())
}

/// tanh x in four lanes, within 2 ulp.
///
/// Below 0.625 an odd polynomial, above it 1 − 2 / (e²ˣ + 1).
///
/// # Source
/// `tanhf` in the Cephes library (S. Moshier).
#[inline(never)] // once in the module: it costs more than the call
fn tanh4(x: F4) -> F4 {
    let z = x.mul(x);
    let mut p = F4::splat(TANH[0]);
    for &c in &TANH[1..] {
        p = p.mul(z).add(F4::splat(c));
    }
    let small = p.mul(z).mul(x).add(x);
    let one = F4::splat(1.0);
    let a = x.abs();
    let large = one.sub(F4::splat(2.0).div(exp4(a.add(a)).add(one)));
    let large = x.select_lt(F4::splat(0.0), F4::splat(0.0).sub(large), large);
    a.select_lt(F4::splat(0.625), small, large)
}

/// eˣ, within 2 ulp, the same bits everywhere. 0 from about −104 down, infinity from 88.73 up.
pub fn exp(x: f32) -> f32 {
    exp4(F4::splat(x)).to_array()[0]
}

/// tanh x, within 2 ulp, the same bits everywhere.
#[inline]
pub fn tanh(x: f32) -> f32 {
    tanh4(F4::splat(x)).to_array()[0]
}

#[inline(always)]
fn silu4(x: F4) -> F4 {
    x.div(F4::splat(1.0).add(exp4(F4::splat(0.0).sub(x))))
}

/// SiLU(x) = x / (1 + e⁻ˣ).
#[inline]
pub fn silu(x: f32) -> f32 {
    silu4(F4::splat(x)).to_array()[0]
}

/// SwiGLU's middle: `gate[i] = SiLU(gate[i]) · up[i]`. Both slices have the same length.
pub fn silu_mul(gate: &mut [f32], up: &[f32]) {
    zip_in_place(gate, up, |g, u| silu4(g).mul(u));
}

/// [`silu`] of every value.
#[inline]
pub fn silu_in_place(xs: &mut [f32]) {
    map_in_place(xs, silu4);
}

#[inline(always)]
fn gelu4(x: F4) -> F4 {
    let inner = F4::splat(1.0).add(F4::splat(0.044715).mul(x).mul(x));
    let t = tanh4(F4::splat(0.797_884_6).mul(x).mul(inner));
    F4::splat(0.5).mul(x).mul(F4::splat(1.0).add(t))
}

/// GELU in its tanh form: x/2 · (1 + tanh(√(2/π) · x · (1 + 0.044715 x²))).
#[inline]
pub fn gelu(x: f32) -> f32 {
    gelu4(F4::splat(x)).to_array()[0]
}

/// [`gelu`] of every value.
#[inline]
pub fn gelu_in_place(xs: &mut [f32]) {
    map_in_place(xs, gelu4);
}

/// GEGLU's middle: `gate[i] = GELU(gate[i]) · up[i]`. Both slices have the same length.
#[inline]
pub fn gelu_mul(gate: &mut [f32], up: &[f32]) {
    zip_in_place(gate, up, |g, u| gelu4(g).mul(u));
}

/// `xs[i] += ys[i]`. Both slices have the same length.
pub fn add(xs: &mut [f32], ys: &[f32]) {
    zip_in_place(xs, ys, F4::add);
}

/// `xs[i] *= factor`.
pub fn scale(xs: &mut [f32], factor: f32) {
    map_in_place(xs, |x| x.mul(F4::splat(factor)));
}

/// A soft cap: `xs[i] = cap · tanh(xs[i] / cap)`.
#[inline]
pub fn soft_cap(xs: &mut [f32], cap: f32) {
    map_in_place(xs, |x| tanh4(x.div(F4::splat(cap))).mul(F4::splat(cap)));
}

/// Rotary positions, pairs of neighbours (GGUF architectures `llama` and relatives): turns x₂ᵢ and x₂ᵢ₊₁ by the angle
/// whose cosine and sine are `table[i]`. Values past `2 · table.len()` stay as they are.
///
/// # Source
/// Su et al. 2021, RoFormer, <https://arxiv.org/abs/2104.09864>
pub fn rope_adjacent(head: &mut [f32], table: &[[f32; 2]]) {
    for ([a, b], [cos, sin]) in head.as_chunks_mut::<2>().0.iter_mut().zip(table) {
        (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
    }
}

/// Rotary positions, halves (GPT-NeoX style): turns xᵢ and xᵢ₊ₙ for n = `table.len()`. Values past 2n stay.
pub fn rope_halves(head: &mut [f32], table: &[[f32; 2]]) {
    let n = table.len().min(head.len() / 2);
    let (low, rest) = head.split_at_mut(n);
    for ((a, b), [cos, sin]) in low.iter_mut().zip(rest).zip(table) {
        (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle;
    use proptest::prelude::*;

    type Gate = fn(&mut [f32], &[f32]);
    type Function = fn(f32) -> f32;
    const GATES: [(Gate, Function); 2] = [(silu_mul, oracle::silu), (gelu_mul, oracle::gelu)];

    /// Distance in units of the last place of the f32 nearest to the exact value.
    fn ulps(got: f32, exact: f64) -> f64 {
        let near = exact as f32;
        if got == near || (got.is_infinite() && near.is_infinite()) {
            return 0.0;
        }
        let ulp = f64::from(near.abs().next_up()) - f64::from(near.abs());
        (f64::from(got) - exact).abs() / ulp
    }

    fn worst(from: f32, to: f32, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
        let n = 2_000_000;
        (0..=n)
            .map(|i| from + (to - from) * (i as f32 / n as f32))
            .map(|x| ulps(f(x), exact(f64::from(x))))
            .fold(0.0, f64::max)
    }

    proptest! {
        #[test]
        fn lanes_equal_the_oracle_in_bits(x in prop_oneof![-100f32..100.0, -1f32..1.0, any::<f32>()], up in -8f32..8.0) {
            prop_assume!(!x.is_nan());
            prop_assert_eq!(exp(x).to_bits(), oracle::exp(x).to_bits());
            prop_assert_eq!(tanh(x).to_bits(), oracle::tanh(x).to_bits());
            for (kernel, function) in GATES {
                let mut gate = [x];
                kernel(&mut gate, &[up]);
                prop_assert!(gate[0].to_bits() == (function(x) * up).to_bits() || gate[0].is_nan());
            }
        }
    }

    #[test]
    fn exp_is_within_2_ulp() {
        assert!(worst(-103.0, 88.7, exp, f64::exp) <= 2.0);
        assert!(worst(-1.0, 1.0, exp, f64::exp) <= 2.0);
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-200.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(90.0), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn tanh_is_within_2_ulp() {
        assert!(worst(-10.0, 10.0, tanh, f64::tanh) <= 2.0);
        assert!(worst(-0.01, 0.01, tanh, f64::tanh) <= 2.0);
        assert_eq!(tanh(50.0), 1.0);
        assert_eq!(tanh(-50.0), -1.0);
        assert!(tanh(f32::NAN).is_nan());
    }

    #[test]
    fn activations_match_their_formulas() {
        for i in -80..80 {
            let x = i as f32 / 8.0;
            let d = f64::from(x);
            let gelu_exact =
                0.5 * d * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * d * (1.0 + 0.044715 * d * d)).tanh());
            assert!((f64::from(gelu(x)) - gelu_exact).abs() < 1e-6);
            assert!((f64::from(silu(x)) - d / (1.0 + (-d).exp())).abs() < 1e-6);
        }
        let mut tail = [1.0, 2.0, 3.0, 4.0, 5.0];
        gelu_in_place(&mut tail);
        assert_eq!(tail[4], gelu(5.0), "the last group of fewer than four is computed like the others");
    }

    #[test]
    fn both_pairings_turn_by_the_same_angle() {
        let (sin, cos) = (0.6, 0.8);
        let mut adjacent = [1.0, 0.0, 0.0, 1.0, 7.0];
        rope_adjacent(&mut adjacent, &[[cos, sin], [cos, sin]]);
        assert_eq!(adjacent, [0.8, 0.6, -0.6, 0.8, 7.0]);
        let mut halves = [1.0, 0.0, 0.0, 1.0, 7.0];
        rope_halves(&mut halves, &[[cos, sin], [cos, sin]]);
        assert_eq!(halves, [0.8, -0.6, 0.6, 0.8, 7.0]);
    }
}
