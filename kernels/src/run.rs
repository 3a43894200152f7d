//! One row of a packed block, taken apart: the common forms of the quantized formats.

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

/// 32 quantized weights of one row that stand in a table: `w[k] = d[k / 16] · table[code[k]]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Codes {
    /// A scale for each 16 weights.
    pub d: [f32; 2],
    /// The format's table, the same for all rows of a matrix.
    pub table: [i8; 16],
    /// Places in the table, 0 ..= 15.
    pub code: [u8; 32],
}

impl Codes {
    /// Value `k` (taken modulo 32), rounded once.
    pub fn value(&self, k: usize) -> f32 {
        self.d[k % 32 / 16] * f32::from(self.table[usize::from(self.code[k % 32] % 16)])
    }
}
