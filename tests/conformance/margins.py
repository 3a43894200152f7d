"""Finds seeds for the mixtures of experts: python tests/conformance/margins.py NAME [SEEDS]

Rounding to 8 bits can send a token that is nearly undecided to another expert, and then says nothing about how exactly
the engine computes. So the seed is taken at which the least gap, between an expert that is chosen and one that is not, is
the widest beside the spread of the router's scores, with weights in Q8_0.
"""

import sys

import files
import models
import torch
from cases import CASES


def margin(case, model, rows, seed: int) -> float:
    models.fill(case, model, files.store(rows, models.draw(rows, seed), "Q8_0")[1])
    scores = []
    routers = [module for name, module in model.named_modules() if name.endswith("mlp.gate")]
    hooks = [r.register_forward_hook(lambda r, x, _: scores.append(x[0].reshape(-1, models.D) @ r.weight.T)) for r in routers]
    with torch.no_grad():
        model(torch.tensor([models.tokens()]))
    for hook in hooks:
        hook.remove()
    n = case.keys["expert_used_count"]
    all_scores = torch.cat(scores)
    ranked = all_scores.sort(dim=-1, descending=True).values
    return float((ranked[:, n - 1] - ranked[:, n]).min() / all_scores.std())


def main() -> None:
    case = CASES[sys.argv[1]]
    model = models.network(case)
    rows = models.plan(case, model)
    found = []
    for seed in range(0, 1000 * int(sys.argv[2] if len(sys.argv) > 2 else 40), 1000):
        found.append((margin(case, model, rows, seed), seed))
    print(sys.argv[1], sorted(found)[-3:])


if __name__ == "__main__":
    main()
