import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, openBlank, openPage, type Running } from "../src/browser.js";
import { storyModel } from "../src/paths.js";
import { Server } from "../src/server.js";

let running: Running;

beforeAll(async () => void (running = await launch()));
afterAll(() => running?.close());

test("without isolation there is one thread, and no word about it", async () => {
  const server = await Server.start();
  const page = await openBlank(running.browser, server);
  const said: string[] = [];
  page.on("console", (message) => said.push(message.text()));
  const url = server.offer("story.gguf", readFileSync(storyModel));
  const info = await page.evaluate(async (url) => {
    const model = await window.pagelm.Model.load(url, { threads: 4 });
    await model.generate("Once", { maxTokens: 5 }).finish();
    model.dispose();
    return model.info;
  }, url);
  expect([info.build, info.threads, said]).toEqual(["relaxed", 1, []]);
  await page.close();
  server.stop();
});

test("with isolation threads are used, end with their model, and keep the text", async () => {
  const server = await Server.start({ isolated: true });
  const page = await openBlank(running.browser, server);
  const url = server.offer("story.gguf", readFileSync(storyModel));
  const result = await page.evaluate(async (url) => {
    const texts: string[] = [];
    const builds: string[] = [];
    for (const threads of [1, 2, 3]) {
      const model = await window.pagelm.Model.load(url, { threads });
      builds.push(`${model.info.build} ${model.info.threads}`);
      await window.threadsAtWork(model);
      texts.push((await model.generate("Once upon a time", { maxTokens: 60, seed: 3 }).finish()).text);
      model.dispose();
    }
    const model = await window.pagelm.Model.load(url);
    texts.push((await model.generate("Once upon a time", { maxTokens: 60, seed: 3 }).finish()).text);
    const report = await model.benchmark({ promptTokens: 64, genTokens: 16 });
    model.dispose();
    return { texts, builds, report, most: model.info.threads, cores: navigator.hardwareConcurrency };
  }, url);
  expect(result.builds).toEqual(["relaxed 1", "relaxed-threads 2", "relaxed-threads 3"]);
  expect(new Set(result.texts).size).toBe(1);
  expect(result.most).toBe(Math.min(result.cores, 8));
  expect(result.report.threads).toBeGreaterThanOrEqual(1);
  expect(result.report.threads).toBeLessThanOrEqual(result.most);
  const workers = () => page.workers().length;
  for (let tries = 0; workers() > 0 && tries < 50; tries += 1) await new Promise((done) => setTimeout(done, 100));
  expect(workers()).toBe(0);
  await page.close();
  server.stop();
});

test("a number of threads that cannot be is refused", async () => {
  const server = await Server.start({ isolated: true });
  const page = await openBlank(running.browser, server);
  const codes = await page.evaluate(async () =>
    Promise.all(
      [0, 1.5, 17].map((threads) => window.pagelm.Model.load("x.gguf", { threads }).then(String, (error) => error.code)),
    ),
  );
  expect(codes).toEqual(["argument", "argument", "argument"]);
  await page.close();
  server.stop();
});

test("the service worker isolates the pages of a host that sends no headers", async () => {
  const server = await Server.start();
  const { page } = await openPage(running.browser);
  await page.goto(server.origin + "/pkg/isolate.html");
  await page.waitForFunction(() => document.title === "isolated", { timeout: 20_000 });
  const url = server.offer("story.gguf", readFileSync(storyModel));
  const info = await page.evaluate(async (url) => {
    const model = await window.pagelm.Model.load(url, { threads: 2 });
    await window.threadsAtWork(model);
    await model.generate("Once", { maxTokens: 5 }).finish();
    model.dispose();
    return model.info;
  }, url);
  expect([info.build, info.threads]).toEqual(["relaxed-threads", 2]);
  await page.close();
  server.stop();
});
