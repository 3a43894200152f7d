import { mkdirSync } from "node:fs";
import type { Browser, Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { at, chromium, launch, press, Site, waitForText } from "./harness.js";

const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });

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
      const [picture, name] = [figure.querySelector(".picture") as HTMLElement, figure.querySelector(".row-names text") as SVGElement];
      return { scrolled: picture.scrollLeft, at: name.getBoundingClientRect().left - picture.getBoundingClientRect().left };
    });
    expect(seen.scrolled).toBeGreaterThan(40);
    expect(seen.at).toBeGreaterThanOrEqual(0);
    expect(seen.at).toBeLessThan(40);
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
