"""CSV to Markdown, and data out of a paragraph as JSON: tasks of copying, so they come in large numbers.

The Markdown is the compact form without blanks around the cells. A cell then has the same tokens in the CSV and in the
Markdown, and the model only has to copy them.
"""

import csv
import io
import json
import re

from . import words
from .sources import Conversation, read, wording

MAX_ROWS, MAX_COLUMNS = 6, 5


def to_csv(rows):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().rstrip("\n")


def to_markdown(rows):
    lines = ["|" + "|".join(row) + "|" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def corpus_tables(root):
    """Every Markdown table in the conversion corpus, as rows."""
    for path in sorted((root / "snakes").glob("format-convertion-*.md")):
        for block in re.findall(r"(?:^\|.*\|[ \t]*(?:\n|$))+", read(path), re.M):
            rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.strip().split("\n")]
            if len(rows) > 2 and all(len(row) == len(rows[0]) for row in rows) and set("".join(rows[1])) <= set("-: "):
                yield [rows[0], *rows[2:]]


def columns(root):
    """Column name → the values that it has in the corpus: the stuff of new tables."""
    values = {}
    for rows in corpus_tables(root):
        for name, *cells in zip(*rows):
            values.setdefault(name, {}).update(dict.fromkeys(cells))
    return {name: [c for c in cells if c and '"' not in c] for name, cells in values.items() if len(cells) >= 4}


def own_columns(random):
    def number(low, high):
        return lambda: str(random.randint(low, high))

    def one_of(values):
        return lambda: random.choice(values)

    return {
        "name": one_of(words.NAMES), "Name": one_of(words.NAMES), "town": one_of(words.TOWNS), "Town": one_of(words.TOWNS),
        "age": number(3, 99), "Age": number(3, 99), "job": one_of(words.JOBS), "animal": one_of(words.ANIMALS),
        "Pet": one_of(words.ANIMALS), "colour": one_of(words.COLOURS), "Colour": one_of(words.COLOURS),
        "item": one_of(words.THINGS), "Item": one_of(words.THINGS + words.FOODS), "price": number(1, 500),
        "Price": lambda: f"{random.randint(1, 99)}.{random.randint(0, 99):02}", "amount": number(1, 60),
        "Quantity": number(1, 60), "day": one_of(words.DAYS), "Day": one_of(words.DAYS), "month": one_of(words.MONTHS),
        "Month": one_of(words.MONTHS), "year": number(1950, 2030), "Year": number(1950, 2030), "points": number(0, 100),
        "Score": number(0, 100), "id": number(1, 999), "ID": number(100, 9999), "class": lambda: f"{random.randint(1, 9)}{random.choice('abc')}",
    }


def table(random, source, rows):
    text = to_csv(rows)
    prompt = wording(random, "Turn this CSV table into Markdown:", "Convert this CSV to Markdown:", "Make a Markdown table from this CSV:")
    answer = to_markdown(rows)
    return Conversation("table", source, [f"{prompt}\n{text}", answer], text)


def tables(root, random, count):
    """Half of the tables have the corpus' columns and values, half our own; a few are the corpus' own tables, cut."""
    corpus = columns(root)
    seen = set()
    for rows in corpus_tables(root):
        keep = sorted(random.sample(range(len(rows[0])), min(len(rows[0]), random.randint(2, MAX_COLUMNS))))
        rows = [[row[i] for i in keep] for row in rows[:1 + random.randint(1, MAX_ROWS)]]
        if not any('"' in cell or "|" in cell for row in rows for cell in row) and to_csv(rows) not in seen:
            seen.add(to_csv(rows))
            yield table(random, "snakes", rows)
    own = own_columns(random)
    for _ in range(count):
        n_rows, n_columns = random.randint(1, MAX_ROWS), random.choice((2, 2, 3, 3, 4, 5))
        if random.random() < 0.4:
            names = random.sample(sorted(corpus), n_columns)
            cells = [[random.choice(corpus[name]) for name in names] for _ in range(n_rows)]
            yield table(random, "snakes", [names, *cells])
        else:
            names = random.sample(sorted(own), n_columns)
            if len({name.lower() for name in names}) < n_columns:
                continue
            cells = [[own[name]() for name in names] for _ in range(n_rows)]
            if random.random() < 0.15:  # an empty cell must stay one
                cells[random.randrange(n_rows)][random.randrange(n_columns)] = ""
            yield table(random, "templates", [names, *cells])


