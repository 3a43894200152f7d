//! Q6_K: 256 six-bit values, a scale for each 16 of them, and a scale of the scales.

use super::float::f16_to_f32;

/// 256 values: `x[i] = d · scales[i / 16] · (q[i] − 32)`; a quant has its low four bits in `ql` and its high two in `qh`.
///
/// # Source
/// `block_q6_K` in ggml's `ggml-common.h`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct BlockQ6K {
    /// Low four bits of the quants.
    pub ql: [u8; 128],
    /// High two bits of the quants.
    pub qh: [u8; 64],
    /// A signed scale for each 16 values.
    pub scales: [i8; 16],
    /// The scale of the scales, as f16 bits.
    pub d: u16,
}

const _: () = assert!(size_of::<BlockQ6K>() == 210);

impl BlockQ6K {
    /// Reads one block as the file stores it.
    pub fn from_bytes(bytes: &[u8; 210]) -> BlockQ6K {
        let mut block =
            BlockQ6K { ql: [0; 128], qh: [0; 64], scales: [0; 16], d: u16::from_le_bytes([bytes[208], bytes[209]]) };
        block.ql.copy_from_slice(&bytes[..128]);
        block.qh.copy_from_slice(&bytes[128..192]);
        for (scale, byte) in block.scales.iter_mut().zip(&bytes[192..208]) {
            *scale = *byte as i8;
        }
        block
    }

    /// The quant of value `i`, −32 ..= 31; `i` is taken modulo 256.
    ///
    /// Each half of the block interleaves four runs of 32 values: `ql` holds runs 0 and 2 in the nibbles of its first
    /// 32 bytes, 1 and 3 in those of its next 32, and `qh` two bits of every run in each of its 32 bytes.
    pub fn quant(&self, i: usize) -> i8 {
        let (half, run, lane) = (i % 256 / 128, i % 128 / 32, i % 32);
        let low = self.ql[half * 64 + (run % 2) * 32 + lane] >> (4 * (run / 2)) & 15;
        let high = self.qh[half * 32 + lane] >> (2 * run) & 3;
        (low | high << 4) as i8 - 32
    }

    /// The scale that value `i` is multiplied by: d · scales[i / 16], exact in f32.
    pub fn scale(&self, i: usize) -> f32 {
        f16_to_f32(self.d) * f32::from(self.scales[i % 256 / 16])
    }
}
