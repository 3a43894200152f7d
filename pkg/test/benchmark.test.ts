import { afterEach, expect, test, vi } from "vitest";
import { benchmark } from "../src/benchmark.js";
import type { Engine, Step } from "../src/binding.js";
import { Threads } from "../src/threads.js";

const N_CTX = 512;

/** An engine by a clock of its own: 2 ms for a token of a prompt, 10 for one after it; texts end after `length` tokens. */
function engine(length: number) {
  let [time, nPast, nPrompt, nWritten, left] = [0, 0, 0, 0, 0];
  let text: number[] = [];
  vi.spyOn(performance, "now").mockImplementation(() => time);
  const start = (prompt: Uint32Array, { maxTokens = 0 }) => {
    [nPrompt, nWritten, left] = [prompt.length, 0, maxTokens];
    const differs = prompt.findIndex((token, i) => token !== text[i]);
    nPast = Math.min(nPast, differs < 0 ? prompt.length : differs, prompt.length - 1);
    text = [...prompt];
    return { reusedTokens: nPast };
  };
  const step = (): Step => {
    if (nPast < nPrompt) {
      time += (nPrompt - nPast) * (nPrompt - nPast > 1 ? 2 : 10);
      nPast = nPrompt;
      return { kind: "prefill", done: nPrompt, total: nPrompt };
    }
    const end = { kind: "end" } as Step;
    if (left === 0) return end;
    if (nWritten > 0) {
      time += 10;
      nPast += 1;
      expect(nPast).toBeLessThan(N_CTX);
    }
    if (nWritten === length) return end; // which the logits after the last token say
    nWritten += 1;
    text.push(1);
    left -= 1;
    return { kind: "token", token: 1, text: "", probability: 1, alternatives: new Float32Array() };
  };
  return { info: () => ({ nCtx: N_CTX, nVocab: 1000 }), start, step } as unknown as Engine;
}

afterEach(() => void vi.restoreAllMocks());

test.each([1000, 7, 1])("what is counted is what was computed, of texts that end after %i tokens", async (length) => {
  const clock = { prefillMs: 0, decodeMs: 0 };
  const report = await benchmark(engine(length), new Threads(), 128, 16, clock, async () => true);
  expect(report).toEqual({
    promptTokens: 128,
    genTokens: 16,
    prefillMs: 256,
    decodeMs: 160,
    prefillTokensPerS: 500,
    decodeTokensPerS: 100,
  });
});

test("both and one token more have to fit", async () => {
  const measure = (genTokens: number) => benchmark(engine(1000), new Threads(), 500, genTokens, { prefillMs: 0, decodeMs: 0 }, async () => true);
  expect((await measure(11))?.decodeTokensPerS).toBe(100);
  await expect(measure(12)).rejects.toMatchObject({ code: "argument" });
});
