"""Small Python functions to write, to explain and to mend, each with tests that were run on the right answer.

A specification is a phrase ("the sum of the even numbers in a list") made of parts, so that most held-out ones are new
compositions of known parts. The split is by the phrase: no wording of a held-out phrase is trained on.
"""

import ast
import json

from .sources import Conversation, read, wording

FILTERS = [  # phrase before the noun, phrase after it, condition on x
    ("even ", "", "x % 2 == 0"), ("odd ", "", "x % 2 == 1"), ("positive ", "", "x > 0"), ("negative ", "", "x < 0"),
    ("", " above {k}", "x > {k}"), ("", " below {k}", "x < {k}"), ("", " divisible by {k}", "x % {k} == 0"),
    ("", " other than {k}", "x != {k}"), ("", " of at least {k}", "x >= {k}"), ("", " of at most {k}", "x <= {k}"),
]
MAPS = [("the squares of ", "x * x"), ("the doubles of ", "x * 2"), ("the halves of ", "x / 2"), ("the cubes of ", "x ** 3"),
        ("the absolute values of ", "abs(x)")]
TOTALS = [("the sum of ", "sum({})"), ("the largest of ", "max({})"), ("the smallest of ", "min({})")]
WORD_FILTERS = [
    ("", " longer than {n} letters", "len(w) > {n}"), ("", " shorter than {n} letters", "len(w) < {n}"),
    ("", " that start with {c}", "w.startswith('{c}')"), ("", " that end with {c}", "w.endswith('{c}')"),
    ("", " that contain {c}", "'{c}' in w"), ("", " of {n} letters", "len(w) == {n}"),
]
WORD_MAPS = [("in capital letters", "w.upper()"), ("in small letters", "w.lower()"), ("backwards", "w[::-1]"),
             ("with their first letter as a capital", "w.capitalize()")]
