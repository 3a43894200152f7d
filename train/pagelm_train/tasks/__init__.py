"""The tasks model's data and its evaluation.

Read in this order: sources, chat, tables, python, sql, pupil, questions, stories, translation, dialogue, news,
conversations, scores, evaluation.
"""


def prepare(args):
    from .conversations import prepare as run
    run(args)


def evaluate(args):
    from .evaluation import evaluate as run
    run(args)


def write_shards(data, tokenizer):
    from .chat import write_shards as run
    run(data, tokenizer)
