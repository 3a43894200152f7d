"""Quantizes a model by `pagelm quantize` to every type, and has native llama.cpp load and compute each file: `cargo xtask
conformance` runs it.

    python tests/conformance/quantized.py FOLDER --engine PAGELM --llama NATIVE [--quantizer LLAMA-QUANTIZE]

Takes `FOLDER/llama-F32.gguf`, which `run.py` leaves there, and writes the table in docs/conformance.md. Fails where a file does
not load, where both programs' logits are further apart than what each rounds its inputs to explains, where the plain types'
bytes are not those of the gguf package, or where a searched type's error is more than 1.02 times llama.cpp's own.
"""

import argparse
import subprocess
from pathlib import Path

import numpy as np
import report
from gguf import GGMLQuantizationType, GGUFReader, quants
from run import computed, nmse

PLAIN = ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]
SEARCHED = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]
# What llama-quantize calls the mixtures of these, which --pure makes plain.
NATIVE_NAMES = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}
# Both round what they multiply the weights with to 8 bits, in blocks of other lengths.
APART = 2e-3


def tensors(path: Path, kind: str) -> dict:
    return {t.name: t for t in GGUFReader(path).tensors if t.tensor_type == GGMLQuantizationType[kind]}


def error(path: Path, kind: str, source: dict) -> tuple[float, set[str]]:
    """The root mean square error of all tensors of this type, and which they are."""
    found = tensors(path, kind)
    apart = [quants.dequantize(t.data, t.tensor_type).ravel() - source[name].data.ravel() for name, t in found.items()]
    return float(np.sqrt(np.mean(np.concatenate(apart).astype(np.float64) ** 2))), set(found)


def same_bytes(path: Path, kind: str, source: dict) -> bool:
    quantized = lambda t: quants.quantize(source[t.name].data, t.tensor_type)  # noqa: E731
    return all(np.array_equal(t.data.view(np.uint8), quantized(t).view(np.uint8)) for t in tensors(path, kind).values())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--llama", required=True)
    parser.add_argument("--quantizer", required=True)
    options = parser.parse_args()
    folder = options.folder / "quantized"
    folder.mkdir(exist_ok=True)
    original = options.folder / "llama-F32.gguf"
    source = tensors(original, "F32")
    rows, vocab = 48, source["token_embd.weight"].shape[-1]
    text = ",".join(str((7 * i * i + 3 * i + 1) % vocab) for i in range(rows))
    lines, wrong = [], []
    for kind in PLAIN + SEARCHED:
        file, theirs = folder / f"{kind}.gguf", folder / f"{kind}-llama.gguf"
        subprocess.run([options.engine, "quantize", str(original), str(file), kind], check=True, capture_output=True)
        out, shape = folder / f"{kind}.f32", (rows, vocab)
        ours = computed([options.engine, "logits", "--model", str(file), "--tokens", text, "--out", str(out)], out, shape)
        native = computed([options.llama, str(file), str(out), text], out, shape)
        apart = None if ours is None or native is None else nmse(ours, native)
        if apart is None or apart > APART:
            wrong.append(f"{kind}: llama.cpp does not compute the file as the engine does ({apart})")
        if kind in PLAIN:
            equal = same_bytes(file, kind, source)
            shown = "bytes equal to the gguf package's" if equal else "OTHER BYTES"
            wrong += [] if equal else [f"{kind}: its bytes are not the gguf package's"]
        else:
            name = NATIVE_NAMES.get(kind, kind)
            subprocess.run([options.quantizer, "--pure", str(original), str(theirs), name, "1"], check=True, capture_output=True)
            (mine, here), (reference, there) = (error(path, kind, source) for path in (file, theirs))
            assert here == there, (kind, here ^ there)
            shown = f"root mean square error {mine / reference:.3f} of llama.cpp's"
            wrong += [] if mine <= 1.02 * reference else [f"{kind}: {shown}"]
        lines.append(f"| {kind} | {shown} | {'does not load' if apart is None else f'NMSE {report.number(apart)}'} |")
        print(lines[-1], flush=True)
    head = "| type | weights | logits of native llama.cpp and of the engine, from the same file |\n|---|---|---|"
    report.put({"QUANTIZED": "\n".join([head, *lines])})
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
