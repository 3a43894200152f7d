"""The words that llama.cpp splits texts into, for every name of a pre-tokenizer, and what else it ties to the name."""

from collections.abc import Callable
from pathlib import Path

from gguf import GGUFWriter, TokenType
from texts import texts

# Every name in `llama_vocab::impl::load` but those of encoders.
NAMES = """
default gpt-2 phi-2 mpt olmo jais trillion granite-docling gigachat a.x-4.0 mellum exaone4 starcoder refact command-r smollm
codeshell exaone minerva-7b mellum2 llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 glm4 glm5 dbrx smaug-bpe
chatglm-bpe qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2 bailingmoe bailingmoe2 llada-moe
qwen35 ufakzeka seed-coder laguna minicpm5 jais-2 deepseek-v3 hunyuan-dense joyai-llm hy_v4 spark2_5 afmoe deepseek-coder
deepseek-llm youtu tiny_aya cohere2moe falcon bloom poro-chat gpt3-finnish viking tekken gpt-4o llama4 kanana2 talkie minimax-m2
kimi-k2 chameleon superbpe exaone-moe gemma4 sarvam-moe
""".split()


def byte_chars() -> list[str]:
    """How a byte-level vocabulary spells each byte."""
    itself = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spelled = {byte: chr(byte) for byte in itself}
    for byte in range(256):
        if byte not in spelled:
            spelled[byte] = chr(0x100 + len(spelled) - len(itself))
    return [spelled[byte] for byte in range(256)]


# Bytes, then "abc", which no merge makes, then BOS.
TOKENS = [*byte_chars(), "abc", "<s>"]


def vocabulary(path: Path, pre: str) -> None:
    """Writes a file from which the splitting, `ignore_merges` and the default of `add_bos_token` can be seen."""
    writer = GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(TOKENS)
    writer.add_token_types([TokenType.NORMAL] * 257 + [TokenType.CONTROL])
    writer.add_token_merges(["x y"])
    writer.add_bos_token_id(257)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def record(reference: Callable, folder: Path, n: int) -> dict:
    """Names that behave alike together, with the length of each word of each text in code points."""
    samples = texts(seed=5, n=n)
    rows: dict = {}
    for name in NAMES:
        path = folder / "pre.gguf"
        vocabulary(path, name)
        ((plain, added, _),) = reference("tokens", path, ["abc"])
        words = reference("words", path, samples)
        row = (plain == [256], added[:1] == [257], tuple(map(tuple, words)))
        rows.setdefault(row, []).append(name)
    return {
        "texts": samples,
        "rows": [
            {"names": names, "ignore_merges": whole, "add_bos": bos, "words": [spell(words) for words in lens]}
            for (whole, bos, lens), names in rows.items()
        ],
    }


def spell(lens: tuple[int, ...]) -> str:
    """Lengths as text: one character below 36, else in parentheses."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return "".join(digits[n] if n < 36 else f"({n})" for n in lens)
