//! Places in the forward pass where someone may look, or put a hand in.

use super::weights::Model;
use crate::error::{Error, Result};

/// A named step of the forward pass. Names and meaning are llama.cpp's, so that a comparison is a join on (name, layer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Site {
    /// Embeddings, scaled where the model does that, with learned positions added where there are any: \[T × D\].
    InpEmbd,
    /// The input of attention, normalised where there is a norm for it: \[T × D\].
    AttnNorm,
    /// Queries, turned to their positions: \[T × H·Dh\].
    Qcur,
    /// Keys, turned to their positions: \[T × K·Dh\].
    Kcur,
    /// Values: \[T × K·Dh\].
    Vcur,
    /// Scores of one head and one token against all positions up to it, before scaling: \[position + 1\]; 0 of those that a
    /// local layer does not see. Heads that share their keys come together, token by token; `Place` says which one it is.
    Kq,
    /// The same after scaling, soft cap, bias and softmax: the attention weights.
    KqSoftMax,
    /// What the heads read, side by side: \[T × H·Dh\].
    KqvOut,
    /// Attention's contribution to the residual stream, normalised and scaled where the model does that: \[T × D\].
    AttnOut,
    /// The residual stream with attention's contribution: \[T × D\].
    FfnInp,
    /// The input of the feed-forward network, normalised where there is a norm for it: \[T × D\]. A network that reads what
    /// attention reads has no such site.
    FfnNorm,
    /// The gate's projection, where there is a gate in a matrix of its own: \[T × F\]. Experts do not come by here, nor at
    /// the next two sites.
    FfnGate,
    /// The up projection: \[T × F\]; gate and up of a token side by side, where they are one matrix: \[T × 2·F\].
    FfnUp,
    /// The hidden neurons, after the nonlinearity (and the gate): \[T × F\].
    FfnAct,
    /// The feed-forward network's contribution to the residual stream, normalised and scaled likewise: \[T × D\].
    FfnOut,
    /// The residual stream after a layer: \[T × D\].
    LOut,
    /// The normalised input of the output head, for the positions whose logits are wanted: \[n × D\].
    ResultNorm,
    /// The logits of these positions: \[n × V\].
    ResultOutput,
}

impl Site {
    /// All of them, in order of computation.
    pub const ALL: [Site; 18] = [
        Site::InpEmbd,
        Site::AttnNorm,
        Site::Qcur,
        Site::Kcur,
        Site::Vcur,
        Site::Kq,
        Site::KqSoftMax,
        Site::KqvOut,
        Site::AttnOut,
        Site::FfnInp,
        Site::FfnNorm,
        Site::FfnGate,
        Site::FfnUp,
        Site::FfnAct,
        Site::FfnOut,
        Site::LOut,
        Site::ResultNorm,
        Site::ResultOutput,
    ];

    /// Whether every layer passes it.
    pub fn is_in_layers(self) -> bool {
        !matches!(self, Site::InpEmbd | Site::ResultNorm | Site::ResultOutput)
    }

    /// How many values a token has there; `None` at `Kq` and `KqSoftMax`, where that grows with its position.
    ///
    /// # Errors
    /// `Unsupported` where this model does not pass the site.
    pub fn width(self, model: &Model) -> Result<Option<usize>> {
        let config = model.config();
        let is_gated = || !config.fused_gate && model.layers.iter().all(|layer| layer.ffn_gate.is_some());
        Ok(Some(match self {
            Site::Kq | Site::KqSoftMax => return Ok(None),
            Site::Qcur | Site::KqvOut => config.n_q(),
            Site::Kcur | Site::Vcur => config.n_kv(),
            Site::FfnUp | Site::FfnAct | Site::FfnGate
                if config.experts.is_some() || (self == Site::FfnGate && !is_gated()) =>
            {
                return Err(Error::Unsupported(format!("this model has no {}", self.name())));
            }
            Site::FfnUp => config.n_ff << u32::from(config.fused_gate),
            Site::FfnGate | Site::FfnAct => config.n_ff,
            Site::ResultOutput => config.n_vocab,
            _ => config.n_embd,
        }))
    }

    /// llama.cpp's name.
    pub fn name(self) -> &'static str {
        match self {
            Site::InpEmbd => "inp_embd",
            Site::AttnNorm => "attn_norm",
            Site::Qcur => "Qcur",
            Site::Kcur => "Kcur",
            Site::Vcur => "Vcur",
            Site::Kq => "kq",
            Site::KqSoftMax => "kq_soft_max",
            Site::KqvOut => "kqv_out",
            Site::AttnOut => "attn_out",
            Site::FfnInp => "ffn_inp",
            Site::FfnNorm => "ffn_norm",
            Site::FfnGate => "ffn_gate",
            Site::FfnUp => "ffn_up",
            Site::FfnAct => "ffn_act",
            Site::FfnOut => "ffn_out",
            Site::LOut => "l_out",
            Site::ResultNorm => "result_norm",
            Site::ResultOutput => "result_output",
        }
    }
}

/// Where a tap is being called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which step.
    pub site: Site,
    /// Which layer; 0 at the sites outside the layers.
    pub layer: usize,
    /// Position of the first token in the data (of the one token, at `Kq` and `KqSoftMax`).
    pub position: usize,
    /// Which query head, at `Kq` and `KqSoftMax`; 0 elsewhere.
    pub head: usize,
}

/// Someone who looks at the forward pass, or changes what flows through it: what stands in `data` afterwards is what
/// the pass goes on with.
pub trait Tap {
    /// Called at every site in order of computation. Shapes are given at [`Site`], row-major.
    fn visit(&mut self, place: Place, data: &mut [f32]);
}
