//! The float formats, and the conversions between f32 and its two half-width relatives.

/// Widens an IEEE binary16, given by its bits. Exact for every input.
pub fn f16_to_f32(h: u16) -> f32 {
    let sign = u32::from(h & 0x8000) << 16;
    let exponent = u32::from(h >> 10) & 0x1f;
    let fraction = u32::from(h & 0x3ff);
    let magnitude = match exponent {
        // Subnormal: fraction · 2⁻²⁴, a product that f32 holds exactly.
        0 => (fraction as f32 * f32::from_bits(0x3380_0000)).to_bits(),
        31 => 0x7f80_0000 | (fraction << 13),
        _ => ((exponent + 112) << 23) | (fraction << 13),
    };
    f32::from_bits(sign | magnitude)
}

/// Narrows to IEEE binary16 bits, to nearest, ties to even; too large becomes infinity, NaN stays a (quiet) NaN.
pub fn f32_to_f16(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    if magnitude >= 0x4780_0000 {
        return sign | 0x7c00; // 2¹⁶ and above
    }
    if magnitude < 0x3880_0000 {
        // Below 2⁻¹⁴ the result is a multiple of 2⁻²⁴. Adding 0.5 makes f32's own rounding do the work:
        // its last bit is then worth 2⁻²⁴.
        let shifted = f32::from_bits(magnitude) + 0.5;
        return sign | (shifted.to_bits() - 0.5f32.to_bits()) as u16;
    }
    let rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
    sign | ((rounded >> 13) - (112 << 10)) as u16 // a carry past the top ends in infinity, as it should
}

/// Widens a bfloat16, given by its bits. Exact: they are the upper half of an f32.
pub fn bf16_to_f32(h: u16) -> f32 {
    f32::from_bits(u32::from(h) << 16)
}

pub(super) fn dequantize_f32(bytes: &[u8], out: &mut [f32]) {
    for (value, raw) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *value = f32::from_le_bytes(*raw);
    }
}

pub(super) fn quantize_f32(values: &[f32], out: &mut [u8]) {
    for (raw, value) in out.as_chunks_mut::<4>().0.iter_mut().zip(values) {
        *raw = value.to_le_bytes();
    }
}

pub(super) fn dequantize_f16(bytes: &[u8], out: &mut [f32]) {
    for (value, raw) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *value = f16_to_f32(u16::from_le_bytes(*raw));
    }
}

pub(super) fn quantize_f16(values: &[f32], out: &mut [u8]) {
    for (raw, value) in out.as_chunks_mut::<2>().0.iter_mut().zip(values) {
        *raw = f32_to_f16(*value).to_le_bytes();
    }
}

pub(super) fn dequantize_bf16(bytes: &[u8], out: &mut [f32]) {
    for (value, raw) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *value = bf16_to_f32(u16::from_le_bytes(*raw));
    }
}

/// As ggml: to nearest, ties to even; a NaN stays a (quiet) NaN.
pub(super) fn quantize_bf16(values: &[f32], out: &mut [u8]) {
    for (raw, value) in out.as_chunks_mut::<2>().0.iter_mut().zip(values) {
        let bits = value.to_bits();
        let rounded = if value.is_nan() { bits | 0x0040_0000 } else { bits + 0x7fff + (bits >> 16 & 1) };
        *raw = ((rounded >> 16) as u16).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_f16_survives_the_way_to_f32_and_back() {
        for h in 0..=u16::MAX {
            let x = f16_to_f32(h);
            if x.is_nan() {
                assert!(f16_to_f32(f32_to_f16(x)).is_nan());
            } else {
                assert_eq!(f32_to_f16(x), h, "{x}");
            }
        }
    }

    #[test]
    fn narrowing_rounds_to_nearest_and_ties_to_even() {
        let ulp = 2f32.powi(-10);
        assert_eq!(f32_to_f16(1.0 + ulp / 2.0), 0x3c00, "a tie goes to the even neighbour below");
        assert_eq!(f32_to_f16(1.0 + ulp * 1.5), 0x3c02, "and to the even neighbour above");
        assert_eq!(f32_to_f16(1.0 + ulp * 0.51), 0x3c01);
        assert_eq!(f32_to_f16(65519.0), 0x7bff);
        assert_eq!(f32_to_f16(65520.0), 0x7c00);
        assert_eq!(f32_to_f16(2f32.powi(-25)), 0, "half of the least subnormal is a tie with zero");
        assert_eq!(f32_to_f16(2f32.powi(-25) * 1.1), 1);
        assert_eq!(f32_to_f16(-0.0), 0x8000);
    }
}
