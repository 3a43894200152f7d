import { readFileSync } from "node:fs";
import { join } from "node:path";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import type { Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CacheType } from "../../../pkg/src/binding.js";
import type { Build } from "../../../pkg/src/features.js";
import { builds, launch, launchFirefox, openBlank, type Running } from "../src/browser.js";
import * as gguf from "../src/gguf.js";
import * as native from "../src/native.js";
import { sharedModel, storyModel, tasksModel } from "../src/paths.js";
import { Server } from "../src/server.js";

/** With AVX-VNNI the relaxed dot product is one instruction, without it another: both are met where the host has it. */
const BROWSERS = {
  Chromium: () => launch(),
  "Chromium without AVX-VNNI": () => launch("--js-flags=--no-enable-avx-vnni"),
  Firefox: launchFirefox,
};

const folder = mkdtempSync(join(tmpdir(), "pagelm-models-"));

function made(name: string, file: gguf.File): string {
  const path = join(folder, `${name}.gguf`);
  gguf.writeTo(path, file);
  return path;
}

/** Llama models of random weights, by their format, with rows of 256 so that every format fits. Two heads share a key. */
const random = ([name, format]: [string, gguf.Format]): [string, string] => [
  `random ${name}`,
  made(name.toLowerCase(), gguf.llama(gguf.TINY, format, name)),
];

/** Random weights in a recorded architecture, given room for more tokens than its record has. */
function recorded(name: string): [string, string] {
  const file = gguf.recorded(name);
  for (const key of file.metadata.keys()) if (key.endsWith(".context_length")) file.metadata.set(key, { u32: gguf.TINY.nCtx });
  return [name, made(name, file)];
}

const { F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ2_XS } = gguf;
const formats = Object.entries({ F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ2_XS });
/** Of the architectures, which the conformance run compares all: soft caps and windows, biases at keys, experts. */
const architectures = ["gemma2", "qwen2", "mixtral"].map(recorded);

const models: [string, string | undefined][] = [
  ["the story model", storyModel],
  ["the task model", tasksModel],
  ...formats.map(random),
  ...architectures,
  ["stories260K f32", sharedModel("stories260K-f32.gguf")],
  ["stories260K f16", sharedModel("stories260K-f16.gguf")],
  ["stories260K q6_k", sharedModel("stories260K-q6_k.gguf")],
  ["gpt-nano-sort", sharedModel("gpt-nano-sort-f32.gguf")],
  ["llama-2-tiny-random", sharedModel("llama-2-tiny-random.gguf")],
];

/** Models for the other caches: the built-in one, and one of another architecture whose heads share keys by two. */
const cached: [string, string][] = [["the story model", storyModel], ...architectures.slice(0, 1)];

/** Some tokens that every vocabulary has: more than one chunk of the prefill, but for a context of 11 and 32,000 logits each. */
function tokensFor(path: string): number[] {
  if (path.includes("gpt-nano")) return [0, 0, 2, 1, 0, 1];
  return Array.from({ length: path.includes("llama-2-tiny") ? 8 : 70 }, (_, i) => (i * 37 + 1) % 300);
}

let server: Server;

