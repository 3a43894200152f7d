"""A pupil's short answer to mark: right or wrong, the right answer, and what to practise. Half of them are wrong."""

from . import words
from .sources import Conversation, wording


def misspell(random, word):
    """A likely slip: letters swapped, one left out, or one doubled."""
    i = random.randint(1, len(word) - 2)
    return random.choice((word[:i] + word[i + 1] + word[i] + word[i + 2:], word[:i] + word[i + 1:], word[:i] + word[i] + word[i:]))


def near(random, number):
    return max(0, number + random.choice((-10, -2, -1, 1, 2, 10)))


def exercise(random):
    """(question, right answer, wrong answer, sentence with the right answer, what to practise)"""
    kind = random.choices(("add", "subtract", "multiply", "divide", "compare", "plural", "past", "article", "spelling", "opposite", "capital", "clock", "count"),
                          (6, 6, 6, 4, 2, 3, 3, 2, 4, 2, 2, 2, 1))[0]
    a, b = random.randint(1, 20), random.randint(1, 20)
    if kind == "add":
        return f"What is {a} + {b}?", a + b, near(random, a + b), f"{a} + {b} = {a + b}.", "adding"
    if kind == "subtract":
        a, b = max(a, b), min(a, b)
        return f"What is {a} - {b}?", a - b, near(random, a - b), f"{a} - {b} = {a - b}.", "taking away"
    if kind == "multiply":
        a, b = random.randint(2, 10), random.randint(2, 10)
        return f"What is {a} x {b}?", a * b, random.choice((a * b + a, a * b - b, a + b, a * b + 1)), f"{a} x {b} = {a * b}.", f"the {a} times table"
    if kind == "divide":
        a, b = random.randint(2, 10), random.randint(2, 10)
        return f"What is {a * b} : {b}?", a, near(random, a), f"{a * b} : {b} = {a}.", "dividing"
    if kind == "compare":
        a, b = random.sample(range(1, 100), 2)
        return f"Which is more, {a} or {b}?", max(a, b), min(a, b), f"{max(a, b)} is more than {min(a, b)}.", "comparing numbers"
    if kind == "plural":
        noun = random.choice([*words.IRREGULAR_PLURALS, *words.ANIMALS, *words.THINGS, *words.FOODS])
        right = words.plural(noun)
        wrong = random.choice([w for w in (noun + "s", noun + "es", noun) if w != right])
        return f"What is the plural of {noun}?", right, wrong, f"The plural of {noun} is {right}.", "plurals"
    if kind == "past":
        verb = random.choice([*words.IRREGULAR_PAST, *words.REGULAR_VERBS])
        right = words.past(verb)
        wrong = random.choice([w for w in (verb + "ed", verb, verb + "t") if w != right])
        return f"What is the past of {verb}?", right, wrong, f"The past of {verb} is {right}.", "the past"
    if kind == "article":
        noun = random.choice(words.ANIMALS + words.THINGS + words.FOODS)
        right = words.a(noun).split()[0]
        return f"A or an: ___ {noun}?", right, "a" if right == "an" else "an", f"It is {right} {noun}.", "a and an"
    if kind == "spelling":
        word = random.choice(words.SPELLING)
        wrong = misspell(random, word)
        while wrong == word:
            wrong = misspell(random, word)
        return f"Copy the word {word}.", word, wrong, f"The word is {word}.", "spelling"
    if kind == "opposite":
        one, other = random.choice(list(words.OPPOSITES.items()))
        one, other = random.choice(((one, other), (other, one)))
        return f"What is the opposite of {one}?", other, random.choice([w for w in words.OPPOSITES if w not in (one, other)]), f"The opposite of {one} is {other}.", "opposites"
    if kind == "capital":
        day = random.choice(words.DAYS + words.MONTHS)
        return f"Write {day.lower()} correctly.", day, day.lower(), f"It is written {day}.", "capital letters"
    if kind == "clock":
        unit, size, whole = random.choice((("minutes", 60, "hours"), ("seconds", 60, "minutes"), ("hours", 24, "days"), ("days", 7, "weeks"), ("months", 12, "years")))
        n = random.randint(1, 5)
        whole = whole[:-1] if n == 1 else whole
        return f"How many {unit} are {n} {whole}?", n * size, random.choice((n * 10, n * size + size, n * 100)), f"{n} {whole} are {n * size} {unit}.", "times"
    word = random.choice(words.SPELLING + words.ANIMALS + words.THINGS)
    return f"How many letters has {word}?", len(word), near(random, len(word)), f"{word.capitalize()} has {len(word)} letters.", "counting letters"


def mark(root, random, count):
    for _ in range(count):
        question, right, wrong, sentence, topic = exercise(random)
        is_right = random.random() < 0.5
        if not is_right and str(wrong) == str(right):
            continue
        given = right if is_right else wrong
        prompt = wording(random, "Mark the pupil's answer.\nQuestion: {q}\nPupil: {a}", "Is the pupil right?\nQuestion: {q}\nPupil: {a}",
                         "Please mark this.\nQuestion: {q}\nPupil: {a}").format(q=question, a=given)
        answer = f"Right. {sentence} Well done!" if is_right else f"Wrong. {sentence} Practise {topic}."
        yield Conversation("mark", "templates", [prompt, answer], f"{question} {given}", {"right": is_right})
