import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Model } from "pagelm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launch, launchFirefox, openBlank, type Running } from "../src/browser.js";
import * as native from "../src/native.js";
import { pages } from "../src/paths.js";
import { Server } from "../src/server.js";

const tasksModel = `${pages}/models/tasks.gguf`;
const timeout = 180_000;

const schema = {
  type: "object",
  properties: { name: { type: "string", maxLength: 12 }, age: { type: "integer", minimum: 0, maximum: 99 } },
  required: ["name", "age"],
};
const LARK = 'start: "yes" | "no" " " /[a-z]{3}/';

/** What a page with one model is asked. */
interface Asking {
  model: Model;
}

let server: Server;
let url: string;

beforeAll(async () => {
  server = await Server.start();
  if (existsSync(tasksModel)) url = server.offer("tasks.gguf", tasksModel);
});
afterAll(() => server?.stop());

/** A page that has loaded the model. */
async function open(running: Running) {
  const page = await openBlank(running.browser, server);
  await page.evaluate(async (url: string) => {
    (window as unknown as Asking).model = await window.pagelm.Model.load(url);
  }, url);
  return page;
}

describe.runIf(existsSync(tasksModel)).each([
  ["Chromium", launch],
  ["Firefox", launchFirefox],
])("texts of a given form, in %s", (_name, start) => {
  let running: Running;
  beforeAll(async () => void (running = await start()), timeout);
  afterAll(() => running?.close());

  test("are those of the native command, and their module is fetched once, when one is asked for", { timeout }, async () => {
    const before = server.requests.length;
    const page = await open(running);
    const fetched = () => server.requests.slice(before).filter((path) => path.includes("grammar"));
    await page.evaluate(async () => {
      await (window as unknown as Asking).model.generate("Hello", { maxTokens: 2 }).finish();
    });
    expect(fetched()).toEqual([]);
    const seen = await page.evaluate(
      async (schema, lark) => {
        const { model } = window as unknown as Asking;
        const hot = { temperature: 1, topK: 0 };
        const texts = [
          await model.generate("A: ", { ...hot, seed: 1, maxTokens: 200, json: schema }).finish(),
          await model.generate("A: ", { ...hot, seed: 2, regex: /^(cat|dog)s? \d{2}$/ }).finish(),
          await model.generate("A: ", { ...hot, seed: 3, grammar: lark }).finish(),
          // brought to its end, and cut
          await model.generate("A: ", { ...hot, seed: 4, maxTokens: 40, json: { type: "array", items: { type: "string" }, minItems: 3 } }).finish(),
          await model.generate("A: ", { ...hot, seed: 5, maxTokens: 9, regex: "a{100}" }).finish(),
        ];
        const guessed = await model.generate("A: ", { ...hot, seed: 1, maxTokens: 200, json: schema, speculative: "lookup" }).finish();
        const answer = model.chat([{ role: "user", content: "Who?" }], { ...hot, seed: 6, maxTokens: 100, json: schema });
        const { message, stopReason } = await answer.finish();
        const clone = await model.clone();
        const cloned = await clone.generate("A: ", { ...hot, seed: 3, grammar: lark }).finish();
        clone.dispose();
        return { texts, guessed: guessed.tokens, message, stopReason, record: answer.record, cloned: cloned.tokens };
      },
      schema,
      LARK,
    );
    const all = ["--temperature", "1", "--top-k", "0", "--seed"];
    const wanted = await Promise.all(
      [
        ["1", "--n-predict", "200", "--json-schema", JSON.stringify(schema)],
        ["2", "--regex", "(cat|dog)s? \\d{2}"],
        ["3", "--grammar", LARK],
        ["4", "--n-predict", "40", "--json-schema", '{"type":"array","items":{"type":"string"},"minItems":3}'],
        ["5", "--n-predict", "9", "--regex", "a{100}"],
      ].map((args) => native.generate(tasksModel, "A: ", ...all, ...args)),
    );
    expect(seen.texts.map(({ tokens, text, stopReason }) => ({ tokens, text, stopReason }))).toEqual(
      wanted.map(({ tokens, text, stop_reason }) => ({ tokens, text, stopReason: stop_reason })),
    );
    const [json, regex, grammar, closed, cut] = seen.texts;
    expect(Object.keys(JSON.parse(json?.text ?? ""))).toEqual(expect.arrayContaining(["name", "age"]));
    expect(regex?.text).toMatch(/^(cat|dog)s? \d{2}$/);
    expect(grammar?.text).toMatch(/^(yes|no [a-z]{3})$/);
    expect(JSON.parse(closed?.text ?? "").length).toBeGreaterThanOrEqual(3);
    expect(seen.texts.slice(0, 4).map(({ stopReason }) => stopReason)).toEqual(Array(4).fill("eos"));
    expect([cut?.stopReason, cut?.text]).toEqual(["maxTokens", expect.stringMatching(/^a+$/)]);
    expect(seen.guessed).toEqual(json?.tokens);
    expect(seen.cloned).toEqual(grammar?.tokens);
    expect(fetched().map((path) => path.split("/").at(-1))).toEqual(["grammar.js", "pagelm_grammar.js", "pagelm_grammar_bg.wasm"]);
    // an answer in a conversation, made again from its record
    expect([seen.stopReason, Object.keys(JSON.parse(seen.message.content as string)).includes("age")]).toEqual(["eos", true]);
    expect(seen.record).toMatchObject({ constraint: { kind: "json", limit: 100 }, template: expect.stringContaining("{%") });
    const folder = mkdtempSync(join(tmpdir(), "pagelm-forms-"));
    writeFileSync(join(folder, "record.json"), JSON.stringify(seen.record));
    const again = JSON.parse(await native.native("generate", "--model", tasksModel, "--replay", join(folder, "record.json"), "--json"));
    rmSync(folder, { recursive: true });
    expect(again.tokens).toEqual(seen.record?.tokens);
    await page.close();
  });
});

