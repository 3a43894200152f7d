//! The shape of a model and its switches: everything about an architecture that the forward pass asks.

use super::architecture::{Activation, Architecture, LocalRope, Norm, Window, architecture, part};
use super::keys::{Keys, MAX_DIM};
use super::math;
use super::rope::Rope;
use crate::error::{Error, Result};
use crate::gguf::{Array, Gguf, Value, ValueType};

/// A mixture of experts: feed-forward networks of which each token takes a few.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Experts {
    /// How many there are.
    pub n: usize,
    /// How many of them each token takes: those that its router finds most probable.
    pub n_used: usize,
    /// Width of each.
    pub n_ff: usize,
    /// Whether the probabilities of those that are taken are made to add up to 1.
    pub normalised: bool,
    /// What these probabilities are multiplied by.
    pub scale: f32,
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
    /// Rotary positions; `None` for learned ones, or none.
    pub rope: Option<Rope>,
    /// The rotary positions of local layers, where these turn otherwise.
    pub local_rope: Option<Rope>,
    /// Each layer whose number, counted from 1, is a multiple of this turns nothing; 0: all turn.
    pub unturned_step: usize,
    /// The feed-forward network's nonlinearity.
    pub activation: Activation,
    /// Whether the feed-forward network's gate and up projection lie in one matrix, the gate first.
    pub fused_gate: bool,
    /// Whether the feed-forward network reads the layer's input instead of what attention has added to.
    pub parallel: bool,
    /// A mixture of experts in place of the one feed-forward network.
    pub experts: Option<Experts>,
    /// How many positions a local layer sees, its own included.
    pub window: usize,
    /// Which layers are local; those past its end are not.
    pub local_layers: Vec<bool>,
    /// What scores are multiplied by.
    pub attention_scale: f32,
    /// c: scaled scores become c · tanh(score / c).
    pub attention_softcap: Option<f32>,
    /// m: scores fall with the distance (ALiBi), of H heads, a power of two, by 2^(−m/H) to 2^(−m) a position.
    pub max_alibi_bias: Option<f32>,
    /// Queries, keys and values are kept within ± this.
    pub clamp_kqv: Option<f32>,
    /// What embeddings are multiplied by.
    pub embedding_scale: f32,
    /// What each branch is multiplied by before it is added to the residual stream.
    pub residual_scale: f32,
    /// What logits are multiplied by.
    pub logit_scale: f32,
    /// c: scaled logits become c · tanh(logit / c).
    pub logit_softcap: Option<f32>,
    /// Which parts each layer must have, and may have.
    pub(super) parts: [u16; 2],
}

/// Most layers.
const MAX_LAYERS: u32 = 1024;
/// Most experts of a layer.
const MAX_EXPERTS: usize = 1024;

