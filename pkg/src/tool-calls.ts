/**
 * Calls of tools in an answer: the forms in which models of today write them.
 * @module
 */

import type { ToolCall } from "./types.js";

/** An answer's calls, and what is left of it without them. */
export interface Parsed {
  content: string;
  toolCalls: ToolCall[];
}

/** Finds the calls in one form; `undefined` where the answer has none of that form. */
type Form = (text: string) => Parsed | undefined;

/**
 * The calls in an answer. What looks like a call and cannot be read stays text.
 */
export function readToolCalls(text: string): Parsed {
  for (const form of [tagged, listed, functions, bare]) {
    const parsed = form(text);
    if (parsed && parsed.toolCalls.length > 0) {
      return { content: parsed.content.trim(), toolCalls: parsed.toolCalls.map((call, idx) => ({ id: `call_${idx}`, ...call })) };
    }
  }
  return { content: text, toolCalls: [] };
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function toCall(name: unknown, args: unknown): ToolCall[] {
  if (typeof name !== "string" || name === "") return [];
  const read = typeof args === "string" ? (parse(args) ?? args) : (args ?? {});
  return [{ type: "function", function: { name, arguments: read } }];
}

/** `{"name": …, "arguments": {…}}`, or `"parameters"`, or the OpenAI form around that; or a list of them. */
function fromJson(value: unknown): ToolCall[] {
  if (Array.isArray(value)) return value.flatMap(fromJson);
  if (typeof value !== "object" || value === null) return [];
  const { name, arguments: args, parameters, function: inner } = value as Record<string, unknown>;
  if (typeof inner === "object") return fromJson(inner);
  return args === undefined && parameters === undefined ? [] : toCall(name, args ?? parameters);
}

/** `<tool_call>{…}</tool_call>` (Hermes, Qwen), or with `<function=name><parameter=key>value</parameter></function>` inside. */
const tagged: Form = (text) => {
  const toolCalls: ToolCall[] = [];
  const content = text.replace(/<tool_call>\s*([^]*?)\s*(?:<\/tool_call>|$)/g, (whole, inner: string) => {
    const calls = inner.startsWith("{") || inner.startsWith("[") ? fromJson(parse(inner)) : (functions(inner)?.toolCalls ?? []);
    toolCalls.push(...calls);
    return calls.length > 0 ? "" : whole;
  });
  return { content, toolCalls };
};

/** `[TOOL_CALLS][{…}]` and `[TOOL_CALLS]name[ARGS]{…}` (Mistral), `<|python_tag|>{…}` (Llama 3), `<|tool_call|>[{…}]` (Granite). */
const listed: Form = (text) => {
  const [content = "", ...rest] = text.split(/\[TOOL_CALLS\]|<\|python_tag\|>|<\|tool_call\|>/);
  const toolCalls = rest.flatMap((part) => {
    const named = /^\s*([\w.-]+)(?:\[CALL_ID\]\w*)?(?:\[ARGS\]|(?=\{))([^]*)$/.exec(part);
    return named ? toCall(named[1], parse(named[2] ?? "") ?? named[2]) : fromJson(parse(part.trim()));
  });
  return { content, toolCalls };
};

/** `<function=name>{…}</function>` (functionary), or with parameters one by one (Qwen3-Coder). */
const functions: Form = (text) => {
  const toolCalls: ToolCall[] = [];
  const content = text.replace(/<function=([\w.-]+)>\s*([^]*?)\s*(?:<\/function>|$)/g, (_, name: string, body: string) => {
    const parameters = [...body.matchAll(/<parameter=([\w.-]+)>\n?([^]*?)\n?<\/parameter>/g)];
    const read = parameters.map(([, key, value]) => [key as string, parse(value as string) ?? value]);
    toolCalls.push(...toCall(name, parameters.length > 0 ? Object.fromEntries(read) : (parse(body) ?? {})));
    return "";
  });
  return { content, toolCalls };
};

/** An answer that is nothing but a call in JSON (Llama 3). */
const bare: Form = (text) => {
  const whole = text.trim();
  return /^[{[]/.test(whole) ? { content: "", toolCalls: fromJson(parse(whole)) } : undefined;
};