describe.runIf(existsSync(tasksModel))("where a form cannot be kept to, in Chromium", () => {
  let running: Running;
  beforeAll(async () => void (running = await launch()));
  afterAll(() => running?.close());

  test("what cannot be read is refused in its module's words, and the model stays", { timeout }, async () => {
    const page = await open(running);
    const seen = await page.evaluate(async () => {
      const { model } = window as unknown as Asking;
      const said: string[] = [];
      for (const form of [
        { json: { type: "nothing" } },
        { json: { type: "array", uniqueItems: true } },
        { json: { $ref: "https://example.org/schema" } },
        { regex: "(" },
        { regex: /(a)\1/ },
        { grammar: "start: missing" },
      ]) {
        await model.generate("A", { ...form, maxTokens: 5 }).finish().catch(({ code, message }) => said.push(`${code}: ${message}`));
      }
      const bits: number[] = [];
      const logitsProcessor = (logits: Float32Array) => void bits.push(logits.length);
      const both = await model.generate("A: ", { temperature: 1, seed: 5, regex: "[ab]{3}", logitsProcessor }).finish();
      const after = await model.generate("A: ", { maxTokens: 2 }).finish();
      const stopped = model.generate("A: ", { regex: "[a-z]+", maxTokens: 30 });
      for await (const _ of stopped) break;
      return { said, both: both.text, shown: bits[0] === model.info.nVocab, after: after.tokens.length, stopped: stopped.report?.stopReason };
    });
    expect(seen.said).toHaveLength(6);
    for (const [idx, names] of [/nothing/, /uniqueItems/, /example\.org/, /\(/, /backreference/, /missing/].entries()) {
      expect(seen.said[idx]).toMatch(/^argument: /);
      expect(seen.said[idx]).toMatch(names);
    }
    expect(seen.both).toMatch(/^[ab]{3}$/);
    expect([seen.shown, seen.after, seen.stopped]).toEqual([true, 2, "aborted"]);
    await page.close();
  });

  test.each([/grammar\.js$/, /pagelm_grammar_bg\.wasm$/])("%o that does not arrive is an error of the network, and asked for again", { timeout }, async (missing) => {
    const page = await open(running);
    server.missing = missing;
    const ask = () =>
      page.evaluate(async () => {
        const { model } = window as unknown as Asking;
        const form = await model.generate("A: ", { regex: "[ab]{3}" }).finish().catch((error) => error as { code: string; message: string });
        const plain = await model.generate("A: ", { maxTokens: 2 }).finish();
        return ["text" in form ? form.text : `${form.code}: ${form.message}`, plain.tokens.length] as const;
      });
    const [said, n] = await ask();
    expect([said, n]).toEqual([expect.stringMatching(/^network: The grammars' module did not arrive .*try again/), 2]);
    server.missing = undefined;
    expect(await ask()).toEqual([expect.stringMatching(/^[ab]{3}$/), 2]);
    await page.close();
  });
});

test.runIf(process.env["PAGELM_MEASURE"])("what the mask costs, in Chromium", { timeout }, async () => {
  const running = await launch();
  const page = await open(running);
  const [masks, tokens] = await page.evaluate(async (url: string) => {
    const { model } = window as unknown as Asking;
    const binding = await window.openBuild("simd128");
    const loader = new binding.Loader();
    loader.push(new Uint8Array(await (await fetch(url)).arrayBuffer()));
    const { bytes, ends, control, endTokens } = loader.finish().vocabulary();
    const glue = await window.openGrammar();
    await glue.default();
    const lists = [ends, control, endTokens].map((list) => Uint32Array.from(list));
    const vocabulary = new glue.Vocabulary(bytes, lists[0] as Uint32Array, lists[1] as Uint32Array, lists[2] as Uint32Array);
    const json = { type: "object", additionalProperties: { anyOf: [{ type: "string" }, { type: "array", items: { type: "integer" } }] }, minProperties: 1 };
    const seen: [number[], number[]] = [[], []];
    for (let seed = 0; seed < 24; seed += 1) {
      const with_ = { temperature: 1, topK: 0, seed, maxTokens: 192 };
      const { tokens } = await model.generate("A story: ", { ...with_, json }).finish();
      // a text without a form that is as long, and the masks of the other by themselves
      const plain = await model.generate("A story: ", { ...with_, maxTokens: tokens.length, bannedTokens: endTokens }).finish();
      const form = vocabulary.constrain("json", JSON.stringify(json), new Uint32Array());
      form.limit(with_.maxTokens);
      const at = performance.now();
      for (const token of tokens) {
        form.allowed();
        form.accept(token);
      }
      seen[0].push((performance.now() - at) / tokens.length);
      seen[1].push(plain.decodeMs / plain.tokens.length);
    }
    return seen;
  }, url);
  const median = (numbers: number[]) => numbers.sort((a, b) => a - b)[numbers.length >> 1] as number;
  const share = median(masks.map((mask, idx) => mask / (mask + (tokens[idx] as number))));
  console.log(`${median(masks).toFixed(3)} ms a mask, ${median(tokens).toFixed(3)} ms a token without: ${(share * 100).toFixed(1)} %`);
  await page.close();
  await running.close();
});
