import { mkdtempSync, rmSync, appendFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ElementHandle, Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { byId, launch, openPage, type Running, waitForText } from "../src/browser.js";
import * as gguf from "../src/gguf.js";
import { sharedModel } from "../src/paths.js";
import { Server } from "../src/server.js";

const LESSONS = ["tokens", "vectors", "positions", "attention", "block", "choice", "lens", "who", "speed", "limits"] as const;
const names = (process.env["PROBE"] ?? "gemma2,gpt2,mpt,mixtral,gptneox,olmo2,phi3,phi2,falcon,stories260K-q6_k,llama-2-tiny-random,gpt-nano-sort-f32").split(",");
const rest = (page: Page) => page.waitForFunction(() => !document.documentElement.hasAttribute("data-busy"), { timeout: 60_000 });

describe("probe", () => {
  let server: Server;
  let running: Running;
  let page: Page;
  let errors: string[];
  const folder = mkdtempSync(join(tmpdir(), "pagelm-own-"));
  beforeAll(async () => {
    server = await Server.start();
    running = await launch();
  });
  afterAll(async () => {
    await running?.close();
    server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  test.each(names)("%s", async (name) => {
    const out = (line: string) => appendFileSync("/tmp/learn-probe.txt", `${line}\n`);
    let path = sharedModel(`${name}.gguf`);
    if (!path) {
      path = join(folder, `${name}.gguf`);
      gguf.writeTo(path, gguf.recorded(name));
    }
    ({ page, errors } = await openPage(running.browser));
    await page.setViewport({ width: 1280, height: 900 });
    await page.goto(`${server.demo}learn/index.html#lang=en&lesson=tokens`);
    await waitForText(page, "model", /story/i);
    const before = await page.$eval(byId("model"), (e) => e.textContent);
    await ((await page.$("#own-file")) as ElementHandle<HTMLInputElement>).uploadFile(path);
    await page.waitForFunction((a, b, t) => document.querySelector(a)?.textContent !== t || document.querySelector(b)?.textContent, { timeout: 20_000 }, byId("model"), byId("error"), before);
    await new Promise((r) => setTimeout(r, 500));
    await rest(page);
    out(`\n=== ${name}: ${await page.$eval(byId("model"), (e) => e.textContent)}`);
    for (const key of [...LESSONS, "workbench"]) {
      if (key === "workbench") continue;
      await page.evaluate((to) => void (location.hash = to), `#lang=en&lesson=${key}`);
      await rest(page);
      const told = await page.$$eval(".told", (all) => all.map((one) => `   ${(one as HTMLElement).dataset["testid"]}: ${(one as HTMLElement).innerText}`).join("\n"));
      out(`-- ${key} ERROR=${await page.$eval(byId("error"), (e) => e.textContent)}\n${told}`);
      if (["vectors", "positions", "choice", "limits", "lens"].includes(key)) await page.screenshot({ path: `/tmp/learn-${name}-${key}.png`, fullPage: true });
    }
    await page.goto(`${server.demo}workbench/index.html#lang=en&compare=text`);
    await waitForText(page, "model", /story/i);
    await ((await page.$("#own-file")) as ElementHandle<HTMLInputElement>).uploadFile(path);
    await page.waitForFunction((a, b, t) => document.querySelector(a)?.textContent !== t || document.querySelector(b)?.textContent, { timeout: 20_000 }, byId("model"), byId("error"), before);
    await new Promise((r) => setTimeout(r, 500));
    await rest(page);
    for (const cell of [-1, -2, 0]) {
      const cells = await page.$$(`${byId("bench-map")} g[role=button]`);
      await cells.at(cell)?.evaluate((one) => one.dispatchEvent(new MouseEvent("click")));
      await rest(page);
      const told = await page.$$eval(".told", (all) => all.map((one) => `   ${(one as HTMLElement).dataset["testid"]}: ${(one as HTMLElement).innerText}`).join("\n"));
      out(`-- workbench ${cell} ERROR=${await page.$eval(byId("error"), (e) => e.textContent)}\n${told}`);
    }
    await page.screenshot({ path: `/tmp/learn-${name}-bench.png`, fullPage: true });
    out(`thrown: ${errors.join(" | ")}`);
    await page.close();
    expect(1).toBe(1);
  }, 240_000);
});
