"""Byte-level BPE with GPT-2 splitting, trained by Hugging Face `tokenizers`; one special token ends every document."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from .corpora import SOURCES

EOT = "<|endoftext|>"  # id 0; it stands before and after every document, so it is both bos and eos


def read_documents(data, split):
    with open(Path(data) / "documents" / f"{split}.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def train(data, vocab, save=True):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=[EOT], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator((d["text"] for d in read_documents(data, "train")), trainer)
    if save:
        tokenizer.save(str(Path(data) / "tokenizer.json"))
    return tokenizer


def load(data):
    return Tokenizer.from_file(str(Path(data) / "tokenizer.json"))


def write_shards(data):
    """One flat uint16 file per split and source: EOT document EOT document … EOT."""
    tokenizer, data = load(data), Path(data)
    (data / "tokens").mkdir(exist_ok=True)
    counts = {}
    for split in ("train", "held-out"):
        groups = defaultdict(list)
        for document in read_documents(data, split):
            groups[document["source"]].append(document["text"])
        counts[split] = {}
        for source in SOURCES:
            ids = [0]
            for encoding in tokenizer.encode_batch(groups[source]):
                ids += encoding.ids + [0]
            np.array(ids, dtype=np.uint16).tofile(data / "tokens" / f"{split}-{source}.bin")
            counts[split][source] = {"documents": len(groups[source]), "tokens": len(ids) - 1,
                                     "bytes": sum(len(t.encode()) for t in groups[source])}
    (data / "tokens" / "counts.json").write_text(json.dumps(counts, indent=1))


def run(args):
    data = Path(args.data)
    if args.measure:
        held = [d["text"] for d in read_documents(data, "held-out")]
        size = sum(len(t.encode()) for t in held)
        for vocab in (1024, 2048, 3072, 4096, 6144):
            tokenizer = train(data, vocab, save=False)
            tokens = sum(len(e.ids) for e in tokenizer.encode_batch(held))
            print(f"vocabulary {vocab}: {size / tokens:.3f} bytes per held-out token")
        return
    train(data, args.vocab)
    write_shards(data)
    print(f"vocabulary {args.vocab}: {data / 'tokenizer.json'}")
