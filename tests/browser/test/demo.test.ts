import { afterAll, beforeAll, expect, test } from "vitest";
import type { Page } from "puppeteer-core";
import { byId, fill, generate, launch, openPage, read, type Running, waitForText } from "../src/browser.js";
import * as native from "../src/native.js";
import { storyModel } from "../src/paths.js";
import { Server } from "../src/server.js";

const PROMPT = "Once upon a time there was a little fox";

let server: Server;
let running: Running;
let page: Page;
let errors: string[];

beforeAll(async () => {
  server = await Server.start();
  running = await launch();
  ({ page, errors } = await openPage(running.browser));
  await page.goto(server.demo);
  await waitForText(page, "status", /ready/i);
});

afterAll(async () => {
  await running?.close();
  server?.stop();
});

/** Notes the length of the output each time that it grows, on the page, from now on. */
async function watchOutput(): Promise<() => Promise<number[]>> {
  await page.$eval(byId("output"), (output) => {
    const lengths: number[] = [];
    const note = () => {
      const length = output.textContent?.length ?? 0;
      if (length > (lengths.at(-1) ?? 0)) lengths.push(length);
    };
    new MutationObserver(note).observe(output, { childList: true, characterData: true, subtree: true });
    (window as unknown as { lengths: number[] }).lengths = lengths;
  });
  return () => page.evaluate(() => (window as unknown as { lengths: number[] }).lengths);
}

/** Sets prompt, seed and length, generates to the end, and returns the text. */
async function write(prompt: string, seed: number, length: number): Promise<string> {
  await fill(page, byId("prompt"), prompt);
  await page.$eval("#new-seed", (box) => (box as HTMLInputElement).checked && (box as HTMLInputElement).click());
  await fill(page, byId("seed"), String(seed));
  await fill(page, "#length", String(length));
  return generate(page);
}

test("a text grows step by step, Stop ends it, and speed and seed are to be read", async () => {
  await page.click(byId("prompt"), { count: 3 });
  await page.keyboard.type(PROMPT);
  const lengths = await watchOutput();
  await page.click(byId("generate"));
  await page.waitForFunction(() => (window as unknown as { lengths: number[] }).lengths.length >= 12, { polling: 20 });
  await page.click(byId("stop"));
  await page.waitForSelector(`${byId("generate")}:not([disabled])`);
  await waitForText(page, "status", /stopped/i);

  const stopped = await read(page, "output");
  await new Promise((later) => setTimeout(later, 500));
  expect(await read(page, "output"), "nothing is written after Stop").toBe(stopped);
  expect((await lengths()).length).toBeGreaterThanOrEqual(10);
  expect(await read(page, "speed")).toMatch(/\d+(\.\d+)?\s*tokens per second|\d.*tok/i);
  expect(await read(page, "seed")).toMatch(/^\d+$/);
  expect(errors).toEqual([]);
});

test("the same seed and prompt write the same text, after a reload and natively", async () => {
  const first = await write(PROMPT, 7, 60);
  expect(first.length).toBeGreaterThan(60);
  expect(await write(PROMPT, 7, 60), "a second time").toBe(first);
  expect(await write(PROMPT, 8, 60), "another seed").not.toBe(first);

  await page.goto("about:blank");
  await page.goto(server.demo);
  await waitForText(page, "status", /ready/i);
  expect(await write(PROMPT, 7, 60), "after a reload").toBe(first);

  const report = await native.generate(storyModel, PROMPT, "--seed", "7", "--n-predict", "60");
  expect(report.text).toBe(first);
  expect(errors).toEqual([]);
});

test("the device's speed is measured with the model that is here, with no request, and the page writes on", async () => {
  const requests: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  await page.$eval(byId("measure"), (button) => (button as HTMLButtonElement).click());
  await waitForText(page, "measured", /writes/i);
  const [reads, writes] = (await read(page, "measured")).match(/[\d,.]+(?= tokens\/s)/g) ?? [];
  const [prefill, decode] = [reads, writes].map((speed) => Number(speed?.replaceAll(",", "")));
  expect(prefill).toBeGreaterThan(decode as number);
  expect(decode).toBeGreaterThan(1);
  expect(await read(page, "measured")).toMatch(/(simd128|relaxed)\S* build, \d+ threads?/);
  expect(requests).toEqual([]);
  expect((await write(PROMPT, 7, 60)).length).toBeGreaterThan(60);
  expect(errors).toEqual([]);
});
