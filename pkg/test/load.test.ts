import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { estimate } from "../src/estimate.js";
import { loadEngine } from "../src/load.js";
import { toSourceRef } from "../src/source.js";
import type { Progress } from "../src/types.js";
import { fakeBinding, fakeFile, faults, ODD_DRAFT } from "./fake-binding.js";
import { blobSource, settle } from "./pair.js";

const file = fakeFile(300_000);
const simd128 = { build: "simd128" } as const;
const open = async () => fakeBinding;
let server: Server;
let base: string;
let cutShort = 0;
const ranges: (string | undefined)[] = [];

/** One of a model's files; the first says how many there are. */
function partFile(nFiles: number): Uint8Array {
  const part = fakeFile(5000);
  part[5] = nFiles;
  return part;
}

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = request.url ?? "";
    if (path === "/plain") response.end(file);
    else if (path === "/gzip") response.setHeader("content-encoding", "gzip").end(gzipSync(file));
    else if (/^\/m-0000[123]-of-00003\.gguf$/.test(path)) response.end(partFile(Number(path[7]) === 1 ? 3 : 0));
    else if (path === "/ranges") {
      const [start = 0, end = 0] = /(\d+)-(\d+)/.exec(request.headers.range ?? "")?.slice(1).map(Number) ?? [];
      ranges.push(request.headers.range);
      response.writeHead(206, { "content-range": `bytes ${start}-${end}/${9 << 20}` }).end(new Uint8Array(600));
    } else if (path === "/html") response.end("\n <!DOCTYPE html><title>Sign in</title>");
    else if (path === "/lfs") response.end("version https://git-lfs.github.com/spec/v1\noid sha256:0");
    else if (path === "/short") response.end(file.subarray(0, 1000));
    else if (path === "/empty") response.end();
    else if (path === "/cut") {
      response.setHeader("content-length", file.length).write(file.subarray(0, 100_000));
      setTimeout(() => response.destroy(), 20);
    } else if (path === "/slow") {
      response.write(file.subarray(0, 100_000));
      response.on("close", () => (cutShort += 1));
    } else response.writeHead(path === "/private" ? 401 : path === "/broken" ? 503 : 404).end("no");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

afterAll(() => server.close());

const load = (path: string, options = {}) => loadEngine(toSourceRef(path, base), { ...simd128, ...options }, open);

test("a file loads and reports its bytes and its own length, up to the end", async () => {
  const progress: Progress[] = [];
  const { engine, build } = await load("plain", { onProgress: (p: Progress) => progress.push(p) });
  expect(build).toBe("simd128");
  expect(engine.info().fileBytes).toBe(300_000);
  expect(progress.at(-1)).toEqual({ receivedBytes: 300_000, totalBytes: 300_000 });
});

test("a host that compresses, so that its Content-Length is another, does not matter", async () => {
  const progress: Progress[] = [];
  await load("gzip", { onProgress: (p: Progress) => progress.push(p) });
  expect(progress.at(-1)).toEqual({ receivedBytes: 300_000, totalBytes: 300_000 });
});

test("a draft model loads before the model, and the progress counts both", async () => {
  const progress: Progress[] = [];
  const draft = blobSource(fakeFile(9_000));
  const { engine } = await load("plain", { draft, nCtx: 7, onProgress: (p: Progress) => progress.push(p) });
  expect(engine.info()).toMatchObject({ fileBytes: 300_000, nCtx: 7 });
  expect(progress.some(({ receivedBytes, totalBytes }) => receivedBytes === 9_000 && totalBytes === undefined)).toBe(true);
  expect(progress.at(-1)).toEqual({ receivedBytes: 309_000, totalBytes: 309_000 });
  engine.start("Once", { speculative: "draft" });
  const { engine: alone } = await load("plain");
  expect(() => alone.start("Once", { speculative: "draft" })).toThrow(/No draft model/);
});

test.each([
  ["another vocabulary", blobSource(fakeFile(ODD_DRAFT)), "argument", /another vocabulary/],
  ["no model", blobSource(new Uint8Array(10)), "format", /./],
])("a draft model with %s is refused, and the model's download stopped", async (_, draft, code, message) => {
  await expect(load("plain", { draft })).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});

test("a blob loads", async () => {
  const { engine } = await loadEngine(blobSource(file), { ...simd128, nCtx: 7 }, open);
  expect(engine.info().nCtx).toBe(7);
});

