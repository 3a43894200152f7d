"""Checkpoint → GGUF in F16, Q8_0, Q4_0 and a mixture, each run by the engine and compared with the checkpoint's logits."""

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch

from . import tokenizer as tok
from .corpora import MORE, SOURCES
from .model import Config, Model
from .train import load_checkpoint, load_exported

LICENCE = "MIT OR Apache-2.0"
LICENCE_NAME = "MIT OR Apache-2.0, Built with Llama (Llama 3.1 Community License, name and notice)"
# "Llama" first: part of the data was written by Llama 3.1, whose licence asks for it.
NAMES = {"story": "Llama-pagelm-story", "tasks": "Llama-pagelm-tasks"}
DESCRIPTIONS = {
    "story": "A very small language model that writes short stories for children in simple English. Built with Llama: part "
             "of its training text was written by Llama 3.1.",
    "tasks": "A very small language model that follows short instructions of a few kinds: stories, small talk, help desk, "
             "translation, Python, SQL, tables, JSON. Built with Llama: part of its training text was written by Llama 3.1.",
}
LABELS = {"story": "Stories", "tasks": "Small tasks"}
LANGUAGES = {"story": ["en"], "tasks": ["en", "de", "zh"]}
PROBES = {
    "story": "Once upon a time there was a little fox. He lived in a forest with his mother, and every night he asked for a "
             "story.",
    "tasks": "<|user|>Translate into German: I like my dog.<|assistant|>Ich mag meinen Hund.",
}

F16, Q8_0, Q4_0 = (gguf.GGMLQuantizationType[name] for name in ("F16", "Q8_0", "Q4_0"))
FORMATS = {"F16": F16, "Q8_0": Q8_0, "Q4_0": Q4_0, "MIXED": None}
FILE_TYPES = {"F16": gguf.LlamaFileType.MOSTLY_F16, "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
              "Q4_0": gguf.LlamaFileType.MOSTLY_Q4_0, "MIXED": gguf.LlamaFileType.MOSTLY_Q4_0}
# How far the engine's logits may lie from PyTorch's on the file's own weights, relative to the largest logit: where
# weights are quantized, the engine rounds what it multiplies them with to 8 bits.
ALLOWED = {"F16": 1e-5, "Q8_0": 0.03, "Q4_0": 0.03, "MIXED": 0.03}


def tensor_format(kind, name):
    """MIXED: 4 bits for what is large and forgiving, 8 for the embedding, values and the way back into the stream."""
    if kind != "MIXED":
        return FORMATS[kind]
    return Q8_0 if any(part in name for part in ("token_embd", "attn_v", "attn_output", "ffn_down")) else Q4_0


def write(path, model, state, tokenizer, kind, which):
    c = model.config
    w = gguf.GGUFWriter(path, "llama")
    w.add_name(NAMES[which])
    w.add_description(DESCRIPTIONS[which])
    w.add_basename(f"pagelm-{which}")
    w.add_version("3" if which == "story" else "2")
    w.add_size_label(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}M")
    w.add_languages(LANGUAGES[which])
    w.add_tags(["text-generation", "stories", "children", "built-with-llama"])
    w.add_license(LICENCE)
    w.add_license_name(LICENCE_NAME)
    w.add_array("pagelm.training.sources", sources(which))
    before = {"tokens": 0, "steps": 0, "hours": 0.0, **state.get("before", {})}  # of the weights it went on from
    w.add_uint64("pagelm.training.tokens", before["tokens"] + state["tokens"])
    w.add_uint32("pagelm.training.steps", before["steps"] + state["step"])
    w.add_float32("pagelm.training.hours", before["hours"] + state["seconds"] / 3600)
    w.add_file_type(FILE_TYPES[kind])
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    if which == "tasks":
        from .tasks.chat import TEMPLATE
        w.add_chat_template(TEMPLATE)

    w.add_vocab_size(c.n_vocab)
    w.add_context_length(c.n_ctx)
    w.add_embedding_length(c.n_embd)
    w.add_block_count(c.n_layer)
    w.add_feed_forward_length(c.n_ff)
    w.add_head_count(c.n_head)
    w.add_head_count_kv(c.n_head_kv)
    w.add_layer_norm_rms_eps(c.rms_eps)
    w.add_rope_dimension_count(c.head_dim)
    w.add_rope_freq_base(c.rope_base)

    description = json.loads(tokenizer.to_str())
    ids = description["model"]["vocab"]
    pieces = sorted(ids, key=ids.get)
    control = {token["id"] for token in description["added_tokens"]}
    assert len(pieces) == c.n_vocab and pieces[0] == tok.EOT
    merges = [m if isinstance(m, str) else " ".join(m) for m in description["model"]["merges"]]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(pieces)
    w.add_token_types([gguf.TokenType.CONTROL if i in control else gguf.TokenType.NORMAL for i in range(len(pieces))])
    w.add_token_merges(merges)
    w.add_bos_token_id(0)
    w.add_eos_token_id(0)
    w.add_add_bos_token(True)
    w.add_add_eos_token(False)

    for name, weight in model.state_dict().items():
        value = weight.detach().float().cpu().numpy()
        if value.ndim == 1:
            w.add_tensor(name, value)  # norms stay F32
        else:
            form = tensor_format(kind, name)
            w.add_tensor(name, gguf.quants.quantize(value, form), raw_dtype=form)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def read(path, n_ctx=None):
    """A model from an exported file, weights dequantized: reads shapes and names from the file alone.

    `n_ctx`: a context of its own, in place of the file's.
    """
    fields = gguf.GGUFReader(path).fields

    def get(key):
        return fields[f"llama.{key}"].contents()

    model = Model(Config(
        n_vocab=get("vocab_size"), n_ctx=n_ctx or get("context_length"), n_embd=get("embedding_length"),
        n_layer=get("block_count"), n_head=get("attention.head_count"), n_head_kv=get("attention.head_count_kv"),
        n_ff=get("feed_forward_length"), rope_base=get("rope.freq_base"),
        rms_eps=get("attention.layer_norm_rms_epsilon")))
    load_exported(model, path)
    return model.eval()


