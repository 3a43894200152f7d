"""Makes a case's model in transformers, with weights that are drawn as its file has them.

Every tensor of the file is drawn from a seed, its place in the file; `made` in tests/common/recorded.rs draws the same
numbers. From the file's layout to that of transformers there is no other way than back: `export` is run on the positions of
all parameters instead of their values, which says from where each weight of the file has come.
"""

import numpy as np
import torch
import transformers
from cases import CASES, CONTEXT, D, FF, HEADS, KV_HEADS, VOCAB, Case

N_TOKENS = 48
# By how much more than other matrices the one that makes logits is spread, which leaves them a deviation of 1 to 5.
GAINS = {"gemma": 2.0, "gpt2": 1.0}
LAYER_NORMS = ("gpt2", "gptneox", "stablelm", "phi2", "starcoder2", "falcon", "mpt")
ADJACENT = ("llama", "granite", "smollm3")
LAYERS = ("model.layers.{}.", "transformer.h.{}.", "gpt_neox.layers.{}.", "transformer.blocks.{}.")
TOP = {
    "token_embd": ("model.embed_tokens", "transformer.wte", "gpt_neox.embed_in", "transformer.word_embeddings"),
    "position_embd": ("transformer.wpe",),
    "output_norm": (
        "model.norm",
        "model.final_layernorm",
        "transformer.ln_f",
        "gpt_neox.final_layer_norm",
        "transformer.norm_f",
    ),
    "output": ("lm_head",),
}


def noise(n: int, size: float, seed: int) -> np.ndarray:
    """Floats between −size and size, by SplitMix64: those of `noise` in tests/common/made.rs."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        z = z ^ z >> np.uint64(31)
    unit = (z >> np.uint64(11)).astype(np.float64) / 2**53
    return (unit.astype(np.float32) * np.float32(2) - np.float32(1)) * np.float32(size)


def tokens() -> list[int]:
    return [(i * i * 7 + 3 * i + 1) % VOCAB for i in range(N_TOKENS)]


def n_tokens(case: Case) -> int:
    """A model that is run at its original context has no room for more."""
    return min(N_TOKENS, case.keys.get("context_length", CONTEXT))


def configuration(case: Case):
    make = getattr(transformers, case.config + "Config")
    usual = {
        "vocab_size": VOCAB,
        "hidden_size": D,
        "intermediate_size": FF,
        "ffn_hidden_size": FF,
        "num_hidden_layers": case.layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": "gemma" in case.architecture or case.architecture in ("gpt2", "mpt"),
    }
    if case.config == "GPT2":
        usual |= {"n_embd": D, "n_layer": case.layers, "n_head": HEADS, "n_positions": CONTEXT, "n_inner": FF}
    if case.config == "Mpt":
        usual |= {"n_layers": case.layers, "max_seq_len": CONTEXT}
    tokens = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
    return make(**(usual | tokens | case.options))


def network(case: Case):
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(
        configuration(case), attn_implementation="eager", experts_implementation="eager"
    )
    model = model.double().eval()
    if case.gelu:
        for name, module in list(model.named_modules()):
            if isinstance(module, torch.nn.GELU):
                model.get_submodule(name.rpartition(".")[0])._modules[name.rpartition(".")[2]] = torch.nn.GELU("tanh")
    return model


def keys(case: Case) -> dict:
    """The file's metadata."""
    epsilon = 1e-5
    config = configuration(case)
    for name in ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"):
        epsilon = getattr(config, name, epsilon)
    norm = "attention.layer_norm_epsilon" if case.architecture in LAYER_NORMS else "attention.layer_norm_rms_epsilon"
    usual = {
        "context_length": CONTEXT,
        "embedding_length": D,
        "block_count": case.layers,
        "feed_forward_length": FF,
        "attention.head_count": HEADS,
        "attention.head_count_kv": HEADS if case.config == "GPT2" else KV_HEADS,
        norm: float(epsilon),
        "vocab_size": VOCAB,
    }
    return {f"{case.architecture}.{key}": value for key, value in (usual | case.keys).items()}


