//! A compact Transformer that runs whole in a web page, and natively with the same bits.
//!
//! Bytes become a [`gguf::Gguf`], a `Gguf` becomes a [`model::Model`], a [`session::Session`] holds what changes while
//! it runs, and a [`session::Generation`] yields one token a call. The modules below stand in the order in which they
//! may import one another; `tests/layering.rs` keeps it.

pub mod error;
pub mod quant;
pub use pagelm_kernels as kernels;
pub mod pool;
pub mod tensor;
pub mod gguf;
pub mod tokenizer;
pub mod model;
pub mod sampler;
pub mod session;
pub mod inspect;
#[cfg(target_arch = "wasm32")]
pub mod web;

pub use error::{Error, Result};

/// The README's Rust is compiled, so that it stays true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
