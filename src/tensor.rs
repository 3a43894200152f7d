//! A matrix of weights: checked once, packed once for the kernels, without loss.
//!
//! A [`Buffer`] takes a tensor's bytes as they arrive; [`Buffer::pack`] makes a [`Tensor`] of it. Where the packed form
//! has the file's size, packing happens in place, eight rows at a time; otherwise the tensor exists twice for a moment,
//! and no other does. Rows are padded to a multiple of eight with zeros.

use crate::error::{Error, Result};
use crate::kernels::{self, Activation, Bf16x8, F16x8, Q4Kx8, Q4Tx8, Q4x8, Q5Kx8, Q6Kx8, Q8x8, Run, Submatrix};
use crate::pool::Pool;
use crate::quant::{Codebook, Format, run_of, value};
use bytemuck::allocation::try_zeroed_vec;
use bytemuck::{Pod, Zeroable, cast_slice, cast_slice_mut};
use core::ops::Range;

/// Weights in one of the packed layouts of [`crate::kernels`].
#[derive(Debug)]
enum Packed {
    F32(Vec<[f32; 8]>),
    F16(Vec<F16x8>),
    Bf16(Vec<Bf16x8>),
    Q8(Vec<Q8x8>),
    Q4(Vec<Q4x8>),
    Q4K(Vec<Q4Kx8>),
    Q5K(Vec<Q5Kx8>),
    Q6K(Vec<Q6Kx8>),
    Q4T(Vec<Q4Tx8>),
}

/// Runs `$body` with `$w` bound to the vector of whichever layout `$packed` is.
macro_rules! with_packed {
    ($packed:expr, $w:ident => $body:expr) => {
        match $packed {
            Packed::F32($w) => $body,
            Packed::F16($w) => $body,
            Packed::Bf16($w) => $body,
            Packed::Q8($w) => $body,
            Packed::Q4($w) => $body,
            Packed::Q4K($w) => $body,
            Packed::Q5K($w) => $body,
            Packed::Q6K($w) => $body,
            Packed::Q4T($w) => $body,
        }
    };
}

/// What rounding 32 activations costs, in multiply-adds.
const ROUNDING_WORK: usize = 512;

/// The least groups of eight rows that a part of a product with several inputs has.
const MIN_GROUPS: usize = 4;

/// A matrix of weights, immutable. That it exists means that its shape and bytes are sound.
#[derive(Debug)]
pub struct Tensor {
    format: Format,
    rows: usize,
    columns: usize,
    packed: Packed,
}

/// The inputs of a multiplication: floats, and the same in 8 bits where a layout needs that.
#[derive(Debug, Default)]
pub struct Inputs {
    quants: Vec<Activation>,
    quantized: bool,
}

impl Inputs {
    /// Room for `n` values; nothing allocates afterwards.
    ///
    /// # Errors
    /// `Limit` where memory does not suffice.
    pub fn new(n: usize) -> Result<Inputs> {
        Ok(Inputs { quants: zeros(n.div_ceil(32))?, quantized: false })
    }

    /// To be called when the floats behind these inputs have changed.
    pub fn changed(&mut self) {
        self.quantized = false;
    }

    fn quants(&mut self, x: &[f32], pool: &Pool) -> &[Activation] {
        let n = x.len() / 32;
        if !self.quantized {
            let per_part = n.div_ceil(pool.n_parts(n * ROUNDING_WORK));
            pool.grid(&mut self.quants[..n], n, [1, per_part], &|_, part, mut blocks| {
                kernels::quantize_activations(&x[32 * part.columns.start..], blocks.row(0));
            });
            self.quantized = true;
        }
        &self.quants[..n]
    }
}

/// `n` zeros.
///
/// # Errors
/// `Limit`, with the number of bytes, where the allocator refuses.
pub fn zeros<T: Zeroable>(n: usize) -> Result<Vec<T>> {
    // By the allocator's own zeroing, which leaves pages untouched until they are used: a header that announces more
    // than the file holds takes addresses, not memory.
    try_zeroed_vec(n).map_err(|()| {
        let bytes = n.saturating_mul(size_of::<T>());
        Error::Limit(format!("there is no memory for {bytes} bytes more: a smaller model or context is needed"))
    })
}

