"""Native llama.cpp, the mark to reach: built from a pinned archive, and measured with its own `llama-bench`.

    python3 bench/native.py build
    python3 bench/native.py run MODEL.gguf --threads 1 --prefill 128 --prefill 512 --decode 64@128 --decode 64@1024
    python3 bench/native.py roofline --threads 1 --threads 2

`build` leaves `target/bench/llama.cpp/bin/{llama-bench,llama-quantize,llama-perplexity}` and does nothing the second
time. `run` prints a JSON list of {measure, n, depth, value, unit}, one entry a measure and call, in tokens per second.
`roofline` prints {"1": [GB/s, …], …}: what this machine reads, natively, and needs `rustc`.
"""

import argparse
import json
import os
import shutil
import subprocess
import tarfile

import environment
from environment import TARGET, digest, is_stamped, run, say, tool

# The sources: the archive of llama-cpp-python on PyPI, which carries llama.cpp whole.
PACKAGE = "llama_cpp_python"
VERSION = "0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"

DOWNLOADS = TARGET / "downloads"
BUILD = TARGET / "llama.cpp"
TOOLS = ["llama-bench", "llama-quantize", "llama-perplexity"]

# All that this processor can do is on (`GGML_NATIVE`), as are llama.cpp's defaults: OpenMP, its own matrix
# multiplication for prompts (`GGML_LLAMAFILE`), repacking of weights. Off is only what no measure touches. The last two
# keep its build from asking git, which would find this repository.
OPTIONS = [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DGGML_NATIVE=ON",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DGGML_CCACHE=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_SERVER=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_BUILD_NUMBER=0",
    f"-DLLAMA_BUILD_COMMIT={PACKAGE}-{VERSION}",
]


def archive():
    """The source archive, fetched from PyPI where it is not there yet, and checked either way."""
    path = DOWNLOADS / f"{PACKAGE}-{VERSION}.tar.gz"
    if not path.is_file():
        pip = [tool("python"), "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
        run([*pip, "--no-binary", PACKAGE, "--dest", str(DOWNLOADS), f"{PACKAGE}=={VERSION}"])
    found = digest(path)
    if found != SHA256:
        raise SystemExit(f"{path} has SHA-256 {found}, expected {SHA256}. Delete it and run this again.")
    return path


def build(jobs: int) -> None:
    """Builds llama.cpp's tools into `target/bench/llama.cpp`, unless they are there."""
    stamp, recipe = BUILD / "built.json", json.dumps([VERSION, SHA256, OPTIONS, TOOLS])
    if is_stamped(stamp, recipe):
        return say(f"{BUILD} is up to date")
    shutil.rmtree(BUILD, ignore_errors=True)
    with tarfile.open(archive()) as tar:
        tar.extractall(BUILD / "archive", filter="data")
    sources = BUILD / "archive" / f"{PACKAGE}-{VERSION}" / "vendor" / "llama.cpp"
    ninja = [f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}", "-G", "Ninja"]
    run([tool("cmake"), "-S", str(sources), "-B", str(BUILD), *ninja, *OPTIONS])
    run([tool("cmake"), "--build", str(BUILD), "-j", str(jobs), "--target", *TOOLS])
    stamp.write_text(recipe)


def program(name: str) -> str:
    """One of llama.cpp's tools, or the end of the script where it has not been built."""
    path = BUILD / "bin" / name
    if not path.is_file():
        raise SystemExit(f"{path} is missing: run `python3 bench/native.py build` first.")
    return str(path)


def llama_bench(model: str, threads: int, *arguments: str) -> list[dict]:
    """One run of `llama-bench`: a warm-up and one repetition of each test. Keys and values are f16, its default."""
    command = [program("llama-bench"), "-m", model, "-t", str(threads), "-r", "1", "-o", "json", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def bench(model: str, threads: int, prefills: list[int], decodes: list[tuple[int, int]]) -> list[dict]:
    """Measures prefill of each `n`, and decode of `n` tokens after `depth`, in tokens per second."""
    runs = []
    if prefills:
        runs += llama_bench(model, threads, "-n", "0", "-p", ",".join(map(str, prefills)))
    for n, depth in decodes:
        runs += llama_bench(model, threads, "-p", "0", "-n", str(n), "-d", str(depth))
    return [
        {
            "measure": "prefill" if test["n_prompt"] else "decode",
            "n": test["n_prompt"] or test["n_gen"],
            "depth": test["n_depth"],
            "value": test["avg_ts"],
            "unit": "tokens/s",
        }
        for test in runs
    ]


def roofline(threads: list[int]) -> None:
    """Compiles the read loop for this processor, where that is not done yet, and runs it."""
    source, path = environment.HERE / "roofline" / "native.rs", TARGET / "roofline"
    stamp, recipe = TARGET / "roofline.sha256", digest(source)
    if not is_stamped(stamp, recipe):
        run(["rustc", "--edition", "2024", "-O", "-C", "target-cpu=native", str(source), "-o", str(path)])
        stamp.write_text(recipe)
    subprocess.run([str(path), *map(str, threads)], check=True)


def tokens_at_depth(text: str) -> tuple[int, int]:
    """Reads `64@128`: 64 tokens after 128."""
    n, _, depth = text.partition("@")
    return int(n), int(depth or 0)


def main() -> None:
    environment.enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build llama.cpp's tools")
    building.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at a time")
    measuring = commands.add_parser("run", help="measure one model")
    measuring.add_argument("model")
    measuring.add_argument("--threads", type=int, default=1)
    measuring.add_argument("--prefill", type=int, action="append", default=[], metavar="N")
    measuring.add_argument("--decode", type=tokens_at_depth, action="append", default=[], metavar="N@DEPTH")
    reading = commands.add_parser("roofline", help="measure how fast memory is read")
    reading.add_argument("--threads", type=int, action="append", default=[], metavar="N")
    options = parser.parse_args()
    if options.command == "build":
        build(options.jobs)
    elif options.command == "roofline":
        roofline(options.threads or [1])
    else:
        print(json.dumps(bench(options.model, options.threads, options.prefill, options.decode), indent=1))


if __name__ == "__main__":
    main()
