import { afterAll, beforeAll, expect, test } from "vitest";
import type { Page } from "puppeteer-core";
import { launch, openBlank, type Running } from "../src/browser.js";
import * as gguf from "../src/gguf.js";
import { Server } from "../src/server.js";

let server: Server;
let running: Running;
let page: Page;

beforeAll(async () => {
  server = await Server.start();
  running = await launch();
  page = await openBlank(running.browser, server);
});
afterAll(async () => {
  await running?.close();
  server?.stop();
});

const model = gguf.llama(gguf.TINY, gguf.Q8_0, "in parts");

/** The model's files, cut before the tensors with these numbers: each has its own tensors, the first all the metadata. */
function split(...cuts: number[]): Buffer[] {
  const data = gguf.toBytes(model).subarray(gguf.header(model).length);
  const starts = [0, ...cuts];
  const bytesOf = (end: number) => gguf.dataBytes({ ...model, tensors: model.tensors.slice(0, end) });
  return starts.map((start, no) => {
    const end = starts[no + 1] ?? model.tensors.length;
    const about: [string, gguf.Value][] = [
      ["split.no", { u32: no }],
      ["split.count", { u32: starts.length }],
    ];
    const metadata = new Map([...(no === 0 ? model.metadata : []), ...about]);
    const part = { ...model, metadata, tensors: model.tensors.slice(start, end) };
    return Buffer.concat([gguf.header(part), data.subarray(bytesOf(start), bytesOf(end))]);
  });
}

test("a model in several files loads from its first address, and says beforehand what it takes", async () => {
  const whole = server.offer("whole.gguf", gguf.toBytes(model));
  const parts = split(4, 11);
  const urls = parts.map((part, i) => server.offer(`m-0000${i + 1}-of-00003.gguf`, part));
  const seen = await page.evaluate(
    async (whole, first, urls) => {
      const { Model } = window.pagelm;
      const logits = async (source: string | string[]) => {
        const model = await Model.load(source);
        const logits = [...(await model.logits([1, 300, 7]))];
        model.dispose();
        return logits;
      };
      const message = (promise: Promise<unknown>) => promise.then(() => "", (error: Error) => error.message);
      return {
        logits: [await logits(whole), await logits(first), await logits(urls)],
        estimates: [await Model.estimate(whole, { nCtx: 64 }), await Model.estimate(first, { nCtx: 64 })],
        refusals: [await message(Model.load(urls.slice(0, 2))), await message(Model.load([urls[1] as string, first]))],
      };
    },
    whole,
    urls[0] as string,
    urls,
  );
  expect(new Set(seen.logits[0]).size).toBeGreaterThan(100);
  expect(seen.logits[1]).toEqual(seen.logits[0]);
  expect(seen.logits[2]).toEqual(seen.logits[0]);
  const [one, three] = seen.estimates;
  expect(one).toMatchObject({ name: "in parts", architecture: "llama", nFiles: 1, nCtx: 64, nCtxTrain: 128, fits: true });
  expect(three).toEqual({ ...one, nFiles: 3, fileBytes: parts.reduce((sum, part) => sum + part.length, 0) });
  expect(seen.refusals).toEqual([expect.stringContaining("in 3 files"), expect.stringContaining("file 2 of a model in several")]);
});

test("a model that cannot fit into WebAssembly's memory is told before it is downloaded", async () => {
  const shape = { ...gguf.TINY, nEmbd: 4096, nHead: 32, nHeadKv: 32, nFf: 16384, nLayer: 40 };
  const huge = server.offer("huge.gguf", Buffer.concat([gguf.header(gguf.llama(shape, gguf.Q8_0, "huge")), Buffer.alloc(4096)]));
  const [estimate, refusal] = await page.evaluate(async (url) => {
    const { Model } = window.pagelm;
    const refusal = await Model.load(url).then(() => "", (error: Error & { code: string }) => `${error.code}: ${error.message}`);
    return [await Model.estimate(url), refusal] as const;
  }, huge);
  expect(estimate.fits).toBe(false);
  expect(estimate.weightBytes).toBeGreaterThan(2 ** 32);
  expect(refusal).toMatch(/^limit: .* take \d{5} MB of memory, and a page has 4227 MB/);
});
