//! The formats whose values stand in a table of at most 16, times a scale: 32 of them as [`Codes`].
//!
//! ggml writes them as products of an f16, a small integer scale, a small value and some power of two: d · (0.5 + s) ·
//! 0.25 · 43, say. Here d · (2s + 1) / 8 is one f32 and 43 stands in the table. Nothing is lost by that, in any order of
//! the factors: an f16 has 11 digits, a scale at most 6 and a value at most 7, together no more than the 24 of an f32, and
//! the least product, 2⁻²⁴ / 8, is far above the least normal f32. So each product on the way is exact, and so is ours.
//! MXFP4 goes below that, with powers of two down to 2⁻¹²⁸, but these times 12 at most are whole multiples of 2⁻¹⁴⁹.
//!
//! # Source
//! The `block_*` structs and `dequantize_row_*` of ggml, and `gguf.quants` of <https://pypi.org/project/gguf/>.

use super::float::f16_to_f32;
use super::runs::{IQ4_NL_VALUES, half, nibble};
use super::{Format, grids};
use crate::kernels::Codes;
use core::array::from_fn;

/// Q3_K: code − 4.
const Q3_K_VALUES: [i8; 16] = [-4, -3, -2, -1, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0];
/// FP4 (one sign, two exponent and one fraction bit), doubled; −0 is 0.
const FP4_VALUES: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];
/// IQ1: 8 · (coordinate − 1) + 1, and − 1 for codes with bit 3 set.
const IQ1_VALUES: [i8; 16] = [-7, 1, 9, 0, 0, 0, 0, 0, -9, -1, 7, 0, 0, 0, 0, 0];
// Of the rest, bit 3 is the sign.
const IQ2_VALUES: [i8; 16] = signed([8, 25, 43, 0, 0, 0, 0, 0]);
const IQ3_XXS_VALUES: [i8; 16] = signed([4, 12, 20, 28, 36, 44, 52, 62]);
const IQ3_S_VALUES: [i8; 16] = signed([1, 3, 5, 7, 9, 11, 13, 15]);

const fn signed(values: [i8; 8]) -> [i8; 16] {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 8 {
        (table[i], table[i + 8]) = (values[i], -values[i]);
        i += 1;
    }
    table
}

/// What it takes to read blocks of one format.
#[derive(Debug)]
pub struct Codebook {
    format: Format,
    /// Points of eight codes, or of four, by the numbers that blocks call them by; empty for formats without.
    points: Vec<[u8; 8]>,
}

impl Codebook {
    /// Makes the points of a format.
    pub fn new(format: Format) -> Codebook {
        let (bits, base): (&[u8], usize) = match format {
            Format::IQ1_S | Format::IQ1_M => (&grids::IQ1_S, 3),
            Format::IQ2_XXS => (&grids::IQ2_XXS, 3),
            Format::IQ2_XS => (&grids::IQ2_XS, 3),
            Format::IQ2_S => (&grids::IQ2_S, 3),
            Format::IQ3_XXS => (&grids::IQ3_XXS, 8),
            Format::IQ3_S => (&grids::IQ3_S, 8),
            _ => (&[], 1),
        };
        let is_point = |number: &usize| bits[number / 8] >> (number % 8) & 1 == 1;
        let digits = |mut number: usize| {
            from_fn(|_| {
                let digit = number % base;
                number /= base;
                digit as u8
            })
        };
        Codebook { format, points: (0..8 * bits.len()).filter(is_point).map(digits).collect() }
    }

    /// Run number `run` of a block, which is `block_bytes` long; `None` for formats that are not coded.
    pub fn codes(&self, block: &[u8], run: usize) -> Option<Codes> {
        Some(match self.format {
            Format::Q3_K => q3_k(block.first_chunk()?, run % 8),
            Format::IQ4_XS => iq4_xs(block.first_chunk()?, run % 8),
            Format::MXFP4 => mxfp4(block.first_chunk()?),
            Format::NVFP4 => nvfp4(block.first_chunk()?, run % 2),
            Format::IQ1_S => self.iq1_s(block.first_chunk()?, run % 8),
            Format::IQ1_M => self.iq1_m(block.first_chunk()?, run % 8),
            Format::IQ2_XXS => self.iq2_xxs(block.first_chunk()?, run % 8),
            Format::IQ2_XS => self.iq2_xs(block.first_chunk()?, run % 8),
            Format::IQ2_S => self.iq2_s(block.first_chunk()?, run % 8),
            Format::IQ3_XXS => self.iq3_xxs(block.first_chunk()?, run % 8),
            Format::IQ3_S => self.iq3_s(block.first_chunk()?, run % 8),
            _ => return None,
        })
    }