def interleaved(x: np.ndarray, n_head: int) -> np.ndarray:
    """Rows of each head from (first half, second half) to pairs side by side, as files of these architectures have them."""
    return x.reshape(n_head, 2, x.shape[0] // n_head // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def by_kind(x: np.ndarray, groups: int, per_group: int) -> np.ndarray:
    """Rows of groups of heads, each with its queries, a key and a value, to all queries, all keys, all values."""
    x = x.reshape(groups, per_group, -1, *x.shape[1:])
    parts = [x[:, :-2], x[:, -2:-1], x[:, -1:]]
    return np.concatenate([part.reshape(-1, *x.shape[3:]) for part in parts])


def exported(case: Case, part: str, x: np.ndarray) -> np.ndarray:
    """One parameter of a layer, as the file has it."""
    n_head, n_kv = HEADS, KV_HEADS
    if case.config == "GPT2" and part in case.names and x.ndim == 2:
        return x.T
    if case.architecture in ADJACENT and part in ("attn_q", "attn_k"):
        return interleaved(x, n_head if part == "attn_q" else n_kv)
    if case.architecture == "gptneox" and part == "attn_qkv":
        return by_kind(x, n_head, 3)
    if case.architecture == "falcon" and part == "attn_qkv":
        groups = case.keys["attention.head_count_kv"]
        return by_kind(x, groups, n_head // groups + 2)
    if part in ("ffn_gate_exps", "ffn_up_exps"):
        half = x.shape[1] // 2
        return x[:, :half] if part == "ffn_gate_exps" else x[:, half:]
    return x


def export(case: Case, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All parameters by the file's names, in its layout."""
    tied = case.options.get("tie_word_embeddings", configuration(case).tie_word_embeddings)
    found = {}

    def take(name: str, part: str, source: str) -> None:
        for end in ("weight", "bias"):
            if f"{source}.{end}" in state:
                found[f"{name}.{end}"] = exported(case, part, state[f"{source}.{end}"])
        if source in state:
            found[f"{name}.weight"] = exported(case, part, state[source])
        heads = sorted((key for key in state if key.startswith(f"{source}.norms.")), key=lambda key: int(key.split(".")[-2]))
        if heads:
            found[f"{name}.weight"] = np.stack([state[key] for key in heads])

    for name, sources in TOP.items():
        for source in sources:
            if not (name == "output" and tied):
                take(name, name, source)
    for layer in range(case.layers):
        prefix = next(p.format(layer) for p in LAYERS if any(key.startswith(p.format(layer)) for key in state))
        for part, source in case.names.items():
            if source:
                take(f"blk.{layer}.{part}", part, prefix + source)
    shift = 1.0 if "gemma" in case.architecture else 0.0
    return {name: x + shift if name.endswith("norm.weight") else x for name, x in found.items()}


def plan(case: Case, model) -> list[tuple[str, list[int], float, float]]:
    """The file's tensors in their order: name, shape (rows first), around what and how widely its values are drawn."""
    shapes = export(case, {name: x.numpy() for name, x in model.state_dict().items()})
    rows = []
    head = "output.weight" if "output.weight" in shapes else "token_embd.weight"
    for name, x in shapes.items():
        if "norm" in name or x.ndim == 1:
            around = float("norm" in name and name.endswith("weight"))
            rows.append((name, list(x.shape), around, 0.2))
        else:
            gain = GAINS.get(case.architecture, 3.0) if name == head else 1.0
            rows.append((name, list(x.shape), 0.0, float(np.float32(gain * 1.7 / np.sqrt(x.shape[-1])))))
    return rows


def draw(rows, first_seed: int) -> dict[str, np.ndarray]:
    drawn = {}
    for seed, (name, shape, around, size) in enumerate(rows, first_seed):
        drawn[name] = (noise(int(np.prod(shape)), size, seed) + np.float32(around)).reshape(shape)
    return drawn


def fill(case: Case, model, drawn: dict[str, np.ndarray]) -> None:
    """Sets the parameters of a network to what a file holds."""
    state = model.state_dict()
    ids, n = {}, 1
    for name, x in state.items():
        ids[name] = np.arange(n, n + x.numel(), dtype=np.float64).reshape(tuple(x.shape))
        n += x.numel()
    zero = export(case, {name: np.zeros_like(x) for name, x in ids.items()})
    flat, seen = np.zeros(n), np.zeros(n, dtype=bool)
    for name, where in export(case, ids).items():
        at = (where - zero[name]).astype(np.int64)
        flat[at], seen[at] = drawn[name].astype(np.float64) - zero[name], True
    n = 1
    filled = {}
    for name, x in state.items():
        part = slice(n, n + x.numel())
        n += x.numel()
        if seen[part].all():
            filled[name] = torch.from_numpy(flat[part].reshape(tuple(x.shape)))
        else:
            assert name == "lm_head.weight" and not seen[part].any(), f"{name} is not in the file"
    missing, unexpected = model.load_state_dict(filled, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()


def logits(case: Case, model) -> np.ndarray:
    """What the reference computes, in f64."""
    ids = torch.tensor([tokens()[: n_tokens(case)]])
    with torch.no_grad():
        return model(ids).logits[0].double().numpy()


def make(name: str):
    """A case's network, the plan of its file, and its weights."""
    case = CASES[name]
    model = network(case)
    rows = plan(case, model)
    drawn = draw(rows, case.seed)
    fill(case, model, drawn)
    return case, model, rows, drawn
