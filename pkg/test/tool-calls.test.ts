import { expect, test } from "vitest";
import { readToolCalls } from "../src/tool-calls.js";

const call = (name: string, args: unknown, idx = 0) => ({ id: `call_${idx}`, type: "function", function: { name, arguments: args } });

test.each([
  ["Hermes", 'I look.\n<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>', "I look."],
  ["Hermes, cut by the end", '<tool_call>{"name": "f", "arguments": {"a": 1}}', ""],
  ["Qwen3-Coder", "<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>", ""],
  ["functionary", 'Yes. <function=f>{"a": 1}</function>', "Yes."],
  ["Mistral", '[TOOL_CALLS][{"name": "f", "arguments": {"a": 1}}]', ""],
  ["Mistral, later", '[TOOL_CALLS]f[CALL_ID]abc[ARGS]{"a": 1}', ""],
  ["Llama 3", '{"name": "f", "parameters": {"a": 1}}', ""],
  ["Llama 3, tagged", '<|python_tag|>{"name": "f", "parameters": {"a": 1}}', ""],
  ["Granite", '<|tool_call|>[{"name": "f", "arguments": {"a": 1}}]', ""],
  ["OpenAI", '{"type": "function", "function": {"name": "f", "arguments": "{\\"a\\": 1}"}}', ""],
])("calls are found in the form of %s", (_, text, content) => {
  expect(readToolCalls(text)).toEqual({ content, toolCalls: [call("f", { a: 1 })] });
});

test("several calls are numbered", () => {
  const text = '<tool_call>{"name": "f", "arguments": {}}</tool_call>\n<tool_call>{"name": "g", "arguments": {"x": [1]}}</tool_call>';
  expect(readToolCalls(text).toolCalls).toEqual([call("f", {}), call("g", { x: [1] }, 1)]);
});

test.each(["", "Hello.", '{"a": 1}', "[1, 2]", "<tool_call>not JSON</tool_call>", "[TOOL_CALLS] and what they are", '{"name": "Ada", "age": 36}'])(
  "what is no call stays text: %s",
  (text) => {
    expect(readToolCalls(text)).toEqual({ content: text, toolCalls: [] });
  },
);
