"""Short everyday sentences, English to and from German and Chinese. The split is by the English sentence."""

import json

from .sources import Conversation, read, wording

MAX_WORDS, MAX_HAN = 8, 12
LANGUAGES = {"de": "German", "zh": "Chinese"}


def is_simplified(text):
    """GB 2312 holds the simplified characters only, so what it can spell has no traditional ones."""
    try:
        text.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def tatoeba(root):
    """(language, English, translation)"""
    for language, name in (("de", "deu-50k.txt"), ("zh", "cmn.txt")):
        for line in read(root / "translation" / "tatoeba" / name).splitlines():
            english, other = line.split("\t")[:2]
            short = len(english.split()) <= MAX_WORDS
            if language == "zh":
                short = short and len(other) <= MAX_HAN and is_simplified(other) and not any(c.isascii() and c.isalpha() for c in other)
            else:
                short = short and len(other.split()) <= MAX_WORDS + 1
            if short and not english.isdigit():
                yield language, english, other


def cldr(root):
    folder, entries = root / "translation" / "cldr", {}
    for language in ("en", "de", "zh"):
        names = {}
        for part, key in (("territories", "territories"), ("languages", "languages")):
            data = json.loads(read(folder / f"{language}-{part}.json"))["main"][language]["localeDisplayNames"][key]
            names.update({(part, code): name for code, name in data.items() if "-alt-" not in code and len(code) <= 2})
        notes = json.loads(read(folder / f"{language}-annotations.json"))["annotations"]["annotations"]
        names.update({("things", sign): entry["tts"][0] for sign, entry in notes.items() if "tts" in entry})
        entries[language] = names
    for language in LANGUAGES:
        for key, english in entries["en"].items():
            other = entries[language].get(key)
            if other and len(english.split()) <= 2 and ":" not in english and english.replace(" ", "").isalpha() and other != english:
                yield language, english, other


def translations(root, random):
    seen = set()
    for source, pairs in (("tatoeba", tatoeba(root)), ("cldr", cldr(root))):
        references = {}
        for language, english, other in pairs:
            references.setdefault((language, "en", english), []).append(other)
            references.setdefault((language, "xx", other), []).append(english)
        for (language, side, text), answers in references.items():
            into = LANGUAGES[language] if side == "en" else "English"
            if (into, text) in seen:
                continue
            seen.add((into, text))
            prompt = wording(random, "Translate into {l}: {t}", "What is this in {l}? {t}", "{l}, please: {t}").format(l=into, t=text)
            answer = min(answers, key=len)  # one answer per sentence: the shortest, so that the target is regular
            direction = f"en-{language}" if side == "en" else f"{language}-en"
            yield Conversation("translate", source, [prompt, answer], text if side == "en" else answer,
                               {"direction": direction, "text": text, "references": answers[:8]})
