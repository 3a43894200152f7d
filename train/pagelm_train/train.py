"""Training within a time budget: Muon for the matrices, AdamW for the rest, a learning rate that reaches 0 on time.

One process on CPU or GPU, or many under `torchrun --nproc-per-node N -m pagelm_train train …`.
"""

import heapq
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

from .model import PRESETS, Config, Model
from .tokenizer import load as load_tokenizer

# How often a document of each source comes up per round: first every story, at the end only those that fit whole into
# the context, so that the model's last lesson is how a short story ends.
MIX = {"tinystories": 2, "child": 1, "bedtime": 0.3, "storyweaver": 1.5, "african-storybook": 1.5, "aesop": 1.5}
FINAL_MIX = {"tinystories": 1, "child": 1, "bedtime": 0.3, "storyweaver": 1, "african-storybook": 1, "aesop": 1}
FINAL_FROM = 0.75  # of the budget
WARM_UP, CONSTANT_UNTIL = 0.01, 0.30


def read_shard(data, split, source):
    """The documents of a shard, each with the end-of-text token before and after it."""
    ids = np.fromfile(Path(data) / "tokens" / f"{split}-{source}.bin", dtype=np.uint16).astype(np.int64)
    ends = np.flatnonzero(ids == 0)
    return [ids[a:b + 1] for a, b in zip(ends[:-1], ends[1:])]


def rows(documents, mix, n_ctx, whole, rng):
    """Endless packed rows of n_ctx + 1 ids, -1 where a row is left empty.

    A document that is too long gives its beginning or its end, by lot; with `whole` it is left out.
    """
    n = n_ctx + 1
    while True:
        pieces = []
        for source, times in mix.items():
            for document in documents[source]:
                for _ in range(int(times) + (rng.random() < times % 1)):
                    if len(document) <= n:
                        pieces.append(document)
                    elif not whole:
                        pieces.append(document[:n] if rng.random() < 0.5 else document[-n:])
        rng.shuffle(pieces)
        for i in range(0, len(pieces), 2000):
            packed = pack(pieces[i:i + 2000], n)
            rng.shuffle(packed)
            yield from packed


def pack(pieces, n):
    """Longest first, each into the row with the most room left, else into a new one."""
    room, packed = [], []
    for piece in sorted(pieces, key=len, reverse=True):
        if room and -room[0][0] >= len(piece):
            left, row = heapq.heappop(room)
        else:
            left, row = -n, len(packed)
            packed.append(np.full(n, -1, dtype=np.int64))
        at = n + left
        packed[row][at:at + len(piece)] = piece
        heapq.heappush(room, (left + len(piece), row))
    return packed


def batch(stream, count, device):
    block = torch.from_numpy(np.stack([next(stream) for _ in range(count)]))
    ids, targets = block[:, :-1].clamp(min=0), block[:, 1:]
    # From one end of text to the next there is nothing to learn: documents in a row are unrelated, the next begins anew.
    targets = targets.masked_fill((block[:, :-1] == 0) & (targets == 0), -1)
    return ids.to(device), targets.to(device)


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
    x = g.bfloat16() if g.is_cuda else g.float()
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
def held_out_bits(model, data, device, autocast, limit=None):
    """Bits per byte of held-out text by source: each document by itself, in windows of the context."""
    counts = json.loads((Path(data) / "tokens" / "counts.json").read_text())["held-out"]
    result, c = {}, model.config
    model.eval()
    for source in counts:
        nats, tokens, used = 0.0, 0, 0
        documents = read_shard(data, "held-out", source)
        documents = documents[:limit] if limit else documents
        pieces = [d[i:i + c.n_ctx + 1] for d in documents for i in range(0, len(d) - 1, c.n_ctx)]
        for row in pack_alone(pieces, 16):
            block = torch.full((len(row), max(map(len, row))), -1)
            for i, piece in enumerate(row):
                block[i, :len(piece)] = torch.from_numpy(piece)
            ids, targets = block[:, :-1].clamp(min=0).to(device), block[:, 1:].to(device)
            with autocast:
                loss = model(ids, targets).item()
            n = int((targets >= 0).sum())
            nats, tokens = nats + loss * n, tokens + n
        share = sum(len(d) - 1 for d in documents) / counts[source]["tokens"]
        result[source] = {"nats": nats, "tokens": tokens, "bytes": counts[source]["bytes"] * share}
    model.train()
    total = {k: sum(r[k] for r in result.values()) for k in ("nats", "tokens", "bytes")}
    return {name: r["nats"] / r["bytes"] / np.log(2) for name, r in {**result, "all": total}.items()}


