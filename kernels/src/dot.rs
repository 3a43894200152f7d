//! Exact integer dot products of eight rows, in as many ways as there are processors.
//!
//! Integers have no rounding, so every way gives the same sums, and this is the one place where builds may differ.

use crate::activation::Activation;
use crate::lanes::I4;

/// One integer for each of eight rows: rows 0 to 3, rows 4 to 7.
pub(crate) type Sums = [I4; 2];

/// A way of computing the dot products of eight rows with each of `N` inputs. Weights lie as the packed layouts have
/// them: four columns of eight rows in 32 bytes.
pub(crate) trait Dot: Copy {
    /// Σ w·x over 32 columns. Weights are signed bytes.
    fn bytes<const N: usize>(self, w: &[[u8; 32]; 8], x: [&Activation; N]) -> [Sums; N];

    /// Σ (w − `OFFSET`)·x over 32 columns. Weights are nibbles, 0 ..= 15: those of columns 4·2i .. low, 4·(2i + 1) ..
    /// high.
    fn nibbles<const OFFSET: i32, const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N]) -> [Sums; N];

    /// Σ (w − `offset`)·x over 32 columns. Weights are 0 ..= 31: the low four bits as in `nibbles`, and in bit i of `high` the
    /// fifth bits of columns 4i ..
    fn fives<const N: usize>(self, offset: i32, w: &[[u8; 32]; 4], high: &[u8; 32], x: [&Activation; N]) -> [Sums; N];

    /// Σ (w − 32)·x over columns 16·`half` .. 16·`half` + 16. Weights are 0 ..= 63.
    fn sixes<const N: usize>(self, w: &[[u8; 32]; 4], x: [&Activation; N], half: usize) -> [Sums; N];

    /// Σ table\[w\]·x over columns 16·`half` .. 16·`half` + 16. Weights are nibbles, in the order of `nibbles`.
    fn coded<const N: usize>(self, table: &[i8; 16], w: &[[u8; 32]; 2], x: [&Activation; N], half: usize) -> [Sums; N];
}

// The one ladder: which integer dot product this build has.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[path = "dot_portable.rs"]
mod build;
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
#[path = "dot_relaxed.rs"]
mod build;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[path = "dot_simd128.rs"]
mod simd128;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", not(target_feature = "relaxed-simd")))]
use simd128 as build;

pub(crate) use build::{BUILD, choose, many, plain_tile_pair, tile_pair};
