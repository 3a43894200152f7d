"""What a model is worth: everything that its card says in numbers, measured and written by this one command.

Order of reading: evaluation/engine (how the engine is asked), bits, ngram, grammar_pairs, grammar, stories, bias, induction,
bars, card.
"""

import json
import time
from collections import Counter
from pathlib import Path

from . import runs
from .evaluation import bars, bias, bits, card, engine, grammar, stories

TRAIN = engine.ROOT / "train"
KINDS = ("F16", "Q8_0", "Q4_0", "MIXED")
SEEDS, SAMPLED_SEEDS = 10, 5


def run(args):
    if args.model == "tasks":
        from . import tasks
        return tasks.evaluate(args)
    started, out, small = time.monotonic(), Path(args.out), args.small
    files = {kind: path for kind in KINDS if (path := out / f"story-{kind.lower()}.gguf").exists()}
    if not files:
        raise SystemExit(f"{out} has no story-*.gguf: run `export` first")
    ask = engine.Engine(args.engine or engine.build(), out / "answers", args.threads)
    published = engine.ROOT / "www" / "models" / "story.gguf"
    shipped = next((kind for kind, path in files.items() if engine.sha256(path) == engine.sha256(published)),
                   "Q8_0" if "Q8_0" in files else next(iter(files)))
    closely = {kind: files[kind] for kind in dict.fromkeys((shipped,) if args.shipped else ("F16", shipped)) if kind in files}

    def done(what):
        print(f"{time.monotonic() - started:6.0f} s  {what}", flush=True)

    report = {"shipped": shipped, **describe(out, files, shipped, Path(args.data))}
    pairs = grammar.load(TRAIN / "grammar.jsonl", 5 if small else None)
    report["grammar"] = {kind: grammar.measure(ask, path, pairs) for kind, path in files.items()}
    done("grammar")
    report["stories"], report["samples"] = sampled(ask, closely, shipped, args.data, small)
    done("stories")
    report["bias"] = {kind: bias.measure(ask, path) for kind, path in closely.items()}
    done("bias")
    documents = bits.frozen_documents(Path(args.data) / "held-out-story.txt", 8 if small else None)
    earlier = bits.earlier_models(out)
    report["frozen"] = bits.frozen(ask, files, documents, args.data, {
        **earlier, "stories260K": args.stories260k, "a tenth of the tokens": args.tenth})
    done("bits per byte of the frozen file")
    report["induction"] = {name: heads(path) for name, path in {shipped: files[shipped], **earlier}.items() if path}
    done("induction heads")
    report["bars"] = bars.check(report)
    report["by_source"] = {}
    write(report, out, small)  # what matters most is kept, should the rest be cut off
    report["by_source"] = bits.by_source(ask, out, closely if args.shipped else files, args.data, args.threads, 3 if small else None)
    done("bits per byte by source")
    write(report, out, small)
    runs.record(runs.chain(out), "story", out if small else TRAIN)
    for b in report["bars"]:
        print(f"{ {True: 'met    ', False: 'NOT MET', None: 'unknown'}[b['met']]}  {b['bar']}: {b['measured']} ({b['required']})")


def sampled(ask, models, shipped, data, small):
    beginnings = (TRAIN / "beginnings.txt").read_text(encoding="utf-8").splitlines()[:5 if small else None]
    seeds = range(1, (2 if small else SEEDS) + 1)
    training = stories.TrainingText(stories.training_texts(data))
    measured, samples = {}, []
    for kind, path in models.items():
        told = stories.sample(ask, path, beginnings, seeds)
        measured[kind] = {"beginnings": len(beginnings), "seeds": len(seeds), **stories.measure(told, training)}
        if kind == shipped:
            samples = [s for s in told if s["seed"] == 1 or s["beginning"] == beginnings[0] and s["seed"] <= SAMPLED_SEEDS]
    return measured, samples


def heads(path):
    from .evaluation import induction
    from .export import read

    return induction.measure(read(path))


def describe(out, files, shipped, data):
    """What the files, the training log and the record of the data say of themselves."""
    import gguf

    reader = gguf.GGUFReader(files[shipped])
    fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("tokenizer.")}
    llama = {key.removeprefix("llama."): value for key, value in fields.items() if key.startswith("llama.")}
    removed = json.loads((data / "removed.json").read_text()) if (data / "removed.json").exists() else {}
    left_out = Counter()
    for reasons in removed.values():
        for reason, n in reasons.items():
            left_out[reason.partition(":")[0]] += n
    return {
        "model": {"name": fields["general.name"], "version": fields.get("general.version"), "licence": fields["general.license"],
                  "parameters": sum(int(t.n_elements) for t in reader.tensors), "layers": llama["block_count"],
                  "width": llama["embedding_length"], "heads": llama["attention.head_count"],
                  "heads_kv": llama["attention.head_count_kv"], "feed_forward": llama["feed_forward_length"],
                  "vocabulary": llama["vocab_size"], "context": llama["context_length"]},
        "files": {kind: {"bytes": path.stat().st_size, "sha256": engine.sha256(path)} for kind, path in files.items()},
        "training": runs.summary(runs.chain(out)),
        "training_documents": len(stories.training_texts(data)),
        "documents_table": (data / "table.md").read_text(encoding="utf-8").strip() if (data / "table.md").exists() else "",
        "left_out": dict(left_out),
    }


def write(report, out, small):
    """The committed report and card; of a small run, copies of both beside the weights."""
    target = out / "evaluation-story.json" if small else TRAIN / "evaluation-story.json"
    target.write_text(json.dumps(rounded(report), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = engine.ROOT / "www" / "models" / "story.md"
    if small:
        page = Path(out / "story.md")
        page.write_text((engine.ROOT / "www" / "models" / "story.md").read_text(encoding="utf-8"), encoding="utf-8")
    for block in (card.facts, card.evaluation, card.samples, card.data):
        card.fill(page, block.__name__, block(report))
    print(f"{target}, {page}")


def rounded(value):
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return round(value, 5) if isinstance(value, float) else value
