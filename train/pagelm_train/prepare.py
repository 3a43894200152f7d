"""corpora → clean documents → train / held-out → token shards, with a table of what there is."""

import hashlib
import json
import re
import tarfile
from collections import Counter, defaultdict
from pathlib import Path

from . import clean
from .corpora import MORE, SOURCES, further, read_all
from .truecase import Truecaser

ARCHIVES = ("snakes", "picture-books", "children-classics")
FROZEN = Path(__file__).parent.parent / "held-out.txt"
FROZEN_SHA256 = "e2ed34426e819fd2023936065fe55aaf4ba2f15c1fe282474b0c38ae24a15e17"
MIN_WORDS, MAX_WORDS = 25, 1500
SPAN = 13  # words: a further text that shares so many in a row with held-out text is left out
BOILERPLATE = re.compile(r"^(?:here(?:'s| is)|sure|certainly|of course|okay)\b[^\n]{0,120}:\s*\n", re.I)
REFUSAL = re.compile(r"\b(?:as an ai|language model|I can(?:'t|not) (?:fulfill|create|write|help))\b", re.I)


def unpack(corpora, into):
    into.mkdir(parents=True, exist_ok=True)
    for name in ARCHIVES:
        stamp = into / f".{name}"
        if not stamp.exists():
            with tarfile.open(Path(corpora) / f"{name}.tar.xz") as archive:
                archive.extractall(into, filter="data")
            stamp.touch()


def tidy(text, title):
    """Markdown, a repeated title and a generator's small talk removed; then the normal form."""
    text = BOILERPLATE.sub("", text.strip())
    if title and text.startswith(title + "\n"):
        text = text[len(title):].lstrip()
    text = re.sub(r"^(?:\*\*[^*\n]+\*\*|#+ [^\n]*)\s*\n", "", text)
    text = re.sub(r"\*{1,3}([^*\n]+)\*{1,3}", r"\1", text)
    text = re.sub(r"^(?:---+|\* \* \*|~+)\s*$", "", text, flags=re.M)
    text = re.sub(r"\(?\b(?:Note:|I hope you)[^\n]*$", "", text.strip())
    return clean.normalise(text)


def rejection(document, rules):
    """Why a document is left out, or None."""
    if clean.is_non_commercial(document.licence):
        return "licence: NC"
    if clean.is_share_alike(document.licence) and not document.licence.startswith("CDLA"):
        return "licence: share-alike"
    if document.licence == "not stated":
        return "licence: not stated"
    words = len(document.text.split())
    if not MIN_WORDS <= words <= MAX_WORDS:
        return "length"
    if REFUSAL.search(document.text) or re.search(r"https?://|[<>{}\\|]|www\.", document.text):
        return "not a story"
    if sum(c.isascii() for c in document.text) < 0.97 * len(document.text):
        return "not English"
    if not re.search(r"[.!?]['\")]*$", document.text):
        return "no ending"
    category = clean.safety_violation(document.text, rules)
    return f"safety: {category}" if category else None


def without_duplicates(documents, removed):
    """Exact copies by fingerprint, near copies by MinHash (Jaccard ≥ 0.7 of 5-word shingles).

    Held-out documents are placed first: a training text that resembles one of them is the one to go.
    """
    from datasketch import MinHash, MinHashLSH

    index, seen = MinHashLSH(threshold=0.7, num_perm=64), set()
    for number, document in enumerate(sorted(documents, key=lambda d: not clean.is_held_out(d.text))):
        mark = clean.fingerprint(document.text)
        if mark in seen:
            removed[document.source]["duplicate: exact"] += 1
            continue
        seen.add(mark)
        words = re.findall(r"\w+", document.text.casefold())
        sketch = MinHash(num_perm=64, seed=1)
        sketch.update_batch([" ".join(words[i:i + 5]).encode() for i in range(max(1, len(words) - 4))])
        if index.query(sketch):
            removed[document.source]["duplicate: near"] += 1
            continue
        index.insert(number, sketch)
        yield document


def documents(corpora, data, removed, small=False):
    unpack(corpora, data / "corpora")
    version, rules = clean.load_safety_rules()
    everything = list(read_all(data / "corpora"))
    if small:
        everything = everything[::20]
    for document in everything:
        document.text = tidy(document.text, document.title)
    lower_cased = {id(d) for d in everything if d.note.startswith("arnoochka")}
    # Only the sources of the first split teach the capitals, so that the frozen held-out text keeps its bytes.
    teachers = {"tinystories", "child", "bedtime", "storyweaver", "african-storybook", "aesop"}
    truecase = Truecaser(d.text for d in everything if d.source in teachers and id(d) not in lower_cased)
    for document in everything:
        if id(document) in lower_cased:
            document.text = truecase(document.text)
    kept = []
    for document in everything:
        reason = rejection(document, rules)
        if reason:
            removed[document.source][reason] += 1
        else:
            kept.append(document)
    print(f"safety rules, version {version}")
    return without_duplicates(kept, removed)


