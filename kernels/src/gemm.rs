//! Quants times many inputs, tile by tile.
//!
//! ```text
//! for each chunk of columns:
//!     lay the inputs of each tile side by side
//!     for each group of 8 rows:
//!         unpack the chunk's weights
//!         for each tile of inputs:
//!             out[input][row] += the shares of the chunk's blocks, in order     one f32 addition a block
//! ```
//!
//! So weights are unpacked once for all inputs, both sides of a tile lie in the first-level cache in the order in which
//! they are read, and what is added to an output value, and in which order, is as in [`crate::matmul`] for one input.

use crate::activation::Activation;
use crate::lanes::{F4, H8, I4};
use crate::matmul::store;
use crate::packed::{Quants, Rows, Unpack, halves};
use crate::submatrix::Submatrix;
use core::ops::Range;

/// Inputs of a tile: with eight rows, as many sums as registers hold beside what is added to them.
pub(crate) const TILE: usize = 4;
/// Blocks of a chunk.
const CHUNK: usize = 16;
/// Most tiles that are laid side by side; more inputs are taken in turns.
const TILES: usize = 16;

/// Eight rows × 32 columns, unpacked for a way of computing.
pub(crate) trait Weights: Copy {
    /// 32 columns of a tile's inputs, side by side.
    type Inputs: Copy;

    /// Room for either.
    const ROOM: (Self, Self::Inputs);

    /// Lays inputs side by side; `offset` has been added to the weights.
    fn lay(x: [&Activation; TILE], offset: i32) -> Self::Inputs;
}

/// A way of computing a tile: all parts of the sums that are integers.
pub(crate) trait Way {
    type Weights: Weights;

    /// Whether blocks have minima.
    const MINIMA: bool;

    /// Σ scale·w·x of each row and input.
    fn dots(w: &Self::Weights, x: &<Self::Weights as Weights>::Inputs) -> [[I4; 2]; TILE];

    fn factors<'a>(w: &'a Self::Weights, x: &'a <Self::Weights as Weights>::Inputs) -> (&'a Factors, &'a Scales);
}

/// Adds a chunk's share to a tile's sums: [`add_tile`] in one of the ways.
pub(crate) type Add<W> = fn(&[W], &[<W as Weights>::Inputs], &mut [Rows; TILE]);

/// Packed blocks that can be unpacked. (A closure would be in the module twice.)
pub(crate) trait Blocks<W> {
    fn unpack(&self, blocks: Range<usize>, to: &mut [W]);
}

/// out\[t\]\[r\] = Σₖ w\[r\]\[k\] · x\[t\]\[k\], for `row_len` blocks a row.
#[inline(never)]
pub(crate) fn gemm<W: Weights>(
    out: &mut Submatrix<'_>,
    (x, offset): (&[Activation], i32),
    row_len: usize,
    packed: &dyn Blocks<W>,
    add: Add<W>,
) {
    let mut weights = [W::ROOM.0; CHUNK];
    let mut inputs = [[W::ROOM.1; CHUNK]; TILES];
    let rows = out.n_columns();
    for (turn, x) in x.chunks(row_len * TILE * TILES).enumerate() {
        let n_tiles = (x.len() / row_len).div_ceil(TILE);
        for start in (0..row_len).step_by(CHUNK) {
            let n = CHUNK.min(row_len - start);
            for (tile, inputs) in inputs[..n_tiles].iter_mut().enumerate() {
                lay_tile::<W>(&mut inputs[..n], &x[tile * TILE * row_len..], offset, row_len, start);
            }
            for first in (0..rows).step_by(8) {
                let block = first / 8 * row_len + start;
                packed.unpack(block..block + n, &mut weights);
                let columns = first..rows.min(first + 8);
                for (tile, inputs) in inputs[..n_tiles].iter().enumerate() {
                    let input = (turn * TILES + tile) * TILE;
                    let places = input..out.n_rows().min(input + TILE);
                    let mut sums = [[F4::splat(0.0); 2]; TILE];
                    if start > 0 {
                        for (sums, place) in sums.iter_mut().zip(places.clone()) {
                            *sums = load(&out.row(place)[columns.clone()]);
                        }
                    }
                    add(&weights[..n], &inputs[..n], &mut sums);
                    for (sums, place) in sums.into_iter().zip(places) {
                        store(&mut out.row(place)[columns.clone()], sums);
                    }
                }
            }
        }
    }
}

