import { existsSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, openBlank, type Running } from "../src/browser.js";
import { pages } from "../src/paths.js";
import { Server } from "../src/server.js";

const tasksModel = `${pages}/models/tasks.gguf`;

let server: Server;
let running: Running;

beforeAll(async () => {
  server = await Server.start();
  running = await launch();
});
afterAll(async () => {
  await running?.close();
  server?.stop();
});

const grammarRequests = () => server.requests.filter((path) => path.includes("grammar")).length;

test.runIf(existsSync(tasksModel))("texts have the form that is asked for, and its module is fetched once, when one is", { timeout: 120_000 }, async () => {
  const page = await openBlank(running.browser, server);
  const url = server.offer("tasks.gguf", tasksModel);
  await page.evaluate(async (url: string) => {
    const model = await window.pagelm.Model.load(url);
    (window as unknown as { model: unknown }).model = model;
    await model.generate("Hello", { maxTokens: 2 }).finish();
  }, url);
  expect(grammarRequests()).toBe(0);
  const texts = await page.evaluate(async () => {
    const { model } = window as unknown as { model: Awaited<ReturnType<typeof window.pagelm.Model.load>> };
    const schema = {
      type: "object",
      properties: { name: { type: "string", maxLength: 12 }, age: { type: "integer", minimum: 0, maximum: 99 } },
      required: ["name", "age"],
      additionalProperties: false,
    };
    const hot = { temperature: 1, maxTokens: 200 };
    const json = await model.chat([{ role: "user", content: "Who?" }], { ...hot, seed: 1, json: schema }).finish();
    const regex = await model.generate("A: ", { ...hot, seed: 2, regex: /^(cat|dog)s? \d{2}$/ }).finish();
    const grammar = await model.generate("A: ", { ...hot, seed: 3, grammar: 'start: "yes" | "no" " " /[a-z]{3}/' }).finish();
    const cut = await model.generate("A: ", { seed: 4, maxTokens: 3, regex: "a{100}" }).finish();
    const seen: number[] = [];
    const logitsProcessor = (logits: Float32Array) => void seen.push(logits.length);
    const both = await model.generate("A: ", { ...hot, seed: 5, regex: "[ab]{3}", logitsProcessor }).finish();
    const refused = await model.generate("A: ", { regex: "(" }).finish().catch((error: { code: string }) => error.code);
    const after = await model.generate("A: ", { maxTokens: 2 }).finish();
    return [json, regex, grammar, cut, both].map(({ text, stopReason }) => ({ text, stopReason })).concat([
      { text: String(refused), stopReason: String(seen.length > 0 && seen[0] === model.info.nVocab) as never },
      { text: String(after.tokens.length), stopReason: "eos" },
    ]);
  });
  const [json, regex, grammar, cut, both, refused, after] = texts;
  expect(Object.keys(JSON.parse(json?.text ?? ""))).toEqual(["name", "age"]);
  expect(json?.stopReason).toBe("eos");
  expect(regex).toEqual({ text: expect.stringMatching(/^(cat|dog)s? \d{2}$/), stopReason: "eos" });
  expect(grammar).toEqual({ text: expect.stringMatching(/^(yes|no [a-z]{3})$/), stopReason: "eos" });
  expect(cut).toEqual({ text: expect.stringMatching(/^a+$/), stopReason: "maxTokens" });
  expect(both).toEqual({ text: expect.stringMatching(/^[ab]{3}$/), stopReason: "eos" });
  expect(refused).toEqual({ text: "argument", stopReason: "true" });
  expect(after?.text).toBe("2");
  expect(grammarRequests()).toBe(2);
  await page.close();
});
