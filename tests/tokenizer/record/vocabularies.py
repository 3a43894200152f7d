"""Small vocabularies for what is not splitting, and the tokens that llama.cpp makes of texts with them."""

import random
import struct
from collections.abc import Callable
from pathlib import Path

from gguf import GGUFValueType, GGUFWriter
from splits import byte_chars
from texts import texts

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
BYTES = [(f"<0x{byte:02X}>", BYTE, 0.0) for byte in range(256)]
SPECIALS = [("<unk>", UNKNOWN, 0.0), ("<s>", CONTROL, 0.0), ("</s>", CONTROL, 0.0)]
PIECES = ["▁", "a", "b", "w", "o", "r", "d", "1", "2", "é", "漢", "\n", "\n\n", "▁▁", "wo", "rd", "word", "▁w", "▁word", "12", "ab", "▁a", "'s"]


def writer_of(path: Path, model: dict) -> GGUFWriter:
    """A file with the metadata of a recorded vocabulary."""
    writer = GGUFWriter(path, "llama")
    writer.add_token_list([text for text, _, _ in model["tokens"]])
    writer.add_token_types([kind for _, kind, _ in model["tokens"]])
    writer.add_token_scores([score for _, _, score in model["tokens"]])
    if "merges" in model:
        writer.add_token_merges(model["merges"])
    for key, value in model["keys"].items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, list):
            writer.add_key_value(key, value, GGUFValueType.ARRAY, sub_type=GGUFValueType.UINT8)
        else:
            writer.add_string(key, value)
    return writer


def charsmap(rules: dict[str, str]) -> list[int]:
    """Replacements as SentencePiece compiles them: see `Charsmap` in `unigram.rs`."""
    replacements, starts = b"", {}
    for text, replaced in rules.items():
        starts[text.encode()] = len(replacements)
        replacements += replaced.encode() + b"\0"
    trie: dict = {}
    for text in starts:
        place = trie
        for byte in text:
            place = place.setdefault(byte, {})
        place[0] = text

    units = {0: 0}

    def build(children: dict, at: int, label: int) -> None:
        base = next(b for b in range(1, 1 << 20) if all(at ^ b ^ byte not in units for byte in children))
        leaf = 0 in children
        units[at] = label | leaf << 8 | base << 10
        for byte in children:
            units[at ^ base ^ byte] = 0
        for byte, below in children.items():
            if byte == 0:
                units[at ^ base] = starts[below] | 1 << 31
            else:
                build(below, at ^ base ^ byte, byte)

    build(trie, 0, 0)
    array = b"".join(struct.pack("<I", units.get(i, 0)) for i in range(max(units) + 256))
    return list(struct.pack("<I", len(array)) + array + replacements)


def models() -> list[dict]:
    """The vocabularies."""
    prefix = "tokenizer.ggml."
    draw = random.Random(7)
    scored = [(piece, NORMAL, -draw.randrange(1, 60) / 4) for piece in PIECES]
    spm = [*SPECIALS, *BYTES, *scored, ("<x>", USER_DEFINED, 0.0), ("<|end|>", CONTROL, 0.0), ("<|endoftext|>", NORMAL, 0.0)]
    ugm = [("<pad>", CONTROL, 0.0), ("</s>", CONTROL, 0.0), ("<unk>", UNKNOWN, 0.0), *scored, ("<x>", USER_DEFINED, 0.0), ("ord", UNUSED, -1.0)]
    merges = ["w o", "r d", "wo rd", "▁ w", "▁w o", "▁wo rd", "1 2", "a b", "▁ ▁", "\n \n"]
    bpe_pieces = [(piece, NORMAL, 0.0) for piece in [*PIECES, "▁wo"]]
    chars = [*SPECIALS, *BYTES, *bpe_pieces, ("<x>", USER_DEFINED, 0.0)]
    level = byte_chars()
    level_merges = ["w o", "r d", "wo rd", "Ġ w", "Ġw o", "Ġwo rd", "1 2", "Ċ Ċ", "Ã ©"]
    byte_level = [(c, NORMAL, 0.0) for c in level] + [(m.replace(" ", ""), NORMAL, 0.0) for m in level_merges]
    byte_level += [("<s>", CONTROL, 0.0), ("<x>", USER_DEFINED, 0.0), ("<|end|>", NORMAL, 0.0), ("<fim_prefix>", NORMAL, 0.0), ("</s>", NORMAL, 0.0)]
    replaced = {"ﬁ": "fi", "１": "1", "２": "2", "\t": " ", "\n": " ", "\u3000": " ", "e\u0301": "é", "…": "...", "\u200d": "", "\x7f": ""}
    flags = [(False, False), (True, False), (False, True), (True, True)]
    made = [
        ("llama", spm, {prefix + "model": "llama"}, None),
        ("llama, no prefix, eos", spm, {prefix + "model": "llama", prefix + "add_space_prefix": False, prefix + "add_bos_token": False, prefix + "add_eos_token": True}, None),
        ("phi-3", spm, {prefix + "model": "llama", "general.name": "Tiny Phi-3 mini"}, None),
        ("gemma4", chars, {prefix + "model": "gemma4", prefix + "bos_token_id": 1, prefix + "eos_token_id": 2, prefix + "add_bos_token": False}, merges),
        ("sarvam-moe", chars, {prefix + "model": "gpt2", prefix + "pre": "sarvam-moe", prefix + "bos_token_id": 1, prefix + "eos_token_id": 2}, merges),
        ("gpt-2", byte_level, {prefix + "model": "gpt2", prefix + "pre": "gpt-2", prefix + "bos_token_id": 265, prefix + "eos_token_id": 265, prefix + "add_eos_token": True}, level_merges),
    ]
    for add_prefix, remove in flags:
        keys = {prefix + "model": "t5", prefix + "add_space_prefix": add_prefix, prefix + "remove_extra_whitespaces": remove}
        made.append((f"t5, prefix {add_prefix}, remove {remove}", ugm, {**keys, prefix + "precompiled_charsmap": charsmap(replaced)}, None))
    made.append(("t5, plain", ugm, {prefix + "model": "t5", prefix + "add_bos_token": True, prefix + "bos_token_id": 0}, None))
    return [{"name": name, "tokens": tokens, "keys": keys} | ({"merges": merges} if merges else {}) for name, tokens, keys, merges in made]


def samples() -> list[str]:
    """Texts of what the vocabularies know, and some of what they do not."""
    draw = random.Random(3)
    parts = ["word", " word", "a", "b", "ab", "12", "1", " ", "  ", "   ", "\n", "\n\n", "\t", "é", "e\u0301", "漢", "ﬁ", "１２", "…", "▁", "'s"]
    parts += ["<s>", "</s>", "<unk>", "<x>", "<|end|>", "<fim_prefix>", "🙂", "\u200d", "\u3000", "\x7f", "wo", "rd", "ord", "<"]
    made = ["", *parts]
    while len(made) < 200:
        made.append("".join(draw.choice(parts) for _ in range(draw.randrange(2, 9))))
    return made + texts(seed=11, n=400)[-100:]


def record(reference: Callable, folder: Path) -> dict:
    """The vocabularies and the tokens of all texts: plainly, with special tokens added, and with them parsed."""
    texts, vocabularies = samples(), []
    for model in models():
        path = folder / "vocabulary.gguf"
        writer = writer_of(path, model)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        vocabularies.append(model | {"ids": reference("tokens", path, texts)})
    return {"texts": texts, "vocabularies": vocabularies}
