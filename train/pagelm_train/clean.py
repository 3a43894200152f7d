"""Pure functions on text: normal form, boilerplate, licences, child safety, and the train / held-out split.

Nothing here imports more than the standard library, so that tests need no torch.
"""

import hashlib
import re
import unicodedata
from pathlib import Path

HELD_OUT_PERCENT = 3

# UTF-8 that was once read as Windows-1252 (and, in one corpus, then lower-cased).
MOJIBAKE = {
    "â€œ": '"', "â€\x9d": '"', "â€™": "'", "â€˜": "'", "â€“": "–", "â€”": "—", "â€¦": "...", "â€": '"',
    "ã±": "ñ", "ã©": "é", "Ã±": "ñ", "Ã©": "é", "â«": '"', "â»": '"', "â¡": "",
}
PUNCTUATION = {"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "…": "...", "\u00a0": " ",
               "\u200b": "", "\ufeff": "", "\u00ad": ""}


def normalise(text):
    """One spelling for quotes, dashes, blanks and line ends; paragraphs are separated by one empty line."""
    for wrong, right in MOJIBAKE.items():
        text = text.replace(wrong, right)
    text = unicodedata.normalize("NFC", text)
    text = text.translate(str.maketrans(PUNCTUATION))
    text = re.sub(r"\s*(?:—|--+)\s*|\s+–\s+", " – ", text)
    text = re.sub(r"[ \t\r\f\v]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    return re.sub(r"\n{2,}", "\n\n", text).strip()


def join_lines(text):
    """Undo hard line wrapping: single line breaks become blanks, empty lines stay paragraph breaks."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def fingerprint(text):
    """The letters and digits of a text, lower-cased: equal for copies that differ in case, quotes or spacing."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def is_held_out(text):
    """The split: a pure function of the text, so that every later model keeps the same held-out documents."""
    digest = hashlib.sha256(b"pagelm held-out v1\n" + fingerprint(text).encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100 < HELD_OUT_PERCENT


GUTENBERG_START = re.compile(r"^.*?\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG.*?\*\*\*\s*\n", re.S | re.I)
GUTENBERG_END = re.compile(
    r"\n[^\n]*(?:\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG|End of (?:the )?Project Gutenberg).*$", re.S | re.I)


def strip_gutenberg(text):
    """The book without Project Gutenberg's licence header and footer."""
    text = text.replace("\r\n", "\n")
    text = GUTENBERG_END.sub("\n", GUTENBERG_START.sub("", text, count=1), count=1)
    text = re.sub(r"\[Illustration[^\]]*\]", "", text)
    return re.sub(r"^\s*(?:Produced by|E-text prepared by)[^\n]*\n(?:[^\n]+\n)*", "", text).strip() + "\n"


def is_non_commercial(licence):
    """True for every Creative Commons licence with an NC clause, however it is spelled."""
    return bool(re.search(r"\bNC\b|non-?\s?commercial", licence.replace("_", "-"), re.I))


def is_share_alike(licence):
    return bool(re.search(r"\bSA\b|share-?\s?alike", licence.replace("_", "-"), re.I))


def load_safety_rules(path=Path(__file__).with_name("safety_rules.txt")):
    """(version, [(category, compiled pattern)]) from the rule list; see the file's own header."""
    version, rules = None, []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if line.startswith("# version:"):
            version = line.split(":", 1)[1].strip()
        elif line and not line.startswith("#"):
            category, pattern = line.split("\t")
            rules.append((category, re.compile(rf"\b(?:{pattern})\b", re.I)))
    return version, rules


def safety_violation(text, rules):
    """The category of the first rule that the text breaks, or None."""
    return next((category for category, pattern in rules if pattern.search(text)), None)
