import { mkdirSync } from "node:fs";
import type { Browser } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { at, chromium, launch, Site, waitForText } from "./harness.js";

/** Where pictures are left for people to look at: SHOTS=some/folder npm test. */
const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });

describe.skipIf(!chromium)("how the page looks", () => {
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

  for (const scheme of ["light", "dark"]) {
    test.each([360, 768, 1440])(`${scheme}, %i px: nothing overflows`, { timeout: 30_000 }, async (width) => {
      const page = await browser.newPage();
      await page.setViewport({ width, height: width < 500 ? 780 : 900, deviceScaleFactor: 2 });
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      const shoot = async (name: string, fullPage = true) => {
        if (shots) await page.screenshot({ path: `${shots}/${name}-${scheme}-${width}.png` as `${string}.png`, fullPage });
      };
      site.delay = 25;
      await page.goto(`${site.url}#seed=0`, { waitUntil: "domcontentloaded" });
      await page.waitForFunction(() => (document.querySelector("progress")?.value ?? 0) > 0);
      await shoot("1-loading");
      site.delay = 0;
      await waitForText(page, "status", /Ready/);
      await page.click(at("generate"));
      await waitForText(page, "status", /Done/);
      await page.$eval(at("measure"), (button) => (button as HTMLElement).click());
      await waitForText(page, "measured", /Writes/);
      await shoot("2-done");
      await page.$eval("#address", (field) => ((field as HTMLInputElement).value = "bert.gguf"));
      await page.$eval("#by-address", (form) => (form as HTMLFormElement).requestSubmit());
      await waitForText(page, "error", /not supported/);
      await shoot("3-error");
      expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
      await page.close();
    });
  }
});
