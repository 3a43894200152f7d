"""Training within a time budget: Muon for the matrices, AdamW for the rest, a learning rate that reaches 0 on time.

One process on CPU or GPU, or many under `torchrun --nproc-per-node N -m pagelm_train train …`.
"""

import json
import os
import random
import time
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from . import shards
from . import tokenizer as tok
from .corpora import SOURCES
from .model import PRESETS, Config, Model

# How often a document of each source comes up per round: first every story, at the end only those that fit whole into
# the context, so that the model's last lesson is how a short story ends.
MIX = {"tinystories": 2, "child": 1.5, "bedtime": 1, "campfire": 0.25, "llama-stories": 0.5, "retold": 0.5,
       "storyweaver": 2, "african-storybook": 2, "aesop": 2}
FINAL_MIX = {"tinystories": 2, "child": 1, "bedtime": 1, "campfire": 0.25, "llama-stories": 0.5, "retold": 0.5,
             "storyweaver": 1, "african-storybook": 1, "aesop": 1}
FINAL_FROM = 0.75  # of the budget
REPLAY = 0.30  # the share of story tokens while the tasks are learned
WARM_UP, CONSTANT_UNTIL = 0.01, 0.30


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised by a Newton-Schulz iteration (Keller Jordan, 2024)."""

    def __init__(self, weights, lr, momentum=0.95):
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                state = self.state[w]
                if not state:
                    state["momentum"] = torch.zeros_like(w)
                state["momentum"].lerp_(w.grad, 1 - group["momentum"])
                update = orthogonal(w.grad.lerp(state["momentum"], group["momentum"]))
                w.mul_(1 - 0.1 * group["lr"])
                w.add_(update, alpha=-group["lr"] * max(1, w.shape[0] / w.shape[1]) ** 0.5)


def orthogonal(g, steps=5):
    x = g.bfloat16()
    if transposed := x.shape[0] > x.shape[1]:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.T if transposed else x).to(g.dtype)


def learning_rate(progress):
    """The factor at a fraction of the budget: warm-up, constant, straight to 0."""
    if progress < WARM_UP:
        return max(progress / WARM_UP, 0.02)
    return min(1.0, max(0.0, (1 - progress) / (1 - CONSTANT_UNTIL)))


@torch.no_grad()
def held_out_bits(model, groups, lengths, device, autocast, limit=None):
    """Bits per byte of what is to be learned, by group: each piece by itself, in windows of the context."""
    result = {}
    model.eval()
    for name, pieces in groups.items():
        nats, size = 0.0, 0
        windows = [part for piece in pieces[:limit] for part in shards.parts(piece, model.config.n_ctx)]
        windows.sort(key=lambda part: part.shape[1])
        for i in range(0, len(windows), 16):
            ids, targets = shards.batch(windows[i:i + 16], device)
            with autocast:
                nats += model(ids, targets).item()
        for piece in pieces[:limit]:
            size += int(lengths[piece[0, piece[1] > 0]].sum())
        if size:
            result[name] = (nats, size)
    model.train()
    result["all"] = tuple(map(sum, zip(*result.values())))
    return {name: nats / size / np.log(2) for name, (nats, size) in result.items()}


def load_checkpoint(out, device="cpu", n_ctx=None):
    """(model, state) of the last checkpoint, with another context where one is given."""
    state = torch.load(Path(out) / "checkpoint.pt", map_location=device, weights_only=True)
    config = Config(**state["config"])
    model = Model(replace(config, n_ctx=n_ctx or config.n_ctx)).to(device)
    model.load_state_dict(state["model"])
    return model, state


def load_exported(model, path, tokenizer=None):
    """Weights from an exported GGUF, so that training can go on where only the file is at hand.

    Where the model's vocabulary extends the file's, a new piece begins as the mean of the old pieces that spell it.
    Returns what the file says of its own training: tokens, steps and hours.
    """
    from gguf import GGUFReader, dequantize

    reader = GGUFReader(path)
    weights = {t.name: torch.from_numpy(dequantize(t.data, t.tensor_type).copy()) for t in reader.tensors}
    state, old = model.state_dict(), weights["token_embd.weight"]
    if len(old) < len(state["token_embd.weight"]):
        spelled = tok.spell(tokenizer, len(old))
        new = [old[ids].mean(0) if ids else old.mean(0) for ids in spelled]
        weights["token_embd.weight"] = torch.cat((old, torch.stack(new)))
    model.load_state_dict({name: weights[name].view_as(w) for name, w in state.items()})
    keys = {name: f"pagelm.training.{name}" for name in ("tokens", "steps", "hours")}
    return {name: reader.fields[key].contents() for name, key in keys.items() if key in reader.fields}


def mixtures(groups, model):
    """How often a piece of each group comes up per round: (before FINAL_FROM, after it)."""
    if model == "story":
        return MIX, FINAL_MIX
    tokens = {name: sum(piece.shape[1] for piece in pieces) for name, pieces in groups.items()}
    tasks = {name: 1 for name in groups if name not in SOURCES}
    story = sum(tokens[name] * times for name, times in FINAL_MIX.items())
    factor = REPLAY / (1 - REPLAY) * sum(tokens[name] for name in tasks) / max(1, story)
    mix = {**tasks, **{name: times * factor for name, times in FINAL_MIX.items()}}
    return mix, mix


def run(args):
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if world > 1:
        dist.init_process_group("nccl" if cuda else "gloo")
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    out, data = Path(args.out), Path(args.data)
    out.mkdir(parents=True, exist_ok=True)

    tokenizer = tok.load(data, args.model)
    if args.resume:
        model, state = load_checkpoint(out, device, args.ctx)
    else:
        shape = PRESETS[args.preset]
        shape = replace(shape, n_vocab=tokenizer.get_vocab_size(), n_ctx=args.ctx or shape.n_ctx)
        model = Model(shape).to(device)
        state = {"step": 0, "tokens": 0, "seconds": 0.0}
        if args.init:
            state["before"] = load_exported(model, args.init, tokenizer)
    matrices = [w for name, w in model.named_parameters() if w.dim() == 2 and "token_embd" not in name]
    others = [w for name, w in model.named_parameters() if w.dim() != 2 or "token_embd" in name]
    optimizers = [Muon(matrices, args.lr), torch.optim.AdamW(others, args.lr_embd, betas=(0.9, 0.95), weight_decay=0.0)]
    if args.resume:
        for optimizer, saved in zip(optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
    base = [[g["lr"] for g in o.param_groups] for o in optimizers]
    if args.resume:
        base = [[args.lr], [args.lr_embd]]

    c = model.config
    forward = torch.compile(model) if args.compile else model
    if world > 1:
        forward = DistributedDataParallel(forward, device_ids=[device.index] if cuda else None)
    autocast = torch.autocast(device.type, torch.bfloat16)
    groups, held_out = (shards.load(data, split, args.model) for split in ("train", "held-out"))
    lengths = shards.byte_lengths(tokenizer)
    rng = random.Random(f"{args.seed} {rank} {state['step']}")
    first, last = mixtures(groups, args.model)
    line_break = tokenizer.token_to_id("Ċ")
    streams = [shards.rows(groups, mix, c.n_ctx, whole, rng, line_break) for mix, whole in ((first, False), (last, True))]

    step, tokens, before = state["step"], state["tokens"], state["seconds"]
    started = time.monotonic()
    log = open(out / "log.jsonl", "a" if args.resume else "w") if rank == 0 else None

    def note(**entry):
        if rank == 0:
            entry = {k: round(v, 5) if isinstance(v, float) else v for k, v in entry.items()}
            log.write(json.dumps(entry, default=str) + "\n")
            log.flush()
            print(json.dumps(entry, default=str), flush=True)

    def checkpoint():
        if rank == 0:
            torch.save({"config": asdict(c), "model": model.state_dict(), "step": step, "tokens": tokens,
                        "seconds": seconds, "before": state.get("before", {}), "optimizers": [o.state_dict() for o in optimizers]}, out / "checkpoint.tmp")
            os.replace(out / "checkpoint.tmp", out / "checkpoint.pt")

    note(config=asdict(c), parameters=sum(w.numel() for w in model.parameters()), args=vars(args), world=world,
         device=torch.cuda.get_device_name() if cuda else f"CPU, {args.threads} threads", torch=torch.__version__)
    last_eval, mean, seconds = before, None, before
    while True:
        seconds = before + time.monotonic() - started
        done = step / args.steps if args.steps else seconds / (60 * args.minutes)
        if world > 1:  # every process must see the same clock
            shared = torch.tensor([done], device=device)
            dist.broadcast(shared, 0)
            done = shared.item()
        if done >= 1:
            break
        progress = args.part[0] + done * (args.part[1] - args.part[0])
        for optimizer, rates in zip(optimizers, base):
            for group, rate in zip(optimizer.param_groups, rates):
                group["lr"] = rate * learning_rate(progress)
        stream = streams[progress >= FINAL_FROM]
        ids, targets = shards.batch([next(stream) for _ in range(args.rows)], device)
        n = max(1, int((targets >= 0).sum()))
        loss = 0.0
        parts = range(0, len(ids), args.micro or len(ids))  # a few rows at a time stay in the CPU's cache
        for i in parts:
            alone = forward.no_sync() if world > 1 and i != parts[-1] else nullcontext()
            with alone:
                with autocast:
                    nats = forward(ids[i:i + parts.step], targets[i:i + parts.step]) / n
                nats.backward()
            loss += nats.item()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        tokens += n * world
        mean = loss if mean is None else 0.97 * mean + 0.03 * loss
        if step % 25 == 0 or step < 4:
            note(step=step, tokens=tokens, seconds=before + time.monotonic() - started, loss=mean,
                 grad_norm=norm.item(), lr=learning_rate(progress))
        if seconds - last_eval > 60 * args.eval_minutes or step == 200:
            last_eval = seconds
            bits = held_out_bits(model, held_out, lengths, device, autocast, limit=24) if rank == 0 else {}
            note(step=step, tokens=tokens, seconds=before + time.monotonic() - started, held_out=bits)
            checkpoint()
    checkpoint()
    if rank == 0:
        note(step=step, tokens=tokens, seconds=before + time.monotonic() - started, final=True,
             held_out=held_out_bits(model, held_out, lengths, device, nullcontext()))
    if world > 1:
        dist.destroy_process_group()
