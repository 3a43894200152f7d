import assert from "node:assert/strict";
import { test } from "node:test";
import { reader } from "./module.mjs";

test("the loop reads every number once", async () => {
  const { memory, read } = await reader(65536 * 2);
  assert.equal(read(), (65536 * 2) / 4);
  const numbers = new Uint32Array(memory.buffer);
  for (const idx of [0, 3, 4, 31, 32, numbers.length - 1]) {
    numbers[idx] += 1000;
  }
  assert.equal(read(), numbers.length + 6000);
});
