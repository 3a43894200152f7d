"""Records what PyTorch's modules make of a textbook's block: one for tests/inspect.rs, and a small one for the lesson that shows it.

    python tests/conformance/block.py

tests/fixtures/block.json and www/src/learn/textbook.json, in which every number has room on a page: one input and random weights, and each step of four blocks: as in the paper, without a mask, with
scores divided by √D, and with one head's weights for all heads.
"""

import json
from math import sqrt
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).parents[2]
# n_tokens, n_embd, n_head, n_ff
FILES = {"tests/fixtures/block.json": (6, 16, 4, 24), "www/src/learn/textbook.json": (4, 8, 2, 16)}


def heads(x: torch.Tensor) -> torch.Tensor:
    return x.reshape(N_TOKENS, N_HEAD, HEAD).transpose(0, 1)


def run(layer: nn.TransformerEncoderLayer, x: torch.Tensor, causal: bool, scale: float) -> dict[str, torch.Tensor]:
    """Every step. Where the modules give a number themselves, it is theirs that is compared."""
    attention = layer.self_attn
    q, k, v = F.linear(x, attention.in_proj_weight, attention.in_proj_bias).chunk(3, dim=-1)
    hidden = torch.full((N_TOKENS, N_TOKENS), -torch.inf, dtype=x.dtype).triu(1) if causal else None
    scores = heads(q) @ heads(k).transpose(1, 2) * scale
    weights = (scores if hidden is None else scores + hidden).softmax(-1)
    read = (weights @ heads(v)).transpose(0, 1).reshape(N_TOKENS, N_EMBD)
    attn = attention.out_proj(read)
    sum1 = x + attn
    norm1 = layer.norm1(sum1)
    linear1 = layer.linear1(norm1)
    ffn = layer.linear2(linear1.relu())
    sum2 = norm1 + ffn
    out = layer.norm2(sum2)
    same = F.scaled_dot_product_attention(heads(q), heads(k), heads(v), hidden, scale=scale)
    assert torch.allclose(same, heads(read))
    if scale == 1 / sqrt(HEAD):
        theirs, their_weights = attention(x, x, x, attn_mask=hidden, average_attn_weights=False)
        assert torch.allclose(theirs, attn) and torch.allclose(their_weights, weights)
        assert torch.allclose(layer(x, src_mask=hidden), out)
    return dict(q=q, k=k, v=v, scores=scores, weights=weights, heads=read, attn=attn, sum1=sum1, norm1=norm1, linear1=linear1, hidden=linear1.relu(), ffn=ffn, sum2=sum2, out=out)


def thousandths(n: int, size: float) -> torch.Tensor:
    """Random numbers that three decimals write exactly."""
    return ((torch.rand(n, dtype=torch.float64) * 2 - 1) * size * 1000).round() / 1000


def main() -> None:
    global N_TOKENS, N_EMBD, N_HEAD, N_FF, HEAD
    for name, shape in FILES.items():
        N_TOKENS, N_EMBD, N_HEAD, N_FF = shape
        HEAD = N_EMBD // N_HEAD
        record(ROOT / name)


def record(file: Path) -> None:
    torch.manual_seed(7)
    layer = nn.TransformerEncoderLayer(N_EMBD, N_HEAD, N_FF, dropout=0.0, batch_first=True).double().eval()
    x = thousandths(N_TOKENS * N_EMBD, 1.5)
    for name, parameter in layer.named_parameters():
        around = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        parameter.data = thousandths(parameter.numel(), 0.6).reshape(parameter.shape) + around
    usual = 1 / sqrt(HEAD)
    record = {"nTokens": N_TOKENS, "nEmbd": N_EMBD, "nHead": N_HEAD, "nFf": N_FF, "x": numbers(x, 3), "cases": []}
    with torch.no_grad():
        for name, causal, scale in [("textbook", True, usual), ("noMask", False, usual), ("byWidth", True, 1 / sqrt(N_EMBD)), ("sharedHeads", True, usual)]:
            if name == "sharedHeads":
                share(layer.self_attn.in_proj_weight)
                share(layer.self_attn.in_proj_bias)
            steps = run(layer, x.reshape(N_TOKENS, N_EMBD), causal, scale)
            weights = numbers(torch.cat([p.flatten() for p in layer.state_dict().values()]), 3)
            case = {"name": name, "causal": causal, "scale": scale, "weights": weights}
            record["cases"].append(case | {"steps": {step: numbers(values, 7) for step, values in steps.items()}})
    # Weights are written once, but for those of the last case.
    record["weights"] = record["cases"][0]["weights"]
    for case in record["cases"][:-1]:
        assert case.pop("weights") == record["weights"]
    file.write_text(json.dumps(record, separators=(",", ":")).replace("],", "],\n") + "\n")


def share(parameter: torch.Tensor) -> None:
    """Gives all heads the first one's rows, in queries, keys and values."""
    parts = parameter.data.reshape(3, N_HEAD, HEAD, -1)
    parts[:] = parts[:, :1].clone()


def numbers(values: torch.Tensor, decimals: int) -> list[float]:
    return [round(x, decimals) for x in values.flatten().tolist()]


if __name__ == "__main__":
    main()
