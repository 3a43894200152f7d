"""SQL queries to write and to explain, on small tables whose columns stand in the prompt; checked in SQLite."""

import re
import sqlite3

from . import words
from .sources import Conversation, read, wording

TABLES = {  # name → (text columns with their values, number columns)
    "products": ({"name": words.THINGS, "colour": words.COLOURS}, ("price", "stock")),
    "customers": ({"name": words.NAMES, "town": words.TOWNS}, ("age", "points")),
    "pets": ({"name": words.NAMES, "kind": words.ANIMALS}, ("age", "weight")),
    "orders": ({"customer": words.NAMES, "item": words.THINGS}, ("amount", "price")),
    "pupils": ({"name": words.NAMES, "class": ["1a", "1b", "2a", "2b", "3a"]}, ("age", "score")),
    "books": ({"title": words.ANIMALS, "author": words.NAMES}, ("year", "pages")),
    "workers": ({"name": words.NAMES, "job": words.JOBS}, ("age", "pay")),
    "trips": ({"driver": words.NAMES, "town": words.TOWNS}, ("distance", "cost")),
    "foods": ({"name": words.FOODS, "colour": words.COLOURS}, ("price", "weight")),
    "cities": ({"name": words.TOWNS, "country": ["Germany", "France", "China", "Japan", "Spain"]}, ("people", "area")),
}


def query(random):
    """(table, phrase, query)"""
    table = random.choice(sorted(TABLES))
    texts, numbers = TABLES[table]
    text, number = random.choice(sorted(texts)), random.choice(numbers)
    value, k = random.choice(texts[text]), random.randint(2, 99)
    conditions = [("", "")] + [(f" with {words.a(number)} above {k}", f" WHERE {number} > {k}"), (f" with {words.a(number)} below {k}", f" WHERE {number} < {k}"),
                               (f" with {words.a(number)} of {k}", f" WHERE {number} = {k}"), (f" with the {text} {value}", f" WHERE {text} = '{value}'"),
                               (f" with {words.a(text)} other than {value}", f" WHERE {text} != '{value}'")]
    phrase_if, code_if = random.choice(conditions)
    kind = random.choices(("select", "order", "total", "count", "group", "update", "delete", "insert"), (5, 4, 3, 2, 2, 1, 1, 1))[0]
    columns = sorted(random.sample(sorted((*texts, *numbers)), random.choice((1, 1, 2))))
    what, star = (f"the {' and '.join(columns)} of all {table}", ", ".join(columns)) if random.random() < 0.7 else (f"all {table}", "*")
    if kind == "select":
        return table, what + phrase_if, f"SELECT {star} FROM {table}{code_if};"
    if kind == "order":
        by, (way, code) = random.choice(numbers), random.choice(((", smallest {} first", ""), (", largest {} first", " DESC")))
        limit = random.choice((0, 0, random.randint(2, 10)))
        return (table, what + phrase_if + way.format(by) + (f", only {limit}" if limit else ""),
                f"SELECT {star} FROM {table}{code_if} ORDER BY {by}{code}" + (f" LIMIT {limit};" if limit else ";"))
    if kind == "total":
        word, function = random.choice((("average", "AVG"), ("highest", "MAX"), ("lowest", "MIN"), ("total", "SUM")))
        return table, f"the {word} {number} of all {table}{phrase_if}", f"SELECT {function}({number}) FROM {table}{code_if};"
    if kind == "count":
        return table, f"the number of {table}{phrase_if}", f"SELECT COUNT(*) FROM {table}{code_if};"
    if kind == "group":
        word, function = random.choice((("number of " + table, "COUNT(*)"), (f"average {number}", f"AVG({number})"), (f"total {number}", f"SUM({number})")))
        return table, f"the {word} for each {text}", f"SELECT {text}, {function} FROM {table} GROUP BY {text};"
    if kind == "update":
        new = random.choice(texts[text])
        return table, f"change the {text} {value} to {new}", f"UPDATE {table} SET {text} = '{new}' WHERE {text} = '{value}';"
    if kind == "delete":
        return table, f"delete all {table}{phrase_if}", f"DELETE FROM {table}{code_if};"
    values = [f"'{random.choice(v)}'" for v in texts.values()] + [str(random.randint(2, 99)) for _ in numbers]
    names = (*texts, *numbers)
    told = ", ".join(f"{name} {v.strip(chr(39))}" for name, v in zip(names, values))
    return table, f"add one of the {table} with {told}", f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(values)});"


def schema(table):
    texts, numbers = TABLES[table]
    return f"{table}({', '.join((*texts, *numbers))})"


def outcome(table, statement):
    """What a statement does to a fixed table: its rows and the table afterwards; None when it does not run."""
    texts, numbers = TABLES[table]
    names = (*texts, *numbers)
    with sqlite3.connect(":memory:") as base:
        base.execute(f"CREATE TABLE {table} ({', '.join(names)})")
        for i in range(60):
            row = [v[i * 7 % len(v)] for v in texts.values()] + [(i * 37 + 11 * j) % 100 for j in range(len(numbers))]
            base.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})", row)
        base.set_progress_handler(lambda: 1, 100_000)  # no endless loops,
        base.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK)  # no files
        try:
            rows = base.execute(statement).fetchall()
        except (sqlite3.Error, sqlite3.Warning):
            return None
        return rows, base.execute(f"SELECT * FROM {table}").fetchall()


def sql(root, random, count):
    yield from sql_from_templates(random, count)
    yield from corpus(root)


def sql_from_templates(random, count):
    for _ in range(count):
        table, phrase, code = query(random)
        if random.random() < 0.7:
            if phrase.startswith(("change", "delete", "add")):
                prompt = wording(random, "Write an SQL query for the table {s}: {p}.", "Table {s}. Write SQL: {p}.")
            else:
                prompt = wording(random, "Write an SQL query for the table {s}: {p}.", "Table {s}. Write SQL: {p}.",
                                 "I have an SQL table {s}. Show me {p}.")
            yield Conversation("sql-write", "templates", [prompt.format(s=schema(table), p=phrase), code], phrase, {"table": table})
        else:
            prompt = wording(random, "What does this SQL query do?", "Explain this SQL query:")
            answer = f"It gives {phrase}."
            if phrase.startswith(("change", "delete", "add")):
                verb, _, rest = phrase.partition(" ")
                answer = f"It {verb}s {rest}."
            yield Conversation("sql-explain", "templates", [f"{prompt}\n{code}", answer], phrase)


def corpus(root):
    """The corpus' shorter questions; of the answer only the first query."""
    for path in sorted((root / "snakes").glob("generated-sql-*.md")):
        for prompt, answer in re.findall(r"(?:^|<end>)(.*?)<start>(.*?)(?=<end>)", read(path), re.S):
            code = re.search(r"```sql\s*\n(.*?)\n```", answer, re.S)
            if code and len(prompt) < 350 and len(code[1]) < 250 and "\n\n" not in prompt.strip() and "```" not in prompt:
                yield Conversation("sql-write", "snakes", [prompt.strip(), code[1].strip()], prompt)
