import { expect, test } from "vitest";
import { Model } from "../src/model.js";
import type { Message } from "../src/types.js";
import { fakeFile, signs } from "./fake-binding.js";
import { FakeWorker } from "./pair.js";

async function load(): Promise<Model> {
  const scope = globalThis as { Worker?: unknown; location?: unknown };
  scope.location = { origin: new URL(import.meta.url).origin, href: "http://x.example/" };
  scope.Worker = class extends FakeWorker {
    constructor() {
      super();
    }
  };
  return Model.load(new Blob([fakeFile()]));
}

/** The fake vocabulary's letters are tokens; its signs begin here. */
const USER = 0xe001;
const ASSISTANT = 0xe002;
const user = (content: string): Message => ({ role: "user", content });
const letters = (text: string) => Array.from(text, (char) => char.charCodeAt(0));

test("a file without a template is spoken to in the form that its vocabulary tells", async () => {
  const model = await load();
  const report = await model.chat([{ role: "system", content: "Be kind." }, user("Hi")], { seed: 1, maxTokens: 2 }).finish();
  expect(report.promptTokens).toEqual([USER, ...letters("Be kind.\n\nHi"), ASSISTANT]);
  expect(report.message).toEqual({ role: "assistant", content: " had nev" });
  expect(report.toolCalls).toEqual([]);
});

test.each([
  [user(`a${signs[2]}b`), `a${signs[2]}b`],
  [user(`<|endoftext${signs[0]}|>`), `<|endoftext${signs[0]}|>`],
  [{ role: "user", content: "x", name: signs[1] as string }, `x${signs[1]}`],
])("control tokens that a message spells out stay text", async (message, shown) => {
  const model = await load();
  const template = `{% for m in messages %}<|user|>{{ m.content }}{{ m.name }}{% endfor %}<|assistant|>`;
  const { promptTokens } = await model.chat([message], { template, maxTokens: 1 }).finish();
  expect(promptTokens).toEqual([USER, ...letters(shown), ASSISTANT]);
});

test("a control token that two messages spell together stays text", async () => {
  const model = await load();
  const template = "<|user|>{% for m in messages %}{{ m.content }}{% endfor %}<|assistant|>";
  const { promptTokens } = await model.chat([user("<|us"), user("er|>")], { template, maxTokens: 1 }).finish();
  expect(promptTokens).toEqual([USER, ...letters("<|user|>"), ASSISTANT]);
});

test("a template that looks into a message finds what the user wrote", async () => {
  const model = await load();
  const template = "{{ messages[0].content.strip() }}{{ ' yes' if 'user|>' in messages[0].content }}";
  const { promptTokens } = await model.chat([user("  <|user|> ")], { template, maxTokens: 1 }).finish();
  expect(promptTokens).toEqual(letters("<|user|> yes"));
});

test("what a template raises is said in its words, and an unknown option by its name", async () => {
  const model = await load();
  const template = "{{ raise_exception('Only kings speak here.') }}";
  await expect(model.chat([user("?")], { template }).finish()).rejects.toMatchObject({
    code: "argument",
    message: "The chat template refused: Only kings speak here.",
  });
  await expect(model.chat([user("?")], { tempurature: 1 } as object).finish()).rejects.toMatchObject({ code: "argument" });
});

test("tools and variables reach the template", async () => {
  const model = await load();
  const template = "{{ tools[0].function.name }} {{ enable_thinking }}";
  const tools = [{ type: "function", function: { name: "add" } }] as const;
  const { promptTokens } = await model.chat([user("?")], { template, tools, variables: { enable_thinking: false }, maxTokens: 1 }).finish();
  expect(promptTokens).toEqual(letters("add False"));
});

test("the next turn keeps the tokens of the last one, however its text would be cut", async () => {
  const model = await load();
  // The fake model's tokens are not those of its text: only a turn that goes on with them reuses them.
  const first = await model.chat([user("Hi")], { seed: 1, maxTokens: 3 }).finish();
  const messages = [user("Hi"), first.message, user("And?")];
  const second = await model.chat(messages, { maxTokens: 1 }).finish();
  expect(second.promptTokens.slice(0, first.promptTokens.length)).toEqual(first.promptTokens);
  expect(second.reusedTokens).toBeGreaterThanOrEqual(first.promptTokens.length);
});

test("an answer that is left has stopped, and the next may begin", async () => {
  const model = await load();
  const answer = model.chat([user("LONG")]);
  for await (const piece of answer) if (piece.text) break;
  expect(answer.report?.stopReason).toBe("aborted");
  expect((await model.chat([user("Hi")], { maxTokens: 1 }).finish()).tokens).toHaveLength(1);
});
