"""Packing, where torch is installed: the shards' readers need it."""

import random

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")

from pagelm_train import shards  # noqa: E402


def story(n, token):
    piece = np.stack([np.full(n, token, dtype=np.int64), np.ones(n, dtype=np.int64)])
    piece[:, 0], piece[0, -1] = 0, 0
    return piece


def test_a_packed_row_holds_whole_pieces_in_any_order():
    pieces = [story(60, 1), story(30, 2), story(9, 3)] * 20
    rows = shards.pack(pieces, 101, random.Random(1))
    assert sum(row[1].sum() for row in rows) == sum(piece[1].sum() for piece in pieces)
    assert all(row.shape == (2, 101) for row in rows)
    assert {int(row[0, 1]) for row in rows} == {1, 2, 3}, "a short piece must come first as well"


def test_what_a_batch_does_not_teach_has_no_target():
    ids, targets, n = shards.batch([story(5, 7), story(3, 8)])
    assert ids.tolist() == [[0, 7, 7, 7], [0, 8, 0, 0]]
    assert targets.tolist() == [[7, 7, 7, 0], [8, 0, -1, -1]]
    assert n == 6


def test_a_feed_tells_what_went_wrong():
    feed = shards.Feed({}, {"nothing": 1}, 16, False, 2, 199, "seed")
    with pytest.raises(SystemExit, match="names no shard"):
        feed.next("cpu")
