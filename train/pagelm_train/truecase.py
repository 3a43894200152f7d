"""Capitals for a corpus that was lower-cased: learned from cased text, plus rules for names and sentence starts."""

import re
from collections import Counter

SENTENCE_START = re.compile(r'(^|[.!?]["\')]*\s+["\'(]*|\n\s*["\'(]*|(?:^|[\s(])"\'?)([a-z])', re.M)
KIN = "mom|mum|mummy|dad|mommy|daddy|mama|papa|grandma|grandpa|granny"
SAYS = "Said|Asked|Replied|Cried|Shouted|Exclaimed|Yelled|Answered|Whispered|Called"
DETERMINED = re.compile(rf"\b((?:my|your|his|her|our|their|the|a|its|\w+'s|and|or|new|little|old) )?({KIN})\b", re.I)


class Truecaser:
    def __init__(self, cased_texts):
        """Counts, for every word that stands inside a sentence, how often it is capitalised."""
        upper, lower = Counter(), Counter()
        for text in cased_texts:
            for word in re.findall(r"(?<=[a-z,;] )([A-Za-z][A-Za-z']*)", text):
                (upper if word[0].isupper() else lower)[word.lower()] += 1
        self.lower = lower
        self.proper = {w for w, n in upper.items() if n >= 2 and n > 2 * lower[w] and not re.fullmatch(KIN, w)}

    def __call__(self, text):
        names = {n for n in re.findall(r"\bnamed ([a-z]+)", text) if len(n) > 2}
        names |= {n for n in re.findall(r"\bcalled ([a-z]+)", text) if len(n) > 2 and self.lower[n] < 2}
        names -= {"after", "his", "her", "the"}
        proper = self.proper | names

        def word(match):
            stem = re.sub(r"'s$", "", match[0])
            return match[0].capitalize() if stem in proper or match[0] in proper else match[0]

        text = re.sub(r"[a-z]+(?:'[a-z]+)?", word, text)
        text = re.sub(r"\bi(?=\b(?!\.[a-z]))", "I", text)
        text = DETERMINED.sub(lambda m: m[0].lower() if m[1] else m[2].capitalize(), text)
        text = SENTENCE_START.sub(lambda m: m[1] + m[2].upper(), text)
        return re.sub(rf"([!?]['\"]) ({SAYS})\b", lambda m: f"{m[1]} {m[2].lower()}", text)
