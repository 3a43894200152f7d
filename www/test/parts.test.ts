import { expect, test } from "vitest";
import { Sentences } from "../src/announcer.js";
import { formatBytes, formatCount, formatSpeed, formatTransfer, plural } from "../src/format.js";
import { Library, type Load } from "../src/library.js";
import { readLink, writeLink } from "../src/link.js";
import { amounts } from "../src/meter.js";
import { PageLmError } from "pagelm";

test("bytes", () => {
  expect([0, 999, 1000, 261_400, 999_949, 999_950, 3_900_000, 144_000_000, 2.5e9].map(formatBytes)).toEqual([
    "0 bytes", "999 bytes", "1 kB", "261 kB", "1000 kB", "1.0 MB", "3.9 MB", "144 MB", "2.5 GB",
  ]);
  expect([formatTransfer(1000, undefined), formatTransfer(1000, 2e6)]).toEqual(["1 kB", "1 kB of 2.0 MB"]);
});

test("counts and speeds", () => {
  expect([260, 3_412_992, 1.24e9].map(formatCount)).toEqual(["260", "3.4 million", "1.2 billion"]);
  expect([formatSpeed(0, 10), formatSpeed(10, 0), formatSpeed(3, 1000), formatSpeed(100, 1000)]).toEqual(["", "", "3.0 tokens/s", "100 tokens/s"]);
  expect([plural(1, "token"), plural(1200, "token")]).toEqual(["1 token", "1,200 tokens"]);
});

test("a link brings back what it was made of, whatever the prompt has in it", () => {
  const state = { prompt: "a&b=c #1 + ü 🙂\nnew line", seed: 4294967295, temperature: 0.85, topK: 0, topP: 1, length: 300 };
  expect(readLink(writeLink(state))).toEqual(state);
  expect(readLink("")).toEqual({});
  expect(readLink("#seed=-1&temperature=x&topK=&length=Infinity&other=1")).toEqual({});
  expect(readLink("#seed=1.5")).toEqual({});
});

test("a screen reader gets whole sentences, and in the end everything", () => {
  const text = "“Hello!” said Tom. The day was long. ".repeat(20) + "And then";
  const sentences = new Sentences();
  const spoken: string[] = [];
  for (const letter of text) {
    const ready = sentences.push(letter);
    if (ready) spoken.push(ready);
  }
  expect(spoken.length).toBeGreaterThan(3);
  for (const part of spoken) expect(part).toMatch(/[.!]”?$/);
  spoken.push(sentences.finish());
  expect(spoken.join(" ")).toBe(text);
});

test("a measurement fits in any context", () => {
  expect([2048, 192, 191, 30, 3, 1].map(amounts)).toEqual([
    { promptTokens: 128, genTokens: 64 },
    { promptTokens: 127, genTokens: 64 },
    { promptTokens: 127, genTokens: 63 },
    { promptTokens: 19, genTokens: 10 },
    { promptTokens: 1, genTokens: 1 },
    { promptTokens: 1, genTokens: 1 },
  ]);
});

/** A model that only knows whether it was given up. */
function stub(name: string) {
  return { info: { name }, disposed: false, dispose() { this.disposed = true; } };
}

function library(load: (label: string, signal: AbortSignal) => Promise<unknown>) {
  const changes: (string | undefined)[] = [];
  const events = { onProgress: () => {}, onChange: (info?: { name: string }) => void changes.push(info?.name) };
  const asLoad = ((source: string, { signal }: { signal: AbortSignal }) => load(source, signal)) as never as Load;
  return { library: new Library(events as never, asLoad), changes };
}

const item = (label: string) => ({ source: label, label });

test("the old model stays until the new one is ready, and when that fails", async () => {
  const models: Record<string, ReturnType<typeof stub>> = { a: stub("a"), b: stub("b") };
  const { library: lib, changes } = library(async (label) => models[label] ?? Promise.reject(new PageLmError("http", "404")));
  await lib.open(item("a"));
  await expect(lib.open(item("missing"))).rejects.toMatchObject({ code: "http" });
  expect([models.a?.disposed, lib.ready]).toEqual([false, true]);
  await lib.open(item("b"));
  expect([models.a?.disposed, await lib.get()]).toEqual([true, models.b]);
  expect(changes).toEqual(["a", "b"]);
});

test("a model that is still writing is given up when it is done", async () => {
  const models: Record<string, ReturnType<typeof stub>> = { a: stub("a"), b: stub("b") };
  const { library: lib } = library(async (label) => models[label]);
  const a = await lib.open(item("a"));
  await lib.use(a, async () => {
    await lib.open(item("b"));
    expect(models.a?.disposed).toBe(false);
  });
  expect(models.a?.disposed).toBe(true);
});

test("a second load gives up the first", async () => {
  const { library: lib } = library((label, signal) =>
    label === "b" ? Promise.resolve(stub("b")) : new Promise((_, reject) => signal.addEventListener("abort", () => reject(new PageLmError("aborted", "x")))),
  );
  const first = lib.open(item("a")).catch((error) => error.code);
  await lib.open(item("b"));
  expect(await first).toBe("aborted");
});

test("a model that died is loaded again when it is next asked for", async () => {
  const { library: lib, changes } = library(async (label) => stub(label));
  const model = await lib.open(item("a"));
  const died = lib.use(model, () => Promise.reject(new PageLmError("worker", "gone")));
  await expect(died).rejects.toMatchObject({ code: "worker" });
  expect(lib.ready).toBe(false);
  expect(await lib.get()).not.toBe(model);
  expect(changes).toEqual(["a", undefined, "a"]);
});
