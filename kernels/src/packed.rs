//! The packed layouts: eight rows side by side, in the order in which the kernels read them.
//!
//! ```text
//! rows r .. r+8 of a matrix, columns in blocks of 32:
//!   Q8x8   d: 8 × f16 │ step 0: row 0 k 0..4, row 1 k 0..4, … row 7 k 0..4 │ step 1: k 4..8 │ … │ step 7: k 28..32
//!   Q4x8   d: 8 × f16 │ pair 0: the nibbles of step 0 (low) and of step 1 (high) │ … │ pair 3
//!   Q6x8   scale: 2 × 8 × f32 (one for each 16 columns) │ steps as in Q8x8
//!   floats k 0: row 0 … row 7 │ k 1: row 0 … row 7 │ …
//! ```
//!
//! One column step of four rows fills 16 bytes, so a dot product needs no horizontal sum, and a matrix is read as one
//! sequential stream.

use crate::activation::Activation;
use crate::dot::{dot_bytes, dot_nibbles};
use crate::lanes::{F4, I4};
use bytemuck::{Pod, Zeroable};

/// 8 rows × 32 columns of Q8_0: the same 272 bytes that the file uses for them.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Q8x8 {
    /// Scales by row, as f16 bits.
    pub d: [u16; 8],
    /// Quants: `q[k / 4][row * 4 + k % 4]`.
    pub q: [[u8; 32]; 8],
}

/// 8 rows × 32 columns of Q4_0: the same 144 bytes that the file uses for them.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Q4x8 {
    /// Scales by row, as f16 bits.
    pub d: [u16; 8],
    /// Quants 0 ..= 15: `q[k / 8][row * 4 + k % 4]`, low nibble for even k / 4, high nibble for odd.
    pub q: [[u8; 32]; 4],
}

/// 8 rows × 32 columns with a scale for each 16 columns: what Q6_K unpacks to, in 10 bits a weight.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Q6x8 {
    /// Scales: `scale[k / 16][row]`.
    pub scale: [[f32; 8]; 2],
    /// Quants: `q[k / 4][row * 4 + k % 4]`.
    pub q: [[u8; 32]; 8],
}

const _: () = assert!(size_of::<Q8x8>() == 272 && size_of::<Q4x8>() == 144 && size_of::<Q6x8>() == 320);

/// One number for each of eight rows: rows 0 to 3, rows 4 to 7.
pub(crate) type Rows = [F4; 2];

/// A packed layout of integers: 8 rows × 32 columns.
pub(crate) trait QuantBlock: Pod {
    /// For each of `N` inputs, adds this block's share of the dot product of each row: scale · x.d · Σ q·x.q. The
    /// integer sum is exact; the products and the one addition are in this order.
    fn accumulate<const N: usize>(&self, x: [&Activation; N], sums: &mut [Rows; N]);
}

#[inline(always)]
fn halves<T>(eight: &[T; 8]) -> [&[T; 4]; 2]
where
    T: Copy,
{
    let (fours, _) = eight.as_chunks::<4>();
    [&fours[0], &fours[1]]
}

/// `sums += (scale · d) · dots`, eight rows at once.
#[inline(always)]
fn add_scaled_dots(sums: &mut Rows, scale: [F4; 2], d: f32, dots: [I4; 2]) {
    for half in 0..2 {
        let factor = scale[half].mul(F4::splat(d));
        sums[half] = sums[half].add(factor.mul(dots[half].to_f4()));
    }
}

impl QuantBlock for Q8x8 {
    #[inline(always)]
    fn accumulate<const N: usize>(&self, x: [&Activation; N], sums: &mut [Rows; N]) {
        let scale = halves(&self.d).map(F4::from_f16);
        let dots = dot_bytes(&self.q, x.map(|x| &x.q));
        for n in 0..N {
            add_scaled_dots(&mut sums[n], scale, x[n].d, dots[n]);
        }
    }
}

impl QuantBlock for Q4x8 {
    #[inline(always)]
    fn accumulate<const N: usize>(&self, x: [&Activation; N], sums: &mut [Rows; N]) {
        let scale = halves(&self.d).map(F4::from_f16);
        let dots = dot_nibbles(&self.q, x);
        for n in 0..N {
            add_scaled_dots(&mut sums[n], scale, x[n].d, dots[n]);
        }
    }
}

impl QuantBlock for Q6x8 {
    #[inline(always)]
    fn accumulate<const N: usize>(&self, x: [&Activation; N], sums: &mut [Rows; N]) {
        let (steps, _) = self.q.as_chunks::<4>();
        for (half, (steps, scale)) in steps.iter().zip(&self.scale).enumerate() {
            let scale = halves(scale).map(F4::load);
            let dots = dot_bytes(steps, x.map(|x| &x.q.as_chunks::<16>().0[half]));
            for n in 0..N {
                add_scaled_dots(&mut sums[n], scale, x[n].d, dots[n]);
            }
        }
    }
}

/// A packed layout of floats: the values of 8 rows in one column.
pub(crate) trait FloatBlock: Pod {
    /// The eight values as floats, exactly.
    fn widen(&self) -> Rows;
}

/// f32 weights.
impl FloatBlock for [f32; 8] {
    #[inline(always)]
    fn widen(&self) -> Rows {
        halves(self).map(F4::load)
    }
}

/// f16 weights, given by their bits.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub struct F16x8(pub [u16; 8]);

impl FloatBlock for F16x8 {
    #[inline(always)]
    fn widen(&self) -> Rows {
        halves(&self.0).map(F4::from_f16)
    }
}

/// bf16 weights, given by their bits.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub struct Bf16x8(pub [u16; 8]);

impl FloatBlock for Bf16x8 {
    #[inline(always)]
    fn widen(&self) -> Rows {
        halves(&self.0).map(F4::from_bf16)
    }
}
