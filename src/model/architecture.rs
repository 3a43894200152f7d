//! Every architecture that can be run, as a row of switches.

use crate::error::{Error, Result, listed, shown};
use crate::gguf::Metadata;

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

/// Which layers see only the last positions, where the file names a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// A file with a window is refused.
    Refused,
    /// All layers.
    All,
    /// All but each n-th, unless the file has a pattern of its own.
    AllBut(usize),
}

/// How the layers with a window turn queries and keys. Another base than this says is the file's `rope.freq_base_swa`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum LocalRope {
    /// As the others do.
    Same,
    /// Without scaling, by the others' base.
    Unscaled,
    /// Without scaling, by this base.
    Base(f32),
}

/// Parts of a layer that not every architecture has (a set of them is their sum), as [`super::names`] lists them.
pub(super) mod part {
    pub const ATTN_NORM: u16 = 1;
    /// The norm before attention where `attn_norm` is the feed-forward network's.
    pub const ATTN_NORM_2: u16 = 2;
    pub const FFN_NORM: u16 = 4;
    /// Norms of what attention and feed-forward network add to the residual stream.
    pub const POST_NORMS: u16 = 8;
    /// Norms of queries and keys.
    pub const QK_NORM: u16 = 16;
    pub const GATE: u16 = 32;
    pub const EXPERTS: u16 = 64;
    /// What a network without experts has; a network with experts has it in each of them.
    pub const DENSE: u16 = 128;
    /// A learned position, added to the embedding.
    pub const POSITIONS: u16 = 256;
    pub const OUTPUT_BIAS: u16 = 512;
}

/// One architecture: a name and its switches. What a file shows by itself (biases, a tied output, queries, keys and values
/// in one matrix, how wide a norm is) is detected and not listed.
#[derive(Debug)]
pub(super) struct Architecture {
    pub name: &'static str,
    pub norm: Norm,
    /// `None`: positions are learned, or are a bias of attention.
    pub rope: Option<Pairing>,
    pub activation: Activation,
    /// Parts that must be there.
    pub needs: u16,
    /// Parts that may be there as well.
    pub may: u16,
    pub window: Window,
    /// The window where the file names none; 0 for no window.
    pub default_window: usize,
    pub local_rope: LocalRope,
    /// Soft caps of scores and of logits where the file names none; 0 for none.
    pub softcaps: [f32; 2],
    /// The file's `rope.scaling.finetuned` says whether anything is turned, and where it does not, it is.
    pub turned_by_key: bool,
    /// Gate and up lie in one matrix, the gate first.
    pub fused_gate: bool,
    /// The file's `use_parallel_residual` says whether both branches of a layer read its input, and where it does not, they do.
    pub parallel_by_key: bool,
    /// Embeddings are multiplied by √D.
    pub scaled_embedding: bool,
    /// Each n-th layer turns nothing; 0: all turn.
    pub unturned_step: usize,
    /// The number of layers of the model whose scores are scaled by √(H/D); 0 for none.
    pub n_layer_scaled_by_width: usize,
    /// The probabilities of the chosen experts are made to add up to 1.
    pub norm_experts: bool,
}

use part::*;

const LLAMA: Architecture = Architecture {
    name: "llama",
    norm: Norm::Rms,
    rope: Some(Pairing::Adjacent),
    activation: Activation::Silu,
    needs: ATTN_NORM + FFN_NORM + DENSE + GATE,
    may: EXPERTS,
    window: Window::All,
    default_window: 0,
    local_rope: LocalRope::Same,
    softcaps: [0.0; 2],
    turned_by_key: false,
    fused_gate: false,
    parallel_by_key: false,
    scaled_embedding: false,
    unturned_step: 0,
    n_layer_scaled_by_width: 0,
    norm_experts: true,
};

const QWEN2: Architecture =
    Architecture { name: "qwen2", rope: Some(Pairing::Halves), may: 0, window: Window::Refused, ..LLAMA };

const GEMMA: Architecture =
    Architecture { name: "gemma", activation: Activation::Gelu, scaled_embedding: true, ..QWEN2 };

/// LayerNorm, GELU and no gate.
const GPT: Architecture =
    Architecture { norm: Norm::Layer, activation: Activation::Gelu, needs: ATTN_NORM + FFN_NORM + DENSE, ..QWEN2 };

/// Every architecture that can be run. A new one is a row here and a fixture in `tests/`.
pub(super) static ARCHITECTURES: &[Architecture] = &[
    LLAMA,
    QWEN2,
    Architecture { name: "qwen3", needs: LLAMA.needs + QK_NORM, ..QWEN2 },
    GEMMA,
    Architecture {
        name: "gemma2",
        needs: GEMMA.needs + POST_NORMS,
        window: Window::AllBut(2),
        default_window: 4096,
        softcaps: [50.0, 30.0],
        n_layer_scaled_by_width: 46,
        ..GEMMA
    },
    Architecture {
        name: "gemma3",
        needs: GEMMA.needs + POST_NORMS + QK_NORM,
        window: Window::AllBut(6),
        local_rope: LocalRope::Base(10_000.0),
        n_layer_scaled_by_width: 62,
        ..GEMMA
    },
    Architecture { name: "phi2", needs: ATTN_NORM + DENSE, may: OUTPUT_BIAS, ..GPT },
    Architecture { name: "phi3", needs: ATTN_NORM + FFN_NORM + DENSE, window: Window::All, fused_gate: true, ..QWEN2 },
    Architecture { name: "gpt2", rope: None, needs: GPT.needs + POSITIONS, ..GPT },
    Architecture { name: "gptneox", parallel_by_key: true, ..GPT },
    Architecture {
        name: "stablelm",
        norm: Norm::Layer,
        needs: ATTN_NORM + DENSE + GATE,
        may: FFN_NORM + QK_NORM,
        ..QWEN2
    },
    Architecture {
        name: "olmo2",
        needs: POST_NORMS + QK_NORM + DENSE + GATE,
        window: Window::AllBut(4),
        local_rope: LocalRope::Unscaled,
        ..QWEN2
    },
    Architecture { name: "granite", may: 0, window: Window::Refused, turned_by_key: true, ..LLAMA },
    Architecture { name: "smollm3", may: 0, window: Window::Refused, unturned_step: 4, ..LLAMA },
    Architecture { name: "starcoder2", ..GPT },
    Architecture { name: "falcon", needs: ATTN_NORM + DENSE, may: ATTN_NORM_2, ..GPT },
    Architecture { name: "mpt", rope: None, may: POSITIONS + QK_NORM, ..GPT },
    Architecture { name: "qwen3moe", needs: ATTN_NORM + FFN_NORM + QK_NORM + EXPERTS, ..QWEN2 },
    Architecture { name: "olmoe", needs: ATTN_NORM + FFN_NORM + QK_NORM + EXPERTS, norm_experts: false, ..QWEN2 },
];

/// The row of the architecture that a file names.
///
/// # Errors
/// `Format` where it names none, `Unsupported` with the list of what can be run for another.
pub(super) fn architecture(metadata: &Metadata) -> Result<&'static Architecture> {
    let Some(name) = metadata.str("general.architecture")? else {
        return Err(Error::Format("the metadata key general.architecture is missing: this is no model file".into()));
    };
    ARCHITECTURES.iter().find(|row| row.name == name).ok_or_else(|| {
        let known = listed(&mut ARCHITECTURES.iter().map(|row| row.name));
        let name = shown(name);
        Error::Unsupported(format!("the architecture \"{name}\" cannot be run; these can: {known}"))
    })
}