impl Config {
    /// Reads the shape from a header.
    ///
    /// # Errors
    /// `Unsupported` for an architecture or a feature that cannot be run, `Format` for keys that are missing, of the
    /// wrong type, or contradict each other.
    pub fn from_gguf(gguf: &Gguf) -> Result<Config> {
        let row = architecture(&gguf.metadata)?;
        let keys = Keys { metadata: &gguf.metadata, prefix: row.name };
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
        let epsilon = match row.norm {
            Norm::Rms => "attention.layer_norm_rms_epsilon",
            Norm::Layer => "attention.layer_norm_epsilon",
        };
        let (n_layer, n_ff) = (keys.dim("block_count", MAX_LAYERS)?, keys.dim("feed_forward_length", MAX_DIM)?);
        let experts = experts(&keys, row, gguf, n_ff)?;
        let (window, local_layers) = local_layers(&keys, row, n_layer)?;
        let rope = row.rope.map(|pairing| Rope::from_keys(&keys, pairing, head_dim)).transpose()?;
        let usual = 1.0 / (head_dim as f32).sqrt();
        let by_width = n_layer == row.n_layer_scaled_by_width;
        let usual = if by_width { 1.0 / ((n_embd / n_head) as f32).sqrt() } else { usual };
        Ok(Config {
            architecture: row.name,
            n_layer,
            n_embd,
            n_head,
            n_head_kv,
            head_dim,
            n_ff,
            n_vocab: n_vocab(gguf)?,
            n_ctx_train: keys.dim("context_length", u32::MAX)?,
            norm: row.norm,
            norm_eps: keys.f32(epsilon)?.ok_or_else(|| keys.missing(epsilon))?,
            local_rope: local_rope(&keys, row, rope.as_ref())?,
            rope,
            unturned_step: match row.turned_by_key && keys.bool("rope.scaling.finetuned")? == Some(false) {
                true => 1,
                false => row.unturned_step,
            },
            activation: row.activation,
            fused_gate: row.fused_gate,
            parallel: row.parallel_by_key && keys.bool("use_parallel_residual")? != Some(false),
            experts,
            window,
            local_layers,
            attention_scale: keys.f32_or_0("attention.scale")?.unwrap_or(usual),
            attention_softcap: keys.f32_or_usual("attn_logit_softcapping", row.softcaps[0])?,
            max_alibi_bias: keys.f32_or_0("attention.max_alibi_bias")?,
            clamp_kqv: keys.f32_or_0("attention.clamp_kqv")?,
            embedding_scale: match row.scaled_embedding {
                true => (n_embd as f32).sqrt(),
                false => keys.factor("embedding_scale")?,
            },
            residual_scale: keys.factor("residual_scale")?,
            logit_scale: 1.0 / keys.factor("logit_scale")?,
            logit_softcap: keys.f32_or_usual("final_logit_softcapping", row.softcaps[1])?,
            parts: match experts {
                Some(_) => [row.needs & !(part::DENSE | part::GATE) | part::EXPERTS, row.may],
                None => [row.needs, row.may & !part::EXPERTS],
            },
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

    /// How many positions a layer sees, its own included.
    pub fn n_seen(&self, layer: usize) -> usize {
        if self.is_local(layer) { self.window } else { usize::MAX }
    }

    /// Whether a layer sees only the last positions.
    pub(super) fn is_local(&self, layer: usize) -> bool {
        self.local_layers.get(layer).copied().unwrap_or(false)
    }

    /// Width of the widest feed-forward network: F, or that of an expert.
    pub(super) fn widest_ff(&self) -> usize {
        self.experts.map_or(self.n_ff, |experts| experts.n_ff)
    }

    /// The slope of a head's bias by distance: 0 where there is none.
    ///
    /// # Source
    /// Press et al. 2021, ALiBi, <https://arxiv.org/abs/2108.12409>
    pub(super) fn slope(&self, head: usize) -> f32 {
        let Some(max) = self.max_alibi_bias else { return 0.0 };
        // The slopes of a power of two of heads; those of the heads past it lie between them.
        let n = 1_usize << self.n_head.ilog2();
        let steps = if head < n { (head + 1) as f64 } else { (head - n) as f64 + 0.5 };
        math::pow(2.0, -f64::from(max) * steps / n as f64) as f32
    }
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

/// The window, and which layers have it.
fn local_layers(keys: &Keys<'_>, row: &Architecture, n_layer: usize) -> Result<(usize, Vec<bool>)> {
    const KEY: &str = "attention.sliding_window";
    let window = keys.count(KEY)?.unwrap_or(row.default_window);
    let every = match row.window {
        _ if window == 0 => return Ok((usize::MAX, Vec::new())),
        Window::Refused => {
            return Err(Error::Unsupported(format!(
                "sliding windows ({}) cannot be run in such models",
                keys.name(KEY)
            )));
        }
        Window::All => return Ok((window, vec![true; n_layer])),
        Window::AllBut(n) => n,
    };
    let pattern = keys.name("attention.sliding_window_pattern");
    let every = match keys.metadata.get(&pattern) {
        Some(Value::Array(Array::Num { kind: ValueType::Bool, bytes })) if bytes.len() == n_layer => {
            return Ok((window, bytes.iter().map(|byte| *byte != 0).collect()));
        }
        _ => keys.metadata.u32(&pattern)?.map_or(every, |n| n as usize),
    };
    Ok((window, (1..=n_layer).map(|layer| every == 0 || layer % every != 0).collect()))
}

fn local_rope(keys: &Keys<'_>, row: &Architecture, rope: Option<&Rope>) -> Result<Option<Rope>> {
    let Some(rope) = rope else { return Ok(None) };
    let named = keys.f32("rope.freq_base_swa")?;
    let usual = match row.local_rope {
        LocalRope::Same => return Ok(named.map(|freq_base| Rope { freq_base, ..*rope })),
        LocalRope::Unscaled => rope.freq_base,
        LocalRope::Base(base) => base,
    };
    Ok(Some(Rope::unscaled(rope.pairing, rope.n_rot, named.unwrap_or(usual))))
}

fn experts(keys: &Keys<'_>, row: &Architecture, gguf: &Gguf, n_ff: usize) -> Result<Option<Experts>> {
    let n = keys.count("expert_count")?.unwrap_or(0);
    if n == 0 {
        return if row.needs & part::EXPERTS == 0 { Ok(None) } else { Err(keys.missing("expert_count")) };
    }
    if (row.needs | row.may) & part::EXPERTS == 0 {
        return Err(Error::Unsupported(format!("mixtures of experts cannot be run in {} models", row.name)));
    }
    let n_used = keys.dim("expert_used_count", MAX_DIM)?;
    if n_used > n || n > MAX_EXPERTS {
        return Err(Error::Format(format!("{n_used} of {n} experts cannot be used: the file is damaged")));
    }
    // Where the file does not say how wide they are, its tensors do.
    let width = || gguf.tensor("blk.0.ffn_gate_exps.weight")?.shape.get(1).filter(|n| **n <= u64::from(MAX_DIM));
    let n_ff = match keys.optional_dim("expert_feed_forward_length")? {
        Some(n) => n,
        None => width().map_or(n_ff, |n| *n as usize),
    };
    let scale = keys.factor("expert_weights_scale")?;
    Ok(Some(Experts { n, n_used, n_ff, normalised: row.norm_experts, scale }))
}
