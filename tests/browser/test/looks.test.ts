import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { AxeResults } from "axe-core";
import type { Page } from "puppeteer-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { byId, fill, generate, launch, openPage, type Running, waitForText } from "../src/browser.js";
import { artifacts } from "../src/paths.js";
import { Server } from "../src/server.js";

const WIDTHS = [360, 768, 1440] as const;
const SCHEMES = ["light", "dark"] as const;

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let server: Server;
let running: Running;
let page: Page;

beforeAll(async () => {
  mkdirSync(artifacts, { recursive: true });
  server = await Server.start();
  running = await launch();
  ({ page } = await openPage(running.browser));
  // The axe script is put into the page from outside, which the page's own policy would not allow.
  await page.setBypassCSP(true);
  await page.goto(`${server.demo}#`);
  await waitForText(page, "status", /ready/i);
  await page.$eval("#new-seed", (box) => (box as HTMLInputElement).click());
  await fill(page, byId("seed"), "7");
  await fill(page, byId("prompt"), "Once upon a time there was a little fox");
  await generate(page);
  await page.$eval(byId("measure"), (button) => (button as HTMLButtonElement).click());
  await waitForText(page, "measured", /writes/i);
});
afterAll(async () => {
  await running?.close();
  server?.stop();
});

for (const scheme of SCHEMES) {
  for (const width of WIDTHS) {
    test(`${width} px, ${scheme}: nothing sticks out, and it can be looked at`, async () => {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.setViewport({ width, height: width < 500 ? 740 : 900 });
      const sizes = await page.evaluate(() => ({
        scroll: document.documentElement.scrollWidth,
        client: document.documentElement.clientWidth,
        sticksOut: [...document.querySelectorAll<HTMLElement>("body *")]
          .filter((element) => element.getBoundingClientRect().right > innerWidth + 1 && element.offsetParent)
          .map((element) => element.tagName + (element.id ? `#${element.id}` : "")),
      }));
      expect(sizes.scroll, "no scrolling sideways").toBeLessThanOrEqual(sizes.client);
      expect(sizes.sticksOut).toEqual([]);
      await page.screenshot({ path: join(artifacts, `demo-${width}-${scheme}.png`), fullPage: true });
    });
  }

  test(`${scheme}: axe finds nothing to object to`, async () => {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.evaluate(axe);
    const results = (await page.evaluate("axe.run()")) as AxeResults;
    expect(results.passes.length).toBeGreaterThan(10);
    const found = results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
    expect(found).toEqual([]);
  });
}