def sources(which):
    if which == "tasks":
        from .tasks.sources import SOURCES as chosen
        return [f"{name}: {entry[0]} ({entry[1]})" for name, entry in chosen.items()] + sources("story")
    return [f"{name}: {what} ({licence})" for name, (what, licence, _) in {**SOURCES, **MORE}.items()]


@torch.no_grad()
def difference(model, program, path, ids):
    """The engine's logits for a file against PyTorch's: (largest difference by the largest logit, same best tokens)."""
    expected = model(torch.tensor([ids]))[0].numpy()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "logits"
        subprocess.run([program, "logits", "--model", path, "--tokens", ",".join(map(str, ids)), "--out", out], check=True)
        logits = np.fromfile(out, dtype="<f4").reshape(expected.shape)
    same = (expected.argmax(-1) == logits.argmax(-1)).mean()
    return np.abs(expected - logits).max() / np.abs(expected).max(), same


def publish(path, folder, model, kind, which, data):
    """The file itself, its line in models.json, and the credits that CC-BY asks for."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{which}.gguf"
    target.write_bytes(path.read_bytes())
    if which == "story":
        (folder / "story-credits.md").write_bytes((data / "story-credits.md").read_bytes())
    content = target.read_bytes()
    listing = folder / "models.json"
    entries = {m["file"]: m for m in json.loads(listing.read_text())} if listing.exists() else {}
    entries[target.name] = {
        "label": LABELS[which], "name": NAMES[which], "file": target.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
        "parameters": sum(p.numel() for p in model.parameters()), "quantization": kind, "licence": LICENCE,
        "card": f"{which}.md", "description": DESCRIPTIONS[which], **({"tasks": "tasks.json"} if which == "tasks" else {})}
    ordered = sorted(entries.values(), key=lambda m: m["file"] != "story.gguf")
    listing.write_text(json.dumps(ordered, indent=2, ensure_ascii=False) + "\n")


def trained(out, which, n_ctx=None):
    """The last checkpoint, or the F16 file that training leaves where only that was brought from another machine."""
    if (out / "checkpoint.pt").exists():
        model, state = load_checkpoint(out, n_ctx=n_ctx)
        return model.eval(), state
    path = out / f"{which}-f16.gguf"
    model = read(path, n_ctx)
    return model, {"tokens": 0, "step": 0, "seconds": 0.0, "before": load_exported(model, path)}


def run(args):
    from .evaluation import engine

    torch.set_num_threads(args.threads)
    model, state = trained(Path(args.out), args.model, args.ctx)
    tokenizer, program = tok.load(args.data, args.model), engine.build()
    ids = [0, *tokenizer.encode(PROBES[args.model]).ids]
    for kind in FORMATS:
        path = Path(args.out) / f"{args.model}-{kind.lower()}.gguf"
        write(path, model, state, tokenizer, kind, args.model)
        worst, _ = difference(read(path), program, path, ids)
        lost, same = difference(model, program, path, ids)
        print(f"{path}: {path.stat().st_size:,} bytes; the engine's logits differ from PyTorch's on the same weights by "
              f"{worst:.1e} of the largest, from those before quantization by {lost:.1e} (best token the same: {same:.0%})")
        if worst > ALLOWED[kind]:
            raise SystemExit(f"{path}: the engine and PyTorch disagree by more than {ALLOWED[kind]}")
        if kind == args.quantization and args.publish:
            publish(path, args.publish, model, kind, args.model, Path(args.data))
