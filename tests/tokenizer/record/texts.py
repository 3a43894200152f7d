"""Texts made to find the seams of splitting rules: every kind of character beside every other."""

import random
import unicodedata

PARTS = [
    # words, cases, contractions and apostrophes
    "a", "b", "Ab", "ABC", "aB", "word", "WORD", "CamelCase", "xYZ", "É", "é", "ß", "Straße", "ÀÉ", "жук", "ЖУК",
    "'s", "'S", "'t", "'re", "'RE", "'vE", "'m", "'ll", "'LL", "'d", "'x", "'", "’s", "ʼs", "´s", "it's", "I'LL",
    "ʰ", "ǅ", "ª", "ℂ", "ⅷ", "K", "ſ", "ա", "ა",
    # numbers
    "0", "1", "7", "12", "123", "1234", "12345", "1234567", "٣", "٣٤٥٦", "½", "²", "Ⅷ", "१२३४", "〇", "１２３", "3.14", "1,000",
    # spaces and newlines
    " ", "  ", "   ", "    ", "     ", "\t", "\t\t", "\n", "\n\n", "\r", "\r\n", "\v", "\f", "\u0085", "\u00a0", "\u2003",
    "\u2028", "\u3000", "\u3000\u3000", "\u1680", " \n", "\n ", " \t\n ",
    # signs
    "!", "?", ".", ",", "...", "…", "。", "，", "、", "،", "؟", "।", "(", ")", "[", "]", "{", "}", "<", ">", "=", "+", "-", "--",
    "_", "/", "//", "\\", "|", "~", "^", "`", "@", "#", "$", "%", "&", "*", '"', ":", ";", "€", "°", "©", "«", "»", "¡", "！", "～",
    "“", "”", "‘", "‟", "—", "〜", "︰", "¿",
    # scripts of Asia
    "漢", "漢字", "㐀", "𠀀", "豈", "か", "カナ", "ｶ", "ー", "한", "한국", "ㄱ", "ㄅ", "ᄀ", "กา", "ไทย", "ເດ", "ខ្មែរ", "က", "ꧠ", "⼀", "鿕",
    # marks, joiners, emoji
    "\u0301", "\u093f", "\u20dd", "न", "हिन्दी", "e\u0301", "שָׁ", "🙂", "👍🏽", "👩\u200d👩\u200d👧", "🇩🇪", "❤\ufe0f", "\u200d", "\u200b", "\ufeff",
    # no characters
    "\0", "\x01", "\x1b", "\x1c", "\x7f", "\u0090", "\u00ad", "\ue000", "\ufffd", "\u0378", "\U000fffff", "\U000e0101", "\U0010ffff",
    # what single rules look for
    "<sentinel:", "<sentinel:12>", "IMGIMG", "IMGIMGABZ", "IMGIMGABCDEZ", "</s>", "<s>", "▁", "http://x.y/z?q=1",
]  # fmt: skip

LONG_SPACES = [" " * n for n in (7, 8, 9, 31, 33, 64, 127, 129, 300, 517, 1030)]


def random_characters(random: random.Random, n: int) -> str:
    """Characters from anywhere, but none that has a category only since Unicode 15.1 (see `pre.rs`)."""
    chars = []
    while len(chars) < n:
        top = random.choice([0x80, 0x250, 0x800, 0x3000, 0x10000, 0x20000, 0x110000])
        c = chr(random.randrange(top))
        # What this Python's older Unicode does not have may be newer than 15.1.
        if not 0xD800 <= ord(c) < 0xE000 and unicodedata.category(c) != "Cn":
            chars.append(c)
    return "".join(chars)


def texts(seed: int, n: int) -> list[str]:
    """`n` texts, the same for the same seed."""
    draw = random.Random(seed)
    made = [*PARTS, *(a + space + "a" for space in LONG_SPACES for a in ("", "!", "\n"))]
    made += [left + right for left in ("a", "1", " ", "\n", "!", "漢") for right in PARTS]
    while len(made) < n:
        parts = [draw.choice(PARTS) for _ in range(draw.randrange(2, 9))]
        if draw.random() < 0.2:
            parts.insert(draw.randrange(len(parts)), random_characters(draw, draw.randrange(1, 6)))
        if draw.random() < 0.02:
            parts.insert(draw.randrange(len(parts)), draw.choice(LONG_SPACES))
        made.append("".join(parts))
    return made[:n]
