import { expect, test } from "vitest";
import { Host } from "../src/host.js";
import { loadEngine } from "../src/load.js";
import type { Response } from "../src/protocol.js";
import { fakeBinding, fakeFile, faults, spells } from "./fake-binding.js";
import { blobSource, connect, settle } from "./pair.js";

async function loaded() {
  const pair = connect();
  const source = blobSource(fakeFile());
  await pair.connection.ask({ type: "load", source, nCtx: undefined, build: undefined }, "loaded");
  return pair;
}

const generate = (prompt: string, credit: number) => ({ type: "generate", prompt, options: { seed: 1 }, credit }) as const;

test("loading reports progress, then what the model is and its build", async () => {
  const { connection, worker } = connect();
  const progress: Response[] = [];
  const source = blobSource(fakeFile());
  const { info } = await connection.ask({ type: "load", source, nCtx: 99, build: undefined }, "loaded", (r) => progress.push(r));
  expect(info).toMatchObject({ name: "Llama-fake-stories", build: "simd128", nCtx: 99 });
  expect(progress.at(-1)).toMatchObject({ type: "progress", receivedBytes: 1000, totalBytes: 1000 });
  expect(worker.terminated).toBe(false);
});

test("a run stops where its credit ends, and goes on with more", async () => {
  const { connection, worker } = await loaded();
  const id = connection.open(generate(spells.long, 5), () => {});
  await settle();
  expect(worker.count("token")).toBe(5);
  connection.tell({ type: "more", id, credit: 3 });
  await settle();
  expect(worker.count("token")).toBe(8);
});

test("a cancel is seen before the next step, and the next run may begin at once", async () => {
  const said: Response[] = [];
  const count = (type: Response["type"]) => said.filter((response) => response.type === type).length;
  const host = new Host(
    (response) => {
      said.push(response);
      if (response.type === "token" && count("token") === 10) void host.receive({ type: "cancel", id: 2 });
    },
    (source, options) => loadEngine(source, { ...options, build: "simd128" }, async () => fakeBinding),
  );
  await host.receive({ type: "load", id: 1, source: blobSource(fakeFile()), nCtx: undefined, build: undefined });
  await host.receive({ ...generate(spells.long, Infinity), id: 2 });
  expect([count("token"), count("stopped"), said.at(-1)?.type]).toEqual([10, 1, "stopped"]);
  await host.receive({ ...generate("x", Infinity), id: 3 });
  expect(said.at(-1)).toMatchObject({ type: "end", id: 3, stopReason: "eos" });
});

test("a cancel that comes too late is ignored", async () => {
  const { connection, worker } = await loaded();
  const { id } = await connection.ask(generate("x", Infinity), "end");
  connection.tell({ type: "cancel", id });
  connection.tell({ type: "more", id, credit: 1 });
  await settle();
  expect([worker.count("stopped"), worker.count("failed")]).toEqual([0, 0]);
});

test("a second run, and logits, are refused while one runs; tokenize is not", async () => {
  const { connection } = await loaded();
  connection.open(generate(spells.long, 5), () => {});
  await expect(connection.ask(generate("x", 5), "end")).rejects.toMatchObject({ code: "busy" });
  await expect(connection.ask({ type: "measure", tokens: Uint32Array.of(1), what: "logits" }, "measured")).rejects.toMatchObject({ code: "busy" });
  const { tokens } = await connection.ask({ type: "tokenize", text: "ab", addSpecial: true, parseSpecial: false, ends: false }, "tokens");
  expect([...tokens]).toEqual([1, 97, 98]);
});

test("an error of the engine leaves it usable", async () => {
  const { connection, worker } = await loaded();
  await expect(connection.ask(generate(spells.fail, Infinity), "end")).rejects.toMatchObject({ code: "format" });
  await expect(connection.ask(generate("x", Infinity), "end")).resolves.toMatchObject({ stopReason: "eos" });
  expect(worker.terminated).toBe(false);
});

test("a trap ends the worker, and everything that is open with it", async () => {
  const { connection, worker } = await loaded();
  await expect(connection.ask(generate(spells.trap, Infinity), "end")).rejects.toMatchObject({ code: "worker" });
  expect(worker.terminated).toBe(true);
  expect(() => connection.open(generate("x", 1), () => {})).toThrowError(expect.objectContaining({ code: "worker" }));
});

test("a failed allocation while loading ends the worker", async () => {
  const { connection, worker } = connect();
  const source = blobSource(fakeFile(500, faults.trapOnFinish));
  const loading = connection.ask({ type: "load", source, nCtx: undefined, build: undefined }, "loaded");
  await expect(loading).rejects.toMatchObject({ code: "memory" });
  expect(worker.terminated).toBe(true);
});

test("nothing can be asked of a worker without a model", async () => {
  const { connection } = connect();
  await expect(connection.ask(generate("x", 1), "end")).rejects.toMatchObject({ code: "worker" });
});

test("a benchmark measures both halves, goes on where the model ends early, and can be cancelled", async () => {
  const { connection } = await loaded();
  const { report } = await connection.ask({ type: "benchmark", promptTokens: 100, genTokens: 300 }, "benchmarked");
  expect(report).toMatchObject({ promptTokens: 100, genTokens: 300, build: "simd128" });
  expect(report.decodeTokensPerS).toBeGreaterThan(0);
  const tooMuch = connection.ask({ type: "benchmark", promptTokens: 500, genTokens: 13 }, "benchmarked");
  await expect(tooMuch).rejects.toMatchObject({ code: "argument" });
  const answers: string[] = [];
  const id = connection.open({ type: "benchmark", promptTokens: 100, genTokens: 400 }, ({ type }) => answers.push(type));
  connection.tell({ type: "cancel", id });
  await settle();
  expect(answers).toEqual(["stopped"]);
});

test("choices at the loading and counts of guesses cross the protocol", async () => {
  const { connection } = connect();
  const load = { type: "load", source: blobSource(fakeFile()), cacheType: "q8_0" } as const;
  expect((await connection.ask(load, "loaded")).info).toMatchObject({ cacheType: "q8_0", nCtx: 512 });
  const options = { seed: 1, speculative: "lookup" } as const;
  const end = await connection.ask({ type: "generate", prompt: "x", options, credit: 999 }, "end", () => {});
  expect(end).toMatchObject({ proposedTokens: 7, acceptedTokens: 5 });
});
