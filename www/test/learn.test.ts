import { mkdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attend, cut, divergence, pca, softmax } from "../src/learn/numbers.js";
import { strings } from "../src/learn/strings/index.js";
import { at, chromium, launch, press, Site, waitForText } from "./harness.js";

const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });

test("every string is in both languages, with the same names to fill in", () => {
  const names = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([name]) => name).sort();
  expect(Object.keys(strings.zh).sort()).toEqual(Object.keys(strings.en).sort());
  for (const [key, text] of Object.entries(strings.en)) {
    const chinese = strings.zh[key as keyof typeof strings.en];
    expect(names(chinese), key).toEqual(names(text));
    expect(chinese.split("**").length, key).toBe(text.split("**").length);
  }
});

test("the arithmetic of the figures", () => {
  expect([...softmax([1, 1])]).toEqual([0.5, 0.5]);
  expect([...softmax([1, 3, 2], 0)]).toEqual([0, 1, 0]);
  const probs = Float64Array.of(0.5, 0.3, 0.15, 0.05);
  expect(cut(probs, { topK: 2, topP: 1, minP: 0 }).map(({ p }) => p.toFixed(3))).toEqual(["0.625", "0.375"]);
  expect(cut(probs, { topK: 0, topP: 0.7, minP: 0 })).toHaveLength(2);
  expect(cut(probs, { topK: 0, topP: 1, minP: 0.2 })).toHaveLength(3);
  expect(divergence(probs, probs)).toBe(0);
  const masked = attend([[1, 0], [0, 1]], [[1, 0], [0, 1]], [[1, 2], [3, 4]], true, 1);
  expect(masked.weights[0]).toEqual([1, 0]);
  expect(masked.out[0]).toEqual([1, 2]);
  const places = pca([[0, 0, 1], [2, 0, 1], [4, 0, 1], [2, 1, 1]].map((row) => Float32Array.from(row)));
  expect(Math.abs((places[2]?.[0] ?? 0) - (places[0]?.[0] ?? 0))).toBeCloseTo(4, 1);
});

