//! The packed layouts: eight rows side by side, in the order in which the kernels read them.
//!
//! ```text
//! rows r .. r+8 of a matrix, columns in blocks of 32:
//!   Q8x8   d: 8 × f16 │ step 0: row 0 k 0..4, row 1 k 0..4, … row 7 k 0..4 │ step 1: k 4..8 │ … │ step 7: k 28..32
//!   Q4x8   d: 8 × f16 │ pair 0: the nibbles of step 0 (low) and of step 1 (high) │ … │ pair 3
//!   Q4Kx8  d: 8 × f16 │ dmin: 8 × f16 │ scale: 8 × i8 │ min: 8 × u8 │ pairs as in Q4x8
//!   Q5Kx8  d: 8 × f16 │ dmin: 8 × f16 │ scale: 8 × i8 │ min: 8 × u8 │ offset: u16 │ pairs as in Q4x8 │ 32 × the fifth bits of
//!          steps 0 to 7
//!   Q6Kx8  d: 8 × f16 │ dmin: 8 × f16 │ scale: 2 × 8 × i8 │ min: 2 × 8 × u8 (for each 16 columns) │ steps as in Q8x8
//!   Q4Tx8  d: 2 × 8 × f32 (for each 16 columns) │ table: 16 × i8 │ pairs as in Q4x8
//!   floats k 0: row 0 … row 7 │ k 1: row 0 … row 7 │ …   (f32, f16 or bf16)
//! ```
//!
//! One column step of four rows fills 16 bytes, so a dot product needs no horizontal sum, and each half of a matrix is read as
//! one sequential stream.

use crate::activation::Activation;
use crate::dot::{Dot, Sums};
use crate::lanes::{B16, F4, I4};
use crate::run::{Codes, Run};
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

/// 8 rows × 32 columns of nibbles with minima, 5.5 bits a weight: Q4_K, Q4_1.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Q4Kx8 {
    /// Scales of the scales by row, as f16 bits.
    pub d: [u16; 8],
    /// Scales of the minima by row, as f16 bits.
    pub dmin: [u16; 8],
    /// Scales by row.
    pub scale: [i8; 8],
    /// Minima by row.
    pub min: [u8; 8],
    /// Quants, as in [`Q4x8`].
    pub q: [[u8; 32]; 4],
}

/// 8 rows × 32 columns of five bits with minima, 6.56 bits a weight: Q5_K, Q5_0, Q5_1.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Q5Kx8 {
    /// Scales of the scales by row, as f16 bits.
    pub d: [u16; 8],
    /// Scales of the minima by row, as f16 bits.
    pub dmin: [u16; 8],
    /// Scales by row.
    pub scale: [i8; 8],
    /// Minima by row.
    pub min: [u8; 8],
    /// What has been added to all quants: 0 or 16, the same in a whole matrix.
    pub offset: u16,
    /// The quants' low four bits, as in [`Q4x8`].
    pub q: [[u8; 32]; 4],
    /// Their fifth bits: bit k / 4 of `high[row * 4 + k % 4]`.
    pub high: [u8; 32],
}

/// 8 rows × 32 columns of at most six bits with scales and minima for each 16 columns, in 10 bits a weight: Q6_K, Q2_K.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Q6Kx8 {
    /// Scales of the scales by row, as f16 bits.
    pub d: [u16; 8],
    /// Scales of the minima by row, as f16 bits.
    pub dmin: [u16; 8],
    /// Scales: `scale[k / 16][row]`.
    pub scale: [[i8; 8]; 2],
    /// Minima: `min[k / 16][row]`.
    pub min: [[u8; 8]; 2],
    /// Quants + 32, 0 ..= 63: `q[k / 4][row * 4 + k % 4]`.
    pub q: [[u8; 32]; 8],
}

/// 8 rows × 32 columns of nibbles that choose from a table, in 6.5 bits a weight: Q3_K, IQ4_XS, MXFP4, NVFP4, IQ1 to IQ3.
///
/// These formats have few values and scales of more digits than an f16 has; as floats the scales are exact.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Q4Tx8 {
    /// Scales: `d[k / 16][row]`.
    pub d: [[f32; 8]; 2],
    /// What the nibbles stand for.
    pub table: [i8; 16],
    /// Places in the table, as the quants in [`Q4x8`].
    pub q: [[u8; 32]; 4],
}

const _: () = assert!(size_of::<Q8x8>() == 272 && size_of::<Q4x8>() == 144 && size_of::<Q4Tx8>() == 208);
const _: () = assert!(size_of::<Q4Kx8>() == 176 && size_of::<Q5Kx8>() == 210 && size_of::<Q6Kx8>() == 320);

