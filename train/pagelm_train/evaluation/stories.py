"""Sampled stories: do they end, do they repeat themselves, do they copy the training text?"""

import json
import re
from collections import Counter
from pathlib import Path
from statistics import mean, median

import numpy as np

TEMPERATURE, N_PREDICT = 0.8, 400
REPEAT = 12  # words: a span of that length that occurs twice is a loop, not a refrain
SHORTEST = 6  # words: shorter copied spans are not looked for


def words(text):
    """What counts as a word everywhere here: letters and digits, without case and punctuation."""
    return re.findall(r"[\w']+", text.casefold().replace("’", "'"))


def longest_repeat(w):
    """The longest span of words that occurs twice, possibly overlapping; 0 where no word does."""
    longest, seen = 0, {}
    while True:
        spans = Counter(tuple(w[i:i + longest + 1]) for i in range(len(w) - longest))
        if not spans or max(spans.values()) < 2:
            return longest
        longest += 1


def distinct(w, n=3):
    """Different n-grams of words as a share of all of them."""
    grams = [tuple(w[i:i + n]) for i in range(len(w) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 1.0


class TrainingText:
    """All training documents as one array of word numbers, found by the hash of any `SHORTEST` words in a row."""

    def __init__(self, texts):
        self.ids, words_of = {}, []
        for text in texts:
            words_of += [self.ids.setdefault(w, len(self.ids)) for w in words(text)] + [-1]  # no span crosses a document
        self.words = np.array(words_of + [-1] * SHORTEST, dtype=np.int64)
        hashes = self.hashes(self.words)
        self.order = np.argsort(hashes, kind="stable")
        self.sorted = hashes[self.order]

    @staticmethod
    def hashes(w):
        value = np.zeros(max(0, len(w) - SHORTEST + 1), dtype=np.uint64)
        for i in range(SHORTEST):
            value = value * np.uint64(0x9E3779B97F4A7C15) + w[i:i + len(value)].astype(np.uint64) + np.uint64(1)
        return value

    def longest_copy(self, text):
        """(length in words, the words) of the longest span of the text that stands in one training document."""
        spelled = words(text)
        w = np.array([self.ids.get(word, -2) for word in spelled], dtype=np.int64)
        best, at = 0, 0
        hashes = self.hashes(w)
        low, high = (np.searchsorted(self.sorted, hashes, side) for side in ("left", "right"))
        for i in range(len(hashes)):
            if i + best >= len(w):
                break
            found, length = self.order[low[i]:high[i]], 0
            while i + length < len(w):
                found = found[self.words[found + length] == w[i + length]]
                if not len(found):
                    break
                length += 1
            if length > best:
                best, at = length, i
        return best, " ".join(spelled[at:at + best])


def sample(engine, model, beginnings, seeds):
    jobs = [(beginning, seed) for beginning in beginnings for seed in seeds]
    reports = engine.generate(model, jobs, N_PREDICT, TEMPERATURE)
    return [{"beginning": prompt, "seed": seed, "tokens": len(r["tokens"]), "ended": r["stop_reason"] == "eos",
             "text": prompt + r["text"]} for (prompt, seed), r in zip(jobs, reports)]


def measure(stories, training):
    counted = [words(s["text"]) for s in stories]
    repeats = [longest_repeat(w) for w in counted]
    copies = [training.longest_copy(s["text"]) for s in stories]
    lengths = sorted(n for n, _ in copies)
    most = max(range(len(copies)), key=lambda i: copies[i][0])
    return {
        "stories": len(stories), "temperature": TEMPERATURE, "most_tokens": N_PREDICT,
        "ended": sum(s["ended"] for s in stories), "median_words": median(map(len, counted)),
        "with_repeated_span": sum(r >= REPEAT for r in repeats), "longest_repeat": max(repeats),
        "distinct_3": mean(map(distinct, counted)),
        "copied_span": {"median": median(lengths), "p90": lengths[int(0.9 * (len(lengths) - 1))], "longest": lengths[-1],
                        "stories_above_30": sum(n > 30 for n in lengths), "words": copies[most][1],
                        "beginning": stories[most]["beginning"], "seed": stories[most]["seed"],
                        "distribution": dict(sorted(Counter(lengths).items()))},
    }


def training_texts(data):
    """All that a story model may have read: the stories and the further sources."""
    texts = []
    for name in ("train", "more"):
        with open(Path(data) / "documents" / f"{name}.jsonl", encoding="utf-8") as lines:
            texts += [json.loads(line)["text"] for line in lines]
    return texts
