"""The models that the engine is compared on: one for each architecture and each way of scaling rotary positions.

A case names a configuration of transformers, and says what a GGUF file calls its parts. Widths are multiples of 256, so that
every format fits; there are few layers; windows and original contexts are shorter than the text that is run.
"""

from dataclasses import dataclass, field
from math import log, pi, sqrt

import numpy as np

WINDOW, ORIGINAL, CONTEXT, VOCAB = 12, 24, 64, 64
D, FF, HEADS, KV_HEADS = 256, 512, 8, 4

# llama.cpp computes GELU by its tanh form everywhere, and so do files made for it.
TANH_GELU = "gelu_pytorch_tanh"


@dataclass
class Case:
    """A model: its class in transformers, what is special in its configuration, and what its file says."""

    config: str
    architecture: str
    options: dict = field(default_factory=dict)
    keys: dict = field(default_factory=dict)
    """Metadata besides the usual, without the architecture's name."""
    names: dict = field(default_factory=dict)
    """A layer's names: those of GGUF, and those of transformers."""
    tensors: dict = field(default_factory=dict)
    """Tensors that are not drawn."""
    layers: int = 2
    seed: int = 0
    """The first tensor's. Mixtures have one with which no token is nearly undecided between two experts: `margins.py`."""
    gelu: bool = False


LLAMA = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
QK_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
POST_NORMS = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
EXPERTS = {
    "ffn_gate": None,
    "ffn_up": None,
    "ffn_down": None,
    "ffn_gate_inp": "mlp.gate",
    "ffn_gate_exps": "mlp.experts.gate_up_proj",
    "ffn_up_exps": "mlp.experts.gate_up_proj",
    "ffn_down_exps": "mlp.experts.down_proj",
}
GPT_NEOX = {
    "attn_norm": "input_layernorm",
    "attn_qkv": "attention.query_key_value",
    "attn_output": "attention.dense",
    "ffn_norm": "post_attention_layernorm",
    "ffn_up": "mlp.dense_h_to_4h",
    "ffn_down": "mlp.dense_4h_to_h",
}
FALCON = {
    "attn_norm": "input_layernorm",
    "attn_qkv": "self_attention.query_key_value",
    "attn_output": "self_attention.dense",
    "ffn_up": "mlp.dense_h_to_4h",
    "ffn_down": "mlp.dense_4h_to_h",
}
GPT2 = {
    "attn_norm": "ln_1",
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
MPT = {
    "attn_norm": "norm_1",
    "attn_qkv": "attn.Wqkv",
    "attn_output": "attn.out_proj",
    "ffn_norm": "norm_2",
    "ffn_up": "ffn.up_proj",
    "ffn_down": "ffn.down_proj",
}


def without(names: dict, *parts: str) -> dict:
    return {part: name for part, name in names.items() if part not in parts}


def rope(kind: str, theta: float = 10_000.0, **more) -> dict:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **more}}


