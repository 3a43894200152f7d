//! Q8_0: 32 signed bytes and one scale.

use super::float::{f16_to_f32, f32_to_f16};

/// 32 values: `x[i] = d · qs[i]`.
///
/// # Source
/// `block_q8_0` in ggml's `ggml-common.h`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct BlockQ8_0 {
    /// The scale, as f16 bits.
    pub d: u16,
    /// The quants, −128 ..= 127 (ggml writes −127 ..= 127).
    pub qs: [i8; 32],
}

const _: () = assert!(size_of::<BlockQ8_0>() == 34);

impl BlockQ8_0 {
    /// Reads one block as the file stores it.
    pub fn from_bytes(bytes: &[u8; 34]) -> BlockQ8_0 {
        let mut qs = [0; 32];
        for (q, byte) in qs.iter_mut().zip(&bytes[2..]) {
            *q = *byte as i8;
        }
        BlockQ8_0 { d: u16::from_le_bytes([bytes[0], bytes[1]]), qs }
    }
}

pub(super) fn dequantize(bytes: &[u8], out: &mut [f32]) {
    for (values, raw) in out.as_chunks_mut::<32>().0.iter_mut().zip(bytes.as_chunks::<34>().0) {
        let block = BlockQ8_0::from_bytes(raw);
        let d = f16_to_f32(block.d);
        for (value, q) in values.iter_mut().zip(block.qs) {
            *value = f32::from(q) * d;
        }
    }
}

/// As ggml's reference: d = max|x| / 127, quants rounded to nearest, halves away from zero.
pub(super) fn quantize(values: &[f32], out: &mut [u8]) {
    for (x, raw) in values.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<34>().0) {
        let amax = x.iter().fold(0f32, |m, v| m.max(v.abs()));
        let d = amax / 127.0;
        let id = if d == 0.0 { 0.0 } else { 1.0 / d };
        raw[..2].copy_from_slice(&f32_to_f16(d).to_le_bytes());
        for (byte, v) in raw[2..].iter_mut().zip(x) {
            *byte = (v * id).round() as i8 as u8;
        }
    }
}
