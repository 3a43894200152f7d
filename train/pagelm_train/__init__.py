"""How pagelm's built-in models are made.

Read in this order: corpora, clean, truecase, prepare, tokenizer, model, train, export, evaluate, runs.
"""
