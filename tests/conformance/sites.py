"""Records what PyTorch computes at every named step of the forward pass, for tests/sites.rs.

    python tests/conformance/sites.py

In the environment that `cargo xtask conformance --record` makes for it. tests/fixtures/sites/NAME.json names the model, its
tokens, and the steps; NAME.f32 holds the values of each step, little-endian: [layers, positions, width], and for attention
[layers, heads, positions, tokens], as `pagelm::inspect` records them.
"""

import json
import sys
from pathlib import Path

import models
import numpy as np
import torch
import transformers
from cases import CASES, LLAMA, Case
from gguf import GGUFReader, quants

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests/fixtures/sites"

# A model for each norm and each nonlinearity, with a gate and without; they are drawn as tests/fixtures/models says.
DRAWN = ["llama", "gemma2", "gpt2", "stablelm"]
FILES = {"story": "www/models/story.gguf", "stories260K": "../shared/models/stories260K-f32.gguf"}
N_TOKENS, POSITIONS = 24, [5, 23]

SITES = [
    "inp_embd",
    "attn_norm",
    "Qcur",
    "Kcur",
    "Vcur",
    "kq",
    "kq_soft_max",
    "kqv_out",
    "attn_out",
    "ffn_inp",
    "ffn_norm",
    "ffn_gate",
    "ffn_up",
    "ffn_act",
    "ffn_out",
    "l_out",
    "result_norm",
    "result_output",
]


class Recorder:
    """Keeps what passes modules, by step, one layer after the other."""

    def __init__(self) -> None:
        self.found: dict[str, list[np.ndarray]] = {}

    def keep(self, site: str, x) -> None:
        x = x[0] if isinstance(x, tuple) else x
        self.found.setdefault(site, []).append(x[0].double().numpy())

    def after(self, module, site: str) -> None:
        module.register_forward_hook(lambda _, __, out: self.keep(site, out))

    def before(self, module, site: str) -> None:
        module.register_forward_pre_hook(lambda _, args, kwargs: self.keep(site, args[0] if args else kwargs["hidden_states"]), with_kwargs=True)

    def attention(self, layer):
        """Where all these models come by: queries, keys and values by heads, and the weights. Returns what undoes it."""
        source = next(m for m in layer.modules() if type(m).__name__.endswith("Attention"))
        place = sys.modules[type(source).__module__]
        inner = place.eager_attention_forward

        def forward(module, query, key, value, *args, **kwargs):
            out, weights = inner(module, query, key, value, *args, **kwargs)
            for site, x in (("Qcur", query), ("Kcur", key), ("Vcur", value)):
                self.keep(site, x)
            shared = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
            # What a token does not see has no score: the mask, which is added to scores, is not 0 there.
            mask = args[0] if args else kwargs["attention_mask"]
            self.keep("kq", (query @ shared.transpose(2, 3)) * (mask == 0))
            self.keep("kq_soft_max", weights)
            return out, weights

        place.eager_attention_forward = forward
        return lambda: setattr(place, "eager_attention_forward", inner)


