import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Address } from "../src/learn/address.js";
import { secondsFor } from "../src/learn/cost.js";
import { csv } from "../src/learn/export.js";
import { EVERY_BYTE } from "../src/learn/names.js";
import { attend, best, cut, divergence, habitsOf, pca, quantize, rms, softmax } from "../src/learn/numbers.js";
import { strings } from "../src/learn/strings/index.js";
import { caseOf, furthest, inputOf, STEPS, VARIANTS } from "../src/learn/textbook.js";
import { anglesOf, turn, type Turning, turning } from "../src/learn/turning.js";
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
    expect(chinese.split("\n").length, key).toBe(text.split("\n").length);
    expect(text.trim(), key).not.toBe("");
    expect(chinese.trim(), key).not.toBe("");
    const isForTheModel = /[dD]efault$|people$|known$|^bench\.[ab]$|opK$|opP$|inP$/.test(key); // what the model reads, and names of things
    if (!isForTheModel) expect(chinese, key).toMatch(/[\u4e00-\u9fff]/);
  }
});

test("no string is asked for that is not there, and none is there for nothing", () => {
  const folders = ["../src/learn", "../src/learn/lessons", "../src/workbench"].map((path) => fileURLToPath(new URL(path, import.meta.url)));
  const source = folders.flatMap((folder) => readdirSync(folder).filter((name) => name.endsWith(".ts")).map((name) => readFileSync(`${folder}/${name}`, "utf8"))).join("\n");
  const asked = [...source.matchAll(/\bt\("([\w.-]+)"/g), ...source.matchAll(/figure\(context, "([\w.-]+)"/g)].map(([, key]) => key as string);
  expect(asked.filter((key) => !(key in strings.en))).toEqual([]);
  const lessons = /^(tokens|vectors|positions|attention|block|choice|lens|who|speed|limits)\.(title|ask|note)$/;
  const made = /^(error|habits|block\.step|bench\.compare|credit|attention|builtin)\./; // names that are put together
  const unused = Object.keys(strings.en).filter((key) => !source.includes(`"${key}"`) && !lessons.test(key) && !made.test(key));
  expect(unused).toEqual([]);
});

test("what PyTorch computed in the textbook's block has the shapes of its steps, and variants differ where they should", () => {
  const { nTokens: T, nEmbd: D, nHead: H, nFf: F, weights } = caseOf("textbook");
  expect(weights).toHaveLength(3 * D * D + 3 * D + D * D + D + F * D + F + D * F + D + 4 * D);
  for (const variant of VARIANTS) {
    const { steps } = caseOf(variant);
    expect(Object.keys(steps)).toEqual([...STEPS]);
    expect(STEPS.map((step) => steps[step].length)).toEqual([T * D, T * D, T * D, H * T * T, H * T * T, T * D, T * D, T * D, T * D, T * F, T * F, T * D, T * D, T * D]);
  }
  const [plain, free, shared, scaled] = VARIANTS.map((variant) => caseOf(variant).steps) as [ReturnType<typeof caseOf>["steps"], ReturnType<typeof caseOf>["steps"], ReturnType<typeof caseOf>["steps"], ReturnType<typeof caseOf>["steps"]];
  expect(furthest(plain.scores, free.scores)).toBe(0);
  expect(furthest(plain.weights, free.weights)).toBeGreaterThan(0.01);
  expect(plain.q.slice(0, D / H).every((x, idx) => Math.abs(x - (shared.q[idx] as number)) < 1e-6)).toBe(true);
  expect(shared.q.slice(0, D / H).every((x, idx) => Math.abs(x - (shared.q[D / H + idx] as number)) < 1e-6)).toBe(true);
  expect((scaled.scores[0] as number) * Math.SQRT2).toBeCloseTo(plain.scores[0] as number, 4);
  expect(inputOf([1, 2, 3, 4], 2, 0.5)).toEqual([1, 2, 3.5, 4]);
});

test("the way in which keys turn is found in them", () => {
  const pairs = [0.9, 0.3, 0.1, 0.01];
  const start = Float32Array.from([1, 0.5, -0.3, 0.8, 0.2, -1, 0.6, 0.4]);
  const turned = (pair: (idx: number) => [number, number]) =>
    Array.from({ length: 12 }, (_, at) => {
      const key = start.slice();
      pairs.forEach((angle, idx) => {
        const [a, b] = pair(idx);
        [key[a], key[b]] = turn([start[a] as number, start[b] as number], angle * at) as [number, number];
      });
      return key;
    });
  for (const pair of [(idx: number) => [2 * idx, 2 * idx + 1] as [number, number], (idx: number) => [idx, idx + 4] as [number, number]]) {
    const keys = turned(pair);
    const way = turning(keys) as Turning;
    expect(way.pair(1)).toEqual(pair(1));
    expect(anglesOf(keys, way).map((x) => Number(x.toFixed(4)))).toEqual(pairs);
  }
  expect(turning([start, start, start])).toBe("still");
  expect(turning([start, start.map((x) => x + 0.1), start.map((x) => x * 2)])).toBe("moved");
  // The first two pairs of a part that is two fifths of the whole, as in phi2.
  const part = (turning(Array.from({ length: 12 }, (_, at) => {
    const key = Float32Array.from([...start, 0.7, -0.2]);
    [0, 1].forEach((idx) => {
      const [a, b] = [idx, idx + 2];
      [key[a], key[b]] = turn([key[a] as number, key[b] as number], (pairs[idx] as number) * at) as [number, number];
    });
    return key;
  })) as Turning);
  expect([part.n, part.pair(1)]).toEqual([2, [1, 3]]);
});

test("the letters that bytes are learned from have all of them, and no half of one", () => {
  expect(EVERY_BYTE.filter((letter) => /^[\ud800-\udfff]$/.test(letter))).toEqual([]);
  const bytes = new Set(EVERY_BYTE.flatMap((letter) => [...new TextEncoder().encode(letter)]));
  const missing = Array.from({ length: 128 }, (_, idx) => idx + 128).filter((byte) => !bytes.has(byte));
  expect(missing).toEqual([0xc0, 0xc1, ...Array.from({ length: 11 }, (_, idx) => 0xf5 + idx)]); // UTF-8 has none of them
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
  // Two directions of nearly the same extent, turned by 30° against the axes, behind a larger one.
  const [cos30, sin30] = [Math.cos(Math.PI / 6), 0.5];
  const arms = [[3, 0, 0], [0, cos30, sin30], [0, -0.98 * sin30, 0.98 * cos30]];
  const close = pca(arms.flatMap((arm) => [1, -1].map((sign) => Float32Array.from(arm, (x) => sign * x))));
  expect(close.map(([x, y]) => [Math.abs(x).toFixed(3), Math.abs(y).toFixed(3)].join(" "))).toEqual(["3.000 0.000", "3.000 0.000", "0.000 1.000", "0.000 1.000", "0.000 0.000", "0.000 0.000"]);
  expect(best([1, 3, 3, 2], 3).map(({ token }) => token)).toEqual([1, 2, 3]);
  const many = Float64Array.from({ length: 500 }, (_, idx) => Math.sin(idx * idx));
  expect(best(many, 20)).toEqual(best(many, 100).slice(0, 20));
  expect([...quantize([1, -0.5, 0.26, 0], 3, 4)].map((x) => x.toFixed(3))).toEqual(["1.000", "-0.333", "0.333", "0.000"]);
  const errors = [2, 4, 8].map((bits) => rms(many.map((x, idx) => x - (quantize(many, bits, 32)[idx] as number))));
  expect(errors[0]).toBeGreaterThan((errors[1] as number) * 3);
  expect(errors[1]).toBeGreaterThan((errors[2] as number) * 10);
  expect(habitsOf([1, 0, 0, 0.75, 0.25, 0, 0, 1, 0], 3)).toMatchObject({ previous: 0.875, first: 0.375, self: 0.125 });
  expect(csv([["a", 'say "x"'], ["1,5", 2]])).toBe('a,"say ""x"""\r\n"1,5",2\r\n');
  const info = { parameters: 3e9, nEmbd: 0, nVocab: 0 } as Parameters<typeof secondsFor>[0]["info"];
  expect(secondsFor({ info }, 10)).toBe(10);
});

test("the address is written once for many changes of a moment, at once where it is needed, and not over another one", () => {
  vi.useFakeTimers();
  try {
    const written: string[] = [];
    let here = "#a";
    const address = new Address({ hash: () => here, replace: (hash) => void written.push((here = hash)) });
    for (let idx = 0; idx < 500; idx += 1) address.write(`#${idx}`);
    expect(written).toEqual([]);
    vi.advanceTimersByTime(300);
    expect(written).toEqual(["#499"]);
    address.write("#b");
    address.flush();
    vi.advanceTimersByTime(300);
    expect(written).toEqual(["#499", "#b"]);
    address.write("#c");
    here = "#elsewhere"; // a link was followed
    vi.advanceTimersByTime(300);
    expect([here, written.length]).toEqual(["#elsewhere", 2]);
    const refused = new Address({ hash: () => here, replace: () => { throw new Error("too long"); } });
    refused.write("#d");
    expect(() => refused.flush()).not.toThrow();
  } finally {
    vi.useRealTimers();
  }
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
        field.dispatchEvent(new Event("change", { bubbles: true }));
      },
      value,
    );
  }

  const moves: [string, string, string, string, RegExp, RegExp][] = [
    ["tokens", "text", "ab cd", "tokens-told", /^\d+ tokens/, /^5 tokens for 5 bytes/],
    ["vectors", "word", "q", "vectors-told", /Nearest to “␣”/, /Nearest to “q”/],
    ["positions", "distance", "0", "positions-told", /^8 apart/, /^0 apart: turned 1\.000, waves 1\.000/],
    ["positions", "position", "9", "waves-told", /^At position 5/, /^At position 9/],
    ["positions", "m", "6", "turn-told", /^3 apart, so 90°/, /^5 apart, so 150°/],
    ["positions", "far", "5", "own-told", /distance of 3/, /distance of 5/],
    ["attention", "q-2-0", "9", "hand-told", /Token 3 takes 0\./, /Token 3 takes 0\.67 \+ 0\.00 \+ 0\.33/],
    ["attention", "head", "3", "attention-told", /looks most at/, /head 3, .* looks most at/],
    ["attention", "habit", "first", "heads-figure", /Layer 1/, /0\.\d\d/],
    ["block", "step", "9", "step-told", /^Step 4: scores/, /^Step 9: norm/],
    ["block", "variant", "noMask", "variant-told", /all is as in the textbook/, /all is as in the textbook|differ at this step/],
    ["block", "neuron", "7", "neuron-told", /^Neuron \d+ of layer 2/, /^Neuron 7 of layer 2/],
    ["block", "at", "2", "block-told", /the stream grows/, /At “O” the stream/],
    ["choice", "topK", "3", "choice-told", /^65536 pieces/, /^3 pieces are left; “a” has/],
    ["lens", "at", "2", "lens-told", /the answer is/, /After “O” the answer is/],
    ["lens", "target", "c", "credit-told", /“a” has a logit/, /“c” has a logit/],
    ["who", "patchLayer", "2", "patch-told", /With layer 1 patched/, /With layer 2 patched/],
    ["speed", "filled", "100", "cache-told", /^256 tokens take/, /^100 tokens take/],
    ["speed", "bits", "2", "bits-told", /^4 bits/, /^2 bits/],
    ["who", "text", "abc", "who-told", /^0 heads are off/, /^0 heads are off. “a” had/],
    ["limits", "known", "abcdef", "memory-told", /^Of \d+ pieces/, /^Of 6 pieces it was more than half sure of 0/],
    ["limits", "people", "cat", "bias-told", /no piece of its own/, /no piece of its own/], // that of letters has none
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

  test("numbers that are too large, and parts that this model has not, are left out of a link", async () => {
    const page = await open("lesson=attention&q=1e308,1e308;0,1;1,1&k=1e308,1;1,1;1,1");
    expect(await waitForText(page, "hand-told", /^Token 3 takes/)).not.toMatch(/NaN/);
    expect(await page.$eval(at("q-0-0"), (field) => (field as HTMLInputElement).value)).toBe("1000");
    await page.goto(`${site.url}workbench/#lang=en&text=abcd&compare=off&off=99.1,1.99,0.0,1.1`);
    await waitForText(page, "compare-told", /in A and .* in B/);
    expect(await page.$eval("#lesson-text", (text) => (text as HTMLElement).innerText)).toMatch(/network\): 1\.1$/m);
    expect(await page.$eval(at("error"), (line) => line.textContent)).toBe("");
    await page.close();
  });

  test("a lesson that was left does not write itself into the address of the next; a link brings its model", async () => {
    const page = await open("lesson=tokens");
    await page.evaluate(() => {
      location.hash = "#lang=en&lesson=attention";
      setTimeout(() => (location.hash = "#lang=en&lesson=positions"), 30);
    });
    await waitForText(page, "own-told", /distance/);
    await page.waitForFunction(() => !document.documentElement.hasAttribute("data-busy"));
    await new Promise((done) => setTimeout(done, 400));
    expect(await page.evaluate(() => new URLSearchParams(location.hash.slice(1)).get("lesson"))).toBe("positions");
    await page.evaluate(() => void (location.hash = "#lang=en&lesson=tokens&model=tasks"));
    await page.waitForFunction(() => document.querySelector("#the-model [aria-pressed=true]")?.textContent === "Small tasks");
    await page.evaluate(() => void (location.hash = "#lang=en&lesson=vectors"));
    await page.waitForFunction(() => location.hash.includes("model=tasks"));
    await page.close();
  });

  test("a wide figure keeps the names of its rows in sight, and labels of a map do not cover each other", async () => {
    const page = await open("lesson=lens&text=abcdefghijklmnop", 390);
    await waitForText(page, "lens-told", /the answer is/);
    const seen = await page.$eval(at("lens-figure"), (figure) => {
      const [picture, names] = [figure.querySelector(".picture") as HTMLElement, figure.querySelector(".row-names") as SVGElement];
      return { scrolled: picture.scrollLeft, off: names.getBoundingClientRect().left - picture.getBoundingClientRect().left };
    });
    expect(seen.scrolled).toBeGreaterThan(40);
    expect(Math.abs(seen.off)).toBeLessThan(2);
    await page.evaluate(() => void (location.hash = "#lang=en&lesson=vectors"));
    await waitForText(page, "vectors-told", /Nearest to/);
    const boxes = await page.$$eval(`${at("vectors-map")} .point text`, (labels) => labels.map((one) => one.getBoundingClientRect().toJSON() as DOMRect));
    expect(boxes.length).toBeGreaterThan(5);
    const covered = boxes.filter((a, i) => boxes.some((b, j) => j < i && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4));
    expect(covered).toEqual([]);
    await page.close();
  });

  test.each(["light", "dark"])("what is written in a cell can be read, %s", async (scheme) => {
    const page = await open("lesson=lens&text=abcd");
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await waitForText(page, "lens-told", /the answer is/);
    // A cell of every shade, and the contrast of what stands in it (WCAG 2).
    const least = await page.$eval(`${at("lens-figure")} .cell`, (cell) => {
      const dot = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d") as CanvasRenderingContext2D;
      const light = (...layers: [string, number][]) => {
        for (const [colour, opacity] of layers) {
          [dot.fillStyle, dot.globalAlpha] = [colour, opacity];
          dot.fillRect(0, 0, 1, 1);
        }
        const [r = 0, g = 0, b = 0] = [...dot.getImageData(0, 0, 1, 1).data].map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const [frame, ink, text] = [cell.querySelector(".frame"), cell.querySelector(".ink"), cell.querySelector("text")] as [Element, Element, Element];
      const fill = (element: Element) => getComputedStyle(element).fill;
      let least = Infinity;
      for (let idx = -100; idx <= 100; idx += 1) {
        ink.setAttribute("class", idx < 0 ? "ink less" : "ink");
        text.setAttribute("class", idx > 76 || idx < -80 ? "over" : Math.abs(idx) > 59 ? "middle" : "");
        const [a, b] = [light([fill(frame), 1], [fill(ink), Math.abs(idx) / 100]), light([fill(text), 1])];
        least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
      }
      return least;
    });
    expect(least).toBeGreaterThan(4.5);
    await page.close();
  });

  const keys = ["tokens", "vectors", "positions", "attention", "block", "choice", "lens", "who", "speed", "limits"];
  test.each([...keys, "workbench"].flatMap((key) => [[key, "en", 390], [key, "zh", 1280]] as const))("%s in %s at %i px is whole, and every figure is told", async (key, lang, width) => {
    const page = await browser.newPage();
    await page.setViewport({ width, height: 900 });
    await page.goto(key === "workbench" ? `${site.url}workbench/#lang=${lang}&compare=text` : `${site.url}learn/#lang=${lang}&lesson=${key}`);
    await page.waitForFunction(() => /\d/.test(document.querySelector("[data-testid=model]")?.textContent ?? ""));
    await page.waitForFunction(() => [...document.querySelectorAll("main .told")].every((one) => one.textContent !== "" || one.classList.contains("on") || (one as HTMLElement).offsetParent === null) || location.hash.includes("speed"));
    await page.waitForFunction(() => !document.documentElement.hasAttribute("data-busy"));
    await page.$$eval("figure details", (all) => all.forEach((one) => ((one as HTMLDetailsElement).open = true)));
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing overflows").toBe(true);
    const figures = await page.$$eval("figure:not([hidden])", (all) => all.filter((one) => (one as HTMLElement).offsetParent !== null).map((one) => [one.querySelectorAll("tbody tr").length > 0, (one.querySelector("svg")?.getAttribute("aria-label") ?? "").length > 3]));
    expect(figures.flat().every(Boolean), "every figure has a table and is told").toBe(true);
    if (shots) await page.screenshot({ path: `${shots}/${key}-${lang}-${width}.png` as `${string}.png`, fullPage: true });
    await page.close();
  });

  /** Opens the workbench, and what it would save. */
  async function openBench(hash: string): Promise<Page> {
    const page = await browser.newPage();
    await page.evaluateOnNewDocument(() => {
      const saved: Promise<string>[] = [];
      const urls = new Map<string, Blob>();
      const make = URL.createObjectURL.bind(URL);
      URL.createObjectURL = (blob: Blob) => {
        const url = make(blob);
        urls.set(url, blob);
        return url;
      };
      HTMLAnchorElement.prototype.click = function () {
        const blob = urls.get(this.href) as Blob;
        saved.push(blob.text().then((text) => `${this.download} ${blob.type} ${text}`));
      };
      Object.assign(globalThis, { saved });
    });
    await page.goto(`${site.url}workbench/#lang=en${hash}`);
    await waitForText(page, "bench-told", /^A(t|fter) “/);
    return page;
  }

  const saved = (page: Page) => page.evaluate(async () => Promise.all((globalThis as unknown as { saved: Promise<string>[] }).saved));

  test("the workbench steps from token to token, shows any part, and keeps it all in its address", async () => {
    const page = await openBench("&text=abcd&measure=previous");
    await waitForText(page, "bench-told", /^At “d”/);
    await press(page, at("back"));
    await waitForText(page, "bench-told", /^At “c”, by share of the token before/);
    await page.$eval(`${at("strip")} [aria-pressed=true]`, (token) => (token as HTMLElement).focus());
    await page.keyboard.press("ArrowLeft");
    await waitForText(page, "bench-told", /^At “b”/);
    await page.$$eval(`${at("bench-map")} g[role=button]`, (cells) => cells.at(-1)?.dispatchEvent(new MouseEvent("click")));
    await waitForText(page, "cell-told", /^Behind layer 6 at “b”/);
    await page.waitForFunction(() => location.hash.includes("at=3") && location.hash.includes("part=6.s"));
    await page.reload();
    await waitForText(page, "cell-told", /^Behind layer 6 at “b”/);
    await page.close();
  });

  test("the workbench compares, and saves pictures and numbers", async () => {
    const page = await openBench("&text=abcd");
    await press(page, at("toggle"));
    const text = await waitForText(page, "compare-told", /“.” has .* in A and .* in B/);
    const [before, after] = [...text.matchAll(/[\d.]+ %/g)].map(([share]) => share);
    expect(after).not.toBe(before);
    await page.waitForFunction(() => /off=\d\.\d/.test(location.hash));
    await set(page, "compare", "settings");
    await set(page, "b.topK", "1");
    await waitForText(page, "compare-told", /and 100 % in B/);
    await press(page, at("write-both"));
    await waitForText(page, "written-b", /^B: …./);
    for (const kind of ["SVG", "PNG", "CSV", "JSON"]) {
      await page.$eval(`${at("bench-map")} .saving [aria-label$=${kind}]`, (button) => (button as HTMLElement).click());
    }
    await press(page, at("save-all"));
    await page.waitForFunction(() => (globalThis as unknown as { saved: unknown[] }).saved.length === 5);
    const files = await saved(page);
    const of = (name: string) => files.find((file) => file.startsWith(name)) ?? "";
    expect(of("bench-map.svg")).toMatch(/^bench-map\.svg image\/svg\+xml <svg.*<rect[^>]*fill="rgb\(/);
    expect(of("bench-map.svg")).not.toMatch(/oklch|class=/);
    expect(of("bench-map.png")).toMatch(/^bench-map\.png image\/png .PNG/);
    expect(of("bench-map.csv")).toMatch(/Layer,Head 1,/);
    expect(JSON.parse(of("bench-map.json").slice("bench-map.json application/json ".length))).toMatchObject({ head: expect.arrayContaining(["Network"]) });
    expect(JSON.parse(of("workbench.json").slice("workbench.json application/json ".length))).toMatchObject({ text: "abcd", position: 4 });
    await page.close();
  });

  test("a model that is too big for something is told so before it is tried", async () => {
    const page = await open("lesson=tokens");
    await page.$eval("#own-address", (field, url) => ((field as HTMLInputElement).value = url), `${site.url}other.gguf`);
    await page.$eval("#own-address + button", (button) => (button as HTMLElement).click());
    await waitForText(page, "error", /other\.gguf needs 4\.3 GB of memory.*Load it anyway/s);
    await page.$eval(`${at("error")} button`, (button) => (button as HTMLElement).click());
    await page.waitForFunction(() => document.querySelector("[data-testid=error]")?.textContent === "");
    await page.close();
  });

  test("without a network all goes on but what has to be fetched, and that is told in the reader's language", async () => {
    const page = await browser.newPage();
    await page.goto(`${site.url}learn/#lang=zh&lesson=tokens`);
    await waitForText(page, "model", /\d/);
    const before = site.requests.length;
    await page.setOfflineMode(true);
    for (const [lesson, id] of [["attention", "attention-told"], ["lens", "lens-told"], ["choice", "choice-told"]] as const) {
      await page.evaluate((to) => void (location.hash = to), `#lang=zh&lesson=${lesson}`);
      await waitForText(page, id, /\d/);
    }
    expect(site.requests.slice(before)).toEqual([]);
    await page.$eval("#own-address", (field) => ((field as HTMLInputElement).value = "https://example.org/model.gguf"));
    await page.$eval("#own-address + button", (button) => (button as HTMLElement).click());
    await waitForText(page, "error", /^网络连接失败/);
    await page.close();
  });

  test("no lesson asks for anything but this site's own files", () => {
    expect(site.requests.filter((path) => !path.startsWith("/some/where/"))).toEqual([]);
  });
});
