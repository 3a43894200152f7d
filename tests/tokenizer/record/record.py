"""Records what llama.cpp makes of texts, for the tests of the tokenizer.

    python record.py PATH/TO/llama.cpp [--splits N] [--out FOLDER]

Needs a C++ compiler, the `gguf` package, and llama.cpp's sources: the recordings are of the tree that comes with
llama-cpp-python 0.3.36. Of these only the vocabulary and what it needs is compiled.
"""

import argparse
import json
import struct
import subprocess
import tempfile
from pathlib import Path

import splits
import vocabularies

HERE = Path(__file__).parent
C_FILES = ["ggml.c", "ggml-alloc.c", "ggml-quants.c"]
CPP_FILES = ["ggml.cpp", "gguf.cpp", "ggml-threading.cpp", "ggml-backend.cpp"]
LLAMA_FILES = ["unicode", "unicode-data", "llama-model-loader", "llama-mmap", "llama-arch", "llama-impl", "llama-hparams"]


def build(llama_cpp: Path, folder: Path) -> Path:
    """Compiles `reference.cpp` with the parts of llama.cpp that a vocabulary needs; the rest is never called."""
    (folder / "ggml-version.h").write_text('#define GGML_VERSION "0"\n#define GGML_COMMIT "0"\n')
    includes = [f"-I{llama_cpp / part}" for part in ("include", "src", "ggml/include", "ggml/src")] + [f"-I{folder}"]
    sources = [llama_cpp / "ggml/src" / name for name in C_FILES + CPP_FILES]
    sources += [llama_cpp / "src" / f"{name}.cpp" for name in LLAMA_FILES] + [HERE / "reference.cpp"]
    objects = []
    for source in sources:
        objects.append(folder / f"{source.name}.o")
        compiler = ["gcc", "-D_GNU_SOURCE"] if source.suffix == ".c" else ["g++", "-std=c++17"]
        subprocess.run([*compiler, "-O1", *includes, "-c", source, "-o", objects[-1]], check=True)
    program = folder / "reference"
    link = ["-no-pie", "-lpthread", "-Wl,--unresolved-symbols=ignore-all"]
    subprocess.run(["g++", *objects, "-o", program, *link], check=True)
    return program


def asker(program: Path):
    """A function that asks the compiled program: (what, file, texts) to a list of answers, as `reference.cpp` has them."""

    def ask(what: str, path: Path, texts: list[str]) -> list:
        raw = [text.encode() for text in texts]
        stdin = b"".join(struct.pack("<I", len(text)) + text for text in raw)
        done = subprocess.run([program, what, path], input=stdin, capture_output=True)
        if done.returncode:
            raise SystemExit(f"{path}: {done.stderr.decode()[-1000:]}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    return ask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("llama_cpp", type=Path)
    parser.add_argument("--splits", type=int, default=1500, help="number of texts to split")
    parser.add_argument("--out", type=Path, default=HERE.parent.parent / "fixtures/tokenizers")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference = asker(build(args.llama_cpp, folder))
        write(args.out / "splits.json", splits.record(reference, folder, args.splits))
        write(args.out / "vocabularies.json", vocabularies.record(reference, folder))


def write(path: Path, record: dict) -> None:
    """One line for each entry of the record."""
    path.write_text(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
