import { expect, test } from "vitest";
import type { GenerateOptions, Piece } from "../src/types.js";
import { AHEAD } from "../src/protocol.js";
import { Model } from "../src/model.js";
import { fakeFile, spells } from "./fake-binding.js";
import { load, settle } from "./pair.js";

async function collect(model: Model, prompt: string, options?: GenerateOptions): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for await (const piece of model.generate(prompt, options)) pieces.push(piece);
  return pieces;
}

test("pieces come in order, and the report is there after the loop", async () => {
  const { model } = await load();
  const generation = model.generate("Once", { seed: 1, maxTokens: 40 });
  expect(generation.report).toBeUndefined();
  const pieces: Piece[] = [];
  for await (const piece of generation) pieces.push(piece);
  const { report } = generation;
  expect(pieces[0]).toEqual({ text: " had", token: 100, probability: 0.5 });
  expect(report).toMatchObject({ seed: 1, stopReason: "maxTokens", reusedTokens: 0, promptTokens: [1, 79, 110, 99, 101] });
  expect(report?.tokens).toEqual(pieces.map(({ token }) => token));
  expect(report?.text).toBe(pieces.map(({ text }) => text).join(""));
  await expect(generation.done).resolves.toBe(report);
  model.dispose();
});

test("finish() gives the report without the pieces, and a second loop has nothing left", async () => {
  const { model } = await load();
  const generation = model.generate("Once", { seed: 4 });
  expect((await generation.finish()).stopReason).toBe("eos");
  for await (const _ of generation) expect.unreachable();
});

test("a seed that was drawn is reported and tells the same story again", async () => {
  const { model } = await load();
  const first = model.generate("Once", { maxTokens: 9 });
  const { text } = await first.finish();
  const again = await model.generate("Once", { maxTokens: 9, seed: first.seed as number }).finish();
  expect(again.text).toBe(text);
  expect(again.reusedTokens).toBe(4);
});

test("the prompt's progress is reported", async () => {
  const { model } = await load();
  const seen: string[] = [];
  await collect(model, "x".repeat(149), { maxTokens: 1, onPrefill: ({ done, total }) => seen.push(`${done}/${total}`) });
  expect(seen).toEqual(["64/150", "128/150", "150/150"]);
});

test("nothing happens before the loop begins", async () => {
  const { model, worker } = await load();
  model.generate("Once");
  await settle();
  expect(worker.heard.map(({ type }) => type)).toEqual(["load"]);
});

test("the worker is never far ahead of a slow loop", async () => {
  const { model, worker } = await load();
  let count = 0;
  for await (const _ of model.generate(spells.long)) {
    count += 1;
    if (count % 10 === 0) await settle(2);
    expect(worker.count("token")).toBeLessThanOrEqual(count + AHEAD);
    if (count === 100) break;
  }
});

test("leaving the loop stops the worker, and the report has what was delivered", async () => {
  const { model, worker } = await load();
  const generation = model.generate(spells.long);
  let count = 0;
  for await (const _ of generation) if (++count === 10) break;
  expect(generation.report).toMatchObject({ stopReason: "aborted" });
  expect(generation.report?.tokens).toHaveLength(10);
  const sent = worker.count("token");
  await settle();
  expect(worker.count("token")).toBe(sent);
  expect(sent).toBeLessThanOrEqual(10 + AHEAD);
});

test("an abort is thrown by the loop; the report is there all the same", async () => {
  const { model, worker } = await load();
  const controller = new AbortController();
  const generation = model.generate(spells.long, { signal: controller.signal });
  let count = 0;
  const loop = (async () => {
    for await (const _ of generation) if (++count === 10) controller.abort();
  })();
  await expect(loop).rejects.toMatchObject({ name: "AbortError" });
  expect(count).toBe(10);
  expect(generation.report?.tokens).toHaveLength(10);
  await expect(generation.done).resolves.toMatchObject({ stopReason: "aborted" });
  const sent = worker.count("token");
  await settle();
  expect(worker.count("token")).toBe(sent);
});

test("after an abort the next generation may begin at once", async () => {
  const { model } = await load();
  const controller = new AbortController();
  const first = collect(model, spells.long, { signal: controller.signal }).catch((error) => error.code);
  await settle(5);
  controller.abort();
  await expect(collect(model, "x", { seed: 0 })).resolves.not.toHaveLength(0);
  await expect(first).resolves.toBe("aborted");
});

