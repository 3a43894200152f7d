//! What tables are filled by: ln, powers, cosine and sine in f64, of +, −, ×, ÷ alone, so that they have the same bits on every
//! platform. As precise as an f32 needs that is rounded from them, and a third of the size of a library's.

use core::f64::consts::{FRAC_2_PI, LN_2, LOG2_E, SQRT_2};

/// ln x for a finite x > 0 that is no subnormal number.
///
/// x = m · 2ᵉ with m between √½ and √2, s = (m − 1) / (m + 1), and ln m = 2 (s + s³/3 + s⁵/5 + …) with |s| < 0.172.
pub fn log(x: f64) -> f64 {
    let bits = x.to_bits();
    let (mut m, mut e) = (f64::from_bits(bits & 0x000f_ffff_ffff_ffff | 1023 << 52), (bits >> 52) as i32 - 1023);
    if m > SQRT_2 {
        (m, e) = (m / 2.0, e + 1);
    }
    let s = (m - 1.0) / (m + 1.0);
    let series = (0..11).rev().fold(0.0, |sum, k| sum * (s * s) + 1.0 / f64::from(2 * k + 1));
    f64::from(e) * LN_2 + 2.0 * s * series
}

/// eˣ, for an x whose result is neither infinite nor subnormal: x = n · ln 2 + r, and Taylor's series for |r| < 0.35.
fn exp(x: f64) -> f64 {
    let n = (x * LOG2_E).round_ties_even();
    let r = x - n * LN_2;
    let series = (1..16).rev().fold(1.0, |sum, k| 1.0 + sum * r / f64::from(k));
    series * f64::from_bits(((n as i64 + 1023) as u64) << 52)
}

/// xʸ for x > 0.
pub fn pow(x: f64, y: f64) -> f64 {
    exp((y * log(x)).clamp(-700.0, 700.0))
}

/// π/2 in three parts. The first two have 33 bits, so that their products with whole numbers below 2²⁰ are exact.
const HALF_PI: [f64; 3] = [1.570_796_326_734_125_6, 6.077_100_506_303_966e-11, 2.022_266_248_795_950_6e-21];

/// (cos x, sin x) for x ≥ 0: x = n · π/2 + r, and Taylor's series for |r| < 0.79. Up to x = 10⁶ the error is of the order of
/// an f64's last bit; beyond, it grows with x.
pub fn cos_sin(x: f64) -> [f64; 2] {
    let n = (x * FRAC_2_PI).round_ties_even();
    let r = HALF_PI.iter().fold(x, |r, part| r - n * part);
    // 1 − r²/(k(k+1)) (1 − r²/((k+2)(k+3)) (…)), from the smallest term on
    let series = |first: u32| {
        let steps = (0..9).rev().map(|i| 1.0 / f64::from((first + 2 * i) * (first + 2 * i + 1)));
        steps.fold(1.0, |sum, step| 1.0 - r * r * step * sum)
    };
    let (cos, sin) = (series(1), r * series(2));
    match n as i64 & 3 {
        0 => [cos, sin],
        1 => [-sin, cos],
        2 => [-cos, -sin],
        _ => [sin, -cos],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(ours: f64, theirs: f64, error: f64) {
        assert!((ours - theirs).abs() <= error, "{ours} and {theirs}");
    }

    #[test]
    fn functions_are_as_precise_as_the_platforms() {
        for i in 1..20_000 {
            let x = f64::from(i) * 0.37;
            near(log(x), x.ln(), 4e-16 * x.ln().abs().max(1.0));
            let y = (f64::from(i) - 10_000.0) * 0.001;
            near(pow(x, y), x.powf(y), 4e-16 * (1.0 + (y * x.ln()).abs()) * x.powf(y));
            let [cos, sin] = cos_sin(x);
            near(cos, x.cos(), 3e-16);
            near(sin, x.sin(), 3e-16);
            let [cos, sin] = cos_sin(x * 140.0);
            near(cos, (x * 140.0).cos(), 4e-16);
            near(sin, (x * 140.0).sin(), 4e-16);
        }
        assert_eq!(cos_sin(0.0), [1.0, 0.0]);
        assert_eq!(pow(10_000.0, 0.0), 1.0);
        assert_eq!(pow(2.0, -8.0), 1.0 / 256.0);
    }
}
