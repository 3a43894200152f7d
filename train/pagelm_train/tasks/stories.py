"""Stories on a topic, summaries of stories, and questions on a passage of a fairy tale."""

import csv
import io
import json
import re

from ..clean import join_lines
from . import words
from .sources import Conversation, read, wording

OPENINGS = (  # who a story without a title is about, by its first sentences
    r"there (?:was|lived) (an? (?:\w+ ){0,3}?\w+ (?:named|called) \w+)", r"there (?:was|lived) (an? (?:\w+ ){0,2}\w+?)(?= who| that| in|[.,])",
    r"(?:was|saw|found|had|loved) (an? (?:\w+ ){0,2}\w+?)(?= who| that| in| and|[.,])", r"(?:to play with|loved) (\w+ \w+)[.,]")


def topic_of(title, text):
    """What a story is about: its title, or the person or thing that it begins with."""
    if title and len(title.split()) <= 9:
        return title.strip(" .")
    found = (re.search(opening, text[:250]) for opening in OPENINGS)
    return next((match[1].strip(" .") for match in found if match), "")


def stories(data, random, limits=(40, 330)):
    """Both splits keep the story model's: the key is the story."""
    for split in ("train", "held-out"):
        for line in read(data / "documents" / f"{split}.jsonl").strip().split("\n"):
            document = json.loads(line)
            topic = topic_of(document["title"], document["text"])
            if not topic or not limits[0] <= len(document["text"].split()) <= limits[1] or document["source"] in ("campfire", "retold"):
                continue
            prompt = wording(random, "Write a story about {t}.", "Tell me a story about {t}.", "Please write a short story: {t}.").format(t=topic)
            yield Conversation("story", "stories", [prompt, document["text"]], document["text"])


SUMMARY = ("Summarize this story in one sentence:", "What happens in this story?", "Sum up this story:")


def corpus_summaries(root, random, tidy):
    """The corpus' stories that fit, with the first sentence of their summary."""
    for path in sorted((root / "snakes").glob("llama-summaries*.md")):
        for prompt, answer in re.findall(r"(?:^|<end>)(.*?)<start>(.*?)(?=<end>)", read(path), re.S):
            story = tidy(prompt.strip().partition("\n")[2].strip().strip('"'), "")
            summary = re.split(r"(?<=[.!?]) (?=[A-Z])", tidy(answer, ""))[0]
            if len(story) < 1600 and len(summary) < 260 and summary.endswith("."):
                yield Conversation("summary", "snakes", [f"{wording(random, *SUMMARY)}\n{story}", summary], story)


LOST = [("{n} lost {p} {t}.", "{n} looked under the bed and behind the door, but the {t} was not there.", "Then {f} came and helped {o}.",
         "They found the {t} {w}.", "{n} was happy and thanked {f}."),
        ("One {day}, {n} could not find {p} {t}.", "{s} looked everywhere and felt sad.", "{f} had an idea.",
         "Together they went out, and there was the {t}, {w}.", "\"Thank you, {f}!\" said {n}.")]
MADE = [("{n} wanted to make a {c} {t} for {f}.", "First {s} could not find any paint.", "{s} asked a {job} for help.",
         "At last the {t} was ready.", "{f} liked it very much."),
        ("It was the birthday of {f}.", "{n} had no money for a present.", "So {s} made a {c} {t} all by {r}.",
         "It took the whole {day}.", "{f} said it was the best present of all.")]
PET = [("{n} had a {a} called {f}.", "One {day}, {f} ran away from the garden.", "{n} was afraid and looked for the {a} all day.",
        "In the evening a {job} found it {w}.", "{n} hugged {f} and took it home."),
       ("A little {a} named {f} sat {w}.", "It was cold and hungry.", "{n} gave it some food and a warm blanket.",
        "After a week it was strong again.", "The {a} stayed with {n} for ever.")]
