import { expect, test } from "vitest";
import type { Continued, Engine } from "../pages/engine.js";
import { measureRepeating } from "../pages/repeating.js";
import { repeatingTexts } from "../src/repeating.js";

const text = { name: "a rhyme", prompt: [{ text: "Row", special: false }], decode: 3 };
const random = (length: number) => Array.from({ length }, (_, idx) => idx);

function engine(continueWith: (isGuessing: boolean) => Continued): Engine {
  const unused = () => Promise.reject(new Error("not asked for"));
  return { generate: unused, tokenize: async () => [1, 2], continueWith: async (_prompt, _n, isGuessing) => continueWith(isGuessing) };
}

const plain: Continued = { tokens: [5, 6, 7, 8], decodeMs: 300, proposed: 0, accepted: 0 };
const guessed: Continued = { ...plain, decodeMs: 100, proposed: 6, accepted: 3 };

test("both ways write the same text, equally often", async () => {
  const samples = await measureRepeating(engine((isGuessing) => (isGuessing ? guessed : plain)), text, random);
  const about = { measure: "decode_repeating", text: "a rhyme", depth: 2, n: 3, n_timed: 12, unit: "tokens/s" };
  expect(samples).toEqual([
    { ...about, speculative: false, proposed: 0, accepted: 0, value: 10 },
    { ...about, speculative: true, proposed: 6, accepted: 3, value: 30 },
  ]);
});

test("a text that guessing changed is no sample", async () => {
  const other = engine((isGuessing) => (isGuessing ? { ...guessed, tokens: [5, 6, 7, 9] } : plain));
  await expect(measureRepeating(other, text, random)).rejects.toThrow("guessing changed the text");
  const shorter = engine((isGuessing) => (isGuessing ? { ...guessed, tokens: [5, 6, 7] } : plain));
  await expect(measureRepeating(shorter, text, random)).rejects.toThrow("guessing changed the text");
});

test("the tasks are asked for as the demo page asks", () => {
  const [table] = repeatingTexts("tasks");
  expect(table?.name).toBe("Turn CSV into Markdown");
  const [before, asked, after] = table?.prompt as { text: string; special: boolean }[];
  expect([before, after].map((part) => part?.special)).toEqual([true, true]);
  expect(asked?.special).toBe(false);
  expect(asked?.text).toMatch(/^Turn this CSV table into Markdown:\nname,/);
  expect(repeatingTexts("0.5B-Q8_0")).toEqual([]);
});
