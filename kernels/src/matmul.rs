//! Matrix times vectors: out\[t\]\[r\] = Σₖ w\[r\]\[k\] · x\[t\]\[k\].
//!
//! One tile computes eight rows for `N` inputs. Prefill takes tiles of four inputs, decode of one; the arithmetic for
//! one output value is the same in both, so matvec and GEMM agree in bits.
//!
//! ```text
//! for each group of 8 rows:
//!     for each tile of inputs:
//!         for each block of 32 columns, in order:
//!             sums[input][row] += that block's share        one f32 addition a block
//! ```

use crate::activation::Activation;
use crate::dot::{self, Dot};
use crate::lanes::F4;
use crate::packed::{Bf16x8, F16x8, FloatBlock, Q4Kx8, Q4Tx8, Q4x8, Q5Kx8, Q6Kx8, Q8x8, QuantBlock, Rows};
use crate::submatrix::Submatrix;
use bytemuck::Pod;

/// From so many inputs on it pays to lay them side by side and unpack weights for all of them.
const FEW: usize = 12;

/// The inputs of the largest tile.
const WIDEST: usize = 4;

/// A packed layout that can be multiplied: its element, and what it is multiplied with.
trait Layout: Pod {
    /// f32, or [`Activation`] for 32 columns at a time.
    type Input;

    /// Eight rows (`w`: one group, all columns) times `N` inputs of that many columns.
    fn tile<const N: usize>(w: &[Self], x: [&[Self::Input]; N]) -> [Rows; N];

    /// Twice eight rows times one input.
    fn pair(w: [&[Self]; 2], x: &[Self::Input]) -> [Rows; 2];

