"""The engine that readers will use, run as a command: `pagelm score` and `pagelm generate`.

It computes the same bits on every machine, so an answer is kept under the hash of the program, the model and the input,
and asked for once only.
"""

import hashlib
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]


@cache
def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def build():
    """The native command, compiled for this machine's processor; cargo does nothing where it is up to date."""
    target = ROOT / "target" / "native"
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "pagelm-cli", "--target-dir", target], cwd=ROOT, check=True,
                   env={**os.environ, "RUSTFLAGS": "-C target-cpu=native"})
    return target / "release" / "pagelm"


class Engine:
    def __init__(self, program, kept, threads=2):
        self.program, self.kept, self.threads = Path(program), Path(kept), threads
        self.kept.mkdir(parents=True, exist_ok=True)

    def keep(self, key, make):
        """What `make` gives, from the folder of answers where the key, made of hashes of all that matters, is there."""
        answer = self.kept / hashlib.sha256(json.dumps(key).encode()).hexdigest()
        if not answer.exists():
            partial = answer.with_suffix(f".{os.getpid()}")
            partial.write_text(json.dumps(make()), encoding="utf-8")
            partial.replace(answer)
        return json.loads(answer.read_text(encoding="utf-8"))

    def ask(self, command, model, arguments, text=""):
        def run():
            done = subprocess.run([self.program, command, "--model", model, *arguments], input=text.encode(), capture_output=True)
            if done.returncode:
                raise RuntimeError(f"pagelm {command} --model {model}: {done.stderr.decode().strip()}")
            return done.stdout.decode()

        return self.keep([sha256(self.program), sha256(model), command, arguments, text], run)

    def score(self, model, text, *arguments):
        """(ln p, tokens) of each line, or with a --separator of each document."""
        rows = (line.split("\t") for line in self.ask("score", model, list(arguments), text).splitlines())
        return [(float(ln_p), int(tokens)) for ln_p, tokens in rows]

    def score_lines(self, model, lines):
        return [ln_p for ln_p, _ in self.score(model, "".join(line + "\n" for line in lines))]

    def generate(self, model, jobs, n_predict, temperature):
        """One report (text, tokens, stop_reason, …) for each (prompt, seed)."""
        def one(job):
            prompt, seed = job
            arguments = ["--prompt", prompt, "--seed", str(seed), "--n-predict", str(n_predict),
                         "--temperature", str(temperature), "--json"]
            return json.loads(self.ask("generate", model, arguments))

        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(one, jobs))