    /// Four groups of eight: a point, or the first halves of two, and a bit for each code's bit 3. (By a reference, so that
    /// this is compiled once.)
    fn points(&self, table: [i8; 16], d: [f32; 2], group: &dyn Fn(usize) -> ([usize; 2], u8)) -> Codes {
        let width = if matches!(self.format, Format::IQ3_XXS | Format::IQ3_S) { 4 } else { 8 };
        let mut code = [0; 32];
        for (g, code) in code.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let (numbers, bits) = group(g);
            for (part, number) in code.chunks_exact_mut(width).zip(numbers) {
                if let Some(point) = self.points.get(number) {
                    part.copy_from_slice(&point[..width]);
                }
            }
            code.iter_mut().enumerate().for_each(|(i, code)| *code |= (bits >> i & 1) << 3);
        }
        Codes { d, table, code }
    }

    /// d, 32 bytes of points, 8 × 16 bits: the points' high three bits, a scale, and which way all values are shifted.
    fn iq1_s(&self, b: &[u8; 50], run: usize) -> Codes {
        let high = usize::from(half(b, 34 + 2 * run));
        let d = odd_eighths(half(b, 0), [(high >> 12) as u8 & 7; 2]);
        self.points(IQ1_VALUES, d, &|g| {
            (one(usize::from(b[2 + 4 * run + g]) | (high >> (3 * g) & 7) << 8), all(high >> 15))
        })
    }

    /// 32 bytes of points, 16 of a nibble each: high three bits and shift; then 4 × 16 bits: four scales of three bits,
    /// and a quarter of d at the top.
    fn iq1_m(&self, b: &[u8; 56], run: usize) -> Codes {
        let d = (0..4).map(|i| half(b, 48 + 2 * i) >> 12 << (4 * i)).sum();
        let scales = half(b, 48 + run / 2 * 2) >> (run % 2 * 6);
        let d = odd_eighths(d, [scales as u8 & 7, (scales >> 3) as u8 & 7]);
        self.points(IQ1_VALUES, d, &|g| {
            let high = usize::from(b[32 + 2 * run + g / 2] >> (g % 2 * 4));
            (one(usize::from(b[4 * run + g]) | (high & 7) << 8), all(high >> 3 & 1))
        })
    }

    /// d; for each run 4 bytes of points and 32 bits: four times seven signs, and a scale.
    fn iq2_xxs(&self, b: &[u8; 66], run: usize) -> Codes {
        let (signs, scale) = signs_and_scale(&b[6 + 8 * run..]);
        self.points(IQ2_VALUES, odd_eighths(half(b, 0), [scale; 2]), &|g| {
            (one(usize::from(b[2 + 8 * run + g])), signs(g))
        })
    }

    /// d, 32 × 16 bits: a point and seven signs; 8 bytes: two scales each.
    fn iq2_xs(&self, b: &[u8; 74], run: usize) -> Codes {
        self.points(IQ2_VALUES, odd_eighths(half(b, 0), nibbles(b[66 + run])), &|g| {
            let q = usize::from(half(b, 2 + 8 * run + 2 * g));
            (one(q & 511), eighth_sign(q >> 9))
        })
    }

    /// d, 32 bytes of points, 32 of signs, 8 of the points' high two bits, 8 of two scales each.
    fn iq2_s(&self, b: &[u8; 82], run: usize) -> Codes {
        self.points(IQ2_VALUES, odd_eighths(half(b, 0), nibbles(b[74 + run])), &|g| {
            let high = usize::from(b[66 + run] >> (2 * g) & 3);
            (one(usize::from(b[2 + 4 * run + g]) | high << 8), b[34 + 4 * run + g])
        })
    }

    /// d, 64 bytes of points; for each run 32 bits as in IQ2_XXS.
    fn iq3_xxs(&self, b: &[u8; 98], run: usize) -> Codes {
        let (signs, scale) = signs_and_scale(&b[66 + 4 * run..]);
        let d = odd_eighths(half(b, 0), [scale; 2]).map(|d| d * 2.0);
        self.points(IQ3_XXS_VALUES, d, &|g| {
            let point = |i: usize| usize::from(b[2 + 8 * run + 2 * g + i]);
            ([point(0), point(1)], signs(g))
        })
    }

    /// d, 64 bytes of points, 8 of their ninth bits, 32 of signs, 4 of two scales each, one for a run.
    fn iq3_s(&self, b: &[u8; 110], run: usize) -> Codes {
        let scale = nibbles(b[106 + run / 2])[run % 2];
        let d = odd_eighths(half(b, 0), [scale; 2]).map(|d| d * 8.0);
        self.points(IQ3_S_VALUES, d, &|g| {
            let high = |i: usize| usize::from(b[66 + run] >> (2 * g + i) & 1) << 8;
            let point = |i: usize| usize::from(b[2 + 8 * run + 2 * g + i]) | high(i);
            ([point(0), point(1)], b[74 + 4 * run + g])
        })
    }
}

