"""Held-out prompts through the engine that readers use, for every quantization: what comes back, and is it right?"""

import json
import random
import re
from collections import Counter
from pathlib import Path

from .. import runs
from ..evaluation import card
from ..evaluation.engine import ROOT, Engine, build
from . import scores
from .chat import read_conversations, render

# task → (how many prompts, the most tokens of an answer, {name of the figure: what is counted})
TASKS = {
    "json": (100, 200, {"parses": scores.parses, "exact": scores.same_json}),
    "table": (100, 300, {"exact": scores.exact}),
    "python-write": (100, 160, {"compiles, not trivial": scores.compiles, "passes its tests": scores.passes_tests}),
    "python-mend": (50, 160, {"compiles, not trivial": scores.compiles, "passes its tests": scores.passes_tests}),
    "python-explain": (50, 60, {"exact": scores.exact}),
    "sql-write": (60, 80, {"exact": scores.exact, "same result in SQLite": scores.same_outcome}),
    "sql-explain": (40, 60, {"exact": scores.exact}),
    "mark": (100, 50, {"right or wrong": scores.verdict, "exact": scores.exact}),
    "question": (100, 50, {"exact": scores.exact, "says \"I don't know\"": scores.says_unknown}),
    "unknown": (60, 50, {"says \"I don't know\"": scores.says_unknown}),
    "help-desk": (50, 60, {"exact": scores.exact}),
    "summary": (50, 80, {"exact": scores.exact}),
    "translate": (160, 40, {"exact": scores.exact}),
    "news": (20, 120, {}),
    "chat": (20, 60, {}),
    "story": (10, 400, {}),
}
TEXT = ("translate", "summary", "story", "chat", "news")  # where no single answer is right, or chrF says more
SEEDS, TEMPERATURE = range(1, 6), 0.8
CARD = ROOT / "www" / "models" / "tasks.md"
REPORT = ROOT / "train" / "evaluation-tasks.json"


