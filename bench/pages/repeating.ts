/**
 * How much faster a text that repeats itself comes when the next tokens are guessed from what stands there already. The
 * same text is written with and without, in turn, in one page; that it is the same is checked.
 * @module
 */

import type { Continued, Engine } from "./engine.js";
import type { Measured } from "./measure.js";

/** A stretch of a prompt: plain text, or one of the model's signs. */
export interface Part {
  text: string;
  special: boolean;
}

/** What is to be gone on with, and how far: as text, or as a number of tokens from all over the vocabulary. */
export interface Repeating {
  name: string;
  prompt: Part[] | number;
  decode: number;
}

/** Each way is repeated so often, then until it has taken so long, but not more often than that. */
const MIN_REPEATS = 2;
const ENOUGH_MS = 400;
const MAX_REPEATS = 40;
const WAYS = [false, true];

/** One sample without guessing, one with it. Throws where the two texts differ. */
export async function measureRepeating(
  engine: Engine,
  { name: text, prompt, decode }: Repeating,
  random: (length: number) => number[],
): Promise<Measured[]> {
  const { continueWith, tokenize } = engine;
  if (!continueWith || !tokenize) throw new Error("this engine's adapter cannot guess");
  const tokens = typeof prompt === "number" ? random(prompt) : await tokenize(prompt);
  const run = (isGuessing: boolean) => continueWith(tokens, decode, isGuessing);
  // Not counted: it compiles what guessing needs, and leaves the prompt in the cache for both.
  const expected = (await run(true)).tokens;
  const sums = WAYS.map(() => ({ ms: 0, timed: 0, proposed: 0, accepted: 0, repeats: 0 }));
  const isEnough = ({ ms, repeats }: Sum) => repeats >= MIN_REPEATS && (ms >= ENOUGH_MS || repeats >= MAX_REPEATS);
  while (!sums.every(isEnough)) {
    for (const [idx, isGuessing] of WAYS.entries()) add(sums[idx] as Sum, await run(isGuessing), expected);
  }
  return WAYS.map((speculative, idx) => {
    const { ms, timed, proposed, accepted, repeats } = sums[idx] as Sum;
    const about = { measure: "decode_repeating" as const, text, speculative, depth: tokens.length, n: expected.length - 1 };
    const guesses = { proposed: proposed / repeats, accepted: accepted / repeats };
    return { ...about, ...guesses, n_timed: timed, value: (timed / ms) * 1000, unit: "tokens/s" as const };
  });
}

interface Sum {
  ms: number;
  timed: number;
  proposed: number;
  accepted: number;
  repeats: number;
}

function add(sum: Sum, { tokens, decodeMs, proposed, accepted }: Continued, expected: number[]): void {
  const isSame = tokens.length === expected.length && tokens.every((token, idx) => token === expected[idx]);
  if (!isSame) throw new Error(`guessing changed the text: ${tokens.join(" ")} instead of ${expected.join(" ")}`);
  if (tokens.length < 2) throw new Error("the text ends at once: there is nothing to time");
  sum.ms += decodeMs;
  sum.timed += tokens.length - 1;
  sum.proposed += proposed;
  sum.accepted += accepted;
  sum.repeats += 1;
}