    /// All rows times fewer inputs than [`FEW`].
    fn few(out: &mut Submatrix<'_>, w: &[Self], x: &[Self::Input], row_len: usize);

    /// All rows times at least [`FEW`] inputs.
    fn many(out: &mut Submatrix<'_>, w: &[Self], x: &[Self::Input], row_len: usize);
}

macro_rules! layouts {
    ($($matmul:ident: $layout:ty, $input:ty => $tile:path, $pair:path, $few:path, $many:path);+ $(;)?) => {$(
        impl Layout for $layout {
            type Input = $input;
            #[inline(always)]
            fn tile<const N: usize>(w: &[Self], x: [&[$input]; N]) -> [Rows; N] {
                $tile(w, x)
            }

            #[inline(always)]
            fn pair(w: [&[$layout]; 2], x: &[$input]) -> [Rows; 2] {
                $pair(w, x)
            }

            #[inline(always)]
            fn few(out: &mut Submatrix<'_>, w: &[Self], x: &[$input], row_len: usize) {
                $few(out, w, x, row_len);
            }

            #[inline(always)]
            fn many(out: &mut Submatrix<'_>, w: &[Self], x: &[$input], row_len: usize) {
                $many(out, w, x, row_len);
            }
        }

        /// out\[t\]\[r\] = Σₖ w\[r\]\[k\] · x\[t\]\[k\].
        ///
        /// # Shapes
        /// `w`: ⌈rows / 8⌉ groups of eight rows, each with all columns; `x`: \[T × columns\] floats, or one
        /// [`Activation`] for 32 of them; `out`: \[T × rows\].
        pub fn $matmul(out: Submatrix<'_>, w: &[$layout], x: &[$input]) {
            matmul(out, w, x);
        }
    )+};
}

layouts! {
    matmul_q8: Q8x8, Activation => dot::tile, dot::tile_pair, by_twos, dot::many;
    matmul_q4: Q4x8, Activation => dot::tile, dot::tile_pair, by_twos, dot::many;
    matmul_q4k: Q4Kx8, Activation => dot::tile, dot::tile_pair, by_ones, dot::many;
    matmul_q5k: Q5Kx8, Activation => dot::tile, dot::tile_pair, by_ones, dot::many;
    matmul_q6k: Q6Kx8, Activation => dot::tile, dot::tile_pair, by_ones, dot::many;
    matmul_q4t: Q4Tx8, Activation => dot::plain_tile, dot::plain_tile_pair, by_ones, by_ones;
    matmul_f32: [f32; 8], f32 => float_tile, float_pair, by_fours, by_fours;
    matmul_f16: F16x8, f32 => float_tile, float_pair, by_fours, by_fours;
    matmul_bf16: Bf16x8, f32 => float_tile, float_pair, by_fours, by_fours;
}

/// Multiplies a packed matrix with T inputs; see [`matmul_f32`] and its like for the shapes.
fn matmul<L: Layout>(mut out: Submatrix<'_>, w: &[L], x: &[L::Input]) {
    let row_len = w.len() / out.n_columns().div_ceil(8).max(1);
    if row_len == 0 {
        return;
    }
    if x.len() / row_len >= FEW {
        L::many(&mut out, w, x, row_len);
    } else {
        L::few(&mut out, w, x, row_len);
    }
}

/// Multiplies with one input after the other: what layouts do whose second tile would be a kilobyte of code for texts that are
/// guessed, and for prompts of a few tokens.
fn by_ones<L: Layout>(out: &mut Submatrix<'_>, w: &[L], x: &[L::Input], row_len: usize) {
    by_tiles::<L, 1>(out, w, x, row_len);
}

/// Multiplies in tiles of two inputs.
fn by_twos<L: Layout>(out: &mut Submatrix<'_>, w: &[L], x: &[L::Input], row_len: usize) {
    by_tiles::<L, 2>(out, w, x, row_len);
}

/// Multiplies in tiles of four inputs.
fn by_fours<L: Layout>(out: &mut Submatrix<'_>, w: &[L], x: &[L::Input], row_len: usize) {
    by_tiles::<L, WIDEST>(out, w, x, row_len);
}

/// Multiplies in tiles of `N` inputs, and the inputs that are left one by one.
#[inline(always)]
fn by_tiles<L: Layout, const N: usize>(out: &mut Submatrix<'_>, w: &[L], x: &[L::Input], row_len: usize) {
    tiles(out, x.len() / row_len, N, &|groups, first, n, sums| {
        let w = groups.map(|group| &w[group * row_len..][..row_len]);
        if N > 1 && n == N {
            for (sums, w) in sums.iter_mut().zip(w) {
                sums[..N].copy_from_slice(&L::tile::<N>(w, inputs(x, first, row_len)));
            }
        } else {
            let pair = L::pair(w, &x[first * row_len..][..row_len]);
            (sums[0][0], sums[1][0]) = (pair[0], pair[1]);
        }
    });
}

/// Computes the groups `.0` for `.2` inputs from number `.1` on.
type TileWork<'a> = dyn Fn([usize; 2], usize, usize, &mut [[Rows; WIDEST]; 2]) + 'a;

/// Has `tile` compute each group of eight rows for each `n` of the inputs, and for those that are left one by one. This loop
/// is there once for all layouts.
///
/// Two groups are computed at a time, one in the first half of the rows and one in the second: memory is read faster in two
/// streams, if these are some pages apart. Of an odd number the last group is computed twice.
#[inline(never)]
fn tiles(out: &mut Submatrix<'_>, n_inputs: usize, n: usize, tile: &TileWork<'_>) {
    let mut sums = [[[F4::splat(0.0); 2]; WIDEST]; 2];
    let rows = out.n_columns();
    let groups = rows.div_ceil(8);
    let half = groups.div_ceil(2);
    for pair in (0..half).map(|group| [group, (group + half).min(groups - 1)]) {
        let mut first = 0;
        while first < n_inputs {
            let n = if n_inputs - first < n { 1 } else { n };
            tile(pair, first, n, &mut sums);
            for (group, sums) in pair.iter().zip(&sums) {
                for (i, sums) in sums[..n].iter().enumerate() {
                    store(&mut out.row(first + i)[group * 8..rows.min(group * 8 + 8)], *sums);
                }
            }
            first += n;
        }
    }
}

#[inline(always)]
fn inputs<T, const N: usize>(x: &[T], first: usize, row_len: usize) -> [&[T]; N] {
    core::array::from_fn(|i| &x[(first + i) * row_len..][..row_len])
}

/// Eight rows of quants times `N` inputs, by the given way of computing integer dot products.
#[inline(never)]
pub(crate) fn quant_tile<D: Dot, B: QuantBlock, const N: usize>(dot: D, w: &[B], x: [&[Activation]; N]) -> [Rows; N] {
    let mut sums = [[F4::splat(0.0); 2]; N];
    let x = x.map(|x| &x[..w.len()]);
    for (k, block) in w.iter().enumerate() {
        block.accumulate(dot, x.map(|x| &x[k]), &mut sums);
    }
    sums
}

/// Twice eight rows of quants times one input: a block of the one, then a block of the other.
#[inline(never)]
pub(crate) fn quant_pair<D: Dot, B: QuantBlock>(dot: D, [v, w]: [&[B]; 2], x: &[Activation]) -> [Rows; 2] {
    let mut sums = [[[F4::splat(0.0); 2]]; 2];
    for ((v, w), x) in v.iter().zip(w).zip(x) {
        v.accumulate(dot, [x], &mut sums[0]);
        w.accumulate(dot, [x], &mut sums[1]);
    }
    sums.map(|[sums]| sums)
}

#[inline(always)]
fn float_pair<B: FloatBlock>(w: [&[B]; 2], x: &[f32]) -> [Rows; 2] {
    w.map(|w| {
        let [sums] = float_tile(w, [x]);
        sums
    })
}

/// Each block of 32 products is summed from zero, in order, and then added: blocks do not wait for one another.
#[inline(always)]
fn float_tile<B: FloatBlock, const N: usize>(w: &[B], x: [&[f32]; N]) -> [Rows; N] {
    float_tile_of(w.len(), x, &|first, wide| wide.iter_mut().zip(&w[first..]).for_each(|(wide, w)| *wide = w.widen()))
}

/// [`float_tile`] of that many columns, whose weights `widen` gives from a column on.
#[inline(never)]
fn float_tile_of<const N: usize>(columns: usize, x: [&[f32]; N], widen: &dyn Fn(usize, &mut [Rows])) -> [Rows; N] {
    let mut sums = [[F4::splat(0.0); 2]; N];
    let mut wide = [[F4::splat(0.0); 2]; 32];
    for first in (0..columns).step_by(32) {
        let n = (columns - first).min(32);
        let x = x.map(|x| &x[first..first + n]);
        widen(first, &mut wide[..n]);
        let mut share = [[F4::splat(0.0); 2]; N];
        for (k, w) in wide[..n].iter().enumerate() {
            for n in 0..N {
                let x = F4::splat(x[n][k]);
                share[n] = [share[n][0].add(w[0].mul(x)), share[n][1].add(w[1].mul(x))];
            }
        }
        for n in 0..N {
            sums[n] = [sums[n][0].add(share[n][0]), sums[n][1].add(share[n][1])];
        }
    }
    sums
}

#[inline(always)]
pub(crate) fn store(out: &mut [f32], sums: Rows) {
    if let Some(eight) = out.first_chunk_mut::<8>() {
        let (fours, _) = eight.as_chunks_mut::<4>();
        sums[0].store(&mut fours[0]);
        sums[1].store(&mut fours[1]);
    } else {
        store_part(out, sums.map(F4::to_array));
    }
}

#[cold] // the last rows of a matrix, once for all layouts
fn store_part(out: &mut [f32], sums: [[f32; 4]; 2]) {
    out.iter_mut().zip(sums.as_flattened()).for_each(|(out, sum)| *out = *sum);
}
