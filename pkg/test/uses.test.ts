import { expect, test } from "vitest";
import { fakeFile } from "./fake-binding.js";
import { load } from "./pair.js";

const busy = expect.objectContaining({ code: "busy" });

test("a logits processor sees the scores and all tokens so far, and may change both in place and by a return", async () => {
  const { model } = await load();
  const seen: number[][] = [];
  const inPlace = await model
    .generate("ab", {
      seed: 1,
      maxTokens: 3,
      logitsProcessor: (logits, tokens) => {
        seen.push([...tokens]);
        logits[0] = 7;
      },
    })
    .finish();
  expect(inPlace.tokens).toEqual([1100, 1101, 1102]);
  expect(seen).toEqual([[1, 97, 98], [1, 97, 98, 1100], [1, 97, 98, 1100, 1101]]);
  const returned = await model.generate("ab", { maxTokens: 1, logitsProcessor: () => Float32Array.of(7) }).finish();
  expect(returned.tokens).toEqual([1100]);
});

test("what a logits processor throws ends the text, and the next may begin", async () => {
  const { model } = await load();
  const generation = model.generate("ab", {
    logitsProcessor: () => {
      throw new RangeError("no");
    },
  });
  await expect(generation.next()).rejects.toThrowError("no");
  expect((await model.generate("ab", { maxTokens: 2 }).finish()).tokens).toHaveLength(2);
});

test("pieces come with alternatives where they are asked for", async () => {
  const { model } = await load();
  for await (const piece of model.generate("ab", { seed: 1, maxTokens: 1, logprobs: 2 })) {
    expect(piece).toEqual({
      text: " had",
      token: 100,
      probability: 0.5,
      alternatives: [
        { token: 0, logprob: -1 },
        { token: 1, logprob: -2 },
      ],
    });
  }
});

test("answers share a prefill and have seeds of their own", async () => {
  const { model } = await load();
  const reports = await model.answers("abc", 3, { seed: 2 ** 32 - 1, maxTokens: 2 });
  expect(reports.map(({ seed }) => seed)).toEqual([2 ** 32 - 1, 0, 1]);
  expect(reports.map(({ reusedTokens }) => reusedTokens)).toEqual([0, 3, 3]);
});

test("a text is saved, restored and gone on with", async () => {
  const { model } = await load();
  await expect(model.resume().finish()).rejects.toThrowError(expect.objectContaining({ code: "argument" }));
  await model.generate("ab", { maxTokens: 1, seed: 1 }).finish();
  const saved = await model.save();
  await model.generate("other", { maxTokens: 1 }).finish();
  expect([...(await model.restore(saved))]).toEqual([1, 97, 98, 100]);
  expect((await model.resume({ maxTokens: 1 }).finish()).promptTokens).toEqual([1, 97, 98, 100]);
  await expect(model.restore(Uint8Array.of(0))).rejects.toThrowError(expect.objectContaining({ code: "format" }));
});

test("clones keep their own texts, and one of all writes at a time", async () => {
  const { model, worker } = await load();
  await model.generate("ab", { maxTokens: 1, seed: 1 }).finish();
  const copy = await model.clone();
  await model.generate("other", { maxTokens: 1, seed: 1 }).finish();
  expect((await copy.resume({ maxTokens: 1, seed: 1 }).finish()).promptTokens).toEqual([1, 97, 98, 100]);
  expect((await model.resume({ maxTokens: 1, seed: 1 }).finish()).promptTokens).toEqual([1, ..."other".split("").map((c) => c.charCodeAt(0)), 100]);
  const running = model.generate("LONG");
  await running.next();
  await expect(copy.generate("x").next()).rejects.toThrowError(busy);
  await running.return();
  copy.dispose();
  expect(worker.terminated).toBe(false);
  expect((await model.generate("ab", { maxTokens: 1 }).finish()).tokens).toHaveLength(1);
  model.dispose();
  expect(worker.terminated).toBe(true);
});

test("texts are scored and embedded", async () => {
  const { model } = await load();
  const { tokens, logprobs, perplexity } = await model.score("abc");
  expect([tokens, logprobs.length]).toEqual([[1, 97, 98, 99], 3]);
  expect(perplexity).toBeCloseTo(2);
  expect([...(await model.embed([5, 6]))]).toEqual([1, 2]);
  expect([...(await model.embed([5, 6], { pooling: "last" }))]).toEqual([0, 2]);
  await expect(model.embed("x", { pooling: "max" as "mean" })).rejects.toThrowError(expect.objectContaining({ code: "argument" }));
});

test("adapters are loaded, scaled and taken away by number", async () => {
  const { model, worker } = await load();
  const file = fakeFile();
  expect([await model.loadAdapter(file), await model.loadAdapter(file)]).toEqual([0, 1]);
  await model.setAdapters([[1, 0.5]]);
  await model.setAdapters([]);
  const scales = worker.heard.filter((request) => request.type === "adapt").map((request) => [...request.scales]);
  expect(scales).toEqual([[], [], [0, 0.5], [0, 0]]);
  const argument = expect.objectContaining({ code: "argument" });
  await expect(model.setAdapters([[2, 1]])).rejects.toThrowError(argument);
  await expect(model.setAdapters([[0, NaN]])).rejects.toThrowError(argument);
  await expect(model.loadAdapter(Uint8Array.of(1))).rejects.toThrowError(expect.objectContaining({ code: "format" }));
  expect(await (await model.clone()).loadAdapter(file)).toBe(2);
});

test("a record holds all that makes an answer, and there is none where that would not do", async () => {
  const { model } = await load();
  const options = { seed: 1, maxTokens: 3, topK: 5, logitBias: [[3, -1]], bannedTokens: [7], stop: "x", overflow: "shift" } as const;
  const generation = model.generate("ab", options);
  expect(generation.record).toBeUndefined();
  const { tokens } = await generation.finish();
  expect(generation.record).toMatchObject({
    model: "0123456789abcdef",
    build: "pagelm simd128",
    nCtx: 512,
    cacheType: "f32",
    promptTokens: [1, 97, 98],
    sampler: { seed: 1, topK: 5, logitBias: [[3, -1]], bannedTokens: [7] },
    maxTokens: 3,
    stop: ["x"],
    nKeep: 0,
    tokens,
    stopReason: "maxTokens",
  });
  const chat = model.chat([{ role: "user", content: "a" }], { template: "{{ messages[0].content }}b", maxTokens: 1 });
  await chat.finish();
  expect(chat.record).toMatchObject({ template: "{{ messages[0].content }}b", promptTokens: [97, 98] });
  const left = model.generate("LONG", { seed: 1 });
  for await (const _ of left) break;
  expect(left.record).toMatchObject({ maxTokens: 1, tokens: left.report?.tokens, stopReason: "maxTokens", nKeep: null });
  for (const odd of [model.resume({ maxTokens: 1 }), model.generate("ab", { maxTokens: 1, logitsProcessor: () => {} })]) {
    await odd.finish();
    expect(odd.record).toBeUndefined();
  }
});
