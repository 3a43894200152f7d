"""Pure functions from answers to scores. An answer is what the model wrote; a case is a held-out conversation."""

import ast
import json
import subprocess
import sys
import tempfile

from .sql import outcome

UNKNOWN = "I don't know."
SECONDS, MEGABYTES = 2, 256  # for a program that the model wrote


def wanted(case):
    return case["messages"][1]["content"]


def exact(case, answer):
    return answer.strip() == wanted(case)


def parses(case, answer):
    try:
        return isinstance(json.loads(answer), (dict, list))
    except ValueError:
        return False


def same_json(case, answer):
    return parses(case, answer) and json.loads(answer) == json.loads(wanted(case))


def compiles(case, answer):
    """It parses and defines the function that was asked for, which does something with its arguments."""
    name = wanted(case).partition("def ")[2].partition("(")[0]
    try:
        tree = ast.parse(answer)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return bool(functions) and not is_trivial(functions[-1])


def is_trivial(function):
    """It returns nothing, or uses none of its arguments, or is a single constant or an argument as it came."""
    arguments = {a.arg for a in function.args.args}
    used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
    return not values or bool(arguments) and not arguments & used or len(function.body) == 1 and isinstance(values[0], (ast.Constant, ast.Name))


LIMITS = f"import resource as r\nr.setrlimit(r.RLIMIT_CPU, ({SECONDS}, {SECONDS}))\nr.setrlimit(r.RLIMIT_AS, ({MEGABYTES << 20}, {MEGABYTES << 20}))\n"


def passes_tests(case, answer):
    """In a Python of its own, without the user's packages, in an empty folder, with limits on time and memory."""
    if not compiles(case, answer):
        return False
    program = LIMITS + "exec(" + repr(answer) + ")\n" + "\n".join(case["check"]["tests"]) + "\nprint('passed')"
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run([sys.executable, "-I", "-S", "-c", program], cwd=folder, capture_output=True, timeout=2 * SECONDS)
        except subprocess.TimeoutExpired:
            return False
    return done.stdout.decode(errors="replace").endswith("passed\n")


def same_outcome(case, answer):
    """The statement has the same effect and result as the right one on a small table in SQLite."""
    table = case["check"]["table"]
    result = outcome(table, answer)
    return result is not None and result == outcome(table, wanted(case))


def verdict(case, answer):
    return answer.startswith("Right." if case["check"]["right"] else "Wrong.")


def says_unknown(case, answer):
    return answer.strip().startswith(UNKNOWN.rstrip("."))


def chrf(answers, references):
    """Corpus chrF (sacrebleu); references: a list of lists, one for each answer."""
    from sacrebleu import corpus_chrf
    most = max(map(len, references))
    return corpus_chrf(answers, [[r[i] if i < len(r) else None for r in references] for i in range(most)]).score
