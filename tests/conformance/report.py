"""Writes what `run.py`, Chromium and the planted defects found between the marks in docs/conformance.md.

    python tests/conformance/report.py FOLDER

Fails where a promise of that page does not hold.
"""

import json
import sys
from pathlib import Path

from files import FLOATS

PAGE = Path(__file__).parents[2] / "docs/conformance.md"
FLOAT_LIMIT = 1e-4
# What native llama.cpp computes otherwise than transformers, so that its error says nothing about ours.
NO_WINDOW = "llama.cpp leaves this window out"
APART = {"mistral": NO_WINDOW, "phi3": NO_WINDOW, "phi3-short": "llama.cpp takes a longer context, and so the long factors"}


def number(x: float) -> str:
    mantissa, exponent = f"{x:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def row(found: dict, in_chromium: set[str]) -> tuple[str, list[str]]:
    """A line of the table, and what is wrong with it."""
    name, kind = found["case"], found["format"]
    wrong = []
    native = found["llama_nmse"]
    if kind in FLOATS:
        if found["deviation"] > FLOAT_LIMIT:
            wrong.append("the deviation is too large")
        shown = f"{number(found['deviation'])} of the largest logit"
    else:
        if native is not None and name not in APART and found["nmse"] > 1.1 * native + 1e-6:
            wrong.append("the error is larger than llama.cpp's")
        shown = f"NMSE {number(found['nmse'])}"
    theirs = "–" if native is None else f"NMSE {number(native)}"
    if name in APART:
        theirs = APART[name]
    if found["sure"] != found["same"]:
        wrong.append("a token that is decided is another")
    chromium = f"{name}-{kind}" in in_chromium
    if not chromium:
        wrong.append("Chromium computes other bits")
    top = f"{found['same']} of {found['sure']}"
    line = f"| {name} | `{found['architecture']}` | {kind} | {shown} | {theirs} | {top} | {'equal' if chromium else 'NOT EQUAL'} |"
    return line, [f"{name} in {kind}: {what}" for what in wrong]


def put(parts: dict[str, str]) -> None:
    """Writes each text between the marks of its name."""
    page = PAGE.read_text()
    for mark, text in parts.items():
        start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
        before, _, rest = page.partition(start)
        _, _, after = rest.partition(end)
        page = f"{before}{start}\n{text}\n\n{end}{after}"
    PAGE.write_text(page)


def main() -> None:
    folder = Path(sys.argv[1])
    results = json.loads((folder / "results.json").read_text())
    in_chromium = set(json.loads((folder / "chromium.json").read_text()))
    defects = [line.split("\t") for line in (folder / "defects.tsv").read_text().splitlines()]
    models = {found["case"] for found in results}
    rows = [row(found, in_chromium) for found in results]
    head = "| model | architecture | weights | error | native llama.cpp | best token | Chromium |\n|---|---|---|---|---|---|---|"
    parts = {
        "RESULTS": "\n".join([head, *(line for line, _ in rows)]),
        "DEFECTS": "\n".join(["| defect | caught by |", "|---|---|", *(f"| {what} | {n} of {len(models)} models |" for n, what in defects)]),
    }
    put(parts)
    wrong = [what for _, all_wrong in rows for what in all_wrong]
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