/// One number for each of eight rows: rows 0 to 3, rows 4 to 7.
pub(crate) type Rows = [F4; 2];

/// A packed layout of integers: 8 rows × 32 columns.
pub(crate) trait QuantBlock: Pod {
    /// For each of `N` inputs, adds this block's share of the dot product of each row:
    /// (d · x.d) · Σ scale·q·x.q, and takes off (dmin · x.d) · Σ min·x.q. The integer sums are exact; the products, the
    /// addition and the subtraction are in this order.
    fn accumulate<D: Dot, const N: usize>(&self, dot: D, x: [&Activation; N], sums: &mut [Rows; N]);
}

/// What quants are, with their offset.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quants {
    /// Signed bytes.
    Bytes,
    /// 0 ..= 15
    Nibbles,
    /// 0 ..= 31
    Fives,
    /// 0 ..= 63
    Sixes,
}

/// A layout whose blocks can be unpacked, for [`crate::gemm`].
pub(crate) trait Unpack: QuantBlock {
    /// What the quants are.
    const QUANTS: Quants;
    /// How many integer scales a row has for 32 columns: none, one, or one for each 16.
    const SCALES: usize;

    /// What has been added to the quants so that they are not negative, the same in a whole matrix; 0 where they are signed
    /// bytes.
    fn offset(&self) -> i32;

    /// Scales of the scales.
    fn d(&self) -> Rows;

    /// Quants with their offset: columns 4 · `step` .. of rows 0 to 3 and of rows 4 to 7.
    fn step(&self, step: usize) -> [B16; 2];

    /// Integer scales of 16 columns.
    #[inline(always)]
    fn scale(&self, _half: usize) -> Sums {
        [I4::splat(1); 2]
    }

    /// Minima, unless there are none or all are zero.
    #[inline(always)]
    fn minima(&self) -> Option<Minima<'_>> {
        None
    }
}

/// A block's minima: `dmin · min`.
pub(crate) struct Minima<'a> {
    /// Scales of the minima by row, as f16 bits.
    pub dmin: &'a [u16; 8],
    /// By row, for each 16 columns.
    pub min: [&'a [u8; 8]; 2],
}

/// Each layout's rows one by one, for those who pack them and those who look into them. `#[inline]`, here and below, so
/// that they are compiled where they are called, which is the part that is compiled for size.
macro_rules! rows_as_runs {
    ($block:ident as $run_type:ident, $b:ident, $row:ident => $run:expr, $from:ident => $put:block) => {
        impl $block {
            /// Row `row` (taken modulo 8).
            #[inline]
            pub fn run(&self, row: usize) -> $run_type {
                let ($b, $row) = (self, row % 8);
                $run
            }

            /// Sets row `row` (taken modulo 8); the layout must have room for what the run holds.
            #[inline]
            pub fn put(&mut self, row: usize, run: &$run_type) {
                let ($b, $row, $from) = (self, row % 8, run);
                $put
            }
        }
    };
}

rows_as_runs!(Q8x8 as Run, block, row => Run::plain(block.d[row], bytes(&block.q, row).map(|q| q as i8)), run => {
    block.d[row] = run.d;
    put_bytes(&mut block.q, row, run.q.map(|q| q as u8));
});

rows_as_runs!(Q4x8 as Run, block, row => Run::plain(block.d[row], nibbles(&block.q, row).map(|q| q as i8 - 8)), run => {
    block.d[row] = run.d;
    put_nibbles(&mut block.q, row, run.q.map(|q| (q + 8) as u8));
});

rows_as_runs!(Q4Kx8 as Run, block, row => Run {
    d: block.d[row],
    dmin: block.dmin[row],
    scale: [block.scale[row]; 2],
    min: [block.min[row]; 2],
    q: nibbles(&block.q, row).map(|q| q as i8),
}, run => {
    (block.d[row], block.dmin[row]) = (run.d, run.dmin);
    (block.scale[row], block.min[row]) = (run.scale[0], run.min[0]);
    put_nibbles(&mut block.q, row, run.q.map(|q| q as u8));
});

