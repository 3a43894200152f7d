"""What the model is worth: held-out bits per byte by source, and samples by the seeds 1 to 5, as they come."""

import json
from contextlib import nullcontext
from pathlib import Path

import torch

from . import plot
from . import tokenizer as tok
from .export import read
from .model import generate
from .train import held_out_bits, load_checkpoint


def run(args):
    torch.set_num_threads(args.threads)
    checkpoint, state = load_checkpoint(args.out)
    tokenizer = tok.load(args.data)
    models = {"checkpoint (F32)": checkpoint.eval()}
    for kind in ("f16", "q8_0", "q4_0"):
        path = Path(args.out) / f"story-{kind}.gguf"
        if path.exists():
            models[kind.upper()] = read(path)
    report = {"tokens": state["tokens"], "steps": state["step"], "seconds": state["seconds"], "bits_per_byte": {}}
    for name, model in models.items():
        report["bits_per_byte"][name] = held_out_bits(model, args.data, torch.device("cpu"), nullcontext())
        print(name, {k: round(v, 4) for k, v in report["bits_per_byte"][name].items()}, flush=True)
    sampled = models.get("Q8_0", checkpoint)
    prompt = tokenizer.encode(args.prompt).ids
    report["prompt"], report["samples"] = args.prompt, []
    for seed in range(1, 6):
        ids = generate(sampled, [0, *prompt], 400, temperature=0.8, seed=seed)
        ended = len(ids) < 400 and len(ids) + len(prompt) + 1 < sampled.config.n_ctx
        text = args.prompt + tokenizer.decode(ids)
        report["samples"].append({"seed": seed, "tokens": len(ids), "ended": ended, "text": text})
        print(f"\n--- seed {seed}, {len(ids)} tokens{'' if ended else ', cut off'}\n{text}", flush=True)
    (Path(args.out) / "evaluation.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    plot.draw(Path(args.out) / "log.jsonl", Path(args.out) / "loss.svg")
