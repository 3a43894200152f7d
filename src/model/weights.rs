//! The weights, each under its name, with every shape checked against the configuration.

use super::adapter::name_of;
use super::config::Config;
use super::names::{check, columns_and_rows};
use crate::error::{Error, Result};
use crate::gguf::Gguf;
use crate::kernels;
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
    pub(super) output_norm: Box<NormWeights>,
    /// `None`: the output is tied to `token_embd`.
    pub(super) output: Option<Box<Linear>>,
    /// Divisors of the rotary frequencies, one for each pair, for contexts longer than the original one and for others.
    pub(super) rope_factors: [Option<Vec<f32>>; 2],
    weight_bytes: usize,
}

/// A matrix and perhaps a bias.
#[derive(Debug)]
pub(super) struct Linear {
    /// What adapters find it by.
    pub name: u64,
    pub weight: Tensor,
    /// What products with the weight are multiplied by, where its format is too narrow for its size (NVFP4): one number, or
    /// one for each expert.
    pub scale: Option<Vec<f32>>,
    pub bias: Option<Vec<f32>>,
}

/// A normalisation's weight and perhaps its bias, each \[D\]. Norms of queries and keys are \[Dh\], which all heads share,
/// \[H · Dh\] one after the other, or as wide as all of them.
#[derive(Debug)]
pub(super) struct NormWeights {
    pub weight: Vec<f32>,
    pub bias: Option<Vec<f32>>,
    /// How many values are normalised together.
    pub width: usize,
}

/// Queries, keys and values, in three matrices or in one above the other.
#[derive(Debug)]
pub(super) enum Qkv {
    Split { q: Box<Linear>, k: Box<Linear>, v: Box<Linear> },
    Fused(Box<Linear>),
}

/// Its parts are boxed, since a module that moves pointers is smaller than one that moves tensors.
#[derive(Debug)]
pub(super) struct Layer {
    /// `None`: attention reads the residual stream as it is.
    pub attn_norm: Option<Box<NormWeights>>,
    /// Attention's own norm, where `attn_norm` is that of the feed-forward network.
    pub attn_norm_2: Option<Box<NormWeights>>,
    pub attn_qkv: Qkv,
    pub attn_q_norm: Option<Box<NormWeights>>,
    pub attn_k_norm: Option<Box<NormWeights>>,
    pub attn_output: Box<Linear>,
    pub attn_post_norm: Option<Box<NormWeights>>,
    /// `None`: the network reads what attention reads, or else the residual stream as it is.
    pub ffn_norm: Option<Box<NormWeights>>,
    /// Chooses the experts, where the network is a mixture: \[D → experts\].
    pub ffn_gate_inp: Option<Box<Linear>>,
    /// Of all experts one below the other, where there are some; so are the next two.
    pub ffn_gate: Option<Box<Linear>>,
    pub ffn_up: Box<Linear>,
    pub ffn_down: Box<Linear>,
    pub ffn_post_norm: Option<Box<NormWeights>>,
}

impl Linear {
    /// Multiplies products with the weight by its scale, where it has one: `i` is the expert's number, or 0.
    pub(super) fn rescale(&self, products: &mut [f32], i: usize) {
        if let Some(scale) = self.scale.as_ref().and_then(|scale| scale.get(i)) {
            kernels::scale(products, *scale);
        }
    }
}

impl Layer {
    fn linears(&self) -> [Option<&Linear>; 8] {
        let [q, k, v] = match &self.attn_qkv {
            Qkv::Split { q, k, v } => [Some(&**q), Some(&**k), Some(&**v)],
            Qkv::Fused(fused) => [Some(&**fused), None, None],
        };
        let (router, gate) = (self.ffn_gate_inp.as_deref(), self.ffn_gate.as_deref());
        [q, k, v, Some(&self.attn_output), router, gate, Some(&self.ffn_up), Some(&self.ffn_down)]
    }
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

    /// The matrix of this name, if there is one.
    pub(super) fn linear(&self, name: u64) -> Option<&Linear> {
        let is_it = |linear: &&Linear| linear.name == name;
        let in_layer = |layer| Layer::linears(layer).into_iter().flatten().find(is_it);
        self.layers.iter().find_map(in_layer).or_else(|| self.output.as_deref().filter(is_it))
    }

