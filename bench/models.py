"""Makes the synthetic models that bench/ measures: three shapes, each in Q8_0, Q4_0 and Q4_K_M.

    python3 bench/models.py [FOLDER] [--only 135M-Q4_0 …]

Weights are random, from a fixed seed. A matrix keeps the size of what it multiplies, and logits deviate by about 1:
with larger embeddings, which are the output as well, each token would only repeat itself. Ends of text are never the
likeliest. A shape is written as F16 and then quantized by llama.cpp's own `llama-quantize` (run `native.py build`
first), so that every tensor has the format that a real file of that name has: outputs that are kept at more bits, and
other formats where rows are not multiples of 256.

One more, 135M-loop-Q4_0, is 135M-Q4_0 with the norms before its blocks nearly zero: the blocks cost what they cost, but
add nothing, so the likeliest token is the last one again. It is for guessing at a text that repeats itself.

`FOLDER/models.json` says what there is: {ID: {file, file_bytes, bytes_per_token, sha256, …}}, where `bytes_per_token`
is what a decoded token must read of the weights, and `words` are texts of one token each. What is there and was made
by the same recipe is left alone.
"""

import argparse
import ast
import hashlib
import json
import shutil
import subprocess
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import environment

QUANTS = ["Q8_0", "Q4_0", "Q4_K_M"]
SEED = 1
N_CTX = 2048
LOOP, LOOP_OF = "135M-loop-Q4_0", "135M-Q4_0"
LOOP_NORM = 2.0**-20


@dataclass(frozen=True)
class Shape:
    """A model's shape, in the letters of the file's metadata. All have their output tied to the embedding."""

    architecture: str
    n_embd: int
    n_ff: int
    n_layer: int
    n_head: int
    n_head_kv: int
    n_vocab: int
    rms_eps: float
    freq_base: float


SHAPES = {
    "15M": Shape("llama", 288, 768, 6, 6, 6, 32000, 1e-5, 1e4),
    "135M": Shape("llama", 576, 1536, 30, 9, 3, 49152, 1e-5, 1e4),
    "0.5B": Shape("qwen2", 896, 4864, 24, 14, 2, 151936, 1e-6, 1e6),
}


def vocabulary_of(name: str):
    """Each shape's vocabulary is of the kind, and of the size, that the models of that shape have."""
    import vocabulary

    n_vocab = SHAPES[name].n_vocab
    if name == "15M":
        return vocabulary.spm(n_vocab)
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    if name == "135M":
        return vocabulary.bpe("smollm", n_vocab, marks, special_first=True)
    return vocabulary.bpe("qwen2", n_vocab, marks, special_first=False, n_unused=290)


def tensors_of(shape: Shape) -> list[tuple[str, tuple[int, ...], float, float]]:
    """Every tensor: name, dimensions (rows first), mean and deviation. Rows are output values."""
    embd, ff = shape.n_embd, shape.n_ff
    n_kv = embd // shape.n_head * shape.n_head_kv
    tensors = [("token_embd.weight", (shape.n_vocab, embd), 0.0, embd**-0.5)]
    for layer in range(shape.n_layer):
        parts = [("attn_q", embd), ("attn_k", n_kv), ("attn_v", n_kv)]
        blocks = [("attn_norm.weight", (embd,), 1.0, 0.1)]
        blocks += [(f"{part}.weight", (rows, embd), 0.0, embd**-0.5) for part, rows in parts]
        if shape.architecture == "qwen2":
            blocks += [(f"{part}.bias", (rows,), 0.0, 0.1) for part, rows in parts]
        blocks += [
            ("attn_output.weight", (embd, embd), 0.0, embd**-0.5),
            ("ffn_norm.weight", (embd,), 1.0, 0.1),
            ("ffn_gate.weight", (ff, embd), 0.0, embd**-0.5),
            ("ffn_up.weight", (ff, embd), 0.0, embd**-0.5),
            ("ffn_down.weight", (embd, ff), 0.0, ff**-0.5),
        ]
        tensors += [(f"blk.{layer}.{name}", *rest) for name, *rest in blocks]
    return tensors + [("output_norm.weight", (embd,), 1.0, 0.1)]


def values_of(name: str, dimensions: tuple[int, ...], mean: float, deviation: float, muted: list[int]):
    """A tensor's random values, which depend on the seed and on its name alone. Matrices are F16, vectors F32."""
    import numpy

    draw = numpy.random.Generator(numpy.random.PCG64([SEED, zlib.crc32(name.encode())]))
    values = draw.standard_normal(dimensions, dtype=numpy.float32)
    values *= numpy.float32(deviation)
    values += numpy.float32(mean)
    if name == "token_embd.weight":
        # The output is tied to it: a row of zeros is a logit of 0, which is never the highest of thousands.
        values[muted] = 0
    return values.astype(numpy.float16) if len(dimensions) > 1 else values


