//! Attention over a cache that is stored in tiles of [`TILE`] positions.
//!
//! Keys lie transposed in their tile, \[Dh × TILE\], so that a lane is a position and scores need no sum across lanes;
//! values lie as they are read, \[TILE × Dh\]. Several queries (the heads that share a key head, the tokens of a batch)
//! are *rows*, and each tile is read once for all of them.
//!
//! The orders: a score is the sum of q\[d\]·k\[d\] from zero in rising d; an output is the sum of w\[p\]·v\[p\] from zero in
//! rising position p. Neither depends on how rows are put together or positions are cut into tiles.

use crate::lanes::F4;

/// Positions of one tile.
pub const TILE: usize = 16;

/// Scores of each row against one tile of keys: `scores[r][at + i] = Σ_d q[r][d] · keys[d][i]`.
///
/// # Shapes
/// `scores`: rows of `stride`, which is at least `at` + TILE; `q`: \[rows × Dh\]; `keys`: \[Dh × TILE\]; `ends`: how many
/// positions each row sees. A row that ends at or before `at` is left out; what is written past its end means nothing.
pub fn attention_scores(scores: &mut [f32], stride: usize, at: usize, q: &[f32], keys: &[f32], ends: &[usize]) {
    let keys = keys.as_chunks::<TILE>().0;
    let dh = keys.len();
    let mut row = 0;
    while row < ends.len() {
        let two = ends[row..].iter().take(2).filter(|end| **end > at).count() == 2;
        let q = &q[row * dh..];
        let scores = &mut scores[row * stride + at..];
        if two {
            let [a, b] = score_rows([&q[..dh], &q[dh..2 * dh]], keys);
            store(a, &mut scores[..TILE]);
            store(b, &mut scores[stride..stride + TILE]);
            row += 2;
        } else {
            if ends[row] > at {
                let [a] = score_rows([&q[..dh]], keys);
                store(a, &mut scores[..TILE]);
            }
            row += 1;
        }
    }
}

#[inline(always)]
fn score_rows<const R: usize>(q: [&[f32]; R], keys: &[[f32; TILE]]) -> [[F4; 4]; R] {
    let q = q.map(|q| &q[..keys.len()]);
    let mut sums = [[F4::splat(0.0); 4]; R];
    for (d, key) in keys.iter().enumerate() {
        let fours = key.as_chunks::<4>().0;
        for (sums, q) in sums.iter_mut().zip(&q) {
            let q = F4::splat(q[d]);
            for (sum, four) in sums.iter_mut().zip(fours) {
                *sum = sum.add(q.mul(F4::load(four)));
            }
        }
    }
    sums
}

#[inline(always)]
fn store(sums: [F4; 4], to: &mut [f32]) {
    for (sum, four) in sums.into_iter().zip(to.as_chunks_mut::<4>().0) {
        sum.store(four);
    }
}

/// Adds one tile of values to each row's output: `out[r][d] += Σ_p weights[r][at + p] · values[p][d]`, over the positions
/// before the row's end, in order.
///
/// # Shapes
/// `out`: \[rows × Dh\]; `weights`: rows of `stride`; `values`: \[TILE × Dh\]; `ends`: how many positions each row sees.
pub fn attention_values(out: &mut [f32], weights: &[f32], stride: usize, at: usize, values: &[f32], ends: &[usize]) {
    let dh = values.len() / TILE;
    let count = |row: usize| ends.get(row).map_or(0, |end| end.saturating_sub(at).min(TILE));
    for row in (0..ends.len()).step_by(2) {
        let (first, second) = (count(row), count(row + 1));
        let both = first.min(second);
        let (out, weights) = (&mut out[row * dh..], &weights[row * stride + at..]);
        if both > 0 {
            add_rows::<2>(out, weights, stride, values, dh, 0..both);
        }
        if both < first {
            add_rows::<1>(out, weights, stride, values, dh, both..first);
        }
        if both < second {
            add_rows::<1>(&mut out[dh..], &weights[stride..], stride, values, dh, both..second);
        }
    }
}

