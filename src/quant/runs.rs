//! The formats whose values are `scale · q − min` with a scale that begins as an f16: 32 of them as a [`Run`], whatever
//! the file's bits look like.
//!
//! # Source
//! The `block_*` structs and `dequantize_row_*` of ggml, and `gguf.quants` of <https://pypi.org/project/gguf/>.

use super::float::f16_to_f32;
use super::{BlockQ6K, Codebook, Format};
use crate::kernels::Run;
use core::array::from_fn;

/// Run number `run` of a block, which is `block_bytes` long; `None` for formats that are no runs.
pub fn run_of(format: Format, block: &[u8], run: usize) -> Option<Run> {
    Some(match format {
        Format::Q4_1 => q4_1(block.first_chunk()?),
        Format::Q5_0 => q5_0(block.first_chunk()?),
        Format::Q5_1 => q5_1(block.first_chunk()?),
        Format::Q2_K => q2_k(block.first_chunk()?, run % 8),
        Format::Q4_K => q4_k(block.first_chunk()?, run % 8),
        Format::Q5_K => q5_k(block.first_chunk()?, run % 8),
        Format::Q6_K => q6_k(block.first_chunk()?, run % 8),
        Format::IQ4_NL => iq4_nl(block.first_chunk()?),
        Format::TQ1_0 => tq1_0(block.first_chunk()?, run % 8),
        Format::TQ2_0 => tq2_0(block.first_chunk()?, run % 8),
        Format::Q1_0 => q1_0(block.first_chunk()?, run % 4),
        Format::Q2_0 => q2_0(block.first_chunk()?, run % 2),
        _ => return None,
    })
}

/// Value `k` of a run (taken modulo 32), rounded after each product and after the difference.
pub fn value(run: &Run, k: usize) -> f32 {
    let (k, half) = (k % 32, k % 32 / 16);
    let scale = f16_to_f32(run.d) * f32::from(run.scale[half]);
    let min = f16_to_f32(run.dmin) * f32::from(run.min[half]);
    scale * f32::from(run.q[k]) - min
}

/// Dequantizes whole blocks of one of these formats, or of those that are [`Codes`](crate::kernels::Codes).
pub(super) fn dequantize(format: Format, bytes: &[u8], out: &mut [f32]) {
    let (row, book) = (format.row(), Codebook::new(format));
    for (out, block) in out.chunks_exact_mut(row.block_len).zip(bytes.chunks_exact(row.block_bytes)) {
        for (i, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            if let Some(run) = run_of(format, block, i) {
                out.iter_mut().enumerate().for_each(|(k, out)| *out = value(&run, k));
            } else if let Some(codes) = book.codes(block, i) {
                out.iter_mut().enumerate().for_each(|(k, out)| *out = codes.value(k));
            }
        }
    }
}

/// The f16 bits at a place.
pub(super) fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Value k of 32 nibbles: the low ones of 16 bytes, then the high ones.
pub(super) fn nibble(qs: &[u8], k: usize) -> i8 {
    (qs[k % 16] >> (k / 16 * 4) & 15) as i8
}

/// The fifth bit of value k, where it belongs: bit k of 4 bytes.
fn fifth(qh: &[u8], k: usize) -> i8 {
    ((qh[k / 8] >> (k % 8) & 1) << 4) as i8
}

/// A run `d · q + m`: the minimum is −m.
fn plus(d: u16, m: u16, q: impl FnMut(usize) -> i8) -> Run {
    Run { d, dmin: m ^ 0x8000, scale: [1; 2], min: [1; 2], q: from_fn(q) }
}

/// What the nibbles of IQ4_NL and IQ4_XS stand for.
pub(super) const IQ4_NL_VALUES: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// d, m, 16 bytes of nibbles: `d · q + m`.
fn q4_1(b: &[u8; 20]) -> Run {
    plus(half(b, 0), half(b, 2), |k| nibble(&b[4..], k))
}

/// d, 4 bytes of fifth bits, 16 of nibbles: `d · (q − 16)`.
fn q5_0(b: &[u8; 22]) -> Run {
    Run::plain(half(b, 0), from_fn(|k| (nibble(&b[6..], k) | fifth(&b[2..], k)) - 16))
}

/// d, m, 4 bytes of fifth bits, 16 of nibbles: `d · q + m`.
fn q5_1(b: &[u8; 24]) -> Run {
    plus(half(b, 0), half(b, 2), |k| nibble(&b[8..], k) | fifth(&b[4..], k))
}