PLOTS = [(LOST, "{n} loses {p} {t}, but {f} helps {o} to find it {w}."),
         (MADE, "{n} makes a {c} {t} for {f}, who likes it very much."),
         (PET[:1], "{n}'s {a} {f} runs away, and a {job} finds it {w}."),
         (PET[1:], "{n} helps a cold and hungry {a} named {f}, and it stays.")]
PLACES = ["under a tree", "behind the house", "in the park", "near the river", "on the roof", "in the kitchen", "under the stairs",
          "by the school", "in an old box", "on the bridge"]


def template_summaries(random, count):
    for _ in range(count):
        tellings, summary = random.choice(PLOTS)
        n, f = random.sample(words.NAMES, 2)
        s, o, p, r = ("she", "her", "her", "herself") if n in words.HERS else ("he", "him", "his", "himself")
        parts = dict(n=n, f=f, s=s, o=o, p=p, r=r, t=random.choice(words.THINGS), c=random.choice(words.COLOURS), a=random.choice(words.ANIMALS),
                     job=random.choice(words.JOBS), day=random.choice(("day", "morning", "afternoon")), w=random.choice(PLACES))
        sentences = [re.sub(r"\ba (?=[aeio])", "an ", line.format(**parts)) for line in random.choice(tellings)]
        story = " ".join(line[0].upper() + line[1:] for line in sentences)
        answer = re.sub(r"\ba (?=[aeio])", "an ", summary.format(**parts))
        yield Conversation("summary", "templates", [f"{wording(random, *SUMMARY)}\n{story}", answer], story)


def fairytale_questions(root, random, tidy, limit=500):
    """A question with an answer that stands in the passage, which is cut to the sentences around it.

    Half as many questions come with a passage of another tale: there the answer is that one does not know.
    """
    base, passages = root / "fairytaleqa", []
    for path in sorted((base / "questions").glob("*/*-questions.csv")):
        name = path.name.removesuffix("-questions.csv")
        story = base / "section-stories" / path.parent.name / f"{name}-story.csv"
        if not story.exists():
            continue
        sections = {row["section"]: tidy(join_lines(row["text"]), "").replace("\n\n", " ")
                    for row in csv.DictReader(io.StringIO(read(story))) if row.get("section")}
        for row in csv.DictReader(io.StringIO(read(path))):
            answer, section = (row["answer1"] or "").strip(" ."), (row["cor_section"] or "").split(",")[0].strip()
            text = sections.get(section, "")
            at = text.lower().find(answer.lower())
            if row["ex-or-im1"] != "explicit" or at < 0 or not 2 < len(answer) < 60 or len(row["question"]) > 120:
                continue
            passage = around(text, at, at + len(answer), 200)
            if len(passage) < limit:
                answer = text[at:at + len(answer)]
                passages.append((name, tidy(row["question"], ""), passage, answer[0].upper() + answer[1:] + "."))
    for name, question, passage, answer in passages:
        yield reading(random, "fairytaleqa", passage, question, answer, name)
        other = random.choice(passages)
        if random.random() < 0.4 and other[0] != name:
            yield reading(random, "fairytaleqa", other[2], question, None, name)


def reading(random, source, passage, question, answer, key):
    prompt = wording(random, "Read the text and answer the question.\n{p}\nQuestion: {q}", "{p}\nQuestion: {q}",
                     "Answer from this text: {p}\nQuestion: {q}").format(p=passage, q=question)
    return Conversation("question" if answer else "unknown", source, [prompt, answer or "I don't know."], key, {} if answer else {"unanswerable": True})


def around(text, start, end, room):
    """The whole sentences from about `room` characters before to `room` after a span."""
    sentences, place, kept = re.split(r"(?<=[.!?]) ", text), 0, []
    for sentence in sentences:
        if place + len(sentence) > start - room / 2 and place < end + room / 2:
            kept.append(sentence)
        place += len(sentence) + 1
    return " ".join(kept)
