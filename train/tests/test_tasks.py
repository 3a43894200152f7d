import json
import random

import numpy as np
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pagelm_train import clean
from pagelm_train.tasks import chat, dialogue, evaluation, news, pupil, python, questions, scores, sql, stories, tables, translation, words
from pagelm_train.tasks.sources import SOURCES, Conversation


def test_a_conversation_is_written_by_turns():
    record = Conversation("chat", "templates", ["Hi", "Hello", "Bye"], "Hi").record()
    assert [m["role"] for m in record["messages"]] == ["user", "assistant", "user"] and "check" not in record


def test_render_puts_a_system_message_before_the_first_user_message():
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert chat.render(messages) == "<|endoftext|><|user|>Be kind.\nHi<|assistant|>Hello<|endoftext|>"
    assert chat.render(messages[1:2], add_generation_prompt=True) == "<|endoftext|><|user|>Hi<|assistant|>"


def test_the_template_is_what_render_gives():
    template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(chat.TEMPLATE)  # as transformers does
    cases = [[{"role": "user", "content": " two\n\nlines "}], [{"role": "system", "content": "S"}, {"role": "user", "content": "a"}],
             [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]]
    for messages in cases:
        for prompt in (False, True):
            assert template.render(messages=messages, add_generation_prompt=prompt, bos_token=chat.END, eos_token=chat.END) == chat.render(messages, prompt)
    with pytest.raises(Exception):
        template.render(messages=[{"role": "tool", "content": ""}], bos_token="", eos_token="", raise_exception=lambda m: 1 / 0)


class Letters:
    """A tokenizer of one id a letter, from 10 on."""

    def token_to_id(self, token):
        return {chat.USER: 1, chat.ASSISTANT: 2}[token]

    def encode(self, text):
        return type("Encoding", (), {"ids": [10 + ord(c) - 97 for c in text]})


def test_encode_marks_answers_and_their_ends():
    ids, answer = chat.encode(Letters(), [{"role": "user", "content": "ab"}, {"role": "assistant", "content": "c"}, {"role": "user", "content": "d"}])
    assert ids == [0, 1, 10, 11, 2, 12, 0, 1, 13]
    assert [i for i, a in enumerate(answer) if a] == [5, 6]