rows_as_runs!(Q5Kx8 as Run, block, row => {
    let low = nibbles(&block.q, row);
    let fifth = |k: usize| (block.high[row * 4 + k % 4] >> (k / 4) & 1) << 4;
    Run {
        d: block.d[row],
        dmin: block.dmin[row],
        scale: [block.scale[row]; 2],
        min: [block.min[row]; 2],
        q: core::array::from_fn(|k| (low[k] | fifth(k)) as i8 - block.offset as i8),
    }
}, run => {
    (block.d[row], block.dmin[row]) = (run.d, run.dmin);
    (block.scale[row], block.min[row]) = (run.scale[0], run.min[0]);
    let q = run.q.map(|q| q.wrapping_add(block.offset as i8) as u8);
    put_nibbles(&mut block.q, row, q);
    for k in 0..4 {
        block.high[row * 4 + k] = (0..8).map(|step| (q[step * 4 + k] >> 4 & 1) << step).sum();
    }
});

rows_as_runs!(Q6Kx8 as Run, block, row => Run {
    d: block.d[row],
    dmin: block.dmin[row],
    scale: [block.scale[0][row], block.scale[1][row]],
    min: [block.min[0][row], block.min[1][row]],
    q: bytes(&block.q, row).map(|q| (q as i8).wrapping_sub(32)),
}, run => {
    (block.d[row], block.dmin[row]) = (run.d, run.dmin);
    for half in 0..2 {
        (block.scale[half][row], block.min[half][row]) = (run.scale[half], run.min[half]);
    }
    put_bytes(&mut block.q, row, run.q.map(|q| (q.wrapping_add(32) & 63) as u8));
});

rows_as_runs!(Q4Tx8 as Codes, block, row => Codes {
    d: [block.d[0][row], block.d[1][row]],
    table: block.table,
    code: nibbles(&block.q, row),
}, run => {
    (block.d[0][row], block.d[1][row]) = (run.d[0], run.d[1]);
    block.table = run.table;
    put_nibbles(&mut block.q, row, run.code);
});

#[inline]
fn bytes(q: &[[u8; 32]; 8], row: usize) -> [u8; 32] {
    core::array::from_fn(|k| q[k / 4][row * 4 + k % 4])
}

#[inline]
fn put_bytes(q: &mut [[u8; 32]; 8], row: usize, run: [u8; 32]) {
    for (step, four) in q.iter_mut().zip(run.as_chunks::<4>().0) {
        step[row * 4..row * 4 + 4].copy_from_slice(four);
    }
}

#[inline]
fn nibbles(q: &[[u8; 32]; 4], row: usize) -> [u8; 32] {
    core::array::from_fn(|k| q[k / 8][row * 4 + k % 4] >> (k / 4 % 2 * 4) & 15)
}

#[inline]
fn put_nibbles(q: &mut [[u8; 32]; 4], row: usize, run: [u8; 32]) {
    for (pair, eight) in q.iter_mut().zip(run.as_chunks::<8>().0) {
        for k in 0..4 {
            pair[row * 4 + k] = eight[k] & 15 | eight[k + 4] << 4;
        }
    }
}

#[inline(always)]
pub(crate) fn halves<T>(eight: &[T; 8]) -> [&[T; 4]; 2]
where
    T: Copy,
{
    let (fours, _) = eight.as_chunks::<4>();
    [&fours[0], &fours[1]]
}

/// `pair.map(f)`, which is not always compiled in place.
#[inline(always)]
pub(crate) fn both<T, U>([a, b]: [T; 2], f: impl Fn(T) -> U) -> [U; 2] {
    [f(a), f(b)]
}

/// `sums += (scale · d) · dots`, eight rows at once.
#[inline(always)]
fn add_scaled(sums: &mut Rows, scale: Rows, d: f32, dots: Sums) {
    for half in 0..2 {
        let factor = scale[half].mul(F4::splat(d));
        sums[half] = sums[half].add(factor.mul(dots[half].to_f4()));
    }
}

/// `sums −= (dmin · d) · least`, eight rows at once.
#[inline(always)]
fn take_off(sums: &mut Rows, dmin: Rows, d: f32, least: Sums) {
    for half in 0..2 {
        let factor = dmin[half].mul(F4::splat(d));
        sums[half] = sums[half].sub(factor.mul(least[half].to_f4()));
    }
}

impl QuantBlock for Q8x8 {
    #[inline(always)]
    fn accumulate<D: Dot, const N: usize>(&self, dot: D, x: [&Activation; N], sums: &mut [Rows; N]) {
        let scale = both(halves(&self.d), F4::from_f16);
        let dots = dot.bytes(&self.q, x);
        for n in 0..N {
            add_scaled(&mut sums[n], scale, x[n].d, dots[n]);
        }
    }
}

