import { expect, test } from "vitest";
import { argmax, commonLength, stepwise } from "../pages/engine.js";

test("of a prompt at least one token is left to compute", () => {
  expect(commonLength([], [1, 2])).toBe(0);
  expect(commonLength([1, 2], [1, 2, 3])).toBe(2);
  expect(commonLength([1, 2, 3], [1, 2, 3])).toBe(2);
  expect(commonLength([1, 9], [1, 2, 3])).toBe(1);
});

test("the likeliest token is the first of the largest", () => {
  expect(argmax(Float32Array.of(0, 3, 1, 3))).toBe(1);
});

test("each decoded token is the one that the pass before chose", async () => {
  const passes: number[][] = [];
  const timed = await stepwise([5, 6, 7], 3, (tokens) => {
    passes.push(tokens);
    return (tokens.at(-1) as number) + 1;
  });
  expect(passes).toEqual([[5, 6, 7], [8], [9], [10]]);
  expect(timed).toMatchObject({ nPrefilled: 3, nDecoded: 3 });
});
