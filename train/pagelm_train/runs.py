"""The runs behind a model's weights: what each log says, from the first to the last, and their losses as a picture."""

import json
from itertools import accumulate
from pathlib import Path


def chain(out):
    """The log of `out`, a list of entries, after those of the runs that it began from by --init or learned from by --teacher.

    The log of an exported file lies beside it, or in a folder of its name (`out/first.gguf`: `out/first/log.jsonl`).
    """
    log = read(Path(out) / "log.jsonl")
    before = log[0]["args"].get("init") or log[0]["args"].get("teacher")
    for folder in (Path(before).with_suffix(""), Path(before).parent) if before else ():
        if (folder / "log.jsonl").exists():
            return [*chain(folder), log]
    return [log]


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def summary(logs):
    """What each run cost, the first one first."""
    runs = []
    taught = [bool(log[0]["args"].get("teacher")) for log in logs[1:]] + [False]
    for log, teacher in zip(logs, taught):
        begun, last = log[0], next(e for e in reversed(log) if "tokens" in e)
        runs.append({"tokens": last["tokens"], "steps": last["step"], "hours": last["seconds"] / 3600, "gpu": "CPU" not in begun["device"], "teacher": teacher,
                     "learned": begun["args"].get("model", "story"),
                     "machine": f"{begun['world']} process{'es' if begun['world'] > 1 else ''}, {begun['device']}"})
    return runs


def record(logs, name, folder):
    """The committed log and plot: `log-{name}.jsonl` holds the runs one after the other."""
    lines = [json.dumps(entry) for log in logs for entry in log]
    (folder / f"log-{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    draw(logs, folder / f"loss-{name}.svg")


def draw(logs, picture):
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    starts = [0, *accumulate(run["tokens"] for run in summary(logs))]
    train, held = ([[(((start + e["tokens"]) / 1e6), e[key]) for e in log if e.get(key) and not e.get("final")]
                    for start, log in zip(starts, logs)] for key in ("loss", "held_out"))
    if not any(held):
        return  # runs of a few steps have no curve
    plt.rcParams["svg.hashsalt"] = "pagelm"
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4))
    for points in train:
        if points:
            left.plot(*zip(*points), color="#444")
    left.set(xlabel="million tokens", ylabel="training loss (nats per token, smoothed)")
    names = list(dict.fromkeys(name for points in held for _, bits in points for name in bits))
    for i, name in enumerate(names):
        look = {"color": "black", "linewidth": 2} if name == "all" else {"color": plt.get_cmap("tab20")(i % 20), "linewidth": 1}
        label = name
        for points in held:
            of = [(tokens, bits[name]) for tokens, bits in points if name in bits]
            if of:
                right.plot(*zip(*of), label=label, marker=".", **look)
                label = None  # one line of the legend for all runs
    right.set(xlabel="million tokens", ylabel="held-out bits per byte (24 documents a source)")
    right.legend(fontsize=7, ncols=1 + len(names) // 20, loc="upper left", bbox_to_anchor=(1.01, 1))
    for axis in (left, right):
        for start in starts[1:-1]:
            axis.axvline(start / 1e6, color="#999", linestyle=":", linewidth=1)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(picture, metadata={"Date": None})
    plt.close(figure)
