//! The names that tensors have, and what each must look like.

use super::architecture::part::{self, *};
use super::config::Config;
use crate::error::{Error, Result, listed, shown};
use crate::gguf::{Gguf, TensorInfo};

/// What a tensor of a layer is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// A vector of D.
    Norm,
    /// A vector as wide as a head, or as all queries or keys; or one for each head.
    HeadNorm(Dim),
    /// Columns and rows.
    Matrix(Dim, Dim),
    /// As many of these as there are experts.
    Each(Dim, Dim),
}

/// A width, by its meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Dim {
    Embd,
    Q,
    Kv,
    Qkv,
    Ff,
    /// F, or twice that where gate and up lie in one matrix.
    Up,
    ExpertFf,
    Expert,
}

/// The tensors of a layer: name, the part that it belongs to (0: every layer has it), and what it is.
const TENSORS: &[(&str, u16, Kind)] = &[
    ("attn_norm", ATTN_NORM, Kind::Norm),
    ("attn_norm_2", ATTN_NORM_2, Kind::Norm),
    ("attn_q", 0, Kind::Matrix(Dim::Embd, Dim::Q)),
    ("attn_k", 0, Kind::Matrix(Dim::Embd, Dim::Kv)),
    ("attn_v", 0, Kind::Matrix(Dim::Embd, Dim::Kv)),
    ("attn_qkv", 0, Kind::Matrix(Dim::Embd, Dim::Qkv)),
    ("attn_q_norm", QK_NORM, Kind::HeadNorm(Dim::Q)),
    ("attn_k_norm", QK_NORM, Kind::HeadNorm(Dim::Kv)),
    ("attn_output", 0, Kind::Matrix(Dim::Q, Dim::Embd)),
    ("post_attention_norm", POST_NORMS, Kind::Norm),
    ("ffn_norm", FFN_NORM, Kind::Norm),
    ("ffn_gate", GATE, Kind::Matrix(Dim::Embd, Dim::Ff)),
    ("ffn_up", DENSE, Kind::Matrix(Dim::Embd, Dim::Up)),
    ("ffn_down", DENSE, Kind::Matrix(Dim::Ff, Dim::Embd)),
    ("ffn_gate_inp", EXPERTS, Kind::Matrix(Dim::Embd, Dim::Expert)),
    ("ffn_gate_exps", EXPERTS, Kind::Each(Dim::Embd, Dim::ExpertFf)),
    ("ffn_up_exps", EXPERTS, Kind::Each(Dim::Embd, Dim::ExpertFf)),
    ("ffn_down_exps", EXPERTS, Kind::Each(Dim::ExpertFf, Dim::Embd)),
    ("post_ffw_norm", POST_NORMS, Kind::Norm),
];

fn width(config: &Config, dim: Dim) -> u64 {
    let n = match dim {
        Dim::Embd => config.n_embd,
        Dim::Q => config.n_q(),
        Dim::Kv => config.n_kv(),
        Dim::Qkv => config.n_q() + 2 * config.n_kv(),
        Dim::Ff => config.n_ff,
        Dim::Up => config.n_ff << u32::from(config.fused_gate),
        Dim::ExpertFf => config.widest_ff(),
        Dim::Expert => config.experts.map_or(0, |experts| experts.n),
    };
    n as u64
}

