//! Places in the forward pass where someone may look, or put a hand in.

/// A named step of the forward pass. Names and meaning are llama.cpp's, so that a comparison is a join on (name, layer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Site {
    /// Embeddings (with learned positions added, where there are any): \[T × D\].
    InpEmbd,
    /// The normalised input of attention: \[T × D\].
    AttnNorm,
    /// Queries, turned to their positions: \[T × H·Dh\].
    Qcur,
    /// Keys, turned to their positions: \[T × K·Dh\].
    Kcur,
    /// Values: \[T × K·Dh\].
    Vcur,
    /// Scores of one head and one token against all positions up to it, before scaling: \[position + 1\]. Heads that share
    /// their keys come together, token by token; `Place` says which one it is.
    Kq,
    /// The same after scaling and softmax: the attention weights.
    KqSoftMax,
    /// What the heads read, side by side: \[T × H·Dh\].
    KqvOut,
    /// Attention's contribution to the residual stream: \[T × D\].
    AttnOut,
    /// The residual stream between attention and feed-forward: \[T × D\].
    FfnInp,
    /// The normalised input of the feed-forward network: \[T × D\].
    FfnNorm,
    /// The gate's projection, where there is a gate: \[T × F\].
    FfnGate,
    /// The up projection: \[T × F\].
    FfnUp,
    /// The hidden neurons, after the nonlinearity (and the gate): \[T × F\].
    FfnAct,
    /// The feed-forward network's contribution to the residual stream: \[T × D\].
    FfnOut,
    /// The residual stream after a layer: \[T × D\].
    LOut,
    /// The normalised input of the output head, for the positions whose logits are wanted: \[n × D\].
    ResultNorm,
    /// The logits of these positions: \[n × V\].
    ResultOutput,
}

impl Site {
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
