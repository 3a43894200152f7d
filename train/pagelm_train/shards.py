"""Token shards as training and evaluation read them.

A piece is int64[2, n]: row 0 the ids, row 1 whether each is to be learned. Of a story that is every id but the first, of
a conversation only the answers.
"""

import heapq
import json
import random
from pathlib import Path
from queue import Queue
from threading import Thread

import numpy as np
import torch

from .corpora import MORE, SOURCES

LONG = 420  # tokens; a longer story is announced by a line break: most are at first, all at the end
ANNOUNCED = {False: 0.9, True: 1.0}  # by `whole`


def stories(data, split, source):
    """The stories of a shard, each with the end-of-text token before and after it."""
    path = Path(data) / "tokens" / f"{split}-{source}.bin"
    ids = np.fromfile(path, dtype=np.uint16).astype(np.int64)
    ends = np.flatnonzero(ids == 0)
    pieces = []
    for a, b in zip(ends[:-1], ends[1:]):
        piece = np.stack([ids[a:b + 1], np.ones(b + 1 - a, dtype=np.int64)])
        piece[1, 0] = 0  # documents in a row are unrelated: from one end of text to the next there is nothing to learn
        pieces.append(piece)
    return pieces


def conversations(data, split):
    """Task → its conversations, from `tasks/tokens/{split}.npz`."""
    shard = np.load(Path(data) / "tokens" / f"{split}.npz")
    both = np.stack([shard["ids"].astype(np.int64), shard["answer"].astype(np.int64)])
    pieces = {str(name): [] for name in shard["tasks"]}
    names = list(pieces)
    for task, a, b in zip(shard["task"], shard["starts"][:-1], shard["starts"][1:]):
        pieces[names[task]].append(both[:, a:b])
    return pieces


def load(data, split, model="story"):
    """Source or task → its pieces. The `tasks` model reads the stories too, in its own tokenizer's ids; the further
    sources are there for a story model to be trained on, where they were prepared."""
    folder = Path(data) / "tasks" if model == "tasks" else Path(data)
    further = [name for name in MORE if (folder / "tokens" / f"{split}-{name}.bin").exists()]
    groups = {source: stories(folder, split, source) for source in [*SOURCES, *further]}
    return {**groups, **conversations(folder, split)} if model == "tasks" else groups


def rows(groups, mix, n_ctx, whole, rng, line_break):
    """Endless packed rows int64[2, n_ctx + 1].

    `mix` says how often a piece of each group comes up per round. One that is too long is cut, each part beginning with
    the last id of the one before; with `whole` it is left out. Long stories are announced by a line break.
    """
    n = n_ctx + 1
    while True:
        pieces = []
        for name, times in mix.items():
            for piece in groups.get(name, []):
                for _ in range(int(times) + (rng.random() < times % 1)):
                    if name in SOURCES and piece.shape[1] > LONG and rng.random() < ANNOUNCED[whole]:
                        piece = announce(piece, line_break)
                    if piece.shape[1] <= n:
                        pieces.append(piece)
                    elif not whole:
                        pieces += parts(piece, n_ctx)
        if not pieces:
            raise SystemExit("the mixture names no shard that has text: run `prepare` and `tokenizer` first")
        rng.shuffle(pieces)
        for i in range(0, len(pieces), 2000):
            packed = pack(pieces[i:i + 2000], n, rng)
            rng.shuffle(packed)
            yield from packed


def announce(story, line_break):
    """The story with a line break before it, that is given and not learned: so a reader can ask for a long story, and a
    text that begins without one becomes a short story, though most of the training text is long."""
    return np.concatenate([story[:, :1], [[line_break], [0]], story[:, 1:]], axis=1)


def parts(piece, n_ctx):
    """A piece in consecutive windows of the context."""
    return [piece[:, i:i + n_ctx + 1] for i in range(0, piece.shape[1] - 1, n_ctx)]


def pack(pieces, n, rng):
    """Longest first, each into the row with the most room left, else into a new one; the rest of a row is not learned.

    Then a row's pieces are put in any order. Were the shortest always last, a large model would learn to end a short
    story where the row is full, and not to end one that stands alone.
    """
    room, packed = [], []
    for piece in sorted(pieces, key=lambda piece: piece.shape[1], reverse=True):
        length = piece.shape[1]
        if room and -room[0][0] >= length:
            left, row = heapq.heappop(room)
        else:
            left, row = -n, len(packed)
            packed.append([])
        packed[row].append(piece)
        heapq.heappush(room, (left + length, row))
    for row in packed:
        rng.shuffle(row)
    return [np.pad(whole, ((0, 0), (0, n - whole.shape[1]))) for whole in (np.concatenate(row, axis=1) for row in packed)]


def batch(pieces):
    """Pieces → (ids[B, T], targets[B, T], how many targets there are); a target is -1 where there is nothing to learn."""
    block = torch.zeros((len(pieces), 2, max(piece.shape[1] for piece in pieces)), dtype=torch.int64)
    for row, piece in zip(block, pieces):
        row[:, :piece.shape[1]] = torch.from_numpy(piece)
    ids, learned = block[:, 0], block[:, 1, 1:].bool()
    return ids[:, :-1].contiguous(), ids[:, 1:].masked_fill(~learned, -1), int(learned.sum())


class Feed:
    """Batches of packed rows, made ahead by a thread, so that a GPU need not wait for them."""

    def __init__(self, groups, mix, n_ctx, whole, n_rows, line_break, seed):
        stream = rows(groups, mix, n_ctx, whole, random.Random(seed), line_break)
        self.ready, self.n_rows = Queue(16), n_rows
        Thread(target=self.fill, args=(stream,), daemon=True).start()

    def fill(self, stream):
        try:
            while True:
                ids, targets, n = batch([next(stream) for _ in range(self.n_rows)])
                if torch.cuda.is_available():
                    ids, targets = ids.pin_memory(), targets.pin_memory()
                self.ready.put((ids, targets, n))
        except BaseException as error:  # told to who waits for the batch
            self.ready.put(error)

    def next(self, device):
        """(ids, targets, n) as `batch` makes them, on the device."""
        made = self.ready.get()
        if isinstance(made, BaseException):
            raise made
        ids, targets, n = made
        return ids.to(device, non_blocking=True), targets.to(device, non_blocking=True), max(1, n)


def byte_lengths(tokenizer):
    """How many bytes of text each id stands for: a byte-level piece has one character a byte, a control token none."""
    description = json.loads(tokenizer.to_str())
    lengths = np.zeros(tokenizer.get_vocab_size(), dtype=np.int64)
    for text, token in description["model"]["vocab"].items():
        lengths[token] = len(text)
    for control in description["added_tokens"]:
        lengths[control["id"]] = 0
    return lengths
