//! The pool of builds that have threads.
//!
//! ```text
//! owner                                     helper
//!   job := work; unfinished := n              loop
//!   ticket := (next number, n left)             spin, then sleep, until ticket has parts left
//!   while a part can be taken: do it            while a part can be taken: do it; unfinished -= 1
//!   spin, then sleep, until unfinished = 0
//! ```
//!
//! A part is taken by lowering the count in `ticket`. As long as someone has a part, the owner does not return, so the job
//! that a helper reads after taking a part is the one that the part belongs to. The job's number, in the same word, keeps
//! a helper that looked at an old job from taking a part of a new one without having seen that it is new.
//!
//! Spinning is bounded, on both sides. Where the system has given a helper's processor to somebody else, the owner waits
//! for the part that the helper was at; it then works alone for a while, twice as long each time, so that a busy machine
//! costs little.

use super::MAX_THREADS;
use core::cell::UnsafeCell;
use core::hint::spin_loop;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Work to be done for each number below some n, told which thread it is on.
type Work<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// Looks at `ticket` before a helper sleeps: some tens of microseconds, as long as the owner needs between two products.
const HELPER_SPINS: u32 = 20_000;
/// Looks at `unfinished` before the owner sleeps: one or two milliseconds, longer than a part takes (some tens of
/// microseconds; with inputs by the dozen and the largest models one millisecond), and less than a system gives a process
/// at a time.
const OWNER_SPINS: u32 = 4_000_000;
/// Multiply-adds, in thousands, that the owner does alone after it had to wait for a helper that was not running: at first
/// some hundredths of a second, at most some tenths. A helper that was only late (its code was still being compiled) is
/// soon back, and one whose processor is taken costs a few hundredths.
const ALONE: [u32; 2] = [1 << 18, 1 << 22];
/// Work without such a wait, in thousands of multiply-adds, after which the next wait makes nobody work alone: something
/// else ran for a moment, as it does a few times a second on any machine, and costs less than helpers bring in between.
/// That is a hundredth of a second of prefill, several times what a process that keeps the core would leave.
const CALM: u32 = 1 << 19;
/// What a job counts for at least: products with one input wait for memory.
const SHORT_JOB: u32 = CALM / 512;