HEAD = D // HEADS
EXPERT_KEYS = {"expert_count": 4, "expert_used_count": 2}
YARN = {"factor": 4.0, "original_max_position_embeddings": ORIGINAL}
YARN_KEYS = {
    "rope.scaling.type": "yarn",
    "rope.scaling.factor": 4.0,
    "rope.scaling.original_context_length": ORIGINAL,
}
LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": ORIGINAL,
}
LONG = [1.0 + 0.25 * i for i in range(HEAD // 2)]
SHORT = [1.0 + 0.03 * i for i in range(HEAD // 2)]


def llama3_factors(theta: float) -> np.ndarray:
    """What llama.cpp's `rope_freqs.weight` holds: the divisor of each frequency.

    Frequencies of short waves stay, those of long ones are divided by the factor, and those between are mixed.
    """
    waves = 2 * pi * theta ** (2 * np.arange(HEAD // 2) / HEAD)
    low, high = LLAMA3["low_freq_factor"], LLAMA3["high_freq_factor"]
    smooth = np.clip((ORIGINAL / waves - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / LLAMA3["factor"] + smooth)).astype(np.float32)


def long_rope(context: int) -> tuple[dict, dict]:
    """Phi-3's configuration, and the keys that go with it."""
    options = rope("longrope", long_factor=LONG, short_factor=SHORT, original_max_position_embeddings=ORIGINAL)
    options |= {"max_position_embeddings": context, "original_max_position_embeddings": ORIGINAL}
    keys = {
        "context_length": context,
        "rope.scaling.original_context_length": ORIGINAL,
        "rope.scaling.attn_factor": sqrt(1 + log(context / ORIGINAL) / log(ORIGINAL)),
    }
    return options, keys


GEMMA = {"head_dim": 64, "hidden_activation": TANH_GELU}
GEMMA_KEYS = {"attention.key_length": 64, "attention.value_length": 64, "rope.dimension_count": 64}
GEMMA2 = {
    **GEMMA,
    "query_pre_attn_scalar": 64,
    "sliding_window": WINDOW,
    "attn_logit_softcapping": 2.0,
    "final_logit_softcapping": 5.0,
}
GEMMA2_KEYS = {
    **GEMMA_KEYS,
    "attention.sliding_window": WINDOW,
    "attn_logit_softcapping": 2.0,
    "final_logit_softcapping": 5.0,
}
GEMMA3 = {
    **GEMMA,
    "query_pre_attn_scalar": 64,
    "sliding_window": WINDOW,
    "layer_types": ["sliding_attention"] * 5 + ["full_attention"],
    "rope_parameters": {
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
    },
}
GEMMA3_KEYS = {
    **GEMMA_KEYS,
    "attention.sliding_window": WINDOW,
    "rope.freq_base": 1e6,
    "rope.scaling.type": "linear",
    "rope.scaling.factor": 8.0,
}
GRANITE = {
    "embedding_multiplier": 3.0,
    "residual_multiplier": 0.5,
    "attention_multiplier": 0.3,
    "logits_scaling": 1.5,
    "tie_word_embeddings": True,
}
GRANITE_KEYS = {"embedding_scale": 3.0, "residual_scale": 0.5, "attention.scale": 0.3, "logit_scale": 1.5}
PHI3 = LLAMA | {"attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"}
PHI3 = without(PHI3, "attn_q", "attn_k", "attn_v", "ffn_gate")
PHI2 = without(LLAMA, "ffn_gate", "ffn_norm") | {
    "attn_output": "self_attn.dense",
    "ffn_up": "mlp.fc1",
    "ffn_down": "mlp.fc2",
}
STARCODER2 = without(LLAMA, "ffn_gate") | {"ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"}
LONG_OPTIONS, LONG_KEYS = long_rope(CONTEXT)
SHORT_OPTIONS, SHORT_KEYS = long_rope(ORIGINAL)
LONG_TENSORS = {"rope_factors_long.weight": LONG, "rope_factors_short.weight": SHORT}
NEOX_OPTIONS = {"hidden_act": TANH_GELU, **rope("default", partial_rotary_factor=0.25)}
MOE = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2}
OLMO2 = without(LLAMA | POST_NORMS | QK_NORMS, "attn_norm", "ffn_norm")
OLMO3 = {
    "sliding_window": WINDOW,
    "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
    "rope_parameters": {
        "sliding_attention": {"rope_type": "default", "rope_theta": 500_000.0},
        "full_attention": {"rope_type": "yarn", "rope_theta": 500_000.0, **YARN},
    },
}

CASES: dict[str, Case] = {
    "llama": Case("Llama", "llama", names=LLAMA),
    "llama-linear": Case(
        "Llama",
        "llama",
        rope("linear", factor=4.0),
        {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0},
        LLAMA,
    ),
    "llama-yarn": Case("Llama", "llama", rope("yarn", **YARN), YARN_KEYS, LLAMA),
    "llama3": Case(
        "Llama",
        "llama",
        {"tie_word_embeddings": True, **rope("llama3", 500_000.0, **LLAMA3)},
        {"rope.freq_base": 500_000.0},
        LLAMA,
        {"rope_freqs.weight": llama3_factors(500_000.0)},
    ),
    "mistral": Case(
        "Mistral",
        "llama",
        {"sliding_window": WINDOW, "head_dim": 64},
        {
            "attention.sliding_window": WINDOW,
            "attention.key_length": 64,
            "attention.value_length": 64,
            "rope.dimension_count": 64,
        },
        LLAMA,
    ),
    "mixtral": Case("Mixtral", "llama", {**MOE, "sliding_window": None, **rope("default")}, EXPERT_KEYS, LLAMA | EXPERTS, seed=88000),
    "qwen2": Case("Qwen2", "qwen2", {"tie_word_embeddings": True}, {}, LLAMA),
    "qwen2-yarn": Case("Qwen2", "qwen2", rope("yarn", 1e6, **YARN), {"rope.freq_base": 1e6, **YARN_KEYS}, LLAMA),
    "qwen3": Case(
        "Qwen3",
        "qwen3",
        {"head_dim": 64, **rope("default", 1e6)},
        {"attention.key_length": 64, "attention.value_length": 64, "rope.freq_base": 1e6},
        LLAMA | QK_NORMS,
    ),
    "gemma": Case("Gemma", "gemma", GEMMA, GEMMA_KEYS, LLAMA),
    "gemma2": Case("Gemma2", "gemma2", GEMMA2, GEMMA2_KEYS, LLAMA | POST_NORMS),
    "gemma3": Case("Gemma3Text", "gemma3", GEMMA3, GEMMA3_KEYS, LLAMA | POST_NORMS | QK_NORMS, layers=6),
    "phi2": Case(
        "Phi",
        "phi2",
        {"num_key_value_heads": HEADS, "hidden_act": TANH_GELU, **rope("default", partial_rotary_factor=0.5)},
        {"rope.dimension_count": 16, "attention.head_count_kv": HEADS},
        PHI2,
    ),
    "phi3": Case("Phi3", "phi3", {"sliding_window": WINDOW}, {"attention.sliding_window": WINDOW}, PHI3),
    "phi3-long": Case("Phi3", "phi3", LONG_OPTIONS, LONG_KEYS, PHI3, LONG_TENSORS),
    "phi3-short": Case("Phi3", "phi3", SHORT_OPTIONS, SHORT_KEYS, PHI3, LONG_TENSORS),
    "gpt2": Case("GPT2", "gpt2", names=GPT2),
    "gptneox": Case(
        "GPTNeoX",
        "gptneox",
        NEOX_OPTIONS,
        {"rope.dimension_count": HEAD // 4, "use_parallel_residual": True, "attention.head_count_kv": HEADS},
        GPT_NEOX,
    ),
    "gptneox-sequential": Case(
        "GPTNeoX",
        "gptneox",
        {**NEOX_OPTIONS, "use_parallel_residual": False},
        {"rope.dimension_count": HEAD // 4, "use_parallel_residual": False, "attention.head_count_kv": HEADS},
        GPT_NEOX,
    ),
    "stablelm": Case(
        "StableLm",
        "stablelm",
        {"use_qkv_bias": True, **rope("default", partial_rotary_factor=0.25)},
        {"rope.dimension_count": HEAD // 4, "use_parallel_residual": False},
        LLAMA,
    ),
    "stablelm-parallel": Case(
        "StableLm",
        "stablelm",
        {"use_parallel_residual": True, "qk_layernorm": True, **rope("default", partial_rotary_factor=0.25)},
        {"rope.dimension_count": HEAD // 4, "use_parallel_residual": True},
        without(LLAMA, "ffn_norm") | {"attn_q_norm": "self_attn.q_layernorm", "attn_k_norm": "self_attn.k_layernorm"},
    ),
    "olmo2": Case("Olmo2", "olmo2", rope("default", 500_000.0), {"rope.freq_base": 500_000.0}, OLMO2),
    "olmo3": Case(
        "Olmo3",
        "olmo2",
        OLMO3,
        {"rope.freq_base": 500_000.0, "attention.sliding_window": WINDOW, **YARN_KEYS},
        OLMO2,
        layers=4,
    ),
    "granite": Case("Granite", "granite", GRANITE, GRANITE_KEYS, LLAMA),
    "smollm3": Case(
        "SmolLM3",
        "smollm3",
        {"no_rope_layer_interval": 4, "pad_token_id": None, "tie_word_embeddings": True, **rope("default", 2e6)},
        {"rope.freq_base": 2e6},
        LLAMA,
        layers=4,
    ),
    "starcoder2": Case("Starcoder2", "starcoder2", {"hidden_act": TANH_GELU}, {}, STARCODER2),
    "falcon": Case(
        "Falcon",
        "falcon",
        {"activation": TANH_GELU, "tie_word_embeddings": True},
        {"attention.head_count_kv": 1},
        FALCON,
    ),
    "falcon-40b": Case(
        "Falcon",
        "falcon",
        {"new_decoder_architecture": True, "num_kv_heads": 2, "activation": TANH_GELU},
        {"attention.head_count_kv": 2},
        FALCON | {"attn_norm": "ln_mlp", "attn_norm_2": "ln_attn"},
    ),
    "mpt": Case(
        "Mpt",
        "mpt",
        {"hidden_size": 768, "d_model": 768, "n_heads": 12, "num_attention_heads": 12, "attn_config": {"clip_qkv": 1.0}},
        {
            "embedding_length": 768,
            "feed_forward_length": 4 * 768,
            "attention.head_count": 12,
            "attention.head_count_kv": 12,
            "attention.max_alibi_bias": 8.0,
            "attention.clamp_kqv": 1.0,
        },
        MPT,
        layers=1,
        gelu=True,
    ),
    "qwen3moe": Case(
        "Qwen3Moe",
        "qwen3moe",
        {**MOE, "moe_intermediate_size": 256, "head_dim": 64, "norm_topk_prob": True, **rope("default", 1e6)},
        {
            **EXPERT_KEYS,
            "expert_feed_forward_length": 256,
            "attention.key_length": 64,
            "attention.value_length": 64,
            "rope.freq_base": 1e6,
        },
        LLAMA | QK_NORMS | EXPERTS,
        seed=21000,
    ),
    "olmoe": Case(
        "Olmoe",
        "olmoe",
        {**MOE, "num_key_value_heads": HEADS, "norm_topk_prob": False},
        {**EXPERT_KEYS, "attention.head_count_kv": HEADS},
        LLAMA | QK_NORMS | EXPERTS,
        seed=22000,
    ),
}
