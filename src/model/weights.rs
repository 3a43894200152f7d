//! The weights, each under its name, with every shape checked against the configuration.

use super::config::{Activation, Config};
use crate::error::{Error, Result, shown};
use crate::gguf::{Gguf, TensorInfo};
use crate::tensor::{Tensor, bytes_needed};

/// A model: its shape and its weights, immutable. Any number of sessions may share one.
#[derive(Debug)]
pub struct Model {
    pub(super) config: Config,
    /// See [`hash`](Self::hash).
    pub(super) hash: u64,
    pub(super) token_embd: Tensor,
    /// Learned positions: \[n_ctx_train × D\].
    pub(super) position_embd: Option<Tensor>,
    pub(super) layers: Vec<Layer>,
    pub(super) output_norm: NormWeights,
    /// `None`: the output is tied to `token_embd`.
    pub(super) output: Option<Linear>,
    /// Divisors of the rotary frequencies, one for each pair.
    pub(super) rope_factors: Option<Vec<f32>>,
}

/// A matrix and perhaps a bias.
#[derive(Debug)]
pub(super) struct Linear {
    pub weight: Tensor,
    pub bias: Option<Vec<f32>>,
}

/// A normalisation's weight and perhaps its bias, each \[D\].
#[derive(Debug)]
pub(super) struct NormWeights {
    pub weight: Vec<f32>,
    pub bias: Option<Vec<f32>>,
}

/// Queries, keys and values, in three matrices or in one above the other.
#[derive(Debug)]
pub(super) enum Qkv {
    Split { q: Linear, k: Linear, v: Linear },
    Fused(Linear),
}

#[derive(Debug)]
pub(super) struct Layer {
    pub attn_norm: NormWeights,
    pub attn_qkv: Qkv,
    pub attn_output: Linear,
    pub ffn_norm: NormWeights,
    pub ffn_gate: Option<Linear>,
    pub ffn_up: Linear,
    pub ffn_down: Linear,
}

impl Model {
    /// The model's shape and switches.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A number that tells this model's file from others: of its header and all its tensors; see [`crate::gguf::hash`].
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Bytes of memory that the matrices take, packed.
    pub fn weight_bytes(&self) -> usize {
        let linear = |linear: &Linear| linear.weight.packed_bytes();
        let layer = |layer: &Layer| {
            let qkv = match &layer.attn_qkv {
                Qkv::Split { q, k, v } => linear(q) + linear(k) + linear(v),
                Qkv::Fused(fused) => linear(fused),
            };
            let gate = layer.ffn_gate.as_ref().map_or(0, linear);
            qkv + linear(&layer.attn_output) + gate + linear(&layer.ffn_up) + linear(&layer.ffn_down)
        };
        self.token_embd.packed_bytes()
            + self.position_embd.as_ref().map_or(0, Tensor::packed_bytes)
            + self.output.as_ref().map_or(0, linear)
            + self.layers.iter().map(layer).sum::<usize>()
    }

    /// Whether the model in this file can be run, as far as its header tells: the shape, if so.
    ///
    /// # Errors
    /// As [`Config::from_gguf`]; `Unsupported` for a tensor that no supported model has or a format that cannot be run;
    /// `Format` for a tensor of the wrong shape, or one that is missing.
    pub fn check(gguf: &Gguf) -> Result<Config> {
        let config = Config::from_gguf(gguf)?;
        check(&config, gguf)?;
        Ok(config)
    }

    /// Bytes of memory that the weights of this file take once they are loaded.
    pub fn bytes_needed(gguf: &Gguf) -> u64 {
        gguf.tensors.iter().fold(0, |sum: u64, tensor| {
            let (columns, rows) = columns_and_rows(tensor);
            let bytes = match rows {
                1 => columns.saturating_mul(4), // vectors become floats
                _ => bytes_needed(tensor.format, rows, columns),
            };
            sum.saturating_add(bytes)
        })
    }

    /// The most positions that this model can tell apart; `None` where there is no such bound.
    pub fn max_positions(&self) -> Option<usize> {
        self.position_embd.as_ref().map(Tensor::rows)
    }
}

/// What a tensor of this name must look like: columns (the fastest-running dimension) and rows; `None` for a name that
/// no supported model has.
fn expected_shape(config: &Config, name: &str) -> Option<(usize, usize)> {
    let (d, q, kv, f) = (config.n_embd, config.n_q(), config.n_kv(), config.n_ff);
    let suffix = match name.strip_prefix("blk.") {
        Some(rest) => {
            let (layer, suffix) = rest.split_once('.')?;
            layer.parse::<usize>().ok().filter(|i| *i < config.n_layer && i.to_string() == layer)?;
            suffix
        }
        None => {
            return match name {
                "token_embd.weight" | "output.weight" => Some((d, config.n_vocab)),
                "position_embd.weight" => config.rope.is_none().then_some((d, config.n_ctx_train)),
                "output_norm.weight" | "output_norm.bias" => Some((d, 1)),
                "rope_freqs.weight" => config.rope.map(|rope| (rope.n_rot / 2, 1)),
                _ => None,
            };
        }
    };
    let (part, kind) = suffix.rsplit_once('.')?;
    let (columns, rows) = match part {
        "attn_norm" | "ffn_norm" => return matches!(kind, "weight" | "bias").then_some((d, 1)),
        "attn_q" => (d, q),
        "attn_k" | "attn_v" => (d, kv),
        "attn_qkv" => (d, q + 2 * kv),
        "attn_output" => (q, d),
        "ffn_gate" | "ffn_up" => (d, f),
        "ffn_down" => (f, d),
        _ => return None,
    };
    match kind {
        "weight" => Some((columns, rows)),
        "bias" => Some((rows, 1)),
        _ => None,
    }
}