impl Tensor {
    /// Number of rows: the length of an output.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns: the length of an input.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How the file stores it.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes of memory that it takes.
    pub fn packed_bytes(&self) -> usize {
        with_packed!(&self.packed, w => size_of_val(w.as_slice()))
    }

    /// out\[t\]\[r\] = Σₖ w\[r\]\[k\] · x\[t\]\[k\].
    ///
    /// Quantized weights meet inputs that are rounded to 8 bits in blocks of 32; float weights meet the floats.
    ///
    /// # Shapes
    /// `x`: \[T × columns\], the values that `inputs` stands for; `out`: \[T × rows\].
    pub fn matmul(&self, out: &mut [f32], x: &[f32], inputs: &mut Inputs, pool: &Pool) {
        self.matmul_rows(0, self.rows, out, x, inputs, pool);
    }

    /// As [`matmul`](Self::matmul), with `n` rows from the `first` on, a multiple of eight. `out`: \[T × n\].
    pub fn matmul_rows(&self, first: usize, n: usize, out: &mut [f32], x: &[f32], inputs: &mut Inputs, pool: &Pool) {
        let rows = first..first + n;
        match &self.packed {
            Packed::F32(w) => self.split(rows, out, w, x, pool, kernels::matmul_f32),
            Packed::F16(w) => self.split(rows, out, w, x, pool, kernels::matmul_f16),
            Packed::Bf16(w) => self.split(rows, out, w, x, pool, kernels::matmul_bf16),
            Packed::Q8(w) => self.split(rows, out, w, inputs.quants(x, pool), pool, kernels::matmul_q8),
            Packed::Q4(w) => self.split(rows, out, w, inputs.quants(x, pool), pool, kernels::matmul_q4),
            Packed::Q4K(w) => self.split(rows, out, w, inputs.quants(x, pool), pool, kernels::matmul_q4k),
            Packed::Q5K(w) => self.split(rows, out, w, inputs.quants(x, pool), pool, kernels::matmul_q5k),
            Packed::Q6K(w) => self.split(rows, out, w, inputs.quants(x, pool), pool, kernels::matmul_q6k),
            Packed::Q4T(w) => self.split(rows, out, w, inputs.quants(x, pool), pool, kernels::matmul_q4t),
        }
    }

    /// Has some groups of eight rows multiplied by each thread.
    fn split<W: Sync, X: Sync>(
        &self,
        rows: Range<usize>,
        out: &mut [f32],
        w: &[W],
        x: &[X],
        pool: &Pool,
        matmul: fn(Submatrix<'_>, &[W], &[X]),
    ) {
        let per_group = w.len().checked_div(self.rows.div_ceil(8)).unwrap_or(0);
        let first = rows.start / 8;
        let groups = rows.len().div_ceil(8);
        let n_parts = pool.n_parts(out.len().saturating_mul(self.columns));
        // Many inputs are laid side by side once for each part, which should be little beside its products.
        let least = if out.len() > rows.len() { MIN_GROUPS } else { 1 };
        let per_part = groups.div_ceil(n_parts).max(least) * 8;
        pool.grid(out, rows.len(), [out.len(), per_part], &|_, part, place| {
            let groups = first + part.columns.start / 8..first + part.columns.end.div_ceil(8);
            matmul(place, &w[groups.start * per_group..groups.end * per_group], x);
        });
    }

    /// The floats of one row, exactly as [`crate::quant`] gives them for the file's bytes.
    ///
    /// # Shapes
    /// `out`: \[columns\]; `row` < rows, else nothing is written.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        if row >= self.rows {
            return;
        }
        let (group, lane) = (row / 8, row % 8);
        match &self.packed {
            Packed::F32(w) => {
                let w = &w[group * self.columns..];
                out.iter_mut().zip(w).for_each(|(out, w)| *out = w[lane]);
            }
            Packed::F16(w) => half_row(out, cast_slice(&w[group * self.columns..]), lane, Format::F16),
            Packed::Bf16(w) => half_row(out, cast_slice(&w[group * self.columns..]), lane, Format::BF16),
            Packed::Q8(w) => self.run_row(out, group, &|block| w[block].run(lane)),
            Packed::Q4(w) => self.run_row(out, group, &|block| w[block].run(lane)),
            Packed::Q4K(w) => self.run_row(out, group, &|block| w[block].run(lane)),
            Packed::Q5K(w) => self.run_row(out, group, &|block| w[block].run(lane)),
            Packed::Q6K(w) => self.run_row(out, group, &|block| w[block].run(lane)),
            Packed::Q4T(w) => {
                for (out, block) in out.as_chunks_mut::<32>().0.iter_mut().zip(&w[group * (self.columns / 32)..]) {
                    let codes = block.run(lane);
                    out.iter_mut().enumerate().for_each(|(k, out)| *out = codes.value(k));
                }
            }
        }
    }

    fn run_row(&self, out: &mut [f32], group: usize, run: &dyn Fn(usize) -> Run) {
        let blocks = self.columns / 32;
        for (out, block) in out.as_chunks_mut::<32>().0.iter_mut().zip(group * blocks..) {
            let run = run(block);
            out.iter_mut().enumerate().for_each(|(k, out)| *out = value(&run, k));
        }
    }
}

