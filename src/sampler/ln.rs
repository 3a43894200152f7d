//! The natural logarithm, the same bits everywhere.

/// ln x for a positive, finite, normal x, within 1e-15 of it and of its relative size; 0 for anything else.
///
/// x = 2ᵉ · m with m in \[√½, √2\], and ln m = 2 · (s + s³/3 + s⁵/5 + …) with s = (m − 1) / (m + 1).
pub(crate) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i32 - 1023;
    if !(-1022..=1023).contains(&exponent) {
        return 0.0;
    }
    let mut m = f64::from_bits(bits << 12 >> 12 | 1023 << 52);
    if m > core::f64::consts::SQRT_2 {
        (m, exponent) = (m / 2.0, exponent + 1);
    }
    let s = (m - 1.0) / (m + 1.0);
    let (mut sum, mut n) = (0.0, 23.0);
    while n > 0.0 {
        sum = sum * (s * s) + 1.0 / n;
        n -= 2.0;
    }
    f64::from(exponent) * core::f64::consts::LN_2 + 2.0 * s * sum
}

#[cfg(test)]
mod tests {
    use super::ln;

    #[test]
    fn it_is_the_logarithm() {
        let mut x = 1e-300_f64;
        while x < 1e300 {
            let want = x.ln();
            assert!((ln(x) - want).abs() <= 1e-15 * want.abs().max(1.0), "{x}");
            x *= 1.003_7;
        }
        assert_eq!((ln(1.0), ln(0.0), ln(f64::INFINITY), ln(-1.0)), (0.0, 0.0, 0.0, 0.0));
    }
}