/// d, 16 bytes of nibbles that choose from a table: `d · table[q]`.
fn iq4_nl(b: &[u8; 18]) -> Run {
    Run::plain(half(b, 0), from_fn(|k| IQ4_NL_VALUES[nibble(&b[2..], k) as usize]))
}

/// 48 bytes of five ternary digits each, 4 of four, d: `d · (digit − 1)`. A byte is the fraction 0.digits in 256ths,
/// rounded up: times a power of three modulo 256, it has the digit that is asked for before the point of its triple.
fn tq1_0(b: &[u8; 54], run: usize) -> Run {
    let digit = |byte: u8, n: usize| ((u16::from(byte.wrapping_mul([1, 3, 9, 27, 81][n])) * 3) >> 8) as i8 - 1;
    Run::plain(
        half(b, 52),
        from_fn(|k| match run * 32 + k {
            i @ 0..160 => digit(b[i % 32], i / 32),
            i @ 160..240 => digit(b[32 + i % 16], i / 16 - 10),
            i => digit(b[48 + i % 4], i % 16 / 4),
        }),
    )
}

/// 64 bytes of two bits, d: `d · (q − 1)`.
fn tq2_0(b: &[u8; 66], run: usize) -> Run {
    Run::plain(half(b, 64), from_fn(|k| crumb(b, run, k) as i8 - 1))
}

/// d, 16 bytes of bits: `d` where there is one, else `−d`.
fn q1_0(b: &[u8; 18], run: usize) -> Run {
    Run::plain(half(b, 0), from_fn(|k| (b[2 + 4 * run + k / 8] >> (k % 8) & 1) as i8 * 2 - 1))
}

/// d, 16 bytes of two bits: `d · (q − 1)`.
fn q2_0(b: &[u8; 18], run: usize) -> Run {
    Run::plain(half(b, 0), from_fn(|k| (b[2 + 8 * run + k / 4] >> (k % 4 * 2) & 3) as i8 - 1))
}

/// Value k of run j of 256 in two bits: runs 4i .. 4i + 4 are the bits of 32 bytes, the first the lowest.
fn crumb(qs: &[u8], j: usize, k: usize) -> u8 {
    qs[j / 4 * 32 + k] >> (j % 4 * 2) & 3
}

/// Scale and minimum of run j of a K block, six bits each in 12 bytes: those of runs 0 to 3 lie whole in bytes 0 to 3 and
/// 4 to 7; those of runs 4 to 7 have their low four bits in bytes 8 to 11 and their high two atop bytes 0 to 7.
fn scale_and_min(s: &[u8], j: usize) -> (u8, u8) {
    match j {
        0..4 => (s[j] & 63, s[j + 4] & 63),
        _ => (s[j + 4] & 15 | s[j - 4] >> 6 << 4, s[j + 4] >> 4 | s[j] >> 6 << 4),
    }
}

/// d, dmin, 12 bytes of scales and minima, 128 of nibbles: runs 2i and 2i + 1 are the low and the high ones of 32 bytes.
fn k_run(b: &[u8], nibbles: &[u8], run: usize, high: impl Fn(usize) -> u8) -> Run {
    let (scale, min) = scale_and_min(&b[4..16], run);
    let qs = &nibbles[run / 2 * 32..];
    let quant = |k: usize| (qs[k] >> (run % 2 * 4) & 15 | high(k) << 4) as i8;
    Run { d: half(b, 0), dmin: half(b, 2), scale: [scale as i8; 2], min: [min; 2], q: from_fn(quant) }
}

/// 16 bytes of a scale and a minimum for each 16 values, 64 of two bits, d, dmin.
fn q2_k(b: &[u8; 84], run: usize) -> Run {
    let scales = [b[2 * run], b[2 * run + 1]];
    let (scale, min) = (scales.map(|s| (s & 15) as i8), scales.map(|s| s >> 4));
    Run { d: half(b, 80), dmin: half(b, 82), scale, min, q: from_fn(|k| crumb(&b[16..], run, k) as i8) }
}

fn q4_k(b: &[u8; 144], run: usize) -> Run {
    k_run(b, &b[16..], run, |_| 0)
}

/// As Q4_K, with 32 bytes between scales and nibbles: bit j of byte k is the fifth bit of value k of run j.
fn q5_k(b: &[u8; 176], run: usize) -> Run {
    k_run(b, &b[48..], run, |k| b[16 + k] >> run & 1)
}

fn q6_k(b: &[u8; 210], run: usize) -> Run {
    let block = BlockQ6K::from_bytes(b);
    let scale = [block.scales[run * 2], block.scales[run * 2 + 1]];
    Run { scale, ..Run::plain(block.d, from_fn(|k| block.quant(run * 32 + k))) }
}
