"""Bits per byte: by source through PyTorch, and of the frozen file through the engine, beside what there is to beat."""

import hashlib
import subprocess
from concurrent.futures import ThreadPoolExecutor
from math import log
from pathlib import Path

from . import engine as run

SEPARATOR = "<|endoftext|>"
EARLIER = {"first built-in model": "8ade70b", "second built-in model": "2193518"}  # whose file git has, and in which commit


def frozen_documents(path, limit=None):
    return Path(path).read_text(encoding="utf-8").split(SEPARATOR)[:limit]


def by_engine(engine, model, documents):
    """Bits per byte of the documents, each scored alone, in windows of the model's context; its end is not counted."""
    parts = [documents[i::engine.threads] for i in range(engine.threads)]
    with ThreadPoolExecutor(engine.threads) as pool:
        rows = pool.map(lambda part: engine.score(model, SEPARATOR.join(part), "--separator", SEPARATOR, "--windows"), parts)
    ln_p, tokens = map(sum, zip(*(row for part in rows for row in part)))
    return {"bits_per_byte": -ln_p / log(2) / sum(len(d.encode()) for d in documents), "tokens": tokens}


def by_ngram(engine, data, documents, n=5):
    """The same of an n-gram model of the training stories' tokens."""
    import numpy as np

    from .. import tokenizer as tok
    from ..corpora import SOURCES
    from .ngram import KneserNey

    shards = sorted(Path(data) / "tokens" / f"train-{source}.bin" for source in SOURCES)

    def make():
        training = []
        for shard in shards:
            ids = np.fromfile(shard, dtype=np.uint16)
            ends = np.flatnonzero(ids == 0)
            training += [ids[a + 1:b] for a, b in zip(ends[:-1], ends[1:])]
        tokenizer = tok.load(data)
        encoded = [e.ids for e in tokenizer.encode_batch(documents)]
        model = KneserNey(training, tokenizer.get_vocab_size(), n)
        return {"bits_per_byte": sum(map(model.bits, encoded)) / sum(len(d.encode()) for d in documents),
                "tokens": sum(map(len, encoded)), "training_tokens": sum(map(len, training)), "n": n}

    text = hashlib.sha256(SEPARATOR.join(documents).encode()).hexdigest()
    return engine.keep(["ngram", n, text, [run.sha256(p) for p in shards]], make)


def by_source(engine, out, files, data, threads, limit=None):
    """What `train` reports while it runs, for the checkpoint and for each file read back: all held-out text, by source."""
    import torch
    from contextlib import nullcontext

    from .. import shards
    from .. import tokenizer as tok
    from ..export import read
    from ..train import held_out_bits, load_checkpoint

    torch.set_num_threads(threads)
    groups, lengths = shards.load(data, "held-out"), shards.byte_lengths(tok.load(data))
    marks = [run.sha256(p) for p in sorted((Path(data) / "tokens").glob("held-out-*.bin"))]

    def measure(path, load):
        return engine.keep(["by source", run.sha256(path), marks, limit], lambda: {
            k: float(v) for k, v in held_out_bits(load(), groups, lengths, torch.device("cpu"), nullcontext(), limit).items()})

    rows, checkpoint = {}, Path(out) / "checkpoint.pt"
    if checkpoint.exists():
        rows["F32, PyTorch"] = measure(checkpoint, lambda: load_checkpoint(out)[0].eval())
    return {**rows, **{name: measure(path, lambda: read(path)) for name, path in files.items()}}


def earlier_models(folder):
    """Name → the file of each earlier built-in model, taken out of the repository's history; None where that is not at hand."""
    files = {}
    for name, commit in EARLIER.items():
        path = files[name] = Path(folder) / f"{name.replace(' ', '-')}.gguf"
        if not path.exists():
            shown = subprocess.run(["git", "show", f"{commit}:www/models/story.gguf"], cwd=run.ROOT, capture_output=True)
            if shown.returncode:
                files[name] = None
            else:
                path.write_bytes(shown.stdout)
    return files


def frozen(engine, files, documents, data, baselines):
    """Every file and every baseline on the same documents; a baseline whose file is missing is None."""
    rows = {name: by_engine(engine, path, documents) for name, path in files.items()}
    for name, path in baselines.items():
        rows[name] = by_engine(engine, path, documents) if path and Path(path).exists() else None
    rows["5-gram"] = by_ngram(engine, data, documents)
    text = SEPARATOR.join(documents).encode()
    return {"sha256": hashlib.sha256(text).hexdigest(), "documents": len(documents),
            "bytes": sum(len(d.encode()) for d in documents), "models": rows}
