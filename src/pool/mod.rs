//! Work split between the threads that are there.
//!
//! A [`Pool`] starts no thread. Whoever can start some (a page that is cross-origin isolated, the native command) hands
//! each to [`Pool::help`], which returns when the pool is closed. The thread that owns the work calls [`Pool::grid`]: it
//! cuts a matrix into parts, and every thread that is free takes the next part until none is left. So a thread that the
//! system has taken away holds up the one part that it was at.
//!
//! What a part computes does not depend on who computes it, nor on how many parts there are: bits are the same for any
//! number of threads.

#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
mod alone;
#[cfg(not(all(target_family = "wasm", not(target_feature = "atomics"))))]
mod threads;

#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
pub use alone::Pool;
#[cfg(not(all(target_family = "wasm", not(target_feature = "atomics"))))]
pub use threads::Pool;

use crate::kernels::Submatrix;
use core::ops::Range;

/// Most threads that work together.
pub const MAX_THREADS: usize = 16;

/// Multiply-adds (or as much other work) below which a second thread costs more than it brings: some microseconds.
const MIN_WORK: usize = 32_768;
/// What one part should be at most, so that nobody waits long for the last one; larger where each part has to prepare
/// something, as products with many inputs do.
const PART_WORK: usize = 1 << 18;
/// Parts that each thread should find, where they do not become smaller than [`MIN_WORK`].
const PARTS_PER_THREAD: usize = 4;

/// Where a part lies in its matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its rows.
    pub rows: Range<usize>,
    /// Its columns.
    pub columns: Range<usize>,
}

/// A matrix, cut into parts of `rows` × `columns`; those at the end may be smaller. Parts are numbered down the rows
/// first.
#[derive(Debug, Clone, Copy)]
struct Grid {
    of: [usize; 2],
    part: [usize; 2],
}

impl Grid {
    fn new<T>(out: &Submatrix<'_, T>, part: [usize; 2]) -> Grid {
        Grid { of: [out.n_rows(), out.n_columns()], part: part.map(|n| n.max(1)) }
    }

    fn n_parts(self) -> usize {
        self.of[0].div_ceil(self.part[0]) * self.of[1].div_ceil(self.part[1])
    }

    fn part(self, i: usize) -> Part {
        let down = self.of[0].div_ceil(self.part[0]).max(1);
        let range = |axis: usize, i: usize| {
            let start = (i * self.part[axis]).min(self.of[axis]);
            start..(start + self.part[axis]).min(self.of[axis])
        };
        Part { rows: range(0, i % down), columns: range(1, i / down) }
    }
}

