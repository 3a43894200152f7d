"""Where bench/ keeps what it makes, and the Python environment that it runs in.

Everything lies in `target/bench`, so that `cargo clean` takes it all away. A script calls `enter()` first: it makes the
virtual environment where that is missing or where `requirements.txt` has changed, and starts the script again inside
it. So `python3 bench/models.py` works on a fresh clone without a step before it.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "target" / "bench"
VENV = TARGET / "venv"
REQUIREMENTS = HERE / "requirements.txt"


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_stamped(stamp: Path, recipe: str) -> bool:
    """Whether what `stamp` stands beside was made by this very recipe."""
    return stamp.is_file() and stamp.read_text() == recipe


def tool(name: str) -> str:
    """A command that a package of the environment brings, such as `cmake`."""
    return str(VENV / "bin" / name)


def say(message: str) -> None:
    """Progress goes to standard error: standard output is for results."""
    print(message, file=sys.stderr, flush=True)


def run(command: list[str], **options) -> None:
    """Runs a command, after printing it, with its output on standard error."""
    say("$ " + " ".join(command))
    subprocess.run(command, check=True, stdout=sys.stderr, **options)


def enter() -> None:
    """Goes on inside the virtual environment, made first where it is missing or old."""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    stamp, recipe = VENV / "requirements.sha256", digest(REQUIREMENTS)
    if not is_stamped(stamp, recipe):
        run([sys.executable, "-m", "venv", str(VENV)])
        run([tool("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)])
        stamp.write_text(recipe)
    os.execv(tool("python"), [tool("python"), *sys.argv])
