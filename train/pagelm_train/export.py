"""Checkpoint → GGUF in F16, Q8_0 and Q4_0, each read back and compared with the checkpoint's logits."""

import hashlib
import json
from pathlib import Path

import gguf
import torch

from . import tokenizer as tok
from .corpora import SOURCES
from .model import Model
from .train import load_checkpoint

NAME = "Llama-pagelm-story"  # "Llama" first: part of the data was written by Llama 3.1, whose licence asks for it
LICENCE = "MIT OR Apache-2.0"
LICENCE_NAME = "MIT OR Apache-2.0, Built with Llama (Llama 3.1 Community License, name and notice)"
DESCRIPTION = ("A very small language model that writes short stories for children in simple English. Built with Llama: "
               "part of its training text was written by Llama 3.1.")
FORMATS = {"F16": gguf.GGMLQuantizationType.F16, "Q8_0": gguf.GGMLQuantizationType.Q8_0,
           "Q4_0": gguf.GGMLQuantizationType.Q4_0}
FILE_TYPES = {"F16": gguf.LlamaFileType.MOSTLY_F16, "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
              "Q4_0": gguf.LlamaFileType.MOSTLY_Q4_0}




def write(path, model, state, tokenizer, kind):
    c = model.config
    w = gguf.GGUFWriter(path, "llama")
    w.add_name(NAME)
    w.add_description(DESCRIPTION)
    w.add_basename("pagelm-story")
    w.add_version("1")
    w.add_size_label(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}M")
    w.add_languages(["en"])
    w.add_tags(["text-generation", "stories", "children", "built-with-llama"])
    w.add_license(LICENCE)
    w.add_license_name(LICENCE_NAME)
    w.add_array("pagelm.training.sources", [f"{s}: {what} ({licence})" for s, (what, licence, _) in SOURCES.items()])
    w.add_uint64("pagelm.training.tokens", state["tokens"])
    w.add_uint32("pagelm.training.steps", state["step"])
    w.add_float32("pagelm.training.hours", state["seconds"] / 3600)
    w.add_file_type(FILE_TYPES[kind])
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)

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
    assert len(pieces) == c.n_vocab and pieces[0] == tok.EOT
    merges = [m if isinstance(m, str) else " ".join(m) for m in description["model"]["merges"]]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(pieces)
    w.add_token_types([gguf.TokenType.CONTROL if p == tok.EOT else gguf.TokenType.NORMAL for p in pieces])
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
            data = gguf.quants.quantize(value, FORMATS[kind])
            w.add_tensor(name, data, raw_dtype=FORMATS[kind])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def read(path):
    """A model from an exported file, weights dequantized: reads shapes and names from the file alone."""
    from .model import Config
    from .train import load_exported

    fields = gguf.GGUFReader(path).fields

    def get(key):
        return fields[f"llama.{key}"].contents()

    model = Model(Config(
        n_vocab=get("vocab_size"), n_ctx=get("context_length"), n_embd=get("embedding_length"),
        n_layer=get("block_count"), n_head=get("attention.head_count"), n_head_kv=get("attention.head_count_kv"),
        n_ff=get("feed_forward_length"), rope_base=get("rope.freq_base"),
        rms_eps=get("attention.layer_norm_rms_epsilon")))
    load_exported(model, path)
    return model.eval()


@torch.no_grad()
def difference(model, path, ids):
    """Largest difference of logits, relative to the largest logit, and how often the best token is the same."""
    a, b = model(ids), read(path)(ids)
    same = (a.argmax(-1) == b.argmax(-1)).float().mean().item()
    return ((a - b).abs().max() / a.abs().max()).item(), same


def publish(path, folder, model, kind, credits):
    """The file itself, its line in models.json, and the credits that CC-BY asks for."""
    folder, target = Path(folder), Path(folder) / "story.gguf"
    folder.mkdir(parents=True, exist_ok=True)
    target.write_bytes(path.read_bytes())
    (folder / "story-credits.md").write_bytes(credits.read_bytes())
    data = target.read_bytes()
    listing = folder / "models.json"
    others = [m for m in json.loads(listing.read_text()) if m["file"] != "story.gguf"] if listing.exists() else []
    entry = {"name": NAME, "file": "story.gguf", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
             "parameters": sum(p.numel() for p in model.parameters()), "quantization": kind, "licence": LICENCE,
             "card": "story.md", "description": DESCRIPTION}
    listing.write_text(json.dumps([entry, *others], indent=2, ensure_ascii=False) + "\n")


def run(args):
    torch.set_num_threads(args.threads)
    model, state = load_checkpoint(args.out)
    model.eval()
    tokenizer = tok.load(args.data)
    text = "Once upon a time there was a little fox. He lived in a forest with his mother, and every night he asked for a story."
    ids = torch.tensor([[0, *tokenizer.encode(text).ids]])
    for kind in FORMATS:
        path = Path(args.out) / f"story-{kind.lower()}.gguf"
        write(path, model, state, tokenizer, kind)
        worst, same = difference(model, path, ids)
        print(f"{path}: {path.stat().st_size:,} bytes; logits differ by {worst:.1e} of the largest, "
              f"best token the same at {same:.0%} of the positions")
        if kind == "Q8_0":
            assert path.stat().st_size <= 4_000_000 and worst < 0.05
            if args.publish:
                publish(path, args.publish, model, kind, Path(args.data) / "story-credits.md")