impl QuantBlock for Q4x8 {
    #[inline(always)]
    fn accumulate<D: Dot, const N: usize>(&self, dot: D, x: [&Activation; N], sums: &mut [Rows; N]) {
        let scale = both(halves(&self.d), F4::from_f16);
        let dots = dot.nibbles::<8, N>(&self.q, x);
        for n in 0..N {
            add_scaled(&mut sums[n], scale, x[n].d, dots[n]);
        }
    }
}

impl QuantBlock for Q4Kx8 {
    #[inline(always)]
    fn accumulate<D: Dot, const N: usize>(&self, dot: D, x: [&Activation; N], sums: &mut [Rows; N]) {
        let [d, dmin] = both([&self.d, &self.dmin], |d| both(halves(d), F4::from_f16));
        let (scale, min) = (both(halves(&self.scale), I4::from_i8), both(halves(&self.min), I4::from_u8));
        let dots = dot.nibbles::<0, N>(&self.q, x);
        for n in 0..N {
            let sum = I4::splat(x[n].sum());
            add_scaled(&mut sums[n], d, x[n].d, [dots[n][0].mul(scale[0]), dots[n][1].mul(scale[1])]);
            take_off(&mut sums[n], dmin, x[n].d, both(min, |min| min.mul(sum)));
        }
    }
}

impl QuantBlock for Q5Kx8 {
    #[inline(always)]
    fn accumulate<D: Dot, const N: usize>(&self, dot: D, x: [&Activation; N], sums: &mut [Rows; N]) {
        let d = both(halves(&self.d), F4::from_f16);
        let scale = both(halves(&self.scale), I4::from_i8);
        let dots = dot.fives(i32::from(self.offset), &self.q, &self.high, x);
        for n in 0..N {
            add_scaled(&mut sums[n], d, x[n].d, [dots[n][0].mul(scale[0]), dots[n][1].mul(scale[1])]);
        }
        // As in Q6Kx8.
        if self.min != [0; 8] {
            let (dmin, min) = (both(halves(&self.dmin), F4::from_f16), both(halves(&self.min), I4::from_u8));
            for n in 0..N {
                let sum = I4::splat(x[n].sum());
                take_off(&mut sums[n], dmin, x[n].d, both(min, |min| min.mul(sum)));
            }
        }
    }
}

impl QuantBlock for Q6Kx8 {
    #[inline(always)]
    fn accumulate<D: Dot, const N: usize>(&self, dot: D, x: [&Activation; N], sums: &mut [Rows; N]) {
        let d = both(halves(&self.d), F4::from_f16);
        let (steps, _) = self.q.as_chunks::<4>();
        let mut dots = [[I4::splat(0); 2]; N];
        for (half, (steps, scale)) in steps.iter().zip(&self.scale).enumerate() {
            let scale = both(halves(scale), I4::from_i8);
            let shares = dot.sixes(steps, x, half);
            for n in 0..N {
                dots[n] = core::array::from_fn(|i| dots[n][i].add(shares[n][i].mul(scale[i])));
            }
        }
        for n in 0..N {
            add_scaled(&mut sums[n], d, x[n].d, dots[n]);
        }
        // A sum is never −0, so a zero more or less changes no bit: formats without minima skip them.
        if self.min != [[0; 8]; 2] {
            let dmin = both(halves(&self.dmin), F4::from_f16);
            let min = self.min.each_ref().map(|min| both(halves(min), I4::from_u8));
            for n in 0..N {
                let sum = x[n].sums.map(|sum| I4::splat(i32::from(sum)));
                let least = core::array::from_fn(|i| min[0][i].mul(sum[0]).add(min[1][i].mul(sum[1])));
                take_off(&mut sums[n], dmin, x[n].d, least);
            }
        }
    }
}