fn half_row(out: &mut [f32], w: &[[u16; 8]], lane: usize, format: Format) {
    for (out, w) in out.iter_mut().zip(w) {
        *out = match format {
            Format::F16 => crate::quant::float::f16_to_f32(w[lane]),
            _ => crate::quant::float::bf16_to_f32(w[lane]),
        };
    }
}

/// A tensor whose bytes are still arriving.
#[derive(Debug)]
pub struct Buffer {
    format: Format,
    rows: usize,
    columns: usize,
    file_bytes: usize,
    filling: Packed,
    /// For a format whose packed form has another size: the file's bytes. Empty otherwise.
    raw: Vec<u8>,
}

/// Bytes of memory that a matrix of this many `rows` and `columns` takes once it is packed, known before any of it is
/// read: the file's own size where the layout has that size, but for rows padded to a multiple of eight.
pub fn bytes_needed(format: Format, rows: u64, columns: u64) -> u64 {
    let cells = rows.div_ceil(8).saturating_mul(8).saturating_mul(columns);
    let (block, columns) = with_packed!(&Packed::empty(format), w => size_of_block(w));
    (cells / (8 * columns as u64)).saturating_mul(block as u64)
}

/// Bytes and columns of one block of a layout.
fn size_of_block<B>(_: &[B]) -> (usize, usize) {
    // Blocks of floats are one column; those of integers, all larger, are 32.
    let bytes = size_of::<B>();
    (bytes, if bytes > 32 { 32 } else { 1 })
}

impl Packed {
    /// No weights, in the layout that this format is packed into.
    fn empty(format: Format) -> Packed {
        match format {
            Format::F32 => Packed::F32(Vec::new()),
            Format::F16 => Packed::F16(Vec::new()),
            Format::BF16 => Packed::Bf16(Vec::new()),
            Format::Q8_0 | Format::IQ4_NL => Packed::Q8(Vec::new()),
            Format::Q4_0 | Format::TQ1_0 | Format::TQ2_0 | Format::Q1_0 | Format::Q2_0 => Packed::Q4(Vec::new()),
            Format::Q4_1 | Format::Q4_K => Packed::Q4K(Vec::new()),
            Format::Q5_0 | Format::Q5_1 | Format::Q5_K => Packed::Q5K(Vec::new()),
            Format::Q2_K | Format::Q6_K => Packed::Q6K(Vec::new()),
            Format::IQ1_S | Format::IQ1_M | Format::IQ2_XXS | Format::IQ2_XS | Format::IQ2_S | Format::IQ3_XXS => {
                Packed::Q4T(Vec::new())
            }
            Format::IQ3_S | Format::Q3_K | Format::IQ4_XS | Format::MXFP4 | Format::NVFP4 => Packed::Q4T(Vec::new()),
        }
    }
}