/// What a tensor of this name must look like: columns (the fastest-running dimension) and rows; `None` for a name that
/// no model of this architecture has. `found` is what it looks like, for norms that come in several widths.
fn expected_shape(config: &Config, name: &str, found: (u64, u64)) -> Option<(u64, u64)> {
    let allowed = config.parts[0] | config.parts[1];
    let Some(rest) = name.strip_prefix("blk.") else {
        let (d, v) = (config.n_embd as u64, config.n_vocab as u64);
        let pairs = config.rope.map(|rope| (rope.n_rot as u64 / 2, 1));
        return match name {
            "token_embd.weight" | "output.weight" => Some((d, v)),
            "output.scale" | "output.input_scale" => Some((1, 1)),
            "output.bias" => (allowed & OUTPUT_BIAS != 0).then_some((v, 1)),
            "position_embd.weight" => (allowed & POSITIONS != 0).then_some((d, config.n_ctx_train as u64)),
            "output_norm.weight" | "output_norm.bias" => Some((d, 1)),
            "rope_freqs.weight" | "rope_factors_long.weight" | "rope_factors_short.weight" => pairs,
            _ => None,
        };
    };
    let (layer, suffix) = rest.split_once('.')?;
    layer.parse::<usize>().ok().filter(|i| *i < config.n_layer && i.to_string() == layer)?;
    let (tensor, end) = suffix.rsplit_once('.')?;
    let (_, part, kind) = TENSORS.iter().find(|row| row.0 == tensor)?;
    if *part != 0 && allowed & part == 0 {
        return None;
    }
    let is_bias = match end {
        "weight" => false,
        "bias" => true,
        // What products are multiplied by, and what would be for inputs of few bits; one for each expert.
        "scale" | "input_scale" => {
            return match kind {
                Kind::Matrix(..) => Some((1, 1)),
                Kind::Each(..) => Some((width(config, Dim::Expert), 1)),
                _ => None,
            };
        }
        _ => return None,
    };
    let (columns, rows) = match *kind {
        Kind::Norm => return Some((width(config, Dim::Embd), 1)),
        Kind::HeadNorm(dim) => {
            let (dh, all) = (config.head_dim as u64, width(config, dim));
            let widths = [(dh, 1), (dh, all / dh), (all, 1)];
            return widths.into_iter().find(|shape| *shape == found).or(Some(widths[0]));
        }
        Kind::Matrix(columns, rows) => (width(config, columns), width(config, rows)),
        Kind::Each(..) if is_bias => return None,
        // More than 32 bits, perhaps: one below the other.
        Kind::Each(columns, rows) => (width(config, columns), width(config, rows) * width(config, Dim::Expert)),
    };
    Some(if is_bias { (rows, 1) } else { (columns, rows) })
}

/// Checks every tensor description of a file against the configuration, before any weight is read.
///
/// # Errors
/// `Unsupported` for a tensor that no supported model has or a format that cannot be run; `Format` for a wrong shape or
/// a missing tensor.
pub(super) fn check(config: &Config, gguf: &Gguf) -> Result<()> {
    for tensor in &gguf.tensors {
        let found = columns_and_rows(tensor);
        let Some(expected) = expected_shape(config, &tensor.name, found) else {
            return Err(Error::Unsupported(format!(
                "the tensor {} is not part of any {} model that can be run here",
                shown(&tensor.name),
                config.architecture
            )));
        };
        if found != expected {
            let shape: Vec<String> = tensor.shape.iter().map(u64::to_string).collect();
            return Err(Error::Format(format!(
                "tensor {} has the shape [{}]; the metadata asks for [{}, {}]: the file is damaged",
                tensor.name,
                listed(&mut shape.iter().map(String::as_str)),
                expected.0,
                expected.1
            )));
        }
    }
    if config.experts.is_some() && !(config.n_embd | config.widest_ff()).is_multiple_of(8) {
        return Err(Error::Unsupported("experts whose widths are no multiples of eight cannot be run".into()));
    }
    match first_missing(config, |name| gguf.tensor(name).is_some()) {
        Some(name) => Err(Error::Format(format!("the tensor {name} is missing: the file is damaged"))),
        None => Ok(()),
    }
}

/// The first name that a model cannot do without and that is not there.
fn first_missing(config: &Config, has: impl Fn(&str) -> bool) -> Option<String> {
    let needs = config.parts[0];
    let positions = (needs & part::POSITIONS != 0).then_some("position_embd.weight");
    let top = ["token_embd.weight", "output_norm.weight"].into_iter().chain(positions);
    if let Some(name) = top.into_iter().find(|name| !has(name)) {
        return Some(name.into());
    }
    for layer in 0..config.n_layer {
        let weight = |tensor: &str| format!("blk.{layer}.{tensor}.weight");
        let fused = has(&weight("attn_qkv"));
        let is_needed = |row: &&(&str, u16, Kind)| match row.0 {
            "attn_qkv" => false,
            "attn_q" | "attn_k" | "attn_v" => !fused,
            _ => row.1 == 0 || needs & row.1 != 0,
        };
        let missing = TENSORS.iter().filter(is_needed).map(|row| weight(row.0)).find(|name| !has(name));
        if missing.is_some() {
            return missing;
        }
    }
    None
}

/// Columns and rows of a matrix; a vector is a matrix of one row.
pub(super) fn columns_and_rows(tensor: &TensorInfo) -> (u64, u64) {
    (tensor.shape[0], tensor.shape[1..].iter().product())
}
