//! A matrix of weights: checked once, packed once for the kernels, without loss.
//!
//! A [`Buffer`] takes a tensor's bytes as they arrive; [`Buffer::pack`] makes a [`Tensor`] of it. Where the packed form
//! has the file's size, packing happens in place, eight rows at a time; otherwise the tensor exists twice for a moment,
//! and no other does. Rows are padded to a multiple of eight with zeros.

use crate::error::{Error, Result};
use crate::kernels::{self, Activation, Bf16x8, F16x8, Q4Kx8, Q4Tx8, Q4x8, Q5Kx8, Q6Kx8, Q8x8, Run, Submatrix};
use crate::pool::{Cut, Pool};
use crate::quant::{Format, value};
use bytemuck::allocation::try_zeroed_vec;
use bytemuck::{Zeroable, cast_slice};
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

mod buffer;

pub use buffer::{Buffer, bytes_needed};

/// What rounding 32 activations costs, in multiply-adds.
const ROUNDING_WORK: usize = 512;

/// About how many groups of eight rows a part of a product with several inputs has.
const GROUPS: usize = 12;

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
        matmul_all(&mut [Product::of_all(self, out)], x, inputs, pool);
    }

    fn rounds_inputs(&self) -> bool {
        !matches!(self.packed, Packed::F32(_) | Packed::F16(_) | Packed::Bf16(_))
    }

    /// The products of the groups of eight rows from the `first` on, as many as `out` has room for, with floats or with the
    /// same rounded, whichever the layout needs.
    fn multiply(&self, first: usize, out: Submatrix<'_>, x: &[f32], rounded: &[Activation]) {
        let groups = first..first + out.n_columns().div_ceil(8);
        match &self.packed {
            Packed::F32(w) => kernels::matmul_f32(out, self.groups(w, groups), x),
            Packed::F16(w) => kernels::matmul_f16(out, self.groups(w, groups), x),
            Packed::Bf16(w) => kernels::matmul_bf16(out, self.groups(w, groups), x),
            Packed::Q8(w) => kernels::matmul_q8(out, self.groups(w, groups), rounded),
            Packed::Q4(w) => kernels::matmul_q4(out, self.groups(w, groups), rounded),
            Packed::Q4K(w) => kernels::matmul_q4k(out, self.groups(w, groups), rounded),
            Packed::Q5K(w) => kernels::matmul_q5k(out, self.groups(w, groups), rounded),
            Packed::Q6K(w) => kernels::matmul_q6k(out, self.groups(w, groups), rounded),
            Packed::Q4T(w) => kernels::matmul_q4t(out, self.groups(w, groups), rounded),
        }
    }

    fn groups<'a, W>(&self, w: &'a [W], groups: Range<usize>) -> &'a [W] {
        let per_group = w.len().checked_div(self.rows.div_ceil(8)).unwrap_or(0);
        &w[groups.start * per_group..groups.end * per_group]
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

/// Some rows of a matrix times inputs, and where that goes: \[T × rows\].
#[derive(Debug)]
pub struct Product<'a> {
    weight: &'a Tensor,
    rows: Range<usize>,
    out: &'a mut [f32],
}

impl<'a> Product<'a> {
    /// With all rows.
    pub fn of_all(weight: &'a Tensor, out: &'a mut [f32]) -> Product<'a> {
        Product { weight, rows: 0..weight.rows, out }
    }

    /// With one of several matrices of `n_rows`, a multiple of eight, that are stacked.
    pub fn of_one(weight: &'a Tensor, which: usize, n_rows: usize, out: &'a mut [f32]) -> Product<'a> {
        Product { weight, rows: which * n_rows..(which + 1) * n_rows, out }
    }
}

/// Most products that are computed as one: queries, keys and values.
const MOST_PRODUCTS: usize = 3;

