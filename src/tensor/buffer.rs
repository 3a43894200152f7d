//! From a tensor's bytes to the packed form, without loss.

use super::{Packed, Tensor, zeros};
use crate::error::{Error, Result};
use crate::kernels::{Q4x8, Q8x8, Run};
use crate::quant::{Codebook, Format, run_of};
use bytemuck::{Pod, cast_slice, cast_slice_mut};

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
