"""Does a head of the model look for what came after the last time? Induction heads (Olsson et al., 2022) are how a model
goes on with a name or a phrase that stands in the text above."""

from math import sqrt

import torch

from ..model import rotate

ROWS, N, SEED = 32, 64, 1  # sequences of N random tokens, or as many as the context holds, each read twice


@torch.no_grad()
def attentions(model, ids):
    """Of every layer, attention[B, H, T, T] over ids[B, T]: the model's forward pass with its scores written down."""
    c, t = model.config, ids.shape[1]
    x, cos, sin = model.token_embd(ids), model.cos[:t], model.sin[:t]
    later = torch.full((t, t), float("-inf")).triu(1)
    found = []
    for block in model.blk:
        h = block.attn_norm(x)
        q, k = (rotate(w(h).unflatten(-1, (-1, c.head_dim)).transpose(1, 2), cos, sin) for w in (block.attn_q, block.attn_k))
        k = k.repeat_interleave(c.n_head // c.n_head_kv, 1)
        found.append((q @ k.transpose(-1, -2) / sqrt(c.head_dim) + later).softmax(-1))
        x = block(x, cos, sin)
    return found


def measure(model):
    """Random tokens, twice in a row: how much a head attends, from a token's second place, to the one after its first.

    Returns each head's mean, by layer, and the largest.
    """
    n = min(N, (model.config.n_ctx - 1) // 2)
    once = torch.randint(1, model.config.n_vocab, (ROWS, n), generator=torch.Generator().manual_seed(SEED))
    ids = torch.cat((torch.zeros(ROWS, 1, dtype=torch.int64), once, once), 1)
    here = torch.arange(n + 1, 2 * n)  # the last has no token after its first place but its own second one
    by_layer = [a[:, :, here, here - n + 1].mean((0, 2)).tolist() for a in attentions(model, ids)]
    best, layer, head = max((score, layer, head) for layer, heads in enumerate(by_layer) for head, score in enumerate(heads))
    return {"best": best, "layer": layer, "head": head, "by_layer": by_layer, "by_chance": 1 / (1.5 * n)}
