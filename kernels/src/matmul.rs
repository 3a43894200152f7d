//! Matrix times vectors: out\[t\]\[r\] = Σₖ w\[r\]\[k\] · x\[t\]\[k\].
//!
//! One tile computes eight rows for `N` inputs. Prefill takes tiles of four inputs, decode two tiles of one; the arithmetic
//! for one output value is the same in both, so matvec and GEMM agree in bits.
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

/// The inputs of the largest tile.
const WIDEST: usize = 4;

/// From so many inputs on it pays to lay them side by side and unpack weights for all of them: the more there is to unpack,
/// the sooner.
mod few {
    pub const BYTES: usize = 8;
    /// By 16 bits, unpacked nibbles are what bytes are.
    pub const NIBBLES: usize = if cfg!(target_feature = "relaxed-simd") { 4 } else { 8 };
    pub const SCALED: usize = 4;
    pub const SIXES: usize = 8;
    /// What knows no other way.
    pub const ALWAYS: usize = usize::MAX;
}

macro_rules! layouts {
    ($($matmul:ident: $layout:ty, $input:ty => $n_few:expr, $few:path, $many:path);+ $(;)?) => {$(
        /// out\[t\]\[r\] = Σₖ w\[r\]\[k\] · x\[t\]\[k\].
        ///
        /// # Shapes
        /// `w`: ⌈rows / 8⌉ groups of eight rows, each with all columns; `x`: \[T × columns\] floats, or one
        /// [`Activation`] for 32 of them; `out`: \[T × rows\].
        pub fn $matmul(mut out: Submatrix<'_>, w: &[$layout], x: &[$input]) {
            let row_len = w.len() / out.n_columns().div_ceil(8).max(1);
            if row_len == 0 {
                return;
            }
            if x.len() / row_len < $n_few {
                $few(&mut out, w, x, row_len);
            } else {
                $many(&mut out, w, x, row_len);
            }
        }
    )+};
}

layouts! {
    matmul_q8: Q8x8, Activation => few::BYTES, by_ones, dot::many;
    matmul_q4: Q4x8, Activation => few::NIBBLES, by_ones, dot::many;
    matmul_q4k: Q4Kx8, Activation => few::SCALED, by_ones, dot::many;
    matmul_q5k: Q5Kx8, Activation => few::SCALED, by_ones, dot::many;
    matmul_q6k: Q6Kx8, Activation => few::SIXES, by_ones, dot::many;
    matmul_q4t: Q4Tx8, Activation => few::ALWAYS, by_ones_plainly, by_ones_plainly;
    matmul_f32: [f32; 8], f32 => few::ALWAYS, by_fours, by_fours;
    matmul_f16: F16x8, f32 => few::ALWAYS, by_fours, by_fours;
    matmul_bf16: Bf16x8, f32 => few::ALWAYS, by_fours, by_fours;
}

/// Multiplies with one input after the other. Tiles of two are up to a tenth faster, and a kilobyte of code for each layout.
#[inline(always)]
fn by_ones<B: QuantBlock>(out: &mut Submatrix<'_>, w: &[B], x: &[Activation], row_len: usize) {
    tiles(out, x.len() / row_len, 1, &|groups, first, _, sums| {
        put_pair(sums, dot::tile_pair(of_groups(w, groups, row_len), &x[first * row_len..][..row_len]));
    });
}

/// The same in the way that every build has.
#[inline(always)]
fn by_ones_plainly<B: QuantBlock>(out: &mut Submatrix<'_>, w: &[B], x: &[Activation], row_len: usize) {
    tiles(out, x.len() / row_len, 1, &|groups, first, _, sums| {
        put_pair(sums, dot::plain_tile_pair(of_groups(w, groups, row_len), &x[first * row_len..][..row_len]));
    });
}

/// Multiplies in tiles of four inputs, and the inputs that are left one by one.
#[inline(always)]
fn by_fours<B: FloatBlock>(out: &mut Submatrix<'_>, w: &[B], x: &[f32], row_len: usize) {
    tiles(out, x.len() / row_len, WIDEST, &|groups, first, n, sums| {
        for (sums, w) in sums.iter_mut().zip(of_groups(w, groups, row_len)) {
            if n == WIDEST {
                *sums = float_tile(w, inputs(x, first, row_len));
            } else {
                [sums[0]] = float_tile(w, inputs(x, first, row_len));
            }
        }
    });
}

fn of_groups<W>(w: &[W], groups: [usize; 2], row_len: usize) -> [&[W]; 2] {
    groups.map(|group| &w[group * row_len..][..row_len])
}

fn put_pair(sums: &mut [[Rows; WIDEST]; 2], pair: [Rows; 2]) {
    (sums[0][0], sums[1][0]) = (pair[0], pair[1]);
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

/// Eight rows of quants times one input, by the given way of computing integer dot products.
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
#[inline(never)]
pub(crate) fn quant_tile<D: Dot, B: QuantBlock>(dot: D, w: &[B], x: &[Activation]) -> Rows {
    let mut sums = [[F4::splat(0.0); 2]];
    for (w, x) in w.iter().zip(x) {
        w.accumulate(dot, [x], &mut sums);
    }
    sums[0]
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