/// Threads that work together. See [`crate::pool`].
#[derive(Debug, Default)]
pub struct Pool {
    /// The job's number in the upper half, the parts that nobody has taken in the lower.
    ticket: AtomicU64,
    /// Parts that are not done.
    unfinished: AtomicU32,
    job: Job,
    /// Most threads that will ever take part, the owner counted.
    capacity: usize,
    /// Threads that may take part now, the owner counted.
    n_threads: AtomicUsize,
    /// Helpers that have come.
    n_helpers: AtomicUsize,
    /// Whether someone owns the pool right now: who finds it owned works alone.
    owned: AtomicBool,
    closed: AtomicBool,
    pauses: Pauses,
    /// Helpers that sleep though they may take part.
    sleepers: AtomicU32,
    owner_sleeps: AtomicBool,
    lock: Mutex<()>,
    work_came: Condvar,
    work_done: Condvar,
    /// What a part of the job panicked with, for the owner to go on with when every part has ended.
    #[cfg(panic = "unwind")]
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

#[derive(Debug, Default)]
struct Job(UnsafeCell<Option<*const Work<'static>>>);

// SAFETY: written by the owner while no part is to be had and none is unfinished; read by those who have taken a part.
unsafe impl Sync for Job {}
// SAFETY: what it points to is `Sync`.
unsafe impl Send for Job {}

/// When the owner works alone.
#[derive(Debug, Default)]
struct Pauses {
    /// Multiply-adds still to be done alone, in thousands.
    left: AtomicU32,
    /// How long the last pause was; 0 after calm.
    last: AtomicU32,
    /// Work given to several since the last wait, in thousands of multiply-adds.
    calm: AtomicU32,
}

impl Pool {
    /// A pool of the calling thread. Others come by [`help`](Self::help), until they are `capacity` together, 1 to
    /// [`MAX_THREADS`].
    pub fn new(capacity: usize) -> Pool {
        let capacity = capacity.clamp(1, MAX_THREADS);
        Pool { capacity, n_threads: AtomicUsize::new(capacity), ..Pool::default() }
    }

    /// Most threads that will ever work together.
    pub fn capacity(&self) -> usize {
        self.capacity.max(1)
    }

    /// How many threads may work together, the owner counted; those that have not come yet do not.
    pub fn n_threads(&self) -> usize {
        self.n_threads.load(Relaxed).min(self.n_helpers.load(Relaxed) + 1).max(1)
    }

    /// How many threads have come, the owner counted, whether they may work now or not.
    pub fn n_here(&self) -> usize {
        self.n_helpers.load(Relaxed) + 1
    }

    /// Lets at most `n` threads work together, 1 to [`capacity`](Self::capacity); the others sleep.
    pub fn set_n_threads(&self, n: usize) {
        self.n_threads.store(n.clamp(1, self.capacity()), SeqCst);
        self.pauses.left.store(0, Relaxed);
        self.pauses.last.store(0, Relaxed);
        drop(self.lock());
        self.work_came.notify_all();
    }

    /// Helps whoever owns work, until the pool is closed. A helper too many returns at once.
    pub fn help(&self) {
        let come = |n| (n + 1 < self.capacity()).then_some(n + 1);
        let Ok(before) = self.n_helpers.fetch_update(SeqCst, SeqCst, come) else { return };
        let thread = before + 1;
        while !self.closed.load(SeqCst) {
            match if self.may_help(thread) { self.take() } else { None } {
                Some(part) => self.do_part(thread, part),
                None => self.wait_for_work(thread),
            }
        }
    }

    fn may_help(&self, thread: usize) -> bool {
        thread < self.n_threads.load(SeqCst)
    }

    /// Sends the helpers home, those that come later too.
    pub fn close(&self) {
        self.closed.store(true, SeqCst);
        drop(self.lock());
        self.work_came.notify_all();
    }

    /// Threads that the next job, of so many multiply-adds, can count on.
    pub(super) fn n_ready(&self, work: usize) -> usize {
        let work = u32::try_from(work / 1000).unwrap_or(u32::MAX);
        if self.pauses.is_over(work) { self.n_threads() } else { 1 }
    }

    /// Has `work` done for 0 .. `n_parts`, each once.
    pub(super) fn run(&self, n_parts: usize, work: &Work<'_>) {
        let n = u32::try_from(n_parts).unwrap_or(0);
        if n < 2 || self.n_threads() < 2 || self.owned.swap(true, SeqCst) {
            return (0..n_parts).for_each(|part| work(0, part));
        }
        // SAFETY: the lifetime is only made to look longer: this function returns when every part is done, and the job is
        // read by those alone who have taken a part. Nobody has one now.
        unsafe { *self.job.0.get() = Some(core::mem::transmute::<*const Work<'_>, *const Work<'static>>(work)) };
        self.unfinished.store(n, SeqCst);
        let number = (self.ticket.load(Relaxed) >> 32).wrapping_add(1);
        self.ticket.store(number << 32 | u64::from(n), SeqCst);
        if self.sleepers.load(SeqCst) > 0 {
            drop(self.lock());
            self.work_came.notify_all();
        }
        while let Some(part) = self.take() {
            self.do_part(0, part);
        }
        self.wait_for_helpers();
        #[cfg(panic = "unwind")]
        let panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.owned.store(false, SeqCst);
        #[cfg(panic = "unwind")]
        if let Some(panic) = panic {
            std::panic::resume_unwind(panic);
        }
    }

    /// Takes a part of the job that is there, if one is left.
    fn take(&self) -> Option<u32> {
        let mut ticket = self.ticket.load(SeqCst);
        loop {
            let left = ticket as u32;
            if left == 0 {
                return None;
            }
            match self.ticket.compare_exchange_weak(ticket, ticket - 1, SeqCst, Relaxed) {
                Ok(_) => return Some(left - 1),
                Err(now) => ticket = now,
            }
        }
    }

    fn do_part(&self, thread: usize, part: u32) {
        // SAFETY: this thread has taken a part and not finished it, so the job is there and its owner waits for us.
        if let Some(work) = unsafe { *self.job.0.get() } {
            // SAFETY: as above: the borrow that `work` was made from lasts until the owner returns.
            let work = unsafe { &*work };
            // A part that panics has ended like any other, so that nobody is left with a job whose owner is gone.
            #[cfg(panic = "unwind")]
            if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(thread, part as usize))) {
                *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            }
            #[cfg(not(panic = "unwind"))]
            work(thread, part as usize);
        }
        if self.unfinished.fetch_sub(1, SeqCst) == 1 && self.owner_sleeps.load(SeqCst) {
            drop(self.lock());
            self.work_done.notify_one();
        }
    }

