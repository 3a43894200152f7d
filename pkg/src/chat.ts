/**
 * Conversations: messages to tokens by the model's chat template, and an answer back to a message.
 *
 * What a user writes stays text. A control token that is spelled out in a message is marked before the template is rendered,
 * by a character that no message has; where the marks come out again, the tokenizer takes what is spelled there as text.
 * @module
 */

import type { Begun, Speaker } from "./answer.js";
import type { Vocabulary } from "./binding.js";
import { PageLmError } from "./errors.js";
import { chooseFallback, type Fallback } from "./fallbacks.js";
import { render, TemplateError } from "./jinja.js";
import { wellFormed } from "./options.js";
import { readToolCalls } from "./tool-calls.js";
import type { ChatOptions, ChatReport, GenerateOptions, Message, Report, TokenRange } from "./types.js";

const NONE = 2 ** 32 - 1;
const encoder = new TextEncoder();

/** Begins the next answer of a conversation. */
export async function beginChat(speaker: Speaker, messages: readonly Message[], options: ChatOptions): Promise<Begun> {
  const { tools, template, variables, ...rest } = options;
  const words = new Words(await speaker.vocabulary());
  const form = chooseForm(speaker, words, template);
  const mark = chooseMark([messages, tools, variables]);
  const more = (words.marked([tools, variables], mark) as [unknown, object | undefined]) ?? [];
  const shown = renderChat(form.template, words, words.marked(messages, mark) as Message[], { tools: more[0], ...more[1] });
  const { text, plain } = unmark(shown, mark);
  const ranges = await speaker.tokenize(wellFormed(text, "conversation"), plain);
  const tokens = words.withBos(goOn(speaker.text, ranges, encoder.encode(text), words));
  const generation = speaker.generate(tokens, await stopped(speaker, words, form, rest), form.template);
  const report = (done: Report): ChatReport => {
    speaker.text = [...done.promptTokens, ...done.tokens];
    return toChatReport(done, words);
  };
  return { generation, report };
}

