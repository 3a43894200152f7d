"""The baseline that any model must beat: an interpolated modified Kneser-Ney n-gram model over the same tokens.

p(w | h) = max(c(h w) − D, 0) / c(h) + γ(h) · p(w | h without its first token), down to 1 / V; for the longest h, c counts how
often a run of tokens occurs, below it how many different tokens stand before the run; D is one of three discounts, for c = 1,
2 and more, estimated from the counts (Chen & Goodman 1999). A run of tokens is one number, 12 bits a token.
"""

import numpy as np

BITS = 12  # 4,096 tokens; five of them fit into 64 bits
START = 0  # the end-of-text token stands before a document as often as its first tokens need something before them


class Order:
    """One length of runs: the counts of all runs seen, and of their histories."""

    def __init__(self, runs, counts):
        self.runs, self.counts = runs, counts  # sorted runs
        n = [max(1, int((counts == c).sum())) for c in (1, 2, 3, 4)]
        y = n[0] / (n[0] + 2 * n[1])
        self.discounts = np.clip([0, 1 - 2 * y * n[1] / n[0], 2 - 3 * y * n[2] / n[1], 3 - 4 * y * n[3] / n[2]], 0, [0, 1, 2, 3])
        self.histories, starts = np.unique(runs >> np.uint64(BITS), return_index=True)
        self.totals = np.add.reduceat(counts, starts)
        self.left_over = np.add.reduceat(self.discounts[np.minimum(counts, 3)], starts)  # what the discounts took, all in all

    def mix(self, runs, lower):
        """p of each run's last token after the others, given p after the others but the first."""
        at, seen = find(self.runs, runs)
        c = np.where(seen, self.counts[at], 0)
        here, known = find(self.histories, runs >> np.uint64(BITS))
        total = self.totals[here]
        return np.where(known, (c - self.discounts[np.minimum(c, 3)] + self.left_over[here] * lower) / total, lower)


def find(sorted_values, values):
    at = np.minimum(np.searchsorted(sorted_values, values), len(sorted_values) - 1)
    return at, sorted_values[at] == values


class KneserNey:
    def __init__(self, documents, n_vocab, n=5):
        assert n_vocab <= 1 << BITS and n * BITS <= 64
        self.n, self.n_vocab, self.orders = n, n_vocab, []
        runs, counts = np.unique(np.concatenate([self.runs(d) for d in documents]), return_counts=True)
        for k in range(n, 0, -1):
            self.orders.insert(0, Order(runs, counts))
            if k > 1:  # how many different tokens stand before each shorter run
                runs, counts = np.unique(runs & np.uint64((1 << BITS * (k - 1)) - 1), return_counts=True)

    def runs(self, document):
        """The run of n tokens that ends at each token of a document, and at the document's end."""
        ids = np.concatenate([np.full(self.n - 1, START), document, [START]]).astype(np.uint64)
        runs = np.zeros(len(ids) - self.n + 1, dtype=np.uint64)
        for i in range(self.n):
            runs = runs << np.uint64(BITS) | ids[i:i + len(runs)]
        return runs

    def probabilities(self, runs):
        p = np.full(len(runs), 1 / self.n_vocab)
        for k, order in enumerate(self.orders, 1):
            p = order.mix(runs & np.uint64((1 << BITS * k) - 1), p)
        return p

    def bits(self, document):
        """−log₂ p of a document's tokens; its end is not counted."""
        return -np.log2(self.probabilities(self.runs(document)[:-1])).sum()