def cases_of(data, small):
    """The same prompts every time; of translations as many for each direction."""
    chosen, held = {}, read_conversations(data, "held-out")
    for task, (count, _, _) in TASKS.items():
        count = max(4, count // 20) if small else count
        groups = {}
        for case in held:
            if case["task"] == task and len(case["messages"][0]["content"].encode()) < 1100:
                groups.setdefault(case.get("check", {}).get("direction", ""), []).append(case)
        for name in sorted(groups):
            by_prompt = {c["messages"][0]["content"]: c for c in groups[name]}
            cases = [by_prompt[prompt] for prompt in sorted(by_prompt)]
            chosen.setdefault(task, []).extend(random.Random(1).sample(cases, min(len(cases), count // len(groups))))
    return chosen


def ask(engine, model, jobs):
    """One report for each (prompt, most tokens, temperature, seed), by the chat template."""
    def one(job):
        prompt, most, temperature, seed = job
        text = render([{"role": "user", "content": prompt}], add_generation_prompt=True, bos="")
        return json.loads(engine.ask("generate", model, ["--prompt", text, "--parse-special", "--json", "--n-predict", str(most),
                                                         "--temperature", str(temperature), "--seed", str(seed)]))
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(engine.threads) as pool:
        return list(pool.map(one, jobs))


def share(hits):
    hits = list(hits)
    return {"right": sum(hits), "n": len(hits)}


def measure(engine, model, chosen, frequent):
    """{task: {figure: {right, n} or {chrF …, n}}}"""
    result = {}
    for task, cases in chosen.items():
        _, most, figures = TASKS[task]
        reports = ask(engine, model, [(c["messages"][0]["content"], most, 0, 1) for c in cases])
        pairs = [(c, r["text"]) for c, r in zip(cases, reports)]
        result[task] = {"ends by itself": share(r["stop_reason"] == "eos" for r in reports)}
        sources = sorted({c["source"] for c in cases})
        for name, figure in figures.items():
            applicable = [(c, a) for c, a in pairs if figure is not scores.same_outcome or "table" in c.get("check", {})]
            result[task][name] = share(figure(c, a) for c, a in applicable)
            if len(sources) > 1 and task not in TEXT:
                for source in sources:
                    result[task][f"{name} ({source})"] = share(figure(c, a) for c, a in applicable if c["source"] == source)
        if task == "translate":
            result[task].update(translations(pairs, frequent))
        if task == "summary":
            references = [[scores.wanted(c)] for c, _ in pairs]
            first = [re.split(r"(?<=[.!?]) ", c["messages"][0]["content"].partition("\n")[2])[0] for c, _ in pairs]
            result[task]["chrF"] = {"model": scores.chrf([a for _, a in pairs], references), "first sentence": scores.chrf(first, references), "n": len(pairs)}
        print(f"  {task}: " + ", ".join(f"{k} {show(v)}" for k, v in result[task].items()), flush=True)
    return result


def translations(pairs, frequent):
    figures = {}
    for direction in sorted({c["check"]["direction"] for c, _ in pairs}):
        of = [(c, a) for c, a in pairs if c["check"]["direction"] == direction]
        references = [c["check"]["references"] for c, _ in of]
        figures[f"chrF {direction}"] = {
            "model": scores.chrf([a for _, a in of], references), "copying the source": scores.chrf([c["check"]["text"] for c, _ in of], references),
            "most frequent answer": scores.chrf([frequent[direction]] * len(of), references), "n": len(of)}
    return figures


def most_frequent(data):
    """The commonest answer of each direction of translation in the training text."""
    counts = {}
    for c in read_conversations(data, "train"):
        if c["task"] == "translate":
            counts.setdefault(c["check"]["direction"], Counter())[c["messages"][1]["content"]] += 1
    return {direction: min(counter, key=lambda a: (-counter[a], a)) for direction, counter in counts.items()}


def show(figure):
    if "right" in figure:
        return f"{figure['right'] / figure['n']:.0%} of {figure['n']}" if figure["n"] else "–"
    return ", ".join(f"{name} {value:.1f}" for name, value in figure.items() if name != "n") + f" (n = {figure['n']})"


def figures_table(models):
    names = list(models)
    lines = ["| task | figure | " + " | ".join(names) + " |", "|---|---|" + "---:|" * len(names)]
    for task, figures in models[names[0]].items():
        for figure in figures:
            lines.append(f"| {task} | {figure} | " + " | ".join(show(models[name][task][figure]) for name in names) + " |")
    return "\n".join(lines)


def fill(example):
    return re.sub(r"{(\w+)}", lambda m: example["example"][m[1]], example["prompt"])


def sample(engine, model, small):
    """For the page's own example of each task: the most probable answer, and those of seeds 1 to 5 as they come."""
    examples = json.loads((CARD.parent / "tasks.json").read_text(encoding="utf-8"))
    examples = examples[:2] if small else examples
    seeds = (0, *SEEDS[:1]) if small else (0, *SEEDS)  # 0: not a seed, but temperature 0
    jobs = [(fill(e), TASKS[e["trained"]][1], TEMPERATURE if seed else 0, seed) for e in examples for seed in seeds]
    reports = iter(ask(engine, model, jobs))
    return [{"label": e["label"], "prompt": fill(e), "answers": [
        {"seed": seed, "tokens": len(r["tokens"]), "ended": r["stop_reason"] == "eos", "text": r["text"]} for seed, r in zip(seeds, reports)]} for e in examples]


def samples_text(samples):
    def fenced(text):
        return "```text\n" + text.replace("```", "'''") + "\n```"

    blocks = []
    for s in samples:
        lines = [f"### {s['label']}", fenced(s["prompt"])]
        lines += [f"{'Seed ' + str(a['seed']) if a['seed'] else 'Temperature 0'}{'' if a['ended'] else ' (cut off)'}:\n\n" + fenced(a["text"]) for a in s["answers"]]
        blocks.append("\n\n".join(lines))
    return "\n\n".join(blocks)


def facts_of(path):
    """What the file says of its own training."""
    from gguf import GGUFReader
    reader = GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items() if name.startswith(("pagelm.", "general."))}
    fields["parameters"] = int(sum(t.n_elements for t in reader.tensors))
    return fields


def facts_text(facts, logs):
    return f"{facts['parameters'] / 1e6:.1f} million parameters; trained on " + card.training(runs.summary(logs)) + (
        ". It began with the weights of the run before." if len(logs) > 1 else ".")


BARS = (("json", "parses", 0.90), ("json", "exact", 0.50), ("table", "exact", 0.60), ("python-write", "compiles, not trivial", 0.80))
REPORTED = (("python-write", "passes its tests"), ("python-mend", "passes its tests"), ("sql-write", "same result in SQLite"),
            ("question", "exact"), ("unknown", "says \"I don't know\""))


def bars(figures):
    """What was asked of the shipped file, and whether it holds; of a small run some tasks have no held-out prompt."""
    checked = []
    for task, name, bar in BARS:
        figure = figures.get(task, {}).get(name)
        checked.append({"bar": f"{task}: {name}", "required": f"at least {bar:.0%}", "measured": show(figure) if figure else "no prompt",
                        "met": figure and figure["right"] >= bar * figure["n"]})
    for name, chrf in figures.get("translate", {}).items():
        if name.startswith("chrF"):
            model, *others = [value for key, value in chrf.items() if key != "n"]
            checked.append({"bar": f"translate: {name}", "required": "above copying the source and the most frequent answer",
                            "measured": show(chrf), "met": model > max(others)})
    return checked


def scaling_table(runs_of):
    """One column a training run, of growing budget: does more training still help?"""
    ordered = sorted(runs_of, key=lambda run: run["tokens"])
    wanted = [(task, name) for task, name, _ in BARS] + list(REPORTED)
    rows = [[f"{task}: {name}", *(show(run["figures"][task][name]).partition(" of ")[0] for run in ordered)]
            for task, name in wanted if name in ordered[0]["figures"].get(task, {})]
    rows += [[f"translate: {name}", *(f"{run['figures']['translate'][name]['model']:.1f}" for run in ordered)]
             for name in ordered[0]["figures"].get("translate", {}) if name.startswith("chrF")]
    return card.table(["", *(f"{run['tokens'] / 1e6:.1f} million tokens" for run in ordered)], rows)


def evaluate(args):
    out, small, data = Path(args.out), args.small, Path(args.data)
    models = {path.stem.partition("-")[2].upper(): path for path in sorted(out.glob("tasks-*.gguf"))}
    if not models:
        raise SystemExit(f"{out} has no tasks-*.gguf: run `export --model tasks` first")
    order = sorted(models, key=lambda name: (name != "F16", -models[name].stat().st_size))
    engine = Engine(args.engine or build(), out / "answers", threads=args.threads)
    chosen, frequent = cases_of(data, small), most_frequent(data)
    report = {"decoding": "temperature 0", "prompts": {task: len(cases) for task, cases in chosen.items()}, "most frequent answers": frequent, "models": {}}
    for name in order[:1] if small else order:
        print(name, flush=True)
        report["models"][name] = measure(engine, models[name], chosen, frequent)
    sampled = "Q8_0" if "Q8_0" in order else order[0]
    facts, logs = facts_of(models[sampled]), runs.chain(out)
    report["facts"] = {k: v for k, v in facts.items() if isinstance(v, (int, float, str))}
    report["training"] = runs.summary(logs)
    report["bars"] = bars(report["models"].get(sampled) or next(iter(report["models"].values())))
    report["scaling"] = []
    for folder in map(Path, args.scaling):
        print(folder, flush=True)
        if folder.suffix == ".json":  # what an earlier model was found to do: its answers would be the same again
            earlier = json.loads(folder.read_text(encoding="utf-8"))
            report["scaling"].append({"tokens": earlier["training"][-1]["tokens"], "figures": earlier["models"][sampled]})
            continue
        shorter = Engine(engine.program, folder / "answers", threads=args.threads)
        report["scaling"].append({"tokens": runs.summary(runs.chain(folder))[-1]["tokens"], "figures": measure(
            shorter, folder / models[sampled].name, chosen, frequent)})
    report["samples"] = {"model": sampled, "temperature": TEMPERATURE, "examples": sample(engine, models[sampled], small)}
    target = out / "evaluation-tasks.json" if small else REPORT
    target.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    runs.record(logs[-1:], "tasks", out if small else REPORT.parent)
    page = CARD
    if small:
        page = out / CARD.name
        page.write_text(CARD.read_text(encoding="utf-8"), encoding="utf-8")
    scaling = [*report["scaling"], {"tokens": report["training"][-1]["tokens"], "figures": next(iter(report["models"].values())) if small else report["models"][sampled]}]
    blocks = {"facts": facts_text(facts, logs), "bars": card.bars(report), "evaluation": figures_table(report["models"]),
              "scaling": scaling_table(scaling), "samples": samples_text(report["samples"]["examples"]),
              "data": (data / "tasks" / "table.md").read_text(encoding="utf-8")}
    for name, text in blocks.items():
        card.fill(page, name, text)
    print(f"{target}, {page}")