def test_shards_hold_whole_conversations(tmp_path):
    (tmp_path / "tasks").mkdir()
    lines = [json.dumps({"task": t, "source": "templates", "messages": [{"role": "user", "content": u}, {"role": "assistant", "content": "b"}]})
             for t, u in (("y", "a"), ("x", "a" * 600), ("x", "aa"))]
    for split in ("train", "held-out"):
        (tmp_path / "tasks" / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    chat.write_shards(tmp_path, Letters())
    shard = np.load(tmp_path / "tasks" / "tokens" / "train.npz")
    assert shard["ids"].dtype == np.uint16 and shard["starts"].tolist() == [0, 6, 13] and shard["answer"].sum() == 4
    assert [shard["tasks"][i] for i in shard["task"]] == ["y", "x"]


def test_tables_keep_every_cell():
    rows = [["a", "b"], ["1", ""], ["x y", "2.5"]]
    assert tables.to_csv(rows) == "a,b\n1,\nx y,2.5"
    assert tables.to_markdown(rows) == "|a|b|\n|---|---|\n|1||\n|x y|2.5|"


def test_every_paragraph_template_extracts_what_it_says():
    for templates in tables.PARAGRAPHS:
        for template in templates:
            values = tables.fields(random.Random(1), words.NAMES, words.TOWNS)
            keys = [k for k in values if "{" + k + "}" in template]
            data = json.loads(tables.to_json(keys, [values[k] for k in keys]))
            assert all(str(v) in template.format(**values) for v in data.values())


def test_python_answers_pass_their_own_tests_and_mistakes_do_not():
    for random_ in map(random.Random, range(200)):
        phrase, argument, body = python.specification(random_)
        assert "{" not in phrase
        code = python.define("f", argument, body)
        tests = python.tests_for(code, "f", argument)
        case = {"messages": [{}, {"content": code}], "check": {"tests": tests}}
        assert python.passes(code, tests) and scores.compiles(case, code), code


def test_a_program_is_judged_by_running_it():
    case = {"messages": [{}, {"content": "def f(n):\n    return n + 1"}], "check": {"tests": ["assert f(1) == 2"]}}
    assert scores.passes_tests(case, "def f(n):\n    return 1 + n")
    assert not scores.passes_tests(case, "def f(n):\n    return n - 1")
    assert not scores.passes_tests(case, "def f(n):\n    while n: pass\n    return n + 1")
    for trivial in ("def f(n):\n    pass", "def f(n):\n    return 2", "def f(n):\n    return n", "def g(n):\n    return n + 1", "def f(n)\n    return"):
        assert not scores.compiles(case, trivial)


def test_sql_runs_and_two_spellings_have_the_same_outcome():
    for random_ in map(random.Random, range(200)):
        table, phrase, code = sql.query(random_)
        assert sql.outcome(table, code) is not None, code
    case = {"messages": [{}, {"content": "SELECT name FROM pets WHERE age > 50;"}], "check": {"table": "pets"}}
    assert scores.same_outcome(case, "select name from pets where 50 < age")
    assert not scores.same_outcome(case, "SELECT name FROM pets;") and not scores.same_outcome(case, "SELECT nothing")
    assert not scores.same_outcome(case, "ATTACH DATABASE 'x' AS y")


def test_marks_are_right():
    for conversation in pupil.mark(None, random.Random(1), 400):
        question, given = conversation.key.rpartition(" ")[::2]
        answer = conversation.messages[1]
        assert answer.startswith("Right." if conversation.check["right"] else "Wrong.")
        if question.startswith("What is ") and " + " in question:
            a, b = (int(x) for x in question[8:-1].split(" + "))
            assert (int(given) == a + b) == conversation.check["right"] and f"= {a + b}." in answer


def test_summaries_name_who_is_in_the_story():
    for conversation in stories.template_summaries(random.Random(1), 100):
        story, summary = conversation.key, conversation.messages[1]
        assert all(name in story for name in words.NAMES if name in summary.replace("'s", "").rstrip(".").split())


def test_topics():
    assert stories.topic_of("The Hornbill.", "") == "The Hornbill"
    assert stories.topic_of("", "Once upon a time there was a little frog named Tim. He") == "a little frog named Tim"
    assert stories.topic_of("", "Rain fell.") == ""


def test_only_simplified_chinese_is_kept():
    assert translation.is_simplified("你好，世界。") and not translation.is_simplified("開門")


def test_conversations_without_a_corpus_are_well_formed_and_safe():
    _, rules = clean.load_safety_rules()
    r = random.Random(1)
    made = [*news.news(r, 200), *dialogue.small_talk(r, 200), *dialogue.help_desk(r, 200), *sql.sql_from_templates(r, 200),
            *pupil.mark(None, r, 200), *questions.unknown(r, 200), *(questions.about_text(r) for _ in range(100)), *(questions.sum_question(r) for _ in range(100))]
    for c in made:
        assert c.source in SOURCES and len(c.messages) % 2 == 0 and all(m.strip() == m and m for m in c.messages), c.messages
        assert not any("{" in m or "}" in m for m in c.messages), c.messages
        assert not clean.safety_violation("\n".join(c.messages), rules), c.messages


def test_the_page_offers_the_wordings_that_were_trained():
    examples = json.loads((evaluation.CARD.parent / "tasks.json").read_text(encoding="utf-8"))
    assert {e["trained"] for e in examples} == set(evaluation.TASKS)
    for e in examples:
        assert "{" not in evaluation.fill(e).replace("{ns", "")


def figures():
    right = {"json": ("parses", "exact"), "table": ("exact",), "python-write": ("compiles, not trivial", "passes its tests"),
             "python-mend": ("passes its tests",), "sql-write": ("same result in SQLite",), "question": ("exact",),
             "unknown": ("says \"I don't know\"",)}
    made = {task: {name: {"right": 50, "n": 100} for name in names} for task, names in right.items()}
    return {**made, "translate": {"chrF en-de": {"model": 20.0, "copying the source": 12.5, "most frequent answer": 19.0, "n": 40},
                                  "chrF de-en": {"model": 20.0, "copying the source": 12.5, "most frequent answer": 21.0, "n": 40}}}


def test_bars_compare_with_both_baselines():
    checked = {b["bar"]: b["met"] for b in evaluation.bars(figures())}
    assert checked == {"json: parses": False, "json: exact": True, "table: exact": False, "python-write: compiles, not trivial": False,
                       "translate: chrF en-de": True, "translate: chrF de-en": False}


def test_a_task_without_prompts_is_neither_met_nor_missed():
    made = figures()
    del made["table"]
    assert {b["bar"]: b["met"] for b in evaluation.bars(made)}["table: exact"] is None
    assert "table" not in evaluation.scaling_table([{"tokens": 1e6, "figures": made}])


def test_the_scaling_table_goes_from_few_tokens_to_many():
    table = evaluation.scaling_table([{"tokens": 9e6, "figures": figures()}, {"tokens": 1e6, "figures": figures()}])
    assert table.splitlines()[0] == "|  | 1.0 million tokens | 9.0 million tokens |"
    assert "| json: parses | 50% | 50% |" in table and "| translate: chrF en-de | 20.0 | 20.0 |" in table
