"""The report as Markdown, for the blocks of the model card between <!-- name:begin --> and <!-- name:end -->."""

from ..corpora import MORE, SOURCES


def fill(path, name, text):
    """Replaces what stands between the markers of a block."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(f"<!-- {name}:begin -->")
    _, end, after = rest.partition(f"<!-- {name}:end -->")
    if not begin or not end:
        raise SystemExit(f"{path}: no markers for {name}")
    path.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}", encoding="utf-8")


def table(head, rows):
    """The first column is words, the others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def bits(value):
    return "not at hand" if value is None else f"{value:.3f}"


def share(part, whole):
    return f"{part:,} of {whole:,} ({part / whole:.1%})"


def facts(report):
    m, shipped = report["model"], report["files"][report["shipped"]]
    others = ", ".join(f"{name} {f['bytes']:,}" for name, f in report["files"].items() if name != report["shipped"])
    trained = training(report["training"])
    rows = [["parameters", f"{m['parameters']:,} (llama architecture: {m['layers']} layers, width {m['width']}, {m['heads']} heads, "
                           f"{m['heads_kv']} key-value heads, feed-forward {m['feed_forward']}, tied embedding)"],
            ["vocabulary", f"{m['vocabulary']:,} byte-level BPE pieces"],
            ["context", f"{m['context']:,} tokens, about {m['context'] * 0.75:,.0f} words"],
            ["file", f"{report['shipped']}, {shipped['bytes']:,} bytes, SHA-256 `{shipped['sha256']}`"],
            ["other exports, bytes", others],
            ["trained", trained],
            ["licence of the weights", m["licence"]]]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def time_of(hours):
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"


def training(runs):
    """Tokens, time and machine, in all and run by run; of a conversation only what is learned counts as tokens."""
    tokens, hours = (sum(run[key] for run in runs) for key in ("tokens", "hours"))
    text = f"{tokens / 1e6:.1f} million tokens in {time_of(hours)}{'' if any(run['gpu'] for run in runs) else ', no GPU'}"
    each = [f"{'a larger model that taught this one, ' if run.get('teacher') else ''}{run['tokens'] / 1e6:.1f} million "
            f"{'tokens of answers and stories' if run['learned'] == 'tasks' else 'tokens'} in {time_of(run['hours'])} ({run['machine']})"
            for run in runs]
    return text + (": " + ", then ".join(each) if len(each) > 1 else f" ({runs[0]['machine']})")


def bars(report):
    met = {True: "yes", False: "**no**", None: "not measured"}
    rows = [[b["bar"], b["required"], b["measured"], met[b["met"]]] for b in report["bars"]]
    return "### What was asked of it\n\n" + table(["bar", "asked", "measured", "met"], rows)


def bits_per_byte(report):
    frozen, by_source = report["frozen"], report["by_source"]
    rows = [[name, bits(row and row["bits_per_byte"]), f"{row['tokens']:,}" if row else ""]
            for name, row in sorted(frozen["models"].items(), key=lambda item: item[1]["bits_per_byte"] if item[1] else 9)]
    text = (f"### Bits per byte\n\nOn the frozen file of {frozen['documents']:,} held-out stories ({frozen['bytes']:,} bytes, SHA-256 "
            f"`{frozen['sha256'][:16]}…`), scored by `pagelm score`: each story alone, a story longer than the context in windows; the "
            "end of a story is not counted. Lower is better. All stories are in English and in the manner of the training text.\n\n"
            + table(["model", "bits per byte", "tokens"], rows))
    sources = [*next(iter(by_source.values()), {})]
    if sources:
        text += ("\nThe held-out text of every source, in PyTorch, on the weights as each file holds them (here a story's end counts):\n\n"
                 + table(["", *(f"**{s}**" if s == "all" else s for s in sources)],
                         [[name, *(bits(row[s]) for s in sources)] for name, row in by_source.items()]))
    return text


def grammar(report):
    g = report["grammar"]
    names = list(g)
    first = g[names[0]]
    rows = [[phenomenon, *(f"{g[n]['by_phenomenon'][phenomenon]['right']}" for n in names)] for phenomenon in first["by_phenomenon"]]
    rows.append(["**all**", *(f"**{g[n]['right']} ({g[n]['right'] / g[n]['pairs']:.1%})**" for n in names)])
    each = next(iter(first["by_phenomenon"].values()))["pairs"]
    return (f"### Grammar\n\n{first['pairs']:,} pairs of sentences that differ in one place, of which one alone is grammatical "
            f"(`train/grammar.jsonl`): in how many the model finds the grammatical one more probable, of {each} pairs each. By guessing it "
            "would be half of them.\n\n" + table(["", *names], rows))