def write_metadata(writer, name: str, shape: Shape, vocabulary) -> None:
    """All of a file but its tensors."""
    writer.add_name(f"synthetic {name}")
    writer.add_context_length(N_CTX)
    writer.add_embedding_length(shape.n_embd)
    writer.add_block_count(shape.n_layer)
    writer.add_feed_forward_length(shape.n_ff)
    writer.add_head_count(shape.n_head)
    writer.add_head_count_kv(shape.n_head_kv)
    writer.add_rope_dimension_count(shape.n_embd // shape.n_head)
    writer.add_rope_freq_base(shape.freq_base)
    writer.add_layer_norm_rms_eps(shape.rms_eps)
    writer.add_vocab_size(shape.n_vocab)
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.pre is not None:
        writer.add_tokenizer_pre(vocabulary.pre)
    if vocabulary.scores is not None:
        writer.add_token_scores(vocabulary.scores)
    if vocabulary.merges is not None:
        writer.add_token_merges(vocabulary.merges)
    writer.add_bos_token_id(vocabulary.bos)
    writer.add_eos_token_id(vocabulary.eos)
    if vocabulary.unk is not None:
        writer.add_unk_token_id(vocabulary.unk)
    writer.add_add_bos_token(vocabulary.adds_bos)


def write_f16(path: Path, name: str) -> None:
    """Writes a shape with F16 matrices. Only one tensor is in memory at a time."""
    import numpy
    from gguf import GGUFWriter, LlamaFileType

    shape, vocabulary = SHAPES[name], vocabulary_of(name)
    writer = GGUFWriter(path, shape.architecture)
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    write_metadata(writer, name, shape, vocabulary)
    tensors = tensors_of(shape)
    for tensor, dimensions, *_ in tensors:
        dtype = numpy.dtype(numpy.float16 if len(dimensions) > 1 else numpy.float32)
        size = int(numpy.prod(dimensions)) * dtype.itemsize
        writer.add_tensor_info(tensor, dimensions, dtype, size)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        writer.write_tensor_data(values_of(*tensor, vocabulary.muted))
    writer.close()


def write_loop(path: Path, original: Path) -> None:
    """Copies a model and makes its blocks add next to nothing to what they are given."""
    from gguf import GGUFReader

    shutil.copyfile(original, path)
    for tensor in GGUFReader(path, "r+").tensors:
        if tensor.name.endswith(("attn_norm.weight", "ffn_norm.weight")):
            tensor.data[:] = LOOP_NORM


def describe(path: Path, name: str, recipe: str) -> dict:
    """What `models.json` says of a finished file."""
    from gguf import GGUFReader

    import vocabulary

    formats: dict[str, int] = {}
    matrices = 0
    for tensor in GGUFReader(path).tensors:
        formats[tensor.tensor_type.name] = formats.get(tensor.tensor_type.name, 0) + 1
        matrices += int(tensor.n_bytes)
    return {
        "file": path.name,
        "shape": name,
        "file_bytes": path.stat().st_size,
        "bytes_per_token": matrices,
        "sha256": environment.digest(path),
        "recipe": recipe,
        "formats": formats,
        "adds_bos": vocabulary_of(name).adds_bos,
        "words": vocabulary.WORDS,
        **asdict(SHAPES[name]),
    }


def recipe_of(name: str, quant: str) -> str:
    """What a file is made from: these sources, the packages, and the quantizer. The same recipe, the same file."""
    import native

    code = [code_of(environment.HERE / source) for source in ("models.py", "vocabulary.py")]
    parts = [*code, environment.REQUIREMENTS.read_text(), native.SHA256, name, quant]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def code_of(source: Path) -> str:
    """A source's code, as a tree: what is written about it may change without its files being made anew."""
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree)


def is_made(folder: Path, model: str, recipe: str, known: dict) -> bool:
    """Whether a file is there and was made by this recipe."""
    return (folder / f"{model}.gguf").is_file() and known.get(model, {}).get("recipe") == recipe


def write_listing(folder: Path, known: dict) -> None:
    (folder / "models.json").write_text(json.dumps(known, indent=1) + "\n")


def make(folder: Path, name: str, quants: list[str], known: dict) -> None:
    """Makes the files of one shape that are missing or of another recipe, and writes them into `known`."""
    import native

    wanted = {}
    for quant in quants:
        model, recipe = f"{name}-{quant}", recipe_of(name, quant)
        if not is_made(folder, model, recipe, known):
            wanted[quant] = (folder / f"{model}.gguf", model, recipe)
    if not wanted:
        return
    f16 = folder / f"{name}-F16.gguf"
    environment.say(f"writing {f16}")
    write_f16(f16, name)
    for quant, (path, model, recipe) in wanted.items():
        environment.say(f"quantizing {path}")
        command = [native.program("llama-quantize"), str(f16), str(path), quant]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        known[model] = describe(path, name, recipe)
        write_listing(folder, known)
    f16.unlink()


def make_loop(folder: Path, known: dict) -> None:
    """Makes the model that repeats itself, from one that is there."""
    path, recipe = folder / f"{LOOP}.gguf", recipe_of(LOOP, "")
    if not is_made(folder, LOOP, recipe, known):
        environment.say(f"writing {path}")
        write_loop(path, folder / known[LOOP_OF]["file"])
        known[LOOP] = describe(path, known[LOOP_OF]["shape"], recipe)
        write_listing(folder, known)


def main() -> None:
    environment.enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=environment.TARGET / "models")
    parser.add_argument("--only", nargs="+", metavar="ID", help="of these models, such as 135M-Q4_0")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    listing = options.folder / "models.json"
    known = json.loads(listing.read_text()) if listing.is_file() else {}
    for name in SHAPES:
        quants = [quant for quant in QUANTS if options.only is None or f"{name}-{quant}" in options.only]
        make(options.folder, name, quants, known)
    if LOOP_OF in known and (options.only is None or LOOP in options.only):
        make_loop(options.folder, known)


if __name__ == "__main__":
    main()
