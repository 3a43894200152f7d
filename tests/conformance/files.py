"""Writes a case's model as GGUF files, in any weight format, and says what floats such a file holds."""

from pathlib import Path

import numpy as np
from cases import VOCAB, Case
from gguf import GGMLQuantizationType, GGUFWriter, quants
from gguf.constants import GGML_QUANT_SIZES
from models import keys, noise

NO_WEIGHTS = {"Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64"}
FORMATS = [t.name for t in GGMLQuantizationType if t.name not in NO_WEIGHTS]
FLOATS = {"F32", "F16", "BF16"}

# Formats that gguf has no quantizer for: where their blocks hold f16, by what the first is multiplied to be those, and the
# largest value of a block whose first is 1. As in tests/common/blocks.rs.
SCALES: dict[str, tuple[list[tuple[int, float]], float]] = {
    "Q2_K": ([(80, 1.0), (82, 1.5)], 23.0),
    "Q3_K": ([(108, 1.0)], 128.0),
    "Q4_K": ([(0, 1.0), (2, 7.5)], 470.0),
    "Q5_K": ([(0, 1.0), (2, 15.5)], 970.0),
    "Q6_K": ([(208, 1.0)], 4096.0),
    "IQ2_XXS": ([(0, 1.0)], 167.0),
    "IQ2_XS": ([(0, 1.0)], 167.0),
    "IQ3_XXS": ([(0, 1.0)], 480.0),
    "IQ1_S": ([(0, 1.0)], 17.0),
    "IQ4_NL": ([(0, 1.0)], 127.0),
    "IQ3_S": ([(0, 1.0)], 465.0),
    "IQ2_S": ([(0, 1.0)], 167.0),
    "IQ4_XS": ([(0, 1.0)], 4064.0),
    "IQ1_M": ([], 17.0),
    "MXFP4": ([], 12.0),
    "NVFP4": ([], 12.0),
    "Q1_0": ([(0, 1.0)], 1.0),
    "Q2_0": ([(0, 1.0)], 2.0),
}


def random_blocks(name: str, shape: tuple[int, ...], size: float, seed: int) -> np.ndarray:
    """Blocks of random bytes whose values are around zero and about as large as `size`."""
    block_len, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    n = int(np.prod(shape)) // block_len
    blocks = np.random.default_rng(seed).integers(0, 256, (n, block_bytes), np.uint8)
    scales, largest = SCALES[name]
    d = np.float32(size / largest)
    exponent = int(np.frexp(d)[1]) - 1
    for at, factor in scales:
        blocks[:, at : at + 2] = np.frombuffer(np.float16(d * factor).tobytes(), np.uint8)
    if name == "IQ1_M":
        bits = int(np.float16(d).view(np.uint16))
        for part in range(4):
            blocks[:, 49 + 2 * part] = blocks[:, 49 + 2 * part] & 15 | (bits >> 4 * part & 15) << 4
    elif name == "MXFP4":
        blocks[:, 0] = exponent + 128
    elif name == "NVFP4":
        blocks[:, :4] = blocks[:, :4] & 7 | max(0, min(14, exponent + 8)) << 3
    return blocks.reshape(*shape[:-1], shape[-1] // block_len * block_bytes)


def floats(name: str, raw: np.ndarray) -> np.ndarray:
    """What the bytes of rows stand for."""
    kind = GGMLQuantizationType[name]
    if name in ("Q1_0", "Q2_0"):  # ggml's alone
        block_len, block_bytes = GGML_QUANT_SIZES[kind]
        blocks = raw.reshape(-1, block_bytes)
        d = blocks[:, :2].copy().view(np.float16).astype(np.float32)
        if name == "Q1_0":
            values = np.where(np.unpackbits(blocks[:, 2:], axis=1, bitorder="little") == 1, d, -d)
        else:
            q = blocks[:, 2:, None] >> np.array([0, 2, 4, 6], np.uint8) & 3
            values = (q.reshape(len(blocks), -1).astype(np.float32) - 1) * d
        return values.reshape(*raw.shape[:-1], raw.shape[-1] // block_bytes * block_len)
    return quants.dequantize(raw, kind)


def is_stored_in(name: str, x: np.ndarray) -> bool:
    """Whether a tensor is one that is quantized: no vector, no norm, and neither router nor positions, as in llama.cpp."""
    return x.ndim > 1 and not any(part in name for part in ("norm", "gate_inp", "position_embd"))


def store(rows, drawn: dict[str, np.ndarray], kind: str) -> tuple[dict, dict[str, np.ndarray]]:
    """All tensors in a format, as (bytes, format), and the floats that they stand for."""
    stored, meant = {}, {}
    for seed, (name, shape, _, size) in enumerate(rows):
        x = drawn[name]
        if kind == "F32" or not is_stored_in(name, x):
            stored[name], meant[name] = (x.astype(np.float32), None), x
            continue
        try:
            raw = quants.quantize(x.astype(np.float32), GGMLQuantizationType[kind])
        except NotImplementedError:
            raw = random_blocks(kind, tuple(shape), size, seed)
        stored[name], meant[name] = (raw, GGMLQuantizationType[kind]), floats(kind, raw).astype(np.float32)
    return stored, meant


def write(path: Path, case: Case, stored: dict) -> None:
    writer = GGUFWriter(path, case.architecture)
    for key, value in keys(case).items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        else:
            writer.add_string(key, value)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([chr(ord("!") + i) for i in range(VOCAB)])
    writer.add_token_types([1] * VOCAB)
    writer.add_token_merges(["! !"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    for name, (data, kind) in stored.items():
        writer.add_tensor(name, data, raw_dtype=kind)
    for name, values in case.tensors.items():
        writer.add_tensor(name, np.array(values, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
