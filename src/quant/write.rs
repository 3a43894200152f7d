//! Floats to blocks of Q4_1, Q5_0 and Q5_1, by ggml's plain rounding.
//!
//! # Source
//! `quantize_row_*_ref` of ggml, and `gguf.quants` of <https://pypi.org/project/gguf/>.

use super::float::f32_to_f16;

/// d = (largest − least) / 15, m = least.
pub(super) fn q4_1(values: &[f32], out: &mut [u8]) {
    for (x, raw) in values.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<20>().0) {
        let (head, qs) = raw.split_at_mut(4);
        put_nibbles(qs, &from_least(x, 15, head));
    }
}

/// The value of largest magnitude becomes exactly −16 · d.
pub(super) fn q5_0(values: &[f32], out: &mut [u8]) {
    for (x, raw) in values.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<22>().0) {
        let largest = x.iter().fold(0f32, |m, v| if v.abs() > m.abs() { *v } else { m });
        let d = largest / -16.0;
        let id = inverse(d);
        raw[..2].copy_from_slice(&f32_to_f16(d).to_le_bytes());
        put_fives(&mut raw[2..], &x.map(|v| ((v * id + 16.5) as u8).min(31)));
    }
}

/// d = (largest − least) / 31, m = least.
pub(super) fn q5_1(values: &[f32], out: &mut [u8]) {
    for (x, raw) in values.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<24>().0) {
        let (head, qs) = raw.split_at_mut(4);
        put_fives(qs, &from_least(x, 31, head));
    }
}

fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

/// Writes d and m to `head`; returns what is to be multiplied by d, 0 ..= `top`.
fn from_least(x: &[f32; 32], top: u8, head: &mut [u8]) -> [u8; 32] {
    let least = x.iter().fold(f32::INFINITY, |m, v| if *v < m { *v } else { m });
    let largest = x.iter().fold(f32::NEG_INFINITY, |m, v| if *v > m { *v } else { m });
    let d = (largest - least) / f32::from(top);
    let id = inverse(d);
    head[..2].copy_from_slice(&f32_to_f16(d).to_le_bytes());
    head[2..4].copy_from_slice(&f32_to_f16(least).to_le_bytes());
    x.map(|v| (((v - least) * id + 0.5) as u8).min(top))
}

/// The low four bits: those of the first 16 values in the low nibbles of 16 bytes, those of the others in the high ones.
fn put_nibbles(out: &mut [u8], q: &[u8; 32]) {
    for (k, out) in out.iter_mut().enumerate().take(16) {
        *out = q[k] & 15 | q[k + 16] << 4;
    }
}

/// A bit for each value, the fifth of each, and then the nibbles.
fn put_fives(out: &mut [u8], q: &[u8; 32]) {
    let fifths = q.iter().rev().fold(0u32, |bits, q| bits << 1 | u32::from(q >> 4));
    out[..4].copy_from_slice(&fifths.to_le_bytes());
    put_nibbles(&mut out[4..], q);
}