/// d · (2 · scale + 1) / 8.
fn odd_eighths(d: u16, scale: [u8; 2]) -> [f32; 2] {
    scale.map(|scale| f16_to_f32(d) * f32::from(2 * scale + 1) * 0.125)
}

/// The number of a point of eight codes.
fn one(number: usize) -> [usize; 2] {
    [number, 0]
}

/// Eight times a bit.
fn all(bit: usize) -> u8 {
    if bit == 1 { 0xff } else { 0 }
}

/// The low and the high nibble.
fn nibbles(byte: u8) -> [u8; 2] {
    [byte & 15, byte >> 4]
}

/// Seven signs, and the eighth that makes their number even.
fn eighth_sign(seven: usize) -> u8 {
    let seven = seven as u8 & 127;
    seven | (seven.count_ones() as u8 & 1) << 7
}

/// From 32 bits: the signs of each of four groups, and a scale in the top four bits.
fn signs_and_scale(b: &[u8]) -> (impl Fn(usize) -> u8, u8) {
    let bits = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    (move |g| eighth_sign(bits as usize >> (7 * g)), (bits >> 28) as u8)
}

/// 32 bytes of third bits (run j's are bits j), 64 of low two bits, 12 of scales, d: `d · (scale − 32) · (q − 4)`.
///
/// A scale has six bits: the low four of scales 0 to 7 and 8 to 15 are the low and the high nibbles of 8 bytes, and the
/// high two of scales i, i + 4, i + 8 and i + 12 make up byte 8 + i.
fn q3_k(b: &[u8; 110], run: usize) -> Codes {
    let s = &b[96..108];
    let scale = |j: usize| s[j % 8] >> (j / 8 * 4) & 15 | (s[8 + j % 4] >> (j / 4 * 2) & 3) << 4;
    let d = [2 * run, 2 * run + 1].map(|j| f16_to_f32(half(b, 108)) * (f32::from(scale(j)) - 32.0));
    let low = &b[32 + run / 4 * 32..];
    let code = from_fn(|k| low[k] >> (run % 4 * 2) & 3 | (b[k] >> run & 1) << 2);
    Codes { d, table: Q3_K_VALUES, code }
}

/// d, 16 bits of the scales' high two bits, 4 bytes of their low nibbles, 128 of nibbles: `d · (scale − 32) · table[q]`.
fn iq4_xs(b: &[u8; 136], run: usize) -> Codes {
    let scale = nibbles(b[4 + run / 2])[run % 2] | ((half(b, 2) >> (2 * run) & 3) as u8) << 4;
    let d = f16_to_f32(half(b, 0)) * (f32::from(scale) - 32.0);
    Codes { d: [d; 2], table: IQ4_NL_VALUES, code: from_fn(|k| nibble(&b[8 + 16 * run..], k) as u8) }
}

/// An exponent and 16 bytes of nibbles: 2^(e − 127) · FP4, halved since the table is doubled.
fn mxfp4(b: &[u8; 17]) -> Codes {
    let bits = match b[0] {
        e @ 0..2 => 0x0020_0000 << e, // no normal f32
        e => u32::from(e - 1) << 23,
    };
    Codes { d: [f32::from_bits(bits); 2], table: FP4_VALUES, code: from_fn(|k| nibble(&b[1..], k) as u8) }
}

/// 4 scales, one for each 16 values, and 4 × 8 bytes of nibbles.
fn nvfp4(b: &[u8; 36], run: usize) -> Codes {
    let nibble = |k: usize| {
        let byte = b[4 + 16 * run + k / 16 * 8 + k % 8];
        nibbles(byte)[k % 16 / 8]
    };
    Codes { d: [b[2 * run], b[2 * run + 1]].map(half_of_fp8), table: FP4_VALUES, code: from_fn(nibble) }
}

/// Half the value of an FP8 number of four exponent and three fraction bits. Its sign is not used, and its NaN is 0.
fn half_of_fp8(x: u8) -> f32 {
    let (exponent, fraction) = (x >> 3 & 15, x & 7);
    match (x, exponent) {
        (0x7f, _) => 0.0,
        (_, 0) => f32::from(fraction) * (1.0 / 1024.0),
        _ => f32::from_bits((u32::from(exponent) + 119) << 23 | u32::from(fraction) << 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codebook_has_a_point_for_every_number_that_blocks_can_hold() {
        let want = [
            (Format::IQ1_S, 2048),
            (Format::IQ1_M, 2048),
            (Format::IQ2_XXS, 256),
            (Format::IQ2_XS, 512),
            (Format::IQ2_S, 1024),
            (Format::IQ3_XXS, 256),
            (Format::IQ3_S, 512),
            (Format::Q3_K, 0),
        ];
        for (format, n) in want {
            assert_eq!(Codebook::new(format).points.len(), n, "{}", format.name());
        }
    }
}