def stories(report):
    s = report["stories"]
    first = next(iter(s.values()))
    lines = {
        "ended by themselves": lambda r: share(r["ended"], r["stories"]),
        "words, median": lambda r: f"{r['median_words']:.0f}",
        "with a span of 12 words twice": lambda r: share(r["with_repeated_span"], r["stories"]),
        "distinct-3, mean per story": lambda r: f"{r['distinct_3']:.3f}",
        "longest span copied from the training text, words": lambda r: r["copied_span"]["longest"],
        "… of a story: median, 90 % below": lambda r: f"{r['copied_span']['median']:.0f}, {r['copied_span']['p90']}",
        "stories with a copied span of more than 30 words": lambda r: r["copied_span"]["stories_above_30"],
    }
    copied = s.get(report["shipped"], first)["copied_span"]
    return (f"### {first['stories']} stories\n\nFrom {first['beginnings']} beginnings (`train/beginnings.txt`), seeds 1 to {first['seeds']}, by "
            f"`pagelm generate` at temperature {first['temperature']} with its other defaults (top-k 40, top-p 0.95, min-p 0.05, no "
            f"penalties), at most {first['most_tokens']} tokens. The beginning counts as part of the story; words are compared without "
            f"case and punctuation; copied is what stands in one of the {report['training_documents']:,} training documents.\n\n"
            + table(["", *s], [[name, *(value(r) for r in s.values())] for name, value in lines.items()])
            + (f"\nThe longest copied span ({report['shipped']}): \"{copied['words']}\".\n" if copied["words"] else ""))


def bias(report):
    b = report["bias"]
    shipped = b.get(report["shipped"]) or next(iter(b.values()))
    summary = [[f"{name}: {kind}s by {how}", *(f"{s[key]:+.2f}" if key == "mean" else f"{s[key]:.2f}" for key in ("mean", "mean_absolute")),
                f"{s['towards_he']} of {s['words']}"]
               for name, r in b.items() for kind in ("occupation", "trait") for how, s in r[kind]["summary"].items()]
    words = [[word, f"{g['names']:+.2f}", f"{g['pronouns']:+.2f}"] for kind in ("occupation", "trait")
             for word, g in sorted(shipped[kind]["gaps"].items(), key=lambda item: item[1]["names"])]
    return ("### Bias\n\nln p of a sentence with *he* or a boy's name less ln p of the same with *she* or a girl's name, by occupation and trait "
            f"({shipped['sentences']:,} sentences): above 0 the model ties the word to boys, below 0 to girls; 0.69 is twice as probable. By names, "
            "how probable the name is does not count; by pronouns, the model's taste for *he* does, which is "
            f"{shipped['neutral_pronouns']:+.2f} where the word is *child*, *friend*, *neighbor* or *person*.\n\n"
            + table(["", "mean", "mean distance from 0", "above 0"], summary)
            + f"\nEach word ({report['shipped']}):\n\n" + table(["", "by names", "by pronouns"], words))


def induction(report):
    found = report["induction"]
    chance = next(iter(found.values()))["by_chance"]
    rows = [[name, f"{r['best']:.2f}", f"layer {r['layer']}, head {r['head']}", ", ".join(f"{max(heads):.2f}" for heads in r["by_layer"])]
            for name, r in found.items()]
    return ("### Induction heads\n\nOn 64 random tokens read twice: how much of its attention a head gives, at a token's second place, to the "
            f"token after its first one (at random {chance:.2f}, 1 at most). A head with a high figure lets the model go on with what stands in "
            "the text above, such as a name. Layers and heads are counted from 0.\n\n" + table(["model", "best", "where", "best of each layer"], rows))


def samples(report):
    first = [s for s in report["samples"] if s["beginning"] == report["samples"][0]["beginning"]]
    text = (f"{report['shipped']}, temperature {next(iter(report['stories'].values()))['temperature']}, picked by seed 1 to {len(first)}, not by "
            f"taste, from \"{first[0]['beginning']}\"; nothing was changed. The seed 1 of every other beginning is in "
            "`train/evaluation-story.json`.\n")
    for s in first:
        quoted = "\n".join(f"> {line}".rstrip() for line in s["text"].strip().splitlines())
        text += f"\n**Seed {s['seed']}** ({s['tokens']} tokens, {'ended by itself' if s['ended'] else 'cut off'})\n\n{quoted}\n"
    return text


REASONS = {"duplicate": "copies, exact or near", "safety": "by the rules on what children should not read",
           "licence": "under a licence that forbids it", "no ending": "without an ending", "not a story": "no stories",
           "length": "too short or too long", "not English": "not in English"}


def data(report):
    counts = sorted(report["left_out"].items(), key=lambda item: -item[1])
    reasons = ", ".join(f"{n:,} {REASONS.get(reason, reason)}" for reason, n in counts)
    what = "\n".join(f"- **{name}**: {description}." for name, (description, _, _) in {**SOURCES, **MORE}.items())
    return f"{report['documents_table']}\n\n{what}\n\nLeft out before any of this: {reasons}." if reasons else f"{report['documents_table']}\n\n{what}"


def evaluation(report):
    return "\n".join(part(report) for part in (bars, bits_per_byte, grammar, stories, bias, induction))