def further_documents(data, held_out, removed, small=False):
    """The further sources, less what breaks a rule, what is a copy, and what shares a span of SPAN words with held-out text."""
    def spans(text):
        w = re.findall(r"\w+", text.casefold())
        return (hash(tuple(w[i:i + SPAN])) for i in range(len(w) - SPAN + 1))

    held = {span for d in held_out for span in spans(d.text)}
    _, rules = clean.load_safety_rules()
    seen = set()
    for number, document in enumerate(further(data / "corpora")):
        if small and number % 100:
            continue
        document.text = tidy(document.text, "")
        mark = clean.fingerprint(document.text)
        reason = ("length" if len(document.text.split()) < MIN_WORDS
                  else "not English" if sum(c.isascii() for c in document.text) < 0.97 * len(document.text)
                  else "a refusal" if REFUSAL.search(document.text)
                  else "duplicate: exact" if mark in seen
                  else f"safety: {category}" if (category := clean.safety_violation(document.text, rules))
                  else "resembles a held-out one" if any(span in held for span in spans(document.text)) else None)
        seen.add(mark)
        if reason:
            removed[document.source][reason] += 1
        else:
            yield document


def write(documents, path):
    with open(path, "w", encoding="utf-8") as out:
        for document in sorted(documents, key=lambda d: clean.fingerprint(d.text)[:64]):
            out.write(json.dumps(vars(document), ensure_ascii=False) + "\n")


def run(args):
    if args.model == "tasks":
        from .tasks import prepare
        return prepare(args)
    data, removed = Path(args.data), defaultdict(Counter)
    (data / "documents").mkdir(parents=True, exist_ok=True)
    splits = {"train": [], "held-out": []}
    for document in documents(args.corpora, data, removed, args.small):
        splits["held-out" if clean.is_held_out(document.text) else "train"].append(document)
    for split, kept in splits.items():
        write(kept, data / "documents" / f"{split}.jsonl")
    freeze(splits["held-out"], data / "held-out-story.txt")
    (data / "removed.json").write_text(json.dumps(removed, indent=1))
    also_removed = defaultdict(Counter)
    write(further_documents(data, splits["held-out"], also_removed, args.small), data / "documents" / "more.jsonl")
    (data / "removed-more.json").write_text(json.dumps(also_removed, indent=1))
    print("\nleft out:")
    for source, reasons in {**removed, **also_removed}.items():
        print(f"  {source}: " + ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items())))
    credits(splits["train"] + splits["held-out"], data / "story-credits.md")

    from . import tokenizer
    if not (data / "tokenizer.json").exists():
        tokenizer.train(data, args.vocab or 4096)
    tokenizer.write_shards(data)
    table(data)


def freeze(held_out, path):
    """The file that every story model is scored on: the documents that held-out.txt lists, in its order.

    Sources that came later have held-out documents too, but not here, so that figures of all models compare.
    """
    texts = {hashlib.sha256(clean.fingerprint(d.text).encode()).hexdigest()[:16]: d.text for d in held_out}
    marks = [line.split()[0] for line in FROZEN.read_text().splitlines()]
    path.write_text("<|endoftext|>".join(texts[mark] for mark in marks if mark in texts), encoding="utf-8")
    digest, missing = hashlib.sha256(path.read_bytes()).hexdigest(), sum(mark not in texts for mark in marks)
    same = "as recorded" if digest == FROZEN_SHA256 else f"NOT the recorded file, {missing} documents are missing"
    print(f"{path}: {len(marks) - missing} documents, sha256 {digest}: {same}")


def table(data):
    """Source, documents, tokens, share, licence; after the stories, the further sources."""
    counts = json.loads((data / "tokens" / "counts.json").read_text())
    lines = ["| source | documents | tokens | share | held out (documents) | licence |", "|---|---:|---:|---:|---:|---|"]
    for sources, title in ((SOURCES, "total"), (MORE, "further, in all")):
        of = {source: counts["train"][source] for source in sources}
        total = sum(count["tokens"] for count in of.values())
        held = {source: counts["held-out"].get(source, {"documents": 0})["documents"] for source in sources}
        for source, count in of.items():
            lines.append(f"| {source} | {count['documents']:,} | {count['tokens']:,} | {count['tokens'] / max(1, total):.1%} "
                         f"| {held[source]} | {sources[source][1]} |")
        lines.append(f"| **{title}** | {sum(c['documents'] for c in of.values()):,} | {total:,} | 100 % | {sum(held.values())} | |")
    (data / "table.md").write_text("\n".join(lines) + "\n")
    print("\n" + "\n".join(lines))


def credits(kept, path):
    """CC-BY asks for each story's author: title, author, translator, licence."""
    lines = ["# Picture books in the story model's training data", "",
             "Each is licensed CC-BY 4.0 (https://creativecommons.org/licenses/by/4.0/) unless marked otherwise. The text "
             "was changed in form only: page breaks, line ends and quotation marks.", ""]
    for source, place in (("storyweaver", "StoryWeaver, Pratham Books (https://storyweaver.org.in)"),
                          ("african-storybook", "African Storybook (https://africanstorybook.org)")):
        lines += [f"## {place}", ""]
        for d in sorted((d for d in kept if d.source == source), key=lambda d: d.title):
            translator = f"; translated by {d.note}" if d.note else ""
            other = "" if d.licence.strip("[]") == "CC-BY" else f" ({d.licence.strip('[]')})"
            lines.append(f"- *{d.title}*, {d.author or 'author not named'}{translator}{other}")
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")