# Paragraph templates: sentences with {fields}; the keys are given in the prompt, in the order of the paragraph.
PARAGRAPHS = [
    ("{name} is {age} years old and lives in {town}.", "{name}, aged {age}, lives in {town}.",
     "In {town} lives {name}, who is {age} years old.", "My friend {name} comes from {town} and is {age}."),
    ("{name} works as a {job} in {town}.", "{name} is a {job}. {name} lives in {town}.",
     "The {job} {name} has a house in {town}.", "{name} from {town} has been a {job} for {years} years."),
    ("{name} bought a {colour} {item} for {price} euros.", "For {price} euros, {name} got a {colour} {item}.",
     "{name} paid {price} euros for a {item}. It is {colour}."),
    ("{name} has a {animal} called {pet}.", "The {animal} of {name} is called {pet}.", "{name}'s {animal} is named {pet} and is {age} years old."),
    ("The train to {town} leaves at {time} on {day}.", "On {day}, the train leaves for {town} at {time}.",
     "There is a bus to {town} on {day} at {time}."),
    ("{name} ordered {amount} {item}s on {day}.", "On {day}, {name} ordered {amount} {item}s.",
     "An order came from {name}: {amount} {item}s, to be sent to {town}."),
    ("{name} was born in {town} in {year}.", "In {year}, {name} was born in {town}.", "{name} moved to {town} in {year}."),
    ("The meeting with {name} is on {day} at {time} in {town}.", "{name} meets us in {town} on {day} at {time}.",
     "We will see {name} on {day} at {time}."),
    ("The {item} costs {price} euros and weighs {weight} kilos.", "Our {colour} {item} costs {price} euros.",
     "You can buy the {item} for {price} euros. It comes in {colour}."),
    ("In {town} it was {degrees} degrees on {day}.", "On {day}, {town} had {degrees} degrees.",
     "It was {weather} in {town} on {day}, with {degrees} degrees."),
    ("{name} won the race in {town} with {points} points.", "With {points} points, {name} came first in {town}.",
     "{name} scored {points} points on {day}."),
    ("Please call {name} at {phone}.", "You can reach {name} from {town} by phone at {phone}.",
     "The phone number of {name} is {phone}."),
]
EXTRAS = ("It was a fine day.", "Everyone was pleased.", "This is all we know.", "Thank you for your help.", "It is good to know.",
          "The neighbours say so.", "That is good news.", "We hope that this helps.", "Nobody was surprised.")
NUMBERS = {"age", "years", "price", "amount", "year", "weight", "degrees", "points"}


def fields(random, names, towns):
    return {
        "name": random.choice(names), "age": random.randint(3, 99), "town": random.choice(towns), "job": random.choice(words.JOBS),
        "years": random.randint(2, 40), "colour": random.choice(words.COLOURS), "item": random.choice(words.THINGS),
        "price": random.randint(2, 300), "animal": random.choice(words.ANIMALS), "pet": random.choice(names),
        "time": f"{random.randint(6, 22)}:{random.choice(('00', '15', '30', '45'))}", "day": random.choice(words.DAYS),
        "amount": random.randint(2, 60), "year": random.randint(1950, 2029), "weight": random.randint(1, 40),
        "degrees": random.randint(1, 38), "weather": random.choice(("sunny", "rainy", "windy", "cloudy", "foggy")),
        "points": random.randint(1, 99), "phone": f"555 {random.randint(1000, 9999)}",
    }


def to_json(keys, values):
    """One object on one line; numbers keep the blank before them that they have in the text."""
    return "{" + ", ".join(f'"{k}": {v if k in NUMBERS else json.dumps(v, ensure_ascii=False)}' for k, v in zip(keys, values)) + "}"


def extraction(random, source, text, keys, answer):
    prompt = wording(random, "Pull the data out of this text as JSON with the keys {keys}:",
                     "Give {keys} from this text as JSON:", "Extract {keys} as JSON:").format(keys=", ".join(keys))
    return Conversation("json", source, [f"{prompt}\n{text}", answer], text)


def extractions(root, random, count):
    yield from corpus_extractions(root, random)
    corpus = columns(root)
    names = words.NAMES + [n for n in corpus["Name"] if n.isalpha()]
    towns = words.TOWNS + corpus["City"]
    for _ in range(count):
        template = random.choice(random.choice(PARAGRAPHS))
        values = fields(random, names, towns)
        keys = list(dict.fromkeys(re.findall(r"{(\w+)}", template)))
        sentences = [template.format(**values)]
        for _ in range(random.choice((0, 0, 1, 1, 2))):  # sentences that are not asked for
            sentences.insert(random.randint(0, len(sentences)), random.choice(EXTRAS))
        if len(keys) > 2 and random.random() < 0.3:
            keys.remove(random.choice(keys))
        if random.random() < 0.25:
            random.shuffle(keys)
        yield extraction(random, "templates", " ".join(sentences), keys, to_json(keys, [values[k] for k in keys]))


def corpus_extractions(root, random):
    """The corpus' paragraphs whose whole answer stands in the text, when they are short: a list of objects."""
    for path in sorted((root / "snakes").glob("generated-extract-*.md")):
        for prompt, answer in re.findall(r"(?:^|<end>)(.*?)<start>(.*?)(?=<end>)", read(path), re.S):
            text = re.search(r"```\n?(.*?)\n?```", prompt, re.S)
            try:
                rows = json.loads(answer)
            except ValueError:
                continue
            if not text or not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
                continue
            cells = [str(v) for row in rows for v in row.values()]
            if len(text[1]) > 1000 or len(rows) > 5 or not all(cell in text[1] for cell in cells):
                continue
            answer = "[" + ", ".join(json.dumps(row, ensure_ascii=False) for row in rows) + "]"
            yield extraction(random, "snakes", text[1].strip(), list(rows[0]), answer)
