import type { Browser, Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chromium, launch, Site } from "./harness.js";
import type { doors } from "./plain.js";

type Doors = typeof doors;

describe.skipIf(!chromium)("the package in Chromium, over a fake engine", () => {
  let site: Site;
  let browser: Browser;
  let close: () => Promise<void>;
  let page: Page;

  beforeAll(async () => {
    site = await Site.start();
    ({ browser, close } = await launch());
    page = await browser.newPage();
    await page.goto(`${site.url}test/plain.html`);
  }, 60_000);

  afterAll(async () => {
    await close();
    site.stop();
  });

  test("the fastest build is chosen, and another on demand", async () => {
    const builds = await page.evaluate(async () => {
      const { Model } = (window as never as { doors: Doors }).doors;
      const [a, b] = await Promise.all([Model.load("../other.gguf"), Model.load("../other.gguf", { build: "simd128" })]);
      const names = [a.info.build, b.info.build];
      a.dispose();
      b.dispose();
      return names;
    });
    expect(builds).toEqual(["relaxed", "simd128"]);
  });

  test("a cancellation is seen within one token while tokens are fast", async () => {
    const [delivered, after] = await page.evaluate(async () => {
      const { Model } = (window as never as { doors: Doors }).doors;
      const model = await Model.load("../other.gguf");
      const controller = new AbortController();
      const generation = model.generate("LONG", { signal: controller.signal });
      let count = 0;
      try {
        for await (const _ of generation) if ((count += 1) === 500) controller.abort();
      } catch {}
      const { text } = await model.generate("x", { maxTokens: 3 }).finish();
      model.dispose();
      return [generation.report?.tokens.length, text.length];
    });
    expect([delivered, after]).toEqual([500, 12]);
  });

  test("a slow step does not keep a cancellation waiting for more than that step", async () => {
    const ms = await page.evaluate(async () => {
      const { Model } = (window as never as { doors: Doors }).doors;
      const model = await Model.load("../other.gguf");
      let at = 0;
      for await (const _ of model.generate("LONG SLOW")) {
        at = performance.now();
        break;
      }
      const waited = performance.now() - at;
      model.dispose();
      return waited;
    });
    expect(ms).toBeLessThan(60); // a step takes 20
  });

  test("aborting a load stops the download", async () => {
    site.delay = 20;
    const code = await page.evaluate(async () => {
      const { Model } = (window as never as { doors: Doors }).doors;
      const controller = new AbortController();
      const onProgress = () => controller.abort();
      return Model.load("../models/story.gguf", { signal: controller.signal, onProgress }).catch((error) => error.code);
    });
    try {
      expect(code).toBe("aborted");
      // the server stays slow until it has noticed, or it could be done first
      await expect.poll(() => site.cutShort, { timeout: 3000 }).toBeGreaterThan(0);
    } finally {
      site.delay = 0;
    }
  });

  test("the plain path writes into an element on this thread", async () => {
    const [text, report, after] = await page.evaluate(async () => {
      const { MainThreadModel } = (window as never as { doors: Doors }).doors;
      const model = await MainThreadModel.load("../other.gguf");
      const out = document.querySelector("#out") as Element;
      const result = await model.generateInto(out, "Once", { seed: 1, maxTokens: 5 });
      model.dispose();
      const late = await model.generateInto(out, "Once").catch((error) => error.code);
      return [out.textContent, result, late] as const;
    });
    expect(text).toBe(report.text);
    expect(report).toMatchObject({ seed: 1, stopReason: "maxTokens" });
    expect(after).toBe("disposed");
  });
});