beforeAll(async () => void (server = await Server.start({ isolated: true })));
afterAll(() => {
  server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const expected = new Map<string, Promise<Uint32Array>>();

/** The bits of all logits as the native command computes them, once for all browsers. */
function nativeBits(path: string, ...args: string[]): Promise<Uint32Array> {
  const key = [path, ...args].join(" ");
  const bits = expected.get(key) ?? native.logitBits(path, tokensFor(path), ...args);
  expected.set(key, bits);
  return bits;
}

/** The bits of all logits as one build in this browser computes them; on two threads, where it has threads. */
async function logitBits(page: Page, build: Build, url: string, tokens: number[], cacheType?: CacheType): Promise<Uint32Array> {
  const base64 = await page.evaluate(
    async (build, url, tokens, cacheType) => {
      const model = await window.pagelm.Model.load(url, { build, threads: 2, ...(cacheType && { cacheType }) });
      if (model.info.build !== build || model.info.threads !== (build.endsWith("threads") ? 2 : 1)) return "";
      await window.threadsAtWork(model);
      const logits = await model.logits(tokens);
      model.dispose();
      const bytes = new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength);
      const binary: string[] = [];
      for (let at = 0; at < bytes.length; at += 0x8000) binary.push(String.fromCharCode(...bytes.subarray(at, at + 0x8000)));
      return btoa(binary.join(""));
    },
    build,
    url,
    tokens,
    cacheType,
  );
  const bytes = Buffer.from(base64, "base64");
  return new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

/** How many words there are, and how many of them are not the expected ones. A matcher takes seconds for so many. */
function compare(bits: Uint32Array, expected: Uint32Array): { length: number; differing: number } {
  let differing = 0;
  for (let i = 0; i < bits.length; i += 1) differing += Number(bits[i] !== expected[i]);
  return { length: bits.length, differing };
}

describe.each(Object.entries(BROWSERS))("logits in %s", (_, start) => {
  let running: Running;
  let page: Page;

  beforeAll(async () => {
    running = await start();
    page = await openBlank(running.browser, server);
  });
  afterAll(() => running?.close());

  for (const [name, path] of models) {
    test.skipIf(!path)(`${name}: native and every build agree in every bit`, async () => {
      const file = path as string;
      const tokens = tokensFor(file);
      const expected = await nativeBits(file);
      expect(expected.length % tokens.length).toBe(0);
      const floats = new Float32Array(expected.buffer);
      expect(floats.every(Number.isFinite) && new Set(floats).size > tokens.length, "logits worth comparing").toBe(true);
      const url = server.offer(`${name}.gguf`.replaceAll(" ", "-"), readFileSync(file));
      for (const build of builds) {
        const bits = await logitBits(page, build, url, tokens);
        expect({ build, ...compare(bits, expected) }).toEqual({ build, length: expected.length, differing: 0 });
      }
    });
  }

  const caches = cached.flatMap(([name, path]) => (["f16", "q8_0"] as const).map((cacheType) => [name, cacheType, path] as const));
  test.each(caches)("%s: a cache in %s gives the same bits too, and others than one in f32", async (name, cacheType, path) => {
    const expected = await nativeBits(path, "--cache-type", cacheType);
    expect(compare(expected, await nativeBits(path)).differing).toBeGreaterThan(0);
    const url = server.offer(`${name}.gguf`.replaceAll(" ", "-"), readFileSync(path));
    for (const build of builds) {
      const bits = await logitBits(page, build, url, tokensFor(path), cacheType);
      expect({ build, ...compare(bits, expected) }).toEqual({ build, length: expected.length, differing: 0 });
    }
  });
});

describe("tokens", () => {
  let running: Running;
  let page: Page;

  beforeAll(async () => {
    running = await launch();
    page = await openBlank(running.browser, server);
  });
  afterAll(() => running?.close());

  test.each(builds)("the %s build writes the native command's tokens", async (build) => {
    const prompt = "One day, Tom and Mia found a strange, old box. 🦊";
    const url = server.offer("story.gguf", readFileSync(storyModel));
    const generated = await page.evaluate(
      async (url, prompt, build) => {
        const model = await window.pagelm.Model.load(url, { build, threads: 2 });
        await window.threadsAtWork(model);
        const generation = model.generate(prompt, { maxTokens: 80, seed: 4_000_000_000, temperature: 1.1, topK: 0 });
        const tokens: number[] = [];
        let text = "";
        for await (const piece of generation) {
          tokens.push(piece.token);
          text += piece.text;
        }
        const chosen = model.info.build;
        model.dispose();
        return { tokens, text, chosen, report: generation.report };
      },
      url,
      prompt,
      build,
    );
    const args = ["--seed", "4000000000", "--n-predict", "80", "--temperature", "1.1", "--top-k", "0"];
    const expected = await native.generate(storyModel, prompt, ...args);
    expect(generated.chosen).toBe(build);
    expect(generated.tokens).toEqual(expected.tokens);
    expect(generated.report?.promptTokens).toEqual(expected.prompt_tokens);
    expect(generated.report?.stopReason).toBe(expected.stop_reason);
    expect(generated.report?.text).toBe(expected.text);
    expect(generated.report?.seed).toBe(4_000_000_000);
    expect(generated.text).toBe(expected.text.replace(/\ufffd$/, ""));
  });

  test.each(builds)("the %s build writes the same tokens when it guesses", async (build) => {
    const prompt = "Once upon a time there was a dog. Once upon a time there was a cat. Once";
    const url = server.offer("story.gguf", readFileSync(storyModel));
    const [plain, guessed] = await page.evaluate(
      async (url, prompt, build) => {
        const model = await window.pagelm.Model.load(url, { build, threads: 2 });
        await window.threadsAtWork(model);
        const options = { maxTokens: 80, seed: 7, temperature: 0.5 };
        const plain = await model.generate(prompt, options).finish();
        const guessed = await model.generate(prompt, { ...options, speculative: "lookup" }).finish();
        model.dispose();
        return [plain, guessed];
      },
      url,
      prompt,
      build,
    );
    expect(guessed?.tokens).toEqual(plain?.tokens);
    expect(plain?.proposedTokens).toBe(0);
    expect(guessed?.proposedTokens).toBeGreaterThan(guessed?.acceptedTokens as number - 1);
    expect(guessed?.proposedTokens).toBeGreaterThan(0);
  });

  test.each(builds)("the %s build writes the same tokens when another model guesses", async (build) => {
    const url = server.offer("story.gguf", readFileSync(storyModel));
    const [random, other] = ["f32", "q8_0"].map((name) => server.offer(`${name}.gguf`, readFileSync(join(folder, `${name}.gguf`))));
    const { plain, guessed, asked, copied, refused, lacking } = await page.evaluate(
      async (url, odd, build) => {
        // the same weights, over keys and values that are rounded, and not: nearly always of one mind
        const model = await window.pagelm.Model.load(url, { build, threads: 2, draft: url, cacheType: "q8_0" });
        await window.threadsAtWork(model);
        const options = { maxTokens: 80, seed: 7, temperature: 0.9 };
        const plain = await model.generate("Once upon a time", options).finish();
        const guessed = await model.generate("Once upon a time", { ...options, speculative: "draft" }).finish();
        const asked = await model.generate("A cat", { ...options, speculative: "draft" }).finish();
        const copy = await model.clone();
        const copied = await copy.generate("Once upon a time", { ...options, speculative: "draft" }).finish();
        model.dispose();
        const refused = await window.pagelm.Model.load(url, { build, draft: odd }).catch((error) => error.message);
        const alone = await window.pagelm.Model.load(url, { build, cacheType: "q8_0" });
        const lacking = await alone.generate("A", { speculative: "draft" }).finish().catch((error) => error.message);
        const again = await alone.generate("A cat", options).finish();
        alone.dispose();
        return { plain, guessed, asked: [asked.tokens, again.tokens], copied, refused, lacking };
      },
      url,
      other as string,
      build,
    );
    const atRandom = await page.evaluate(
      async (url, draft, build) => {
        const model = await window.pagelm.Model.load(url, { build, draft });
        const options = { maxTokens: 40, seed: 7, topK: 0 };
        const plain = await model.generate("a", options).finish();
        const guessed = await model.generate("a", { ...options, speculative: "draft" }).finish();
        model.dispose();
        return { plain, guessed };
      },
      random as string,
      other as string,
      build,
    );
    expect(atRandom.guessed.tokens).toEqual(atRandom.plain.tokens);
    expect(atRandom.guessed.proposedTokens).toBeGreaterThan(atRandom.guessed.acceptedTokens);
    expect(guessed.tokens).toEqual(plain.tokens);
    expect(copied.tokens).toEqual(plain.tokens);
    expect(asked[0]).toEqual(asked[1]);
    expect(guessed.acceptedTokens).toBeGreaterThan(30);
    expect(refused).toMatch(/another vocabulary/);
    expect(lacking).toMatch(/no draft model/i);
  });
});