    fn wait_for_work(&self, thread: usize) {
        let may_help = || self.may_help(thread);
        let is_work = || self.ticket.load(SeqCst) as u32 != 0 || self.closed.load(SeqCst);
        if may_help() && spin_until(HELPER_SPINS, is_work) {
            return;
        }
        let mut guard = self.lock();
        while !may_help() && !self.closed.load(SeqCst) {
            guard = self.work_came.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_add(1, SeqCst);
        while may_help() && !is_work() {
            guard = self.work_came.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, SeqCst);
    }

    fn wait_for_helpers(&self) {
        let is_done = || self.unfinished.load(SeqCst) == 0;
        if spin_until(OWNER_SPINS, is_done) {
            return;
        }
        self.pauses.begin();
        let mut guard = self.lock();
        self.owner_sleeps.store(true, SeqCst);
        while !is_done() {
            guard = self.work_done.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.owner_sleeps.store(false, SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pauses {
    /// Whether several may do the next job, which is counted.
    fn is_over(&self, work: u32) -> bool {
        let left = self.left.load(Relaxed);
        if left > 0 {
            self.left.store(left.saturating_sub(work.max(1)), Relaxed);
            return false;
        }
        let calm = self.calm.load(Relaxed).saturating_add(work.max(SHORT_JOB));
        self.calm.store(calm, Relaxed);
        true
    }

    fn begin(&self) {
        let was_calm = self.calm.load(Relaxed) >= CALM;
        let length = if was_calm { 0 } else { (2 * self.last.load(Relaxed)).clamp(ALONE[0], ALONE[1]) };
        self.last.store(length, Relaxed);
        self.left.store(length, Relaxed);
        self.calm.store(0, Relaxed);
    }
}

/// Whether `is_true` became so before the spins ran out.
fn spin_until(spins: u32, is_true: impl Fn() -> bool) -> bool {
    (0..spins).any(|_| {
        spin_loop();
        is_true()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    fn with_helpers(n: usize, test: impl FnOnce(&Pool)) {
        let pool = Arc::new(Pool::new(n + 1));
        let helpers: Vec<_> = (0..n)
            .map(|_| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || pool.help())
            })
            .collect();
        while pool.n_threads() < n + 1 {
            thread::yield_now();
        }
        test(&pool);
        pool.close();
        helpers.into_iter().for_each(|helper| helper.join().unwrap());
    }

    const JOBS: usize = if cfg!(miri) { 20 } else { 5_000 };

    #[test]
    fn every_part_is_done_once_by_any_number_of_threads() {
        for n_helpers in 0..4 {
            with_helpers(n_helpers, |pool| {
                let counts: Vec<AtomicU32> = (0..37).map(|_| AtomicU32::new(0)).collect();
                for job in 0..JOBS {
                    let n = 1 + job % counts.len();
                    pool.run(n, &|thread, part| {
                        assert!(thread <= n_helpers);
                        counts[part].fetch_add(1, Relaxed);
                    });
                    let done: u32 = counts.iter().map(|count| count.swap(0, Relaxed)).sum();
                    assert_eq!(done as usize, n, "job {job}");
                }
            });
        }
    }

    /// Parts that wait for one another, which no thread alone could end.
    #[test]
    fn all_threads_take_parts() {
        for n_helpers in 1..4 {
            with_helpers(n_helpers, |pool| {
                for _ in 0..if cfg!(miri) { 2 } else { 100 } {
                    let (came, met) = (AtomicUsize::new(0), AtomicUsize::new(0));
                    pool.run(n_helpers + 1, &|_, _| {
                        came.fetch_add(1, SeqCst);
                        let all_came = || came.load(SeqCst) == n_helpers + 1;
                        let waited = (0..10_000_000).any(|_| {
                            all_came() || {
                                thread::yield_now();
                                false
                            }
                        });
                        met.fetch_add(usize::from(waited), SeqCst);
                    });
                    assert_eq!(met.into_inner(), n_helpers + 1);
                }
            });
        }
    }

    #[test]
    fn a_part_that_panics_hangs_nobody_and_reaches_the_owner() {
        with_helpers(2, |pool| {
            let done = AtomicU32::new(0);
            let job = |panics: usize| {
                let run = || {
                    pool.run(8, &|_, part| {
                        assert!(part != panics, "part {part}");
                        done.fetch_add(1, Relaxed);
                    });
                };
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
            };
            for panics in 0..8 {
                let panic = job(panics).unwrap_err();
                assert_eq!(panic.downcast_ref::<String>(), Some(&format!("part {panics}")));
                assert_eq!(done.swap(0, Relaxed), 7, "the other parts");
                job(8).unwrap();
                assert_eq!(done.swap(0, Relaxed), 8, "and the pool goes on");
            }
        });
    }

    #[test]
    fn sleeping_helpers_wake_and_idle_ones_stay_out() {
        with_helpers(2, |pool| {
            for n_threads in [2, 1, 3] {
                pool.set_n_threads(n_threads);
                assert_eq!((pool.n_threads(), pool.n_here()), (n_threads, 3));
                for _ in 0..if cfg!(miri) { 2 } else { 20 } {
                    thread::sleep(std::time::Duration::from_millis(1)); // long enough for them to sleep
                    let seen = AtomicU32::new(0);
                    pool.run(8, &|thread, _| {
                        assert!(thread < n_threads || n_threads == 1);
                        seen.fetch_add(1, Relaxed);
                    });
                    assert_eq!(seen.into_inner(), 8);
                }
            }
        });
    }

    #[test]
    fn a_job_within_a_job_is_done_alone() {
        with_helpers(1, |pool| {
            let seen = AtomicU32::new(0);
            pool.run(4, &|_, _| {
                pool.run(3, &|_, _| {
                    seen.fetch_add(1, Relaxed);
                });
            });
            assert_eq!(seen.into_inner(), 12);
        });
    }

    #[test]
    fn an_owner_that_had_to_wait_works_alone_for_a_while() {
        let pool = Pool { n_helpers: AtomicUsize::new(1), ..Pool::new(4) };
        assert_eq!(pool.n_ready(1), 2);
        pool.pauses.begin();
        pool.pauses.begin();
        for _ in 0..2 * ALONE[0] / 1000 {
            assert_eq!(pool.n_ready(1_000_000), 1);
        }
        pool.n_ready(1_000_000);
        assert_eq!(pool.n_ready(1), 2);
    }

    #[test]
    fn a_wait_now_and_then_makes_nobody_work_alone() {
        let pool = Pool { n_helpers: AtomicUsize::new(1), ..Pool::new(4) };
        for _ in 0..3 {
            (0..CALM / SHORT_JOB).for_each(|_| assert_eq!(pool.n_ready(1), 2));
            pool.pauses.begin();
            assert_eq!(pool.n_ready(1), 2);
        }
        pool.pauses.begin();
        assert_eq!(pool.n_ready(1), 1);
    }
}
