//! A rectangle of a matrix that one thread writes while others write other rectangles of the same matrix.

use core::marker::PhantomData;
use core::ops::Range;
use core::slice;

/// Some columns of some rows of a row-major matrix, exclusively borrowed: what `&mut [T]` is to a slice.
#[derive(Debug)]
pub struct Submatrix<'a, T = f32> {
    /// Row 0, column 0 of the rectangle.
    start: *mut T,
    n_rows: usize,
    n_columns: usize,
    /// Values from one row to the next.
    stride: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: it is an exclusive borrow of its values, as `&mut [T]` is, and that can be sent where T can.
unsafe impl<T: Send> Send for Submatrix<'_, T> {}

impl<'a, T> Submatrix<'a, T> {
    /// A whole matrix with rows of `n_columns`; what is left over at the end of `values` is no part of it.
    #[inline(always)]
    pub fn new(values: &'a mut [T], n_columns: usize) -> Submatrix<'a, T> {
        let n_rows = values.len().checked_div(n_columns).unwrap_or(0);
        Submatrix { start: values.as_mut_ptr(), n_rows, n_columns, stride: n_columns, borrow: PhantomData }
    }

    /// How many rows it has.
    #[inline(always)]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// How long its rows are.
    #[inline(always)]
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// Row `row` of the rectangle: \[n_columns\].
    ///
    /// # Panics
    /// Where there is no such row.
    #[inline(always)]
    pub fn row(&mut self, row: usize) -> &mut [T] {
        assert!(row < self.n_rows);
        // SAFETY: the row lies in the matrix that `new` borrowed, no other rectangle shares its columns, and the borrow
        // of `self` keeps this rectangle from handing it out twice.
        unsafe { slice::from_raw_parts_mut(self.start.add(row * self.stride), self.n_columns) }
    }

    /// A rectangle within this one, which may live as long.
    ///
    /// # Panics
    /// Where a range does not lie within this one.
    ///
    /// # Safety
    /// Nothing else reads or writes the values of the result while it lives: neither `self` nor another part of it.
    #[inline(always)]
    pub unsafe fn part(&self, rows: Range<usize>, columns: Range<usize>) -> Submatrix<'a, T> {
        assert!(rows.start <= rows.end && rows.end <= self.n_rows);
        assert!(columns.start <= columns.end && columns.end <= self.n_columns);
        let at = if rows.is_empty() || columns.is_empty() { 0 } else { rows.start * self.stride + columns.start };
        Submatrix {
            // SAFETY: the first value of a part that is not empty lies in the matrix.
            start: unsafe { self.start.add(at) },
            n_rows: rows.len(),
            n_columns: columns.len(),
            stride: self.stride,
            borrow: PhantomData,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_write_their_own_columns() {
        let mut values = [0; 14]; // four rows of three, and two left over
        let whole = Submatrix::new(&mut values, 3);
        assert_eq!((whole.n_rows(), whole.n_columns()), (4, 3));
        // SAFETY: the two parts have no column in common, and `whole` is not used.
        let (mut left, mut right) = unsafe { (whole.part(1..3, 0..1), whole.part(0..4, 1..3)) };
        (0..2).for_each(|row| left.row(row).fill(1));
        (0..4).for_each(|row| right.row(row).fill(2));
        assert_eq!(values, [0, 2, 2, 1, 2, 2, 1, 2, 2, 0, 2, 2, 0, 0]);
    }

    #[test]
    fn an_empty_matrix_has_no_rows() {
        assert_eq!(Submatrix::<f32>::new(&mut [], 0).n_rows(), 0);
        assert_eq!(Submatrix::<f32>::new(&mut [], 3).n_rows(), 0);
    }
}