NUMBER = [  # phrase, expression, of n
    ("n plus {k}", "n + {k}"), ("n minus {k}", "n - {k}"), ("n times {k}", "n * {k}"), ("n divided by {k}", "n / {k}"),
    ("n plus {k}, times {j}", "(n + {k}) * {j}"), ("n times {k}, plus {j}", "n * {k} + {j}"),
    ("n times {k}, minus {j}", "n * {k} - {j}"), ("n minus {k}, times {j}", "(n - {k}) * {j}"),
    ("the rest of n divided by {k}", "n % {k}"), ("n to the power of {i}", "n ** {i}"), ("True if n is even", "n % 2 == 0"),
    ("True if n is odd", "n % 2 == 1"), ("True if n is divisible by {k}", "n % {k} == 0"),
    ("True if n is above {k}", "n > {k}"), ("True if n is below {k}", "n < {k}"),
    ("True if n is between {k} and {m}", "{k} <= n <= {m}"), ("True if n is {k} or {m}", "n == {k} or n == {m}"),
    ("n, but at most {k}", "min(n, {k})"), ("n, but at least {k}", "max(n, {k})"), ("the absolute value of n", "abs(n)"),
    ("the number of digits of n", "len(str(n))"), ("the last digit of n", "n % 10"),
    ("the sum of the numbers from 1 to n", "sum(range(1, n + 1))"), ("the numbers from 1 to n as a list", "list(range(1, n + 1))"),
    ("the first n multiples of {k} as a list", "[{k} * i for i in range(1, n + 1)]"),
    ("the digits of n added up", "sum(int(d) for d in str(n))"), ("n seconds as minutes", "n / 60"),
    ("n minutes as seconds", "n * 60"), ("n kilometres as metres", "n * 1000"), ("n degrees Celsius as Fahrenheit", "n * 9 / 5 + 32"),
]
TEXT = [  # of text
    ("the text backwards", "text[::-1]"), ("the text in capital letters", "text.upper()"), ("the text in small letters", "text.lower()"),
    ("the length of the text", "len(text)"), ("the first {n} letters of the text", "text[:{n}]"),
    ("the last {n} letters of the text", "text[-{n}:]"), ("the text without its first {n} letters", "text[{n}:]"),
    ("the text repeated {n} times", "text * {n}"), ("how often {c} stands in the text", "text.count('{c}')"),
    ("the text with every {c} replaced by {d}", "text.replace('{c}', '{d}')"), ("the text without the letter {c}", "text.replace('{c}', '')"),
    ("the words of the text as a list", "text.split()"), ("the number of words in the text", "len(text.split())"),
    ("the longest word of the text", "max(text.split(), key=len)"), ("the first word of the text", "text.split()[0]"),
    ("the last word of the text", "text.split()[-1]"), ("True if the text is the same backwards", "text == text[::-1]"),
    ("True if the text starts with {c}", "text.startswith('{c}')"), ("True if the text ends with {c}", "text.endswith('{c}')"),
    ("True if the text contains {c}", "'{c}' in text"), ("the number of vowels in the text", "sum(c in 'aeiou' for c in text)"),
    ("the letters of the text in order", "''.join(sorted(text))"), ("the text without blanks at its ends", "text.strip()"),
    ("the text in stars", "'*' + text + '*'"), ("the text without its blanks", "text.replace(' ', '')"),
]
LISTS = [  # of numbers
    ("the numbers in reverse order", "numbers[::-1]"), ("the numbers sorted", "sorted(numbers)"),
    ("the numbers sorted, largest first", "sorted(numbers, reverse=True)"), ("the first {n} numbers", "numbers[:{n}]"),
    ("the last {n} numbers", "numbers[-{n}:]"), ("the average of the numbers", "sum(numbers) / len(numbers)"),
    ("how often {k} stands in the numbers", "numbers.count({k})"), ("True if {k} is in the numbers", "{k} in numbers"),
    ("the numbers without copies, sorted", "sorted(set(numbers))"), ("every second number", "numbers[::2]"),
    ("the difference of the largest and the smallest number", "max(numbers) - min(numbers)"),
    ("the numbers with {k} added to each", "[x + {k} for x in numbers]"), ("the numbers with each times {k}", "[x * {k} for x in numbers]"),
    ("True if all numbers are above {k}", "all(x > {k} for x in numbers)"), ("True if any number is above {k}", "any(x > {k} for x in numbers)"),
]
BLOCKS = [  # functions of several lines: phrase, argument, body
    ("the factorial of n", "n", "result = 1\nfor i in range(2, n + 1):\n    result *= i\nreturn result"),
    ("True if n is a prime number", "n", "if n < 2:\n    return False\nfor i in range(2, n):\n    if n % i == 0:\n        return False\nreturn True"),
    ("the n-th Fibonacci number", "n", "a, b = 0, 1\nfor _ in range(n):\n    a, b = b, a + b\nreturn a"),
    ("Fizz if n is divisible by {k}, else n", "n", "if n % {k} == 0:\n    return 'Fizz'\nreturn n"),
    ("'big' if n is above {k}, else 'small'", "n", "if n > {k}:\n    return 'big'\nreturn 'small'"),
    ("how often each word stands in the text, as a dictionary", "text", "counts = {}\nfor word in text.split():\n    counts[word] = counts.get(word, 0) + 1\nreturn counts"),
    ("the divisors of n as a list", "n", "result = []\nfor i in range(1, n + 1):\n    if n % i == 0:\n        result.append(i)\nreturn result"),
    ("the position of the first number above {k}, or -1", "numbers", "for i, x in enumerate(numbers):\n    if x > {k}:\n        return i\nreturn -1"),
    ("the product of the numbers", "numbers", "result = 1\nfor x in numbers:\n    result *= x\nreturn result"),
    ("the running totals of the numbers", "numbers", "total = 0\nresult = []\nfor x in numbers:\n    total += x\n    result.append(total)\nreturn result"),
]
NAMES = {"n": ("f", "compute", "change", "calculate", "convert", "check", "number", "value"),
         "numbers": ("f", "pick", "total", "select", "collect", "work_out", "find", "measure", "result_of"),
         "words": ("f", "pick", "choose", "select", "word_list", "find", "collect"),
         "text": ("f", "edit", "change", "look_at", "transform", "rewrite", "check", "read")}
INPUTS = {"n": [0, 1, 2, 7, 12, 30, 101], "numbers": [[3, -1, 4, 12, 5, 60, 2, 60], [10, 7, 15, 8, 1], [24, -6, 9, 30, 11, 0]],
          "words": [["apple", "Bee", "cat", "house", "tree", "sun", "melon"], ["dog", "elephant", "a", "table", "nest"]],
          "text": ["banana tree", "level", "a cat and a dog ", "Sun moon star"]}