impl QuantBlock for Q4Tx8 {
    /// As the others, but for 16 columns at a time: the first 16 are added before the next.
    #[inline(always)]
    fn accumulate<D: Dot, const N: usize>(&self, dot: D, x: [&Activation; N], sums: &mut [Rows; N]) {
        let (halves_of_q, _) = self.q.as_chunks::<2>();
        for (half, (q, d)) in halves_of_q.iter().zip(&self.d).enumerate() {
            let d = both(halves(d), F4::load);
            let dots = dot.coded(&self.table, q, x, half);
            for n in 0..N {
                add_scaled(&mut sums[n], d, x[n].d, dots[n]);
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
        both(halves(self), F4::load)
    }
}

/// f16 weights, given by their bits.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub struct F16x8(pub [u16; 8]);

impl FloatBlock for F16x8 {
    #[inline(always)]
    fn widen(&self) -> Rows {
        both(halves(&self.0), F4::from_f16)
    }
}

/// bf16 weights, given by their bits.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub struct Bf16x8(pub [u16; 8]);

impl FloatBlock for Bf16x8 {
    #[inline(always)]
    fn widen(&self) -> Rows {
        both(halves(&self.0), F4::from_bf16)
    }
}

/// Columns 4 · `step` .. of eight rows of nibbles.
#[inline(always)]
fn nibble_step(q: &[[u8; 32]; 4], step: usize) -> [B16; 2] {
    byte_step(&q[step / 2]).map(|w| if step.is_multiple_of(2) { w.and(15) } else { w.shift_right(4).and(15) })
}

#[inline(always)]
fn byte_step(q: &[u8; 32]) -> [B16; 2] {
    let (sixteens, _) = q.as_chunks::<16>();
    [B16::load(&sixteens[0]), B16::load(&sixteens[1])]
}

impl Unpack for Q8x8 {
    const QUANTS: Quants = Quants::Bytes;
    const SCALES: usize = 0;

    #[inline(always)]
    fn offset(&self) -> i32 {
        0
    }

    #[inline(always)]
    fn d(&self) -> Rows {
        both(halves(&self.d), F4::from_f16)
    }

    #[inline(always)]
    fn step(&self, step: usize) -> [B16; 2] {
        byte_step(&self.q[step])
    }
}

impl Unpack for Q4x8 {
    const QUANTS: Quants = Quants::Nibbles;
    const SCALES: usize = 0;

    #[inline(always)]
    fn offset(&self) -> i32 {
        8
    }

    #[inline(always)]
    fn d(&self) -> Rows {
        both(halves(&self.d), F4::from_f16)
    }

    #[inline(always)]
    fn step(&self, step: usize) -> [B16; 2] {
        nibble_step(&self.q, step)
    }
}

impl Unpack for Q4Kx8 {
    const QUANTS: Quants = Quants::Nibbles;
    const SCALES: usize = 1;

    #[inline(always)]
    fn offset(&self) -> i32 {
        0
    }

    #[inline(always)]
    fn d(&self) -> Rows {
        both(halves(&self.d), F4::from_f16)
    }

    #[inline(always)]
    fn step(&self, step: usize) -> [B16; 2] {
        nibble_step(&self.q, step)
    }

    #[inline(always)]
    fn scale(&self, _half: usize) -> Sums {
        both(halves(&self.scale), I4::from_i8)
    }

    #[inline(always)]
    fn minima(&self) -> Option<Minima<'_>> {
        Some(Minima { dmin: &self.dmin, min: [&self.min; 2] })
    }
}

impl Unpack for Q5Kx8 {
    const QUANTS: Quants = Quants::Fives;
    const SCALES: usize = 1;

    #[inline(always)]
    fn offset(&self) -> i32 {
        i32::from(self.offset)
    }

    #[inline(always)]
    fn d(&self) -> Rows {
        both(halves(&self.d), F4::from_f16)
    }

    #[inline(always)]
    fn step(&self, step: usize) -> [B16; 2] {
        let [low, high] = [nibble_step(&self.q, step), byte_step(&self.high)];
        core::array::from_fn(|i| low[i].or(high[i].shift_right(step as u32).and(1).shift_left(4)))
    }

    #[inline(always)]
    fn scale(&self, _half: usize) -> Sums {
        both(halves(&self.scale), I4::from_i8)
    }

    #[inline(always)]
    fn minima(&self) -> Option<Minima<'_>> {
        (self.min != [0; 8]).then_some(Minima { dmin: &self.dmin, min: [&self.min; 2] })
    }
}

impl Unpack for Q6Kx8 {
    const QUANTS: Quants = Quants::Sixes;
    const SCALES: usize = 2;

    #[inline(always)]
    fn offset(&self) -> i32 {
        32
    }

    #[inline(always)]
    fn d(&self) -> Rows {
        both(halves(&self.d), F4::from_f16)
    }

    #[inline(always)]
    fn step(&self, step: usize) -> [B16; 2] {
        byte_step(&self.q[step])
    }

    #[inline(always)]
    fn scale(&self, half: usize) -> Sums {
        both(halves(&self.scale[half]), I4::from_i8)
    }

    #[inline(always)]
    fn minima(&self) -> Option<Minima<'_>> {
        let min = self.min.each_ref();
        (self.min != [[0; 8]; 2]).then_some(Minima { dmin: &self.dmin, min })
    }
}
