"""What the tasks model learns from: one row per source with its licence, and what a conversation is."""

import tarfile
from dataclasses import dataclass, field
from pathlib import Path

ARCHIVES = ("snakes", "children-classics", "dialogue", "translation", "code")
LLAMA = "MIT (repository); Llama 3.1 Community License (origin)"

# name → (what it is, licence, attribution line for the model card)
SOURCES = {
    "templates": ("Conversations made by the templates in this folder, with names and numbers drawn by lot",
                  "MIT OR Apache-2.0", "this project"),
    "stories": ("The story model's own training stories, asked for by their title or their first words",
                "as in the story model's table", "see the story model's card"),
    "snakes": ("Summaries, SQL, table conversion, data extraction and spelling from the snakes (YS-LLM) collection, "
               "written by Llama 3.1", LLAMA, "snakes / YS-LLM. Built with Llama"),
    "fairytaleqa": ("Questions on fairy tales with the passage that answers them", "Apache-2.0; tales public domain",
                    "FairytaleQA, Xu et al., ACL 2022"),
    "self-dialogue": ("Conversations that one person writes for both sides", "BSD-3-Clause",
                      "The Self-dialogue Corpus, Fainberg et al., University of Edinburgh, 2018"),
    "chatterbot": ("Small talk in English, German and Chinese", "BSD-3-Clause", "ChatterBot corpus, Gunther Cox"),
    "kdconv": ("Chinese conversations on films, music and travel", "Apache-2.0",
               "KdConv, Zhou et al., Tsinghua University, ACL 2020"),
    "taskmaster": ("Orders at a coffee bar", "CC-BY-4.0",
                   "Taskmaster-4, Bill Byrne and Saravanan Ganesh, Google (arXiv:2403.10704)"),
    "tatoeba": ("Sentence pairs English-German and English-Chinese", "CC-BY 2.0 FR", "Tatoeba contributors, tatoeba.org"),
    "cldr": ("Names of countries, languages and things in English, German and Chinese", "Unicode-3.0",
             "Unicode CLDR, Unicode, Inc."),
    "mbpp": ("Small Python problems with tests", "CC-BY-4.0", "MBPP, Austin et al., Google Research, 2021"),
}

# What is in the archives and is not used, and why; `prepare` prints it.
LEFT_OUT = {
    "sgd (schema-guided dialogues)": "CC-BY-SA 4.0: share-alike text must not go into a model built with Llama",
    "onestopenglish": "CC-BY-SA 4.0: share-alike",
    "topical-chat": "CDLA-Sharing: talk about newspaper articles for adults, many of them unsafe or out of date",
    "kdconv knowledge base": "copied from encyclopedias under other licences; only the conversations are used",
    "snakes trivia, facts": "too many wrong answers",
    "snakes common sense, eli5, python": "answers longer than the context",
    "gsm8k": "several steps of reasoning: beyond a model of this size",
    "TheAlgorithms, keon, exercism": "programs longer than the context",
}


@dataclass
class Conversation:
    task: str
    source: str  # a name in SOURCES
    messages: list  # of texts, the user's first, then by turns
    key: str  # the text that decides on which side of the split this falls
    check: dict = field(default_factory=dict)  # what the evaluation needs beside the answer

    def record(self):
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(self.messages)]
        record = {"task": self.task, "source": self.source, "messages": messages}
        return {**record, "check": self.check} if self.check else record


def unpack(corpora, into):
    """The archives that the tasks need, each once."""
    into.mkdir(parents=True, exist_ok=True)
    for name in ARCHIVES:
        stamp = into / f".{name}"
        if not stamp.exists():
            with tarfile.open(Path(corpora) / f"{name}.tar.xz") as archive:
                archive.extractall(into, filter="data")
            stamp.touch()


def read(path):
    return Path(path).read_text(encoding="utf-8", errors="replace")


def wording(random, *choices):
    """One of several ways to ask, the first (which the page offers) as often as all others together."""
    return choices[0] if random.random() < 0.5 else random.choice(choices)