def specification(random):
    """(phrase, argument, body)"""
    kind = random.choices(("number", "numbers", "words", "text", "list", "block"), (20, 35, 16, 16, 8, 5))[0]
    tails = {"k": random.randint(2, 20), "j": random.randint(2, 12), "i": random.randint(2, 5), "n": random.randint(2, 7),
             "c": random.choice("abcdefghilmnoprstuw"), "d": random.choice("xyzkqj")}
    tails["m"] = tails["k"] + random.randint(2, 40)
    if kind == "number":
        (phrase, code), argument = random.choice(NUMBER), "n"
    elif kind == "text":
        (phrase, code), argument = random.choice(TEXT), "text"
    elif kind == "list":
        (phrase, code), argument = random.choice(LISTS), "numbers"
    elif kind == "block":
        phrase, argument, body = random.choice(BLOCKS)
        return fill(phrase, tails), argument, fill(body, tails)
    elif kind == "words":
        argument, (before, after, condition) = "words", random.choice(WORD_FILTERS)
        change, x = random.choice(WORD_MAPS) if random.random() < 0.5 else ("", "w")
        if not change and random.random() < 0.4:
            phrase, code = f"the number of words{after}", f"len([w for w in words if {condition}])"
        else:
            phrase = f"the words{after}" + (f", {change}" if change else "")
            code = f"[{x} for w in words if {condition}]"
    else:
        argument, (before, after, condition) = "numbers", random.choice(FILTERS)
        change, x = random.choice(MAPS) if random.random() < 0.55 else ("", "x")
        what = f"{change}the {before}numbers{after}"
        if random.random() < 0.55:
            words, code = random.choice(TOTALS)
            phrase, code = words + what, code.format(f"{x} for x in numbers if {condition}")
        elif not change and random.random() < 0.4:
            phrase, code = f"the number of {before}numbers{after}", f"len([x for x in numbers if {condition}])"
        else:
            phrase, code = what + ", as a list", f"[{x} for x in numbers if {condition}]"
    return fill(phrase, tails), argument, "return " + fill(code, tails)


def fill(text, tails):
    for name, value in tails.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def define(name, argument, body):
    return f"def {name}({argument}):\n" + "\n".join("    " + line for line in body.split("\n"))


def tests_for(code, name, argument):
    """`assert` lines from running the code on the standard inputs that it accepts."""
    space, lines = {}, []
    exec(code, space)
    for value in INPUTS[argument]:
        try:
            result = space[name](value)
        except (ValueError, IndexError, ZeroDivisionError):
            continue
        lines.append(f"assert {name}({value!r}) == {result!r}")
    return lines


def break_it(random, code, argument):
    """A copy of the code with one mistake, or None where this mistake does not fit."""
    mistakes = [("):", ")"), ("return ", "retrun "), ("return ", ""), ("def ", "de "), (argument, argument + "s"), (" == ", " = "),
                (" if ", " fi "), (" for ", " fro "), ("]", ""), ("sum(", "sun("), ("len(", "length("), (" > ", " < "), (" < ", " > "),
                (" in ", " on "), (" + ", " - "), (" * ", " + ")]
    old, new = random.choice(mistakes)
    if old not in code or (old == argument and code.count(old) < 2):
        return None
    head, _, tail = code.rpartition(old) if old == argument else code.partition(old)
    return head + new + tail


def passes(code, tests):
    try:
        space = {}
        exec(code, space)
        for test in tests:
            exec(test, space)
    except Exception:
        return False
    return True


def python(root, random, count):
    yield from mbpp(root, random)
    for _ in range(count):
        phrase, argument, body = specification(random)
        name = random.choice(NAMES[argument])
        code = define(name, argument, body)
        tests = tests_for(code, name, argument)
        if len(tests) < 2:
            continue
        kind = random.choices(("write", "explain", "mend"), (5, 2.5, 2.5))[0]
        if kind == "write":
            prompt = wording(random, "Write a Python function {f} that returns {p}.", "Write {f} in Python. It returns {p}.",
                             "I need a Python function {f} that gives {p}.")
            yield Conversation("python-write", "templates", [prompt.format(f=f"{name}({argument})", p=phrase), code], phrase, {"tests": tests})
        elif kind == "explain":
            prompt = wording(random, "What does this Python function do?", "Explain this Python function:", "Explain what this function returns:")
            yield Conversation("python-explain", "templates", [f"{prompt}\n{code}", f"It returns {phrase}."], phrase)
        else:
            broken = next((b for b in (break_it(random, code, argument) for _ in range(6)) if b and not passes(b, tests)), None)
            if broken:
                prompt = wording(random, "Mend this Python function. It should return {p}.", "This Python function should return {p}. Find the mistake and mend it.")
                yield Conversation("python-mend", "templates", [f"{prompt.format(p=phrase)}\n{broken}", code], phrase, {"tests": tests})


def mbpp(root, random):
    for line in read(root / "code" / "mbpp" / "mbpp.jsonl").strip().split("\n"):
        problem = json.loads(line)
        try:
            code = ast.unparse(ast.parse(problem["code"].replace("\r", "")))
        except SyntaxError:
            continue
        name = problem["test_list"][0].partition("(")[0].removeprefix("assert ").strip()
        if len(code) > 260 or code.count("\n") > 8 or len(problem["text"]) > 140 or f"def {name}(" not in code:
            continue
        signature = code[code.index(f"def {name}(") + 4:].partition(")")[0] + ")"
        text = problem["text"].replace("Write a python function", "Write a Python function").replace("Write a function", "Write a Python function")
        prompt = text.replace("Python function", f"Python function {signature}", 1)
        yield Conversation("python-write", "mbpp", [prompt, code], problem["text"], {"tests": problem["test_list"]})
