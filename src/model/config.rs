//! The shape of a model and its switches: everything about an architecture that the forward pass asks.

use crate::error::{Error, Result, number, shown};
use crate::gguf::{Gguf, Metadata, Value};

/// How a layer's input is normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// Root mean square, with a weight.
    Rms,
    /// Mean and variance, with a weight and perhaps a bias.
    Layer,
}

/// Which values of a head a rotary position turns together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// Neighbours: (0, 1), (2, 3), …
    Adjacent,
    /// Halves: (0, n/2), (1, n/2 + 1), …
    Halves,
}

/// The feed-forward network's nonlinearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x · sigmoid(x)
    Silu,
    /// GELU in its tanh form.
    Gelu,
}

/// One architecture: a name and its switches. What a file shows by itself (biases, a tied output, fused tensors, a gated
/// feed-forward network) is detected and not listed.
#[derive(Debug)]
struct Architecture {
    name: &'static str,
    norm: Norm,
    rope: Option<Pairing>,
    activation: Activation,
}

/// Every architecture that can be run. A new one is a row here and a fixture in `tests/`.
static ARCHITECTURES: &[Architecture] = &[
    Architecture { name: "llama", norm: Norm::Rms, rope: Some(Pairing::Adjacent), activation: Activation::Silu },
    Architecture { name: "qwen2", norm: Norm::Rms, rope: Some(Pairing::Halves), activation: Activation::Silu },
    Architecture { name: "gpt2", norm: Norm::Layer, rope: None, activation: Activation::Gelu },
];

/// Rotary positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rope {
    /// Which values are turned together.
    pub pairing: Pairing,
    /// How many values of each head are turned; even.
    pub n_rot: usize,
    /// The base of the geometric row of frequencies.
    pub freq_base: f32,
    /// Positions are multiplied by this (linear scaling); 1 where there is none.
    pub freq_scale: f32,
}

/// The shape of a model and its switches.
///
/// Shape letters, used by every comment on shapes: T tokens, D `n_embd`, H `n_head`, K `n_head_kv`, Dh `head_dim`,
/// F `n_ff`, V `n_vocab`.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The architecture's name, as `general.architecture` spells it.
    pub architecture: &'static str,
    /// Number of layers.
    pub n_layer: usize,
    /// D: width of the residual stream.
    pub n_embd: usize,
    /// H: query heads.
    pub n_head: usize,
    /// K: key and value heads; H is a multiple of it.
    pub n_head_kv: usize,
    /// Dh: width of a head.
    pub head_dim: usize,
    /// F: width of the feed-forward network.
    pub n_ff: usize,
    /// V: number of tokens in the vocabulary.
    pub n_vocab: usize,
    /// The longest context that the model was trained on.
    pub n_ctx_train: usize,
    /// How a layer's input is normalised.
    pub norm: Norm,
    /// Added under the root of the normalisation.
    pub norm_eps: f32,
    /// Rotary positions; `None` for learned ones.
    pub rope: Option<Rope>,
    /// The feed-forward network's nonlinearity.
    pub activation: Activation,
}

/// Widest value that a dimension in the metadata may have; keeps every product of two within 64 bits.
const MAX_DIM: u32 = 1 << 24;
/// Most layers.
const MAX_LAYERS: u32 = 1024;

impl Config {
    /// Reads the shape from a header.
    ///
    /// # Errors
    /// `Unsupported` for an architecture or a feature that cannot be run, `Format` for keys that are missing, of the
    /// wrong type, or contradict each other.
    pub fn from_gguf(gguf: &Gguf) -> Result<Config> {
        let architecture = architecture(&gguf.metadata)?;
        let keys = Keys { metadata: &gguf.metadata, prefix: architecture.name };
        keys.refuse_what_is_not_built()?;
        let n_embd = keys.dim("embedding_length", MAX_DIM)?;
        let n_head = keys.dim("attention.head_count", MAX_DIM)?;
        let n_head_kv = keys.optional_dim("attention.head_count_kv")?.unwrap_or(n_head);
        let head_dim = keys.optional_dim("attention.key_length")?.unwrap_or(n_embd / n_head);
        let too_wide = n_head as u64 * head_dim as u64 > u64::from(MAX_DIM);
        if head_dim == 0 || n_head % n_head_kv != 0 || too_wide {
            return Err(Error::Format(format!(
                "{n_head} query heads do not fit {n_head_kv} key heads, {head_dim} wide, and an embedding of {n_embd}: the file is damaged"
            )));
        }
        if keys.optional_dim("attention.value_length")?.is_some_and(|n| n != head_dim) {
            return Err(Error::Unsupported("heads whose values are wider than their keys cannot be run yet".into()));
        }
        let epsilon = match architecture.norm {
            Norm::Rms => "attention.layer_norm_rms_epsilon",
            Norm::Layer => "attention.layer_norm_epsilon",
        };
        Ok(Config {
            architecture: architecture.name,
            n_layer: keys.dim("block_count", MAX_LAYERS)?,
            n_embd,
            n_head,
            n_head_kv,
            head_dim,
            n_ff: keys.dim("feed_forward_length", MAX_DIM)?,
            n_vocab: n_vocab(gguf)?,
            n_ctx_train: keys.dim("context_length", u32::MAX)?,
            norm: architecture.norm,
            norm_eps: keys.f32(epsilon)?.ok_or_else(|| keys.missing(epsilon))?,
            rope: architecture.rope.map(|pairing| keys.rope(pairing, head_dim)).transpose()?,
            activation: architecture.activation,
        })
    }