/// Checks every tensor description of a file against the configuration, before any weight is read.
///
/// # Errors
/// `Unsupported` for a tensor that no supported model has or a format that cannot be run; `Format` for a wrong shape or
/// a missing tensor.
fn check(config: &Config, gguf: &Gguf) -> Result<()> {
    for tensor in &gguf.tensors {
        let Some((columns, rows)) = expected_shape(config, &tensor.name) else {
            return Err(Error::Unsupported(format!(
                "the tensor {} is not part of any {} model that can be run here",
                shown(&tensor.name),
                config.architecture
            )));
        };
        if columns_and_rows(tensor) != (columns as u64, rows as u64) {
            return Err(Error::Format(format!(
                "tensor {} has the shape {:?}; the metadata asks for [{columns}, {rows}]: the file is damaged",
                tensor.name, tensor.shape
            )));
        }
    }
    match first_missing(config, |name| gguf.tensor(name).is_some()) {
        Some(name) => Err(Error::Format(format!("the tensor {name} is missing: the file is damaged"))),
        None => Ok(()),
    }
}

/// The first name that a model cannot do without and that is not there.
fn first_missing(config: &Config, has: impl Fn(&str) -> bool) -> Option<String> {
    let positions = config.rope.is_none().then_some("position_embd.weight");
    let top = ["token_embd.weight", "output_norm.weight"].into_iter().chain(positions);
    if let Some(name) = top.into_iter().find(|name| !has(name)) {
        return Some(name.into());
    }
    for layer in 0..config.n_layer {
        let qkv: &[&str] = match has(&format!("blk.{layer}.attn_qkv.weight")) {
            true => &[],
            false => &["attn_q", "attn_k", "attn_v"],
        };
        // Architectures with SiLU gate their feed-forward network.
        let gate: &[&str] = if config.activation == Activation::Silu { &["ffn_gate"] } else { &[] };
        let rest: &[&str] = &["attn_norm", "attn_output", "ffn_norm", "ffn_up", "ffn_down"];
        for part in [qkv, gate, rest].into_iter().flatten() {
            let name = format!("blk.{layer}.{part}.weight");
            if !has(&name) {
                return Some(name);
            }
        }
    }
    None
}

/// Columns and rows of a matrix; a vector is a matrix of one row.
pub(super) fn columns_and_rows(tensor: &TensorInfo) -> (u64, u64) {
    (tensor.shape[0], tensor.shape[1..].iter().product())
}

/// Tensors by name, to be taken one by one. They are few, so a list does: a tree is 4 KB of a compressed
/// module.
pub(super) struct Parts(pub Vec<(String, Tensor)>);

impl Parts {
    fn take(&mut self, name: &str) -> Option<Tensor> {
        let at = self.0.iter().position(|part| part.0 == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor> {
        self.take(name).ok_or_else(|| Error::Format(format!("the tensor {name} is missing")))
    }

    fn vector(&mut self, name: &str) -> Option<Vec<f32>> {
        let tensor = self.take(name)?;
        let mut values = vec![0.0; tensor.columns()];
        tensor.row(0, &mut values);
        Some(values)
    }

    fn norm(&mut self, name: &str) -> Result<NormWeights> {
        let weight = self.vector(&format!("{name}.weight"));
        let weight = weight.ok_or_else(|| Error::Format(format!("the tensor {name}.weight is missing")))?;
        Ok(NormWeights { weight, bias: self.vector(&format!("{name}.bias")) })
    }

    fn linear(&mut self, name: &str) -> Result<Linear> {
        let weight = self.tensor(&format!("{name}.weight"))?;
        Ok(Linear { weight, bias: self.vector(&format!("{name}.bias")) })
    }

    fn optional_linear(&mut self, name: &str) -> Result<Option<Linear>> {
        let weight = format!("{name}.weight");
        match self.0.iter().any(|part| part.0 == weight) {
            true => self.linear(name).map(Some),
            false => Ok(None),
        }
    }

    fn layer(&mut self, layer: usize) -> Result<Layer> {
        let name = |part: &str| format!("blk.{layer}.{part}");
        let attn_qkv = match self.optional_linear(&name("attn_qkv"))? {
            Some(fused) => Qkv::Fused(fused),
            None => Qkv::Split {
                q: self.linear(&name("attn_q"))?,
                k: self.linear(&name("attn_k"))?,
                v: self.linear(&name("attn_v"))?,
            },
        };
        Ok(Layer {
            attn_norm: self.norm(&name("attn_norm"))?,
            attn_qkv,
            attn_output: self.linear(&name("attn_output"))?,
            ffn_norm: self.norm(&name("ffn_norm"))?,
            ffn_gate: self.optional_linear(&name("ffn_gate"))?,
            ffn_up: self.linear(&name("ffn_up"))?,
            ffn_down: self.linear(&name("ffn_down"))?,
        })
    }

    /// The model, from tensors that [`check`] has found to be all there and of the right shape.
    pub fn assemble(mut self, config: Config) -> Result<Model> {
        let model = Model {
            token_embd: self.tensor("token_embd.weight")?,
            position_embd: self.take("position_embd.weight"),
            layers: (0..config.n_layer).map(|layer| self.layer(layer)).collect::<Result<_>>()?,
            output_norm: self.norm("output_norm")?,
            output: self.optional_linear("output")?,
            rope_factors: self.vector("rope_freqs.weight"),
            hash: 0,
            config,
        };
        match self.0.first() {
            Some((name, _)) => Err(Error::Unsupported(format!("the tensor {name} would be left unused"))),
            None => Ok(model),
        }
    }
}