impl Buffer {
    /// Room for a matrix of `rows` × `columns`.
    ///
    /// # Errors
    /// `Format` for rows that are no whole blocks, `Limit` where memory does not suffice.
    pub fn new(format: Format, rows: usize, columns: usize) -> Result<Buffer> {
        let (Some(file_bytes), Some(cells)) =
            (format.bytes_for(rows as u64 * columns as u64), rows.div_ceil(8).checked_mul(columns))
        else {
            return Err(Error::Format(format!("{rows} rows of {columns} are no whole blocks of {}", format.name())));
        };
        // More than can be addressed is more than can be had: the allocator says so below.
        let file_bytes = usize::try_from(file_bytes).unwrap_or(usize::MAX);
        let (mut filling, mut raw) = (Packed::empty(format), Vec::new());
        match format {
            Format::F32 | Format::F16 | Format::BF16 | Format::Q8_0 | Format::Q4_0 => {
                with_packed!(&mut filling, w => *w = zeros(cells / size_of_block(w).1)?);
            }
            _ => raw = zeros(file_bytes)?,
        }
        Ok(Buffer { format, rows, columns, file_bytes, filling, raw })
    }

    /// Where the file's bytes go, all of them in the file's order.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let bytes: &mut [u8] = match self.raw.is_empty() {
            false => &mut self.raw,
            true => with_packed!(&mut self.filling, w => cast_slice_mut(w)),
        };
        &mut bytes[..self.file_bytes]
    }

    /// Turns the bytes, now complete, into the packed form.
    ///
    /// # Errors
    /// `Format` where a weight or a scale is infinite or no number: its products would differ between machines.
    pub fn pack(mut self) -> Result<Tensor> {
        let (format, columns, blocks) = (self.format, self.columns, self.columns / 32);
        let raw = Raw { format, bytes: &self.raw, blocks };
        match &mut self.filling {
            Packed::F32(w) => interleave(w, columns, |group, raw: &[f32]| {
                for (k, column) in group.iter_mut().enumerate() {
                    *column = core::array::from_fn(|lane| raw[lane * columns + k]);
                }
            })?,
            Packed::F16(w) => interleave(w, columns, |group, raw: &[u16]| pack_half(cast_slice_mut(group), raw))?,
            Packed::Bf16(w) => interleave(w, columns, |group, raw: &[u16]| pack_half(cast_slice_mut(group), raw))?,
            Packed::Q8(w) if self.raw.is_empty() => interleave(w, blocks, pack_q8)?,
            Packed::Q4(w) if self.raw.is_empty() => interleave(w, blocks, pack_q4)?,
            Packed::Q8(w) => pack_runs(w, raw, &mut |w, row, run| w.put(row, &run))?,
            Packed::Q4(w) => pack_runs(w, raw, &mut |w, row, run| w.put(row, &run))?,
            Packed::Q4K(w) => pack_runs(w, raw, &mut |w, row, run| w.put(row, &run))?,
            Packed::Q5K(w) => {
                let offset = if format == Format::Q5_0 { 16 } else { 0 };
                pack_runs(w, raw, &mut |w, row, run| {
                    w.offset = offset;
                    w.put(row, &run);
                })?;
            }
            Packed::Q6K(w) => pack_runs(w, raw, &mut |w, row, run| w.put(row, &run))?,
            Packed::Q4T(w) => {
                let book = Codebook::new(format);
                *w = zeros(raw.packed_blocks())?;
                raw.each_run(&mut |at, row, block, run| {
                    if let Some(codes) = book.codes(block, run) {
                        w[at].put(row, &codes);
                    }
                });
            }
        }
        let tensor = Tensor { format, rows: self.rows, columns, packed: self.filling };
        if tensor.is_finite() {
            Ok(tensor)
        } else {
            Err(Error::Format("holds a weight that is infinite or no number".into()))
        }
    }
}

/// Rearranges eight rows at a time in place: each group's bytes are copied aside as `R`s and written back by `pack`.
fn interleave<B: Pod, R: Pod>(w: &mut [B], per_group: usize, pack: impl Fn(&mut [B], &[R])) -> Result<()> {
    if per_group == 0 {
        return Ok(());
    }
    let mut aside: Vec<R> = zeros(per_group * size_of::<B>() / size_of::<R>())?;
    for group in w.chunks_exact_mut(per_group) {
        aside.copy_from_slice(cast_slice(group));
        pack(group, &aside);
    }
    Ok(())
}

fn pack_half(group: &mut [[u16; 8]], raw: &[u16]) {
    let columns = group.len();
    for (k, column) in group.iter_mut().enumerate() {
        *column = core::array::from_fn(|lane| raw[lane * columns + k]);
    }
}