/// As [`Tensor::matmul`], for up to three products with the same inputs, which are split between the threads as if they were
/// one: so nobody waits between them.
pub fn matmul_all(products: &mut [Product<'_>], x: &[f32], inputs: &mut Inputs, pool: &Pool) {
    let rounded =
        if products.iter().any(|product| product.weight.rounds_inputs()) { inputs.quants(x, pool) } else { &[] };
    let groups = products.iter().map(|product| product.rows.len().div_ceil(8)).sum();
    let n_inputs = products.first().map_or(0, |product| x.len().checked_div(product.weight.columns).unwrap_or(0));
    let per_part = groups_per_part(groups, n_inputs, x.len(), pool);
    if per_part >= groups {
        for Product { weight, rows, out } in products {
            weight.multiply(rows.start / 8, Submatrix::new(out, rows.len()), x, rounded);
        }
        return;
    }
    let mut weights = [None; MOST_PRODUCTS];
    let mut cuts = [const { None }; MOST_PRODUCTS];
    for (i, Product { weight, rows, out }) in products.iter_mut().enumerate() {
        let groups = rows.len().div_ceil(8);
        let even = groups.div_ceil(groups.div_ceil(per_part).max(1));
        weights[i] = Some((*weight, rows.start / 8));
        cuts[i] = Some(Cut::new(out, rows.len(), [n_inputs, 8 * even]));
    }
    pool.grids(&mut cuts, &|_, which, part, place| {
        if let Some((weight, first)) = weights[which] {
            weight.multiply(first + part.columns.start / 8, place, x, rounded);
        }
    });
}

/// Of so many groups of eight rows in all, how many a part should have.
fn groups_per_part(groups: usize, n_inputs: usize, x_len: usize, pool: &Pool) -> usize {
    let mut n_parts = pool.n_parts(x_len.saturating_mul(8 * groups));
    if n_inputs > 1 {
        // They are laid side by side once for each part, which should be little beside its products; but two parts a thread.
        n_parts = n_parts.min((groups / GROUPS).max(2 * pool.n_threads()));
    }
    groups.div_ceil(n_parts).max(1)
}

fn half_row(out: &mut [f32], w: &[[u16; 8]], lane: usize, format: Format) {
    for (out, w) in out.iter_mut().zip(w) {
        *out = match format {
            Format::F16 => crate::quant::float::f16_to_f32(w[lane]),
            _ => crate::quant::float::bf16_to_f32(w[lane]),
        };
    }
}

#[cfg(test)]
#[allow(dead_code, reason = "each test uses its part")]
#[path = "../../tests/common/blocks.rs"]
mod blocks;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Codes, oracle, quantize_activations};
    use crate::quant::{Codebook, FORMATS, FormatRow, run_of};

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
        // As a page does it: that chooses how the kernels compute on this machine.
        assert!(kernels::self_test());
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

    /// Layouts that round their inputs, layouts that do not, and numbers of rows that make parts of different sizes.
    #[cfg(not(target_family = "wasm"))] // which has no threads to start
    #[test]
    fn products_together_equal_products_one_by_one() {
        assert!(kernels::self_test());
        let columns = 544;
        let [q8, f16, q4] = [(Format::Q8_0, 1000), (Format::F16, 19), (Format::Q4_0, 200)]
            .map(|(format, rows)| pack(format, rows, columns, &file_bytes(format, rows * columns, 5)));
        let pool = Pool::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| pool.help());
            while pool.n_threads() < 2 {
                std::thread::yield_now();
            }
            for n_inputs in [1, 3, 70] {
                let x = noise(n_inputs * columns, 9);
                let mut inputs = Inputs::new(x.len()).unwrap();
                let outs = || [&q8, &f16, &q4].map(|weight| vec![0.0; n_inputs * weight.rows]);
                let (mut apart, mut together) = (outs(), outs());
                for (weight, out) in [&q8, &f16, &q4].into_iter().zip(&mut apart) {
                    weight.matmul(out, &x, &mut Inputs::new(x.len()).unwrap(), &Pool::new(1));
                }
                let [a, b, c] = &mut together;
                let mut products = [Product::of_all(&q8, a), Product::of_all(&f16, b), Product::of_all(&q4, c)];
                matmul_all(&mut products, &x, &mut inputs, &pool);
                assert!(apart == together, "{n_inputs} inputs");
            }
            pool.close();
        });
    }

    #[test]
    fn float_rows_of_any_length_work() {
        assert!(kernels::self_test());
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
