"""Readers: every corpus, as a stream of documents with its licence and its author.

A reader only knows where a corpus keeps its text. What is kept, and in which words, is decided in `clean` and
`prepare`.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from .clean import is_non_commercial, join_lines


@dataclass
class Document:
    source: str  # the name in SOURCES
    text: str
    licence: str
    title: str = ""
    author: str = ""
    note: str = ""


# name → (what it is, licence, attribution line for the model card)
SOURCES = {
    "tinystories": ("TinyStories samples: very short stories in the words of a three-year-old",
                    "CDLA-Sharing-1.0", "TinyStories, Ronen Eldan and Yuanzhi Li (Microsoft Research), 2023"),
    "child": ("Child-appropriate tales from the snakes (YS-LLM) collection, written by Llama 3.1",
              "MIT (repository); Llama 3.1 Community License (origin)", "snakes / YS-LLM. Built with Llama"),
    "bedtime": ("Bedtime stories from the snakes (YS-LLM) collection, written by Llama 3.1",
                "MIT (repository); Llama 3.1 Community License (origin)", "snakes / YS-LLM. Built with Llama"),
    "campfire": ("Campfire stories from the snakes (YS-LLM) collection, written by Llama 3.1",
                 "MIT (repository); Llama 3.1 Community License (origin)", "snakes / YS-LLM. Built with Llama"),
    "llama-stories": ("Stories and slices of life from the snakes (YS-LLM) collection, written by Llama 3.1",
                      "MIT (repository); Llama 3.1 Community License (origin)", "snakes / YS-LLM. Built with Llama"),
    "retold": ("Stories that the snakes (YS-LLM) collection gives to be summarised, written by Llama 3.1",
               "MIT (repository); Llama 3.1 Community License (origin)", "snakes / YS-LLM. Built with Llama"),
    "storyweaver": ("StoryWeaver picture books in English", "CC-BY-4.0",
                    "Pratham Books and the authors listed in story-credits.md"),
    "african-storybook": ("African Storybook picture books in English", "CC-BY-4.0",
                          "African Storybook and the authors listed in story-credits.md"),
    "aesop": ("The Aesop for Children (Library of Congress, read.gov/aesop)", "public domain", "Aesop; Milo Winter, 1919"),
}

# Further text by the same writer, of other kinds: a large model reads it before the stories (`train --more`). None of it
# is held out, and nothing of it is in the tokenizer or in the card's figures by source.
_LLAMA = ("MIT (repository); Llama 3.1 Community License (origin)", "snakes / YS-LLM. Built with Llama")
MORE = {
    "scenes": ("Scenes of audio books from the snakes (YS-LLM) collection, written by Llama 3.1", *_LLAMA),
    "shows": ("Scripts of shows, likewise", *_LLAMA),
    "podcasts": ("Podcasts on places and their history, likewise", *_LLAMA),
    "debates": ("Scenes in which students debate, likewise", *_LLAMA),
    "foods": ("Descriptions of foods, each with a short story, likewise", *_LLAMA),
    "poems": ("Songs and poems, likewise", *_LLAMA),
    "paraphrases": ("Texts and stories told in other words, likewise", *_LLAMA),
    "textbooks": ("Chapters of textbooks, likewise", *_LLAMA),
}
_FILES = {"scenes": "generated-scenes", "shows": "generated-shows", "podcasts": "generated-podcast", "debates": "llama-debates",
          "foods": "generated-food-stories", "poems": "llama-song-poems", "paraphrases": "llama-paraphrase", "textbooks": "llama-textbook"}


def tinystories(root):
    """Stories one after another; a single line break ends a story, an empty line only a paragraph.

    The cased file comes first, so that de-duplication keeps it and not its lower-cased copy.
    """
    for name in ("s-ajaykumar-tiny_stories.txt", "arnoochka-tinystories.txt"):
        story = ""
        for piece in re.split(r"(?<!\n)\n(?!\n)", _read(root / "tinystories" / name)):
            # Some stories contain single line breaks before speech: short pieces that open no story belong to the last.
            opens = re.match(r"\s*(once|one|there|in a|long ago|at the|on a|it was)\b", piece, re.I)
            if story and piece.strip() and not opens and len(piece.split()) < 70:
                story += "\n\n" + piece
                continue
            if story.strip():
                yield Document("tinystories", story, SOURCES["tinystories"][1], note=name)
            story = piece
        # The last story of a sample is cut off in the middle and is left out.


def snakes(root, source, prefix):
    """`prompt <start> answer <end>`; the answer is the story."""
    for path in sorted((root / "snakes").glob(f"{prefix}-*.md")):
        for prompt, answer in re.findall(r"([^\n]*)<start>(.*?)<end>", _read(path), re.S):
            title = re.search(r"`(.*?)`", prompt)
            answer = re.sub(r"^\s*\([^()\n]{1,60}\)\s*", "", answer)  # stage directions: "(clears throat)"
            yield Document(source, answer, SOURCES[source][1], title=title[1] if title else "")


def retold(root):
    """`Summarize this story:`, the story itself, `<start>` its summary `<end>`: here, the story."""
    for path in sorted((root / "snakes").glob("llama-summaries*.md")):
        for prompt in re.findall(r"(?:^|<end>)(.*?)<start>", _read(path), re.S):
            _, _, story = prompt.strip().partition("\n")
            yield Document("retold", story.strip().strip('"'), SOURCES["retold"][1])


def picture_books(root, source, folder):
    """Markdown picture books: `# title`, `##` between pages, licence and names in a list at the end.

    The folder's README also names a licence per story; the stricter of the two counts.
    """
    folder = root / folder / "en"
    listed = dict(re.findall(r"^(\d{4}) \|.*\| *(.*?) *$", _read(folder / "README.md"), re.M))
    for path in sorted(folder.glob("[0-9]*.md")):
        text = _read(path)
        meta = dict(re.findall(r"^\* ([^:\n]+): *(.*?) *$", text, re.M))
        licences = [meta.get("License", "not stated"), listed.get(path.name[:4], "not stated")]
        licence = next((x for x in licences if is_non_commercial(x)), licences[0])
        title = re.search(r"^# +(.*)$", text, re.M)
        body = re.sub(r"^(# |\* [A-Z]).*$", "", text, flags=re.M)
        pages = [join_lines(page.strip()) for page in re.split(r"^##.*$", body, flags=re.M)]
        yield Document(source, "\n\n".join(page for page in pages if page), licence,
                       title=title[1].strip() if title else path.stem, author=meta.get("Text", ""),
                       note=meta.get("Translation", meta.get("Translated By", "")))


def aesop(root):
    for fable in json.loads(_read(root / "fairytales-misc" / "aesop4children.json")):
        yield Document("aesop", fable["fable"], "public domain", title=fable["title"], author="Aesop")


def read_all(root):
    """Every document of every source, in a fixed order."""
    root = Path(root)
    yield from tinystories(root)
    yield from snakes(root, "child", "generated-child")
    yield from snakes(root, "bedtime", "generated-bedtime")
    yield from snakes(root, "campfire", "generated-campfire")
    yield from snakes(root, "llama-stories", "llama-stories")
    yield from snakes(root, "llama-stories", "llama-slice-of-life")
    yield from retold(root)
    yield from picture_books(root, "storyweaver", "storyweaver-pb")
    yield from picture_books(root, "african-storybook", "african-storybook")
    yield from aesop(root)


def further(root):
    """Every text of the further sources: what was asked for where it is a text itself, and the answer."""
    for source, prefix in _FILES.items():
        for path in sorted((Path(root) / "snakes").glob(f"{prefix}-*.md")):
            for prompt, answer in re.findall(r"(?:^|<end>)(.*?)<start>(.*?)(?=<end>)", _read(path), re.S):
                _, _, given = prompt.strip().partition("\n")
                for text in (given, answer) if source == "paraphrases" else (answer,):
                    yield Document(source, text.strip().strip('"'), MORE[source][1])


def _read(path):
    return Path(path).read_text(encoding="utf-8", errors="replace")