describe.skipIf(!chromium)("the lessons", () => {
  let site: Site;
  let browser: Browser;
  let close: () => Promise<void>;

  beforeAll(async () => {
    site = await Site.start();
    ({ browser, close } = await launch("--hide-scrollbars"));
  }, 60_000);

  afterAll(async () => {
    await close();
    site.stop();
  });

  async function open(hash: string, width = 1280): Promise<Page> {
    const page = await browser.newPage();
    await page.setViewport({ width, height: 900 });
    await page.goto(`${site.url}learn/#${hash}&lang=en`);
    await waitForText(page, "model", /^Llama.*\d/);
    return page;
  }

  /** Sets a control, as a reader would. */
  async function set(page: Page, id: string, value: string): Promise<void> {
    await page.$eval(
      at(id),
      (field, text) => {
        (field as HTMLInputElement).value = text;
        field.dispatchEvent(new Event("input", { bubbles: true }));
      },
      value,
    );
  }

  const moves: [string, string, string, string, RegExp, RegExp][] = [
    ["tokens", "text", "ab cd", "tokens-told", /^\d+ tokens/, /^5 tokens for 5 bytes/],
    ["vectors", "word", "q", "vectors-told", /Nearest to “␣”/, /Nearest to “q”/],
    ["positions", "distance", "0", "positions-told", /^8 apart/, /^0 apart: turned 1\.000, waves 1\.000/],
    ["attention", "q-2-0", "9", "hand-told", /Token 3 takes 0\./, /Token 3 takes 0\.67 \+ 0\.00 \+ 0\.33/],
    ["attention", "head", "3", "attention-told", /head 1, .* looks most at/, /head 3, .* looks most at/],
    ["block", "at", "2", "block-told", /the stream grows/, /At “O” the stream/],
    ["choice", "topK", "3", "choice-told", /^65536 pieces/, /^3 pieces are left; “a” has/],
    ["lens", "at", "2", "lens-told", /the answer is/, /After “O” the answer is/],
    ["who", "text", "abc", "who-told", /^0 heads are off/, /^0 heads are off. “a” had/],
    ["limits", "people", "cat", "bias-told", /gets/, /gets 50 % to 50 %/],
  ];
  test.each(moves)("%s: %s = %s moves %s", async (lesson, control, value, id, before, after) => {
    const page = await open(`lesson=${lesson}`);
    await waitForText(page, id, before);
    await set(page, control, value);
    await waitForText(page, id, after);
    await page.close();
  });

  test("speed is measured", async () => {
    const page = await open("lesson=speed");
    await press(page, at("measure"));
    await waitForText(page, "speed-told", /Reading .*writing/);
    await page.close();
  });

  test("a choice goes on with the text, and is in the address; a head is switched off, by the keyboard too", async () => {
    const page = await open("lesson=choice&text=Hello");
    await waitForText(page, "choice-told", /pieces are left/);
    await page.$eval(`${at("choice-figure")} [role=button]`, (bar) => (bar as SVGElement).focus());
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => location.hash.includes("text=Helloa"));
    await page.goto(`${site.url}learn/#lang=en&lesson=who&text=abc`);
    await waitForText(page, "who-told", /^0 heads are off/);
    await page.$eval(`${at("who-figure")} [role=button]`, (cell) => (cell as SVGElement).focus());
    await page.keyboard.press("Enter");
    const text = await waitForText(page, "who-told", /^1 heads are off/);
    const [before, after] = [...text.matchAll(/[\d.]+ %/g)].map(([share]) => share);
    expect(after).not.toBe(before);
    await page.waitForFunction(() => location.hash.includes("off=1.1"));
    await page.close();
  });

  test("a link brings back lesson, language and settings", async () => {
    const page = await open("lesson=attention&lang=zh&text=ab&layer=2&head=4&at=2&q=9,0;0,1;1,1");
    expect(await page.$eval("h1", (heading) => heading.textContent)).toBe("4 注意力");
    await waitForText(page, "attention-told", /第 2 层第 4 个头/);
    expect(await page.$eval(at("q-0-0"), (field) => (field as HTMLInputElement).value)).toBe("9");
    await page.close();
  }, 30_000);

  const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
  const keys = ["tokens", "vectors", "positions", "attention", "block", "choice", "lens", "who", "speed", "limits"];
  test.each(keys.flatMap((key) => [[key, "en", 390], [key, "zh", 1280]] as const))("%s in %s at %i px: whole, and for everyone", async (key, lang, width) => {
    const page = await browser.newPage();
    await page.setViewport({ width, height: 900 });
    await page.goto(`${site.url}learn/#lang=${lang}&lesson=${key}`);
    await page.waitForFunction(() => /\d/.test(document.querySelector("[data-testid=model]")?.textContent ?? ""));
    await page.waitForFunction(() => [...document.querySelectorAll("main .told")].every((one) => one.textContent !== "" || one.classList.contains("on")) || location.hash.includes("speed"));
    await page.$$eval("figure details", (all) => all.forEach((one) => ((one as HTMLDetailsElement).open = true)));
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing overflows").toBe(true);
    const figures = await page.$$eval("figure:not([hidden])", (all) => all.map((one) => [one.querySelectorAll("tbody tr").length > 0, (one.querySelector("svg")?.getAttribute("aria-label") ?? "").length > 3]));
    expect(figures.flat().every(Boolean), "every figure has a table and is told").toBe(true);
    await page.evaluate(axe);
    const found = await page.evaluate(async () => {
      const { violations } = await (globalThis as unknown as { axe: { run: () => Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } }).axe.run();
      return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
    });
    expect(found).toEqual([]);
    if (shots) await page.screenshot({ path: `${shots}/${key}-${lang}-${width}.png` as `${string}.png`, fullPage: true });
    await page.close();
  });

  test("no lesson asks for anything but this site's own files", () => {
    expect(site.requests.filter((path) => !path.startsWith("/some/where/"))).toEqual([]);
  });
});
