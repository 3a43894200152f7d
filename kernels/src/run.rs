//! One row of a packed block, taken apart: the common form of every quantized format.

/// 32 quantized weights of one row: `w[k] = (d · scale[k / 16]) · q[k] − dmin · min[k / 16]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The scale of the scales, as f16 bits.
    pub d: u16,
    /// The scale of the minima, as f16 bits.
    pub dmin: u16,
    /// A scale for each 16 weights.
    pub scale: [i8; 2],
    /// A minimum for each 16 weights.
    pub min: [u8; 2],
    /// The quants, with their format's offset taken off.
    pub q: [i8; 32],
}

impl Run {
    /// A run with one scale and no minimum: `d · q[k]`.
    pub fn plain(d: u16, q: [i8; 32]) -> Run {
        Run { d, dmin: 0, scale: [1; 2], min: [0; 2], q }
    }
}
