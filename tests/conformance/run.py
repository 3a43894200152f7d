"""Compares this engine, native llama.cpp and transformers on every case: `cargo xtask conformance` runs it.

    python tests/conformance/run.py FOLDER --engine PAGELM --llama NATIVE [--only NAME …]

Leaves in FOLDER the model files, the engine's logits, and `results.json`, a row for each file.
"""

import argparse
import json
import subprocess
from pathlib import Path

import files
import models
import numpy as np
from cases import CASES


def nmse(got: np.ndarray, want: np.ndarray) -> float:
    """The mean square of the error beside that of the reference."""
    return float(((got - want) ** 2).sum() / (want**2).sum())


def top_1(got: np.ndarray, want: np.ndarray) -> tuple[int, int]:
    """At how many positions the best token is decided by more than the largest error; at how many of these it is the same."""
    two = np.sort(want, axis=1)[:, -2:]
    sure = two[:, 1] - two[:, 0] > np.abs(got - want).max()
    return int(sure.sum()), int((sure & (got.argmax(axis=1) == want.argmax(axis=1))).sum())


def computed(program: list[str], out: Path, shape: tuple[int, int]) -> np.ndarray | None:
    done = subprocess.run(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        print(f"  {program[0]} failed: {done.stderr.strip()[-300:]}", flush=True)
        return None
    return np.fromfile(out, "<f4").astype(np.float64).reshape(shape)


def compare(name: str, kind: str, folder: Path, engine: str, llama: str, made) -> dict:
    case, model, rows, drawn = made
    stored, meant = files.store(rows, drawn, kind)
    stem = folder / f"{name}-{kind}"
    files.write(stem.with_suffix(".gguf"), case, stored)
    models.fill(case, model, meant)
    want = models.logits(case, model)
    ids = models.tokens()[: len(want)]
    text = ",".join(map(str, ids))
    ours, theirs = stem.with_suffix(".f32"), stem.with_suffix(".llama.f32")
    file = str(stem.with_suffix(".gguf"))
    got = computed([engine, "logits", "--model", file, "--tokens", text, "--out", str(ours)], ours, want.shape)
    native = computed([llama, file, str(theirs), text], theirs, want.shape)
    if got is None:
        raise SystemExit(f"{name} in {kind} was not computed")
    sure, same = top_1(got, want)
    result = {
        "case": name,
        "architecture": case.architecture,
        "format": kind,
        "tokens": ids,
        "deviation": float(np.abs(got - want).max() / np.abs(want).max()),
        "nmse": nmse(got, want),
        "llama_nmse": None if native is None else nmse(native, want),
        "llama_deviation": None if native is None else float(np.abs(native - want).max() / np.abs(want).max()),
        "sure": sure,
        "same": same,
        "std": float(want.std()),
    }
    shown = {key: result[key] for key in ("deviation", "nmse", "llama_nmse", "sure", "same")}
    print(f"{name} {kind}: " + ", ".join(f"{k} {v:.3g}" if v is not None else f"{k} –" for k, v in shown.items()), flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--llama", required=True)
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    results = []
    for name in options.only or CASES:
        made = models.make(name)
        kinds = files.FORMATS if name == "llama" else ["F32", "Q8_0"]
        results += [compare(name, kind, options.folder, options.engine, options.llama, made) for kind in kinds]
    (options.folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
