"""Which of two sentences the model finds more probable: the share of pairs where it is the grammatical one."""

import json
from pathlib import Path


def load(path, each=None):
    """The pairs of the committed file, or the first `each` of every phenomenon."""
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    kept, counts = [], {}
    for row in rows:
        counts[row["phenomenon"]] = counts.get(row["phenomenon"], 0) + 1
        if each is None or counts[row["phenomenon"]] <= each:
            kept.append(row)
    return kept


def measure(engine, model, pairs):
    """Summed ln p of each sentence alone; equal ones count as wrong."""
    ln_p = engine.score_lines(model, [sentence for pair in pairs for sentence in (pair["good"], pair["bad"])])
    by_phenomenon = {}
    for pair, good, bad in zip(pairs, ln_p[::2], ln_p[1::2]):
        entry = by_phenomenon.setdefault(pair["phenomenon"], {"right": 0, "pairs": 0})
        entry["right"] += good > bad
        entry["pairs"] += 1
    return {"right": sum(e["right"] for e in by_phenomenon.values()), "pairs": len(pairs), "by_phenomenon": by_phenomenon}
