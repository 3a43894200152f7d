import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { AxeResults } from "axe-core";
import type { Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { byId, launch, launchFirefox, openPage, type Running, waitForText } from "../src/browser.js";
import { artifacts } from "../src/paths.js";
import { Server } from "../src/server.js";

const LESSONS = ["tokens", "vectors", "positions", "attention", "block", "choice", "lens", "who", "speed", "limits"] as const;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Sets a control, as a reader would. */
async function set(page: Page, id: string, value: string): Promise<void> {
  await page.$eval(
    byId(id),
    (field, text) => {
      (field as HTMLInputElement).value = text;
      for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
    },
    value,
  );
}

/** Waits until the model has done all that was asked of it. */
const rest = (page: Page) => page.waitForFunction(() => !document.documentElement.hasAttribute("data-busy"), { timeout: 60_000 });

/** The numbers in an element's text. */
const numbersIn = (text: string) => [...text.matchAll(/-?−?\d+(\.\d+)?/g)].map(([number]) => Number(number.replace("−", "-")));

/** A control of a lesson, where what it moves is told, and a pattern of both before and after. */
type Move = readonly [lesson: (typeof LESSONS)[number], control: string, value: string, told: string, pattern: RegExp];

const moves: readonly Move[] = [
  ["tokens", "text", "Unbelievable", "tokens-told", /tokens for/],
  ["vectors", "word", " mom", "vectors-told", /Nearest to/],
  ["positions", "position", "12", "waves-told", /At position/],
  ["positions", "m", "9", "turn-told", /score/],
  ["positions", "distance", "40", "positions-told", /apart/],
  ["positions", "far", "20", "own-told", /turns by/],
  ["attention", "q-2-0", "4", "hand-told", /Token 3 takes/],
  ["attention", "layer", "2", "attention-told", /looks most at/],
  ["block", "step", "8", "step-told", /^Step/],
  ["block", "variant", "noMask", "variant-told", /textbook/],
  ["block", "at", "8", "block-told", /adds most/],
  ["block", "neuron", "5", "neuron-told", /answers most to/],
  ["choice", "temperature", "0.3", "choice-told", /pieces are left/],
  ["lens", "at", "6", "lens-told", /first ahead/],
  ["lens", "target", " dog", "credit-told", /votes sum up/],
  ["who", "text", "The dog ran after the", "who-told", /heads are off/],
  ["who", "patchLayer", "4", "patch-told", /patched/],
  ["speed", "filled", "64", "cache-told", /tokens take/],
  ["speed", "bits", "2", "bits-told", /bits in blocks/],
  ["limits", "known", "The moon ate a tax form.", "memory-told", /perplexity/],
  ["limits", "people", "king, queen", "bias-told", /gets/],
];

for (const [name, start] of [["Chromium", launch], ["Firefox", launchFirefox]] as const) {
  describe(`the lessons and the workbench in ${name}, on the story model`, () => {
    let server: Server;
    let running: Running;
    let page: Page;
    let errors: string[];

    beforeAll(async () => {
      mkdirSync(artifacts, { recursive: true });
      server = await Server.start();
      running = await start();
      ({ page, errors } = await openPage(running.browser));
      await page.setViewport({ width: 1280, height: 900 });
      await page.goto(`${server.demo}learn/index.html#lang=en&lesson=tokens`);
      await waitForText(page, "tokens-told", /tokens for/);
    }, 60_000);
    afterAll(async () => {
      await running?.close();
      server?.stop();
    });

    const go = async (hash: string) => {
      await page.evaluate((to) => void (location.hash = to), hash);
      await rest(page);
    };

    test.each(moves)("%s: %s = %s moves its figure", async (lesson, control, value, told, pattern) => {
      await go(`#lang=en&lesson=${lesson}&variant=textbook&step=14`);
      const before = await waitForText(page, told, pattern);
      await set(page, control, value);
      await page.waitForFunction((selector, text) => (document.querySelector(selector) as HTMLElement).innerText !== text, { timeout: 30_000 }, byId(told), before);
      await rest(page);
      expect(await waitForText(page, told, pattern)).not.toBe(before);
      expect(await page.$eval(byId("error"), (line) => line.textContent)).toBe("");
    }, 60_000);

    test("the textbook's block is PyTorch's to five places, in each variant", async () => {
      for (const variant of ["textbook", "noMask", "sharedHeads", "byWidth"]) {
        await go(`#lang=en&lesson=block&variant=${variant}`);
        for (let step = 1; step <= 14; step += 1) {
          await set(page, "step", String(step));
          const [most = 1] = (await waitForText(page, "torch-told", /at most/)).match(/[\d.]+e[-+]\d+/)?.map(Number) ?? [];
          expect(most, `${variant}, step ${step}`).toBeLessThan(1e-5);
        }
      }
    }, 60_000);

    test("with a mask a change of the last token stays there, and without one it does not", async () => {
      await go("#lang=en&lesson=block&variant=textbook&step=14&nudge=1");
      expect(await waitForText(page, "variant-told", /rows of tokens/)).toMatch(/tokens 4 differ/);
      await set(page, "variant", "noMask");
      expect(await waitForText(page, "variant-told", /tokens 1, 2, 3, 4 differ/)).toMatch(/differ/);
    }, 60_000);

    test("a part of a letter is shown as its bytes", async () => {
      await go(`#lang=en&lesson=lens&text=${encodeURIComponent("小猫")}`);
      expect(await waitForText(page, "lens-told", /After “AB”/)).not.toContain("\uFFFD"); // 猫 is E7 8C AB
    }, 60_000);

    test("the votes of all parts sum up to the logit", async () => {
      await go("#lang=en&lesson=lens");
      const [logit = 0, sum = 1] = numbersIn((await waitForText(page, "credit-told", /votes sum up/)).replace(/“[^”]*”/g, ""));
      expect(Math.abs(logit - sum)).toBeLessThan(0.05 * Math.abs(logit) + 0.1);
    }, 60_000);

    test("a patch at the word brings the first text's answer back in the first layer, and one at the last token in the last", async () => {
      await go("#lang=en&lesson=who");
      await waitForText(page, "patch-told", /patched/);
      const shares = await page.$$eval(`${byId("patch-figure")} tbody tr`, (rows) => rows.map((row) => [...row.querySelectorAll("td")].map((cell) => Number.parseFloat(cell.textContent ?? ""))));
      const [high, low] = numbersIn((await waitForText(page, "patch-told", /patched/)).replace(/“[^”]*”/g, "")) as [number, number];
      expect(Math.max(...(shares[0] as number[]))).toBeGreaterThan((high + low) / 2);
      expect(Math.abs((shares.at(-1)?.at(-1) ?? 0) - high)).toBeLessThan(2);
    }, 60_000);

    test("the model's own angles are those of its rotation", async () => {
      await go("#lang=en&lesson=positions");
      const told = await waitForText(page, "own-told", /turns by/);
      expect(Math.abs(Number(/by (-?[\d.]+)°/.exec(told)?.[1]))).toBeCloseTo((180 / Math.PI), 0);
    }, 60_000);

    test("speed is measured, and a text without a cache is slower", async () => {
      await go("#lang=en&lesson=speed");
      await page.$eval(byId("measure"), (button) => (button as HTMLElement).click());
      const [, decode = 0, uncached = 1] = numbersIn(await waitForText(page, "speed-told", /Reading .*tokens a second/));
      expect(decode).toBeGreaterThan(uncached);
    }, 60_000);

    test("the workbench steps, shows head, network and stream, and compares", async () => {
      await page.goto(`${server.demo}workbench/index.html#lang=en`);
      await waitForText(page, "bench-told", /a logit of/);
      await rest(page);
      const before = await waitForText(page, "bench-told", /a logit of/);
      await page.$eval(byId("back"), (button) => (button as HTMLElement).click());
      await page.waitForFunction((selector, text) => (document.querySelector(selector) as HTMLElement).innerText !== text, {}, byId("bench-told"), before);
      await rest(page);
      await waitForText(page, "cell-told", /looks most at.*By itself it says/s);
      const cells = await page.$$(`${byId("bench-map")} g[role=button]`);
      await cells.at(-1)?.evaluate((cell) => cell.dispatchEvent(new MouseEvent("click")));
      await waitForText(page, "cell-told", /Behind layer/);
      const again = await page.$$(`${byId("bench-map")} g[role=button]`);
      await again.at(-2)?.evaluate((cell) => cell.dispatchEvent(new MouseEvent("click")));
      await waitForText(page, "neuron-told", /answers most to/);
      await page.$eval(byId("toggle"), (button) => (button as HTMLElement).click());
      await waitForText(page, "compare-told", /in A and .* in B/);
      await set(page, "compare", "text");
      await rest(page);
      expect(await page.$eval(byId("error"), (line) => line.textContent)).toBe("");
    }, 90_000);

    test("no page of them threw", () => expect(errors).toEqual([]));
  });
}

describe("how they look", () => {
  let server: Server;
  let running: Running;
  let page: Page;
  beforeAll(async () => {
    server = await Server.start();
    running = await launch("--hide-scrollbars");
    ({ page } = await openPage(running.browser));
    await page.setBypassCSP(true);
  }, 60_000);
  afterAll(async () => {
    await running?.close();
    server?.stop();
  });

  /** Opens a page; from lesson to lesson as a reader does, with the model that is there. */
  async function open(key: (typeof LESSONS)[number] | "workbench", address: string): Promise<void> {
    if (key === LESSONS[0] || key === "workbench") {
      await page.goto("about:blank");
      await page.goto(`${server.demo}${address}`);
    } else await page.evaluate((hash) => void (location.hash = hash), address.split("#")[1] as string);
    if (key !== "workbench") await page.waitForFunction((at) => document.querySelector("h1")?.textContent?.startsWith(`${at} `), {}, LESSONS.indexOf(key) + 1);
    await page.waitForFunction(() => /\d/.test(document.querySelector("[data-testid=model]")?.textContent ?? ""));
    await rest(page);
  }

  const shapes = [390, 1280].flatMap((width) => (["en", "zh"] as const).map((lang) => [width, lang] as const));
  test.each(shapes)("at %i px in %s nothing sticks out, axe finds nothing, and every figure has its table", async (width, lang) => {
    await page.setViewport({ width, height: 844 });
    for (const [at, key] of [...LESSONS, "workbench" as const].entries()) {
      await open(key, key === "workbench" ? `workbench/index.html#lang=${lang}&compare=text` : `learn/index.html#lang=${lang}&lesson=${key}`);
      expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${key} sticks out`).toBe(true);
      await page.screenshot({ path: join(artifacts, `learn-${String(at + 1).padStart(2, "0")}-${key}-${lang}-${width}.png`), fullPage: true });
      await page.$$eval("figure details", (all) => all.forEach((one) => ((one as HTMLDetailsElement).open = true)));
      const empty = await page.$$eval("figure", (all) => all.filter((one) => (one as HTMLElement).offsetParent && one.querySelectorAll("tbody tr").length === 0).map((one) => (one as HTMLElement).dataset.testid));
      expect(empty, `${key}: figures without a table`).toEqual([]);
      const ragged = await page.$$eval("figure table", (all) => all.filter(({ rows }) => [...rows].some(({ cells }) => cells.length !== rows[0]?.cells.length)).map((one) => one.closest("figure")?.dataset.testid));
      expect(ragged, `${key}: tables whose rows differ in length`).toEqual([]);
      if (!(await page.evaluate("'axe' in globalThis"))) await page.evaluate(axe);
      // The whole in one scheme; in the other one, what depends on it.
      for (const [scheme, run] of [["dark", "axe.run({ runOnly: ['color-contrast', 'link-in-text-block'] })"], ["light", "axe.run()"]] as const) {
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
        const { violations } = (await page.evaluate(run)) as AxeResults;
        expect(violations.map(({ id, nodes }) => `${key} ${scheme} ${id}: ${nodes[0]?.html}`)).toEqual([]);
      }
    }
  }, 400_000);

  test("printed, a lesson is its text and its figures, whole and black on white", async () => {
    await page.setViewport({ width: 718, height: 1000 }); // A4 with margins
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
    for (const key of LESSONS) {
      await open(key, `learn/index.html#lang=en&lesson=${key}`);
      await page.emulateMediaType("print");
      await page.evaluate(() => void dispatchEvent(new Event("beforeprint")));
      const seen = await page.evaluate(() => {
        const shows = (element: Element) => (element as HTMLElement).checkVisibility();
        const right = (element: Element) => element.getBoundingClientRect().right;
        return {
          wide: [...document.querySelectorAll("svg, table, p")].filter((one) => shows(one) && right(one) > innerWidth + 1).map((one) => one.outerHTML.slice(0, 80)),
          figures: [...document.querySelectorAll("figure svg")].filter(shows).length,
          notes: [...document.querySelectorAll(".ask p")].filter(shows).length,
          tools: [...document.querySelectorAll("button, .contents, .the-model")].filter(shows).length,
          paper: getComputedStyle(document.body).backgroundColor,
          ink: getComputedStyle(document.body).color,
        };
      });
      expect(seen, key).toMatchObject({ wide: [], tools: 0, ink: "rgb(0, 0, 0)" });
      expect(["rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"]).toContain(seen.paper);
      expect(seen.figures, key).toBeGreaterThan(0);
      expect(seen.notes, key).toBeGreaterThan(0);
      await page.screenshot({ path: join(artifacts, `learn-print-${key}.png`), fullPage: true });
      await page.pdf({ path: join(artifacts, `learn-print-${key}.pdf`), format: "A4" });
      await page.emulateMediaType("screen");
    }
  }, 300_000);
});
