//! Floats to blocks of Q2_K to Q6_K, IQ4_NL and IQ4_XS: what [`search`](super::search) found, in the file's bits.
//!
//! # Source
//! The `block_*` structs of ggml; the search is this engine's own.

use super::runs::IQ4_NL_VALUES;
use super::search::{Fit, Layout, Levels, fit, fit_one, nearest_of};
use super::{Format, Quantize};

/// Floats to blocks, and how much the error of each float matters: `block_len × n` floats and weights in, `block_bytes × n`
/// bytes out.
pub type Search = fn(&[f32], &[f32], &mut [u8]);

impl Format {
    /// What turns floats to blocks of this format by a search for the least error, with or without weights; `None` for formats
    /// that are [rounded plainly](Format::quantizer) or cannot be written.
    pub fn search(self) -> Option<Search> {
        match self {
            Format::Q2_K => Some(q2_k),
            Format::Q3_K => Some(q3_k),
            Format::Q4_K => Some(q4_k),
            Format::Q5_K => Some(q5_k),
            Format::Q6_K => Some(q6_k),
            Format::IQ4_NL => Some(iq4_nl),
            Format::IQ4_XS => Some(iq4_xs),
            _ => None,
        }
    }

    /// Turns floats to blocks of this format, in whichever way it is written. Weights, one for each float, only matter where
    /// there is a search.
    ///
    /// Returns whether the format can be written.
    pub fn quantize(self, values: &[f32], weights: Option<&[f32]>, out: &mut [u8]) -> bool {
        match (self.search(), self.quantizer()) {
            (Some(search), _) => match weights {
                Some(weights) => search(values, weights, out),
                None => search(values, &vec![1.0; values.len()], out),
            },
            (None, Some(quantize)) => (quantize as Quantize)(values, out),
            (None, None) => return false,
        }
        true
    }
}

static NEAREST: [f32; 512] = nearest_of(&IQ4_NL_VALUES);

const Q2_K: Layout = Layout { levels: Levels::Linear(0, 3), n: 16, scales: [0, 15], most_min: 15 };
const Q3_K: Layout = Layout { levels: Levels::Linear(-4, 3), n: 16, scales: [-32, 31], most_min: 0 };
const Q4_K: Layout = Layout { levels: Levels::Linear(0, 15), n: 32, scales: [0, 63], most_min: 63 };
const Q5_K: Layout = Layout { levels: Levels::Linear(0, 31), ..Q4_K };
const Q6_K: Layout = Layout { levels: Levels::Linear(-32, 31), n: 16, scales: [-128, 127], most_min: 0 };
static IQ4_XS: Layout = Layout { levels: Levels::Table(&NEAREST), n: 32, scales: [-32, 31], most_min: 0 };

/// Calls `write` with each block of 256 and zeros to write it to.
fn blocks<const N: usize>(x: &[f32], w: &[f32], out: &mut [u8], layout: &Layout, write: fn(&Fit, &mut [u8; N])) {
    let inputs = x.chunks_exact(256).zip(w.chunks_exact(256));
    for (out, (x, w)) in out.as_chunks_mut::<N>().0.iter_mut().zip(inputs) {
        *out = [0; N];
        write(&fit(x, w, layout), out);
    }
}

/// 16 bytes of a scale and a minimum for each 16 values, 64 of two bits, d, dmin.
fn q2_k(x: &[f32], w: &[f32], out: &mut [u8]) {
    blocks::<84>(x, w, out, &Q2_K, |fit, out| {
        for (out, (scale, min)) in out.iter_mut().zip(fit.scales.iter().zip(&fit.mins)).take(16) {
            *out = (scale | min << 4) as u8;
        }
        for (i, q) in fit.q.iter().enumerate() {
            out[16 + i / 128 * 32 + i % 32] |= (*q as u8) << (i / 32 % 4 * 2);
        }
        out[80..82].copy_from_slice(&fit.d.to_le_bytes());
        out[82..].copy_from_slice(&fit.dmin.to_le_bytes());
    });
}

/// 32 bytes of third bits, 64 of low two bits, 12 of scales, d.
fn q3_k(x: &[f32], w: &[f32], out: &mut [u8]) {
    blocks::<110>(x, w, out, &Q3_K, |fit, out| {
        for (i, q) in fit.q.iter().enumerate() {
            let code = (q + 4) as u8;
            out[i % 32] |= (code >> 2) << (i / 32);
            out[32 + i / 128 * 32 + i % 32] |= (code & 3) << (i / 32 % 4 * 2);
        }
        for j in 0..16 {
            let scale = (fit.scales[j] + 32) as u8;
            out[96 + j % 8] |= (scale & 15) << (j / 8 * 4);
            out[104 + j % 4] |= (scale >> 4) << (j / 4 * 2);
        }
        out[108..].copy_from_slice(&fit.d.to_le_bytes());
    });
}

