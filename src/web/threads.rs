//! The threads of this instance: one worker each, over one memory. The page starts them; they do what the engine hands out.

use crate::pool::Pool;
use std::sync::{Arc, OnceLock};

#[cfg(target_feature = "atomics")]
pub use shared::*;

static POOL: OnceLock<Arc<Pool>> = OnceLock::new();

/// The threads that are to compute; the calling one alone where nobody opened the instance to more.
pub(super) fn pool() -> Arc<Pool> {
    open(1)
}

fn open(capacity: usize) -> Arc<Pool> {
    POOL.get_or_init(|| Arc::new(Pool::new(capacity))).clone()
}

#[cfg(target_feature = "atomics")]
mod shared {
    use super::open;
    use js_sys::Array;
    use wasm_bindgen::prelude::*;

    /// Opens this instance to `capacity` threads, before a model is loaded: the module and the memory with which each
    /// helper makes its own instance.
    #[wasm_bindgen(js_name = share)]
    pub fn share(capacity: usize) -> Array {
        open(capacity);
        Array::of2(&wasm_bindgen::module(), &wasm_bindgen::memory())
    }

    /// What a helper does: it blocks its worker until that is ended.
    #[wasm_bindgen(js_name = help)]
    pub fn help() {
        open(1).help();
    }

    /// How many threads have come, whether they may compute now or not.
    #[wasm_bindgen(js_name = nThreads)]
    pub fn n_threads() -> usize {
        open(1).n_here()
    }

    /// Lets at most `n` threads compute.
    #[wasm_bindgen(js_name = setThreads)]
    pub fn set_threads(n: usize) {
        open(1).set_n_threads(n);
    }
}
