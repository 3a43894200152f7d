import { expect, test } from "vitest";
import { toCacheType, toCount, toEngineOptions, toEnginePrompt, toTokens } from "../src/options.js";
import type { GenerateOptions } from "../src/types.js";

const argument = expect.objectContaining({ code: "argument" });

test("undefined options are left to the engine's defaults", () => {
  const rest = toEngineOptions({ topK: 3, seed: undefined as never, parseSpecial: true });
  expect(rest).toEqual({ topK: 3, parseSpecial: true });
});

test("lists cross as the engine reads them", () => {
  const lists = { stop: "\n", logitBias: [[3, -1.5], [4, 2]] as const, bannedTokens: [7], dryBreakers: ["."] };
  expect(toEngineOptions({ ...lists, overflow: "shift", nKeep: 4, seed: 1 })).toEqual({
    stop: ["\n"],
    logitBias: [3, -1.5, 4, 2],
    bannedTokens: [7],
    dryBreakers: ["."],
    overflow: "shift",
    nKeep: 4,
    seed: 1,
  });
  expect(toEngineOptions({ logitsProcessor: () => {} }).editsLogits).toBe(true);
});

test.each([
  { stop: 3 },
  { stop: ["\uD83D"] },
  { logitBias: [[1, NaN]] },
  { logitBias: [[-1, 0]] },
  { bannedTokens: [1.5] },
  { overflow: "wrap" },
  { speculative: "guess" },
])("%o is refused too", (options) => {
  expect(() => toEngineOptions(options as object)).toThrowError(argument);
});

test("a misspelt option is refused with the names there are", () => {
  expect(() => toEngineOptions({ max_tokens: 3 } as object)).toThrowError(/“max_tokens”.*maxTokens/s);
});

test.each([{ temperature: NaN }, { topK: "3" }, { seed: -1 }, { seed: 1.5 }, { seed: 2 ** 32 }, { topK: -1 }, { maxTokens: 0.5 }])("%o is refused", (options) => {
  expect(() => toEngineOptions(options as object)).toThrowError(argument);
});

test("every u32 is a seed", () => {
  expect(toEngineOptions({ seed: 0 }).seed).toBe(0);
  expect(toEngineOptions({ seed: 2 ** 32 - 1 }).seed).toBe(2 ** 32 - 1);
});

test("lone surrogates are refused with their place, whole pairs and NUL are text", () => {
  expect(toEnginePrompt("a\0🙂")).toBe("a\0🙂");
  expect(() => toEnginePrompt("ab\uD83D")).toThrowError(/position 2/);
  expect(() => toEnginePrompt("\uDE42x")).toThrowError(argument);
});

test("tokens are whole numbers", () => {
  expect(toTokens([0, 4294967295])).toEqual(Uint32Array.of(0, 4294967295));
  for (const bad of [[-1], [1.5], [NaN], ["1"], null, {}]) {
    expect(() => toTokens(bad as number[]), String(bad)).toThrowError(argument);
  }
});

test("counts are whole and at least 1", () => {
  expect([toCount(undefined, "n"), toCount(7, "n")]).toEqual([undefined, 7]);
  for (const bad of [0, -1, 1.5, NaN, Infinity, 2 ** 33]) expect(() => toCount(bad, "n")).toThrowError(argument);
});

test("a cache type that is not there is refused before anything is downloaded", () => {
  expect([toCacheType(undefined), toCacheType("q8_0")]).toEqual([undefined, "q8_0"]);
  for (const bad of ["q4_0", "F16", 16, null]) expect(() => toCacheType(bad as "f16")).toThrowError(argument);
});

test("the form of a text is one of three, and a regex means the whole text", () => {
  const constraint = (options: GenerateOptions) => toEngineOptions({ seed: 1, ...options }).constraint;
  expect(constraint({})).toBeUndefined();
  expect(constraint({ json: true })).toEqual({ kind: "json", text: "{}" });
  expect(constraint({ json: { type: "null" } })).toEqual({ kind: "json", text: '{"type":"null"}' });
  expect(constraint({ regex: /^a|b$/i })).toEqual({ kind: "regex", text: "(?i:a|b)" });
  expect(constraint({ regex: "a+" })).toEqual({ kind: "regex", text: "a+" });
  expect(constraint({ grammar: 'start: "a"' })).toEqual({ kind: "lark", text: 'start: "a"' });
  expect(toEngineOptions({ json: true }).editsLogits).toBe("mask");
  expect(toEngineOptions({ json: true, logitsProcessor: () => {} }).editsLogits).toBe(true);
  for (const options of [{ json: true, regex: "a" }, { json: 7 }, { json: null }] as unknown as GenerateOptions[]) {
    expect(() => constraint(options)).toThrowError(argument);
  }
});