def pack_alone(pieces, count):
    """Batches of pieces of about the same length."""
    pieces = sorted(pieces, key=len)
    return [pieces[i:i + count] for i in range(0, len(pieces), count)]


def load_checkpoint(out, device="cpu"):
    state = torch.load(Path(out) / "checkpoint.pt", map_location=device, weights_only=True)
    model = Model(Config(**state["config"])).to(device)
    model.load_state_dict(state["model"])
    return model, state


def load_exported(model, path):
    """Weights from an exported GGUF, so that training can go on where only the file is at hand."""
    from gguf import GGUFReader, dequantize

    weights = {t.name: torch.from_numpy(dequantize(t.data, t.tensor_type).copy()) for t in GGUFReader(path).tensors}
    model.load_state_dict({name: weights[name].view_as(w) for name, w in model.state_dict().items()})


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

    if args.resume:
        model, state = load_checkpoint(out, device)
    else:
        model = Model(replace(PRESETS[args.preset], n_vocab=load_tokenizer(data).get_vocab_size())).to(device)
        state = {"step": 0, "tokens": 0, "seconds": 0.0}
        if args.init:
            load_exported(model, args.init)
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
    documents = {source: read_shard(data, "train", source) for source in MIX}
    rng = random.Random(f"{args.seed} {rank} {state['step']}")
    streams = [rows(documents, MIX, c.n_ctx, False, rng), rows(documents, FINAL_MIX, c.n_ctx, True, rng)]

    step, tokens, before = state["step"], state["tokens"], state["seconds"]
    started = time.monotonic()
    log = open(out / "log.jsonl", "a" if args.resume else "w") if rank == 0 else None

    def note(**entry):
        if rank == 0:
            entry = {k: round(v, 5) if isinstance(v, float) else v for k, v in entry.items()}
            log.write(json.dumps(entry) + "\n")
            log.flush()
            print(json.dumps(entry), flush=True)

    def checkpoint():
        if rank == 0:
            torch.save({"config": asdict(c), "model": model.state_dict(), "step": step, "tokens": tokens,
                        "seconds": seconds, "optimizers": [o.state_dict() for o in optimizers]}, out / "checkpoint.tmp")
            os.replace(out / "checkpoint.tmp", out / "checkpoint.pt")

    note(config=asdict(c), parameters=sum(w.numel() for w in model.parameters()), args=vars(args), world=world,
         device=torch.cuda.get_device_name() if cuda else f"CPU, {args.threads} threads", torch=torch.__version__)
    last_eval, mean, seconds = before, None, before
    while True:
        seconds = before + time.monotonic() - started
        progress = step / args.steps if args.steps else seconds / (60 * args.minutes)
        if world > 1:  # every process must see the same clock
            shared = torch.tensor([progress], device=device)
            dist.broadcast(shared, 0)
            progress = shared.item()
        if progress >= 1:
            break
        for optimizer, rates in zip(optimizers, base):
            for group, rate in zip(optimizer.param_groups, rates):
                group["lr"] = rate * learning_rate(progress)
        ids, targets = batch(streams[progress >= FINAL_FROM], args.rows, device)
        with autocast:
            loss = forward(ids, targets)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        tokens += int((targets >= 0).sum()) * world
        mean = loss.item() if mean is None else 0.97 * mean + 0.03 * loss.item()
        if step % 25 == 0 or step < 4:
            note(step=step, tokens=tokens, seconds=before + time.monotonic() - started, loss=mean,
                 grad_norm=norm.item(), lr=learning_rate(progress))
        if seconds - last_eval > 60 * args.eval_minutes or step == 200:
            last_eval = seconds
            bits = held_out_bits(model, data, device, autocast, limit=24) if rank == 0 else {}
            note(step=step, tokens=tokens, seconds=before + time.monotonic() - started, held_out=bits)
            checkpoint()
    checkpoint()
    if rank == 0:
        note(step=step, tokens=tokens, seconds=before + time.monotonic() - started, final=True,
             held_out=held_out_bits(model, data, device, nullcontext()))
    if world > 1:
        dist.destroy_process_group()
