//! The pool of a build without threads: whoever owns the work does it.

/// One thread. See [`crate::pool`].
#[derive(Debug, Default)]
pub struct Pool(());

impl Pool {
    /// A pool of the calling thread.
    pub fn new(_capacity: usize) -> Pool {
        Pool(())
    }

    /// Most threads that will ever work together: 1.
    pub fn capacity(&self) -> usize {
        1
    }

    /// How many threads may work together: 1.
    pub fn n_threads(&self) -> usize {
        1
    }

    /// Stays at 1.
    pub fn set_n_threads(&self, _n: usize) {}

    pub(super) fn n_ready(&self) -> usize {
        1
    }

    pub(super) fn run(&self, n_parts: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        (0..n_parts).for_each(|i| work(0, i));
    }
}
