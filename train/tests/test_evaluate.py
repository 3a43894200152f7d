"""The measures of `evaluate` on made texts. No torch, no engine, no corpora."""

from pathlib import Path

import numpy as np
from pagelm_train.evaluation import bars, card, grammar, grammar_pairs, stories
from pagelm_train.evaluation.ngram import BITS, KneserNey

TRAIN = Path(__file__).parents[1]


def test_the_committed_pairs_are_those_that_the_seed_makes():
    pairs = grammar.load(TRAIN / "grammar.jsonl")
    assert pairs == grammar_pairs.make()
    counts = {}
    for pair in pairs:
        counts[pair["phenomenon"]] = counts.get(pair["phenomenon"], 0) + 1
    assert len(counts) >= 12 and set(counts.values()) == {50}
    assert len({pair["good"] for pair in pairs} & {pair["bad"] for pair in pairs}) == 0, "no sentence is both"


def test_pairs_differ_in_one_place():
    for pair in grammar_pairs.make():
        good, bad = pair["good"].rstrip(".?").split(), pair["bad"].rstrip(".?").split()
        while good and bad and good[0] == bad[0]:
            good, bad = good[1:], bad[1:]
        while good and bad and good[-1] == bad[-1]:
            good, bad = good[:-1], bad[:-1]
        assert len(good) + len(bad) <= 3 or sorted(w.lower() for w in good) == sorted(w.lower() for w in bad), pair


def test_grammar_counts_only_what_is_more_probable():
    class Engine:
        def score_lines(self, model, lines):
            return [-len(line) for line in lines]

    pairs = [{"phenomenon": "a", "good": "x", "bad": "xx"}, {"phenomenon": "a", "good": "xx", "bad": "xx"},
             {"phenomenon": "b", "good": "xxx", "bad": "x"}]
    measured = grammar.measure(Engine(), None, pairs)
    assert (measured["right"], measured["pairs"]) == (1, 3)
    assert measured["by_phenomenon"] == {"a": {"right": 1, "pairs": 2}, "b": {"right": 0, "pairs": 1}}


def test_repeats_and_distinct():
    assert stories.words("The cat's hat – THE hat!") == ["the", "cat's", "hat", "the", "hat"]
    assert stories.longest_repeat("a b c a b c d".split()) == 3
    assert stories.longest_repeat("a b c".split()) == stories.longest_repeat([]) == 0
    assert stories.longest_repeat(["so"] * 5) == 4, "a span may overlap itself"
    assert stories.distinct("a b c d".split()) == 1 and stories.distinct("a a a a".split()) == 0.5


def test_the_longest_copy_is_found_within_one_document():
    training = stories.TrainingText(["One two three four five six seven eight.", "Nine ten eleven twelve thirteen fourteen."])
    assert training.longest_copy("zero TWO, three four five six seven; nine") == (6, "two three four five six seven")
    assert training.longest_copy("five six seven eight nine ten eleven twelve")[0] == 0, "it would cross two documents"
    assert training.longest_copy("one two three four five six seven eight")[0] == 8
    assert training.longest_copy("too short")[0] == 0


def test_kneser_ney_is_a_distribution_that_learns():
    rng = np.random.default_rng(1)
    documents = [rng.integers(1, 8, size=20) ** 2 % 13 for _ in range(50)]
    model = KneserNey(documents, 16)
    for history in ([0, 0, 0, 0], [1, 4, 9, 3], [0, 0, 0, 1], [15, 15, 15, 15], list(documents[0][3:7])):
        runs = [sum(int(t) << BITS * (4 - i) for i, t in enumerate([*history, w])) for w in range(16)]
        assert abs(model.probabilities(np.array(runs, dtype=np.uint64)).sum() - 1) < 1e-9
    assert model.bits(documents[0]) < KneserNey(documents, 16, n=1).bits(documents[0]) < 20 * np.log2(16)


def test_bars_are_computed():
    story = {"stories": 200, "ended": 170, "median_words": 119.0, "with_repeated_span": 10, "distinct_3": 0.75,
             "copied_span": {"longest": 31}}
    report = {"shipped": "Q8_0", "stories": {"Q8_0": story}, "grammar": {"Q8_0": {"right": 800, "pairs": 1000}},
              "frozen": {"models": {"F16": {"bits_per_byte": 0.84}, "Q8_0": {"bits_per_byte": 0.85}, "Q4_0": {"bits_per_byte": 0.87},
                                    "first built-in model": {"bits_per_byte": 1.0}, "stories260K": None}}}
    met = {b["bar"].split(" (")[0]: b["met"] for b in bars.check(report)}
    assert list(met.values()) == [True, False, True, True, False, True, True, False, True], met
    report["frozen"]["models"]["first built-in model"] = None
    assert bars.check(report)[0]["met"] is None


def test_a_card_keeps_what_stands_around_a_block(tmp_path):
    page = tmp_path / "card.md"
    page.write_text("# A\n<!-- facts:begin -->\nold\n<!-- facts:end -->\nB\n", encoding="utf-8")
    card.fill(page, "facts", "new\n")
    assert page.read_text(encoding="utf-8") == "# A\n<!-- facts:begin -->\nnew\n<!-- facts:end -->\nB\n"