/// Lays blocks `start` .. of the first inputs of `x` side by side; missing inputs are zeros.
#[inline(never)]
fn lay_tile<W: Weights>(to: &mut [W::Inputs], x: &[Activation], offset: i32, row_len: usize, start: usize) {
    for (to, k) in to.iter_mut().zip(start..) {
        let input = |i: usize| x.get(i * row_len + k).unwrap_or(&Activation::ZERO);
        *to = W::lay(core::array::from_fn(input), offset);
    }
}

/// Adds the shares of these blocks, in order.
#[inline(never)]
pub(crate) fn add_tile<W: Way>(w: &[W::Weights], x: &[<W::Weights as Weights>::Inputs], out: &mut [Rows; TILE]) {
    let mut sums = *out;
    for (w, x) in w.iter().zip(x) {
        let dots = W::dots(w, x);
        let (factors, scales) = W::factors(w, x);
        factors.add(&mut sums, scales, dots);
        if W::MINIMA && factors.has_min {
            factors.take_off(&mut sums, scales);
        }
    }
    *out = sums;
}

#[inline(always)]
fn load(out: &[f32]) -> Rows {
    match out.first_chunk::<8>() {
        Some(eight) => halves(eight).map(F4::load),
        None => load_part(out),
    }
}

#[cold] // the last rows of a matrix, once for all layouts
fn load_part(out: &[f32]) -> Rows {
    let mut eight = [0.0; 8];
    eight[..out.len()].copy_from_slice(out);
    halves(&eight).map(F4::load)
}

/// What a block's exact sums are multiplied with.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(crate) struct Factors {
    d: [[f32; 4]; 2],
    dmin: [[f32; 4]; 2],
    /// By row, the minima of the first and of the last 16 columns.
    min: [[i16; 8]; 2],
    has_min: bool,
}

impl Factors {
    pub(crate) const ROOM: Factors =
        Factors { d: [[0.0; 4]; 2], dmin: [[0.0; 4]; 2], min: [[0; 8]; 2], has_min: false };

    #[inline(always)]
    pub(crate) fn of<B: Unpack>(block: &B) -> Factors {
        let mut factors = Factors { d: block.d().map(F4::to_array), ..Factors::ROOM };
        if let Some(minima) = block.minima() {
            factors.has_min = true;
            factors.dmin = halves(minima.dmin).map(|d| F4::from_f16(d).to_array());
            let min = |row: usize, half: usize| i16::from(minima.min[half][row]);
            factors.min = core::array::from_fn(|i| core::array::from_fn(|at| min(4 * i + at / 2, at % 2)));
        }
        factors
    }

    /// `sums[n] += (d · x.d) · dots[n]`.
    #[inline(always)]
    fn add(&self, sums: &mut [Rows; TILE], x: &Scales, dots: [[I4; 2]; TILE]) {
        for ((sums, dots), d) in sums.iter_mut().zip(dots).zip(x.d) {
            for (i, sum) in sums.iter_mut().enumerate() {
                let factor = F4::load(&self.d[i]).mul(F4::splat(d));
                *sum = sum.add(factor.mul(dots[i].to_f4()));
            }
        }
    }

    /// `sums[n] −= (dmin · x.d) · Σ min·x.q`.
    #[inline(always)]
    fn take_off(&self, sums: &mut [Rows; TILE], x: &Scales) {
        for ((sums, halves), d) in sums.iter_mut().zip(&x.sums).zip(x.d) {
            for (i, sum) in sums.iter_mut().enumerate() {
                let factor = F4::load(&self.dmin[i]).mul(F4::splat(d));
                let least = H8::load(&self.min[i]).dot(H8::splat_two(halves));
                *sum = sum.sub(factor.mul(least.to_f4()));
            }
        }
    }
}

