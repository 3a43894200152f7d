"""The loss curve as a picture, from the log."""

import json


def draw(log, picture):
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    entries = [json.loads(line) for line in open(log, encoding="utf-8")]
    train = [(e["tokens"] / 1e6, e["loss"]) for e in entries if "loss" in e]
    held = [(e["tokens"] / 1e6, e["held_out"]) for e in entries if e.get("held_out") and not e.get("final")]
    if not train or not held:
        return  # a run of a few steps has no curve
    plt.rcParams["svg.hashsalt"] = "pagelm"
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    left.plot(*zip(*train), color="#444")
    left.set(xlabel="million tokens", ylabel="training loss (nats per token, smoothed)")
    for source in held[0][1]:
        bold = source == "all"
        right.plot([t for t, _ in held], [h[source] for _, h in held], label=source, marker=".",
                   color="black" if bold else None, linewidth=2 if bold else 1)
    right.set(xlabel="million tokens", ylabel="held-out bits per byte (24 documents a source)")
    right.legend(fontsize=8)
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(picture, metadata={"Date": None})