/// The raw block (of `N` bytes) of each row of a group, for block number `b` of its row.
fn raw_blocks<const N: usize>(raw: &[u8], blocks: usize, b: usize) -> [&[u8; N]; 8] {
    let (all, _) = raw.as_chunks::<N>();
    core::array::from_fn(|lane| &all[lane * blocks + b])
}

fn pack_q8(group: &mut [Q8x8], raw: &[u8]) {
    let blocks = group.len();
    for (b, packed) in group.iter_mut().enumerate() {
        for (lane, raw) in raw_blocks::<34>(raw, blocks, b).into_iter().enumerate() {
            packed.d[lane] = u16::from_le_bytes([raw[0], raw[1]]);
            for k in 0..32 {
                packed.q[k / 4][lane * 4 + k % 4] = raw[2 + k];
            }
        }
    }
}

fn pack_q4(group: &mut [Q4x8], raw: &[u8]) {
    let blocks = group.len();
    for (b, packed) in group.iter_mut().enumerate() {
        for (lane, raw) in raw_blocks::<18>(raw, blocks, b).into_iter().enumerate() {
            packed.d[lane] = u16::from_le_bytes([raw[0], raw[1]]);
            let quant = |k: usize| raw[2 + k % 16] >> (k / 16 * 4) & 15;
            for pair in 0..4 {
                for k in 0..4 {
                    packed.q[pair][lane * 4 + k] = quant(pair * 8 + k) | quant(pair * 8 + 4 + k) << 4;
                }
            }
        }
    }
}

/// Takes a run: the packed block that it belongs to and its row there, its block in the file and its number in that.
type PutRun<'a> = dyn FnMut(usize, usize, &[u8], usize) + 'a;

/// The file's bytes of a matrix whose rows have `blocks` runs of 32 weights.
#[derive(Clone, Copy)]
struct Raw<'a> {
    format: Format,
    bytes: &'a [u8],
    blocks: usize,
}

impl Raw<'_> {
    fn runs_per_block(self) -> usize {
        self.format.row().block_len / 32
    }

    /// How many blocks of eight rows the packed form has.
    fn packed_blocks(self) -> usize {
        let rows = self.bytes.len() / self.format.row().block_bytes * self.runs_per_block() / self.blocks.max(1);
        rows.div_ceil(8) * self.blocks
    }

    /// Gives all runs in the file's order.
    fn each_run(self, put: &mut PutRun<'_>) {
        let n = self.runs_per_block();
        for (i, block) in self.bytes.chunks_exact(self.format.row().block_bytes).enumerate() {
            for run in 0..n {
                let (row, b) = ((i * n + run) / self.blocks, (i * n + run) % self.blocks);
                put(row / 8 * self.blocks + b, row % 8, block, run);
            }
        }
    }
}

/// Packs a format whose size changes, from its raw bytes into new memory.
fn pack_runs<B: Pod>(w: &mut Vec<B>, raw: Raw<'_>, put: &mut dyn FnMut(&mut B, usize, Run)) -> Result<()> {
    *w = zeros(raw.packed_blocks())?;
    raw.each_run(&mut |at, row, block, run| {
        if let Some(run) = run_of(raw.format, block, run) {
            put(&mut w[at], row, run);
        }
    });
    Ok(())
}

impl Tensor {
    /// Whether every weight is a finite number. The kernels' f16 conversion and the promise of equal bits rest on it.
    fn is_finite(&self) -> bool {
        let f16 = |h: &u16| h & 0x7c00 != 0x7c00;
        match &self.packed {
            Packed::F32(w) => w.as_flattened().iter().all(|x| x.is_finite()),
            Packed::F16(w) => w.iter().all(|w| w.0.iter().all(f16)),
            Packed::Bf16(w) => w.iter().all(|w| w.0.iter().all(|h| h & 0x7f80 != 0x7f80)),
            Packed::Q8(w) => w.iter().all(|w| w.d.iter().all(f16)),
            Packed::Q4(w) => w.iter().all(|w| w.d.iter().all(f16)),
            Packed::Q4K(w) => w.iter().all(|w| w.d.iter().chain(&w.dmin).all(f16)),
            Packed::Q5K(w) => w.iter().all(|w| w.d.iter().chain(&w.dmin).all(f16)),
            Packed::Q6K(w) => w.iter().all(|w| w.d.iter().chain(&w.dmin).all(f16)),
            // Scales of MXFP4 are finite all, but not what they are multiplied to.
            Packed::Q4T(w) => w.iter().all(|w| {
                let finite = |d: &f32| w.table.iter().all(|value| (d * f32::from(*value)).is_finite());
                w.d.as_flattened().iter().all(finite)
            }),
        }
    }
}