/// Adds these positions of a tile to `R` rows, sixteen columns at a time, then four, then one.
#[inline(never)] // once for each R, not once for each call
fn add_rows<const R: usize>(
    out: &mut [f32],
    weights: &[f32],
    stride: usize,
    values: &[f32],
    dh: usize,
    positions: core::ops::Range<usize>,
) {
    let values = &values[positions.start * dh..positions.end * dh];
    let weights: [&[f32]; R] = core::array::from_fn(|r| &weights[r * stride..][positions.clone()]);
    let (sixteens, fours) = (dh / 16 * 16, dh / 4 * 4);
    for column in (0..sixteens).step_by(16) {
        add_columns::<R, 4>(out, weights, values, dh, column);
    }
    for column in (sixteens..fours).step_by(4) {
        add_columns::<R, 1>(out, weights, values, dh, column);
    }
    for column in fours..dh {
        for (r, weights) in weights.iter().enumerate() {
            for (w, value) in weights.iter().zip(values.chunks_exact(dh)) {
                out[r * dh + column] += w * value[column];
            }
        }
    }
}

/// `C` times four columns.
#[inline(always)]
fn add_columns<const R: usize, const C: usize>(
    out: &mut [f32],
    weights: [&[f32]; R],
    values: &[f32],
    dh: usize,
    column: usize,
) {
    let mut sums = [[F4::splat(0.0); C]; R];
    for (r, sums) in sums.iter_mut().enumerate() {
        let from = out[r * dh + column..][..4 * C].as_chunks::<4>().0;
        sums.iter_mut().zip(from).for_each(|(sum, four)| *sum = F4::load(four));
    }
    for (p, value) in values.chunks_exact(dh).enumerate() {
        let fours = value[column..column + 4 * C].as_chunks::<4>().0;
        for (sums, weights) in sums.iter_mut().zip(&weights) {
            let w = F4::splat(weights[p]);
            for (sum, four) in sums.iter_mut().zip(fours) {
                *sum = sum.add(w.mul(F4::load(four)));
            }
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        let to = out[r * dh + column..][..4 * C].as_chunks_mut::<4>().0;
        sums.into_iter().zip(to).for_each(|(sum, four)| sum.store(four));
    }
}

/// Widens f16, given by its bits, exactly. An infinity becomes a NaN, as a NaN stays one: what did not fit into 16 bits
/// shows as a fault instead of as a number.
pub fn widen_f16(out: &mut [f32], halves: &[u16]) {
    let widen = |four: &[u16; 4]| {
        let x = F4::from_f16(four);
        x.abs().select_lt(F4::splat(65536.0), x, F4::splat(f32::NAN))
    };
    let (fours, rest) = halves.as_chunks::<4>();
    let (out_fours, out_rest) = out.as_chunks_mut::<4>();
    for (out, four) in out_fours.iter_mut().zip(fours) {
        widen(four).store(out);
    }
    for (out, half) in out_rest.iter_mut().zip(rest) {
        *out = widen(&[*half; 4]).to_array()[0];
    }
}

/// Widens 8-bit quants: `out[row][i] = q[row][i] · scale[row / 32][i]`, for rows of TILE: a tile of keys.
pub fn widen_q8_keys(out: &mut [f32], q: &[i8], scales: &[f32]) {
    for ((out, q), scales) in out.chunks_mut(32 * TILE).zip(q.chunks(32 * TILE)).zip(scales.as_chunks::<TILE>().0) {
        for (out, q) in out.as_chunks_mut::<TILE>().0.iter_mut().zip(q.as_chunks::<TILE>().0) {
            for i in 0..TILE {
                out[i] = f32::from(q[i]) * scales[i];
            }
        }
    }
}

/// Widens 8-bit quants: `out[p][d] = q[p][d] · scale[p][d / 32]`, for TILE rows: a tile of values.
pub fn widen_q8_values(out: &mut [f32], q: &[i8], scales: &[f32]) {
    let (dh, n_blocks) = (q.len() / TILE, scales.len() / TILE);
    let rows = out.chunks_exact_mut(dh).zip(q.chunks_exact(dh));
    for ((out, q), scales) in rows.zip(scales.chunks_exact(n_blocks)) {
        for ((out, q), scale) in out.chunks_mut(32).zip(q.chunks(32)).zip(scales) {
            out.iter_mut().zip(q).for_each(|(out, q)| *out = f32::from(*q) * scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle;
    use proptest::prelude::*;

    fn values(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 22) as f32 - 2.0
        };
        (0..n).map(|_| next()).collect()
    }

    proptest! {
        #[test]
        fn rows_equal_the_oracle_in_bits(dh in 1_usize..70, ends in prop::collection::vec(1_usize..50, 1..8), seed: u32) {
            let n_tiles = ends.iter().max().unwrap().div_ceil(TILE);
            let stride = n_tiles * TILE;
            let q = values(ends.len() * dh, seed);
            let keys = values(stride * dh, seed ^ 1); // [positions × Dh]
            let vals = values(stride * dh, seed ^ 2);
            let (mut scores, mut out) = (vec![0.0; ends.len() * stride], vec![0.0; ends.len() * dh]);
            for at in (0..stride).step_by(TILE) {
                let tile: Vec<f32> = (0..dh * TILE).map(|i| keys[(at + i % TILE) * dh + i / TILE]).collect();
                attention_scores(&mut scores, stride, at, &q, &tile, &ends);
            }
            for at in (0..stride).step_by(TILE) {
                attention_values(&mut out, &scores, stride, at, &vals[at * dh..][..TILE * dh], &ends);
            }
            for (r, end) in ends.iter().enumerate() {
                let score = |key: &[f32]| oracle::attention_score(&q[r * dh..][..dh], key.iter().copied());
                let want: Vec<f32> = keys[..end * dh].chunks(dh).map(score).collect();
                let got = &scores[r * stride..][..*end];
                prop_assert!(want.iter().zip(got).all(|(a, b)| a.to_bits() == b.to_bits()), "scores of row {}", r);
                let want = oracle::attention_values(&want, &vals[..end * dh]);
                let got = &out[r * dh..][..dh];
                prop_assert!(want.iter().zip(got).all(|(a, b)| a.to_bits() == b.to_bits()), "output of row {}", r);
            }
        }

        #[test]
        fn quants_widen_to_their_products(dh in 1_usize..100, seed: u32) {
            let n_blocks = dh.div_ceil(32);
            let q: Vec<i8> = values(dh * TILE, seed).iter().map(|x| (x * 63.0) as i8).collect();
            let scales = values(n_blocks * TILE, seed ^ 1);
            let mut out = vec![0.0; dh * TILE];
            widen_q8_keys(&mut out, &q, &scales);
            for i in 0..dh * TILE {
                prop_assert_eq!(out[i], f32::from(q[i]) * scales[i / TILE / 32 * TILE + i % TILE]);
            }
            widen_q8_values(&mut out, &q, &scales);
            for i in 0..dh * TILE {
                prop_assert_eq!(out[i], f32::from(q[i]) * scales[i / dh * n_blocks + i % dh / 32]);
            }
        }
    }

    #[test]
    fn halves_widen_exactly_and_faults_show() {
        let halves = [0, 0x8000, 1, 0x8001, 0x03ff, 0x0400, 0x3c00, 0xbc01, 0x7bff, 0x7c00, 0xfc00, 0x7e00];
        let mut out = [0f32; 12];
        widen_f16(&mut out, &halves);
        let small = 2f32.powi(-24);
        let want = [0.0, -0.0, small, -small, 1023.0 * small, 1024.0 * small, 1.0, -1.000_976_6, 65504.0];
        assert_eq!(out[..9].iter().map(|x| x.to_bits()).collect::<Vec<_>>(), want.map(f32::to_bits));
        assert!(out[9..].iter().all(|x| x.is_nan()));
    }
}