/** The vocabulary, as a conversation looks at it. */
class Words {
  readonly #vocabulary: Vocabulary;
  readonly #control: ReadonlySet<number>;
  readonly #spelled: string[];
  readonly #first: ReadonlySet<string>;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    this.#control = new Set(vocabulary.control);
    this.#spelled = vocabulary.control.map((token) => this.text(token)).filter((text) => text !== "");
    this.#first = new Set(this.#spelled.map((text) => text.charAt(0)));
  }

  bytes(token: number): Uint8Array {
    const { bytes, ends } = this.#vocabulary;
    return bytes.subarray(token > 0 ? ends[token - 1] : 0, ends[token]);
  }

  text(token: number): string {
    return new TextDecoder().decode(this.bytes(token));
  }

  isControl(token: number): boolean {
    return this.#control.has(token);
  }

  /** Whether a control token is spelled so. */
  spells(text: string): boolean {
    return this.#spelled.includes(text);
  }

  get bos(): string {
    return this.#nameOf(0);
  }

  get eos(): string {
    return this.#nameOf(1);
  }

  #nameOf(idx: number): string {
    const token = this.#vocabulary.special[idx] ?? NONE;
    return token === NONE ? "" : this.text(token);
  }

  /** BOS before the tokens where the model wants it and the template has not written it. */
  withBos(tokens: number[]): number[] {
    const [bos, , , addsBos] = this.#vocabulary.special;
    return addsBos && bos !== NONE && tokens[0] !== bos ? [bos, ...tokens] : tokens;
  }

  /** The same value with a mark behind the first character of everything in its texts that is, or may become, a control token. */
  marked(value: unknown, mark: string): unknown {
    if (typeof value === "string") return this.#markedText(value, mark);
    if (Array.isArray(value)) return value.map((item) => this.marked(item, mark));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [this.#markedText(key, mark), this.marked(item, mark)]));
  }

  #markedText(text: string, mark: string): string {
    let marked = "";
    for (let at = 0; at < text.length; at += 1) {
      const char = text.charAt(at);
      marked += char;
      if (!this.#first.has(char)) continue;
      const rest = text.slice(at);
      // A beginning at the end may meet its other half in the text behind it.
      if (this.#spelled.some((word) => rest.startsWith(word) || word.startsWith(rest))) marked += mark;
    }
    return marked;
  }
}

/** The template to use: the caller's, the file's, or that of a family that the vocabulary tells. */
function chooseForm(speaker: Speaker, words: Words, template: string | undefined): Pick<Fallback, "template" | "stop"> {
  const { chatTemplate, architecture } = speaker.info();
  const own = template ?? chatTemplate;
  return own === undefined ? chooseFallback((text) => words.spells(text), architecture) : { template: own };
}

/** A character that is in none of the texts: one that Unicode keeps free for a program's own use. */
function chooseMark(value: unknown): string {
  const all = JSON.stringify(value) ?? "";
  for (let code = 0xfdd0; code <= 0xfdef; code += 1) {
    if (!all.includes(String.fromCharCode(code))) return String.fromCharCode(code);
  }
  throw new PageLmError("argument", "The messages have all 32 noncharacters from U+FDD0 on: leave one out.");
}

function renderChat(template: string, words: Words, messages: readonly Message[], more: object, prompts = true): string {
  const variables = { bos_token: words.bos, eos_token: words.eos, messages, tools: null, documents: null, ...more };
  try {
    return render(template, { ...variables, tools: (more as { tools?: unknown }).tools ?? null, add_generation_prompt: prompts });
  } catch (thrown) {
    const reason = thrown instanceof TemplateError ? thrown.message : `it cannot be rendered (${String(thrown)})`;
    throw new PageLmError("argument", `The chat template refused: ${reason}`, { cause: thrown });
  }
}

/** Takes the marks out, and says at which bytes the characters before them stand. */
function unmark(shown: string, mark: string): { text: string; plain: Uint32Array } {
  const parts = shown.split(mark);
  const plain: number[] = [];
  let bytes = 0;
  for (const part of parts.slice(0, -1)) {
    bytes += encoder.encode(part).length;
    plain.push(bytes - encoder.encode(Array.from(part).at(-1) ?? "").length);
  }
  return { text: parts.join(""), plain: Uint32Array.from(plain) };
}

/**
 * The tokens of the rendered text. Where it begins as the last conversation went, that one's tokens stay, so that nothing of it
 * is computed again: an answer is not always in the tokens that its text would be cut into. The rest is cut anew, from a place
 * where the text as a whole is cut too.
 */
function goOn(last: readonly number[], ranges: readonly TokenRange[], bytes: Uint8Array, words: Words): number[] {
  const fresh = ranges.map(({ token }) => token);
  // BOS that was put before the text is none of the ranges.
  const lead = last.length > 0 && last[0] !== fresh[0] && last[1] === fresh[0] ? 1 : 0;
  const before = last.slice(lead);
  let shared = 0;
  while (shared < before.length && shared < fresh.length && before[shared] === fresh[shared]) shared += 1;
  const controls = new Map(ranges.filter(({ token }) => words.isControl(token)).map(({ token, start }) => [start, token]));
  const starts = new Map(ranges.map(({ start, end }, idx) => (end > start ? [start, idx] : [-1, idx])));
  let [kept, from] = [shared, shared];
  let at = shared > 0 ? (ranges[shared - 1]?.end ?? 0) : 0;
  for (let idx = shared; idx < before.length; idx += 1) {
    const token = before[idx] as number;
    const piece = words.bytes(token);
    const isSame = piece.length > 0 && piece.every((byte, offset) => bytes[at + offset] === byte);
    const crosses = [...piece.keys()].some((offset) => controls.has(at + offset) && (offset > 0 || controls.get(at) !== token));
    if (!isSame || crosses || (words.isControl(token) && controls.get(at) !== token)) break;
    at += piece.length;
    const next = at === bytes.length ? fresh.length : starts.get(at);
    if (next !== undefined) [kept, from] = [idx + 1, next];
  }
  return [...before.slice(0, kept), ...fresh.slice(from)];
}

/** The caller's options with all that ends an answer: what the template writes behind one, too. */
async function stopped(
  speaker: Speaker,
  words: Words,
  form: Pick<Fallback, "template" | "stop">,
  options: GenerateOptions,
): Promise<GenerateOptions> {
  const end = await endOfTurn(speaker, words, form.template);
  const stopTokens = [...(options.stopTokens ?? []), ...(end === undefined ? [] : [end])];
  const stop = [...(typeof options.stop === "string" ? [options.stop] : (options.stop ?? [])), ...(form.stop ?? [])];
  return { ...options, ...(stopTokens.length > 0 && { stopTokens }), ...(stop.length > 0 && { stop }) };
}

const PROBE = "⁂⁂⁂";
const probe: readonly Message[] = [
  { role: "user", content: "?" },
  { role: "assistant", content: PROBE },
];

/** The control token that the template writes behind an answer, if it writes one. */
async function endOfTurn(speaker: Speaker, words: Words, template: string): Promise<number | undefined> {
  try {
    const behind = renderChat(template, words, probe, {}, false).split(PROBE).at(-1) ?? "";
    const [first] = await speaker.tokenize(behind.trimStart(), new Uint32Array());
    return first && words.isControl(first.token) ? first.token : undefined;
  } catch (thrown) {
    if (thrown instanceof PageLmError && thrown.code === "argument") return undefined; // it takes no such conversation
    throw thrown;
  }
}

function toChatReport(done: Report, words: Words): ChatReport {
  // Some forms of calls are told by control tokens, which are no text.
  const spelled = done.tokens.some((token) => words.isControl(token)) ? new TextDecoder().decode(concat(done.tokens, words)) : done.text;
  const { content, toolCalls } = readToolCalls(spelled);
  const message: Message = { role: "assistant", content: toolCalls.length > 0 ? content : done.text };
  if (toolCalls.length > 0) message.tool_calls = toolCalls;
  return { ...done, message, toolCalls };
}

function concat(tokens: readonly number[], words: Words): Uint8Array {
  return Uint8Array.from(tokens.flatMap((token) => [...words.bytes(token)]));
}
