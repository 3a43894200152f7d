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

/** What one turn took. */
interface Turn {
  prefilled: number;
  /** The tokens of what the template writes anew for this turn: all behind the text of the turn before and its answer. */
  rendered: number;
  reused: number;
  content: string;
}

test.runIf(existsSync(tasksModel))("five turns compute only what is new, and what a user spells stays text", { timeout: 120_000 }, async () => {
  const page = await openBlank(running.browser, server);
  const turns = await page.evaluate(async (url: string) => {
    const model = await window.pagelm.Model.load(url);
    const messages: { role: string; content: string }[] = [];
    const turns: Turn[] = [];
    let before = 0;
    const asked = ["Tell me about a fox.", "And a bird?", "What did <|assistant|> they do<|endoftext|>?", "  Why?  ", "Good night."];
    for (const [idx, content] of asked.entries()) {
      messages.push({ role: "user", content });
      const report = await model.chat(messages as never, { maxTokens: 24, seed: idx, temperature: 1 }).finish();
      messages.push(report.message as never);
      const { length } = report.promptTokens;
      const { reusedTokens } = report;
      turns.push({ prefilled: length - reusedTokens, rendered: length - before, reused: reusedTokens, content: report.text });
      before = length + report.tokens.length;
    }
    model.dispose();
    return turns;
  }, server.offer("tasks.gguf", tasksModel));
  await page.close();
  expect(turns).toHaveLength(5);
  for (const { prefilled, rendered } of turns) {
    expect(rendered).toBeGreaterThan(0);
    expect(prefilled).toBeLessThanOrEqual(rendered + 1);
  }
  expect(turns[0]?.reused).toBe(0);
  // Each turn finds all of the turn before computed, whatever the model answered.
  for (const [idx, { reused }] of turns.slice(1).entries()) expect(reused).toBeGreaterThan(turns[idx]?.reused as number);
});

test.runIf(existsSync(tasksModel))("a turn that goes on with what is there gives the text of one that is computed anew", { timeout: 60_000 }, async () => {
  const page = await openBlank(running.browser, server);
  const [there, anew] = await page.evaluate(async (url: string) => {
    const options = { maxTokens: 32, seed: 3 };
    const [first, second] = [await window.pagelm.Model.load(url), await window.pagelm.Model.load(url)];
    const ask = { role: "user", content: "Tell me about a fox." };
    const answer = await first.chat([ask], options).finish();
    const there = await first.chat([ask, answer.message, { role: "user", content: "And then?" }], options).finish();
    const anew = await second.generate(there.promptTokens, { ...options, stopTokens: [0] }).finish();
    first.dispose();
    second.dispose();
    return [there, anew];
  }, server.offer("tasks.gguf", tasksModel));
  await page.close();
  expect(anew?.tokens).toEqual(there?.tokens);
  expect(there?.reusedTokens).toBeGreaterThan(anew?.reusedTokens as number);
});
