//! Q4_0: 32 nibbles and one scale.

use super::float::{f16_to_f32, f32_to_f16};

/// 32 values: `x[i] = d · (q[i] − 8)`, where q of i < 16 is the low nibble of `qs[i]`, and q of i + 16 its high one.
///
/// # Source
/// `block_q4_0` in ggml's `ggml-common.h`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct BlockQ4_0 {
    /// The scale, as f16 bits.
    pub d: u16,
    /// Two quants a byte, 0 ..= 15 each.
    pub qs: [u8; 16],
}

const _: () = assert!(size_of::<BlockQ4_0>() == 18);

impl BlockQ4_0 {
    /// Reads one block as the file stores it.
    pub fn from_bytes(bytes: &[u8; 18]) -> BlockQ4_0 {
        let mut qs = [0; 16];
        qs.copy_from_slice(&bytes[2..]);
        BlockQ4_0 { d: u16::from_le_bytes([bytes[0], bytes[1]]), qs }
    }

    /// The quant of value `i`, 0 ..= 15; `i` is taken modulo 32.
    pub fn quant(&self, i: usize) -> u8 {
        let byte = self.qs[i % 16];
        if i % 32 < 16 { byte & 15 } else { byte >> 4 }
    }
}

pub(super) fn dequantize(bytes: &[u8], out: &mut [f32]) {
    for (values, raw) in out.as_chunks_mut::<32>().0.iter_mut().zip(bytes.as_chunks::<18>().0) {
        let block = BlockQ4_0::from_bytes(raw);
        let d = f16_to_f32(block.d);
        for (i, value) in values.iter_mut().enumerate() {
            *value = f32::from(block.quant(i) as i8 - 8) * d;
        }
    }
}

/// As ggml's reference: the value of largest magnitude becomes exactly −8 · d.
pub(super) fn quantize(values: &[f32], out: &mut [u8]) {
    for (x, raw) in values.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<18>().0) {
        let largest = x.iter().fold(0f32, |m, v| if v.abs() > m.abs() { *v } else { m });
        let d = largest / -8.0;
        let id = if d == 0.0 { 0.0 } else { 1.0 / d };
        raw[..2].copy_from_slice(&f32_to_f16(d).to_le_bytes());
        let quant = |v: f32| ((v * id + 8.5) as u8).min(15);
        for i in 0..16 {
            raw[2 + i] = quant(x[i]) | quant(x[i + 16]) << 4;
        }
    }
}