def record(case: Case, model, tokens: list[int]) -> dict[str, np.ndarray]:
    recorder = Recorder()
    names = dict(model.named_modules())
    prefix = next(p for p in models.LAYERS if p.format(0).rstrip(".") in names)
    for i in range(model.config.num_hidden_layers):
        part = lambda name: names.get(prefix.format(i) + case.names.get(name, "?"))
        layer = names[prefix.format(i).rstrip(".")]
        if i == 0:
            recorder.before(layer, "inp_embd")
            undo = recorder.attention(layer)
        recorder.after(part("attn_norm"), "attn_norm")
        recorder.before(part("attn_output"), "kqv_out")
        recorder.after(part("post_attention_norm") or part("attn_output"), "attn_out")
        recorder.before(part("ffn_norm"), "ffn_inp")
        recorder.after(part("ffn_norm"), "ffn_norm")
        if part("ffn_gate"):
            recorder.after(part("ffn_gate"), "ffn_gate")
        recorder.after(part("ffn_up"), "ffn_up")
        recorder.before(part("ffn_down"), "ffn_act")
        recorder.after(part("post_ffw_norm") or part("ffn_down"), "ffn_out")
        recorder.after(layer, "l_out")
    recorder.after(next(names[name] for name in models.TOP["output_norm"] if name in names), "result_norm")
    with torch.no_grad():
        recorder.keep("result_output", model(torch.tensor([tokens])).logits)
    undo()
    found = {site: np.stack(recorder.found[site]) for site in SITES if site in recorder.found}
    for site in ("Qcur", "Kcur", "Vcur"):
        # Heads before tokens; and turned pairs lie side by side in some files.
        heads = found[site]
        if case.architecture in models.ADJACENT and site != "Vcur":
            n, h, t, width = heads.shape
            heads = heads.reshape(n, h, t, 2, width // 2).swapaxes(3, 4).reshape(n, h, t, width)
        found[site] = heads.swapaxes(1, 2).reshape(heads.shape[0], heads.shape[2], -1)
    return {site: x[..., POSITIONS, :] for site, x in found.items()}


def from_file(path: Path):
    """A Llama out of a file, its weights as the floats that they stand for."""
    reader = GGUFReader(path)
    key = lambda name, usual=None: reader.fields[f"llama.{name}"].contents() if f"llama.{name}" in reader.fields else usual
    floats = {}
    for tensor in reader.tensors:
        shape = [int(n) for n in tensor.shape[::-1]]
        floats[tensor.name] = quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float64).reshape(shape)
    config = transformers.LlamaConfig(
        vocab_size=floats["token_embd.weight"].shape[0],
        hidden_size=key("embedding_length"),
        intermediate_size=key("feed_forward_length"),
        num_hidden_layers=key("block_count"),
        num_attention_heads=key("attention.head_count"),
        num_key_value_heads=key("attention.head_count_kv"),
        max_position_embeddings=key("context_length"),
        rms_norm_eps=key("attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": key("rope.freq_base", 10_000.0)},
        tie_word_embeddings="output.weight" not in floats,
    )
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").double().eval()
    state = {"model.embed_tokens.weight": floats["token_embd.weight"], "model.norm.weight": floats["output_norm.weight"]}
    state["lm_head.weight"] = floats.get("output.weight", floats["token_embd.weight"])
    for i in range(config.num_hidden_layers):
        for part, source in LLAMA.items():
            x = floats[f"blk.{i}.{part}.weight"]
            if part in ("attn_q", "attn_k"):
                n_head = config.num_attention_heads if part == "attn_q" else config.num_key_value_heads
                x = x.reshape(n_head, -1, 2, x.shape[1]).swapaxes(1, 2).reshape(x.shape)
            state[f"model.layers.{i}.{source}.weight"] = x
    model.load_state_dict({name: torch.from_numpy(x.copy()) for name, x in state.items()})
    return Case("Llama", "llama", names=LLAMA), model


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in DRAWN + list(FILES):
        case, model = from_file(ROOT / FILES[name]) if name in FILES else models.make(name)[:2]
        tokens = [(i * i * 7 + 3 * i + 1) % model.config.vocab_size for i in range(N_TOKENS)]
        found = record(case, model, tokens)
        head = {"file": FILES.get(name), "tokens": tokens, "positions": POSITIONS, "sites": list(found)}
        (FOLDER / f"{name}.json").write_text(json.dumps(head) + "\n")
        (FOLDER / f"{name}.f32").write_bytes(b"".join(x.astype("<f4").tobytes() for x in found.values()))
        print(f"{name}: {len(found)} steps, {sum(x.size for x in found.values())} values", flush=True)


if __name__ == "__main__":
    assert set(DRAWN) <= set(CASES)
    main()
