import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ElementHandle, Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { byId, launch, openPage, type Running, waitForText } from "../src/browser.js";
import * as gguf from "../src/gguf.js";
import { sharedModel } from "../src/paths.js";
import { Server } from "../src/server.js";

/** What each lesson says of any model that has text. */
const lessons: readonly (readonly [lesson: string, told: string, pattern: RegExp])[] = [
  ["tokens", "tokens-told", /tokens for/],
  ["vectors", "vectors-told", /Nearest to/],
  ["attention", "attention-told", /looks most at/],
  ["block", "block-told", /adds most/],
  ["choice", "choice-told", /pieces are left/],
  ["lens", "credit-told", /votes sum up/],
  ["who", "who-told", /heads are off/],
  ["who", "steered", /Steered/],
  ["who", "induction-told", /0\.\d\d/],
  ["speed", "bits-told", /bits in blocks/],
  ["limits", "memory-told", /perplexity/],
];

/** What models of other kinds say where they differ: how positions come in, whether votes make the logit, neurons. */
interface Kind {
  name: string;
  positions: RegExp;
  credit?: RegExp;
  neurons?: RegExp;
}

const kinds: readonly Kind[] = [
  { name: "gemma2", positions: /turns by/, credit: /cannot be told apart.*soft cap/s },
  { name: "gpt2", positions: /learned vector/ },
  { name: "mpt", positions: /ALiBi/ },
  { name: "mixtral", positions: /turns by 57\.30/, neurons: /mixtures of experts/ },
  { name: "phi2", positions: /turns by 57\.30/ },
];

/** Waits until the model has done all that was asked of it. */
const rest = (page: Page) => page.waitForFunction(() => !document.documentElement.hasAttribute("data-busy"), { timeout: 60_000 });