    /// Width of the keys, and of the values, of all heads: K · Dh.
    pub fn n_kv(&self) -> usize {
        self.n_head_kv * self.head_dim
    }

    /// Width of the queries of all heads: H · Dh.
    pub fn n_q(&self) -> usize {
        self.n_head * self.head_dim
    }
}

fn architecture(metadata: &Metadata) -> Result<&'static Architecture> {
    let Some(name) = metadata.str("general.architecture")? else {
        return Err(Error::Format("the metadata key general.architecture is missing: this is no model file".into()));
    };
    ARCHITECTURES.iter().find(|row| row.name == name).ok_or_else(|| {
        let known: Vec<&str> = ARCHITECTURES.iter().map(|row| row.name).collect();
        let name = shown(name);
        Error::Unsupported(format!("the architecture \"{name}\" cannot be run; these can: {}", known.join(", ")))
    })
}

/// V, from the embedding; the tokenizer's list, where there is one, must agree.
fn n_vocab(gguf: &Gguf) -> Result<usize> {
    let Some(embedding) = gguf.tensor("token_embd.weight") else {
        return Err(Error::Format(match gguf.tensors.is_empty() {
            true => "the file holds a vocabulary and no weights; choose the file with the weights".into(),
            false => "the tensor token_embd.weight is missing: the file is damaged or no language model".to_string(),
        }));
    };
    let n_vocab = embedding.shape.get(1).copied().unwrap_or(1);
    if let Some(tokens) = gguf.metadata.strings("tokenizer.ggml.tokens")?
        && tokens.len() as u64 != n_vocab
    {
        return Err(Error::Format(format!(
            "the vocabulary has {} tokens and the embedding {n_vocab} rows: the file is damaged",
            tokens.len()
        )));
    }
    if n_vocab > u64::from(MAX_DIM) {
        return Err(Error::Limit(format!(
            "a vocabulary of {n_vocab} tokens is too large: at most {MAX_DIM} are accepted"
        )));
    }
    Ok(n_vocab as usize)
}

/// The keys of one architecture, which all begin with its name.
struct Keys<'a> {
    metadata: &'a Metadata,
    prefix: &'static str,
}

impl Keys<'_> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn missing(&self, key: &str) -> Error {
        Error::Format(format!("the metadata key {} is missing", self.name(key)))
    }

    fn f32(&self, key: &str) -> Result<Option<f32>> {
        match self.metadata.f32(&self.name(key))? {
            Some(x) if !x.is_finite() || x <= 0.0 => {
                Err(Error::Format(format!("{} is {}; it must be a positive number", self.name(key), number(x))))
            }
            x => Ok(x),
        }
    }

    fn dim(&self, key: &str, max: u32) -> Result<usize> {
        self.bounded(key, max)?.ok_or_else(|| self.missing(key))
    }

    fn optional_dim(&self, key: &str) -> Result<Option<usize>> {
        self.bounded(key, MAX_DIM)
    }

    /// A number from 1 to `max`. Files may give one for each layer; they must then be equal.
    fn bounded(&self, key: &str, max: u32) -> Result<Option<usize>> {
        let name = self.name(key);
        let found = match self.metadata.get(&name) {
            Some(Value::Array(_)) => {
                let each = self.metadata.i32s(&name)?.unwrap_or_default();
                match each.first() {
                    Some(first) if each.iter().all(|n| n == first) => Some(*first as u32),
                    _ => {
                        return Err(Error::Unsupported(format!(
                            "{name} differs from layer to layer, which cannot be run yet"
                        )));
                    }
                }
            }
            _ => self.metadata.u32(&name)?,
        };
        match found {
            Some(n) if n == 0 || n > max => {
                Err(Error::Format(format!("{name} is {n}; it must lie between 1 and {max}")))
            }
            n => Ok(n.map(|n| n as usize)),
        }
    }

    fn rope(&self, pairing: Pairing, head_dim: usize) -> Result<Rope> {
        let n_rot = self.optional_dim("rope.dimension_count")?.unwrap_or(head_dim);
        if n_rot % 2 != 0 || n_rot > head_dim {
            return Err(Error::Format(format!(
                "rope.dimension_count is {n_rot}; it must be even and at most {head_dim}"
            )));
        }
        let scaling = self.metadata.str(&self.name("rope.scaling.type"))?.unwrap_or("none");
        let linear = match scaling {
            "none" => None,
            "linear" => self.f32("rope.scaling.factor")?,
            other => {
                let other = shown(other);
                return Err(Error::Unsupported(format!(
                    "rotary positions scaled by \"{other}\" cannot be run yet; none and linear can"
                )));
            }
        };
        let factor = linear.or(self.f32("rope.scale_linear")?).unwrap_or(1.0);
        Ok(Rope {
            pairing,
            n_rot,
            freq_base: self.f32("rope.freq_base")?.unwrap_or(10_000.0),
            freq_scale: 1.0 / factor,
        })
    }

    fn refuse_what_is_not_built(&self) -> Result<()> {
        for (key, what) in [("expert_count", "mixtures of experts"), ("attention.sliding_window", "sliding windows")] {
            if self.metadata.u32(&self.name(key))?.is_some_and(|n| n > 0) {
                return Err(Error::Unsupported(format!("{what} ({}) cannot be run yet", self.name(key))));
            }
        }
        Ok(())
    }
}
