"""Vocabularies for synthetic models: made up, but built as real ones are, so that every engine takes them.

Each piece of text is the merge of two pieces before it. The first merges spell `WORDS`, letter by letter after a space,
and come before all others: so a text of those words has exactly as many tokens as words, in every engine (and one more
where it begins with BOS). The rest are drawn at random.
"""

import random
from dataclasses import dataclass
from functools import cache

from gguf import TokenType

# Every one of them, with a space before it, is one token.
WORDS = (
    "the of and to in is it you that he was for on are with as his they be at one have this from or had by hot but some"
    " what there we can out other were all your when up use how said an each she which do their time if will way about"
    " many then them would write like so these her long make thing see him two has look more day could go come did my"
    " no most who over know water than call first people may down side been now find any new work part take get place"
).split()

LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
LONGEST_PIECE = 12


@dataclass
class Vocabulary:
    """Tokens by id, as the metadata of a GGUF file wants them. `muted` ids are never to be the likeliest."""

    model: str
    pre: str | None
    tokens: list[str]
    types: list[int]
    scores: list[float] | None
    merges: list[str] | None
    bos: int
    eos: int
    unk: int | None
    adds_bos: bool
    muted: list[int]


@cache
def grow(space: str, count: int) -> list[tuple[str, str]]:
    """`count` merges, no two with one spelling. A space, spelled `space`, is only ever the beginning of a piece."""
    draw = random.Random(0)
    pieces = [space, *LETTERS]
    known, merges = set(pieces), []

    def merge(left: str, right: str) -> None:
        piece = left + right
        if piece not in known and len(piece) <= LONGEST_PIECE and not right.startswith(space):
            known.add(piece)
            pieces.append(piece)
            merges.append((left, right))

    for word in WORDS:
        for end in range(len(word)):
            merge(space + word[:end], word[end])
    while len(merges) < count:
        # Cubed, so that early pieces, which are short, are drawn more often.
        left, right = (pieces[int(len(pieces) * draw.random() ** 3)] for _ in range(2))
        merge(left, right)
    return merges[:count]


def spm(n_vocab: int) -> Vocabulary:
    """As Llama's: three special tokens, 256 bytes, pieces by falling score, and single characters last."""
    space = "\u2581"
    special = ["<unk>", "<s>", "</s>"]
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    characters = [space, *LETTERS, *LETTERS.upper(), *"0123456789.,;:!?'\"()-\u2014\u201c\u201d\u2019"]
    count = n_vocab - len(special) - len(byte_tokens) - len(characters)
    pieces = [left + right for left, right in grow(space, count)] + characters
    types = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    types += [TokenType.BYTE] * 256 + [TokenType.NORMAL] * len(pieces)
    return Vocabulary(
        model="llama",
        pre=None,
        tokens=special + byte_tokens + pieces,
        types=[int(kind) for kind in types],
        scores=[0.0] * (len(special) + 256) + [-float(rank) for rank in range(len(pieces))],
        merges=None,
        bos=1,
        eos=2,
        unk=0,
        adds_bos=True,
        muted=[0, 2],
    )


def byte_letters() -> list[str]:
    """The 256 characters that GPT-2 spells bytes with, by byte: printable ones stand for themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def bpe(pre: str, n_vocab: int, special: list[str], special_first: bool, n_unused: int = 0) -> Vocabulary:
    """As GPT-2's: bytes, then merges; special tokens before or after them, and perhaps unused ids at the end."""
    letters = byte_letters()
    count = n_vocab - len(special) - len(letters) - n_unused
    merges = grow(letters[ord(" ")], count)
    text = letters + [left + right for left, right in merges]
    text_types, special_types = [TokenType.NORMAL] * len(text), [TokenType.CONTROL] * len(special)
    unused = [f"[PAD{n_vocab - n_unused + idx}]" for idx in range(n_unused)]
    tokens = special + text if special_first else text + special
    types = special_types + text_types if special_first else text_types + special_types
    first = 0 if special_first else len(text)
    muted = [*range(first, first + len(special)), *range(n_vocab - n_unused, n_vocab)]
    return Vocabulary(
        model="gpt2",
        pre=pre,
        tokens=tokens + unused,
        types=[int(kind) for kind in types + [TokenType.UNUSED] * n_unused],
        scores=None,
        merges=[f"{left} {right}" for left, right in merges],
        bos=first,
        eos=first,
        unk=None,
        adds_bos=False,
        muted=muted,
    )
