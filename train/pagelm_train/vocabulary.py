"""Which vocabulary is best: models that differ in nothing else, trained on the same amount of text.

A larger vocabulary says more per token and costs more weights and a larger output head; so the table has bits per byte
beside parameters, and beside the milliseconds that the engine needs for a byte of text.
"""

import argparse
import json
import subprocess
from pathlib import Path

from . import export, train
from . import tokenizer as tok
from .corpora import SOURCES
from .evaluation import engine

SIZES = (1024, 2048, 4096, 8192)
ROWS = 8


def one(data, vocab, args):
    """A tokenizer, its shards, and a model trained on args.megabytes of text."""
    folder = data / "vocabulary" / str(vocab)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "documents").exists():
        (folder / "documents").symlink_to((data / "documents").resolve())
    tok.train(folder, vocab)
    tok.write_shards(folder)
    counts = json.loads((folder / "tokens" / "counts.json").read_text())["train"]
    width = sum(counts[s]["bytes"] for s in SOURCES) / sum(counts[s]["tokens"] for s in SOURCES)
    steps = round(args.megabytes * 1e6 / width / (ROWS * 512))
    defaults = vars(args.parser.parse_args(["train"]))
    train.run(argparse.Namespace(**{**defaults, "data": folder, "out": folder, "steps": steps, "rows": ROWS,
                                    "threads": args.threads, "eval_minutes": 1e9}))
    last = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    model, state = train.load_checkpoint(folder)
    export.write(folder / "model.gguf", model, state, tok.load(folder), "Q8_0", "story")
    return {"vocabulary": vocab, "bytes_per_token": width, "parameters": sum(w.numel() for w in model.parameters()),
            "tokens": state["tokens"], "bits_per_byte": last["held_out"]["all"]}


def decode_speed(program, path):
    """Tokens per second while the engine writes a story."""
    command = [program, "generate", "--model", path, "--prompt", "Once upon a time", "--n-predict", "300", "--seed", "1", "--json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return 1000 * len(report["tokens"]) / report["decode_ms"]


def run(args):
    data = Path(args.data)
    rows = [one(data, vocab, args) for vocab in SIZES]
    program = engine.build()
    for _ in range(5):  # in turns, and the best of each: the machine may be busy with something else
        for row in rows:
            speed = decode_speed(program, data / "vocabulary" / str(row["vocabulary"]) / "model.gguf")
            row["tokens_per_s"] = max(speed, row.get("tokens_per_s", 0))
    print("| vocabulary | bytes per token | parameters | bits per byte | tokens/s | ms per 100 bytes |\n|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        row["ms_per_100_bytes"] = 1e5 / row["tokens_per_s"] / row["bytes_per_token"]
        print(f"| {row['vocabulary']:,} | {row['bytes_per_token']:.2f} | {row['parameters']:,} | {row['bits_per_byte']:.3f} "
              f"| {row['tokens_per_s']:.0f} | {row['ms_per_100_bytes']:.2f} |")
    (data / "vocabulary.json").write_text(json.dumps(rows, indent=1) + "\n")
