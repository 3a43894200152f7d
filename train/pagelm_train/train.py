"""Training within a time budget: Muon for the matrices, AdamW for the rest, a learning rate that reaches 0 on time.

One process on CPU or GPU, or many under `torchrun --nproc-per-node N -m pagelm_train train …`.
"""

import json
import os
import time
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel

from . import shards
from . import tokenizer as tok
from .corpora import MORE, SOURCES
from .model import PRESETS, Config, Model

# How often a document of each source comes up per round. With --more the further sources come up too, until FINAL_FROM;
# from there on only stories that fit whole into the context, so that the model's last lesson is how a story ends.
MIX = {"tinystories": 1, "child": 1, "bedtime": 1, "campfire": 0.5, "llama-stories": 0.5, "retold": 0.5,
       "storyweaver": 1, "african-storybook": 1, "aesop": 1}
FINAL_FROM = 0.75  # of the budget
REPLAY = 0.30  # the share of story tokens while the tasks are learned
WARM_UP, CONSTANT_UNTIL = 0.01, 0.30
# What is multiplied: bf16 where the processor multiplies it; a CPU with AVX2 alone takes 17 times as long as for f32.
NARROW = torch.bfloat16 if torch.cuda.is_available() or "AVX512" in torch.backends.cpu.get_cpu_capability() else torch.float32


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised by a Newton-Schulz iteration (Keller Jordan, 2024)."""

    def __init__(self, weights, lr, momentum=0.95):
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            alike = defaultdict(list)  # matrices of one shape are one batch: thousands of small kernels would cost more than the model
            for w in group["params"]:
                if not self.state[w]:
                    self.state[w]["momentum"] = torch.zeros_like(w)
                alike[w.shape].append(w)
            for (n_out, n_in), weights in alike.items():
                grads, momenta = [w.grad for w in weights], [self.state[w]["momentum"] for w in weights]
                torch._foreach_lerp_(momenta, grads, 1 - group["momentum"])
                updates = orthogonal(torch.stack(torch._foreach_lerp(grads, momenta, group["momentum"])))
                torch._foreach_mul_(weights, 1 - 0.1 * group["lr"])
                torch._foreach_add_(weights, list(updates), alpha=-group["lr"] * max(1, n_out / n_in) ** 0.5)


def orthogonal(g, steps=5):
    """g[N, rows, columns] → for each matrix, roughly the nearest one whose singular values are all 1."""
    x = g.to(NARROW)
    if transposed := x.shape[-2] > x.shape[-1]:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.mT if transposed else x).to(g.dtype)


def learning_rate(progress):
    """The factor at a fraction of the budget: warm-up, constant, straight to 0."""
    if progress < WARM_UP:
        return max(progress / WARM_UP, 0.02)
    return min(1.0, max(0.0, (1 - progress) / (1 - CONSTANT_UNTIL)))


@torch.no_grad()
def held_out_bits(model, groups, lengths, device, autocast, limit=None):
    """Bits per byte of what is to be learned, by group: each piece by itself, in windows of the context."""
    result, together = {}, 64 if device.type == "cuda" else 16
    model.eval()
    with torch.compiler.set_stance("force_eager"):  # windows have many shapes, each of which would be compiled
        for name, pieces in groups.items():
            nats, size = 0.0, 0
            windows = [part for piece in pieces[:limit] for part in shards.parts(piece, model.config.n_ctx)]
            windows.sort(key=lambda part: part.shape[1])
            for i in range(0, len(windows), together):
                ids, targets, _ = shards.batch(windows[i:i + together])
                with autocast:
                    nats += model(ids.to(device), targets.to(device)).item()
            for piece in pieces[:limit]:
                size += int(lengths[piece[0, piece[1] > 0]].sum())
            if size:
                result[name] = (nats, size)
    model.train()
    result["all"] = tuple(map(sum, zip(*result.values())))
    return {name: nats / size / np.log(2) for name, (nats, size) in result.items()}


def load_checkpoint(out, device="cpu", n_ctx=None, dropout=0.0):
    """(model, state) of the last checkpoint, with another context where one is given."""
    state = torch.load(Path(out) / "checkpoint.pt", map_location=device, weights_only=True)
    config = Config(**state["config"])
    model = Model(replace(config, n_ctx=n_ctx or config.n_ctx), dropout).to(device)
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


def mixtures(groups, model, more=0):
    """How often a piece of each group comes up per round: (before FINAL_FROM, after it)."""
    if model == "story":
        return {**MIX, **{name: more for name in MORE}}, MIX
    tokens = {name: sum(piece.shape[1] for piece in pieces) for name, pieces in groups.items()}
    tasks = {name: 1 for name in groups if name not in SOURCES}
    story = sum(tokens[name] * times for name, times in MIX.items())
    factor = REPLAY / (1 - REPLAY) * sum(tokens[name] for name in tasks) / max(1, story)
    mix = {**tasks, **{name: times * factor for name, times in MIX.items()}}
    return mix, mix


class Run:
    """One training: the model, its optimizers, its batches, its clock and its log."""

    def __init__(self, args):
        self.started, self.args, self.warm_up = time.monotonic(), args, 0.0
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.cuda = torch.cuda.is_available()
        self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if self.cuda else torch.device("cpu")
        if self.world > 1:
            dist.init_process_group("nccl" if self.cuda else "gloo")
        torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)
        if self.cuda:
            torch.set_float32_matmul_precision("high")
        self.out, self.data = Path(args.out), Path(args.data)
        self.out.mkdir(parents=True, exist_ok=True)
        self.tokenizer = tok.load(self.data, args.model)
        self.load_model()
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=NARROW is torch.bfloat16)
        self.held_out, self.lengths = shards.load(self.data, "held-out", args.model), shards.byte_lengths(self.tokenizer)
        self.feeds = self.open_feeds()
        self.log = open(self.out / "log.jsonl", "a" if args.resume else "w") if self.rank == 0 else None

    def load_model(self):
        args = self.args
        if args.resume:
            self.model, self.state = load_checkpoint(self.out, self.device, args.ctx, args.dropout)
        else:
            shape = PRESETS[args.preset]
            shape = replace(shape, n_vocab=self.tokenizer.get_vocab_size(), n_ctx=args.ctx or shape.n_ctx)
            self.model = Model(shape, args.dropout).to(self.device)
            self.state = {"step": 0, "tokens": 0, "seconds": 0.0}
            if args.init:
                self.state["before"] = load_exported(self.model, args.init, self.tokenizer)
        self.step, self.tokens, self.before = self.state["step"], self.state["tokens"], self.state["seconds"]
        matrices = [w for name, w in self.model.named_parameters() if w.dim() == 2 and "token_embd" not in name]
        others = [w for name, w in self.model.named_parameters() if w.dim() != 2 or "token_embd" in name]
        self.rates = [args.lr, args.lr_embd]
        self.optimizers = [Muon(matrices, args.lr), torch.optim.AdamW(others, args.lr_embd, betas=(0.9, 0.95), weight_decay=0.0, fused=self.cuda)]
        for optimizer, saved in zip(self.optimizers, self.state.pop("optimizers", [])):
            optimizer.load_state_dict(saved)
        self.teacher = None
        if args.teacher:
            from .export import read
            self.teacher = read(args.teacher, self.model.config.n_ctx).to(self.device).requires_grad_(False)
        self.forward = self.model
        if self.world > 1:
            self.forward = DistributedDataParallel(self.model, device_ids=[self.device.index] if self.cuda else None)

    def open_feeds(self):
        """Batches before FINAL_FROM and after it, each made ahead by a thread."""
        groups, line_break = shards.load(self.data, "train", self.args.model), self.tokenizer.token_to_id("Ċ")
        mixes = mixtures(groups, self.args.model, self.args.more)
        return [shards.Feed(groups, mix, self.model.config.n_ctx, whole, self.args.rows, line_break,
                            f"{self.args.seed} {self.rank} {self.step} {whole}") for mix, whole in zip(mixes, (False, True))]

    def note(self, **entry):
        if self.rank == 0:
            entry = {k: round(v, 5) if isinstance(v, float) else v for k, v in entry.items()}
            self.log.write(json.dumps(entry, default=str) + "\n")
            self.log.flush()
            print(json.dumps(entry, default=str), flush=True)

    def checkpoint(self):
        if self.rank == 0:
            state = {"config": asdict(self.model.config), "model": self.model.state_dict(), "step": self.step, "tokens": self.tokens,
                     "seconds": self.seconds(), "before": self.state.get("before", {}), "optimizers": [o.state_dict() for o in self.optimizers]}
            torch.save(state, self.out / "checkpoint.tmp")
            os.replace(self.out / "checkpoint.tmp", self.out / "checkpoint.pt")
            return state

    def seconds(self):
        return self.before + time.monotonic() - self.started

    def progress(self):
        """The part of the whole schedule that is over, and whether this run is."""
        whole, warm_up = 60 * self.args.minutes, self.warm_up
        done = self.step / self.args.steps if self.args.steps else (self.seconds() - warm_up) / max(1e-6, whole - warm_up)
        if self.world > 1:  # every process must see the same clock
            shared = torch.tensor([done], device=self.device)
            dist.broadcast(shared, 0)
            done = shared.item()
        return self.args.part[0] + done * (self.args.part[1] - self.args.part[0]), done >= 1

    def gradients(self, ids, targets, n):
        """The mean loss of a batch, a few rows at a time, its gradients added up."""
        loss, parts = 0.0, range(0, len(ids), self.args.micro or len(ids))  # a few rows stay in a CPU's cache
        for i in parts:
            some, wanted = ids[i:i + parts.step], targets[i:i + parts.step]
            alone = self.forward.no_sync() if self.world > 1 and i != parts[-1] else nullcontext()
            with alone:
                with self.autocast:
                    taught = None
                    if self.teacher:
                        with torch.no_grad():
                            taught = F.linear(self.teacher.hidden(some), self.teacher.token_embd.weight)
                    nats = self.forward(some, wanted, taught, self.args.teach) / n
                nats.backward()
            loss = loss + nats.detach()
        return loss

    def prepare(self):
        """Compiles, where that is asked for, and runs a batch for nothing: only then the schedule's clock begins."""
        if self.args.compile or self.args.compile is None and self.cuda:
            self.model.compile_parts()
            if self.teacher:
                self.teacher.compile_parts()
            try:
                self.gradients(*self.feeds[0].next(self.device))
            except Exception as error:  # a compiler that fails costs speed, not the run
                self.note(not_compiled=f"{type(error).__name__}: {error}"[:500])
                torch.compiler.set_stance("force_eager")
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.warm_up = time.monotonic() - self.started

    def train(self):
        last_eval, mean = self.before, None
        every = 100 if self.cuda else 25
        while True:
            progress, over = self.progress()
            if over:
                break
            for optimizer, rate in zip(self.optimizers, self.rates):
                for group in optimizer.param_groups:
                    group["lr"] = rate * learning_rate(progress)
            ids, targets, n = self.feeds[progress >= FINAL_FROM].next(self.device)
            loss = self.gradients(ids, targets, n)
            norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            for optimizer in self.optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            self.step += 1
            self.tokens += n * self.world
            mean = loss if mean is None else mean.lerp(loss, 0.03)
            if self.step % every == 0 or self.step < 4:
                self.note(step=self.step, tokens=self.tokens, seconds=self.seconds(), loss=mean.item(), grad_norm=norm.item(),
                          lr=learning_rate(progress))
            if self.seconds() - last_eval > 60 * self.args.eval_minutes or self.step == 200:
                last_eval = self.seconds()
                bits = held_out_bits(self.model, self.held_out, self.lengths, self.device, self.autocast, limit=24) if self.rank == 0 else {}
                self.note(step=self.step, tokens=self.tokens, seconds=self.seconds(), held_out=bits)
                self.checkpoint()


def run(args):
    r = Run(args)
    r.note(config=asdict(r.model.config), parameters=sum(w.numel() for w in r.model.parameters()), args=vars(args), world=r.world,
           device=torch.cuda.get_device_name() if r.cuda else f"CPU, {args.threads} threads", torch=torch.__version__)
    r.prepare()
    r.train()
    state = r.checkpoint()
    if r.rank == 0:
        from .export import write
        write(r.out / f"{args.model}-f16.gguf", r.model, state, r.tokenizer, "F16", args.model)  # what a next stage begins with
        bits = held_out_bits(r.model, r.held_out, r.lengths, r.device, nullcontext())
        r.note(step=r.step, tokens=r.tokens, seconds=r.seconds(), final=True, held_out=bits)
    if r.world > 1:
        dist.destroy_process_group()
