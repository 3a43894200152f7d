"""The llama architecture: RMSNorm, rotary positions on adjacent pairs, grouped-query attention, SwiGLU, tied embedding.

Parameters carry llama.cpp's names, and every weight is stored as its GGUF tensor will be: nothing is permuted.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    n_vocab: int = 4096
    n_ctx: int = 512
    n_embd: int = 192
    n_layer: int = 6
    n_head: int = 6
    n_head_kv: int = 2
    n_ff: int = 512
    rope_base: float = 10000.0
    rms_eps: float = 1e-5

    @property
    def head_dim(self):
        return self.n_embd // self.n_head


# Every row must be a multiple of 32, the block of Q8_0 and Q4_0.
PRESETS = {
    "smoke": Config(n_embd=64, n_layer=2, n_head=2, n_head_kv=1, n_ff=128, n_ctx=128),
    "small": Config(n_embd=128, n_layer=4, n_head=4, n_ff=352),
    "story": Config(),
    "large": Config(n_embd=256, n_layer=8, n_head=8, n_ff=704),
    "base": Config(n_embd=384, n_layer=8, n_head=6, n_ff=1024),
    "tasks": Config(n_vocab=8192),
    "tasks-base": Config(n_vocab=8192, n_embd=384, n_layer=8, n_head=6, n_ff=1024),
}


def rotate(x, cos, sin):
    """Rotary positions for x[..., T, Dh]: the pair (2i, 2i+1) turns by position × base^(-2i/Dh)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def attention(q, k, v, chunk=128):
    """Causal attention of q[B, H, T, Dh] over k, v[B, K, T, Dh], for CPUs.

    The heads that share keys are rows of one matrix, and a chunk of queries looks no further than its own end: on two
    AVX-512 cores a training step takes two thirds of the time it takes with PyTorch's fused kernel.
    """
    (b, h, t, dh), kv = q.shape, k.shape[1]
    q = (q * dh**-0.5).view(b * kv, h // kv, t, dh)
    k, v = k.reshape(b * kv, t, dh), v.reshape(b * kv, t, dh)
    later = torch.full((chunk, chunk), float("-inf"), dtype=q.dtype).triu(1)
    out = []
    for start in range(0, t, chunk):
        end = min(start + chunk, t)
        n = end - start
        scores = (q[:, :, start:end].reshape(b * kv, -1, dh) @ k[:, :end].transpose(1, 2)).view(b * kv, -1, n, end)
        scores = torch.cat((scores[..., :start], scores[..., start:] + later[:n, :n]), -1)
        out.append((scores.softmax(-1).view(b * kv, -1, end) @ v[:, :end]).view(b, h, n, dh))
    return torch.cat(out, 2)


class Block(nn.Module):
    def __init__(self, c, dropout=0.0):
        super().__init__()
        self.c = c
        self.dropout = nn.Dropout(dropout)
        self.attn_norm = nn.RMSNorm(c.n_embd, eps=c.rms_eps)
        self.attn_q = nn.Linear(c.n_embd, c.n_head * c.head_dim, bias=False)
        self.attn_k = nn.Linear(c.n_embd, c.n_head_kv * c.head_dim, bias=False)
        self.attn_v = nn.Linear(c.n_embd, c.n_head_kv * c.head_dim, bias=False)
        self.attn_output = nn.Linear(c.n_head * c.head_dim, c.n_embd, bias=False)
        self.ffn_norm = nn.RMSNorm(c.n_embd, eps=c.rms_eps)
        self.ffn_gate = nn.Linear(c.n_embd, c.n_ff, bias=False)
        self.ffn_up = nn.Linear(c.n_embd, c.n_ff, bias=False)
        self.ffn_down = nn.Linear(c.n_ff, c.n_embd, bias=False)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        c = self.c
        h = self.attn_norm(x)
        q = self.attn_q(h).view(b, t, c.n_head, c.head_dim).transpose(1, 2)
        k = self.attn_k(h).view(b, t, c.n_head_kv, c.head_dim).transpose(1, 2)
        v = self.attn_v(h).view(b, t, c.n_head_kv, c.head_dim).transpose(1, 2)
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True) if x.is_cuda else attention(q, k, v)
        x = x + self.dropout(self.attn_output(a.transpose(1, 2).reshape(b, t, -1)))
        h = self.ffn_norm(x)
        return x + self.dropout(self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h)))


class Model(nn.Module):
    """`dropout` is the share of each block's output, and of the embedding, that is left out at random while training."""

    def __init__(self, config, dropout=0.0):
        super().__init__()
        c = self.config = config
        self.dropout = nn.Dropout(dropout)
        self.token_embd = nn.Embedding(c.n_vocab, c.n_embd)
        self.blk = nn.ModuleList(Block(c, dropout) for _ in range(c.n_layer))
        self.output_norm = nn.RMSNorm(c.n_embd, eps=c.rms_eps)
        self.summed_loss = summed_loss
        frequency = c.rope_base ** (-torch.arange(0, c.head_dim, 2, dtype=torch.float64) / c.head_dim)
        angle = torch.outer(torch.arange(c.n_ctx, dtype=torch.float64), frequency)
        self.register_buffer("cos", angle.cos().float(), persistent=False)
        self.register_buffer("sin", angle.sin().float(), persistent=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                std = 0.02 if "token_embd" in name else weight.shape[1] ** -0.5
                nn.init.normal_(weight, std=std)
            if name.endswith(("attn_output.weight", "ffn_down.weight")):
                nn.init.zeros_(weight)  # every block starts as the identity

    def compile_parts(self):
        """Compiles a block and the loss, not the whole: every block runs the same code, so this takes seconds."""
        for block in self.blk:
            block.compile()
        self.summed_loss = torch.compile(summed_loss)

    def hidden(self, ids):
        """ids[B, T] → what the output head reads, [B, T, D]."""
        x = self.dropout(self.token_embd(ids))
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for block in self.blk:
            x = block(x, cos, sin)
        return self.output_norm(x)

    def forward(self, ids, targets=None, taught=None, teach=0.0):
        """ids[B, T] → logits[B, T, V]; with targets[B, T] (-1: no target) the summed loss in nats.

        `taught` are a teacher's logits[B, T, V]: the share `teach` of what is to be learned is then the teacher's
        distribution, and the rest the token that stands there.
        """
        x = self.hidden(ids)
        if targets is None:
            return F.linear(x, self.token_embd.weight).float()
        if x.is_cuda:  # a shape that never changes is worth more there than the work saved
            return self.summed_loss(x, self.token_embd.weight, targets, taught, teach)
        learned = targets >= 0  # the output head is a third of the work: it is computed where there is something to learn
        taught = taught if taught is None else taught[learned]
        return self.summed_loss(x[learned], self.token_embd.weight, targets[learned], taught, teach)


def summed_loss(x, embedding, targets, taught, teach):
    """Cross-entropy in nats of the tokens, and of a teacher's distribution, over all positions that have a target."""
    logits = F.linear(x, embedding).flatten(0, -2).float()
    targets = targets.flatten()
    nats = F.cross_entropy(logits, targets, reduction="sum", ignore_index=-1)
    if taught is None:
        return nats
    soft = -(taught.flatten(0, -2).float().softmax(-1) * logits.log_softmax(-1)).sum(-1)
    return (1 - teach) * nats + teach * (soft * (targets >= 0)).sum()
