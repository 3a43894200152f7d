//! How fast this machine reads memory natively; beside it, `roofline.mjs` is the same in a page.
//!
//! `roofline THREADS…` prints JSON: {"1": [GB/s, …], …}, five samples for each number of threads.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const BUFFER_BYTES: usize = 256 << 20;
const SAMPLE: Duration = Duration::from_millis(300);
const SAMPLES: usize = 5;

/// The sum of a buffer, in as many running sums as keep every vector unit busy.
fn sum(buffer: &[u32]) -> u32 {
    let mut sums = [0u32; 32];
    for chunk in buffer.chunks_exact(sums.len()) {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum = sum.wrapping_add(*value);
        }
    }
    sums.iter().fold(0, |total, sum| total.wrapping_add(*sum))
}

/// Reads a buffer again and again; GB/s of each sample. The barrier lets all threads begin a sample together.
fn read(barrier: &Barrier) -> Vec<f64> {
    // Written once, with something other than zero: untouched pages are one and the same page, and stay in the cache.
    let buffer = vec![1u32; BUFFER_BYTES / 4];
    black_box(sum(&buffer));
    let sample = |_| {
        barrier.wait();
        let begun = Instant::now();
        let mut passes = 0;
        while begun.elapsed() < SAMPLE {
            assert_eq!(sum(black_box(&buffer)) as usize, buffer.len(), "the buffer's sum");
            passes += 1;
        }
        (passes * BUFFER_BYTES) as f64 / begun.elapsed().as_secs_f64() / 1e9
    };
    (0..SAMPLES).map(sample).collect()
}

/// GB/s of all threads together, sample by sample.
fn measure(threads: usize) -> Vec<f64> {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(|| read(&barrier))).collect();
        let rates: Vec<Vec<f64>> = readers.into_iter().map(|reader| reader.join().expect("no reader panics")).collect();
        (0..SAMPLES).map(|sample| rates.iter().map(|rate| rate[sample]).sum()).collect()
    })
}

fn main() {
    let counts = std::env::args().skip(1).map(|count| count.parse().expect("a number of threads"));
    let rates: Vec<String> = counts.map(|count: usize| format!("\"{count}\": {:.2?}", measure(count))).collect();
    println!("{{{}}}", rates.join(", "));
}