/// The scales and sums of a tile's inputs.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(crate) struct Scales {
    d: [f32; TILE],
    sums: [[i16; 2]; TILE],
}

impl Scales {
    pub(crate) const ROOM: Scales = Scales { d: [0.0; TILE], sums: [[0; 2]; TILE] };

    #[inline(always)]
    pub(crate) fn of(x: [&Activation; TILE]) -> Scales {
        Scales { d: x.map(|x| x.d), sums: x.map(|x| x.sums) }
    }
}

/// By sums of two products of 16 bits: what every processor has. Scales are multiplied into the weights beforehand.
pub(crate) struct Short<const MINIMA: bool>;

#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(crate) struct ShortWeights {
    /// `q[s][i]`: columns 2s and 2s + 1 of rows 4i .. 4i + 4.
    q: [[[i16; 8]; 2]; 16],
    factors: Factors,
}

#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(crate) struct ShortInputs {
    /// `q[s][n]`: columns 2s and 2s + 1 of input n.
    q: [[[i16; 2]; TILE]; 16],
    scales: Scales,
}

impl ShortWeights {
    #[inline(always)]
    pub(crate) fn of<B: Unpack>(block: &B) -> ShortWeights {
        let mut q = [[[0; 8]; 2]; 16];
        let scale = [0, 1].map(|half| block.scale(half).map(I4::pairs));
        for (step, q) in q.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            for (i, bytes) in block.step(step).into_iter().enumerate() {
                for (q, pairs) in q.iter_mut().zip(bytes.pairs()) {
                    let pairs =
                        if B::QUANTS == Quants::Bytes { pairs } else { pairs.sub(H8::splat(block.offset() as i16)) };
                    let scaled = if B::SCALES > 0 { pairs.mul(scale[step / 4][i]) } else { pairs };
                    scaled.store(&mut q[i]);
                }
            }
        }
        ShortWeights { q, factors: Factors::of(block) }
    }
}

impl Weights for ShortWeights {
    type Inputs = ShortInputs;

    const ROOM: (ShortWeights, ShortInputs) = (
        ShortWeights { q: [[[0; 8]; 2]; 16], factors: Factors::ROOM },
        ShortInputs { q: [[[0; 2]; TILE]; 16], scales: Scales::ROOM },
    );

    #[inline(always)]
    fn lay(x: [&Activation; TILE], _offset: i32) -> ShortInputs {
        let pairs = x.map(|x| x.wide.as_chunks::<2>().0);
        ShortInputs { q: core::array::from_fn(|s| pairs.map(|x| x[s])), scales: Scales::of(x) }
    }
}

impl<const MINIMA: bool> Way for Short<MINIMA> {
    type Weights = ShortWeights;

    const MINIMA: bool = MINIMA;

    #[inline(always)]
    fn dots(w: &ShortWeights, x: &ShortInputs) -> [[I4; 2]; TILE] {
        let mut dots = [[I4::splat(0); 2]; TILE];
        for (w, x) in w.q.iter().zip(&x.q) {
            let w = w.each_ref().map(H8::load);
            for (dots, x) in dots.iter_mut().zip(x) {
                let x = H8::splat_two(x);
                for i in 0..2 {
                    dots[i] = dots[i].add(w[i].dot(x));
                }
            }
        }
        dots
    }

    #[inline(always)]
    fn factors<'a>(w: &'a ShortWeights, x: &'a ShortInputs) -> (&'a Factors, &'a Scales) {
        (&w.factors, &x.scales)
    }
}

/// By [`Short`].
pub(crate) fn gemm_short<B: Unpack>(out: &mut Submatrix<'_>, w: &[B], x: &[Activation], row_len: usize) {
    let add = if B::SCALES == 0 { add_tile::<Short<false>> } else { add_tile::<Short<true>> };
    gemm(out, (x, 0), row_len, &w, add);
}

impl<B: Unpack> Blocks<ShortWeights> for &[B] {
    fn unpack(&self, blocks: Range<usize>, to: &mut [ShortWeights]) {
        to.iter_mut().zip(&self[blocks]).for_each(|(to, block)| *to = ShortWeights::of(block));
    }
}
