"""Byte-level BPE with GPT-2 splitting, trained by Hugging Face `tokenizers`; one special token ends every document."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from .corpora import MORE, SOURCES

EOT = "<|endoftext|>"  # id 0; it stands before and after every document, so it is both bos and eos
MARKERS = ("<|user|>", "<|assistant|>")  # of the tasks' chat; an answer ends with EOT


def read_documents(data, split):
    with open(Path(data) / "documents" / f"{split}.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def bare():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def trainer(vocab):
    return trainers.BpeTrainer(vocab_size=vocab, special_tokens=[EOT], show_progress=False,
                               initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))


def train(data, vocab):
    """The story's tokenizer, learned on the story documents."""
    tokenizer = bare()
    tokenizer.train_from_iterator((d["text"] for d in read_documents(data, "train")), trainer(vocab))
    tokenizer.save(str(Path(data) / "tokenizer.json"))


def take(data, path):
    """The story's tokenizer as an exported file has it, so that a new model keeps the ids of the one before it."""
    from gguf import GGUFReader

    fields = GGUFReader(path).fields
    pieces, merges = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "merges"))
    tokenizer = bare()
    tokenizer.add_special_tokens([EOT])
    description = json.loads(tokenizer.to_str())
    description["model"]["vocab"] = {piece: i for i, piece in enumerate(pieces)}
    description["model"]["merges"] = [merge.split(" ") for merge in merges]
    (Path(data) / "tokenizer.json").write_text(json.dumps(description, ensure_ascii=False), encoding="utf-8")


def load(data, model="story"):
    return Tokenizer.from_file(str(Path(data) / ("tasks" if model == "tasks" else "") / "tokenizer.json"))


def extend(data, vocab):
    """The tasks' tokenizer: the story's ids stay, then the markers of the chat, then pieces learned on the tasks.

    The new merges rank after the old ones, so a text is first cut as the story model cuts it.
    """
    folder = Path(data) / "tasks"
    base = json.loads(load(data).to_str())
    ids, merges = base["model"]["vocab"], [tuple(merge) for merge in base["model"]["merges"]]
    for marker in MARKERS:
        base["added_tokens"].append({**base["added_tokens"][0], "id": len(ids), "content": marker})
        ids[marker] = len(ids)

    tokenizer = bare()
    with open(folder / "train.jsonl", encoding="utf-8") as lines:
        texts = [message["content"] for line in lines for message in json.loads(line)["messages"]]
    tokenizer.train_from_iterator(texts, trainer(2 * vocab))
    for left, right in json.loads(tokenizer.to_str())["model"]["merges"]:
        if len(ids) < vocab and left in ids and right in ids and left + right not in ids:
            ids[left + right] = len(ids)
            merges.append((left, right))
    base["model"]["merges"] = merges
    (folder / "tokenizer.json").write_text(json.dumps(base, ensure_ascii=False), encoding="utf-8")


def spell(tokenizer, n):
    """For each id from n on: the ids below n that spell the same bytes; none for a control token."""
    description = json.loads(tokenizer.to_str())
    control = {token["id"] for token in description["added_tokens"]}
    parts = {left + right: (left, right) for left, right in description["model"]["merges"]}
    ids = description["model"]["vocab"]

    def old(piece):
        return [ids[piece]] if ids[piece] < n else [i for part in parts[piece] for i in old(part)]

    return [[] if ids[p] in control else old(p) for p in sorted(ids, key=ids.get)[n:]]


def write_shards(data, model="story"):
    """One flat uint16 file per split and source: EOT document EOT document … EOT; for the tasks, one .npz per split too.

    The further sources are for a story model's training alone.
    """
    tokenizer, data = load(data, model), Path(data)
    folder = data / "tasks" if model == "tasks" else data
    (folder / "tokens").mkdir(parents=True, exist_ok=True)
    counts = {}
    for split in ("train", "held-out"):
        groups = defaultdict(list)
        also = split == "train" and model == "story"
        for document in read_documents(data, split) + (read_documents(data, "more") if also else []):
            groups[document["source"]].append(document["text"])
        counts[split] = {}
        for source in [*SOURCES, *(MORE if also else ())]:
            ids = [0]
            for encoding in tokenizer.encode_batch(groups[source]):
                ids += encoding.ids + [0]
            np.array(ids, dtype=np.uint16).tofile(folder / "tokens" / f"{split}-{source}.bin")
            counts[split][source] = {"documents": len(groups[source]), "tokens": len(ids) - 1,
                                     "bytes": sum(len(t.encode()) for t in groups[source])}
    (folder / "tokens" / "counts.json").write_text(json.dumps(counts, indent=1))
    if model == "tasks":
        from .tasks import chat
        chat.write_shards(data, tokenizer)


def run(args):
    if args.take:
        take(args.data, args.take)
    elif args.model == "tasks":
        extend(args.data, args.vocab or 8192)
    else:
        train(args.data, args.vocab or 4096)
    write_shards(args.data, args.model)
    print(f"{args.model}: {load(args.data, args.model).get_vocab_size()} pieces")
