//! An allocator that counts, thread by thread, so that tests running beside each other do not disturb one another.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What one thread has allocated.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    /// Calls that asked for memory.
    calls: usize,
    /// Bytes held now. Freed elsewhere than where it was allocated, memory may make this negative.
    held: isize,
    /// The most that was held, or would have been held had it been granted.
    peak: isize,
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { calls: 0, held: 0, peak: 0 }) };
}

/// Larger requests are refused, so that no mistake takes the machine down.
const MOST: usize = 2 << 30;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts a request for `new` bytes in place of `old`; whether it is granted.
fn count(old: usize, new: usize) -> bool {
    let granted = new <= MOST;
    let update = |counts: &Cell<Counts>| {
        let mut c = counts.get();
        let would_hold = c.held.saturating_add_unsigned(new).saturating_sub_unsigned(old);
        c.calls += usize::from(new > 0);
        c.peak = c.peak.max(would_hold);
        if granted {
            c.held = would_hold;
        }
        counts.set(c);
    };
    // A thread that is ending counts no more.
    let _ = COUNTS.try_with(update);
    granted
}

// SAFETY: every call is the system allocator's, with the arguments given, or returns null, which says "no memory".
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !count(0, layout.size()) {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !count(0, layout.size()) {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new: usize) -> *mut u8 {
        if !count(layout.size(), new) {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { System.realloc(at, layout, new) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(layout.size(), 0);
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { System.dealloc(at, layout) }
    }
}

/// What a piece of work asked of the allocator.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    /// How often it asked for memory.
    pub calls: usize,
    /// The most it held at a time, or would have held if it had got it, in bytes.
    pub peak: usize,
    /// What it still holds, in bytes.
    pub held: isize,
}

/// Runs `work` and says what it asked of the allocator on this thread.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Spent) {
    let before = COUNTS.with(|counts| {
        let mut c = counts.get();
        c.peak = c.held;
        counts.set(c);
        c
    });
    let value = work();
    let after = COUNTS.with(Cell::get);
    let spent = Spent {
        calls: after.calls - before.calls,
        peak: (after.peak - before.held).max(0) as usize,
        held: after.held - before.held,
    };
    (value, spent)
}
