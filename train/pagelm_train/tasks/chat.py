"""The chat template, as the GGUF file carries it, and conversations as token ids."""

import json
from pathlib import Path

CONTEXT = 512
END, USER, ASSISTANT = "<|endoftext|>", "<|user|>", "<|assistant|>"

# A system message has no token of its own: its text stands before that of the first message from the user.
TEMPLATE = (
    "{{- bos_token }}"
    "{%- set ns = namespace(system='') %}"
    "{%- for message in messages %}"
    "{%- if message['role'] == 'system' %}{%- set ns.system = ns.system + message['content'] + '\\n' %}"
    "{%- elif message['role'] == 'user' %}{{- '<|user|>' + ns.system + message['content'] }}{%- set ns.system = '' %}"
    "{%- elif message['role'] == 'assistant' %}{{- '<|assistant|>' + message['content'] + eos_token }}"
    "{%- else %}{{- raise_exception('roles are system, user and assistant, not ' + message['role']) }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
)


def render(messages, add_generation_prompt=False, bos=END):
    """What TEMPLATE gives, without Jinja. The engine adds bos itself: pass bos="" for its prompts."""
    out, system = bos, ""
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "system":
            system += content + "\n"
        elif role == "user":
            out, system = out + USER + system + content, ""
        elif role == "assistant":
            out += ASSISTANT + content + END
        else:
            raise ValueError(f"roles are system, user and assistant, not {role}")
    return out + (ASSISTANT if add_generation_prompt else "")


def encode(tokenizer, messages):
    """(ids, is_answer): the ids of the rendered conversation, and which of them are an answer's or the 0 after one.

    Texts are encoded one by one, so that a special token spelled inside one stays text.
    """
    user, assistant = tokenizer.token_to_id(USER), tokenizer.token_to_id(ASSISTANT)
    ids, is_answer, system = [0], [False], ""
    for message in messages:
        if message["role"] == "system":
            system += message["content"] + "\n"
            continue
        answers = message["role"] == "assistant"
        text = tokenizer.encode(system + message["content"]).ids
        system = ""
        ids += [assistant if answers else user, *text] + [0] * answers
        is_answer += [False] + [answers] * (len(text) + answers)
    return ids, is_answer


def read_conversations(data, split):
    with open(Path(data) / "tasks" / f"{split}.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_shards(data, tokenizer):
    """data/tasks/tokens/{split}.npz: ids, starts (one more than conversations), answer, task, tasks (their names)."""
    import numpy as np

    folder = Path(data) / "tasks" / "tokens"
    folder.mkdir(parents=True, exist_ok=True)
    splits = {split: read_conversations(data, split) for split in ("train", "held-out")}
    names = sorted({c["task"] for conversations in splits.values() for c in conversations})
    for split, conversations in splits.items():
        ids, answer, starts, task, too_long = [], [], [0], [], 0
        for conversation in conversations:
            these, is_answer = encode(tokenizer, conversation["messages"])
            if len(these) > CONTEXT:
                too_long += 1
                continue
            ids += these
            answer += is_answer
            starts.append(len(ids))
            task.append(names.index(conversation["task"]))
        np.savez_compressed(folder / f"{split}.npz", ids=np.array(ids, np.uint16), starts=np.array(starts, np.int64), answer=np.array(answer, bool),
                 task=np.array(task, np.uint8), tasks=np.array(names))
        print(f"{split}: {len(task):,} conversations, {len(ids):,} tokens, {sum(answer):,} of them answers; {too_long} longer than {CONTEXT} left out")
