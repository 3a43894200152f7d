"""The tasks model's data and its evaluation.

Read in this order: sources, chat, tables, python, sql, pupil, questions, stories, translation, dialogue, news, prepare,
evaluate.
"""


def prepare(args):
    from .prepare import prepare as run
    run(args)


def evaluate(args):
    from .evaluate import evaluate as run
    run(args)


def write_shards(data, tokenizer):
    from .chat import write_shards as run
    run(data, tokenizer)
