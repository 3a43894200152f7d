/**
 * What each engine looks like to the measurement.
 * @module
 */

import type { Part } from "./repeating.js";

/** How a model is to be loaded. */
export interface LoadJob {
  url: string;
  threads: number;
  /** Of this project's engine: which build. */
  build?: string | undefined;
  /** Of this project's engine: whether `threads` is only the most there may be, and the package chooses. */
  choosesThreads?: boolean | undefined;
  nCtx: number;
  /** Words of one token each, for engines that take only text. */
  words: string[];
}

/** What one generation took, measured as near to the engine's own work as it allows. */
export interface Timed {
  /** How many tokens of the prompt were computed, and how long it took, up to the choice of the first token. */
  nPrefilled: number;
  prefillMs: number;
  /** How many forward passes of one token, each with the choice of the next, came after that, and how long they took. */
  nDecoded: number;
  decodeMs: number;
}

/** What a model went on with, and how many of the tokens were guessed and came. */
export interface Continued {
  tokens: number[];
  decodeMs: number;
  proposed: number;
  accepted: number;
}

/** A loaded model. */
export interface Engine {
  /** From the last byte's arrival to being ready, where both can be told apart. */
  readyAfterLastByteMs?: number | undefined;
  /**
   * Works through `prompt`, chooses the likeliest token, then goes on for `nDecode` more. What the last prompt had in
   * common with this one, from its start on, may be kept.
   */
  generate(prompt: number[], nDecode: number): Promise<Timed>;
  /** Of this project's engine: the tokens of a prompt, and going on with one, guessing ahead or not. */
  tokenize?(parts: Part[]): Promise<number[]>;
  continueWith?(prompt: number[], nDecode: number, isGuessing: boolean): Promise<Continued>;
}

/** Every adapter exports this as `load`. */
export type Load = (job: LoadJob) => Promise<Engine>;

/** The file, and when its last byte was there. */
export async function fetchFile(url: string): Promise<{ file: ArrayBuffer; arrivedAt: number }> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  const file = await response.arrayBuffer();
  return { file, arrivedAt: performance.now() };
}

/** How many tokens `next` has in common with `last`, at their starts; at least one of `next` is left to compute. */
export function commonLength(last: number[], next: number[]): number {
  let n = 0;
  while (n < last.length && n < next.length - 1 && last[n] === next[n]) n += 1;
  return n;
}

/** The index of the first of the largest. */
export function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] as number) > (values[best] as number)) best = i;
  return best;
}

/** Times an engine that computes token by token: `next` takes tokens and says which is likeliest to follow. */
export async function stepwise(
  tokens: number[],
  nDecode: number,
  next: (tokens: number[]) => Promise<number> | number,
): Promise<Timed> {
  const begun = performance.now();
  let token = await next(tokens);
  const prefilled = performance.now();
  for (let i = 0; i < nDecode; i++) token = await next([token]);
  const prefillMs = prefilled - begun;
  return { nPrefilled: tokens.length, prefillMs, nDecoded: nDecode, decodeMs: performance.now() - prefilled };
}