/// d, dmin, and 12 bytes of scales and minima with six bits each.
fn head(fit: &Fit, out: &mut [u8]) {
    out[..2].copy_from_slice(&fit.d.to_le_bytes());
    out[2..4].copy_from_slice(&fit.dmin.to_le_bytes());
    for j in 0..4 {
        let [scale, min] = [fit.scales[j], fit.mins[j]].map(|n| n as u8);
        let [scale4, min4] = [fit.scales[j + 4], fit.mins[j + 4]].map(|n| n as u8);
        out[4 + j] = scale | scale4 >> 4 << 6;
        out[8 + j] = min | min4 >> 4 << 6;
        out[12 + j] = scale4 & 15 | (min4 & 15) << 4;
    }
}

/// The low four bits of runs 2i and 2i + 1 in 32 bytes.
fn put_nibbles(fit: &Fit, out: &mut [u8]) {
    for (i, q) in fit.q.iter().enumerate() {
        out[i / 64 * 32 + i % 32] |= (*q as u8 & 15) << (i / 32 % 2 * 4);
    }
}

fn q4_k(x: &[f32], w: &[f32], out: &mut [u8]) {
    blocks::<144>(x, w, out, &Q4_K, |fit, out| {
        head(fit, out);
        put_nibbles(fit, &mut out[16..]);
    });
}

/// As Q4_K, with 32 bytes of fifth bits between scales and nibbles.
fn q5_k(x: &[f32], w: &[f32], out: &mut [u8]) {
    blocks::<176>(x, w, out, &Q5_K, |fit, out| {
        head(fit, out);
        for (i, q) in fit.q.iter().enumerate() {
            out[16 + i % 32] |= (*q as u8 >> 4) << (i / 32);
        }
        put_nibbles(fit, &mut out[48..]);
    });
}

/// Low four bits, high two bits, scales, d: see [`BlockQ6K::quant`](super::BlockQ6K::quant) for their order.
fn q6_k(x: &[f32], w: &[f32], out: &mut [u8]) {
    blocks::<210>(x, w, out, &Q6_K, |fit, out| {
        for (i, q) in fit.q.iter().enumerate() {
            let (code, part, run, lane) = ((q + 32) as u8, i / 128, i % 128 / 32, i % 32);
            out[part * 64 + run % 2 * 32 + lane] |= (code & 15) << (4 * (run / 2));
            out[128 + part * 32 + lane] |= (code >> 4) << (2 * run);
        }
        for j in 0..16 {
            out[192 + j] = fit.scales[j] as i8 as u8;
        }
        out[208..].copy_from_slice(&fit.d.to_le_bytes());
    });
}

/// Which entry of the table a value is.
fn code(value: i8) -> u8 {
    IQ4_NL_VALUES.iter().position(|entry| *entry == value).unwrap_or(0) as u8
}

/// 16 bytes: the first 16 values in the low nibbles, the others in the high ones.
fn put_codes(q: &[i8], out: &mut [u8]) {
    for (i, out) in out.iter_mut().enumerate().take(16) {
        *out = code(q[i]) | code(q[i + 16]) << 4;
    }
}

/// d, nibbles.
fn iq4_nl(x: &[f32], w: &[f32], out: &mut [u8]) {
    let inputs = x.chunks_exact(32).zip(w.chunks_exact(32));
    for (out, (x, w)) in out.as_chunks_mut::<18>().0.iter_mut().zip(inputs) {
        let (d, q) = fit_one(x, w, Levels::Table(&NEAREST));
        out[..2].copy_from_slice(&d.to_le_bytes());
        put_codes(&q, &mut out[2..]);
    }
}

/// d, the scales' high two bits, their low four, nibbles.
fn iq4_xs(x: &[f32], w: &[f32], out: &mut [u8]) {
    blocks::<136>(x, w, out, &IQ4_XS, |fit, out| {
        out[..2].copy_from_slice(&fit.d.to_le_bytes());
        let mut high = 0;
        for j in 0..8 {
            let scale = (fit.scales[j] + 32) as u16;
            high |= scale >> 4 << (2 * j);
            out[4 + j / 2] |= (scale as u8 & 15) << (j % 2 * 4);
            put_codes(&fit.q[32 * j..], &mut out[8 + 16 * j..]);
        }
        out[2..4].copy_from_slice(&high.to_le_bytes());
    });
}