#[cfg(test)]
#[allow(dead_code, reason = "each test uses its part")]
#[path = "../tests/common/blocks.rs"]
mod blocks;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Codes, oracle, quantize_activations};
    use crate::quant::{FORMATS, FormatRow};

    /// Floats that look like weights, from a small generator.
    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..n).map(|_| next() + next() * next() * 3.0).collect()
    }

    /// The file's bytes of a random matrix; formats without a quantizer get random quants and tame scales.
    fn file_bytes(format: Format, n: usize, seed: u32) -> Vec<u8> {
        let row = format.row();
        let mut bytes = vec![0; n / row.block_len * row.block_bytes];
        match format.quantizer() {
            Some(quantize) => quantize(&noise(n, seed), &mut bytes),
            None => {
                bytes.iter_mut().zip(noise(1 << 20, seed)).for_each(|(b, x)| *b = (x * 1000.0) as i32 as u8);
                for (i, block) in bytes.chunks_exact_mut(row.block_bytes).enumerate() {
                    let size = 0.3 + 0.01 * (i % 17) as f32;
                    blocks::tame(row.name, block, size, crate::quant::float::f32_to_f16);
                }
            }
        }
        bytes
    }

    fn pack(format: Format, rows: usize, columns: usize, bytes: &[u8]) -> Tensor {
        let mut buffer = Buffer::new(format, rows, columns).unwrap();
        buffer.bytes_mut().copy_from_slice(bytes);
        buffer.pack().unwrap()
    }

    /// Every format, and a number of columns that it can have, short of a multiple of more than its block.
    fn formats() -> impl Iterator<Item = (Format, usize)> {
        FORMATS.iter().map(|row| (row.format, if row.block_len == 1 { 96 } else { row.block_len * 3 }))
    }

    #[test]
    fn packing_loses_nothing() {
        for (format, columns) in formats() {
            let rows = 13;
            let bytes = file_bytes(format, rows * columns, 3);
            let mut plain = vec![0.0; rows * columns];
            format.dequantize(&bytes, &mut plain);
            let tensor = pack(format, rows, columns, &bytes);
            assert_eq!(tensor.packed_bytes() as u64, bytes_needed(format, rows as u64, columns as u64));
            let mut row = vec![0.0; columns];
            for (r, plain) in plain.chunks(columns).enumerate() {
                tensor.row(r, &mut row);
                let bits = |xs: &[f32]| xs.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&row), bits(plain), "{} row {r}", format.name());
            }
        }
    }

    /// One output by the oracle, from the file's bytes of one row.
    fn oracle_value(format: Format, bytes: &[u8], x: &[f32]) -> f32 {
        let row = format.row();
        let mut quantized = vec![Activation::ZERO; x.len() / 32];
        quantize_activations(x, &mut quantized);
        let mut plain = vec![0.0; x.len()];
        format.dequantize(bytes, &mut plain);
        let runs: Vec<Run> = match format {
            Format::F32 | Format::F16 | Format::BF16 => return oracle::float_row(&plain, x),
            Format::Q8_0 | Format::Q4_0 => bytes
                .chunks_exact(row.block_bytes)
                .zip(plain.as_chunks::<32>().0)
                .map(|(block, plain)| {
                    let d = u16::from_le_bytes([block[0], block[1]]);
                    let scale = crate::quant::float::f16_to_f32(d);
                    Run::plain(d, plain.map(|v| if scale == 0.0 { 0 } else { (v / scale).round() as i8 }))
                })
                .collect(),
            _ => bytes
                .chunks_exact(row.block_bytes)
                .flat_map(|block| (0..row.block_len / 32).filter_map(move |run| run_of(format, block, run)))
                .collect(),
        };
        let book = Codebook::new(format);
        let codes: Vec<Codes> = bytes
            .chunks_exact(row.block_bytes)
            .flat_map(|block| (0..row.block_len / 32).filter_map(|run| book.codes(block, run)))
            .collect();
        assert_eq!((runs.len() + codes.len()) * 32, x.len());
        if codes.is_empty() { oracle::quant_row(&runs, &quantized) } else { oracle::coded_row(&codes, &quantized) }
    }

    #[test]
    fn matmul_equals_the_oracle_in_bits_for_any_number_of_inputs() {
        for (format, columns) in formats() {
            // More blocks than are unpacked at a time, and in the end more inputs than are laid side by side.
            let (rows, columns) = (19, 544_usize.next_multiple_of(columns));
            let bytes = file_bytes(format, rows * columns, 5);
            let tensor = pack(format, rows, columns, &bytes);
            for n_inputs in [1, 2, 4, 7, 66] {
                let x = noise(n_inputs * columns, 9);
                let mut out = vec![0.0; n_inputs * rows];
                tensor.matmul(&mut out, &x, &mut Inputs::new(x.len()).unwrap(), &Pool::new(1));
                for (t, out) in out.chunks(rows).enumerate() {
                    for (r, bytes) in bytes.chunks(bytes.len() / rows).enumerate() {
                        let want = oracle_value(format, bytes, &x[t * columns..(t + 1) * columns]);
                        assert_eq!(out[r].to_bits(), want.to_bits(), "{} {n_inputs} inputs, {t} {r}", format.name());
                    }
                }
            }
        }
    }

    #[test]
    fn float_rows_of_any_length_work() {
        for columns in [1, 5, 33, 172] {
            let bytes = file_bytes(Format::F16, 9 * columns, 7);
            let tensor = pack(Format::F16, 9, columns, &bytes);
            let x = noise(columns, 1);
            let mut out = vec![0.0; 9];
            tensor.matmul(&mut out, &x, &mut Inputs::default(), &Pool::new(1));
            for (r, out) in out.iter().enumerate() {
                assert_eq!(
                    out.to_bits(),
                    oracle_value(Format::F16, &bytes[r * columns * 2..][..columns * 2], &x).to_bits()
                );
            }
        }
    }

    #[test]
    fn weights_that_are_no_numbers_are_refused() {
        let packs = |row: &FormatRow, change: &dyn Fn(&mut [u8])| {
            let mut buffer = Buffer::new(row.format, 8, 256).unwrap();
            change(&mut buffer.bytes_mut()[..row.block_bytes]);
            match buffer.pack() {
                Err(error) => assert!(matches!(error, Error::Format(_)), "{}: {error:?}", row.name),
                Ok(_) => return true,
            }
            false
        };
        for row in FORMATS {
            for bad in [0x7c00u16, 0xfc00, 0x7e01] {
                let set = |block: &mut [u8], i: usize| match row.format {
                    Format::F32 => block.copy_from_slice(&(u32::from(bad | 0x0380) << 16).to_le_bytes()),
                    Format::F16 => block.copy_from_slice(&bad.to_le_bytes()),
                    Format::BF16 => block.copy_from_slice(&(bad | 0x0380).to_le_bytes()),
                    Format::MXFP4 => block[0] = 253 + i as u8,
                    _ => _ = blocks::set_scale(row.name, block, i, bad),
                };
                let n_scales = match row.format {
                    Format::F32 | Format::F16 | Format::BF16 => 1,
                    Format::MXFP4 => 3,
                    _ => {
                        (0..).take_while(|i| blocks::set_scale(row.name, &mut vec![0; row.block_bytes], *i, 0)).count()
                    }
                };
                assert_eq!(n_scales == 0, row.format == Format::NVFP4, "whose scales are finite all");
                assert!((0..n_scales).all(|i| !packs(row, &|block| set(block, i))), "{}", row.name);
            }
            if row.block_len > 1 {
                assert!(packs(row, &|block| _ = blocks::set_scale(row.name, block, 0, 0x7bff)), "{}", row.name);
            }
        }
        assert!(packs(Format::MXFP4.row(), &|block| block.fill(252)));
        assert!(packs(Format::NVFP4.row(), &|block| block.fill(255)));
    }
}