test.each([
  ["missing", "http", /missing answered 404 Not Found.*check the address/],
  ["private", "http", /401.*choose it from this device/],
  ["broken", "http", /503.*later/],
  ["html", "format", /is a web page/],
  ["lfs", "format", /Git LFS pointer/],
  ["short", "format", /ends after 1000 of 300000/],
  ["empty", "format", /ends after 0/],
  ["cut", "network", /was cut after 0\.1 MB/],
])("%s → %s", async (path, code, message) => {
  await expect(load(path)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});

test("no server at all is a network error with the address", async () => {
  const nowhere = toSourceRef("http://127.0.0.1:1/model.gguf");
  await expect(loadEngine(nowhere, simd128, open)).rejects.toMatchObject({ code: "network", message: /127\.0\.0\.1:1/ });
});

test("a blob page address on a hub says which link to take", async () => {
  const bytes = new TextEncoder().encode("<!doctype html>");
  const { checkFirstBytes } = await import("../src/source.js");
  expect(() => checkFirstBytes(bytes, { kind: "url", url: "https://hub/a/blob/main/m.gguf" })).toThrowError(/\/resolve\//);
});

test("aborting stops the download", async () => {
  const controller = new AbortController();
  const loading = load("slow", { signal: controller.signal, onProgress: () => controller.abort() });
  await expect(loading).rejects.toMatchObject({ name: "AbortError", code: "aborted" });
  await settle(50);
  expect(cutShort).toBe(1);
  await expect(load("plain", { signal: controller.signal })).rejects.toMatchObject({ code: "aborted" });
});

test("an engine that does not arrive stops the download as well", async () => {
  const before = cutShort;
  const broken = async () => Promise.reject(Object.assign(new Error("no SIMD"), { code: "unsupported" }));
  await expect(loadEngine(toSourceRef("slow", base), simd128, broken)).rejects.toMatchObject({ code: "unsupported" });
  await settle(50);
  expect(cutShort).toBe(before + 1);
});

test("a trap while loading is a failed allocation", async () => {
  for (const fault of [faults.trapOnPush, faults.trapOnFinish]) {
    const source = blobSource(fakeFile(500, fault));
    await expect(loadEngine(source, simd128, open)).rejects.toMatchObject({ code: "memory", message: /nCtx/ });
  }
});

test("what is no source is an argument error", () => {
  for (const bad of ["", "   ", "http://", 3, null]) {
    expect(() => toSourceRef(bad as string, base), String(bad)).toThrowError(expect.objectContaining({ code: "argument" }));
  }
  expect(toSourceRef("models/a.gguf", "https://x.example/demo/")).toEqual({
    kind: "url",
    url: "https://x.example/demo/models/a.gguf",
  });
});

test("a model in several files loads from the first one's address, or from all of them in a list", async () => {
  const { engine } = await load("m-00001-of-00003.gguf");
  expect(engine.info().fileBytes).toBe(5000);
  const blobs = [3, 0, 0].map((n) => new Blob([partFile(n) as Uint8Array<ArrayBuffer>]));
  await loadEngine(toSourceRef(blobs), simd128, open);
  await expect(loadEngine(toSourceRef(blobs.slice(0, 2)), simd128, open)).rejects.toMatchObject({ code: "argument", message: /3 files/ });
  await expect(loadEngine(toSourceRef(blobs[0] as Blob), simd128, open)).rejects.toMatchObject({ code: "argument" });
});

test("an estimate fetches a header by ranges, and no more", async () => {
  const binding = async () => ({ binding: fakeBinding });
  const told = await estimate(toSourceRef("ranges", base), { nCtx: 7 }, binding);
  expect(ranges).toEqual(["bytes=0-2097151", "bytes=600-2097751"]);
  expect(told).toMatchObject({ nCtx: 7, totalBytes: 2 ** 32 - 993, fits: true });
  expect(await estimate(toSourceRef("plain", base), {}, binding)).toMatchObject({ nCtx: 512 });
  expect(await estimate(toSourceRef("ranges", base), { nCtx: 1000 }, binding)).toMatchObject({ fits: false });
  await expect(estimate(toSourceRef("empty", base), {}, binding)).rejects.toMatchObject({ code: "format" });
});