describe("a model of the reader's own, in Chromium", () => {
  let server: Server;
  let running: Running;
  const folder = mkdtempSync(join(tmpdir(), "pagelm-own-"));
  const file = (name: string, made: gguf.File) => {
    const path = join(folder, `${name}.gguf`);
    gguf.writeTo(path, made);
    return path;
  };
  /** A real model, where the reader's own would be: Chromium reads no file whose path is not its true one. */
  function copyOf(name: string): string | undefined {
    const path = sharedModel(name);
    if (path) copyFileSync(path, join(folder, name));
    return path && join(folder, name);
  }
  beforeAll(async () => {
    server = await Server.start();
    running = await launch();
  }, 60_000);
  afterAll(async () => {
    await running?.close();
    server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const errorOf = (page: Page) => page.$eval(byId("error"), (line) => line.textContent);

  /** Opens a page, and puts a file in the place of the model that it came with. */
  async function bring(address: string, path: string): Promise<{ page: Page; errors: string[] }> {
    const opened = await openPage(running.browser);
    const { page } = opened;
    await page.setViewport({ width: 1280, height: 900 });
    await page.goto(`${server.demo}${address}`);
    const before = await waitForText(page, "model", /layers/);
    await ((await page.$("#own-file")) as ElementHandle<HTMLInputElement>).uploadFile(path);
    await page.waitForFunction((model, text) => document.querySelector(model)?.textContent !== text, { timeout: 30_000 }, byId("model"), before).catch(async (thrown) => {
      throw new Error(`${path} did not come: ${await errorOf(page)}`, { cause: thrown });
    });
    await rest(page);
    return opened;
  }

  const go = async (page: Page, lesson: string) => {
    await page.evaluate((to) => void (location.hash = to), `#lang=en&lesson=${lesson}`);
    await rest(page);
  };

  /** Walks through the lessons and the workbench. */
  async function walk({ positions, credit, neurons }: Omit<Kind, "name">, path: string): Promise<void> {
    const { page, errors } = await bring("learn/index.html#lang=en&lesson=tokens", path);
    for (const [lesson, told, pattern] of lessons) {
      await go(page, lesson);
      await waitForText(page, told, pattern);
      expect(await errorOf(page), lesson).toBe("");
    }
    await go(page, "positions");
    await waitForText(page, "own-told", positions);
    await go(page, "block");
    await waitForText(page, "neuron-told", neurons ?? /answers most to/);
    await go(page, "lens");
    if (credit) expect(await page.$eval("#lesson-text", (text) => (text as HTMLElement).innerText)).toMatch(credit);
    expect(await errorOf(page)).toBe("");
    await page.close();

    const bench = (await bring("workbench/index.html#lang=en&compare=text", path)).page;
    for (const [cell, id, pattern] of [[-1, "cell-told", /Behind layer/], [-2, "neuron-told", neurons ?? /answers most to/], [0, "cell-told", /looks most at/]] as const) {
      const cells = await bench.$$(`${byId("bench-map")} g[role=button]`);
      await cells.at(cell)?.evaluate((one) => one.dispatchEvent(new MouseEvent("click")));
      await waitForText(bench, id, pattern);
      await rest(bench);
    }
    await waitForText(bench, "compare-told", /in A and .* in B/);
    expect(await errorOf(bench)).toBe("");
    expect(errors).toEqual([]);
    await bench.close();
  }

  test.each(kinds)("$name goes through every lesson and the workbench", ({ name, ...kind }) => walk(kind, file(name, gguf.recorded(name))), 150_000);

  const real = copyOf("stories260K-q6_k.gguf");
  test.skipIf(!real)("stories260K, which is a real one, does too, and has a share of “ he”", async () => {
    await walk({ positions: /turns by 57\.30/ }, real as string);
    const { page } = await bring("learn/index.html#lang=en&lesson=limits", real as string);
    await waitForText(page, "bias-told", /“ he” gets [\d.]+ % to/);
    await go(page, "vectors");
    await waitForText(page, "vectors-told", /Nearest to “·?\p{L}+”/u);
    await page.close();
  }, 200_000);

  const letters = copyOf("gpt-nano-sort-f32.gguf");
  test.skipIf(!letters)("of a model that knows three letters it is said that it has no piece of a text", async () => {
    const { page } = await bring("learn/index.html#lang=en&lesson=choice", letters as string);
    await waitForText(page, "error", /no piece of this text/);
    // What was wrong is forgotten when it is mended.
    await page.$eval(byId("text"), (field) => {
      (field as HTMLTextAreaElement).value = "ABC";
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });
    await waitForText(page, "choice-told", /pieces are left/);
    expect(await errorOf(page)).toBe("");
    await page.evaluate(() => void (location.hash = "#lang=en&lesson=attention&text=ABCABC"));
    await rest(page);
    await waitForText(page, "attention-told", /looks most at/);
    expect(await errorOf(page)).toBe("");
    // Its context of 11 is shorter than the vectors that are looked at together.
    await page.evaluate(() => void (location.hash = "#lang=en&lesson=lens&text=ABCABC"));
    await rest(page);
    await waitForText(page, "lens-told", /first ahead/);
    await waitForText(page, "credit-told", /votes sum up/);
    expect(await errorOf(page)).toBe("");
    await page.close();
  }, 60_000);

  test("what a file lost of its original is measured, and another model's has nothing in common", async () => {
    // The original is what the file in eight bits stands for, and a quarter more.
    const eight = gguf.llama(gguf.TINY, gguf.Q8_0);
    const { page } = await bring("learn/index.html#lang=en&lesson=speed", file("q8", eight));
    const compareWith = async (path: string) => {
      await ((await page.$("#original-file")) as ElementHandle<HTMLInputElement>).uploadFile(path);
    };
    await compareWith(file("original", gguf.floats(eight, gguf.toBytes(eight), (x) => 1.25 * x)));
    // Weights of four fifths of the original's size: an error of 20 %.
    expect(await waitForText(page, "loss-told", /Q8_0 here and F32/)).toMatch(/the error is 20 % /);
    expect((await page.$$(`${byId("original-figure")} tbody tr`)).length).toBe(16);
    await compareWith(file("other", gguf.recorded("mpt")));
    await waitForText(page, "loss-told", /no matrix in common/);
    expect(await errorOf(page)).toBe("");
    const broken = gguf.llama(gguf.TINY, gguf.F32);
    broken.magic = "GGML";
    await compareWith(file("no-original", broken));
    await waitForText(page, "error", /GGUF/);
    expect(await page.$eval(byId("loss-told"), (line) => line.textContent)).toBe("");
    await page.close();
  }, 90_000);

  test("in Chinese an error is told in Chinese, with the words of the package behind it", async () => {
    const { page } = await openPage(running.browser);
    await page.goto(`${server.demo}learn/index.html#lang=zh&lesson=tokens`);
    await waitForText(page, "model", /\d/);
    const path = join(folder, "broken.gguf");
    const made = gguf.llama(gguf.TINY, gguf.F32);
    made.magic = "GGML";
    gguf.writeTo(path, made);
    await ((await page.$("#own-file")) as ElementHandle<HTMLInputElement>).uploadFile(path);
    expect(await waitForText(page, "error", /GGUF/)).toMatch(/^这个文件不是可以读取的 GGUF 文件。（.*GGUF.*）$/);
    await page.close();
  }, 60_000);
});
