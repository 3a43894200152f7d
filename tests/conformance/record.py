"""Records what transformers computes with each case's model, for tests/architectures.rs.

    python tests/conformance/record.py [NAME …]

In the environment that `cargo xtask conformance --record` makes for it. tests/fixtures/models/NAME.json says how to make the model's file anew;
NAME.f32 holds the logits of every token, little-endian.
"""

import json
import sys
from pathlib import Path

import models
import numpy as np
from cases import CASES

FOLDER = Path(__file__).parents[1] / "fixtures/models"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or CASES:
        case, model, rows, _ = models.make(name)
        logits = models.logits(case, model)
        assert logits.shape[0] == models.n_tokens(case)
        print(f"{name}: {len(rows)} tensors, logits {logits.std():.2f} ± around {logits.mean():.2f}", flush=True)
        assert 1 <= logits.std() <= 5
        fixed = {key: [float(np.float32(x)) for x in values] for key, values in case.tensors.items()}
        record = {
            "architecture": case.architecture,
            "metadata": models.keys(case),
            "seed": case.seed,
            "tensors": [[name, shape[::-1], around, size] for name, shape, around, size in rows],
            "fixed": fixed,
            "tokens": models.tokens()[: models.n_tokens(case)],
        }
        text = json.dumps(record, indent=1)
        (FOLDER / f"{name}.json").write_text(compact(text) + "\n")
        (FOLDER / f"{name}.f32").write_bytes(logits.astype("<f4").tobytes())


def compact(text: str) -> str:
    """One line for each tensor and list instead of one for each number."""
    import re

    for _ in range(2):
        text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text)
        text = re.sub(r'\[\s+("[^"]+"),\s+(\[[^\]]*\]),\s+(\S+),\s+(\S+)\s+\]', r"[\1, \2, \3, \4]", text)
    return text


if __name__ == "__main__":
    main()
