"""corpora and templates → conversations → train / held-out, with a table of what there is."""

import json
import random
from collections import Counter, defaultdict
from pathlib import Path

from .. import clean
from ..prepare import tidy as tidy_text
from . import dialogue, news, pupil, python, questions, sql, stories, tables, translation
from .chat import CONTEXT
from .sources import LEFT_OUT, SOURCES, unpack

# How many conversations the templates make for each task (before copies are taken out), and the most that is kept.
COUNTS = {"table": 15000, "json": 15000, "python": 13000, "sql": 8000, "mark": 9000, "question": 6000, "unknown": 2500, "summary": 2500, "news": 2500,
          "small-talk": 3500, "self-dialogue": 5000, "help-desk": 5500, "taskmaster": 1500}
MAY_REPEAT = ("chat", "story", "mark")  # one question may have several answers; and half of a pupil's answers stay right ones
MOST = {"story": 3000, "translate": 52000}


def everything(root, data, n, draw):
    yield from tables.tables(root, draw("table"), n["table"])
    yield from tables.extractions(root, draw("json"), n["json"])
    yield from python.python(root, draw("python"), n["python"])
    yield from sql.sql(root, draw("sql"), n["sql"])
    yield from pupil.mark(root, draw("mark"), n["mark"])
    yield from questions.questions(root, draw("question"), n["question"])
    yield from stories.fairytale_questions(root, draw("fairytaleqa"), tidy_text)
    yield from questions.unknown(draw("unknown"), n["unknown"])
    yield from stories.corpus_summaries(root, draw("summary"), tidy_text)
    yield from stories.template_summaries(draw("summary 2"), n["summary"])
    yield from stories.stories(data, draw("story"))
    yield from news.news(draw("news"), n["news"])
    yield from translation.translations(root, draw("translate"))
    yield from dialogue.small_talk(draw("small-talk"), n["small-talk"])
    yield from dialogue.self_dialogue(root, draw("self-dialogue"), n["self-dialogue"])
    yield from dialogue.chatterbot(root)
    yield from dialogue.kdconv(root, draw("kdconv"))
    yield from dialogue.help_desk(draw("help-desk"), n["help-desk"])
    yield from dialogue.taskmaster(root, draw("taskmaster"), n["taskmaster"])


def is_too_long(conversation):
    """A first, generous cut by bytes; the exact one, by tokens, is made when the shards are written."""
    return sum(len(m.encode()) for m in conversation.messages) > 5 * CONTEXT


def prepare(args):
    data, small = Path(args.data), getattr(args, "small", False)
    root = data / "corpora"
    unpack(args.corpora, root)
    counts = {name: n // 50 if small else n for name, n in COUNTS.items()}
    version, rules = clean.load_safety_rules()
    removed, kept, seen = defaultdict(Counter), {"train": [], "held-out": []}, set()
    for c in everything(root, data, counts, lambda name: random.Random(f"pagelm tasks v1 {name}")):
        text = "\n".join(c.messages)
        mark = clean.fingerprint(c.messages[0]) if c.task not in ("mark", "translate", "python-explain", "python-mend") else c.messages[0]
        broken = clean.safety_violation(text, rules)
        if broken:
            removed[c.source][f"safety: {broken}"] += 1
        elif (c.task, mark) in seen and c.task not in MAY_REPEAT:
            removed[c.source]["copy of a prompt"] += 1
        elif is_too_long(c):
            removed[c.source]["too long"] += 1
        else:
            seen.add((c.task, mark))
            kept["held-out" if clean.is_held_out(c.key) else "train"].append(c)
    drop_resembling(kept, removed)
    for task, most in MOST.items():
        for split, share in (("train", 1), ("held-out", 0.04)):
            of_task = [c for c in kept[split] if c.task == task]
            keep = set(map(id, random.Random(task).sample(of_task, min(len(of_task), int((most // 50 if small else most) * share)))))
            kept[split] = [c for c in kept[split] if c.task != task or id(c) in keep]
    (data / "tasks").mkdir(parents=True, exist_ok=True)
    for split, conversations in kept.items():
        random.Random(split).shuffle(conversations)
        with open(data / "tasks" / f"{split}.jsonl", "w", encoding="utf-8") as out:
            for c in conversations:
                out.write(json.dumps(c.record(), ensure_ascii=False) + "\n")
    print(f"safety rules, version {version}\nnot used:")
    for name, reason in LEFT_OUT.items():
        print(f"  {name}: {reason}")
    print("left out:")
    for source, reasons in removed.items():
        print(f"  {source}: " + ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items())))
    (data / "tasks" / "removed.json").write_text(json.dumps(removed, indent=1))
    table(data, kept)


def drop_resembling(kept, removed):
    """A sentence of a held-out translation, in either language, is in no other pair that is trained on."""
    def sentences(c):
        return {clean.fingerprint(text) for text in (c.check["text"], c.messages[1])}

    held = set().union(*(sentences(c) for c in kept["held-out"] if c.task == "translate"))
    for c in kept["train"]:
        if c.task == "translate" and sentences(c) & held:
            removed[c.source]["resembles a held-out one"] += 1
    kept["train"] = [c for c in kept["train"] if c.task != "translate" or not sentences(c) & held]


def table(data, kept):
    """Source, task, conversations, tokens, licence. Tokens are counted where a tokenizer exists."""
    count = token_counter(data)
    rows = defaultdict(lambda: [0, 0, 0])
    for split, conversations in kept.items():
        for c in conversations:
            row = rows[c.task, c.source]
            row[split == "held-out"] += 1
            row[2] += sum(map(count, c.messages)) if split == "train" else 0
    lines = ["| task | source | conversations | tokens | held out | licence |", "|---|---|---:|---:|---:|---|"]
    for (task, source), (train, held, tokens) in sorted(rows.items()):
        lines.append(f"| {task} | {source} | {train:,} | {tokens:,} | {held:,} | {SOURCES[source][1]} |")
    total = [sum(row[i] for row in rows.values()) for i in range(3)]
    lines.append(f"| **total** | | {total[0]:,} | {total[2]:,} | {total[1]:,} | |")
    (data / "tasks" / "table.md").write_text("\n".join(lines) + "\n")
    print("\n" + "\n".join(lines))


def token_counter(data):
    path = next((p for p in (data / "tasks" / "tokenizer.json", data / "tokenizer.json") if p.exists()), None)
    if path is None:
        return lambda text: len(text.encode()) // 4
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(path))
    return lambda text: len(tokenizer.encode(text).ids)