/// Does one part, told which thread it is on and of which matrix the part is.
type PartWork<'w, T> = dyn for<'p> Fn(usize, usize, Part, Submatrix<'p, T>) + Sync + 'w;

impl Pool {
    /// Into how many parts some work, counted in multiply-adds, should be cut: 1 where it is not worth the while.
    pub fn n_parts(&self, work: usize) -> usize {
        match self.n_ready(work) {
            1 => 1,
            n => (work / PART_WORK).max((work / MIN_WORK).min(n * PARTS_PER_THREAD)).max(1),
        }
    }

    /// Cuts `out`, rows of `n_columns`, into parts of `part` = \[rows, columns\], and has `work` done once for each, in any
    /// order and by any thread; returns when all is done. `work` is told which thread it is on (below
    /// [`MAX_THREADS`]), which part is meant, and gets it to be written.
    pub fn grid<T: Send>(
        &self,
        out: &mut [T],
        n_columns: usize,
        part: [usize; 2],
        work: &(dyn Fn(usize, Part, Submatrix<'_, T>) + Sync),
    ) {
        self.grids(&mut [Some(Cut::new(out, n_columns, part))], &|thread, _, part, place| work(thread, part, place));
    }

    /// As [`grid`](Self::grid) with the parts of several matrices, of which `work` is told which one, after its thread.
    pub fn grids<T: Send>(&self, cuts: &mut [Option<Cut<'_, T>>], work: &PartWork<'_, T>) {
        let cuts = &*cuts;
        let shared = Shared(cuts);
        let work = |thread: usize, mut i: usize| {
            for (which, cut) in shared.get().iter().flatten().enumerate() {
                let n_parts = cut.grid.n_parts();
                if i < n_parts {
                    let part = cut.grid.part(i);
                    // SAFETY: each part is handed out once, parts of a grid do not overlap, and nobody else has the cuts.
                    let place = unsafe { cut.out.part(part.rows.clone(), part.columns.clone()) };
                    return work(thread, which, part, place);
                }
                i -= n_parts;
            }
        };
        self.run(cuts.iter().flatten().map(|cut| cut.grid.n_parts()).sum(), &work);
    }

    /// As [`grid`](Self::grid) with whole rows, about as many parts as `work_per_row` multiply-adds a row deserve:
    /// `work(first row, rows)`.
    pub fn rows<T: Send>(
        &self,
        out: &mut [T],
        n_columns: usize,
        work_per_row: usize,
        work: &(dyn Fn(usize, Submatrix<'_, T>) + Sync),
    ) {
        let n_rows = out.len().checked_div(n_columns).unwrap_or(0);
        let rows = n_rows.div_ceil(self.n_parts(n_rows * work_per_row));
        self.grid(out, n_columns, [rows, n_columns], &|_, part, place| work(part.rows.start, place));
    }
}

/// Does as [`Pool::grid`], on this thread and in the parts' order: for work that only one thread may do.
pub fn in_order<T>(out: &mut [T], n_columns: usize, part: [usize; 2], work: &mut dyn FnMut(Part, Submatrix<'_, T>)) {
    let out = Submatrix::new(out, n_columns);
    let grid = Grid::new(&out, part);
    for part in (0..grid.n_parts()).map(|i| grid.part(i)) {
        // SAFETY: one part exists at a time, and `out` itself is not used.
        let place = unsafe { out.part(part.rows.clone(), part.columns.clone()) };
        work(part, place);
    }
}

/// A matrix that is to be written part by part.
#[derive(Debug)]
pub struct Cut<'a, T> {
    out: Submatrix<'a, T>,
    grid: Grid,
}

impl<'a, T> Cut<'a, T> {
    /// `out`, rows of `n_columns`, in parts of `part` = \[rows, columns\].
    pub fn new(out: &'a mut [T], n_columns: usize, part: [usize; 2]) -> Cut<'a, T> {
        let out = Submatrix::new(out, n_columns);
        Cut { grid: Grid::new(&out, part), out }
    }
}

/// Matrices that several threads may look at, to take disjoint parts of them.
struct Shared<'c, 'a, T>(&'c [Option<Cut<'a, T>>]);

impl<'c, 'a, T> Shared<'c, 'a, T> {
    fn get(&self) -> &'c [Option<Cut<'a, T>>] {
        self.0
    }
}

// SAFETY: through a shared reference nothing but their shapes can be read; their parts are handed out by unsafe code alone,
// which answers for their being disjoint, and each then is with one thread, as `T: Send` allows.
unsafe impl<T: Send> Sync for Shared<'_, '_, T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_covers_its_matrix_once() {
        for (of, part) in [([5, 7], [2, 3]), ([1, 1], [4, 4]), ([4, 6], [4, 6]), ([3, 2], [1, 1]), ([0, 4], [1, 1])] {
            let mut seen = vec![0; of[0] * of[1]];
            in_order(&mut seen, of[1], part, &mut |part, mut place| {
                assert_eq!((part.rows.len(), part.columns.len()), (place.n_rows(), place.n_columns()));
                (0..place.n_rows()).for_each(|row| place.row(row).iter_mut().for_each(|n| *n += 1));
            });
            assert!(seen.iter().all(|n| *n == 1), "{of:?} {part:?}");
        }
    }
}
