//! Numbers, fast, and the same bits on every build.
//!
//! Everything is written once, over four lanes at a time (`lanes`); on wasm a lane group is a `v128`, elsewhere an
//! array that the compiler vectorises as it can. What may differ between builds is how the exact integer dot products
//! are computed (`dot_*`), because integers have no rounding. The order of every float addition is part of a kernel's
//! definition and is written down beside it; [`oracle`] holds the plain loops that define it, and the tests compare.
//!
//! The crate stands apart from the engine for one reason: Cargo sets the optimization level by package, and these
//! functions are compiled for speed where the rest is compiled for size. So nothing generic is public here.

mod activation;
mod attention;
mod dot;
mod elementwise;
mod gemm;
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
mod gemm_bytes;
mod lanes;
mod matmul;
pub mod oracle;
mod packed;
mod reduce;
mod run;
mod self_test;
mod submatrix;

pub use activation::{Activation, quantize_activations};
pub use attention::{TILE, attention_scores, attention_values, widen_f16, widen_q8_keys, widen_q8_values};
pub use elementwise::{
    add, exp, gelu, gelu_in_place, gelu_mul, rope_adjacent, rope_halves, scale, silu, silu_in_place,
};
pub use elementwise::{silu_mul, soft_cap, tanh};
pub use matmul::{
    matmul_bf16, matmul_f16, matmul_f32, matmul_q4, matmul_q4k, matmul_q4t, matmul_q5k, matmul_q6k, matmul_q8,
};
pub use packed::{Bf16x8, F16x8, Q4Kx8, Q4Tx8, Q4x8, Q5Kx8, Q6Kx8, Q8x8};
pub use reduce::{add_scaled, dot, layer_norm, max_and_exp_sum, probability, rms_norm, softmax, sum};
pub use run::{Codes, Run};
pub use self_test::self_test;
pub use submatrix::Submatrix;

/// Which build this is, as reports name it: `relaxed`, `simd128` or `portable`.
pub const BUILD: &str = dot::BUILD;
