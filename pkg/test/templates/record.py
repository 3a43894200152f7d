"""What Python's jinja2 makes of chat templates, with the settings of transformers' `apply_chat_template`.

    python3 -m venv venv && venv/bin/pip install jinja2==3.1.6
    venv/bin/python record.py [FOLDER OF *.jinja]

writes recorded.json: for every template and every conversation of cases.json what comes out. For our own templates
(own.json and the fallbacks of ../../dist/fallbacks.js) that is the whole text, for those in the folder, which are other
people's, its SHA-256. `null` stands for a template that raises; where it does so by `raise_exception`, its words are kept
in the same way.
"""

import hashlib
import json
import subprocess
import sys
from datetime import datetime
from functools import cache
from pathlib import Path

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = Path(__file__).parent
# What `strftime_now` says, here and in the test: 12 minutes past 9 on a Thursday.
NOW = datetime(2026, 11, 26, 9, 12, 5)


class Generation(Extension):
    """{% generation %} marks what training learns; a rendering only shows it."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_shown"), [], [], body).set_lineno(line)

    def _shown(self, caller):
        return caller()


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


@cache
def compiled(template):
    return environment().from_string(template)


def render(template, case):
    """What comes out, and what was raised."""
    variables = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    variables |= {"messages": case["messages"], "tools": case.get("tools"), "documents": case.get("documents")}
    variables |= {"add_generation_prompt": case.get("add_generation_prompt", True), **case.get("more", {})}
    try:
        return compiled(template).render(**variables), None
    except jinja2.exceptions.TemplateError as error:
        return None, str(error) if type(error) is jinja2.exceptions.TemplateError else None
    except Exception:  # whatever Python raises within a template is one thing to its user: it did not render
        return None, None


def digest(text):
    return text and hashlib.sha256(text.encode()).hexdigest()[:32]


def record(templates, cases, keep):
    return {
        name: {case: [keep(part) for part in render(template, value)] for case, value in cases.items()}
        for name, template in templates.items()
    }


def main():
    cases = json.loads((HERE / "cases.json").read_text(encoding="utf-8"))
    show = "import('./dist/fallbacks.js').then(({ fallbacks }) => console.log(JSON.stringify(fallbacks)))"
    shown = subprocess.run(["node", "-e", show], cwd=HERE.parent.parent, capture_output=True, check=True, text=True)
    own = json.loads((HERE / "own.json").read_text(encoding="utf-8"))
    own |= {f"fallback {name}": form["template"] for name, form in json.loads(shown.stdout).items()}
    recorded = {"texts": record(own, cases, lambda text: text)}
    before = HERE / "recorded.json"
    if len(sys.argv) > 1:
        files = sorted(Path(sys.argv[1]).glob("*.jinja"))
        templates = {file.stem: file.read_text(encoding="utf-8") for file in files}
        recorded["sha256"] = record(templates, cases, digest)
    elif before.exists():
        recorded["sha256"] = json.loads(before.read_text(encoding="utf-8"))["sha256"]
    lines = json.dumps(recorded, ensure_ascii=False, indent=0, sort_keys=True)
    before.write_text(lines + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