    /// The matrix that the file calls so; not one that became floats, as norms and biases do.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        match name {
            "token_embd.weight" => Some(&self.token_embd),
            "position_embd.weight" => self.position_embd.as_ref(),
            _ => self.linear(name_of(name)).map(|linear| &linear.weight),
        }
    }

    /// Bytes of memory that the matrices take, packed.
    pub fn weight_bytes(&self) -> usize {
        self.weight_bytes
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

/// Tensors by name, to be taken one by one. They are few, so a list does: a tree is 4 KB of a compressed
/// module.
pub(super) struct Parts(pub Vec<(String, Tensor)>);

impl Parts {
    fn take(&mut self, name: &str) -> Option<Tensor> {
        let at = self.0.iter().position(|part| part.0 == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn vector(&mut self, name: &str) -> Option<Vec<f32>> {
        self.take(name).map(|tensor| values(&tensor))
    }

    /// The weight and the bias of this name, after what all of a layer's names begin with.
    fn pair(&mut self, prefix: &str, name: &str) -> Option<(Tensor, Option<Vec<f32>>)> {
        let weight = self.take(&format!("{prefix}{name}.weight"))?;
        Some((weight, self.vector(&format!("{prefix}{name}.bias"))))
    }

    fn norm(&mut self, prefix: &str, name: &str) -> Option<Box<NormWeights>> {
        let (weight, bias) = self.pair(prefix, name)?;
        Some(Box::new(NormWeights { weight: values(&weight), bias, width: weight.columns() }))
    }

    fn optional_linear(&mut self, prefix: &str, name: &str) -> Option<Box<Linear>> {
        let (weight, bias) = self.pair(prefix, name)?;
        // Inputs are rounded by their own size here, not by one that was measured.
        self.take(&format!("{prefix}{name}.input_scale"));
        let scale = self.vector(&format!("{prefix}{name}.scale"));
        Some(Box::new(Linear { name: name_of(&format!("{prefix}{name}.weight")), weight, scale, bias }))
    }

    fn linear(&mut self, prefix: &str, name: &str) -> Result<Box<Linear>> {
        self.optional_linear(prefix, name).ok_or_else(|| missing(name))
    }

    fn layer(&mut self, config: &Config, layer: usize) -> Result<Layer> {
        let at = &*format!("blk.{layer}.");
        let attn_qkv = match self.optional_linear(at, "attn_qkv") {
            Some(fused) => Qkv::Fused(fused),
            None => Qkv::Split {
                q: self.linear(at, "attn_q")?,
                k: self.linear(at, "attn_k")?,
                v: self.linear(at, "attn_v")?,
            },
        };
        let [gate, up, down] = match config.experts {
            Some(_) => ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"],
            None => ["ffn_gate", "ffn_up", "ffn_down"],
        };
        Ok(Layer {
            attn_norm: self.norm(at, "attn_norm"),
            attn_norm_2: self.norm(at, "attn_norm_2"),
            attn_qkv,
            attn_q_norm: self.norm(at, "attn_q_norm"),
            attn_k_norm: self.norm(at, "attn_k_norm"),
            attn_output: self.linear(at, "attn_output")?,
            attn_post_norm: self.norm(at, "post_attention_norm"),
            ffn_norm: self.norm(at, "ffn_norm"),
            ffn_gate_inp: self.optional_linear(at, "ffn_gate_inp"),
            ffn_gate: self.optional_linear(at, gate),
            ffn_up: self.linear(at, up)?,
            ffn_down: self.linear(at, down)?,
            ffn_post_norm: self.norm(at, "post_ffw_norm"),
        })
    }

    /// The model, from tensors that [`check`] has found to be all there and of the right shape.
    pub fn assemble(mut self, config: Config) -> Result<Model> {
        let is_matrix = |part: &&(String, Tensor)| part.1.rows() > 1;
        let weight_bytes = self.0.iter().filter(is_matrix).map(|part| part.1.packed_bytes()).sum();
        let freqs = self.vector("rope_freqs.weight");
        let long = self.vector("rope_factors_long.weight").or_else(|| freqs.clone());
        let short = self.vector("rope_factors_short.weight").or(freqs);
        let mut layers = Vec::new();
        for layer in 0..config.n_layer {
            layers.push(self.layer(&config, layer)?);
        }
        let model = Model {
            token_embd: self.take("token_embd.weight").ok_or_else(|| missing("token_embd"))?,
            position_embd: self.take("position_embd.weight"),
            layers,
            output_norm: self.norm("", "output_norm").ok_or_else(|| missing("output_norm"))?,
            output: self.optional_linear("", "output"),
            rope_factors: [long, short],
            weight_bytes,
            hash: 0,
            config,
        };
        match self.0.first() {
            Some((name, _)) => Err(Error::Unsupported(format!("the tensor {name} would be left unused"))),
            None => Ok(model),
        }
    }
}

fn missing(name: &str) -> Error {
    Error::Format(format!("the tensor {name}.weight is missing"))
}

/// All values of a tensor, row after row.
fn values(tensor: &Tensor) -> Vec<f32> {
    let mut values = vec![0.0; tensor.columns() * tensor.rows()];
    for (i, row) in values.chunks_exact_mut(tensor.columns().max(1)).enumerate() {
        tensor.row(i, row);
    }
    values
}
