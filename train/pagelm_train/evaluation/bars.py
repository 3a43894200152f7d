"""What the story model is asked to reach, and whether it does: computed from the report, never typed."""

FOUR_BITS = ("Q4_0", "MIXED")


def bar(name, required, measured, met):
    return {"bar": name, "required": required, "measured": measured, "met": met}


def check(report):
    shipped = report["shipped"]
    models = {name: row and row["bits_per_byte"] for name, row in report["frozen"]["models"].items()}
    result = []

    def below(name, mine, than, least):
        if models.get(mine) is None or models.get(than) is None:
            return result.append(bar(name, f"at least {least:.0%}", "not at hand", None))
        gain = 1 - models[mine] / models[than]
        result.append(bar(name, f"at least {least:.0%}", f"{gain:.1%} ({models[mine]:.3f} and {models[than]:.3f})", gain >= least))

    def near_f16(name, most):
        if models.get(name) is not None and models.get("F16") is not None:
            loss = models[name] / models["F16"] - 1
            result.append(bar(f"bits per byte of {name} above F16", f"at most {most:.0%}", f"{loss:.2%}", loss <= most))

    below(f"bits per byte below the first built-in model's ({shipped})", shipped, "first built-in model", 0.15)
    near_f16("Q8_0", 0.01)
    for name in FOUR_BITS:
        near_f16(name, 0.04)

    s = report["stories"].get(shipped)
    if s:
        n = s["stories"]
        result += [
            bar("stories that end by themselves", "at least 85%", f"{s['ended'] / n:.1%} of {n}", s["ended"] >= 0.85 * n),
            bar("words, median", "at least 120", f"{s['median_words']:.0f}", s["median_words"] >= 120),
            bar("stories with a span of 12 words twice", "at most 5%", f"{s['with_repeated_span'] / n:.1%}", s["with_repeated_span"] <= 0.05 * n),
            bar("distinct-3, mean per story", "at least 0.75", f"{s['distinct_3']:.3f}", s["distinct_3"] >= 0.75),
            bar("longest span copied from the training text", "at most 30 words", f"{s['copied_span']['longest']} words",
                s["copied_span"]["longest"] <= 30)]
    g = report["grammar"][shipped]
    result.append(bar("grammar pairs right", "at least 80%", f"{g['right'] / g['pairs']:.1%} of {g['pairs']:,}", g["right"] >= 0.8 * g["pairs"]))
    return result