test("a signal that is aborted already never reaches the worker", async () => {
  const { model, worker } = await load();
  await expect(collect(model, "x", { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
  expect(worker.heard).toHaveLength(1);
});

test("the ranges of tokens are bytes of UTF-8 and cover the text", async () => {
  const { model } = await load();
  await expect(model.tokenize("é!")).resolves.toEqual(Uint32Array.of(1, 233, 33));
  await expect(model.tokenRanges("é!")).resolves.toEqual([
    { token: 1, start: 0, end: 0 },
    { token: 233, start: 0, end: 2 },
    { token: 33, start: 2, end: 3 },
  ]);
  await expect(model.tokenRanges("", { addSpecial: false })).resolves.toEqual([]);
});

test("a second generation while one runs is refused; after it, not", async () => {
  const { model } = await load();
  for await (const _ of model.generate(spells.long)) {
    await expect(collect(model, "x")).rejects.toMatchObject({ code: "busy", message: /second Model/ });
    await expect(model.benchmark()).rejects.toMatchObject({ code: "busy" });
    await expect(model.detokenize([97])).resolves.toBe("a");
    break;
  }
  await expect(model.benchmark({ promptTokens: 3, genTokens: 3 })).resolves.toMatchObject({ genTokens: 3 });
  await expect(collect(model, "x", { maxTokens: 1 })).resolves.toHaveLength(1);
});

test("a character cut at the end is U+FFFD in the report, and no piece", async () => {
  const { model } = await load();
  const generation = model.generate(spells.emoji, { maxTokens: 3 });
  const pieces: Piece[] = [];
  for await (const piece of generation) pieces.push(piece);
  expect(pieces.map(({ text }) => text).join("")).toBe("");
  expect(generation.report?.text).toBe("\uFFFD");
});

test.each([
  ["\uD800", {}, "argument"],
  ["x", { temperature: -1 }, "argument"],
  ["x", { maxToken: 1 }, "argument"],
  ["x".repeat(600), {}, "limit"],
  [spells.fail, {}, "format"],
])("bad input %#: the loop throws, and the model goes on", async (prompt, options, code) => {
  const { model } = await load();
  const generation = model.generate(prompt, options as GenerateOptions);
  await expect(generation.finish()).rejects.toMatchObject({ code });
  await expect(generation.done).rejects.toMatchObject({ code });
  await expect(collect(model, "x", { maxTokens: 2 })).resolves.toHaveLength(2);
});

test("a trap is thrown by the loop, and by everything after it", async () => {
  const { model } = await load();
  await expect(collect(model, spells.trap)).rejects.toMatchObject({ code: "worker" });
  await expect(collect(model, "x")).rejects.toMatchObject({ code: "worker" });
  await expect(model.tokenize("x")).rejects.toMatchObject({ code: "worker" });
});

test("dispose fails what is running, and what comes later", async () => {
  const { model, worker } = await load();
  const running = collect(model, spells.long);
  await settle(5);
  model.dispose();
  model.dispose();
  await expect(running).rejects.toMatchObject({ code: "disposed" });
  await expect(collect(model, "x")).rejects.toMatchObject({ code: "disposed" });
  expect(worker.terminated).toBe(true);
});

test("what onPrefill throws is thrown by the loop", async () => {
  const { model } = await load();
  const onPrefill = () => {
    throw new Error("mine");
  };
  await expect(collect(model, "x", { onPrefill })).rejects.toThrowError("mine");
});

test("an aborted load ends its worker", async () => {
  const { worker: first } = await load();
  expect(first.terminated).toBe(false);
  const controller = new AbortController();
  const loading = Model.load(new Blob([fakeFile()]), { signal: controller.signal });
  controller.abort();
  await expect(loading).rejects.toMatchObject({ code: "aborted" });
});

test("the report counts guesses, also of a loop that was left", async () => {
  const { model } = await load();
  const counts = { proposedTokens: 7, acceptedTokens: 5 };
  expect(await model.generate("Once", { seed: 1, speculative: "lookup" }).finish()).toMatchObject(counts);
  const generation = model.generate(spells.long, { seed: 1, speculative: "lookup" });
  for await (const _ of generation) break;
  expect(generation.report).toMatchObject({ stopReason: "aborted", ...counts });
  expect(await model.generate("Once", { seed: 1 }).finish()).toMatchObject({ proposedTokens: 0, acceptedTokens: 0 });
});

test("where the grammars' module does not arrive, the text fails and the model stays", async () => {
  const { model } = await load(); // beside the sources there is no such module
  await expect(model.generate("Once", { json: true }).finish()).rejects.toMatchObject({ code: "network" });
  const left = model.generate("Once", { regex: "a" });
  void left.next().catch(() => {});
  await left.return();
  expect(left.report?.stopReason).toBe("aborted");
  expect((await model.generate("Once", { maxTokens: 3 }).finish()).tokens).toHaveLength(3);
});
